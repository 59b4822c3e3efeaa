"""Placing fewer samples where most light comes from: the inverse of a piecewise constant distribution."""

import numpy as np
import pytest

from neuron_core.kernels.training import resampling
from neuron_core.kernels.training.raymarch import Samples
from neuron_core.kernels.training.resampling import Guide, resample
from tests.core.march_samples import CONES, sample_rays, some_occupancy, some_rays
from tests.core.media_samples import samples_of

EVEN = Guide(most_alpha=0.0, spread=1.0)  # the grid counts for nothing
TRUSTING = Guide(most_alpha=1.0, spread=0.0)  # and here for all
CELLS = 8  # of the grid along each side


def some_samples() -> tuple[Samples, np.ndarray]:
    """Samples of 200 rays, some without any, and what part of the light a step in each cell blocks."""
    samples = sample_rays(CONES, some_rays(), some_occupancy(16, share=0.4))
    alphas = np.random.default_rng(0).beta(0.5, 3.0, (CELLS,) * 3).astype(np.float32)
    assert (samples.ray_count == 0).any()
    return samples, alphas


def resampled(samples: Samples, grid: np.ndarray, wanted: np.ndarray, seed: int, guide: Guide) -> Samples:
    count = np.where(samples.ray_count > 0, wanted, 0).astype(np.int32)
    total = int(count.sum())
    fewer = Samples(
        (np.cumsum(count) - count).astype(np.int32),
        count,
        None,
        np.full(total, np.nan, np.float32),
        np.full(total, np.nan, np.float32),
        np.full(total, -1, np.int32),
    )
    resample(samples, grid, seed, guide, fewer)
    return fewer


def own_of(samples: Samples, ray: int) -> slice:
    return slice(samples.ray_start[ray], samples.ray_start[ray] + samples.ray_count[ray])


def alphas_of(samples: Samples, grid: np.ndarray, ray: int, guide: Guide) -> np.ndarray:
    """What the steps of a ray block as far as the grid is trusted, up to where it is too dark."""
    cells = np.clip((samples.positions[own_of(samples, ray)] * len(grid)).astype(int), 0, len(grid) - 1)
    alphas = np.minimum(grid[tuple(cells.T)].astype(np.float64), guide.most_alpha)
    light = np.concatenate([[1.0], np.cumprod(1 - alphas)])[:-1]
    assert np.abs(light - guide.least_light).min() > 1e-9
    return alphas[light >= guide.least_light]


def slow_borders(samples: Samples, grid: np.ndarray, ray: int, parts: int, guide: Guide) -> np.ndarray:
    """Where the parts of equal weight of a ray begin and end [parts + 1], as lengths of its samples."""
    alphas = alphas_of(samples, grid, ray, guide)
    light = np.concatenate([[1.0], np.cumprod(1 - alphas)])[:-1]
    weights = light * alphas + guide.spread / len(alphas)
    lengths = samples.dts[own_of(samples, ray)][: len(alphas)].astype(np.float64)
    reached = np.concatenate([[0.0], np.cumsum(weights)])
    goals = np.arange(parts + 1) / parts * reached[-1]
    return np.interp(goals, reached, np.concatenate([[0.0], np.cumsum(lengths)]))


def identical_rays(lengths: list[float], rays: int) -> tuple[Samples, np.ndarray]:
    """Many times the same ray along x through the cells of a grid, a sample in each, and no density."""
    samples = samples_of([lengths] * rays)
    samples.positions[:] = 0.5
    samples.positions[:, 0] = np.tile((np.arange(len(lengths)) + 0.5) / CELLS, rays)
    return samples, np.zeros((CELLS,) * 3, np.float32)


@pytest.mark.parametrize("guide", [Guide(), Guide(0.5, 0.3, 0.05), Guide(1.0, 0.01, 1e-4)])
def test_parts_weigh_the_same_under_the_distribution_of_the_grid(guide: Guide) -> None:
    samples, grid = some_samples()
    wanted = np.random.default_rng(1).integers(1, 9, 200)
    fewer = resampled(samples, grid, wanted, 3, guide)
    for ray in np.flatnonzero(samples.ray_count):
        borders = slow_borders(samples, grid, ray, wanted[ray], guide)
        np.testing.assert_allclose(fewer.dts[own_of(fewer, ray)], np.diff(borders), atol=1e-3, rtol=1e-3)


