"""Blending splats: one Gaussian in closed form, products of transmittances, and limits."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.kernels.splats.gradients import weights
from neuron_core.kernels.splats.projection import TILE, VISIBLE, Lens
from neuron_core.kernels.splats.raster import OPAQUEST, rasterize
from neuron_core.kernels.splats.sorting import project
from tests.core.splat_samples import camera, lens_of, random_harmonics, random_shapes

CONSTANT = np.sqrt(4 * np.pi)  # a harmonic of so much adds 1 to a color


def lens(width: int = 48, height: int = 40, dilation: float = 0.3) -> Lens:
    return lens_of(camera(width, height), dilation)


def drawn(lens: Lens, shapes: np.ndarray, harmonics: np.ndarray) -> np.ndarray:
    out = np.full((lens.height, lens.width, 4), 7.0, np.float32)
    rasterize(project(lens, shapes, harmonics), out)
    return out


def gaussian(
    lens: Lens, depth: float = 1.5, sigma: float = 0.15, logit: float = 0.5, beside: object = (0, 0)
) -> np.ndarray:
    """A round splat [1, 11] on a ray of the camera, at slopes beside its axis."""
    shape = np.zeros((1, 11), np.float32)
    away = np.array([*beside, 1.0]) @ lens.camera_from_world
    shape[0, :3] = lens.eye + depth * away
    shape[0, 3:6], shape[0, 6], shape[0, 10] = np.log(sigma), 1.0, logit
    return shape


def painted(*colors: tuple[float, float, float]) -> np.ndarray:
    """Harmonics [N, 1, 3] of colors that look the same from everywhere."""
    return ((np.array(colors, float) - 0.5) * CONSTANT).astype(np.float32)[:, None]


def falloff(lens: Lens, depth: float, sigma: float, logit: float) -> np.ndarray:
    """The opacity of a round splat on the axis, pixel by pixel, before it is cut off."""
    x, y = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    variances = (np.array(lens.focal) * sigma / depth) ** 2 + lens.dilation
    power = (x - lens.center[0]) ** 2 / variances[0] + (y - lens.center[1]) ** 2 / variances[1]
    return np.exp(-power / 2) / (1 + np.exp(-logit))


@pytest.mark.parametrize("dilation", [0.0, 0.3, 4.0])
def test_one_splat_is_a_gaussian_of_its_opacity_that_ends_at_a_step_of_a_byte(dilation):
    view = lens(dilation=dilation)
    found = drawn(view, gaussian(view), painted((0.2, 0.5, 0.9)))
    alpha = falloff(view, 1.5, 0.15, 0.5)
    sure = np.abs(alpha - VISIBLE) > 1e-5
    alpha = np.where(alpha > VISIBLE, alpha, 0.0)
    assert 0.1 < (alpha > 0).mean() < 0.9
    np.testing.assert_allclose(found[sure, 3], alpha[sure], atol=2e-5)
    np.testing.assert_allclose(found[sure, :3], alpha[sure, None] * [0.2, 0.5, 0.9], atol=2e-5)


def test_the_nearer_of_two_splats_lies_over_the_other_whichever_comes_first():
    view = lens()
    near, far = gaussian(view, 1.2, 0.1, 1.0), gaussian(view, 1.8, 0.2, 0.0)
    red, blue = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    one, two = (drawn(view, shape, painted(color)) for shape, color in ((near, red), (far, blue)))
    expected = one + (1 - one[..., 3:]) * two
    for shapes, colors in (((near, far), (red, blue)), ((far, near), (blue, red))):
        both = drawn(view, np.concatenate(shapes), painted(*colors))
        np.testing.assert_allclose(both, expected, atol=1e-6)


def test_many_splats_let_through_the_product_of_what_each_lets_through():
    view = lens()
    shapes, harmonics = random_shapes(25), random_harmonics(25, 4)
    shapes[:, 10] -= 1.5
    passed = np.ones((view.height, view.width))
    for n in range(25):
        passed *= 1 - drawn(view, shapes[n : n + 1], harmonics[n : n + 1])[..., 3]
    assert passed.min() < 0.8
    np.testing.assert_allclose(drawn(view, shapes, harmonics)[..., 3], 1 - passed, atol=3e-6)


def test_colors_are_linear_in_the_harmonics_while_nothing_is_cut_off():
    view, shapes = lens(), random_shapes(40)
    one, two = 0.1 * random_harmonics(40, 9, 1), 0.1 * random_harmonics(40, 9, 2)
    zero = drawn(view, shapes, np.zeros_like(one))
    parts = [drawn(view, shapes, harmonics) - zero for harmonics in (one, two, one + two)]
    assert np.abs(parts[0]).max() > 0.02
    np.testing.assert_allclose(parts[0] + parts[1], parts[2], atol=2e-6)


def test_no_splat_hides_more_than_its_most_and_enough_of_them_hide_all():
    view = lens()
    shapes = np.concatenate([gaussian(view, depth, 3.0, 30.0) for depth in np.linspace(1.2, 1.8, 12)])
    black = painted((0.0, 0.0, 0.0))
    single = drawn(view, shapes[:1], black)[20, 25, 3]
    assert single == pytest.approx(OPAQUEST, abs=1e-6)
    assert drawn(view, shapes[:2], np.repeat(black, 2, 0))[20, 25, 3] == pytest.approx(1 - 0.01**2, abs=1e-6)
    assert drawn(view, shapes, np.repeat(black, 12, 0))[20, 25, 3] > 1 - 1e-4


def test_what_is_hidden_changes_nothing_that_can_be_seen():
    view = lens()
    wall = np.concatenate([gaussian(view, depth, 3.0, 30.0) for depth in np.linspace(1.0, 1.1, 8)])
    gray, bright = painted(*[(0.5, 0.5, 0.5)] * 8), painted(*[(9.0, 9.0, 9.0)] * 8)
    behind = np.concatenate([gaussian(view, depth, 0.3, 2.0) for depth in np.linspace(1.3, 1.9, 8)])
    alone = drawn(view, wall, gray)
    both = drawn(view, np.concatenate([wall, behind]), np.concatenate([gray, bright]))
    np.testing.assert_allclose(both, alone, atol=1e-3)


def test_a_picture_shifted_by_whole_tiles_is_the_same():
    view = lens(64, 48)
    shapes, harmonics = random_shapes(60), random_harmonics(60, 4)
    shapes[:, :3] *= 0.3
    # Where shapes are exact follows from the picture: it has to hold all of them both times.
    shapes[:, 3:6] -= 1.0
    moved = replace(view, center=(view.center[0] + TILE, view.center[1] - TILE))
    one, two = drawn(view, shapes, harmonics), drawn(moved, shapes, harmonics)
    assert one[..., 3].max() > 0.5 and not one[:TILE].any() and not one[:, -TILE:].any()
    np.testing.assert_allclose(two[:-TILE, TILE:], one[TILE:, :-TILE], atol=2e-5)


def test_a_reflected_scene_is_the_reflected_picture():
    """In a plane through the camera's axis, with the principal point in the middle."""
    view = replace(lens(48, 40), center=(24.0, 20.0))
    shapes = random_shapes(60)
    shapes[:, 6:10] = [1.0, 0.0, 0.0, 0.0]
    shapes[:, 3:6] = shapes[:, 3:4]  # round: a reflection turns no axis
    mirrored = shapes.copy()
    right = view.camera_from_world[0]
    mirrored[:, :3] -= 2 * ((shapes[:, :3] - view.eye) @ right)[:, None] * right
    harmonics = random_harmonics(60, 1)
    one, two = drawn(view, shapes, harmonics), drawn(view, mirrored, harmonics)
    assert np.abs(one - one[:, ::-1]).max() > 0.1
    np.testing.assert_allclose(two, one[:, ::-1], atol=2e-4)


