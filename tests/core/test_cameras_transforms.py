import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.cameras.camera import CameraError, project
from neuron_core.cameras.transforms import TransformsError, read_transforms
from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.images.pictures import encode_png
from tests.core import foreign_scenes as foreign

POINTS = np.array([[0.3, -0.2, 0.1], [-0.4, 0.5, 0.2], [0.0, 0.0, 0.0]])


def changed(path: Path, **changes: object) -> None:
    foreign.write(path, {**json.loads(path.read_text()), **changes})


def test_a_known_point_is_seen_at_the_same_pixel_in_all_three_flavours(tmp_path):
    cameras = foreign.scene_cameras()
    foreign.write_synthetic(tmp_path / "synthetic", cameras)
    foreign.write_ngp(tmp_path / "ngp", cameras)
    foreign.write_nerfstudio(tmp_path / "studio", cameras)
    for folder in ("synthetic", "ngp", "studio"):
        read = {frame.camera.name: frame.camera for frame in read_transforms(tmp_path / folder).frames}
        assert len(read) == len(cameras)
        for index, camera in enumerate(cameras):
            name = camera.name
            if folder == "synthetic":
                split, first = ("train", 0) if index < 6 else ("val", 6) if index < 8 else ("test", 8)
                name = f"{split}_r_{index - first}"
            expected, found = project(camera, POINTS), project(read[name], POINTS)
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_lens_distortion_and_off_center_principal_points_are_kept(tmp_path):
    cameras = [
        replace(camera, cx=11.0, cy=9.5, fl_y=30.0, k1=0.08, k2=-0.01, p1=0.002, p2=-0.003)
        for camera in foreign.scene_cameras(3)
    ]
    for folder, writer in (("ngp", foreign.write_ngp), ("studio", foreign.write_nerfstudio)):
        writer(tmp_path / folder, cameras)
        for camera, frame in zip(cameras, read_transforms(tmp_path / folder).frames, strict=True):
            np.testing.assert_allclose(project(frame.camera, POINTS), project(camera, POINTS), atol=1e-5)


def test_up_in_a_foreign_world_becomes_up_in_ours(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(8))
    for frame in read_transforms(tmp_path).frames:
        assert frame.camera.c2w[1, 1] > 0  # the cameras stand upright
    changed(tmp_path / "transforms.json", up_axis="Y")
    matrices = [
        frame["transform_matrix"]
        for frame in json.loads((tmp_path / "transforms.json").read_text())["frames"]
    ]
    for frame, matrix in zip(read_transforms(tmp_path).frames, matrices, strict=True):
        np.testing.assert_allclose(frame.camera.c2w, matrix, atol=1e-8)
    changed(tmp_path / "transforms.json", up_axis="X")
    with pytest.raises(TransformsError, match="up_axis 'X'"):
        read_transforms(tmp_path)


def test_the_splits_of_the_file_are_kept(tmp_path):
    cameras = foreign.scene_cameras()
    foreign.write_synthetic(tmp_path / "synthetic", cameras)
    foreign.write_nerfstudio(tmp_path / "studio", cameras)
    synthetic, studio = (read_transforms(tmp_path / name).splits for name in ("synthetic", "studio"))
    assert synthetic["test"] == ["test_r_0", "test_r_1"]
    assert synthetic["val"] == ["val_r_0", "val_r_1"]
    assert synthetic["train"] == [f"train_r_{index}" for index in range(6)]
    assert studio["train"] == [camera.name for camera in cameras[:-3]]
    assert studio["test"] == [cameras[-1].name]
    one_file = read_transforms(tmp_path / "synthetic" / "transforms_test.json")
    assert one_file.splits == synthetic  # its neighbors belong to it


def test_without_splits_every_eighth_picture_is_for_testing(tmp_path):
    cameras = foreign.scene_cameras(17)
    foreign.write_ngp(tmp_path, cameras[::-1])
    splits = read_transforms(tmp_path).splits
    assert splits["test"] == ["shot_000", "shot_008", "shot_016"]
    assert splits["val"] == []
    assert sorted(splits["train"] + splits["test"]) == sorted(camera.name for camera in cameras)


