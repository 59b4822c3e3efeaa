"""Radiance pictures: values, the three codings, orientation, corrections, and damage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_core.images.hdr import MAX_SIDE, hdr_size, open_hdr, read_hdr
from neuron_core.images.sizes import ImageError

HEADER = "#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n"
RANDOM = np.random.default_rng(3)


def encoded(values):
    """RGBE [H, W, 4] of values [H, W, 3], by the definition of the format: mantissas are rounded down."""
    _, exponents = np.frexp(values.max(axis=-1))
    mantissas = np.floor(values * np.ldexp(256.0, -exponents)[..., None])
    return np.concatenate([mantissas, exponents[..., None] + 128], axis=-1).astype(np.uint8)


def flat(pixels):
    return pixels.tobytes()


def old_runs(pixels):
    """Equal neighbors of a scanline as one pixel and counts of one, two or more digits to the base 256."""
    content = b""
    for line in pixels:
        place = 0
        while place < len(line):
            same = 1
            while place + same < len(line) and (line[place + same] == line[place]).all():
                same += 1
            content += line[place].tobytes()
            more = same - 1
            while more:
                content += bytes([1, 1, 1, more % 256])
                more //= 256
            place += same
    return content


def new_runs(pixels):
    content = b""
    for line in pixels:
        content += bytes([2, 2, len(line) >> 8, len(line) & 255])
        for channel in line.T:
            place = 0
            while place < len(channel):
                same = 1
                while place + same < len(channel) and same < 127 and channel[place + same] == channel[place]:
                    same += 1
                content += bytes([128 + same, channel[place]]) if same > 2 else bytes([1, channel[place]])
                place += same if same > 2 else 1
    return content


def written(path, pixels, coding=flat, header=HEADER, axes=("-Y", "+X")):
    size = f"{axes[0]} {pixels.shape[0]} {axes[1]} {pixels.shape[1]}\n"
    path.write_bytes((header + size).encode() + coding(pixels))
    return path


def a_picture(height, width, random=RANDOM):
    """Noise over six decades, with even stretches that runs shorten."""
    values = random.random((height, width, 3)) * 10.0 ** random.integers(-3, 4, (height, width, 1))
    values[:, width // 3 : 2 * width // 3] = values[:, :1]
    return values


def test_values_are_within_half_a_step_of_the_exponent_that_a_pixel_shares(tmp_path):
    values = a_picture(32, 64)
    steps = np.ldexp(1.0, np.frexp(values.max(axis=-1))[1] - 8)[..., None]
    found = read_hdr(written(tmp_path / "a.hdr", encoded(values)))
    assert found.dtype == np.float32
    assert (np.abs(found - values) <= 0.501 * steps).all()


def test_an_exponent_of_zero_is_black(tmp_path):
    pixels = np.full((2, 4, 4), 200, np.uint8)
    pixels[0, :, 3] = 0
    found = read_hdr(written(tmp_path / "a.hdr", pixels))
    assert (found[0] == 0.0).all() and (found[1] > 0.0).all()


@pytest.mark.parametrize("width", [1, 7, 8, 100, 1500])
def test_all_codings_are_the_same_picture(tmp_path, width):
    pixels = encoded(a_picture(6, width))
    codings = [flat, old_runs] + [new_runs] * (width >= 8)
    for coding in codings:
        picture = open_hdr(written(tmp_path / "a.hdr", pixels, coding))
        np.testing.assert_array_equal(picture.pixels, pixels)


def test_rows_are_the_rows_of_the_whole(tmp_path):
    path = written(tmp_path / "a.hdr", encoded(a_picture(9, 16)), new_runs)
    np.testing.assert_array_equal(open_hdr(path).rows(3, 7), read_hdr(path)[3:7])


@pytest.mark.parametrize("down", ["-Y", "+Y"])
@pytest.mark.parametrize("right", ["+X", "-X"])
@pytest.mark.parametrize("by_columns", [False, True])
def test_every_orientation_is_turned_right(tmp_path, down, right, by_columns):
    """+Y is up and +X is right; the first axis of the line is that of scanlines."""
    pixels = encoded(a_picture(8, 16))
    stored = pixels[:: 1 if down == "-Y" else -1, :: 1 if right == "+X" else -1]
    axes = (right, down) if by_columns else (down, right)
    stored = stored.transpose(1, 0, 2) if by_columns else stored
    path = written(tmp_path / "a.hdr", stored, new_runs, axes=axes)
    assert hdr_size(path) == (16, 8)
    np.testing.assert_array_equal(open_hdr(path).pixels, pixels)


def test_what_pixels_were_multiplied_by_is_divided_out(tmp_path):
    pixels = encoded(a_picture(4, 8))
    plain = read_hdr(written(tmp_path / "a.hdr", pixels))
    lines = "EXPOSURE=4\nEXPOSURE= 0.5\nCOLORCORR= 1 2 4\nEXPOSURES=9\n\n"
    corrected = read_hdr(written(tmp_path / "b.hdr", pixels, header=HEADER[:-1] + lines))
    np.testing.assert_allclose(corrected * np.array([2.0, 4.0, 8.0]), plain, rtol=1e-6)


@pytest.mark.parametrize("header", ["#?RGBE\n\n", HEADER.replace("\n", "\r\n"), HEADER[:-1] + "# note\n\n"])
def test_headers_are_read_as_programs_write_them(tmp_path, header):
    pixels = encoded(a_picture(4, 8))
    path = tmp_path / "a.pic"
    end = "\r\n" if "\r" in header else "\n"
    path.write_bytes((header + "-Y 4 +X 8" + end).encode() + flat(pixels))
    np.testing.assert_array_equal(open_hdr(path).pixels, pixels)


BAD = {
    "another file": (b"\x76\x2f\x31\x01", "does not start with"),
    "endless header": (b"#?RADIANCE\n" + b"A=1\n" * 30000, "header does not end"),
    "no size": (HEADER.encode() + b"4 by 8\n", "not a size"),
    "one axis twice": (HEADER.encode() + b"-Y 4 +Y 8\n", "not a size"),
    "nothing": (HEADER.encode() + b"-Y 0 +X 8\n", "size of -Y 0"),
    "wide": (HEADER.encode() + f"-Y 1 +X {MAX_SIDE + 1}\n".encode(), "a size of"),
    "huge": (HEADER.encode() + b"-Y 20000 +X 20000\n" + bytes(100), "a size of"),
    "few bytes": (HEADER.encode() + b"-Y 8192 +X 16384\n" + bytes(100), "come from 100 bytes"),
    "cut": (HEADER.encode() + b"-Y 2 +X 4\n" + bytes(28), "scanline 1 of 2"),
    "xyz": (b"#?RADIANCE\nFORMAT=32-bit_rle_xyze\n\n-Y 1 +X 1\n1234", "XYZ"),
    "other format": (b"#?RADIANCE\nFORMAT=float\n\n-Y 1 +X 1\n1234", "format is 'float'"),
    "exposed by nothing": (b"#?RADIANCE\nEXPOSURE=0\n\n-Y 1 +X 1\n1234", "corrects colors by 0, 0, 0"),
    "exposed by text": (b"#?RADIANCE\nEXPOSURE=x\n\n-Y 1 +X 1\n1234", "EXPOSURE=x"),
    "another length": (HEADER.encode() + b"-Y 1 +X 8\n" + bytes([2, 2, 0, 9]) + bytes(40), "scanline 0"),
    "run of none": (HEADER.encode() + b"-Y 1 +X 8\n" + bytes([2, 2, 0, 8]) + bytes(40), "scanline 0"),
    "long run": (HEADER.encode() + b"-Y 1 +X 8\n" + bytes([2, 2, 0, 8, 137]) + bytes(40), "scanline 0"),
    "run of nothing before": (HEADER.encode() + b"-Y 1 +X 4\n" + bytes([1, 1, 1, 4]) * 4, "scanline 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_damage_is_named(tmp_path, case):
    content, message = BAD[case]
    path = tmp_path / "bad.hdr"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read_hdr(path)
    assert "bad.hdr" in caught.value.message and caught.value.hint


@given(st.floats(0.0, 1.0), st.integers(0, 255), st.sampled_from([flat, old_runs, new_runs]))
@settings(max_examples=80, deadline=None)
def test_a_wrong_byte_or_a_cut_gives_a_picture_or_names_the_file(tmp_path_factory, where, byte, coding):
    path = tmp_path_factory.getbasetemp() / "damaged.hdr"
    whole = written(path, encoded(a_picture(3, 12, np.random.default_rng(0))), coding).read_bytes()
    place = int(where * (len(whole) - 1))
    for content in (whole[:place], whole[:place] + bytes([byte]) + whole[place + 1 :]):
        path.write_bytes(content)
        try:
            assert read_hdr(path).shape[2] == 3
        except ImageError as error:
            assert "damaged.hdr" in error.message
