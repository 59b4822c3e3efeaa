"""Lobes: their energy, their zonal numbers, and what the size of a source does to them."""

import numpy as np
import pytest

from neuron_core.lights.errors import LightError
from neuron_core.lights.harmonics import basis
from neuron_core.lights.latlong import about_up, convolve, fejer_weights, polar_angles, synthesize
from neuron_core.lights.lobes import ROUGHNESSES, Lobe, cosine_zonal
from neuron_core.lights.studio import latlong_directions


def over_the_sphere(values_at):
    """The integral of a function of the cosine, by many rows."""
    return 2.0 * np.pi * fejer_weights(20000) @ values_at(np.cos(polar_angles(20000)))


@pytest.mark.parametrize("radius", [0.0, 0.00465, 0.1])
@pytest.mark.parametrize("roughness", ROUGHNESSES)
def test_a_lobe_has_energy_one(roughness, radius):
    lobe = Lobe(roughness, radius)
    assert over_the_sphere(lobe.value) == pytest.approx(1.0, abs=1e-6)
    assert lobe.zonal(8)[0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("roughness", ROUGHNESSES)
def test_a_lobe_is_the_distribution_of_half_vectors_over_the_upper_half(roughness):
    angles = np.array([0.0, 0.01, 0.3, 1.2])
    alpha = roughness**2
    squares = np.cos(angles / 2.0) ** 2
    density = alpha**2 / (np.pi * (squares * (alpha**2 - 1.0) + 1.0) ** 2)
    found = Lobe(roughness).value(np.cos(angles)) / np.cos(angles)
    np.testing.assert_allclose(found / found[0], density / density[0], rtol=1e-9)
    assert (Lobe(roughness).value(np.array([0.0, -0.5, -1.0])) == 0.0).all()


@pytest.mark.parametrize("roughness", ROUGHNESSES)
def test_zonal_numbers_fall_from_one_and_stay_positive(roughness):
    zonal = Lobe(roughness).zonal(200)
    shown = zonal[zonal > 1e-3]
    assert (np.diff(shown) < 0.0).all() and np.abs(zonal).max() <= 1.0 + 1e-12


def test_the_cosine_has_the_numbers_of_irradiance():
    np.testing.assert_allclose(cosine_zonal(7), [1, 2 / 3, 1 / 4, 0, -1 / 24, 0, 1 / 64], atol=1e-13)


@pytest.mark.parametrize("roughness", [0.35, 0.5, 0.75])
def test_a_point_of_light_that_is_blurred_is_the_lobe(roughness):
    toward = np.array([0.48, -0.6, 0.64])
    order, lobe = 120, Lobe(roughness)
    point = basis(about_up(toward[None]), order).T
    image = synthesize(convolve(point, lobe.zonal(order)), order)[..., 0]
    wanted = lobe.value(latlong_directions(2 * order, order) @ toward)
    np.testing.assert_allclose(image, wanted, atol=2e-3 * wanted.max())


@pytest.mark.parametrize("roughness", [0.1, 0.35])
def test_the_lobe_of_a_disk_is_near_to_the_mean_over_the_disk(roughness):
    radius = 0.1
    cosines = np.cos(radius * np.sqrt((np.arange(200) + 0.5) / 200))
    turns = 2.0 * np.pi * (np.arange(64) + 0.5) / 64
    for angle in (0.0, 0.05):
        sines = np.sqrt(1.0 - cosines**2)[:, None] * np.cos(turns) * np.sin(angle)
        exact = Lobe(roughness).value(cosines[:, None] * np.cos(angle) + sines).mean()
        at = np.array([np.cos(angle)])
        wide, sharp = Lobe(roughness, radius).value(at)[0], Lobe(roughness).value(at)[0]
        assert wide == pytest.approx(exact, rel=0.5)
        assert abs(np.log(wide / exact)) <= abs(np.log(sharp / exact))


def test_a_lobe_that_is_too_sharp_or_a_source_that_is_too_wide_is_refused():
    with pytest.raises(LightError, match="roughness"):
        Lobe(0.0)
    with pytest.raises(LightError, match="radius"):
        Lobe(0.5, 1.0)
