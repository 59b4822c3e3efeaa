"""Read the camera files of other NeRF programs: `transforms.json` in its usual flavours.

* NeRF's synthetic scenes: `camera_angle_x`, images without an extension, one file per split.
* instant-ngp: `fl_x fl_y cx cy w h k1 k2 p1 p2 aabb_scale`, also per frame; `offset` and `scale`.
* nerfstudio: `camera_model`, `train_filenames` and the like. Poses already contain its
  `applied_transform`, which is therefore not looked at.

In all of them `transform_matrix` is camera-to-world with a camera that looks down -Z, and their worlds
are Z up. They are turned to Y up: (x, y, z) becomes (x, z, -y). A file that says `"up_axis": "Y"`, as
ours do, is taken as it is. Units are taken for meters.

Splits: the file's own ones (separate files, or lists of file names). Without a test list the val list
serves, and without both every eighth picture, sorted by name and beginning with the first, is test and
the others are train.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, CameraError, resized
from neuron_core.foundation.files import read_json
from neuron_core.images.sizes import picture_size

SPLITS = ("train", "val", "test")
EXTENSIONS = (".png", ".jpg", ".jpeg", ".exr", ".PNG", ".JPG", ".JPEG")
MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")
EVERY = 8  # of the pictures one is for testing
NGP_SCALE = 0.33  # instant-ngp: from the file's units to its unit cube
NGP_OFFSET = (0.5, 0.5, 0.5)
LARGEST_SKEW = 1.01  # between the lengths of the axes of a pose
UP_FROM = {
    "Y": np.eye(4),
    "Z": np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]),
}


class TransformsError(CameraError):
    """A camera file of another program that is damaged, or of a kind that is not read."""

    kind = "dataset"


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and where it was taken from, Y up. The camera has the size of the stored picture."""

    camera: Camera
    image: Path
    turned: bool = False  # the camera belongs to the picture as its EXIF note turns it


@dataclass(frozen=True, slots=True, eq=False)
class TransformsFile:
    """What was read, Y up, sorted by the name of the cameras."""

    files: tuple[Path, ...]
    frames: tuple[Frame, ...]
    splits: dict[str, list[str]]  # train, val, test -> names of cameras
    aabb_scale: float | None = None  # as instant-ngp writes it
    aabb: np.ndarray | None = None  # [2, 3] float64: the cube of aabb_scale

    @property
    def cameras(self) -> list[Camera]:
        """Those of the frames, in their order."""
        return [frame.camera for frame in self.frames]


@dataclass(frozen=True, slots=True)
class _Listed:
    """A frame as it is listed, before its picture was looked at."""

    file_path: str
    image: Path
    file: Path
    record: Mapping[str, object]  # of the frame over that of the file
    split: str


def read_transforms(path: Path) -> TransformsFile:
    """Read a transforms.json, or a folder that has one or the set transforms_{train,val,test}.json.

    Looks at the header of every picture: a size other than `w` x `h` scales the intrinsics if the shape
    is the same. Raises TransformsError, CameraError or FileError naming what is wrong.
    """
    files = _files_of(Path(path))
    contents = {file: _content(file) for file in files}
    listed = [frame for file, content in contents.items() for frame in _listed(file, content)]
    if not listed:
        raise TransformsError(f"{files[0]} lists no frames.")
    _check_pictures(files[0], listed)
    names = _names(listed)
    frames = [_frame(name, frame) for name, frame in zip(names, listed, strict=True)]
    frames.sort(key=lambda frame: frame.camera.name)
    content = contents[files[0]]
    aabb_scale, aabb = _bounds(files[0], content)
    splits = _splits(dict(zip(names, listed, strict=True)), contents)
    return TransformsFile(tuple(files), tuple(frames), splits, aabb_scale, aabb)


def is_transforms(path: Path) -> bool:
    """Whether a file or folder looks like such a dataset by its names."""
    path = Path(path)
    if path.is_dir():
        return (path / "transforms.json").is_file() or (path / "transforms_train.json").is_file()
    return path.name.startswith("transforms") and path.suffix == ".json"


def _files_of(path: Path) -> list[Path]:
    folder = path if path.is_dir() else path.parent
    whole = folder / "transforms.json"
    if path.is_dir() and whole.is_file():
        return [whole]
    parts = [folder / f"transforms_{split}.json" for split in SPLITS]
    if path.is_dir() or path in parts:
        found = [part for part in parts if part.is_file()]
        if not found:
            raise TransformsError(f"{path} has no transforms.json.", "Pick a folder of a NeRF dataset.")
        return found
    return [path]


def _content(file: Path) -> Mapping[str, object]:
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("frames"), list):
        raise TransformsError(
            f"{file} has no list of frames.", "It is not the transforms.json of a NeRF dataset."
        )
    return content


