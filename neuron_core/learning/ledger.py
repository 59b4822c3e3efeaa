"""What a campaign did so far: one event a line, appended and never changed.

The first line says whose ledger it is. A last line without its end is what a killed process had not
finished; it is dropped. Everything that a campaign decides follows from the events, so that one that
was killed resumes where it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from neuron_core.foundation.checks import matching, text
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.json_lines import append_line, cut_lines, whole_lines
from neuron_core.foundation.records import Rules, read_record, to_plain
from neuron_core.foundation.strict_json import canonical, parse, shown
from neuron_core.learning.family import Size
from neuron_core.learning.goals import Setting
from neuron_core.learning.outcome import Outcome, Stopped

LEDGER = "ledger.jsonl"

Name = Annotated[str, matching("[a-z0-9][a-z0-9-]{0,63}")]
RunName = Annotated[str, matching("[a-z0-9][a-z0-9-]{0,63}(/[a-z0-9][a-z0-9-]{0,63})?")]
Sentence = Annotated[str, text(2000)]
Figure = float | Literal["nan", "inf", "-inf"]
Figures = Mapping[str, Figure]


class LedgerError(NeuronError):
    """A ledger that is damaged, or that another campaign wrote."""

    kind = "ledger"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A run to launch. What it does not say follows from the settings of the campaign."""

    run: RunName  # its folder in the campaign; the part before the slash is its rung
    size: Size = "full"
    settings: Mapping[str, Setting] = field(default_factory=dict)  # that differ from the campaign's
    student: bool = False  # whether it trains the smaller model
    teacher: RunName | None = None  # the run that it learns from, too

    @property
    def rung(self) -> str:
        """The rung that it belongs to."""
        return self.run.partition("/")[0]


# --- events ---


@dataclass(frozen=True, slots=True)
class Began:
    """The first line."""

    RECORD: ClassVar[Rules] = Rules(version="version", newest=1)
    family: str
    fingerprint: str  # of everything that the campaign follows from
    event: Literal["began"] = "began"


@dataclass(frozen=True, slots=True)
class Started:
    """A run is launched."""

    recipe: Recipe
    event: Literal["started"] = "started"


@dataclass(frozen=True, slots=True)
class Ended:
    """A run came to its end, whichever."""

    run: RunName
    stopped: Stopped
    metrics: Figures
    best: Figures = field(default_factory=dict)
    best_step: int | None = None
    steps: int = 0
    planned: int = 0
    seconds: float = 0.0
    reason: Sentence = ""
    weights: str | None = None  # name of the file in the run's folder
    baselines: Mapping[str, Figures] = field(default_factory=dict)
    event: Literal["ended"] = "ended"

    @classmethod
    def of(cls, run: str, outcome: Outcome) -> "Ended":
        """The event of an outcome."""
        return cls(
            run=run,
            stopped=outcome.stopped,
            metrics=_written(outcome.metrics),
            best=_written(outcome.best),
            best_step=outcome.best_step,
            steps=outcome.steps,
            planned=outcome.planned,
            seconds=outcome.seconds,
            reason=outcome.reason[:2000],
            weights=None if outcome.weights is None else outcome.weights.name,
            baselines={name: _written(figures) for name, figures in outcome.baselines.items()},
        )

    def outcome(self, campaign: Path) -> Outcome:
        """The outcome, of a run in the folder of a campaign."""
        folder = campaign / self.run
        return Outcome(
            folder=folder,
            metrics=_read(self.metrics),
            best=_read(self.best),
            best_step=self.best_step,
            steps=self.steps,
            planned=self.planned,
            seconds=self.seconds,
            stopped=self.stopped,
            reason=self.reason,
            weights=None if self.weights is None else folder / self.weights,
            baselines={name: _read(figures) for name, figures in self.baselines.items()},
        )


@dataclass(frozen=True, slots=True)
class Promoted:
    """A run passed all gates of its rung."""

    rung: Name
    run: RunName
    event: Literal["promoted"] = "promoted"


