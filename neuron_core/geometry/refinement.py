"""One step of Catmull-Clark subdivision with boundaries, creases, corners and holes.

The rules are those of USD meshes (OpenSubdiv's "Catmark" with uniform creasing). Letters in shapes:
V vertices, F faces, C corners, E edges, S sectors. A corner is also the half-edge that leaves it. A
sector is a run of corners around one vertex that share one smooth normal; the edges that part
sectors are creases and boundaries.
"""

from dataclasses import dataclass

import numpy as np

from neuron_core.geometry.polygons import faces_of_corners, next_corners

INFINITELY_SHARP = 10.0  # sharpness from here on never decays, as in USD
SMOOTH, CREASE, CORNER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Cage:
    """A control mesh. Faces have three corners or more and never the same point twice in a row."""

    points: np.ndarray  # [V,3] float64
    counts: np.ndarray  # [F] corners of each face
    indices: np.ndarray  # [C] point of each corner
    crease_edges: np.ndarray  # [K,2] int64 points; pairs that are not edges are ignored
    crease_sharpness: np.ndarray  # [K]
    corner_points: np.ndarray  # [J]
    corner_sharpness: np.ndarray  # [J]
    holes: np.ndarray  # [H] faces that shape the surface but are not there
    boundary: str = "edgeAndCorner"  # or "edgeOnly", "none": faces at the boundary are not there


@dataclass(frozen=True, slots=True)
class Level:
    """One level of refinement with its neighborhoods."""

    points: np.ndarray  # [V,3]
    vertex: np.ndarray  # [C]
    face: np.ndarray  # [C]
    following: np.ndarray  # [C] next corner in the face
    preceding: np.ndarray  # [C]
    twin: np.ndarray  # [C] the half-edge back, -1 where the edge has not exactly one
    edge: np.ndarray  # [C] edge of the half-edge
    edge_ends: np.ndarray  # [E,2]
    edge_sharpness: np.ndarray  # [E], inf where the edge bounds the surface or is not manifold
    sharpness: np.ndarray  # [V]
    hole: np.ndarray  # [F] bool


def base_level(cage: Cage) -> Level:
    """The control mesh with its neighborhoods and every rule turned into sharpness."""
    vertex = cage.indices
    sharpness = np.zeros(len(cage.points))
    np.maximum.at(sharpness, cage.corner_points, _finished(cage.corner_sharpness))
    following = next_corners(cage.counts)
    twin, edge, edge_ends = _connect(vertex, following)
    edge_sharpness = _edge_sharpness(cage, edge_ends)
    edge_sharpness[edge[twin < 0]] = np.inf
    face = faces_of_corners(cage.counts)
    hole = np.zeros(len(cage.counts), bool)
    hole[cage.holes] = True
    if cage.boundary == "none":
        touched = np.zeros(len(cage.points), bool)
        touched[edge_ends[edge[twin < 0]].ravel()] = True
        hole[face[touched[vertex]]] = True
    elif cage.boundary == "edgeAndCorner":
        sharpness[np.bincount(vertex, minlength=len(sharpness)) == 1] = np.inf
    preceding = np.empty_like(following)
    preceding[following] = np.arange(len(following))
    mesh = Level(
        cage.points,
        vertex,
        face,
        following,
        preceding,
        twin,
        edge,
        edge_ends,
        edge_sharpness,
        sharpness,
        hole,
    )
    sharpness[_pinched(mesh)] = np.inf
    return mesh


def _finished(sharpness: np.ndarray) -> np.ndarray:
    return np.where(sharpness >= INFINITELY_SHARP, np.inf, np.maximum(sharpness, 0.0))


