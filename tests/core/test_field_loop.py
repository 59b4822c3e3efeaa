"""The loop around the stages: rates, limits, and what it does with figures that are none."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.foundation.progress import Silent
from neuron_core.models.field.loop import WARMUP, DivergedError, Limits, Trainer, schedule
from neuron_core.models.field.presets import PHOTOGRAPH_PLANS, SURFACE_PLANS, Plan, StagePlan
from neuron_core.models.field.stages import Stateless, generator, log_curve
from tests.core.small_fields import small_field

shares = st.floats(0, 1)


@given(shares, shares)
def test_after_the_warm_up_rates_only_fall(a, b):
    early, late = sorted((a, b))
    assert 0 < schedule(WARMUP, late) <= schedule(WARMUP, early) <= 1


def test_rates_rise_first_and_end_small():
    rates = [schedule(step, 0.0) for step in range(WARMUP + 5)]
    assert rates == sorted(rates) and rates[0] < 0.1 and rates[-1] == 1
    assert schedule(10**6, 1.0) < 0.05


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_the_curve_of_values_ascends(a, b):
    low, high = (float(log_curve(torch.tensor([value]))) for value in sorted((a, b)))
    assert low <= high


def test_the_curve_keeps_black_and_one():
    torch.testing.assert_close(log_curve(torch.tensor([0.0, 1.0, -3.0])), torch.tensor([0.0, 1.0, 0.0]))


def test_random_numbers_depend_on_seed_stage_and_step_alone():
    def draw(*key: object) -> list[float]:
        return torch.rand(3, generator=generator(*key, torch.device("cpu"))).tolist()

    assert draw(1, "volume", 7) == draw(1, "volume", 7)
    others = [draw(2, "volume", 7), draw(1, "geometry", 7), draw(1, "volume", 8)]
    assert all(other != draw(1, "volume", 7) for other in others)


@pytest.mark.parametrize("plans", [SURFACE_PLANS, PHOTOGRAPH_PLANS])
def test_plans_share_all_of_their_time_and_scale_to_any_number_of_steps(plans):
    for plan in plans.values():
        assert sum(stage.share for stage in plan.stages.values()) == pytest.approx(1)
        scaled = plan.scaled(50)
        assert abs(sum(stage.steps for stage in scaled.stages.values()) - 50) <= len(plan.stages)
        assert plan.scaled(None) is plan
        assert all(stage.steps >= 1 for stage in plan.scaled(1).stages.values())


class Broken(Stateless):
    """A stage whose loss is no number from its third step on."""

    name = "broken"

    def __init__(self, field):
        self.field = field

    def parameters(self):
        return self.field.shader.parameters()

    def backward(self, step):
        self.field.shader.lobes.bias.sum().backward()
        return {"loss": math.nan if step >= 2 else 0.5}


def test_training_that_diverges_is_an_error_of_the_user_and_is_not_kept(tmp_path):
    field = small_field()
    plan = Plan({"broken": StagePlan(10, 1, 1e-2, 1.0)})
    trainer = Trainer(field, list(plan.stages.values()), Limits(None, 0), tmp_path, Silent(), lambda step: {})
    with pytest.raises(DivergedError, match="step 2"):
        trainer.run([lambda: Broken(field)])
    assert not any(tmp_path.glob("*.safetensors"))
    assert all(bool(torch.isfinite(parameter).all()) for parameter in field.parameters())
