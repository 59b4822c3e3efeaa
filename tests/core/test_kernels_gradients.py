"""Gradients of a picture of splats: central differences of the picture itself, and identities."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.kernels.splats.gradients import GRADIENT, backward, weights
from neuron_core.kernels.splats.projection import VISIBLE, Lens
from neuron_core.kernels.splats.raster import rasterize
from neuron_core.kernels.splats.sorting import project
from tests.core.splat_samples import camera, lens_of, random_harmonics, random_shapes

PARAMETERS = ("x", "y", "z", "scale", "scale", "scale", "w", "i", "j", "k", "opacity")
CONSTANT = 0.28209479177387814  # the harmonic of degree 0: 1 / sqrt(4 pi)


def lens() -> Lens:
    return lens_of(camera(40, 32))


def soft(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Dim splats that reach beyond the picture, of colors that are not cut off: their picture is smooth."""
    shapes, harmonics = random_shapes(count, seed), random_harmonics(count, 1, seed)
    shapes[:, 3:6] = np.log(0.8) + 0.3 * (shapes[:, 3:6] - np.log(0.06))
    shapes[:, 10] = -0.5 + 0.3 * shapes[:, 10]
    return shapes, 0.5 * harmonics


def drawn(lens: Lens, shapes: np.ndarray, harmonics: np.ndarray) -> np.ndarray:
    out = np.empty((lens.height, lens.width, 4), np.float32)
    rasterize(project(lens, shapes, harmonics), out)
    return out


