import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.cameras.camera import CameraError, project, to_json
from neuron_core.cameras.dome import fibonacci_dome, field_of_view, framing_distance, turntable
from neuron_core.cameras.focus import find_focus


def sphere_points(center, radius, count=400):
    directions = np.random.default_rng(0).standard_normal((count, 3))
    return np.asarray(center) + radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)


@given(
    st.integers(1, 20),
    st.floats(0.01, 50),
    st.floats(15, 120),
    st.sampled_from([(64, 64), (64, 36), (36, 64)]),
    st.integers(0, 5),
)
def test_every_camera_of_a_framed_dome_sees_the_whole_sphere(count, radius, focal_mm, size, seed):
    width, height = size
    center = (1.0, -2.0, 0.5)
    fov = field_of_view(focal_mm, 36.0, width, height)
    distance = framing_distance(radius, fov, margin=1.0001)
    cameras = fibonacci_dome(
        count, center, distance, width=width, height=height, focal_mm=focal_mm, aperture_mm=36.0, seed=seed
    )
    points = sphere_points(center, radius)
    for camera in cameras:
        x, y, depths = project(camera, points)
        assert (depths > 0).all()
        assert x.min() >= 0 and x.max() <= width and y.min() >= 0 and y.max() <= height


def test_the_sphere_touches_the_frame_without_a_margin():
    fov = field_of_view(50.0, 36.0, 100, 100)
    camera = turntable(1, (0, 0, 0), framing_distance(2.0, fov, 1.0), width=100, height=100)[0]
    x, _, _ = project(camera, sphere_points((0, 0, 0), 2.0, 20000))
    assert 99.5 < x.max() < 100.001


def test_dome_cameras_are_spread_evenly_between_the_elevations():
    cameras = fibonacci_dome(
        200, (0, 0, 0), 1.0, lowest_elevation_deg=-10.0, highest_elevation_deg=85.0, seed=3
    )
    positions = np.array([camera.position for camera in cameras])
    elevations = np.degrees(np.arcsin(positions[:, 1]))
    assert elevations.min() >= -10 and elevations.max() <= 85
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1) + 9 * np.eye(200)
    nearest = distances.min(axis=1)
    area = 2 * math.pi * (math.sin(math.radians(85)) - math.sin(math.radians(-10))) / 200
    assert nearest.min() > 0.6 * math.sqrt(area)  # random points would come a hundred times closer
    assert nearest.max() < 1.5 * math.sqrt(area)


def test_dome_cameras_look_at_the_center_from_the_radius_upright():
    center = np.array([1.0, 2.0, 3.0])
    for camera in fibonacci_dome(30, center, 4.0, highest_elevation_deg=90.0):
        np.testing.assert_allclose(np.linalg.norm(camera.position - center), 4.0)
        np.testing.assert_allclose(camera.position + 4.0 * camera.forward, center, atol=1e-9)
        assert camera.c2w[1, 1] >= 0
        assert abs(camera.c2w[1, 0]) < 1e-9  # no roll


def test_a_dome_is_a_function_of_its_seed():
    poses = [
        [to_json(camera) for camera in fibonacci_dome(5, (0, 0, 0), 1.0, seed=seed)] for seed in (1, 1, 2)
    ]
    assert poses[0] == poses[1]
    assert poses[0] != poses[2]


def test_an_empty_dome_has_no_cameras_and_an_upside_down_one_is_refused():
    assert fibonacci_dome(0, (0, 0, 0), 1.0) == []
    with pytest.raises(CameraError, match="20 to 10"):
        fibonacci_dome(3, (0, 0, 0), 1.0, lowest_elevation_deg=20.0, highest_elevation_deg=10.0)
    with pytest.raises(CameraError, match="radius of 0"):
        framing_distance(0.0, 1.0)


def test_a_turntable_goes_round_once_in_equal_steps():
    cameras = turntable(8, (0, 1, 0), 3.0, 30.0)
    positions = np.array([camera.position for camera in cameras])
    np.testing.assert_allclose(positions[:, 1], 1 + 3 * math.sin(math.radians(30)))
    steps = np.linalg.norm(positions - np.roll(positions, 1, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0])
    np.testing.assert_allclose(positions[0, 0], 0, atol=1e-9)
    assert positions[0, 2] > 0 and positions[1, 0] > 0


def test_the_focal_length_of_a_dome_is_that_of_the_film_gate():
    camera = fibonacci_dome(1, (0, 0, 0), 1.0, width=200, height=100, focal_mm=35.0, aperture_mm=36.0)[0]
    horizontal = 2 * math.atan(camera.width / 2 / camera.fl_x)
    np.testing.assert_allclose(math.tan(horizontal / 2), 18 / 35)
    np.testing.assert_allclose(math.tan(field_of_view(35.0, 36.0, 200, 100) / 2), 9 / 35)


@given(st.tuples(*[st.floats(-5, 5)] * 3))
def test_the_focus_of_a_dome_is_its_center(center):
    focus = find_focus(fibonacci_dome(12, center, 2.5))
    np.testing.assert_allclose(focus.point, center, atol=1e-6)
    np.testing.assert_allclose(focus.distance, 2.5, atol=1e-6)


def test_the_focus_of_parallel_cameras_is_finite():
    one = fibonacci_dome(1, (0, 0, 0), 2.0)
    np.testing.assert_allclose(find_focus(one).point, one[0].position)
