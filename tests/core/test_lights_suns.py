"""Suns leave the map with all of their energy, and nothing else does."""

import numpy as np
import pytest

from neuron_core.lights.latlong import solid_angles
from neuron_core.lights.studio import latlong_directions, studio_environment, varied_boxes
from neuron_core.lights.suns import split_suns

HEIGHT = 64
DIRECTIONS = latlong_directions(2 * HEIGHT, HEIGHT)
SUNS = {"high": (0.48, 0.8, 0.36), "behind": (0.0, 0.28, -0.96), "pole": (0.0, 1.0, 0.0)}


def energy(image):
    return np.einsum("h,hwc->c", solid_angles(len(image)), np.asarray(image, np.float64))


def spot(direction, radius, color=(1.0, 0.9, 0.7)):
    """An even disk [H, 2 H, 3] whose irradiance is about `color`."""
    inside = DIRECTIONS @ np.asarray(direction) >= np.cos(radius)
    return inside[..., None] * np.asarray(color) / (np.pi * radius**2)


def soft():
    return studio_environment(2 * HEIGHT, HEIGHT).astype(np.float64)


@pytest.mark.parametrize("name", SUNS)
def test_a_sun_is_found_where_it_was_painted(name):
    painted = spot(SUNS[name], 0.1, (4.0, 3.0, 2.0))
    (sun,), rest = split_suns(soft() + painted)
    assert np.arccos(sun.direction @ np.array(SUNS[name])) < np.radians(0.7)
    np.testing.assert_allclose(sun.irradiance, energy(painted), rtol=0.01)
    assert sun.radius == pytest.approx(0.1, rel=0.15)
    np.testing.assert_allclose(rest, soft(), atol=0.7)  # behind the sun: the median around


@pytest.mark.parametrize("seed", range(3))
def test_energy_is_conserved_and_nothing_becomes_negative(seed):
    random = np.random.default_rng(seed)
    image = np.exp(random.normal(size=(HEIGHT, 2 * HEIGHT, 3)))
    for _ in range(6):
        direction = random.normal(size=3)
        image = image + spot(direction / np.linalg.norm(direction), 0.06, 5.0 * random.random(3))
    suns, rest = split_suns(image)
    assert 1 <= len(suns) <= 4 and rest.min() >= 0.0 and (rest <= image).all()
    together = energy(rest) + sum(sun.irradiance for sun in suns)
    np.testing.assert_allclose(together, energy(image), rtol=1e-12)


def test_soft_lights_keep_their_map():
    uniform, black = np.full((8, 16, 3), 0.7), np.zeros((8, 16, 3))
    studios = [studio_environment(128, 64, varied_boxes(seed)) for seed in range(8)]
    for image in (soft(), uniform, black, *studios):
        suns, rest = split_suns(image)
        assert suns == () and np.array_equal(rest, image)


def test_a_hot_pixel_of_little_energy_stays_and_hides_no_sun():
    image = np.ones((HEIGHT, 2 * HEIGHT, 3))
    image[20, 30] += 60.0
    assert split_suns(image)[0] == ()
    sun = spot(SUNS["behind"], 0.1, (1.0, 1.0, 1.0))
    (found,), rest = split_suns(image + sun)
    assert found.direction @ np.array(SUNS["behind"]) > 0.999 and rest[20, 30].min() > 60.0


@pytest.mark.parametrize("half_width", [0.15, 0.25, 0.4])
def test_a_window_keeps_its_map_in_whole(half_width):
    x, y, z = np.moveaxis(DIRECTIONS, -1, 0)
    window = (z > 0.0) & (np.abs(x) < half_width * z) & (np.abs(y - 0.2 * z) < 0.2 * z)
    image = np.where(window[..., None], 20.0, 0.1) * np.array([1.0, 1.1, 1.3])
    suns, rest = split_suns(image)
    assert suns == () and np.array_equal(rest, image)


def test_two_suns_come_apart_strongest_first():
    image = soft() + spot(SUNS["high"], 0.06, (3.0,) * 3) + spot(SUNS["behind"], 0.06, (6.0,) * 3)
    first, second = split_suns(image)[0]
    assert first.direction @ np.array(SUNS["behind"]) > 0.999
    assert second.direction @ np.array(SUNS["high"]) > 0.999


def test_exposure_changes_the_irradiance_alone():
    image = soft() + spot(SUNS["high"], 0.08)
    (sun,), rest = split_suns(image)
    (brighter,), more = split_suns(8.0 * image)
    assert np.array_equal(brighter.irradiance, 8.0 * sun.irradiance) and np.array_equal(more, 8.0 * rest)
    assert np.array_equal(brighter.direction, sun.direction) and brighter.radius == sun.radius
