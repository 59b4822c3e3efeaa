"""What every other part sees of geometry: triangles in meters, Y up, recentered.

Letters in shapes: V vertices, F triangles. Positions and normals are float32, computed in float64.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from neuron_core.foundation.errors import NeuronError


class GeometryError(NeuronError):
    """Geometry that is missing, damaged, empty or too large."""

    kind = "geometry"


@dataclass(frozen=True, slots=True)
class MeshPart:
    """One surface. Vertices are split where normals differ, so a hard edge has its vertices twice."""

    name: str  # prim path or part name
    positions: np.ndarray  # [V,3] float32, meters, Y up, recentered frame
    faces: np.ndarray  # [F,3] int32, counter-clockwise seen from outside
    normals: np.ndarray  # [V,3] float32, unit length
    takes_material: bool  # else neutral gray


@dataclass(frozen=True, slots=True)
class Geometry:
    """The surfaces of one object; the center of its bounding box is the origin."""

    parts: tuple[MeshPart, ...]
    source: str  # "shaderball" or path@/prim
    center: tuple[float, float, float]  # world position (meters, Y up) that became the origin
    notes: tuple[str, ...]  # what was skipped or repaired, for a person

    def aabb(self) -> np.ndarray:
        """[2,3] float32: lower and upper corner of all parts, recentered frame."""
        lower = np.min([part.positions.min(axis=0) for part in self.parts], axis=0)
        upper = np.max([part.positions.max(axis=0) for part in self.parts], axis=0)
        return np.stack([lower, upper]).astype(np.float32)

    def bounding_sphere(self) -> tuple[np.ndarray, float]:
        """Center [3] float64 (that of the bounding box) and the radius that holds every vertex."""
        center = self.aabb().astype(np.float64).mean(axis=0)
        radius = max(float(np.linalg.norm(part.positions - center, axis=1).max()) for part in self.parts)
        return center, radius

    def digest(self) -> str:
        """SHA-256 (hex) of what a picture depends on: arrays, part names, who takes the material."""
        digest = hashlib.sha256()
        for part in self.parts:
            shapes = f"{part.positions.shape}{part.faces.shape}"
            digest.update(f"{part.name}\n{part.takes_material}\n{shapes}\n".encode())
            digest.update(np.ascontiguousarray(part.positions, dtype="<f4").tobytes())
            digest.update(np.ascontiguousarray(part.faces, dtype="<i4").tobytes())
            digest.update(np.ascontiguousarray(part.normals, dtype="<f4").tobytes())
        return digest.hexdigest()


def merge_equal_vertices(
    positions: np.ndarray, faces: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge vertices whose position and normal are equal, drop unused ones and collapsed triangles.

    Takes and returns positions [V,3], faces [F,3] and normals [V,3]. What stays keeps its order.
    """
    rows = np.concatenate([positions, normals], axis=1) + 0.0  # -0.0 becomes 0.0
    faces = _first_equal(rows)[faces]
    a, b, c = faces.T
    used, faces = np.unique(faces[(a != b) & (b != c) & (c != a)], return_inverse=True)
    return rows[used, :3], faces.reshape(-1, 3), rows[used, 3:]


def _first_equal(rows: np.ndarray) -> np.ndarray:
    """[N] index of the first row of [N,6] that equals each row, bit for bit."""
    bits = np.ascontiguousarray(rows, dtype=np.float64).view(np.uint64)
    mixed = np.zeros(len(rows), np.uint64)
    for column in bits.T:
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    _, first, inverse = np.unique(mixed, return_index=True, return_inverse=True)
    firsts = first[inverse]
    if np.array_equal(bits[firsts], bits):
        return firsts
    # Different rows with the same 64 bits: compare the rows themselves, which takes ten times as long.
    _, first, inverse = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]
