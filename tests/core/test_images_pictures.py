import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.foundation.errors import FileError
from neuron_core.images.pictures import (
    decode_bytes,
    decode_image,
    display,
    encode_png,
    straight,
)
from neuron_core.images.sizes import ImageError, picture_size
from tests.core.foreign_scenes import encode_jpeg


def pixels(height: int = 6, width: int = 9, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


@pytest.mark.parametrize("channels", [3, 4])
def test_png_pixels_come_back_exactly(tmp_path, channels):
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(pixels(channels=channels)))
    np.testing.assert_array_equal(decode_image(path), pixels(channels=channels))
    assert picture_size(path) == (9, 6)
    assert encode_png(pixels()) == encode_png(pixels())


def test_jpeg_pixels_come_back_nearly_and_the_size_is_found(tmp_path):
    smooth = np.linspace(0, 255, 16 * 12 * 3).reshape(12, 16, 3).astype(np.uint8)
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(smooth, 95))
    assert np.abs(decode_image(path).astype(int) - smooth).max() < 16
    assert picture_size(path) == (16, 12)


def test_a_photograph_is_turned_as_its_camera_noted_only_if_asked(tmp_path):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    Image.fromarray(pixels(16, 24)).save(path, exif=exif, quality=95)
    stored, upright = decode_image(path, upright=False), decode_image(path)
    assert stored.shape == (16, 24, 3)
    np.testing.assert_array_equal(upright, np.rot90(stored, -1))
    assert picture_size(path) == (24, 16)


def test_other_pixel_formats_become_eight_bits_of_color(tmp_path):
    ramp = np.arange(48, dtype=np.uint8).reshape(6, 8)
    gray, sixteen, palette = (tmp_path / name for name in ("g.png", "s.png", "p.png"))
    Image.fromarray(ramp).save(gray)
    Image.fromarray(ramp.astype(np.uint16) * 257).save(sixteen)
    Image.fromarray(ramp).convert("P").save(palette, transparency=0)
    expected = np.stack([ramp] * 3, axis=-1)
    np.testing.assert_array_equal(decode_image(gray), expected)
    np.testing.assert_array_equal(decode_image(sixteen), expected)
    assert decode_image(palette).shape == (6, 8, 4)


def test_display_is_over_white_and_then_encoded():
    linear = np.array([[[0.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.5], [5.0, 0, 0, 1]]], np.float32)
    half = round(float(linear_to_srgb(np.array([0.75]))[0]) * 255)
    np.testing.assert_array_equal(display(linear), [[[255] * 3, [half] * 3, [255, 0, 0]]])


def test_written_png_has_straight_alpha_in_srgb(tmp_path):
    linear = np.array([[[0.1, 0.05, 0.25, 0.5], [0, 0, 0, 0]]], np.float32)
    (tmp_path / "a.png").write_bytes(encode_png(straight(linear)))
    color = np.rint(linear_to_srgb(np.array([0.2, 0.1, 0.5])) * 255)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png"), [[[*color, 128], [0, 0, 0, 0]]])
    np.testing.assert_array_equal(straight(np.full((1, 1, 3), np.nan)), np.zeros((1, 1, 3)))


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded():
    stream = io.BytesIO()
    Image.new("1", (12000, 6000)).save(stream, "PNG")
    with pytest.raises(ImageError, match="12000 x 6000"):
        decode_bytes(stream.getvalue(), "bomb.png")


@settings(max_examples=150)
@given(st.data())
def test_damaged_pictures_give_an_error_or_a_picture(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    content = bytearray(data.draw(st.sampled_from([encode_png(pixels(24, 30)), encode_jpeg(pixels(24, 30))])))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    for read in (decode_image, picture_size):
        try:
            assert read(path) is not None
        except FileError as error:
            assert str(path) in error.message


def test_truncated_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(pixels(60, 60))[:-2000])
    with pytest.raises(ImageError, match=r"a\.png"):
        decode_image(path)
    path.write_bytes(b"GIF89a" + bytes(50))
    with pytest.raises(ImageError, match=r"a\.png"):
        decode_image(path)
    with pytest.raises(ImageError, match=r"a\.png"):
        picture_size(path)
