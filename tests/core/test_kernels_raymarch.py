"""Sampling against a slow walk along each ray."""

import numpy as np
import pytest

from neuron_core.kernels.training import raymarch
from neuron_core.kernels.training.raymarch import EMPTY, EMPTY_BLOCK, SOLID, MarchSpec, Rays
from tests.core.march_samples import (
    BOX,
    CONES,
    CONTRACTED,
    PLAIN,
    sample_rays,
    slow_samples,
    some_occupancy,
    some_rays,
    to_unit_cube,
)


@pytest.mark.parametrize("cells", [8, 13])
@pytest.mark.parametrize("spec", [PLAIN, CONES, CONTRACTED])
def test_samples_equal_a_slow_walk(spec: MarchSpec, cells: int) -> None:
    rays, occupancy = some_rays(), some_occupancy(cells)
    samples = sample_rays(spec, rays, occupancy)
    expected = slow_samples(spec, rays, occupancy)
    close = 0
    for ray, found in enumerate(expected):
        own = slice(samples.ray_start[ray], samples.ray_start[ray] + samples.ray_count[ray])
        if samples.ray_count[ray] == len(found):
            values = np.array(found, np.float32).reshape(-1, 2)
            close += np.allclose(samples.t_mid[own], values[:, 0], atol=2e-4)
            close += np.allclose(samples.dts[own], values[:, 1], atol=1e-4)
    assert close >= 2 * 0.97 * len(expected)  # rounding may move a sample into the next cell


@pytest.mark.parametrize("spec", [PLAIN, CONES, CONTRACTED])
def test_samples_lie_on_their_rays_in_occupied_cells(spec: MarchSpec) -> None:
    rays, occupancy = some_rays(), some_occupancy(16)
    samples = sample_rays(spec, rays, occupancy, seed=3)
    points = rays.origins[samples.ray_index] + samples.t_mid[:, None] * rays.directions[samples.ray_index]
    np.testing.assert_allclose(samples.positions, to_unit_cube(spec, points), atol=2e-5)
    cells = np.clip((samples.positions * 16).astype(int), 0, 15)
    assert occupancy[tuple(cells.T)].all()
    assert ((samples.positions >= 0) & (samples.positions <= 1)).all()


def test_rays_own_their_samples_in_order() -> None:
    samples = sample_rays(PLAIN, some_rays(), some_occupancy(8), seed=1)
    assert np.array_equal(samples.ray_index, np.repeat(np.arange(200), samples.ray_count))
    assert np.array_equal(samples.ray_start, np.cumsum(samples.ray_count) - samples.ray_count)
    same_ray = np.diff(samples.ray_index) == 0
    assert (np.diff(samples.t_mid)[same_ray] > 0).all()


def test_a_full_grid_covers_the_box_without_gaps() -> None:
    rays = some_rays()
    samples = sample_rays(PLAIN, rays, np.ones((4, 4, 4), np.uint8))
    with np.errstate(divide="ignore"):
        walls = (np.asarray(BOX, np.float32)[:, None] - rays.origins) / rays.directions
    length = np.minimum(walls.max(axis=0).min(axis=-1), rays.fars)
    length = np.maximum(length - np.maximum(walls.min(axis=0).max(axis=-1), rays.nears), 0)
    np.testing.assert_allclose(samples.ray_count * PLAIN.step_max, length, atol=PLAIN.step_max)


def test_an_empty_grid_has_no_samples() -> None:
    samples = sample_rays(CONTRACTED, some_rays(), np.zeros((8, 8, 8), np.uint8), seed=0)
    assert samples.ray_count.sum() == 0 and samples.positions.shape == (0, 3)


def test_seeds_shift_within_a_step_and_repeat() -> None:
    rays, full = some_rays(), np.ones((4, 4, 4), np.uint8)
    still = sample_rays(PLAIN, rays, full)
    first, again, other = (sample_rays(PLAIN, rays, full, seed) for seed in (5, 5, 6))
    assert np.array_equal(first.t_mid, again.t_mid)
    met = (still.ray_count > 1) & (first.ray_count > 1) & (other.ray_count > 1)
    shift = (first.t_mid[first.ray_start[met]] - still.t_mid[still.ray_start[met]]) / PLAIN.step_max
    assert (shift > -1e-4).all() and (shift < 1 + 1e-4).all()
    assert 0.4 < shift.mean() < 0.6
    assert not np.array_equal(first.t_mid[first.ray_start[met]], other.t_mid[other.ray_start[met]])


def test_impossible_rays_have_no_samples_and_do_not_hang() -> None:
    origins = np.array([[0, 0, 0], [0, 0, 0], [np.nan, 0, 0], [0, 0, 0], [np.inf, 0, 0]], np.float32)
    directions = np.array([[0, 0, 0], [np.nan, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0]], np.float32)
    nears = np.array([0, 0, 0, 2, 0], np.float32)
    fars = np.array([9, 9, 9, 1, np.inf], np.float32)
    for spec in (PLAIN, CONTRACTED):
        full = np.ones((4, 4, 4), np.uint8)
        assert sample_rays(spec, Rays(origins, directions, nears, fars), full).ray_count.sum() == 0


def test_endless_rays_stop_at_the_cap() -> None:
    spec = MarchSpec(BOX, 0.1, 0.1, contracted=True, max_samples=50)
    samples = sample_rays(spec, some_rays(far=np.inf), np.ones((4, 4, 4), np.uint8))
    assert (samples.ray_count == 50).all()


def test_batches_cut_differently_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    rays, occupancy = some_rays(2000), some_occupancy(8)
    whole = sample_rays(CONES, rays, occupancy, seed=2)
    monkeypatch.setattr(raymarch, "slices_of", lambda rays: 1)
    single = sample_rays(CONES, rays, occupancy, seed=2)
    assert np.array_equal(whole.positions, single.positions) and np.array_equal(whole.dts, single.dts)


