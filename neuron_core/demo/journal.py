"""What a demo remembers between calls: its config, how long each stage took, and its result."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from neuron_core.foundation.clocks import Stopwatch
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.outputs import Output, RecordForm
from neuron_core.foundation.records import Rules, in_file, read_record, to_plain

FILE = "demo.json"


@dataclass(slots=True)
class Progress:
    """What `demo.json` holds beside the config and its fingerprint."""

    RECORD: ClassVar[Rules] = Rules(unknown="drop")

    seconds: dict[str, float] = field(default_factory=dict)  # spent in each stage, over all calls
    finished: list[str] = field(default_factory=list)  # stages
    result: dict[str, object] | None = None


class Journal:
    """The file `demo.json` in the demo's folder, which is ours until `release` or the end of a block.

    Raises what `Output.claim` raises, as ConfigMismatchError for another demo's folder.
    """

    def __init__(self, folder: Path, description: Mapping[str, object], overwrite: bool) -> None:
        output = Output(
            folder, description, kind="a demo that was made with another config", form=RecordForm(FILE)
        )
        self._claim = output.claim(overwrite)
        try:
            self._progress = read_record(Progress, self._claim.found, "", in_file(folder / FILE, FileError))
            self._save()
        except BaseException:
            self._claim.release()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let others have the folder."""
        self._claim.release()

    @property
    def seconds(self) -> Mapping[str, float]:
        """Spent in each stage, over all calls."""
        return self._progress.seconds

    @property
    def result(self) -> Mapping[str, object] | None:
        """Of a demo that is done."""
        return self._progress.result

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time of a stage that was not finished before, also if it ends early."""
        if stage in self._progress.finished:
            yield
            return
        watch = Stopwatch()
        try:
            yield
            self._progress.finished.append(stage)
        finally:
            self._progress.seconds[stage] = self.seconds.get(stage, 0.0) + watch.seconds
            self._save()

    def finish(self, result: Mapping[str, object]) -> None:
        """Remember the result; the demo is done."""
        self._progress.result = dict(result)
        self._save()

    def _save(self) -> None:
        content = to_plain(self._progress)
        rounded = {stage: round(value, 3) for stage, value in self.seconds.items()}
        self._claim.save({**content, "seconds": rounded})
