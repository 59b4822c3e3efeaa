"""Curves of known shape stop, flatten and spike where the formula says."""

import json
import math
import random
from dataclasses import replace

import pytest

from neuron_core.learning.curves import Stop, column, plateau_of, smoothed, spikes_of, stop_of
from neuron_core.learning.plan import Patience

LOSS = Patience("loss", stop_after=5, mode="min")
FLAT_FROM, COUNT = 12, 40


def ramp(step=0.05):
    """Falls by `step` until FLAT_FROM and stays there."""
    return [1.0 - step * min(index, FLAT_FROM) for index in range(COUNT)]


def noise(amplitude, seed=0):
    source = random.Random(seed)
    return [source.uniform(-amplitude, amplitude) for _ in range(COUNT)]


def added(values, others):
    return [value + other for value, other in zip(values, others, strict=True)]


# --- where patience ends a run ---


def test_a_curve_that_falls_for_ever_never_stops():
    assert stop_of([0.9**index for index in range(COUNT)], LOSS) == Stop(None, COUNT - 1)


@pytest.mark.parametrize("margin", [0.01, 0.003, 0.001])
def test_a_decay_stops_when_its_steps_are_below_the_margin(margin):
    # r^i - r^(i + 1) = r^i (1 - r) is the margin at i = log(margin / (1 - r)) / log r.
    at = math.log(margin / 0.1) / math.log(0.9)
    found = stop_of(
        [0.9**index for index in range(COUNT * 2)], Patience("loss", 1, margin=margin, mode="min")
    )
    assert found.at is not None and abs(found.at - (at + 1)) <= 1


@pytest.mark.parametrize("patience", [1, 3, 8])
def test_a_plateau_stops_as_long_after_its_beginning_as_patience_lasts(patience):
    found = stop_of(ramp(), Patience("loss", patience, mode="min"))
    assert found == Stop(FLAT_FROM + patience, FLAT_FROM)


def test_accuracy_stops_where_its_negative_does():
    loss = stop_of(ramp(), LOSS)
    assert stop_of([-value for value in ramp()], Patience("accuracy", 5, mode="max")) == loss


@pytest.mark.parametrize("seed", range(5))
def test_noise_below_the_margin_neither_delays_nor_hastens_the_stop(seed):
    amplitude = 0.01  # a step of the ramp is more than four times this
    patience = Patience("loss", 5, margin=2 * amplitude, mode="min")
    assert stop_of(added(ramp(), noise(amplitude, seed)), patience).at == FLAT_FROM + 5


@pytest.mark.parametrize("at", [3, FLAT_FROM - 1, FLAT_FROM, FLAT_FROM + 2])
def test_a_bad_spike_moves_the_stop_by_one_at_most(at):
    values = ramp()
    values[at] += 3.0
    found = stop_of(values, LOSS).at
    assert found is not None and abs(found - (FLAT_FROM + 5)) <= 1


@pytest.mark.parametrize("at", [3, FLAT_FROM - 1, FLAT_FROM, FLAT_FROM + 2])
def test_with_medians_a_spike_too_good_to_be_true_moves_the_stop_by_one_at_most(at):
    values = ramp()
    values[at] -= 3.0
    premature = stop_of(values, LOSS).at
    found = stop_of(values, replace(LOSS, window=3)).at
    assert found is not None and abs(found - (FLAT_FROM + 5)) <= 1
    assert premature == at + 5  # nothing after it is better


def test_medians_delay_the_stop_of_a_smooth_curve_by_half_their_window():
    assert stop_of(ramp(), replace(LOSS, window=5)).at == FLAT_FROM + 2 + 5


def test_the_rate_is_lowered_before_the_run_stops():
    found = stop_of(ramp(), Patience("loss", 7, lower_after=3, mode="min"))
    assert found == Stop(FLAT_FROM + 7, FLAT_FROM, (FLAT_FROM + 3, FLAT_FROM + 6))


def test_an_improvement_after_the_rate_was_lowered_starts_patience_anew():
    values = ramp()
    values[FLAT_FROM + 4 :] = [value - 0.2 for value in values[FLAT_FROM + 4 :]]
    found = stop_of(values, Patience("loss", 5, lower_after=3, mode="min"))
    assert found == Stop(FLAT_FROM + 9, FLAT_FROM + 4, (FLAT_FROM + 3, FLAT_FROM + 7))


# --- plateaus ---


@pytest.mark.parametrize("tolerance", [0.1, 0.01, 1e-4])
def test_a_decay_is_flat_from_where_it_is_within_the_tolerance_of_its_limit(tolerance):
    at = math.log(tolerance) / math.log(0.8)
    found = plateau_of([0.8**index for index in range(200)], tolerance)
    assert found is not None and abs(found - at) <= 1


def test_a_ramp_is_flat_from_its_end_with_noise_or_without():
    assert plateau_of(ramp(), 0.0) == FLAT_FROM
    assert plateau_of(added(ramp(), noise(0.01)), 0.02) == FLAT_FROM


def test_medians_see_through_a_spike_on_a_plateau():
    values = ramp()
    values[20] = 5.0
    assert plateau_of(values, 0.0) == 21
    assert plateau_of(values, 0.0, window=3) == FLAT_FROM


def test_a_curve_that_still_falls_has_no_plateau():
    assert plateau_of([-float(index) for index in range(10)], 0.5) is None
    assert plateau_of([], 0.5) is None and plateau_of([1.0], 0.5) is None


# --- spikes ---


@pytest.mark.parametrize("curve", [ramp(), [0.7**index for index in range(COUNT)], noise(1.0)])
def test_ramps_decays_and_noise_have_no_spikes(curve):
    assert spikes_of(curve) == ()


@pytest.mark.parametrize("at", [1, 2, 9, FLAT_FROM, COUNT - 2])
def test_spikes_are_found_where_they_are(at):
    for curve in (ramp(), [0.7**index for index in range(COUNT)], added(ramp(), noise(0.01))):
        for height in (2.0, -2.0):
            curve[at] += height
            assert spikes_of(curve) == (at,)
            curve[at] -= height


def test_several_spikes_beside_each_other_are_all_found():
    values = ramp()
    values[7] += 1.0
    values[8] += 2.0
    assert spikes_of(values) == (7, 8)


def test_a_step_to_another_level_is_not_a_spike():
    assert spikes_of([1.0] * 10 + [0.2] * 10) == () == spikes_of([])


# --- medians ---


def test_medians_keep_monotonic_curves_as_they_are():
    for curve in (ramp(), [-value for value in ramp()], [0.7**index for index in range(COUNT)]):
        assert smoothed(curve, 5) == curve


def test_a_median_of_one_value_is_the_value():
    assert smoothed([3.0, 1.0, 2.0], 1) == [3.0, 1.0, 2.0]
    assert smoothed([3.0, 1.0, 2.0], 3) == [3.0, 2.0, 2.0]


# --- files ---


def test_a_column_of_a_metrics_file_is_its_rows_in_order(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [
        {"stage": "a", "step": 1, "loss": 3},
        {"stage": "a", "step": 2, "psnr": 9.5},
        {"step": 3, "loss": 1.5},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"loss": 0.')
    assert column(path, "loss") == [3.0, 1.5] and column(path, "psnr") == [9.5]
    assert column(tmp_path / "missing.jsonl", "loss") == []
