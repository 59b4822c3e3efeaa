"""Triangles of an iso-surface on a dense grid, by Warp's marching cubes."""

import numpy as np
import warp as wp
import warp.geometry  # noqa: F401  (not imported by warp itself)


def triangles(values: np.ndarray, level: float, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """Where `values` [X, Y, Z] float32 cross `level`: points [V, 3] float32 in steps of the grid and
    triangles [F, 3] int32, counter-clockwise seen from where values are lower.

    Cells share their points, so that the surface is closed wherever it does not leave the grid.
    """
    field = wp.array(-np.ascontiguousarray(values, np.float32), dtype=wp.float32, device=device)
    points, indices = wp.geometry.IsoSurfaceMarchingCubes.extract(field, -float(level))
    faces = np.ascontiguousarray(indices.numpy().reshape(-1, 3), np.int32)
    return np.ascontiguousarray(points.numpy(), np.float32).reshape(-1, 3), faces
