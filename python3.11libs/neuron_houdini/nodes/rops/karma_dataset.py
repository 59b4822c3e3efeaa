"""Ground truth with Karma: the files of a request, and what husk and the engine have to do then."""

from __future__ import annotations  # names of hou differ between versions

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hou
import numpy as np
from pxr import Sdf, Usd, UsdGeom

from neuron_core.cameras.camera import Camera
from neuron_core.datasets.layout import CAMERA_SPLITS, DatasetError
from neuron_core.datasets.manifest import RendererInfo
from neuron_core.geometry import load_geometry
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.groundtruth.karma.request import FOLDER, GBUFFER, Request, read_request, write_request
from neuron_core.groundtruth.plan import DatasetPlan, make_plan
from neuron_core.materials import read_library
from neuron_core.materials.record import Material
from neuron_core.usd import karma_settings, lookdev
from neuron_core.usd.cameras import camera_paths, read_camera
from neuron_core.usd.components import set_frame
from neuron_core.usd.records import engine_from_stage
from neuron_houdini.engine import husk, karma, process
from neuron_houdini.nodes import messages
from neuron_houdini.nodes.lops.shaderball import geometry_of, light_file
from neuron_houdini.nodes.parameters import text, values_of

CAMERA = f"{lookdev.ROOT}/karma_camera"
WATERMARK = (0.3, 0.12)  # of the width and height, in the lower right corner, with a margin


def render(node: hou.RopNode, progress: Callable[[float], None]) -> None:
    """Write the request, render what is missing, convert. Raises NeuronError."""
    python = process.ready()  # before hours of rendering, not after them
    karma.carry_out(order_of(node), python, lambda fraction, _: progress(fraction))


def order_of(node: hou.RopNode) -> karma.Order:
    """Write the request, and say what is left to do. Raises NeuronError."""
    left = husk.items(_folder(node), prepare(node))
    return karma.Order(tuple((item, command_of(node, item)) for item in left), convert_words(node))


def work_items(node: hou.RopNode, frames: int = 8) -> list[dict[str, object]]:
    """For TOPs: what is left to render, at most so many frames each, as plain data with its command line.

    Afterwards one item runs `python -m neuron_core` with the words of `convert_words`. Raises hou.NodeError.
    """
    with messages.node_errors():
        left = husk.items(_folder(node), prepare(node), frames)
    return [
        {
            "name": item.name,
            "first": item.first,
            "count": item.count,
            "command": command_of(node, item),
            "outputs": [str(item.file_of(frame)) for frame in item.frames],
        }
        for item in left
    ]


def command_of(node: hou.RopNode, item: husk.Item) -> list[str]:
    """The husk command line of an item."""
    side = read_request(_folder(node)).cameras[0]
    quality = husk.Quality(
        engine=text(node, "karma_engine"),
        samples=int(text(node, "karma_samples")),
        resolution=(side.width, side.height),
    )
    return husk.command(text(node, "husk"), item, quality)


def convert_words(node: hou.RopNode) -> list[str]:
    """What the engine is told when all is rendered."""
    words = ["karma", str(_folder(node))]
    return [*words, "--overwrite"] if node.evalParm("overwrite") else words


def _folder(node: hou.RopNode) -> Path:
    return Path(text(node, "out"))


def prepare(node: hou.RopNode) -> Request:
    """Write the request and the stages. Raises NeuronError, also where pictures of another request lie."""
    folder = _folder(node)
    config = _config(node)
    chosen = _stage_of(node)
    stage = _own_stage(folder, config) if chosen is None else chosen
    base = folder / FOLDER / "stage.usdc"
    beside = base.with_name("next.usdc")
    _export(stage, beside)
    try:
        if chosen is None:
            request = _own_request(node, config)
            targets = lookdev.material_targets(geometry_of(request.geometry, request.assign))
        else:
            request = _stage_request(node, config, stage, beside, base)
            targets = [text(node, "prim")]
        request = replace(request, layered=lookdev.can_vary(stage, targets))
        _check_size(request.cameras[0])
        _check_same(node, folder, request)
        beside.replace(base)
    finally:
        beside.unlink(missing_ok=True)
    _reload(base)
    write_layers(folder, request, targets)
    write_request(folder, request)
    return request


