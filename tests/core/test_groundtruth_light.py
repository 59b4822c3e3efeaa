"""The light of a dataset: the studio, its variants, and pictures of other lights."""

import numpy as np
import pytest

from neuron_core.datasets.layout import DatasetError
from neuron_core.foundation.errors import NeuronError
from neuron_core.groundtruth.light import read_light
from neuron_core.images.exr import write_exr
from neuron_core.lights.studio import latlong_directions, studio_environment


def _lit(image):
    """Irradiance of all directions together: radiance times solid angle."""
    sines = np.sqrt(1.0 - latlong_directions(image.shape[1], image.shape[0])[..., 1] ** 2)
    return float((image.mean(axis=-1) * sines).mean())


def test_the_studio_is_the_formula():
    assert np.array_equal(read_light("studio"), studio_environment())


def test_a_variant_is_a_function_of_its_seed_and_another_light():
    first, again, other = (read_light(f"studio:{seed}") for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    for image in (other, studio_environment()):
        assert np.abs(first - image).mean() > 0.05 * image.mean()


@pytest.mark.parametrize("seed", range(12))
def test_variants_are_about_as_bright_and_as_quiet_as_the_studio(seed):
    usual, image = studio_environment(), read_light(f"studio:{seed}")
    assert 0.5 < _lit(image) / _lit(usual) < 2.0
    assert image.max() < 2.0 * usual.max()


def test_a_picture_is_taken_as_it_is(tmp_path):
    image = np.random.default_rng(0).random((8, 16, 3)).astype(np.float32)
    write_exr(tmp_path / "light.exr", {name: image[..., index] for index, name in enumerate("RGB")})
    assert np.array_equal(read_light(str(tmp_path / "light.exr")), image)


@pytest.mark.parametrize("text", ["", "sunset", "studio:", "studio:-1", "studio:x", "light.hdr"])
def test_other_texts_are_no_light(text):
    with pytest.raises(DatasetError, match="is no light"):
        read_light(text)


def test_pictures_that_are_no_light_are_refused(tmp_path):
    def written(name, channels):
        write_exr(tmp_path / name, channels)
        return str(tmp_path / name)

    ones = np.ones((4, 8), np.float32)
    dark = np.full((4, 8), -1.0, np.float32)
    square = np.ones((4, 4), np.float32)
    bad = {
        "grey.exr": ({"Y": ones}, "lacks the channels R, G, B"),
        "dark.exr": ({"R": ones, "G": dark, "B": ones}, "negative"),
        "nan.exr": ({"R": ones, "G": ones * np.nan, "B": ones}, "not finite"),
        "square.exr": (dict.fromkeys("RGB", square), "twice as many across"),
    }
    for name, (channels, message) in bad.items():
        with pytest.raises(NeuronError, match=message):
            read_light(written(name, channels))
    with pytest.raises(NeuronError, match=r"nothing\.exr"):
        read_light(str(tmp_path / "nothing.exr"))
