"""Sampling until it is known how close a picture is to its limit."""

import numpy as np
import pytest

from neuron_core.groundtruth.truth import blurred, decibels, pair_error, sample_until, squared_differences

SHAPE = (24, 20)


class Noisy:
    """A renderer of gray with noise that falls as samples grow; it keeps what it gave away."""

    def __init__(self, deviations: np.ndarray) -> None:
        self.deviations = deviations  # [H, W] of one sample, linear
        self.given: list[tuple[np.ndarray, np.ndarray]] = []
        self.spp = 0

    def limit(self) -> np.ndarray:
        return np.concatenate([np.full((*SHAPE, 3), 0.4), np.ones((*SHAPE, 1))], axis=-1)

    def __call__(self, spp: int, index: int, repeats: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(index).standard_normal((*SHAPE, 3))
        scale = self.deviations / np.sqrt(spp * np.maximum(repeats, 1))
        picture = self.limit()
        picture[..., :3] += noise * scale[..., None]
        picture[repeats == 0] = 0.0
        self.given.append((picture, repeats.copy()))
        self.spp = spp
        return picture


@pytest.mark.parametrize("partial", [True, False])
def test_the_claimed_distance_is_the_real_one(partial):
    deviations = np.full(SHAPE, 0.25)
    deviations[:6] = 1.0
    noisy = Noisy(deviations)
    sampled = sample_until(noisy, SHAPE, 38.0, 4096, partial)
    real = pair_error(sampled.pixels, noisy.limit())
    assert decibels(sampled.error) >= 38.0
    assert decibels(real) == pytest.approx(decibels(sampled.error), abs=0.8)


@pytest.mark.parametrize("partial", [True, False])
def test_nothing_that_was_rendered_is_thrown_away(partial):
    noisy = Noisy(np.linspace(0.2, 1.0, SHAPE[0])[:, None] * np.ones(SHAPE))
    sampled = sample_until(noisy, SHAPE, 38.0, 4096, partial)
    weights = sum(repeats for _, repeats in noisy.given)
    mean = sum(picture * repeats[..., None] for picture, repeats in noisy.given) / weights[..., None]
    np.testing.assert_allclose(sampled.pixels, mean, atol=1e-6)
    assert sampled.spp == pytest.approx(noisy.spp * weights.mean())


def test_quiet_pixels_get_no_further_samples():
    deviations = np.zeros(SHAPE)
    deviations[:, :5] = 1.0
    noisy = Noisy(deviations)
    sample_until(noisy, SHAPE, 38.0, 4096, True)
    effort = sum(repeats for _, repeats in noisy.given)
    assert (effort[:, 10:] == 2).all()
    assert (effort[:, :4] > 2).all()


def test_whole_pictures_get_the_same_effort_everywhere():
    noisy = Noisy(np.linspace(0.2, 1.0, SHAPE[0])[:, None] * np.ones(SHAPE))
    sample_until(noisy, SHAPE, 38.0, 4096, False)
    assert all(len(np.unique(repeats)) == 1 for _, repeats in noisy.given)


@pytest.mark.parametrize("partial", [True, False])
def test_no_pixel_gets_more_than_the_most(partial):
    noisy = Noisy(np.full(SHAPE, 5.0))
    sampled = sample_until(noisy, SHAPE, 60.0, 300, partial)
    effort = noisy.spp * sum(repeats for _, repeats in noisy.given)
    assert effort.max() <= 300
    assert decibels(sampled.error) < 60.0


def test_pictures_without_noise_need_one_pass():
    noisy = Noisy(np.zeros(SHAPE))
    sampled = sample_until(noisy, SHAPE, 60.0, 300, True)
    assert len(noisy.given) == 2
    assert decibels(sampled.error) == 99.0


def test_blurring_is_the_mean_of_what_lies_around():
    values = np.random.default_rng(0).random((7, 9))
    slow = np.empty_like(values)
    for row in range(7):
        for column in range(9):
            around = values[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
            slow[row, column] = around.mean()
    np.testing.assert_allclose(blurred(values, 2), slow, rtol=1e-12)


def test_differences_are_those_of_shown_pictures():
    black = np.zeros((2, 2, 4))
    black[..., 3] = 1.0
    nothing = np.zeros((2, 2, 4))
    np.testing.assert_allclose(squared_differences(black, nothing), 1.0, rtol=1e-6)  # black against white
