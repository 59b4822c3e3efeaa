"""What Houdini's start costs: two folders on the path of Python and one variable, no import of ours.

`houdini_package.json` says the same to Houdini. This is for those who name the folder of Neuron in
HOUDINI_PATH only. Imports nothing but what every Python has imported when it has started.
"""

import os
import sys

LIBRARIES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT = os.path.dirname(LIBRARIES)
SCHEMA = os.path.join(PROJECT, "neuron_core", "schema")


def begin() -> None:
    """Let Houdini's Python find the package, and USD the schema. Twice is as once."""
    for folder in (LIBRARIES, PROJECT):
        if folder not in sys.path:
            sys.path.append(folder)
    known = os.environ.get("PXR_PLUGINPATH_NAME", "")
    if os.path.normcase(SCHEMA) not in map(_plain, filter(None, known.split(os.pathsep))):
        os.environ["PXR_PLUGINPATH_NAME"] = os.pathsep.join(filter(None, (known, SCHEMA)))
    os.environ.setdefault("NEURON", PROJECT)  # icons are found by it


def _plain(path: str) -> str:
    return os.path.normcase(os.path.normpath(path))
