import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.images.metrics import C1, C2, iou, l1, psnr, ssim, window


def picture(seed: int, height: int = 16, width: int = 19) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3))


def slow_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """The definition, one window at a time."""
    weights = np.outer(window(), window())
    scores = []
    for channel in range(a.shape[2]):
        for top in range(a.shape[0] - 10):
            for left in range(a.shape[1] - 10):
                x = a[top : top + 11, left : left + 11, channel]
                y = b[top : top + 11, left : left + 11, channel]
                mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
                var_x = (weights * (x - mean_x) ** 2).sum()
                var_y = (weights * (y - mean_y) ** 2).sum()
                both = (weights * (x - mean_x) * (y - mean_y)).sum()
                scores.append(
                    (2 * mean_x * mean_y + C1)
                    * (2 * both + C2)
                    / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))
                )
    return float(np.mean(scores))


@given(st.integers(0, 10))
def test_ssim_is_the_mean_of_its_definition_over_all_windows(seed):
    a, b = picture(seed), picture(seed + 1) * 0.5 + picture(seed) * 0.5
    np.testing.assert_allclose(ssim(a, b), slow_ssim(a, b), atol=1e-10)


def test_ssim_is_one_for_equal_images_symmetric_and_at_most_one():
    a, b = picture(0), picture(1)
    assert ssim(a, a) == pytest.approx(1.0, abs=1e-12)
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-12)
    assert ssim(a, b) < 0.5
    assert ssim(a, 1 - a) < 0


def test_the_window_is_the_gaussian_of_wang_and_others():
    weights = window()
    assert len(weights) == 11
    assert weights.sum() == pytest.approx(1)
    assert weights[5] / weights[6] == pytest.approx(math.exp(1 / (2 * 1.5**2)))


@given(st.floats(1e-4, 0.5))
def test_psnr_of_a_constant_error_is_its_closed_form(error):
    a = np.full((4, 5, 3), 0.4)
    assert psnr(a, a + error) == pytest.approx(-20 * math.log10(error))


def test_psnr_of_gaussian_noise_is_that_of_its_variance():
    noise = np.random.default_rng(0).normal(0, 0.01, (200, 200, 3))
    assert psnr(np.zeros_like(noise), noise) == pytest.approx(40.0, abs=0.05)


def test_equal_images_have_the_largest_psnr_and_it_is_finite():
    assert psnr(picture(0), picture(0)) == 100.0


def test_l1_is_the_mean_absolute_error():
    a = picture(0)
    assert l1(a, a) == 0
    assert l1(a, a - 0.25) == pytest.approx(0.25)


def test_iou_counts_pixels():
    a = np.zeros((4, 4), bool)
    b = a.copy()
    assert iou(a, b) == 1.0
    a[:2] = True
    b[1:3] = True
    assert iou(a, b) == pytest.approx(4 / 12)
    assert iou(a, a) == 1.0
    assert iou(a, ~a) == 0.0
    assert iou(a * 0.9, b * 0.6) == pytest.approx(4 / 12)


def test_images_of_different_shapes_are_not_compared():
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(np.zeros((4, 4, 3)), np.zeros((4, 4)))
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(np.zeros((10, 40)), np.zeros((10, 40)))
