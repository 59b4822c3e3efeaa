"""The steps of a study: commands that find their work done, and how long each one took."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import read_json, write_json

TIMES = "times.json"


class StudyError(NeuronError):
    """A step of a study that failed."""

    kind = "study"


class Steps:
    """Runs the steps of a study in a folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / TIMES

    @property
    def seconds(self) -> dict[str, float]:
        """How long each step took, in the run that did most of it."""
        times = read_json(self._path) if self._path.exists() else {}
        assert isinstance(times, dict)
        return {str(step): float(seconds) for step, seconds in times.items()}

    def neuron(self, step: str, *words: object) -> None:
        """Run one command of Neuron in a process of its own. Raises StudyError if it fails."""
        command = [sys.executable, "-m", "neuron_core", *map(str, words)]
        with self.timed(step):
            done = subprocess.run(command, check=False)
        if done.returncode != 0:
            raise StudyError(
                f"The step {step!r} failed: neuron {' '.join(map(str, words))}", "Its output is above."
            )

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Keep the longest time of a step: later runs find it done."""
        began = time.perf_counter()
        yield
        self.keep(step, time.perf_counter() - began)

    def keep(self, step: str, seconds: float) -> None:
        """Remember how long a step took, unless it took longer before."""
        times = self.seconds
        times[step] = round(max(seconds, times.get(step, 0.0)), 1)
        write_json(self._path, times)
