import numpy as np
import pytest
from PIL import Image, ImageSequence

from neuron_core.foundation.errors import FileError
from neuron_core.images.sheet import BACKGROUND, contact_sheet, difference, write_animation


def flat(value: int, height: int = 20, width: int = 30) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def count(sheet: np.ndarray, value: int) -> int:
    return int((sheet == value).all(axis=-1).sum())


def test_every_pixel_of_every_picture_is_on_the_sheet():
    rows = [("gold", [("truth", flat(1)), ("", flat(2, 10, 40))]), ("", [("nvf", flat(3))]), ("none", [])]
    sheet = contact_sheet(rows, "a title", scale=2)
    assert [count(sheet, value) for value in (1, 2, 3)] == [2400, 1600, 2400]
    assert sheet.dtype == np.uint8
    np.testing.assert_array_equal(sheet[[0, 0, -1, -1], [0, -1, 0, -1]], [BACKGROUND] * 4)


def test_a_sheet_without_texts_is_pictures_on_a_margin():
    sheet = contact_sheet([("", [("", flat(9))])], scale=1)
    ys, xs = np.nonzero((sheet == 9).all(axis=-1))
    assert (np.ptp(ys), np.ptp(xs)) == (19, 29)
    assert sheet.shape[0] - 20 == sheet.shape[1] - 30  # the same margin all around


def test_small_pictures_are_enlarged_and_large_ones_are_not():
    assert count(contact_sheet([("", [("", flat(9, 24, 24))])]), 9) == 192 * 192
    assert count(contact_sheet([("", [("", flat(9, 300, 200))])]), 9) == 300 * 200


def test_texts_of_any_length_stay_in_their_column():
    wide = contact_sheet([("x" * 5000, [("word " * 500, flat(1, 50, 50)), ("", flat(2, 50, 50))])])
    plain = contact_sheet([("label", [("a", flat(1, 50, 50)), ("", flat(2, 50, 50))])])
    assert wide.shape[1] == plain.shape[1]
    assert count(wide, 1) == count(plain, 1) and count(wide, 2) == count(plain, 2)


def test_the_same_sheet_has_the_same_pixels():
    rows = [("gold", [("a", flat(1))])]
    np.testing.assert_array_equal(contact_sheet(rows), contact_sheet(rows))


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([("a", [])])
    with pytest.raises(ValueError, match="uint8"):
        contact_sheet([("a", [("b", np.zeros((4, 4, 3)))])])


def test_differences_are_black_where_pictures_agree_and_symmetric():
    a, b = flat(100), flat(100)
    b[3, 4] = (104, 90, 255)
    apart = difference(a, b)
    assert tuple(apart[3, 4]) == (20, 50, 255)
    assert apart.sum() == 325
    np.testing.assert_array_equal(apart, difference(b, a))


@pytest.mark.parametrize("name", ["turn.png", "turn.webp", "turn.gif"])
def test_animations_have_all_frames_and_go_on_forever(tmp_path, name):
    frames = [flat(40 * index) for index in range(5)]
    write_animation(tmp_path / name, frames, fps=20)
    with Image.open(tmp_path / name) as animation:
        read = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]
        assert animation.info.get("loop", 0) == 0
    assert len(read) == 5
    for frame, expected in zip(read, frames, strict=True):
        np.testing.assert_allclose(frame.astype(int), expected, atol=0 if name == "turn.png" else 3)


def test_unknown_animations_are_refused(tmp_path):
    with pytest.raises(FileError, match="turn.mov"):
        write_animation(tmp_path / "turn.mov", [flat(1)])
    with pytest.raises(ValueError, match="one size"):
        write_animation(tmp_path / "turn.gif", [flat(1), flat(1, 3, 3)])
