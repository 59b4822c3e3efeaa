"""How a task tells what it is doing, without knowing who listens."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

NO_METRICS: Mapping[str, object] = {}


@runtime_checkable
class Reporter(Protocol):
    """The listener of a task: a progress bar, a JSON stream, a test."""

    def progress(
        self,
        fraction: float,
        stage: str,
        message: str = "",
        metrics: Mapping[str, object] = NO_METRICS,
    ) -> None:
        """`fraction` in [0, 1] of the whole task; `stage` is one word."""

    def warn(self, message: str) -> None:
        """Something the person should know; the task goes on."""


class Silent:
    """Nobody listens."""

    def progress(
        self,
        fraction: float,
        stage: str,
        message: str = "",
        metrics: Mapping[str, object] = NO_METRICS,
    ) -> None:
        """Drop it."""

    def warn(self, message: str) -> None:
        """Drop it."""


class Part:
    """A reporter for one part of a task: its [0, 1] becomes [start, end] of the whole."""

    def __init__(self, whole: Reporter, start: float, end: float) -> None:
        self._whole = whole
        self._start = start
        self._end = end

    def progress(
        self,
        fraction: float,
        stage: str,
        message: str = "",
        metrics: Mapping[str, object] = NO_METRICS,
    ) -> None:
        """Pass it on, scaled into the part."""
        scaled = self._start + fraction * (self._end - self._start)
        self._whole.progress(scaled, stage, message, metrics)

    def warn(self, message: str) -> None:
        """Pass it on."""
        self._whole.warn(message)
