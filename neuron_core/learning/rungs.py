"""What the rungs of a campaign run, pick and ask for. Each is a function of the ledger alone.

smoke          a few steps under inspection: does it work at all?
calibration    short runs with other settings: which are the best?
production     the model, with those settings
distillation   a smaller model, taught by the first one and, to compare, without it
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from neuron_core.learning.calibration import Trial, best_of, propose
from neuron_core.learning.family import Size
from neuron_core.learning.gates import COMPLETE, finishes, measures, near, smaller
from neuron_core.learning.goals import Gate, Goals, Settings
from neuron_core.learning.ledger import Ended, Ledger, Recipe

SMOKE, CALIBRATION, PRODUCTION, DISTILLATION = "smoke", "calibration", "production", "distillation"
TAUGHT, ALONE = f"{DISTILLATION}/taught", f"{DISTILLATION}/alone"


@runtime_checkable
class Rung(Protocol):
    """One step of a campaign."""

    @property
    def name(self) -> str:
        """Of its folder and in the ledger."""

    @property
    def share(self) -> float:
        """Of the campaign's time, roughly; for progress."""

    def skip(self, ledger: Ledger) -> str:
        """Why there is nothing to do, or ""."""

    def planned(self) -> int:
        """How many runs there are at most."""

    def next(self, ledger: Ledger) -> Recipe | None:
        """What to run after all that ended; None if that is all."""

    def pick(self, ledger: Ledger) -> Ended | None:
        """The run that should be promoted, once all ended; None if no run can be."""

    def gates(self, ledger: Ledger, folder: Path) -> Sequence[Gate]:
        """What it has to pass. `folder` is the campaign's."""


@dataclass(frozen=True, slots=True)
class Single:
    """A rung of one run: smoke, or production with the settings that calibration found."""

    name: str
    size: Size
    share: float
    required: tuple[Gate, ...]

    def skip(self, ledger: Ledger) -> str:
        """Never."""
        return ""

    def planned(self) -> int:
        """One."""
        return 1

    def next(self, ledger: Ledger) -> Recipe | None:
        """The run, until it ended."""
        return None if self.name in ledger.ended else Recipe(self.name, self.size, settings_of(ledger))

    def pick(self, ledger: Ledger) -> Ended | None:
        """The run."""
        return ledger.ended[self.name]

    def gates(self, ledger: Ledger, folder: Path) -> Sequence[Gate]:
        """Those that it was made with."""
        return self.required


@dataclass(frozen=True, slots=True)
class Calibration:
    """Short runs with settings that Optuna proposes; the first one has the defaults."""

    goals: Goals
    defaults: Settings
    trials: int
    seed: int
    share: float = 0.3
    name: str = CALIBRATION

    def skip(self, ledger: Ledger) -> str:
        """If no trials are wanted, or nothing can be tuned."""
        if not self.goals.search:
            return "The family has no settings to calibrate."
        return "" if self.trials else "No trials were asked for."

    def planned(self) -> int:
        """The trials."""
        return self.trials

    def next(self, ledger: Ledger) -> Recipe | None:
        """The next trial. Its settings follow from those before it."""
        runs = [f"{self.name}/{number:03d}" for number in range(self.trials)]
        number = next((number for number, run in enumerate(runs) if run not in ledger.ended), None)
        if number is None:
            return None
        trials = [self._trial(ledger, run) for run in runs[:number]]
        settings = propose(self.goals.search, self.defaults, trials, self.seed, self.goals.mode)
        return Recipe(runs[number], "trial", settings)

    def pick(self, ledger: Ledger) -> Ended | None:
        """The best trial that finished."""
        runs = ledger.runs(self.name)
        best = best_of([self._trial(ledger, ended.run) for ended in runs], self.goals.mode)
        return None if best is None else runs[best]

    def gates(self, ledger: Ledger, folder: Path) -> Sequence[Gate]:
        """None but that one finished: the best is never worse than the defaults."""
        return (finishes(),)

    def _trial(self, ledger: Ledger, run: str) -> Trial:
        return Trial(ledger.recipes[run].settings, value_of(ledger.ended[run], self.goals.metric))


@dataclass(frozen=True, slots=True)
class Distillation:
    """A smaller model, trained with its teacher and without, for the same steps; the better one counts."""

    goals: Goals
    has_student: bool
    share: float = 0.3
    name: str = DISTILLATION

    def skip(self, ledger: Ledger) -> str:
        """If there is no smaller model."""
        return "" if self.has_student else "The family has no smaller model."

    def planned(self) -> int:
        """With the teacher and without."""
        return 2

    def next(self, ledger: Ledger) -> Recipe | None:
        """The one, then the other."""
        settings = settings_of(ledger)
        recipes = (
            Recipe(TAUGHT, settings=settings, student=True, teacher=ledger.promoted[PRODUCTION]),
            Recipe(ALONE, settings=settings, student=True),
        )
        return next((recipe for recipe in recipes if recipe.run not in ledger.ended), None)

    def pick(self, ledger: Ledger) -> Ended | None:
        """The better one, whichever way it was trained."""
        runs = ledger.runs(self.name)
        best = best_of([Trial({}, value_of(run, self.goals.metric)) for run in runs], self.goals.mode)
        return None if best is None else runs[best]

    def gates(self, ledger: Ledger, folder: Path) -> Sequence[Gate]:
        """It is smaller than its teacher, and not much worse."""
        teacher = ledger.ended[ledger.promoted[PRODUCTION]].outcome(folder)
        goals = self.goals
        assert teacher.weights is not None, "the teacher was promoted"
        return (
            finishes(),
            measures(goals.metric),
            near(goals.metric, teacher.metrics[goals.metric], goals.student_gap, goals.mode),
            smaller(teacher.weights, goals.student_share),
        )


def rungs_of(goals: Goals, defaults: Settings, trials: int, seed: int, has_student: bool) -> tuple[Rung, ...]:
    """The four rungs of a campaign, in order."""
    return (
        Single(SMOKE, "smoke", 0.05, (finishes(), measures())),
        Calibration(goals, defaults, trials, seed),
        Single(PRODUCTION, "full", 0.35, (finishes(), measures(goals.metric), *goals.gates)),
        Distillation(goals, has_student),
    )


def settings_of(ledger: Ledger) -> Settings:
    """The settings that calibration found; none before it, or without it."""
    run = ledger.promoted.get(CALIBRATION)
    return {} if run is None else ledger.recipes[run].settings


def value_of(ended: Ended, metric: str) -> float | None:
    """The figure that compares a run with others; None if it failed."""
    value = float(ended.metrics.get(metric, "nan"))
    return value if ended.stopped in COMPLETE and value == value else None
