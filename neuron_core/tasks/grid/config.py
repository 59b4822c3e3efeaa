"""What `neuron grid` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from neuron_core.foundation.checks import within
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.options import check_ranges

LARGEST = 512


@dataclass(frozen=True, slots=True)
class GridConfig:
    """Write density, normals, colors and material codes of an asset as arrays in a .npz file.

    Only samples with density are stored; `neuron_core.volumes.grids` reads the file with numpy alone.
    """

    asset: Path
    """A .neuron file."""
    out: Path
    """The .npz file to write."""
    prompt: str = ""
    """A look, by its name or its prompt. Default: the first one."""
    resolution: Annotated[int, within(8, LARGEST)] = 256
    """Samples along the longest side, at most; an asset that has more is thinned out evenly."""
    overwrite: bool = False
    """Replace OUT if it is there."""

    def __post_init__(self) -> None:
        if self.out.suffix.lower() != ".npz":
            raise NeuronError(f"{self.out} does not end in .npz.", "Give it this ending.")
        check_ranges(self, "a grid")
