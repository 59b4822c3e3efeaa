"""Ordinary surfaces of a stage as triangles of one color.

Meshes are read at the time of the snapshot; Catmull-Clark surfaces on their limit, as far as a
budget of triangles allows. Simple solids (cubes, spheres, ...) are read at their earliest time.
"""

from dataclasses import dataclass, replace

import numpy as np
from pxr import Sdf, Usd, UsdGeom, UsdShade

from neuron_core.geometry import polygons
from neuron_core.geometry.mesh import GeometryError
from neuron_core.geometry.notes import Notes
from neuron_core.geometry.refinement import Cage
from neuron_core.geometry.subdivision import lowest_level, subdivide
from neuron_core.geometry.usd_shapes import read_shape

MOST_TRIANGLES = 50_000  # of one subdivided mesh
FINEST = 3  # levels of subdivision
GRAY = (0.18, 0.18, 0.18)  # where nothing says a color

Color = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Triangles in the prim's own space."""

    positions: np.ndarray  # [V,3] float64, read-only
    faces: np.ndarray  # [F,3] int32, read-only
    color: Color


def read_surface(prim: Usd.Prim, when: Usd.TimeCode) -> Surface | None:
    """The surface of a mesh or solid; None where nothing has an area. Raises GeometryError."""
    try:
        return _surface(prim, when)
    except (TypeError, ValueError) as error:  # nothing keeps a file from attributes of other types
        raise GeometryError(
            f"{prim.GetPath()} has attributes of types that do not belong there: {error}.", "Export it again."
        ) from error


def _surface(prim: Usd.Prim, when: Usd.TimeCode) -> Surface | None:
    shape = read_shape(prim, Notes())  # checks the topology
    if shape is None:
        return None
    if isinstance(shape, Cage):
        positions, faces = _subdivided(replace(shape, points=_points(prim, when, len(shape.points))))
    elif prim.IsA(UsdGeom.Mesh) and UsdGeom.Mesh(prim).GetPointsAttr().ValueMightBeTimeVarying():
        positions, faces = _polygons(prim, when)
    else:
        positions, faces = shape.positions, shape.faces
    if not np.isfinite(positions).all():
        raise GeometryError(f"{prim.GetPath()} has points that are not finite.", "Export it again.")
    return Surface(_frozen(positions, np.float64), _frozen(faces, np.int32), color_of(prim, when))


def _points(prim: Usd.Prim, when: Usd.TimeCode, count: int) -> np.ndarray:
    points = np.asarray(UsdGeom.Mesh(prim).GetPointsAttr().Get(when), np.float64).reshape(-1, 3)
    if len(points) != count:
        raise GeometryError(
            f"{prim.GetPath()} has {len(points)} points at {when}, its faces were made for {count}.",
            "Meshes may move, but their faces must stay the same.",
        )
    return points


def _subdivided(cage: Cage) -> tuple[np.ndarray, np.ndarray]:
    level = lowest_level(cage)
    while level < FINEST and 2 * len(cage.indices) * 4**level <= MOST_TRIANGLES:
        level += 1
    positions, faces, _ = subdivide(cage, level)
    return positions, faces


def _polygons(prim: Usd.Prim, when: Usd.TimeCode) -> tuple[np.ndarray, np.ndarray]:
    mesh = UsdGeom.Mesh(prim)
    counts = np.asarray(mesh.GetFaceVertexCountsAttr().Get(when), np.int64)
    indices = np.asarray(mesh.GetFaceVertexIndicesAttr().Get(when), np.int64)
    points = np.asarray(mesh.GetPointsAttr().Get(when), np.float64).reshape(-1, 3)
    if int(counts.sum()) != len(indices) or (
        len(indices) and not 0 <= indices.min() <= indices.max() < len(points)
    ):
        raise GeometryError(
            f"{prim.GetPath()} has faces that do not fit its points at {when}.", "Export it again."
        )
    usable = counts >= 3
    corners = np.repeat(usable, counts)
    counts, indices = counts[usable], indices[corners]
    faces = indices[polygons.triangulate(points, counts, indices)]
    turned = mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded
    return points, faces[:, ::-1] if turned else faces


def color_of(prim: Usd.Prim, when: Usd.TimeCode) -> Color:
    """The base color of the bound preview surface, else displayColor, else a middle gray.

    Of colors that vary over the surface the mean is taken; of a textured one, displayColor.
    """
    return _material_color(prim, when) or _display_color(prim, when) or GRAY


def _material_color(prim: Usd.Prim, when: Usd.TimeCode) -> Color | None:
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
    if not material:
        return None
    surface, _, _ = material.ComputeSurfaceSource()
    if not surface or surface.GetIdAttr().Get() != "UsdPreviewSurface":
        return None
    entry = surface.GetInput("diffuseColor")
    if not entry:
        return GRAY  # what the preview surface falls back to
    attributes = entry.GetValueProducingAttributes()
    if (
        len(attributes) != 1
        or UsdShade.Utils.GetType(attributes[0].GetName()) == UsdShade.AttributeType.Output
    ):
        return None
    return _mean([attributes[0].Get(when)])


def _display_color(prim: Usd.Prim, when: Usd.TimeCode) -> Color | None:
    primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance("displayColor")
    if not primvar or not primvar.HasValue():
        return None
    return _mean(primvar.Get(when))


def _mean(values: object) -> Color | None:
    try:
        colors = np.asarray(values, np.float64).reshape(-1, 3)
    except (TypeError, ValueError):  # nothing keeps a file from other types
        return None
    if not len(colors) or not np.isfinite(colors).all():
        return None
    red, green, blue = (float(value) for value in colors.mean(axis=0).clip(0.0))
    return red, green, blue


def _frozen(array: np.ndarray, dtype: type) -> np.ndarray:
    copy: np.ndarray = np.array(array, dtype)
    copy.setflags(write=False)
    return copy


def surface_key(prim: Usd.Prim) -> Sdf.Path:
    """Equal for copies of one native instance, so that they are read once."""
    return (prim.GetPrimInPrototype() if prim.IsInstanceProxy() else prim).GetPath()
