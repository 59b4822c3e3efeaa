"""Bricks of voxels in a sparse grid, as the marchers want them on a device.

Letters in shapes: B bricks, X Y Z bricks along each side of the grid. A brick has 8 voxels along
each side and the 9 samples at their corners; it stores 729 samples, x slowest. Distances are world
units.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.baked.layout import CELLS, CHANNELS, SIDE
from neuron_core.kernels.launch import view

FARTHEST = 32  # largest distance, in blocks, that is stored
FINE_BRICKS = 16 * 18**2  # grids up to this size have distances in voxels, 3 MB of them;
MEDIUM_BRICKS = 64**3  # up to this size in blocks of 2 voxels, larger ones of 4


@dataclass(frozen=True, slots=True)
class BrickPools:
    """The geometry of a field, on one device, as the marcher wants it."""

    low: tuple[float, float, float]  # lower corner of the grid, world
    voxel_size: float
    shape: tuple[int, int, int]  # X, Y, Z
    inside: tuple[tuple[float, float, float], tuple[float, float, float]]  # box of the density, voxels
    top: wp.array  # [X * Y * Z] int32: the brick, or -1
    block: int  # voxels along a side of a block
    blocks: (
        wp.array
    )  # [8 / block * (X, Y, Z)] uint8, flat: distance in blocks to the nearest one with density
    density: wp.array  # [B * 729] float32
    normals: wp.array  # [B * 729, 4] int8, 127 is 1; the last is unused

    @property
    def device(self) -> str:
        """Where the pools are."""
        return str(self.density.device)


def brick_pools(
    low: np.ndarray,
    voxel_size: float,
    top: np.ndarray,
    density: np.ndarray,
    normals: np.ndarray,
    device: str = "cpu",
) -> BrickPools:
    """Copy a field to `device`: `top` [X, Y, Z] int32 with -1 where nothing is, `density`
    [B, 9, 9, 9], `normals` [B, 9, 9, 9, 3] float32."""
    stored = np.zeros((*density.shape, 4), np.int8)
    stored[..., :3] = np.rint(np.clip(normals, -1, 1) * 127)
    filled = filled_voxels(density)
    block = 1 if top.size <= FINE_BRICKS else 2 if top.size <= MEDIUM_BRICKS else 4
    return BrickPools(
        _triple(low),
        float(voxel_size),
        (int(top.shape[0]), int(top.shape[1]), int(top.shape[2])),
        _box_of(top, filled),
        wp.array(top.reshape(-1), dtype=wp.int32, device=device),
        block,
        wp.array(_block_distances(top, filled, block).reshape(-1), dtype=wp.uint8, device=device),
        wp.array(density.reshape(-1), dtype=wp.float32, device=device),
        wp.array(stored.reshape(-1, 4), dtype=wp.int8, device=device),
    )


def _triple(vector: np.ndarray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])


def filled_voxels(density: np.ndarray) -> np.ndarray:
    """Which voxels [B, 8, 8, 8] have a corner with density; rays need not look at the others."""
    found = density > 0
    for axis in (1, 2, 3):
        found = found.take(range(CELLS), axis) | found.take(range(1, SIDE), axis)
    return found


def _block_distances(top: np.ndarray, filled: np.ndarray, block: int) -> np.ndarray:
    """The distance of each block to the nearest one with a filled voxel."""
    per_side = CELLS // block
    found = np.zeros((*top.shape, per_side, per_side, per_side), bool)
    found[top >= 0] = filled.reshape(-1, *(per_side, block) * 3).any(axis=(2, 4, 6))[top[top >= 0]]
    return distances_to(found.transpose(0, 3, 1, 4, 2, 5).reshape([per_side * side for side in top.shape]))


def _box_of(top: np.ndarray, filled: np.ndarray) -> Any:
    """The lower and upper corner, in voxels, of all filled voxels; both the origin if there is none."""
    places = np.argwhere(top >= 0)
    lows, highs = [], []
    for axis in range(3):
        others = tuple(other for other in (1, 2, 3) if other != axis + 1)
        lines = filled.any(axis=others)[top[tuple(places.T)]]  # [B, 8]
        voxels = (places[:, axis, None] * CELLS + np.arange(CELLS))[lines]
        lows.append(float(voxels.min(initial=1 << 20)))
        highs.append(float(voxels.max(initial=-1) + 1))
    if highs[0] <= 0:
        return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    return tuple(lows), tuple(highs)


def distances_to(found: np.ndarray) -> np.ndarray:
    """By how many cells each cell [X, Y, Z] lies away from the nearest found one, by the largest
    coordinate difference, at most FARTHEST; uint8."""
    distances = np.zeros(found.shape, np.uint8)
    for _ in range(FARTHEST):
        if found.all():
            break
        distances += ~found
        for axis in range(3):
            grown = found.copy()
            to, of = np.moveaxis(grown, axis, 0), np.moveaxis(found, axis, 0)
            to[1:] |= of[:-1]
            to[:-1] |= of[1:]
            found = grown
    return distances


@wp.struct
class Grid:
    """`BrickPools` without the arrays. Inside kernels lengths are voxels from the grid's lower corner."""

    low: wp.vec3f  # world
    scale: wp.float32  # voxels per world unit
    shape: wp.vec3i  # bricks
    block_log2: wp.int32
    inside_low: wp.vec3f  # box of the density
    inside_high: wp.vec3f


def grid_of(pools: BrickPools) -> Any:
    """The grid as kernels take it."""
    grid = Grid()
    grid.low = wp.vec3f(*pools.low)
    grid.scale = 1.0 / pools.voxel_size
    grid.shape = wp.vec3i(*pools.shape)
    grid.block_log2 = pools.block.bit_length() - 1
    grid.inside_low = wp.vec3f(*pools.inside[0])
    grid.inside_high = wp.vec3f(*pools.inside[1])
    return grid


@wp.struct
class Asset:
    """The pools of a field under one look."""

    grid: Grid
    top: wp.array[wp.int32]
    blocks: wp.array[wp.uint8]
    density: wp.array[wp.float32]
    normals: wp.array2d[wp.int8]
    codes: wp.array2d[wp.uint8]


def asset_of(pools: BrickPools, codes: Any) -> Any:
    """The field as kernels take it; `codes` [B * 729, 8] uint8. It refers to both and keeps no copy."""
    asset = Asset()
    asset.grid = grid_of(pools)
    asset.top, asset.blocks = pools.top, pools.blocks
    asset.density, asset.normals = pools.density, pools.normals
    asset.codes = view(codes, wp.uint8, [int(pools.density.shape[0]), CHANNELS])
    return asset


@wp.func
def block_of(grid: Grid, x: wp.int32, y: wp.int32, z: wp.int32) -> wp.int32:
    """Where a block lies in its array."""
    per_side_log2 = 3 - grid.block_log2
    return (x * (grid.shape[1] << per_side_log2) + y) * (grid.shape[2] << per_side_log2) + z