def _connect(vertex: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """twin [C], edge [C], edge_ends [E,2]."""
    start, end = vertex, vertex[following]
    many = int(vertex.max()) + 1
    keys = np.minimum(start, end).astype(np.int64) * many + np.maximum(start, end)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(first, len(ordered)))
    edge = np.empty(len(keys), np.int64)
    edge[order] = np.repeat(np.arange(len(first)), sizes)
    edge_ends = np.stack([ordered[first] // many, ordered[first] % many], axis=1)
    twin = np.full(len(keys), -1)
    pair = first[sizes == 2]
    one, other = order[pair], order[pair + 1]
    opposed = (start[one] == end[other]) & (start[one] != end[one])
    one, other = one[opposed], other[opposed]
    twin[one], twin[other] = other, one
    return twin, edge, edge_ends


def _edge_sharpness(cage: Cage, edge_ends: np.ndarray) -> np.ndarray:
    sharpness = np.zeros(len(edge_ends))
    if len(cage.crease_edges):
        many = int(max(edge_ends.max(), cage.crease_edges.max())) + 1
        keys = edge_ends[:, 0] * many + edge_ends[:, 1]  # sorted: edges are made in this order
        wanted = cage.crease_edges.min(axis=1) * many + cage.crease_edges.max(axis=1)
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = keys[place] == wanted
        np.maximum.at(sharpness, place[found], _finished(cage.crease_sharpness)[found])
    return sharpness


def _pinched(mesh: Level) -> np.ndarray:
    """[?] vertices where more than one fan of faces meets."""
    _, _, starts = sectors(mesh, mesh.twin < 0)
    fans = np.bincount(mesh.vertex[starts], minlength=len(mesh.points))
    return np.flatnonzero(fans > 1)


# --- one step of refinement ---


def refined(mesh: Level) -> Level:
    """The next level: every face becomes one quad per corner, creases lose one unit of sharpness."""
    corners, faces, edges, vertices = len(mesh.vertex), len(mesh.hole), len(mesh.edge_ends), len(mesh.points)
    face_points = summed(mesh.points[mesh.vertex], mesh.face, faces)
    face_points /= np.bincount(mesh.face, minlength=faces)[:, None]
    edge_points = _edge_points(mesh, face_points)
    child_edge_sharpness, child_sharpness = _decayed(mesh.edge_sharpness), _decayed(mesh.sharpness)
    vertex_points = _vertex_points(mesh, face_points, child_edge_sharpness, child_sharpness)
    quads = np.stack(
        [
            mesh.vertex,
            vertices + mesh.edge,
            vertices + edges + mesh.face,
            vertices + mesh.edge[mesh.preceding],
        ],
        axis=1,
    )
    none = np.zeros(corners)
    half_edge_sharpness = np.stack(
        [child_edge_sharpness[mesh.edge], none, none, child_edge_sharpness[mesh.edge[mesh.preceding]]], axis=1
    )
    corner = np.arange(4 * corners).reshape(-1, 4)
    following, preceding = np.roll(corner, -1, axis=1).ravel(), np.roll(corner, 1, axis=1).ravel()
    vertex = quads.ravel()
    twin, edge, edge_ends = _connect(vertex, following)
    edge_sharpness = np.zeros(len(edge_ends))
    edge_sharpness[edge] = half_edge_sharpness.ravel()
    return Level(
        np.concatenate([vertex_points, edge_points, face_points]),
        vertex,
        np.repeat(np.arange(corners), 4),
        following,
        preceding,
        twin,
        edge,
        edge_ends,
        edge_sharpness,
        np.concatenate([child_sharpness, np.zeros(edges + faces)]),
        mesh.hole[mesh.face],
    )


def _decayed(sharpness: np.ndarray) -> np.ndarray:
    return np.maximum(sharpness - 1.0, 0.0)  # infinity stays infinite


def summed(values: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """[count,3] sums of `values` [N,3] by group."""
    columns = [np.bincount(groups, weights=values[:, axis], minlength=count) for axis in range(3)]
    return np.stack(columns, axis=1)


def _edge_points(mesh: Level, face_points: np.ndarray) -> np.ndarray:
    middles = mesh.points[mesh.edge_ends].mean(axis=1)
    around = summed(face_points[mesh.face], mesh.edge, len(mesh.edge_ends)) / 2.0
    share = np.clip(mesh.edge_sharpness, 0.0, 1.0)[:, None]
    blended: np.ndarray = np.where(
        share == 1.0, middles, share * middles + (1.0 - share) * (middles + around) / 2.0
    )
    return blended


def vertex_rules(edge_sharpness: np.ndarray, sharpness: np.ndarray, edge_ends: np.ndarray) -> np.ndarray:
    """[V] SMOOTH (darts too), CREASE or CORNER."""
    sharp_edges = np.bincount(edge_ends[edge_sharpness > 0.0].ravel(), minlength=len(sharpness))
    rules = np.where(sharp_edges == 2, CREASE, np.where(sharp_edges > 2, CORNER, SMOOTH))
    return np.where(sharpness > 0.0, CORNER, rules)


def _vertex_points(
    mesh: Level, face_points: np.ndarray, child_edge_sharpness: np.ndarray, child_sharpness: np.ndarray
) -> np.ndarray:
    smooth = _smooth_points(mesh, face_points)
    before = vertex_rules(mesh.edge_sharpness, mesh.sharpness, mesh.edge_ends)
    after = vertex_rules(child_edge_sharpness, child_sharpness, mesh.edge_ends)
    points = _by_rule(mesh, before, mesh.edge_sharpness, smooth)
    changing = before != after
    if changing.any():
        share = _transition(mesh, child_edge_sharpness, child_sharpness)[:, None]
        softer = _by_rule(mesh, after, child_edge_sharpness, smooth)
        points = np.where(changing[:, None], share * points + (1.0 - share) * softer, points)
    return points


def _smooth_points(mesh: Level, face_points: np.ndarray) -> np.ndarray:
    count = len(mesh.points)
    ends, others = mesh.edge_ends.ravel(), mesh.edge_ends[:, ::-1].ravel()
    valence = np.maximum(np.bincount(ends, minlength=count), 1)[:, None].astype(float)
    neighbors = summed(mesh.points[others], ends, count)
    around = summed(face_points[mesh.face], mesh.vertex, count)
    smooth: np.ndarray = (valence - 2.0) / valence * mesh.points + (neighbors + around) / (valence * valence)
    return smooth


def _by_rule(mesh: Level, rules: np.ndarray, edge_sharpness: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    pairs = mesh.edge_ends[edge_sharpness > 0.0]
    ends, others = pairs.ravel(), pairs[:, ::-1].ravel()
    creased = (6.0 * mesh.points + summed(mesh.points[others], ends, len(mesh.points))) / 8.0
    rule = rules[:, None]
    return np.where(rule == CORNER, mesh.points, np.where(rule == CREASE, creased, smooth))


def _transition(mesh: Level, child_edge_sharpness: np.ndarray, child_sharpness: np.ndarray) -> np.ndarray:
    """[V] how much of the sharper rule is left where sharpness runs out: the mean of what ran out."""
    count = len(mesh.points)
    ending = (mesh.edge_sharpness > 0.0) & (child_edge_sharpness == 0.0)
    ends = mesh.edge_ends[ending]
    ended = np.repeat(mesh.edge_sharpness[ending], 2)
    total = np.bincount(ends.ravel(), weights=ended, minlength=count).astype(np.float64)
    number = np.bincount(ends.ravel(), minlength=count)
    vertex_ends = (mesh.sharpness > 0.0) & (child_sharpness == 0.0)
    total[vertex_ends] += mesh.sharpness[vertex_ends]
    number[vertex_ends] += 1
    return np.minimum(total / np.maximum(number, 1), 1.0)


# --- sectors ---


def sectors(mesh: Level, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walk counter-clockwise around every vertex from one half-edge that parts ([C] bool) to the next.

    Returns the sector of each corner [C], the corner's place in it [C] and the first corners [S].
    """
    sector = np.full(len(mesh.vertex), -1)
    place = np.zeros(len(mesh.vertex), np.int64)
    starts = np.flatnonzero(parts)
    all_starts = [starts]
    _walk(mesh, parts, starts, 0, sector, place)
    total = len(starts)
    while len(rest := np.flatnonzero(sector < 0)):
        _, first = np.unique(mesh.vertex[rest], return_index=True)
        starts = rest[first]  # full circles have no start: any corner
        _walk(mesh, parts, starts, total, sector, place)
        all_starts.append(starts)
        total += len(starts)
    return sector, place, np.concatenate(all_starts)


def _walk(
    mesh: Level, parts: np.ndarray, starts: np.ndarray, offset: int, sector: np.ndarray, place: np.ndarray
) -> None:
    current = starts
    label = np.arange(offset, offset + len(starts))
    step = 0
    while len(current):
        sector[current], place[current] = label, step
        incoming = mesh.preceding[current]
        onward = mesh.twin[incoming]
        going = (onward >= 0) & ~parts[np.maximum(onward, 0)]
        going[going] = sector[onward[going]] < 0
        current, label = onward[going], label[going]
        step += 1
