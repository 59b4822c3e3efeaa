"""Round lobes that blur a light: GGX at five roughnesses, seen along the mirror direction, and the cosine.

A lobe is a function of the cosine of the angle from its axis, and its integral over the sphere is 1.
The GGX lobes are those of normal = view = mirror direction: K(angle) is proportional to
D(cos(angle / 2)) max(cos(angle), 0), D the GGX distribution of width alpha = roughness squared.

Zonal numbers [L] say what a lobe does to the degrees 0 to L - 1 of a light that it blurs:
`latlong.convolve` takes them. The first is 1.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from neuron_core.lights.errors import LightError
from neuron_core.lights.harmonics import legendre
from neuron_core.lights.latlong import fejer_weights, polar_angles

ROUGHNESSES = (0.1, 0.2, 0.35, 0.5, 0.75)  # of the prefiltered levels
_NODES = 2048  # of the integration over a lobe


@dataclass(frozen=True)
class Lobe:
    """A GGX lobe. `radius` is the angular radius in radians of the source that it shows.

    The lobe of a source with a size is wider: alpha^2 grows by tan(radius / 2)^2, so that the middle
    of a wide disk seen by a sharp lobe has the radiance of the disk. Raises LightError for values
    out of range.
    """

    roughness: float
    radius: float = 0.0

    def __post_init__(self) -> None:
        if not 0.02 <= self.roughness < 1.0:
            raise LightError(f"A lobe has a roughness of {self.roughness}.", "Give 0.02 to below 1.")
        if not 0.0 <= self.radius <= 0.5:
            raise LightError(f"A source has a radius of {self.radius} radians.", "Give 0 to 0.5.")

    @property
    def alpha_squared(self) -> float:
        """The square of the width of the distribution; 1 would be an even hemisphere of normals."""
        return float(self.roughness**4 + np.tan(self.radius / 2.0) ** 2)

    def value(self, cosines: np.ndarray) -> np.ndarray:
        """The lobe at these cosines of the angle from its axis, 1 / steradian, float64."""
        x = np.asarray(cosines, np.float64)
        narrow = 1.0 - (1.0 - self.alpha_squared) * (0.5 + 0.5 * x)
        return np.asarray(self._norm * np.maximum(x, 0.0) / narrow**2)

    @cached_property
    def _norm(self) -> float:
        """One over the integral of max(x, 0) / (1 - (1 - alpha^2) (1 + x) / 2)^2, in closed form."""
        lowest, slope = self.alpha_squared, 1.0 - self.alpha_squared
        highest = 1.0 - slope / 2.0
        inside = (2.0 - slope) * (1.0 / lowest - 1.0 / highest) - 2.0 * np.log(highest / lowest)
        return float(slope**2 / (4.0 * np.pi * inside))

    def zonal(self, order: int) -> np.ndarray:
        """The numbers [order] by which it scales the degrees of a light, by integration."""
        return _ggx_zonal(self, order)


def cosine_zonal(order: int) -> np.ndarray:
    """The zonal numbers [order] of max(cos, 0) / pi: a light blurred by it is its irradiance / pi."""
    cosines, weights = _interval(0.0, 1.0)
    return _zonal(cosines, 2.0 * cosines * weights, order)


def _interval(start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Places and weights [N] that integrate from start to end."""
    places = start + (end - start) * (0.5 - 0.5 * np.cos(polar_angles(_NODES)))
    return places, fejer_weights(_NODES) * (end - start) / 2.0


@lru_cache(maxsize=64)
def _ggx_zonal(lobe: Lobe, order: int) -> np.ndarray:
    # Evenly in the logarithm of the denominator, where a sharp peak is as smooth as a wide one.
    slope = 1.0 - lobe.alpha_squared
    logs, weights = _interval(np.log(lobe.alpha_squared), np.log(1.0 - slope / 2.0))
    cosines = np.clip(2.0 * (1.0 - np.exp(logs)) / slope - 1.0, -1.0, 1.0)
    steps = 2.0 / slope * np.exp(logs) * weights
    found = _zonal(cosines, 2.0 * np.pi * lobe.value(cosines) * steps, order)
    found.setflags(write=False)
    return found


def _zonal(cosines: np.ndarray, masses: np.ndarray, order: int) -> np.ndarray:
    """Integrals of the Legendre polynomials, which are 1 at 1, over masses that sum to 1."""
    norms = np.sqrt((2.0 * np.arange(order) + 1.0) / (4.0 * np.pi))
    return np.asarray(legendre(order, cosines, waves=1)[0] @ masses / norms)
