"""Sample a picture until it is known how close it is to its limit."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neuron_core.foundation.colors import linear_to_srgb, over_white

PASS_SPP = 36  # 6 x 6 strata in a pixel
RESERVE = 1.15  # more samples than the first estimate asks for
BEST_DB = 99.0  # what is told of pictures without noise


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A picture, the samples in it, and how far it is from its limit."""

    pixels: np.ndarray  # [H, W, 4] float32 linear premultiplied
    spp: int
    error: float | None  # estimated mean squared distance to the limit, sRGB over white


def sample_until(
    render: Callable[[int, int], np.ndarray], target_db: float, most_spp: int, pass_spp: int = PASS_SPP
) -> Sampled:
    """Render two independent halves until their mean is within `target_db` of the limit.

    `render(spp, index)` gives independent pictures [H, W, 4] for different indices. Two halves that
    differ by a mean square D stand D / 4 from the limit on average, once they are averaged; nothing
    that was rendered is thrown away. Ends at `most_spp` even if the target was not reached.
    """
    target = 10.0 ** (-target_db / 10.0)
    pass_spp = min(pass_spp, max(1, most_spp // 2))
    most_passes = max(1, most_spp // (2 * pass_spp))
    halves: list[np.ndarray] = []
    passes, wanted = 0, 1
    while True:
        while passes < wanted:
            pair = [render(pass_spp, 2 * passes + half).astype(np.float64) for half in range(2)]
            halves = [total + new for total, new in zip(halves, pair, strict=True)] if halves else pair
            passes += 1
        first, second = (half / passes for half in halves)
        error = pair_error(first, second) / 4.0
        wanted = min(most_passes, math.ceil(passes * error / target * RESERVE))
        if error <= target or wanted <= passes:
            return Sampled(((first + second) / 2.0).astype(np.float32), 2 * pass_spp * passes, error)


def pair_error(first: np.ndarray, second: np.ndarray) -> float:
    """Mean squared difference of two linear premultiplied pictures, as metrics compare them."""
    difference = linear_to_srgb(over_white(first)) - linear_to_srgb(over_white(second))
    return float(np.mean(np.square(difference, dtype=np.float64)))


def decibels(error: float) -> float:
    """A mean squared error as peak signal to noise ratio; at most `BEST_DB`."""
    return min(BEST_DB, -10.0 * math.log10(max(error, 1e-12)))
