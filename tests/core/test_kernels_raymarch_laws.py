"""What marching through a grid is by its definition: closed forms, symmetries and what a grid may change.

Where steps are powers of two and rays begin inside the box, distances are exact, and a law holds bit by bit.
"""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.kernels.training.raymarch import (
    BLOCK,
    EMPTY,
    EMPTY_BLOCK,
    OCCUPIED,
    SOLID,
    MarchSpec,
    Rays,
    Samples,
)
from tests.core.march_samples import (
    BOX,
    CONES,
    CONTRACTED,
    PLAIN,
    sample_rays,
    some_occupancy,
    some_rays,
    to_unit_cube,
)

CUBE = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
EXACT = MarchSpec(BOX, step_min=1 / 64, step_max=1 / 64)
EXACT_CONTRACTED = MarchSpec(BOX, step_min=1 / 32, step_max=1 / 32, contracted=True)


def rays_from_inside(count: int = 300, far: float = 6.0) -> Rays:
    """Rays that begin in the box at the distance 0."""
    random = np.random.default_rng(12)
    directions = random.standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    origins = random.uniform((-0.9, -0.4, -1.9), (0.9, 1.4, 0.9), (count, 3))
    columns = origins, directions, np.zeros(count), np.full(count, far)
    return Rays(*(column.astype(np.float32) for column in columns))


def one_ray(
    origin: tuple[float, ...], direction: tuple[float, ...], near: float = 0.0, far: float = 9.0
) -> Rays:
    return Rays(*(np.array([column], np.float32) for column in (origin, direction, near, far)))


def cells_of(samples: Samples, size: int) -> tuple[np.ndarray, ...]:
    return tuple(np.clip((samples.positions * np.float32(size)).astype(int), 0, size - 1).T)


def assert_same_samples(one: Samples, other: Samples, kept: np.ndarray | slice = slice(None)) -> None:
    """One holds those samples of the other that are kept, bit by bit."""
    for name in ("ray_index", "t_mid", "dts", "positions"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name)[kept], err_msg=name)


def rays_moved(rays: Rays, **changes: np.ndarray) -> Rays:
    return replace(rays, **{name: np.ascontiguousarray(array, np.float32) for name, array in changes.items()})


@pytest.mark.parametrize("spec", [EXACT, CONES, EXACT_CONTRACTED, CONTRACTED])
def test_a_grid_keeps_the_samples_of_a_full_one_that_lie_in_its_cells(spec: MarchSpec) -> None:
    rays, occupancy = rays_from_inside(), some_occupancy(16)
    full = sample_rays(spec, rays, np.ones_like(occupancy))
    kept = occupancy[cells_of(full, 16)] == OCCUPIED
    assert 0.1 < kept.mean() < 0.5
    assert_same_samples(sample_rays(spec, rays, occupancy), full, kept)


@pytest.mark.parametrize("spec", [EXACT, CONES, CONTRACTED])
def test_a_solid_cell_ends_a_ray_and_changes_nothing_before_it(spec: MarchSpec) -> None:
    rays, occupancy = rays_from_inside(), some_occupancy(16, share=0.4)
    walls = some_occupancy(16, seed=2, share=0.02) * SOLID
    full = sample_rays(spec, rays, np.ones_like(occupancy))
    solid = walls[cells_of(full, 16)] == SOLID
    passed = np.array(
        [not solid[full.ray_start[ray] : index + 1].any() for index, ray in enumerate(full.ray_index)]
    )
    kept = passed & (occupancy[cells_of(full, 16)] == OCCUPIED)
    assert solid.sum() > 50
    assert_same_samples(sample_rays(spec, rays, np.where(walls == SOLID, walls, occupancy)), full, kept)


@pytest.mark.parametrize("spec", [EXACT, CONES])
def test_marking_empty_blocks_changes_no_bit(spec: MarchSpec) -> None:
    rays, blocks = rays_from_inside(), some_occupancy(4, share=0.3)
    occupancy = np.kron(blocks, np.ones((BLOCK,) * 3, np.uint8)) * some_occupancy(32, seed=3, share=0.5)
    inside = np.kron(blocks, np.ones((BLOCK,) * 3, np.uint8))
    marked = np.where(inside == EMPTY, EMPTY_BLOCK, occupancy).astype(np.uint8)
    samples = sample_rays(spec, rays, occupancy)
    assert len(samples.t_mid) > 1000
    assert_same_samples(sample_rays(spec, rays, marked), samples)


