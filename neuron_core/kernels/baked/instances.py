"""Draw placed instances of baked fields: what each of them shows in each tile is a layer of 64 pixels.

Letters in shapes: R rays, T tiles of 64 rays, I instances, A assets, P pairs of a tile and an instance
that may show in it. Instances that meet no other one along a ray are marched by the code that draws a
single field, those that interpenetrate, or that a mesh cuts, by `overlap.march_together`.
`compositing.compose` sorts the layers along each ray.

Depths in layers are distances in the instance's own space along unit rays there. Between spaces a
ray keeps its time: the multiple of its direction as the camera gives it. Optical depth is the
density of an instance's own space times the length in that space, so scaling changes no picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.baked.beams import no_rays, start_of, with_ray
from neuron_core.kernels.baked.bricks import Asset, BrickPools, asset_of
from neuron_core.kernels.baked.drawing import Gate, gate_of, launch_tiles
from neuron_core.kernels.baked.headers import native
from neuron_core.kernels.baked.layout import BEAM, LAYER, PLACEMENT, RECORD
from neuron_core.kernels.baked.network import Network, NetworkArrays
from neuron_core.kernels.baked.rays import RayBundle, Rays, View
from neuron_core.kernels.launch import CORES, launch, view

wp.set_module_options(native("platform.h"))


def assets_of(pools: list[BrickPools], codes: list[Any], device: str) -> Any:
    """[A] assets; they refer to the pools and keep no copy."""
    assets = [asset_of(one, look) for one, look in zip(pools, codes, strict=True)]
    return wp.array(assets, dtype=Asset, device=device)


def placements(local_from_world: np.ndarray, camera: np.ndarray | None) -> np.ndarray:
    """[I, 24] float32 of matrices [I, 4, 4]; `camera` [4, 3] is a pinhole's eye, first, right, down.

    Columns: the camera in the instance's space (12), the 3 x 3 part of the matrix (9), its
    translation (3).
    """
    linear, offset = local_from_world[:, :3, :3], local_from_world[:, :3, 3]
    table = np.zeros((len(linear), PLACEMENT))
    if camera is not None:
        moved = np.einsum("nij,kj->nki", linear, camera)
        moved[:, 0] += offset
        table[:, :12] = moved.reshape(-1, 12)
    table[:, 12:21] = linear.reshape(-1, 9)
    table[:, 21:24] = offset
    return table.astype(np.float32)


def table_of(placed: Any) -> Any:
    """Placements [I, 24] as kernels take them."""
    return view(placed, wp.float32, [int(placed.shape[0]), PLACEMENT])


def integers(array: Any) -> Any:
    """An array [N] int32 as kernels take it."""
    return view(array, wp.int32, [int(array.shape[0])])


@dataclass(frozen=True, slots=True)
class Tiled:
    """Which pairs show in which tiles, on one device."""

    tiles: Any  # [T] int32
    firsts: Any  # [T + 1] int32: where the pairs of each tile begin in `pairs`
    pairs: Any  # int32: places of pairs in the arrays of layers and records
    instances: Any  # [P] int32, by place
    most: int  # pairs of one tile


@wp.struct
class LayerCall:
    """What the layers of pairs of one look follow from, and where they go."""

    assets: wp.array[Asset]  # [A]
    look: wp.int32  # its place in `assets`
    table: wp.array2d[wp.float32]  # [I, 24]
    rays: RayBundle
    tiles: wp.array[wp.int32]  # [P]
    instances: wp.array[wp.int32]  # [P]
    starts: wp.array[wp.float32]  # [P]
    known: wp.int32  # whether `records` says what the rays meet
    records: wp.array[wp.float32]  # [64 * P * 16]
    step: wp.float32  # voxels
    gate: Gate
    sharing: wp.int32  # rays that share a reflected one, 0 without reflections
    lift: wp.float32  # voxels
    network: NetworkArrays
    layers: wp.array[wp.float32]  # [64 * P * 8]


def find_starts(
    assets: Any, asset_of: Any, table: Any, rays: Rays, tiles: Any, instances: Any, starts: Any
) -> None:
    """Write to `starts` [P] a time before which the rays of a tile meet no density of an instance, FAR
    if they never do. Only for the rays of a camera, and on a CPU."""
    count = int(tiles.shape[0])
    arguments = [
        assets,
        integers(asset_of),
        table_of(table),
        rays.view,
        integers(tiles),
        integers(instances),
        view(starts, wp.float32, [count]),
    ]
    launch(pair_beam_kernel, arguments, count, device="cpu", slices=1 if count < 64 else 4 * CORES)


def draw_layers(
    assets: Any,
    look: int,
    network: Network,
    mirror: Sequence[float] | None,
    table: Any,
    rays: Rays,
    tiles: Any,
    instances: Any,
    starts: Any,
    records: Any,
    layers: Any,
    *,
    lift: float,
    step: float,
    sharing: int = 1,
    device: str = "cpu",
) -> None:
    """Write the layers [64 * P, 8] of pairs of one look: `tiles`, `instances` and `starts` are [P].

    `look` is its place in `assets`. With `records` [64 * P, 16], which may be None, what the rays meet is
    known already. Mirrors show the same instance once, `sharing` as `drawing.draw` has it.
    """
    count = int(tiles.shape[0])
    call = LayerCall()
    call.assets, call.look = assets, look
    call.table, call.rays = table_of(table), rays.bundle
    call.tiles, call.instances = integers(tiles), integers(instances)
    call.starts = view(starts, wp.float32, [count])
    call.known = int(records is not None)
    if records is not None:
        call.records = view(records, wp.float32, [count * BEAM * RECORD])
    call.step, call.lift = step, lift
    call.gate, call.sharing = gate_of(mirror), 0 if mirror is None else sharing
    call.network = network.arrays
    call.layers = view(layers, wp.float32, [count * BEAM * LAYER])
    launch_tiles(_kernel(network.width), call, count, device, slices=min(8 * CORES, count // 4))


@cache
def _kernel(width: int) -> Any:
    """The kernel for networks of one width, which is known when it is compiled."""

    @wp.func_native(f"neuron::draw_layer<{width}>(call, slot);")
    def draw_layer(call: LayerCall, slot: wp.int32) -> None: ...

    @wp.kernel(enable_backward=False, module="unique", module_options=native("draw.h", fused=True))
    def layer_kernel(call: LayerCall, per_index: wp.int32, first: wp.int32) -> None:
        """One index per pair on a CPU, per ray of a pair on CUDA. Writes its layer."""
        draw_layer(call, (first + wp.tid()) * per_index)

    return layer_kernel


@wp.func
def column_of(table: wp.array2d[wp.float32], instance: wp.int32, first: wp.int32) -> wp.vec3f:
    """Three numbers of a placement."""
    return wp.vec3f(table[instance, first], table[instance, first + 1], table[instance, first + 2])


@wp.kernel(enable_backward=False)
def pair_beam_kernel(
    assets: wp.array[Asset],  # [A]
    asset_of: wp.array[wp.int32],  # [I]
    table: wp.array2d[wp.float32],  # [I, 24]
    rays: View,
    tiles: wp.array[wp.int32],  # [P]
    instances: wp.array[wp.int32],  # [P]
    starts: wp.array[wp.float32],  # [P]
    first: wp.int32,
) -> None:
    """One index per pair. Writes a time before which none of its rays meets density of its instance."""
    pair = first + wp.tid()
    instance = instances[pair]
    grid = assets[asset_of[instance]].grid
    eye = (column_of(table, instance, 0) - grid.low) * grid.scale
    corner = column_of(table, instance, 3) * grid.scale
    right = column_of(table, instance, 6) * grid.scale
    down = column_of(table, instance, 9) * grid.scale
    beam = no_rays()
    for number in range(4):
        x = wp.float32(8 * (tiles[pair] % rays.tiles_x) + 7 * (number & 1))
        y = wp.float32(8 * (tiles[pair] // rays.tiles_x) + 7 * (number >> 1))
        beam = with_ray(beam, eye, corner + x * right + y * down)
    starts[pair] = start_of(beam, grid, assets[asset_of[instance]].blocks)
