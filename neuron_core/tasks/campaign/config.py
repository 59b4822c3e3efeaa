"""What `neuron campaign` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from neuron_core.foundation.checks import within
from neuron_core.foundation.options import check_ranges


@dataclass(frozen=True, slots=True)
class CampaignConfig:
    """Train a model family in four rungs: smoke, calibration, production, distillation.

    A few steps show that training works, short trials find the best settings, the model is trained
    with them, and a smaller one learns from it where the family has one. Every rung has gates; one
    that refuses says why. The same command resumes a campaign that was stopped or killed.
    """

    family: str
    """What to train: a model family, such as field."""
    dataset: Path
    """Folder of `neuron dataset`, or photographs, as `neuron train` takes it."""
    out: Path
    """Folder of the campaign: a ledger, and a run folder for every run."""
    setting: tuple[str, ...] = ()
    """NAME=VALUE, an option of `neuron train` for all runs, such as preset=cpu-demo. Repeat it for more."""
    trials: Annotated[int, within(0, 1000)] = 12
    """Runs of the calibration; 0 keeps the default settings."""
    launch: Literal["here", "process", "torchrun"] = "here"
    """Where runs are trained: in this process, in one of their own, or in several under torchrun."""
    processes: Annotated[int, within(1, 1024)] = 2
    """How many processes torchrun starts for a run."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes CUDA where it works."""
    seed: int = 0
    """Everything random follows from it."""
    run: str | None = None
    """Train only this run, which the ledger says was started. Launchers use it."""
    overwrite: bool = False
    """Throw away a campaign that was made with other settings."""

    def __post_init__(self) -> None:
        check_ranges(self, "a campaign")