def _listed(file: Path, content: Mapping[str, object]) -> list[_Listed]:
    frames = content["frames"]
    assert isinstance(frames, list)
    common = {key: value for key, value in content.items() if key != "frames"}
    split = file.stem.removeprefix("transforms_")
    listed = []
    for index, frame in enumerate(frames):
        if (
            not isinstance(frame, dict)
            or not isinstance(frame.get("file_path"), str)
            or not frame["file_path"]
        ):
            raise TransformsError(f"Frame {index} in {file} has no file_path.")
        file_path = _plain(frame["file_path"])
        listed.append(
            _Listed(file_path, _picture_at(file.parent / file_path), file, {**common, **frame}, split)
        )
    return listed


def _picture_at(path: Path) -> Path:
    if path.suffix in EXTENSIONS or path.is_file():
        return path
    candidates = [path.with_name(path.name + extension) for extension in EXTENSIONS]
    return next((candidate for candidate in candidates if candidate.is_file()), candidates[0])


def _check_pictures(file: Path, listed: Sequence[_Listed]) -> None:
    missing = [frame.file_path for frame in listed if not frame.image.is_file()]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise TransformsError(
            f"{len(missing)} of the {len(listed)} pictures of {file} are missing: {shown}.",
            "Put them back, or take their frames out of the file.",
        )


def _names(listed: Sequence[_Listed]) -> list[str]:
    """Names of cameras: of the picture's file alone where that is enough, else with its folders."""
    short = [_word(frame.image.stem) for frame in listed]
    if len(set(short)) == len(short):
        return short
    parts = [Path(frame.file_path).with_suffix(frame.image.suffix).with_suffix("").parts for frame in listed]
    long = [_word("_".join(part for part in path if part not in (".", "..", "/"))) for path in parts]
    repeated = sorted({name for name in long if long.count(name) > 1})
    if repeated:
        raise TransformsError(f"{listed[0].file} lists pictures twice: {', '.join(repeated[:5])}.")
    return long


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def _frame(name: str, frame: _Listed) -> Frame:
    _check_model(frame)
    stored = picture_size(frame.image)
    declared = _declared_size(frame)
    turned = (
        declared is not None and not _same_shape(declared, stored) and _same_shape(declared, stored[::-1])
    )
    actual = stored[::-1] if turned else stored
    if declared is not None and not _same_shape(declared, actual):
        raise TransformsError(
            f"{frame.image} is an image of the wrong size: {stored[0]} x {stored[1]} pixels, where "
            f"{frame.file} says {declared[0]} x {declared[1]}.",
            "Give all pictures the shape that the cameras were made for.",
        )
    camera = _camera(name, frame, declared or actual)
    return Frame(resized(camera, *actual), frame.image, turned)