def test_a_list_of_training_pictures_alone_keeps_others_out(tmp_path):
    foreign.write_nerfstudio(tmp_path, foreign.scene_cameras(12), test_filenames=[], val_filenames=[])
    splits = read_transforms(tmp_path).splits
    assert splits["test"] == ["shot_000", "shot_008"]
    assert splits["train"] == [f"shot_{index:03d}" for index in range(1, 8)]


def test_validation_serves_where_there_is_no_test(tmp_path):
    foreign.write_nerfstudio(tmp_path, foreign.scene_cameras(10), test_filenames=[])
    splits = read_transforms(tmp_path).splits
    assert splits["test"] == splits["val"] == ["shot_007", "shot_008"]


def test_the_bounds_are_the_cube_that_instant_ngp_trains_in(tmp_path):
    cameras = foreign.scene_cameras(3)
    foreign.write_ngp(tmp_path, cameras)
    read = read_transforms(tmp_path)
    assert read.aabb_scale == 4
    half = 4 * 0.5 / 0.33
    np.testing.assert_allclose(read.aabb, [[-half] * 3, [half] * 3])
    foreign.write_ngp(tmp_path, cameras, aabb_scale=1, scale=0.5, offset=[0.5, 0.5, 0.0])
    # In the file the middle is at (0, 0, 1), that is above the origin: y in our world.
    np.testing.assert_allclose(read_transforms(tmp_path).aabb, [[-1, 0, -1], [1, 2, 1]], atol=1e-12)
    foreign.write_nerfstudio(tmp_path, cameras)
    assert read_transforms(tmp_path).aabb is None


@pytest.mark.parametrize("size", [(48, 32), (12, 8), (7, 5), (240, 160)])
def test_pictures_of_another_size_but_the_same_shape_scale_the_intrinsics(tmp_path, size):
    cameras = foreign.scene_cameras(2)
    foreign.write_ngp(tmp_path, cameras)
    for camera in cameras:
        (tmp_path / "images" / f"{camera.name}.jpg").write_bytes(encode_png(foreign.picture(0, *size)))
    for camera, frame in zip(cameras, read_transforms(tmp_path).frames, strict=True):
        assert (frame.camera.width, frame.camera.height) == size
        x, y, _ = project(camera, POINTS)
        scaled_x, scaled_y, _ = project(frame.camera, POINTS)
        np.testing.assert_allclose(scaled_x, x * size[0] / 24, atol=1e-5)
        np.testing.assert_allclose(scaled_y, y * size[1] / 16, atol=1e-5)


@pytest.mark.parametrize("size", [(24, 24), (24, 15), (23, 16), (100, 40)])
def test_a_picture_of_another_shape_is_named(tmp_path, size):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(3))
    (tmp_path / "images" / "shot_001.jpg").write_bytes(encode_png(foreign.picture(0, *size)))
    with pytest.raises(TransformsError, match="wrong size") as caught:
        read_transforms(tmp_path)
    assert "shot_001.jpg" in caught.value.message
    assert f"{size[0]} x {size[1]}" in caught.value.message


def test_a_picture_that_fits_when_turned_is_marked(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(2))
    (tmp_path / "images" / "shot_001.jpg").write_bytes(encode_png(foreign.picture(0, 16, 24)))
    first, second = read_transforms(tmp_path).frames
    assert (first.turned, second.turned) == (False, True)
    assert (second.camera.width, second.camera.height) == (24, 16)


def test_without_sizes_and_centers_those_of_the_picture_are_taken(tmp_path):
    foreign.write_synthetic(tmp_path, foreign.scene_cameras())
    camera = read_transforms(tmp_path).frames[0].camera
    assert (camera.width, camera.height, camera.cx, camera.cy) == (24, 16, 12.0, 8.0)
    assert camera.fl_x == camera.fl_y


