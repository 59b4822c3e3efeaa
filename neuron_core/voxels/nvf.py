"""The baked field: bricks of voxels in a sparse grid, and how they are stored.

Letters in shapes: X Y Z bricks along each side of the grid, B bricks that exist, V active
samples. A brick is 8 voxels along each side and stores the 9 samples at their corners, so that
interpolation never leaves it; what two bricks share, both store. Sample (i, j, k) of the brick
at (x, y, z) lies at `aabb[0] + (8 * (x, y, z) + (i, j, k)) * voxel_size`. Outside the bricks the
density is zero. Lengths are meters, densities 1 / meter, in the space of the asset.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from neuron_core.assets.schema import MAX_BRICKS
from neuron_core.foundation.errors import NeuronError
from neuron_core.kernels.baked.bricks import filled_voxels
from neuron_core.kernels.baked.layout import CELLS, CHANNELS, SAMPLES, SIDE


class VoxelError(NeuronError):
    """A baked field that cannot be built, or tensors that do not hold one."""

    kind = "asset"


@dataclass(frozen=True, slots=True)
class Nvf:
    """Geometry of the bake; every look shares it. The arrays may be filled in place."""

    aabb: np.ndarray  # [2, 3] float32, a whole number of bricks
    voxel_size: float
    top: np.ndarray  # [X, Y, Z] int32: the brick there, or -1
    density: np.ndarray  # [B, 9, 9, 9] float32; negative outside a surface, cut off after interpolation
    normals: np.ndarray  # [B, 9, 9, 9, 3] float32, unit where active
    active: np.ndarray  # [V] int32, ascending: the samples, of B * 729, that can contribute


@dataclass(frozen=True, slots=True)
class LookCodes:
    """The material codes of one look: `low + codes / 255 * (high - low)` at the active samples."""

    codes: np.ndarray  # [V, 8] uint8
    low: np.ndarray  # [8] float32
    high: np.ndarray  # [8] float32

    def decoded(self) -> np.ndarray:
        """The codes as [V, 8] float32."""
        decoded: np.ndarray = self.low + self.codes.astype(np.float32) * ((self.high - self.low) / 255.0)
        return decoded


def lattice(aabb: np.ndarray, resolution: int) -> tuple[np.ndarray, float, tuple[int, int, int]]:
    """The grid of whole bricks around `aabb` [2, 3] with `resolution` voxels along its longest side.

    Returns its box [2, 3] float32, which has the same center, the size of a voxel, and X, Y, Z.
    Raises VoxelError for a box without an inside or a resolution that is not 8..4096.
    """
    low, high = np.asarray(aabb, np.float64)
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (high > low).all()):
        raise VoxelError(
            f"The box {low.tolist()} to {high.tolist()} has no inside.", "Check the geometry's size."
        )
    if not CELLS <= resolution <= 4096:
        raise VoxelError(f"A resolution of {resolution} voxels is not in {CELLS}..4096.")
    voxel_size = float(np.float32((high - low).max() / resolution))
    shape = np.ceil((high - low) / (voxel_size * CELLS) - 1e-5).astype(int)
    half = shape * (voxel_size * CELLS / 2)
    center = (low + high) / 2
    box = np.stack([center - half, center + half]).astype(np.float32)
    return box, voxel_size, (int(shape[0]), int(shape[1]), int(shape[2]))


def allocate(aabb: np.ndarray, resolution: int, occupied: np.ndarray) -> Nvf:
    """An empty field on the grid of `lattice(aabb, resolution)` with bricks where `occupied` says so.

    `occupied` is a mask of bricks [X, Y, Z] or of voxels [8X, 8Y, 8Z], or lists brick
    coordinates [N, 3] in any order. Bricks are numbered in the order of their coordinates.
    """
    box, voxel_size, shape = lattice(aabb, resolution)
    mask = _brick_mask(np.asarray(occupied), shape)
    count = int(mask.sum())
    if count > MAX_BRICKS:
        raise VoxelError(f"{count} bricks are more than the {MAX_BRICKS} that fit.", "Lower the resolution.")
    top = np.full(shape, -1, np.int32)
    top[mask] = np.arange(count, dtype=np.int32)
    return Nvf(
        box,
        voxel_size,
        top,
        np.zeros((count, SIDE, SIDE, SIDE), np.float32),
        np.zeros((count, SIDE, SIDE, SIDE, 3), np.float32),
        np.zeros(0, np.int32),
    )


def _brick_mask(occupied: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    if occupied.ndim == 3 and occupied.shape == shape:
        return occupied.astype(bool)
    if occupied.shape == tuple(CELLS * side for side in shape):
        x, y, z = shape
        voxels: np.ndarray = occupied.astype(bool).reshape(x, CELLS, y, CELLS, z, CELLS)
        bricks: np.ndarray = np.asarray(voxels.any(axis=(1, 3, 5)))
        return bricks
    if occupied.ndim == 2 and occupied.shape[1] == 3:
        inside = (occupied >= 0).all() and (occupied < np.array(shape)).all()
        if not inside:
            raise VoxelError(
                f"Bricks at {occupied.min(axis=0)} to {occupied.max(axis=0)} leave the grid {shape}."
            )
        mask = np.zeros(shape, bool)
        mask[tuple(occupied.astype(int).T)] = True
        return mask
    raise VoxelError(f"An occupancy of shape {occupied.shape} does not fit a grid of {shape} bricks.")


def brick_coordinates(top: np.ndarray) -> np.ndarray:
    """Where each brick lies in the grid, [B, 3] int32."""
    places = np.argwhere(top >= 0)
    return places[np.argsort(top[tuple(places.T)])].astype(np.int32)


def lattice_places(top: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Where `samples` [V], numbered brick by brick, lie on the lattice of all voxels, [V, 3] int64."""
    bricks, within = np.divmod(np.asarray(samples, np.int64), SAMPLES)
    steps = np.stack(np.unravel_index(within, (SIDE, SIDE, SIDE)), axis=-1)
    places: np.ndarray = brick_coordinates(top)[bricks].astype(np.int64) * CELLS + steps
    return places


