"""Read meshes and points from USD, with what they show: the textures and colors that Neuron writes."""

from dataclasses import dataclass

import numpy as np
from pxr import Ar, Sdf, Usd, UsdGeom, UsdShade

from neuron_core.images.pictures import decode_bytes
from neuron_core.surfaces.mesh import Mesh, SurfaceError
from neuron_core.surfaces.points import PointCloud

GRAY = 0.18


@dataclass(frozen=True, slots=True)
class ShownMesh:
    """A mesh with the color that its material emits, or else that of its vertices."""

    mesh: Mesh
    colors: np.ndarray  # [V, 3] float32 linear
    uvs: np.ndarray | None  # [F, 3, 2] float32
    texture: np.ndarray | None  # [H, W, 3] uint8 sRGB


def read_mesh(prim: UsdGeom.Mesh) -> ShownMesh:
    """Triangles in the world of the stage. Raises SurfaceError for other faces or broken arrays."""
    where = str(prim.GetPath())
    points = np.array(prim.GetPointsAttr().Get() or [], np.float64).reshape(-1, 3)
    counts = np.array(prim.GetFaceVertexCountsAttr().Get() or [], np.int64)
    faces = np.array(prim.GetFaceVertexIndicesAttr().Get() or [], np.int32)
    if not len(counts) or (counts != 3).any() or len(faces) != 3 * len(counts):
        raise SurfaceError(f"{where} is not a mesh of triangles.", "Triangulate it.")
    if faces.min() < 0 or faces.max() >= len(points) or not np.isfinite(points).all():
        raise SurfaceError(f"{where} has faces without points, or points that are not finite.")
    moved = _in_world(prim, points)
    colors = _colors(prim, len(points))
    texture, uvs = _texture(prim), _uvs(prim, len(counts))
    if texture is None or uvs is None:
        texture = uvs = None
    return ShownMesh(Mesh(moved, faces.reshape(-1, 3)), colors, uvs, texture)


def read_points(prim: UsdGeom.Points) -> PointCloud:
    """Points in the world of the stage. Raises SurfaceError where arrays differ in length."""
    positions = np.array(prim.GetPointsAttr().Get() or [], np.float64).reshape(-1, 3)
    widths = np.array(prim.GetWidthsAttr().Get() or [], np.float32)
    normals = np.array(prim.GetNormalsAttr().Get() or [], np.float32).reshape(-1, 3)
    if not len(positions) or len(widths) != len(positions) or len(normals) != len(positions):
        raise SurfaceError(f"{prim.GetPath()} has points without widths or normals.", "Export them again.")
    colors = _colors(prim, len(positions))
    return PointCloud(_in_world(prim, positions), normals, colors, widths)


def _in_world(prim: UsdGeom.Imageable, points: np.ndarray) -> np.ndarray:
    matrix = np.array(prim.ComputeLocalToWorldTransform(Usd.TimeCode.Default()))
    return (points @ matrix[:3, :3] + matrix[3, :3]).astype(np.float32)


def _colors(prim: UsdGeom.Gprim, count: int) -> np.ndarray:
    found = np.array(prim.GetDisplayColorAttr().Get() or [], np.float32).reshape(-1, 3)
    if len(found) == count:
        return found
    return np.full((count, 3), GRAY, np.float32) if len(found) != 1 else np.repeat(found, count, axis=0)


def _uvs(prim: UsdGeom.Mesh, faces: int) -> np.ndarray | None:
    primvars = UsdGeom.PrimvarsAPI(prim)
    found = primvars.GetPrimvar("st").ComputeFlattened() if primvars.HasPrimvar("st") else None
    if found is None or len(found) != 3 * faces:
        return None
    return np.array(found, np.float32).reshape(-1, 3, 2)


def _texture(prim: UsdGeom.Mesh) -> np.ndarray | None:
    """The picture that drives the emission of the bound `UsdPreviewSurface`."""
    material = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0]
    surface = material.ComputeSurfaceSource()[0] if material else None
    emission = surface.GetInput("emissiveColor") if surface else None
    if not emission or not emission.HasConnectedSource():
        return None
    texture = UsdShade.Shader(emission.GetConnectedSources()[0][0].source.GetPrim())
    file = texture.GetInput("file").Get() if texture.GetInput("file") else None
    if not isinstance(file, Sdf.AssetPath) or not file.resolvedPath:
        return None
    asset = Ar.GetResolver().OpenAsset(Ar.ResolvedPath(file.resolvedPath))
    return decode_bytes(bytes(asset.GetBuffer()), file.path)[..., :3] if asset else None
