"""The loop keeps its laws for everything that it trains: fits, GANs, averages, several phases."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neuron_core.foundation.progress import Silent
from neuron_core.learning.average import Average
from neuron_core.learning.finite import DivergedError, Watch
from neuron_core.learning.loop import Timing
from neuron_core.learning.objective import Optimized, ParamGroup, Stateless, Step, Turn, generator
from neuron_core.learning.outcome import read_curve
from neuron_core.learning.plan import Keep, Patience, Phase, Trend, WarmCosine, scaled
from neuron_core.learning.run_folder import LAST, RunFolder
from neuron_core.learning.stored import RunError
from tests.core import learning_laws as laws
from tests.core.toy_objectives import CPU, SETUPS, Fit, Setup, fit, gan, network, wanted

every_setup = pytest.mark.parametrize("make", SETUPS.values(), ids=SETUPS)


@every_setup
def test_a_run_that_is_killed_after_any_step_ends_as_one_that_is_not(make, tmp_path):
    laws.resumes_exactly(make, tmp_path)


@every_setup
def test_a_run_that_is_killed_at_every_step_ends_as_one_that_is_not(make, tmp_path):
    laws.resumes_exactly_with_a_kill_at_every_step(make, tmp_path)


@every_setup
def test_every_term_of_a_loss_moves_a_parameter(make, tmp_path):
    laws.every_term_moves_a_parameter(make, tmp_path)


@pytest.mark.parametrize("dead", [lambda term: 0.0 * term, lambda term: torch.ones(())])
def test_a_term_without_effect_is_named(dead, tmp_path):
    class Dead(Fit):
        def turns(self, step):
            for turn in super().turns(step):
                yield Turn("fit", {**turn.terms, "size": dead(turn.terms["size"])})

    net = network(1, 2, 8, 1)
    setup = Setup({"net": net}, [Phase("fit", 2, 1e-2)], {"fit": lambda: Dead(net)})
    with pytest.raises(AssertionError, match="fit.size"):
        laws.every_term_moves_a_parameter(lambda: setup, tmp_path)


@every_setup
def test_a_nan_is_named_and_never_written(make, tmp_path):
    laws.names_nan_and_keeps_it_from_disk(make, tmp_path)


@pytest.mark.parametrize("make", [fit, gan])
def test_the_mean_over_two_processes_is_one_with_the_whole_batch(make):
    laws.shares_add_up(make)


@every_setup
def test_tensors_of_something_else_are_refused(make, tmp_path):
    laws.refuses_other_tensors(make, tmp_path)


def test_a_fit_halves_its_loss_on_eight_points(tmp_path):
    class Eight(Fit):
        def turns(self, step):
            yield from super().turns(Step(0, step.done, step.seed, step.phase))  # the same batch every time

    net = network(1, 2, 16, 1)
    setup = Setup({"net": net}, [Phase("fit", 60, 1e-2)], {"fit": lambda: Eight(net)})
    laws.losses_fall(setup, tmp_path, {"fit": "loss"})


def test_the_loop_is_plain_adam_with_a_schedule(tmp_path):
    """The slow reference: rate set, gradients cleared, backward, step."""
    setup = fit(steps=7)
    laws.train(setup, tmp_path)
    net, schedule = network(1, 2, 8, 1), WarmCosine(3)
    optimizer = torch.optim.Adam(net.parameters(), betas=(0.9, 0.99), eps=1e-15, fused=True)
    for step in range(7):
        optimizer.param_groups[0]["lr"] = 1e-2 * schedule(step, step / 7)
        optimizer.zero_grad(set_to_none=True)
        points = torch.rand(8, 2, generator=generator(0, "points", step, CPU))
        values = net(points)
        (nn.functional.mse_loss(values, wanted(points)) + 1e-3 * values.square().mean()).backward()
        optimizer.step()
    laws.assert_same_bits(laws.bits(setup), dict(net.state_dict()))


# --- rates ---


@given(st.floats(0, 1), st.floats(0, 1))
def test_after_the_warm_up_rates_only_fall(a, b):
    early, late = sorted((a, b))
    schedule = WarmCosine(40)
    assert 0 < schedule(40, late) <= schedule(40, early) <= 1


@given(st.integers(0, 200), st.floats(0, 1), st.integers(1, 50), st.floats(0, 1))
def test_the_warm_cosine_is_its_formula(step, done, warmup, last):
    wanted = min(1, (step + 1) / warmup) * (last + (1 - last) * math.cos(math.pi * done / 2) ** 2)
    assert WarmCosine(warmup, last)(step, done) == pytest.approx(wanted)


class Slope(Stateless):
    """The loss is the parameter: its gradient is one. Plain updates by rmsprop without smoothing are
    then as long as the rate."""

    def __init__(self, module, factor=1.0):
        self.module, self.factor = module, factor

    def optimized(self):
        groups = [ParamGroup([self.module.weight], self.factor)]
        return [Optimized("slope", groups, "rmsprop", betas=(0.0, 0.0))]

    def turns(self, step):
        yield Turn("slope", {"value": self.module.weight.sum()}, {"value": self.module.weight.detach().sum()})


def slope(factor=1.0, **changes):
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    phase = Phase("slope", **{"steps": 6, "rate": 0.1, **changes})
    return Setup({"net": module}, [phase], {"slope": lambda: Slope(module, factor)})


def weight_of(setup):
    return setup.modules["net"].weight.item()


def weights_along(setup, folder, **changes):
    seen = []
    laws.train(setup, folder, observe=lambda *_: seen.append(weight_of(setup)), **changes)
    return seen


def test_every_update_is_as_long_as_schedule_rate_and_group_say(tmp_path):
    seen = weights_along(slope(factor=0.5, schedule=WarmCosine(3, last=0.1)), tmp_path)
    lengths = [0.1 * 0.5 * WarmCosine(3, last=0.1)(step, step / 6) for step in range(6)]
    torch.testing.assert_close(torch.tensor(seen), -torch.tensor(lengths).cumsum(0))


def test_a_large_gradient_is_clipped_to_the_norm_and_a_small_one_left(tmp_path):
    """By hand: after one step without smoothing, rmsprop keeps the square of the clipped gradient."""

    class Steep(Fit):
        def turns(self, step):
            yield Turn("fit", {"error": 300.0 * self.net.weight.sum() + 400.0 * self.net.bias.sum()})

        def optimized(self):
            (one,) = super().optimized()
            return [Optimized(one.name, one.groups, "rmsprop", betas=(0.0, 0.0), clip_norm=self.clip)]

    for norm, wanted_squares in ((5.0, [9.0, 16.0]), (1e9, [300.0**2, 400.0**2])):
        net = nn.Linear(1, 1)
        setup = Setup(
            {"net": net}, [Phase("fit", 2, 1e-2)], {"fit": lambda net=net, n=norm: Steep(net, 8, n)}
        )
        laws.train_until(setup, tmp_path / str(norm), 2)
        restored = RunFolder(tmp_path / str(norm), "toy").restore()
        squares = [float(restored.of("optimizer")["fit"][f"{row}.square_avg"]) for row in (0, 1)]
        assert squares == pytest.approx(wanted_squares)


def test_a_moving_average_is_its_closed_form():
    parameter = nn.Parameter(torch.tensor([2.0]))
    average = Average({"w": parameter}, 0.9)
    values = [torch.tensor([float(k)]) for k in (5, -1, 3)]
    for value in values:
        parameter.data = value
        average.update()
    wanted_value = 0.9**3 * 2.0 + 0.1 * sum(0.9 ** (2 - k) * float(v) for k, v in enumerate(values))
    assert float(average.values["w"]) == pytest.approx(wanted_value)
    with average.applied():
        assert parameter.item() == pytest.approx(wanted_value)
    assert parameter.item() == 3.0


def test_averaged_weights_are_validated_and_kept(tmp_path):
    setup = slope(ema=0.5, keep=Keep(weights="ema"), validate_every=1, schedule=lambda step, done: 1.0)
    seen, average, validated = [], 0.0, []

    def validate(position):
        validated.append(weight_of(setup))
        return {"score": 0.0}

    setup.validate = validate
    weights = weights_along(setup, tmp_path)
    for weight in weights:
        average = 0.5 * average + 0.5 * weight
        seen.append(average)
    assert validated == pytest.approx(seen)
    assert weight_of(setup) == pytest.approx(seen[-1])
    net = nn.Linear(1, 1, bias=False)
    RunFolder(tmp_path).load_weights({"net": net}, tmp_path / LAST)
    assert net.weight.item() == pytest.approx(weights[-1])


# --- validation: what is kept, when a phase ends ---


def curve_of(values, **changes):
    """A phase whose validations, one a step, are these values."""
    setup = slope(steps=len(values), validate_every=1, schedule=lambda step, done: 1.0, **changes)
    setup.validate = lambda position: {"score": float(values[position.step - 1])}
    return setup


CURVES = {  # values, patience, the step at which it should stop
    "decay": ([1 - 0.5**k for k in range(40)], Patience("score", 5, margin=1e-3), 12 + 5),
    "plateau": ([min(k, 10) for k in range(40)], Patience("score", 4), 11 + 4),
    "noise": ([math.sin(7.0 * k) for k in range(60)], Patience("score", 30), 12 + 30),
    "spike": ([10.0 if k == 6 else 0.1 * k for k in range(40)], Patience("score", 6), 7 + 6),
    "falling loss": ([max(20 - k, 8) for k in range(40)], Patience("score", 3, mode="min"), 13 + 3),
}


@pytest.mark.parametrize(("values", "patience", "stop"), CURVES.values(), ids=CURVES)
def test_a_phase_ends_when_validation_no_longer_improves(values, patience, stop, tmp_path):
    outcome = laws.train(curve_of(values, patience=patience), tmp_path, timing=Timing())
    assert abs(outcome.steps - stop) <= 1
    assert outcome.stopped == "patience"


def test_a_curve_that_improves_is_followed_to_its_end(tmp_path):
    outcome = laws.train(curve_of(range(12), patience=Patience("score", 2)), tmp_path)
    assert (outcome.steps, outcome.stopped, outcome.metrics["score"]) == (12, "finished", 11)


def test_a_plateau_lowers_the_rate(tmp_path):
    flat = curve_of([0.0] * 9, patience=Patience("score", 99, lower_after=3, lower_by=0.5))
    seen = weights_along(flat, tmp_path)
    lengths = [a - b for a, b in zip([0.0, *seen], seen, strict=False)]
    assert lengths == pytest.approx([0.1] * 4 + [0.05] * 3 + [0.025] * 2, rel=1e-4)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.integers(1, 5))
def test_patience_counts_the_validations_since_the_best(values, stop_after):
    trend, patience = Trend(), Patience("score", stop_after)
    for value in values:
        trend = trend.after(value, patience)
    assert trend.best == max(values)
    assert trend.stale == len(values) - 1 - values.index(max(values))


@pytest.mark.parametrize(("mode", "best"), [("max", 3), ("min", 5)])
def test_the_best_weights_are_kept_and_the_last_ones_beside_them(mode, best, tmp_path):
    values = [1.0, 2.0, 9.0, 4.0, 0.5, 6.0]
    setup = curve_of(values, keep=Keep("best", "score", mode))
    weights = weights_along(setup, tmp_path)
    assert weight_of(setup) == weights[best - 1]
    last = nn.Linear(1, 1, bias=False)
    RunFolder(tmp_path).load_weights({"net": last}, tmp_path / LAST)
    assert last.weight.item() == weights[-1]
    assert not list(tmp_path.glob("best-*"))


def test_an_outcome_tells_the_best_validation_and_its_step(tmp_path):
    outcome = laws.train(curve_of([1.0, 7.0, 3.0], keep=Keep("best", "score")), tmp_path)
    assert (outcome.best, outcome.best_step, outcome.planned) == ({"score": 7.0}, 2, 3)
    rows = read_curve(outcome.curve)
    assert [row["score"] for row in rows if "score" in row] == [1.0, 7.0, 3.0]
    assert [row["step"] for row in rows if "value" in row] == [1, 2, 3]


def test_a_metric_that_is_not_measured_is_an_error(tmp_path):
    with pytest.raises(RunError, match="no 'psnr'"):
        laws.train(curve_of([1.0], keep=Keep("best", "psnr")), tmp_path)


def test_a_validation_that_is_nan_is_an_error(tmp_path):
    with pytest.raises(
        DivergedError, match="step 1 of the slope phase: score on the validation views is NaN"
    ):
        laws.train(curve_of([1.0, math.nan]), tmp_path)


# --- clocks and reports ---


class Clock:
    """A second passes whenever it is asked."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def test_a_run_of_so_many_minutes_ends_with_them_and_shares_them(tmp_path):
    net = network(1, 2, 4, 1)
    phases = [Phase("a", 10**9, 1e-2, share=0.25), Phase("b", 10**9, 1e-2, share=0.75)]
    setup = Setup({"net": net}, phases, {"a": lambda: Fit(net), "b": lambda: Fit(net)})
    outcome = laws.train(setup, tmp_path, timing=Timing(minutes=2.0, report_seconds=-1.0, clock=Clock()))
    steps = [sum(row["stage"] == name for row in read_curve(outcome.curve)) for name in "ab"]
    assert outcome.stopped == "minutes" and 118 <= outcome.seconds <= 126
    assert steps[1] == pytest.approx(3 * steps[0], abs=4)


