"""Lights for data, by formula and seed: skies with a sun, rooms, colored spots and smooth noise.

Each is a function of its seed alone, and has a mean radiance over all directions of `MEAN`. They
are computed on a grid of about `GRID` directions around, however large the image is to be, and
averaged over its pixels; the sun covers pixels by its exact solid angle. So light does not depend
on the resolution. Frames are those of `studio`: +Y is up.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, exp, pi, radians, sin

import numpy as np

from neuron_core.lights.errors import LightError
from neuron_core.lights.reduction import mean_radiance, reduced
from neuron_core.lights.rooms import room_radiance
from neuron_core.lights.studio import HEIGHT, WIDTH, latlong_directions

MEAN = 0.6  # radiance, of the mean of red, green and blue
GRID = 1024  # directions around in which formulas are evaluated
SMOOTH_GRID = 256  # for those without edges
SUN_RADIUS = 0.55  # degrees; about twice the real one, so that it covers a pixel
KINDS = ("sky", "room", "spots", "noise")
DATA_KINDS = ("studio", *KINDS)
MOST_LIGHTS = 10_000
LARGEST_SEED = 999_999_999
_NAME = re.compile(rf"({'|'.join(KINDS)}):(\d{{1,9}})")
_SPOT_TRIES = 200

Color = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sky:
    """A sky with a sun over a ground. Angles in degrees, azimuth 0 at +Z and 90 at +X."""

    azimuth: float  # of the sun
    elevation: float
    haze: float  # 0 clear to 1 thick: a paler sky, a wider glow, a weaker sun
    ground: Color  # albedo

    @property
    def sun(self) -> np.ndarray:
        """The unit direction of the middle of the sun."""
        return _direction(self.azimuth, self.elevation)


@dataclass(frozen=True, slots=True)
class Spot:
    """A soft round light at infinity. Angles in degrees."""

    azimuth: float
    elevation: float
    width: float  # from edge to edge
    softness: float  # share of the radius over which the edge fades
    color: Color  # radiance in the middle, before all is normalized


def procedural_lights(count: int, seed: int = 0) -> tuple[str, ...]:
    """Names of `count` different lights for a dataset, the kinds in turn: studio, sky, room, spots, noise.

    The first ones of a longer list are those of a shorter one. Raises LightError for another count.
    """
    if not 1 <= count <= MOST_LIGHTS:
        raise LightError(f"A dataset cannot have {count} lights.", f"Give 1 to {MOST_LIGHTS}.")
    random = np.random.default_rng(seed)
    seeds: dict[int, None] = {}  # in order, each once
    while len(seeds) < count:
        seeds[int(random.integers(LARGEST_SEED + 1))] = None
    return tuple(f"{DATA_KINDS[index % len(DATA_KINDS)]}:{one}" for index, one in enumerate(seeds))


def procedural_light(name: str, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray | None:
    """The image [H, W, 3] float32 of "sky:N", "room:N", "spots:N" or "noise:N"; None for other names."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    seed = int(found[2])
    random = np.random.default_rng([KINDS.index(found[1]), seed])
    if found[1] == "sky":
        image = _sky_image(sky_of(seed), width, height)
    elif found[1] == "room":
        image = _averaged(lambda directions: room_radiance(directions, random), width, height)
    elif found[1] == "spots":
        image = _averaged(lambda directions: _spots_radiance(directions, seed), width, height)
    else:
        image = _averaged(lambda directions: _noise_radiance(directions, random), width, height, SMOOTH_GRID)
    return np.asarray(image * (MEAN / mean_radiance(image).mean()), np.float32)


def _averaged(
    formula: Callable[[np.ndarray], np.ndarray], width: int, height: int, grid: int = GRID
) -> np.ndarray:
    """Radiance of directions as means over pixels."""
    finer = max(1, round(grid / width))
    return reduced(formula(latlong_directions(finer * width, finer * height)), finer)


def _direction(azimuth: float, elevation: float) -> np.ndarray:
    around, up = radians(azimuth), radians(elevation)
    return np.array([cos(up) * sin(around), sin(up), cos(up) * cos(around)])


