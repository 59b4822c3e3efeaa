"""Meshes that are known in closed form."""

from itertools import product

import numpy as np

from neuron_core.surfaces.mesh import Mesh


def box(size: tuple[float, float, float] = (1.0, 1.0, 1.0), low: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Mesh:
    """Twelve triangles, counter-clockwise from outside."""
    points = np.array(list(product((0.0, 1.0), repeat=3))) * size + low
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    return Mesh(points.astype(np.float32), np.array(faces, np.int32))


def joined(*meshes: Mesh) -> Mesh:
    """Several as one."""
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes[:-1])])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]
    return Mesh(np.concatenate([mesh.points for mesh in meshes]), np.concatenate(faces).astype(np.int32))


def flipped(mesh: Mesh) -> Mesh:
    """Inside out."""
    return Mesh(mesh.points, np.ascontiguousarray(mesh.faces[:, ::-1]))


def sheet(rows: int, columns: int, size: tuple[float, float] = (1.0, 1.0)) -> Mesh:
    """A rectangle in the plane z = 0 that faces +Z, of equal squares cut in two."""
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    points = np.stack([u.ravel() * size[0], v.ravel() * size[1], np.zeros(u.size)], axis=1)
    first = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    right, above = first + 1, first + columns + 1
    faces = np.concatenate(
        [np.stack([first, right, above + 1], axis=1), np.stack([first, above + 1, above], axis=1)]
    )
    return Mesh(points.astype(np.float32), faces.astype(np.int32))


def fine_box(cuts: int) -> Mesh:
    """The unit box with every side cut into that many squares along each edge."""
    flat = sheet(cuts, cuts)
    u, v = flat.points[:, 0], flat.points[:, 1]
    low, high = np.zeros_like(u), np.ones_like(u)
    sides = [(u, v, high), (v, u, low), (high, u, v), (low, v, u), (v, high, u), (u, low, v)]
    points = np.concatenate([np.stack(side, axis=1) for side in sides])
    faces = np.concatenate([flat.faces + number * len(flat.points) for number in range(6)])
    shared, numbers = np.unique(points.round(6), axis=0, return_inverse=True)
    return Mesh(shared.astype(np.float32), numbers.reshape(-1)[faces].astype(np.int32))


def disk(radius: float, corners: int) -> Mesh:
    """A disk in the plane z = 0 around the origin that faces +Z, as a fan."""
    angles = np.arange(corners) * 2 * np.pi / corners
    rim = radius * np.stack([np.cos(angles), np.sin(angles), np.zeros(corners)], axis=1)
    numbers = np.arange(corners)
    faces = np.stack([np.zeros(corners), 1 + numbers, 1 + (numbers + 1) % corners], axis=1)
    return Mesh(np.concatenate([np.zeros((1, 3)), rim]).astype(np.float32), faces.astype(np.int32))