def test_every_curve_has_a_beginning_and_an_end(tmp_path):
    laws.train(SETUPS["two_phases"](9), tmp_path, timing=Timing(report_seconds=1e9))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["step"]) for row in rows] == [("fit", 1), ("fit", 4), ("rich", 5), ("rich", 9)]


class Heard(Silent):
    """Remembers what it was told."""

    def __init__(self):
        self.fractions = []

    def progress(self, fraction, stage, message="", metrics=()):
        self.fractions.append(fraction)


def test_progress_only_grows_and_ends_at_one(tmp_path):
    heard = Heard()
    laws.train(SETUPS["two_phases"](9), tmp_path, report=heard)
    assert heard.fractions == sorted(heard.fractions) and heard.fractions[-1] == pytest.approx(1.0)


def test_norms_of_gradients_are_reported_when_asked_for(tmp_path):
    outcome = laws.train(slope(), tmp_path, watch_gradients=True)
    assert outcome.metrics["gradient.slope"] == 1.0


def test_half_precision_is_the_forward_passes_alone(tmp_path):
    seen = {}

    class Looked(Fit):
        def turns(self, step):
            for turn in super().turns(step):
                seen["layer"] = self.net(torch.rand(2, 2)).dtype
                yield turn
                seen["gradient"] = self.net[0].weight.grad.dtype

    net = network(1, 2, 4, 1)
    laws.train(
        Setup({"net": net}, [Phase("fit", 2, 1e-2, precision="bfloat16")], {"fit": lambda: Looked(net)}),
        tmp_path,
    )
    assert seen == {"layer": torch.bfloat16, "gradient": torch.float32}
    assert net[0].weight.dtype == torch.float32


