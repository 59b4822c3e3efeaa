"""Laws of the hash encoding, against a slow reference and by adjoints."""

import numpy as np
import pytest

from neuron_core.kernels.training import hashgrid
from neuron_core.kernels.training.hashgrid import HashGridSpec
from tests.core.hashgrid_samples import BORDERS, SPECS, encoded, slow_encode, some_points, some_tables


@pytest.mark.parametrize("spec", SPECS)
def test_encoding_equals_the_slow_reference_inside_and_on_borders(spec: HashGridSpec) -> None:
    points, tables = some_points(60), some_tables(spec)
    np.testing.assert_allclose(encoded(spec, points, tables), slow_encode(spec, points, tables), atol=2e-5)


def test_specs_hold_dense_and_hashed_levels() -> None:
    kinds = {spec.is_dense(level) for spec in SPECS[:1] for level in range(spec.levels)}
    assert kinds == {True, False}


def test_constant_tables_encode_to_the_constant_and_have_no_slope() -> None:
    spec = SPECS[0]
    points, tables = some_points(50), np.full(spec.table_shape, 3.5, np.float32)
    np.testing.assert_allclose(encoded(spec, points, tables), 3.5, rtol=1e-6)
    slopes = np.empty((50, 3), np.float32)
    hashgrid.encode_point_gradient(spec, points, tables, np.ones((50, spec.width), np.float32), slopes)
    np.testing.assert_allclose(slopes, 0.0, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS)
def test_backward_is_the_adjoint_of_encode(spec: HashGridSpec) -> None:
    points, tables = some_points(5000), some_tables(spec)
    gradients = np.random.default_rng(2).standard_normal((5000, spec.width)).astype(np.float32)
    grad_tables = np.zeros_like(tables)
    hashgrid.encode_backward(spec, points, gradients, grad_tables)
    forward = np.vdot(encoded(spec, points, tables).astype(np.float64), gradients)
    backward = np.vdot(tables.astype(np.float64), grad_tables)
    assert forward == pytest.approx(backward, rel=1e-4, abs=1e-2)


def test_backward_adds_to_what_is_there() -> None:
    spec, points = SPECS[0], some_points(50)
    gradients = np.ones((50, spec.width), np.float32)
    once, twice = np.zeros(spec.table_shape, np.float32), np.zeros(spec.table_shape, np.float32)
    hashgrid.encode_backward(spec, points, gradients, once)
    hashgrid.encode_backward(spec, points, gradients, twice)
    hashgrid.encode_backward(spec, points, gradients, twice)
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)


@pytest.mark.parametrize("spec", SPECS[:2])
def test_point_gradient_equals_finite_differences_within_cells(spec: HashGridSpec) -> None:
    points, tables = some_points(200)[len(BORDERS) :], some_tables(spec)
    step = 1e-4
    cells = np.stack([(points * r) % 1.0 for r in spec.resolutions])
    margin = step * max(spec.resolutions)
    points = points[((cells > margin) & (cells < 1 - margin)).all(axis=(0, 2))]
    gradients = np.random.default_rng(3).standard_normal((len(points), spec.width)).astype(np.float32)
    slopes = np.empty_like(points)
    hashgrid.encode_point_gradient(spec, points, tables, gradients, slopes)
    for axis in range(3):
        shift = np.eye(3, dtype=np.float64)[axis] * step
        high = slow_encode(spec, points.astype(np.float64) + shift, tables)
        low = slow_encode(spec, points.astype(np.float64) - shift, tables)
        differences = ((high - low) / (2 * step) * gradients).sum(axis=-1)
        np.testing.assert_allclose(slopes[:, axis], differences, atol=2e-2, rtol=1e-3)


def test_points_alone_or_together_give_the_same_bits() -> None:
    spec = SPECS[0]
    points, tables = some_points(9000), some_tables(spec)
    together = encoded(spec, points, tables)
    parts = [encoded(spec, np.ascontiguousarray(part), tables) for part in np.array_split(points, 7)]
    assert np.array_equal(together, np.concatenate(parts))


