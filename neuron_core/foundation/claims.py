"""Locks on outputs: one process writes, others are refused, and whoever dies lets go.

A lock is a small file beside what it guards, held with flock(2), so that the system frees it when
its process ends in whatever way. The file says who holds it. File systems without flock, and
Windows, have no such locks: there every claim is granted.
"""

import errno
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from neuron_core.foundation.errors import ClaimedError, FileError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class Lock:
    """The lock file at `path`, held until `release`, the end of a `with` block or of the process.

    Any number of processes may hold it `shared`; only one holds it alone. `guarded` names in errors
    what is locked. Raises ClaimedError if others hold it, FileError if the file cannot be written.
    """

    def __init__(self, path: Path, guarded: Path, shared: bool = False) -> None:
        self._path, self._guarded, self._shared = path, guarded, shared
        self._handle: int | None = None
        if fcntl is None:
            return
        try:
            while self._handle is None:
                self._handle = self._opened(shared)
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(_myself()).encode(), 0)
        except OSError as error:
            self.release()
            if error.errno not in _UNSUPPORTED:
                raise FileError(
                    f"Cannot write {path}: {error.strerror or error}.",
                    "Pick a folder that can be written and has space left.",
                ) from error

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which nobody else holds the lock, even a shared one. Raises ClaimedError otherwise."""
        if self._handle is not None and not self._locked(self._handle, shared=False):
            raise self._refusal()
        yield
        if self._handle is not None and self._shared:
            self._locked(self._handle, shared=True)

    def release(self) -> None:
        """Let go; the last one removes the file. Nothing happens if it was let go before."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            if self._locked(handle, shared=False):
                self._path.unlink(missing_ok=True)
        except OSError:  # the folder is gone or read-only by now; a lock file without a lock does no harm
            pass
        finally:
            os.close(handle)

    def _opened(self, shared: bool) -> int | None:
        """A locked handle of the file; None if somebody removed the file meanwhile."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not self._locked(handle, shared):
                raise self._refusal()
            if self._is_current(handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        return None

    def _is_current(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _locked(self, handle: int, shared: bool) -> bool:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _refusal(self) -> ClaimedError:
        return ClaimedError(
            f"{self._guarded} is in use by another process{_holder(self._path)}.",
            "Wait until it has ended, stop it, or pick another place.",
        )


def _myself() -> dict[str, object]:
    return {"process": os.getpid(), "host": platform.node()}


def _holder(path: Path) -> str:
    """Who wrote the lock file, for a message; empty where that cannot be read."""
    try:
        content = json.loads(path.read_bytes())
        return f" ({int(content['process'])} on {str(content['host'])[:80]})"
    except (OSError, ValueError, TypeError, KeyError):
        return ""
