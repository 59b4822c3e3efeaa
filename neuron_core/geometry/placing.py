"""Shapes in their own coordinates, and their copies in the world.

Matrices multiply row vectors, as USD's do: `p_world = p_local @ matrix`. Everything is float64.
"""

from dataclasses import dataclass

import numpy as np

from neuron_core.geometry.polygons import are_degenerate, triangle_crosses

SINGULAR = 1e-12  # determinant over the product of the axes' lengths


@dataclass(frozen=True, slots=True)
class Shape:
    """Triangles in a prim's own coordinates."""

    positions: np.ndarray  # [V,3]
    faces: np.ndarray  # [T,3], counter-clockwise seen from outside
    normals: np.ndarray  # [V,3] unit


def placed(shape: Shape, matrices: np.ndarray) -> Shape | None:
    """All copies of a shape under [K,4,4] matrices as one; None where no area is left.

    Mirroring turns the triangles over, so that outside stays outside. A copy that is squashed flat
    gets the normals of its faces.
    """
    axes = matrices[:, :3, :3]
    lengths = np.linalg.norm(axes, axis=2).prod(axis=1)
    determinants = np.linalg.det(axes)
    sound = np.abs(determinants) > SINGULAR * lengths
    copies = [_copies(shape, matrices[sound], determinants[sound] < 0.0)] if sound.any() else []
    copies += [_squashed(shape, matrix) for matrix in matrices[~sound]]
    return _as_one([copy for copy in copies if len(copy.faces)])


def _copies(shape: Shape, matrices: np.ndarray, mirrored: np.ndarray) -> Shape:
    axes = matrices[:, :3, :3]
    positions = shape.positions @ axes + matrices[:, None, 3, :3]
    normals = shape.normals @ np.linalg.inv(axes).transpose(0, 2, 1)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    faces = np.where(mirrored[:, None, None], shape.faces[:, [0, 2, 1]], shape.faces)
    faces = faces + (np.arange(len(matrices)) * len(shape.positions))[:, None, None]
    return Shape(positions.reshape(-1, 3), faces.reshape(-1, 3), normals.reshape(-1, 3))


def _squashed(shape: Shape, matrix: np.ndarray) -> Shape:
    positions = shape.positions @ matrix[:3, :3] + matrix[3, :3]
    faces = shape.faces[~are_degenerate(positions, shape.faces)]
    crosses = triangle_crosses(positions, faces)
    normals = np.repeat(crosses / np.linalg.norm(crosses, axis=1, keepdims=True), 3, axis=0)
    return Shape(positions[faces.ravel()], np.arange(faces.size).reshape(-1, 3), normals)


def _as_one(shapes: list[Shape]) -> Shape | None:
    if len(shapes) < 2:
        return shapes[0] if shapes else None
    offsets = np.cumsum([0] + [len(shape.positions) for shape in shapes])
    return Shape(
        np.concatenate([shape.positions for shape in shapes]),
        np.concatenate([shape.faces + offset for shape, offset in zip(shapes, offsets[:-1], strict=True)]),
        np.concatenate([shape.normals for shape in shapes]),
    )
