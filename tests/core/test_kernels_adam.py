"""Steps of Adam for splats: against torch's, step by step, and what it may not move."""

import numpy as np
import pytest
import torch

from neuron_core.kernels.splats.adam import Moments, Rates, descend
from neuron_core.kernels.splats.sorting import Projected, project
from neuron_core.splats.harmonics import basis
from tests.core.splat_samples import camera, lens_of, random_harmonics, random_shapes

RATES = Rates(position=1e-4, scale=2e-3, rotation=3e-3, opacity=4e-2, color=5e-3, detail=6e-4)
COLUMNS = np.array([RATES.position] * 3 + [RATES.scale] * 3 + [RATES.rotation] * 4 + [RATES.opacity])
TERMS = 9


def visible(count: int, terms: int = TERMS, seed: int = 0) -> tuple[Projected, np.ndarray, np.ndarray]:
    """Splats that the picture shows, all of them."""
    shapes, harmonics = random_shapes(4 * count, seed), random_harmonics(4 * count, terms, seed)
    lens = lens_of(camera(64, 64))
    shown = np.diff(project(lens, shapes, harmonics).firsts.numpy()) > 0
    shapes, harmonics = shapes[shown][:count], harmonics[shown][:count]
    assert len(shapes) == count
    return project(lens, shapes, harmonics), shapes, harmonics


def at_rest(count: int, terms: int = TERMS) -> Moments:
    return Moments(np.zeros((count, 11, 2), np.float32), np.zeros((count, 3 * terms, 2), np.float32))


def random_gradients(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, 14)) * 10.0 ** random.integers(-4, 3, 14)).astype(np.float32)


@pytest.mark.parametrize("terms", [1, 9])
def test_ten_steps_are_those_of_torch_with_a_rate_for_each_number(terms):
    """Torch's Adam over the same gradients; those of harmonics are the color's times the basis."""
    count = 12
    projected, shapes, harmonics = visible(count, terms)
    moments = at_rest(count, terms)
    columns = [torch.tensor(shapes[:, column], dtype=torch.float64) for column in range(11)]
    parts = [torch.tensor(harmonics[:, term], dtype=torch.float64) for term in range(terms)]
    groups = [{"params": [value], "lr": rate} for value, rate in zip(columns, COLUMNS, strict=True)]
    groups += [
        {"params": [part], "lr": RATES.detail if term else RATES.color} for term, part in enumerate(parts)
    ]
    slow = torch.optim.Adam(groups, betas=(0.9, 0.999), eps=1e-15)
    for step in range(1, 11):
        gradients = random_gradients(count, step)
        away = shapes[:, :3].astype(float) - projected.lens.eye
        values = basis(away / np.linalg.norm(away, axis=-1, keepdims=True), terms)
        for column, value in enumerate(columns):
            value.grad = torch.tensor(gradients[:, column], dtype=torch.float64)
        for term, part in enumerate(parts):
            part.grad = torch.tensor(values[:, term, None] * gradients[:, 11:], dtype=torch.float64)
        slow.step()
        descend(projected, gradients, shapes, harmonics, moments, RATES, step)
    apart = shapes - torch.stack(columns, dim=1).numpy()
    np.testing.assert_allclose(apart / (1e-6 + 2e-3 * COLUMNS), 0.0, atol=1.0)
    np.testing.assert_allclose(harmonics, torch.stack(parts, dim=1), atol=2e-5)


def test_the_first_step_is_the_rate_whatever_the_size_of_the_gradient():
    """The corrections for moments that began at zero make the ratio 1."""
    for size in (1e-8, 1.0, 1e6):
        projected, shapes, harmonics = visible(3)
        before = shapes.copy()
        signs = np.where(np.arange(14) % 2, -1.0, 1.0)
        gradients = np.tile(size * signs, (3, 1)).astype(np.float32)
        descend(projected, gradients, shapes, harmonics, at_rest(3), RATES, 1)
        moved = (before.astype(float) - shapes) / COLUMNS
        expected = np.tile(signs[:11], (3, 1))
        np.testing.assert_allclose(moved[:, 3:], expected[:, 3:], atol=2e-3)
        np.testing.assert_allclose(moved[:, :3], expected[:, :3], atol=1e-2)  # a float's last bit of a place


def test_a_constant_gradient_moves_by_the_rate_at_every_step():
    projected, shapes, harmonics = visible(4)
    gradients, moments = np.full((4, 14), 0.37, np.float32), at_rest(4)
    for step in range(1, 40):
        before = shapes[:, 10].copy()
        descend(projected, gradients, shapes, harmonics, moments, RATES, step)
        np.testing.assert_allclose(before - shapes[:, 10], RATES.opacity, rtol=1e-3)


