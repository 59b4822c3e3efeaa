"""What Houdini's start costs: two folders on the path of Python and one variable, no import of ours.

`houdini_package.json` says the same to Houdini. This is for those who name the folder of Neuron in
HOUDINI_PATH only. The folder of another Python's version holds the same file.
"""

import os
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCHEMA = os.path.join(PROJECT, "neuron_core", "schema")


def begin() -> None:
    """Let Houdini's Python find the package, and USD the schema. Twice is as once."""
    for folder in (os.path.join(PROJECT, "python3.11libs"), PROJECT):
        if folder not in sys.path:
            sys.path.append(folder)
    known = os.environ.get("PXR_PLUGINPATH_NAME", "")
    if not any(os.path.normpath(entry) == SCHEMA for entry in known.split(os.pathsep) if entry):
        os.environ["PXR_PLUGINPATH_NAME"] = os.pathsep.join(filter(None, (known, SCHEMA)))
    os.environ.setdefault("NEURON", PROJECT)  # icons are found by it
