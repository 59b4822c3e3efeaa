"""What is written as a volume is what is read: bit by bit, wherever it lies, and never from half a file."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from neuron_core.foundation.errors import NeuronError
from neuron_core.kernels.baked.layout import CELLS
from neuron_core.volumes import grids as npz
from neuron_core.volumes.from_bricks import PLACES, without_negatives
from neuron_core.volumes.grids import GridError, SampleGrid, read_grid, sample, write_grid
from neuron_core.volumes.nvdb import write_nvdb
from neuron_core.volumes.to_bricks import field_of_grids
from neuron_core.volumes.vdb import VdbGrid, vdb_bytes, write_vdb
from neuron_core.volumes.vdb_reading import read_vdb
from neuron_core.voxels.nvf import VoxelError, sample_positions, shared_samples

EDGES = (-4097, -4096, -129, -128, -1, 0, 7, 8, 127, 128)  # of leaves and nodes
HALF_ROUNDING = 2.0**-11


def read_back(folder: Path, *grids: VdbGrid, compress: bool = True) -> list[VdbGrid]:
    write_vdb(folder / "a.vdb", grids, compress=compress)
    return read_vdb(folder / "a.vdb")


def as_table(grid: VdbGrid) -> dict[tuple[int, ...], bytes]:
    """The bits of each voxel's value, by its place."""
    values = np.ascontiguousarray(grid.values, np.float32)
    places = grid.voxels.tolist()
    return {tuple(place): row.tobytes() for place, row in zip(places, values, strict=True)}


def fog(count: int = 200, seed: int = 0, reach: int = 20, **changes: object) -> VdbGrid:
    random = np.random.default_rng(seed)
    voxels = np.unique(random.integers(-reach, reach, (count, 3)), axis=0)
    values = random.uniform(0.1, 5.0, len(voxels)).astype(np.float32)
    return replace(VdbGrid("density", voxels, values, 0.25), **changes)  # type: ignore[arg-type]


# --- OpenVDB ---


def test_every_float_comes_back_bit_by_bit(tmp_path):
    info = np.finfo(np.float32)
    special = [0.0, -0.0, 1.0, -1.0, info.max, info.min, info.tiny, info.smallest_subnormal, 1 + info.eps]
    values = np.float32([*special, *np.random.default_rng(0).normal(0, 1e10, 500)])
    voxels = np.argwhere(np.ones((9, 9, 9)))[: len(values)]
    for compress in (True, False):
        (found,) = read_back(tmp_path, VdbGrid("x", voxels, values, 1.0), compress=compress)
        assert as_table(found) == as_table(VdbGrid("x", voxels, values, 1.0))


def test_halves_are_off_by_at_most_half_of_their_last_bit(tmp_path):
    random = np.random.default_rng(1)
    values = (random.uniform(1, 2, 3000) * 2.0 ** random.integers(-14, 15, 3000)).astype(np.float32)
    written = VdbGrid("x", np.argwhere(np.ones((15, 15, 15)))[:3000], values, 1.0, half=True)
    (found,) = read_back(tmp_path, written)
    ours, theirs = (values_in_order(grid) for grid in (written, found))
    assert 0 < np.abs(theirs / ours - 1).max() <= HALF_ROUNDING


def values_in_order(grid: VdbGrid) -> np.ndarray:
    return np.asarray(grid.values[np.lexsort(grid.voxels.T)], np.float64)


def test_voxels_on_both_sides_of_every_border_of_nodes_keep_their_places(tmp_path):
    voxels = np.array(list(product(EDGES, repeat=3)))
    values = np.arange(len(voxels), dtype=np.float32)
    (found,) = read_back(tmp_path, VdbGrid("x", voxels, values, 0.1))
    assert as_table(found) == as_table(VdbGrid("x", voxels, values, 0.1))


@pytest.mark.parametrize("size", [1e-4, 1.0, 37.5])
@pytest.mark.parametrize("translation", [(0.0, 0.0, 0.0), (1.5, -2.25, 1e5)])
def test_the_transform_comes_back_and_touches_no_voxel(size, translation, tmp_path):
    (found,) = read_back(tmp_path, fog(voxel_size=size, translation=translation))
    assert (found.voxel_size, found.translation) == (size, translation)
    assert as_table(found) == as_table(fog())