def test_a_grid_that_counts_for_nothing_cuts_a_ray_into_equal_lengths() -> None:
    samples, grid = identical_rays([0.25] * 8, rays=3)
    fewer = resampled(samples, grid, np.array([1, 4, 5]), 0, EVEN)
    expected = np.repeat([2.0, 2.0 / 4, 2.0 / 5], [1, 4, 5])
    np.testing.assert_allclose(fewer.dts, expected, rtol=1e-6)


def test_as_many_parts_as_even_samples_are_the_samples() -> None:
    samples, grid = identical_rays([0.25] * 8, rays=20)
    fewer = resampled(samples, grid, np.full(20, 8), 0, EVEN)
    np.testing.assert_allclose(fewer.dts, samples.dts, rtol=1e-5)
    assert (np.abs(fewer.t_mid - samples.t_mid) <= samples.dts / 2 + 1e-5).all()


@pytest.mark.parametrize("guide", [Guide(), EVEN, TRUSTING])
def test_parts_cover_the_length_of_the_samples_that_light_reaches(guide: Guide) -> None:
    samples, grid = some_samples()
    fewer = resampled(samples, grid, np.full(200, 5), 1, guide)
    for ray in np.flatnonzero(samples.ray_count):
        reached = len(alphas_of(samples, grid, ray, guide))
        length = samples.dts[own_of(samples, ray)][:reached].sum()
        assert fewer.dts[own_of(fewer, ray)].sum() == pytest.approx(length, rel=1e-5)
    assert (fewer.dts >= 0).all()


@pytest.mark.parametrize("wanted", [1, 3, 40])
def test_new_samples_lie_in_old_ones_of_their_ray_near_to_far(wanted: int) -> None:
    samples, grid = some_samples()
    fewer = resampled(samples, grid, np.full(200, wanted), 2, Guide())
    np.testing.assert_array_equal(fewer.ray_index, np.repeat(np.arange(200), fewer.ray_count))
    same_ray = np.diff(fewer.ray_index) == 0
    assert (np.diff(fewer.t_mid)[same_ray] >= 0).all()
    for ray in np.flatnonzero(samples.ray_count):
        middles, dts = samples.t_mid[own_of(samples, ray)], samples.dts[own_of(samples, ray)]
        offsets = np.abs(fewer.t_mid[own_of(fewer, ray)][:, None] - middles)
        assert (offsets <= dts / 2 + 1e-5).any(axis=1).all()


def test_places_are_even_within_their_part_and_independent_of_each_other() -> None:
    rays, parts = 4000, 4
    samples, grid = identical_rays([0.1, 0.3, 0.2, 0.4, 0.1, 0.1, 0.5, 0.3], rays)
    fewer = resampled(samples, grid, np.full(rays, parts), 5, EVEN)
    borders = np.concatenate([[0.0], np.cumsum(fewer.dts[:parts])])
    places = (fewer.t_mid.reshape(rays, parts) - borders[:-1]) / np.diff(borders)
    assert places.min() > -1e-5 and places.max() < 1 + 1e-5
    for place in places.T:
        distance = np.abs(np.sort(place) - (np.arange(rays) + 0.5) / rays).max()
        assert distance < 1.63 / rays**0.5  # Kolmogorov-Smirnov, one in a hundred
    correlations = np.corrcoef(places.T)[np.triu_indices(parts, 1)]
    assert np.abs(correlations).max() < 0.05


@pytest.mark.parametrize("guide", [EVEN, Guide(0.9, 0.2, 0.0)])
def test_sums_over_new_samples_are_the_integral_on_average(guide: Guide) -> None:
    rays = 6000
    samples, grid = identical_rays([0.1, 0.3, 0.2, 0.4, 0.1, 0.1, 0.5, 0.3], rays)
    grid[:, 4, 4] = (0.0, 0.1, 0.7, 0.2, 0.0, 0.5, 0.3, 0.1)
    fewer = resampled(samples, grid, np.full(rays, 5), 6, guide)
    sums = (fewer.dts * np.cos(2 * fewer.t_mid)).reshape(rays, 5).sum(axis=1)
    error = sums.mean() - np.sin(2 * 2.0) / 2
    assert abs(error) < 3 * sums.std() / rays**0.5


