"""Stop when asked, at a point where nothing is lost.

The first SIGINT or SIGTERM only sets a flag; a task asks for it where it can stop, after it
has written what it has. The second one ends the process at once.
"""

import signal
from types import FrameType

_received: int | None = None


class Stopped(BaseException):
    """The task stopped because it was asked to; what it had is on disk."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


def install() -> None:
    """Let SIGINT and SIGTERM set the flag. Call it once, in the main thread of a process."""
    signal.signal(signal.SIGINT, _remember)
    signal.signal(signal.SIGTERM, _remember)


def requested() -> bool:
    """Whether somebody asked this process to stop."""
    return _received is not None


def request_stop() -> None:
    """Ask this process to stop, as SIGTERM would: nobody reads its answer any more."""
    global _received
    if _received is None:
        _received = signal.SIGTERM


def stop_if_requested() -> None:
    """Raise `Stopped` if somebody asked. Call it where nothing would be lost."""
    if _received is not None:
        raise Stopped(_received)


def clear() -> None:
    """Forget that somebody asked: this process goes on with something else."""
    global _received
    _received = None


def _remember(signal_number: int, frame: FrameType | None) -> None:
    global _received
    if _received is not None:
        raise Stopped(signal_number)
    _received = signal_number
