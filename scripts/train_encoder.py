"""Make an embedded prompt encoder from nothing: pictures of the grammar, prompts, a small CLIP.

    neuron dataset FOLDER --materials builtin:288+150 --resolution 64 --views 12 --val-views 1 --test-views 2
    python scripts/train_encoder.py FOLDER RUN --out neuron_core/prompts/weights

What the dataset holds out is in no training picture and no training text. With --steps the result is
a function of the dataset, the arguments and the versions of the libraries. The same command resumes.
"""

import argparse
import json
from dataclasses import fields
from pathlib import Path

import torch

from neuron_core.cli.reporters import LogListener
from neuron_core.foundation import interrupts
from neuron_core.models.prompt_encoder.data import EncoderConfig
from neuron_core.models.prompt_encoder.making import make_encoder
from neuron_core.models.prompt_encoder.stored import NAME

COUNTS = ("steps", "batch", "pairs", "seed")


def main() -> None:
    """Train, print the figures, write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help="folder of neuron dataset --materials builtin:N+M")
    parser.add_argument("run", type=Path, help="folder for the metrics and the last checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files of the encoder")
    parser.add_argument("--name", default=NAME, help="of the encoder")
    parser.add_argument("--minutes", type=float, help="train this long instead of a number of steps")
    defaults = {field.name: field.default for field in fields(EncoderConfig)}
    for name in COUNTS:
        parser.add_argument(f"--{name}", type=int, default=defaults[name])
    given = parser.parse_args()
    interrupts.install()
    torch.set_num_threads(1)
    config = EncoderConfig(given.dataset, **{name: getattr(given, name) for name in COUNTS})
    figures = make_encoder(config, given.run, given.out, LogListener(), given.name, given.minutes)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
