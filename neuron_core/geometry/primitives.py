"""The shapes that USD describes by a few numbers, as triangles with exact normals.

All return positions [V,3], triangles [T,3] and normals [V,3] in float64, centered as USD centers
them, along the axis "X", "Y" or "Z". Sizes are positive and finite.
"""

from math import asin, pi

import numpy as np

from neuron_core.geometry.revolve import Segment, arc, joined, line, revolve

Triangles = tuple[np.ndarray, np.ndarray, np.ndarray]
AROUND = 128  # columns of round shapes


def cube(size: float) -> Triangles:
    """Edges of length `size`, six flat sides."""
    square = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]]) * (size / 2.0)
    return _flat([square @ turn for turn in _six_turns()])


def _six_turns() -> list[np.ndarray]:
    cycles = [np.eye(3), np.roll(np.eye(3), 1, axis=1), np.roll(np.eye(3), 2, axis=1)]
    half_turn = np.diag([1.0, -1.0, -1.0])
    return cycles + [half_turn @ cycle for cycle in cycles]


def _flat(quads: list[np.ndarray]) -> Triangles:
    positions = np.concatenate(quads)
    normals = np.cross(positions[1::4] - positions[::4], positions[2::4] - positions[::4])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    first = 4 * np.arange(len(quads))[:, None, None]
    triangles = (first + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    return positions, triangles, np.repeat(normals, 4, axis=0)


def plane(width: float, length: float, axis: str) -> Triangles:
    """One rectangle facing `axis`. `width` lies along X (along Z for axis X), `length` along the other."""
    sides = {"Z": ([1, 0, 0], [0, 1, 0]), "Y": ([1, 0, 0], [0, 0, -1]), "X": ([0, 0, -1], [0, 1, 0])}
    across, upward = (np.array(side, dtype=np.float64) for side in sides[axis])
    across, upward = across * width / 2.0, upward * length / 2.0
    return _flat([np.stack([-across - upward, across - upward, across + upward, upward - across])])


def sphere(radius: float) -> Triangles:
    """Around the origin."""
    return _along("Y", [arc((0.0, 0.0), radius, (pi / 2, -pi / 2), 1.0, AROUND // 2)])


def frustum(height: float, radius_bottom: float, radius_top: float, axis: str) -> Triangles:
    """A closed cylinder, or a cone where one radius is zero; the bottom is at -height / 2."""
    top, bottom = height / 2.0, -height / 2.0
    corners = [(0.0, top), (radius_top, top), (radius_bottom, bottom), (0.0, bottom)]
    steps = zip(corners[:-1], corners[1:], strict=True)
    return _along(axis, [line(start, end) for start, end in steps if start != end])


def capsule(height: float, radius_bottom: float, radius_top: float, axis: str) -> Triangles:
    """Two balls, `height` apart, and the cone that touches both; one ball where it holds the other."""
    top, bottom = (0.0, height / 2.0), (0.0, -height / 2.0)
    if abs(radius_bottom - radius_top) >= height:
        center, radius = (top, radius_top) if radius_top > radius_bottom else (bottom, radius_bottom)
        return _along(axis, [arc(center, radius, (pi / 2, -pi / 2), 1.0, AROUND // 2)])
    lean = asin((radius_bottom - radius_top) / height)
    upper = arc(top, radius_top, (pi / 2, lean), 1.0, AROUND // 4)
    lower = arc(bottom, radius_bottom, (lean, -pi / 2), 1.0, AROUND // 4)
    return _along(axis, [upper, line(upper.points[-1], lower.points[0]), lower])


def _along(axis: str, profile: list[Segment]) -> Triangles:
    positions, triangles, normals = joined(revolve(profile, AROUND))
    cycle = {"X": [1, 2, 0], "Y": [0, 1, 2], "Z": [2, 0, 1]}[axis]  # cyclic: nothing is mirrored
    return positions[:, cycle], triangles, normals[:, cycle]
