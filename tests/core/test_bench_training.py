"""The peer in plain torch against a reference written from the paper, and the arithmetic of timed runs."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.bench.figure import exponent
from neuron_core.bench.reference_torch import EagerEncoding, eager_composite
from neuron_core.bench.training import Clocked, TrainingRun, _rates
from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.learning.plan import Position
from neuron_core.models.field.volume import PackedSamples

SPEC = HashGridSpec(levels=3, features=2, table_size_log2=9, base_resolution=3, finest_resolution=40)
PRIMES = (1, 2_654_435_761, 805_459_861)  # of Müller et al. 2022, equation 4


def encoding(seed=0):
    torch.manual_seed(seed)
    rows = torch.randn(SPEC.levels, SPEC.table_size, SPEC.features)
    return EagerEncoding(SPEC, torch.nn.Parameter(rows))


def by_the_paper(tables, points):
    """Multiresolution hash encoding, point by point and corner by corner, [N, L F]."""
    found = np.zeros((len(points), SPEC.levels, SPEC.features))
    for level, resolution in enumerate(SPEC.resolutions):
        for number, point in enumerate(points):
            low = np.minimum(np.floor(point * resolution), resolution - 1)
            share = point * resolution - low
            for corner in itertools.product((0, 1), repeat=3):
                x, y, z = (int(value) for value in low + corner)
                if (resolution + 1) ** 3 <= SPEC.table_size:
                    row = x + (resolution + 1) * (y + (resolution + 1) * z)
                else:
                    row = (x * PRIMES[0] ^ y * PRIMES[1] ^ z * PRIMES[2]) % SPEC.table_size
                weight = np.prod(np.where(corner, share, 1 - share))
                found[number, level] += weight * tables[level, row]
    return found.reshape(len(points), -1)


def test_the_peer_encodes_as_the_paper_says():
    peer = encoding()
    points = torch.cat([torch.rand(40, 3), torch.zeros(1, 3), torch.ones(1, 3), torch.eye(3)])
    wanted = by_the_paper(peer.tables.detach().double().numpy(), points.double().numpy())
    np.testing.assert_allclose(peer(points).detach().numpy(), wanted, atol=2e-4)
    assert {SPEC.is_dense(level) for level in range(SPEC.levels)} == {True, False}


def test_an_encoding_is_linear_in_its_tables_and_even_tables_are_even_everywhere():
    one, other, both = encoding(1), encoding(2), encoding(1)
    points = torch.rand(30, 3)
    with torch.no_grad():
        both.tables.copy_(2 * one.tables - 3 * other.tables)
        torch.testing.assert_close(both(points), 2 * one(points) - 3 * other(points), atol=1e-4, rtol=1e-4)
        both.tables.fill_(0.7)
        torch.testing.assert_close(both(points), torch.full((30, SPEC.width), 0.7))


def test_an_encoding_is_continuous_across_cells():
    peer = encoding(3)
    for resolution in SPEC.resolutions:
        walls = (torch.arange(1, resolution) / resolution)[:, None].expand(-1, 3)
        beside = [peer(walls + side * 1e-6).detach() for side in (-1, 1)]
        torch.testing.assert_close(*beside, atol=5e-3, rtol=0)


# --- compositing ---


def samples(counts, dts):
    count = torch.tensor(counts, dtype=torch.int32)
    total = int(count.sum())
    index = torch.arange(len(counts), dtype=torch.int32).repeat_interleave(count)
    return PackedSamples(
        (count.cumsum(0) - count).int(), count, torch.rand(total, 3), torch.arange(1.0, total + 1), dts, index
    )


def test_rays_through_nothing_are_clear_and_through_a_wall_they_end():
    packed = samples([3, 0, 2], torch.full((5,), 0.5))
    values = torch.rand(5, 4)
    sums, opacities, depths = eager_composite(packed, torch.zeros(5), values)
    assert not sums.any() and not opacities.any() and not depths.any()
    wall = torch.tensor([0.0, torch.inf, 3.0, torch.inf, 0.0])
    sums, opacities, depths = eager_composite(packed, wall, values)
    torch.testing.assert_close(sums, torch.stack([values[1], torch.zeros(4), values[3]]))
    assert opacities.tolist() == [1.0, 0.0, 1.0] and depths.tolist() == [2.0, 0.0, 4.0]


def test_a_step_may_be_cut_in_two_without_changing_the_picture():
    """Beer and Lambert: what is behind sees the same light."""
    sigma, value = torch.tensor([0.8]), torch.rand(1, 3)
    whole = eager_composite(samples([1], torch.tensor([1.0])), sigma, value)
    halves = eager_composite(samples([2], torch.tensor([0.3, 0.7])), sigma.expand(2), value.expand(2, 3))
    torch.testing.assert_close(halves[0], whole[0])
    torch.testing.assert_close(halves[1], whole[1])
    assert float(whole[1]) == pytest.approx(1 - np.exp(-0.8))


# --- timed runs ---


def clocked(steps, rays=100.0, pace=0.5):
    return Clocked(
        [pace * (step + 1) for step in range(steps)],
        [2 * pace * (step + 1) for step in range(steps)],
        [{"rays": rays} for _ in range(steps)],
    )


@given(st.integers(12, 200), st.floats(0.01, 10.0))
def test_an_even_pace_has_the_same_rate_in_every_window(steps, pace):
    rates = _rates(clocked(steps, pace=pace), steps // 2)
    # A window counts the rays of its steps over the time between its ends: all but its first step's own.
    assert 1 <= len(rates) <= 5
    for rate in rates:
        assert rate == pytest.approx(100.0 / pace, rel=1e-6)


def test_notes_keep_the_order_of_steps_and_plain_numbers():
    clocks = Clocked()
    for step in range(3):
        clocks.note(Position(step=step), {"rays": torch.tensor(float(step)), "loss": 0.5})
    assert [one["rays"] for one in clocks.metrics] == [0.0, 1.0, 2.0]
    assert all(isinstance(value, float) for one in clocks.metrics for value in one.values())
    assert clocks.wall == sorted(clocks.wall) and clocks.cpu == sorted(clocks.cpu)
    assert len(clocks.wall) == len(clocks.cpu) == 3


def test_a_run_reached_its_goal_at_thirty_decibels():
    run = TrainingRun(1.0, 1.0, 30.0, None, 1.0, (1.0, 1.0), 1.0, 1.0, 1.0, 1, 1, 1)
    worse = TrainingRun(1.0, 1.0, 29.99, None, 1.0, (1.0, 1.0), 1.0, 1.0, 1.0, 1, 1, 1)
    assert run.reached and not worse.reached


def test_a_cost_for_each_pixel_grows_as_the_pixels():
    pixels = [8 * 32**2, 16 * 32**2, 8 * 64**2]
    assert exponent(pixels, [1e-9 * count for count in pixels]) == pytest.approx(1.0)
    assert exponent(pixels, [3.0] * 3) == pytest.approx(0.0, abs=1e-9)