@pytest.mark.parametrize("spec", [EXACT, CONES, CONTRACTED])
def test_samples_of_two_grids_are_those_of_both_together(spec: MarchSpec) -> None:
    rays, whole = rays_from_inside(), some_occupancy(8, share=0.6)
    half = whole * some_occupancy(8, seed=4, share=0.5)
    together = sample_rays(spec, rays, whole)
    parts = [sample_rays(spec, rays, part) for part in (half, whole - half)]
    counts = parts[0].ray_count + parts[1].ray_count
    np.testing.assert_array_equal(counts, together.ray_count)
    joined = np.concatenate([np.stack([part.ray_index, part.t_mid]) for part in parts], axis=1)
    order = np.lexsort(joined[::-1])
    np.testing.assert_array_equal(joined[:, order], np.stack([together.ray_index, together.t_mid]))


@pytest.mark.parametrize("spec", [PLAIN, CONES, CONTRACTED])
@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1)])
def test_no_axis_differs_from_the_others(spec: MarchSpec, axes: tuple[int, ...]) -> None:
    rays, occupancy, order = some_rays(), some_occupancy(16), list(axes)
    turned_spec = replace(spec, aabb=tuple(tuple(corner[axis] for axis in axes) for corner in spec.aabb))
    turned_rays = rays_moved(rays, origins=rays.origins[:, order], directions=rays.directions[:, order])
    turned_grid = np.ascontiguousarray(occupancy.transpose(axes))
    expected = sample_rays(spec, rays, occupancy, seed=1)
    turned = sample_rays(turned_spec, turned_rays, turned_grid, seed=1)
    assert_same_samples(turned, replace(expected, positions=expected.positions[:, order]))


def test_a_mirrored_scene_has_mirrored_samples() -> None:
    spec = replace(EXACT, aabb=((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)))
    rays, occupancy = some_rays(), some_occupancy(16)
    mirror = np.array([-1, 1, -1], np.float32)
    mirrored_rays = rays_moved(rays, origins=rays.origins * mirror, directions=rays.directions * mirror)
    expected = sample_rays(spec, rays, occupancy)
    mirrored = sample_rays(spec, mirrored_rays, np.ascontiguousarray(occupancy[::-1, :, ::-1]))
    same = mirrored.ray_count == expected.ray_count
    assert same.mean() > 0.98  # a sample on the border of two cells belongs to the upper one
    kept, of_mirrored = same[expected.ray_index], same[mirrored.ray_index]
    there = mirrored.positions[of_mirrored]
    there[:, [0, 2]] = 1 - there[:, [0, 2]]
    np.testing.assert_allclose(there, expected.positions[kept], atol=2e-3)


@pytest.mark.parametrize("spec", [PLAIN, CONES, CONTRACTED])
def test_twice_the_world_has_the_same_samples_at_twice_the_distance(spec: MarchSpec) -> None:
    rays, occupancy = some_rays(), some_occupancy(8)
    double = replace(
        spec,
        aabb=tuple(tuple(2 * value for value in corner) for corner in spec.aabb),
        step_min=2 * spec.step_min,
        step_max=2 * spec.step_max,
    )
    far = rays_moved(rays, origins=2 * rays.origins, nears=2 * rays.nears, fars=2 * rays.fars)
    plain = sample_rays(spec, rays, occupancy, seed=5)
    expected = replace(plain, t_mid=2 * plain.t_mid, dts=2 * plain.dts)
    assert_same_samples(sample_rays(double, far, occupancy, seed=5), expected)


