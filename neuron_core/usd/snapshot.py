"""What a stage shows at one time, as plain records.

A broken asset never stops the rest: what is wrong with a prim is listed among the problems of the
snapshot, with its path. Of `.neuron` files the headers are read, once per file; weights are not.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Ar, Sdf, Usd, UsdGeom

from neuron_core.assets import FORMAT, Header, Manifest, header_of, packages
from neuron_core.foundation.errors import NeuronError
from neuron_core.prompts import check_prompt
from neuron_core.usd import schema
from neuron_core.usd.occluders import Surface
from neuron_core.usd.records import AssetNode, MeshNode, Problem, SceneError, SceneSnapshot, engine_from_stage
from neuron_core.usd.walk import PlacedPrim, Walker

SMALLEST_SCALE, LARGEST_SCALE = 1e-6, 1e6  # of an asset's axes in the engine's world
FLATTEST = 1e-5  # smallest over largest of them
FARTHEST = 1e7  # meters from the origin
UNPLACED = np.eye(4)
LONGEST_POSE = 4096  # numbers
CLEAR_POSE = "Clear it with: neuron scene set STAGE PRIM --no-pose"


def snapshot_of(stage: Usd.Stage, when: Usd.TimeCode, name: str, library: Path | None) -> SceneSnapshot:
    """What is visible at a time code. Messages call the stage `name`; with a `library`, a resolved
    folder, assets have to lie in it.

    Raises SceneError for stages that no picture can be made of: units that are not a positive number,
    too many instances.
    """
    unit = float(UsdGeom.GetStageMetersPerUnit(stage))
    if not (np.isfinite(unit) and unit > 0.0):
        raise SceneError(f"{name}: metersPerUnit is {unit}.", "Author 0.01 for centimeters, 1 for meters.")
    up_axis = str(UsdGeom.GetStageUpAxis(stage)).upper()
    walker = Walker(stage, when)
    walker.walk()
    to_engine = engine_from_stage(unit, up_axis)
    problems = [*_composition_problems(stage), *walker.problems]
    meshes = _meshes(walker.surfaces, to_engine, problems)
    assets = _assets(walker.assets, to_engine, _AssetReader(when, library), problems)
    return SceneSnapshot(tuple(assets), tuple(meshes), tuple(problems), unit, up_axis)


def _composition_problems(stage: Usd.Stage) -> Iterator[Problem]:
    for error in stage.GetCompositionErrors():
        text = " ".join(str(error).split())
        missing = re.search(r"Could not open asset @([^@]*)@", text)
        cycle = text.startswith("Cycle detected")
        message = f"Cannot open {missing[1]}." if missing else re.sub(r",@anon:[^@]*@", "", text)[:300]
        hint = "Remove one of the references." if cycle else "Look at the path; it is relative to the file."
        yield Problem(str(error.rootSite.path), message, hint, "reference")


def _meshes(
    found: list[tuple[PlacedPrim, Surface]], to_engine: np.ndarray, problems: list[Problem]
) -> Iterator[MeshNode]:
    for place, surface in found:
        with np.errstate(invalid="ignore", over="ignore"):  # `_unplaceable` looks at it
            matrix = to_engine @ place.matrix.T
        matrix.setflags(write=False)
        wrong = _unplaceable(matrix, surface.positions)
        if wrong is None:
            yield MeshNode(place.path, surface.positions, surface.faces, surface.color, matrix)
        else:
            problems.append(Problem(place.path, *wrong, "transform"))


def _assets(
    found: list[PlacedPrim], to_engine: np.ndarray, reader: "_AssetReader", problems: list[Problem]
) -> list[AssetNode]:
    matrices = np.array([one.matrix for one in found]).reshape(-1, 4, 4)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is listed below
        placed = to_engine @ matrices.transpose(0, 2, 1)
    placed.setflags(write=False)
    wrong = _unusable(placed)
    nodes = []
    for one, matrix, misplaced in zip(found, placed, wrong, strict=True):
        node, found_wrong = reader.read(one, matrix)
        if misplaced and node.file is not None:
            node = _undrawn(one, matrix)
            found_wrong = (*found_wrong, Problem(one.path, *misplaced, "transform"))
        problems += found_wrong
        nodes.append(node)
    return nodes


class _AssetReader:
    """Reads what the schema says on prims; what point instancers repeat is read once."""

    def __init__(self, when: Usd.TimeCode, library: Path | None) -> None:
        self._when = when
        self._library = library
        self._known: dict[Sdf.Path, tuple[AssetNode, tuple[Problem, ...]]] = {}
        self._files: dict[str, tuple[Path, Header]] = {}  # by resolved path

    def read(self, found: PlacedPrim, matrix: np.ndarray) -> tuple[AssetNode, tuple[Problem, ...]]:
        """The node at its place, and what is wrong with it."""
        path = found.prim.GetPath()
        if path not in self._known:
            self._known[path] = self._read(found)
        first, problems = self._known[path]
        node = AssetNode(
            found.path, first.file, first.digest, first.look, first.prompt, first.pose, matrix, found.purpose
        )
        return node, tuple(replace(problem, path=found.path) for problem in problems)

    def _read(self, found: PlacedPrim) -> tuple[AssetNode, tuple[Problem, ...]]:
        prim, path = found.prim, found.path
        digest = str(self._value(prim, schema.DIGEST) or "")
        try:
            file, header = self._file(prim)
            manifest = header.manifest
            self._check(prim, file, manifest, digest)
            look, prompt = self._appearance(prim, file, manifest)
        except NeuronError as error:
            return _undrawn(found, UNPLACED, digest), (Problem(path, error.message, error.hint, error.kind),)
        pose, wrong = _pose_of(prim, self._when, file, header)
        node = AssetNode(path, file, manifest.digest, look, prompt, pose, UNPLACED, found.purpose)
        return node, tuple(Problem(path, *each, "pose", fatal=False) for each in wrong)

    def _value(self, prim: Usd.Prim, name: str) -> Any:
        attribute = prim.GetAttribute(name)
        value = attribute.Get(self._when) if attribute else None
        return value if value is None or _fits(name, value) else None

    def _file(self, prim: Usd.Prim) -> tuple[Path, Header]:
        value = self._value(prim, schema.FILE)
        if not isinstance(value, Sdf.AssetPath) or not value.path:
            raise SceneError("It names no .neuron file.", f"Author {schema.FILE}.")
        if not value.resolvedPath:
            raise SceneError(f"There is no file {value.path}.", "Publish the asset, or mend the path.")
        if value.resolvedPath not in self._files:
            self._files[value.resolvedPath] = self._open(value)
        return self._files[value.resolvedPath]

    def _open(self, value: Sdf.AssetPath) -> tuple[Path, Header]:
        file = Path(value.resolvedPath)
        if Ar.IsPackageRelativePath(value.resolvedPath) and packages.split(file) is None:
            raise SceneError(
                f"{value.path} lies in a package inside a package.", "Unpack the inner one beside the layer."
            )
        place = packages.file_of(file).resolve()
        if self._library is not None and not place.is_relative_to(self._library):
            raise SceneError(
                f"{value.path} lies outside the library {self._library}.",
                "Publish the asset into the library, or open the stage without the restriction.",
            )
        return file, header_of(file)

    def _check(self, prim: Usd.Prim, file: Path, manifest: Manifest, digest: str) -> None:
        if digest and digest != manifest.digest:
            raise SceneError(
                f"{file} has the digest {manifest.digest[:12]}…, the prim asks for {digest[:12]}….",
                "The file was replaced after it was published. Publish it as a new version.",
            )
        version = self._value(prim, schema.FORMAT_VERSION)
        if isinstance(version, int) and version > FORMAT:
            raise SceneError(
                f"It asks for format {version}; this Neuron reads up to {FORMAT}.", "Update Neuron."
            )
        if "nvf" not in manifest.architecture or not manifest.looks:
            raise SceneError(f"{file} holds no baked voxels.", "Bake it: neuron bake RUN OUT.neuron")

    def _appearance(self, prim: Usd.Prim, file: Path, manifest: Manifest) -> tuple[str, str]:
        """Look and prompt. A prompt that a look was baked from is that look."""
        wanted = str(self._value(prim, schema.LOOK) or "")
        prompt = str(self._value(prim, schema.PROMPT) or "").strip()
        slugs = [look.slug for look in manifest.looks]
        if wanted and wanted not in slugs:
            raise SceneError(f"{file} has no look {wanted!r}.", f"It has: {', '.join(slugs)}.")
        look = wanted or slugs[0]
        if not prompt:
            return look, ""
        baked = manifest.look_of_prompt(prompt)
        if baked is not None:
            return baked.slug, ""
        check_prompt(prompt)
        if manifest.encoder is None:
            raise SceneError(
                f"{file} was made without prompts and cannot show {prompt!r}.",
                f"Leave {schema.PROMPT} empty and pick a look: {', '.join(slugs)}.",
            )
        return look, prompt


def _pose_of(
    prim: Usd.Prim, when: Usd.TimeCode, file: Path, header: Header
) -> tuple[tuple[float, ...], list[tuple[str, str]]]:
    """The pose of a prim, and what is wrong with it; an invalid pose is empty, as at rest."""
    attribute = prim.GetAttribute(schema.POSE)
    value = attribute.Get(when) if attribute else None
    if value is None:
        return (), []
    if not _fits(schema.POSE, value):
        return (), [(f"Its {schema.POSE} is not an array of floats; it is drawn at rest.", CLEAR_POSE)]
    pose = tuple(float(number) for number in value)
    if not np.isfinite(pose).all():
        return (), [(f"Its {schema.POSE} is not finite; it is drawn at rest.", CLEAR_POSE)]
    if len(pose) > LONGEST_POSE:
        return (), [
            (f"Its {schema.POSE} has {len(pose):,} numbers; {LONGEST_POSE:,} is the most.", CLEAR_POSE)
        ]
    if pose and not any(name.startswith("pose.") for name in header.tensors):
        count = "one number" if len(pose) == 1 else f"{len(pose)} numbers"
        return pose, [
            (f"Its pose has {count}, and {file.name} cannot be posed; it is drawn at rest.", CLEAR_POSE)
        ]
    return pose, []


def _unusable(world_from_asset: np.ndarray) -> list[tuple[str, str] | None]:
    """For matrices [N,4,4], why and what to do where one cannot place an asset."""
    sound = np.isfinite(world_from_asset).all(axis=(1, 2))
    axes = np.where(sound[:, None, None], world_from_asset[:, :3, :3], np.eye(3))
    with np.errstate(over="ignore", invalid="ignore"):
        scales = np.linalg.svd(axes / np.maximum(np.abs(axes).max(axis=(1, 2), keepdims=True), 1e-300))[1]
    scales = scales * np.abs(axes).max(axis=(1, 2))[:, None]
    far = np.abs(world_from_asset[:, :3, 3]).max(axis=1, initial=0.0)
    return [
        _misplaced(bool(finite), one[0], one[2], away)
        for finite, one, away in zip(sound, scales.tolist(), far.tolist(), strict=True)
    ]


def _misplaced(finite: bool, largest: float, smallest: float, far: float) -> tuple[str, str] | None:
    if not finite:
        return "Its transform is not finite.", "Author it again."
    if not smallest > FLATTEST * largest:
        return (
            f"Its transform is singular: the scales of its axes go from {smallest:.3g} to {largest:.3g}.",
            "Give every axis a scale.",
        )
    if not (largest <= LARGEST_SCALE and smallest >= SMALLEST_SCALE):
        return (
            f"Its transform scales it by {smallest:.3g} to {largest:.3g}.",
            f"Scales from {SMALLEST_SCALE:g} to {LARGEST_SCALE:g} can be drawn; look at the units.",
        )
    if not far <= FARTHEST:
        return f"It stands {far:.3g} m from the origin.", f"Bring it within {FARTHEST:g} m."
    return None


def _undrawn(found: PlacedPrim, matrix: np.ndarray, digest: str = "") -> AssetNode:
    return AssetNode(found.path, None, digest, "", "", (), matrix, found.purpose)


def _unplaceable(matrix: np.ndarray, positions: np.ndarray) -> tuple[str, str] | None:
    """Why and what to do where an ordinary surface cannot stand in the engine's world."""
    if not np.isfinite(matrix).all():
        return "Its transform is not finite.", "Author it again."
    ends = np.abs(positions).max(axis=0, initial=0.0)
    with np.errstate(over="ignore"):
        reach = float((np.abs(matrix[:3, :3]) @ ends + np.abs(matrix[:3, 3])).max())
    if reach > FARTHEST:
        return f"It reaches {reach:.3g} m from the origin.", f"Bring it within {FARTHEST:g} m."
    return None


def _fits(name: str, value: object) -> bool:
    """Whether a value has the type of its attribute: nothing keeps a file from other types."""
    if name == schema.FILE:
        return isinstance(value, Sdf.AssetPath)
    if name == schema.FORMAT_VERSION:
        return isinstance(value, int)
    if name == schema.POSE:
        return not isinstance(value, str) and np.asarray(value).dtype.kind == "f"
    return isinstance(value, str)
