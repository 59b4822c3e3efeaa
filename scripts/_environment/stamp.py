"""What was installed into an environment: written last, so that an interrupted installation has none."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from .places import python_of

STAMP = "neuron-environment.json"  # in the environment


def fingerprint(project: Path) -> str:
    """Changes whenever something else would be installed."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((project / name).read_bytes())
    digest.update(str(project).encode())  # the project is installed by its path
    return digest.hexdigest()


def installed_extras(environment: Path, project: Path) -> frozenset[str] | None:
    """The extras of an environment that is whole and up to date; None for any other."""
    try:
        stamp = json.loads((environment / STAMP).read_text(encoding="utf-8"))
        same_packages = stamp["fingerprint"] == fingerprint(project)
        same_python = stamp["python"] == python_version(environment)
        extras = frozenset(map(str, stamp["extras"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return extras if same_packages and same_python and python_of(environment).exists() else None


def write_stamp(environment: Path, extras: Iterable[str], project: Path) -> None:
    """Say that the project and `extras` are installed."""
    stamp = {
        "fingerprint": fingerprint(project),
        "python": python_version(environment),
        "extras": sorted(extras),
    }
    temporary = environment / (STAMP + ".part")
    temporary.write_text(json.dumps(stamp), encoding="utf-8")
    temporary.replace(environment / STAMP)


def python_version(environment: Path) -> str:
    """The version of Python that the environment was made with, "" if there is none."""
    with contextlib.suppress(OSError):
        for line in (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() in ("version", "version_info"):
                return value.strip()
    return ""
