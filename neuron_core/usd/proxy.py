"""Stand-ins for a baked field: its box, and closed low meshes around its density. Numpy only.

The mesh is a constrained elastic surface net (Gibson 1998, "Constrained Elastic Surface Nets"): a
coarse grid is laid over the box of the density, every free cell beside an occupied one gets a
vertex, and the vertices relax without leaving their cells. A face joins the vertices of four cells
around one edge of the grid and stays inside their box, which holds no occupied cell; so the mesh
contains every occupied cell whole, however far it is smoothed.

Letters in shapes: B bricks, V active samples, C fine cells with density. Meters, asset space.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from neuron_core.kernels.baked.layout import CELLS, SAMPLES, SIDE
from neuron_core.usd.records import SceneError

KEPT = 0.9995  # share of the density that a proxy is made around; what is fainter are floaters
RELAXATIONS = 12
STEP = 0.6  # of the way to the mean of the neighbors, each time


@dataclass(frozen=True, slots=True, eq=False)
class Fog:
    """Where a field has density: C voxels as boxes, with the mass in each."""

    low: np.ndarray  # [C, 3] int64 place in the grid of all voxels
    mass: np.ndarray  # [C] density times volume, > 0
    origin: np.ndarray  # [3] float64
    voxel_size: float

    def box(self) -> np.ndarray:
        """The smallest box of voxels around it, [2, 3]."""
        return self.origin + np.stack([self.low.min(axis=0), self.low.max(axis=0) + 1]) * self.voxel_size

    def dense(self, share: float = KEPT) -> "Fog":
        """Without the faintest voxels, which hold less than `1 - share` of the mass together."""
        order = np.argsort(self.mass, kind="stable")
        faint = np.cumsum(self.mass[order]) <= (1.0 - share) * self.mass.sum()
        kept = np.sort(order[~faint])
        return Fog(self.low[kept], self.mass[kept], self.origin, self.voxel_size)


@dataclass(frozen=True, slots=True, eq=False)
class Net:
    """A closed mesh of quadrilaterals, counter-clockwise from outside."""

    points: np.ndarray  # [V, 3] float64
    quads: np.ndarray  # [Q, 4] int64


def fog_of(tensors: Mapping[str, np.ndarray]) -> Fog:
    """The density of a `.neuron` file's tensors. Raises SceneError if there is none."""
    top, voxel = tensors["nvf.top"], float(tensors["nvf.voxel_size"][0])
    places = np.argwhere(top >= 0)
    places = places[np.argsort(top[tuple(places.T)])]  # [B, 3]
    flat = np.zeros(len(places) * SAMPLES)
    flat[tensors["nvf.active"].astype(np.int64)] = tensors["nvf.density"].astype(np.float64) / voxel
    samples = np.maximum(flat, 0.0).reshape(-1, SIDE, SIDE, SIDE)
    mean = np.zeros((len(places), CELLS, CELLS, CELLS))
    for i, j, k in product((0, 1), repeat=3):
        mean += samples[:, i : i + CELLS, j : j + CELLS, k : k + CELLS] / 8
    brick, *cell = np.nonzero(mean)
    if not len(brick):
        raise SceneError("The field has no density.", "Bake the asset again.")
    low = places[brick] * CELLS + np.stack(cell, axis=1)
    mass = mean[brick, cell[0], cell[1], cell[2]] * voxel**3
    return Fog(low, mass, tensors["nvf.aabb"][0].astype(np.float64), voxel)


def surround(fog: Fog, resolution: int) -> Net:
    """A mesh around all of `fog` and within its box, `resolution` cells along the longest side."""
    low, high = fog.box()
    counts = np.maximum(np.ceil((high - low) / (high - low).max() * resolution - 1e-9), 1).astype(np.int64)
    size = (high - low) / counts
    occupied = np.zeros(tuple(counts + 2), bool)  # free cells all around
    for cell in _overlapped(fog, low, size, counts):
        occupied[tuple((cell + 1).T)] = True
    return _net(_filled(occupied), low - size, size, np.stack([low, high]))


def box_net(box: np.ndarray) -> Net:
    """A box [2, 3] as a mesh."""
    points = np.array([[box[i, 0], box[j, 1], box[k, 2]] for i, j, k in product((0, 1), repeat=3)])
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    return Net(points, np.array(quads))


