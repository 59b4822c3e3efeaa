"""Pythons of this machine that can make the engine's environment."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuron_houdini.engine.environment import clean_environment
from neuron_houdini.engine.process import NO_WINDOW

OLDEST, NEWEST = (3, 11), (3, 14)
SUPPORTED = "Python {}.{} to {}.{}".format(*OLDEST, *NEWEST)
_ASK = "import sys, venv, ensurepip; print(*sys.version_info[:2])"


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter that can make environments."""

    path: Path
    version: tuple[int, int]
    of_houdini: bool = False

    @property
    def label(self) -> str:
        """As in `Python 3.11, /usr/bin/python3.11`."""
        whose = " (Houdini's own)" if self.of_houdini else ""
        return f"Python {self.version[0]}.{self.version[1]}{whose}, {self.path}"


def find_pythons(variables: Mapping[str, str] | None = None) -> list[Python]:
    """Interpreters that can make the engine's environment, the best first; Houdini's own comes last.

    Everything on PATH is asked, in a clean environment.
    """
    known = os.environ if variables is None else variables
    clean = clean_environment(known)
    found: dict[Path, Python] = {}
    own_home = _of_houdini(known.get("HFS", ""))
    for path in (*_on_path(clean.get("PATH", "")), *_of_launcher(clean), *own_home):
        version = version_of(path, clean)
        if version is not None and OLDEST <= version <= NEWEST:
            own = bool(known.get("HFS")) and path.is_relative_to(known["HFS"])
            found.setdefault(path.resolve(), Python(path, version, own))
    return sorted(found.values(), key=lambda python: (python.of_houdini, python.version))


def _on_path(folders: str) -> list[Path]:
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)] + ["python3", "python"]
    candidates = (shutil.which(name, path=folders) for name in names)
    return [Path(candidate) for candidate in candidates if candidate]


def _of_launcher(variables: Mapping[str, str]) -> list[Path]:
    """What the `py` launcher of Windows knows; Python is often not on PATH there."""
    launcher = shutil.which("py", path=variables.get("PATH", "")) if os.name == "nt" else None
    if launcher is None:
        return []
    try:
        return listed_by_launcher(_printed([launcher, "-0p"], variables))
    except (OSError, subprocess.TimeoutExpired):
        return []


def _printed(command: list[str], variables: Mapping[str, str]) -> str:
    """What a short command prints. Raises OSError or TimeoutExpired."""
    done = subprocess.run(
        command,
        env=dict(variables),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        creationflags=NO_WINDOW,
    )
    return done.stdout


def listed_by_launcher(text: str) -> list[Path]:
    """The programs in what `py -0p` prints: a tag, perhaps a star, and a path on each line."""
    return [Path(match[1]) for match in re.finditer(r"([A-Za-z]:\\.*\.exe)\s*$", text, re.M)]


def _of_houdini(home: str) -> list[Path]:
    if not home:
        return []
    patterns = ("python/bin/python3.*[0-9]", "python3*/python.exe")
    return sorted(path for pattern in patterns for path in Path(home).glob(pattern))


def version_of(python: Path, variables: Mapping[str, str]) -> tuple[int, int] | None:
    """What it says; None if it does not run or cannot make environments."""
    try:
        major, minor = map(int, _printed([str(python), "-c", _ASK], variables).split())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return (major, minor)
