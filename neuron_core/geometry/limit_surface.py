"""The limit surface of Catmull-Clark quads: points and normals in closed form.

Letters in shapes: V vertices, C corners, S sectors, as in `refinement`.
"""

from dataclasses import dataclass

import numpy as np

from neuron_core.geometry.refinement import CORNER, CREASE, SMOOTH, Level, sectors, summed, vertex_rules


def limit(mesh: Level) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the limit surface [N,3], triangles [T,3] and unit normals [N,3], a copy for each sector."""
    rules = vertex_rules(mesh.edge_sharpness, mesh.sharpness, mesh.edge_ends)
    points = _limit_points(mesh, rules)
    creased = (mesh.edge_sharpness[mesh.edge] > 0.0) & (rules[mesh.vertex] != SMOOTH)
    sector, place, starts = sectors(mesh, (mesh.twin < 0) | creased)
    normals = _limit_normals(mesh, rules, sector, place, starts)
    corners = np.flatnonzero(~mesh.hole[mesh.face]).reshape(-1, 4)
    quads = sector[corners]
    triangles = quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    return points[mesh.vertex[starts]], triangles, normals


def _limit_points(mesh: Level, rules: np.ndarray) -> np.ndarray:
    count = len(mesh.points)
    near = mesh.points[mesh.vertex[mesh.following]]
    across = mesh.points[mesh.vertex[mesh.following[mesh.following]]]
    n = np.maximum(np.bincount(mesh.vertex, minlength=count), 1)[:, None].astype(float)
    smooth = n * n * mesh.points + summed(4.0 * near + across, mesh.vertex, count)
    smooth /= n * (n + 5.0)
    pairs = mesh.edge_ends[mesh.edge_sharpness > 0.0]
    along = summed(mesh.points[pairs[:, ::-1].ravel()], pairs.ravel(), count)
    creased = (4.0 * mesh.points + along) / 6.0
    rule = rules[:, None]
    return np.where(rule == CORNER, mesh.points, np.where(rule == CREASE, creased, smooth))


def _limit_normals(
    mesh: Level, rules: np.ndarray, sector: np.ndarray, place: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """[S,3] unit normals: closed forms on smooth and crease sectors, the mean of the corners elsewhere."""
    middle = mesh.points[mesh.vertex]
    across = mesh.points[mesh.vertex[mesh.following[mesh.following]]] - middle
    near = mesh.points[mesh.vertex[mesh.following]] - middle
    preceding = mesh.points[mesh.vertex[mesh.preceding]] - middle
    whole = _Ring(sector, place, starts, near, across, preceding)
    rule = rules[mesh.vertex[starts]]
    normals = np.zeros((len(starts), 3))
    for kind, tangents in ((SMOOTH, _smooth_tangents), (CREASE, _crease_tangents)):
        chosen = rule == kind
        if chosen.any():
            normals[chosen] = _crossed(*tangents(whole.only(chosen)))
    left = np.linalg.norm(normals, axis=1) == 0.0
    if left.any():
        ring = whole.only(left)
        corner_normals = _normalized(np.cross(ring.near, ring.preceding))
        normals[left] = _normalized(ring.summed(corner_normals * ring.angles()[:, None]))
    return normals


def _crossed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[S,3] unit; zero where the tangents are parallel or missing."""
    normals = np.cross(first, second)
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-9 * np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.where(usable[:, None], normals, 0.0) / np.where(usable, lengths, 1.0)[:, None]


