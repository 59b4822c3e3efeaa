"""What a curve of figures shows: plateaus, spikes, and where patience ends a run.

A curve is a sequence of finite values, one a validation or a report, in order. Places in it are indices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import median

from neuron_core.learning.outcome import read_curve
from neuron_core.learning.plan import Patience, Trend

NEIGHBORS = 2  # on each side of a value that may be a spike
SPREAD = 1.4826  # standard deviations in a median of absolute deviations of normal noise


@dataclass(frozen=True, slots=True)
class Stop:
    """What patience makes of a curve."""

    at: int | None  # the validation after which the run ends; None if the curve ends before
    best: int | None  # the validation that was the best until then
    lowered: tuple[int, ...] = field(default=())  # the validations after which the rate is lowered


def stop_of(values: Sequence[float], patience: Patience) -> Stop:
    """Where a run with these validations stops, and where its rate is lowered: what the loop does."""
    trend, best, lowered = Trend(), None, []
    for index, value in enumerate(values):
        after = trend.after(value, patience)
        if after.best != trend.best:
            best = index
        if after.lowered != trend.lowered:
            lowered.append(index)
        trend = after
        if trend.exhausted(patience):
            return Stop(index, best, tuple(lowered))
    return Stop(None, best, tuple(lowered))


def plateau_of(values: Sequence[float], tolerance: float, window: int = 1) -> int | None:
    """From where on a curve stays within `tolerance` of its end; None if only its last value does.

    With a `window`, an odd number, medians of so many values count, so that single spikes do not.
    """
    smooth = smoothed(values, window)
    start = len(smooth)
    while start and abs(smooth[start - 1] - smooth[-1]) <= tolerance:
        start -= 1
    return start if start < len(smooth) - 1 else None


def spikes_of(values: Sequence[float], factor: float = 6.0) -> tuple[int, ...]:
    """Values that lie apart from the median of their neighbors, in order. The first and the last have none.

    Apart means by more than `factor` standard deviations of the noise, which is estimated from the
    whole curve; where there is no noise, by anything that is not rounding.
    """
    found: list[int] = []
    mended = list(values)
    limit = max(factor * _noise(values), 1e-9 * max(map(abs, values), default=0.0))
    for _ in values:
        smooth = smoothed(mended, 2 * NEIGHBORS + 1)
        apart = [abs(value - middle) for value, middle in zip(mended, smooth, strict=True)]
        worst = max(range(len(apart)), key=apart.__getitem__)
        if apart[worst] <= limit:
            break
        found.append(worst)
        mended[worst] = smooth[worst]  # a spike moves the medians of its neighbors, too
    return tuple(sorted(set(found)))


def _noise(values: Sequence[float]) -> float:
    """Standard deviation of noise on a smooth curve: second differences have sqrt(6) times as much."""
    triples = zip(values, values[1:], values[2:], strict=False)
    bends = [abs(before - 2 * value + after) for before, value, after in triples]
    return SPREAD * median(bends) / sqrt(6) if bends else 0.0


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """Medians of `window` values, an odd number, around each; at the ends of fewer, as many on both sides."""
    assert window % 2 == 1, "a median of an even number of values is none of them"
    reach = window // 2
    last = len(values) - 1
    sides = [min(reach, index, last - index) for index in range(len(values))]
    return [median(values[index - side : index + side + 1]) for index, side in enumerate(sides)]


def column(path: Path, name: str) -> list[float]:
    """One figure of a metrics file, from the rows that have it, in order."""
    return [float(row[name]) for row in read_curve(path) if name in row]
