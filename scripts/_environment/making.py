"""The bare environment: a Python with pip in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from .locking import LOCK
from .places import python_of
from .problems import EnvironmentProblem
from .processes import call, clean_variables


def runs(environment: Path) -> bool:
    """Whether its Python and pip start; an interrupted `venv` leaves a folder in which they do not."""
    if not python_of(environment).exists():
        return False
    command = [str(python_of(environment)), "-m", "pip", "--version"]
    return subprocess.run(command, env=clean_variables(), capture_output=True, check=False).returncode == 0


def make(environment: Path) -> None:
    """Make it with this Python, in place of what an earlier attempt left. Raises EnvironmentProblem."""
    empty(environment)
    if call([sys.executable, "-m", "venv", str(environment)]) != 0:
        raise EnvironmentProblem(
            f"Python could not make an environment in {environment}. On Debian and Ubuntu install the "
            f"package python{sys.version_info[0]}.{sys.version_info[1]}-venv, or use one from python.org."
        )


def empty(environment: Path) -> None:
    """Remove what an earlier attempt left. Refuses a folder that holds anything but an environment."""
    others = [entry for entry in environment.iterdir() if entry.name != LOCK]
    if others and not (environment / "pyvenv.cfg").exists():
        raise EnvironmentProblem(
            f"{environment} has other files in it and is not a Python environment. "
            "Set NEURON_ENV to a new or empty folder."
        )
    for entry in others:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
