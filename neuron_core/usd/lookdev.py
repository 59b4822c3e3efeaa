"""A stage to make ground truth of: an object, its light, cameras and materials, as plain USD.

What it holds is what the engine itself would render: the same triangles, cameras and light, materials
as MaterialX OpenPBR. Everything stands below `/neuron`, whose frame is meters with Y up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdShade, Vt

from neuron_core.cameras.camera import Camera
from neuron_core.geometry.mesh import Geometry, MeshPart
from neuron_core.materials.openpbr import INPUTS
from neuron_core.materials.procedural import evaluate, varying_parameters
from neuron_core.materials.record import Material
from neuron_core.usd.adding import convert, prim_name
from neuron_core.usd.records import SceneError, engine_from_stage

ROOT = "/neuron"
GEOMETRY = f"{ROOT}/geometry"
LIGHT = f"{ROOT}/light"
CAMERAS = f"{ROOT}/cameras"
MATERIALS = f"{ROOT}/materials"
SHADER = "ND_open_pbr_surface_surfaceshader"
NEUTRAL = Material("neutral", {"base_color": (0.18, 0.18, 0.18), "specular_roughness": 0.6})
FILM = 36.0  # millimeters; the width of the film gate of authored cameras

_VALUE_TYPES = {
    "float": Sdf.ValueTypeNames.Float,
    "color": Sdf.ValueTypeNames.Color3f,
    "switch": Sdf.ValueTypeNames.Bool,
}


def add_root(stage: Usd.Stage) -> None:
    """The prim that everything stands below, which leads from meters and Y up to the stage's frame."""
    if not stage.GetPrimAtPath(ROOT):
        convert(UsdGeom.Xform.Define(stage, ROOT).GetPrim(), 1.0, "Y")


def bounds_of(stage: Usd.Stage, path: str) -> Geometry:
    """The box around a prim as geometry, recentered as all geometry is. Raises SceneError if it is empty."""
    require_prim(stage, path)
    purposes = [UsdGeom.Tokens.default_, UsdGeom.Tokens.render]
    cache = UsdGeom.BBoxCache(Usd.TimeCode.EarliestTime(), purposes)
    box = cache.ComputeWorldBound(stage.GetPrimAtPath(path)).ComputeAlignedRange()
    if box.IsEmpty():
        raise SceneError(f"{path} has no size.", "Pick a prim that holds geometry.")
    to_engine = engine_frame(stage)
    corners = np.array([box.GetCorner(index) for index in range(8)]) @ to_engine[:3, :3].T
    x, y, z = ((corners.min(axis=0) + corners.max(axis=0)) / 2).tolist()
    part = MeshPart(
        "bounds",
        (corners - (x, y, z)).astype(np.float32),
        np.array([[0, 1, 2]], np.int32),
        np.tile(np.array([0, 1, 0], np.float32), (8, 1)),
        True,
    )
    return Geometry((part,), path, (x, y, z), ())


def moved_cameras(cameras: Sequence[Camera], center: Sequence[float]) -> list[Camera]:
    """Cameras around another place than the origin."""
    found = []
    for camera in cameras:
        pose = np.array(camera.c2w)
        pose[:3, 3] += center
        found.append(replace(camera, c2w=pose))
    return found


def engine_frame(stage: Usd.Stage) -> np.ndarray:
    """Meters with Y up from the stage's frame, [4, 4]."""
    up = str(UsdGeom.GetStageUpAxis(stage)).upper()
    return np.array(engine_from_stage(float(UsdGeom.GetStageMetersPerUnit(stage)), up))


def require_prim(stage: Usd.Stage, path: str) -> None:
    """Raise SceneError for a prim that is not there."""
    if not Sdf.Path.IsValidPathString(path) or not stage.GetPrimAtPath(path):
        raise SceneError(f"There is no prim {path!r} on the stage.", "Pick one that is there.")


