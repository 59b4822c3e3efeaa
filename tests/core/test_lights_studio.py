"""The light of every dataset."""

import numpy as np

from neuron_core.lights.studio import latlong_directions, studio_environment, studio_radiance


def test_the_image_is_a_view_from_inside_with_the_front_in_the_middle():
    directions = latlong_directions(64, 32)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0, atol=1e-12)
    np.testing.assert_allclose(directions[15:17, 31:33].mean(axis=(0, 1)), (0, 0, 1), atol=0.01)
    np.testing.assert_allclose(directions[15:17, 15:17].mean(axis=(0, 1)), (1, 0, 0), atol=0.01)
    assert (directions[0, :, 1] > 0.99).all()


def test_pixels_hold_the_radiance_of_their_directions():
    environment = studio_environment(64, 32)
    assert environment.dtype == np.float32
    np.testing.assert_allclose(environment, studio_radiance(latlong_directions(64, 32)), rtol=1e-6)


def test_light_comes_from_everywhere_and_nothing_is_small_and_hot():
    environment = studio_environment()
    assert environment.min() > 0.01
    bright = environment.max(axis=-1) > 0.5 * environment.max()
    rows = np.sin((np.arange(256) + 0.5) / 256 * np.pi)[:, None]
    assert environment.max() < 15
    assert (bright * rows).sum() / (rows.sum() * 512) > 0.02


def test_edges_are_smooth():
    environment = studio_environment()
    steps = np.abs(np.diff(environment[32:-32], axis=1)).max()
    assert steps < 0.35 * environment.max()
