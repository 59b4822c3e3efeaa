"""How many rooms and files a training step, a baked frame, a bake and a frame of a USD stage pass through.

python scripts/trips.py [--files]

`neuron_core/bench/trips.py` says what counts. Exits with 1 if something is over its limit or a lower
layer calls a higher one. With `--files` they are listed.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from neuron_core.bench.trip_inputs import WORKS


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", action="store_true", help="list them")
    listed = parser.parse_args().files
    fine = True
    with TemporaryDirectory() as folder:
        for measure, limit in WORKS:
            trips = measure(Path(folder))
            fine &= len(trips.files) <= limit and not trips.upwards
            upwards = ", ".join(f"{caller} -> {callee}" for caller, callee in trips.upwards) or "none"
            name = measure.__name__.replace("_", " ")
            files = f"{len(trips.files):3} files, at most {limit:2}"
            print(f"{name:14}{len(trips.rooms):3} rooms {files}; calls upwards: {upwards}")
            print("".join(f"    {file}\n" for file in trips.files if listed), end="")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
