"""What Windows does with open and locked files, strictly: stands in for `msvcrt` and parts of `os`."""

import errno
import os
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class WindowsDisk:
    """Locks by ranges of bytes, each of one handle; open files that cannot be removed.

    As `msvcrt.locking`: a range begins at the current position and may lie beyond the end of the file; one
    that overlaps any other, of the same handle too, is refused; only the very range is unlocked. Closing
    a handle frees its ranges.
    """

    LK_UNLCK, LK_LOCK, LK_NBLCK, LK_RLCK, LK_NBRLCK = range(5)
    ranges: dict[tuple[int, int], list[tuple[int, int, int]]] = field(default_factory=dict)  # by file
    handles: dict[int, tuple[int, int]] = field(default_factory=dict)  # open files

    def locking(self, handle: int, mode: int, count: int) -> None:
        """As Windows does it."""
        assert mode in (self.LK_UNLCK, self.LK_NBLCK), "the others wait for seconds"
        assert count > 0
        first = os.lseek(handle, 0, os.SEEK_CUR)
        assert first >= os.fstat(handle).st_size, "what is locked cannot be read by others"
        held = self.ranges.setdefault(self.handles[handle], [])
        wanted = (handle, first, first + count)
        if mode == self.LK_UNLCK:
            if wanted not in held:
                raise OSError(errno.EACCES, "Permission denied")
            held.remove(wanted)
            return
        if any(first < end and begin < first + count for _, begin, end in held):
            raise OSError(errno.EACCES, "Permission denied")
        held.append(wanted)

    @property
    def locked(self) -> int:
        """How many ranges are locked."""
        return sum(map(len, self.ranges.values()))

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let `os` open, close and remove files through it; what Windows lacks is gone."""
        real_open, real_close, real_unlink = os.open, os.close, os.unlink

        def opened(path: Any, *args: Any, **kwargs: Any) -> int:
            handle = real_open(path, *args, **kwargs)
            self.handles[handle] = _file_of(os.fstat(handle))
            return handle

        def closed(handle: int) -> None:
            file = self.handles.pop(handle, None)
            if file is not None:
                self.ranges[file] = [one for one in self.ranges.get(file, []) if one[0] != handle]
            real_close(handle)

        def unlinked(path: Any, *args: Any, **kwargs: Any) -> None:
            if _file_of(os.stat(path)) in self.handles.values():
                raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
            real_unlink(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", opened)
        monkeypatch.setattr(os, "close", closed)
        monkeypatch.setattr(os, "unlink", unlinked)
        for name in ("pwrite", "pread", "lockf"):
            monkeypatch.delattr(os, name)


def _file_of(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
