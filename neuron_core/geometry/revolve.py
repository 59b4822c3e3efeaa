"""Closed surfaces with exact normals: profiles turned around the Y axis, and grids of points.

A profile is a chain of smooth segments in the (radius, height) plane, walked so that the outside is
on the left. Where two segments meet at an angle their vertices stay apart and the edge is hard.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuron_core.geometry.mesh import merge_equal_vertices
from neuron_core.geometry.polygons import are_degenerate

Grid = tuple[np.ndarray, np.ndarray]  # points and normals, both [rows, columns, 3]; columns go around


@dataclass(frozen=True, slots=True)
class Segment:
    """A smooth piece of a profile: points and unit normals, both [N,2] as (radius, height)."""

    points: np.ndarray
    normals: np.ndarray


def arc(
    center: tuple[float, float], radius: float, angles: tuple[float, float], side: float, steps: int
) -> Segment:
    """Angles in radians from +radius towards +height; `side` is 1 where normals leave the center, else -1."""
    turn = np.linspace(angles[0], angles[1], max(1, steps) + 1)
    directions = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    directions[np.abs(directions) < 1e-12] = 0.0
    return Segment(np.array(center) + radius * directions, side * directions)


def line(start: Sequence[float] | np.ndarray, end: Sequence[float] | np.ndarray) -> Segment:
    """Straight from `start` to `end`, which differ."""
    points = np.array([start, end], dtype=np.float64)
    along = (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
    normal = np.array([-along[1], along[0]])
    return Segment(points, np.stack([normal, normal]))


def revolve(profile: Sequence[Segment], columns: int) -> list[Grid]:
    """One grid per segment. Ends of neighbors agree bit for bit, also around a closed profile."""
    turn = 2.0 * np.pi * np.arange(columns) / columns
    around = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    closed = np.allclose(profile[-1].points[-1], profile[0].points[0])
    end = profile[-1].points[-1] if closed else None
    grids = []
    for segment in profile:
        points = segment.points.copy()
        points[0] = points[0] if end is None else end
        points[np.abs(points) < 1e-15] = 0.0
        end = points[-1]
        grids.append((_turned(points, around), _turned(segment.normals, around)))
    return grids


def _turned(profile: np.ndarray, around: np.ndarray) -> np.ndarray:
    radius, height = profile[:, :1], np.broadcast_to(profile[:, 1:], (len(profile), len(around)))
    return np.stack([radius * around[:, 0], height, radius * around[:, 1]], axis=2)


def joined(grids: Sequence[Grid]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions [V,3], triangles [T,3] and normals [V,3] of grids whose columns close around."""
    positions = np.concatenate([points.reshape(-1, 3) for points, _ in grids])
    normals = np.concatenate([directions.reshape(-1, 3) for _, directions in grids])
    offsets = np.cumsum([0] + [points[..., 0].size for points, _ in grids])
    faces = [
        _grid_faces(*points.shape[:2]) + offset
        for (points, _), offset in zip(grids, offsets[:-1], strict=True)
    ]
    triangles = np.concatenate(faces)
    return merge_equal_vertices(positions, triangles[~are_degenerate(positions, triangles)], normals)


def _grid_faces(rows: int, columns: int) -> np.ndarray:
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    a, b = row * columns + column, row * columns + (column + 1) % columns
    c, d = a + columns, b + columns
    return np.stack([a, c, b, b, c, d], axis=-1).reshape(-1, 3)
