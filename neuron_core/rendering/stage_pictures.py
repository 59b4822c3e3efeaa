"""Pictures of a USD stage: its cameras over its frames, or other cameras at one time."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from neuron_core.cameras.camera import Camera, CameraError, to_json
from neuron_core.foundation.devices import warp_device
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import sha256_of
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.values import ValueNotationError, frames, size
from neuron_core.foundation.wording import counted
from neuron_core.rendering import occlusion
from neuron_core.rendering.occlusion import StageSettings
from neuron_core.rendering.scenes import ScenePixels, SceneRenderer, identity
from neuron_core.rendering.tracing import Aovs, Pictures
from neuron_core.rendering.views import DEFAULT_SIZE, Viewpoints, viewpoints
from neuron_core.usd import SceneStage, read_stage
from neuron_core.usd.records import Problem, SceneError
from neuron_core.voxels.baked import Baked
from neuron_core.voxels.nvf import LookCodes

MOST_LISTED = 10_000  # frames of a stage whose cameras are written down

MakeLook = Callable[[Baked, str], LookCodes]  # codes of a prompt that no look was baked from


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A camera of the stage at a frame, or any camera at the stage's default time."""

    camera: Camera
    time: float | None


class DrawnStage:
    """A stage that is drawn, with what went wrong so far; each problem is reported once."""

    def __init__(self, path: Path, asked: StageSettings, make_look: MakeLook, report: Reporter) -> None:
        occlusion.check_lamp(asked)
        self.stage: SceneStage = read_stage(path, asked.library)
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
        problems = self.renderer.load(snapshot, occlusion.occlusion_of(self._asked, snapshot))
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

    def pictures(self, shot: Shot, samples: int, geometry: bool) -> tuple[Pictures, Aovs | None]:
        """The same as what a folder of pictures takes."""
        pixels = self.draw(shot, samples, geometry)
        pictures = Pictures(pixels.rgba[None, ..., :3], pixels.rgba[..., 3], "linear")
        if not geometry:
            return pictures, None
        return pictures, Aovs(pixels.ids > 0, pixels.depth, pixels.normal, pixels.ids)

    def digests(self) -> list[str]:
        """Digests of the layers of the stage and of the assets that it shows, sorted."""
        files = {layer.realPath for layer in self.stage.stage.GetUsedLayers() if layer.realPath}
        layers = {sha256_of(Path(file)) for file in files if Path(file).is_file()}
        return sorted(layers | {node.digest for node in self.stage.snapshot(None).assets})

    def result(self) -> dict[str, object]:
        """What a result says of the stage: its ids, what went wrong, what is approximate."""
        return {
            "ids": {path: identity(path) for path in self.renderer.paths},
            "problems": self.problems_json(),
            "approximations": occlusion.approximations(self._asked),
        }

    def remarks(self) -> str:
        """The same for a person, to follow what was drawn."""
        wrong = f", {counted(len(self.problems), 'problem')}" if self.problems else ""
        approximate = occlusion.approximations(self._asked)
        return wrong + (f"; approximate: {', '.join(approximate)}" if approximate else "")

    def problems_json(self) -> list[dict[str, object]]:
        """What went wrong, as plain data."""
        return [
            {"path": one.path, "message": one.message, "hint": one.hint, "kind": one.kind}
            for one in self.problems.values()
        ]

    def description(self, cameras: str, size_text: str, shots: "Shots") -> dict[str, object]:
        """What pictures depend on, beside how they are drawn: cameras of the stage count as their names."""
        listed: list[object] = [cameras.strip(), size_text]
        if shots.views is not None:
            listed = [to_json(camera) for camera in shots.views.cameras]
        return {"scene": self.digests(), "cameras": listed, **occlusion.description(self._asked)}


def refuse_asset_options(prompt: str, detail: str) -> None:
    """Raise NeuronError for what only a single asset takes."""
    if prompt:
        raise NeuronError(
            "The looks of a scene stand in its stage; --prompt is for single assets.",
            'Set one with: neuron scene set STAGE PRIM --prompt "TEXT"',
        )
    if detail != "nvf":
        raise NeuronError("Scenes are drawn from baked voxels only.", "Leave out --detail.")


@dataclass(frozen=True, slots=True)
class Shots:
    """What is asked for of a stage."""

    chosen: tuple[Shot, ...]
    listed: tuple[Camera, ...]  # all that the folder lists, also for other machines
    views: Viewpoints | None  # cameras that are not of the stage


def shots_of(stage: DrawnStage, cameras: str, frame_range: str, size_text: str, elevation: float) -> Shots:
    """The shots that `--cameras`, `--frames` and `--size` mean; a turntable frames what there is.

    Raises CameraError, FileError or ValueNotationError.
    """
    prim = cameras.strip()
    if not prim.startswith("/"):
        stage.load(None)
        views = viewpoints(cameras, size_text, stage.renderer.outline(), elevation)
        chosen = tuple(Shot(camera, None) for camera in views.chosen(frame_range))
        return Shots(chosen, views.cameras, views)
    numbers = stage_frames(stage.stage, frame_range)
    span = stage.stage.time_range()
    everything = set(numbers)
    if span and span[1] - span[0] < MOST_LISTED:
        everything |= set(range(math.ceil(span[0]), math.floor(span[1]) + 1))
    made = {number: stage_camera(stage.stage, prim, size_text, number) for number in sorted(everything)}
    return Shots(tuple(Shot(made[number], float(number)) for number in numbers), tuple(made.values()), None)


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
    return replace(camera, name=f"{plain}_{frame:04d}")


def require_camera(stage: SceneStage, prim: str) -> str:
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
