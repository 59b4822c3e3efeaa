"""Environment maps: the studio, its variants, images of other lights, and how they are placed."""

import numpy as np
import pytest

from neuron_core.foundation.errors import NeuronError
from neuron_core.images.exr import write_exr
from neuron_core.lights.environment import Environment, read_environment
from neuron_core.lights.errors import LightError
from neuron_core.lights.studio import latlong_directions, studio_environment, studio_radiance


def irradiance(image):
    """Of all directions together: radiance times solid angle."""
    sines = np.sqrt(1.0 - latlong_directions(image.shape[1], image.shape[0])[..., 1] ** 2)
    return float((image.mean(axis=-1) * sines).mean())


def unit_directions(count):
    directions = np.random.default_rng(0).normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def turned(directions, degrees):
    """About +Y, from +Z towards +X."""
    angle = np.radians(degrees)
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.stack(
        [np.cos(angle) * x + np.sin(angle) * z, y, np.cos(angle) * z - np.sin(angle) * x], axis=-1
    )


def test_the_studio_is_the_formula():
    assert np.array_equal(read_environment("studio").image, studio_environment())


def test_a_variant_is_a_function_of_its_seed_and_another_light():
    first, again, other = (read_environment(f"studio:{seed}").image for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    for image in (other, studio_environment()):
        assert np.abs(first - image).mean() > 0.05 * image.mean()


def test_variants_are_about_as_bright_and_as_quiet_as_the_studio():
    usual = studio_environment()
    for seed in range(12):
        image = read_environment(f"studio:{seed}").image
        assert 0.5 < irradiance(image) / irradiance(usual) < 2.0
        assert image.max() < 2.0 * usual.max()


def test_pixels_are_looked_up_at_their_own_directions():
    image = np.random.default_rng(1).random((8, 16, 3)).astype(np.float32)
    found = Environment("noise", image).radiance(latlong_directions(16, 8))
    np.testing.assert_allclose(found, image, atol=1e-9)


def test_between_pixels_a_smooth_light_is_what_its_formula_says():
    directions = unit_directions(500)
    found = read_environment("studio").radiance(directions)
    np.testing.assert_allclose(found, studio_radiance(directions), atol=0.03)


@pytest.mark.parametrize("degrees", [90.0, -135.0, 37.0])
def test_rotation_turns_the_light_from_z_towards_x(degrees):
    still, rotated = (Environment("studio", studio_environment(), angle) for angle in (0.0, degrees))
    directions = unit_directions(200)
    np.testing.assert_allclose(
        rotated.radiance(turned(directions, degrees)), still.radiance(directions), atol=1e-9
    )


def test_exposure_is_in_stops():
    image = studio_environment(16, 8)
    directions = unit_directions(50)
    usual, bright = (
        Environment("studio", image, exposure=stops).radiance(directions) for stops in (0.0, 2.0)
    )
    np.testing.assert_allclose(bright, 4 * usual)


def test_a_picture_is_taken_as_it_is(tmp_path):
    image = np.random.default_rng(0).random((8, 16, 3)).astype(np.float32)
    write_exr(tmp_path / "light.exr", {name: image[..., index] for index, name in enumerate("RGB")})
    found = read_environment(str(tmp_path / "light.exr"))
    assert np.array_equal(found.image, image) and found.name == "light"


@pytest.mark.parametrize("text", ["", "sunset", "studio:", "studio:-1", "studio:x", "light.hdr"])
def test_other_texts_are_unknown(text):
    with pytest.raises(LightError, match="Unknown light"):
        read_environment(text)


def test_pictures_that_cannot_be_a_light_are_refused(tmp_path):
    ones, dark = np.ones((4, 8), np.float32), np.full((4, 8), -1.0, np.float32)
    bad = {
        "gray.exr": ({"Y": ones}, "lacks the channels R, G, B"),
        "dark.exr": ({"R": ones, "G": dark, "B": ones}, "negative"),
        "nan.exr": ({"R": ones, "G": ones * np.nan, "B": ones}, "not finite"),
        "square.exr": (dict.fromkeys("RGB", np.ones((4, 4), np.float32)), "twice as many across"),
        "wide.exr": (dict.fromkeys("RGB", np.ones((2049, 4098), np.float32)), "4098 pixels wide"),
    }
    for name, (channels, message) in bad.items():
        write_exr(tmp_path / name, channels)
        with pytest.raises(LightError, match=message) as caught:
            read_environment(str(tmp_path / name))
        assert name in caught.value.message
    with pytest.raises(NeuronError, match=r"nothing\.exr"):
        read_environment(str(tmp_path / "nothing.exr"))


@pytest.mark.parametrize(
    ("placing", "message"),
    [
        ({"rotation": np.inf}, "rotated by inf"),
        ({"exposure": 33.0}, "33.0 stops"),
        ({"exposure": np.nan}, "nan stops"),
        ({"image": np.ones((4, 8, 3))}, "float64"),
        ({"image": np.ones((4, 8), np.float32)}, r"\(4, 8\)"),
    ],
)
def test_values_out_of_range_are_named(placing, message):
    with pytest.raises(LightError, match=message):
        Environment(**{"name": "x", "image": np.ones((4, 8, 3), np.float32), **placing})
