"""Latitude-longitude pictures of light as people have them: EXR or Radiance HDR, large, perhaps flawed.

Pictures wider than `LARGEST_WIDTH` are made smaller by a whole factor while they are read, in bands
of rows, without a loss of light. What cannot be a light is refused and said where.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.images.exr import exr_size, read_exr
from neuron_core.images.hdr import hdr_size, open_hdr
from neuron_core.lights.errors import LightError
from neuron_core.lights.reduction import reduced_rows, row_angles

LARGEST_WIDTH = 4096  # pixels; finer lights only cost memory
LARGEST_STORED_WIDTH = 16384  # of a picture that is made smaller
RADIANCE = (".hdr", ".pic")
ENDINGS = (".exr", *RADIANCE)
BAND = 64  # rows that are read at a time
_EXR_BYTES = LARGEST_STORED_WIDTH * LARGEST_STORED_WIDTH // 2 * 4 * 4  # four channels of floats

Rows = Callable[[int, int], np.ndarray]  # rows from one to another, exclusive: [n, W, 3] float32


@dataclass(slots=True)
class Flaws:
    """Pixels that cannot be light, counted over bands of an image."""

    not_finite: int = 0
    negative: int = 0
    first: tuple[int, int] = (0, 0)  # column and row

    def find(self, rows: np.ndarray, start: int = 0) -> None:
        """Add those of rows [h, W, 3], the first of which is row `start` of the image."""
        if np.isfinite(rows.min()) and np.isfinite(rows.max()) and rows.min() >= 0.0:
            return
        strange = ~np.isfinite(rows).all(axis=-1)
        negative = ~strange & (rows < 0.0).any(axis=-1)
        if not self.not_finite + self.negative:
            row, column = np.argwhere(strange | negative)[0].tolist()
            self.first = (column, start + row)
        self.not_finite += int(strange.sum())
        self.negative += int(negative.sum())

    def check(self, name: str) -> None:
        """Raise LightError if there are any."""
        counts = {"negative": self.negative, "not finite": self.not_finite}
        found = " and ".join(f"{count} that are {what}" for what, count in counts.items() if count)
        if found:
            raise LightError(
                f"The light {name} has pixels that cannot be light: {found}. The first is at column "
                f"{self.first[0]}, row {self.first[1]}.",
                "Repair the picture, for instance with oiiotool --fixnan box3 --clamp:min=0.",
            )


def read_latlong(path: Path, widest: int = LARGEST_WIDTH) -> np.ndarray:
    """The radiance [H, 2 H, 3] float32 in an EXR or Radiance HDR, at most `widest` pixels wide.

    Raises LightError or ImageError naming the file.
    """
    is_radiance = path.suffix.lower() in RADIANCE
    width, height = hdr_size(path) if is_radiance else exr_size(path, _EXR_BYTES)
    check_shape(str(path), width, height, LARGEST_STORED_WIDTH)
    factor = _factor(path, width, height, widest)
    return _gathered(str(path), height, factor, open_hdr(path).rows if is_radiance else _exr_rows(path))


def check_shape(name: str, width: int, height: int, widest: int) -> None:
    """Raise LightError unless a picture of this size shows all directions and is not too wide."""
    if width != 2 * height:
        raise LightError(
            f"The light {name} has {width} x {height} pixels; all directions need twice as many across.",
            "Give a latitude-longitude image.",
        )
    if width > widest:
        raise LightError(f"The light {name} is {width} pixels wide.", f"Give at most {widest}.")


def _factor(path: Path, width: int, height: int, widest: int) -> int:
    """By how much a picture is made smaller."""
    least = -(-width // widest)
    for factor in range(least, 2 * least + 2):
        if height % factor == 0:
            return factor
    raise LightError(
        f"The light {path} has {width} x {height} pixels, which no small factor makes at most {widest} wide.",
        f"Resize it to {widest} x {widest // 2}.",
    )


def _exr_rows(path: Path) -> Rows:
    channels = read_exr(path, _EXR_BYTES)
    missing = [name for name in "RGB" if name not in channels]
    if missing:
        raise LightError(f"The light {path} lacks the channels {', '.join(missing)}.", "Save it as RGB.")
    return lambda first, end: np.stack([channels[name][first:end] for name in "RGB"], axis=-1)


def _gathered(name: str, height: int, factor: int, rows: Rows) -> np.ndarray:
    image = np.empty((height // factor, 2 * height // factor, 3), np.float32)
    angles, flaws = row_angles(height), Flaws()
    band = BAND // factor * factor
    for start in range(0, height, band):
        end = min(start + band, height)
        part = rows(start, end)
        flaws.find(part, start)
        if flaws.not_finite == 0:
            image[start // factor : end // factor] = (
                part if factor == 1 else reduced_rows(part, angles[start:end], factor)
            )
    flaws.check(name)
    return image
