"""Which cameras a picture is taken from: turntables, and files and folders that hold cameras."""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, CameraError, load_cameras
from neuron_core.cameras.dome import turntable
from neuron_core.cameras.paths import CameraPath, Key
from neuron_core.cameras.transforms import is_transforms, read_transforms
from neuron_core.datasets.layout import SURFACE_SPLIT
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.values import ValueNotationError, frames, size

DEFAULT_SIZE = (512, 512)
FOCAL_MM, APERTURE_MM = 50.0, 36.0
MARGIN = 1.04  # of the distance at which a turntable's object touches the frame
MOST_TURNS = 100_000
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Viewpoints:
    """Cameras in their order, with names that are names of files."""

    cameras: tuple[Camera, ...]
    turntable: bool

    def chosen(self, text: str) -> list[Camera]:
        """The cameras of a range of frames `A-BxS`, counted from 1; all for an empty text."""
        if not text:
            return list(self.cameras)
        wanted = frames(text)
        count = len(self.cameras)
        if wanted[0] < 1 or wanted[-1] > count:
            raise ValueNotationError(
                f"The frames {text} are not all there: there are {count} cameras.", f"Take 1-{count}."
            )
        return [self.cameras[number - 1] for number in wanted]


def viewpoints(text: str, size_text: str, points: np.ndarray, elevation: float) -> Viewpoints:
    """The cameras that `--cameras` and `--size` mean; a turntable frames `points` [N, 3].

    Raises CameraError, FileError or ValueNotationError.
    """
    wanted = size(size_text) if size_text else None
    turns = _turns(text)
    if turns:
        return Viewpoints(tuple(framed_turntable(turns, points, elevation, *(wanted or DEFAULT_SIZE))), True)
    moving = re.fullmatch(r"path:(.+):(\d{1,6})", text.strip())
    cameras = _moved_through(read_cameras(moving[1]), int(moving[2])) if moving else read_cameras(text)
    if wanted:
        cameras = [fitted(camera, *wanted) for camera in cameras]
    return Viewpoints(tuple(_with_file_names(cameras)), False)


def _moved_through(keys: list[Camera], count: int) -> list[Camera]:
    """A move through keys in that many frames, from rest to rest."""
    if not 2 <= count <= MOST_TURNS:
        raise ValueNotationError(
            f"A camera path of {count} frames.", "Write path:cameras.json:48 for 48 frames."
        )
    move = CameraPath(tuple(Key(float(index), key) for index, key in enumerate(keys)), ease=1.0)
    return move.cameras([(len(keys) - 1) * frame / (count - 1) for frame in range(count)])


def _turns(text: str) -> int:
    """The N of `turntable:N`; 0 if it is something else."""
    match = re.fullmatch(r"turntable(?::(.*))?", text.strip())
    if match is None:
        return 0
    count = match[1] or "48"
    if not re.fullmatch(r"\d{1,9}", count, re.ASCII) or not 1 <= int(count) <= MOST_TURNS:
        raise ValueNotationError(f"{text!r} is not a turntable.", "Write turntable:48 for 48 frames.")
    return int(count)


def framed_turntable(
    count: int, points: np.ndarray, elevation: float, width: int, height: int
) -> list[Camera]:
    """A full turn around `points` [N, 3], as near as all of them stay in every picture."""
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    focal = FOCAL_MM / APERTURE_MM * width
    half_angles = (width / 2 / focal, height / 2 / focal)
    distance = MARGIN * turning_distance(points - center, elevation, *half_angles)
    return turntable(
        count,
        center,
        distance,
        elevation,
        width=width,
        height=height,
        focal_mm=FOCAL_MM,
        aperture_mm=APERTURE_MM,
    )


def turning_distance(points: np.ndarray, elevation: float, tan_x: float, tan_y: float) -> float:
    """From how far a camera sees all points [N, 3] while they turn around the Y axis.

    `tan_x` and `tan_y` are the tangents of half the angles of view. A point at the radius r and the
    height y, turned by an angle a, lies at (r sin a, y cos e - r sin e cos a) in the picture's plane
    and by y sin e + r cos e cos a nearer than the axis; the distances below are the largest over a.
    """
    sine, cosine = math.sin(math.radians(elevation)), math.cos(math.radians(elevation))
    y, radii = points[:, 1], np.hypot(points[:, 0], points[:, 2])
    needed = [radii * math.hypot(1 / tan_x, cosine) + y * sine]
    for turned in (-radii, radii):
        above = (y * cosine - turned * sine) / tan_y
        needed.append(np.abs(above) + y * sine + turned * cosine)
    distance = float(np.max(needed))
    if not distance > 0:
        raise CameraError("A turntable needs an object with a size.")
    return distance


def read_cameras(text: str) -> list[Camera]:
    """The cameras of a cameras.json, a transforms.json or a dataset, or of one split (`PATH:test`)."""
    path, split = _split_of(text)
    if not path.exists():
        raise _no_cameras(text)
    if path.is_dir() and (path / "cameras.json").is_file():
        path = path / "cameras.json"
    elif path.name == "dataset.json":
        path = path.with_name("cameras.json")
    if is_transforms(path):
        transforms = read_transforms(path)
        cameras, splits = transforms.cameras, transforms.splits
    elif path.suffix.lower() == ".json":
        cameras, splits = load_cameras(path)
    else:
        raise CameraError(
            f"{path} holds no cameras.", "Give turntable:N, cameras.json, transforms.json or a dataset."
        )
    shape_only = () if split else splits.get(SURFACE_SPLIT, ())  # of which a dataset has no pictures
    names = splits.get(split, []) if split else [c.name for c in cameras if c.name not in shape_only]
    found = [camera for camera in cameras if camera.name in names]
    if not found:
        raise CameraError(f"{path} has no {split} cameras.".replace("  ", " "))
    return found


def _split_of(text: str) -> tuple[Path, str]:
    head, separator, tail = text.rpartition(":")
    if separator and tail in SPLITS and not Path(text).exists():
        return Path(head), tail
    return Path(text), ""


def _no_cameras(text: str) -> NeuronError:
    if text.startswith("/") and not Path(text).suffix:
        return CameraError(
            f"There are no cameras at {text}.",
            "Cameras of a USD stage can only be used when a scene is rendered; an asset takes turntable:N, "
            "cameras.json, transforms.json or a dataset.",
        )
    return CameraError(
        f"There are no cameras at {text}.", "Give turntable:N, cameras.json, transforms.json or a dataset."
    )


def fitted(camera: Camera, width: int, height: int) -> Camera:
    """The camera on an image of another size that shows at least what it showed; pixels keep their shape."""
    scale = min(width / camera.width, height / camera.height)
    return replace(
        camera,
        width=width,
        height=height,
        fl_x=camera.fl_x * scale,
        fl_y=camera.fl_y * scale,
        cx=width / 2 + (camera.cx - camera.width / 2) * scale,
        cy=height / 2 + (camera.cy - camera.height / 2) * scale,
    )


def _with_file_names(cameras: list[Camera]) -> list[Camera]:
    """The cameras under names that a file can have, all different."""
    taken: set[str] = set()
    named = []
    for camera in cameras:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", camera.name).strip("._") or "camera"
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        named.append(replace(camera, name=name))
    return named