def test_most_new_samples_lie_where_most_light_is_blocked() -> None:
    samples, grid = identical_rays([0.25] * 8, rays=500)
    grid[5] = 0.9
    fewer = resampled(samples, grid, np.full(500, 10), 7, Guide(most_alpha=1.0, spread=0.1))
    within = (fewer.t_mid > 5 * 0.25) & (fewer.t_mid < 6 * 0.25)
    assert within.mean() == pytest.approx((0.9 + 0.1 / 8) / 1.0, abs=0.11)  # of ten parts one may hang over
    assert fewer.dts[within].mean() < 0.25 / 8


def test_nothing_is_placed_behind_what_blocks_all_light() -> None:
    samples, grid = identical_rays([0.25] * 8, rays=100)
    grid[2], grid[6] = 1.0, 1.0
    fewer = resampled(samples, grid, np.full(100, 6), 8, Guide(most_alpha=1.0, spread=0.5))
    assert fewer.t_mid.max() <= 3 * 0.25 + 1e-6
    assert fewer.dts.reshape(100, 6).sum(axis=1) == pytest.approx(3 * 0.25)


def test_a_cell_counts_for_no_more_than_it_is_trusted() -> None:
    samples, grid = some_samples()
    wanted, guide = np.full(200, 4), Guide(most_alpha=0.2)
    trusted = resampled(samples, np.minimum(grid, 0.2).astype(np.float32), wanted, 9, guide)
    clipped = resampled(samples, grid, wanted, 9, guide)
    np.testing.assert_array_equal(clipped.t_mid, trusted.t_mid)
    np.testing.assert_array_equal(clipped.dts, trusted.dts)


def test_rays_without_any_weight_are_still_covered() -> None:
    samples, grid = identical_rays([0.25] * 8, rays=2)
    for wanted in (1, 5):
        fewer = resampled(samples, grid, np.full(2, wanted), 10, TRUSTING)  # all weights are zero
        assert np.isfinite(fewer.t_mid).all()
        assert fewer.dts.reshape(2, wanted).sum(axis=1) == pytest.approx(2.0)


def test_rays_may_get_no_sample_and_leave_the_others_as_they_are() -> None:
    samples, grid = some_samples()
    all_of_them = resampled(samples, grid, np.full(200, 3), 11, Guide())
    wanted = np.where(np.arange(200) % 3 == 0, 0, 3)
    some_of_them = resampled(samples, grid, wanted, 11, Guide())
    kept = all_of_them.ray_index % 3 != 0
    np.testing.assert_array_equal(some_of_them.ray_index, all_of_them.ray_index[kept])
    np.testing.assert_array_equal(some_of_them.t_mid, all_of_them.t_mid[kept])
    nothing = Samples(
        *(np.zeros(0, np.int32),) * 2, np.zeros((0, 3), np.float32), *(np.zeros(0, np.float32),) * 2, None
    )
    assert resampled(nothing, grid, np.zeros(0), 11, Guide()).t_mid.shape == (0,)


def test_seeds_repeat_and_differ() -> None:
    samples, grid = some_samples()
    first, again, other = (resampled(samples, grid, np.full(200, 4), seed, Guide()) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.t_mid, again.t_mid)
    np.testing.assert_array_equal(first.dts, other.dts)  # the parts do not depend on the seed
    assert (first.t_mid != other.t_mid).mean() > 0.9


def test_cutting_the_batch_differently_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, grid = some_samples()
    results = []
    for parts in (1, 7):
        monkeypatch.setattr(resampling, "slices_of", lambda rays, parts=parts: parts)
        results.append(resampled(samples, grid, np.full(200, 4), 12, Guide()).t_mid)
    np.testing.assert_array_equal(*results)


def test_a_gap_between_samples_is_jumped_over() -> None:
    samples, grid = identical_rays([0.25] * 8, rays=50)
    far = Samples(
        samples.ray_start,
        samples.ray_count,
        samples.positions,
        (samples.t_mid + np.where(samples.t_mid > 1, 8.0, 0.0)).astype(np.float32),
        samples.dts,
        samples.ray_index,
    )
    near_ones = resampled(samples, grid, np.full(50, 6), 13, EVEN)
    fewer = resampled(far, grid, np.full(50, 6), 13, EVEN)
    np.testing.assert_array_equal(fewer.dts, near_ones.dts)
    behind = near_ones.t_mid > 1
    np.testing.assert_allclose(fewer.t_mid, near_ones.t_mid + 8 * behind, atol=2e-6)
