"""Environment maps: the studio, its variants, images of other lights, and how they are placed."""

from pathlib import Path

import numpy as np
import pytest

from neuron_core.foundation.errors import NeuronError
from neuron_core.images.exr import write_exr
from neuron_core.lights.environment import Environment, check_radiance, read_environment
from neuron_core.lights.errors import LightError
from neuron_core.lights.maps import read_latlong
from neuron_core.lights.reduction import mean_radiance, reduced, row_angles
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


@pytest.mark.parametrize("text", ["", "sunset", "studio:", "studio:-1", "studio:x", "light.png"])
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
        "square too.exr": (dict.fromkeys("RGB", np.ones((8, 4), np.float32)), "has 4 x 8 pixels"),
    }
    for name, (channels, message) in bad.items():
        write_exr(tmp_path / name, channels)
        with pytest.raises(LightError, match=message) as caught:
            read_environment(str(tmp_path / name))
        assert name in caught.value.message
    with pytest.raises(NeuronError, match=r"nothing\.exr"):
        read_environment(str(tmp_path / "nothing.exr"))


def radiance_file(path, lines, length, pixels=b""):
    path.write_bytes(f"#?RADIANCE\n\n-Y {lines} +X {length}\n".encode() + pixels)
    return str(path)


@pytest.mark.parametrize("ending", ["hdr", "pic", "HDR"])
def test_a_radiance_picture_is_a_light(tmp_path, ending):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 4), np.uint8)
    pixels[..., 3] = 128
    found = read_environment(radiance_file(tmp_path / f"light.{ending}", 4, 8, pixels.tobytes()))
    np.testing.assert_array_equal(found.image, (pixels[..., :3] + np.float32(0.5)) / 256)
    assert found.name == "light"


def test_darkness_is_a_light(tmp_path):
    assert not read_environment(radiance_file(tmp_path / "dark.hdr", 4, 8, bytes(128))).image.any()


def test_solid_angles_of_rows_are_those_of_their_zones():
    """Of a sphere: the area of a zone is proportional to its height."""
    assert row_angles(7).sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(row_angles(3), [0.25, 0.5, 0.25])


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_smaller_map_has_the_same_light(factor):
    image = studio_environment(240, 120)
    small = reduced(image, factor)
    assert small.shape == (120 // factor, 240 // factor, 3)
    np.testing.assert_allclose(mean_radiance(small), mean_radiance(image), rtol=1e-6)


def test_a_smaller_map_lights_every_side_the_same():
    image = studio_environment(512, 256)
    small = reduced(image, 2)

    def on_sides(image):
        directions = latlong_directions(image.shape[1], image.shape[0])
        weights = row_angles(len(image))[:, None] * np.maximum(
            np.stack([directions @ side for side in (*np.eye(3), *-np.eye(3))]), 0.0
        )
        return np.einsum("shw,hwc->sc", weights / image.shape[1], image)

    np.testing.assert_allclose(on_sides(small), on_sides(image), rtol=1e-3)


@pytest.mark.parametrize(("height", "factor"), [(33, 3), (200, 8), (130, 5), (32, 1)])
def test_a_large_picture_is_read_in_bands_as_its_whole_made_smaller(tmp_path, height, factor):
    rows = np.arange(height * 4).reshape(height, 1, 4).astype(np.uint8)
    rows[..., 3] = 128
    count = 2 * height - 1  # how often the first pixel of a line is repeated, as runs of the old kind
    repeats = bytes([1, 1, 1, count % 256]) + bytes([1, 1, 1, count // 256]) * (count > 255)
    runs = b"".join(row.tobytes() + repeats for row in rows[:, 0])
    found = read_latlong(Path(radiance_file(tmp_path / "large.hdr", height, 2 * height, runs)), widest=64)
    whole = ((rows[..., :3] + np.float32(0.5)) / 256).repeat(2 * factor, axis=1)
    expected = reduced(whole, factor).repeat(height // factor, axis=1)
    assert found.shape[1] <= 64
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("lines", "length", "message"),
    [
        (8193, 16386, "16386 pixels wide"),
        (2053, 4106, "4106 x 2053 pixels, which no small factor"),
        (100, 300, "300 x 100 pixels"),
    ],
)
def test_sizes_that_cannot_be_used_are_refused_by_the_header(tmp_path, lines, length, message):
    with pytest.raises(LightError, match=message):
        read_environment(radiance_file(tmp_path / "light.hdr", lines, length))


def test_pixels_that_cannot_be_light_are_counted_and_the_first_is_named():
    image = np.ones((300, 600, 3), np.float32)
    image[7, 5, 1], image[7, 6], image[250, 3, 2], image[299, 0, 0] = np.inf, np.nan, -1.0, -0.5
    with pytest.raises(LightError, match="2 that are negative and 2 that are not finite") as caught:
        check_radiance("x", image)
    assert "column 5, row 7." in caught.value.message and "Repair" in caught.value.hint


def test_a_flaw_is_found_in_any_band_of_a_file(tmp_path):
    image = np.ones((200, 400), np.float32)
    image[130, 20] = image[199, 0] = np.nan
    write_exr(tmp_path / "light.exr", dict.fromkeys("RGB", image))
    with pytest.raises(LightError, match=r"2 that are not finite. The first is at column 20, row 130\."):
        read_environment(str(tmp_path / "light.exr"))


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
