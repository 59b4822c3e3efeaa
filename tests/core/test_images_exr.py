from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_core.foundation.errors import FileError
from neuron_core.images.exr import read_exr, write_exr
from neuron_core.images.sizes import ImageError, picture_size


def channels(height: int = 7, width: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    names = ("depth", "P.X", "P.Y", "P.Z", "shape_id")
    return {name: rng.standard_normal((height, width)).astype(np.float32) * 1e3 for name in names}


def test_floats_come_back_bit_for_bit_with_their_names(tmp_path):
    written = channels()
    written["depth"][0] = [0, np.inf, -np.inf, 1e-40, np.float32(np.nan)]
    write_exr(tmp_path / "a.exr", written)
    read = read_exr(tmp_path / "a.exr")
    assert sorted(read) == sorted(written)
    for name in written:
        assert read[name].tobytes() == written[name].tobytes()


def test_halves_come_back_as_the_nearest_halves_clipped_to_their_range(tmp_path):
    values = np.array([[0.1, 1e6, -1e6, 0.333]])
    write_exr(tmp_path / "a.exr", {"R": values}, half=True)
    expected = np.clip(values, -65504, 65504).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr")["R"], expected)


def test_one_file_may_hold_halves_and_floats(tmp_path):
    values = np.array([[1.0 + 2**-20, 65505.0]], np.float32)
    write_exr(tmp_path / "a.exr", {"R": values, "depth": values}, half={"R"})
    read = read_exr(tmp_path / "a.exr")
    np.testing.assert_array_equal(read["depth"], values)
    np.testing.assert_array_equal(read["R"], [[1.0, 65504.0]])


def test_the_first_row_is_on_top_for_other_readers_too(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_exr(tmp_path / "a.exr", {"Y": values})
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        np.testing.assert_array_equal(file.channels()["Y"].pixels, values)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    content = channels(40, 33)
    write_exr(tmp_path / "a.exr", content)
    write_exr(tmp_path / "b.exr", dict(reversed(content.items())))
    assert (tmp_path / "a.exr").read_bytes() == (tmp_path / "b.exr").read_bytes()


def test_an_almost_empty_picture_is_not_mistaken_for_a_damaged_one(tmp_path):
    write_exr(tmp_path / "a.exr", {name: np.zeros((700, 900)) for name in "RGBA"})
    assert read_exr(tmp_path / "a.exr")["A"].shape == (700, 900)


def test_the_size_is_told_by_the_header(tmp_path):
    write_exr(tmp_path / "a.exr", channels(7, 5))
    assert picture_size(tmp_path / "a.exr") == (5, 7)


def test_channels_of_different_shapes_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="shapes"):
        write_exr(tmp_path / "a.exr", {"a": np.zeros((2, 2)), "b": np.zeros((2, 3))})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"v/1\x01", b"nonsense" * 20, b"\x89PNG\r\n\x1a\n" + bytes(90)])
def test_other_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "other.exr"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"other\.exr"):
        read_exr(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileError, match="none.exr"):
        read_exr(tmp_path / "none.exr")


def test_a_huge_size_is_refused_before_anything_is_allocated(tmp_path):
    path = tmp_path / "a.exr"
    write_exr(path, channels(7, 5))
    content = path.read_bytes()
    small, huge = (np.array([0, 0, w - 1, h - 1], "<i4").tobytes() for w, h in ((5, 7), (20000, 20000)))
    path.write_bytes(content.replace(small, huge))
    with pytest.raises(ImageError, match="20000 x 20000"):
        read_exr(path)


@settings(max_examples=150)
@given(st.data())
def test_damaged_files_give_an_error_or_a_picture_and_print_nothing(tmp_path_factory, data):
    path: Path = tmp_path_factory.getbasetemp() / "damaged.exr"
    write_exr(path, {name: np.rint(values) for name, values in channels(20, 20).items()})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read = read_exr(path)
    except FileError as error:
        assert str(path) in error.message
    else:
        assert all(values.dtype == np.float32 for values in read.values())


def test_every_truncation_is_noticed(tmp_path, capsys):
    path = tmp_path / "a.exr"
    write_exr(path, channels(20, 20))
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(ImageError):
            read_exr(path)
    assert capsys.readouterr().out == ""
