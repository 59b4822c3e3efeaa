"""Adds assets to stages: references with the conversion of their units and axes, and copies of them."""

import re
from collections.abc import Mapping
from pathlib import Path

from pxr import Gf, Kind, Sdf, Usd, UsdGeom, Vt

from neuron_core.assets import FORMAT, read_header
from neuron_core.usd import schema
from neuron_core.usd.changing import PLACING, Change
from neuron_core.usd.layers import relative
from neuron_core.usd.records import SceneError
from neuron_core.usd.stage import read_stage

MOST_COPIES = 100_000


def add(stage: Usd.Stage, source: Path, prim_path: str, instance: bool = True) -> Usd.Prim:
    """A new prim that references a layer, or draws a `.neuron` file that was not published.

    Authors the operations that convert units and axes. Raises SceneError for a path that is taken or
    is none, and for a layer without a default prim.
    """
    if not _names_a_prim(prim_path):
        raise SceneError(f"{prim_path!r} is not a prim path.", "Write it like /World/oak.")
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
            for name, value in zip(PLACING, (wanted.at, wanted.rotate, wanted.scale), strict=True):
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
