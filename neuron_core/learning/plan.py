"""Phases of training as plain data: how long, how fast, when to stop early and what to keep."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Annotated, ClassVar, Literal, Protocol, runtime_checkable

from neuron_core.foundation.checks import within
from neuron_core.foundation.records import Rules

Mode = Literal["max", "min"]


@runtime_checkable
class Schedule(Protocol):
    """The learning rate over a phase."""

    def __call__(self, step: int, done: float) -> float:
        """The factor on the phase's rate at a step of it, of which the part `done` in [0, 1] is done."""


@dataclass(frozen=True, slots=True)
class WarmCosine:
    """A short linear warm-up, then a half cosine down to `last`."""

    warmup: int = 40  # steps
    last: float = 0.02  # of the rate

    def __call__(self, step: int, done: float) -> float:
        """In (0, 1]."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return warm * (self.last + (1 - self.last) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


@dataclass(frozen=True, slots=True)
class Constant:
    """The same rate throughout."""

    def __call__(self, step: int, done: float) -> float:
        """One."""
        return 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """What to do about a validation metric that no longer improves."""

    metric: str
    stop_after: int  # validations without improvement; then the phase ends
    lower_after: int = 0  # validations without improvement; then the rate is lowered. 0: never
    lower_by: float = 0.5  # factor on the rate
    margin: float = 0.0  # what counts as an improvement, in units of the metric
    mode: Mode = "max"
    window: int = 1  # validations whose median counts, so that a single spike does not; an odd number


@dataclass(frozen=True, slots=True)
class Keep:
    """Which weights a phase ends with."""

    which: Literal["last", "best"] = "last"
    metric: str = ""  # of the validation that decides what is best
    mode: Mode = "max"
    weights: Literal["raw", "ema"] = "raw"  # what is validated and kept


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of training: an objective by name, for so many steps."""

    name: str
    steps: int
    rate: float  # learning rate
    share: float = 1.0  # of the minutes, where time is limited
    schedule: Schedule = WarmCosine()
    ema: float = 0.0  # decay a step of the moving average of the weights; 0: none
    precision: Literal["float32", "bfloat16"] = "float32"
    validate_every: int = 0  # steps; 0: never
    patience: Patience | None = None
    keep: Keep = Keep()


def scaled(phases: Sequence[Phase], steps: int | None) -> tuple[Phase, ...]:
    """The same phases with about so many steps in total, at least one each; or as they are."""
    if steps is None:
        return tuple(phases)
    total = sum(phase.steps for phase in phases)
    return tuple(replace(phase, steps=max(1, round(phase.steps * steps / total))) for phase in phases)


def improves(value: float, best: float | None, mode: Mode, margin: float = 0.0) -> bool:
    """Whether a value is better than the best so far by more than `margin`."""
    if best is None:
        return True
    return value > best + margin if mode == "max" else value < best - margin


@dataclass(frozen=True, slots=True)
class Trend:
    """What validations of a phase have shown so far."""

    RECORD: ClassVar[Rules] = Rules(complete=True)

    best: float | None = None  # of the metric that patience watches
    stale: int = 0  # validations since
    since_lowered: int = 0  # of these, since the rate was last lowered
    lowered: float = 1.0  # factor on the rate
    recent: tuple[float, ...] = ()  # values in the window of patience

    def after(self, value: float, patience: Patience) -> "Trend":
        """With one more validation."""
        recent = (*self.recent, value)[-patience.window :]
        value = median(recent)
        if improves(value, self.best, patience.mode, patience.margin):
            return Trend(value, 0, 0, self.lowered, recent)
        stale, since = self.stale + 1, self.since_lowered + 1
        if patience.lower_after and since >= patience.lower_after:
            return Trend(self.best, stale, 0, self.lowered * patience.lower_by, recent)
        return Trend(self.best, stale, since, self.lowered, recent)

    def exhausted(self, patience: Patience) -> bool:
        """Whether the phase should end."""
        return self.stale >= patience.stop_after


@dataclass(frozen=True, slots=True)
class Best:
    """The validation whose weights are kept."""

    value: float
    step: int  # of all phases


Early = Literal["", "patience", "minutes"]
Count = Annotated[int, within(0, 10**15)]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run is; written beside the tensors of a checkpoint."""

    RECORD: ClassVar[Rules] = Rules(complete=True)

    phase: Count = 0
    step: Count = 0  # of the phase
    total: Count = 0  # steps of all phases
    seconds: float = 0.0  # spent in the phase
    earlier: float = 0.0  # seconds spent in the phases before
    trend: Trend = Trend()
    best: Best | None = None  # of the phase, if it keeps the best weights
    kept: Best | None = None  # of the phase before
    figures: Mapping[str, float] = field(default_factory=dict)  # last reported ones
    validated: Mapping[str, float] = field(default_factory=dict)  # of the last validation
    early: Early = ""  # why the last phase that ended early did

    def next_phase(self) -> "Position":
        """The beginning of the next phase."""
        return replace(
            self,
            phase=self.phase + 1,
            step=0,
            seconds=0.0,
            earlier=self.earlier + self.seconds,
            trend=Trend(),
            best=None,
            kept=self.best,
        )
