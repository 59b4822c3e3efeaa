"""Files that grow by a line of JSON at a time: what a run measured, what a campaign did.

A line counts once its end is there. A last line without it is what a killed process had not finished:
readers drop it, and whoever resumes cuts it off before more is added.
"""

import json
import os
from pathlib import Path

from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import read_bytes


def append_line(path: Path, text: str, durable: bool = False) -> None:
    """Add a line; its folder is made. If it is `durable`, the line is on the disk when this returns.

    Raises FileError if it cannot be written.
    """
    assert "\n" not in text, "one line at a time"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(text.encode() + b"\n")
            if durable:
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise FileError(
            f"Cannot write {path}: {error.strerror or error}.",
            "Make room or mend the folder; the same command resumes.",
        ) from error


def whole_lines(path: Path) -> list[bytes]:
    """The lines that have an end, without it; none without a file. Raises FileError."""
    return read_bytes(path).split(b"\n")[:-1] if path.is_file() else []


def read_rows(path: Path) -> list[dict[str, object]]:
    """The objects in the whole lines. Raises FileError, with its number, for a line that holds no object."""
    rows: list[dict[str, object]] = []
    for number, line in enumerate(whole_lines(path), 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise FileError(
                f"{path} is damaged at line {number}: it holds no JSON object.",
                f"Restore it from a copy, or delete the lines from {number} on.",
            )
        rows.append(row)
    return rows


def cut_lines(path: Path, length: int | None = None) -> None:
    """Keep the whole lines among the first `length` bytes, by default all whole lines. Raises FileError."""
    if not path.is_file():
        return
    end = read_bytes(path)[:length].rfind(b"\n") + 1
    if end < path.stat().st_size:
        os.truncate(path, end)


def synced_length(path: Path) -> int:
    """How many bytes a file has, all of them on the disk; 0 without a file."""
    if not path.is_file():
        return 0
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)
