"""What a multiresolution hash encoding is by its definition: lattices, interpolation, hashes, adjoints.

Where both sides of a law are sums of the same products in the same order, they are compared bit by bit.
"""

import ctypes
from pathlib import Path

import numpy as np
import pytest
import torch
import warp as wp

from neuron_core.kernels.assembly import assemble
from neuron_core.kernels.training import hashgrid
from neuron_core.kernels.training.hashgrid import PRIME_Y, PRIME_Z, HashGridSpec
from tests.core.hashgrid_samples import (
    DENSE,
    MIXED,
    SPECS,
    WIDE,
    encoded,
    lattice,
    point_gradients,
    rows_of,
    slow_encode,
    some_gradients,
    some_points,
    some_tables,
    table_gradients,
)
from tests.core.native_probes import compiled_for_cuda

ON_CUDA = """
template <class T> struct Array { T* data; int shape[1]; };
struct Call { Array<float> points, slopes, tables, features; Array<int> resolutions; int table_size; };

extern "C" void run(int operation, int features, int levels, int count, int table_size, float* points,
    float* slopes, float* tables, float* values, int* resolutions) {
    using namespace neuron;
    const Call call = {{points}, {slopes}, {tables}, {values}, {resolutions, {levels}}, table_size};
    for (int level = 0; level < levels; ++level) {
        if (operation == 0 && features == 2) work_on<2, Operation::encode>(call, level, 0, count);
        if (operation == 0 && features == 4) work_on<4, Operation::encode>(call, level, 0, count);
        if (operation == 1 && features == 2) work_on<2, Operation::backward>(call, level, 0, count);
        if (operation == 1 && features == 4) work_on<4, Operation::backward>(call, level, 0, count);
        if (operation == 2 && features == 2) work_on<2, Operation::slope>(call, level, 0, count);
        if (operation == 2 && features == 4) work_on<4, Operation::slope>(call, level, 0, count);
    }
}
"""
MONOMIALS = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1)]


def tables_on_lattice(spec: HashGridSpec, values: np.ndarray) -> np.ndarray:
    """Tables of a spec with one dense level, that hold `values` [(resolution + 1) ** 3] at its corners."""
    tables = np.zeros(spec.table_shape, np.float32)
    tables[0, : len(values)] = np.asarray(values, np.float32)[:, None]
    return tables


def as_levels(spec: HashGridSpec, features: np.ndarray) -> np.ndarray:
    """Features [N, L * F] as [N, L, F]."""
    return features.reshape(len(features), spec.levels, spec.features)


def test_resolutions_grow_by_one_factor_from_base_to_finest() -> None:
    for spec in (*SPECS, HashGridSpec(16, 2, 19, 16, 2048)):
        if spec.levels > 1:
            factor = np.exp(np.log(spec.finest_resolution / spec.base_resolution) / (spec.levels - 1))
            exact = spec.base_resolution * factor ** np.arange(spec.levels)
            assert np.abs(spec.resolutions - exact).max() <= 0.5 + 1e-6
        assert spec.resolutions[0] == spec.base_resolution
        assert spec.resolutions[-1] == spec.finest_resolution


def test_a_level_whose_corners_fill_the_table_is_dense_and_one_more_cell_makes_it_hashed() -> None:
    full, more = HashGridSpec(1, 2, 9, 7, 7), HashGridSpec(1, 2, 9, 8, 8)
    assert full.is_dense(0) and not more.is_dense(0)
    tables = some_tables(full)
    of_full = encoded(full, (lattice(7) / 7).astype(np.float32), tables)
    np.testing.assert_allclose(of_full, tables[0], atol=5e-6)
    of_more = encoded(more, (lattice(8) / 8).astype(np.float32), tables)
    assert len(np.unique(of_more, axis=0)) <= 512 < 9**3


def test_a_dense_level_holds_its_corners_x_fastest() -> None:
    tables = some_tables(DENSE)
    features = encoded(DENSE, (lattice(8) / 8).astype(np.float32), tables)
    np.testing.assert_array_equal(features, tables[0, : 9**3])


