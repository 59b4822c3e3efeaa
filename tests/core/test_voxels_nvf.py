"""Bricks agree where they meet, files hold what can contribute, and damage is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.kernels.baked.layout import CELLS, SAMPLES
from neuron_core.voxels.baked import from_tensors, to_tensors
from neuron_core.voxels.look_tensors import base_codes, own_tensors, stored, with_own_tensors
from neuron_core.voxels.nvf import (
    LookCodes,
    Nvf,
    VoxelError,
    allocate,
    brick_coordinates,
    encode_codes,
    find_active,
    lattice,
    lattice_places,
    sample_positions,
)
from tests.core.composed_samples import aprons_agree

BOX = np.array([[-1.0, -0.5, 0.0], [1.0, 0.7, 1.3]])


def ball_field(resolution: int = 40, radius: float = 0.45) -> Nvf:
    """A ball whose density falls to zero over two voxels, in all bricks that it touches."""
    center = np.array([0.1, 0.0, 0.6])
    _, voxel, shape = lattice(BOX, resolution)
    full = allocate(BOX, resolution, np.ones(shape, bool))
    touched = (np.linalg.norm(sample_positions(full) - center, axis=-1) < radius + voxel).any(axis=(1, 2, 3))
    nvf = allocate(BOX, resolution, brick_coordinates(full.top)[touched])
    away = sample_positions(nvf) - center
    distance = np.linalg.norm(away, axis=-1)
    nvf.density[:] = np.clip((radius - distance) / voxel + 1, 0, 2) * 20
    nvf.normals[:] = away / np.maximum(distance[..., None], 1e-9)
    return Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, find_active(nvf.top, nvf.density))


def some_codes(nvf: Nvf, seed: int = 0) -> LookCodes:
    return encode_codes(np.random.default_rng(seed).normal(size=(len(nvf.active), 8)).astype(np.float32))


@given(st.integers(8, 300), st.lists(st.floats(0.01, 50), min_size=3, max_size=3))
def test_the_grid_covers_the_box_with_whole_bricks_around_its_center(
    resolution: int, size: list[float]
) -> None:
    aabb = np.stack([-np.array(size) / 3, np.array(size) * 2 / 3])
    box, voxel, shape = lattice(aabb, resolution)
    tolerance = voxel * 1e-2
    assert (box[0] <= aabb[0] + tolerance).all() and (box[1] >= aabb[1] - tolerance).all()
    np.testing.assert_allclose(box.mean(axis=0), aabb.mean(axis=0), atol=tolerance)
    np.testing.assert_allclose(box[1] - box[0], np.array(shape) * CELLS * voxel, rtol=1e-4)
    assert max(size) / voxel == pytest.approx(resolution, rel=1e-4)


def test_masks_of_bricks_or_voxels_and_lists_allocate_the_same() -> None:
    _, _, shape = lattice(BOX, 40)
    bricks = np.random.default_rng(0).random(shape) < 0.3
    voxels = np.zeros([side * CELLS for side in shape], bool)
    voxels[3::CELLS, 5::CELLS, 7::CELLS] = bricks
    listed = np.random.default_rng(1).permutation(np.argwhere(bricks))
    tops = [allocate(BOX, 40, occupied).top for occupied in (bricks, voxels, listed)]
    assert np.array_equal(tops[0], tops[1]) and np.array_equal(tops[0], tops[2])
    assert np.array_equal(brick_coordinates(tops[0]), np.argwhere(bricks))


def test_what_does_not_fit_the_grid_is_refused() -> None:
    with pytest.raises(VoxelError, match="shape"):
        allocate(BOX, 40, np.ones((2, 2, 2), bool))
    with pytest.raises(VoxelError, match="leave the grid"):
        allocate(BOX, 40, np.array([[0, 0, 99]]))
    with pytest.raises(VoxelError, match="inside"):
        allocate(np.zeros((2, 3)), 40, np.zeros((0, 3), int))
    with pytest.raises(VoxelError, match="resolution"):
        lattice(BOX, 4)


def test_bricks_agree_on_what_they_share() -> None:
    nvf = ball_field()
    assert len(nvf.density) > 20
    assert aprons_agree(nvf.top, sample_positions(nvf))
    assert aprons_agree(nvf.top, nvf.density)
    flags = np.zeros(nvf.density.shape, bool)
    flags.reshape(-1)[nvf.active] = True
    assert aprons_agree(nvf.top, flags)


def test_a_difference_in_an_apron_is_found() -> None:
    nvf = ball_field()
    neighbors = (nvf.top[:-1] >= 0) & (nvf.top[1:] >= 0)
    nvf.density[nvf.top[:-1][neighbors][0], 8, 4, 4] += 1
    assert not aprons_agree(nvf.top, nvf.density)


def test_samples_lie_where_the_docstring_says() -> None:
    nvf = ball_field()
    positions = sample_positions(nvf)
    corner = brick_coordinates(nvf.top)[3]
    expected = nvf.aabb[0] + (8 * corner + (2, 7, 8)) * nvf.voxel_size
    np.testing.assert_allclose(positions[3, 2, 7, 8], expected, rtol=1e-6)
    assert (positions >= nvf.aabb[0]).all() and (positions <= nvf.aabb[1] + 1e-5).all()


def test_every_tap_of_a_voxel_with_density_is_active_and_no_lonely_sample_is() -> None:
    nvf = ball_field()
    flags = np.zeros(len(nvf.density) * SAMPLES, bool)
    flags[nvf.active] = True
    flags = flags.reshape(nvf.density.shape)
    assert flags[nvf.density > 0].all()
    padded = np.pad(nvf.density, ((0, 0), (1, 1), (1, 1), (1, 1)))
    for brick, i, j, k in np.argwhere(flags)[::17]:
        around = padded[brick, i : i + 3, j : j + 3, k : k + 3]
        on_border = {0, 8} & {i, j, k}  # a neighbor may have the density
        assert (around > 0).any() or on_border


def test_no_density_means_no_active_samples() -> None:
    nvf = allocate(BOX, 40, np.array([[0, 0, 0], [1, 1, 1]]))
    assert len(find_active(nvf.top, nvf.density)) == 0


def test_a_round_trip_keeps_what_can_contribute() -> None:
    nvf = ball_field()
    looks = {"gold": some_codes(nvf, 1), "red-clay": some_codes(nvf, 2)}
    again, looks_again = from_tensors(to_tensors(nvf, looks))
    assert np.array_equal(again.top, nvf.top) and np.array_equal(again.active, nvf.active)
    assert again.voxel_size == nvf.voxel_size and np.array_equal(again.aabb, nvf.aabb)
    np.testing.assert_allclose(again.density, nvf.density, rtol=1e-3, atol=1e-4)
    flat, flat_again = (normals.reshape(-1, 3)[nvf.active] for normals in (nvf.normals, again.normals))
    assert ((flat * flat_again).sum(axis=-1) > 0.9999).all()
    assert list(looks_again) == ["gold", "red-clay"]
    for slug, look in looks.items():
        assert np.array_equal(look.codes, looks_again[slug].codes)
        assert np.array_equal(look.decoded(), looks_again[slug].decoded())


def test_a_second_round_trip_changes_no_bit() -> None:
    nvf = ball_field()
    once = to_tensors(*from_tensors(to_tensors(nvf, {"a": some_codes(nvf)})))
    twice = to_tensors(*from_tensors(once))
    assert list(once) == list(twice)
    assert all(np.array_equal(once[name], twice[name]) for name in once)


def test_density_of_tiny_assets_survives_half_floats() -> None:
    nvf = ball_field()
    tiny = Nvf(nvf.aabb * 1e-5, nvf.voxel_size * 1e-5, nvf.top, nvf.density * 1e5, nvf.normals, nvf.active)
    again, _ = from_tensors(to_tensors(tiny, {}))
    np.testing.assert_allclose(again.density, tiny.density, rtol=1e-3, atol=1e1)


@given(st.integers(0, 2**31), st.integers(1, 50))
def test_codes_are_off_by_half_a_step_at_most(seed: int, count: int) -> None:
    codes = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    codes[:, 3] = 7.0
    look = encode_codes(codes)
    steps = (look.high - look.low) / 255
    assert (np.abs(look.decoded() - codes) <= steps / 2 + 1e-5).all()


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("nvf.top", None, "missing"),
        ("nvf.top", lambda top: np.where(top == 0, 1, top), "name each"),
        ("nvf.top", lambda top: top.astype(np.int64), "int64"),
        ("nvf.aabb", lambda aabb: aabb * 2, "aabb"),
        ("nvf.voxel_size", lambda size: size * np.nan, "finite"),
        ("nvf.active", lambda active: active[::-1], "ascending"),
        ("nvf.active", lambda active: active + 1_000_000, "samples of"),
        ("nvf.density", lambda density: density[:-1], "density"),
        ("nvf.density", lambda density: density * np.float16(np.inf), "finite"),
        ("nvf.normals", lambda normals: normals[:, :2], "normals"),
        ("looks.a.codes", lambda codes: codes[:-1], "codes"),
        ("looks.a.range", None, "missing"),
    ],
)
def test_damaged_tensors_are_named(name: str, damage: object, message: str) -> None:
    nvf = ball_field(20)
    tensors = to_tensors(nvf, {"a": some_codes(nvf)})
    if callable(damage):
        with np.errstate(invalid="ignore"):
            tensors[name] = damage(tensors[name])
    else:
        del tensors[name]
    with pytest.raises(VoxelError, match=message) as caught:
        from_tensors(tensors)
    assert caught.value.kind == "asset"


def test_codes_of_another_field_are_refused() -> None:
    nvf = ball_field(20)
    with pytest.raises(VoxelError, match='"a"'):
        to_tensors(nvf, {"a": encode_codes(np.zeros((3, 8), np.float32))})


def test_a_look_keeps_its_codes_and_those_without_its_edits():
    def codes(value: int) -> LookCodes:
        return LookCodes(np.full((5, 8), value, np.uint8), np.zeros(8, np.float32), np.ones(8, np.float32))

    others = {"nvf.top": np.zeros(3), "looks.gold_2.codes": np.ones(2)}
    for base in (None, codes(1)):
        tensors = with_own_tensors(others, "gold", stored(codes(2), base))
        own = own_tensors(tensors, "gold")
        assert set(tensors) == {*others, *(f"looks.gold.{name}" for name in own)}
        found = base_codes(own)
        assert found is not None and (found.codes == (2 if base is None else 1)).all()
        assert with_own_tensors(tensors, "gold", {}).keys() == others.keys()
    assert base_codes({}) is None


def test_samples_lie_on_the_lattice_where_their_positions_are():
    rng = np.random.default_rng(4)
    nvf = allocate(BOX, 20, rng.random(lattice(BOX, 20)[2]) < 0.6)
    samples = rng.permutation(nvf.density.size)[:500]
    positions = sample_positions(nvf).reshape(-1, 3)[samples]
    places = lattice_places(nvf.top, samples)
    np.testing.assert_allclose(nvf.aabb[0] + places * nvf.voxel_size, positions, atol=1e-6)
