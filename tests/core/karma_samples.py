"""Pictures as Karma writes them, made from exact ones."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import OpenEXR

from neuron_core.datasets.channels import GBuffer


def averaged(values: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of pixels."""
    height, width = values.shape[0] // factor, values.shape[1] // factor
    return values.reshape(height, factor, width, factor, *values.shape[2:]).mean(axis=(1, 3))


def karma_layers(
    fine: GBuffer, factor: int, depth: str = "distance", forward: object = None, eye: object = None
):
    """What a filter of a whole pixel makes of exact samples; what misses counts as 0."""
    along = fine.depth
    if depth == "z":
        along = np.where(fine.coverage > 0, (fine.position - eye) @ forward, 0.0)
    alpha = averaged(fine.coverage, factor)
    return {
        "C": np.repeat(alpha[..., None], 4, axis=-1),
        "P": averaged(fine.position, factor),
        "N": averaged(fine.normal, factor),
        "depth": averaged(along, factor),
        "shape_id": averaged(fine.shape_id.astype(np.float64) * 7, factor),
    }


def spelled(layers: Mapping[str, np.ndarray], spelling: str = "RGBA") -> dict[str, np.ndarray]:
    """Channels of one part."""
    channels = {}
    for name, values in layers.items():
        if values.ndim == 2:
            channels[name] = np.float32(values)
            continue
        for index in range(values.shape[-1]):
            channels[f"{name}.{spelling[index]}"] = np.float32(values[..., index])
    return channels


def write_parts(path: Path, parts: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """A file of one part, or of many with names."""
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [
        OpenEXR.Part(
            dict(header), {key: np.ascontiguousarray(item, np.float32) for key, item in part.items()}, name
        )
        for name, part in parts.items()
    ]
    OpenEXR.File(made).write(str(path))


def write_windowed(path: Path, channels: Mapping[str, np.ndarray]) -> None:
    """One part whose data window holds only what is not 0."""
    seen = np.any([values != 0 for values in channels.values()], axis=0)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
    height, width = seen.shape
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "dataWindow": (np.array([left, top], np.int32), np.array([right, bottom], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([width - 1, height - 1], np.int32)),
    }
    cut = {
        name: np.ascontiguousarray(values[top : bottom + 1, left : right + 1], np.float32)
        for name, values in channels.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    OpenEXR.File(header, cut).write(str(path))
