"""Locks on open files, that one or several may hold: flock(2), or ranges of bytes on Windows.

The system frees them when their handle is closed, in whatever way its process ends.
"""

import errno
import os
from typing import Any, Protocol, runtime_checkable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
try:
    import msvcrt
except ImportError:  # everything else
    msvcrt = None  # type: ignore[assignment]

UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_HELD = {errno.EACCES, errno.EDEADLK}  # what Windows says of a range that is locked
FIRST = 1 << 30  # of the bytes that are locked: beyond the content, as nobody can read what is locked
SLOTS = 64  # bytes; a shared lock is one of them, a lock that is held alone all of them


@runtime_checkable
class Locking(Protocol):
    """How files are locked."""

    keeps_open_files: bool  # whether an open file cannot be removed

    def take(self, handle: int, shared: bool) -> bool:
        """Lock an open file, or change the lock that this handle has; False if others are in the way.

        Then the handle may have lost the lock that it had. Raises OSError where there are no locks.
        """

    def free(self, handle: int) -> None:
        """Let go."""


class Flock:
    """Locks of POSIX systems."""

    keeps_open_files = False

    def take(self, handle: int, shared: bool) -> bool:
        """With flock(2)."""
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def free(self, handle: int) -> None:
        """Closing the handle does."""


class Ranges:
    """Locks of Windows, whose C library locks ranges of bytes for one handle at a time."""

    keeps_open_files = True

    def __init__(self, library: Any) -> None:
        """`library` is `msvcrt`."""
        self._library = library
        self._held: dict[int, tuple[int, int]] = {}  # first byte and count, by handle

    def take(self, handle: int, shared: bool) -> bool:
        """Shared: any free slot; alone: all of them at once."""
        self.free(handle)  # ranges of one handle must not overlap either
        wanted = [(slot, 1) for slot in range(SLOTS)] if shared else [(0, SLOTS)]
        return any(self._lock(handle, FIRST + first, count) for first, count in wanted)

    def _lock(self, handle: int, first: int, count: int) -> bool:
        os.lseek(handle, first, os.SEEK_SET)  # ranges begin at the current position
        try:
            self._library.locking(handle, self._library.LK_NBLCK, count)
        except OSError as error:
            if error.errno in _HELD:
                return False
            raise
        self._held[handle] = (first, count)
        return True

    def free(self, handle: int) -> None:
        """Unlock the very range that was locked."""
        if handle in self._held:
            first, count = self._held.pop(handle)
            os.lseek(handle, first, os.SEEK_SET)
            self._library.locking(handle, self._library.LK_UNLCK, count)


def locking_here() -> Locking | None:
    """How this system locks files, or None if it cannot."""
    if fcntl is not None:
        return Flock()
    return None if msvcrt is None else Ranges(msvcrt)


LOCKING = locking_here()
