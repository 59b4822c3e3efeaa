"""`neuron render` of a USD stage: its cameras over its frames, or other cameras at one time."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuron_core.cameras.camera import Camera, CameraError, to_json
from neuron_core.foundation import interrupts
from neuron_core.foundation.clocks import Stopwatch
from neuron_core.foundation.devices import warp_device
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import sha256_of
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.values import ValueNotationError, frames, size
from neuron_core.foundation.wording import counted
from neuron_core.models.field.prompted import look_maker
from neuron_core.rendering import shadows
from neuron_core.rendering.scenes import ScenePixels, SceneRenderer, identity
from neuron_core.rendering.shadows import Asked
from neuron_core.rendering.tracing import Geometry, Pictures
from neuron_core.rendering.views import DEFAULT_SIZE, Viewpoints, viewpoints
from neuron_core.tasks.render.config import RenderConfig
from neuron_core.tasks.render.folder import RenderFolder
from neuron_core.usd import SceneStage, read_stage
from neuron_core.usd.records import Problem, SceneError

MOST_LISTED = 10_000  # frames of a stage whose cameras are written down


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A camera of the stage at a frame, or any camera at the stage's default time."""

    camera: Camera
    time: float | None


class Stage:
    """A stage that is drawn, with what went wrong so far; each problem is told once."""

    def __init__(self, path: Path, asked: Asked, report: Reporter) -> None:
        shadows.check(asked)
        self.stage: SceneStage = read_stage(path, asked.library)
        make_look = look_maker(asked.encoder_weights, report)
        self.renderer = SceneRenderer(warp_device(asked.device), make_look=make_look)
        self._asked = asked
        self.problems: dict[str, Problem] = {}
        self._report = report
        self._time: float | None = math.nan  # nothing is loaded

    def load(self, when: float | None) -> None:
        """Make the renderer show a time. Raises SceneError if there is nothing to show at all."""
        if self._time == when:
            return
        snapshot = self.stage.snapshot(when)
        problems = self.renderer.load(snapshot, shadows.occlusion_in(self._asked, snapshot))
        self._time = when
        for problem in problems:
            if str(problem) not in self.problems:
                self.problems[str(problem)] = problem
                self._report.warn(" ".join(filter(None, (str(problem), problem.hint))))
        if not self.renderer.paths:
            reasons = "; ".join(str(problem) for problem in problems[:3])
            raise SceneError(
                f"{self.stage.path} shows nothing{f': {reasons}' if reasons else ''}.",
                "Add an asset: neuron scene add STAGE ASSET",
            )

    def draw(self, shot: Shot, samples: int, geometry: bool) -> ScenePixels:
        """A picture."""
        self.load(shot.time)
        return self.renderer.render(shot.camera, samples, geometry)


def run_scene(config: RenderConfig, report: Reporter) -> dict[str, object]:
    """Render the frames of a stage that are missing. Returns where everything is.

    A broken asset is a warning and among the problems of the result; the rest is drawn.
    """
    _refuse_options(config)
    report.progress(0.0, "load", str(config.asset))
    stage = Stage(Path(config.asset), config, report)
    shots, listed, views = shots_of(config, stage)
    cameras = tuple(listed)
    folder = RenderFolder(Path(config.out), _describe(config, stage, views), cameras, config.aovs())
    folder.open(config.overwrite)
    missing = [shot for shot in shots if not folder.has(shot.camera.name)]
    watch = Stopwatch()
    for index, shot in enumerate(missing):
        interrupts.stop_if_requested()
        _write(config, folder, stage, shot)
        count = f"{len(shots) - len(missing) + index + 1}/{len(shots)}"
        report.progress(0.97 * (index + 1) / len(missing), "render", f"{shot.camera.name}  {count}")
    return _result(config, folder, stage, shots, len(missing), watch.seconds)


def shots_of(config: RenderConfig, stage: Stage) -> tuple[list[Shot], list[Camera], Viewpoints | None]:
    """What is asked for, all cameras that the folder lists, and those that are not of the stage."""
    if not config.cameras.strip().startswith("/"):
        stage.load(None)
        points = stage.renderer.outline()
        views = viewpoints(config.cameras, config.size, points, config.elevation)
        shots = [Shot(camera, None) for camera in views.chosen(config.frames)]
        return shots, list(views.cameras), views
    numbers = stage_frames(stage.stage, config.frames)
    span = stage.stage.time_range()
    everything = set(numbers)
    if span and span[1] - span[0] < MOST_LISTED:
        everything |= set(range(math.ceil(span[0]), math.floor(span[1]) + 1))
    made = {
        number: stage_camera(stage.stage, config.cameras.strip(), config.size, number)
        for number in sorted(everything)
    }
    return [Shot(made[number], float(number)) for number in numbers], list(made.values()), None