def _same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether one size is the other one, scaled and rounded to whole pixels."""
    if a[0] == b[0] or a[1] == b[1]:
        return a == b
    small, large = sorted([a, b])
    lowest = max((small[axis] - 1) / large[axis] for axis in (0, 1))
    highest = min((small[axis] + 1) / large[axis] for axis in (0, 1))
    return lowest < highest  # there is a factor that both sides agree with


def _check_model(frame: _Listed) -> None:
    model = frame.record.get("camera_model", "OPENCV")
    if model not in MODELS or frame.record.get("is_fisheye"):
        shown = model if model not in MODELS else "is_fisheye"
        raise TransformsError(
            f"{frame.file} has the camera model {shown!r}, which is not read.",
            "Undistort the photographs to the model OPENCV or PINHOLE first.",
        )
    for key in ("k3", "k4"):
        if _number(frame, key, 0.0) != 0.0:
            raise TransformsError(
                f"{frame.file} has the distortion {key} = {frame.record[key]}; k1, k2, p1 and p2 are read.",
                "Undistort the photographs first.",
            )


def _declared_size(frame: _Listed) -> tuple[int, int] | None:
    if "w" not in frame.record and "h" not in frame.record:
        return None
    width, height = _number(frame, "w"), _number(frame, "h")
    if width < 1 or height < 1 or width != round(width) or height != round(height):
        raise TransformsError(f"{frame.file} has an image size of {width} x {height}.")
    return round(width), round(height)


def _camera(name: str, frame: _Listed, size: tuple[int, int]) -> Camera:
    width, height = size
    fl_x, fl_y = _focal_lengths(frame, width, height)
    return Camera(
        name,
        width,
        height,
        fl_x,
        fl_y,
        _number(frame, "cx", width / 2),
        _number(frame, "cy", height / 2),
        _pose(frame),
        **{key: _number(frame, key, 0.0) for key in ("k1", "k2", "p1", "p2")},
    )


def _focal_lengths(frame: _Listed, width: int, height: int) -> tuple[float, float]:
    fl_x = _focal_length(frame, "x", width)
    fl_y = _focal_length(frame, "y", height)
    found = fl_x or fl_y
    if found is None:
        raise TransformsError(f"{frame.file} has no focal length: neither fl_x nor camera_angle_x.")
    return fl_x or found, fl_y or found


def _focal_length(frame: _Listed, axis: str, side: int) -> float | None:
    if f"fl_{axis}" in frame.record:
        return _number(frame, f"fl_{axis}")
    if f"camera_angle_{axis}" in frame.record:
        angle = _number(frame, f"camera_angle_{axis}")
    elif f"{axis}_fov" in frame.record:
        angle = math.radians(_number(frame, f"{axis}_fov"))
    else:
        return None
    if not 0 < angle < math.pi:
        raise TransformsError(f"{frame.file} has a field of view of {math.degrees(angle):g} degrees.")
    return side / (2 * math.tan(angle / 2))


def _number(frame: _Listed, key: str, default: float | None = None) -> float:
    value = frame.record.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TransformsError(
            f"{frame.file} has {key} = {value!r} for {frame.file_path}, not a finite number."
        )
    return float(value)


def _pose(frame: _Listed) -> np.ndarray:
    """c2w [4, 4] in the Y-up world: exactly a rotation, whatever rounding the file went through."""
    try:
        matrix = np.array(frame.record.get("transform_matrix"), dtype=np.float64)
    except (ValueError, TypeError):
        matrix = np.zeros(0)
    if matrix.shape not in ((4, 4), (3, 4)) or not np.isfinite(matrix).all():
        raise TransformsError(f"{frame.file_path} in {frame.file} has no transform_matrix of 4 x 4 numbers.")
    left, lengths, right = np.linalg.svd(matrix[:3, :3])
    if lengths[2] <= 0 or lengths[0] / lengths[2] > LARGEST_SKEW:
        raise TransformsError(f"The transform_matrix of {frame.file_path} in {frame.file} is skewed.")
    pose = np.eye(4)
    pose[:3, :3] = left @ right
    pose[:3, 3] = matrix[:3, 3]
    return np.asarray(_y_up(frame.file, frame.record) @ pose)


def _y_up(file: Path, record: Mapping[str, object]) -> np.ndarray:
    axis = record.get("up_axis", "Z")
    if not isinstance(axis, str) or axis.upper() not in UP_FROM:
        raise TransformsError(f"{file} has the up_axis {axis!r}, not Y or Z.")
    return UP_FROM[axis.upper()]


def _bounds(file: Path, content: Mapping[str, object]) -> tuple[float | None, np.ndarray | None]:
    """instant-ngp trains inside a cube of side aabb_scale around the middle of its unit cube."""
    if "aabb_scale" not in content:
        return None, None
    whole = _Listed("the scene", file, file, content, "")
    side, scale = _number(whole, "aabb_scale"), _number(whole, "scale", NGP_SCALE)
    offset = np.array(content.get("offset", NGP_OFFSET), dtype=object)
    numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in offset.ravel())
    if side <= 0 or scale <= 0 or offset.shape != (3,) or not numbers:
        raise TransformsError(
            f"{file} has the aabb_scale {side}, scale {scale} and offset {offset.tolist()}."
        )
    center = _y_up(file, content)[:3, :3] @ ((0.5 - offset.astype(np.float64)) / scale)
    half = 0.5 * side / scale
    return side, np.stack([center - half, center + half])


def _splits(
    named: Mapping[str, _Listed], contents: Mapping[Path, Mapping[str, object]]
) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    lists = {split: _file_names(contents, split) for split in SPLITS}
    for name in sorted(named):
        split = named[name].split
        if split in SPLITS and len(contents) > 1:
            splits[split].append(name)
        for split, paths in lists.items():
            if named[name].file_path in paths:
                splits[split].append(name)
    if not splits["test"]:
        splits["test"] = list(splits["val"])
    if splits["test"]:
        candidates = splits["train"] or [name for name in sorted(named) if name not in splits["test"]]
    else:
        candidates = splits["train"] or sorted(named)
        splits["test"] = candidates[::EVERY]
    splits["train"] = [name for name in candidates if name not in splits["test"]] or candidates
    return splits


def _file_names(contents: Mapping[Path, Mapping[str, object]], split: str) -> set[str]:
    names: set[str] = set()
    for file, content in contents.items():
        listed = content.get(f"{split}_filenames", [])
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise TransformsError(f"{file} has {split}_filenames that are not a list of names.")
        names.update(_plain(name) for name in listed)
    return names


def _plain(file_path: str) -> str:
    return Path(file_path.replace("\\", "/")).as_posix()
