from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuron_core.cameras.camera import project
from neuron_core.datasets.contract import View, read_encoded, read_gbuffer, read_picture
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.photographs import shrink
from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.colors import linear_to_srgb, srgb_to_linear
from neuron_core.foundation.errors import FileError
from neuron_core.images.exr import write_exr
from neuron_core.images.pictures import encode_png
from tests.core import foreign_scenes as foreign


def test_photographs_are_decoded_to_linear_and_opaque(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(9))
    dataset = open_dataset(tmp_path)
    assert (dataset.kind, dataset.background) == ("photographs", "opaque")
    assert [entry.name for entry in dataset.materials] == ["scene"]
    rgba = read_picture(dataset, View("shot_003", "scene"))
    assert rgba.shape == (16, 24, 4) and rgba.dtype == np.float32
    np.testing.assert_array_equal(rgba[..., 3], 1)
    np.testing.assert_allclose(rgba[..., :3], srgb_to_linear(np.array([40 / 255]))[0], atol=2e-3)
    np.testing.assert_allclose(read_encoded(dataset, View("shot_003", "scene")), 40 / 255, atol=5e-3)
    assert read_gbuffer(dataset, View("shot_003")) is None


def test_half_transparent_pixels_are_composited_in_srgb(tmp_path):
    foreign.write_synthetic(tmp_path, foreign.scene_cameras())
    pixels = np.zeros((16, 24, 4), np.uint8)
    pixels[:8] = (200, 100, 0, 128)
    (tmp_path / "test" / "r_0.png").write_bytes(encode_png(pixels))
    dataset = open_dataset(tmp_path)
    assert dataset.background == "transparent"
    alpha = 128 / 255
    expected = np.array([200, 100, 0]) / 255 * alpha + 1 - alpha
    encoded = read_encoded(dataset, View("test_r_0", "scene"))
    np.testing.assert_allclose(encoded[:8], np.broadcast_to(expected, (8, 24, 3)), atol=1e-5)
    np.testing.assert_array_equal(encoded[8:], 1)
    linear = read_picture(dataset, View("test_r_0", "scene"))
    np.testing.assert_allclose(
        linear[0, 0, :3], srgb_to_linear(np.array([200, 100, 0]) / 255) * alpha, atol=1e-6
    )


