"""Sort what instances and meshes show along each ray, and write the pixels.

Letters in shapes: R rays, T tiles of 64 rays, I instances, P pairs of a tile and an instance.
"""

from dataclasses import dataclass
from typing import Any

import warp as wp

from neuron_core.kernels.baked.drawing import launch_tiles
from neuron_core.kernels.baked.headers import native
from neuron_core.kernels.baked.instances import Tiled, integers, table_of
from neuron_core.kernels.baked.layout import LAYER
from neuron_core.kernels.baked.rays import RayBundle, Rays
from neuron_core.kernels.launch import CORES, view

wp.set_module_options(native("compose.h"))


@dataclass(frozen=True, slots=True)
class MeshHits:
    """What rays meet of the meshes; everything behind is hidden."""

    times: Any  # [R] float32 distances along the unit ray, FAR where nothing is
    colors: Any  # [R, 3] float32
    normals: Any  # [R, 3] float32, facing the camera
    ids: Any  # [R] int32


@dataclass(frozen=True, slots=True)
class Picture:
    """What is written: all float32 but `ids`. Rays in tiles that are not composed are left alone."""

    rgba: Any  # [R, 4] premultiplied
    depths: Any  # [R] distance along the unit ray
    normals: Any  # [R, 3] world
    ids: Any  # [R] int32


@wp.struct
class ComposeCall:
    """What the pixels of tiles follow from, and where they go."""

    table: wp.array2d[wp.float32]  # [I, 24]
    rays: RayBundle
    tiles: wp.array[wp.int32]  # [T]
    firsts: wp.array[wp.int32]  # [T + 1]
    pairs: wp.array[wp.int32]
    instances: wp.array[wp.int32]  # [P]
    layers: wp.array[wp.float32]  # [64 * P * 8]
    mesh_times: wp.array[wp.float32]  # [R], or [0] without meshes
    mesh_colors: wp.array[wp.float32]  # [3 * R]
    mesh_normals: wp.array[wp.float32]  # [3 * R]
    mesh_ids: wp.array[wp.int32]  # [R]
    rgba: wp.array[wp.float32]  # [4 * R]
    depths: wp.array[wp.float32]  # [R]
    normals: wp.array[wp.float32]  # [3 * R]
    ids: wp.array[wp.int32]  # [R]


def compose(
    table: Any,
    rays: Rays,
    tiled: Tiled,
    layers: Any,
    mesh_hits: MeshHits | None,
    picture: Picture,
    device: str = "cpu",
) -> None:
    """Write the pixels of the tiles from `layers` [64 * P, 8]."""
    count = rays.count
    call = ComposeCall()
    call.table, call.rays = table_of(table), rays.bundle
    call.tiles, call.firsts = integers(tiled.tiles), integers(tiled.firsts)
    call.pairs, call.instances = integers(tiled.pairs), integers(tiled.instances)
    call.layers = view(layers, wp.float32, [int(layers.shape[0]) * LAYER])
    if mesh_hits is not None:
        call.mesh_times = view(mesh_hits.times, wp.float32, [count])
        call.mesh_colors = view(mesh_hits.colors, wp.float32, [count * 3])
        call.mesh_normals = view(mesh_hits.normals, wp.float32, [count * 3])
        call.mesh_ids = view(mesh_hits.ids, wp.int32, [count])
    call.rgba = view(picture.rgba, wp.float32, [count * 4])
    call.depths = view(picture.depths, wp.float32, [count])
    call.normals = view(picture.normals, wp.float32, [count * 3])
    call.ids = view(picture.ids, wp.int32, [count])
    launch_tiles(compose_kernel, call, int(tiled.tiles.shape[0]), device, slices=8 * CORES)


@wp.func_native("neuron::compose_pixels(call, slot, count);")
def compose_pixels(call: ComposeCall, slot: wp.int32, count: wp.int32) -> None:
    """Write the pixels of some rays of one tile."""
    ...


@wp.kernel(enable_backward=False)
def compose_kernel(call: ComposeCall, per_index: wp.int32, first: wp.int32) -> None:
    """One index per tile on a CPU, per ray of a tile on CUDA. Depth, normal and id are those of the
    instance or mesh where half of what stops the light is passed."""
    compose_pixels(call, (first + wp.tid()) * per_index, per_index)
