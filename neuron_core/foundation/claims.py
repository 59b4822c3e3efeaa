"""Locks on outputs: one process writes, others are refused, and whoever dies lets go.

A lock is a small file beside what it guards, which the system frees when its process ends in
whatever way. The file says who holds it. Some file systems, as of networks, have no locks: there
every claim is granted.
"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from neuron_core.foundation import locking
from neuron_core.foundation.errors import ClaimedError, FileError
from neuron_core.foundation.locking import UNSUPPORTED

LENGTH = 256  # characters in a lock file: whoever holds it last overwrites who held it before


class Lock:
    """The lock file at `path`, held until `release`, the end of a `with` block or of the process.

    Any number of processes may hold it `shared`; only one holds it alone. `guarded` names in errors
    what is locked. Raises ClaimedError if others hold it, FileError if the file cannot be written.
    """

    def __init__(self, path: Path, guarded: Path, shared: bool = False) -> None:
        self._path, self._guarded, self._shared = path, guarded, shared
        self._handle: int | None = None
        self._locking = locking.LOCKING
        if self._locking is None:
            return
        try:
            while self._handle is None:
                self._handle = self._opened(shared)
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, json.dumps(_myself()).ljust(LENGTH).encode())
        except OSError as error:
            self.release()
            if error.errno not in UNSUPPORTED:
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
        assert self._locking is not None
        handle, self._handle = self._handle, None
        last = False
        try:
            last = self._locked(handle, shared=False)
            if last and not self._locking.keeps_open_files:
                self._path.unlink(missing_ok=True)
        except OSError:  # the folder is gone or read-only by now; a lock file without a lock does no harm
            last = False
        finally:
            self._close(handle)
        if last and self._locking.keeps_open_files:
            with suppress(OSError):  # somebody else has opened it meanwhile
                self._path.unlink(missing_ok=True)

    def _opened(self, shared: bool) -> int | None:
        """A locked handle of the file; None if somebody removed the file meanwhile."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not self._locked(handle, shared):
                raise self._refusal()
            if self._is_current(handle):
                return handle
        except BaseException:
            self._close(handle)
            raise
        self._close(handle)
        return None

    def _close(self, handle: int) -> None:
        assert self._locking is not None
        try:
            self._locking.free(handle)
        finally:
            os.close(handle)

    def _is_current(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _locked(self, handle: int, shared: bool) -> bool:
        assert self._locking is not None
        return self._locking.take(handle, shared)

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