def test_missing_pictures_are_counted_and_named(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(5))
    (tmp_path / "images" / "shot_001.jpg").unlink()
    (tmp_path / "images" / "shot_004.jpg").unlink()
    with pytest.raises(TransformsError, match=r"2 of the 5 .*shot_001\.jpg, images/shot_004\.jpg"):
        read_transforms(tmp_path)


def test_paths_of_other_systems_and_odd_names_are_understood(tmp_path):
    camera = foreign.scene_cameras(1)[0]
    foreign.write_ngp(tmp_path, [camera])
    content = json.loads((tmp_path / "transforms.json").read_text())
    (tmp_path / "images" / "shot_000.jpg").rename(tmp_path / "images" / "my shot (1).jpg")
    content["frames"][0]["file_path"] = "images\\my shot (1).jpg"
    foreign.write(tmp_path / "transforms.json", content)
    assert read_transforms(tmp_path).frames[0].camera.name == "my_shot_1_"


def test_slightly_rounded_poses_become_exact_rotations(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(2))
    content = json.loads((tmp_path / "transforms.json").read_text())
    for frame in content["frames"]:
        frame["transform_matrix"] = [[round(value, 3) for value in row] for row in frame["transform_matrix"]]
    foreign.write(tmp_path / "transforms.json", content)
    for frame in read_transforms(tmp_path).frames:
        rotation = frame.camera.c2w[:3, :3]
        np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"frames": []}, "no frames"),
        ({"frames": {}}, "no list of frames"),
        ({"frames": [{}]}, "no file_path"),
        ({"frames": [3]}, "no file_path"),
        ({"camera_model": "OPENCV_FISHEYE"}, "OPENCV_FISHEYE"),
        ({"is_fisheye": True}, "is_fisheye"),
        ({"k3": 0.1}, "k3 = 0.1"),
        ({"fl_x": "wide"}, "fl_x = 'wide'"),
        ({"fl_x": float("nan")}, "fl_x = nan"),
        ({"fl_x": -3.0}, "focal length"),
        ({"w": 0}, "size of 0.0"),
        ({"aabb_scale": -1}, "aabb_scale -1"),
        ({"offset": [0.5, "a", 0]}, "offset"),
        ({"train_filenames": "all"}, "not a list of names"),
        ({"k1": -9.0, "k2": 1e400}, "k2 = inf"),
    ],
)
def test_damaged_files_are_told_what_is_wrong(tmp_path, changes, told):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(2))
    changed(tmp_path / "transforms.json", **changes)
    with pytest.raises(CameraError, match=told):
        read_transforms(tmp_path)


@pytest.mark.parametrize(
    "matrix",
    [None, [], [[1, 2], [3]], "none", [[0.0] * 4] * 4, [[1e400] * 4] * 4, np.diag([1.0, 2, 1, 1]).tolist()],
)
def test_a_pose_that_is_none_is_named(tmp_path, matrix):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(2))
    content = json.loads((tmp_path / "transforms.json").read_text())
    content["frames"][1]["transform_matrix"] = matrix
    foreign.write(tmp_path / "transforms.json", content)
    with pytest.raises(TransformsError, match=r"shot_001\.jpg"):
        read_transforms(tmp_path)


def test_a_picture_listed_twice_is_refused(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(2))
    content = json.loads((tmp_path / "transforms.json").read_text())
    content["frames"].append(content["frames"][0])
    foreign.write(tmp_path / "transforms.json", content)
    with pytest.raises(TransformsError, match="twice: images_shot_000"):
        read_transforms(tmp_path)


def test_what_is_no_dataset_is_told(tmp_path):
    with pytest.raises(TransformsError, match=r"no transforms\.json"):
        read_transforms(tmp_path)
    with pytest.raises(FileError, match="none.json"):
        read_transforms(tmp_path / "none.json")
    (tmp_path / "transforms.json").write_text("{")
    with pytest.raises(NeuronError, match="not readable as JSON"):
        read_transforms(tmp_path)
