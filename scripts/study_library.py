"""Reproduce the tables of `docs/materials.md` from nothing: data, training, baselines, measurements.

    python scripts/study_library.py FOLDER

Every step resumes where it stopped. Pictures are compared as `neuron evaluate` does. FOLDER/times.json
says how long each step took in the run that did most of it.
"""

import argparse
import sys
from pathlib import Path

from neuron_core.foundation.errors import NeuronError
from neuron_core.studies.library.run import StudyConfig, run_study


def main() -> int:
    """Make what is missing, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--materials", default=StudyConfig.materials)
    parser.add_argument("--preset", default=StudyConfig.preset, choices=("library-small", "library"))
    parser.add_argument("--steps", type=int, help="of the field; those of the preset if left out")
    blank = StudyConfig.blank_steps
    parser.add_argument("--blank-steps", type=int, default=blank, help="of the prompt-agnostic model")
    try:
        print(run_study(StudyConfig(**vars(parser.parse_args()))))
    except NeuronError as error:
        print(f"{error.message}\n  {error.hint}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
