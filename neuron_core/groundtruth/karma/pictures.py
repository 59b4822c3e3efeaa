"""Reads Karma's EXR files: one part or many, any spelling of layers, any data window."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import OpenEXR

from neuron_core.datasets.layout import DatasetError
from neuron_core.images.exr import read_exr

_SPELLINGS = ("RGBA", "rgba", "XYZW", "xyzw")
BEAUTY_NAMES = ("C", "beauty", "Ci", "")


def read_layers(path: Path) -> dict[str, np.ndarray]:
    """All channels [H, W] float32 over the whole display window, 0 where the file has no data.

    Channels of further parts are named after their part. Raises ImageError or FileError.
    """
    first = read_exr(path)  # refuses what is damaged or huge
    file = OpenEXR.File(str(path), separate_channels=True, num_threads=0)
    found: dict[str, np.ndarray] = {}
    for index, part in enumerate(file.parts):
        channels = first if index == 0 else {name: item.pixels for name, item in part.channels.items()}
        for name, values in channels.items():
            placed = _placed(path, np.asarray(values, np.float32), part.header)
            found[_full_name(str(part.header.get("name", "")), name, len(file.parts))] = placed
    return found


def _full_name(part: str, channel: str, parts: int) -> str:
    if parts == 1 or not part or channel == part or channel.startswith(f"{part}."):
        return channel
    return f"{part}.{channel}"


def _placed(path: Path, values: np.ndarray, header: Mapping[str, object]) -> np.ndarray:
    """The data window in the display window."""
    (left, top), _ = _window(header["dataWindow"])
    (start_x, start_y), (end_x, end_y) = _window(header["displayWindow"])
    width, height = end_x - start_x + 1, end_y - start_y + 1
    x, y = left - start_x, top - start_y
    if (x, y) == (0, 0) and values.shape == (height, width):
        return values
    if not (1 <= width <= 32768 and 1 <= height <= 32768):
        raise DatasetError(f"{path} has a display window of {width} x {height} pixels.", "Render it again.")
    whole = np.zeros((height, width), np.float32)
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + values.shape[1], width), min(y + values.shape[0], height)
    if x0 < x1 and y0 < y1:
        whole[y0:y1, x0:x1] = values[y0 - y : y1 - y, x0 - x : x1 - x]
    return whole


def _window(value: object) -> tuple[tuple[int, int], tuple[int, int]]:
    corners = np.asarray(value, np.int64)
    return (int(corners[0, 0]), int(corners[0, 1])), (int(corners[1, 0]), int(corners[1, 1]))


def layer(channels: Mapping[str, np.ndarray], name: str, count: int) -> np.ndarray | None:
    """A layer [H, W, count] by its name, in any of the usual spellings of components; None without."""
    for spelling in _SPELLINGS:
        names = [f"{name}.{letter}" if name else letter for letter in spelling[:count]]
        if all(item in channels for item in names):
            return np.stack([channels[item] for item in names], axis=-1)
    if count > 1:
        return None
    single = [key for key in channels if key == name or (name and key.rpartition(".")[0] == name)]
    return channels[single[0]][..., None] if len(single) == 1 else None


def require_layer(channels: Mapping[str, np.ndarray], name: str, count: int, path: Path) -> np.ndarray:
    """The same, or DatasetError that says what the file has."""
    found = layer(channels, name, count)
    if found is None:
        known = ", ".join(sorted(channels))
        raise DatasetError(
            f"{path} lacks the layer {name}; it has {known}.",
            "Render with the settings that the dataset node authors.",
        )
    return found


def read_beauty(path: Path, channels: Mapping[str, np.ndarray]) -> np.ndarray:
    """Linear premultiplied color and alpha [H, W, 4]. Raises DatasetError for none, or wild values."""
    found = next((item for name in BEAUTY_NAMES if (item := layer(channels, name, 4)) is not None), None)
    if found is None:
        require_layer(channels, BEAUTY_NAMES[0], 4, path)
        raise AssertionError
    if not np.isfinite(found).all():
        raise DatasetError(f"{path} has pixels that are not finite.", "Delete it and render it again.")
    if found.shape[-1] == 4 and (found[..., :3][found[..., 3] <= 0] > 1e-3).any():
        raise DatasetError(
            f"{path} shows the light behind the object: pixels without alpha have color.",
            "Hide the dome light from cameras, or render with the stage that the dataset node authors.",
        )
    pixels = np.array(found, np.float32)
    pixels[..., 3] = np.clip(pixels[..., 3], 0.0, 1.0)
    return pixels