def test_random_numbers_depend_on_seed_purpose_and_step_alone():
    def draw(*key):
        return torch.rand(3, generator=generator(*key, CPU)).tolist()

    assert draw(1, "volume", 7) == draw(1, "volume", 7)
    others = [draw(2, "volume", 7), draw(1, "geometry", 7), draw(1, "volume", 8)]
    assert all(other != draw(1, "volume", 7) for other in others)


@given(st.lists(st.integers(1, 10**4), min_size=1, max_size=4), st.integers(1, 10**4))
def test_phases_scale_to_any_number_of_steps(steps, total):
    phases = [Phase(str(index), count, 1e-2) for index, count in enumerate(steps)]
    parts = [phase.steps for phase in scaled(phases, total)]
    assert min(parts) >= 1 and abs(sum(parts) - total) <= len(parts)
    assert scaled(phases, None) == tuple(phases)


# --- figures that are not finite, where every look would wait for the device ---


def test_noted_on_the_device_the_first_bad_step_of_a_figure_is_found_later():
    watch = Watch("fit", CPU, immediate=False)
    for step in range(5):
        watch.look(step, {"loss": torch.tensor(1.0 if step < 3 else math.inf), "psnr": 20.0})
    with pytest.raises(DivergedError, match="step 3 of the fit phase: loss"):
        watch.check()


def test_figures_under_other_names_do_not_hide_a_bad_one():
    watch = Watch("fit", CPU, immediate=False)
    watch.look(0, {"loss": torch.tensor(math.nan)})
    with pytest.raises(DivergedError, match="step 0 of the fit phase: loss"):
        watch.look(1, {"other": torch.tensor(1.0)})


def test_a_weight_that_is_not_finite_is_named():
    with pytest.raises(DivergedError, match="step 4 of the fit phase: the weight a.bias"):
        Watch("fit", CPU).check_weights(4, {"a.weight": torch.ones(2), "a.bias": torch.tensor([math.inf])})
