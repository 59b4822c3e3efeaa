"""The way from nothing to an environment that is up to date."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import making, packages
from .disk import require_room, size_notice
from .locking import lock
from .places import PROJECT, environment_folder, python_of
from .problems import EnvironmentProblem, say
from .stamp import STAMP, installed_extras, python_version, write_stamp

OLDEST = (3, 11)


def ensure(extras: Sequence[str] = (), project: Path = PROJECT) -> Path:
    """The interpreter of an environment with the project and `extras`, which is made if need be.

    An interrupted installation is resumed; of several processes one installs and the others wait.
    Raises EnvironmentProblem.
    """
    if sys.version_info < OLDEST:
        raise EnvironmentProblem(
            f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version.split()[0]}. "
            f"Start the script with a newer one, for example `python3.11 {sys.argv[0]}`."
        )
    environment = environment_folder()
    have = installed_extras(environment, project)
    if have is None or not have.issuperset(extras):
        with lock(environment):
            have = installed_extras(environment, project)  # somebody else may have done it meanwhile
            if have is None or not have.issuperset(extras):
                install(environment, sorted({*extras, *(have or ())}), project)
    return python_of(environment)


def install(environment: Path, extras: Sequence[str], project: Path) -> None:
    """Make the environment if it is not there or does not run, install into it, then stamp it."""
    started = time.monotonic()
    (environment / STAMP).unlink(missing_ok=True)
    version = python_version(environment)
    if version and tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        raise EnvironmentProblem(
            f"{environment} was made with Python {version}. Delete it, or set NEURON_ENV to another folder."
        )
    packages.forget_half_installed(environment)
    if not making.runs(environment):
        require_room(environment)
        say(f"Making a Python environment in {environment} ...")
        making.make(environment)
    say("Installing what Neuron needs. " + size_notice())
    packages.install_packages(environment, extras, project)
    write_stamp(environment, extras, project)
    say(f"The environment is ready ({time.monotonic() - started:.0f} s); this happens only once.")
