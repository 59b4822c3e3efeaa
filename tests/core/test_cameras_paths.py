"""Camera moves pass through their keys, smoothly and without detours."""

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, CameraError, look_at
from neuron_core.cameras.paths import CameraPath, Key, centripetal, eased, slerp


def camera(x: float, z: float = 3.0, focal: float = 50.0) -> Camera:
    return Camera("key", 64, 48, focal, focal, 32.0, 24.0, look_at((x, 1.0 + 0.2 * x * x, z), (0, 0, 0)))


KEYS = tuple(
    Key(time, camera(x, z, focal))
    for time, x, z, focal in (
        (1.0, -2.0, 3.0, 50.0),
        (5.0, 0.5, 2.0, 60.0),
        (7.0, 1.0, 4.0, 80.0),
        (20.0, 3.0, 1.0, 40.0),
    )
)


def test_a_path_passes_through_its_keys():
    path = CameraPath(KEYS)
    for key in KEYS:
        found = path.at(key.time)
        np.testing.assert_allclose(found.c2w, key.camera.c2w, atol=1e-12)
        assert found.fl_x == pytest.approx(key.camera.fl_x)


def test_a_path_moves_without_jumps():
    path = CameraPath(KEYS)
    times = np.linspace(1, 20, 400)
    poses = np.array([path.at(float(time)).c2w for time in times])
    assert np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).max() < 0.1
    assert np.abs(np.diff(poses[:, :3, :3], axis=0)).max() < 0.1
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.tile(np.eye(3), (400, 1, 1)), atol=1e-12
    )


def test_evenly_spaced_points_on_a_line_are_joined_by_the_line():
    points = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [2.0, 1.0, 0.0], [3.0, 1.0, 0.0]])
    for part in (0.0, 0.25, 0.7, 1.0):
        np.testing.assert_allclose(centripetal(*points, part), [1.0 + part, 1.0, 0.0], atol=1e-12)


def test_the_curve_has_one_tangent_at_a_key_from_both_sides():
    points = np.random.default_rng(1).normal(size=(5, 3))
    arriving = centripetal(*points[:4], 1.0) - centripetal(*points[:4], 1.0 - 1e-6)
    leaving = centripetal(*points[1:], 1e-6) - centripetal(*points[1:], 0.0)
    cosine = arriving @ leaving / np.linalg.norm(arriving) / np.linalg.norm(leaving)
    assert cosine > 1 - 1e-6


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.5, 3.0, np.pi])
def test_rotations_turn_evenly_about_one_axis(angle):
    cosine, sine = np.cos(angle), np.sin(angle)
    start = look_at((1, 2, 3), (0, 0, 0))[:3, :3]
    end = start @ np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    half = slerp(start, end, 0.5)
    np.testing.assert_allclose(half @ start.T @ half, end, atol=1e-6)
    np.testing.assert_allclose(slerp(start, end, 1.0), end, atol=1e-7)


def test_easing_keeps_the_ends_and_rests_there():
    assert [eased(part, 1.0) for part in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]
    assert eased(1e-4, 1.0) < 1e-7 and eased(0.3, 0.0) == 0.3
    assert np.all(np.diff([eased(part, 0.6) for part in np.linspace(0, 1, 50)]) > 0)


def test_before_and_after_its_keys_a_camera_stands_still():
    path = CameraPath(KEYS)
    np.testing.assert_allclose(path.at(-9.0).c2w, KEYS[0].camera.c2w, atol=1e-12)
    np.testing.assert_allclose(path.at(99.0).c2w, KEYS[-1].camera.c2w, atol=1e-12)
    alone = CameraPath(KEYS[:1])
    np.testing.assert_allclose(alone.at(3.0).c2w, KEYS[0].camera.c2w, atol=1e-12)
    assert [one.name for one in path.cameras([1, 2])] == ["path_0000", "path_0001"]


@pytest.mark.parametrize("keys", [(), (KEYS[1], KEYS[0]), (KEYS[0], KEYS[0]), (Key(np.nan, camera(0.0)),)])
def test_keys_that_make_no_path_are_refused(keys):
    with pytest.raises(CameraError):
        CameraPath(keys)