def test_a_hashed_level_holds_its_corners_at_their_hashes() -> None:
    spec = HashGridSpec(1, 4, 9, 32, 32)
    corners, tables = lattice(32)[::7], some_tables(spec)
    rows = rows_of(spec, 32, corners)
    np.testing.assert_array_equal(encoded(spec, (corners / 32).astype(np.float32), tables), tables[0, rows])


def test_corners_with_the_same_hash_share_a_row_and_its_gradient() -> None:
    spec = HashGridSpec(1, 2, 6, 16, 16)
    corners = lattice(16)
    rows = rows_of(spec, 16, corners)
    same = np.flatnonzero(rows == rows[1000])
    assert len(same) > 40  # 17 ** 3 corners in 64 rows
    points, tables = (corners[same] / 16).astype(np.float32), some_tables(spec)
    assert len(np.unique(encoded(spec, points, tables), axis=0)) == 1
    gradients = some_gradients(spec, len(same))
    changed = table_gradients(spec, points, gradients)
    np.testing.assert_allclose(changed[0, rows[1000]], gradients.sum(axis=0), rtol=1e-5)
    assert np.count_nonzero(changed.any(axis=-1)) == 1


@pytest.mark.parametrize("powers", MONOMIALS)
def test_dense_levels_reproduce_products_of_coordinates_and_their_derivatives(
    powers: tuple[int, int, int],
) -> None:
    tables = tables_on_lattice(DENSE, np.prod((lattice(8) / 8) ** powers, axis=-1))
    points = some_points(200)
    gradients = np.tile(np.array([1, 0], np.float32), (200, 1))
    np.testing.assert_allclose(
        encoded(DENSE, points, tables), np.prod(points**powers, axis=-1)[:, None].repeat(2, axis=1), atol=2e-6
    )
    slopes = point_gradients(DENSE, points, tables, gradients)
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        rest = np.prod(points[:, others] ** np.array(powers)[others], axis=-1)
        np.testing.assert_allclose(slopes[:, axis], powers[axis] * rest, atol=2e-5)


def test_points_outside_are_extrapolated_linearly() -> None:
    tables = tables_on_lattice(DENSE, lattice(8) @ (2.0, -1.0, 0.5) / 8 + 3.0)
    points = np.random.default_rng(0).uniform(-0.5, 1.5, (100, 3)).astype(np.float32)
    expected = points @ np.array([2.0, -1.0, 0.5]) + 3.0
    np.testing.assert_allclose(encoded(DENSE, points, tables)[:, 0], expected, atol=2e-4)
    slopes = point_gradients(DENSE, points, tables, np.tile(np.array([1, 0], np.float32), (100, 1)))
    np.testing.assert_allclose(slopes, np.tile([2.0, -1.0, 0.5], (100, 1)), atol=2e-4)