def test_pixels_of_partial_tiles_are_all_written_and_none_beyond():
    for size in ((1, 1), (8, 8), (9, 7), (17, 23)):
        view = lens(*size)
        guarded = np.full((size[1] + 2, size[0], 4), 7.0, np.float32)
        picture = guarded[1:-1]
        rasterize(project(view, random_shapes(30), random_harmonics(30, 1)), picture)
        assert (guarded[[0, -1]] == 7.0).all()
        assert (picture[..., 3] <= 1.0).all() and (picture >= 0).all()


def test_weights_are_the_parts_of_the_opacity_that_splats_have():
    view = lens()
    near, far = gaussian(view, 1.2, 0.1, 1.0), gaussian(view, 1.8, 0.2, 0.0)
    found = np.empty(2, np.float32)
    weights(project(view, np.concatenate([far, near]), painted((0, 0, 0), (0, 0, 0))), 2, found)
    one, two = (drawn(view, shape, painted((0, 0, 0)))[..., 3].astype(float) for shape in (near, far))
    np.testing.assert_allclose(found, [((1 - one) * two).sum(), one.sum()], rtol=1e-5)


def test_weights_of_what_is_out_of_sight_are_zero():
    view = lens()
    shapes = np.concatenate(
        [gaussian(view), gaussian(view, -1.0), gaussian(view, beside=(4.0, 0.0), sigma=0.01)]
    )
    found = np.full(3, 7.0, np.float32)
    weights(project(view, shapes, painted(*[(0, 0, 0)] * 3)), 3, found)
    assert found[0] > 1 and not found[1:].any()