def degenerate_rays() -> Rays:
    """Along axes from inside, from a face, away from the box, beside it, without length."""
    rays = [
        ((0.0, 0.5, -0.5), (1, 0, 0), 0.0, 9.0),
        ((0.0, 0.5, -0.5), (0, -1, 0), 0.0, 9.0),
        ((-1.0, 0.5, -0.5), (1, 0, 0), 0.0, 9.0),
        ((3.0, 0.5, -0.5), (1, 0, 0), 0.0, 9.0),
        ((-3.0, 5.0, -0.5), (1, 0, 0), 0.0, 9.0),
        ((0.0, 0.5, -0.5), (0, 0, 1), 1.0, 1.0),
        ((0.0, 0.5, -0.5), (0, 0, 1), 0.0, PLAIN.step_max / 4),
        ((-2.0, -1.5, -3.0), (2**-0.5, 2**-0.5, 0), 0.0, 9.0),
    ]
    return Rays(*(np.array(column, np.float32) for column in zip(*rays, strict=True)))


@pytest.mark.parametrize("cells", [1, 2, 8, 16])
@pytest.mark.parametrize("spec", [PLAIN, CONES])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_degenerate_rays_equal_the_slow_walk(spec: MarchSpec, cells: int, share: float) -> None:
    rays, occupancy = degenerate_rays(), some_occupancy(cells, share=share)
    samples = sample_rays(spec, rays, occupancy)
    with np.errstate(invalid="ignore"):
        expected = slow_samples(spec, rays, occupancy)
    assert (samples.ray_count[3:7] == 0).all()
    for ray, found in enumerate(expected):
        own = slice(samples.ray_start[ray], samples.ray_start[ray] + samples.ray_count[ray])
        assert samples.ray_count[ray] == pytest.approx(len(found), abs=1)
        if samples.ray_count[ray] == len(found):
            values = np.array(found, np.float32).reshape(-1, 2)
            np.testing.assert_allclose(samples.t_mid[own], values[:, 0], atol=2e-4)


def test_a_ray_along_a_face_stays_in_it() -> None:
    along = Rays(*(np.array([v], np.float32) for v in ((-3.0, 1.5, -0.5), (1, 0, 0), 0.0, 9.0)))
    samples = sample_rays(PLAIN, along, np.ones((8, 8, 8), np.uint8))
    assert samples.ray_count[0] in (0, round(2 / PLAIN.step_max), round(2 / PLAIN.step_max) - 1)
    np.testing.assert_allclose(samples.positions[:, 1], 1.0)


@pytest.mark.parametrize("spec", [PLAIN, CONES])
def test_a_grid_of_one_cell_is_the_box_or_nothing(spec: MarchSpec) -> None:
    rays = some_rays()
    one, many = np.ones((1, 1, 1), np.uint8), np.ones((8, 8, 8), np.uint8)
    single, whole = (sample_rays(spec, rays, grid, seed=1) for grid in (one, many))
    assert np.array_equal(single.t_mid, whole.t_mid) and np.array_equal(single.ray_count, whole.ray_count)
    assert not sample_rays(spec, rays, 0 * one, seed=1).ray_count.any()


@pytest.mark.parametrize("spec", [PLAIN, CONES])
def test_empty_blocks_change_no_sample(spec: MarchSpec) -> None:
    occupancy = np.zeros((32, 32, 32), np.uint8)
    occupancy[8:16, 8:16, 16:24] = some_occupancy(8, share=0.5)
    blocks = occupancy.copy()
    corners = blocks.reshape(4, 8, 4, 8, 4, 8)
    corners[:] = np.where(corners.max(axis=(1, 3, 5), keepdims=True) == EMPTY, EMPTY_BLOCK, corners)
    rays = some_rays(500)
    plain, blocked = (sample_rays(spec, rays, grid) for grid in (occupancy, blocks))
    assert plain.ray_count.sum() > 50
    same = plain.ray_count == blocked.ray_count
    assert same.mean() > 0.99  # rounding may move a sample out of a cell
    if same.all():
        np.testing.assert_allclose(plain.t_mid, blocked.t_mid, atol=2e-4)


def test_rays_end_at_solid_cells() -> None:
    occupancy = np.ones((8, 8, 8), np.uint8)
    occupancy[:, :, 5:] = SOLID
    rays = some_rays(300)
    samples = sample_rays(PLAIN, rays, occupancy)
    assert (samples.positions[:, 2] < 5 / 8).all()
    for ray in range(300):
        own = samples.t_mid[samples.ray_start[ray] : samples.ray_start[ray] + samples.ray_count[ray]]
        steps = np.diff(own)
        np.testing.assert_allclose(steps, PLAIN.step_max, atol=1e-4)  # nothing behind what is solid
    full = sample_rays(PLAIN, rays, np.ones((8, 8, 8), np.uint8))
    outward = rays.directions[:, 2] < 0
    inside = (rays.origins[:, 2] + 2) / 3 < 5 / 8
    assert np.array_equal(samples.ray_count[outward & inside], full.ray_count[outward & inside])


def test_unsupported_types_and_devices_are_refused() -> None:
    rays, full = some_rays(8), np.ones((4, 4, 4), np.uint8)
    with pytest.raises(TypeError, match="uint8"):
        sample_rays(PLAIN, rays, full.astype(np.int32))
    doubled = Rays(rays.origins.astype(np.float64), rays.directions, rays.nears, rays.fars)
    with pytest.raises(TypeError, match="float32"):
        sample_rays(PLAIN, doubled, full)
