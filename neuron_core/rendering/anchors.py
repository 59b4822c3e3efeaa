"""Anchors: frames of a stage, with geometry and optical flow, that other programs start from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pxr import Usd, UsdGeom

from neuron_core.cameras.camera import Camera
from neuron_core.foundation import interrupts
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.values import ValueNotationError, comma_list, frames
from neuron_core.rendering.anchor_folder import AnchorFolder
from neuron_core.rendering.motion import AnchorGeometry, flow_between
from neuron_core.rendering.scenes import identity
from neuron_core.rendering.stage_pictures import DrawnStage, Shot, stage_camera
from neuron_core.usd import SceneStage

VERSION = 1
CONVENTIONS = {
    "world": "right-handed, Y up, meters; matrices multiply column vectors",
    "camera": "looks down -Z, +Y up; c2w is camera to world; K maps x/-z, -y/-z to pixels, y down",
    "pixels": "the center of the first pixel is (0.5, 0.5)",
    "depth": "distance in meters along the unit ray through the pixel's center; 0 where nothing is",
    "normal": "world, unit",
    "id": "CRC-32 of the prim's path modulo 2^24 - 1, plus 1; 0 where nothing is",
    "flow": "pixels to add to reach the same point in the next anchor; flow.known, flow.seen are masks",
    "color": "EXR linear Rec. 709, premultiplied; PNG sRGB, straight",
}


@dataclass(frozen=True, slots=True)
class Anchors:
    """The anchors of a camera prim at frames, in their order."""

    prim: str
    numbers: tuple[int, ...]
    cameras: tuple[Camera, ...]
    samples: int  # rays along each side of a pixel, for color and alpha

    @property
    def names(self) -> list[str]:
        """Of their files."""
        return [f"anchor_{number:04d}" for number in self.numbers]

    def description(self, stage: DrawnStage, size: str) -> dict[str, object]:
        """Everything that they follow from; `size` as it was asked for."""
        return {
            "version": VERSION,
            "scene": stage.digests(),
            "camera": self.prim,
            "frames": list(self.numbers),
            "size": size,
            "samples": self.samples,
            "conventions": CONVENTIONS,
        }


def anchors_of(stage: SceneStage, prim: str, frame_list: str, size: str, samples: int) -> Anchors:
    """The anchors of a camera. Raises CameraError or ValueNotationError."""
    numbers = anchor_frames(stage, frame_list)
    cameras = [stage_camera(stage, prim, size, number) for number in numbers]
    return Anchors(prim, tuple(numbers), tuple(cameras), samples)


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


def draw_missing(
    stage: DrawnStage, anchors: Anchors, folder: AnchorFolder, report: Reporter
) -> tuple[list[dict[str, object]], int]:
    """Write the anchors that are not there; the records of all, and how many were written."""
    records: list[dict[str, object]] = []
    missing = [not folder.has(name) for name in anchors.names]
    view: AnchorGeometry | None = None
    for index, name in enumerate(anchors.names):
        interrupts.stop_if_requested()
        view = view or _view(stage, anchors, index, missing)
        after = _view(stage, anchors, index + 1, missing) if index + 1 < len(missing) else None
        if missing[index]:
            folder.write(name, view.pixels, flow_between(view, after) if after else None)
        following = anchors.names[index + 1] if after else None
        record = _record(stage.stage, anchors.prim, anchors.numbers[index], view)
        records.append({**record, "files": folder.files(name), "name": name, "next": following})
        view = after
        report.progress((index + 1) / len(missing), "anchor", f"{name}  {index + 1}/{len(missing)}")
    return records, sum(missing)


def _view(stage: DrawnStage, anchors: Anchors, index: int, missing: Sequence[bool]) -> AnchorGeometry:
    """What an anchor's camera sees; one ray a pixel where only the geometry is needed."""
    camera = anchors.cameras[index]
    samples = anchors.samples if missing[index] else 1
    pixels = stage.draw(Shot(camera, float(anchors.numbers[index])), samples, geometry=True)
    return AnchorGeometry(camera, pixels, stage.renderer.matrices())


def _record(stage: SceneStage, prim: str, number: int, view: AnchorGeometry) -> dict[str, object]:
    camera = view.camera
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