def test_cutting_the_launch_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPECS[0]
    points, tables = some_points(9000), some_tables(spec)
    gradients = encoded(spec, points, tables)

    def results() -> list[np.ndarray]:
        slopes, grad_tables = np.empty_like(points), np.zeros_like(tables)
        hashgrid.encode_point_gradient(spec, points, tables, gradients, slopes)
        hashgrid.encode_backward(spec, points, gradients, grad_tables)
        return [encoded(spec, points, tables), slopes, grad_tables]

    whole = results()
    monkeypatch.setattr(hashgrid, "CORES", 5)
    monkeypatch.setattr(hashgrid, "_CHUNK", 17)
    assert all(np.array_equal(a, b) for a, b in zip(whole, results(), strict=True))


def test_wrong_arrays_are_refused() -> None:
    spec = SPECS[0]
    points, tables = some_points(10), some_tables(spec)
    with pytest.raises(ValueError, match="scalars"):
        encoded(spec, points, tables[:2])
    with pytest.raises(TypeError, match="float32"):
        encoded(spec, points, tables.astype(np.float64))
    with pytest.raises(ValueError, match="gaps"):
        encoded(spec, np.zeros((10, 6), np.float32)[:, ::2], tables)


def test_no_points_are_fine() -> None:
    assert encoded(SPECS[0], np.zeros((0, 3), np.float32), some_tables(SPECS[0])).shape == (0, SPECS[0].width)


@pytest.mark.parametrize("features", [2, 4])
def test_a_single_cell_interpolates_its_eight_corners(features: int) -> None:
    spec = HashGridSpec(1, features, 6, 1, 1)
    points, tables = some_points(40), some_tables(spec)
    np.testing.assert_allclose(encoded(spec, points, tables), slow_encode(spec, points, tables), atol=1e-5)
    gradients = np.ones((40, spec.width), np.float32)
    grad_tables = np.zeros_like(tables)
    hashgrid.encode_backward(spec, points, gradients, grad_tables)
    np.testing.assert_allclose(grad_tables.sum(axis=1), 40, rtol=1e-5)  # weights of a point sum to 1
    assert not grad_tables[:, 8:].any()


@pytest.mark.parametrize("spec", SPECS)
def test_table_gradients_equal_the_slow_reference(spec: HashGridSpec) -> None:
    points, tables = some_points(30), np.zeros(spec.table_shape, np.float32)
    gradients = np.random.default_rng(6).standard_normal((30, spec.width)).astype(np.float32)
    grad_tables = np.zeros_like(tables)
    hashgrid.encode_backward(spec, points, gradients, grad_tables)
    random = np.random.default_rng(7)
    touched = np.argwhere(np.abs(grad_tables).sum(axis=-1) > 0)
    for level, row in touched[random.choice(len(touched), 12, replace=False)]:
        nudged = tables.copy()
        nudged[level, row, 1] = 1.0  # the encoding is linear in the tables
        expected = np.vdot(slow_encode(spec, points, nudged), gradients)
        assert grad_tables[level, row, 1] == pytest.approx(expected, abs=1e-4)


def test_points_outside_are_extrapolated_and_points_that_are_none_stay_apart() -> None:
    spec = SPECS[0]
    tables = some_tables(spec)
    outside = np.array([[-0.01, 0.5, 0.5], [1.01, 0.5, 0.5]], np.float32)
    inner = np.array([[0.0, 0.5, 0.5], [1.0, 0.5, 0.5]], np.float32)
    step = np.abs(encoded(spec, outside, tables) - encoded(spec, inner, tables))
    assert step.max() < 0.01 * max(spec.resolutions) * 2 * np.abs(tables).max()
    points = some_points(70)
    points[33] = np.nan
    values = encoded(spec, points, tables)
    kept = np.arange(70) != 33
    assert np.isnan(values[33]).any()
    np.testing.assert_array_equal(values[kept], encoded(spec, points[kept], tables))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"features": 3}, "2 or 4"), ({"levels": 0}, "1..32"), ({"table_size_log2": 5}, "6..24")],
)
def test_shapes_that_no_kernel_has_are_refused(changes: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        HashGridSpec(**changes)


def test_other_devices_are_refused() -> None:
    torch = pytest.importorskip("torch")
    spec = SPECS[0]
    points = torch.zeros(4, 3, device="meta")
    with pytest.raises((ValueError, RuntimeError), match="(?i)device"):
        hashgrid.encode(spec, points, torch.zeros(spec.table_shape), torch.zeros(4, spec.width))
