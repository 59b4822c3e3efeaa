"""Changes what a prim of a stage may be asked to change: place, look, prompt, pose, version, lens.

Places are in the units and axes of the stage, angles in degrees, in the order x, y, z. A prim is moved
by the operations translate, rotateXYZ and scale, in this order from outside; where an asset's units
or up axis are not those of the stage, two more operations inside of them convert it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from neuron_core.assets import header_of
from neuron_core.foundation.errors import NeuronError
from neuron_core.usd import published, schema
from neuron_core.usd.cameras import aimed_angles
from neuron_core.usd.records import SceneError

Vec3 = tuple[float, float, float]

PLACING = ("xformOp:translate", "xformOp:rotateXYZ", "xformOp:scale")
_CONVERTING = ("xformOp:rotateX:axes", "xformOp:scale:units")
_VECTORS = {
    UsdGeom.XformOp.PrecisionDouble: Gf.Vec3d,
    UsdGeom.XformOp.PrecisionFloat: Gf.Vec3f,
    UsdGeom.XformOp.PrecisionHalf: Gf.Vec3h,
}


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
        published.pin(prim, wanted.version)
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
            f"{prim.GetPath()} is not a neural asset.", "`neuron scene list` names those there are."
        )


def _attribute(prim: Usd.Prim, name: str) -> Usd.Attribute:
    return prim.CreateAttribute(name, schema.TYPES[name], False, Sdf.VariabilityVarying)


def _key(attribute: Usd.Attribute, value: object, frame: float | None) -> None:
    if frame is None:
        attribute.Clear()
        attribute.Set(value)
    else:
        attribute.Set(value, Usd.TimeCode(frame))


def _place(prim: Usd.Prim, wanted: Change) -> None:
    if wanted.aim is not None:
        wanted = _aimed(prim, wanted)
    values = dict(zip(PLACING, (wanted.at, wanted.rotate, wanted.scale), strict=True))
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
        raise SceneError(f"{prim.GetPath()} cannot be moved.", "It is not an Xform, camera or geometry.")
    ops = {op.GetOpName(): op for op in xformable.GetOrderedXformOps()}
    strange = [known for known in ops if known not in (*PLACING, *_CONVERTING)]
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
        ordered = [ops[known] for known in (*PLACING, *_CONVERTING) if known in ops]
        xformable.SetXformOpOrder(ordered, reset)
    return ops[name]


def _aimed(prim: Usd.Prim, wanted: Change) -> Change:
    """With the rotation that lets a camera look at a point, upright."""
    if not prim.IsA(UsdGeom.Camera):
        raise SceneError(f"{prim.GetPath()} is not a camera and cannot be aimed.", "Set its rotation.")
    if wanted.rotate is not None:
        raise SceneError("A camera is either aimed or rotated.", "Leave one of them out.")
    when = Usd.TimeCode.EarliestTime() if wanted.frame is None else Usd.TimeCode(wanted.frame)
    if wanted.at is not None:
        _place(prim, Change(at=wanted.at, frame=wanted.frame))
    angles = aimed_angles(prim, wanted.aim or (0.0, 0.0, 0.0), when)
    return Change(rotate=angles, scale=wanted.scale, frame=wanted.frame)


def _film(prim: Usd.Prim, wanted: Change) -> None:
    if wanted.focal is None:
        return
    if not prim.IsA(UsdGeom.Camera):
        raise SceneError(f"{prim.GetPath()} is not a camera and has no focal length.", "Name a camera.")
    if not (np.isfinite(wanted.focal) and wanted.focal > 0):
        raise SceneError(f"A focal length of {wanted.focal} mm cannot be.", "It is positive.")
    _key(UsdGeom.Camera(prim).CreateFocalLengthAttr(), wanted.focal, wanted.frame)
