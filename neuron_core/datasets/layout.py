"""What a dataset folder holds and how its files are named: shared by who writes and who reads it.

    dataset.json            the manifest, written last
    cameras.json            poses, intrinsics and the camera splits
    materials.json          the records that were rendered
    lights.json, lights/<light>.exr
    skeleton.json, poses.json
    frames.json             cameras and objects that move
    gbuffer[@<pose>]/<camera>[.<frame>].exr
    beauty/<material>/<light>[@<pose>]/<camera>[.<frame>].exr
    beauty/<material>/<light>[@<pose>]/transforms.json

Version 1 has one light, one pose and stills: no lights.json, poses.json or frames.json, and
`beauty/<material>/<camera>.exr`. In version 2 the rest pose and frame 0 are not named in paths.
Paths here are relative to the folder, with forward slashes, as the manifest lists them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from neuron_core.datasets.channels import FORMS, Channel, to_layers
from neuron_core.datasets.contract import REST_POSE, STILL, STUDIO, View
from neuron_core.foundation.checks import FILE_NAME
from neuron_core.foundation.errors import NeuronError

NEWEST = 2
MANIFEST = "dataset.json"
CAMERAS = "cameras.json"
MATERIALS = "materials.json"
LIGHTS = "lights.json"
SKELETON = "skeleton.json"
POSES = "poses.json"
FRAMES = "frames.json"
TRANSFORMS = "transforms.json"
GBUFFER_FOLDER = "gbuffer"
BEAUTY_FOLDER = "beauty"
LIGHTS_FOLDER = "lights"

BEAUTY_CHANNELS = FORMS[Channel.BEAUTY].layers

CAMERA_SPLITS = ("train", "val", "test")
SURFACE_SPLIT = "surface"  # cameras with G-buffers and no pictures, perhaps of another resolution
MATERIAL_SPLITS = ("train", "compositional")
LAST_FRAME = 999_999
_FILE = re.compile(r"(?P<camera>.+?)(?:\.(?P<frame>\d{4,6}))?\.exr")
_LIKE_A_FRAME = re.compile(r".*\.\d{4,6}")


class DatasetError(NeuronError):
    """A dataset that is missing, unfinished, damaged or not of the kind that is needed."""

    kind = "dataset"


def slug(name: str) -> str:
    """The name, if a file can have it. Raises DatasetError."""
    if not FILE_NAME.fullmatch(name):
        raise DatasetError(
            f"{name!r} cannot be the name of a file.", "Use letters, digits, dots, dashes and underscores."
        )
    return name


def gbuffer_path(view: View, version: int = 1) -> str:
    """Where the G-buffer of a view is; its material and light do not matter."""
    return f"{GBUFFER_FOLDER}{_at_pose(view, version)}/{_file_name(view, version)}"


def beauty_path(view: View, version: int = 1) -> str:
    """Where the picture of a view is."""
    return f"{_look_folder(view, version)}/{_file_name(view, version)}"


def transforms_path(view: View, version: int = 1) -> str:
    """Where the pictures beside that of a view are described for other NeRF programs."""
    return f"{_look_folder(view, version)}/{TRANSFORMS}"


def light_path(light: str) -> str:
    """Where the environment map of a light is."""
    return f"{LIGHTS_FOLDER}/{slug(light)}.exr"


def view_at(path: str, version: int) -> View | None:
    """The complete view whose G-buffer or picture is at a path; None for other files.

    The inverse of `gbuffer_path` and `beauty_path`.
    """
    *folders, name = path.split("/")
    match = _FILE.fullmatch(name)
    if match is None or not folders:
        return None
    camera, frame = (match["camera"], int(match["frame"] or STILL)) if version > 1 else (name[:-4], STILL)
    if version == 1 and len(folders) == 2 and folders[0] == BEAUTY_FOLDER:
        return View(camera, folders[1], STUDIO, REST_POSE, frame)
    if len(folders) == 3 and folders[0] == BEAUTY_FOLDER:
        light, _, pose = folders[2].partition("@")
        return View(camera, folders[1], light, pose or REST_POSE, frame)
    top, _, pose = folders[0].partition("@")
    if len(folders) == 1 and top == GBUFFER_FOLDER:
        return View(camera, pose=pose or REST_POSE, frame=frame)
    return None


def description_files(files: Iterable[str], version: int) -> list[str]:
    """The JSON files beside the manifest that describe the names on the axes."""
    wanted = [CAMERAS, MATERIALS, *([LIGHTS] if version > 1 else [])]
    optional = [POSES, SKELETON] if POSES in files else []
    return [*wanted, *optional, *([FRAMES] if FRAMES in files else [])]


def _look_folder(view: View, version: int) -> str:
    folder = f"{BEAUTY_FOLDER}/{slug(view.material)}"
    return folder if version == 1 else f"{folder}/{slug(view.light or STUDIO)}{_at_pose(view, version)}"


def _at_pose(view: View, version: int) -> str:
    return "" if version == 1 or view.pose in ("", REST_POSE) else f"@{slug(view.pose)}"


def _file_name(view: View, version: int) -> str:
    camera = slug(view.camera)
    if version > 1 and _LIKE_A_FRAME.fullmatch(camera):
        raise DatasetError(f"The camera {camera} ends like a frame.", "Give it another name.")
    if version == 1 or view.frame == STILL:
        return f"{camera}.exr"
    if not 0 < view.frame <= LAST_FRAME:
        raise DatasetError(f"{view.frame} cannot be a frame.", f"Frames run from 0 to {LAST_FRAME}.")
    return f"{camera}.{view.frame:04d}.exr"


def beauty_channels(rgba: np.ndarray) -> dict[str, np.ndarray]:
    """The channels of the EXR file of a picture [H, W, 4]."""
    return to_layers({Channel.BEAUTY: rgba})


def require_channels(channels: Mapping[str, np.ndarray], wanted: Sequence[str], path: Path) -> None:
    """Raise DatasetError naming what is missing in the file at `path`."""
    missing = [name for name in wanted if name not in channels]
    if missing:
        raise DatasetError(f"{path} lacks the channels {', '.join(missing)}; it has {', '.join(channels)}.")
