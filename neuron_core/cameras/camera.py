"""A camera, the rays through its pixels, and the file that keeps many of them.

World: right-handed, Y up, meters. A camera looks down -Z with +Y up in its own frame; `c2w` maps
camera to world for column vectors. Pixel coordinates are continuous, x to the right and y down from
the upper left corner of the image, so the center of the first pixel is at (0.5, 0.5).
Distortion is OpenCV's (k1 k2 radial, p1 p2 tangential).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from neuron_core.foundation.checks import text
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import write_json
from neuron_core.foundation.records import Rules, read_record, read_record_file

FILE_VERSION = 1
MAX_SIDE = 32768  # pixels; larger sizes are a damaged file
ROTATION_TOLERANCE = 1e-3  # how far c2w may be from a rotation, as an entry of R^T R - I
UNDISTORT_STEPS = 20
UNDISTORT_TOLERANCE = 1e-9  # in units of the focal length
Point = Sequence[float | int] | np.ndarray  # [3]
NUMBERS = ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")


class CameraError(NeuronError):
    """A camera, or a file of cameras, that describes no camera."""

    kind = "camera"


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A pinhole with lens distortion at a pose. Raises CameraError for values that cannot be a camera."""

    name: str
    width: int  # pixels
    height: int
    fl_x: float  # pixels
    fl_y: float
    cx: float  # pixels from the upper left corner of the image
    cy: float
    c2w: np.ndarray  # [4, 4] float64, a rotation and a translation in meters; read-only
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    def __post_init__(self) -> None:
        matrix = np.array(self.c2w, dtype=np.float64)
        matrix.setflags(write=False)
        object.__setattr__(self, "c2w", matrix)
        _check_image(self)
        _check_pose(self)

    @property
    def position(self) -> np.ndarray:
        """Its position in the world, [3]."""
        return np.asarray(self.c2w[:3, 3])

    @property
    def forward(self) -> np.ndarray:
        """Where it looks, [3] unit."""
        return np.asarray(-self.c2w[:3, 2])

    @property
    def distorted(self) -> bool:
        """Whether any distortion coefficient is not zero."""
        return any((self.k1, self.k2, self.p1, self.p2))


def _check_image(camera: Camera) -> None:
    if not (1 <= camera.width <= MAX_SIDE and 1 <= camera.height <= MAX_SIDE):
        raise CameraError(f"Camera {camera.name} has an image of {camera.width} x {camera.height} pixels.")
    for name in NUMBERS:
        if not math.isfinite(getattr(camera, name)):
            raise CameraError(f"Camera {camera.name} has {name} = {getattr(camera, name)}.")
    if camera.fl_x <= 0 or camera.fl_y <= 0:
        raise CameraError(
            f"Camera {camera.name} has a focal length of {camera.fl_x} x {camera.fl_y} pixels.",
            "Focal lengths are positive; the camera looks down -Z.",
        )


def _check_pose(camera: Camera) -> None:
    matrix = camera.c2w
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise CameraError(f"The pose of camera {camera.name} is not a finite 4 x 4 matrix.")
    if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-9):
        raise CameraError(
            f"The pose of camera {camera.name} ends in the row {matrix[3].tolist()}.",
            "It maps column vectors: the translation is the last column, the last row 0 0 0 1.",
        )
    rotation = matrix[:3, :3]
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > ROTATION_TOLERANCE:
        raise CameraError(
            f"The pose of camera {camera.name} is not a rotation: its axes are skewed or scaled.",
            "Cameras may be rotated and moved only; scale the scene instead.",
        )
    if np.linalg.det(rotation) < 0:
        raise CameraError(f"The pose of camera {camera.name} is mirrored.", "Use a right-handed frame.")


