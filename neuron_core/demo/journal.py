"""What a demo remembers between calls: its config, how long each stage took, and its result."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from neuron_core.foundation.clocks import Stopwatch
from neuron_core.foundation.errors import ConfigMismatchError
from neuron_core.foundation.files import read_json, write_json

FILE = "demo.json"


class Journal:
    """The file `demo.json` in the demo's folder. Raises ConfigMismatchError for another demo's."""

    def __init__(self, folder: Path, description: Mapping[str, object], overwrite: bool) -> None:
        self._path = folder / FILE
        text = json.dumps(description, sort_keys=True)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()[:32]
        self.seconds: dict[str, float] = {}  # spent in each stage, over all calls
        self._finished: list[str] = []
        self.result: dict[str, object] | None = None
        self._description = dict(description)
        self._load(overwrite)
        self.save()

    def _load(self, overwrite: bool) -> None:
        content = read_json(self._path) if self._path.is_file() else None
        if not isinstance(content, dict):
            return
        if content.get("fingerprint") != self._fingerprint:
            if overwrite:
                return
            raise ConfigMismatchError(
                f"{self._path.parent} holds a demo that was made with another config.",
                "Pick another folder with --out, or replace it with --overwrite.",
            )
        seconds, finished, result = (content.get(key) for key in ("seconds", "finished", "result"))
        self.seconds = dict(seconds) if isinstance(seconds, dict) else {}
        self._finished = list(finished) if isinstance(finished, list) else []
        self.result = result if isinstance(result, dict) else None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time of a stage that was not finished before, also if it ends early."""
        if stage in self._finished:
            yield
            return
        watch = Stopwatch()
        try:
            yield
            self._finished.append(stage)
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + watch.seconds
            self.save()

    def finish(self, result: Mapping[str, object]) -> None:
        """Remember the result; the demo is done."""
        self.result = dict(result)
        self.save()

    def save(self) -> None:
        """Write the file."""
        content = {
            "config": self._description,
            "fingerprint": self._fingerprint,
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            "finished": self._finished,
            "result": self.result,
        }
        write_json(self._path, content)
