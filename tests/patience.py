"""No test depends on the clock: waiting takes as long as it takes, and what hangs is ended by the runner.

A limit in seconds of wall time fails on a machine that other work slows down. So a test may use so much
time of the processor, and the whole process is ended, with every stack printed, only after half an hour
in one test (`faulthandler_timeout` in pyproject.toml).
"""

import _thread
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PROCESSOR_SECONDS = 600.0  # of one test, all its threads together
POLL_SECONDS = 0.01
# A signal that nothing else here uses; it only carries the interruption into the main thread.
_SIGNAL = getattr(signal, "SIGUSR1", None) or signal.SIGBREAK


class TooMuchWork(Exception):
    """A test that used more of the processor than any should."""


def wait_until(condition: Callable[[], object]) -> None:
    """Return once `condition()` is true."""
    while not condition():
        time.sleep(POLL_SECONDS)


@contextmanager
def limited(seconds: float = PROCESSOR_SECONDS, poll: float = 1.0) -> Iterator[None]:
    """Raise TooMuchWork in the main thread once this process has worked so long inside the block."""
    over = threading.Event()
    end = time.process_time() + seconds

    def watch() -> None:
        while not over.wait(poll):
            if time.process_time() > end:
                _thread.interrupt_main(_SIGNAL)
                return

    def stop(*_: object) -> None:
        raise TooMuchWork(f"This took more than {seconds:g} seconds of processor time.")

    before = signal.signal(_SIGNAL, stop)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        signal.signal(_SIGNAL, before)
