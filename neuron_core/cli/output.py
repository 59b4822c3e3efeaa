"""Standard output, kept for the answer alone.

The output owns a duplicate of file descriptor 1, which points at standard error meanwhile: what
libraries print, from Python or not, cannot get between the lines that a program reads.
"""

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import PurePath
from types import TracebackType
from typing import Any

from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import FileError


class Output:
    """The lines that answer a command. Use it as a context; file descriptor 1 comes back at its end."""

    def __init__(self) -> None:
        self.reader_left = False  # nobody reads any more; lines are dropped
        if sys.stdout is not None:
            sys.stdout.flush()
        try:
            self._saved = os.dup(1)
        except OSError:  # started with a closed standard output
            self._saved = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(2, 1)
        except OSError:  # there is no standard error either
            os.dup2(self._saved, 1)
        self._file = open(self._saved, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115

    def __enter__(self) -> "Output":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if sys.stdout is not None:
            sys.stdout.flush()
        os.dup2(self._saved, 1)
        try:
            self._file.close()
        except OSError:  # what could not be written was reported when it was
            pass

    def write_line(self, line: str) -> None:
        """Write one line at once. When the reader has left, ask the task to stop where nothing is lost.

        Raises FileError if it cannot be written for another reason, as on a full disk.
        """
        if self.reader_left:
            return
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except BrokenPipeError:
            self.reader_left = True
            interrupts.request_stop()
        except OSError as error:
            self.reader_left = True
            raise FileError(f"Cannot write to standard output: {error.strerror}.") from error

    def write_event(self, event: str, body: Mapping[str, object]) -> None:
        """Write one JSON object with `event` first. NaN and infinity, which JSON lacks, become null."""
        content = {"event": event} | {key: plain(value) for key, value in body.items() if key != "event"}
        self.write_line(json.dumps(content, allow_nan=False))


def plain(value: object) -> Any:
    """What JSON can say of `value`: paths as text, arrays as lists, what is not finite as None."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if hasattr(value, "tolist"):  # arrays and scalars of numpy and torch
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} does not fit into a result")
