"""Authors stages: new shots, assets in them, and what may be changed about a prim.

Places are in the units and axes of the stage, angles in degrees, in the order x, y, z. A prim is moved
by the operations translate, rotateXYZ and scale, in this order from outside; where an asset's units
or up axis are not those of the stage, two more operations inside of them convert it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Gf, Kind, Sdf, Usd, UsdGeom, Vt

from neuron_core.assets import FORMAT, read_header
from neuron_core.cameras.camera import look_at
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import read_bytes, replacing
from neuron_core.library import versions
from neuron_core.usd import schema
from neuron_core.usd.diagnostics import quiet
from neuron_core.usd.headers import header_of
from neuron_core.usd.records import SceneError, engine_from_stage
from neuron_core.usd.snapshot import read_stage

WORLD = "/World"
CAMERA = "/World/camera"
SUFFIXES = (".usda", ".usd", ".usdc")
MOST_COPIES = 100_000

Vec3 = tuple[float, float, float]

_PLACING = ("xformOp:translate", "xformOp:rotateXYZ", "xformOp:scale")
_CONVERTING = ("xformOp:rotateX:axes", "xformOp:scale:units")
_VECTORS = {
    UsdGeom.XformOp.PrecisionDouble: Gf.Vec3d,
    UsdGeom.XformOp.PrecisionFloat: Gf.Vec3f,
    UsdGeom.XformOp.PrecisionHalf: Gf.Vec3h,
}


@dataclass(frozen=True, slots=True)
class NewShot:
    """What a new stage is like."""

    meters_per_unit: float = 1.0
    up_axis: str = "Y"
    fps: float = 24.0
    frames: tuple[int, int] | None = None  # first and last
    camera: bool = True  # a camera that looks at the origin from 3 m


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be set on a prim; None leaves it."""

    at: Vec3 | None = None  # units of the stage
    rotate: Vec3 | None = None  # degrees about x, y, z
    scale: Vec3 | None = None
    aim: Vec3 | None = None  # of a camera: the point it looks at, in the stage's world
    focal: float | None = None  # of a camera, mm
    look: str | None = None
    prompt: str | None = None  # "" goes back to the look
    pose: tuple[float, ...] | None = None  # () is at rest
    representation: str | None = None
    purpose: str | None = None  # default, render, proxy or guide
    visible: bool | None = None
    version: str | None = None  # "latest" or as in "v002"
    frame: float | None = None  # key the values at this frame instead of for all


def write_new(path: Path, wanted: NewShot) -> None:
    """Write an empty shot. Raises SceneError for a name or units that cannot be."""
    if path.suffix.lower() not in SUFFIXES:
        raise SceneError(f"{path} does not end in .usda, .usd or .usdc.", "Give it one of these endings.")
    if not (np.isfinite(wanted.meters_per_unit) and wanted.meters_per_unit > 0 and wanted.fps > 0):
        raise SceneError(
            f"A stage with {wanted.meters_per_unit} m per unit and {wanted.fps} frames a second cannot be.",
            "Both are positive.",
        )
    layer = Sdf.Layer.CreateAnonymous(".usda")
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageMetersPerUnit(stage, wanted.meters_per_unit)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z if wanted.up_axis == "Z" else UsdGeom.Tokens.y)
    stage.SetTimeCodesPerSecond(wanted.fps)
    stage.SetFramesPerSecond(wanted.fps)
    if wanted.frames is not None:
        stage.SetStartTimeCode(wanted.frames[0])
        stage.SetEndTimeCode(wanted.frames[1])
    world = UsdGeom.Xform.Define(stage, WORLD).GetPrim()
    Usd.ModelAPI(world).SetKind(Kind.Tokens.assembly)
    stage.SetDefaultPrim(world)
    if wanted.camera:
        _add_camera(stage)
    save(layer, path)


