"""Transforms of latitude-longitude maps: exact, linear, and they keep energy."""

import numpy as np
import pytest

from neuron_core.lights.errors import LightError
from neuron_core.lights.harmonics import basis, rotation
from neuron_core.lights.latlong import (
    about_up,
    analyze,
    convolve,
    fejer_weights,
    from_world,
    lookup,
    polar_angles,
    shrink,
    solid_angles,
    synthesize,
    to_world,
)
from neuron_core.lights.studio import latlong_directions, studio_environment


def coefficients(order, seed=0, channels=3):
    return np.random.default_rng(seed).normal(size=(order * order, channels))


def rectangles(image):
    """The integral over the sphere of pixels of constant radiance."""
    areas = -np.diff(np.cos(np.linspace(0.0, np.pi, len(image) + 1))) * np.pi / len(image)
    return np.einsum("h,hwc->c", areas, np.asarray(image, np.float64))


def test_the_weights_integrate_polynomials_exactly():
    for count in (1, 2, 7, 16):
        cosines = np.cos(polar_angles(count))
        for degree in range(count):
            exact = 2.0 / (degree + 1) if degree % 2 == 0 else 0.0
            assert fejer_weights(count) @ cosines**degree == pytest.approx(exact, abs=1e-14)


def test_all_pixels_together_are_the_whole_sphere():
    angles = solid_angles(31)
    assert angles.min() > 0.0 and 62 * angles.sum() == pytest.approx(4.0 * np.pi)


def test_a_constant_map_has_only_degree_zero():
    found = analyze(np.full((32, 64, 3), 2.5, np.float32), 32)
    np.testing.assert_allclose(found[0], 2.5 * np.sqrt(4.0 * np.pi))
    assert np.abs(found[1:]).max() < 1e-12


def test_coefficients_are_those_of_the_harmonics_in_the_directions_of_the_pixels():
    known = coefficients(6)
    image = basis(latlong_directions(24, 12), 6) @ known
    np.testing.assert_allclose(to_world(analyze(image, 6)), known, atol=1e-12)
    np.testing.assert_allclose(synthesize(from_world(known), 12), image, atol=1e-12)
    above = basis(about_up(latlong_directions(24, 12)), 6) @ known
    np.testing.assert_allclose(analyze(above, 6), known, atol=1e-12)


@pytest.mark.parametrize(("height", "order"), [(16, 16), (17, 9), (128, 96), (2, 2), (1, 1)])
def test_there_and_back_is_exact_up_to_as_many_degrees_as_rows(height, order):
    known = coefficients(order, seed=order)
    np.testing.assert_allclose(analyze(synthesize(known, height), order), known, atol=1e-10)


def test_the_transform_is_linear():
    first, second = np.random.default_rng(1).random((2, 16, 32, 3))
    both = analyze(first + 3.0 * second, 12)
    np.testing.assert_allclose(both, analyze(first, 12) + 3.0 * analyze(second, 12), atol=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_convolution_commutes_with_turning_and_mirroring(sign):
    matrix = sign * np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    light, zonal = coefficients(7, seed=3), np.random.default_rng(4).random(7)
    turned = rotation(matrix, 7)
    np.testing.assert_allclose(convolve(turned @ light, zonal), turned @ convolve(light, zonal), atol=1e-12)


def test_turning_a_map_by_whole_pixels_turns_its_coefficients():
    image = np.random.default_rng(6).random((16, 32, 3))
    angle = 2.0 * np.pi * 5 / 32  # from +Z towards +X: to the left
    matrix = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    found = to_world(analyze(np.roll(image, -5, axis=1), 5))
    np.testing.assert_allclose(found, rotation(matrix, 5) @ to_world(analyze(image, 5)), atol=1e-12)


@pytest.mark.parametrize("height", [128, 32, 30, 1])
def test_fewer_pixels_keep_energy_and_constants(height):
    image = studio_environment(256, 128)
    image[40, 3] = 5000.0
    np.testing.assert_allclose(rectangles(shrink(image, height)), rectangles(image), rtol=1e-12)
    assert np.ptp(shrink(np.ones((64, 128, 3)), min(height, 64))) < 1e-12


def test_pixels_are_found_at_their_directions_and_the_edges_wrap():
    image = np.random.default_rng(7).random((8, 16, 3))
    np.testing.assert_allclose(lookup(image, latlong_directions(16, 8)), image, atol=1e-12)
    behind = np.array([[1e-9, 0.3, -1.0], [-1e-9, 0.3, -1.0]])
    np.testing.assert_allclose(*lookup(image, behind), atol=1e-7)
    poles = lookup(image, np.array([[1e-9, 1.0, 0.0], [-1e-9, 1.0, 0.0]]))
    np.testing.assert_allclose(*poles, atol=1e-7)


def test_a_smooth_light_is_looked_up_everywhere():
    known = coefficients(4, seed=8)
    directions = np.random.default_rng(9).normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    found = lookup(synthesize(from_world(known), 128), directions)
    np.testing.assert_allclose(found, basis(directions, 4) @ known, atol=3e-3)


def test_more_than_a_map_holds_is_refused():
    with pytest.raises(LightError, match="order 9"):
        analyze(np.zeros((8, 16, 3)), 9)
    with pytest.raises(LightError, match="shrink to 9"):
        shrink(np.zeros((8, 16, 3)), 9)
