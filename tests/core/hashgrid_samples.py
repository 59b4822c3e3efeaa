"""Hash grids with points and tables, and the encoding once more: a corner at a time, in double precision."""

import numpy as np

from neuron_core.kernels.training import hashgrid
from neuron_core.kernels.training.hashgrid import PRIME_Y, PRIME_Z, HashGridSpec

MIXED = HashGridSpec(levels=4, features=2, table_size_log2=10, base_resolution=4, finest_resolution=50)
WIDE = HashGridSpec(levels=3, features=4, table_size_log2=9, base_resolution=3, finest_resolution=21)
DENSE = HashGridSpec(levels=1, features=2, table_size_log2=12, base_resolution=8, finest_resolution=8)
SPECS = [MIXED, WIDE, DENSE]
BORDERS = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0.5], [0.25, 1, 0], [0, 1, 1]], np.float32)


def some_points(count: int, seed: int = 0) -> np.ndarray:
    """Points [count, 3] in the unit cube; the first five lie on its border."""
    random = np.random.default_rng(seed).random((count - len(BORDERS), 3), dtype=np.float32)
    return np.concatenate([BORDERS, random])


def some_tables(spec: HashGridSpec, seed: int = 1) -> np.ndarray:
    """Tables [L, T, F] of normally distributed features."""
    return np.random.default_rng(seed).standard_normal(spec.table_shape).astype(np.float32)


def some_gradients(spec: HashGridSpec, count: int, seed: int = 2) -> np.ndarray:
    """Gradients [count, L * F] with respect to features."""
    return np.random.default_rng(seed).standard_normal((count, spec.width)).astype(np.float32)


def encoded(spec: HashGridSpec, points: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """The features [N, L * F] of points."""
    out = np.full((len(points), spec.width), np.nan, np.float32)
    hashgrid.encode(spec, points, tables, out)
    return out


def table_gradients(spec: HashGridSpec, points: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The gradients [L, T, F] with respect to tables, given those of the features."""
    result = np.zeros(spec.table_shape, np.float32)
    hashgrid.encode_backward(spec, points, gradients, result)
    return result


def point_gradients(
    spec: HashGridSpec, points: np.ndarray, tables: np.ndarray, gradients: np.ndarray
) -> np.ndarray:
    """The gradients [N, 3] with respect to points, given those of the features."""
    result = np.full((len(points), 3), np.nan, np.float32)
    hashgrid.encode_point_gradient(spec, points, tables, gradients, result)
    return result


def rows_of(spec: HashGridSpec, resolution: int, corners: np.ndarray) -> np.ndarray:
    """The rows [N] of corners [N, 3] in their level's table, as the paper has it."""
    x, y, z = np.asarray(corners, np.int64).T
    side = resolution + 1
    if side**3 <= spec.table_size:
        return x + side * (y + side * z)
    return (x ^ (y * PRIME_Y) ^ (z * PRIME_Z)) % spec.table_size


def slow_encode(spec: HashGridSpec, points: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """One corner at a time, in double precision."""
    out = np.zeros((len(points), spec.levels, spec.features))
    for level, resolution in enumerate(spec.resolutions):
        places = points.astype(np.float64) * resolution
        cells = np.clip(places.astype(int), 0, resolution - 1)
        for corner in np.ndindex(2, 2, 2):
            weights = np.prod(np.where(corner, places - cells, 1 - (places - cells)), axis=-1)
            out[:, level] += weights[:, None] * tables[level, rows_of(spec, resolution, cells + corner)]
    return out.reshape(len(points), -1)


def lattice(resolution: int) -> np.ndarray:
    """The corners [(resolution + 1) ** 3, 3] of all cells in whole numbers, x fastest."""
    z, y, x = np.indices((resolution + 1,) * 3).reshape(3, -1)
    return np.stack([x, y, z], axis=-1)