def test_without_a_gradient_nothing_moves_and_moments_stay_at_rest():
    projected, shapes, harmonics = visible(5)
    before, moments = (shapes.copy(), harmonics.copy()), at_rest(5)
    for step in (1, 2, 500):
        descend(projected, np.zeros((5, 14), np.float32), shapes, harmonics, moments, RATES, step)
    np.testing.assert_array_equal(shapes, before[0])
    np.testing.assert_array_equal(harmonics, before[1])
    assert not moments.shapes.any() and not moments.harmonics.any()


def test_what_the_picture_does_not_show_keeps_its_place_and_its_moments():
    _, shapes, harmonics = visible(6)
    lens = lens_of(camera(64, 64))
    hidden = np.array([1, 4])
    shapes[hidden, :3] = 2.0 * lens.eye
    before = shapes.copy(), harmonics.copy()
    moments = Moments(*(np.full_like(array, 0.5) for array in (at_rest(6).shapes, at_rest(6).harmonics)))
    projected = project(lens, shapes, harmonics)
    descend(projected, random_gradients(6, 1), shapes, harmonics, moments, RATES, 3)
    moved = np.setdiff1d(np.arange(6), hidden)
    np.testing.assert_array_equal(shapes[hidden], before[0][hidden])
    np.testing.assert_array_equal(harmonics[hidden], before[1][hidden])
    assert (moments.shapes[hidden] == 0.5).all() and (moments.harmonics[hidden] == 0.5).all()
    assert (shapes[moved] != before[0][moved]).any(axis=1).all()
    assert (moments.shapes[moved] != 0.5).all()


def test_moments_are_running_means_of_gradients_and_their_squares():
    projected, shapes, harmonics = visible(4)
    moments, mean, square = at_rest(4), np.zeros((4, 11)), np.zeros((4, 11))
    for step in range(1, 6):
        gradients = random_gradients(4, step)
        descend(projected, gradients, shapes, harmonics, moments, RATES, step)
        mean += 0.1 * (gradients[:, :11] - mean)
        square += 0.001 * (gradients[:, :11].astype(float) ** 2 - square)
    halves = moments.shapes.reshape(4, 2, 11)  # all means, then all squares
    np.testing.assert_allclose(halves[:, 0], mean, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(halves[:, 1], square, rtol=1e-4, atol=1e-12)


def test_channels_and_splats_do_not_mix():
    """A gradient of one channel of one splat moves its own harmonics only."""
    projected, shapes, harmonics = visible(5)
    before = harmonics.copy()
    gradients = np.zeros((5, 14), np.float32)
    gradients[2, 12] = 1.0
    descend(projected, gradients, shapes, harmonics, at_rest(5), RATES, 1)
    changed = harmonics != before
    assert changed[2, :, 1].all()
    changed[2, :, 1] = False
    assert not changed.any()


def test_harmonics_move_against_the_sign_of_the_basis_where_the_splat_is_seen():
    projected, shapes, harmonics = visible(5)
    before, away = harmonics.copy(), shapes[:, :3].astype(float) - projected.lens.eye
    values = basis(away / np.linalg.norm(away, axis=-1, keepdims=True), TERMS)
    gradients = np.zeros((5, 14), np.float32)
    gradients[:, 11:] = 0.3
    descend(projected, gradients, shapes, harmonics, at_rest(5), RATES, 1)
    moved = (before - harmonics) / np.array([RATES.color] + [RATES.detail] * (TERMS - 1))[:, None]
    clear = np.abs(values) > 1e-3
    np.testing.assert_allclose(moved[clear], np.sign(values)[clear][:, None].repeat(3, axis=1), atol=2e-3)


def test_steps_of_some_splats_are_those_of_all_of_them():
    projected, shapes, harmonics = visible(10)
    part = shapes[:4].copy(), harmonics[:4].copy(), at_rest(4)
    few = project(projected.lens, part[0], part[1])
    moments = at_rest(10)
    for step in range(1, 4):
        gradients = random_gradients(10, step)
        descend(projected, gradients, shapes, harmonics, moments, RATES, step)
        descend(few, gradients[:4], *part, RATES, step)
    np.testing.assert_array_equal(part[0], shapes[:4])
    np.testing.assert_array_equal(part[1], harmonics[:4])
