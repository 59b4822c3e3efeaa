"""A baked field's surface as triangles.

Letters in shapes: V vertices, F triangles. Lengths are meters in the space of the asset, Y up;
triangles are counter-clockwise seen from outside.
"""

from dataclasses import dataclass

import numpy as np

from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import NeuronError
from neuron_core.kernels.baked.layout import CELLS, SIDE
from neuron_core.kernels.grids.isosurface import triangles
from neuron_core.voxels.nvf import Nvf, brick_coordinates

LEVEL = float(np.log(2.0))  # optical depth per voxel at the surface: half of the light of one voxel
MOST_SAMPLES = 1 << 28
PACES = (5, 4, 3)  # of decimation, fast ones first; they differ in where they pinch
SMALLEST_PART = 2e-4  # of the largest part's area; what is smaller is dust that floats
INSIDE, UNKNOWN, OUTSIDE = 1, 0, -1


class SurfaceError(NeuronError):
    """A surface that cannot be made or written."""

    kind = "surface"


@dataclass(frozen=True, slots=True)
class Mesh:
    """A triangle mesh. Vertices are shared by all triangles that meet in them."""

    points: np.ndarray  # [V, 3] float32
    faces: np.ndarray  # [F, 3] int32

    def corners(self) -> np.ndarray:
        """[F, 3, 3] float64: triangle, corner, coordinate."""
        return self.points.astype(np.float64)[self.faces]

    def face_normals(self) -> np.ndarray:
        """[F, 3] float64, as long as twice the triangle's area."""
        a, b, c = self.corners().transpose(1, 0, 2)
        return np.cross(b - a, c - a)

    def normals(self) -> np.ndarray:
        """Of the vertices, [V, 3] float32: unit means of their triangles, weighted by area."""
        total = np.zeros((len(self.points), 3))
        each = self.face_normals()
        for corner in range(3):
            for axis in range(3):
                total[:, axis] += np.bincount(self.faces[:, corner], each[:, axis], len(self.points))
        lengths = np.linalg.norm(total, axis=1, keepdims=True)
        return np.where(lengths > 1e-20, total / np.maximum(lengths, 1e-20), [0.0, 1.0, 0.0]).astype(
            np.float32
        )

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges [E, 2], the lower vertex first, and how many triangles have each [E]."""
        a, b, c = self.faces.T.astype(np.int64)
        pairs = np.sort(np.stack([np.r_[a, b, c], np.r_[b, c, a]], axis=1), axis=1)
        keys, counts = np.unique(pairs[:, 0] * len(self.points) + pairs[:, 1], return_counts=True)
        return np.stack(np.divmod(keys, len(self.points)), axis=1), counts

    def is_watertight(self) -> bool:
        """Whether every edge joins exactly two triangles."""
        return bool(len(self.faces)) and bool((self.edges()[1] == 2).all())

    def volume(self) -> float:
        """What it encloses, in cubic meters; negative if it is inside out."""
        a, b, c = self.corners().transpose(1, 0, 2)
        return float(np.einsum("ni,ni->", a, np.cross(b, c)) / 6)


def surface_of(nvf: Nvf, device: str = "cpu") -> Mesh:
    """The outer surface, without hollows that nobody can look into and without dust.

    Raises SurfaceError for a field without a surface, or a grid that is too large for one.
    """
    values = filled_grid(nvf) * np.float32(nvf.voxel_size)
    interrupts.stop_if_requested()
    points, faces = triangles(values, LEVEL, device)
    if not len(faces):
        raise SurfaceError("The field has no surface.", "Look at it: neuron render")
    places = nvf.aabb[0] + (points.astype(np.float64) - 1.0) * nvf.voxel_size
    whole = Mesh(places.astype(np.float32), faces)
    return _outer_parts(whole)


def filled_grid(nvf: Nvf) -> np.ndarray:
    """Densities at all samples of the box and one more around it, [8X + 3, 8Y + 3, 8Z + 3] float32.

    Outside they are negative or 0. Where the field knows an inside, because it stores a ramp that is
    negative outside and 0 behind a thin shell, the inside is filled.
    """
    sides = [CELLS * side + 3 for side in nvf.top.shape]
    if int(np.prod(sides)) > MOST_SAMPLES:
        raise SurfaceError(
            f"A surface of {' x '.join(map(str, sides))} samples is too large.",
            f"Bake the asset with at most {int(MOST_SAMPLES ** (1 / 3))} voxels along each side.",
        )
    known = np.zeros(nvf.density.shape, bool)
    known.reshape(-1)[nvf.active] = True
    grid, seen = np.zeros(sides, np.float32), np.zeros(sides, bool)
    for (x, y, z), brick, here in zip(
        (brick_coordinates(nvf.top) * CELLS + 1).tolist(), nvf.density, known, strict=True
    ):
        part = (slice(x, x + SIDE), slice(y, y + SIDE), slice(z, z + SIDE))
        grid[part] = np.where(here, brick, grid[part])
        seen[part] |= here
    signed = bool((nvf.density.reshape(-1)[nvf.active] < 0).any())
    return _with_inside(grid, seen) if signed else np.maximum(grid, 0.0)


def _with_inside(grid: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Fill samples that the field does not store with the side that is nearest."""
    labels = np.zeros(grid.shape, np.int8)
    labels[seen & (grid >= 0)] = INSIDE
    labels[seen & (grid < 0)] = OUTSIDE
    for axis in range(3):
        border = np.moveaxis(labels, axis, 0)
        border[0] = border[-1] = OUTSIDE
    _spread(labels)
    steepest = np.float32(max(float(grid.max()), -float(grid.min())))
    result = np.where(seen & (grid != 0), grid, labels * steepest)
    return np.asarray(result, np.float32)


