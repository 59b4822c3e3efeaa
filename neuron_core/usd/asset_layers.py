"""Writes the layers of a published asset.

The root is an Xform of kind component with NeuronAssetAPI. Variants of the set `representation` say
what hosts that do not know the schema draw, those of the set `look` what the engine draws; both stand
on the root, so that they can be picked on instances and unloaded assets. Geometry that is heavy is a
payload of `geo/render` inside its variant; the gray box under `geo/proxy` is always there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Gf, Kind, Sdf, Usd, UsdGeom, Vt

from neuron_core import __version__
from neuron_core.assets import FORMAT, Manifest
from neuron_core.usd import schema
from neuron_core.usd.components import set_frame
from neuron_core.usd.proxy import Net, box_net

CLASSES = "__class__"
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
TEXT = {"format": "usda"}  # what is written into files that end in .usd

Color = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class AssetLayer:
    """What the layer of one published version says. Paths are relative to its folder."""

    name: str  # an identifier: of the root prim
    version: str  # as in v003
    identifier: str  # how shots name it
    manifest: Manifest
    file: str  # the .neuron file
    preview: str  # a PNG, or ""
    extent: np.ndarray  # [2, 3] that holds all density and the proxy
    hull: Net
    box: np.ndarray  # [2, 3]
    payloads: Mapping[str, str]  # representation -> USD layer with a default prim; the first is drawn
    colors: Mapping[str, Color]  # look -> mean color, linear


def write_asset_layer(path: Path, asset: AssetLayer) -> None:
    """Write it as text to a new file, beside which the files that it names already lie."""
    stage = _new_stage(path)
    root = UsdGeom.Xform.Define(stage, f"/{asset.name}").GetPrim()
    stage.SetDefaultPrim(root)
    stage.CreateClassPrim(f"/{CLASSES}")
    stage.CreateClassPrim(f"/{CLASSES}/{asset.name}")
    root.GetInherits().AddInherit(f"/{CLASSES}/{asset.name}")
    _describe(root, asset)
    _author(root, asset.manifest)
    _proxy(stage, root, asset)
    _representations(root, asset)
    _looks(root, asset)
    stage.GetRootLayer().Save()


def write_entry_layer(path: Path, name: str, layer: str) -> None:
    """Write a layer that passes on another one (a relative path) as its own; as text."""
    stage = _new_stage(path)
    stage.GetRootLayer().subLayerPaths.append(layer)
    stage.GetRootLayer().defaultPrim = name
    stage.GetRootLayer().Save()


def write_mesh_layer(path: Path, net: Net) -> None:
    """Write a mesh as the default prim of a layer."""
    stage = _new_stage(path)
    stage.SetDefaultPrim(_mesh(stage, "/mesh", net).GetPrim())
    stage.GetRootLayer().Save()


def _new_stage(path: Path) -> Usd.Stage:
    stage = Usd.Stage.Open(Sdf.Layer.CreateNew(str(path), args=TEXT if path.suffix == ".usd" else {}))
    set_frame(stage)
    return stage


def _describe(root: Usd.Prim, asset: AssetLayer) -> None:
    manifest = asset.manifest
    schema.apply(root)
    Usd.ModelAPI(root).SetKind(Kind.Tokens.component)
    Usd.ModelAPI(root).SetAssetName(asset.name)
    Usd.ModelAPI(root).SetAssetVersion(asset.version)
    Usd.ModelAPI(root).SetAssetIdentifier(Sdf.AssetPath(asset.identifier))
    schema.set_value(root, schema.FILE, Sdf.AssetPath(asset.file))
    schema.set_value(root, schema.DIGEST, manifest.digest)
    schema.set_value(root, schema.ASSET_ID, manifest.asset_id)
    schema.set_value(root, schema.FORMAT_VERSION, FORMAT)
    UsdGeom.ModelAPI.Apply(root).SetExtentsHint(_points(asset.extent))
    if asset.preview:
        root.AddAppliedSchema("AssetPreviewsAPI")
        root.SetAssetInfoByKey("previews:thumbnails:default:defaultImage", Sdf.AssetPath(asset.preview))


def _author(root: Usd.Prim, manifest: Manifest) -> None:
    """Who made it, as UsdMedia.AuthorshipAPI has it; a USD without it keeps plain attributes."""
    root.AddAppliedSchema("AuthorshipAPI:bake")
    values: list[tuple[str, Sdf.ValueTypeName, object]] = [
        ("softwarePackage", Sdf.ValueTypeNames.String, "Neuron"),
        ("softwareVersion", Sdf.ValueTypeNames.String, __version__),
        ("digitalSourceType", Sdf.ValueTypeNames.String, TRAINED),
        ("inputs", Sdf.ValueTypeNames.StringArray, _inputs(manifest)),
        ("usageTerms", Sdf.ValueTypeNames.String, manifest.licence),
    ]
    for name, value_type, value in values:
        if value:
            attribute = root.CreateAttribute(
                f"authorship:bake:{name}", value_type, False, Sdf.VariabilityUniform
            )
            attribute.Set(value)


def _inputs(manifest: Manifest) -> list[str]:
    """Names and values in turn: the prompts of the looks."""
    return [text for look in manifest.looks if look.prompt for text in (f"prompt:{look.slug}", look.prompt)]


def _proxy(stage: Usd.Stage, root: Usd.Prim, asset: AssetLayer) -> None:
    top = root.GetPath()
    UsdGeom.Scope.Define(stage, top.AppendPath("geo"))
    proxy = UsdGeom.Scope.Define(stage, top.AppendPath("geo/proxy"))
    render = UsdGeom.Scope.Define(stage, top.AppendPath("geo/render"))
    render.CreatePurposeAttr(UsdGeom.Tokens.render)
    render.SetProxyPrim(proxy.GetPrim())
    _mesh(stage, top.AppendPath("geo/proxy/hull"), asset.hull)
    _mesh(stage, top.AppendPath("geo/proxy/box"), box_net(asset.box))


def _representations(root: Usd.Prim, asset: AssetLayer) -> None:
    """One variant for each payload, and the two that need none: `proxy` and `box`.

    What variants decide is not authored outside of them, where it would win over them.
    """
    variants = root.GetVariantSets().AddVariantSet(schema.REPRESENTATION_SET)
    top, stage = root.GetPath(), root.GetStage()
    for name in (*asset.payloads, "proxy", "box"):
        variants.AddVariant(name)
        variants.SetVariantSelection(name)
        with variants.GetVariantEditContext():
            if name in asset.payloads:
                holder = stage.DefinePrim(top.AppendPath(f"geo/render/{name}"))
                holder.GetPayloads().AddPayload(asset.payloads[name])
            _show_proxy(stage, top.AppendPath("geo/proxy"), name)
    variants.SetVariantSelection(next(iter(asset.payloads), "proxy"))


def _show_proxy(stage: Usd.Stage, path: Sdf.Path, representation: str) -> None:
    """The gray box stands in for a payload while working, or is what is asked for itself."""
    alone = representation in ("proxy", "box")
    scope = UsdGeom.Scope(stage.OverridePrim(path))
    scope.CreatePurposeAttr(UsdGeom.Tokens.default_ if alone else UsdGeom.Tokens.proxy)
    hidden = "hull" if representation == "box" else "box"
    part = UsdGeom.Imageable(stage.OverridePrim(path.AppendChild(hidden)))
    part.CreateVisibilityAttr(UsdGeom.Tokens.invisible)


def _looks(root: Usd.Prim, asset: AssetLayer) -> None:
    """One variant for each look. Only variants set `neuron:look`: on the root it would win over them."""
    variants = root.GetVariantSets().AddVariantSet(schema.LOOK_SET)
    for look in asset.manifest.looks:
        variants.AddVariant(look.slug)
        variants.SetVariantSelection(look.slug)
        with variants.GetVariantEditContext():
            schema.set_value(root, schema.LOOK, look.slug)
            root.SetCustomDataByKey("prompt", look.prompt)
            if look.slug in asset.colors:
                primvar = UsdGeom.PrimvarsAPI(root).CreatePrimvar(
                    "displayColor", Sdf.ValueTypeNames.Color3fArray, UsdGeom.Tokens.constant
                )
                primvar.Set(Vt.Vec3fArray([Gf.Vec3f(*asset.colors[look.slug])]))
    variants.SetVariantSelection(asset.manifest.looks[0].slug)


def _mesh(stage: Usd.Stage, path: Sdf.Path | str, net: Net) -> UsdGeom.Mesh:
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(_points(net.points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(net.quads), 4, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(net.quads.astype(np.int32).ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(_points(np.stack([net.points.min(axis=0), net.points.max(axis=0)])))
    return mesh


def _points(values: np.ndarray) -> Vt.Vec3fArray:
    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, np.float32))
