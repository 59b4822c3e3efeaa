"""Grids of baked assets: what is written, and values between the samples."""

import numpy as np
import pytest

from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.tasks.grid.config import GridConfig
from neuron_core.tasks.grid.run import run
from neuron_core.volumes.from_bricks import voxel_samples
from neuron_core.volumes.grids import GridError, read_grid, sample
from neuron_core.voxels.baked import read_baked
from tests.core.baked_samples import CENTER, MATERIALS, RADIUS, write_ball


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("grid") / "ball.neuron")


@pytest.fixture(scope="module")
def grid(asset):
    out = asset.parent / "größe grid.npz"
    run(GridConfig(asset, out), Silent())
    return read_grid(out)


def test_samples_have_the_values_of_the_asset(asset, grid):
    expected = voxel_samples(read_baked(asset), grid.look)
    places = np.array(expected.origin) + expected.voxels * expected.voxel_size
    values = sample(grid, places)
    np.testing.assert_allclose(values.density, expected.density, rtol=1e-4)
    np.testing.assert_allclose(values.color, expected.colors, atol=2e-3)
    np.testing.assert_allclose(values.code, expected.codes, atol=2e-3)
    np.testing.assert_allclose(values.normal, expected.normals, atol=2e-3)


def test_values_in_the_middle_of_a_cell_are_those_of_its_corners(grid):
    rows = grid.rows[:-1, :-1, :-1]
    full = np.argwhere(
        np.all(
            [
                grid.rows[x : x + rows.shape[0], y : y + rows.shape[1], z : z + rows.shape[2]] >= 0
                for x in (0, 1)
                for y in (0, 1)
                for z in (0, 1)
            ],
            axis=0,
        )
    )
    assert len(full)
    cell = full[len(full) // 2]
    corners = [grid.rows[tuple(cell + corner)] for corner in np.ndindex(2, 2, 2)]
    values = sample(grid, (grid.origin + (cell + 0.5) * grid.spacing)[None])
    weights = grid.density[corners]
    np.testing.assert_allclose(values.density[0], weights.mean(), rtol=1e-5)
    mean = (weights[:, None] * grid.color[corners]).sum(axis=0) / weights.sum()
    np.testing.assert_allclose(values.color[0], mean, rtol=1e-4)


def test_normals_of_a_ball_point_outwards(grid):
    away = np.random.default_rng(0).normal(size=(200, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    values = sample(grid, CENTER + 0.99 * RADIUS * away)
    assert (values.density > 0).all()
    assert (values.normal * away).sum(axis=1).min() > 0.99


def test_outside_and_at_points_that_are_none_all_is_zero(grid):
    far = np.array([[10.0, 0.0, 0.0], [np.nan, 0.0, 0.0], [np.inf, 1.0, 1.0], [1e300, 0.0, 0.0]])
    values = sample(grid, far)
    for array in (values.density, values.normal, values.color, values.code):
        assert not array.any() and len(array) == 4
    assert len(sample(grid, np.zeros((0, 3))).density) == 0


def test_a_coarser_grid_has_every_second_sample(asset, grid, tmp_path):
    run(GridConfig(asset, tmp_path / "half.npz", resolution=16), Silent())
    half = read_grid(tmp_path / "half.npz")
    assert half.step > grid.step == 1
    np.testing.assert_allclose(half.spacing, half.step * grid.spacing)
    places = half.origin + half.voxels * half.spacing
    np.testing.assert_allclose(sample(grid, places).density, half.density, rtol=1e-4)


def test_looks_differ_in_what_prompts_change_and_in_nothing_else(asset, grid, tmp_path):
    other = tmp_path / "other.npz"
    run(GridConfig(asset, other, prompt=MATERIALS[1].replace("-", "_")), Silent())
    found = read_grid(other)
    assert found.look != grid.look and not np.array_equal(found.code, grid.code)
    np.testing.assert_array_equal(found.density, grid.density)
    np.testing.assert_array_equal(found.voxels, grid.voxels)


def test_the_same_grid_again_is_done_and_another_is_refused(asset, tmp_path):
    out = tmp_path / "grid.npz"
    first = run(GridConfig(asset, out), Silent())
    content = out.read_bytes()
    assert run(GridConfig(asset, out), Silent()) == first and out.read_bytes() == content
    with pytest.raises(ConfigMismatchError):
        run(GridConfig(asset, out, resolution=8), Silent())
    run(GridConfig(asset, out, resolution=8, overwrite=True), Silent())
    assert out.read_bytes() != content


def test_what_is_no_grid_is_refused(asset, tmp_path):
    for name, content in (("text.npz", b"hello"), ("cut.npz", b"PK\x03\x04"), ("empty.npz", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(GridError):
            read_grid(tmp_path / name)
    np.savez(tmp_path / "other.npz", P=np.zeros(3))
    with pytest.raises(GridError):
        read_grid(tmp_path / "other.npz")
    for config in (
        lambda: GridConfig(asset, tmp_path / "a.txt"),
        lambda: GridConfig(asset, tmp_path / "a.npz", resolution=4),
        lambda: run(GridConfig(tmp_path / "none.neuron", tmp_path / "a.npz"), Silent()),
        lambda: run(GridConfig(tmp_path / "text.npz", tmp_path / "a.npz"), Silent()),
        lambda: run(GridConfig(asset, tmp_path / "a.npz", prompt="no such look"), Silent()),
    ):
        with pytest.raises(NeuronError):
            config()
    assert not (tmp_path / "a.npz").exists()
