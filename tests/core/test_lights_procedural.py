"""Lights by formula: functions of their seed, equally bright, the same at every resolution."""

from functools import cache

import numpy as np
import pytest

from neuron_core.lights.environment import environment_of, read_environment
from neuron_core.lights.errors import LightError
from neuron_core.lights.procedural import (
    KINDS,
    MOST_LIGHTS,
    SUN_RADIUS,
    disk_coverage,
    procedural_light,
    procedural_lights,
    sky_of,
    spots_of,
)
from neuron_core.lights.records import LightRecord
from neuron_core.lights.reduction import reduced
from neuron_core.lights.studio import latlong_directions

NAMES = [f"{kind}:{seed}" for kind in KINDS for seed in (0, 7)]


@cache
def light(name, height=128):
    image = procedural_light(name, 2 * height, height)
    assert image is not None
    return image


def solid_angles(height):
    """Of one pixel of each row."""
    sines = np.sin((np.arange(height) + 0.5) / height * np.pi)
    return sines * 2.0 * np.sin(np.pi / 2.0 / height) * np.pi / height


def irradiance(image):
    """On a surface that faces each of the six sides: [6, 3]."""
    height = len(image)
    sides = np.concatenate([np.eye(3), -np.eye(3)])
    cosines = np.maximum(latlong_directions(2 * height, height) @ sides.T, 0.0)
    return np.einsum("hws,h,hwc->sc", cosines, solid_angles(height), image, optimize=True)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_light_of_the_same_mean_radiance(name):
    image = light(name)
    assert image.dtype == np.float32 and image.shape == (128, 256, 3)
    assert np.isfinite(image).all() and image.min() >= 0.0
    mean = (solid_angles(128)[:, None, None] * image).sum(axis=(0, 1)) / (4.0 * np.pi)
    assert mean.mean() == pytest.approx(0.6, rel=1e-4)
    assert mean.min() > 0.2


@pytest.mark.parametrize("name", NAMES)
def test_light_on_a_surface_does_not_depend_on_the_resolution(name):
    np.testing.assert_allclose(irradiance(light(name)), irradiance(light(name, 256)), rtol=0.02)


@pytest.mark.parametrize("name", ["room:0", "spots:0", "spots:7"])
def test_a_pixel_is_the_mean_of_the_smaller_ones_that_it_covers(name):
    np.testing.assert_allclose(light(name), reduced(light(name, 256), 2), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_a_function_of_its_seed_alone(kind):
    first, other = light(f"{kind}:0"), light(f"{kind}:7")
    np.testing.assert_array_equal(procedural_light(f"{kind}:0", 256, 128), first)
    assert np.abs(first - other).mean() > 0.05 * first.mean()


@pytest.mark.parametrize("seed", [0, 7])
def test_a_sky_is_brightest_at_its_sun(seed):
    sky, image = sky_of(seed), light(f"sky:{seed}")
    assert 5.0 <= sky.elevation <= 75.0 and np.isclose(np.linalg.norm(sky.sun), 1.0)
    brightest = latlong_directions(256, 128).reshape(-1, 3)[image.sum(axis=-1).argmax()]
    assert np.degrees(np.arccos(brightest @ sky.sun)) < 180.0 / 128
    assert image.max() > 30.0 * np.median(image)


@pytest.mark.parametrize("height", [16, 100, 512])
@pytest.mark.parametrize("elevation", [0.0, 75.0])
def test_a_sun_has_its_solid_angle_at_every_resolution(height, elevation):
    up, radius = np.radians(elevation), np.radians(SUN_RADIUS)
    middle = np.array([0.0, np.sin(up), -np.cos(up)])  # at the seam of the image
    coverage = disk_coverage(middle, radius, 2 * height, height)
    assert coverage.min() >= 0.0 and coverage.max() < 1.05
    angle = (coverage.sum(axis=1) * solid_angles(height)).sum()
    assert angle == pytest.approx(2.0 * np.pi * (1.0 - np.cos(radius)), rel=1e-9)
    np.testing.assert_allclose(coverage[:, ::-1], coverage, atol=1e-9)


def islands(mask):
    """How many connected areas a mask has; left and right edges meet, and so do the pixels of a pole."""
    height, width = mask.shape
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    count = 0
    while left:
        count += 1
        reached = [left.pop()]
        while reached:
            row, column = reached.pop()
            near = {(row + down, (column + across) % width) for down in (-1, 0, 1) for across in (-1, 0, 1)}
            if row in (0, height - 1):
                near |= {(row, other) for other in range(width)}
            reached += near & left
            left -= near
    return count


@pytest.mark.parametrize("seed", [0, 3, 7])
def test_spots_are_as_many_as_said(seed):
    spots = spots_of(seed)
    assert 3 <= len(spots) <= 10 and all(4.0 <= spot.width <= 25.0 for spot in spots)
    brightness = light(f"spots:{seed}", 256).sum(axis=-1)
    assert islands(brightness > 2.0 * np.median(brightness)) == len(spots)


def test_every_number_of_spots_from_3_to_10_occurs():
    assert {len(spots_of(seed)) for seed in range(100)} == set(range(3, 11))


def test_noise_has_neither_a_seam_nor_poles():
    image = np.log(light("noise:0"))
    steps = np.abs(np.diff(image, axis=1)).max()
    assert np.abs(image[:, 0] - image[:, -1]).max() < 1.2 * steps
    for row in (image[0], image[-1]):
        assert np.ptp(row, axis=0).max() < 0.3


def test_lists_of_lights_take_the_kinds_in_turn_and_do_not_repeat():
    names = procedural_lights(40, 3)
    assert len(set(names)) == 40 and procedural_lights(12, 3) == names[:12]
    assert [name.partition(":")[0] for name in names[:5]] == ["studio", *KINDS]
    assert [name.partition(":")[0] for name in names[5:]] == [name.partition(":")[0] for name in names[:-5]]
    assert not set(names) & set(procedural_lights(40, 4))
    assert read_environment(names[4]).name == names[4]


@pytest.mark.parametrize("count", [0, -1, MOST_LIGHTS + 1])
def test_lists_of_no_or_too_many_lights_are_refused(count):
    with pytest.raises(LightError, match=f"{count} lights"):
        procedural_lights(count)


@pytest.mark.parametrize("name", ["", "sky", "sky:", "sky:-1", "sky:1234567890", "spots:x", "moon:1"])
def test_other_names_are_not_lights_by_formula(name):
    assert procedural_light(name) is None


def test_names_are_lights_of_records_without_a_file(tmp_path):
    for name in ("noise:3", "even"):
        found = environment_of(LightRecord("sun", "latlong", file=name, rotation=20.0), tmp_path)
        assert found is not None and (found.name, found.rotation) == ("sun", 20.0)
        np.testing.assert_array_equal(found.image, read_environment(name).image)


def test_even_light_has_a_radiance_of_one_from_everywhere():
    directions = latlong_directions(16, 8)
    np.testing.assert_array_equal(read_environment("even").radiance(directions), np.ones((8, 16, 3)))
