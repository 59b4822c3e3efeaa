"""Calibration: known optima are found, trials repeat under a seed, and a killed one goes on as it was."""

import math
import statistics

import pytest

from neuron_core.learning.calibration import Trial, best_of, propose
from neuron_core.learning.goals import Choice, Range

SPACE = {"rate": Range(1e-4, 1e-1, log=True), "width": Range(0.0, 1.0)}
DEFAULTS = {"rate": 1e-1, "width": 1.0}
OPTIMUM = {"rate": 10**-2.2, "width": 0.35}


def distance(settings):
    """From the optimum of the quadratic, each setting in units of its range."""
    rate = math.log10(settings["rate"] / OPTIMUM["rate"]) / 3
    return math.hypot(rate, settings["width"] - OPTIMUM["width"])


def calibrate(count, seed=0, mode="min", trials=()):
    """`count` trials of the quadratic, going on after `trials`; for "max" of its negative."""
    trials = list(trials)
    while len(trials) < count:
        settings = propose(SPACE, DEFAULTS, trials, seed, mode)
        value = distance(settings) ** 2
        trials.append(Trial(settings, value if mode == "min" else -value))
    return trials


def test_the_best_of_the_trials_on_a_quadratic_is_the_one_nearest_to_its_optimum():
    trials = calibrate(12)
    best = best_of(trials, "min")
    assert best is not None
    assert distance(trials[best].settings) == min(distance(trial.settings) for trial in trials)


def test_calibration_comes_nearer_to_the_optimum_than_random_settings():
    # The nearest of 20 random points of this space is 0.12 away in the median; half of that.
    nearest = [min(distance(trial.settings) for trial in calibrate(20, seed)) for seed in range(6)]
    assert statistics.median(nearest) < 0.08


def test_the_defaults_are_tried_first_so_that_the_best_is_never_worse():
    assert calibrate(1)[0].settings == DEFAULTS


def test_trials_repeat_under_their_seed_and_differ_under_another():
    assert calibrate(8, seed=3) == calibrate(8, seed=3)
    assert calibrate(8, seed=3) != calibrate(8, seed=4)
    assert len({trial.settings["width"] for trial in calibrate(8)}) == 8


def test_a_calibration_that_was_interrupted_proposes_what_it_would_have_proposed():
    whole = calibrate(8)
    assert all(calibrate(8, trials=whole[:done]) == whole for done in range(8))


def test_maximizing_the_negative_is_minimizing():
    least, most = calibrate(8), calibrate(8, mode="max")
    assert [trial.settings for trial in least] == [trial.settings for trial in most]
    assert best_of(least, "min") == best_of(most, "max")


def test_the_sampler_keeps_away_from_settings_that_fail():
    space, defaults = {"x": Range(0.0, 1.0)}, {"x": 0.0}
    trials = []
    while len(trials) < 20:
        settings = propose(space, defaults, trials, seed=0)
        trials.append(Trial(settings, 1.0 if settings["x"] < 0.5 else None))
    failed = [trial.value is None for trial in trials]
    assert any(failed[:8]) and sum(failed[-8:]) <= 2


def test_failed_trials_are_never_the_best():
    none, some, more = (Trial({}, value) for value in (None, 1.0, 2.0))
    assert best_of([none, some, more, none]) == 2
    assert best_of([none, some, more, none], "min") == 1
    assert best_of([none, none]) is None and best_of([]) is None


def test_the_earliest_of_equal_trials_is_taken():
    assert best_of([Trial({}, 1.0), Trial({}, 1.0)]) == 0


KNOBS = {
    "linear": Range(-2.0, 3.0),
    "log": Range(1e-6, 1e-2, log=True),
    "whole": Range(1.0, 6.0, whole=True),
    "widths": Range(8.0, 256.0, log=True, whole=True),
    "texts": Choice(("small", "large")),
    "switch": Choice((True, False)),
}


@pytest.mark.parametrize("name", KNOBS)
def test_proposals_lie_in_the_space(name):
    knob, trials = KNOBS[name], [Trial({name: 0}, 0.0)]  # the default does not, and need not
    for number in range(8):
        value = propose({name: knob}, {name: 0}, trials, seed=number)[name]
        if isinstance(knob, Choice):
            assert any(value is choice for choice in knob.values)
        else:
            assert knob.low <= value <= knob.high
            assert isinstance(value, int if knob.whole else float)
        trials.append(Trial({name: value}, float(number)))


@pytest.mark.parametrize("low", [2.0, 1.0])
def test_an_empty_range_is_a_fault_of_the_family(low):
    with pytest.raises(AssertionError):
        Range(low, 1.0)