def rays(
    camera: Camera, pixels_x: np.ndarray | float, pixels_y: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions [..., 3] float32 in the world, for pixel coordinates of any shape.

    Raises CameraError where the lens distortion has no inverse.
    """
    pixels = np.stack(np.broadcast_arrays(pixels_x, pixels_y), axis=-1).astype(np.float64)
    x = (pixels[..., 0].ravel() - camera.cx) / camera.fl_x
    y = (pixels[..., 1].ravel() - camera.cy) / camera.fl_y
    if camera.distorted:
        x, y = _undistort(camera, x, y)
    directions = np.stack([x, -y, np.full_like(x, -1.0)], axis=-1) @ camera.c2w[:3, :3].T
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    rays_d = directions.astype(np.float32).reshape(*pixels.shape[:-1], 3)
    rays_o = np.broadcast_to(camera.position.astype(np.float32), rays_d.shape).copy()
    return rays_o, rays_d


def pinhole(camera: Camera) -> np.ndarray:
    """What the rays of a lens without distortion follow from, [4, 3] float64 in the world: the eye, the
    direction through the center of the first pixel, and what a pixel to the right and one down add to it."""
    axes = camera.c2w[:3, :3].T
    right, down = axes[0] / camera.fl_x, -axes[1] / camera.fl_y
    first = -axes[2] + (0.5 - camera.cx) * right + (0.5 - camera.cy) * down
    return np.stack([camera.position, first, right, down])


def project(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where world points [..., 3] appear: pixels_x, pixels_y and the depth along the view axis.

    Points at or behind the camera have a depth <= 0 and pixels of NaN.
    """
    shape = np.shape(points)[:-1]
    local = (np.reshape(points, (-1, 3)) - camera.position) @ camera.c2w[:3, :3]
    depths = -local[:, 2]
    safe = np.where(depths > 0, depths, np.nan)
    x, y = local[:, 0] / safe, -local[:, 1] / safe
    if camera.distorted:
        x, y = _distort(camera, x, y)
    pixels_x, pixels_y = x * camera.fl_x + camera.cx, y * camera.fl_y + camera.cy
    return pixels_x.reshape(shape), pixels_y.reshape(shape), depths.reshape(shape)


def _distort(camera: Camera, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r2 = x * x + y * y
    radial = 1 + r2 * (camera.k1 + r2 * camera.k2)
    distorted_x = x * radial + 2 * camera.p1 * x * y + camera.p2 * (r2 + 2 * x * x)
    distorted_y = y * radial + camera.p1 * (r2 + 2 * y * y) + 2 * camera.p2 * x * y
    return distorted_x, distorted_y


def _undistort(camera: Camera, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method on `_distort`, from the distorted point."""
    wanted_x, wanted_y = x, y
    for _ in range(UNDISTORT_STEPS):
        reached_x, reached_y = _distort(camera, x, y)
        error_x, error_y = reached_x - wanted_x, reached_y - wanted_y
        if np.maximum(np.abs(error_x), np.abs(error_y)).max(initial=0.0) < UNDISTORT_TOLERANCE:
            return x, y
        step_x, step_y = _newton_step(camera, x, y, error_x, error_y)
        x, y = x - step_x, y - step_y
    raise CameraError(
        f"The lens distortion of camera {camera.name} (k1 {camera.k1}, k2 {camera.k2}, p1 {camera.p1}, "
        f"p2 {camera.p2}) folds the image over: some pixels show no direction.",
        "Undistort the photographs first or check the coefficients.",
    )


def _newton_step(
    camera: Camera, x: np.ndarray, y: np.ndarray, error_x: np.ndarray, error_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r2 = x * x + y * y
    radial = 1 + r2 * (camera.k1 + r2 * camera.k2)
    slope = 2 * camera.k1 + 4 * camera.k2 * r2  # d radial / d x = slope * x
    xx = radial + slope * x * x + 2 * camera.p1 * y + 6 * camera.p2 * x
    xy = slope * x * y + 2 * camera.p1 * x + 2 * camera.p2 * y
    yy = radial + slope * y * y + 6 * camera.p1 * y + 2 * camera.p2 * x
    determinant = xx * yy - xy * xy
    if (determinant < 1e-6).any():
        raise CameraError(
            f"The lens distortion of camera {camera.name} (k1 {camera.k1}, k2 {camera.k2}) "
            "folds the image over: some pixels show no direction.",
            "Undistort the photographs first or check the coefficients.",
        )
    return (yy * error_x - xy * error_y) / determinant, (xx * error_y - xy * error_x) / determinant


def pixel_centers(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates x [H, W] and y [H, W] of all centers."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    return x, y


def subpixels(camera: Camera, per_side: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Rays [H, W, per_side**2, 3] through the centers of a regular grid inside every pixel."""
    offsets = (np.arange(per_side) + 0.5) / per_side - 0.5
    offsets_x, offsets_y = np.meshgrid(offsets, offsets)
    x, y = pixel_centers(camera)
    return rays(camera, x[..., None] + offsets_x.ravel(), y[..., None] + offsets_y.ravel())


def look_at(
    eye: Point,
    target: Point,
    up: Point = (0.0, 1.0, 0.0),
) -> np.ndarray:
    """The c2w [4, 4] of a camera at `eye` that looks at `target`, upright.

    Looking along `up` is allowed: then -Z (or +X, if `up` is along Z) is up in the image.
    """
    position = np.asarray(eye, np.float64)
    back = position - np.asarray(target, np.float64)
    distance = np.linalg.norm(back)
    if not distance > 0:
        raise CameraError(f"A camera at {position.tolist()} cannot look at its own position.")
    back = back / distance
    right = np.cross(_usable_up(back, np.asarray(up, np.float64)), back)
    right /= np.linalg.norm(right)
    c2w = np.eye(4)
    c2w[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
    c2w[:3, 3] = position
    return c2w


def _usable_up(back: np.ndarray, up: np.ndarray) -> np.ndarray:
    for candidate in (up, np.array([0.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.0])):
        if np.linalg.norm(np.cross(candidate, back)) > 1e-6 * np.linalg.norm(candidate):
            return candidate
    raise AssertionError("two axes cannot both be parallel to one direction")


def resized(camera: Camera, width: int, height: int) -> Camera:
    """The same view on an image of another size; each axis is scaled by itself."""
    x, y = width / camera.width, height / camera.height
    return replace(
        camera,
        width=width,
        height=height,
        fl_x=camera.fl_x * x,
        fl_y=camera.fl_y * y,
        cx=camera.cx * x,
        cy=camera.cy * y,
    )


def to_json(camera: Camera) -> dict[str, object]:
    """Plain data with the names of the fields."""
    numbers = {name: float(getattr(camera, name)) for name in NUMBERS}
    pose = [[float(value) for value in row] for row in camera.c2w]
    return {
        "name": camera.name,
        "width": int(camera.width),
        "height": int(camera.height),
        **numbers,
        "c2w": pose,
    }


Row = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """A camera as files keep it. The fields are those of `Camera`, and none may be missing."""

    name: Annotated[str, text(1024, required=True)]
    width: int
    height: int
    fl_x: float
    fl_y: float
    cx: float
    cy: float
    k1: float
    k2: float
    p1: float
    p2: float
    c2w: tuple[Row, Row, Row, Row]

    def camera(self) -> Camera:
        """The camera. Raises CameraError for numbers that cannot be one."""
        values = {name: getattr(self, name) for name in NUMBERS}
        return Camera(self.name, self.width, self.height, c2w=np.array(self.c2w), **values)


@dataclass(frozen=True, slots=True)
class _CameraFile:
    RECORD: ClassVar[Rules] = Rules(version="version", newest=FILE_VERSION, unknown="drop")

    cameras: tuple[CameraRecord, ...]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def from_json(record: object, where: str = "A camera") -> Camera:
    """The inverse of `to_json`. Raises CameraError, which names `where`, for anything else."""
    return read_record(CameraRecord, record, where, CameraError).camera()


def save_cameras(path: Path, cameras: Sequence[Camera], splits: Mapping[str, Sequence[str]]) -> None:
    """Write cameras and the names of each split (train, val, test), whole or not at all."""
    content = {
        "version": FILE_VERSION,
        "up_axis": "Y",
        "cameras": [to_json(camera) for camera in cameras],
        "splits": {split: list(names) for split, names in splits.items()},
    }
    write_json(path, content)


def load_cameras(path: Path) -> tuple[list[Camera], dict[str, list[str]]]:
    """Read what `save_cameras` wrote. Raises CameraError or FileError naming the file."""
    found = read_record_file(_CameraFile, path, CameraError)
    try:
        cameras = [record.camera() for record in found.cameras]
    except CameraError as error:
        raise CameraError(f"{path}: {error.message}", error.hint) from error
    return cameras, _check_splits(path, cameras, found.splits)


def _check_splits(
    path: Path, cameras: Sequence[Camera], splits: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    known = [camera.name for camera in cameras]
    if len(set(known)) < len(known):
        repeated = sorted({name for name in known if known.count(name) > 1})
        raise CameraError(f"{path} names cameras twice: {', '.join(repeated)}.")
    for split, names in splits.items():
        missing = [name for name in names if name not in known]
        if missing:
            raise CameraError(f"{path} lists cameras in {split} that it does not have: {', '.join(missing)}.")
    return {split: list(names) for split, names in splits.items()}
