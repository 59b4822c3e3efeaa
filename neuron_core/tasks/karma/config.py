"""What `neuron karma` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KarmaConfig:
    """Convert the pictures that Karma rendered into a dataset, in the folder where the request lies.

    OUT holds `karma/request.json`, which the dataset node in Houdini writes, and `karma/raw`.
    """

    out: Path
    """The folder of the dataset."""
    overwrite: bool = False
    """Replace a dataset that was made from another request."""
