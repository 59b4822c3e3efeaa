"""One USD prim to a shape in its own coordinates: triangles, or a cage that is still to be subdivided.

Everything is float64. Attributes are read at the earliest time code: the default value where
nothing is animated.
"""

from dataclasses import dataclass

import numpy as np
from pxr import Usd, UsdGeom

from neuron_core.geometry import polygons, primitives
from neuron_core.geometry.mesh import GeometryError, merge_equal_vertices
from neuron_core.geometry.notes import Notes
from neuron_core.geometry.placing import Shape
from neuron_core.geometry.refinement import Cage

EARLIEST = Usd.TimeCode.EarliestTime()
MOST_CORNERS = 30_000_000  # of one mesh
PRIMITIVES = {
    "Cube": ["size"],
    "Sphere": ["radius"],
    "Plane": ["width", "length"],
    "Cone": ["height", "radius"],
    "Cylinder": ["height", "radius"],
    "Cylinder_1": ["height", "radiusBottom", "radiusTop"],
    "Capsule": ["height", "radius"],
    "Capsule_1": ["height", "radiusBottom", "radiusTop"],
}


@dataclass(frozen=True, slots=True)
class _Polygons:
    """A mesh whose faces are counter-clockwise and have three or more corners, none repeated."""

    path: str
    points: np.ndarray  # [V,3]
    counts: np.ndarray  # [F]
    indices: np.ndarray  # [C]
    faces: np.ndarray  # [F] authored face
    corners: np.ndarray  # [C] authored corner
    authored: tuple[int, int, int]  # how many points, faces and corners were authored


def read_shape(prim: Usd.Prim, notes: Notes) -> Shape | Cage | None:
    """The shape of a mesh or primitive; None, and a note, if there is nothing to draw.

    Raises GeometryError, with the prim's path, for indices, counts or numbers that cannot be.
    """
    if prim.IsA(UsdGeom.Mesh):
        return _read_mesh(UsdGeom.Mesh(prim), notes)
    if prim.GetTypeName() in PRIMITIVES:
        return _read_primitive(prim, notes)
    notes.add(
        f"Skipped {prim.GetTypeName()} prims, only meshes and simple solids are read", str(prim.GetPath())
    )
    return None


# --- meshes ---


def _read_mesh(mesh: UsdGeom.Mesh, notes: Notes) -> Shape | Cage | None:
    faces = _read_polygons(mesh, notes)
    if faces is None:
        return None
    path = faces.path
    if mesh.GetPointsAttr().ValueMightBeTimeVarying():
        notes.add("Animated points were read at their earliest time", path)
    if mesh.GetPrim().HasAttribute("primvars:skel:jointIndices"):
        notes.add("Skinning is not applied, this is the rest shape", path)
    if UsdGeom.Subset.GetAllGeomSubsets(mesh):
        notes.add("Face sets (GeomSubset) are ignored, the whole mesh has one material", path)
    scheme = _get(mesh.GetSubdivisionSchemeAttr(), "catmullClark")
    if scheme == "catmullClark":
        return _read_cage(mesh, faces, notes)
    if scheme == "loop":
        notes.add("Loop subdivision is not done, the cage is shown with smooth normals", path)
        return _polygon_shape(faces, _smooth_corner_normals(faces), notes)
    if scheme == "bilinear":
        notes.add("Bilinear subdivision only triangulates, the surface is the same", path)
    elif scheme != "none":
        notes.add(f"Subdivision scheme {scheme!r} is not known, the faces are shown as they are", path)
    return _polygon_shape(faces, _authored_corner_normals(mesh, faces, notes), notes)


def _read_polygons(mesh: UsdGeom.Mesh, notes: Notes) -> _Polygons | None:
    path = str(mesh.GetPath())
    points = _array(mesh.GetPointsAttr(), np.float64).reshape(-1, 3)
    counts = _array(mesh.GetFaceVertexCountsAttr(), np.int64)
    indices = _array(mesh.GetFaceVertexIndicesAttr(), np.int64)
    if not len(points) or not len(counts):
        notes.add("Skipped meshes without points or faces", path)
        return None
    _check_topology(path, points, counts, indices)
    corners = np.arange(len(indices))
    if _get(mesh.GetOrientationAttr(), "rightHanded") == "leftHanded":
        starts = polygons.starts_of(counts)
        corners = np.repeat(2 * starts + counts - 1, counts) - corners
    stays, corner_stays = polygons.without_repeats(counts, indices[corners])
    if not stays.all():
        notes.add("Removed faces with fewer than three different corners", path)
    if not stays.any():
        notes.add("Skipped meshes whose faces have no area", path)
        return None
    face = polygons.faces_of_corners(counts)
    kept = np.bincount(face[corner_stays], minlength=len(counts))[stays]
    corners = corners[corner_stays]
    authored = (len(points), len(counts), len(indices))
    return _Polygons(path, points, kept, indices[corners], np.flatnonzero(stays), corners, authored)