def _spread(labels: np.ndarray) -> None:
    """Give every unknown sample the label of the nearest known one along the lattice, in place."""
    flat = labels.reshape(-1)
    steps = [stride // labels.itemsize * sign for stride in labels.strides for sign in (-1, 1)]
    fronts = {side: np.flatnonzero(flat == side) for side in (OUTSIDE, INSIDE)}
    while any(len(front) for front in fronts.values()):
        interrupts.stop_if_requested()
        for side, front in fronts.items():
            reached = []
            for step in steps:  # borders are known, so that no step leaves its row
                places = np.clip(front + step, 0, len(flat) - 1)
                places = places[flat[places] == UNKNOWN]
                flat[places] = side
                reached.append(places)
            fronts[side] = np.unique(np.concatenate(reached))


def _outer_parts(mesh: Mesh) -> Mesh:
    """Without parts that enclose nothing from outside (hollows are inside out), and without dust."""
    part_of = parts(mesh)[mesh.faces[:, 0]]
    a, b, c = mesh.corners().transpose(1, 0, 2)
    volumes = np.bincount(part_of, np.einsum("ni,ni->n", a, np.cross(b, c)) / 6)
    areas = np.bincount(part_of, np.linalg.norm(mesh.face_normals(), axis=1) / 2)
    kept = (volumes > 0) & (areas > SMALLEST_PART * areas.max())
    if not kept.any():
        kept = areas == areas.max()
    return _used(mesh.points, mesh.faces[kept[part_of]])


def parts(mesh: Mesh) -> np.ndarray:
    """Which connected part each vertex belongs to, [V] from 0."""
    edges, _ = mesh.edges()
    labels = np.arange(len(mesh.points))
    while True:
        found = labels.copy()
        np.minimum.at(found, edges[:, 0], labels[edges[:, 1]])
        np.minimum.at(found, edges[:, 1], labels[edges[:, 0]])
        found = np.minimum(found, found[found])
        if np.array_equal(found, labels):
            return np.unique(labels, return_inverse=True)[1].reshape(-1)
        labels = found


def _used(points: np.ndarray, faces: np.ndarray) -> Mesh:
    """Without vertices that no triangle has."""
    used, renumbered = np.unique(faces, return_inverse=True)
    return Mesh(points[used], renumbered.reshape(-1, 3).astype(np.int32))


def decimated(mesh: Mesh, wanted: int) -> Mesh:
    """About that many triangles by collapsing edges (quadric error, Garland and Heckbert 1997).

    The shape of the mesh can keep it from getting so low. A watertight mesh stays one wherever one
    of the paces does not pinch it.
    """
    if wanted >= len(mesh.faces):
        return mesh
    import fast_simplification

    closed, found = mesh.is_watertight(), mesh
    for pace in PACES:
        interrupts.stop_if_requested()
        points, faces = fast_simplification.simplify(
            np.ascontiguousarray(mesh.points),
            np.ascontiguousarray(mesh.faces),
            target_count=wanted,
            agg=pace,
        )
        fresh = _used(points.astype(np.float32), faces.astype(np.int32))
        if fresh.is_watertight() or not closed:
            return fresh
        if found is mesh or len(fresh.faces) < len(found.faces):
            found = fresh
    return found
