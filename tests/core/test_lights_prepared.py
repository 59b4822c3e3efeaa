"""Prepared lights: linear in the light, they turn as the light turns, and suns keep what they give."""

import numpy as np
import pytest

from neuron_core.lights.environment import Environment
from neuron_core.lights.errors import LightError
from neuron_core.lights.harmonics import basis
from neuron_core.lights.latlong import solid_angles
from neuron_core.lights.lobes import ROUGHNESSES, Lobe
from neuron_core.lights.prepared import QUICK, REFINED, Size, level_zonals, prepare, prepare_map
from neuron_core.lights.studio import latlong_directions, studio_environment, varied_boxes

SMALL = Size("small", 64, 48, (64, 64, 32, 32, 32))
LEVELS = range(len(ROUGHNESSES))
SUN = np.array([0.48, 0.6, 0.64])


def spread(count, seed=0):
    directions = np.random.default_rng(seed).normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def turn(seed, mirrored=False):
    matrix = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return matrix if (np.linalg.det(matrix) < 0.0) == mirrored else -matrix


def studio(seed=0, height=64):
    return studio_environment(2 * height, height, varied_boxes(seed))


def with_sun(height=64, radius=0.05, irradiance=4.0):
    inside = latlong_directions(2 * height, height) @ SUN >= np.cos(radius)
    disk = inside[..., None] * np.float32(irradiance / (np.pi * radius**2))
    return (studio(1, height) + disk).astype(np.float32)


def numbers(light):
    """All that a light without suns consists of, as one array."""
    assert light.suns == ()
    return np.concatenate(
        [light.whole.ravel(), light.without_suns.ravel(), *(x.ravel() for x in light.levels)]
    )


def exact_irradiance(image, normals):
    directions = latlong_directions(image.shape[1], image.shape[0])
    shown = np.maximum(np.einsum("hwd,nd->nhw", directions, normals), 0.0)
    return np.einsum(
        "nhw,h,hwc->nc", shown, solid_angles(len(image)), image.astype(np.float64), optimize=True
    )


def decibels(found, wanted):
    return 10.0 * np.log10((wanted**2).max() / ((found - wanted) ** 2).mean())


def test_lights_superpose_in_any_order():
    first, second, third = (studio(seed) for seed in (1, 2, 3))
    parts = [numbers(prepare_map(image, SMALL)) for image in (first, second, third)]
    together = numbers(prepare_map(first + second + third, SMALL))
    np.testing.assert_allclose(together, parts[0] + parts[1] + parts[2], atol=1e-5 * together.max())
    assert np.abs(sum(parts) - sum(parts[::-1])).max() <= 1e-6 * together.max()


def test_exposure_is_exact_and_black_is_black():
    light = prepare_map(studio(), SMALL)
    assert np.array_equal(numbers(light.scaled(8.0)), 8.0 * numbers(light))
    assert np.array_equal(numbers(prepare_map(8.0 * studio(), SMALL)), numbers(light.scaled(8.0)))
    black = prepare_map(np.zeros((64, 128, 3), np.float32), SMALL)
    assert not numbers(black).any() and not numbers(light.scaled(0.0)).any()


def test_suns_are_exposed_with_their_light():
    light, normals = prepare_map(with_sun(), SMALL), spread(20)
    assert np.array_equal(light.scaled(0.25).irradiance(normals), 0.25 * light.irradiance(normals))
    for level in LEVELS:
        brighter = light.scaled(4.0).reflected(level, normals)
        np.testing.assert_allclose(brighter, 4.0 * light.reflected(level, normals), rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 4, 3), (64, 128, 3), (100, 200, 3)])