def _check_topology(path: str, points: np.ndarray, counts: np.ndarray, indices: np.ndarray) -> None:
    if counts.min() < 0 or int(counts.sum()) != len(indices):
        raise GeometryError(
            f"{path}: faceVertexCounts ask for {int(counts.sum())} corners, "
            f"faceVertexIndices has {len(indices)}.",
            "The mesh is damaged; export it again.",
        )
    if len(indices) > MOST_CORNERS:
        raise GeometryError(
            f"{path} has {len(indices)} face corners; {MOST_CORNERS} is the most that is read.",
            "Decimate the mesh or pick another prim.",
        )
    wrong = np.flatnonzero((indices < 0) | (indices >= len(points)))
    if len(wrong):
        raise GeometryError(
            f"{path}: faceVertexIndices[{wrong[0]}] is {indices[wrong[0]]}, "
            f"but there are {len(points)} points.",
            "The mesh is damaged; export it again.",
        )
    bad = indices[~np.isfinite(points[indices]).all(axis=1)]
    if len(bad):
        raise GeometryError(
            f"{path}: point {bad[0]} is {tuple(points[bad[0]].tolist())}, which is not a position.",
            "Remove points that are not finite and export the mesh again.",
        )


def _without_holes(mesh: UsdGeom.Mesh, faces: _Polygons, notes: Notes) -> np.ndarray:
    """Positions in `faces` that are holes."""
    holes = _array(mesh.GetHoleIndicesAttr(), np.int64)
    if len(holes) and (holes.min() < 0 or holes.max() >= faces.authored[1]):
        notes.add("Ignored hole indices that name no face", faces.path)
    return np.flatnonzero(np.isin(faces.faces, holes))


def _read_cage(mesh: UsdGeom.Mesh, faces: _Polygons, notes: Notes) -> Cage:
    if mesh.GetNormalsAttr().HasAuthoredValue() or UsdGeom.PrimvarsAPI(mesh).HasPrimvar("normals"):
        notes.add("Authored normals are ignored, subdivision makes its own", faces.path)
    if _get(mesh.GetTriangleSubdivisionRuleAttr(), "catmullClark") == "smooth":
        notes.add("triangleSubdivisionRule 'smooth' is read as 'catmullClark'", faces.path)
    edges, sharpness = _creases(mesh, faces, notes)
    corner_points, corner_sharpness = _sharp_points(mesh, faces, notes)
    return Cage(
        faces.points,
        faces.counts,
        faces.indices,
        edges,
        sharpness,
        corner_points,
        corner_sharpness,
        _without_holes(mesh, faces, notes),
        str(_get(mesh.GetInterpolateBoundaryAttr(), "edgeAndCorner")),
    )