def test_scaling_down_averages_linear_light_and_scales_the_cameras(tmp_path):
    cameras = foreign.scene_cameras(2)
    foreign.write_ngp(tmp_path, cameras)
    board = np.zeros((16, 24, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    (tmp_path / "images" / "shot_000.jpg").write_bytes(encode_png(board))
    dataset = open_dataset(tmp_path, downscale=4)
    rgba = read_picture(dataset, View("shot_000", "scene"))
    assert rgba.shape == (4, 6, 4)
    np.testing.assert_allclose(rgba[..., :3], 0.5, atol=1e-6)
    np.testing.assert_allclose(
        read_encoded(dataset, View("shot_000", "scene")), linear_to_srgb(np.array([0.5]))[0], atol=1e-6
    )
    x, y, _ = project(cameras[0], np.array([0.1, 0.2, 0.3]))
    small_x, small_y, _ = project(dataset.cameras["shot_000"], np.array([0.1, 0.2, 0.3]))
    np.testing.assert_allclose([small_x * 4, small_y * 4], [x, y], atol=1e-5)


@pytest.mark.parametrize("size", [(6, 4), (7, 5), (24, 16), (1, 1), (23, 3)])
def test_shrinking_keeps_the_mean_and_constants(size):
    image = np.random.default_rng(0).random((16, 24, 3)).astype(np.float32)
    small = shrink(image, *size)
    assert small.shape == (size[1], size[0], 3)
    np.testing.assert_allclose(small.mean(axis=(0, 1)), image.mean(axis=(0, 1)), atol=1e-5)
    np.testing.assert_allclose(shrink(np.ones_like(image), *size), 1, atol=1e-5)


def test_shrinking_by_a_whole_number_is_the_mean_of_blocks():
    image = np.random.default_rng(0).random((16, 24, 2)).astype(np.float32)
    blocks = image.reshape(4, 4, 6, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(shrink(image, 6, 4), blocks, atol=1e-6)


def test_a_portrait_at_an_eighth_has_an_eighth_of_its_sides(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(1, 1080, 1920))
    camera = open_dataset(tmp_path, downscale=8).cameras["shot_000"]
    assert (camera.width, camera.height) == (135, 240)


def test_the_bounds_hold_the_scene_and_the_focus_is_what_cameras_look_at(tmp_path):
    foreign.write_synthetic(tmp_path, foreign.scene_cameras(30))
    dataset = open_dataset(tmp_path)
    focus = dataset.focus()
    np.testing.assert_allclose(focus.point, 0, atol=1e-6)
    np.testing.assert_allclose(focus.distance, 4.0, atol=1e-6)
    np.testing.assert_allclose(dataset.aabb, [[-1.6] * 3, [1.6] * 3], atol=1e-5)
    assert dataset.aabb.dtype == np.float32


def test_cameras_in_one_place_have_no_bounds(tmp_path):
    foreign.write_nerfstudio(tmp_path, foreign.scene_cameras(1))
    with pytest.raises(DatasetError, match="one place"):
        open_dataset(tmp_path)


def test_the_mask_rectangle_shrinks_with_the_photographs(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(2))
    valid = open_dataset(tmp_path, mask=[20, 12, 24, 16]).valid(View("shot_000"))
    assert (~valid).sum() == 16 and not valid[12:, 20:].any()
    small = open_dataset(tmp_path, downscale=4, mask=[19, 12, 24, 16]).valid(View("shot_000"))
    assert (~small).sum() == 2 and not small[3, 4:].any()
    assert open_dataset(tmp_path).valid(View("shot_000")).all()
    with pytest.raises(DatasetError, match="mask rectangle"):
        open_dataset(tmp_path, mask=[4, 4, 2, 8])


def test_turned_photographs_are_turned_as_their_cameras_noted(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(2))
    exif = Image.Exif()
    exif[0x0112] = 8
    pixels = np.zeros((24, 16, 3), np.uint8)
    pixels[:, 8:] = 255
    Image.fromarray(pixels).save(tmp_path / "images" / "shot_001.jpg", exif=exif, quality=95)
    rgba = read_picture(open_dataset(tmp_path), View("shot_001", "scene"))
    assert rgba.shape == (16, 24, 4)
    assert rgba[:6].mean() > 0.9 and rgba[10:, :, :3].mean() < 0.1


def test_linear_pictures_are_taken_as_they_are(tmp_path):
    cameras = foreign.scene_cameras(2)
    foreign.write_ngp(tmp_path, cameras)
    values = np.random.default_rng(0).random((16, 24)) * 4
    for camera in cameras:
        write_exr(tmp_path / "images" / f"{camera.name}.exr", dict.fromkeys("RGBA", values))
    text = (tmp_path / "transforms.json").read_text().replace(".jpg", ".exr")
    (tmp_path / "transforms.json").write_text(text)
    np.testing.assert_allclose(
        read_picture(open_dataset(tmp_path), View("shot_000", "scene"))[..., 2], values, atol=1e-6
    )
    over_white = np.clip(values + 1 - values, 0, 1)  # color and alpha are the same
    encoded = read_encoded(open_dataset(tmp_path), View("shot_000", "scene"))
    np.testing.assert_allclose(encoded[..., 0], linear_to_srgb(over_white), atol=1e-5)
    values[3, 3] = np.nan
    write_exr(tmp_path / "images" / "shot_001.exr", dict.fromkeys("RGBA", values))
    with pytest.raises(DatasetError, match=r"shot_001\.exr has 4 values"):
        read_picture(open_dataset(tmp_path), View("shot_001", "scene"))


def test_a_damaged_photograph_is_found_by_verify(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(4))
    dataset = open_dataset(tmp_path)
    dataset.verify()
    before = dataset.digest()
    path = tmp_path / "images" / "shot_002.jpg"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(FileError, match=r"shot_002\.jpg"):
        dataset.verify()
    assert dataset.digest() != before


def test_a_file_may_have_any_name(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(2))
    (tmp_path / "transforms.json").rename(tmp_path / "cameras_of_mine.json")
    assert len(open_dataset(tmp_path / "cameras_of_mine.json").cameras) == 2


@pytest.mark.parametrize("downscale", [0.5, 100.0, float("nan")])
def test_photographs_only_become_smaller(tmp_path: Path, downscale: float):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(2))
    with pytest.raises(DatasetError, match="scaled down"):
        open_dataset(tmp_path, downscale=downscale)
