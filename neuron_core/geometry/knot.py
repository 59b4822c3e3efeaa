"""A torus knot: a shape that nothing else here is trained or measured on."""

from pathlib import Path

import numpy as np
from pxr import Gf, Usd, UsdGeom, Vt

PRIM = "/knot"
SIZE = 6.0  # of the knot before it is scaled to about a meter
THICKNESS = 0.62  # radius of its tube, before it is scaled


def torus_knot(around: int = 512, across: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A (2, 3) torus knot about a meter across: points [N, 3] and quads [F, 4]."""
    t = np.linspace(0.0, 2.0 * np.pi, around, endpoint=False)
    ring = 2.0 + np.cos(3.0 * t)
    center = np.stack([ring * np.cos(2.0 * t), ring * np.sin(2.0 * t), np.sin(3.0 * t)], axis=-1)
    along = _unit(np.roll(center, -1, axis=0) - np.roll(center, 1, axis=0))
    out = center - np.array([2.0, 2.0, 0.0]) * center / np.linalg.norm(center[:, :2], axis=-1, keepdims=True)
    side = _unit(np.cross(along, out))
    up = np.cross(side, along)
    angle = np.linspace(0.0, 2.0 * np.pi, across, endpoint=False)
    tube = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    points = ((center[:, None] + THICKNESS * tube) / SIZE).reshape(-1, 3)
    first, second = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    quads = np.stack([(first + a) % around * across + (second + b) % across for a, b in corners], axis=-1)
    return points, quads.reshape(-1, 4)


def write_torus_knot(path: Path) -> None:
    """Write it as a USD mesh."""
    points, quads = torus_knot()
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    mesh = UsdGeom.Mesh.Define(stage, PRIM)
    stage.SetDefaultPrim(mesh.GetPrim())
    mesh.CreatePointsAttr(Vt.Vec3fArray([Gf.Vec3f(*point) for point in points.tolist()]))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray([4] * len(quads)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray(quads.ravel().tolist()))
    stage.Save()


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths)
