"""The pictures of a foreign NeRF dataset: photographs, or renders that other programs made.

Photographs were never linear: they are composited in sRGB, and only averaging to a smaller size happens
in linear.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, resized
from neuron_core.cameras.focus import find_focus
from neuron_core.cameras.transforms import Frame, TransformsFile
from neuron_core.datasets.cache import LayerCache, Layers
from neuron_core.datasets.channels import Channel, complaint_about, from_layers, to_layers
from neuron_core.datasets.contract import REST_POSE, View
from neuron_core.datasets.layout import BEAUTY_CHANNELS, DatasetError, require_channels
from neuron_core.foundation.colors import srgb_to_linear
from neuron_core.foundation.files import sha256_of
from neuron_core.images.exr import read_exr
from neuron_core.images.pictures import decode_image

SCENE = "scene"  # the name of the one "material" that photographs have
PROMPT = "as photographed"
CAPTURED = "captured"  # the name of their one light, which is unknown
LINEAR = srgb_to_linear(np.arange(256) / 255)  # of every 8 bit value
HALF_SIDE = 0.4  # of the cameras' distance, for files without bounds


class Photographs:
    """The pictures of the frames, read when they are asked for."""

    def __init__(self, transforms: TransformsFile, downscale: float) -> None:
        self._files = transforms.files
        self._frames = {frame.camera.name: frame for frame in transforms.frames}
        self._cameras = {name: _smaller(frame.camera, downscale) for name, frame in self._frames.items()}
        self._cache = LayerCache()

    @property
    def cameras(self) -> Mapping[str, Camera]:
        """By name, with the sizes that pictures come in."""
        return self._cameras

    @property
    def pictures(self) -> Iterable[View]:
        """Complete views of all pictures."""
        return [View(camera, SCENE, CAPTURED, REST_POSE) for camera in self._frames]

    @property
    def shapes(self) -> Iterable[View]:
        """Photographs have no G-buffers."""
        return ()

    def channels(self, view: View) -> frozenset[Channel]:
        """What there is of a complete view."""
        return frozenset((Channel.BEAUTY,) if view.material else ())

    def read(self, view: View, channels: Sequence[Channel], camera: Camera) -> dict[Channel, np.ndarray]:
        """The picture, linear and premultiplied."""

        def decode() -> Layers:
            pixels = shrink(_read(self._frames[view.camera]), camera.width, camera.height)
            return to_layers({Channel.BEAUTY: pixels})

        return {channel: from_layers(self._cache.get(view.camera, decode), channel) for channel in channels}

    def transparent(self) -> bool:
        """Whether the first picture has pixels that are not opaque."""
        first = next(iter(self._frames.values()))
        return bool((_read(first)[..., 3] < 1).any())

    def linear(self) -> bool:
        """Whether the pictures are renders in EXR files."""
        return all(_is_exr(frame.image) for frame in self._frames.values())

    def digest(self) -> str:
        """SHA-256 over the camera files and all pictures. Reads them all."""
        digest = hashlib.sha256()
        for path in [*self._files, *(frame.image for frame in self._frames.values())]:
            digest.update(bytes.fromhex(sha256_of(path)))
        return digest.hexdigest()

    def verify(self) -> None:
        """Decode every picture. Raises for the first that is damaged."""
        for frame in self._frames.values():
            _read(frame)


def bounds(transforms: TransformsFile) -> np.ndarray:
    """The aabb [2, 3] float32 of the scene: the file's own, else a cube around what cameras look at."""
    if transforms.aabb is not None:
        return np.asarray(transforms.aabb, np.float32)
    focus = find_focus(transforms.cameras)
    half = HALF_SIDE * focus.distance
    if not half > 0:
        raise DatasetError(
            f"All cameras of {transforms.files[0]} are in one place.",
            "Add an aabb_scale to the file, or photographs from other positions.",
        )
    return np.stack([focus.point - half, focus.point + half]).astype(np.float32)


def _smaller(camera: Camera, downscale: float) -> Camera:
    width, height = (max(1, round(side / downscale)) for side in (camera.width, camera.height))
    return resized(camera, width, height)


def _read(frame: Frame) -> np.ndarray:
    if _is_exr(frame.image):
        rgba = _read_linear(frame.image)
    else:
        pixels = decode_image(frame.image, upright=frame.turned)
        color = LINEAR[pixels[..., :3]]
        alpha = (
            pixels[..., 3:4].astype(np.float32) / 255
            if pixels.shape[-1] == 4
            else np.ones_like(color[..., :1])
        )
        rgba = np.concatenate([color * alpha, alpha], axis=-1)
    expected = (frame.camera.height, frame.camera.width)
    if rgba.shape[:2] != expected:
        raise DatasetError(
            f"{frame.image} is an image of the wrong size: {rgba.shape[1]} x {rgba.shape[0]} pixels, "
            f"not {expected[1]} x {expected[0]}.",
            "Did it change since the dataset was opened?",
        )
    return rgba


def _is_exr(path: Path) -> bool:
    return path.suffix.lower() == ".exr"


def _read_linear(path: Path) -> np.ndarray:
    layers = read_exr(path)
    layers.setdefault("A", np.ones_like(next(iter(layers.values()))))
    require_channels(layers, BEAUTY_CHANNELS, path)
    rgba = from_layers(layers, Channel.BEAUTY)
    complaint = complaint_about(Channel.BEAUTY, rgba)
    if complaint:
        raise DatasetError(f"{path} {complaint}.", "Render it again.")
    return rgba


def shrink(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Average [H, W, C] over the area of each pixel of a smaller image, which may cut through pixels."""
    if image.shape[:2] == (height, width):
        return image
    lower = _averaged(image, height)
    return np.asarray(_averaged(lower.swapaxes(0, 1), width).swapaxes(0, 1), np.float32, order="C")


def _averaged(image: np.ndarray, count: int) -> np.ndarray:
    """The means of `count` equal parts of the first axis: differences of the integral, in float64."""
    length = image.shape[0]
    integral = np.zeros((length + 1, *image.shape[1:]))
    np.cumsum(image, axis=0, out=integral[1:])
    edges = np.linspace(0, length, count + 1)
    before = np.minimum(edges.astype(int), length - 1)
    at_edges = integral[before] + (edges - before)[:, None, None] * image[before]
    return np.diff(at_edges, axis=0) * (count / length)
