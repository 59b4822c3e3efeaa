"""`neuron anchor`: frames of a scene that other programs start from."""

import math
from pathlib import Path

from pxr import Usd, UsdGeom

from neuron_core.cameras.camera import Camera
from neuron_core.foundation import interrupts
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.values import ValueNotationError, comma_list, frames
from neuron_core.rendering import shadows
from neuron_core.rendering.motion import View, flow_between
from neuron_core.rendering.scenes import identity
from neuron_core.tasks.anchor.config import AnchorConfig
from neuron_core.tasks.anchor.folder import AnchorFolder
from neuron_core.tasks.render.scenes import (
    Shot,
    Stage,
    problems_json,
    require_cameras,
    scene_digest,
    stage_camera,
)
from neuron_core.usd import SceneStage

VERSION = 1
CONVENTIONS = {
    "world": "right-handed, Y up, metres; matrices multiply column vectors",
    "camera": "looks down -Z, +Y up; c2w is camera to world; K maps x/-z, -y/-z to pixels, y down",
    "pixels": "the centre of the first pixel is (0.5, 0.5)",
    "depth": "distance in metres along the unit ray through the pixel's centre; 0 where nothing is",
    "normal": "world, unit",
    "id": "CRC-32 of the prim's path modulo 2^24 - 1, plus 1; 0 where nothing is",
    "flow": "pixels to add to reach the same point in the next anchor; flow.known, flow.seen are masks",
    "color": "EXR linear Rec. 709, premultiplied; PNG sRGB, straight",
}


def run(config: AnchorConfig, report: Reporter) -> dict[str, object]:
    """Write the anchors that are missing, then the index. Returns where everything is."""
    report.progress(0.0, "load", str(config.scene))
    stage = Stage(Path(config.scene), config, report)
    prim = require_cameras(stage.stage, config.camera)
    numbers = anchor_frames(stage.stage, config.frames)
    cameras = [stage_camera(stage.stage, prim, config.size, number) for number in numbers]
    names = [f"anchor_{number:04d}" for number in numbers]
    folder = AnchorFolder(Path(config.out), _describe(config, stage, prim, numbers), names)
    folder.open(config.overwrite)
    anchors: list[dict[str, object]] = []
    view: View | None = None
    written = 0
    for index, number in enumerate(numbers):
        interrupts.stop_if_requested()
        following = index + 1 if index + 1 < len(numbers) else None
        missing = not folder.has(names[index])
        view = view or _view(stage, cameras[index], number, config.samples if missing else 1)
        after = None
        if following is not None:
            fine = config.samples if not folder.has(names[following]) else 1
            after = _view(stage, cameras[following], numbers[following], fine)
        if missing:
            folder.write(names[index], view.pixels, flow_between(view, after) if after else None)
            written += 1
        record = _record(stage.stage, prim, cameras[index], number, view)
        record |= {"files": folder.files(names[index]), "name": names[index]}
        record["next"] = names[following] if following is not None else None
        anchors.append(record)
        view = after
        report.progress((index + 1) / len(numbers), "anchor", f"{names[index]}  {index + 1}/{len(numbers)}")
    folder.write_index(anchors, complete=True)
    return {
        "folder": str(folder.path),
        "index": str(folder.path / "anchors.json"),
        "anchors": [str(folder.path / f"{name}.exr") for name in names],
        "rendered": written,
        "skipped": len(names) - written,
        "problems": problems_json(stage),
        "approximations": shadows.approximations(config),
        "summary": f"{folder.path}: {len(names)} anchors of {prim}, {written} written.",
    }


def anchor_frames(stage: SceneStage, text: str) -> list[int]:
    """The frames `a,b,c` or `A-BxS`; the first and the last one of the stage for an empty text."""
    if not text.strip():
        span = stage.time_range()
        first, last = (math.ceil(span[0]), math.floor(span[1])) if span else (1, 1)
        return [first] if last <= first else [first, last]
    if "," not in text:
        return list(frames(text))
    found = []
    for item in comma_list(text):
        one = frames(item)
        if len(one) != 1:
            raise ValueNotationError(f"{item!r} is not one frame.", "Write a,b,c or FIRST-LASTxSTEP.")
        found.append(one[0])
    if found != sorted(set(found)):
        raise ValueNotationError(
            f"The frames {text!r} do not ascend.", "Write them in their order, each once."
        )
    return found


def _view(stage: Stage, camera: Camera, number: int, samples: int) -> View:
    pixels = stage.draw(Shot(camera, float(number)), samples, geometry=True)
    return View(camera, pixels, stage.renderer.matrices())


def _describe(config: AnchorConfig, stage: Stage, prim: str, numbers: list[int]) -> dict[str, object]:
    return {
        "version": VERSION,
        "scene": scene_digest(stage.stage),
        "camera": prim,
        "frames": numbers,
        "size": config.size,
        "samples": config.samples,
        "conventions": CONVENTIONS,
        **shadows.description(config),
    }


def _record(stage: SceneStage, prim: str, camera: Camera, number: int, view: View) -> dict[str, object]:
    focal = float(
        UsdGeom.Camera(stage.stage.GetPrimAtPath(prim)).GetFocalLengthAttr().Get(Usd.TimeCode(number))
    )
    return {
        "frame": number,
        "width": camera.width,
        "height": camera.height,
        "K": [[camera.fl_x, 0.0, camera.cx], [0.0, camera.fl_y, camera.cy], [0.0, 0.0, 1.0]],
        "c2w": camera.c2w.tolist(),
        "focal_mm": focal,
        "film_back_mm": [camera.width * focal / camera.fl_x, camera.height * focal / camera.fl_y],
        "ids": {path: identity(path) for path in view.matrices},
        "world_from_local": {path: matrix.tolist() for path, matrix in view.matrices.items()},
    }