def sample_positions(nvf: Nvf) -> np.ndarray:
    """Where each sample lies, [B, 9, 9, 9, 3] float32. Shared samples have the same bits."""
    steps = brick_coordinates(nvf.top)[:, None] * CELLS + np.arange(SIDE)[None, :, None]  # [B, 9, 3]
    places = (nvf.aabb[0].astype(np.float64) + steps * nvf.voxel_size).astype(np.float32)
    x, y, z = (places[..., axis] for axis in range(3))
    shape = (len(places), SIDE, SIDE, SIDE)
    columns = [x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]]
    return np.stack([np.broadcast_to(column, shape) for column in columns], axis=-1)


def find_active(top: np.ndarray, density: np.ndarray) -> np.ndarray:
    """The samples that can contribute: all corners of voxels that have a corner with density.

    Returns [V] int32 in ascending order. A sample that bricks share is active in all or none.
    """
    cells = filled_voxels(density)
    active = np.zeros(density.shape, bool)
    for i, j, k in product((0, 1), repeat=3):
        active[:, i : i + CELLS, j : j + CELLS, k : k + CELLS] |= cells
    for first, second in shared_samples(top):
        either = active[first] | active[second]
        active[first] = either
        active[second] = either
    return np.flatnonzero(active).astype(np.int32)


Place = tuple[np.ndarray, slice, slice, slice]  # bricks, then i, j, k

_SHARED = {-1: slice(0, 1), 0: slice(0, SIDE), 1: slice(CELLS, SIDE)}  # by where the other brick lies


def shared_samples(top: np.ndarray) -> Iterator[tuple[Place, Place]]:
    """Index pairs into a pool [B, 9, 9, 9, ...]: each pair names the same samples, twice.

    Together the pairs name every two copies of a sample.
    """
    for offset in product((-1, 0, 1), repeat=3):
        if offset <= (0, 0, 0):
            continue
        i, j, k = offset[0], offset[1], offset[2]
        here, there = _overlap(top, (i, j, k)), _overlap(top, (-i, -j, -k))
        both = (here >= 0) & (there >= 0)
        yield (
            (here[both], _SHARED[i], _SHARED[j], _SHARED[k]),
            (there[both], _SHARED[-i], _SHARED[-j], _SHARED[-k]),
        )


def _overlap(top: np.ndarray, offset: tuple[int, int, int]) -> np.ndarray:
    """The part of the grid that has a neighbor at `offset`."""
    starts = [max(0, -step) for step in offset]
    lengths = [max(0, side - abs(step)) for step, side in zip(offset, top.shape, strict=True)]
    return top[tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))]


def encode_codes(codes: np.ndarray) -> LookCodes:
    """Quantize [V, 8] codes by the range of each channel; off by at most range / 510."""
    if codes.ndim != 2 or codes.shape[1] != CHANNELS or not np.isfinite(codes).all():
        raise VoxelError(f"Codes of shape {codes.shape} are not {CHANNELS} finite numbers each.")
    if len(codes) == 0:
        return LookCodes(
            np.zeros((0, CHANNELS), np.uint8), np.zeros(CHANNELS, np.float32), np.ones(CHANNELS, np.float32)
        )
    low, high = codes.min(axis=0).astype(np.float32), codes.max(axis=0).astype(np.float32)
    scale = np.where(high > low, 255.0 / np.maximum(high - low, 1e-30), 0.0)
    return LookCodes(np.rint((codes - low) * scale).clip(0, 255).astype(np.uint8), low, high)
