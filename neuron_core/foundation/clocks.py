"""How long something takes, by the clock on the wall and by the processor, and how that is written."""

import time
from collections.abc import Callable

Clock = Callable[[], float]  # seconds since any moment, never backwards


class Stopwatch:
    """Starts when it is made. Clocks are parameters, so that a test needs no time."""

    def __init__(self, wall: Clock = time.perf_counter, processor: Clock = time.process_time) -> None:
        self._wall, self._processor = wall, processor
        self._start, self._processor_start = wall(), processor()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self._wall() - self._start

    @property
    def cpu_seconds(self) -> float:
        """Spent by all threads of this process since the start."""
        return self._processor() - self._processor_start

    def remaining(self, done: int | float, total: int | float) -> float:
        """Seconds until `total` at the pace of what is `done`; 0 before anything is."""
        return self.seconds / done * (total - done) if done > 0 else 0.0


def clock_text(seconds: int | float) -> str:
    """Minutes and seconds as 1:02, from an hour on as 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
