"""All that the command line and campaigns know of a kind of model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from torch import nn

from neuron_core.foundation.progress import Reporter
from neuron_core.learning.distill import Teaching
from neuron_core.learning.distributed import Placement
from neuron_core.learning.goals import Goals
from neuron_core.learning.objective import Objective
from neuron_core.learning.outcome import Measured
from neuron_core.learning.plan import Phase, Position

Size = Literal["smoke", "trial", "full"]
Validate = Callable[[Position], Mapping[str, float]]
Config = TypeVar("Config")
Data = TypeVar("Data", bound="Prepared")


@runtime_checkable
class Prepared(Protocol):
    """Data that is open, and everything that follows from it before training. Families add their own."""

    @property
    def recipe(self) -> Mapping[str, object]:
        """Everything that the trained weights follow from, digests of data included: decides on resuming."""

    @property
    def description(self) -> Mapping[str, object]:
        """What run.json says of the run, enough to rebuild the modules."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a run trains: modules by name, and how to make the objective of each phase, by its name."""

    modules: Mapping[str, nn.Module]
    objectives: Mapping[str, Callable[[], Objective]] = field(default_factory=dict)


@runtime_checkable
class Family(Protocol[Config, Data]):
    """A kind of model."""

    @property
    def name(self) -> str:
        """Names its tensors in a .neuron and its entry here."""

    @property
    def config(self) -> type[Config]:
        """What a run of it can be asked for."""

    @property
    def goals(self) -> Goals:
        """Those of its campaigns."""

    @property
    def weights(self) -> str:
        """The name of the file of trained weights in a run folder."""

    def prepare(self, config: Config, report: Reporter) -> Data:
        """Open the data, once. Returns the family's own kind of Prepared; raises NeuronError."""

    def phases(self, prepared: Data, size: Size) -> Sequence[Phase]:
        """What a run goes through: to see that it works, to compare settings, or in earnest."""

    def build(self, prepared: Data, placement: Placement) -> Built:
        """Fresh modules on the device, and the objectives of the phases."""

    def validate(self, modules: Mapping[str, nn.Module], prepared: Data, folder: Path) -> Validate:
        """Measures all validation views while training; may write previews into `folder`."""

    def measure(self, modules: Mapping[str, nn.Module], prepared: Data, split: str) -> Measured:
        """How good trained modules are, with baselines."""

    def student(self, config: Config) -> Config | None:
        """The config of the smaller model that learns from this one; None if there is none."""

    def tensors(self, modules: Mapping[str, nn.Module]) -> Mapping[str, np.ndarray]:
        """What a .neuron stores."""


@runtime_checkable
class TeachingFamily(Protocol):
    """A family with students: what it has beside a Family."""

    def teaching(self, modules: Mapping[str, nn.Module], prepared: Any) -> Teaching:
        """How trained modules teach. `prepared` is of the family's own kind."""