def stage_frames(stage: SceneStage, text: str) -> list[int]:
    """The frames `A-BxS`; without a text those of the stage, or frame 1 of one that has none."""
    if text:
        return list(frames(text))
    span = stage.time_range()
    if span is None:
        return [1]
    found = list(range(math.ceil(span[0]), math.floor(span[1]) + 1))
    if not found:
        raise ValueNotationError(
            f"The stage has no frames from {span[0]:g} to {span[1]:g}.", "Give --frames."
        )
    return found


def stage_camera(stage: SceneStage, prim: str, size_text: str, frame: int) -> Camera:
    """A camera of the stage at a frame, with a name for its files. Raises CameraError."""
    width, height = size(size_text) if size_text else DEFAULT_SIZE
    camera = stage.camera(prim, width, height, float(frame))
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", prim.rstrip("/").rpartition("/")[2]) or "camera"
    values = {field: getattr(camera, field) for field in Camera.__dataclass_fields__}
    return Camera(**{**values, "name": f"{plain}_{frame:04d}"})


def _refuse_options(config: RenderConfig) -> None:
    if config.prompt:
        raise NeuronError(
            "The looks of a scene stand in its stage; --prompt is for single assets.",
            'Set one with: neuron scene set STAGE PRIM --prompt "TEXT"',
        )
    if config.detail != "nvf":
        raise NeuronError("Scenes are drawn from baked voxels only.", "Leave out --detail.")


def _describe(config: RenderConfig, stage: Stage, views: Viewpoints | None) -> dict[str, object]:
    """Everything that a picture depends on. Which frames were asked for is not part of it."""
    cameras: object = [config.cameras.strip(), config.size]
    if views is not None:
        cameras = [to_json(camera) for camera in views.cameras]
    return {
        "scene": scene_digest(stage.stage),
        "aov": sorted(config.aovs()),
        "samples": config.samples,
        "background": config.background,
        "cameras": cameras,
        **shadows.description(config),
    }


def scene_digest(stage: SceneStage) -> list[str]:
    """Digests of the layers of a stage and of the assets that it shows, sorted."""
    files = {layer.realPath for layer in stage.stage.GetUsedLayers() if layer.realPath}
    layers = {sha256_of(Path(file)) for file in files if Path(file).is_file()}
    digests = {node.digest for node in stage.snapshot(None).assets}
    return sorted(layers | digests)


def _write(config: RenderConfig, folder: RenderFolder, stage: Stage, shot: Shot) -> None:
    wants = bool({"depth", "normal", "id"} & set(config.aovs()))
    pixels = stage.draw(shot, config.samples, wants)
    pictures = Pictures(pixels.rgba[None, ..., :3], pixels.rgba[..., 3], "linear")
    geometry = Geometry(pixels.ids > 0, pixels.depth, pixels.normal, pixels.ids) if wants else None
    folder.write(shot.camera.name, pictures, geometry, config.background)


def _result(
    config: RenderConfig,
    folder: RenderFolder,
    stage: Stage,
    shots: Sequence[Shot],
    rendered: int,
    seconds: float,
) -> dict[str, object]:
    names = [shot.camera.name for shot in shots]
    width, height = shots[0].camera.width, shots[0].camera.height
    skipped = len(names) - rendered
    was_there = f", {skipped} of them were there" if skipped else ""
    speed = f", {seconds / rendered:.2f} s each" if rendered else ""
    problems = len(stage.problems)
    wrong = f", {counted(problems, 'problem')}" if problems else ""
    frame_count = counted(len(names), "frame")
    return {
        "folder": str(folder.path),
        "frames": [str(folder.png(name)) for name in names],
        "exr": [str(folder.exr(name)) for name in names] if config.aovs() else [],
        "animation": None,
        "cameras": str(folder.path / "cameras.json"),
        "ids": {path: identity(path) for path in stage.renderer.paths},
        "problems": problems_json(stage),
        "approximations": shadows.approximations(config),
        "detail": "nvf",
        "size": [width, height],
        "rendered": rendered,
        "skipped": skipped,
        "summary": f"{folder.path}: {frame_count} of {width} x {height} pixels"
        f"{was_there}{speed}{wrong}{_approximate(config)}.",
    }


def _approximate(config: RenderConfig) -> str:
    named = shadows.approximations(config)
    return f"; approximate: {', '.join(named)}" if named else ""


def problems_json(stage: Stage) -> list[dict[str, object]]:
    """What went wrong, as plain data."""
    return [
        {"path": one.path, "message": one.message, "hint": one.hint, "kind": one.kind}
        for one in stage.problems.values()
    ]


def require_cameras(stage: SceneStage, prim: str) -> str:
    """The path of a camera; the only one of the stage for an empty text. Raises CameraError."""
    if prim.strip():
        return prim.strip()
    known = stage.cameras()
    if len(known) == 1:
        return known[0]
    raise CameraError(
        f"{stage.path} has {len(known) or 'no'} cameras.",
        f"Say which with --camera: {', '.join(known) or 'add one'}.",
    )
