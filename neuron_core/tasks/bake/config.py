"""What `neuron bake` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from neuron_core.foundation.checks import within
from neuron_core.foundation.options import check_ranges


@dataclass(frozen=True, slots=True)
class BakeConfig:
    """Bake a trained field into one .neuron file, with one or more looks."""

    run: Path
    """Folder of `neuron train`; or `library`: the shader ball that came with Neuron and knows the words of
    the material grammar, for prompts that nobody trained on."""
    out: Path
    """The .neuron file to write."""
    prompt: tuple[str, ...] = ()
    """Looks to bake, by their prompts; everything that was trained if none is given."""
    resolution: Annotated[int, within(8, 1024)] = 128
    """Voxels along the longest side."""
    name: str = ""
    """Name of the asset; that of the file if empty."""
    licence: str = ""
    """License of the asset, written into it."""
    encoder_weights: Path | None = None
    """Local weights of the OpenCLIP encoder that the run was trained with, if it was one."""
    overwrite: bool = False
    """Replace a file that was baked from another run or with other settings."""

    def __post_init__(self) -> None:
        check_ranges(self, "a bake")
