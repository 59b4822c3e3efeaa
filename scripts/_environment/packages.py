"""What pip installs into an environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .places import python_of
from .problems import EnvironmentProblem
from .processes import call


def install_packages(environment: Path, extras: Sequence[str], project: Path) -> None:
    """Let pip install the project in place, at the exact versions of constraints.txt."""
    index = os.environ.get("NEURON_TORCH_INDEX", "").strip()
    target = str(project) + (f"[{','.join(extras)}]" if extras else "")
    command = [
        *(str(python_of(environment)), "-m", "pip", "install"),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("-c", str(project / "constraints.txt")),
        *(("--extra-index-url", index) if index else ()),
        *("-e", target),
    ]
    hint = "Look at pip's message above; run the same command again to resume."
    if call(command) != 0:
        raise EnvironmentProblem(f"pip could not install what Neuron needs into {environment}. {hint}")


def forget_half_installed(environment: Path) -> None:
    """Remove the records of packages whose installation was interrupted: pip would count them as there."""
    for pattern in ("lib/python*/site-packages/*.dist-info", "Lib/site-packages/*.dist-info"):
        for record in environment.glob(pattern):
            if not (record / "INSTALLER").exists():  # pip writes it last
                shutil.rmtree(record)
