"""March instances that interpenetrate, or that a mesh cuts, through their tiles together.

Letters in shapes: R rays, T tiles of 64 rays, I instances, A assets, P pairs of a tile and an instance.
Each instance keeps its own lattice of ticks and its own lines of density between them, as where a single
field is drawn; the pieces are merged by time, densities add, and each has its share of the light.
"""

from typing import Any

import warp as wp

from neuron_core.kernels.baked.bricks import Asset
from neuron_core.kernels.baked.drawing import launch_tiles
from neuron_core.kernels.baked.headers import native
from neuron_core.kernels.baked.instances import Tiled, integers, table_of
from neuron_core.kernels.baked.layout import BEAM, CURSOR, FEW, RECORD
from neuron_core.kernels.baked.rays import RayBundle, Rays
from neuron_core.kernels.launch import CORES, view

wp.set_module_options(native("overlap.h"))


@wp.struct
class OverlapCall:
    """What the records of all pairs follow from, and where they go."""

    assets: wp.array[Asset]  # [A]
    asset_of: wp.array[wp.int32]  # [I]
    table: wp.array2d[wp.float32]  # [I, 24]
    rays: RayBundle
    tiles: wp.array[wp.int32]  # [T]
    firsts: wp.array[wp.int32]  # [T + 1]
    pairs: wp.array[wp.int32]
    instances: wp.array[wp.int32]  # [P]
    limits: wp.array[wp.float32]  # [R]
    step: wp.float32  # voxels
    scratch: wp.array[wp.float32]  # cursors of pairs, on CUDA for each ray; [0] if all tiles have few
    records: wp.array2d[wp.float32]  # [64 * P, 16]


def march_together(
    assets: Any,
    asset_of: Any,
    table: Any,
    rays: Rays,
    tiled: Tiled,
    limits: Any,
    records: Any,
    *,
    step: float = 0.5,
    device: str = "cpu",
) -> None:
    """Write the records of all pairs of `tiled`, whose instances may interpenetrate.

    `asset_of` [I] int32 and `table` [I, 24] place instances, `limits` [R] are distances beyond which
    nothing is looked at.
    """
    pairs = int(tiled.pairs.shape[0]) if tiled.most > FEW else 0
    cursors = pairs if device == "cpu" else pairs * BEAM
    call = OverlapCall()
    call.assets, call.asset_of = assets, integers(asset_of)
    call.table, call.rays = table_of(table), rays.bundle
    call.tiles, call.firsts = integers(tiled.tiles), integers(tiled.firsts)
    call.pairs, call.instances = integers(tiled.pairs), integers(tiled.instances)
    call.limits, call.step = view(limits, wp.float32, [rays.count]), step
    scratch: Any = wp.empty(cursors * CURSOR, dtype=wp.float32, device=device)
    call.scratch = scratch
    call.records = view(records, wp.float32, [int(records.shape[0]), RECORD])
    launch_tiles(overlap_kernel, call, int(tiled.tiles.shape[0]), device, slices=8 * CORES)


@wp.func_native("neuron::march_overlapping(call, slot, count);")
def march_overlapping(call: OverlapCall, slot: wp.int32, count: wp.int32) -> None:
    """Write the records of some rays of one tile."""
    ...


@wp.kernel(enable_backward=False)
def overlap_kernel(call: OverlapCall, per_index: wp.int32, first: wp.int32) -> None:
    """One index per tile on a CPU, per ray of a tile on CUDA."""
    march_overlapping(call, (first + wp.tid()) * per_index, per_index)