def add_geometry(stage: Usd.Stage, geometry: Geometry) -> None:
    """A mesh for each part. Parts that do not take the material are gray."""
    add_root(stage)
    UsdGeom.Xform.Define(stage, GEOMETRY)
    gray = add_material(stage, NEUTRAL)
    for index, part in enumerate(geometry.parts):
        path = f"{GEOMETRY}/part_{index:03d}_{prim_name(part.name)}"
        _add_mesh(stage, path, part)
        if not part.takes_material:
            bind(stage, path, gray)


def material_targets(geometry: Geometry) -> list[str]:
    """The prims of the parts that take the material."""
    return [
        f"{GEOMETRY}/part_{index:03d}_{prim_name(part.name)}"
        for index, part in enumerate(geometry.parts)
        if part.takes_material
    ]


def _add_mesh(stage: Usd.Stage, path: str, part: MeshPart) -> None:
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(_vectors(part.positions))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(part.faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(
        Vt.IntArray.FromNumpy(np.ascontiguousarray(part.faces.ravel(), np.int32))
    )
    mesh.CreateNormalsAttr(_vectors(part.normals))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)
    mesh.CreateExtentAttr(_vectors(np.stack([part.positions.min(axis=0), part.positions.max(axis=0)])))


def _vectors(values: np.ndarray) -> Vt.Vec3fArray:
    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, np.float32))


def add_light(stage: Usd.Stage, texture: str) -> None:
    """A dome light from an image over directions that cameras do not see."""
    add_root(stage)
    light = UsdLux.DomeLight.Define(stage, LIGHT)
    light.CreateIntensityAttr(1.0)
    light.CreateTextureFileAttr(Sdf.AssetPath(texture))
    light.CreateTextureFormatAttr(UsdLux.Tokens.latlong)
    hidden = light.GetPrim().CreateAttribute("karma:light:renderlightgeo", Sdf.ValueTypeNames.Bool, False)
    hidden.Set(False)


def add_cameras(stage: Usd.Stage, cameras: Sequence[Camera]) -> list[str]:
    """A prim for each camera, under its name; their paths."""
    add_root(stage)
    UsdGeom.Scope.Define(stage, CAMERAS)
    paths = [f"{CAMERAS}/{prim_name(camera.name)}" for camera in cameras]
    for path, camera in zip(paths, cameras, strict=True):
        add_camera(stage, path, [camera])
    return paths


def add_camera(stage: Usd.Stage, path: str, cameras: Sequence[Camera]) -> None:
    """One prim: a camera that stands still, or many as frames from 1 on that share a lens and never blur."""
    first = cameras[0]
    prim = UsdGeom.Camera.Define(stage, path)
    per_pixel = FILM / first.width
    prim.CreateFocalLengthAttr(first.fl_x * per_pixel)
    prim.CreateHorizontalApertureAttr(FILM)
    prim.CreateVerticalApertureAttr(first.height * per_pixel)
    prim.CreateHorizontalApertureOffsetAttr((first.width / 2 - first.cx) * per_pixel)
    prim.CreateVerticalApertureOffsetAttr((first.cy - first.height / 2) * per_pixel)
    prim.CreateClippingRangeAttr(Gf.Vec2f(0.001, 100000.0))
    prim.CreateFStopAttr(0.0)
    prim.CreateShutterOpenAttr(0.0)
    prim.CreateShutterCloseAttr(0.0)
    operation = UsdGeom.Xformable(prim).AddTransformOp(UsdGeom.XformOp.PrecisionDouble)
    for frame, camera in enumerate(cameras, 1):
        when = Usd.TimeCode(frame) if len(cameras) > 1 else Usd.TimeCode.Default()
        operation.Set(Gf.Matrix4d(camera.c2w.T.tolist()), when)


