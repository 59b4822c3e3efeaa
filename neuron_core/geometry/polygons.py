"""Polygons to triangles, without losing area, holes at T-junctions or the order of corners.

Letters in shapes: V points, F faces, C corners (all faces' corners one after the other), T triangles.
A mesh is (points [V,3] float64, counts [F], indices [C]); triangles are rows of three corners, so
that whatever belongs to corners, faces or points can follow them.
"""

import numpy as np

MOST_CORNERS_TO_CLIP = 10_000  # a face with more is fanned; ear clipping is quadratic
NEEDLE = 1e-12  # height over longest side, below which a triangle is nothing


def starts_of(counts: np.ndarray) -> np.ndarray:
    """[F] first corner of each face."""
    starts: np.ndarray = np.cumsum(counts) - counts
    return starts


def faces_of_corners(counts: np.ndarray) -> np.ndarray:
    """[C] face of each corner."""
    return np.repeat(np.arange(len(counts)), counts)


def next_corners(counts: np.ndarray) -> np.ndarray:
    """[C] the following corner in the same face. No face may be empty."""
    following = np.arange(int(counts.sum())) + 1
    starts = starts_of(counts)
    following[starts + counts - 1] = starts
    return following


def without_repeats(counts: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which faces [F] and corners [C] (bool) stay when a point repeats the one before it in its face.

    Faces that are left with fewer than three corners go whole.
    """
    kept = indices != indices[next_corners(counts[counts > 0])]
    face = faces_of_corners(counts)
    faces = np.bincount(face[kept], minlength=len(counts)) >= 3
    return faces, kept & faces[face]


def area_vectors(points: np.ndarray, counts: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """[F,3] normal times area of each face (Newell), counter-clockwise positive."""
    starts = starts_of(counts)
    corners = points[indices]
    arms = (
        corners - corners[np.repeat(starts, counts)]
    )  # from the face's first corner: exact far from the origin
    doubled = np.cross(arms, arms[next_corners(counts)])
    return np.add.reduceat(doubled, starts, axis=0) / 2.0


def triangle_crosses(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[T,3] doubled area vectors of triangles given as rows of point indices."""
    first = points[triangles[:, 0]]
    return np.cross(points[triangles[:, 1]] - first, points[triangles[:, 2]] - first)


def are_degenerate(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[T] which triangles have no area to speak of (needles and points)."""
    sides = points[triangles] - points[np.roll(triangles, 1, axis=1)]
    longest = np.einsum("tij,tij->ti", sides, sides).max(axis=1)
    doubled = np.linalg.norm(triangle_crosses(points, triangles), axis=1)
    flat: np.ndarray = doubled <= NEEDLE * longest
    return flat


def triangulate(points: np.ndarray, counts: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """[T,3] corners, in the order of the faces and with their orientation; n - 2 for a face of n.

    Faces need three corners. Concave faces are clipped ear by ear; the signed area of a planar
    face is kept exactly. A face that crosses itself gives triangles, but which is undefined.
    """
    starts = starts_of(counts)
    normals = area_vectors(points, counts, indices)
    pieces, owners = [], []
    for count in np.unique(counts):
        faces = np.flatnonzero(counts == count)
        corners = starts[faces, None] + np.arange(count)
        local = _split_equal_faces(points[indices[corners]], normals[faces])
        pieces.append(np.take_along_axis(corners[:, None], local, axis=2).reshape(-1, 3))
        owners.append(np.repeat(faces, count - 2))
    if not pieces:
        return np.zeros((0, 3), np.int64)
    return np.concatenate(pieces)[np.argsort(np.concatenate(owners), kind="stable")]


def _split_equal_faces(corners: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """[F, n-2, 3] positions in 0..n-1 for faces [F,n,3] that all have n corners."""
    faces, count = corners.shape[:2]
    fan = np.stack([np.zeros(count - 2, int), np.arange(1, count - 1), np.arange(2, count)], axis=1)
    local = np.broadcast_to(fan, (faces, count - 2, 3)).copy()
    if count == 3:
        return local
    turns = _turns(corners, normals)
    if count == 4:
        other = (
            np.minimum(turns[:, 0], turns[:, 2]) > np.minimum(turns[:, 1], turns[:, 3]) * (1 + 1e-9) + 1e-300
        )
        local[other] = [[1, 2, 3], [1, 3, 0]]
        return local
    if count <= MOST_CORNERS_TO_CLIP:
        for face in np.flatnonzero(~_strictly_convex(corners, turns)):
            local[face] = clip_ears(_flattened(corners[face], normals[face]))
    return local


def _turns(corners: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """[F,n] doubled area of each corner with its neighbors, seen along the normal; negative is reflex."""
    outgoing = np.roll(corners, -1, axis=1) - corners
    incoming = corners - np.roll(corners, 1, axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    units = normals / np.where(lengths > 0.0, lengths, 1.0)
    turns: np.ndarray = np.einsum("fnj,fj->fn", np.cross(incoming, outgoing), units)
    return turns


def _strictly_convex(corners: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """[F]: every corner turns left, and all of them together once around."""
    outgoing = np.roll(corners, -1, axis=1) - corners
    incoming = corners - np.roll(corners, 1, axis=1)
    scale = np.linalg.norm(outgoing, axis=2) * np.linalg.norm(incoming, axis=2)
    angles = np.arctan2(turns, np.einsum("fnj,fnj->fn", incoming, outgoing))
    convex: np.ndarray = (turns > 1e-9 * scale).all(axis=1) & (angles.sum(axis=1) < 3.0 * np.pi)
    return convex


def _flattened(corners: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """[n,2] seen along the normal, counter-clockwise; a face without area is seen along its shortest axis."""
    if not np.any(normal):
        normal = np.eye(3)[np.argmin(np.ptp(corners, axis=0))]
    helper = np.eye(3)[np.argmin(np.abs(normal))]
    across = np.cross(helper, normal)
    across /= np.linalg.norm(across)
    upward = np.cross(normal, across) / np.linalg.norm(normal)
    arms = corners - corners[0]
    return np.stack([arms @ across, arms @ upward], axis=1)


def clip_ears(polygon: np.ndarray) -> np.ndarray:
    """[n-2,3] positions of the triangles of a counter-clockwise polygon [n,2], shortest cuts first.

    Always n - 2 rows: where a polygon crosses itself and no ear is left, the smallest corner goes.
    """
    left = np.arange(len(polygon))
    triangles = []
    while len(left) > 3:
        ear = _find_ear(polygon[left])
        triangles.append([left[ear - 1], left[ear], left[(ear + 1) % len(left)]])
        left = np.delete(left, ear)
    triangles.append(list(left))
    return np.array(triangles)


def _find_ear(polygon: np.ndarray) -> int:
    before, after = np.roll(polygon, 1, axis=0), np.roll(polygon, -1, axis=0)
    turns = _cross(polygon - before, after - polygon)
    cuts = after - before
    order = np.argsort(np.einsum("nj,nj->n", cuts, cuts), kind="stable")
    floor = 1e-12 * np.abs(turns).max()
    others = polygon[turns <= floor]  # only reflex and straight corners can lie in an ear
    for ear in order[turns[order] > floor]:
        if not _any_inside(others, before[ear], polygon[ear], after[ear], floor):
            return int(ear)
    return int(np.argmin(np.abs(turns)))


def _any_inside(points: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, floor: float) -> bool:
    """Whether a point lies in the closed triangle; copies of its corners do not count."""
    inside = np.ones(len(points), bool)
    for start, end in ((a, b), (b, c), (c, a)):
        inside &= _cross(end - start, points - start) >= -floor
    for corner in (a, b, c):
        inside &= np.any(points != corner, axis=1)
    return bool(inside.any())


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    crossed: np.ndarray = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return crossed
