"""A family of models that trains in milliseconds: networks that learn points of a function."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neuron_core.learning.distill import DistillWeights, Teaching
from neuron_core.learning.family import Built
from neuron_core.learning.goals import Choice, Goals, Range
from neuron_core.learning.objective import Optimized, ParamGroup, Predicted, Stateless, Turn
from neuron_core.learning.outcome import Measured
from neuron_core.learning.plan import Phase
from tests.core.toy_objectives import network, wanted

POINTS = torch.rand(64, 2, generator=torch.Generator().manual_seed(5))
STEPS = {"smoke": 4, "trial": 6, "full": 12}


@dataclass(frozen=True, slots=True)
class ToyConfig:
    """What a run can be asked for."""

    dataset: Path
    out: Path
    width: int = 8
    name: str = "toy"
    fault: str = ""  # what goes wrong
    steps: int | None = None
    device: str = "cpu"
    seed: int = 0
    overwrite: bool = False


@dataclass(frozen=True)
class ToyData:
    """Nothing to open."""

    settings: ToyConfig

    @property
    def recipe(self) -> Mapping[str, object]:
        return {"width": self.settings.width, "seed": self.settings.seed}

    @property
    def description(self) -> Mapping[str, object]:
        return {}


class ToyObjective(Stateless):
    """Learns the points of a function; with a fault, not all of it."""

    def __init__(self, net: nn.Sequential, fault: str) -> None:
        self.net = net
        self.fault = fault
        self.chance = torch.Generator().manual_seed(0)  # a checkpoint does not hold it

    def optimized(self):
        return [Optimized("fit", [ParamGroup(list(self.net.parameters()))])]

    def turns(self, step):
        items = step.share(torch.randint(64, (16,), generator=step.generator("points", torch.device("cpu"))))
        points = torch.ones(16, 3) if self.fault == "shape" else POINTS[items]
        hidden = self.net[:2](points)
        values = self.net[2](hidden.detach() if self.fault == "frozen" else hidden)
        error = (values - wanted(POINTS[items])).square().mean()
        if self.fault == "memory":
            raise torch.OutOfMemoryError("out of memory")
        if self.fault == "uphill":
            error = 2 * error.detach() - error
        if self.fault == "generator":
            error = error * (1 + torch.rand((), generator=self.chance))
        if self.fault == "nan" and step.index == 2:
            error = error * torch.nan
        yield Turn("fit", {"error": error}, predicted=Predicted(items, {"value": values}))


class ToyFamily:
    """Networks of a width, of which half is enough."""

    def __init__(self, **goals: object) -> None:
        search = {"rate": Range(0.1, 10.0, log=True), "width": Choice((8, 16))}
        self.name = "toy"
        self.config = ToyConfig
        self.weights = "toy.safetensors"
        self.goals = Goals("score", **{"search": search, "student_share": 0.95, **goals})

    def prepare(self, config, report):
        return ToyData(config)

    def phases(self, prepared, size):
        return [Phase("fit", prepared.settings.steps or STEPS[size], 1e-2)]

    def build(self, prepared, placement):
        if prepared.settings.fault == "build":
            torch.ones(2, 3) @ torch.ones(2, 3)
        net = network(prepared.settings.seed, 2, prepared.settings.width, 1)
        return Built({"net": net}, {"fit": lambda: ToyObjective(net, prepared.settings.fault)})

    def validate(self, modules, prepared, folder):
        return lambda position: {}

    def measure(self, modules, prepared, split):
        with torch.no_grad():
            error = float((modules["net"](POINTS) - wanted(POINTS)).square().mean())
        return Measured(split, {"score": -error}, {"zero": {"score": -float(wanted(POINTS).square().mean())}})

    def student(self, config):
        return replace(config, width=config.width // 2)

    def teaching(self, modules, prepared):
        weights = DistillWeights(outputs={"value": 1.0})
        return Teaching(64, "points", lambda items: {"value": modules["net"](POINTS[items])}, weights, 16)

    def tensors(self, modules):
        return {name: np.asarray(value) for name, value in modules["net"].state_dict().items()}
