"""A baked field as points on its surface."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from neuron_core.kernels.baked.layout import CELLS
from neuron_core.surfaces.mesh import Mesh, SurfaceError
from neuron_core.surfaces.sampling import SurfaceSampler
from neuron_core.voxels.nvf import Nvf

SHARE = 0.999  # of the density: points outside the densest voxels that hold it are left out
CROWDED = 4  # candidates for each point
COVERING = 1.5  # width of a point, in distances between points
ROW = 1 << 21


@dataclass(frozen=True, slots=True)
class PointCloud:
    """N points; linear Rec. 709, meters."""

    positions: np.ndarray  # [N, 3] float32
    normals: np.ndarray  # [N, 3] float32, unit
    colors: np.ndarray  # [N, 3] float32, the mean over directions
    widths: np.ndarray  # [N] float32, diameters

    def __len__(self) -> int:
        return len(self.positions)


def points_on(mesh: Mesh, nvf: Nvf, sampler: SurfaceSampler, count: int, seed: int = 0) -> PointCloud:
    """At most `count` points, evenly on what can be seen of the mesh, moved onto the field's surface.

    Raises SurfaceError if none is left.
    """
    positions, normals = _candidates(mesh, CROWDED * count, np.random.default_rng(seed))
    spacing, rows = _thinned(positions, count)
    seen = sampler.sample(positions[rows], normals[rows])
    kept = seen.found & in_dense(nvf, seen.points)
    if not kept.any():
        raise SurfaceError("The field shows no surface to place points on.", "Look at it: neuron render")
    widths = np.full(int(kept.sum()), COVERING * spacing, np.float32)
    return PointCloud(seen.points[kept], seen.normals[kept], seen.colors[kept], widths)


def _candidates(mesh: Mesh, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places [count, 3] float32 spread by area, and the normals there."""
    areas = np.linalg.norm(mesh.face_normals(), axis=1)
    ladder = np.cumsum(areas)
    steps = (np.arange(count) + random.random(count)) / count * ladder[-1]
    faces = np.minimum(np.searchsorted(ladder, steps), len(areas) - 1)
    u, v = random.random((2, count))
    folded = u + v > 1
    u, v = np.where(folded, 1 - u, u), np.where(folded, 1 - v, v)
    weights = np.stack([1 - u - v, u, v], axis=1)
    corners = mesh.faces[faces]
    places = np.einsum("nk,nkc->nc", weights, mesh.points[corners])
    normals = np.einsum("nk,nkc->nc", weights, mesh.normals()[corners])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return places.astype(np.float32), normals.astype(np.float32)


def _thinned(positions: np.ndarray, count: int) -> tuple[float, np.ndarray]:
    """The side of a grid with at most `count` cells that hold a point, and the first point of each."""
    high = float(np.ptp(positions, axis=0).max()) + 1e-6
    low = 2 * high / ROW
    rows = np.zeros(1, np.int64)
    for _ in range(18):
        middle = float(np.sqrt(low * high))
        found = np.unique(_keys(positions, middle), return_index=True)[1]
        if len(found) > count:
            low = middle
        else:
            high, rows = middle, found
    return high, np.sort(rows)


def _keys(positions: np.ndarray, side: float) -> np.ndarray:
    cells = np.floor((positions - positions.min(axis=0)) / side).astype(np.int64).clip(0, ROW - 1)
    return np.asarray((cells[:, 0] * ROW + cells[:, 1]) * ROW + cells[:, 2])


def in_dense(nvf: Nvf, points: np.ndarray) -> np.ndarray:
    """Which points [N, 3] lie in the fewest voxels that hold `SHARE` of the density, [N] bool."""
    mass = np.zeros((len(nvf.density), CELLS, CELLS, CELLS), np.float64)
    for i, j, k in product((0, 1), repeat=3):
        mass += np.maximum(nvf.density[:, i : i + CELLS, j : j + CELLS, k : k + CELLS], 0.0)
    flat = mass.reshape(-1)
    order = np.argsort(flat, kind="stable")
    faint = np.cumsum(flat[order]) <= (1 - SHARE) * flat.sum()
    dense = np.zeros(len(flat), bool)
    dense[order[~faint]] = True
    cells = np.floor((points - nvf.aabb[0]) / nvf.voxel_size).astype(np.int64)
    bricks, steps = np.divmod(cells, CELLS)
    inside = ((bricks >= 0) & (bricks < nvf.top.shape)).all(axis=1)
    brick = nvf.top[tuple(np.where(inside[:, None], bricks, 0).T)]
    place = (steps[:, 0] * CELLS + steps[:, 1]) * CELLS + steps[:, 2]
    found = inside & (brick >= 0)
    return np.asarray(found & dense[np.where(found, brick, 0) * CELLS**3 + place])
