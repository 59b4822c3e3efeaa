"""Fetch other people's readers of splats, which tests hold our files against.

    python3.11 scripts/readers_env.py [FOLDER]

They are NVIDIA's `usd-convert-gsplat`, `plyfile` (GPL) and, where npm is, PlayCanvas's
`splat-transform`. None of them ships with Neuron or is imported by it: they lie in a folder of their
own (default: .readers in the project; NEURON_READERS names another one) and run as processes of their
own. What cannot be fetched is said, and its tests are skipped.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
WHEELS = ("usd-convert-gsplat==0.1.15", "plyfile==1.1.5")
PACKAGE = "@playcanvas/splat-transform@2.7.1"


def readers_folder() -> Path:
    """Where the readers are, or would be."""
    return Path(os.environ.get("NEURON_READERS") or PROJECT / ".readers")


def python_readers() -> Path:
    """What has to be on the path of a Python that runs them."""
    return readers_folder() / "python"


def splat_transform() -> Path:
    """The program of that name."""
    name = "splat-transform.cmd" if os.name == "nt" else "splat-transform"
    return readers_folder() / "node_modules" / ".bin" / name


def main() -> int:
    """Fetch what is missing. Returns 0 if everything is there."""
    if len(sys.argv) > 1:
        os.environ["NEURON_READERS"] = str(Path(sys.argv[1]).resolve())
    target = str(python_readers())
    pip = [sys.executable, "-m", "pip", "install", "--no-input", "--no-deps", "--upgrade", "--target", target]
    failed = subprocess.run([*pip, *WHEELS], check=False).returncode
    npm = shutil.which("npm")
    if npm is None:
        print("npm was not found; the tests that read with splat-transform are skipped.", file=sys.stderr)
        return failed
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(readers_folder())]
    failed |= subprocess.run([npm, "install", *options, PACKAGE], check=False).returncode
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