def _add_camera(stage: Usd.Stage) -> None:
    camera = UsdGeom.Camera.Define(stage, CAMERA)
    camera.CreateFocalLengthAttr(50.0)
    camera.CreateHorizontalApertureAttr(36.0)
    camera.CreateVerticalApertureAttr(24.0)
    unit = UsdGeom.GetStageMetersPerUnit(stage)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.01 / unit, 1000.0 / unit))
    stage_from_engine = np.linalg.inv(engine_from_stage(unit, str(UsdGeom.GetStageUpAxis(stage))))
    eye = stage_from_engine @ np.array([0.0, 1.0, 3.0, 1.0])
    change(stage, CAMERA, Change(at=(float(eye[0]), float(eye[1]), float(eye[2])), aim=(0.0, 0.0, 0.0)))


@contextmanager
def editing(path: Path) -> Iterator[Usd.Stage]:
    """The stage of a file, written back whole when the block ends without an error, else left as it was.

    Raises SceneError or FileError if it cannot be opened or is a package.
    """
    if path.suffix.lower() == ".usdz":
        raise SceneError(f"{path} is a package.", "Packages cannot be changed; edit what it was made from.")
    stage = read_stage(path).stage
    layer = stage.GetRootLayer()
    try:
        with quiet():
            yield stage
        save(layer, path)
    finally:
        if layer.dirty:
            layer.Reload(force=True)


def save(layer: Sdf.Layer, path: Path) -> None:
    """Write a layer whole or not at all, in the format that the file has or its name asks for."""
    binary = path.is_file() and read_bytes(path)[:8] == b"PXR-USDC"
    text = {"format": "usdc" if binary else "usda"} if path.suffix.lower() == ".usd" else {}
    if Sdf.Layer.Find(str(path)) is layer and path.is_file() and not text:
        layer.Save()
        return
    with replacing(path) as temporary:
        if not layer.Export(str(temporary), args=text):
            raise SceneError(f"{path} cannot be written.", "Look at the path and the permissions.")


# --- adding ---


def add(stage: Usd.Stage, source: Path, prim_path: str, instance: bool = True) -> Usd.Prim:
    """A new prim that references a layer, or draws a `.neuron` file that was not published.

    Authors the operations that convert units and axes. Raises SceneError for a path that is taken or
    is none, and for a layer without a default prim.
    """
    if not _names_a_prim(prim_path):
        raise SceneError(f"{prim_path!r} is no prim path.", "Write it like /World/oak.")
    if stage.GetPrimAtPath(prim_path):
        raise SceneError(
            f"{prim_path} is there already.", "Take another name, or change it with: neuron scene set"
        )
    layer = stage.GetRootLayer()
    root = None if layer.anonymous else Path(layer.realPath).parent
    parent = Sdf.Path(prim_path).GetParentPath()
    if not parent.IsAbsoluteRootPath() and not stage.GetPrimAtPath(parent):
        UsdGeom.Xform.Define(stage, parent)
    prim = UsdGeom.Xform.Define(stage, prim_path).GetPrim()
    if source.suffix.lower() == ".neuron":
        unit, up = 1.0, "Y"
        _draw_file(prim, source, root)
    else:
        unit, up = _frame_of(source)
        prim.GetReferences().AddReference(relative(source, root))
        prim.ClearTypeName()  # a mesh stays one
        if not prim.IsA(UsdGeom.Xformable) or str(prim.GetTypeName()) == "Xform":
            prim.SetTypeName("Xform")
        if instance and schema.is_asset(prim):
            prim.SetInstanceable(True)
    convert(prim, unit, up)
    return prim


def _names_a_prim(text: str) -> bool:
    if not Sdf.Path.IsValidPathString(text):
        return False
    path = Sdf.Path(text)
    return bool(path.IsAbsolutePath() and path.IsPrimPath() and not path.ContainsPrimVariantSelection())


def repeat(stage: Usd.Stage, source: str, copies: Mapping[str, Change]) -> None:
    """Copies of a placed prim of the layer that is edited, each with a place and a look of its own.

    Much faster than adding each: the stage is composed once. Only `at`, `rotate`, `scale` and `look`
    of the changes count, and only those that the source has too.
    """
    layer = stage.GetEditTarget().GetLayer()
    with Sdf.ChangeBlock():
        for path, wanted in copies.items():
            Sdf.CopySpec(layer, source, layer, path)
            for name, value in zip(_PLACING, (wanted.at, wanted.rotate, wanted.scale), strict=True):
                attribute = layer.GetAttributeAtPath(f"{path}.{name}")
                if attribute is not None and value is not None:
                    attribute.default = Gf.Vec3d(*value)
            if wanted.look is None:
                continue
            spec = layer.GetPrimAtPath(path)
            if schema.LOOK_SET in spec.variantSelections:
                spec.variantSelections[schema.LOOK_SET] = wanted.look
            else:
                spec.properties[schema.LOOK].default = wanted.look


