"""What a measurement is, and how times are taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from neuron_core.foundation.clocks import Stopwatch


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. Values are medians over several runs where something was timed."""

    name: str
    value: float | None  # None: could not be measured, `detail` says why
    unit: str
    target: str = ""  # in words, "" where there is none
    spread: tuple[float, float] | None = None  # smallest and largest
    peer: str = ""  # what else ran in the same call
    ratio: float | None = None  # how many times better than the peer
    detail: str = ""
    table: tuple[tuple[str, ...], ...] = field(default=())  # rows behind the value, the first one of titles

    def to_json(self) -> dict[str, object]:
        """Plain data; floats with as many digits as they can carry."""
        return {
            "name": self.name,
            "value": _rounded(self.value),
            "unit": self.unit,
            "spread": None if self.spread is None else [_rounded(value) for value in self.spread],
            "target": self.target,
            "peer": self.peer,
            "ratio": _rounded(self.ratio),
            "detail": self.detail,
            "table": [list(row) for row in self.table],
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


@dataclass(frozen=True, slots=True)
class Times:
    """How long runs took, in seconds."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]  # of all threads of this process

    @property
    def median(self) -> float:
        """Of the wall-clock times."""
        return median(self.wall)

    @property
    def cpu_median(self) -> float:
        """Of the processor times: on a busy machine the steadier one."""
        return median(self.cpu)

    def rates(self) -> tuple[float, float]:
        """The lowest and highest rate."""
        return 1.0 / max(self.wall), 1.0 / min(self.wall)

    def spread(self, scale: float = 1.0) -> tuple[float, float]:
        """The shortest and longest time."""
        return min(self.wall) * scale, max(self.wall) * scale


def timed(run: Callable[[], object], runs: int, warm: int = 2, *, least: float = 0.0) -> Times:
    """Run something `warm` times, then take the time of further runs: at least `runs`, and as many as
    fill `least` seconds."""
    for _ in range(warm):
        run()
    wall: list[float] = []
    cpu: list[float] = []
    while len(wall) < runs or sum(wall) < least:
        watch = Stopwatch()
        run()
        wall.append(watch.seconds)
        cpu.append(watch.cpu_seconds)
    return Times(tuple(wall), tuple(cpu))


def exponent(sizes: Sequence[float | int] | np.ndarray, values: Sequence[float] | np.ndarray) -> float:
    """The slope of the values over the sizes, both on a logarithmic scale: 2 is a square."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