def test_moving_the_world_moves_no_sample_within_the_box() -> None:
    rays, occupancy = rays_from_inside(), some_occupancy(16)
    offset = np.array([4.0, -2.0, 8.0])
    moved_spec = replace(EXACT, aabb=tuple(tuple(np.add(corner, offset)) for corner in BOX))
    plain = sample_rays(EXACT, rays, occupancy)
    moved = sample_rays(moved_spec, rays_moved(rays, origins=rays.origins + offset), occupancy)
    same = moved.ray_count == plain.ray_count
    assert same.mean() > 0.98  # rounding moves origins by less than a millionth
    kept, of_moved = same[plain.ray_index], same[moved.ray_index]
    np.testing.assert_allclose(moved.positions[of_moved], plain.positions[kept], atol=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_ray_along_an_axis_has_a_sample_in_the_middle_of_each_step(axis: int, sign: int) -> None:
    spec = MarchSpec(CUBE, 1 / 64, 1 / 64)
    unit = np.eye(3)[axis] * sign
    rays = one_ray(tuple(np.array([0.3, 0.6, 0.7]) * (1 - abs(unit)) - unit + (unit < 0)), tuple(unit))
    samples = sample_rays(spec, rays, np.ones((4, 4, 4), np.uint8))
    middles = (np.arange(64) + 0.5) / 64
    np.testing.assert_array_equal(samples.t_mid, 1 + middles)  # the box begins at the distance 1
    np.testing.assert_array_equal(samples.dts, 1 / 64)
    np.testing.assert_array_equal(samples.positions[:, axis], middles if sign > 0 else middles[::-1])


def test_a_ray_along_a_diagonal_crosses_the_root_of_three() -> None:
    diagonal, spec = one_ray((-1.0, -1.0, -1.0), (3**-0.5,) * 3), MarchSpec(CUBE, 1 / 512, 1 / 512)
    samples = sample_rays(spec, diagonal, np.ones((2, 2, 2), np.uint8))
    assert samples.ray_count[0] == pytest.approx(512 * 3**0.5, abs=1)
    assert np.ptp(samples.positions, axis=1).max() < 1e-5
    cells = np.zeros((8, 8, 8), np.uint8)
    cells[range(8), range(8), range(8)] = OCCUPIED
    through_cells = sample_rays(spec, diagonal, cells)
    assert through_cells.ray_count[0] == pytest.approx(512 * 3**0.5, abs=9)  # a corner may be rounded away


@pytest.mark.parametrize("cell", [0, 3, 7])
def test_a_single_cell_has_as_many_samples_as_steps_fit_into_its_chord(cell: int) -> None:
    occupancy = np.zeros((8, 8, 8), np.uint8)
    occupancy[cell, 4, 4] = OCCUPIED
    spec = MarchSpec(CUBE, 1 / 256, 1 / 256)
    along = sample_rays(spec, one_ray((-1.0, 0.55, 0.55), (1, 0, 0)), occupancy)
    np.testing.assert_array_equal(along.t_mid, 1 + cell / 8 + (np.arange(32) + 0.5) / 256)
    beside = sample_rays(spec, one_ray((-1.0, 0.55, 0.65), (1, 0, 0)), occupancy)
    assert beside.ray_count[0] == 0
    slope = one_ray((cell / 8, 0.5, 0.55), (2**-0.5, 2**-0.5, 0))  # corner to corner of the cell
    assert sample_rays(spec, slope, occupancy).ray_count[0] == pytest.approx(32 * 2**0.5, abs=1)


@pytest.mark.parametrize("spec", [EXACT, CONES, CONTRACTED])
def test_an_earlier_end_or_a_lower_cap_keeps_the_first_samples(spec: MarchSpec) -> None:
    rays, occupancy = rays_from_inside(), some_occupancy(8, share=0.5)
    whole = sample_rays(spec, rays, occupancy, seed=2)
    near = sample_rays(spec, rays_moved(rays, fars=np.full(300, 0.8)), occupancy, seed=2)
    assert_same_samples(near, whole, whole.t_mid < np.float32(0.8))
    few = sample_rays(replace(spec, max_samples=5), rays, occupancy, seed=2)
    place = np.arange(len(whole.t_mid)) - whole.ray_start[whole.ray_index]
    assert_same_samples(few, whole, place < 5)


@pytest.mark.parametrize("spec", [PLAIN, replace(CONES, step_max=0.03), CONTRACTED])
def test_steps_join_and_grow_with_the_distance_between_their_bounds(spec: MarchSpec) -> None:
    samples = sample_rays(spec, rays_from_inside(far=90.0), np.ones((4, 4, 4), np.uint8), seed=3)
    bounds = samples.dts.min(), samples.dts.max()
    np.testing.assert_allclose(bounds, (spec.step_min, spec.step_max), rtol=1e-6)
    begins, ends = samples.t_mid - samples.dts / 2, samples.t_mid + samples.dts / 2
    expected = np.clip(begins * spec.cone, spec.step_min, spec.step_max)
    np.testing.assert_allclose(samples.dts, expected, rtol=1e-4)
    same_ray = np.diff(samples.ray_index) == 0
    np.testing.assert_allclose(ends[:-1][same_ray], begins[1:][same_ray], atol=1e-5)


def test_contracted_space_halves_the_box_and_squeezes_what_lies_beyond() -> None:
    spec = MarchSpec(((-1.0,) * 3, (1.0,) * 3), 0.5, 0.5, contracted=True)
    samples = sample_rays(spec, one_ray((0.0, 0.0, 0.0), (1, 0, 0), far=500.0), np.ones((4, 4, 4), np.uint8))
    t = samples.t_mid.astype(np.float64)
    expected = np.where(t < 1, 0.5 + t / 4, 1 - 1 / np.maximum(4 * t, 1))
    assert len(t) == 1000
    np.testing.assert_allclose(samples.positions[:, 0], expected, atol=1e-6)
    np.testing.assert_array_equal(samples.positions[:, 1:], 0.5)


def test_first_steps_begin_evenly_within_a_step() -> None:
    count = 4000
    rays = Rays(
        *(np.tile(np.float32(column), (count, 1)) for column in ((0.5, 0.5, 0.1), (0, 0, 1))),
        np.zeros(count, np.float32),
        np.full(count, 9, np.float32),
    )
    spec, full = MarchSpec(CUBE, 1 / 8, 1 / 8), np.ones((2, 2, 2), np.uint8)
    first, other = (sample_rays(spec, rays, full, seed) for seed in (1, 2))
    shifts = [8 * samples.t_mid[samples.ray_start] - 0.5 for samples in (first, other)]
    for shift in shifts:
        assert shift.min() >= 0 and shift.max() <= 1
        distance = np.abs(np.sort(shift) - (np.arange(count) + 0.5) / count).max()
        assert distance < 1.63 / count**0.5  # Kolmogorov-Smirnov, one in a hundred
    assert abs(np.corrcoef(*shifts)[0, 1]) < 0.05
    assert abs(np.corrcoef(shifts[0][1:], shifts[0][:-1])[0, 1]) < 0.05


@pytest.mark.parametrize("spec", [PLAIN, CONES, CONTRACTED])
def test_the_first_rays_of_a_batch_have_the_samples_that_they_have_alone(spec: MarchSpec) -> None:
    rays, occupancy = some_rays(400), some_occupancy(8)
    whole = sample_rays(spec, rays, occupancy, seed=9)
    for count in (0, 1, 255, 257):
        part = Rays(rays.origins[:count], rays.directions[:count], rays.nears[:count], rays.fars[:count])
        assert_same_samples(sample_rays(spec, part, occupancy, seed=9), whole, whole.ray_index < count)


def test_zeros_of_either_sign_are_no_direction() -> None:
    rays, occupancy = some_rays(6), some_occupancy(16, share=0.5)  # along the axes
    negative = rays_moved(rays, directions=np.where(rays.directions == 0, -0.0, rays.directions))
    samples = sample_rays(PLAIN, rays, occupancy)
    assert len(samples.t_mid)
    assert_same_samples(sample_rays(PLAIN, negative, occupancy), samples)


def test_rays_within_a_face_of_the_box_are_inside_and_just_beside_it_outside() -> None:
    full, step = np.ones((8, 8, 8), np.uint8), MarchSpec(CUBE, 1 / 64, 1 / 64)
    for place, count in ((0.0, 64), (1.0, 64), (-1e-6, 0), (1.000001, 0)):
        samples = sample_rays(step, one_ray((-1.0, place, 0.5), (1, 0, 0)), full)
        assert samples.ray_count[0] == count, place


def test_positions_are_those_of_the_world_in_the_coordinates_of_the_grid() -> None:
    rays = rays_from_inside()
    for spec in (EXACT, CONES, CONTRACTED):
        samples = sample_rays(spec, rays, some_occupancy(8), seed=6)
        owners = samples.ray_index
        points = rays.origins[owners] + samples.t_mid[:, None] * rays.directions[owners]
        np.testing.assert_allclose(samples.positions, to_unit_cube(spec, points), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step_min": 0.0}, "Steps from 0.0 to 0.015625 must be positive and ascend"),
        ({"step_min": 0.5}, "Steps from 0.5 to 0.015625 must be positive and ascend"),
        ({"aabb": ((0, 0, 0), (1, 0, 1))}, "is empty"),
    ],
)
def test_spaces_that_cannot_be_marched_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(EXACT, **changes)
