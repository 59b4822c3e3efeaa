"""What `neuron bench` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuron_core.foundation.errors import NeuronError


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """Measure every published figure on this machine, next to peers where they are installed.

    Inputs are built first, once, and kept: the demo's asset takes minutes. Figures that are in
    the file already are kept too; --overwrite measures them again.
    """

    out: Path = Path("neuron-bench/figures.json")
    """Where the figures go; the same as a table beside it, with the ending .md."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to draw and train. Peers run on the CPU."""
    only: str = ""
    """Names of figures, or beginnings of names, separated by commas. Default: all."""
    runs: int = 7
    """How often each thing is timed; the median counts, the smallest and largest are told."""
    quick: bool = False
    """Smaller inputs: to see that everything runs, not to compare."""
    asset: Path | None = None
    """A .neuron file to draw instead of the demo's; the others of its dataset's figures are left out."""
    inputs: Path | None = None
    """Folder for what is measured with. Default: beside the figures, named after them."""
    overwrite: bool = False
    """Forget figures that are in the file."""

    def __post_init__(self) -> None:
        if self.runs < 1:
            raise NeuronError(f"Nothing can be timed {self.runs} times.", "Give 1 or more.")
