"""Sampling against a slow walk along each ray, compositing against sums and finite differences."""

import numpy as np
import pytest

from neuron_core.kernels.training import raymarch
from neuron_core.kernels.training.compositing import OPAQUE, Composited, composite, composite_backward
from neuron_core.kernels.training.raymarch import EMPTY, EMPTY_BLOCK, SOLID, MarchSpec, Rays, Samples
from tests.core.march_samples import sample_rays, to_unit_cube

BOX = ((-1.0, -0.5, -2.0), (1.0, 1.5, 1.0))
PLAIN = MarchSpec(BOX, step_min=0.031, step_max=0.031)
CONES = MarchSpec(BOX, step_min=0.02, step_max=0.2, cone=0.02)
CONTRACTED = MarchSpec(BOX, step_min=0.02, step_max=1.5, cone=0.03, contracted=True)


def some_rays(count: int = 200, seed: int = 0, far: float = 12.0) -> Rays:
    random = np.random.default_rng(seed)
    directions = random.standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    directions[:6] = np.concatenate([np.eye(3), -np.eye(3)])
    origins = random.uniform(-0.9, 0.9, (count, 3)) - directions * random.choice([0.0, 3.0], (count, 1))
    nears, fars = np.full(count, 0.05), np.full(count, far)
    return Rays(*(array.astype(np.float32) for array in (origins, directions, nears, fars)))


def some_occupancy(cells: int, seed: int = 1, share: float = 0.3) -> np.ndarray:
    return (np.random.default_rng(seed).random((cells, cells, cells)) < share).astype(np.uint8)


def slow_samples(spec: MarchSpec, rays: Rays, occupancy: np.ndarray) -> list[list[tuple[float, float]]]:
    """For each ray the (middle, step) pairs, every step looked up, in single precision."""
    result = []
    for origin, direction, near, far in zip(
        rays.origins, rays.directions, rays.nears, rays.fars, strict=True
    ):
        t = np.float32(near)
        if not spec.contracted:
            with np.errstate(divide="ignore"):
                walls = (np.asarray(spec.aabb, np.float64) - origin) / direction
            t = np.float32(max(t, walls.min(axis=0).max()))
            far = min(far, walls.max(axis=0).min())
        found = []
        while True:
            step = np.float32(np.clip(t * np.float32(spec.cone), spec.step_min, spec.step_max))
            middle = np.float32(t + np.float32(0.5) * step)
            if not middle < far:
                break
            position = to_unit_cube(spec, origin + middle * direction)
            cell = np.clip((position * len(occupancy)).astype(int), 0, len(occupancy) - 1)
            if occupancy[tuple(cell)]:
                found.append((middle, step))
            t = np.float32(t + step)
        result.append(found)
    return result


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


def some_media(channels: int = 3) -> tuple[Samples, np.ndarray, np.ndarray]:
    samples = sample_rays(PLAIN, some_rays(60), some_occupancy(8), seed=4)
    random = np.random.default_rng(5)
    sigmas = random.exponential(2.0, len(samples.t_mid)).astype(np.float32)
    sigmas[samples.ray_index < 20] *= 40  # some rays become opaque
    return samples, sigmas, random.standard_normal((len(sigmas), channels)).astype(np.float32)


def composited(samples: Samples, sigmas: np.ndarray, values: np.ndarray) -> Composited:
    rays, channels = len(samples.ray_count), values.shape[1]
    result = Composited(
        np.full(len(sigmas), np.nan, np.float32),
        np.full((rays, channels), np.nan, np.float32),
        np.full(rays, np.nan, np.float32),
        np.full(rays, np.nan, np.float32),
    )
    composite(samples, sigmas, values, result)
    return result


def slow_composited(samples: Samples, sigmas: np.ndarray, values: np.ndarray) -> Composited:
    weights = np.zeros(len(sigmas))
    rays = len(samples.ray_count)
    sums, depths = np.zeros((rays, values.shape[1])), np.zeros(rays)
    opacities = np.zeros(rays)
    for ray in range(rays):
        own = slice(samples.ray_start[ray], samples.ray_start[ray] + samples.ray_count[ray])
        passed = np.exp(-sigmas[own].astype(np.float64) * samples.dts[own])
        before = np.concatenate([[1.0], np.cumprod(passed)])[:-1]
        weights[own] = np.where(before >= OPAQUE, before * (1 - passed), 0)
        sums[ray] = weights[own] @ values[own]
        opacities[ray] = weights[own].sum()
        depths[ray] = weights[own] @ samples.t_mid[own]
    return Composited(weights, sums, opacities, depths)


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


def test_unsupported_types_and_devices_are_refused() -> None:
    rays, full = some_rays(8), np.ones((4, 4, 4), np.uint8)
    with pytest.raises(TypeError, match="uint8"):
        sample_rays(PLAIN, rays, full.astype(np.int32))
    doubled = Rays(rays.origins.astype(np.float64), rays.directions, rays.nears, rays.fars)
    with pytest.raises(TypeError, match="float32"):
        sample_rays(PLAIN, doubled, full)
    samples, sigmas, values = some_media()
    with pytest.raises(TypeError, match="float32"):
        composited(samples, sigmas.astype(np.float16), values)
