"""The scale on which colors are compared, and the noise on prompts."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.models.field.losses import DARK, PROMPT_JITTER, jittered, log_curve, psnr_of


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_the_curve_ascends(a, b):
    low, high = (float(log_curve(torch.tensor([value]))) for value in sorted((a, b)))
    assert low <= high


def test_the_curve_keeps_black_and_one_and_cuts_what_is_negative():
    torch.testing.assert_close(log_curve(torch.tensor([0.0, 1.0, -3.0])), torch.tensor([0.0, 1.0, 0.0]))


def test_far_above_the_dark_the_curve_is_a_logarithm():
    bright = torch.tensor([10.0, 20.0, 40.0])
    steps = log_curve(bright).diff()
    torch.testing.assert_close(
        steps, torch.full((2,), math.log(2) / math.log(1 + 1 / DARK)), rtol=5e-3, atol=0
    )


@pytest.mark.parametrize(("error", "db"), [(1.0, 0.0), (0.01, 20.0), (0.0, 120.0)])
def test_decibels(error, db):
    assert float(psnr_of(torch.tensor(error))) == pytest.approx(db, abs=1e-5)


def test_jitter_is_as_long_as_it_says_in_any_width_and_has_no_direction():
    for width in (16, 256):
        vectors = torch.zeros(4000, width)
        noise = jittered(vectors, torch.Generator().manual_seed(0))
        assert float(noise.square().sum(-1).mean().sqrt()) == pytest.approx(PROMPT_JITTER, rel=0.05)
        assert float(noise.mean(dim=0).norm()) < 0.05 * PROMPT_JITTER