def test_grids_of_one_file_do_not_know_of_each_other(tmp_path):
    color = VdbGrid("Cd", fog(seed=2).voxels, np.random.default_rng(3).random((len(fog(seed=2)), 3)), 0.5)
    color = replace(color, values=color.values.astype(np.float32), half=True)
    together = read_back(tmp_path, fog(), color, fog(seed=4))
    for one, other in zip(together, (fog(), color, fog(seed=4)), strict=True):
        (alone,) = read_back(tmp_path, other)
        assert (one.name, one.half, one.voxel_size) == (alone.name, alone.half, alone.voxel_size)
        assert as_table(one) == as_table(alone)


def test_a_file_that_is_cut_at_any_byte_is_one_error(tmp_path):
    small = fog(40, reach=6)
    small = replace(small, voxels=small.voxels + 6)  # in one node
    content = vdb_bytes([small], "a", True)
    file = tmp_path / "cut.vdb"
    for size in (*range(0, 600, 3), *range(600, len(content), 301), *range(len(content) - 60, len(content))):
        file.write_bytes(content[:size])
        with pytest.raises(VoxelError, match=r"cut\.vdb"):
            read_vdb(file)
    file.write_bytes(content + b"more")
    assert as_table(read_vdb(file)[0]) == as_table(small)


def test_a_volume_that_cannot_be_written_leaves_the_old_file(tmp_path):
    for write, name in ((write_vdb, "a.vdb"), (write_nvdb, "a.nvdb")):
        write(tmp_path / name, [fog()])
        before = (tmp_path / name).read_bytes()
        with pytest.raises(NeuronError):
            write(tmp_path / name, [fog(), fog(values=np.full(len(fog()), np.inf, np.float32))])
        assert (tmp_path / name).read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.nvdb", "a.vdb"]


# --- bricks ---


def colored(density: VdbGrid) -> list[VdbGrid]:
    colors = np.random.default_rng(5).random((len(density), 3)).astype(np.float32)
    return [density, replace(density, name="Cd", values=colors)]


def test_bricks_hold_the_density_of_each_voxel_and_none_elsewhere():
    density = fog(300)
    nvf, _ = field_of_grids(colored(density))
    places = np.rint(sample_positions(nvf).astype(np.float64) / density.voxel_size).astype(int)
    wanted = dict(zip(map(tuple, density.voxels.tolist()), density.values.tolist(), strict=True))
    held = list(zip(map(tuple, places.reshape(-1, 3).tolist()), nvf.density.ravel().tolist(), strict=True))
    assert all(value == wanted.get(place, 0.0) for place, value in held)
    assert wanted.keys() <= {place for place, _ in held}, "every voxel is in a brick"
    for here, there in shared_samples(nvf.top):
        np.testing.assert_array_equal(nvf.density[here], nvf.density[there])


def test_a_voxel_at_the_corner_of_bricks_is_in_all_of_them():
    nvf, _ = field_of_grids(colored(VdbGrid("density", np.array([[8, -16, 0]]), np.ones(1, np.float32), 0.1)))
    assert len(nvf.density) == 8 and (nvf.density.reshape(8, -1).sum(axis=1) == 1).all()


@pytest.mark.parametrize("step", [(1, 0, 0), (-3, 2, 5)])
def test_moving_the_voxels_of_whole_bricks_or_the_grid_is_the_same(step):
    density = fog(300)
    moved = replace(density, voxels=density.voxels + CELLS * np.array(step))
    offset = np.array(step) * CELLS * density.voxel_size
    carried = replace(density, translation=tuple(offset.tolist()))
    (one, _), (other, _) = field_of_grids(colored(moved)), field_of_grids(colored(carried))
    np.testing.assert_allclose(one.aabb, other.aabb, atol=1e-6)
    np.testing.assert_array_equal(one.top, other.top)
    np.testing.assert_array_equal(one.density, other.density)