@dataclass(frozen=True, slots=True)
class Refused:
    """A rung ended without promotion."""

    rung: Name
    gate: str
    reason: Sentence
    event: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rung has nothing to do."""

    rung: Name
    reason: Sentence
    event: Literal["skipped"] = "skipped"


@dataclass(frozen=True, slots=True)
class Retried:
    """A rung that was refused is tried again: its runs that failed count no longer."""

    rung: Name
    event: Literal["retried"] = "retried"


Event = Began | Started | Ended | Promoted | Refused | Skipped | Retried
EVENTS: dict[str, type[Event]] = {
    "began": Began,
    "started": Started,
    "ended": Ended,
    "promoted": Promoted,
    "refused": Refused,
    "skipped": Skipped,
    "retried": Retried,
}


# --- what the events come to ---


class Ledger:
    """The state that the events of a campaign lead to."""

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.recipes: dict[str, Recipe] = {}  # by run, in the order in which they were started
        self.ended: dict[str, Ended] = {}  # by run
        self.promoted: dict[str, str] = {}  # runs by rung
        self.refused: dict[str, Refused] = {}  # by rung
        self.skipped: dict[str, str] = {}  # reasons by rung
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """One more event. Raises LedgerError for one that cannot follow those before."""
        match event:
            case Began():
                raise LedgerError("it begins a second time")
            case Started(recipe):
                self.recipes[recipe.run] = recipe
            case Ended(run):
                _require(run in self.recipes, f"the run {run} ended and never started")
                self.ended[run] = event
            case Promoted(rung, run):
                _require(run in self.ended, f"the run {run} was promoted and never ended")
                self.promoted[rung] = run
            case Refused(rung):
                self.refused[rung] = event
            case Skipped(rung, reason):
                self.skipped[rung] = reason
            case Retried(rung):
                self.refused.pop(rung, None)
                for ended in self.runs(rung):
                    if not ended.weights:
                        del self.ended[ended.run]

    def runs(self, rung: str) -> list[Ended]:
        """The runs of a rung that ended, in the order in which they were started."""
        return [
            self.ended[run]
            for run, recipe in self.recipes.items()
            if recipe.rung == rung and run in self.ended
        ]

    def is_done(self, rung: str) -> bool:
        """Whether a rung is behind the campaign."""
        return rung in self.promoted or rung in self.skipped


class LedgerFile:
    """The ledger on disk, for the one process that runs the campaign."""

    def __init__(self, folder: Path, family: str, fingerprint: str) -> None:
        """Open it, or begin it. Raises LedgerError if it is damaged or another campaign's."""
        self.path = folder / LEDGER
        events = read_ledger(self.path)
        if events:
            _require_ours(self.path, _began(self.path, events), family, fingerprint)
        self.ledger = _replayed(self.path, events)
        cut_lines(self.path)
        if not events:
            self._write(Began(family, fingerprint))

    def append(self, event: Event) -> None:
        """Add an event. It is on the disk when this returns."""
        self.ledger.take(event)
        self._write(event)

    def _write(self, event: Event) -> None:
        append_line(self.path, canonical(to_plain(event)), durable=True)


def read_ledger(path: Path) -> list[Event]:
    """The events of a ledger; none without a file.

    Raises LedgerError if it is damaged, by the number of the line, or of a newer format.
    """
    return [_event(line, path, number) for number, line in enumerate(whole_lines(path), 1)]


def ledger_at(path: Path) -> Ledger:
    """What the events of a ledger lead to, whosever it is. Raises LedgerError."""
    events = read_ledger(path)
    if events:
        _began(path, events)
    return _replayed(path, events)


def _replayed(path: Path, events: Sequence[Event]) -> Ledger:
    ledger = Ledger()
    for number, event in enumerate(events[1:], 2):
        try:
            ledger.take(event)
        except LedgerError as error:
            raise _damaged(path, number, error.message) from error
    return ledger


def _event(line: bytes, path: Path, number: int) -> Event:
    where = f"Line {number}"

    def refusal(message: str, hint: str = "") -> NeuronError:
        return LedgerError(f"{path}: {message}", hint) if hint else _damaged(path, number, message)

    content = parse(line, where, refusal)
    kind = content.get("event") if isinstance(content, dict) else None
    if not isinstance(kind, str) or kind not in EVENTS:
        raise _damaged(path, number, f"{where} has the event {shown(kind)}")
    return read_record(EVENTS[kind], content, where, refusal)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise LedgerError(message)


def _began(path: Path, events: Sequence[Event]) -> Began:
    if not isinstance(events[0], Began):
        raise _damaged(path, 1, "it does not say whose ledger it is")
    return events[0]


def _require_ours(path: Path, first: Began, family: str, fingerprint: str) -> None:
    if first.family != family:
        raise LedgerError(
            f"{path} is of a campaign of the family {shown(first.family)}, not {family!r}.",
            "Pick another folder, or replace it with --overwrite.",
        )
    if first.fingerprint != fingerprint:
        raise LedgerError(
            f"{path} is of a campaign with other settings or data.",
            "Pick another folder, or replace it with --overwrite.",
        )


def _damaged(path: Path, number: int, what: str) -> LedgerError:
    return LedgerError(
        f"{path} is damaged at line {number}: {what.rstrip('.')}.",
        f"Restore it from a copy, or delete the lines from {number} on: what ended after them runs again.",
    )


def _written(figures: Mapping[str, float]) -> Figures:
    """As JSON can hold them."""
    names: dict[str, Figure] = {"nan": "nan", "inf": "inf", "-inf": "-inf"}
    return {name: names.get(str(value), float(value)) for name, value in figures.items()}


def _read(figures: Figures) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items()}
