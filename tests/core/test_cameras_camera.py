import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.cameras.camera import (
    Camera,
    CameraError,
    from_json,
    load_cameras,
    look_at,
    pixel_centers,
    project,
    rays,
    resized,
    save_cameras,
    subpixels,
    to_json,
)
from neuron_core.foundation.files import read_json, write_json


def a_camera(name: str = "a", **changes: object) -> Camera:
    values: dict[str, object] = {
        "name": name,
        "width": 64,
        "height": 48,
        "fl_x": 70.0,
        "fl_y": 75.0,
        "cx": 31.0,
        "cy": 25.5,
        "c2w": look_at((1.0, 2.0, 3.0), (0.2, 0.1, -0.4)),
    }
    return Camera(**{**values, **changes})  # type: ignore[arg-type]


lenses = st.fixed_dictionaries(
    {
        "k1": st.floats(-0.2, 0.3),
        "k2": st.floats(-0.05, 0.1),
        "p1": st.floats(-0.01, 0.01),
        "p2": st.floats(-0.01, 0.01),
    }
)
directions = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: 0.01 < np.linalg.norm(v))


@given(lenses)
def test_points_on_a_ray_project_back_to_its_pixel(lens):
    camera = a_camera(**lens)
    x, y = pixel_centers(camera)
    rays_o, rays_d = rays(camera, x, y)
    for distance in (0.5, 4.0):
        seen_x, seen_y, depths = project(camera, rays_o.astype(float) + distance * rays_d.astype(float))
        assert (depths > 0).all()
        np.testing.assert_allclose(seen_x, x, atol=2e-4)  # the rays are float32
        np.testing.assert_allclose(seen_y, y, atol=2e-4)


@given(lenses)
def test_undistortion_is_exact_to_a_millionth_of_the_focal_length(lens):
    from neuron_core.cameras.camera import _distort, _undistort

    camera = a_camera(**lens)
    x, y = np.meshgrid(np.linspace(-0.45, 0.45, 9), np.linspace(-0.35, 0.35, 7))
    there = _undistort(camera, x, y)
    back_x, back_y = _distort(camera, *there)
    assert max(np.abs(back_x - x).max(), np.abs(back_y - y).max()) < 1e-6


def test_without_distortion_coefficients_the_model_is_a_pinhole():
    x, y = pixel_centers(a_camera())
    _, plain = rays(a_camera(), x, y)
    _, nearly = rays(a_camera(k1=1e-12), x, y)
    np.testing.assert_allclose(plain, nearly, atol=1e-6)


def test_distortion_is_that_of_opencv():
    # The formula of OpenCV's documentation, written out for one point.
    camera = a_camera(c2w=np.eye(4), k1=0.1, k2=-0.02, p1=0.003, p2=-0.004)
    x, y = 0.3, -0.2  # x right, y down, z forward
    r2 = x * x + y * y
    radial = 1 + 0.1 * r2 - 0.02 * r2 * r2
    u = 70 * (x * radial + 2 * 0.003 * x * y - 0.004 * (r2 + 2 * x * x)) + 31
    v = 75 * (y * radial + 0.003 * (r2 + 2 * y * y) - 2 * 0.004 * x * y) + 25.5
    seen_x, seen_y, depths = project(camera, np.array([2 * x, -2 * y, -2.0]))
    np.testing.assert_allclose([seen_x, seen_y, depths], [u, v, 2.0])


def test_a_lens_that_folds_the_image_over_is_refused():
    with pytest.raises(CameraError, match="folds"):
        rays(a_camera(k1=-3.0), 0.5, 0.5)


def test_the_middle_of_the_image_looks_down_minus_z_and_up_is_up():
    camera = a_camera(c2w=np.eye(4))
    _, middle = rays(camera, camera.cx, camera.cy)
    _, above = rays(camera, camera.cx, 0.0)
    _, right = rays(camera, 60.0, camera.cy)
    np.testing.assert_allclose(middle, [0, 0, -1])
    assert above[1] > 0
    assert right[0] > 0


def test_rays_are_unit_float32_of_the_shape_of_the_pixels():
    rays_o, rays_d = subpixels(a_camera(k1=0.05), 2)
    assert rays_o.shape == rays_d.shape == (48, 64, 4, 3)
    assert rays_o.dtype == rays_d.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rays_d, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(rays_o, np.broadcast_to([1, 2, 3], rays_o.shape))


def test_subpixels_lie_evenly_around_the_center():
    camera = a_camera()
    rays_o, rays_d = subpixels(camera, 3)
    x, y, _ = project(camera, rays_o.astype(float) + rays_d)
    centers_x, centers_y = pixel_centers(camera)
    np.testing.assert_allclose(x.mean(axis=-1), centers_x, atol=1e-4)
    np.testing.assert_allclose(y.mean(axis=-1), centers_y, atol=1e-4)
    np.testing.assert_allclose(
        np.sort(x - centers_x[..., None])[..., ::4], [[[-1 / 3, 0, 1 / 3]] * 64] * 48, atol=1e-4
    )
    np.testing.assert_allclose(subpixels(camera, 1)[1][:, :, 0], rays(camera, centers_x, centers_y)[1])