def _creases(mesh: UsdGeom.Mesh, faces: _Polygons, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """Edges [K,2] and sharpness [K]; authored as chains, with one value per chain or per edge."""
    none = np.zeros((0, 2), np.int64), np.zeros(0)
    indices = _array(mesh.GetCreaseIndicesAttr(), np.int64)
    lengths = _array(mesh.GetCreaseLengthsAttr(), np.int64)
    values = _array(mesh.GetCreaseSharpnessesAttr(), np.float64)
    if not len(indices) and not len(lengths):
        return none
    sound = len(lengths) and lengths.min() >= 2 and lengths.sum() == len(indices)
    if not sound or len(values) not in (len(lengths), int((lengths - 1).sum())):
        notes.add("Ignored creases whose indices, lengths and sharpnesses do not fit", faces.path)
        return none
    inner = np.ones(len(indices), bool)
    inner[np.cumsum(lengths) - 1] = False
    edges = np.stack([indices[inner], indices[np.flatnonzero(inner) + 1]], axis=1)
    sharpness = values if len(values) == len(edges) else np.repeat(values, lengths - 1)
    usable = ((edges >= 0) & (edges < faces.authored[0])).all(axis=1) & ~np.isnan(sharpness)
    if not usable.all():
        notes.add("Ignored creases that name no edge", faces.path)
    return edges[usable], sharpness[usable]


def _sharp_points(mesh: UsdGeom.Mesh, faces: _Polygons, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    points = _array(mesh.GetCornerIndicesAttr(), np.int64)
    sharpness = _array(mesh.GetCornerSharpnessesAttr(), np.float64)
    if len(points) != len(sharpness):
        notes.add("Ignored corners whose indices and sharpnesses do not fit", faces.path)
        return np.zeros(0, np.int64), np.zeros(0)
    usable = (points >= 0) & (points < faces.authored[0]) & ~np.isnan(sharpness)
    return points[usable], sharpness[usable]


# --- polygons with their normals ---


def _polygon_shape(faces: _Polygons, corner_normals: np.ndarray, notes: Notes) -> Shape | None:
    """Triangulated, with one normal per corner [C,3]; corners that agree share a vertex."""
    triangles = polygons.triangulate(faces.points, faces.counts, faces.indices)
    flat = polygons.are_degenerate(faces.points, faces.indices[triangles])
    if flat.any():
        notes.add("Removed triangles without area", faces.path)
    if flat.all():
        notes.add("Skipped meshes whose faces have no area", faces.path)
        return None
    positions = faces.points[faces.indices]
    return Shape(*merge_equal_vertices(positions, triangles[~flat], corner_normals))


def _face_normals(faces: _Polygons) -> np.ndarray:
    """[F,3] unit; up for faces without area."""
    return _unit(polygons.area_vectors(faces.points, faces.counts, faces.indices))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """[N,3] of length one; what has no length points up."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = lengths > 0.0
    return np.where(usable, vectors / np.where(usable, lengths, 1.0), [0.0, 1.0, 0.0])


def _smooth_corner_normals(faces: _Polygons) -> np.ndarray:
    areas = polygons.area_vectors(faces.points, faces.counts, faces.indices)
    total = np.zeros_like(faces.points)
    np.add.at(total, faces.indices, np.repeat(areas, faces.counts, axis=0))
    return _unit(total)[faces.indices]


def _authored_corner_normals(mesh: UsdGeom.Mesh, faces: _Polygons, notes: Notes) -> np.ndarray:
    """[C,3] unit, in the interpolation they were authored; face normals if there are none."""
    flat = np.repeat(_face_normals(faces), faces.counts, axis=0)
    authored = _normals_and_interpolation(mesh)
    if authored is None:
        notes.add("Without authored normals faces are flat", faces.path)
        return flat
    values, interpolation = authored
    rows = {
        "vertex": faces.indices,
        "varying": faces.indices,
        "faceVarying": faces.corners,
        "uniform": np.repeat(faces.faces, faces.counts),
        "constant": np.zeros(len(faces.indices), np.int64),
    }.get(interpolation)
    points, face_count, corners = faces.authored
    sizes = {
        "vertex": points,
        "varying": points,
        "faceVarying": corners,
        "uniform": face_count,
        "constant": 1,
    }
    if rows is None or len(values) != sizes[interpolation]:
        notes.add(f"Ignored normals: {len(values)} do not fit interpolation {interpolation!r}", faces.path)
        return flat
    normals = values[rows]
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0.0)
    if not usable.all():
        notes.add("Replaced normals without length by those of their faces", faces.path)
    return np.where(usable, normals / np.where(usable, lengths, 1.0), flat)


def _normals_and_interpolation(mesh: UsdGeom.Mesh) -> tuple[np.ndarray, str] | None:
    primvar = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("normals")
    if primvar and primvar.HasAuthoredValue():
        values = primvar.ComputeFlattened(EARLIEST)
        if values is not None:
            return np.asarray(values, np.float64).reshape(-1, 3), str(primvar.GetInterpolation())
    values = _array(mesh.GetNormalsAttr(), np.float64).reshape(-1, 3)
    return (values, str(mesh.GetNormalsInterpolation())) if len(values) else None


# --- primitives ---


def _read_primitive(prim: Usd.Prim, notes: Notes) -> Shape | None:
    kind = str(prim.GetTypeName())
    sizes = [_size(prim, name) for name in PRIMITIVES[kind]]
    if not _has_volume(kind, sizes):
        notes.add("Skipped solids without size", str(prim.GetPath()))
        return None
    positions, faces, normals = _solid(kind, sizes, str(_get(prim.GetAttribute("axis"), "Z")))
    if _get(prim.GetAttribute("orientation"), "rightHanded") == "leftHanded":
        faces, normals = faces[:, ::-1], -normals
    return Shape(positions, faces, normals)


def _solid(kind: str, sizes: list[float], axis: str) -> primitives.Triangles:
    if kind == "Cube":
        return primitives.cube(sizes[0])
    if kind == "Sphere":
        return primitives.sphere(sizes[0])
    if kind == "Plane":
        return primitives.plane(sizes[0], sizes[1], axis)
    radius_top = 0.0 if kind == "Cone" else sizes[-1]
    make = primitives.capsule if kind.startswith("Capsule") else primitives.frustum
    return make(sizes[0], sizes[1], radius_top, axis)


def _has_volume(kind: str, sizes: list[float]) -> bool:
    if kind == "Cylinder_1":
        return sizes[0] > 0.0 and max(sizes[1:]) > 0.0
    if kind.startswith("Capsule"):
        return max(sizes[1:]) > 0.0
    return min(sizes) > 0.0


def _size(prim: Usd.Prim, name: str) -> float:
    value = float(prim.GetAttribute(name).Get(EARLIEST))
    if not np.isfinite(value) or value < 0.0:
        raise GeometryError(f"{prim.GetPath()}: {name} is {value}.", "Give it a positive size.")
    return value


def _array(attribute: Usd.Attribute, dtype: type) -> np.ndarray:
    value = _get(attribute, None)
    return np.zeros(0, dtype) if value is None else np.asarray(value, dtype)


def _get(attribute: Usd.Attribute, fallback: object) -> object:
    value = attribute.Get(EARLIEST) if attribute else None
    return fallback if value is None else value