def _draw_file(prim: Usd.Prim, source: Path, root: Path | None) -> None:
    manifest = read_header(source).manifest
    schema.apply(prim)
    schema.set_value(prim, schema.FILE, Sdf.AssetPath(relative(source, root)))
    schema.set_value(prim, schema.DIGEST, manifest.digest)
    schema.set_value(prim, schema.ASSET_ID, manifest.asset_id)
    schema.set_value(prim, schema.FORMAT_VERSION, FORMAT)
    Usd.ModelAPI(prim).SetKind(Kind.Tokens.component)
    corners = Vt.Vec3fArray([Gf.Vec3f(*corner) for corner in manifest.aabb])
    UsdGeom.ModelAPI.Apply(prim).SetExtentsHint(corners)


def _frame_of(source: Path) -> tuple[float, str]:
    """Units and up axis of a layer that is going to be referenced."""
    stage = read_stage(source).stage
    if not stage.GetDefaultPrim():
        raise SceneError(f"{source} has no default prim.", "Author defaultPrim in it, or export it again.")
    return float(UsdGeom.GetStageMetersPerUnit(stage)), str(UsdGeom.GetStageUpAxis(stage))


def convert(prim: Usd.Prim, unit: float, up: str) -> None:
    """Author what leads from an asset's units and axes to those of the stage; USD does not do it."""
    stage = prim.GetStage()
    xformable, ops = UsdGeom.Xformable(prim), []
    here = str(UsdGeom.GetStageUpAxis(stage))
    factor = unit / float(UsdGeom.GetStageMetersPerUnit(stage))
    if up != here:
        turn = xformable.AddRotateXOp(UsdGeom.XformOp.PrecisionDouble, "axes")
        turn.Set(90.0 if here == "Z" else -90.0)
        ops.append(turn)
    if abs(factor - 1.0) > 1e-9:
        resize = xformable.AddScaleOp(UsdGeom.XformOp.PrecisionDouble, "units")
        resize.Set(Gf.Vec3d(factor))
        ops.append(resize)
    if ops:
        xformable.SetXformOpOrder(ops)


def relative(target: Path, folder: Path | None) -> str:
    """A path as layers in `folder` write it: from there, with slashes; absolute on another drive.

    Layers that lie nowhere, as a host composes them, write absolute paths too.
    """
    if folder is None:
        return str(target.resolve()).replace(os.sep, "/")
    try:
        path = os.path.relpath(target.resolve(), folder.resolve()).replace(os.sep, "/")
    except ValueError:
        return str(target.resolve()).replace(os.sep, "/")
    return path if path.startswith("../") else f"./{path}"


# --- changing ---


def change(stage: Usd.Stage, prim_path: str, wanted: Change) -> None:
    """Set what is wanted on one prim.

    Without a frame a value holds for all frames and replaces the keys that there are. Raises
    SceneError that names the prim.
    """
    prim = stage.GetPrimAtPath(prim_path) if Sdf.Path.IsValidPathString(prim_path) else None
    if not prim or prim.IsPseudoRoot():
        raise SceneError(f"There is no prim {prim_path}.", "`neuron scene list` names those there are.")
    if prim.IsInstanceProxy():
        raise SceneError(f"{prim_path} lies inside an instance.", "Change the prim that is instanced.")
    if wanted.version is not None:
        _repin(prim, wanted.version)
    _select(prim, schema.LOOK_SET, wanted.look)
    _select(prim, schema.REPRESENTATION_SET, wanted.representation)
    if wanted.prompt is not None:
        _require_asset(prim)
        _key(_attribute(prim, schema.PROMPT), wanted.prompt.strip(), wanted.frame)
    if wanted.pose is not None:
        _require_asset(prim)
        _key(_attribute(prim, schema.POSE), Vt.FloatArray(wanted.pose), wanted.frame)
    if wanted.purpose is not None:
        _purpose(prim, wanted.purpose)
    if wanted.visible is not None:
        token = UsdGeom.Tokens.inherited if wanted.visible else UsdGeom.Tokens.invisible
        _key(UsdGeom.Imageable(prim).CreateVisibilityAttr(), token, wanted.frame)
    _place(prim, wanted)
    _film(prim, wanted)


