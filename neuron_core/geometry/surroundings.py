"""How open, sharp and upright a surface is: what dirt, wear and dust follow.

Measured by short rays from points spread evenly over the surfaces, then kept on a coarse grid
around the object, from which any point near a surface reads. Occlusion is the share of the light
of an even sky that nearby surfaces block; convexity the share of rays into the body that leave it
again at once, zero on a plane; the normal is the mean of what is near. Letters in shapes: N points.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from neuron_core.geometry.mesh import Geometry, MeshPart

CELLS = 72  # of the grid, along the longest side
SAMPLES_PER_CELL = 2.5  # of surface that a cell's face would show
MOST_SAMPLES = 150_000
RAYS = 48  # from each sample, outwards and inwards
REACH = 0.30  # of rays outwards, in longest sides
DEPTH = 0.028  # of rays inwards
CLEARANCE = 1e-4  # of their origins above the surface
SPREAD = 4  # cells around the surfaces that know what the nearest ones are like
KEPT = 4  # geometries


@dataclass(frozen=True, slots=True)
class Surroundings:
    """At N points, float32."""

    occlusion: np.ndarray  # [N] 0 open, 1 closed
    convexity: np.ndarray  # [N] 0 flat or hollow, towards 1 on sharp edges
    normals: np.ndarray  # [N, 3] not longer than 1; zero far from everything

    @staticmethod
    def open_and_flat(count: int) -> "Surroundings":
        """Nothing is near, nothing is sharp, and nothing faces anywhere."""
        zero = np.zeros(count, np.float32)
        return Surroundings(zero, zero, np.zeros((count, 3), np.float32))

    def rows(self, start: int, end: int) -> "Surroundings":
        """Those of points `start` to `end`."""
        return Surroundings(self.occlusion[start:end], self.convexity[start:end], self.normals[start:end])


@dataclass(frozen=True, slots=True)
class SurroundingsGrid:
    """The five figures at the nodes of a grid over the object."""

    low: np.ndarray  # [3], of the first node
    cell: float
    values: np.ndarray  # [X, Y, Z, 5] float32: occlusion, convexity, normal

    def at(self, points: np.ndarray) -> Surroundings:
        """Interpolated between nodes; points outside take those of the border."""
        limits = np.array(self.values.shape[:3]) - 1
        grid = np.clip((points - self.low) / self.cell, 0.0, limits)
        first = np.minimum(grid.astype(np.int64), limits - 1)
        fraction = (grid - first).astype(np.float32)
        found = np.zeros((len(points), self.values.shape[3]), np.float32)
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, fraction, 1.0 - fraction), axis=1)
            x, y, z = (first + corner).T
            found += weight[:, None] * self.values[x, y, z]
        return Surroundings(found[:, 0].copy(), found[:, 1].copy(), found[:, 2:].copy())


_kept: OrderedDict[str, SurroundingsGrid] = OrderedDict()


def surroundings_of(geometry: Geometry) -> SurroundingsGrid:
    """Those of an object, measured once and kept. A function of the geometry alone."""
    digest = geometry.digest()
    if digest not in _kept:
        _kept[digest] = measure(geometry)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return _kept[digest]


def measure(geometry: Geometry) -> SurroundingsGrid:
    """Cast the rays. All surfaces block light; all of them are measured."""
    low, high = geometry.aabb().astype(np.float64)
    side = float((high - low).max())
    cell = side / CELLS
    points, normals = scatter(geometry.parts, cell)
    figures = figures_at(geometry, points, normals)
    shape = tuple(int(n) for n in np.ceil((high - low) / cell - 1e-6).astype(int) + 3)
    origin = low - cell
    sums, weights = _splat((points - origin) / cell, figures, shape)
    return SurroundingsGrid(origin, cell, _spread(sums, weights))


def figures_at(geometry: Geometry, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Occlusion, convexity and normal [N, 5] float32 at points [N, 3] of surfaces with unit normals."""
    from neuron_core.kernels.lighting.occlusion import Soup, cast

    low, high = geometry.aabb().astype(np.float64)
    side = float((high - low).max())
    soup = Soup(*_merged(geometry.parts))
    start = np.float32(CLEARANCE * side)
    outwards = cast(soup, points + start * normals, normals, RAYS, REACH * side)
    inwards = cast(soup, points - start * normals, -normals, RAYS, DEPTH * side, opposed=True)
    return np.concatenate([outwards[:, None], inwards[:, None], normals], axis=1).astype(np.float32)


