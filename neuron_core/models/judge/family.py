"""The judge as a family of models."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neuron_core.foundation.progress import Reporter
from neuron_core.learning.distributed import Placement
from neuron_core.learning.family import Built, Size, Validate
from neuron_core.learning.goals import Goals
from neuron_core.learning.outcome import Measured
from neuron_core.learning.plan import Phase, Position
from neuron_core.learning.run_folder import WEIGHTS
from neuron_core.models.judge.data import JudgeConfig, JudgeData, load_data, plain
from neuron_core.models.judge.model import Judge, vectors
from neuron_core.models.judge.objective import PHASE, JudgeObjective, OneCycle

SMOKE_STEPS, TRIAL_STEPS = 6, 300
METRIC = "view_to_view_top1"


class JudgeFamily:
    """A second encoder for studies, which shares nothing with the first."""

    name = "judge"
    config = JudgeConfig
    goals = Goals(METRIC)
    weights = WEIGHTS

    def prepare(self, config: JudgeConfig, report: Reporter) -> JudgeData:
        """Read all pictures. Raises DatasetError if they are of another size."""
        return load_data(config)

    def phases(self, prepared: JudgeData, size: Size) -> Sequence[Phase]:
        """One."""
        config = prepared.config
        most = {"smoke": SMOKE_STEPS, "trial": TRIAL_STEPS, "full": config.steps}[size]
        return [Phase(PHASE, min(config.steps, most), config.rate, schedule=OneCycle())]

    def build(self, prepared: JudgeData, placement: Placement) -> Built:
        """A fresh network; it runs on the CPU."""
        torch.manual_seed(prepared.config.seed)
        judge = Judge(len(prepared.names))
        return Built({self.name: judge}, {PHASE: lambda: JudgeObjective(judge, prepared)})

    def validate(self, modules: Mapping[str, nn.Module], prepared: JudgeData, folder: Path) -> Validate:
        """The figure of `measure`, where a phase asks for it."""

        def figures(position: Position) -> Mapping[str, float]:
            return {METRIC: view_to_view(judge_of(modules), prepared)}

        return figures

    def measure(self, modules: Mapping[str, nn.Module], prepared: JudgeData, split: str) -> Measured:
        """How often the picture of another view that looks most alike shows the same material."""
        figures = {METRIC: view_to_view(judge_of(modules), prepared)}
        return Measured(split, figures, {"guessing": {METRIC: 1.0 / len(prepared.names)}})

    def student(self, config: JudgeConfig) -> JudgeConfig | None:
        """The judge is small as it is."""
        return None

    def tensors(self, modules: Mapping[str, nn.Module]) -> Mapping[str, np.ndarray]:
        """None: it stays in the study."""
        return {}


def judge_of(modules: Mapping[str, nn.Module]) -> Judge:
    """The network among the modules of a run."""
    judge = modules[JudgeFamily.name]
    assert isinstance(judge, Judge)
    return judge


def view_to_view(judge: Judge, data: JudgeData) -> float:
    """Top-1 retrieval between the first view of every material and the last."""
    first, last = (vectors(judge, plain(data.pictures[:, view])) for view in (0, -1))
    nearest = (last @ first.T).argmax(axis=1)
    return float((nearest == np.arange(len(nearest))).mean())


FAMILY = JudgeFamily()
