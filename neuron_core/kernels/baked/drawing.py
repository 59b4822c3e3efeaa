"""Draw a baked field: find the tiles that show something, then march and shade each of them.

Letters in shapes: R rays, T tiles of 64 rays that may meet something, B bricks. Distances are world units
along unit rays. What the rays of a tile meet stays in the cache of a core until it is shaded; on CUDA a
thread does all of it for one ray.

A ray is sampled at ticks, a fixed lattice of distances from where it enters the field. Empty space is
skipped in whole ticks, first for beams of 64 rays together, so skipping changes no picture. Normals and
codes are read once for every two voxels with density, where the mean of the light that they stop is
stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.baked.beams import no_rays, start_of, with_ray
from neuron_core.kernels.baked.bricks import Asset, Grid
from neuron_core.kernels.baked.headers import native
from neuron_core.kernels.baked.layout import BEAM, CHANNELS, FAR
from neuron_core.kernels.baked.network import Network, NetworkArrays
from neuron_core.kernels.baked.rays import RayBundle, Rays, View, direction_of, is_ray, origin_of, ray_of
from neuron_core.kernels.launch import CORES, launch, view

FEW_TILES = 8  # fewer are not worth waking threads for

Gate = wp.types.vector(CHANNELS + 2, wp.float32)

wp.set_module_options(native("platform.h"))


@dataclass(frozen=True, slots=True)
class Picture:
    """Where pixels go. All but the first may be None; float32, zero where nothing is."""

    rgba: Any  # [R, 4] premultiplied
    depths: Any = None  # [R] mean distance along the unit ray
    normals: Any = None  # [R, 3] unit
    codes: Any = None  # [R, 8] mean stored codes, 0 to 255


@wp.struct
class DrawCall:
    """What the pixels of a field follow from, and where they go."""

    asset: Asset
    rays: RayBundle
    tiles: wp.array[wp.int32]  # [T]
    starts: wp.array[wp.float32]  # [tiles]
    step: wp.float32  # voxels
    gate: Gate
    sharing: wp.int32  # rays that share a reflected one, 0 without reflections
    lift: wp.float32  # voxels
    network: NetworkArrays
    rgba: wp.array[wp.float32]  # [4 * R]
    depths: wp.array[wp.float32]  # [R] or [0]
    normals: wp.array[wp.float32]  # [3 * R] or [0]
    codes: wp.array[wp.float32]  # [8 * R] or [0]


def find_tiles(asset: Any, rays: Rays, starts: Any, device: str, stream: Any = None) -> Any:
    """Which tiles may meet density, [T] int32; `starts` [tiles] takes when, as multiples of the rays.

    On CUDA all tiles are listed: those that meet nothing end at once, and nothing waits for them.
    """
    slices = 1 if rays.tiles < FEW_TILES else CORES
    arguments = [asset.grid, asset.blocks, rays.bundle, starts]
    launch(beam_kernel, arguments, rays.tiles, device=device, slices=slices, stream=stream)
    if device == "cpu":
        return np.flatnonzero(starts[: rays.tiles] < FAR).astype(np.int32)
    return wp.array(np.arange(rays.tiles, dtype=np.int32), device=device)


def draw(
    asset: Any,
    network: Network,
    mirror: Sequence[float] | None,
    rays: Rays,
    tiles: Any,
    starts: Any,
    picture: Picture,
    device: str,
    *,
    lift: float,
    step: float,
    sharing: int = 1,
    stream: wp.Stream | None = None,
) -> None:
    """Write the pixels of `tiles` [T]; rays do not look before `starts` [tiles].

    `step` is how far apart the density is read, in voxels. `mirror` is 8 weights for stored codes, a bias,
    and the least activation of what reflects a ray, which begins `lift` voxels above the surface; None if
    nothing does. With `sharing` 4, four rays beside each other share a reflected one, on a CPU. Rays
    without a direction meet nothing.
    """
    call = DrawCall()
    call.asset, call.rays = asset, rays.bundle
    call.tiles = view(tiles, wp.int32, [int(tiles.shape[0])])
    call.starts = view(starts, wp.float32, [int(starts.shape[0])])
    call.step, call.lift = step, lift
    call.gate, call.sharing = gate_of(mirror), 0 if mirror is None else sharing
    call.network = network.arrays
    call.rgba = _output(picture.rgba, rays.count * 4, device)
    call.depths = _output(picture.depths, rays.count, device)
    call.normals = _output(picture.normals, rays.count * 3, device)
    call.codes = _output(picture.codes, rays.count * CHANNELS, device)
    launch_tiles(_kernel(network.width), call, int(tiles.shape[0]), device, stream)


def gate_of(mirror: Sequence[float] | None) -> Any:
    """Which surfaces reflect, as kernels take it."""
    return Gate(*(mirror or [0.0] * (CHANNELS + 2)))


def launch_tiles(
    kernel: Any, call: Any, tiles: int, device: str, stream: wp.Stream | None = None, slices: int = 0
) -> None:
    """Run a kernel that takes a call and how many rays an index has: for tiles on a CPU, for their rays on
    CUDA."""
    per_index = BEAM if device == "cpu" else 1
    cut = slices or min(6 * CORES, tiles // 4)
    slices = 1 if tiles < FEW_TILES else cut
    launch(kernel, [call, per_index], tiles, BEAM // per_index, device=device, slices=slices, stream=stream)


def _output(array: Any, scalars: int, device: str) -> Any:
    if array is None:
        return wp.empty(0, dtype=wp.float32, device=device)
    return view(array, wp.float32, [scalars])


@cache
def _kernel(width: int) -> Any:
    """The kernel for networks of one width, which is known when it is compiled."""

    @wp.func_native(f"neuron::draw_pixels<{width}>(call, slot);")
    def draw_pixels(call: DrawCall, slot: wp.int32) -> None: ...

    @wp.kernel(enable_backward=False, module="unique", module_options=native("draw.h", fused=True))
    def draw_kernel(call: DrawCall, per_index: wp.int32, first: wp.int32) -> None:
        """One index per tile on a CPU, per slot on CUDA. Writes their pixels."""
        draw_pixels(call, (first + wp.tid()) * per_index)

    return draw_kernel


@wp.func
def corner_of(rays: View, tile: wp.int32, place: wp.int32) -> wp.int32:
    """The ray at a place of a tile; of a camera, the nearest one inside the image."""
    if rays.pinhole == 0:
        return ray_of(rays, tile, place)
    x = wp.min(8 * (tile % rays.tiles_x) + (place & 7), rays.width - 1)
    y = wp.min(8 * (tile // rays.tiles_x) + (place >> 3), rays.height - 1)
    return y * rays.width + x


@wp.kernel(enable_backward=False)
def beam_kernel(
    grid: Grid,
    blocks: wp.array[wp.uint8],
    rays: RayBundle,
    starts: wp.array[wp.float32],  # [tiles]
    first: wp.int32,
) -> None:
    """One index per tile. Writes a time before which none of its rays meets density."""
    tile = first + wp.tid()
    beam = no_rays()
    # The rays of a camera lie between those in the corners of their tile.
    pinhole = rays.view.pinhole != 0
    places = wp.where(pinhole, 4, wp.static(BEAM))
    for number in range(places):
        place = wp.where(pinhole, 7 * (number & 1) + 56 * (number >> 1), number)
        ray = corner_of(rays.view, tile, place)
        if ray >= 0:
            origin = (origin_of(rays, ray) - grid.low) * grid.scale
            speed = direction_of(rays, ray) * grid.scale
            if is_ray(origin, speed):
                beam = with_ray(beam, origin, speed)
    starts[tile] = start_of(beam, grid, blocks)