def add_material(stage: Usd.Stage, material: Material, varying: Sequence[str] = ()) -> str:
    """The record as an OpenPBR surface; its path. Inputs that are `varying` are read from primvars."""
    add_root(stage)
    path = f"{MATERIALS}/{prim_name(material.name)}"
    UsdGeom.Scope.Define(stage, MATERIALS)
    prim = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, f"{path}/surface")
    shader.CreateIdAttr(SHADER)
    for name, value in material.parameters.items():
        kind = INPUTS[name].kind
        plain = bool(value) if kind == "switch" else Gf.Vec3f(*value) if isinstance(value, tuple) else value
        shader.CreateInput(name, _VALUE_TYPES[kind]).Set(plain)
    for name in varying:
        reader = UsdShade.Shader.Define(stage, f"{path}/{name}")
        color = INPUTS[name].kind == "color"
        reader.CreateIdAttr(f"ND_geompropvalue_{'color3' if color else 'float'}")
        reader.CreateInput("geomprop", Sdf.ValueTypeNames.String).Set(primvar_of(name))
        value_type = _VALUE_TYPES[INPUTS[name].kind]
        shader.CreateInput(name, value_type).ConnectToSource(reader.CreateOutput("out", value_type))
    output = shader.CreateOutput("out", Sdf.ValueTypeNames.Token)
    prim.CreateSurfaceOutput("mtlx").ConnectToSource(output)
    return path


def primvar_of(name: str) -> str:
    """The primvar that an input of the surface is read from where it varies."""
    return f"neuron_{name}"


def can_vary(stage: Usd.Stage, targets: Sequence[str]) -> bool:
    """Whether all geometry at and below prims is of meshes that may have primvars of their own."""
    prims = [
        prim
        for target in targets
        for prim in Usd.PrimRange(stage.GetPrimAtPath(target), Usd.TraverseInstanceProxies())
        if prim.IsA(UsdGeom.Gprim)
    ]
    return bool(prims) and all(prim.IsA(UsdGeom.Mesh) and not prim.IsInstanceProxy() for prim in prims)


def add_layers(
    stage: Usd.Stage, targets: Sequence[str], material: Material, object_from_stage: np.ndarray
) -> tuple[str, ...]:
    """Give the meshes at and below prims what varies over the object, by vertex; the inputs that vary.

    `object_from_stage` [4, 4] leads to the frame of the patterns, whose unit is the longest side of the
    object. Layers that follow the shape see it open and flat.
    """
    names = varying_parameters(material)
    cache = UsdGeom.XformCache()
    for target in targets if names else ():
        for prim in Usd.PrimRange(stage.GetPrimAtPath(target)):
            if not prim.IsA(UsdGeom.Mesh):
                continue
            points = np.array(UsdGeom.Mesh(prim).GetPointsAttr().Get(Usd.TimeCode.EarliestTime()))
            matrix = object_from_stage @ np.array(cache.GetLocalToWorldTransform(prim)).T
            values = evaluate(material, (points @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32))
            _add_primvars(stage.OverridePrim(prim.GetPath()), values)
    return names


def _add_primvars(prim: Usd.Prim, values: Mapping[str, np.ndarray]) -> None:
    for name, array in values.items():
        color = INPUTS[name].kind == "color"
        kind = Sdf.ValueTypeNames.Color3fArray if color else Sdf.ValueTypeNames.FloatArray
        primvar = UsdGeom.PrimvarsAPI(prim).CreatePrimvar(primvar_of(name), kind, UsdGeom.Tokens.vertex)
        rows = np.ascontiguousarray(array, np.float32)
        primvar.Set(Vt.Vec3fArray.FromNumpy(rows) if color else Vt.FloatArray.FromNumpy(rows))


def bind(stage: Usd.Stage, prim_path: str, material: str) -> None:
    """Let a prim and all below it have a material, over what is bound there."""
    prim = stage.OverridePrim(prim_path)
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(
        UsdShade.Material(stage.GetPrimAtPath(material)), UsdShade.Tokens.strongerThanDescendants
    )
