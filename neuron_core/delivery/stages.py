"""Scenes of assets: everything in one file, or a file for each asset and a stage that places them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Gf, Tf, Usd, UsdGeom

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import USD_SUFFIXES, replacing
from neuron_core.foundation.interrupts import stop_if_requested
from neuron_core.foundation.outputs import all_or_none, require_free
from neuron_core.foundation.progress import Part, Reporter
from neuron_core.geometry.usd_scene import DRAWN_PURPOSES
from neuron_core.splats.cloud import Splats, joined
from neuron_core.splats.moving import transformed
from neuron_core.usd import schema
from neuron_core.usd.components import new_model
from neuron_core.usd.records import AssetNode
from neuron_core.usd.stage import read_stage


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported once, however often it is placed."""

    file: Path
    look: str

    @property
    def name(self) -> str:
        """Of its file and prim."""
        return str(Tf.MakeValidIdentifier(f"{self.file.stem}_{self.look}"))


Fit = Callable[[Source, int, Reporter], Splats]
Write = Callable[[Source, Path, Reporter], object]


def is_scene(path: Path) -> bool:
    """Whether a USD file places neural assets."""
    if path.suffix.lower() not in USD_SUFFIXES:
        return False
    stage = read_stage(path).stage
    prims = Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies())
    return any(schema.is_asset(prim) for prim in prims)


def placed(path: Path, report: Reporter) -> list[tuple[Source, np.ndarray]]:
    """What a scene shows and where, [4, 4] of column vectors each, in meters with Y up.

    Raises NeuronError for a scene without assets, or with one that no look was baked for.
    """
    snapshot = read_stage(path).snapshot()
    for problem in snapshot.problems:
        report.warn(str(problem))
    nodes = [node for node in snapshot.assets if node.purpose in DRAWN_PURPOSES and node.file is not None]
    if not nodes:
        raise NeuronError(f"{path} shows no neural asset.", "See what it has: neuron inspect")
    if snapshot.meshes:
        report.warn(f"{len(snapshot.meshes)} ordinary meshes of {path} are not exported.")
    return [(_source(node), node.world_from_asset) for node in nodes]


def _source(node: AssetNode) -> Source:
    assert node.file is not None
    if node.prompt:
        raise NeuronError(
            f"{node.path} asks for {node.prompt!r}, which was not baked.",
            f"Bake it first: neuron look {node.file} --prompt TEXT --out NEW.neuron",
        )
    return Source(node.file, node.look)


def flat_splats(
    placements: Sequence[tuple[Source, np.ndarray]], most: int, fit: Fit, report: Reporter
) -> Splats:
    """All assets as one cloud, harmonics turned along; the budget is shared by the instances."""
    each = most // len(placements)
    if each < 1:
        raise NeuronError(f"{most} splats are too few for {len(placements)} assets.", "Ask for more.")
    sources = list(dict.fromkeys(source for source, _ in placements))
    clouds = {}
    for index, source in enumerate(sources):
        stop_if_requested()
        share = Part(report, index / len(sources), (index + 1) / len(sources))
        clouds[source] = fit(source, each, share)
    return joined([transformed(clouds[source], matrix) for source, matrix in placements])


def write_instances(
    path: Path,
    placements: Sequence[tuple[Source, np.ndarray]],
    write: Write,
    report: Reporter,
    overwrite: bool,
) -> Mapping[str, object]:
    """A file for each asset in a folder beside the stage, which references and places them."""
    if path.suffix.lower() not in USD_SUFFIXES[:-1]:
        raise NeuronError(
            f"{path} cannot place instances.", f"Take one of {', '.join(USD_SUFFIXES[:-1])}, or --scene flat."
        )
    folder = path.with_name(f"{path.stem}_assets")
    sources = list(dict.fromkeys(source for source, _ in placements))
    names = _names(sources)
    files = {source: folder / f"{names[source]}.usdc" for source in sources}
    require_free(files.values(), overwrite)
    with all_or_none(files.values()):
        for index, (source, file) in enumerate(files.items()):
            stop_if_requested()
            write(source, file, Part(report, index / len(files), (index + 1) / len(files)))
        _write_stage(path, placements, files)
    return {"instances": len(placements), "files": [str(file) for file in files.values()]}


def _names(sources: Sequence[Source]) -> dict[Source, str]:
    """Distinct names for files of the same name from different folders."""
    found: dict[Source, str] = {}
    for source in sources:
        name, number = source.name, 1
        while name in found.values():
            number += 1
            name = f"{source.name}_{number}"
        found[source] = name
    return found


def _write_stage(
    path: Path, placements: Sequence[tuple[Source, np.ndarray]], files: Mapping[Source, Path]
) -> None:
    with replacing(path) as temporary:
        stage, root = new_model(temporary, path.stem, "assembly")
        for index, (source, matrix) in enumerate(placements):
            file = files[source]
            name = f"{Tf.MakeValidIdentifier(file.stem)}_{index:04d}"
            prim = UsdGeom.Xform.Define(stage, root.GetPath().AppendChild(name))
            prim.GetPrim().GetReferences().AddReference(f"./{file.parent.name}/{file.name}")
            prim.GetPrim().SetInstanceable(True)
            prim.MakeMatrixXform().Set(Gf.Matrix4d(np.asarray(matrix, np.float64).T.tolist()))
        stage.Save()