@pytest.mark.parametrize("axis", range(3))
def test_fog_without_negatives_looks_the_same_in_a_mirror_and_when_axes_are_swapped(axis):
    voxels = np.argwhere(np.ones((5, 6, 7)))
    density = np.random.default_rng(6).normal(0, 40, len(voxels)).astype(np.float32)
    straight = without_negatives(voxels, density, 0.1)
    mirrored = voxels.copy()
    mirrored[:, axis] = voxels[:, axis].max() - voxels[:, axis]
    for turned in (mirrored, np.roll(voxels, axis, axis=1)):
        order = np.argsort(turned @ PLACES)
        found = np.empty_like(straight)
        found[order] = without_negatives(turned[order], density[order], 0.1)
        np.testing.assert_array_equal(found, straight)


# --- samples between samples ---


def cloud(folder: Path, shift: tuple[float, ...] = (0.0, 0.0, 0.0), scale: float = 1.0) -> SampleGrid:
    """A sparse grid of random samples, through a file."""
    random = np.random.default_rng(7)
    voxels = np.unique(random.integers(0, 7, (150, 3)), axis=0)
    count = len(voxels)
    normal = random.normal(size=(count, 3))
    write_grid(
        folder / "g.npz",
        digest="d",
        look="l",
        step=1,
        origin=np.array([0.5, -1.0, 2.0]) + shift,
        spacing=0.25,
        voxels=voxels,
        density=scale * random.uniform(0.5, 3.0, count),
        normal=normal / np.linalg.norm(normal, axis=1, keepdims=True),
        color=random.random((count, 3)),
        code=random.normal(size=(count, 8)),
    )
    return read_grid(folder / "g.npz")


def around(grid: SampleGrid, count: int = 60) -> np.ndarray:
    places = np.random.default_rng(8).uniform(-1.5, 8.0, (count, 3))
    return np.asarray(grid.origin + places * grid.spacing)


def slow(grid: SampleGrid, position: np.ndarray) -> tuple[float, np.ndarray]:
    """Trilinear density, and the mean color weighted by it, one sample after another."""
    place = (position - grid.origin) / grid.spacing
    hats = np.prod(np.maximum(1.0 - np.abs(grid.voxels - place), 0.0), axis=1)
    weights = hats * grid.density
    total = float(weights.sum())
    return total, (weights @ grid.color) / total if total > 0 else np.zeros(3)


def test_samples_are_read_as_a_sum_of_hats(tmp_path):
    grid = cloud(tmp_path)
    positions = around(grid)
    found = sample(grid, positions)
    for index, position in enumerate(positions):
        density, color = slow(grid, position)
        assert found.density[index] == pytest.approx(density, rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(found.color[index], color, rtol=1e-4, atol=1e-6)
    assert (found.density == 0).any() and (found.density > 0).sum() > 10


def test_a_grid_that_is_moved_moves_what_is_read(tmp_path):
    still = cloud(tmp_path)
    shift = (4.0, -8.0, 0.5)
    moved = cloud(tmp_path, shift)
    one, other = sample(still, around(still)), sample(moved, around(still) + shift)
    for name in ("density", "normal", "color", "code"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-6)


def test_denser_fog_of_the_same_shape_has_the_same_colors(tmp_path):
    thin, thick = cloud(tmp_path), cloud(tmp_path, scale=16.0)
    one, other = sample(thin, around(thin)), sample(thick, around(thin))
    np.testing.assert_allclose(other.density, 16 * one.density, rtol=1e-5)
    for name in ("normal", "color", "code"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-6)


def test_many_points_are_read_as_each_alone_however_they_are_cut(tmp_path, monkeypatch):
    grid = cloud(tmp_path)
    positions = np.concatenate([around(grid), [[np.nan, 0, 0], [np.inf, 0, 0], [1e30, 0, 0]]])
    whole = sample(grid, positions)
    assert (whole.density[-3:] == 0).all()
    monkeypatch.setattr(npz, "BLOCK", 7)
    cut = sample(grid, positions)
    for name in ("density", "normal", "color", "code"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(cut, name))
    assert len(sample(grid, np.zeros((0, 3))).density) == 0


def test_a_grid_that_is_cut_anywhere_is_one_error(tmp_path):
    cloud(tmp_path)
    content = (tmp_path / "g.npz").read_bytes()
    for size in (*range(0, 200, 13), *range(200, len(content), 211), len(content) - 1):
        (tmp_path / "cut.npz").write_bytes(content[:size])
        with pytest.raises(GridError, match=r"cut\.npz"):
            read_grid(tmp_path / "cut.npz")
