"""An embedded prompt encoder from a dataset: trained, measured, written with its card."""

from collections.abc import Mapping
from pathlib import Path

import open_clip
import torch

from neuron_core.foundation.outputs import fingerprint_of
from neuron_core.foundation.progress import Reporter
from neuron_core.learning.distributed import Placement
from neuron_core.learning.loop import Timing
from neuron_core.learning.training import RunSettings, train, trained_modules
from neuron_core.models.prompt_encoder.data import EncoderConfig
from neuron_core.models.prompt_encoder.family import FAMILY
from neuron_core.models.prompt_encoder.measures import measure
from neuron_core.models.prompt_encoder.stored import save_encoder, write_card


def make_encoder(
    config: EncoderConfig, run: Path, out: Path, report: Reporter, name: str, minutes: float | None = None
) -> Mapping[str, int | float]:
    """Train on the CPU and write the files to `out`. Returns the steps and the figures of the model card.

    Each config has a run folder of its own below `run`; the same call resumes, or finds the run finished.
    With `minutes` training takes that long instead of a number of steps.
    """
    data = FAMILY.prepare(config, report)
    settings = RunSettings(
        out=run / fingerprint_of(data.recipe),
        placement=Placement(torch.device("cpu")),
        seed=config.seed,
        timing=Timing(minutes),
    )
    _, outcome = train(FAMILY, data, settings, report)
    towers = trained_modules(FAMILY, data, settings.out, settings.placement)["towers"]
    assert isinstance(towers, open_clip.CustomTextCLIP)
    save_encoder(towers, data.vocabulary, out, name)
    figures = measure(towers, data)  # in the order of the card, which a run on disk does not keep
    write_card(data, outcome.steps, figures, out, name)
    return {"steps": outcome.steps, **figures}
