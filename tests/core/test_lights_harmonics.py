"""Spherical harmonics: orthonormal, in one convention, and how they turn."""

import numpy as np
import pytest

from neuron_core.lights.errors import LightError
from neuron_core.lights.harmonics import basis, legendre, rotation
from neuron_core.lights.latlong import about_up, fejer_weights, polar_angles, solid_angles
from neuron_core.lights.studio import latlong_directions
from neuron_core.splats.harmonics import basis as splat_basis


def spread(count, seed=0):
    directions = np.random.default_rng(seed).normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def turn(seed, mirrored=False):
    matrix = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return matrix if (np.linalg.det(matrix) < 0.0) == mirrored else -matrix


def test_the_harmonics_are_orthonormal():
    values = basis(about_up(latlong_directions(48, 24)), 8).reshape(-1, 64)
    products = values.T @ (values * np.repeat(solid_angles(24), 48)[:, None])
    np.testing.assert_allclose(products, np.eye(64), atol=1e-13)


def test_the_convention_is_that_of_splats():
    directions = spread(50)
    np.testing.assert_allclose(basis(directions, 4), splat_basis(directions, 16), atol=1e-13)


def test_high_degrees_are_normalized_too():
    angles = polar_angles(400)
    by_wave = legendre(200, np.cos(angles))
    for m in (0, 1, 40, 199):
        values = by_wave[m] * np.sin(angles) ** m
        products = 2.0 * np.pi * (values * fejer_weights(400)) @ values.T
        np.testing.assert_allclose(products, np.eye(200 - m), atol=1e-11)


def test_zonal_harmonics_can_be_had_alone():
    cosines = np.linspace(-1.0, 1.0, 9)
    assert np.array_equal(legendre(12, cosines, waves=1)[0], legendre(12, cosines)[0])
    polynomials = np.polynomial.legendre.legvander(cosines, 11).T
    norms = np.sqrt((2.0 * np.arange(12) + 1.0) / (4.0 * np.pi))
    np.testing.assert_allclose(legendre(12, cosines)[0] / norms[:, None], polynomials, atol=1e-13)


def test_the_squares_of_a_degree_sum_to_the_same_in_every_direction():
    squares = basis(spread(20), 30) ** 2
    for degree in (0, 7, 29):
        sums = squares[:, degree**2 : (degree + 1) ** 2].sum(axis=1)
        np.testing.assert_allclose(sums, (2 * degree + 1) / (4.0 * np.pi), rtol=1e-12)


@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_coefficients_are_those_of_the_turned_light(mirrored):
    matrix, light = turn(1, mirrored), np.random.default_rng(2).normal(size=(25, 3))
    directions = spread(40)
    turned = basis(directions @ matrix.T, 5) @ (rotation(matrix, 5) @ light)
    np.testing.assert_allclose(turned, basis(directions, 5) @ light, atol=1e-12)


def test_turns_compose_and_keep_lengths():
    first, second = turn(3), turn(4, mirrored=True)
    together = rotation(second, 5) @ rotation(first, 5)
    np.testing.assert_allclose(together, rotation(second @ first, 5), atol=1e-12)
    np.testing.assert_allclose(together @ together.T, np.eye(25), atol=1e-12)


@pytest.mark.parametrize(
    "matrix", [np.diag([1.0, 2.0, 1.0]), np.zeros((3, 3)), np.eye(4), np.full((3, 3), np.nan)]
)
def test_what_does_not_turn_is_refused(matrix):
    with pytest.raises(LightError, match="does not turn or mirror"):
        rotation(matrix, 3)
