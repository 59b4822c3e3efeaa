"""EXR, PNG and JPEG files."""

from pathlib import Path

import numpy as np

from neuron_core.foundation.wording import counted
from neuron_core.inspection.findings import Findings, byte_size


def inspect_exr(path: Path) -> Findings:
    """Decode all channels; values that are not finite are counted."""
    from neuron_core.images.exr import read_exr

    channels = read_exr(path)
    height, width = next(iter(channels.values())).shape
    described = {name: _describe(pixels) for name, pixels in channels.items()}
    bad = sum(int(pixels.size - np.isfinite(pixels).sum()) for pixels in channels.values())
    lines = [
        f"{width} x {height} pixels, {counted(len(channels), 'channel')}, {byte_size(path.stat().st_size)}",
        *(f"{name}: {_range(lowest, highest)}" for name, (lowest, highest) in list(described.items())[:32]),
        f"{bad} values are not finite" if bad else "checked: all pixels are finite",
    ]
    details: dict[str, object] = {
        "width": width,
        "height": height,
        "channels": {name: {"min": low, "max": high} for name, (low, high) in described.items()},
        "not_finite": bad,
    }
    return Findings("exr", "EXR picture", lines, details)


def inspect_picture(path: Path, encoding: str) -> Findings:
    """Decode a PNG or JPEG."""
    from neuron_core.images.pictures import decode_image

    height, width, channels = decode_image(path).shape
    lines = [
        f"{width} x {height} pixels, {'with' if channels == 4 else 'without'} transparency, "
        f"{byte_size(path.stat().st_size)}",
        "checked: all pixels decode",
    ]
    details: dict[str, object] = {
        "width": width,
        "height": height,
        "channels": channels,
        "encoding": encoding,
    }
    return Findings("picture", f"{encoding} picture", lines, details)


def _describe(pixels: np.ndarray) -> tuple[float | None, float | None]:
    finite = pixels[np.isfinite(pixels)]
    return (float(finite.min()), float(finite.max())) if finite.size else (None, None)


def _range(low: float | None, high: float | None) -> str:
    return "no finite value" if low is None or high is None else f"{low:.4g} to {high:.4g}"
