"""Meshes and points as USD: meters, Y up, one component with its geometry below `geo`.

Colors of a baked field hold the light that it was seen in. Materials say so: `baked` emits them and
takes no light, `lit` has the record of the material and takes light. `shading` chooses.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, Vt

from neuron_core.foundation.files import write_bytes
from neuron_core.images.pictures import encode_png
from neuron_core.materials.record import Material
from neuron_core.surfaces.baking import ShadedMesh
from neuron_core.surfaces.materials import author_baked, author_lit
from neuron_core.surfaces.mesh import SurfaceError
from neuron_core.surfaces.points import PointCloud
from neuron_core.usd.components import new_layer, new_model

SHADING, LEVELS = "shading", "lod"
Extents = Vt.Vec3fArray


def write_mesh(
    path: Path, bodies: Sequence[ShadedMesh], record: Material | None, notes: Mapping[str, str]
) -> None:
    """Write one mesh, or levels of detail from fine to coarse, with its textures beside it.

    Textures lie in the folder of `textures_of`; a .usdz holds them. `notes` become custom data of
    the root. A target that cannot be written stays as it was. Raises FileError or SurfaceError.
    """
    path = Path(path)

    def fill(stage: Usd.Stage, root: Usd.Prim, folder: str) -> None:
        for name, value in notes.items():
            root.SetCustomDataByKey(f"neuron:{name}", value)
        levels = root.GetVariantSets().AddVariantSet(LEVELS) if len(bodies) > 1 else None
        for level, body in enumerate(bodies):
            if levels is None:
                _author_level(stage, root, body, record, folder, level)
                continue
            levels.AddVariant(f"lod{level}")
            levels.SetVariantSelection(f"lod{level}")
            with levels.GetVariantEditContext():
                _author_level(stage, root, body, record, folder, level)
        if levels is not None:
            levels.SetVariantSelection("lod0")
        _author_shading(stage, root, record is not None and bodies[0].textures is not None)

    pictures = {
        _file(name, level): encode_png(pixels)
        for level, body in enumerate(bodies)
        for name, pixels in (body.textures or {}).items()
    }
    _write(path, fill, pictures)


def write_points(path: Path, cloud: PointCloud, notes: Mapping[str, str]) -> None:
    """Write `UsdGeom.Points` with widths, normals and colors, whole or not at all."""
    if not len(cloud):
        raise SurfaceError(f"There are no points to write to {path}.")

    def fill(stage: Usd.Stage, root: Usd.Prim, folder: str) -> None:
        for name, value in notes.items():
            root.SetCustomDataByKey(f"neuron:{name}", value)
        UsdGeom.Scope.Define(stage, root.GetPath().AppendChild("geo"))
        points = UsdGeom.Points.Define(stage, root.GetPath().AppendPath("geo/points"))
        points.CreatePointsAttr(_vectors(cloud.positions))
        points.CreateWidthsAttr(Vt.FloatArray.FromNumpy(np.ascontiguousarray(cloud.widths)))
        points.SetWidthsInterpolation(UsdGeom.Tokens.vertex)
        points.CreateNormalsAttr(_vectors(cloud.normals))
        points.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
        points.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex).Set(_vectors(cloud.colors))
        points.CreateExtentAttr(
            UsdGeom.Points.ComputeExtent(points.GetPointsAttr().Get(), points.GetWidthsAttr().Get())
        )

    _write(Path(path), fill, {})


def textures_of(path: Path) -> Path:
    """The folder beside a USD file that holds its textures."""
    return Path(path).with_name(f"{Path(path).stem}_textures")


Fill = Callable[[Usd.Stage, Usd.Prim, str], None]


def _write(path: Path, fill: Fill, pictures: Mapping[str, bytes]) -> None:
    packaged = path.suffix.lower() == ".usdz"
    kept = textures_of(path)
    fresh = not packaged and not kept.exists()
    try:
        with new_layer(path) as layer:
            folder = layer.parent / "textures" if packaged else kept
            for name, content in pictures.items():
                write_bytes(folder / name, content)
            stage, root = new_model(layer, path.stem)
            fill(stage, root, f"./{folder.name}")
            stage.Save()
    except BaseException:
        if fresh and kept.is_dir():
            _remove(kept, pictures)
        raise


def _remove(folder: Path, names: Mapping[str, bytes]) -> None:
    """The files that were written there, and the folder if nothing else is in it."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _file(name: str, level: int) -> str:
    return f"{name}.lod{level}.png"


def _author_level(
    stage: Usd.Stage, root: Usd.Prim, body: ShadedMesh, record: Material | None, folder: str, level: int
) -> None:
    UsdGeom.Scope.Define(stage, root.GetPath().AppendChild("geo"))
    mesh = UsdGeom.Mesh.Define(stage, root.GetPath().AppendPath("geo/mesh"))
    shape = body.mesh
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreatePointsAttr(_vectors(shape.points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray(len(shape.faces), 3))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(shape.faces.reshape(-1))))
    mesh.CreateNormalsAttr(_vectors(body.normals))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex).Set(_vectors(body.colors))
    low, high = shape.points.min(axis=0), shape.points.max(axis=0)
    mesh.CreateExtentAttr(Extents([Gf.Vec3f(*map(float, corner)) for corner in (low, high)]))
    if body.uvs is not None:
        st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        )
        st.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(body.uvs.reshape(-1, 2))))
    scope = UsdGeom.Scope.Define(stage, root.GetPath().AppendChild("mtl")).GetPath()
    files = {name: f"{folder}/{_file(name, level)}" for name in body.textures or {}}
    author_baked(stage, scope.AppendChild("baked"), files.get("color"))
    if record is not None and "base_color" in files:
        author_lit(stage, scope.AppendChild("lit"), files, record)


def _author_shading(stage: Usd.Stage, root: Usd.Prim, lit: bool) -> None:
    shading = root.GetVariantSets().AddVariantSet(SHADING)
    for name in ("baked", "lit") if lit else ("baked",):
        shading.AddVariant(name)
        shading.SetVariantSelection(name)
        with shading.GetVariantEditContext():
            mesh = stage.OverridePrim(root.GetPath().AppendPath("geo/mesh"))
            binding = UsdShade.MaterialBindingAPI.Apply(mesh)
            binding.Bind(UsdShade.Material(stage.GetPrimAtPath(root.GetPath().AppendPath(f"mtl/{name}"))))
    shading.SetVariantSelection("baked")


def _vectors(values: np.ndarray) -> Vt.Vec3fArray:
    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, np.float32))
