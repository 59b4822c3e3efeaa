"""One process at a time installs into an environment."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .problems import EnvironmentProblem, say

LOCK = "neuron-environment.lock"  # in the environment: held while something is being installed


@contextlib.contextmanager
def lock(environment: Path) -> Iterator[None]:
    """Hold the environment alone. The system lets go of it when the process ends, however it ends."""
    try:
        environment.mkdir(parents=True, exist_ok=True)
        file = open(environment / LOCK, "a+b")  # noqa: SIM115
    except OSError as error:
        raise EnvironmentProblem(
            f"Cannot write to {environment}: {error.strerror}. Set NEURON_ENV to another folder."
        ) from error
    with file:
        if not _try_lock(file.fileno()):
            say(f"Another process is installing into {environment}; waiting for it ...")
            while not _try_lock(file.fileno()):
                time.sleep(0.2)
        yield  # closing the file lets go


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
