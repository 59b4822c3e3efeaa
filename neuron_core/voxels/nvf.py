"""The baked field: bricks of voxels in a sparse grid, and how they are stored.

Letters in shapes: X Y Z bricks along each side of the grid, B bricks that exist, V active
samples. A brick is 8 voxels along each side and stores the 9 samples at their corners, so that
interpolation never leaves it; what two bricks share, both store. Sample (i, j, k) of the brick
at (x, y, z) lies at `aabb[0] + (8 * (x, y, z) + (i, j, k)) * voxel_size`. Outside the bricks the
density is zero. Lengths are meters, densities 1 / meter, in the space of the asset.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from neuron_core.foundation.errors import NeuronError

CELLS = 8  # voxels along the side of a brick
SIDE = CELLS + 1  # samples along it
SAMPLES = SIDE**3
CHANNELS = 8  # numbers of a material code

MAX_BRICKS = 1 << 18  # what a file may ask for: 3 GB unpacked
MAX_TOP = 1 << 27


class VoxelError(NeuronError):
    """A baked field that cannot be built, or tensors that are none."""

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


def sample_positions(nvf: Nvf) -> np.ndarray:
    """Where each sample lies, [B, 9, 9, 9, 3] float32. Shared samples have the same bits."""
    steps = brick_coordinates(nvf.top)[:, None] * CELLS + np.arange(SIDE)[None, :, None]  # [B, 9, 3]
    places = (nvf.aabb[0].astype(np.float64) + steps * nvf.voxel_size).astype(np.float32)
    x, y, z = (places[..., axis] for axis in range(3))
    shape = (len(places), SIDE, SIDE, SIDE)
    columns = [x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]]
    return np.stack([np.broadcast_to(column, shape) for column in columns], axis=-1)


def cells_with_density(density: np.ndarray) -> np.ndarray:
    """Which voxels [B, 8, 8, 8] have a corner with density; rays need not look at the others."""
    found = density > 0
    for axis in (1, 2, 3):
        low, high = _halves(found, axis)
        found = low | high
    return found


def find_active(top: np.ndarray, density: np.ndarray) -> np.ndarray:
    """The samples that can contribute: all corners of voxels that have a corner with density.

    Returns [V] int32 in ascending order. A sample that bricks share is active in all or none.
    """
    cells = cells_with_density(density)
    active = np.zeros(density.shape, bool)
    for i, j, k in product((0, 1), repeat=3):
        active[:, i : i + CELLS, j : j + CELLS, k : k + CELLS] |= cells
    for first, second in shared_samples(top):
        either = active[first] | active[second]
        active[first] = either
        active[second] = either
    return np.flatnonzero(active).astype(np.int32)


def aprons_agree(top: np.ndarray, pool: np.ndarray) -> bool:
    """Whether samples that bricks share hold the same in each, for a pool [B, 9, 9, 9, ...]."""
    return all(np.array_equal(pool[first], pool[second]) for first, second in shared_samples(top))


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


def _halves(pool: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    length = pool.shape[axis]
    return pool.take(range(length - 1), axis), pool.take(range(1, length), axis)


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


def to_tensors(nvf: Nvf, looks: Mapping[str, LookCodes]) -> dict[str, np.ndarray]:
    """The tensors of a file, without what cannot contribute.

    `nvf.top`, `nvf.aabb`, `nvf.voxel_size` [1], `nvf.active` [V] int32, `nvf.density` [V]
    float16 in optical depth per voxel, `nvf.normals` [V, 3] int8 (127 is 1), and for each look
    `looks.<slug>.codes` [V, 8] uint8 and `looks.<slug>.range` [2, 8] float32. Raises VoxelError
    for codes of another field.
    """
    depth = nvf.density.reshape(-1)[nvf.active] * np.float32(nvf.voxel_size)
    normals = nvf.normals.reshape(-1, 3)[nvf.active]
    tensors = {
        "nvf.top": nvf.top,
        "nvf.aabb": nvf.aabb.astype(np.float32),
        "nvf.voxel_size": np.array([nvf.voxel_size], np.float32),
        "nvf.active": nvf.active,
        "nvf.density": depth.clip(-65504, 65504).astype(np.float16),
        "nvf.normals": np.rint(normals.clip(-1, 1) * 127).astype(np.int8),
    }
    for slug, look in looks.items():
        if look.codes.shape != (len(nvf.active), CHANNELS):
            raise VoxelError(
                f'The look "{slug}" has codes for {len(look.codes)} samples, not {len(nvf.active)}.'
            )
        tensors[f"looks.{slug}.codes"] = look.codes
        tensors[f"looks.{slug}.range"] = np.stack([look.low, look.high])
    return tensors


def from_tensors(tensors: Mapping[str, np.ndarray]) -> tuple[Nvf, dict[str, LookCodes]]:
    """The inverse of `to_tensors`; other tensors are left alone.

    Raises VoxelError that names the tensor that is missing, has another type or shape, is not
    finite, or contradicts the others.
    """
    nvf = _geometry_from(tensors)
    ends = ".codes"
    slugs = [name[6 : -len(ends)] for name in tensors if name.startswith("looks.") and name.endswith(ends)]
    looks = {}
    for slug in sorted(slugs):
        codes = _tensor(tensors, f"looks.{slug}.codes", np.uint8, (len(nvf.active), CHANNELS))
        low, high = _tensor(tensors, f"looks.{slug}.range", np.float32, (2, CHANNELS))
        looks[slug] = LookCodes(codes, low, high)
    return nvf, looks


def _geometry_from(tensors: Mapping[str, np.ndarray]) -> Nvf:
    top = _tensor(tensors, "nvf.top", np.int32, (None, None, None))
    aabb = _tensor(tensors, "nvf.aabb", np.float32, (2, 3))
    voxel_size = float(_tensor(tensors, "nvf.voxel_size", np.float32, (1,))[0])
    active = _tensor(tensors, "nvf.active", np.int32, (None,))
    bricks = int((top >= 0).sum())
    if top.size == 0 or top.size > MAX_TOP or bricks > MAX_BRICKS:
        raise VoxelError(f"A grid of {top.shape} with {bricks} bricks is empty or too large.")
    if not np.array_equal(np.sort(top[top >= 0]), np.arange(bricks)) or (top < -1).any():
        raise VoxelError(f"nvf.top does not name each of {bricks} bricks once.")
    size = np.array(top.shape) * CELLS * voxel_size
    if not (voxel_size > 0 and np.allclose(aabb[1] - aabb[0], size, rtol=1e-3)):
        raise VoxelError(f"nvf.aabb {aabb.tolist()} is not {top.shape} bricks of voxels of {voxel_size}.")
    if len(active) and (active[0] < 0 or active[-1] >= bricks * SAMPLES or (np.diff(active) <= 0).any()):
        raise VoxelError(f"nvf.active does not list samples of {bricks} bricks in ascending order.")
    density = np.zeros((bricks, SIDE, SIDE, SIDE), np.float32)
    normals = np.zeros((bricks, SIDE, SIDE, SIDE, 3), np.float32)
    depth = _tensor(tensors, "nvf.density", np.float16, active.shape)
    density.reshape(-1)[active] = depth.astype(np.float32) / np.float32(voxel_size)
    stored = _tensor(tensors, "nvf.normals", np.int8, (len(active), 3)).astype(np.float32)
    normals.reshape(-1, 3)[active] = stored / np.maximum(np.linalg.norm(stored, axis=-1, keepdims=True), 1.0)
    return Nvf(aabb, voxel_size, top, density, normals, active)


def _tensor(
    tensors: Mapping[str, np.ndarray], name: str, dtype: type, shape: tuple[int | None, ...]
) -> np.ndarray:
    """The tensor if it is what it should be; None in `shape` fits any length."""
    if name not in tensors:
        raise VoxelError(f"The tensor {name} is missing.", "Bake the asset again.")
    tensor = tensors[name]
    fits = len(tensor.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, tensor.shape, strict=True)
    )
    if tensor.dtype != dtype or not fits:
        wanted = " x ".join("?" if side is None else str(side) for side in shape)
        raise VoxelError(
            f"{name} is {tensor.dtype} {list(tensor.shape)}, not {np.dtype(dtype)} {wanted}.",
            "Bake the asset again.",
        )
    if np.issubdtype(tensor.dtype, np.floating) and not np.isfinite(tensor).all():
        raise VoxelError(f"{name} is not finite.", "Bake the asset again.")
    return tensor