def test_uniform_light_is_the_same_in_every_level_and_pi_in_irradiance(shape):
    light = prepare_map(np.full(shape, 0.5, np.float32), SMALL)
    np.testing.assert_allclose(light.irradiance(spread(20)), 0.5 * np.pi, rtol=1e-12)
    for level in LEVELS:
        np.testing.assert_allclose(light.reflected(level, spread(20)), 0.5, rtol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_turning_the_light_is_turning_the_directions(mirrored):
    matrix, light, directions = turn(5, mirrored), prepare_map(with_sun(), SMALL), spread(50)
    turned, onward = light.turned(matrix), directions @ matrix.T
    np.testing.assert_allclose(turned.irradiance(onward), light.irradiance(directions), atol=1e-12)
    np.testing.assert_allclose(
        basis(onward, 5) @ turned.whole, basis(directions, 5) @ light.whole, atol=1e-12
    )
    for level in LEVELS:
        found, wanted = turned.reflected(level, onward), light.reflected(level, directions)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_a_turned_light_is_the_preparation_of_a_turned_map():
    image, columns = with_sun(), 24
    light = prepare(Environment("turned", image, rotation=360.0 * columns / 128), SMALL)
    rolled = prepare_map(np.roll(image, -columns, axis=1), SMALL)
    np.testing.assert_allclose(light.whole, rolled.whole, atol=1e-6)
    np.testing.assert_allclose(light.suns[0].direction, rolled.suns[0].direction, atol=1e-9)
    for level in LEVELS:
        np.testing.assert_allclose(
            light.lookup(level, spread(30)), rolled.lookup(level, spread(30)), atol=1e-4
        )


def test_a_full_turn_in_steps_comes_back():
    light = prepare_map(with_sun(), SMALL)
    angle = 2.0 * np.pi / 12
    step = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    turned = light
    for _ in range(12):
        turned = turned.turned(step)
    np.testing.assert_allclose(turned.whole, light.whole, atol=1e-12)
    np.testing.assert_allclose(turned.world_from_map, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turned.suns[0].direction, light.suns[0].direction, atol=1e-12)


def test_a_sun_in_the_map_gives_what_the_map_without_it_and_the_sun_give():
    normals = spread(200)
    for height, size in ((64, SMALL), (128, QUICK)):
        image = with_sun(height)
        light = prepare_map(image, size)
        assert len(light.suns) == 1
        assert decibels(light.irradiance(normals), exact_irradiance(image, normals)) >= 40.0


def test_the_whole_light_is_what_is_left_and_the_suns():
    light = prepare_map(with_sun(radius=0.03), SMALL)
    suns = sum(np.outer(basis(sun.direction, 5), sun.irradiance) for sun in light.suns)
    np.testing.assert_allclose(light.without_suns + suns, light.whole, atol=0.02 * np.abs(light.whole).max())
    np.testing.assert_allclose((light.without_suns + suns)[0], light.whole[0], rtol=1e-6)


@pytest.mark.parametrize("level", [2, 3, 4])
def test_a_level_is_the_light_seen_through_the_lobe(level):
    image, directions = with_sun(radius=0.06), spread(60)
    toward = latlong_directions(128, 64)
    weights = Lobe(ROUGHNESSES[level]).value(np.einsum("nd,hwd->nhw", directions, toward))
    wanted = np.einsum("nhw,h,hwc->nc", weights, solid_angles(64), image.astype(np.float64), optimize=True)
    assert decibels(prepare_map(image, SMALL).reflected(level, directions), wanted) >= 40.0


def test_small_lamps_do_not_ring():
    image = np.full((128, 256, 3), 0.01, np.float32)
    image[50, 60:62] = 10.0
    image[:, 128:] = 1.0
    light = prepare_map(image, QUICK)
    assert light.suns == ()
    for level in light.levels:
        even = level[:, level.shape[1] * 5 // 8 : level.shape[1] * 7 // 8]
        assert level.min() >= -0.004 * level.max() and even.max() < 1.02


def test_a_map_is_prepared_once_and_its_digest_is_of_its_content():
    image = studio(4)
    first = prepare(Environment("first", image), SMALL)
    again = prepare(Environment("again", image.copy(), exposure=1.0), SMALL)
    other = prepare(Environment("other", studio(5)), SMALL)
    assert prepare(Environment("third", image.copy()), SMALL) is first
    assert again.digest == first.digest != other.digest
    assert np.array_equal(numbers(again), 2.0 * numbers(first))


def test_sizes_are_as_they_say():
    for size in (QUICK, REFINED):
        assert all(len(zonal) <= size.order for zonal in level_zonals(size))
    light = prepare_map(studio(0, 16), QUICK)
    assert [level.shape for level in light.levels] == [(rows, 2 * rows, 3) for rows in QUICK.levels]
    assert {level.dtype for level in light.levels} == {np.dtype(np.float32)}
    assert light.whole.shape == light.without_suns.shape == (25, 3)


def test_a_finer_size_changes_the_sharp_levels_alone():
    image = with_sun(256)
    quick, finer = prepare_map(image, SMALL), prepare_map(image, QUICK)
    assert np.array_equal(quick.whole, finer.whole)
    assert np.array_equal(quick.irradiance(SUN[None]), finer.irradiance(SUN[None]))
    for level in (2, 3, 4):
        found, wanted = quick.reflected(level, spread(200)), finer.reflected(level, spread(200))
        assert decibels(found, wanted) >= 40.0


def test_what_does_not_turn_or_scale_a_light_is_refused():
    light = prepare_map(np.ones((2, 4, 3), np.float32), SMALL)
    with pytest.raises(LightError, match="turn or mirror"):
        light.turned(2.0 * np.eye(3))
    with pytest.raises(LightError, match="scaled by -1"):
        light.scaled(-1.0)
