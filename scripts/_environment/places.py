"""Where the project, its environment and the environment's Python are."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def environment_folder() -> Path:
    """NEURON_ENV, or `.venv` beside the project's files."""
    chosen = os.environ.get("NEURON_ENV", "").strip()
    return Path(chosen).expanduser().resolve() if chosen else PROJECT / ".venv"


def python_of(environment: Path) -> Path:
    """The environment's interpreter, whether it exists or not."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
