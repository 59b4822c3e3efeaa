"""What a NanoVDB grid in memory holds, read from its leaves as the format lays them out."""

import numpy as np

LEAVES = 672  # of the grid: where the tree says how far it is to its first leaf
LEAF_COUNT = 704


def leaves_of(grid: np.ndarray, channels: int) -> np.recarray:
    """The leaves of a grid of floats, or of vectors of `channels` floats."""
    scalar = np.dtype("<f4") if channels == 1 else np.dtype(("<f4", channels))
    fields = [
        ("first", "<i4", 3),  # voxel of the box around the active ones
        ("box_and_flags", "u1", 4),
        ("active", "u1", 64),  # a bit for each voxel
        ("least", scalar),
        ("greatest", scalar),
        ("mean_and_deviation", "<f4", 2),
    ]
    head = np.dtype(fields).itemsize
    fields.append(("padding", "u1", -head % 32))
    leaf = np.dtype([*fields, ("values", scalar, 512)])
    first = LEAVES + int(grid[LEAVES : LEAVES + 8].view("<i8")[0])
    count = int(grid[LEAF_COUNT : LEAF_COUNT + 4].view("<u4")[0])
    return grid[first : first + count * leaf.itemsize].view(leaf).view(np.recarray)


def corners_of(leaves: np.recarray) -> np.ndarray:
    """The first voxels [L, 3] of leaves, active or not."""
    return np.asarray(leaves.first) & ~7


def values_at(grid: np.ndarray, voxels: np.ndarray, channels: int = 1) -> np.ndarray:
    """What a grid [bytes] uint8 holds at `voxels` [V, 3]: [V] or [V, channels] float32.

    Outside of its leaves that is 0.
    """
    leaves = leaves_of(grid, channels)
    numbers = {tuple(corner): number for number, corner in enumerate(corners_of(leaves).tolist())}
    owners = np.array([numbers.get(tuple(corner), -1) for corner in (voxels & ~7).tolist()], np.int64)
    places = (voxels & 7) @ (64, 8, 1)
    found = leaves.values[owners, places]
    found[owners < 0] = 0
    return found
