"""Sample a picture until it is known how close it is to its limit."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neuron_core.foundation.colors import linear_to_srgb, over_white

PARTIAL_SPP = 16  # a pass where pixels are chosen: 4 x 4 strata
WHOLE_SPP = 36  # a pass over all pixels: 6 x 6 strata
RESERVE = 1.2  # more samples than the estimate by pixel asks for
WHOLE_RESERVE = 1.05  # than the mean over the picture does, which is less uncertain
SPREAD = 3  # pixels around one that its noise is estimated from
MOST_ROUNDS = 6
BEST_DB = 99.0  # reported for pictures without noise

Render = Callable[[int, int, np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A picture, the samples in it, and how far it is from its limit."""

    pixels: np.ndarray  # [H, W, 4] float32 linear premultiplied
    spp: float  # mean over the pixels
    error: float | None  # estimated mean squared distance to the limit, sRGB over white


def sample_until(
    render: Render, shape: tuple[int, int], target_db: float, most_spp: int, partial: bool
) -> Sampled:
    """Render two independent halves until their mean is within `target_db` of the limit.

    `render(spp, index, repeats)` answers with independent pictures [H, W, 4] for different indices;
    `repeats` [H, W] int is the effort by pixel, the same for all unless `partial`. Two halves that
    differ by a mean square D are D / 4 from the limit on average, once they are averaged; nothing
    that was rendered is thrown away. No pixel gets more than `most_spp` samples, even if the target
    is not reached then.
    """
    target = 10.0 ** (-target_db / 10.0)
    spp = min(PARTIAL_SPP if partial else WHOLE_SPP, max(1, most_spp // 2))
    most_passes = max(1, most_spp // (2 * spp))
    sums = np.zeros((2, *shape, 4))
    passes = np.zeros(shape, int)
    variances = np.zeros(shape)  # of one pass in both halves
    repeats = np.ones(shape, int)
    for round_ in range(MOST_ROUNDS):
        pair = [render(spp, 2 * round_ + half, repeats).astype(np.float64) for half in range(2)]
        sums += repeats[..., None] * np.stack(pair)
        passes += repeats
        # The newest samples judge alone: which pixels got them was decided without them.
        variances = np.where(repeats > 0, repeats * squared_differences(*pair) / 4.0, variances)
        error = float((variances / passes).mean())
        if error <= target or round_ == MOST_ROUNDS - 1:
            break
        goal = target / (RESERVE if partial else WHOLE_RESERVE)
        repeats = _effort(variances, passes, goal, most_passes, partial) - passes
        if not repeats.any():
            break
    pixels = (sums.sum(axis=0) / (2.0 * passes[..., None])).astype(np.float32)
    return Sampled(pixels, float(2 * spp * passes.mean()), error)


def _effort(variances: np.ndarray, passes: np.ndarray, target: float, most: int, partial: bool) -> np.ndarray:
    """Passes [H, W] in all, at least those done, that bring the mean error to the target.

    Errors fall as passes grow, so the fewest passes are proportional to the root of the variance.
    The neighbors of a pixel are asked too, as both halves of one may be off in the same way.
    """
    if not partial:
        variances = np.full_like(variances, variances.mean())
    around = blurred(variances, SPREAD)
    low, high = 0.0, most / math.sqrt(max(float(around.max()), 1e-12))
    for _ in range(30):
        middle = (low + high) / 2.0
        effort = np.clip(np.ceil(middle * np.sqrt(around)), passes, most).astype(int)
        low, high = (low, middle) if (around / effort).mean() <= target else (middle, high)
    return np.clip(np.ceil(high * np.sqrt(around)), passes, most).astype(int)


def squared_differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of two linear premultiplied pictures as metrics compare them, mean of the channels [H, W]."""
    difference = linear_to_srgb(over_white(first)) - linear_to_srgb(over_white(second))
    return np.mean(np.square(difference, dtype=np.float64), axis=-1)


def pair_error(first: np.ndarray, second: np.ndarray) -> float:
    """Mean squared difference of two linear premultiplied pictures, as metrics compare them."""
    return float(squared_differences(first, second).mean())


def blurred(values: np.ndarray, spread: int) -> np.ndarray:
    """Means [H, W] over squares of 2 `spread` + 1 pixels a side, of what is inside the picture."""
    size = 2 * spread + 1

    def sums(array: np.ndarray) -> np.ndarray:
        table = np.pad(array, (spread + 1, spread)).cumsum(axis=0).cumsum(axis=1)
        return np.asarray(
            table[size:, size:] - table[:-size, size:] - table[size:, :-size] + table[:-size, :-size]
        )

    return np.maximum(sums(values), 0.0) / sums(np.ones_like(values))


def decibels(error: float) -> float:
    """A mean squared error as peak signal to noise ratio; at most `BEST_DB`."""
    return min(BEST_DB, -10.0 * math.log10(max(error, 1e-12)))
