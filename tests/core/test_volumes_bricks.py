"""Volumes and bricks: samples in their places, colors as means, fog without negatives, grids as bricks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pxr import Usd, UsdVol

from neuron_core.assets import Look, Manifest
from neuron_core.foundation.colors import linear_to_srgb, srgb_to_linear
from neuron_core.kernels.baked.layout import CELLS
from neuron_core.volumes import to_bricks
from neuron_core.volumes.from_bricks import (
    PLACES,
    TILTS,
    average_colors,
    volume_grids,
    voxel_samples,
    without_negatives,
)
from neuron_core.volumes.grids import GridError, read_grid, sample
from neuron_core.volumes.nvdb import LONGEST_NAME, write_nvdb
from neuron_core.volumes.sampled import step_for, write_samples
from neuron_core.volumes.to_bricks import NO_SHADER, field_of_grids
from neuron_core.volumes.usd import write_volume_stage
from neuron_core.volumes.vdb import VdbGrid
from neuron_core.voxels.baked import Baked
from neuron_core.voxels.nvf import VoxelError, encode_codes, find_active
from tests.core.composed_samples import smoke, soft_ball
from tests.core.small_fields import directions
from tests.core.small_shaders import small_shader

LATTICE = np.argwhere(np.ones((6, 6, 6), bool))


def baked_of(nvf, path, shader=None, seed: int = 0) -> Baked:
    """A field under one look with random codes, as if read from a file."""
    codes = encode_codes(np.random.default_rng(seed).normal(size=(len(nvf.active), 8)).astype(np.float32))
    box = tuple(tuple(map(float, corner)) for corner in nvf.aabb)
    manifest = Manifest("ball", box, {"nvf": "nvf-1"}, (Look("gold", "gold"),), None)
    return Baked(path, manifest, nvf, {"gold": codes}, shader or small_shader())


@pytest.fixture(scope="module")
def ball(tmp_path_factory):
    return baked_of(smoke(soft_ball(), 16), tmp_path_factory.mktemp("bricks") / "ball.neuron")


# --- samples ---


def test_every_sample_with_density_is_there_once_and_in_order(ball):
    samples = voxel_samples(ball, "gold")
    keys = samples.voxels @ PLACES
    assert (np.diff(keys) > 0).all() and (samples.density > 0).all()
    places = np.array(samples.origin) + samples.voxels * samples.voxel_size
    np.testing.assert_allclose(samples.density, soft_ball()(places), rtol=1e-3, atol=1e-4)
    assert len(places) == (soft_ball()(lattice_of(ball.nvf)) > 0).sum()


def lattice_of(nvf) -> np.ndarray:
    """All places of the grid that bricks could have samples at, [X, Y, Z, 3]."""
    sides = [np.arange(CELLS * side + 1) for side in nvf.top.shape]
    return nvf.aabb[0] + np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1) * nvf.voxel_size


def test_around_the_density_lie_samples_without_any(ball):
    inside, around = voxel_samples(ball, "gold"), voxel_samples(ball, "gold", around=True)
    beside = around.voxels[around.density <= 0]
    assert len(inside.voxels) + len(beside) == len(around.voxels) and len(beside)
    steps = np.argwhere(np.ones((3, 3, 3))) - 1
    near = np.unique((inside.voxels[:, None] + steps).reshape(-1, 3) @ PLACES)
    assert np.isin(beside @ PLACES, near).all()


def test_a_field_without_density_has_no_volume(tmp_path):
    empty = smoke(lambda places: np.zeros(places.shape[:-1]), 16)
    with pytest.raises(VoxelError, match="no density"):
        voxel_samples(baked_of(replace(empty, active=np.arange(8, dtype=np.int32)), tmp_path / "a"), "gold")


# --- colors ---


def test_an_average_color_is_the_mean_over_its_directions(ball):
    codes, normals = np.float32(np.random.default_rng(0).normal(size=(30, 8))), directions(30, 1)
    found = average_colors(ball, codes, normals)
    helper = np.where(np.abs(normals[:, :1]) < 0.7, [[1, 0, 0]], [[0, 1, 0]])
    u = np.cross(normals, helper)
    v = np.cross(normals, u)
    seen = []
    for x, y in TILTS:
        rays_d = -(normals + x * u + y * v)
        rays_d /= np.linalg.norm(rays_d, axis=1, keepdims=True)
        assert ((rays_d * normals).sum(axis=1) < -0.7).all()  # against the surface
        seen.append(ball.shader.evaluate(codes, normals, rays_d.astype(np.float32)))
    np.testing.assert_allclose(found, np.mean(seen, axis=0), rtol=1e-4)


def test_colors_of_photographs_are_decoded(ball):
    encoded = replace(ball, shader=replace(ball.shader, encoding="srgb"))
    codes, normals = np.float32(np.random.default_rng(0).normal(size=(30, 8))), directions(30, 1)
    shown = np.clip(average_colors(ball, codes, normals), 0, 1)
    np.testing.assert_allclose(average_colors(encoded, codes, normals), srgb_to_linear(shown), rtol=1e-4)


def test_a_sample_without_a_normal_is_seen_from_above(ball):
    codes = np.zeros((1, 8), np.float32)
    up = np.float32([[0, 1, 0]])
    np.testing.assert_array_equal(average_colors(ball, codes, 0 * up), average_colors(ball, codes, up))


# --- fog ---


def test_fog_without_negatives_stays_as_it_is():
    density = np.random.default_rng(0).random(len(LATTICE)).astype(np.float32)
    np.testing.assert_array_equal(without_negatives(LATTICE, density, 0.1), density)


@given(st.integers(0, 2**31))
def test_fog_is_never_negative_nor_denser_and_scales_with_the_voxels(seed):
    density = np.random.default_rng(seed).normal(0, 50, len(LATTICE)).astype(np.float32)
    fog = without_negatives(LATTICE, density, 0.1)
    assert (fog >= 0).all() and (fog <= np.maximum(density, 0) * (1 + 1e-6)).all()
    half = without_negatives(LATTICE, density * 2, 0.05)  # the same optical depths in half the size
    np.testing.assert_allclose(half, fog * 2, rtol=1e-4, atol=1e-4)


# --- back to bricks ---


@pytest.mark.parametrize("offset", [(0, 0, 0), (-13, 5, 40)])
def test_grids_come_back_as_bricks_in_their_places(offset, ball):
    density, colors = volume_grids(ball, "gold")
    density = replace(density, voxels=density.voxels + offset)
    colors = replace(colors, voxels=colors.voxels + offset)
    nvf, codes = field_of_grids([density, colors])
    assert nvf.voxel_size == density.voxel_size
    found = voxel_samples(baked_of(nvf, ball.path), "gold")
    order = np.argsort(density.voxels @ PLACES)
    places = np.array(found.origin) + found.voxels * found.voxel_size
    expected = np.array(density.translation) + density.voxels[order] * density.voxel_size
    np.testing.assert_allclose(places, expected, atol=1e-5)
    np.testing.assert_array_equal(found.density, density.values[order])
    assert not codes.decoded()[:, 3:].any()


def test_colors_take_the_place_of_codes():
    voxels = LATTICE + 8
    random = np.random.default_rng(1)
    values = random.uniform(0.5, 1, len(voxels)).astype(np.float32)
    shown = random.random((len(voxels), 3)).astype(np.float32)
    nvf, codes = field_of_grids([VdbGrid("d", voxels, values, 0.1), VdbGrid("c", voxels, shown, 0.1)])
    density = nvf.density.reshape(-1)[nvf.active]
    decoded = codes.decoded()[:, :3]
    by_value = dict(zip(values.tolist(), linear_to_srgb(shown).tolist(), strict=True))
    for value, color in zip(density[density > 0].tolist(), decoded[density > 0], strict=True):
        np.testing.assert_allclose(color, by_value[value], atol=1 / 255)


def test_only_bricks_that_hold_density_are_made():
    far = np.array([[0, 0, 0], [100, 3, 3]])
    values = np.ones(2, np.float32)
    nvf, _ = field_of_grids(
        [VdbGrid("d", far, values, 0.1), VdbGrid("c", far, np.ones((2, 3), np.float32), 0.1)]
    )
    assert nvf.top.shape[0] >= 13
    assert (nvf.density.reshape(len(nvf.density), -1) > 0).any(axis=1).all()  # each one has some
    assert len(nvf.density) == 8 + 1  # a corner is of eight bricks, the other one lies inside of one
    assert np.array_equal(nvf.active, find_active(nvf.top, nvf.density))


def test_a_volume_that_is_too_large_to_be_drawn_is_refused(monkeypatch):
    monkeypatch.setattr(to_bricks, "MOST_SAMPLES", 20**3)
    grids = [VdbGrid("d", LATTICE, np.ones(216, np.float32), 0.1)]
    grids.append(VdbGrid("c", LATTICE, np.ones((216, 3), np.float32), 0.1))
    with pytest.raises(VoxelError, match="too large"):
        field_of_grids(grids)


def test_the_stand_in_shader_is_one_that_renderers_take():
    nothing = np.zeros((4, 8), np.float32)
    colors = NO_SHADER.evaluate(nothing, directions(4, 0), directions(4, 1))
    assert np.isfinite(colors).all() and np.ptp(colors, axis=0).max() == 0


# --- files ---


@pytest.mark.parametrize("resolution", [4, 10, 16, 500])
def test_a_grid_has_about_as_many_samples_as_were_asked_for(resolution, ball, tmp_path):
    step = step_for(ball, resolution)
    longest = CELLS * max(ball.nvf.top.shape)
    assert step >= 1 and longest / step <= resolution
    assert step == 1 or longest / (step - 1) > resolution
    write_samples(tmp_path / "a.npz", ball, "gold", step)
    grid = read_grid(tmp_path / "a.npz")
    assert (grid.step, grid.spacing) == (step, pytest.approx(step * ball.nvf.voxel_size))
    places = grid.origin + grid.voxels * grid.spacing
    np.testing.assert_allclose(grid.density, soft_ball()(places), rtol=1e-3, atol=1e-4)


def test_what_is_linear_between_samples_is_read_exactly(tmp_path):
    def density(places):
        return 1.0 + places @ [0.5, 0.25, 0.125]

    baked = baked_of(smoke(lambda places: density(places) + 0.5, 16), tmp_path / "a")
    write_samples(tmp_path / "a.npz", baked, "gold", 1)
    inside = np.random.default_rng(0).uniform(-0.45, 0.45, (200, 3))
    values = sample(read_grid(tmp_path / "a.npz"), inside)
    np.testing.assert_allclose(values.density, density(inside) + 0.5, rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(values.normal, axis=1), 1.0, atol=1e-5)
    shuffled = np.random.default_rng(1).permutation(200)
    again = sample(read_grid(tmp_path / "a.npz"), inside[shuffled])
    np.testing.assert_array_equal(again.color, values.color[shuffled])


@pytest.mark.parametrize("key", ["voxels", "density", "color", "spacing"])
def test_a_grid_that_contradicts_itself_is_refused(key, ball, tmp_path):
    write_samples(tmp_path / "a.npz", ball, "gold", 4)
    arrays = dict(np.load(tmp_path / "a.npz"))
    arrays[key] = np.array(-1.0) if key == "spacing" else arrays[key][:-1]
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(GridError):
        read_grid(tmp_path / "b.npz")


def test_nanovdb_names_have_a_longest_and_its_bytes_are_always_the_same(tmp_path):
    grid = VdbGrid("x" * LONGEST_NAME, LATTICE, np.ones(216, np.float32), 0.1)
    for name in ("a", "b"):
        write_nvdb(tmp_path / f"{name}.nvdb", [grid])
    assert (tmp_path / "a.nvdb").read_bytes() == (tmp_path / "b.nvdb").read_bytes()
    with pytest.raises(VoxelError, match="no finite"):
        write_nvdb(tmp_path / "c.nvdb", [replace(grid, name=grid.name + "x")])
    with pytest.raises(VoxelError, match="0 voxels"):
        write_nvdb(tmp_path / "c.nvdb", [replace(grid, voxels=LATTICE[:0], values=grid.values[:0])])
    assert not (tmp_path / "c.nvdb").exists()


def test_a_stage_of_a_volume_reaches_half_a_voxel_beyond_its_voxels(tmp_path):
    voxels = np.array([[0, 0, 0], [4, 1, 2]])
    density = VdbGrid("density", voxels, np.ones(2, np.float32), 0.5, (1.0, 2.0, 3.0))
    colors = VdbGrid("Cd", voxels - 1, np.ones((2, 3), np.float32), 0.5, (1.0, 2.0, 3.0), half=True)
    write_volume_stage(tmp_path / "a.usda", tmp_path / "a.vdb", [density, colors])
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    volume = UsdVol.Volume(stage.GetPrimAtPath("/a/volume"))
    low, high = volume.GetExtentAttr().Get()
    np.testing.assert_allclose(low, np.array([1, 2, 3]) + 0.5 * np.array([-1.5, -1.5, -1.5]))
    np.testing.assert_allclose(high, np.array([1, 2, 3]) + 0.5 * np.array([4.5, 1.5, 2.5]))
    kinds = {
        name: UsdVol.OpenVDBAsset(stage.GetPrimAtPath(path)).GetFieldDataTypeAttr().Get()
        for name, path in volume.GetFieldPaths().items()
    }
    assert kinds == {"density": "float", "Cd": "half3", "color": "half3"}