def sky_of(seed: int) -> Sky:
    """The sky of "sky:SEED"."""
    random = np.random.default_rng([KINDS.index("sky"), seed])
    azimuth, elevation, haze = random.uniform(0.0, 360.0), random.uniform(5.0, 75.0), random.uniform()
    grounds = ((0.10, 0.13, 0.05), (0.26, 0.21, 0.15), (0.22, 0.22, 0.22), (0.40, 0.36, 0.28))
    ground = np.array(grounds[random.integers(len(grounds))]) * random.uniform(0.7, 1.3)
    red, green, blue = ground.tolist()
    return Sky(float(azimuth), float(elevation), float(haze), (red, green, blue))


def _sky_image(sky: Sky, width: int, height: int) -> np.ndarray:
    image = _averaged(lambda directions: _sky_radiance(directions, sky), width, height)
    radius = radians(SUN_RADIUS)
    sun = _sunlight(sky) / (2.0 * pi * (1.0 - cos(radius)))
    return image + disk_coverage(sky.sun, radius, width, height)[..., None] * sun


def _sunlight(sky: Sky) -> np.ndarray:
    """Irradiance [3] of a surface that faces the sun, where the sky has a radiance of about 1."""
    air = 1.0 / (sin(radians(sky.elevation)) + 0.06)  # thickness to look through, 1 for the zenith
    depths = np.array([0.07, 0.11, 0.20]) + sky.haze * np.array([0.16, 0.17, 0.18])
    return np.asarray(16.0 * np.exp(-depths * air))


def _sky_radiance(directions: np.ndarray, sky: Sky) -> np.ndarray:
    """All but the sun itself."""
    up, facing = directions[..., 1], directions @ sky.sun
    low = exp(-sky.elevation / 10.0)  # how much it is a sunset
    zenith = _mixed((0.22, 0.48, 1.10), (0.75, 0.85, 0.95), 0.7 * sky.haze) * (1.0 - 0.5 * low)
    horizon = _mixed((0.95, 1.10, 1.30), (1.25, 0.95, 0.70), low)
    height = np.clip(up, 0.0, 1.0)[..., None]
    air = zenith + (horizon - zenith) * np.exp(-height * (5.0 - 2.5 * sky.haze))
    sunlight = _sunlight(sky)
    narrow, wide = (np.exp((facing - 1.0) * sharpness) for sharpness in (60.0 - 40.0 * sky.haze, 3.0))
    glow = (0.10 + 0.15 * sky.haze) * narrow + 0.02 * wide
    air = air + glow[..., None] * sunlight
    lit = pi * (zenith + horizon) / 2.0 + sunlight * sin(radians(sky.elevation))
    ground = np.asarray(sky.ground) * lit / pi
    far = np.exp(np.minimum(up, 0.0) * (25.0 - 15.0 * sky.haze))[..., None]  # haze before far ground
    below = ground + (horizon - ground) * (0.4 + 0.5 * sky.haze) * far
    edge = np.clip(0.5 + up / 0.02, 0.0, 1.0)[..., None]
    return np.asarray(below + (air - below) * edge)


def _mixed(first: Color, second: Color, share: float) -> np.ndarray:
    return np.asarray(first) * (1.0 - share) + np.asarray(second) * share


def disk_coverage(middle: np.ndarray, radius: float, width: int, height: int) -> np.ndarray:
    """How much of each pixel [H, W] a disk of directions covers, 0 to 1; its solid angle is exact.

    `radius` is in radians.
    """
    pixel = 1.5 * pi / height
    near = latlong_directions(width, height) @ middle > cos(min(radius + pixel, pi))
    rows, columns = np.nonzero(near)
    inside = (np.arange(16) + 0.5) / 16
    polar = (rows[:, None] + inside) / height * pi
    around = pi - (columns[:, None] + inside) / width * 2.0 * pi
    ring = np.sin(polar)[:, :, None]
    facing = ring * (np.sin(around) * middle[0] + np.cos(around) * middle[2])[:, None, :]
    facing = facing + (np.cos(polar) * middle[1])[:, :, None]
    coverage = np.zeros((height, width))
    coverage[rows, columns] = ((facing > cos(radius)) * ring).sum(axis=(1, 2)) / (16 * ring.sum(axis=(1, 2)))
    edges = np.cos(np.linspace(0.0, pi, height + 1))
    found = float((coverage.sum(axis=1) * (edges[:-1] - edges[1:])).sum()) * 2.0 * pi / width
    return coverage * (2.0 * pi * (1.0 - cos(radius)) / found)