def _overlapped(fog: Fog, low: np.ndarray, size: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    """The coarse cells [C, 3] that voxels touch with their lower and upper ends, all combinations.

    Coarse cells may be smaller than voxels: then those between are listed too.
    """
    start = fog.origin + fog.low * fog.voxel_size - low
    slack = 1e-6 * size  # ends that only meet a cell's face do not touch it
    first = np.floor((start + slack) / size).astype(np.int64).clip(0, counts - 1)
    last = np.floor((start + fog.voxel_size - slack) / size).astype(np.int64).clip(0, counts - 1)
    most = (last - first).max(axis=0)
    steps = product(*(range(int(reach) + 1) for reach in most))
    return [np.minimum(first + np.array(step), last) for step in steps]


def _filled(occupied: np.ndarray) -> np.ndarray:
    """With the hollows that cannot be reached from outside through faces of cells."""
    reached = np.zeros_like(occupied)
    reached[0, 0, 0] = True
    count = 0
    while count != (count := int(reached.sum())):
        for axis in range(3):
            for step in (slice(None), slice(None, None, -1)):
                _spread(np.moveaxis(reached, axis, 0)[step], np.moveaxis(occupied, axis, 0)[step])
    filled: np.ndarray = ~reached
    return filled


def _spread(reached: np.ndarray, occupied: np.ndarray) -> None:
    """Carry what is reached along the first axis until something is in the way, in place."""
    for layer in range(1, len(reached)):
        reached[layer] |= reached[layer - 1] & ~occupied[layer]


def _net(occupied: np.ndarray, origin: np.ndarray, size: np.ndarray, box: np.ndarray) -> Net:
    """The relaxed surface net around the occupied cells of a padded grid."""
    inside = _corners_beside(occupied)  # [X+1, Y+1, Z+1]
    numbers, free = _vertices(inside)
    quads = np.concatenate([_faces(inside, numbers, axis) for axis in range(3)])
    low = np.clip(origin + free * size, box[0], box[1])
    high = np.clip(origin + (free + 1) * size, box[0], box[1])
    return Net(_relaxed((low + high) / 2, low, high, quads), quads)


def _corners_beside(occupied: np.ndarray) -> np.ndarray:
    """Which lattice corners belong to an occupied cell."""
    inside = np.zeros(tuple(side + 1 for side in occupied.shape), bool)
    for i, j, k in product((0, 1), repeat=3):
        x, y, z = occupied.shape
        inside[i : i + x, j : j + y, k : k + z] |= occupied
    return inside


def _vertices(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each cell's vertex (-1: none), and the cells that have one [V, 3]."""
    x, y, z = (side - 1 for side in inside.shape)
    corners = [inside[i : i + x, j : j + y, k : k + z] for i, j, k in product((0, 1), repeat=3)]
    mixed = np.any(corners, axis=0) & ~np.all(corners, axis=0)
    numbers = np.full(mixed.shape, -1, np.int64)
    numbers[mixed] = np.arange(mixed.sum())
    return numbers, np.argwhere(mixed)


def _faces(inside: np.ndarray, numbers: np.ndarray, axis: int) -> np.ndarray:
    """A face [Q, 4] across each lattice edge along `axis` that leaves the inside or enters it."""
    here, there = (np.take(inside, range(s, inside.shape[axis] - 1 + s), axis) for s in (0, 1))
    edges = np.argwhere(here != there)
    leaves = here[tuple(edges.T)]
    u, v = np.eye(3, dtype=np.int64)[[(axis + 1) % 3, (axis + 2) % 3]]
    around = [edges - u - v, edges - v, edges, edges - u]
    quads = np.stack([numbers[tuple(cell.T)] for cell in around], axis=1)
    return np.where(leaves[:, None], quads, quads[:, ::-1])


def _relaxed(points: np.ndarray, low: np.ndarray, high: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Points drawn towards the mean of their neighbors, each within its own cell."""
    start, end = quads.ravel(), np.roll(quads, 1, axis=1).ravel()
    pairs = np.unique(np.concatenate([start * len(points) + end, end * len(points) + start]))
    ends = np.stack([pairs // len(points), pairs % len(points)], axis=1)
    degree = np.bincount(ends[:, 0], minlength=len(points))[:, None]
    for _ in range(RELAXATIONS):
        total = np.stack(
            [np.bincount(ends[:, 0], points[ends[:, 1], axis], len(points)) for axis in range(3)], axis=1
        )
        points = np.clip(points + STEP * (total / degree - points), low, high)
    return points
