"""How long the rest takes, learned while it runs."""

import time
from collections import Counter
from collections.abc import Mapping


class Pace:
    """Time left for work of several kinds. Before a kind was seen, its weight is a guess."""

    def __init__(self, left: Mapping[str, int], weights: Mapping[str, float]) -> None:
        self._left = Counter(left)
        self._weights = dict(weights)  # relative seconds
        self._seconds: dict[str, float] = {kind: 0.0 for kind in weights}
        self._counts: Counter[str] = Counter()
        self._fraction = 0.0
        self._started = time.monotonic()

    def done(self, kind: str) -> None:
        """Another piece of a kind was finished just now."""
        now = time.monotonic()
        self._seconds[kind] += now - self._started
        self._started = now
        self._counts[kind] += 1
        self._left[kind] -= 1

    def seconds_left(self) -> float:
        """Estimated from the mean of each kind."""
        unit = self._unit()
        return sum(count * self._mean(kind, unit) for kind, count in self._left.items())

    def fraction(self) -> float:
        """Of the time, in [0, 1]; never falls."""
        spent, left = sum(self._seconds.values()), self.seconds_left()
        if spent > 0.0:
            self._fraction = max(self._fraction, spent / (spent + left))
        return self._fraction

    def _unit(self) -> float:
        weight = sum(self._weights[kind] * count for kind, count in self._counts.items())
        return sum(self._seconds.values()) / weight if weight else 0.0

    def _mean(self, kind: str, unit: float) -> float:
        if self._counts[kind]:
            return self._seconds[kind] / self._counts[kind]
        return unit * self._weights[kind]


def clock(seconds: float) -> str:
    """Minutes and seconds as 1:02, hours as 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
