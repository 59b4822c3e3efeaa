"""What `neuron bake` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BakeConfig:
    """Bake a trained field into one .neuron file, with one or more looks."""

    run: Path
    """Folder of `neuron train`; or `library`: the shader ball that came with Neuron and knows the words of
    the material grammar, for prompts that nobody trained on."""
    out: Path
    """The .neuron file to write."""
    prompt: tuple[str, ...] = ()
    """A look to bake, by its prompt; may be repeated. Default: everything that was trained."""
    resolution: int = 128
    """Voxels along the longest side."""
    name: str = ""
    """What the asset is called. Default: the name of the file."""
    licence: str = ""
    """Licence of the asset, written into it."""
    encoder_weights: Path | None = None
    """Local weights of the OpenCLIP encoder that the run was trained with, if it was one."""
    overwrite: bool = False
    """Replace a file that was baked from another run or with other settings."""
