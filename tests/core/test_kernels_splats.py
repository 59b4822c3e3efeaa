"""The splat rasterizer against a slow one, and its gradients against automatic ones."""

import numpy as np
import pytest
import torch

from neuron_core.kernels.splats.adam import Moments, Rates, descend
from neuron_core.kernels.splats.gradients import backward, weights
from neuron_core.kernels.splats.projection import Lens
from neuron_core.kernels.splats.raster import rasterize
from neuron_core.kernels.splats.sorting import PairsError, project
from neuron_core.splats.harmonics import basis
from tests.core.splat_samples import camera, lens_of, random_harmonics, random_shapes, slow_picture

N = 60


def drawn(lens: Lens, shapes: np.ndarray, harmonics: np.ndarray) -> np.ndarray:
    out = np.full((lens.height, lens.width, 4), 7.0, np.float32)
    rasterize(project(lens, shapes, harmonics), out)
    return out


def colors_of(lens: Lens, shapes: np.ndarray, harmonics: np.ndarray) -> np.ndarray:
    away = shapes[:, :3] - lens.eye
    values = basis(away / np.linalg.norm(away, axis=-1, keepdims=True), harmonics.shape[1])
    return np.maximum(0.5 + np.einsum("nk,nkc->nc", values, harmonics), 0.0)


@pytest.mark.parametrize("dilation", [0.0, 0.3])
@pytest.mark.parametrize("terms", [1, 4, 9, 16])
def test_a_picture_is_what_blending_all_splats_at_all_pixels_gives(terms, dilation):
    lens = lens_of(camera(), dilation)
    shapes, harmonics = random_shapes(N), random_harmonics(N, terms)
    slow = slow_picture(
        lens, torch.from_numpy(shapes).double(), torch.from_numpy(colors_of(lens, shapes, harmonics))
    )
    np.testing.assert_allclose(drawn(lens, shapes, harmonics), slow, atol=2e-4)


def test_gradients_are_those_of_the_slow_picture():
    lens = lens_of(camera())
    shapes, harmonics = random_shapes(N), random_harmonics(N)
    wanted = np.random.default_rng(3).normal(size=(lens.height, lens.width, 4)).astype(np.float32)
    projected = project(lens, shapes, harmonics)
    picture = np.empty_like(wanted)
    rasterize(projected, picture)
    gradients = np.empty((N, 14), np.float32)
    backward(projected, shapes, picture, wanted, gradients)
    exact = torch.from_numpy(shapes).double().requires_grad_()
    colors = torch.from_numpy(colors_of(lens, shapes, harmonics)).requires_grad_()
    (slow_picture(lens, exact, colors) * torch.from_numpy(wanted)).sum().backward()
    assert exact.grad is not None and colors.grad is not None
    lit = colors_of(lens, shapes, harmonics) > 0
    for name, columns in {
        "position": (0, 3),
        "scale": (3, 6),
        "rotation": (6, 10),
        "opacity": (10, 11),
    }.items():
        part = slice(*columns)
        scale = exact.grad[:, part].abs().max().item()
        np.testing.assert_allclose(gradients[:, part], exact.grad[:, part], atol=2e-3 * scale, err_msg=name)
    np.testing.assert_allclose(gradients[:, 11:], colors.grad.numpy() * lit, atol=2e-3)


def test_the_order_of_splats_does_not_matter():
    lens = lens_of(camera())
    shapes, harmonics = random_shapes(N), random_harmonics(N)
    turned = np.random.default_rng(0).permutation(N)
    np.testing.assert_allclose(
        drawn(lens, shapes, harmonics), drawn(lens, shapes[turned], harmonics[turned]), atol=1e-6
    )


def test_what_splats_hide_and_weigh_together_is_the_opacity_of_the_picture():
    lens = lens_of(camera())
    shapes, harmonics = random_shapes(N), random_harmonics(N)
    found = np.empty(N, np.float32)
    projected = project(lens, shapes, harmonics)
    weights(projected, N, found)
    assert found.sum() == pytest.approx(drawn(lens, shapes, harmonics)[..., 3].sum(), rel=1e-5)


def test_what_is_behind_the_camera_faint_or_broken_is_not_drawn():
    lens = lens_of(camera())
    shapes = np.repeat(random_shapes(1), 4, axis=0)
    shapes[0, :3] = lens.eye * 1.5
    shapes[1, 10] = -6.0
    shapes[2, 6:10] = 0.0
    shapes[3, 0] = np.nan
    assert not drawn(lens, shapes, random_harmonics(4)).any()


def test_no_splats_are_an_empty_picture():
    lens = lens_of(camera())
    assert not drawn(lens, random_shapes(0), random_harmonics(0)).any()


def test_steps_downhill_make_the_picture_more_alike():
    lens = lens_of(camera())
    wanted = drawn(lens, random_shapes(N), random_harmonics(N))
    shapes, harmonics = random_shapes(N), random_harmonics(N)
    shapes += 0.03 * random_shapes(N, seed=5)
    rates = Rates(1e-3, 1e-2, 1e-2, 2e-2, 1e-2, 1e-3)
    moments = Moments(np.zeros((N, 11, 2), np.float32), np.zeros((N, 48, 2), np.float32))
    gradients = np.empty((N, 14), np.float32)
    errors = []
    for step in range(1, 61):
        projected = project(lens, shapes, harmonics)
        picture = np.empty_like(wanted)
        rasterize(projected, picture)
        errors.append(float(((picture - wanted) ** 2).sum()))
        backward(projected, shapes, picture, 2 * (picture - wanted), gradients)
        descend(projected, gradients, shapes, harmonics, moments, rates, step)
    assert errors[-1] < 0.1 * errors[0]


def test_adam_moves_by_its_rate_at_first_and_leaves_what_is_not_seen():
    lens = lens_of(camera())
    shapes, harmonics = random_shapes(2), random_harmonics(2)
    shapes[1, :3] = lens.eye * 1.5
    before = shapes.copy()
    gradients = np.ones((2, 14), np.float32)
    moments = Moments(np.zeros((2, 11, 2), np.float32), np.zeros((2, 48, 2), np.float32))
    rates = Rates(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    projected = project(lens, shapes, harmonics)
    descend(projected, gradients, shapes, harmonics, moments, rates, 1)
    moved = before[0] - shapes[0]
    np.testing.assert_allclose(moved, [0.1] * 3 + [0.2] * 3 + [0.3] * 4 + [0.4], rtol=1e-4)
    np.testing.assert_array_equal(shapes[1], before[1])


def test_pictures_that_cannot_be_sorted_are_refused():
    lens = lens_of(camera(8 * 257, 8 * 256))
    with pytest.raises(PairsError, match="too large"):
        project(lens, random_shapes(1), random_harmonics(1))
