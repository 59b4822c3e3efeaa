"""The light of a dataset: our studio, a variant of it, or a picture of somebody's own."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuron_core.datasets.layout import DatasetError
from neuron_core.images.exr import read_exr
from neuron_core.lights.studio import BOXES, SoftBox, studio_environment

STUDIO = "studio"
LARGEST_WIDTH = 4096  # pixels; finer lights only cost memory
_VARIANT = re.compile(r"studio:(\d{1,9})")


def read_light(text: str) -> np.ndarray:
    """Radiance over directions [H, W, 3] float32, linear, laid out as `studio.latlong_directions` says.

    "studio"; "studio:N", the same boxes turned, moved and tinted by seed N; or the path of a
    latitude-longitude EXR. Raises DatasetError or ImageError for what is no light.
    """
    if text == STUDIO:
        return studio_environment()
    variant = _VARIANT.fullmatch(text)
    if variant:
        return studio_environment(boxes=varied(int(variant[1])))
    return _read(Path(text))


def varied(seed: int) -> tuple[SoftBox, ...]:
    """The boxes of a studio that somebody else set up: as bright, elsewhere, of other sizes and colors."""
    random = np.random.default_rng(seed)
    turn = random.uniform(0.0, 360.0)
    return tuple(_moved(box, turn, random) for box in BOXES)


def _moved(box: SoftBox, turn: float, random: np.random.Generator) -> SoftBox:
    sizes = random.uniform(0.7, 1.4, 2)
    tint = np.asarray(box.color) * random.uniform(0.85, 1.15, 3)
    return replace(
        box,
        azimuth=box.azimuth + turn + random.uniform(-30.0, 30.0),
        elevation=float(np.clip(box.elevation + random.uniform(-15.0, 15.0), 5.0, 90.0)),
        half_width=box.half_width * float(sizes[0]),
        half_height=box.half_height * float(sizes[1]),
        radiance=box.radiance * float(random.uniform(0.75, 1.3)),
        color=_color(tint),
    )


def _color(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _read(path: Path) -> np.ndarray:
    if path.suffix.lower() != ".exr":
        raise DatasetError(
            f"{str(path)!r} is no light.", "Give studio, studio:N, or a latitude-longitude picture (.exr)."
        )
    channels = read_exr(path)
    missing = [name for name in "RGB" if name not in channels]
    if missing:
        raise DatasetError(f"The light {path} lacks the channels {', '.join(missing)}.", "Save it as RGB.")
    image = np.stack([channels[name] for name in "RGB"], axis=-1)
    height, width = image.shape[:2]
    if not np.isfinite(image).all() or image.min() < 0.0:
        raise DatasetError(f"The light {path} has pixels that are negative or not finite.", "Repair it.")
    if width != 2 * height:
        raise DatasetError(
            f"The light {path} has {width} x {height} pixels; all directions need twice as many across.",
            "Give a latitude-longitude picture.",
        )
    if width > LARGEST_WIDTH:
        raise DatasetError(f"The light {path} is {width} pixels wide.", f"Give at most {LARGEST_WIDTH}.")
    return np.asarray(image, np.float32)