def spots_of(seed: int) -> tuple[Spot, ...]:
    """The 3 to 10 spots of "spots:SEED"; they do not touch."""
    random = np.random.default_rng([KINDS.index("spots"), seed])
    count = int(random.integers(3, 11))
    spots: list[Spot] = []
    for _ in range(_SPOT_TRIES):
        spot = _drawn_spot(random)
        if all(_are_apart(spot, other) for other in spots):
            spots.append(spot)
        if len(spots) == count:
            break
    return tuple(spots)


def _drawn_spot(random: np.random.Generator) -> Spot:
    width = float(4.0 * (25.0 / 4.0) ** random.uniform())
    hue = random.uniform(0.0, 2.0 * pi)
    tint = 1.0 + random.uniform(0.1, 0.9) * np.cos(hue + np.array([0.0, 2.0, 4.0]) * pi / 3.0)
    power = random.uniform(0.4, 1.6) / width**1.6  # small ones are brighter and weaker
    red, green, blue = (tint * power).tolist()
    elevation = float(np.degrees(np.arcsin(random.uniform(-0.35, 1.0))))
    return Spot(
        float(random.uniform(0.0, 360.0)),
        elevation,
        width,
        float(random.uniform(0.2, 0.7)),
        (red, green, blue),
    )


def _are_apart(one: Spot, other: Spot) -> bool:
    between = np.clip(
        _direction(one.azimuth, one.elevation) @ _direction(other.azimuth, other.elevation), -1, 1
    )
    return bool(np.degrees(np.arccos(between)) > (one.width + other.width) / 2.0 + 2.0)


def _spots_radiance(directions: np.ndarray, seed: int) -> np.ndarray:
    light = np.zeros_like(directions)
    for spot in spots_of(seed):
        facing = directions @ _direction(spot.azimuth, spot.elevation)
        near = facing > cos(radians(spot.width / 2.0))
        light[near] += _spot_shape(facing[near], spot)[:, None] * np.asarray(spot.color)
    dim = np.random.default_rng([len(KINDS), seed]).uniform(0.04, 0.2)
    mean = mean_radiance(light)
    color = mean + 0.5 * mean.mean()  # what bounces back from around
    return np.asarray(light + dim * color * (1.0 + 0.4 * directions[..., 1:2]))


def _spot_shape(facing: np.ndarray, spot: Spot) -> np.ndarray:
    """1 in the middle, smoothly 0 at the edge, by the cosine to the middle."""
    away = np.degrees(np.arccos(np.clip(facing, -1.0, 1.0))) / (spot.width / 2.0)
    inner = np.clip((1.0 - away) / spot.softness, 0.0, 1.0)
    return np.asarray(inner * inner * (3.0 - 2.0 * inner))


def _noise_radiance(directions: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The exponential of waves in space, which have neither seams nor poles on the sphere."""
    contrast = random.uniform(0.6, 1.6)
    logarithm = contrast * _waves(directions, random)[..., None] + np.zeros(3)
    for channel in range(3):
        logarithm[..., channel] += 0.35 * contrast * _waves(directions, random)
    return np.exp(logarithm)


def _waves(directions: np.ndarray, random: np.random.Generator, count: int = 16) -> np.ndarray:
    """Smooth noise of about unit deviation along directions [..., 3]."""
    total = np.zeros(directions.shape[:-1])
    axes = random.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    for axis, frequency, phase in zip(
        axes, random.uniform(1.0, 7.0, count), random.uniform(0.0, 2.0 * pi, count), strict=True
    ):
        total += np.cos(frequency * (directions @ axis) + phase) / np.sqrt(frequency)
    return total * np.sqrt(6.0 / count)
