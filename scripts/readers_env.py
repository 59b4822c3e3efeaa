"""Fetch other people's readers of splats, which tests hold our files against.

    python3.11 scripts/readers_env.py [FOLDER]

They are NVIDIA's `usd-convert-gsplat`, `plyfile` (GPL) and PlayCanvas's `splat-transform`, which needs
Node: the one on this machine, or else a wheel of it. None of them ships with Neuron or is imported by
it: they lie in a folder of their own (default: .readers in the project; NEURON_READERS names another
one) and run as processes of their own. What cannot be fetched is said, and its tests are skipped.
"""

import os
import sys
from pathlib import Path

from _environment import readers


def main() -> int:
    """Fetch what is missing. Returns 0 if everything is there."""
    if len(sys.argv) > 1:
        os.environ["NEURON_READERS"] = str(Path(sys.argv[1]).resolve())
    failed = readers.fetch()
    if failed == 0:
        print(f"Readers: {readers.readers_folder()}")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