@given(directions, directions)
def test_look_at_is_a_rotation_that_faces_the_target(eye, target):
    if np.linalg.norm(np.subtract(eye, target)) < 1e-3:
        return
    c2w = look_at(eye, target)
    rotation = c2w[:3, :3]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) > 0
    towards = np.subtract(target, eye)
    np.testing.assert_allclose(-rotation[:, 2], towards / np.linalg.norm(towards), atol=1e-9)
    assert rotation[1, 1] >= -1e-9  # never upside down


@pytest.mark.parametrize("axis", [(0, 5, 0), (0, -5, 0), (1e-9, 5, 0)])
def test_looking_along_the_up_axis_is_no_special_case(axis):
    c2w = look_at(axis, (0, 0, 0))
    np.testing.assert_allclose(c2w[:3, :3].T @ c2w[:3, :3], np.eye(3), atol=1e-9)


def test_resizing_keeps_what_every_ray_sees():
    camera = a_camera(k1=0.1, p2=0.01)
    smaller = resized(camera, 16, 24)
    x, y = pixel_centers(smaller)
    _, small = rays(smaller, x, y)
    _, large = rays(camera, x * 4, y * 2)
    np.testing.assert_allclose(small, large, atol=1e-6)


def test_a_camera_survives_json_exactly():
    camera = a_camera(k1=0.1, k2=1 / 3)
    again = from_json(to_json(camera))
    assert to_json(again) == to_json(camera)
    np.testing.assert_array_equal(again.c2w, camera.c2w)


def test_a_pose_cannot_be_changed_behind_the_back():
    pose = np.eye(4)
    camera = a_camera(c2w=pose)
    pose[0, 3] = 5
    assert camera.c2w[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        camera.c2w[0, 3] = 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 0}, "0 x 48"),
        ({"fl_x": -1.0}, "focal length"),
        ({"cx": float("nan")}, "cx = nan"),
        ({"c2w": np.eye(3)}, "4 x 4"),
        ({"c2w": np.diag([2.0, 2, 2, 1])}, "scaled"),
        ({"c2w": np.diag([1.0, 1, -1, 1])}, "mirrored"),
        ({"c2w": np.eye(4) + np.eye(4)[:, ::-1] * 0 + np.outer([0, 0, 0, 1], [3, 0, 0, 0])}, "last row"),
    ],
)
def test_what_is_no_camera_is_refused(changes, told):
    with pytest.raises(CameraError) as caught:
        a_camera(**changes)
    assert told in caught.value.message + caught.value.hint


def test_files_of_cameras_survive_with_their_splits(tmp_path):
    cameras = [a_camera("a"), a_camera("b", k1=0.1)]
    save_cameras(tmp_path / "cameras.json", cameras, {"train": ["a"], "test": ["b"]})
    again, splits = load_cameras(tmp_path / "cameras.json")
    assert [to_json(camera) for camera in again] == [to_json(camera) for camera in cameras]
    assert splits == {"train": ["a"], "test": ["b"]}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("version", 2, "version 2"),
        ("cameras", {}, "cameras is an object, not a list"),
        ("cameras", [1], r"cameras\[0\] is 1, not an object"),
        ("cameras", [{**to_json(a_camera()), "zoom": 1}], "unknown field 'zoom'"),
        ("cameras", [{**to_json(a_camera()), "width": 0}], "image of 0 x 48"),
        ("splits", {"train": ["x"]}, "does not have: x"),
        ("splits", {"train": "a"}, "splits.train is 'a', not a list"),
    ],
)
def test_damaged_files_of_cameras_are_named(tmp_path, key, value, told):
    path = tmp_path / "cameras.json"
    save_cameras(path, [a_camera()], {})
    content = read_json(path)
    assert isinstance(content, dict)
    write_json(path, {**content, key: value})
    with pytest.raises(CameraError, match=told) as caught:
        load_cameras(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("key", sorted(to_json(a_camera())))
def test_a_camera_without_a_number_or_with_another_thing_is_named_by_its_place(key):
    content = to_json(a_camera())
    for damaged in (
        {name: value for name, value in content.items() if name != key},
        {**content, key: None},
        {**content, key: True},
        {**content, key: [[1.0]]},
    ):
        with pytest.raises(CameraError, match=f"^Frame 3 has no field {key}|^Frame 3.{key}"):
            from_json(damaged, "Frame 3")


def test_a_camera_listed_twice_is_refused(tmp_path):
    save_cameras(tmp_path / "c.json", [a_camera(), a_camera()], {})
    with pytest.raises(CameraError, match="twice: a"):
        load_cameras(tmp_path / "c.json")


def test_cameras_need_nothing_but_numpy():
    code = (
        "import sys\n"
        "import neuron_core.cameras.camera, neuron_core.cameras.dome\n"
        "import neuron_core.cameras.focus, neuron_core.cameras.transforms\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'PIL', 'OpenEXR', 'torch', 'warp', 'pxr', 'mitsuba'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