@pytest.mark.parametrize("spec", SPECS)
def test_slow_reference_agrees_outside_of_the_cube_too(spec: HashGridSpec) -> None:
    points = np.random.default_rng(4).uniform(-0.3, 1.3, (40, 3)).astype(np.float32)
    tables = some_tables(spec)
    expected = slow_encode(spec, points, tables)
    np.testing.assert_allclose(encoded(spec, points, tables), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("spec", SPECS)
def test_features_stay_between_the_least_and_the_greatest_of_their_table(spec: HashGridSpec) -> None:
    tables = some_tables(spec)
    features = as_levels(spec, encoded(spec, some_points(2000), tables))
    assert (features >= tables.min(axis=1) - 1e-6).all() and (features <= tables.max(axis=1) + 1e-6).all()


@pytest.mark.parametrize("spec", SPECS)
def test_features_do_not_jump_where_cells_meet(spec: HashGridSpec) -> None:
    tables, random = some_tables(spec), np.random.default_rng(5)
    for resolution in spec.resolutions:
        for axis in range(3):
            above = random.random((60, 3), dtype=np.float32)
            above[:, axis] = random.integers(1, resolution, 60).astype(np.float32) / np.float32(resolution)
            below = above.copy()
            below[:, axis] = np.nextafter(above[:, axis], np.float32(0)) - 1e-7
            jump = encoded(spec, above, tables) - encoded(spec, below, tables)
            assert np.abs(jump).max() < 4e-7 * max(spec.resolutions) * np.ptp(tables)


def test_slopes_at_a_face_are_those_of_the_cell_above_and_at_one_those_of_the_last() -> None:
    tables, random = some_tables(DENSE), np.random.default_rng(6)
    for axis in range(3):
        face = random.random((64, 3), dtype=np.float32)
        face[:, axis] = random.integers(0, 9, 64) / 8
        inside = face.copy()
        inside[:, axis] = np.where(face[:, axis] < 1, face[:, axis] + 0.05, face[:, axis] - 0.05)
        gradients = some_gradients(DENSE, 64)
        slopes, expected = (point_gradients(DENSE, points, tables, gradients) for points in (face, inside))
        np.testing.assert_allclose(slopes[:, axis], expected[:, axis], atol=2e-5)  # constant along the axis


def test_slopes_of_the_cells_along_a_line_add_up_to_the_difference_of_its_ends() -> None:
    spec = HashGridSpec(1, 4, 9, 32, 32)
    tables, gradients = some_tables(spec), np.ones((32, spec.width), np.float32)
    for axis in range(3):
        centers = np.tile(np.array([0.3, 0.7, 0.45], np.float32), (32, 1))
        centers[:, axis] = (np.arange(32) + 0.5) / 32
        ends = centers[:2].copy()
        ends[:, axis] = (0, 1)
        low, high = encoded(spec, ends, tables).sum(axis=-1)
        slopes = point_gradients(spec, centers, tables, gradients)[:, axis]
        assert slopes.sum() / 32 == pytest.approx(high - low, abs=1e-4)


def test_within_a_cell_features_are_linear_along_each_axis() -> None:
    tables, random = some_tables(MIXED), np.random.default_rng(7)
    finest = max(MIXED.resolutions)
    for axis in range(3):
        middle = random.random((100, 3), dtype=np.float32) * 0.9 + 0.05
        reach = np.eye(3, dtype=np.float32)[axis] * 0.2 / finest
        parts = np.stack([(middle * r) % 1.0 for r in MIXED.resolutions])[:, :, axis]
        middle = middle[((parts > 0.25) & (parts < 0.75)).all(axis=0)]
        ends = encoded(MIXED, middle - reach, tables) + encoded(MIXED, middle + reach, tables)
        np.testing.assert_allclose(encoded(MIXED, middle, tables), ends / 2, atol=2e-5)


def test_encoding_is_linear_in_the_tables() -> None:
    points, one, other = some_points(300), some_tables(WIDE, 1), some_tables(WIDE, 2)
    np.testing.assert_array_equal(encoded(WIDE, points, 2 * one), 2 * encoded(WIDE, points, one))
    np.testing.assert_array_equal(encoded(WIDE, points, -one), -encoded(WIDE, points, one))
    total = encoded(WIDE, points, one) + encoded(WIDE, points, other)
    np.testing.assert_allclose(encoded(WIDE, points, one + other), total, atol=3e-6)


@pytest.mark.parametrize("spec", SPECS)
def test_a_level_reads_its_own_table_only(spec: HashGridSpec) -> None:
    points, tables = some_points(100), some_tables(spec)
    whole = as_levels(spec, encoded(spec, points, tables))
    for level in range(spec.levels):
        alone = np.zeros_like(tables)
        alone[level] = tables[level]
        expected = np.zeros_like(whole)
        expected[:, level] = whole[:, level]
        np.testing.assert_array_equal(as_levels(spec, encoded(spec, points, alone)), expected)


@pytest.mark.parametrize("spec", SPECS)
def test_features_change_places_with_those_of_the_tables(spec: HashGridSpec) -> None:
    points, tables = some_points(100), some_tables(spec)
    order = np.random.default_rng(8).permutation(spec.features)
    gradients = some_gradients(spec, 100)
    moved = np.ascontiguousarray(tables[..., order])
    moved_gradients = np.ascontiguousarray(as_levels(spec, gradients)[..., order]).reshape(gradients.shape)
    np.testing.assert_array_equal(
        as_levels(spec, encoded(spec, points, moved)),
        as_levels(spec, encoded(spec, points, tables))[..., order],
    )
    np.testing.assert_array_equal(
        table_gradients(spec, points, moved_gradients), table_gradients(spec, points, gradients)[..., order]
    )
    np.testing.assert_allclose(
        point_gradients(spec, points, moved, moved_gradients),
        point_gradients(spec, points, tables, gradients),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_a_dense_level_does_not_prefer_an_axis(axes: tuple[int, int, int]) -> None:
    values = np.random.default_rng(9).standard_normal((9, 9, 9))  # z, y, x
    points = some_points(100)
    turned = np.ascontiguousarray(points[:, axes])
    # Axis number i of the turned space is axis number axes[i] of the other one.
    of_arrays = tuple(2 - axes[2 - axis] for axis in range(3))
    plain = tables_on_lattice(DENSE, values.ravel())
    moved = tables_on_lattice(DENSE, values.transpose(of_arrays).ravel())
    np.testing.assert_allclose(encoded(DENSE, turned, moved), encoded(DENSE, points, plain), atol=2e-6)
    gradients = some_gradients(DENSE, 100)
    np.testing.assert_allclose(
        point_gradients(DENSE, turned, moved, gradients)[5:],
        point_gradients(DENSE, points, plain, gradients)[5:][:, axes],
        atol=1e-4,
    )


def test_a_mirrored_dense_level_shows_mirrored_points() -> None:
    values = np.random.default_rng(10).standard_normal((9, 9, 9))
    points = some_points(100)[5:]
    plain = tables_on_lattice(DENSE, values.ravel())
    mirrored = tables_on_lattice(DENSE, values[::-1, ::-1, ::-1].ravel())
    there, here = encoded(DENSE, 1 - points, mirrored), encoded(DENSE, points, plain)
    np.testing.assert_allclose(there, here, atol=5e-6)
    gradients = some_gradients(DENSE, len(points))
    np.testing.assert_allclose(
        point_gradients(DENSE, 1 - points, mirrored, gradients),
        -point_gradients(DENSE, points, plain, gradients),
        atol=1e-4,
    )


@pytest.mark.parametrize("spec", SPECS)
def test_a_point_spreads_its_gradient_over_at_most_eight_rows_of_a_level(spec: HashGridSpec) -> None:
    gradients = np.ones((1, spec.width), np.float32)
    for point in some_points(20):
        changed = table_gradients(spec, point[None], gradients)
        np.testing.assert_allclose(changed.sum(axis=1), 1.0, rtol=1e-6)
        assert (changed >= 0).all() and (np.count_nonzero(changed, axis=1) <= 8).all()


@pytest.mark.parametrize("spec", SPECS)
def test_gradients_of_a_level_add_up_to_those_of_its_features(spec: HashGridSpec) -> None:
    gradients = some_gradients(spec, 3000)
    changed = table_gradients(spec, some_points(3000), gradients)
    expected = as_levels(spec, gradients.astype(np.float64)).sum(axis=0)
    np.testing.assert_allclose(changed.sum(axis=1, dtype=np.float64), expected, atol=1e-3)


@pytest.mark.parametrize("spec", SPECS)
def test_a_grid_of_several_levels_is_several_grids_of_one(spec: HashGridSpec) -> None:
    points, tables, gradients = some_points(100), some_tables(spec), some_gradients(spec, 100)
    whole, slopes = encoded(spec, points, tables), point_gradients(spec, points, tables, gradients)
    changed, total = table_gradients(spec, points, gradients), np.zeros((100, 3))
    for level, resolution in enumerate(spec.resolutions):
        alone = HashGridSpec(1, spec.features, spec.table_size_log2, resolution, resolution)
        own = np.ascontiguousarray(as_levels(spec, gradients)[:, level])
        table = tables[level : level + 1]
        np.testing.assert_array_equal(encoded(alone, points, table), as_levels(spec, whole)[:, level])
        np.testing.assert_array_equal(table_gradients(alone, points, own)[0], changed[level])
        total += point_gradients(alone, points, table, own)
    np.testing.assert_allclose(slopes, total, rtol=1e-4, atol=1e-3)


def test_slopes_scale_with_the_gradient_and_with_the_tables() -> None:
    points, tables, gradients = some_points(100), some_tables(MIXED), some_gradients(MIXED, 100)
    whole = point_gradients(MIXED, points, tables, gradients)
    np.testing.assert_array_equal(point_gradients(MIXED, points, tables, 4 * gradients), 4 * whole)
    np.testing.assert_array_equal(point_gradients(MIXED, points, -tables, gradients), -whole)


def test_any_number_of_points_gives_each_the_features_that_it_has_alone() -> None:
    points, tables = some_points(1100), some_tables(WIDE)
    gradients = some_gradients(WIDE, 1100)
    whole, slopes = encoded(WIDE, points, tables), point_gradients(WIDE, points, tables, gradients)
    for count in (1, 2, 63, 64, 65, 127, 129, 1023, 1024, 1025):
        np.testing.assert_array_equal(encoded(WIDE, points[:count], tables), whole[:count])
        part = point_gradients(WIDE, points[:count], tables, gradients[:count])
        np.testing.assert_array_equal(part, slopes[:count])


def test_points_may_come_in_any_order() -> None:
    points, tables, gradients = some_points(700), some_tables(MIXED), some_gradients(MIXED, 700)
    order = np.random.default_rng(11).permutation(700)
    np.testing.assert_array_equal(
        encoded(MIXED, points[order], tables), encoded(MIXED, points, tables)[order]
    )
    one, other = (
        table_gradients(MIXED, points[order], gradients[order]),
        table_gradients(MIXED, points, gradients),
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_no_points_leave_tables_and_slopes_as_they_are() -> None:
    nothing = np.zeros((0, 3), np.float32)
    tables, none = some_tables(MIXED), np.zeros((0, MIXED.width), np.float32)
    before = tables.copy()
    hashgrid.encode_backward(MIXED, nothing, none, tables)
    np.testing.assert_array_equal(tables, before)
    assert point_gradients(MIXED, nothing, tables, none).shape == (0, 3)


def test_arrays_of_any_library_give_the_same_bits() -> None:
    points, tables = some_points(50), some_tables(MIXED)
    expected = encoded(MIXED, points, tables)
    of_torch = torch.full((50, MIXED.width), torch.nan)
    hashgrid.encode(MIXED, torch.from_numpy(points), torch.from_numpy(tables), of_torch)
    of_warp = wp.zeros((50, MIXED.width), dtype=wp.float32, device="cpu")
    hashgrid.encode(MIXED, wp.array(points, device="cpu"), tables, of_warp)
    np.testing.assert_array_equal(of_torch.numpy(), expected)
    np.testing.assert_array_equal(of_warp.numpy(), expected)


@pytest.mark.parametrize(("base", "finest"), [(0, 8), (9, 8), (1, (1 << 16) + 1), (-4, -2)])
def test_resolutions_that_no_level_can_have_are_refused(base: int, finest: int) -> None:
    with pytest.raises(ValueError, match=f"are {base} and {finest}; they must ascend within 1..65536"):
        HashGridSpec(base_resolution=base, finest_resolution=finest)


def test_a_point_at_a_time_as_on_cuda_gives_what_tiles_of_points_give(tmp_path: Path) -> None:
    constants = {"PRIME_Y": PRIME_Y, "PRIME_Z": PRIME_Z}
    run = compiled_for_cuda(assemble(["hashgrid.h"], constants) + ON_CUDA, tmp_path).run
    for spec in (MIXED, WIDE):
        points, tables, gradients = some_points(150), some_tables(spec), some_gradients(spec, 150)
        features, changed = np.zeros((150, spec.width), np.float32), np.zeros_like(tables)
        slopes, resolutions = np.zeros_like(points), np.array(spec.resolutions, np.int32)
        sizes = spec.features, spec.levels, 150, spec.table_size
        calls = [(tables, features), (changed, gradients), (tables, gradients)]
        for operation, (of_tables, of_features) in enumerate(calls):
            arrays = points, slopes, of_tables, of_features, resolutions
            run(operation, *sizes, *(array.ctypes.data_as(ctypes.c_void_p) for array in arrays))
        np.testing.assert_allclose(features, encoded(spec, points, tables), atol=2e-6)
        np.testing.assert_allclose(changed, table_gradients(spec, points, gradients), atol=2e-6)
        expected = point_gradients(spec, points, tables, gradients)
        np.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-3)
