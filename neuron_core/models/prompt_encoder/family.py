"""The embedded prompt encoder as a family of models."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
from torch import nn

from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation.progress import Reporter
from neuron_core.learning.distributed import Placement
from neuron_core.learning.family import Built, Size, Validate
from neuron_core.learning.goals import Goals
from neuron_core.learning.outcome import Measured
from neuron_core.learning.plan import Phase, Position, WarmCosine
from neuron_core.learning.run_folder import WEIGHTS
from neuron_core.models.prompt_encoder.data import EncoderConfig, EncoderData, load_data
from neuron_core.models.prompt_encoder.measures import measure
from neuron_core.models.prompt_encoder.model import Heads, build_towers
from neuron_core.models.prompt_encoder.objective import PHASE, ContrastObjective

WARMUP, LAST_RATE = 60, 0.02
SMOKE_STEPS, TRIAL_STEPS = 6, 200
METRIC = "paraphrase_to_image_top1"


class EncoderFamily:
    """A small CLIP: the text tower becomes the encoder, everything else is for training it."""

    name = "prompt_encoder"
    config = EncoderConfig
    goals = Goals(METRIC)
    weights = WEIGHTS

    def prepare(self, config: EncoderConfig, report: Reporter) -> EncoderData:
        """Read all pictures. Raises DatasetError unless the dataset is one of the grammar."""
        return load_data(open_dataset(config.dataset), config)

    def phases(self, prepared: EncoderData, size: Size) -> Sequence[Phase]:
        """One."""
        config = prepared.config
        most = {"smoke": SMOKE_STEPS, "trial": TRIAL_STEPS, "full": config.steps}[size]
        schedule = WarmCosine(WARMUP, LAST_RATE)
        return [Phase(PHASE, min(config.steps, most), config.learning_rate, schedule=schedule)]

    def build(self, prepared: EncoderData, placement: Placement) -> Built:
        """Fresh towers and heads; they run on the CPU."""
        torch.manual_seed(prepared.config.seed)
        towers, heads = build_towers(prepared.vocabulary), Heads()
        return Built(
            {"towers": towers, "heads": heads},
            {PHASE: lambda: ContrastObjective(towers, heads, prepared)},
        )

    def validate(self, modules: Mapping[str, nn.Module], prepared: EncoderData, folder: Path) -> Validate:
        """All figures, where a phase asks for them."""

        def figures(position: Position) -> Mapping[str, float]:
            return measure(modules["towers"], prepared)

        return figures

    def measure(self, modules: Mapping[str, nn.Module], prepared: EncoderData, split: str) -> Measured:
        """Figures on what the dataset holds out, beside those of guessing."""
        towers = modules["towers"]
        assert isinstance(towers, open_clip.CustomTextCLIP)
        return Measured(split, measure(towers, prepared), {"guessing": {METRIC: 1.0 / len(prepared.unseen)}})

    def student(self, config: EncoderConfig) -> EncoderConfig | None:
        """The encoder is small as it is."""
        return None

    def tensors(self, modules: Mapping[str, nn.Module]) -> Mapping[str, np.ndarray]:
        """None: assets name their encoder and do not hold it."""
        return {}


FAMILY = EncoderFamily()
