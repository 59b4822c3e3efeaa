"""Suns: small hot spots of an environment map, taken off it as directional lights.

Spherical harmonics of a map with a sun in it ring; as a light of its own the sun casts sharp shadows
and shows in the lobes in closed form. Soft boxes and windows stay in the map.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from neuron_core.lights.latlong import solid_angles
from neuron_core.lights.studio import latlong_directions

MOST_SUNS = 4
HOT = 12.0  # times the mean radiance: the brightest texel of a sun is above it
REACH = np.radians(9.0)  # from the middle of a sun to its farthest texel
EDGE = np.radians(8.0)  # from here to REACH a sun is dark
CUT = 0.02  # of the bright texels of a spot: with more of them at the edge it is larger than a sun
RING = np.radians(12.0)  # outer edge of the ring whose median is what lies behind the sun
FAINTEST = 0.05  # of the brightest texel: what is darker stays in the map
LEAST_ENERGY = 0.02  # of all light: what is weaker stays in the map
_MOST_TRIES = 12  # hot spots that are looked at


@dataclass(frozen=True, slots=True, eq=False)
class Sun:
    """A directional light."""

    direction: np.ndarray  # [3] float64 of unit length, toward the sun
    irradiance: np.ndarray  # [3] float64 of a surface that faces it, scene-linear Rec.709
    radius: float  # radians, of an even disk that is as wide; 0 for a single texel


def split_suns(image: np.ndarray) -> tuple[tuple[Sun, ...], np.ndarray]:
    """The suns of a map [H, 2 H, 3], strongest texel first, and the map without them, float64.

    What is left has no negative texel where the map has none. The irradiance of the suns and the
    integral over what is left sum to the integral over the map (by `latlong.solid_angles`).
    """
    rest = np.array(image, np.float64)
    areas = np.broadcast_to(solid_angles(len(rest))[:, None], rest.shape[:2])
    brightness = rest.mean(axis=2)
    total = float((brightness * areas).sum())
    tried = np.zeros(rest.shape[:2], bool)
    suns: list[Sun] = []
    for _ in range(_MOST_TRIES):
        candidates = np.where(tried, -1.0, brightness)
        peak = np.unravel_index(int(candidates.argmax()), candidates.shape)
        mean = float((brightness * areas).sum()) / (4.0 * np.pi)
        if candidates[peak] <= HOT * mean or len(suns) == MOST_SUNS:
            break
        region, excess = _above_surroundings(rest, brightness, (int(peak[0]), int(peak[1])))
        tried[region] = tried[peak] = True
        energies = excess * areas[region][:, None]
        if energies.mean(axis=1).sum() >= LEAST_ENERGY * total:
            suns.append(_sun(_directions(len(rest))[region], energies))
            rest[region] -= excess
            brightness[region] = rest[region].mean(axis=1)
    return tuple(suns), rest


def _above_surroundings(
    image: np.ndarray, brightness: np.ndarray, peak: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The mask [H, W] of the texels of a hot spot, and how much [M, 3] they are above the ring around.

    That is nothing where the spot is a part of something larger, such as a window: no hole is cut.
    """
    directions = _directions(len(image))
    bright = brightness > FAINTEST * brightness[peak]
    middle = directions[peak]  # perhaps at the edge of an even disk, so the middle is looked for once
    region = bright & (directions @ middle >= np.cos(REACH))
    middle = brightness[region] @ directions[region]
    cosines = directions @ (middle / np.linalg.norm(middle))
    within = cosines >= np.cos(REACH)
    region = bright & within
    glowing = region & (brightness > 0.5 * brightness[peak])
    at_edge = glowing & (cosines < np.cos(EDGE))
    if solid_angles(len(image)) @ (at_edge.sum(axis=1) - CUT * glowing.sum(axis=1)) > 0.0:
        return region, np.zeros((int(region.sum()), 3))
    around = image[(cosines >= np.cos(RING)) & ~within]
    behind = np.median(around, axis=0) if len(around) else np.zeros(3)
    return region, np.maximum(image[region] - behind, 0.0)


def _sun(directions: np.ndarray, energies: np.ndarray) -> Sun:
    """The directional light of texels at `directions` [M, 3] with `energies` [M, 3]."""
    weights = energies.sum(axis=1) / energies.sum()
    middle = weights @ directions
    middle = middle / np.linalg.norm(middle)
    chords = ((directions - middle) ** 2).sum(axis=1)
    radius = 0.0 if len(weights) == 1 else float(np.sqrt(2.0 * (weights @ chords)))
    return Sun(middle, energies.sum(axis=0), radius)


@lru_cache(maxsize=4)
def _directions(height: int) -> np.ndarray:
    return latlong_directions(2 * height, height)
