"""Programs of the environment, started without what a host application set for its own Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

UNWANTED = ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")


def clean_variables() -> dict[str, str]:
    """This process's variables without those that would lead another Python or pip astray."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return {**kept, "PYTHONNOUSERSITE": "1"}


def call(command: Sequence[str]) -> int:
    """Run a program that installs. All it prints goes to standard error; see `problems.say`."""
    return subprocess.call(list(command), stdout=sys.stderr, env=clean_variables())


def replace_by(command: Sequence[str]) -> int:
    """Become the program, so that signals and exit code are its own; on Windows, run it."""
    if os.name == "nt":
        return run(command)
    os.execve(command[0], list(command), clean_variables())


def run(command: Sequence[str]) -> int:
    """Run a program of the environment in the caller's folder and return its exit code."""
    process = subprocess.Popen(list(command), env=clean_variables())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the program got it too and stops where nothing is lost
            continue
