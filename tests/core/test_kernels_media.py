"""Compositing along rays: closed forms, sums in double precision, and gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuron_core.kernels.training.compositing import OPAQUE, Composited, composite_backward, mark_visible
from neuron_core.kernels.training.raymarch import Samples
from tests.core.media_samples import composited, composited_gradients, samples_of, slow_composited, some_media

NAMES = ("weights", "values", "opacities", "depths")


def test_compositing_equals_the_slow_sum() -> None:
    samples, sigmas, values = some_media()
    result, expected = composited(samples, sigmas, values), slow_composited(samples, sigmas, values)
    for name in ("weights", "values", "opacities", "depths"):
        np.testing.assert_allclose(getattr(result, name), getattr(expected, name), atol=2e-5, rtol=1e-4)


def test_infinite_density_hides_everything_behind_it() -> None:
    count = np.array([3], np.int32)
    samples = Samples(
        np.zeros(1, np.int32), count, None, np.arange(1, 4, dtype=np.float32), np.ones(3, np.float32), None
    )
    result = composited(samples, np.array([0, np.inf, 5], np.float32), np.eye(3, dtype=np.float32))
    np.testing.assert_array_equal(result.values, [[0, 1, 0]])
    assert result.depths[0] == 2 and result.opacities[0] == 1


def test_gradients_equal_finite_differences() -> None:
    samples, sigmas, values = some_media(channels=2)
    random = np.random.default_rng(6)
    like = slow_composited(samples, sigmas, values)
    gradients = Composited(
        *(
            random.standard_normal(a.shape).astype(np.float32)
            for a in (like.weights, like.values, like.opacities)
        ),
        random.standard_normal(like.depths.shape).astype(np.float32),
    )
    grad_sigmas, grad_values = np.empty_like(sigmas), np.empty_like(values)
    composite_backward(samples, sigmas, values, gradients, grad_sigmas, grad_values)

    def loss(moved_sigmas: np.ndarray, moved_values: np.ndarray) -> float:
        out = slow_composited(samples, moved_sigmas, moved_values)
        names = ("weights", "values", "opacities", "depths")
        return sum(np.vdot(getattr(out, name), getattr(gradients, name)) for name in names)

    step = 1e-3
    for sample in random.choice(len(sigmas), 40, replace=False):
        nudge = np.zeros(len(sigmas))
        nudge[sample] = step
        change = loss(sigmas + nudge, values) - loss(sigmas - nudge, values)
        assert grad_sigmas[sample] == pytest.approx(change / (2 * step), abs=2e-3)
        nudge = np.zeros(values.shape)
        nudge[sample, 1] = step
        change = loss(sigmas, values + nudge) - loss(sigmas, values - nudge)
        assert grad_values[sample, 1] == pytest.approx(change / (2 * step), abs=1e-3)


def test_missing_gradients_are_zero() -> None:
    samples, sigmas, values = some_media()
    zeros = [np.zeros_like(sigmas), np.zeros((60, 3), np.float32), np.zeros(60, np.float32)]
    ones = np.ones(60, np.float32)
    results = []
    for gradients in (Composited(None, None, ones, None), Composited(zeros[0], zeros[1], ones, zeros[2])):
        grad_sigmas, grad_values = np.empty_like(sigmas), np.empty_like(values)
        composite_backward(samples, sigmas, values, gradients, grad_sigmas, grad_values)
        results.append((grad_sigmas, grad_values))
    assert np.array_equal(results[0][0], results[1][0]) and np.array_equal(results[0][1], results[1][1])
    assert not results[0][1].any()


def test_empty_batches_and_rays_without_samples_composite_to_nothing() -> None:
    nothing = np.zeros((0, 3), np.float32)
    for count in (0, 3):
        zeros = np.zeros(count, np.int32)
        samples = Samples(zeros, zeros, nothing, nothing[:, 0], nothing[:, 0], np.zeros(0, np.int32))
        result = composited(samples, nothing[:, 0], nothing)
        assert not result.values.any() and not result.opacities.any() and not result.depths.any()
        ones = np.ones(count, np.float32)
        composite_backward(
            samples, nothing[:, 0], nothing, Composited(None, None, ones, ones), nothing[:, 0], nothing
        )


def test_steps_without_length_or_density_pass_all_light_and_have_finite_gradients() -> None:
    count = np.array([4], np.int32)
    dts = np.array([0, 0.1, 0, 0.2], np.float32)
    samples = Samples(np.zeros(1, np.int32), count, None, np.arange(4, dtype=np.float32), dts, None)
    sigmas = np.array([5, 0, 1e30, 0], np.float32)
    values = np.ones((4, 1), np.float32)
    assert composited(samples, sigmas, values).opacities[0] == 0
    ones = np.ones(1, np.float32)
    grad_sigmas, grad_values = np.empty(4, np.float32), np.empty((4, 1), np.float32)
    gradients = Composited(None, ones[:, None], ones, ones)
    composite_backward(samples, sigmas, values, gradients, grad_sigmas, grad_values)
    np.testing.assert_allclose(grad_sigmas, dts * (2 + np.arange(4)), rtol=1e-6)
    assert not grad_values.any()


def test_other_types_of_densities_are_refused() -> None:
    samples, sigmas, values = some_media()
    with pytest.raises(TypeError, match="float32"):
        composited(samples, sigmas.astype(np.float16), values)


def thin_media(channels: int = 3) -> tuple[Samples, np.ndarray, np.ndarray]:
    """No ray of these becomes opaque, so that every sample counts."""
    samples, sigmas, values = some_media(channels)
    return samples, np.minimum(sigmas, 2).astype(np.float32), values


def some_result_gradients(samples: Samples, channels: int) -> Composited:
    random, rays = np.random.default_rng(6), len(samples.ray_count)
    shapes = (len(samples.t_mid),), (rays, channels), (rays,), (rays,)
    return Composited(*(random.standard_normal(shape).astype(np.float32) for shape in shapes))


def marked(
    samples: Samples, sigmas: np.ndarray, least_light: float, least_alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    visible = np.full(len(sigmas), 255, np.uint8)
    count = np.full(len(samples.ray_count), -1, np.int32)
    mark_visible(samples, sigmas, least_light, least_alpha, visible, count)
    return visible, count


@pytest.mark.parametrize("density", [0.0, 0.3, 2.0, 5.0])
def test_even_density_blocks_what_the_law_of_beer_and_lambert_says_however_it_is_cut(density: float) -> None:
    random = np.random.default_rng(0)
    cuts = [np.diff(np.sort([0.0, 1.5, *random.uniform(0, 1.5, pieces)])) for pieces in range(40)]
    samples = samples_of(cuts)
    sigmas = np.full(len(samples.dts), density, np.float32)
    result = composited(samples, sigmas, np.ones((len(sigmas), 1), np.float32))
    np.testing.assert_allclose(result.opacities, 1 - np.exp(-1.5 * density), atol=2e-6)
    np.testing.assert_allclose(result.values[:, 0], result.opacities, atol=1e-7)


def test_depth_of_even_density_tends_to_its_mean_free_path() -> None:
    samples = samples_of([np.full(4000, 1 / 500)])
    sigmas = np.full(4000, 2.0, np.float32)
    result = composited(samples, sigmas, np.ones((4000, 1), np.float32))
    assert result.depths[0] == pytest.approx(
        1 / 2, abs=6 * OPAQUE
    )  # behind it, at ln(1 / OPAQUE) / 2, is the rest


def test_light_behind_several_media_is_the_product_of_what_each_lets_through() -> None:
    random = np.random.default_rng(1)
    lengths, sigmas = random.uniform(0.1, 0.5, 12), random.uniform(0.0, 1.5, 12).astype(np.float32)
    ones = np.ones((12, 1), np.float32)
    together = composited(samples_of([lengths]), sigmas, ones).opacities
    each = composited(samples_of([[length] for length in lengths]), sigmas, ones).opacities
    assert 1 - together[0] == pytest.approx(np.prod(1 - each.astype(np.float64)), rel=1e-5)


def test_splitting_a_sample_in_two_changes_no_sum() -> None:
    samples, sigmas, values = thin_media()
    twice = replace(
        samples,
        ray_start=2 * samples.ray_start,
        ray_count=2 * samples.ray_count,
        t_mid=np.repeat(samples.t_mid, 2),
        dts=np.repeat(samples.dts / 2, 2),
    )
    whole, split = (
        composited(samples, sigmas, values),
        composited(twice, sigmas.repeat(2), values.repeat(2, 0)),
    )
    for name in NAMES[1:]:
        np.testing.assert_allclose(getattr(split, name), getattr(whole, name), atol=5e-6)
    np.testing.assert_allclose(split.weights.reshape(-1, 2).sum(axis=1), whole.weights, atol=1e-6)


def test_a_ray_cut_in_two_is_its_front_over_its_back() -> None:
    lengths, values = np.full(10, 0.2), np.random.default_rng(2).random((10, 3), dtype=np.float32)
    sigmas = np.linspace(0.2, 3.0, 10, dtype=np.float32)
    whole = composited(samples_of([lengths]), sigmas, values)
    for cut in range(1, 10):
        parts = composited(samples_of([lengths[:cut], lengths[cut:]]), sigmas, values)
        through = 1 - parts.opacities[0]
        np.testing.assert_allclose(parts.values[0] + through * parts.values[1], whole.values[0], atol=1e-6)
        over = parts.opacities[0] + through * parts.opacities[1]
        assert over == pytest.approx(whole.opacities[0], abs=1e-6)


def test_what_lies_in_front_hides_what_lies_behind() -> None:
    red, blue = np.array([[1, 0, 0]], np.float32), np.array([[0, 0, 1]], np.float32)
    samples, sigmas = samples_of([[0.5, 0.5]]), np.array([3.0, 3.0], np.float32)
    passed = np.exp(-1.5)
    red_first = composited(samples, sigmas, np.concatenate([red, blue])).values[0]
    blue_first = composited(samples, sigmas, np.concatenate([blue, red])).values[0]
    np.testing.assert_allclose(red_first, [1 - passed, 0, passed * (1 - passed)], atol=1e-6)
    np.testing.assert_array_equal(blue_first, red_first[::-1])


def test_weights_add_up_to_what_does_not_pass() -> None:
    samples, sigmas, values = some_media()
    result = composited(samples, sigmas, values)
    depths = np.zeros(60)
    np.add.at(depths, samples.ray_index, samples.dts.astype(np.float64) * sigmas)
    sums = np.bincount(samples.ray_index, result.weights, 60)
    np.testing.assert_allclose(sums, 1 - np.exp(-depths), atol=2 * OPAQUE)
    np.testing.assert_allclose(result.opacities, sums, atol=1e-6)
    assert (result.weights >= 0).all() and result.opacities.max() <= 1 + 1e-6


def test_half_the_length_at_twice_the_density_is_the_same_medium() -> None:
    samples, sigmas, values = some_media()
    dense = replace(samples, dts=samples.dts / 2)
    plain, other = composited(samples, sigmas, values), composited(dense, 2 * sigmas, values)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(other, name), getattr(plain, name))
    gradients = some_result_gradients(samples, 3)
    of_plain = composited_gradients(samples, sigmas, values, gradients)
    of_other = composited_gradients(dense, 2 * sigmas, values, gradients)
    np.testing.assert_array_equal(2 * of_other[0], of_plain[0])
    np.testing.assert_array_equal(of_other[1], of_plain[1])


def test_samples_behind_opaque_ones_have_neither_weight_nor_gradient() -> None:
    samples = samples_of([[1.0, 1.0, 1.0, 1.0]])
    sigmas, values = np.array([1.0, 9.0, 2.0, 2.0], np.float32), np.ones((4, 2), np.float32)
    assert np.exp(-10) < OPAQUE < np.exp(-1)
    weights = composited(samples, sigmas, values).weights
    assert weights[1] > 0 and not weights[2:].any()
    grad_sigmas, grad_values = composited_gradients(
        samples, sigmas, values, some_result_gradients(samples, 2)
    )
    assert grad_values[:2].all() and not grad_values[2:].any() and not grad_sigmas[2:].any()


def test_rays_are_composited_alone_whatever_lies_beside_them() -> None:
    samples, sigmas, values = some_media()
    gradients = some_result_gradients(samples, 3)
    whole = composited(samples, sigmas, values)
    of_whole = composited_gradients(samples, sigmas, values, gradients)
    assert (samples.ray_count == 0).any() and len(np.unique(samples.ray_count)) > 10
    for ray in range(0, 60, 7):
        own = slice(samples.ray_start[ray], samples.ray_start[ray] + samples.ray_count[ray])
        alone = Samples(
            np.zeros(1, np.int32), samples.ray_count[[ray]], None, samples.t_mid[own], samples.dts[own], None
        )
        result = composited(alone, sigmas[own], values[own])
        np.testing.assert_array_equal(result.weights, whole.weights[own])
        np.testing.assert_array_equal(result.values[0], whole.values[ray])
        own_gradients = Composited(
            gradients.weights[own],
            gradients.values[[ray]],
            gradients.opacities[[ray]],
            gradients.depths[[ray]],
        )
        one = composited_gradients(alone, sigmas[own], values[own], own_gradients)
        np.testing.assert_array_equal(one[0], of_whole[0][own])
        np.testing.assert_array_equal(one[1], of_whole[1][own])


@pytest.mark.parametrize("channels", [1, 4, 11])
def test_channels_are_composited_alone(channels: int) -> None:
    samples, sigmas, values = some_media(channels)
    whole = composited(samples, sigmas, values)
    for channel in range(channels):
        alone = composited(samples, sigmas, np.ascontiguousarray(values[:, [channel]]))
        np.testing.assert_array_equal(alone.values[:, 0], whole.values[:, channel])
        np.testing.assert_array_equal(alone.weights, whole.weights)


def formula(samples: Samples, sigmas: torch.Tensor, values: torch.Tensor) -> dict[str, torch.Tensor]:
    """Composited media as a plain formula that torch differentiates; every sample counts."""
    weights, sums, opacities, depths = [], [], [], []
    for start, count in zip(samples.ray_start, samples.ray_count, strict=True):
        own = slice(start, start + count)
        optical = sigmas[own] * torch.from_numpy(samples.dts[own]).double()
        through = torch.exp(-(optical.cumsum(0) - optical))
        weight = through * -torch.expm1(-optical)
        weights.append(weight)
        sums.append((weight[:, None] * values[own]).sum(0))
        opacities.append(weight.sum())
        depths.append((weight * torch.from_numpy(samples.t_mid[own]).double()).sum())
    results = torch.cat(weights), torch.stack(sums), torch.stack(opacities), torch.stack(depths)
    return dict(zip(NAMES, results, strict=True))


@pytest.mark.parametrize("given", [*NAMES, "all"])
def test_gradients_equal_those_of_a_plain_formula(given: str) -> None:
    samples, sigmas, values = thin_media()
    every = some_result_gradients(samples, 3)
    names = NAMES if given == "all" else (given,)
    gradients = Composited(*(getattr(every, name) if name in names else None for name in NAMES))
    grad_sigmas, grad_values = composited_gradients(samples, sigmas, values, gradients)
    leaves = [torch.from_numpy(array).double().requires_grad_() for array in (sigmas, values)]
    results = formula(samples, *leaves)
    loss = sum((results[name] * torch.from_numpy(getattr(every, name))).sum() for name in names)
    expected = torch.autograd.grad(loss, leaves, allow_unused=True)
    np.testing.assert_allclose(grad_sigmas, expected[0], atol=2e-5, rtol=1e-4)
    of_values = np.zeros(values.shape) if expected[1] is None else expected[1].numpy()
    np.testing.assert_allclose(grad_values, of_values, atol=2e-6)


def test_every_density_of_a_ray_changes_its_opacity_by_what_passes_the_whole_ray() -> None:
    samples, sigmas, values = thin_media(1)
    result = composited(samples, sigmas, values)
    gradients = Composited(None, None, np.ones(60, np.float32), None)
    grad_sigmas, _ = composited_gradients(samples, sigmas, values, gradients)
    expected = samples.dts * (1 - result.opacities[samples.ray_index])
    np.testing.assert_allclose(grad_sigmas, expected, atol=1e-6)


def test_gradients_of_values_are_the_adjoint_of_their_sums() -> None:
    samples, sigmas, values = some_media(4)
    gradients = np.random.default_rng(7).standard_normal((60, 4)).astype(np.float32)
    _, grad_values = composited_gradients(samples, sigmas, values, Composited(None, gradients, None, None))
    sums = composited(samples, sigmas, values).values
    there, back = (np.vdot(a.astype(np.float64), b) for a, b in ((sums, gradients), (values, grad_values)))
    assert there == pytest.approx(back, rel=1e-5)


@pytest.mark.parametrize(("least_light", "least_alpha"), [(0.0, 0.0), (0.2, 0.0), (0.0, 0.1), (0.05, 0.03)])
def test_visible_samples_are_lit_and_block_enough(least_light: float, least_alpha: float) -> None:
    samples, sigmas, _ = some_media()
    visible, count = marked(samples, sigmas, least_light, least_alpha)
    alphas = -np.expm1(-sigmas.astype(np.float64) * samples.dts)
    for ray in range(60):
        own = slice(samples.ray_start[ray], samples.ray_start[ray] + samples.ray_count[ray])
        light = np.concatenate([[1.0], np.cumprod(1 - alphas[own])])[:-1]
        far_from_bounds = (np.abs(light - least_light) > 1e-5) & (np.abs(alphas[own] - least_alpha) > 1e-6)
        expected = (light >= least_light) & (alphas[own] >= least_alpha)
        np.testing.assert_array_equal(visible[own][far_from_bounds], expected[far_from_bounds])
        assert count[ray] == visible[own].sum()


def test_what_is_not_visible_has_no_weight_worth_compositing() -> None:
    samples, sigmas, values = some_media()
    visible, _ = marked(samples, sigmas, OPAQUE, 0.0)
    np.testing.assert_array_equal(visible == 1, composited(samples, sigmas, values).weights > 0)
    least_alpha = 0.01
    few, _ = marked(samples, sigmas, 0.0, least_alpha)
    kept = composited(samples, np.where(few == 1, sigmas, 0).astype(np.float32), values)
    lost = composited(samples, sigmas, values).opacities - kept.opacities
    assert (lost > -1e-6).all() and (lost <= least_alpha * samples.ray_count + 1e-6).all()


def test_rays_without_samples_have_no_visible_ones() -> None:
    empty = Samples(*(np.zeros(3, np.int32),) * 2, None, *(np.zeros(0, np.float32),) * 2, None)
    visible, count = marked(empty, np.zeros(0, np.float32), 0.0, 0.0)
    assert visible.shape == (0,) and count.tolist() == [0, 0, 0]


def test_infinite_density_has_no_slope_and_what_lies_behind_it_no_gradient() -> None:
    samples, values = samples_of([[0.5, 0.25, 1.0]]), np.array([[2.0], [3.0], [5.0]], np.float32)
    sigmas = np.array([0.8, np.inf, 1.0], np.float32)
    gradients = Composited(None, np.ones((1, 1), np.float32), None, None)
    grad_sigmas, grad_values = composited_gradients(samples, sigmas, values, gradients)
    passed = np.exp(-0.4)
    np.testing.assert_allclose(grad_values[:, 0], [1 - passed, passed, 0], rtol=1e-5)
    np.testing.assert_allclose(grad_sigmas, [0.5 * passed * (2.0 - 3.0), 0, 0], rtol=1e-5)


def test_rays_may_lie_in_any_order_in_memory() -> None:
    samples, sigmas, values = some_media()
    order = np.random.default_rng(8).permutation(60)
    moved = replace(samples, ray_start=samples.ray_start[order], ray_count=samples.ray_count[order])
    plain, other = composited(samples, sigmas, values), composited(moved, sigmas, values)
    np.testing.assert_array_equal(other.weights, plain.weights)
    for name in NAMES[1:]:
        np.testing.assert_array_equal(getattr(other, name), getattr(plain, name)[order])
