"""Where the engine is, and the variables that its processes get.

The engine has a Python environment of its own, with its own libraries; nothing of Houdini's reaches it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import neuron_core
from neuron_houdini.engine import preferences
from neuron_houdini.errors import EngineError

PROJECT = Path(neuron_core.__file__).resolve().parents[1]
SET_UP = "Press Set Up Engine on the Neuron shelf, or name its environment in NEURON_ENV."
CHOICE = "engine.json"  # among the preferences: the environment that was set up last
_PYTHONS = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__", "PXR_PLUGINPATH_NAME")
_PATHS = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "DYLD_INSERT_LIBRARIES")


def environment_folder(variables: Mapping[str, str] | None = None) -> Path:
    """Where the engine is or will be: NEURON_ENV, else what was set up last, else the project's `.venv`.

    A project that nobody may write to and that has none gets one among Houdini's preferences.
    """
    given = (os.environ if variables is None else variables).get("NEURON_ENV", "").strip()
    if given:
        return Path(given).expanduser()
    chosen = preferences.recall(CHOICE, "environment", variables)
    if chosen is not None:
        return chosen
    own, default = preferences.folder(variables), PROJECT / ".venv"
    if own is None or default.exists() or os.access(PROJECT, os.W_OK):
        return default
    return own / "engine"


def choose(folder: Path) -> None:
    """Take this environment from now on, where NEURON_ENV names no other. Outside of Houdini, nothing."""
    preferences.remember(CHOICE, "environment", folder)


def python_of(folder: Path, system: str = os.name) -> Path:
    """The interpreter of an environment, whether it exists or not; `nt` is Windows."""
    return folder / ("Scripts/python.exe" if system == "nt" else "bin/python")


def find_python(variables: Mapping[str, str] | None = None) -> Path:
    """The interpreter of the engine in `environment_folder`. Raises EngineError if there is none."""
    folder = environment_folder(variables)
    python = python_of(folder)
    if not python.exists():
        raise EngineError("environment", f"There is no engine in {folder}.", SET_UP)
    return python


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without what belongs to Houdini: its Python, its settings, its libraries."""
    home = _installation(variables.get("HFS", ""))
    kept = {
        name: value
        for name, value in variables.items()
        if name not in _PYTHONS and name != "HFS" and not name.startswith("HOUDINI_")
    }
    for name in _PATHS:
        if home and name in kept:
            entries = [entry for entry in kept[name].split(os.pathsep) if not _lies_in(entry, home)]
            kept[name] = os.pathsep.join(entries)
            if not kept[name]:
                del kept[name]
    return kept | {"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def _installation(home: str) -> str:
    """The folder of everything that is Houdini's: on a Mac its libraries lie beside HFS."""
    above, name = os.path.split(home.rstrip("/\\"))
    return above if name == "Resources" else home


def _lies_in(entry: str, folder: str) -> bool:
    """Links, quotation marks, and on Windows letters and short names, make no difference."""
    inner, outer = (os.path.normcase(os.path.realpath(path.strip('"'))) for path in (entry, folder))
    return bool(entry) and (inner == outer or inner.startswith(outer + os.path.sep))
