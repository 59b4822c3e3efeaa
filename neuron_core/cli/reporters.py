"""How progress reaches a program, a person at a terminal, or a log."""

import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from neuron_core.cli.output import Output
from neuron_core.foundation.progress import NO_METRICS, Reporter

EVENT_PERIOD = 0.2  # seconds between two progress events of one stage
LOG_PERIOD = 10.0  # seconds between two lines of one stage in a log


@runtime_checkable
class Listener(Reporter, Protocol):
    """A reporter that is told when the task is over."""

    warnings: list[str]

    def close(self) -> None:
        """Show what was held back. Called once, before the result or the error is written."""


class JsonListener:
    """Progress events for a program: a few a second, and always the last one.

    Warnings go to standard error as they come, and into the result.
    """

    def __init__(self, output: Output) -> None:
        self.warnings: list[str] = []
        self._output = output
        self._lock = threading.Lock()
        self._held: dict[str, object] | None = None
        self._stage = ""
        self._last = -EVENT_PERIOD

    def progress(
        self, fraction: float, stage: str, message: str = "", metrics: Mapping[str, object] = NO_METRICS
    ) -> None:
        """Write the event, or hold it back if the last one was just written."""
        event: dict[str, object] = {
            "fraction": round(min(max(float(fraction), 0.0), 1.0), 6),
            "stage": stage,
            "message": message,
            "metrics": dict(metrics),
        }
        with self._lock:
            now = time.monotonic()
            if stage == self._stage and now - self._last < EVENT_PERIOD:
                self._held = event
                return
            self._held, self._stage, self._last = None, stage, now
            self._output.write_event("progress", event)

    def warn(self, message: str) -> None:
        """Remember it for the result."""
        self.warnings.append(message)
        say(f"warning: {message}")

    def close(self) -> None:
        """Write the event that was held back."""
        with self._lock:
            held, self._held = self._held, None
            if held is not None:
                self._output.write_event("progress", held)


class LogListener:
    """Lines on standard error for a log: each stage as it begins, then one every few seconds."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._stage = ""
        self._last = 0.0

    def progress(
        self, fraction: float, stage: str, message: str = "", metrics: Mapping[str, object] = NO_METRICS
    ) -> None:
        """Write a line if it is time for one."""
        now = time.monotonic()
        if stage == self._stage and now - self._last < LOG_PERIOD:
            return
        self._stage, self._last = stage, now
        say(f"{fraction:4.0%}  {stage}  {describe(message, metrics)}".rstrip())

    def warn(self, message: str) -> None:
        """Write it."""
        self.warnings.append(message)
        say(f"warning: {message}")

    def close(self) -> None:
        """Nothing is held back."""


class BarListener:
    """A bar on the terminal with stage, time left, message and figures."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self.warnings: list[str] = []
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.fields[stage]}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self._console,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=1.0, stage="", detail="")

    def progress(
        self, fraction: float, stage: str, message: str = "", metrics: Mapping[str, object] = NO_METRICS
    ) -> None:
        """Move the bar."""
        if not self._bar.live.is_started:
            self._bar.start()
        self._bar.update(self._task, completed=fraction, stage=stage, detail=describe(message, metrics))

    def warn(self, message: str) -> None:
        """Write it above the bar."""
        self.warnings.append(message)
        self._console.print(f"warning: {message}", markup=False, style="yellow")

    def close(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        self._bar.stop()


def listener_for(output: Output, as_json: bool) -> Listener:
    """The listener that suits whoever reads."""
    if as_json:
        return JsonListener(output)
    return BarListener() if sys.stderr is not None and sys.stderr.isatty() else LogListener()


def describe(message: str, metrics: Mapping[str, object]) -> str:
    """Message and figures in one line."""
    figures = [f"{name} {_short(value)}" for name, value in metrics.items()]
    return "  ".join(part for part in (message, *figures) if part)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def say(text: str) -> None:
    """Write a line to standard error, if anybody still reads it."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        pass
