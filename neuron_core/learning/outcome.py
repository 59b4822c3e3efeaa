"""What a run came to, for gates, campaigns and whoever launched it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from neuron_core.foundation.json_lines import read_rows

Stopped = Literal["finished", "patience", "minutes", "diverged", "failed"]
METRICS = "metrics.jsonl"
Row = Mapping[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that ended."""

    folder: Path
    metrics: Mapping[str, float]  # last validation or measurement of the weights that were kept
    best: Mapping[str, float] = field(default_factory=dict)  # of the validation metrics that were watched
    best_step: int | None = None  # of all phases; of the weights that were kept
    steps: int = 0  # of all phases that were taken
    planned: int = 0  # steps of all phases
    seconds: float = 0.0  # in the phases
    stopped: Stopped = "finished"
    reason: str = ""  # one sentence where it did not finish
    weights: Path | None = None  # of a finished run
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # figures by name of baseline

    @property
    def curve(self) -> Path:
        """The metrics file: a JSON object a line with `stage` (phase), `step` (of all phases) and figures."""
        return self.folder / METRICS


@dataclass(frozen=True, slots=True)
class Measured:
    """How good weights are on a split, beside what simple baselines reach on it."""

    split: str
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by name of the baseline


def read_curve(path: Path) -> list[Row]:
    """The rows of a metrics file, without a last line torn by a crash; none without a file.

    Raises FileError for a damaged line.
    """
    return [cast(Row, row) for row in read_rows(path)]
