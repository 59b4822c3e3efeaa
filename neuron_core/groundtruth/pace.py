"""How long the rest takes, learned while it runs."""

import time
from collections import Counter
from collections.abc import Mapping


class Pace:
    """Time left for work of several kinds. Before a kind was seen, its weight is a guess."""

    def __init__(self, left: Mapping[str, int], weights: Mapping[str, float]) -> None:
        self._left = Counter(left)
        self._weights = dict(weights)  # relative seconds
        self._seconds: dict[str, list[float]] = {kind: [] for kind in weights}
        self._fraction = 0.0
        self._last = time.monotonic()

    def done(self, kind: str) -> None:
        """Another piece of a kind was finished just now."""
        now = time.monotonic()
        self._seconds[kind].append(now - self._last)
        self._last = now
        self._left[kind] -= 1

    def seconds_left(self) -> float:
        """Estimated from what was done of each kind."""
        unit = self._unit()
        return sum((count * self._typical(kind, unit) for kind, count in self._left.items()), start=0.0)

    def fraction(self) -> float:
        """Of the time, in [0, 1]; never falls."""
        spent, left = sum(map(sum, self._seconds.values())), self.seconds_left()
        if spent > 0.0:
            self._fraction = max(self._fraction, spent / (spent + left))
        return self._fraction

    def _unit(self) -> float:
        """Seconds for a weight of 1, from the kinds that were seen."""
        seen = [kind for kind, seconds in self._seconds.items() if seconds]
        weight = sum(self._weights[kind] for kind in seen)
        return sum(self._typical(kind, 0.0) for kind in seen) / weight if weight else 0.0

    def _typical(self, kind: str, unit: float) -> float:
        """The mean without the first, which often has to compile something."""
        seconds = self._seconds[kind]
        if not seconds:
            return unit * self._weights[kind]
        later = seconds[1:] or seconds
        return sum(later) / len(later)
