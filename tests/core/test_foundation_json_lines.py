"""Files that grow line by line: whatever a process leaves when it is killed, whole lines are read again."""

import pytest

from neuron_core.foundation.errors import FileError
from neuron_core.foundation.json_lines import (
    append_line,
    cut_lines,
    read_rows,
    synced_length,
    whole_lines,
)

LINES = ('{"a": 1}', '{"b": "naïve"}', "{}")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "folder" / "rows.jsonl"
    for index, line in enumerate(LINES):
        append_line(path, line, durable=index == 1)
    return path


def test_rows_come_back_in_the_order_in_which_they_were_added(path):
    assert read_rows(path) == [{"a": 1}, {"b": "naïve"}, {}]
    assert whole_lines(path) == [line.encode() for line in LINES]
    assert synced_length(path) == sum(len(line.encode()) + 1 for line in LINES)


def test_cut_after_any_byte_a_file_holds_the_lines_before_it_and_takes_the_rest_again(path):
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = content[:length].count(b"\n")
        assert len(read_rows(path)) == whole
        cut_lines(path)
        for line in LINES[whole:]:
            append_line(path, line)
        assert path.read_bytes() == content, f"cut after {length} bytes"


def test_what_came_after_a_length_is_dropped_and_so_is_the_line_that_it_divides(path):
    first = len(LINES[0]) + 1
    cut_lines(path, first + 3)
    assert path.read_bytes() == (LINES[0] + "\n").encode()
    cut_lines(path, 10**6)
    assert path.read_bytes() == (LINES[0] + "\n").encode()
    cut_lines(path, 0)
    assert path.read_bytes() == b"" and read_rows(path) == []


def test_a_missing_file_has_no_lines_and_stays_missing(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert whole_lines(path) == [] == read_rows(path) and synced_length(path) == 0
    cut_lines(path)
    assert not path.exists()


@pytest.mark.parametrize("damage", [b"{'a': 1}", b"[1]", b"", b"\xff\xfe", b"3"])
def test_a_damaged_line_is_named_by_its_number_and_the_file_is_left_alone(damage, path):
    lines = whole_lines(path)
    path.write_bytes(b"\n".join([lines[0], damage, *lines[2:], b""]))
    before = path.read_bytes()
    with pytest.raises(FileError, match="damaged at line 2") as caught:
        read_rows(path)
    assert "delete the lines from 2 on" in caught.value.hint and path.read_bytes() == before


def test_a_line_that_cannot_be_written_names_its_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"Cannot write .*file/rows.jsonl"):
        append_line(tmp_path / "file" / "rows.jsonl", "{}")