def _purpose(prim: Usd.Prim, purpose: str) -> None:
    known = UsdGeom.Imageable.GetOrderedPurposeTokens()
    if purpose not in known:
        raise SceneError(f"There is no purpose {purpose!r}.", f"There are: {', '.join(known)}.")
    UsdGeom.Imageable(prim).CreatePurposeAttr(purpose)


def _select(prim: Usd.Prim, set_name: str, name: str | None) -> None:
    """Pick a variant; the look of a prim that has no variants is set itself."""
    if name is None:
        return
    _require_asset(prim)
    path = prim.GetPath()
    if not prim.GetVariantSets().HasVariantSet(set_name):
        if set_name != schema.LOOK_SET:
            raise SceneError(f"{path} has no {set_name} to pick.", "Publish the asset and reference it.")
        known = _looks_of_file(prim)
        if known and name not in known:
            raise SceneError(f"{path} has no look {name!r}.", f"Its file has: {', '.join(known)}.")
        _attribute(prim, schema.LOOK).Set(name)
        return
    variants = prim.GetVariantSet(set_name)
    if name not in variants.GetVariantNames():
        offered = ", ".join(variants.GetVariantNames())
        raise SceneError(f"{path} has no {set_name} {name!r}.", f"It has: {offered}.")
    variants.SetVariantSelection(name)
    spec = prim.GetStage().GetEditTarget().GetLayer().GetPrimAtPath(path)
    if set_name == schema.LOOK_SET and spec is not None and schema.LOOK in spec.properties:
        prim.RemoveProperty(schema.LOOK)  # it would win over the variant


def _looks_of_file(prim: Usd.Prim) -> list[str]:
    """Of the file that a prim names; none where it cannot be read, which the checks of stages tell."""
    file = prim.GetAttribute(schema.FILE).Get()
    try:
        resolved = file.resolvedPath if isinstance(file, Sdf.AssetPath) else ""
        return [look.slug for look in header_of(Path(resolved)).manifest.looks] if resolved else []
    except NeuronError:
        return []


def _require_asset(prim: Usd.Prim) -> None:
    if not schema.is_asset(prim):
        raise SceneError(
            f"{prim.GetPath()} is no neural asset.", "`neuron scene list` names those there are."
        )


def _attribute(prim: Usd.Prim, name: str) -> Usd.Attribute:
    return prim.CreateAttribute(name, schema.TYPES[name], False, Sdf.VariabilityVarying)


def _key(attribute: Usd.Attribute, value: object, frame: float | None) -> None:
    if frame is None:
        attribute.Clear()
        attribute.Set(value)
    else:
        attribute.Set(value, Usd.TimeCode(frame))


def _repin(prim: Usd.Prim, version: str) -> None:
    """Point the reference of a prim to another version of its asset, or to the entry layer."""
    layer = prim.GetStage().GetRootLayer()
    spec = layer.GetPrimAtPath(prim.GetPath())
    root = Path(layer.realPath).parent
    for operations in ("prependedItems", "appendedItems", "explicitItems"):
        items = list(getattr(spec.referenceList, operations)) if spec else []
        for index, item in enumerate(items):
            home = versions.home_of(Path(layer.ComputeAbsolutePath(item.assetPath)))
            if home is None:
                continue
            target = versions.locate(home if version == "latest" else home / version)
            items[index] = Sdf.Reference(
                relative(target, root), item.primPath, item.layerOffset, item.customData
            )
            setattr(spec.referenceList, operations, items)
            return
    raise SceneError(
        f"{prim.GetPath()} does not reference an asset of a library here.", "Add it with: neuron scene add"
    )