def near_surface(
    parts: tuple[MeshPart, ...], low: np.ndarray, cell: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Which nodes [X, Y, Z] of a grid an interpolation on a surface can read, and a few more.

    `low` is the first node and `cell` [3] the distance between nodes.
    """
    points, _ = scatter(parts, float(cell.min()) / 2, most=8 * MOST_SAMPLES)
    first = np.floor((points - low) / cell).astype(np.int64)
    mask = np.zeros(shape, bool)
    for corner in np.ndindex(2, 2, 2):
        mask[tuple(np.clip(first + corner, 0, np.array(shape) - 1).T)] = True
    for axis in range(3):
        grown = mask.copy()
        lower, upper = [slice(None)] * 3, [slice(None)] * 3
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        grown[tuple(lower)] |= mask[tuple(upper)]
        grown[tuple(upper)] |= mask[tuple(lower)]
        mask = grown
    return mask


def scatter(
    parts: tuple[MeshPart, ...], spacing: float, most: int = MOST_SAMPLES
) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals [N, 3] float32 spread over surfaces by area, the same ones every time."""
    corners = [part.positions[part.faces].astype(np.float64) for part in parts]
    normals = [part.normals[part.faces].astype(np.float64) for part in parts]
    triangles, turned = np.concatenate(corners), np.concatenate(normals)
    areas = np.linalg.norm(
        np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1
    )
    total = float(areas.sum()) / 2
    count = int(min(most, max(256, math.ceil(SAMPLES_PER_CELL * total / spacing**2))))
    steps = (np.arange(count) + 0.5) / count
    rows = np.searchsorted(np.cumsum(areas) / areas.sum(), steps).clip(0, len(areas) - 1)
    places = _low_discrepancy(count)
    folded = places.sum(axis=1) > 1.0
    places[folded] = 1.0 - places[folded]
    weights = np.stack([1.0 - places.sum(axis=1), places[:, 0], places[:, 1]], axis=1)[..., None]
    points = (triangles[rows] * weights).sum(axis=1)
    directions = (turned[rows] * weights).sum(axis=1)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    return points.astype(np.float32), directions.astype(np.float32)


def _low_discrepancy(count: int) -> np.ndarray:
    """[N, 2] in the unit square (the R2 sequence of Roberts 2018)."""
    ratio = 1.32471795724474602596
    index = np.arange(1, count + 1)[:, None]
    places: np.ndarray = (0.5 + index * np.array([1.0 / ratio, 1.0 / ratio**2])) % 1.0
    return places


def _merged(parts: tuple[MeshPart, ...]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.cumsum([0, *(len(part.positions) for part in parts)])
    faces = [part.faces + start for part, start in zip(parts, starts, strict=False)]
    return np.concatenate([part.positions for part in parts]), np.concatenate(faces).astype(np.int32)


def _splat(grid: np.ndarray, figures: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Sums [X, Y, Z, C] and weights [X, Y, Z] of samples at grid coordinates, shared by eight nodes."""
    first = np.floor(grid).astype(np.int64)
    fraction = grid - first
    size = int(np.prod(shape))
    channels = figures.shape[1]
    sums, weights = np.zeros((size, channels)), np.zeros(size)
    for corner in np.ndindex(2, 2, 2):
        share = np.prod(np.where(corner, fraction, 1.0 - fraction), axis=1)
        nodes = np.ravel_multi_index(tuple((first + corner).T), shape)
        weights += np.bincount(nodes, share, size)
        for channel in range(channels):
            sums[:, channel] += np.bincount(nodes, share * figures[:, channel], size)
    return sums.reshape(*shape, channels), weights.reshape(shape)


def _spread(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means [X, Y, Z, C]; nodes without samples take those of their neighbors, a few cells far."""
    known = weights > 0.05
    values = np.where(known[..., None], sums / np.maximum(weights, 1e-12)[..., None], 0.0)
    for _ in range(SPREAD):
        total, count = _neighbors(values * known[..., None]), _neighbors(known[..., None].astype(float))
        fresh = ~known & (count[..., 0] > 0)
        values = np.where(fresh[..., None], total / np.maximum(count, 1e-12), values)
        known |= fresh
    return values.astype(np.float32)


def _neighbors(values: np.ndarray) -> np.ndarray:
    """Sums over the six neighbors."""
    padded = np.pad(values, ((1, 1), (1, 1), (1, 1), (0, 0)))
    inner = slice(1, -1)
    total: np.ndarray = padded[2:, inner, inner] + padded[:-2, inner, inner]
    total = total + padded[inner, 2:, inner] + padded[inner, :-2, inner]
    return np.asarray(total + padded[inner, inner, 2:] + padded[inner, inner, :-2])
