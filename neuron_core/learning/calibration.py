"""Which settings to try next, by Optuna, as a pure function of the trials so far.

The ledger of a campaign is the only storage: an in-memory study is filled from it for every
proposal, and the sampler is seeded by the number of the trial. So a calibration that was killed
proposes what it would have proposed, which a study with one seed for all its trials does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from neuron_core.foundation.seeds import seed_of
from neuron_core.learning.goals import Choice, Knob, Setting, Settings
from neuron_core.learning.plan import Mode, improves

STARTUP = 4  # trials before the sampler learns from them: the defaults, then random ones

optuna.logging.set_verbosity(optuna.logging.WARNING)  # every new study would print a line


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings that were tried, and the value that they reached; None where the run failed."""

    settings: Settings
    value: float | None


def propose(
    space: Mapping[str, Knob], defaults: Settings, trials: Sequence[Trial], seed: int, mode: Mode = "max"
) -> Settings:
    """The settings of the next trial. The first one has the defaults, which need not lie in the space.

    Failed trials count as worse than all others.
    """
    if not trials:
        return {name: defaults[name] for name in space}
    distributions = {name: _distribution(knob) for name, knob in sorted(space.items())}
    number = len(trials)
    sampler = TPESampler(n_startup_trials=STARTUP, multivariate=True, seed=seed_of(seed, "trial", number))
    study = optuna.create_study(
        direction="maximize" if mode == "max" else "minimize",
        sampler=sampler,
        storage=optuna.storages.InMemoryStorage(),
    )
    study.add_trials([_told(trial, distributions) for trial in trials if _fits(trial.settings, space)])
    return dict(study.ask(distributions).params)


def best_of(trials: Sequence[Trial], mode: Mode = "max") -> int | None:
    """The number of the best trial, the earliest of equals; None if all failed."""
    best: int | None = None
    for number, trial in enumerate(trials):
        known = None if best is None else trials[best].value
        if trial.value is not None and improves(trial.value, known, mode):
            best = number
    return best


def allows(knob: Knob, value: Setting) -> bool:
    """Whether a knob can be turned to a value."""
    if isinstance(knob, Choice):
        return value in knob.values
    return not isinstance(value, str) and knob.low <= value <= knob.high


def _distribution(knob: Knob) -> BaseDistribution:
    if isinstance(knob, Choice):
        return CategoricalDistribution(knob.values)
    if knob.whole:
        return IntDistribution(round(knob.low), round(knob.high), log=knob.log)
    return FloatDistribution(knob.low, knob.high, log=knob.log)


def _told(trial: Trial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    # Pruned without a value ranks behind all that have one; a failed trial would be forgotten.
    state = TrialState.PRUNED if trial.value is None else TrialState.COMPLETE
    settings = {name: trial.settings[name] for name in distributions}
    return create_trial(state=state, value=trial.value, params=settings, distributions=dict(distributions))


def _fits(settings: Settings, space: Mapping[str, Knob]) -> bool:
    return all(name in settings and allows(knob, settings[name]) for name, knob in space.items())