def _place(prim: Usd.Prim, wanted: Change) -> None:
    if wanted.aim is not None:
        wanted = _aimed(prim, wanted)
    values = dict(zip(_PLACING, (wanted.at, wanted.rotate, wanted.scale), strict=True))
    for name, value in values.items():
        if value is None:
            continue
        if not np.isfinite(value).all():
            raise SceneError(
                f"{prim.GetPath()} cannot have {name.split(':')[1]} {value}.", "Give finite numbers."
            )
        operation = _operation(prim, name)
        _key(operation.GetAttr(), _VECTORS[operation.GetPrecision()](*value), wanted.frame)


def _operation(prim: Usd.Prim, name: str) -> UsdGeom.XformOp:
    """The operation of that name, added in its place among the others if it is not there."""
    xformable = UsdGeom.Xformable(prim)
    if not xformable:
        raise SceneError(f"{prim.GetPath()} cannot be moved.", "It is no Xform, camera or geometry.")
    ops = {op.GetOpName(): op for op in xformable.GetOrderedXformOps()}
    strange = [known for known in ops if known not in (*_PLACING, *_CONVERTING)]
    if strange:
        raise SceneError(
            f"{prim.GetPath()} is placed by {', '.join(strange)}.",
            "Move it in the program that authored this, or put it under an Xform.",
        )
    if name not in ops:
        make = {
            "xformOp:translate": xformable.AddTranslateOp,
            "xformOp:rotateXYZ": xformable.AddRotateXYZOp,
            "xformOp:scale": xformable.AddScaleOp,
        }[name]
        reset = xformable.GetResetXformStack()
        ops[name] = make(UsdGeom.XformOp.PrecisionDouble)
        ordered = [ops[known] for known in (*_PLACING, *_CONVERTING) if known in ops]
        xformable.SetXformOpOrder(ordered, reset)
    return ops[name]


def _aimed(prim: Usd.Prim, wanted: Change) -> Change:
    """With the rotation that lets a camera look at a point, upright."""
    if not prim.IsA(UsdGeom.Camera):
        raise SceneError(f"{prim.GetPath()} is no camera and cannot be aimed.", "Set its rotation.")
    if wanted.rotate is not None:
        raise SceneError("A camera is either aimed or rotated.", "Leave one of them out.")
    when = Usd.TimeCode.EarliestTime() if wanted.frame is None else Usd.TimeCode(wanted.frame)
    if wanted.at is not None:
        _place(prim, Change(at=wanted.at, frame=wanted.frame))
    to_world = UsdGeom.Xformable(prim).ComputeParentToWorldTransform(when)
    eye = UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(when).ExtractTranslation()
    up = (0.0, 0.0, 1.0) if UsdGeom.GetStageUpAxis(prim.GetStage()) == "Z" else (0.0, 1.0, 0.0)
    c2w = Gf.Matrix4d(look_at(tuple(eye), wanted.aim or (0.0, 0.0, 0.0), up).T.tolist())
    rotation = (c2w * to_world.GetInverse()).GetOrthonormalized().ExtractRotation()
    angles = rotation.Decompose(Gf.Vec3d.ZAxis(), Gf.Vec3d.YAxis(), Gf.Vec3d.XAxis())
    return Change(rotate=(angles[2], angles[1], angles[0]), scale=wanted.scale, frame=wanted.frame)


def _film(prim: Usd.Prim, wanted: Change) -> None:
    if wanted.focal is None:
        return
    if not prim.IsA(UsdGeom.Camera):
        raise SceneError(f"{prim.GetPath()} is no camera and has no focal length.", "Name a camera.")
    if not (np.isfinite(wanted.focal) and wanted.focal > 0):
        raise SceneError(f"A focal length of {wanted.focal} mm cannot be.", "It is positive.")
    _key(UsdGeom.Camera(prim).CreateFocalLengthAttr(), wanted.focal, wanted.frame)


def prim_name(text: str) -> str:
    """A name that a prim can have, as near to `text` as it gets."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "asset"
    return name if not name[0].isdigit() else f"_{name}"


def free_path(stage: Usd.Stage, parent: str, name: str) -> str:
    """A path below `parent` that nothing has: with a number behind the name where that is taken."""
    base = Sdf.Path(parent)
    path, number = base.AppendChild(name), 1
    while stage.GetPrimAtPath(path):
        number += 1
        path = base.AppendChild(f"{name}_{number}")
    return str(path)
