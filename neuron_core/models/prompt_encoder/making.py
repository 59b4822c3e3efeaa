"""An embedded prompt encoder from a dataset: trained, measured, written with its card."""

from collections.abc import Mapping
from pathlib import Path

import torch

from neuron_core.foundation.outputs import fingerprint_of
from neuron_core.foundation.progress import Reporter
from neuron_core.learning.distributed import Placement
from neuron_core.learning.loop import Loop, Timing
from neuron_core.learning.run_folder import RunFolder
from neuron_core.models.prompt_encoder.data import EncoderConfig
from neuron_core.models.prompt_encoder.family import FAMILY
from neuron_core.models.prompt_encoder.measures import measure
from neuron_core.models.prompt_encoder.stored import save_encoder, write_card


def make_encoder(
    config: EncoderConfig, run: Path, out: Path, report: Reporter, name: str, minutes: float | None = None
) -> Mapping[str, float]:
    """Train on the CPU and write the files to `out`. Returns the figures of the model card.

    Metrics and the last checkpoint are below `run`; the same call resumes. With `minutes` training takes
    that long instead of a number of steps.
    """
    data = FAMILY.prepare(config, report)
    place = Placement(torch.device("cpu"))
    built = FAMILY.build(data, place)
    folder = RunFolder(run / fingerprint_of(data.recipe), FAMILY.name)
    loop = Loop(
        built.modules, FAMILY.phases(data, "full"), built.objectives, folder,
        seed=config.seed, placement=place, report=report, timing=Timing(minutes),
    )  # fmt: skip
    steps, towers = loop.run().steps, built.modules["towers"].eval()
    figures = measure(towers, data)
    save_encoder(towers, data.vocabulary, out, name)
    write_card(data, steps, figures, out, name)
    return {"steps": steps, **figures}
