"""Splats as a camera sees them: against the derivative of the pinhole and sampled Gaussians."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.cameras.camera import project as seen_at
from neuron_core.kernels.splats.projection import MARGIN, TILE, VISIBLE, Lens, lens_depths, project_shapes
from tests.core.splat_samples import camera, lens_of, random_harmonics, random_shapes

N = 80
DILATION = 0.3


def ellipses_of(
    lens: Lens, shapes: np.ndarray, harmonics: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The ellipses [N], as an array of records, and how many tiles each touches."""
    harmonics = random_harmonics(len(shapes), 1) if harmonics is None else harmonics
    ellipses, touched = project_shapes(lens, shapes, harmonics)
    return ellipses.numpy(), touched.numpy()[:-1]


def wide(dilation: float = DILATION) -> Lens:
    """Its picture holds all splats around the origin."""
    return lens_of(camera(120, 100), dilation)


def rotations(quaternions: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: the angle is twice that whose cosine is w."""
    unit = quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True)
    sine = np.linalg.norm(unit[:, 1:], axis=-1)
    angles, (x, y, z) = 2 * np.arctan2(sine, unit[:, 0]), (unit[:, 1:] / sine[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    return (
        np.eye(3)
        + np.sin(angles)[:, None, None] * cross
        + (1 - np.cos(angles))[:, None, None] * cross @ cross
    )


def covariances(shapes: np.ndarray) -> np.ndarray:
    """Of splats in the world, [N, 3, 3] float64."""
    shapes = shapes.astype(float)
    axes = rotations(shapes[:, 6:10]) * np.exp(shapes[:, None, 3:6])
    return axes @ axes.transpose(0, 2, 1)


def pixel_of(lens: Lens, points: np.ndarray) -> np.ndarray:
    local = (points - lens.eye) @ lens.camera_from_world.T
    return local[..., :2] / local[..., 2:] * lens.focal + lens.center


def in_pixels(ellipses: np.ndarray) -> np.ndarray:
    """The covariances [N, 2, 2] of ellipses."""
    xx, xy, yy = ellipses["inverse"].astype(float).T
    return np.linalg.inv(np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2))


def test_an_ellipse_has_the_covariance_of_the_linear_part_of_the_pinhole():
    """Jacobian times covariance times its transpose (Zwicker 2001), the Jacobian by central differences."""
    lens, shapes = wide(), random_shapes(N)
    ellipses, touched = ellipses_of(lens, shapes)
    assert (touched > 0).sum() > 0.7 * N
    points, step = shapes[:, None, :3].astype(float), 1e-5 * np.eye(3)
    jacobians = (pixel_of(lens, points + step) - pixel_of(lens, points - step)).transpose(0, 2, 1) / 2e-5
    expected = jacobians @ covariances(shapes) @ jacobians.transpose(0, 2, 1) + DILATION * np.eye(2)
    shown = touched > 0
    found = in_pixels(ellipses[shown])
    scale = np.abs(expected[shown]).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found / scale, expected[shown] / scale, atol=2e-4)


def test_a_small_splat_is_where_its_samples_fall():
    lens, shapes = wide(0.0), random_shapes(4)
    shapes[:, 3:6] -= 2.0
    shapes[:, 10] = 3.0
    ellipses, touched = ellipses_of(lens, shapes)
    random = np.random.default_rng(0)
    for n in np.flatnonzero(touched):
        samples = random.multivariate_normal(shapes[n, :3], covariances(shapes[n : n + 1])[0], 60000)
        pixels = pixel_of(lens, samples)
        np.testing.assert_allclose(pixels.mean(axis=0), ellipses["center"][n], atol=0.02)
        found = in_pixels(ellipses[n : n + 1])[0]
        np.testing.assert_allclose(np.cov(pixels.T), found, atol=0.04 * np.abs(found).max())


def test_centers_and_depths_are_those_of_the_camera():
    view, shapes = camera(120, 100), random_shapes(N)
    ellipses, touched = ellipses_of(lens_of(view), shapes)
    x, y, depth = seen_at(view, shapes[:, :3].astype(float))
    shown = touched > 0
    np.testing.assert_allclose(ellipses["center"][shown], np.stack([x, y], axis=-1)[shown], atol=1e-3)
    np.testing.assert_allclose(ellipses["depth"][shown], depth[shown], rtol=1e-6)


def test_the_length_and_the_sign_of_a_quaternion_do_not_matter():
    lens, shapes = wide(), random_shapes(N)
    wanted, touched = ellipses_of(lens, shapes)
    for factor in (-1.0, 0.01, 30.0):
        other = shapes.copy()
        other[:, 6:10] *= factor
        found, again = ellipses_of(lens, other)
        np.testing.assert_array_equal(again, touched)
        for name in ("inverse", "center", "half_width"):
            np.testing.assert_allclose(
                found[name][touched > 0], wanted[name][touched > 0], rtol=2e-4, atol=1e-6
            )


def test_a_round_splat_looks_the_same_however_it_is_turned_and_its_ellipse_is_stretched_away_from_the_axis():
    lens, shapes = wide(0.0), random_shapes(2)
    shapes[:, :3] = [0.2, 0.1, -0.3]
    shapes[:, 3:6] = np.log(0.05)
    ellipses, _ = ellipses_of(lens, shapes)
    np.testing.assert_allclose(ellipses["inverse"][0], ellipses["inverse"][1], rtol=1e-4, atol=1e-6)
    depth = float(ellipses["depth"][0])
    slope = (ellipses["center"][0] - lens.center) / lens.focal
    assert np.linalg.norm(slope) > 0.1
    found = in_pixels(ellipses[:1])[0] / np.outer(lens.focal, lens.focal) * (depth / 0.05) ** 2
    np.testing.assert_allclose(found, np.eye(2) + np.outer(slope, slope), atol=1e-4)


def test_dilation_adds_its_variance_to_both_axes():
    shapes = random_shapes(N)
    plain, touched = ellipses_of(wide(0.0), shapes)
    dilated, again = ellipses_of(wide(2.5), shapes)
    both = (touched > 0) & (again > 0)
    added = in_pixels(dilated[both]) - in_pixels(plain[both])
    scale = np.abs(in_pixels(plain[both])).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(added / scale, 2.5 * np.eye(2) / scale, atol=1e-3)


def test_the_box_of_an_ellipse_is_where_its_opacity_falls_to_a_step_of_a_byte():
    """On the tangent points of the box the opacity is 1 / 255, everywhere outside it is less."""
    ellipses, touched = ellipses_of(wide(), random_shapes(N))
    for ellipse in ellipses[touched > 0]:
        a, b, c = ellipse["inverse"].astype(float)
        width, height = float(ellipse["half_width"]), float(ellipse["half_height"])
        for x, y in ((width, -b / c * width), (-b / a * height, height)):
            power = 0.5 * (a * x * x + 2 * b * x * y + c * y * y)
            assert float(ellipse["opacity"]) * np.exp(-power) == pytest.approx(VISIBLE, rel=2e-3)
        angles = np.linspace(0, 2 * np.pi, 60)
        outside = 1.001 * np.stack([np.cos(angles), np.sin(angles)])
        outside /= np.abs(outside / [[width], [height]]).max(axis=0)
        power = 0.5 * (a * outside[0] ** 2 + 2 * b * outside[0] * outside[1] + c * outside[1] ** 2)
        assert (float(ellipse["opacity"]) * np.exp(-power * 1.01) < VISIBLE).all()


def test_tiles_that_are_touched_are_those_under_the_box():
    for lens in (wide(), lens_of(camera())):
        ellipses, touched = ellipses_of(lens, random_shapes(N))
        columns, rows = lens.tiles
        for ellipse, count in zip(ellipses[touched > 0], touched[touched > 0], strict=True):
            x, y = ellipse["center"]
            width, height = ellipse["half_width"], ellipse["half_height"]
            across = sum(TILE * k < x + width and TILE * (k + 1) > x - width for k in range(columns))
            down = sum(TILE * k < y + height and TILE * (k + 1) > y - height for k in range(rows))
            assert count == across * down


def test_opacities_are_the_logistic_function_and_what_cannot_be_seen_touches_no_tile():
    shapes = np.repeat(random_shapes(1), 40, axis=0)
    shapes[:, :3], shapes[:, 10] = 0.0, np.linspace(-8, 8, 40)
    ellipses, touched = ellipses_of(wide(), shapes)
    opacities = 1 / (1 + np.exp(-shapes[:, 10].astype(float)))
    np.testing.assert_array_equal(touched > 0, opacities > VISIBLE)
    np.testing.assert_allclose(ellipses["opacity"][touched > 0], opacities[touched > 0], rtol=1e-6)


def test_splats_nearer_than_near_or_beside_the_picture_touch_no_tile():
    lens = wide()
    axis = lens.camera_from_world[2]
    shapes = np.repeat(random_shapes(1), 4, axis=0)
    shapes[:, 3:6], shapes[:, 10] = np.log(0.01), 2.0
    shapes[0, :3] = lens.eye + 0.99 * lens.near * axis
    shapes[1, :3] = lens.eye + 1.01 * lens.near * axis
    shapes[2, :3] = lens.eye - 1.5 * axis
    shapes[3, :3] = 3.0 * lens.camera_from_world[0]
    assert (ellipses_of(lens, shapes)[1] > 0).tolist() == [False, True, False, False]


def test_shapes_far_beside_the_picture_are_taken_as_they_are_at_its_margin():
    """Else a splat beside the camera would cover the picture."""
    lens = wide(0.0)
    right, _, ahead = lens.camera_from_world
    limit = (lens.width - lens.center[0]) / lens.focal[0] + MARGIN * lens.width / lens.focal[0]
    shapes = np.repeat(random_shapes(1), 3, axis=0)
    shapes[:, 3:6], shapes[:, 10] = np.log(0.4), 4.0
    slopes = np.array([0.9, 1.2, 1.5]) * limit
    shapes[:, :3] = lens.eye + 1.5 * (ahead + slopes[:, None] * right)
    ellipses, touched = ellipses_of(lens, shapes)
    assert (touched > 0).all()
    spread = in_pixels(ellipses)[:, 0, 0] / lens.focal[0] ** 2 * (1.5 / 0.4) ** 2
    np.testing.assert_allclose(spread, 1 + np.minimum(slopes, limit) ** 2, rtol=1e-3)
    expected = lens.center[0] + lens.focal[0] * slopes  # but they stay where they are
    np.testing.assert_allclose(ellipses["center"][:, 0], expected, rtol=1e-5)


def test_moving_splats_and_camera_together_changes_nothing():
    lens, shapes = wide(), random_shapes(N)
    moved = shapes.copy()
    moved[:, :3] += np.float32([4.0, -2.0, 8.0])
    one, touched = ellipses_of(lens, shapes)
    two, again = ellipses_of(replace(lens, eye=lens.eye + [4.0, -2.0, 8.0]), moved)
    np.testing.assert_array_equal(again, touched)
    np.testing.assert_allclose(two["center"][touched > 0], one["center"][touched > 0], atol=2e-3)
    np.testing.assert_allclose(two["inverse"][touched > 0], one["inverse"][touched > 0], rtol=1e-4, atol=1e-6)


def test_a_scene_twice_as_large_looks_the_same_from_twice_as_far():
    lens, shapes = wide(), random_shapes(N)
    large = shapes.copy()
    large[:, :3] *= 2
    large[:, 3:6] += np.log(2)
    far = replace(lens, eye=lens.eye * 2, near=lens.near * 2, far=lens.far * 2)
    one, touched = ellipses_of(lens, shapes)
    two, again = ellipses_of(far, large)
    np.testing.assert_array_equal(again, touched)
    np.testing.assert_allclose(two["center"][touched > 0], one["center"][touched > 0], atol=1e-3)
    np.testing.assert_allclose(two["inverse"][touched > 0], one["inverse"][touched > 0], rtol=2e-4, atol=1e-6)


def test_near_and_far_hold_the_box_between_them():
    random = np.random.default_rng(2)
    low, high = np.array([-1.0, 0.0, 2.0]), np.array([0.5, 0.7, 4.0])
    corners = np.where(random.integers(0, 2, (8, 3)), low, high)
    for eye in random.normal(size=(20, 3)) * 6:
        near, far = lens_depths(eye, low, high)
        distances = np.linalg.norm(corners - eye, axis=-1)
        assert 0 < near < far and (distances < far).all()
        assert near <= max(np.linalg.norm(np.clip(eye, low, high) - eye), 0.01 * far) + 1e-9


# --- harmonics ---


def terms_of(directions: np.ndarray, terms: int = 16) -> np.ndarray:
    """The basis [D, K] as the kernel has it: the colors of splats with one harmonic each, less a constant."""
    count = len(directions)
    shapes = np.zeros((count * terms, 11), np.float32)
    shapes[:, 3:6], shapes[:, 6], shapes[:, 10] = np.log(0.01), 1.0, 3.0
    harmonics = np.zeros((count, terms, terms, 3), np.float32)
    harmonics[:, np.arange(terms), np.arange(terms)] = 0.25  # small: nothing is cut off
    found = np.zeros((count, terms))
    for number, direction in enumerate(directions):
        lens = replace(
            wide(), eye=-direction.astype(float), camera_from_world=frame(direction), near=0.1, far=2.0
        )
        part = shapes[number * terms : (number + 1) * terms]
        ellipses, touched = ellipses_of(lens, part, np.ascontiguousarray(harmonics[number]))
        assert (touched > 0).all()
        found[number] = (ellipses["color"][:, 1].astype(float) - 0.5) / 0.25
    return found


def frame(direction: np.ndarray) -> np.ndarray:
    """A rotation whose last row is a direction."""
    side = np.cross(direction, [0.3, -0.8, 0.5])
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(direction, side), direction])


def test_harmonics_obey_the_addition_theorem_degree_by_degree():
    """The sum over a degree of products at two directions is (2 l + 1) / 4 pi times Legendre's polynomial."""
    directions = np.random.default_rng(3).normal(size=(12, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    basis, cosines = terms_of(directions), directions @ directions.T
    for degree in range(4):
        part = basis[:, degree**2 : (degree + 1) ** 2]
        legendre = np.polynomial.legendre.Legendre.basis(degree)(cosines)
        np.testing.assert_allclose(part @ part.T, (2 * degree + 1) / (4 * np.pi) * legendre, atol=2e-6)


def test_harmonics_of_the_first_degree_point_along_the_axes_and_opposite_directions_differ_by_parity():
    directions = np.concatenate([np.eye(3), -np.eye(3)])
    basis = terms_of(directions)
    np.testing.assert_allclose(
        basis[:3, 1:4] / np.sqrt(3 / 4 / np.pi), [[0, 0, -1], [-1, 0, 0], [0, 1, 0]], atol=1e-6
    )
    parity = np.repeat([1, -1, 1, -1], [1, 3, 5, 7])
    np.testing.assert_allclose(basis[3:], basis[:3] * parity, atol=1e-6)


def test_negative_colors_are_cut_off_channel_by_channel_and_remembered():
    shapes = np.repeat(random_shapes(1), 3, axis=0)
    shapes[:, :3] = 0.0
    harmonics = np.zeros((3, 1, 3), np.float32)
    harmonics[:, 0] = np.array([[0.1, 0.2, -0.3], [-9.0, 0.0, -9.0], [-9.0, -9.0, -9.0]])
    ellipses, _ = ellipses_of(wide(), shapes, harmonics)
    expected = 0.5 + harmonics[:, 0] / np.sqrt(4 * np.pi)
    np.testing.assert_allclose(ellipses["color"], np.maximum(expected, 0), atol=1e-6)
    assert ellipses["cut"].tolist() == [0, 0b101, 0b111]