def _export(stage: Usd.Stage, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not stage.Flatten().Export(str(path)):
        raise DatasetError(f"{path} cannot be written.", "Look at the path and the permissions.")
    _reload(path)


def _reload(path: Path) -> None:
    """Let USD forget what it read of a file that was written again."""
    layer = Sdf.Layer.Find(str(path))
    if layer:
        layer.Reload(force=True)


def _config(node: hou.RopNode) -> DatasetConfig:
    values: dict[str, Any] = values_of(node, "dataset")
    return DatasetConfig(**values, surface_views=0)


def _stage_of(node: hou.RopNode) -> Usd.Stage | None:
    """The stage of the LOP that is named; None where none is. Raises hou.NodeError."""
    path = text(node, "loppath")
    if not path:
        return None
    lop = node.node(path)
    stage = lop.stage() if isinstance(lop, hou.LopNode) else None
    if stage is None:
        raise hou.NodeError(f"There is no LOP node with a stage at {path!r}. Pick one under LOP Path.")
    return stage


def _own_plan(config: DatasetConfig) -> DatasetPlan:
    library = read_library(config.materials)
    geometry = geometry_of(config.geometry, config.assign)
    return make_plan(config, geometry, library.materials, library.held_out)


def _own_request(node: hou.RopNode, config: DatasetConfig) -> Request:
    """Of the geometry and cameras that the engine would render itself."""
    if config.ground:
        raise DatasetError(
            "The ground is part of the engine's own scenes.", "Switch it off, or build it in LOPs."
        )
    return _request(node, config, _own_plan(config), np.eye(4))


def _own_stage(folder: Path, config: DatasetConfig) -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory()
    set_frame(stage)
    lookdev.add_geometry(stage, geometry_of(config.geometry, config.assign))
    lookdev.add_light(stage, _light_of(config.light, folder).resolve().as_posix())
    return stage


def _light_of(light: str, folder: Path) -> Path:
    """The picture of a light: that of the studio, or somebody's own."""
    if light == "studio":
        return light_file(folder / FOLDER)
    if not Path(light).is_file():
        raise DatasetError(
            f"{light!r} is not a light for Karma.",
            "Give studio, or a latitude-longitude picture that is there.",
        )
    return Path(light)


def _stage_request(
    node: hou.RopNode, config: DatasetConfig, stage: Usd.Stage, exported: Path, base: Path
) -> Request:
    """Of a stage: its cameras whose names begin with train, val or test, and the geometry at a prim."""
    prim = text(node, "prim")
    geometry = load_geometry(f"{exported}@{prim}", config.assign)
    unit, up = float(UsdGeom.GetStageMetersPerUnit(stage)), str(UsdGeom.GetStageUpAxis(stage)).upper()
    matrix = np.eye(4)
    matrix[:3, 3] = [-value for value in geometry.center]
    cameras, splits = _stage_cameras(stage, config.resolution, matrix)
    library = read_library(config.materials)
    hidden = library.held_out or frozenset()
    plan = DatasetPlan(
        geometry, tuple(library.materials), hidden if splits["test"] else frozenset(), cameras, splits
    )
    changed = replace(config, geometry=f"{base}@{prim}")
    return _request(node, changed, plan, matrix @ engine_from_stage(unit, up))


def _stage_cameras(
    stage: Usd.Stage, side: int, matrix: np.ndarray
) -> tuple[tuple[Camera, ...], dict[str, tuple[str, ...]]]:
    found, splits = [], {}
    for split in CAMERA_SPLITS:
        paths = [path for path in camera_paths(stage) if Sdf.Path(path).name.startswith(split)]
        for path in paths:
            camera = read_camera(stage, path, side, side, Usd.TimeCode.EarliestTime())
            found.append(replace(camera, name=Sdf.Path(path).name, c2w=matrix @ camera.c2w))
        splits[split] = tuple(Sdf.Path(path).name for path in paths)
    if not splits["train"]:
        raise DatasetError(
            "The stage has no camera whose name begins with train.",
            "Take the stage of a Neuron Shader Ball, or name cameras train_..., val_... and test_...",
        )
    return tuple(found), splits


def _request(node: hou.RopNode, config: DatasetConfig, plan: DatasetPlan, matrix: np.ndarray) -> Request:
    settings: dict[str, object] = {"samples": int(text(node, "karma_samples"))}
    if not text(node, "loppath"):
        settings["light"] = config.light
    engine_name = text(node, "karma_engine")
    return Request(
        geometry=config.geometry,
        assign=config.assign,
        geometry_digest=plan.geometry.digest(),
        materials=plan.materials,
        held_out=tuple(sorted(plan.held_out)),
        cameras=plan.cameras,
        splits=plan.splits,
        renderer=RendererInfo("karma", hou.applicationVersionString(), engine_name, settings),
        dataset_from_stage=matrix,
        mask_rectangle=watermark(plan.cameras[0]) if is_apprentice() else None,
    )


def is_apprentice() -> bool:
    """Whether this Houdini puts a watermark on pictures."""
    return bool(hou.licenseCategory() == hou.licenseCategoryType.Apprentice)


def watermark(camera: Camera) -> tuple[int, int, int, int]:
    """The corner that is not learned from."""
    left, top = round(camera.width * (1 - WATERMARK[0])), round(camera.height * (1 - WATERMARK[1]))
    return left, top, camera.width, camera.height


def _check_size(camera: Camera) -> None:
    width, height = karma_settings.APPRENTICE_SIZE
    if is_apprentice() and (camera.width > width or camera.height > height):
        raise DatasetError(
            f"Houdini Apprentice renders at most {width} x {height} pixels, "
            f"not {camera.width} x {camera.height}.",
            f"Set a resolution of {height} or less.",
        )


def _check_same(node: hou.RopNode, folder: Path, request: Request) -> None:
    """Raise DatasetError where pictures of another request lie; with Replace Other Output they go."""
    raw = folder / FOLDER / "raw"
    there = sorted(raw.glob("*.exr")) if raw.is_dir() else []
    if not there or read_request(folder).to_json() == request.to_json():
        return
    if not node.evalParm("overwrite"):
        raise DatasetError(
            f"{folder} holds pictures that Karma rendered of something else.",
            "Pick another folder, or switch on Replace Other Output.",
        )
    for path in there:
        path.unlink()


def write_layers(folder: Path, request: Request, targets: list[str]) -> None:
    """On top of the stage one layer for the G-buffer, and one for each material with the material bound."""
    low, high = geometry_of(request.geometry, request.assign).aabb().astype(np.float64)
    frame = np.diag([*[1.0 / float((high - low).max())] * 3, 1.0]) @ request.dataset_from_stage
    _write_layer(folder, request, GBUFFER, frame)
    for material in request.materials:
        _write_layer(folder, request, material.name, frame, material, targets)


def _write_layer(
    folder: Path,
    request: Request,
    name: str,
    frame: np.ndarray,
    material: Material | None = None,
    targets: Sequence[str] = (),
) -> None:
    path = folder / FOLDER / f"{name}.usda"
    layer = Sdf.Layer.Find(str(path)) or Sdf.Layer.CreateNew(str(path))
    layer.Clear()
    base = Sdf.Layer.FindOrOpen(str(folder / FOLDER / "stage.usdc"))
    layer.subLayerPaths.append("./stage.usdc")
    for key in ("metersPerUnit", "upAxis"):  # sublayers do not pass them on
        if base.pseudoRoot.HasInfo(key):
            layer.pseudoRoot.SetInfo(key, base.pseudoRoot.GetInfo(key))
    stage = Usd.Stage.Open(layer)
    _add_camera(stage, request)
    if material is not None:
        varying = lookdev.add_layers(stage, targets, material, frame) if request.layered else ()
        surface = lookdev.add_material(stage, material, varying)
        for target in targets:
            lookdev.bind(stage, target, surface)
    first = request.cameras[0]
    kind = karma_settings.GBUFFER if name == GBUFFER else karma_settings.BEAUTY
    output = f"{folder.as_posix()}/{FOLDER}/raw/{name}.$F4.exr"
    karma_settings.add_settings(stage, CAMERA, (first.width, first.height), kind, output)
    layer.Save()


def _add_camera(stage: Usd.Stage, request: Request) -> None:
    """One camera that looks through every camera of the dataset, frame by frame."""
    unit, up = float(UsdGeom.GetStageMetersPerUnit(stage)), str(UsdGeom.GetStageUpAxis(stage)).upper()
    engine_from_dataset = engine_from_stage(unit, up) @ np.linalg.inv(request.dataset_from_stage)
    lookdev.add_root(stage)
    cameras = [replace(camera, c2w=engine_from_dataset @ camera.c2w) for camera in request.cameras]
    lookdev.add_camera(stage, CAMERA, cameras)
    stage.SetStartTimeCode(1)
    stage.SetEndTimeCode(len(cameras))
