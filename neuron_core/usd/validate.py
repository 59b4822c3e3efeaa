"""Checks a stage: the validators that ship with USD, and what only Neuron can know.

Problems that are not `fatal` are warnings. `deep` reads the tensors of every `.neuron` file once.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from pxr import Sdf, Usd, UsdGeom

from neuron_core.assets import Asset, Manifest, header_of, read_asset
from neuron_core.foundation.errors import NeuronError
from neuron_core.usd import proxy, schema
from neuron_core.usd.records import AssetNode, Problem
from neuron_core.usd.splats import is_splat, splat_problems
from neuron_core.usd.stage import SceneStage, quiet

HELD = 0.999  # share of the density that has to lie within the extent
EVERYTHING = Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)

KEYWORD = "Neuron"  # of validators that we register with USD

EncoderCheck = Callable[[Manifest], None]  # raises a NeuronError where the encoder cannot be had


def validate(
    scene: SceneStage,
    deep: bool = False,
    check_encoder: EncoderCheck | None = None,
    times: Iterable[float | None] = (None,),
) -> list[Problem]:
    """Everything that is wrong with a stage, each once, in a stable order. Raises SceneError.

    `times` are those at which transforms, looks and files are checked.
    """
    nodes: dict[str, AssetNode] = {}
    found = [*_usd_problems(scene.stage), *asset_problems(scene, times, nodes)]
    for prim in Usd.PrimRange.Stage(scene.stage, EVERYTHING):
        if is_splat(prim):
            found += splat_problems(prim, Usd.TimeCode.EarliestTime())
    found += _file_problems(scene.stage, list(nodes.values()), deep, check_encoder)
    return _distinct(found)


def asset_problems(
    scene: SceneStage, times: Iterable[float | None] = (None,), nodes: dict[str, AssetNode] | None = None
) -> list[Problem]:
    """What is wrong with the neural assets of a stage by what prims and headers say. Raises SceneError.

    Adds what is drawn to `nodes`, by path.
    """
    found = [*_root_problems(scene.stage)]
    for time in times:
        snapshot = scene.snapshot(time)
        found += snapshot.problems
        if nodes is not None:
            nodes |= {node.path: node for node in snapshot.assets}
    for prim in Usd.PrimRange.Stage(scene.stage, EVERYTHING):
        if schema.is_asset(prim):
            found += _variant_problems(prim)
    return found


def _distinct(problems: Iterable[Problem]) -> list[Problem]:
    """Each once. What USD says of a file that cannot be found is left out where we say it of a prim."""
    once = {(one.path, one.message): one for one in problems}
    ours = [one.message for one in once.values() if one.kind != "usd"]
    return [one for one in once.values() if not _said(one, ours)]


def _said(problem: Problem, others: list[str]) -> bool:
    missing = re.fullmatch(r"Found unresolvable external dependency '(.*)'\.", problem.message)
    return missing is not None and any(PurePath(missing[1]).name in message for message in others)


def _usd_problems(stage: Usd.Stage) -> Iterable[Problem]:
    """What the validators of this USD say, without ours; none where it has none."""
    try:
        from pxr import UsdValidation
    except ImportError:
        return
    registry = UsdValidation.ValidationRegistry()
    theirs = [one for one in registry.GetOrLoadAllValidators() if not _is_ours(one.GetMetadata())]
    context = UsdValidation.ValidationContext(theirs)
    with quiet():
        errors = context.Validate(stage)
    for error in errors:
        if error.GetName() == "CompositionError":
            continue  # the snapshot lists them with hints
        sites = [str(site.GetPrim().GetPath()) for site in error.GetSites() if site.GetPrim()]
        fatal = error.GetType() == UsdValidation.ValidationErrorType.Error
        text = " ".join(error.GetMessage().split())
        hint = f"USD calls it {error.GetName()}."
        if text.endswith("unsupported extension 'neuron'."):
            fatal, hint = False, "Neuron reads it in its package; programs that take USDZ only may refuse it."
        yield Problem(sites[0] if sites else "/", text, hint, "usd", fatal)


def _is_ours(metadata: Any) -> bool:
    return KEYWORD in metadata.GetKeywords()


def _root_problems(stage: Usd.Stage) -> Iterable[Problem]:
    """What a layer lacks that publishes an asset as its default prim."""
    root = stage.GetDefaultPrim()
    if not root or not schema.is_asset(root):
        return
    path, model = str(root.GetPath()), Usd.ModelAPI(root)
    if model.GetKind() != "component":
        yield Problem(path, f"Its kind is {model.GetKind() or 'not set'}, not component.", "", "asset", False)
    if not model.GetAssetVersion():
        yield Problem(path, "Its assetInfo states no version.", "Publish it into a library.", "asset", False)
    if not root.GetAttribute("extentsHint").HasAuthoredValue():
        yield Problem(path, "It has no extentsHint.", "Publish it into a library.", "asset", False)
    for name in (schema.REPRESENTATION_SET, schema.LOOK_SET):
        if not root.GetVariantSets().HasVariantSet(name):
            yield Problem(
                path, f"It has no variant set {name}.", "Publish it into a library.", "asset", False
            )
    if not root.IsA(UsdGeom.Xform):
        yield Problem(
            path, f"It is a {root.GetTypeName() or 'typeless prim'}, not an Xform.", "", "asset", False
        )


def _variant_problems(prim: Usd.Prim) -> Iterable[Problem]:
    """Looks that variants offer and the file does not have, or the other way round."""
    if not prim.GetVariantSets().HasVariantSet(schema.LOOK_SET):
        return
    value = prim.GetAttribute(schema.FILE).Get()
    if not isinstance(value, Sdf.AssetPath) or not value.resolvedPath:
        return
    try:
        slugs = [look.slug for look in header_of(Path(value.resolvedPath)).manifest.looks]
    except NeuronError:
        return  # the snapshot says so
    variants = list(prim.GetVariantSet(schema.LOOK_SET).GetVariantNames())
    strange = sorted(set(variants) - set(slugs))
    if strange:
        hint = f"The file has: {', '.join(slugs)}."
        message = f"It offers looks that its file does not have: {', '.join(strange)}."
        yield Problem(str(prim.GetPath()), message, hint, "asset")
    selected = prim.GetVariantSet(schema.LOOK_SET).GetVariantSelection()
    if selected and selected not in variants:
        hint = f"There are: {', '.join(variants)}."
        yield Problem(str(prim.GetPath()), f"The look {selected!r} is selected and not there.", hint, "asset")


def _file_problems(
    stage: Usd.Stage, nodes: list[AssetNode], deep: bool, check_encoder: EncoderCheck | None
) -> Iterable[Problem]:
    """What is wrong with the files of the nodes, each file once, at the first prim that uses it."""
    first: dict[Path, AssetNode] = {}
    for node in nodes:
        if node.file is not None:
            first.setdefault(node.file, node)
    for file, node in first.items():
        try:
            manifest = header_of(file).manifest
            if check_encoder is not None and manifest.encoder is not None:
                check_encoder(manifest)
        except NeuronError as error:
            yield Problem(node.path, error.message, error.hint, error.kind)
        if not deep:
            continue
        try:
            yield from _extent_problems(stage, node, read_asset(file))
        except NeuronError as error:
            yield Problem(node.path, error.message, error.hint, error.kind)


def _extent_problems(stage: Usd.Stage, node: AssetNode, asset: Asset) -> Iterable[Problem]:
    """Whether the extentsHint of the prim holds the density of its file."""
    prim = stage.GetPrimAtPath(node.path) if "[" not in node.path else None
    hint = prim.GetAttribute("extentsHint").Get() if prim else None
    if hint is None or len(hint) < 2:
        return
    held = held_density(proxy.fog_of(asset.tensors), np.asarray(hint[:2], np.float64))
    if held < HELD:
        yield Problem(
            node.path,
            f"Its extentsHint holds {100 * held:.2f} % of the density of {node.file}.",
            "Publish the asset again.",
            "asset",
        )


def held_density(fog: proxy.Fog, box: np.ndarray) -> float:
    """The share of the density that lies within a box [2, 3], by voxels that are in it whole."""
    low = fog.origin + fog.low * fog.voxel_size
    slack = 1e-4 * fog.voxel_size + 1e-6 * np.abs(box).max()
    inside = ((low >= box[0] - slack) & (low + fog.voxel_size <= box[1] + slack)).all(axis=1)
    return float(fog.mass[inside].sum() / fog.mass.sum())
