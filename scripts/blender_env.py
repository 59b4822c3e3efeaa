"""Make an environment with Blender's headless module, which tests use as an independent reader of USD.

    python3.11 scripts/blender_env.py [FOLDER]

Blender's module is GPL-3, 0.8 GB large and brings a USD of its own, so it never shares an environment
or a process with the engine: tests ask the Python of this folder (default: .blender in the project;
NEURON_BLENDER names another one) what it sees in a file.
"""

import functools
import os
import subprocess
import sys
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ("bpy==5.0.1", "numpy==1.26.4")
PYTHON = (3, 11)  # the one that this bpy was built for


def blender_python() -> Path:
    """Where the Python of the environment is, or would be."""
    folder = Path(os.environ.get("NEURON_BLENDER") or PROJECT / ".blender")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@functools.cache
def why_not() -> str:
    """Why Blender cannot be asked here; "" if it can."""
    python = blender_python()
    if not python.exists():
        return f"There is no Blender at {python}; `python3.11 scripts/blender_env.py` makes one."
    done = subprocess.run([str(python), "-c", "import bpy"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"Blender does not start at {python}: {done.stderr.strip()[-300:]}"


def main() -> int:
    """Make the environment, or say that it is there."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else PROJECT / ".blender"
    if sys.version_info[:2] != PYTHON:
        print(
            f"bpy 5.0 needs Python {PYTHON[0]}.{PYTHON[1]}; run this script with that one.", file=sys.stderr
        )
        return 2
    os.environ["NEURON_BLENDER"] = str(folder)
    python = blender_python()
    if not python.exists():
        venv.create(folder, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--no-input", *REQUIREMENTS]
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        print(why_not() or f"Blender's Python: {python}")
    return code or int(bool(why_not()))


if __name__ == "__main__":
    raise SystemExit(main())
