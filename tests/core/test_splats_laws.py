"""Clouds of splats as distributions: moments, maps, merging, placing; and files that are cut."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.cameras.camera import project
from neuron_core.splats import harmonics
from neuron_core.splats.cloud import SplatError, Splats, checked, joined, normalized, rotation_matrices
from neuron_core.splats.comparing import Target, error_of
from neuron_core.splats.files import read_splats, write_splats
from neuron_core.splats.levels import merged
from neuron_core.splats.moving import transformed
from neuron_core.splats.placing import SurfacePoints, place, viewing_dome
from tests.core.splat_samples import camera

HEIGHT = 0.337


def cloud(count: int = 30, terms: int = 9, seed: int = 0) -> Splats:
    random = np.random.default_rng(seed)
    return Splats(
        random.normal(size=(count, 3)).astype(np.float32),
        normalized(random.normal(size=(count, 4))),
        np.exp(random.normal(size=(count, 3)) * 0.4 - 1.5).astype(np.float32),
        random.uniform(0.1, 0.95, count).astype(np.float32),
        (random.normal(size=(count, terms, 3)) * 0.15).astype(np.float32),
    )


def covariances(splats: Splats) -> np.ndarray:
    axes = rotation_matrices(splats.rotations) * splats.scales[:, None, :].astype(np.float64)
    return np.asarray(axes @ axes.transpose(0, 2, 1))


def affine(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] += 0.3 * random.normal(size=(3, 3))
    matrix[:3, 3] = random.normal(size=3)
    assert np.linalg.det(matrix) > 0.1
    return matrix


# --- maps ---


@pytest.mark.parametrize("seed", range(4))
def test_an_affine_map_takes_means_and_covariances_along(seed):
    splats, matrix = cloud(), affine(seed)
    moved, linear = transformed(splats, matrix), matrix[:3, :3]
    np.testing.assert_allclose(moved.positions, splats.positions @ linear.T + matrix[:3, 3], atol=1e-5)
    wanted = linear @ covariances(splats) @ linear.T
    np.testing.assert_allclose(covariances(moved), wanted, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(moved.opacities, splats.opacities)


def test_two_maps_are_their_product_and_a_map_back_undoes_one():
    splats, first, second = cloud(), affine(1), affine(2)
    twice, once = transformed(transformed(splats, first), second), transformed(splats, second @ first)
    np.testing.assert_allclose(twice.positions, once.positions, atol=1e-4)
    np.testing.assert_allclose(covariances(twice), covariances(once), rtol=1e-3, atol=1e-5)
    back = transformed(transformed(splats, first), np.linalg.inv(first))
    np.testing.assert_allclose(back.positions, splats.positions, atol=1e-5)
    np.testing.assert_allclose(covariances(back), covariances(splats), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [np.diag([-1.0, 1, 1, 1]), np.diag([1.0, 0, 1, 1]), np.full((4, 4), np.nan)]
)
def test_a_map_that_mirrors_or_flattens_is_refused(wrong):
    with pytest.raises(SplatError, match="mirrored or flattened"):
        transformed(cloud(), wrong)


def test_the_box_of_splats_reaches_three_deviations_along_each_axis():
    splats = cloud()
    low, high = splats.box()
    reach = 3 * np.sqrt(np.stack([covariances(splats)[:, axis, axis] for axis in range(3)], axis=1))
    np.testing.assert_allclose(low, (splats.positions - reach).min(axis=0), rtol=1e-5)
    np.testing.assert_allclose(high, (splats.positions + reach).max(axis=0), rtol=1e-5)
    assert not np.any(splats.taken(np.zeros(0, int)).box())


# --- clouds of clouds ---


def test_joined_clouds_are_taken_apart_again():
    one, two = cloud(7, 4), cloud(5, 16, seed=3)
    both = joined([one, two])
    assert both.degree == 3 and len(both) == 12
    for part, rows in ((one, slice(0, 7)), (two, slice(7, 12))):
        found = both.taken(np.arange(12)[rows]).of_degree(part.degree)
        for name in ("positions", "rotations", "scales", "opacities", "harmonics"):
            np.testing.assert_array_equal(getattr(found, name), getattr(part, name))
    with pytest.raises(SplatError, match="encod|Linear"):
        joined([one, replace(two, encoding="linear")])


def test_more_harmonics_change_no_color_and_fewer_keep_the_mean():
    splats, sphere = cloud(terms=4), harmonics.fibonacci_sphere(400)
    seen = harmonics.colors(splats.harmonics, sphere)
    np.testing.assert_allclose(harmonics.colors(splats.of_degree(3).harmonics, sphere), seen, atol=1e-6)
    np.testing.assert_allclose(splats.of_degree(0).base_colors(), splats.base_colors())


@pytest.mark.parametrize("name", ["positions", "rotations", "scales", "opacities", "harmonics"])
def test_damage_is_named_by_its_field_and_counted_by_splat(name):
    values = getattr(cloud(), name).copy()
    values[[3, 8]] = np.inf
    with pytest.raises(SplatError, match=f"here: {name} of 2 splats"):
        checked(replace(cloud(), **{name: values}), "here")
    if name != "positions":  # which say how many there are
        with pytest.raises(SplatError, match=f"{name} of shape"):
            checked(replace(cloud(), **{name: values[:-1]}), "here")


# --- levels ---


def facing_up(count: int = 40, seed: int = 5) -> Splats:
    """Flat splats that look to one side, along Z."""
    splats = cloud(count, seed=seed)
    turn = np.zeros((count, 4), np.float32)
    turn[:, 0] = 1.0
    sizes = np.sort(splats.scales, axis=1)[:, ::-1].copy()
    return replace(splats, rotations=turn, scales=sizes)


def test_splats_that_become_one_keep_their_mean_and_covariance():
    """The first two moments of the mixture, weighted by opacity and visible area."""
    splats = facing_up()
    one = merged(splats, 1)
    assert len(one) == 1
    weights = splats.opacities.astype(np.float64) * splats.scales[:, 0] * splats.scales[:, 1]
    weights /= weights.sum()
    mean = weights @ splats.positions
    apart = splats.positions - mean
    spread = np.einsum("n,nij->ij", weights, covariances(splats) + apart[:, :, None] * apart[:, None, :])
    np.testing.assert_allclose(one.positions[0], mean, atol=1e-5)
    np.testing.assert_allclose(covariances(one)[0], spread, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(one.harmonics[0], np.einsum("n,nkc->kc", weights, splats.harmonics), atol=1e-5)


def rows_of(splats: Splats) -> np.ndarray:
    """In an order that does not depend on theirs."""
    rows = np.concatenate([splats.positions, splats.opacities[:, None], splats.harmonics[:, 0]], axis=1)
    return rows[np.lexsort(np.round(rows, 4).T)]


def test_merging_knows_no_order_and_moves_with_the_cloud():
    splats = facing_up(200)
    turned = splats.taken(np.random.default_rng(0).permutation(200))
    coarse = merged(splats, 20)
    assert 5 <= len(coarse) <= 20
    np.testing.assert_allclose(rows_of(merged(turned, 20)), rows_of(coarse), atol=1e-4)
    doubled = merged(replace(splats, positions=2 * splats.positions, scales=2 * splats.scales), 20)
    assert len(doubled) == len(coarse)
    np.testing.assert_allclose(rows_of(doubled)[:, :3], 2 * rows_of(coarse)[:, :3], atol=1e-3)


# --- placing ---


def sheet(count: int = 3000, thickness: float = 0.0, seed: int = 6) -> SurfacePoints:
    """Points on a square in the plane z = HEIGHT, seen from both sides."""
    random = np.random.default_rng(seed)
    positions = random.uniform(-1, 1, (count, 3)).astype(np.float32)
    side = np.where(random.random(count) < 0.5, 1.0, -1.0).astype(np.float32)
    positions[:, 2] = HEIGHT + side * thickness
    normals = np.stack([0 * side, 0 * side, side], axis=1)
    colors = np.where(side[:, None] > 0, [[0.8, 0.1, 0.2]], [[0.1, 0.5, 0.9]]).astype(np.float32)
    return SurfacePoints(positions, normals, colors, np.full(count, 4 / count, np.float32))


@pytest.mark.parametrize("count", [40, 300])
def test_splats_of_a_sheet_lie_in_it_flat_and_each_side_keeps_its_color(count):
    splats = place(sheet(thickness=1e-4), count)
    assert 0.5 * count < len(splats) <= count
    normals = rotation_matrices(splats.rotations)[:, :, 2]
    np.testing.assert_allclose(np.abs(normals[:, 2]), 1.0, atol=1e-5)
    assert (splats.scales.argmin(axis=1) == 2).all(), "thin along the normal"
    np.testing.assert_allclose(splats.positions[:, 2], HEIGHT + normals[:, 2] * 1e-4, atol=1e-6)
    wanted = np.where(normals[:, 2:] > 0, [[0.8, 0.1, 0.2]], [[0.1, 0.5, 0.9]])
    np.testing.assert_allclose(splats.base_colors(), wanted, atol=1e-4)


def test_more_splats_are_smaller_ones():
    few, many = place(sheet(), 50), place(sheet(), 400)
    ratio = np.median(few.scales[:, 1]) / np.median(many.scales[:, 1])
    assert ratio == pytest.approx(np.sqrt(400 / 50), rel=0.35)


@pytest.mark.parametrize("margin", [1.0, 1.3])
def test_cameras_around_a_box_see_all_of_its_corners(margin):
    box = np.array([[-1.0, 0.2, 3.0], [2.0, 0.7, 3.5]])
    corners = np.array([[box[i, 0], box[j, 1], box[k, 2]] for i, j, k in np.ndindex(2, 2, 2)])
    for one in viewing_dome(box, 12, 96, -80.0, 86.0, 3, margin):
        x, y, depths = project(one, corners)
        assert (depths > 0).all() and min(x.min(), y.min()) >= 0 and max(x.max(), y.max()) <= 96


# --- pictures ---


def test_a_picture_that_is_the_target_costs_nothing_and_an_even_error_costs_its_square():
    eye = camera()
    random = np.random.default_rng(7)
    alphas = random.uniform(0.2, 1.0, (eye.height, eye.width)).astype(np.float32)
    rgb = random.uniform(0.2, 0.7, (eye.height, eye.width, 3)).astype(np.float32) * alphas[..., None]
    picture = np.concatenate([rgb, alphas[..., None]], axis=-1)
    target = Target(eye, rgb + (1 - alphas[..., None]), alphas)
    same = error_of(picture, target, "srgb")
    assert same.color < 1e-12 and same.alpha == 0 and same.psnr > 99 and np.abs(same.gradient).max() < 1e-6
    darker = picture.copy()
    darker[..., :3] -= 0.1
    off = error_of(darker, target, "srgb")
    assert off.color == pytest.approx(3 * 0.01, rel=1e-4) and off.psnr == pytest.approx(20.0, abs=1e-3)


# --- files ---


@pytest.mark.parametrize("ending", ["ply", "spz"])
def test_a_file_that_is_cut_anywhere_is_one_error(ending, tmp_path):
    write_splats(tmp_path / f"a.{ending}", cloud(6))
    whole = (tmp_path / f"a.{ending}").read_bytes()
    path = tmp_path / f"cut.{ending}"
    for size in (*range(0, len(whole), 23), *range(len(whole) - 9, len(whole))):
        path.write_bytes(whole[:size])
        with pytest.raises(SplatError, match=r"cut\."):
            read_splats(path)


def test_writing_what_was_read_makes_the_same_file(tmp_path):
    write_splats(tmp_path / "a.spz", cloud(50))
    write_splats(tmp_path / "b.spz", read_splats(tmp_path / "a.spz"))
    one, two = read_splats(tmp_path / "a.spz"), read_splats(tmp_path / "b.spz")
    for name in ("positions", "scales", "opacities", "harmonics"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-6, err_msg=name)
    np.testing.assert_allclose(covariances(one), covariances(two), atol=1e-3)
