"""What holds for every good mesh, as functions of positions [V,3], faces [T,3] and normals [V,3]."""

import numpy as np


def welded(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces by position: vertices at the same place become one."""
    _, inverse = np.unique(np.asarray(positions), axis=0, return_inverse=True)
    return inverse.reshape(-1)[faces]


def is_watertight(positions: np.ndarray, faces: np.ndarray) -> bool:
    """Every edge is walked once in each direction."""
    triangles = welded(positions, faces)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    many = int(triangles.max()) + 1
    forth, back = edges @ [many, 1], edges @ [1, many]
    return len(np.unique(forth)) == len(forth) and np.array_equal(np.sort(forth), np.sort(back))


def volume(positions: np.ndarray, faces: np.ndarray) -> float:
    """By the divergence theorem; positive where faces turn counter-clockwise seen from outside."""
    a, b, c = np.moveaxis(positions.astype(np.float64)[faces], 1, 0)
    return float(np.einsum("tj,tj->", a, np.cross(b, c)) / 6.0)


def area(positions: np.ndarray, faces: np.ndarray) -> float:
    return float(np.linalg.norm(area_vectors(positions, faces), axis=1).sum())


def area_vectors(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = np.moveaxis(positions.astype(np.float64)[faces], 1, 0)
    return np.cross(b - a, c - a) / 2.0


def least_agreement(positions: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> float:
    """The smallest cosine between a face and the normals of its vertices."""
    units = area_vectors(positions, faces)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    return float(np.einsum("tj,tkj->tk", units, normals.astype(np.float64)[faces]).min())


def sorted_rows(*arrays: np.ndarray) -> np.ndarray:
    """Rows of arrays side by side, in an order that does not depend on theirs."""
    rows = np.round(np.concatenate(arrays, axis=1).astype(np.float64), 5) + 0.0
    return rows[np.lexsort(rows.T)]
