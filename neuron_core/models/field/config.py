"""What `neuron train` can be asked for. Imports nothing heavy."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from neuron_core.foundation.checks import within
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.options import check_ranges

LIBRARY = "library"  # names the run that came with Neuron, where there is no folder of that name


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Fit a neural field to a dataset.

    A dataset with positions and normals trains on surface points; photographs train
    volumetrically. Run again, it resumes where it stopped, bit for bit on the same device.
    """

    dataset: Path
    """Folder of a dataset, or a folder or transforms.json of photographs."""
    out: Path
    """Folder of the run: checkpoints, metrics, validation pictures."""
    preset: Literal["cpu-demo", "cpu", "gpu", "library-small", "library"] = "cpu"
    """How large the field is and how long it trains: minutes, tens of minutes, or a GPU's minutes. For tens
    and hundreds of materials: `library-small`, about ten minutes, or `library`, below an hour, on two
    cores."""
    learn_from: Literal["auto", "surface", "frames"] = "auto"
    """What appearance is learned from: points on the surface, one sample each (auto, where a dataset has
    positions), or random pixels of whole frames by volume rendering, which refines the geometry too but
    learns no mirrors. Photographs are always learned from frames."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` takes CUDA where it works."""
    steps: Annotated[int | None, within(1, 10**9)] = None
    """All optimizer steps together, instead of the preset's."""
    minutes: float | None = None
    """Stop after this many minutes of training instead; such a run is not repeatable bit for bit."""
    encoder: str = "embedded"
    """Prompt encoder: embedded, openclip:ARCHITECTURE/TAG with local weights, or blank, which tells no
    prompts apart: the baseline that shows what prompts are worth."""
    encoder_weights: Path | None = None
    """Local weights of an OpenCLIP encoder."""
    downscale: int = 1
    """Shrink photographs by this factor before training."""
    validate_every: Annotated[int, within(0, 10**9)] = 500
    """Steps between validation pictures; 0 for none."""
    seed: Annotated[int, within(0, 2**32 - 1)] = 0
    """Everything random follows from it."""
    overwrite: bool = False
    """Throw away a run that was made with other settings."""

    def __post_init__(self) -> None:
        check_ranges(self, "a run")
        if self.minutes is not None and not 0.0 < self.minutes < math.inf:  # NaN fails too
            raise NeuronError(f"A run cannot train for {self.minutes:g} minutes.", "Give more than 0.")
        if self.downscale < 1:
            raise NeuronError(f"Photographs cannot be scaled down by {self.downscale}.", "Give 1 to 64.")