def gradients(lens: Lens, shapes: np.ndarray, harmonics: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """What `wanted` [H, W, 4] says about each splat."""
    projected = project(lens, shapes, harmonics)
    picture, found = np.empty_like(wanted), np.full((len(shapes), GRADIENT), 7.0, np.float32)
    rasterize(projected, picture)
    backward(projected, shapes, picture, wanted, found)
    return found


def smooth(lens: Lens, seed: int = 0) -> np.ndarray:
    """A gradient of a picture without sharp edges, [H, W, 4]."""
    x, y = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    random = np.random.default_rng(seed)
    phases = random.uniform(0, 6, (4, 3))
    channels = [np.sin(0.15 * x + a) * np.cos(0.12 * y + b) + 0.5 * np.sin(c) for a, b, c in phases]
    return np.stack(channels, axis=-1).astype(np.float32)


def differences(lens: Lens, shapes: np.ndarray, harmonics: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Central differences [N, 11] of the sum of the picture times `wanted`."""
    found = np.zeros((len(shapes), 11))
    for n, column in np.ndindex(found.shape):
        step = 4e-3
        values = []
        for side in (-1, 1):
            moved = shapes.copy()
            moved[n, column] += side * step
            values.append(float((drawn(lens, moved, harmonics).astype(float) * wanted).sum()))
        found[n, column] = (values[1] - values[0]) / (2 * step)
    return found


@pytest.mark.parametrize("count", [1, 6])
def test_gradients_of_shapes_are_differences_of_the_picture(count):
    view, (shapes, harmonics) = lens(), soft(count, seed=2)
    shapes[:, :3] *= 0.3
    shapes[:, :3] += (
        np.linspace(-0.5, 0.5, count)[:, None] * view.camera_from_world[2]
    )  # no two change places
    wanted = smooth(view)
    for n in range(count):  # no border of a splat moves over a pixel
        assert drawn(view, shapes[n : n + 1], harmonics[n : n + 1])[..., 3].min() > 2 * VISIBLE
    found, expected = gradients(view, shapes, harmonics, wanted), differences(view, shapes, harmonics, wanted)
    for columns in ((0, 1, 2), (3, 4, 5), (6, 7, 8, 9), (10,)):
        scale = np.abs(expected[:, columns]).max()
        assert scale > 0.01
        names = [PARAMETERS[column] for column in columns]
        np.testing.assert_allclose(
            found[:, columns] / scale, expected[:, columns] / scale, atol=3e-3, err_msg=str(names)
        )


def test_gradients_of_colors_are_the_exact_differences_of_a_picture_that_is_linear_in_them():
    view, (shapes, harmonics) = lens(), soft(6)
    wanted = smooth(view)
    found = gradients(view, shapes, harmonics, wanted)[:, 11:]
    for n, channel in np.ndindex(found.shape):
        moved = harmonics.copy()
        moved[n, 0, channel] += 1.0 / CONSTANT  # the color grows by 1
        change = drawn(view, shapes, moved).astype(float) - drawn(view, shapes, harmonics)
        assert found[n, channel] == pytest.approx(float((change * wanted).sum()), rel=1e-3, abs=1e-3)


def test_gradients_are_linear_in_what_is_wanted():
    view, (shapes, harmonics) = lens(), soft(40)
    one, two = smooth(view, 1), smooth(view, 2)
    parts = [gradients(view, shapes, harmonics, wanted) for wanted in (one, two, 2 * one - 3 * two)]
    expected = 2 * parts[0].astype(float) - 3 * parts[1]
    np.testing.assert_allclose(parts[2], expected, atol=3e-5 * np.abs(expected).max())
    assert not gradients(view, shapes, harmonics, np.zeros_like(one)).any()


def test_what_is_wanted_of_pixels_that_a_splat_does_not_reach_says_nothing_about_it():
    view, (shapes, harmonics) = lens(), soft(2)
    shapes[:, 3:6] = np.log(0.03)
    shapes[0, :3], shapes[1, :3] = 0.3 * view.camera_from_world[0], -0.3 * view.camera_from_world[0]
    wanted = smooth(view)
    shown = [drawn(view, shapes[n : n + 1], harmonics[n : n + 1])[..., 3] > 0 for n in range(2)]
    assert shown[0].any() and shown[1].any() and not (shown[0] & shown[1]).any()
    found = gradients(view, shapes, harmonics, np.where(shown[0][..., None], wanted, 0.0).astype(np.float32))
    assert found[0].any() and not found[1].any()


def test_splats_that_are_not_seen_have_no_gradient():
    view, (shapes, harmonics) = lens(), soft(5)
    shapes[1, :3], shapes[2, 10], shapes[3, 6:10] = view.eye * 1.5, -9.0, 0.0
    found = gradients(view, shapes, harmonics, smooth(view))
    assert found[0].any() and found[4].any() and not found[1:4].any()


def test_the_length_of_a_quaternion_has_no_gradient_and_scales_that_of_its_direction():
    """The picture is the same along it: a gradient is perpendicular to it and falls with the length."""
    view, (shapes, harmonics) = lens(), soft(20)
    wanted = smooth(view)
    found = gradients(view, shapes, harmonics, wanted)[:, 6:10]
    along = (found * shapes[:, 6:10]).sum(axis=-1)
    assert np.abs(found).max() > 0.1
    np.testing.assert_allclose(along, 0.0, atol=1e-4 * np.abs(found).max())
    longer = shapes.copy()
    longer[:, 6:10] *= 4.0
    np.testing.assert_allclose(
        gradients(view, longer, harmonics, wanted)[:, 6:10], found / 4, atol=1e-4 * np.abs(found).max()
    )


def test_turning_a_round_splat_changes_nothing():
    view, (shapes, harmonics) = lens(), soft(20)
    shapes[:, 3:6] = np.log(0.1)
    found = gradients(view, shapes, harmonics, smooth(view))
    assert np.abs(found[:, 3:6]).max() > 0.1
    np.testing.assert_allclose(found[:, 6:10], 0.0, atol=1e-3 * np.abs(found[:, 3:6]).max())


def test_turning_all_splats_and_the_camera_turns_their_gradients():
    """Gradients of positions turn with the camera."""
    view, (shapes, harmonics) = lens(), soft(10)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    shapes[:, 3:6] = shapes[:, 3:4]  # round, so that no quaternion has to be turned
    moved = shapes.copy()
    moved[:, :3] = shapes[:, :3] @ turn.T
    other = replace(view, camera_from_world=view.camera_from_world @ turn.T, eye=turn @ view.eye)
    wanted = smooth(view)
    one, two = (gradients(lens, part, harmonics, wanted) for lens, part in ((view, shapes), (other, moved)))
    scale = np.abs(one[:, :3]).max()
    np.testing.assert_allclose(two[:, :3], one[:, :3] @ turn.T, atol=2e-3 * scale)
    np.testing.assert_allclose(two[:, 10:], one[:, 10:], atol=2e-3 * np.abs(one[:, 10:]).max())


def test_a_color_that_was_cut_off_has_no_gradient_and_the_others_keep_theirs():
    view, (shapes, harmonics) = lens(), soft(8)
    wanted = smooth(view)
    before = gradients(view, shapes, harmonics, wanted)[:, 11:]
    harmonics[3, 0, 1] = harmonics[5, 0, :] = -9.0
    after = gradients(view, shapes, harmonics, wanted)[:, 11:]
    expected = before.copy()
    expected[3, 1], expected[5] = 0.0, 0.0
    assert np.abs(before).min() > 0
    np.testing.assert_allclose(after, expected, rtol=1e-6)


def test_an_opacity_that_was_cut_off_does_not_grow_for_it():
    """At the most that a splat may hide the picture does not change with it."""
    view, (shapes, harmonics) = lens(), soft(1)
    shapes[:, :3], shapes[:, 3:6], shapes[:, 10] = 0.0, np.log(50.0), 30.0
    found = gradients(view, shapes, harmonics, smooth(view))
    assert not found[:, :11].any() and found[:, 11:].any()


def test_gradients_of_colors_add_up_to_the_weights_of_splats():
    """Each splat's color counts by its weight: what says 1 everywhere sums them up."""
    view, (shapes, harmonics) = lens(), soft(30)
    ones = np.ones((view.height, view.width, 4), np.float32)
    found, expected = gradients(view, shapes, harmonics, ones)[:, 11:], np.empty(30, np.float32)
    weights(project(view, shapes, harmonics), 30, expected)
    np.testing.assert_allclose(found, np.tile(expected[:, None], 3), rtol=1e-5)


def test_the_picture_and_its_gradient_are_adjoint_in_the_colors():
    """The product of a change of colors with the gradient is that of the picture's change with what is
    wanted."""
    view, (shapes, harmonics) = lens(), soft(30)
    random = np.random.default_rng(4)
    change = (0.3 * random.normal(size=(30, 3))).astype(np.float32)
    wanted = random.normal(size=(view.height, view.width, 4)).astype(np.float32)
    shifted = harmonics + (change / CONSTANT)[:, None]
    lit = 0.5 + CONSTANT * np.minimum(harmonics, shifted)[:, 0]
    assert (lit > 0).all(axis=1).mean() > 0.7
    kept = (lit > 0).all(axis=1)
    shifted[~kept] = harmonics[~kept]
    left = float((gradients(view, shapes, harmonics, wanted)[kept, 11:] * change[kept]).sum())
    moved = drawn(view, shapes, shifted).astype(float) - drawn(view, shapes, harmonics)
    assert left == pytest.approx(float((moved * wanted).sum()), rel=2e-3)


def test_splats_in_another_order_have_the_same_gradients():
    view, (shapes, harmonics) = lens(), soft(50)
    order = np.random.default_rng(7).permutation(50)
    wanted = smooth(view)
    one = gradients(view, shapes, harmonics, wanted)
    two = gradients(view, shapes[order], harmonics[order], wanted)
    np.testing.assert_allclose(two, one[order], atol=1e-4 * np.abs(one).max())
