"""Sampling and compositing, against sums that are written out."""

import numpy as np
import pytest
import torch

from neuron_core.models.field.model import Field
from neuron_core.models.field.volume import (
    PackedSamples,
    composite,
    composite_weights,
    march_spec,
    sample_rays,
)
from tests.core.march_samples import to_unit_cube
from tests.core.small_fields import directions, small_field

COUNTS = (3, 0, 7, 1, 12)


def some_samples(counts: tuple[int, ...] = COUNTS) -> PackedSamples:
    torch.manual_seed(5)
    count = torch.tensor(counts, dtype=torch.int32)
    index = torch.repeat_interleave(torch.arange(len(counts), dtype=torch.int32), count)
    total = int(count.sum())
    dts = torch.rand(total) * 0.3 + 0.05
    return PackedSamples(
        (count.cumsum(0) - count).to(torch.int32), count, torch.rand(total, 3), dts.cumsum(0), dts, index
    )


def slow_composite(
    samples: PackedSamples, sigmas: torch.Tensor, values: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    sums, opacities, depths = [], [], []
    for start, count in zip(samples.ray_start.tolist(), samples.ray_count.tolist(), strict=True):
        own = slice(start, start + count)
        depth = sigmas[own] * samples.dts[own]
        in_front = torch.cat([depth.new_zeros(1), depth.cumsum(0)[:-1]]) if count else depth
        weights = torch.exp(-in_front) * (1 - torch.exp(-depth))
        sums.append((weights[:, None] * values[own]).sum(0))
        opacities.append(weights.sum())
        depths.append((weights * samples.t_mid[own]).sum())
    return torch.stack(sums), torch.stack(opacities), torch.stack(depths)


def test_compositing_is_the_sum_that_it_stands_for():
    samples = some_samples()
    sigmas, values = torch.rand(len(samples)) * 4, torch.randn(len(samples), 5)
    for fast, slow in zip(
        composite(samples, sigmas, values), slow_composite(samples, sigmas, values), strict=True
    ):
        torch.testing.assert_close(fast, slow)


def test_its_gradients_are_those_of_the_sum():
    samples = some_samples()
    sigmas = (torch.rand(len(samples)) * 4).requires_grad_()
    values = torch.randn(len(samples), 5, requires_grad=True)
    upstream = [torch.randn(len(COUNTS), 5), torch.randn(len(COUNTS)), torch.randn(len(COUNTS))]
    gradients = []
    for function in (composite, slow_composite):
        outputs = function(samples, sigmas, values)
        loss = sum((output * weight).sum() for output, weight in zip(outputs, upstream, strict=True))
        gradients.append(torch.autograd.grad(loss, (sigmas, values)))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


def test_gradient_weights_scale_what_samples_learn_and_nothing_else():
    samples = some_samples()
    sigmas = torch.rand(len(samples), requires_grad=True)
    values = torch.randn(len(samples), 2, requires_grad=True)
    weights = torch.rand(len(samples))
    plain, weighted = composite(samples, sigmas, values), composite(samples, sigmas, values, weights)
    assert all(torch.equal(a, b) for a, b in zip(plain, weighted, strict=True))
    of_plain = torch.autograd.grad(plain[0].sum(), (sigmas, values))
    of_weighted = torch.autograd.grad(weighted[0].sum(), (sigmas, values))
    torch.testing.assert_close(of_weighted[0], of_plain[0] * weights)
    torch.testing.assert_close(of_weighted[1], of_plain[1] * weights[:, None])


def test_leaving_out_what_no_light_reaches_changes_nothing():
    samples = some_samples((40, 40))
    sigmas = torch.rand(len(samples)) * 20
    values = torch.randn(len(samples), 3)
    seen = samples.visible(sigmas)
    assert 0 < len(seen) < len(samples)
    rows = torch.isin(samples.t_mid, seen.t_mid)
    for all_of_them, fewer in zip(
        composite(samples, sigmas, values), composite(seen, sigmas[rows], values[rows]), strict=True
    ):
        torch.testing.assert_close(all_of_them, fewer)


def test_visible_samples_are_those_before_the_light_is_gone_that_block_enough():
    samples = some_samples()
    sigmas = torch.rand(len(samples)) * 8
    weights, _, _ = composite_weights(samples, sigmas)
    alphas = 1 - torch.exp(-sigmas * samples.dts)
    light = weights / alphas
    expected = (light >= 0.3) & (alphas >= 0.2)
    seen = samples.visible(sigmas, 0.3, 0.2)
    torch.testing.assert_close(seen.t_mid, samples.t_mid[expected])
    assert torch.equal(seen.ray_index, samples.ray_index[expected])
    assert seen.ray_count.tolist() == [int((seen.ray_index == ray).sum()) for ray in range(len(COUNTS))]


def test_the_first_rays_keep_their_samples():
    samples = some_samples()
    first = samples.first_rays(3)
    assert first.ray_count.tolist() == [3, 0, 7] and len(first) == 10
    assert torch.equal(first.units, samples.units[:10])


@pytest.mark.parametrize("contracted", [False, True])
def test_fields_and_rays_agree_where_a_point_lies_in_the_cube(contracted):
    field = small_field(contracted=contracted)
    points = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32) * 3
    marched = to_unit_cube(march_spec(field, 0.01), points)
    np.testing.assert_allclose(field.units(torch.from_numpy(points)).numpy(), marched, atol=1e-5)


@pytest.mark.parametrize("contracted", [False, True])
def test_samples_are_where_the_field_is_asked(contracted):
    field: Field = small_field(surface="density", contracted=contracted, occupancy_cells=8)
    rays_d = torch.from_numpy(directions(30, 1))
    rays_o = torch.tensor(field.spec.center) - 0.8 * rays_d + 0.1
    cells = torch.ones(8, 8, 8, dtype=torch.uint8)
    samples = sample_rays(march_spec(field, 0.02, 0.05), rays_o, rays_d, 0.1, 50.0, cells, seed=3)
    rows = samples.ray_index.long()
    points = rays_o[rows] + samples.t_mid[:, None] * rays_d[rows]
    torch.testing.assert_close(field.units(points), samples.units, rtol=0, atol=2e-5)
