"""Environment maps: light from all directions, from a latitude-longitude picture or a formula.

Images are radiance, scene-linear Rec.709, laid out as `studio.latlong_directions` says: +Y on top,
+Z in the middle, +X to its left.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.lights.errors import LightError
from neuron_core.lights.maps import (
    ENDINGS,
    LARGEST_WIDTH,
    Flaws,
    check_shape,
    read_latlong,
)
from neuron_core.lights.procedural import procedural_light
from neuron_core.lights.records import LightRecord
from neuron_core.lights.studio import studio_environment, varied_boxes

STUDIO = "studio"
EVEN = "even"
LARGEST_EXPOSURE = 32.0  # stops, up or down
_VARIANT = re.compile(r"studio:(\d{1,9})")


@dataclass(frozen=True, slots=True, eq=False)
class Environment:
    """An environment map and how it is placed. Raises LightError for values that cannot be one."""

    name: str
    image: np.ndarray  # [H, 2 H, 3] float32 radiance, finite and not negative
    rotation: float = 0.0  # degrees about +Y; what was at +Z moves towards +X
    exposure: float = 0.0  # stops

    def __post_init__(self) -> None:
        check_radiance(self.name, self.image)
        if not np.isfinite(self.rotation):
            raise LightError(f"The environment {self.name} is rotated by {self.rotation} degrees.")
        if not abs(self.exposure) <= LARGEST_EXPOSURE:
            raise LightError(
                f"The environment {self.name} has an exposure of {self.exposure} stops.",
                f"Give {-LARGEST_EXPOSURE:g} to {LARGEST_EXPOSURE:g}.",
            )

    def radiance(self, directions: np.ndarray) -> np.ndarray:
        """What comes from unit directions [..., 3] of the world: [..., 3] float64, interpolated."""
        height, width = self.image.shape[:2]
        azimuth = np.arctan2(directions[..., 0], directions[..., 2]) - np.radians(self.rotation)
        across = (0.5 - azimuth / (2.0 * np.pi)) * width - 0.5
        down = np.arccos(np.clip(directions[..., 1], -1.0, 1.0)) / np.pi * height - 0.5
        column, row = np.floor(across).astype(int), np.floor(down).astype(int)
        right, below = (across - column)[..., None], (down - row)[..., None]
        left_columns, right_columns = column % width, (column + 1) % width
        upper, lower = np.clip(row, 0, height - 1), np.clip(row + 1, 0, height - 1)

        def pixels(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
            return self.image[rows, columns].astype(np.float64)

        above = (1.0 - right) * pixels(upper, left_columns) + right * pixels(upper, right_columns)
        under = (1.0 - right) * pixels(lower, left_columns) + right * pixels(lower, right_columns)
        return np.asarray(((1.0 - below) * above + below * under) * 2.0**self.exposure)


def read_environment(text: str) -> Environment:
    """The environment that a text names, neither rotated nor exposed.

    "studio"; "studio:N", the same boxes turned, moved and tinted by seed N; "even", a radiance of 1
    from everywhere; "sky:N", "room:N", "spots:N" and "noise:N", as `procedural` makes them; or the path
    of a latitude-longitude picture (EXR, or Radiance HDR). Raises LightError or ImageError.
    """
    image = _by_formula(text)
    if image is not None:
        return Environment(text, image)
    if Path(text).suffix.lower() not in ENDINGS:
        raise LightError(
            f"Unknown light {text!r}.",
            "Give studio, studio:N, even, sky:N, room:N, spots:N, noise:N, or a latitude-longitude picture "
            "(.exr, .hdr, .pic).",
        )
    return Environment(Path(text).stem, read_latlong(Path(text)))


def _by_formula(text: str) -> np.ndarray | None:
    """The image of a light that needs no file; None if the text does not name one."""
    if text == STUDIO:
        return studio_environment()
    if text == EVEN:
        return np.ones((2, 4, 3), np.float32)
    variant = _VARIANT.fullmatch(text)
    if variant:
        return studio_environment(boxes=varied_boxes(int(variant[1])))
    return procedural_light(text)


def environment_of(record: LightRecord, folder: Path) -> Environment | None:
    """The environment of a record whose file is in `folder`; None for a rig without a map.

    Raises LightError or ImageError.
    """
    if record.kind == "uniform":
        image: np.ndarray | None = np.full((2, 4, 3), record.color, np.float32)
    elif not record.file:
        return None
    else:
        image = _by_formula(record.file)
    if image is None:
        image = read_latlong(folder / record.file)
    return Environment(record.name, image, record.rotation, record.exposure)


def check_radiance(name: str, image: np.ndarray) -> None:
    """Raise LightError unless an image is finite radiance float32 [H, 2 H, 3]; `name` is for the message."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.float32:
        raise LightError(
            f"The light {name} is an array {image.shape} of {image.dtype}.", "Give float32 [H, 2 H, 3]."
        )
    check_shape(name, image.shape[1], image.shape[0], LARGEST_WIDTH)
    flaws = Flaws()
    flaws.find(image)
    flaws.check(name)
