"""The light of every dataset: a photo studio that is written down as a formula.

Large soft boxes with smooth edges around the object, a pale backdrop that darkens upwards and a
soft floor. Nothing is small and hot, so that pictures are quiet at few samples. Values are
scene-linear Rec.709 radiance. Names of directions: +Z is the front, +X the right of the object
as seen by a camera at +Z.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, radians, sin

import numpy as np

WIDTH, HEIGHT = 512, 256

Color = tuple[float, float, float]

WARM: Color = (1.0, 0.93, 0.84)
COOL: Color = (0.84, 0.92, 1.0)
NEUTRAL: Color = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class SoftBox:
    """A rectangle of light at unit distance, facing the object."""

    azimuth: float  # degrees, 0 at +Z, 90 at +X
    elevation: float  # degrees above the horizon
    half_width: float  # tangents of the half angles
    half_height: float
    softness: float  # width of the edge, in the same unit
    radiance: float
    color: Color


BOXES = (
    SoftBox(38.0, 42.0, 0.60, 0.50, 0.22, 3.8, WARM),  # key
    SoftBox(-58.0, 24.0, 0.62, 0.60, 0.40, 0.8, COOL),  # fill
    SoftBox(-128.0, 16.0, 0.20, 0.85, 0.14, 3.1, COOL),  # rim
    SoftBox(142.0, 22.0, 0.26, 0.80, 0.14, 2.6, NEUTRAL),  # second rim
    SoftBox(0.0, 90.0, 0.70, 0.70, 0.35, 1.1, NEUTRAL),  # overhead
)


def studio_environment(
    width: int = WIDTH, height: int = HEIGHT, boxes: Sequence[SoftBox] = BOXES
) -> np.ndarray:
    """The studio as an image over directions [H, W, 3] float32; see `latlong_directions`."""
    return studio_radiance(latlong_directions(width, height), boxes).astype(np.float32)


def varied_boxes(seed: int) -> tuple[SoftBox, ...]:
    """The boxes of a studio that was set up otherwise: as bright, elsewhere, of other sizes and colors."""
    random = np.random.default_rng(seed)
    turn = random.uniform(0.0, 360.0)
    return tuple(_varied(box, turn, random) for box in BOXES)


def _varied(box: SoftBox, turn: float, random: np.random.Generator) -> SoftBox:
    sizes = random.uniform(0.7, 1.4, 2)
    red, green, blue = (np.asarray(box.color) * random.uniform(0.85, 1.15, 3)).tolist()
    return replace(
        box,
        azimuth=box.azimuth + turn + random.uniform(-30.0, 30.0),
        elevation=float(np.clip(box.elevation + random.uniform(-15.0, 15.0), 5.0, 90.0)),
        half_width=box.half_width * float(sizes[0]),
        half_height=box.half_height * float(sizes[1]),
        radiance=box.radiance * float(random.uniform(0.75, 1.3)),
        color=(red, green, blue),
    )


def latlong_directions(width: int, height: int) -> np.ndarray:
    """Unit directions [H, W, 3] of pixel centers: +Y on top, +Z in the middle, +X to its left.

    This is the view from inside, as dome lights of USD and Mitsuba's envmap lay it out.
    """
    polar = (np.arange(height) + 0.5) / height * np.pi
    around = np.pi - (np.arange(width) + 0.5) / width * 2.0 * np.pi  # of +X over +Z
    polar, around = np.meshgrid(polar, around, indexing="ij")
    ring = np.sin(polar)
    return np.stack([ring * np.sin(around), np.cos(polar), ring * np.cos(around)], axis=-1)


def studio_radiance(directions: np.ndarray, boxes: Sequence[SoftBox] = BOXES) -> np.ndarray:
    """Radiance [..., 3] that comes from unit directions [..., 3]."""
    light = _room(directions)
    for box in boxes:
        light = light + _shape(box, directions)[..., None] * (box.radiance * np.asarray(box.color))
    return light


def _room(directions: np.ndarray) -> np.ndarray:
    """Backdrop and floor: palest at the horizon."""
    height = directions[..., 1:2]
    backdrop = np.array([0.22, 0.23, 0.25]) * (0.14 + 0.86 * np.exp(-3.0 * np.maximum(height, 0.0)))
    floor = np.array([0.16, 0.15, 0.14]) * (0.25 + 0.75 * np.exp(-2.5 * np.maximum(-height, 0.0)))
    return backdrop + (floor - backdrop) * _smooth_step(0.03, -0.12, height)


def _shape(box: SoftBox, directions: np.ndarray) -> np.ndarray:
    """1 inside the box, 0 outside, smooth between."""
    azimuth, elevation = radians(box.azimuth), radians(box.elevation)
    middle = np.array([cos(elevation) * sin(azimuth), sin(elevation), cos(elevation) * cos(azimuth)])
    right = np.array([cos(azimuth), 0.0, -sin(azimuth)])
    up = np.cross(middle, right)
    facing = directions @ middle
    ahead = np.maximum(facing, 1e-6)
    x, y = np.abs(directions @ right) / ahead, np.abs(directions @ up) / ahead
    corner = min(box.half_width, box.half_height) * 0.35
    outside = np.stack([x - box.half_width + corner, y - box.half_height + corner], axis=-1)
    distance = np.linalg.norm(np.maximum(outside, 0.0), axis=-1) - corner
    distance += np.minimum(outside.max(axis=-1), 0.0)
    return np.where(facing > 1e-6, _smooth_step(box.softness / 2, -box.softness / 2, distance), 0.0)


def _smooth_step(start: float, end: float, value: np.ndarray) -> np.ndarray:
    t = np.clip((value - start) / (end - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