@dataclass(frozen=True, slots=True)
class _Ring:
    """What surrounds the vertices of quads, per corner and seen from its vertex."""

    sector: np.ndarray  # [C]
    place: np.ndarray  # [C] in its sector
    starts: np.ndarray  # [S] first corner
    near: np.ndarray  # [C,3] along the half-edge
    across: np.ndarray  # [C,3] over the face
    preceding: np.ndarray  # [C,3] along the face's other edge

    @property
    def sizes(self) -> np.ndarray:
        """[S] corners of each sector."""
        return np.bincount(self.sector, minlength=len(self.starts))

    def only(self, chosen: np.ndarray) -> "_Ring":
        """The sectors [S] bool that are chosen, numbered anew."""
        if chosen.all():
            return self
        corners = chosen[self.sector]
        number, position = np.cumsum(chosen) - 1, np.cumsum(corners) - 1
        return _Ring(
            number[self.sector[corners]],
            self.place[corners],
            position[self.starts[chosen]],
            self.near[corners],
            self.across[corners],
            self.preceding[corners],
        )

    def summed(self, values: np.ndarray) -> np.ndarray:
        """[S,3] sums over sectors of [C,3]."""
        return summed(values, self.sector, len(self.starts))

    def angles(self) -> np.ndarray:
        """[C] between the face's two edges at the vertex."""
        sines = np.linalg.norm(np.cross(self.near, self.preceding), axis=1)
        angles: np.ndarray = np.arctan2(sines, np.einsum("cj,cj->c", self.near, self.preceding))
        return angles


def _edge_weights(step: np.ndarray) -> np.ndarray:
    """How much more an edge counts than a face in the tangents of a ring with `step` radians a face."""
    return 1.0 + np.cos(step) + np.cos(step / 2.0) * np.sqrt(2.0 * (9.0 + np.cos(step)))


def _smooth_tangents(ring: _Ring) -> tuple[np.ndarray, np.ndarray]:
    """[S,3] twice: the limit tangents of full circles (left eigenvectors of the subdivision matrix)."""
    steps = 2.0 * np.pi / ring.sizes
    step, weight = steps[ring.sector], _edge_weights(steps)[ring.sector][:, None]
    turn = (step * ring.place)[:, None]
    onward = (step * (ring.place + 1))[:, None]
    cosines = weight * np.cos(turn) * ring.near + (np.cos(turn) + np.cos(onward)) * ring.across
    sines = weight * np.sin(turn) * ring.near + (np.sin(turn) + np.sin(onward)) * ring.across
    return ring.summed(cosines), ring.summed(sines)


def _crease_tangents(ring: _Ring) -> tuple[np.ndarray, np.ndarray]:
    """[S,3] twice: along the crease and into the sector, both left eigenvectors.

    Inside, a sector of k faces behaves like half of a full circle of 2 k. That leaves two equations
    for the weights of the vertex and of the two ends, one for each column of the matrix. A single
    face has a tangent plane of second order, spanned by its two edges.
    """
    sizes = ring.sizes
    first = ring.near[ring.starts]
    is_last = ring.place == sizes[ring.sector] - 1
    last = np.zeros_like(first)
    last[ring.sector[is_last]] = ring.preceding[is_last]
    steps = np.pi / np.maximum(sizes, 2)
    step, weight = steps[ring.sector], _edge_weights(steps)[ring.sector]
    inner = weight * np.sin(step * ring.place)  # weight of the edge: zero for the first one
    faces = np.sin(step * ring.place) + np.sin(step * (ring.place + 1))
    inward = ring.summed(inner[:, None] * ring.near + faces[:, None] * ring.across)
    inner_sum, face_sum = (np.bincount(ring.sector, weights, len(sizes)) for weights in (inner, faces))
    value = (4.0 + _edge_weights(steps)) / 16.0  # eigenvalue
    known = np.sin(steps) / 4.0 + _edge_weights(steps) * np.sin(steps) / 16.0
    pull = face_sum / 4.0 + inner_sum * 3.0 / 8.0
    ends = (known * 8.0 * (value - 0.75) + pull) / ((0.5 - value) * 8.0 * (0.75 - value) - 1.0)
    single = sizes == 1
    ends = np.where(single, 1.0, ends)[:, None]
    return first - last, np.where(single[:, None], 0.0, inward) + ends * (first + last)


def _normalized(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors; vectors of length zero become +Y."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = np.where(lengths > 0.0, vectors, [0.0, 1.0, 0.0]) / np.where(
        lengths > 0.0, lengths, 1.0
    )
    return unit
