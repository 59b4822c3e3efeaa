"""What `neuron evaluate` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuron_core.foundation.errors import NeuronError


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """Measure a run or a .neuron file on the unseen views of a dataset, or an export against its asset.

    PSNR, SSIM and L1 between sRGB-encoded images over white, four rays a pixel averaged in linear;
    silhouettes and depths through pixel centers. The noise of the truth is printed beside them.
    """

    subject: Path
    """A training run, a .neuron file (its voxels, and the field beside them), or an exported file."""
    dataset: Path | None
    """The dataset with the truth: a rendered one, or photographs. Exports need none."""
    split: Literal["test", "compositional"] = "test"
    """Materials that the subject was trained on, or those that it knows by their prompt only."""
    representation: Literal["all", "nvf", "inr"] = "all"
    """What of a .neuron file is measured: its voxels, its field, or both."""
    against: Path | None = None
    """Another run or .neuron file, measured beside the subject; the asset that an export came from."""
    prompt: str = ""
    """The look of --against that an export shows. Default: the first one."""
    ply_axes: Literal["rdf", "y-up"] = "rdf"
    """Axes of an exported PLY file: Y down as viewers expect, or Y up."""
    out: Path | None = None
    """Folder for the table and the contact sheet. Default: SUBJECT.evaluation, which is replaced."""
    views: int = 0
    """Measure at most so many of the test views; 0 for all. Exports without a dataset: 0 for 8."""
    downscale: int | None = None
    """Shrink photographs by this factor. Default: as the run was trained, else 1."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to draw; auto takes CUDA where it works."""
    encoder_weights: Path | None = None
    """Local weights of the OpenCLIP encoder that the subject was trained with, if it was one."""
    overwrite: bool = False
    """Replace an evaluation of something else in OUT."""

    def __post_init__(self) -> None:
        if self.views < 0:
            raise NeuronError(f"{self.views} views cannot be measured.", "Give 0 for all of them, or more.")
        if self.downscale is not None and self.downscale < 1:
            raise NeuronError(f"Photographs cannot be scaled down by {self.downscale}.", "Give 1 to 64.")

    def folder(self) -> Path:
        """Where the results go."""
        if self.out is not None:
            return Path(self.out)
        ending = "evaluation" if self.split == "test" else "evaluation-compositional"
        subject = Path(self.subject)
        subject = subject if subject.name.strip(".") else subject.resolve()
        return subject.with_name(f"{subject.name}.{ending}")
