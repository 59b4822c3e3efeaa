"""What a phase of training optimizes: parameters, and losses that are a function of the step alone.

Everything an objective draws follows from (seed, phase, step), so that a run that was interrupted
resumes as if it had not been. A step of several processes is one step: all of them draw the same
whole batch, and each keeps its share.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from neuron_core.foundation.seeds import step_seed

Algorithm = Literal["adam", "adamw", "rmsprop"]
Metrics = Mapping[str, Tensor | float]
NO_METRICS: Metrics = {}


@dataclass(frozen=True, slots=True)
class Step:
    """Which step of a phase is taken, and by whom."""

    index: int  # of the phase, from 0
    done: float  # part of the phase that is done, in [0, 1)
    seed: int
    phase: str
    rank: int = 0  # of this process
    ranks: int = 1  # how many processes share the step

    def generator(self, purpose: str, device: torch.device) -> torch.Generator:
        """Random numbers of this step that depend on the seed and the purpose, and not on the rank."""
        return generator(self.seed, purpose, self.index, device)

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of the batch `rows` [B, ...]: every `ranks`-th row; all of it for one process.

        Losses must be means over the batch, and B a multiple of `ranks`, for the shares to add up.
        """
        return rows if self.ranks == 1 else rows[self.rank :: self.ranks]


def generator(seed: int, purpose: str, step: int, device: torch.device) -> torch.Generator:
    """A source of random numbers that depends on nothing else."""
    return torch.Generator(device).manual_seed(step_seed(seed, purpose, step))


@dataclass(frozen=True, slots=True)
class ParamGroup:
    """Parameters that are trained at one rate."""

    params: Sequence[nn.Parameter]
    rate_factor: float = 1.0  # of the phase's learning rate
    weight_decay: float = 0.0


@dataclass(frozen=True, slots=True)
class Optimized:
    """One optimizer and what it changes. A GAN has two."""

    name: str
    groups: Sequence[ParamGroup]
    algorithm: Algorithm = "adam"
    betas: tuple[float, float] = (0.9, 0.99)  # the second one is the smoothing of rmsprop
    eps: float = 1e-15
    clip_norm: float | None = None  # largest norm of all its gradients together


def as_it_is(rows: Tensor) -> Tensor:
    """The rows."""
    return rows


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the modules answered in a turn, for whoever compares it with another model's answers."""

    items: Int[Tensor, " B"]  # rows of the training data that the turn is about
    outputs: Mapping[str, Tensor]  # [B, ...] by name, with their gradients
    arrange: Callable[[Tensor], Tensor] = as_it_is  # crops and mirrors whole rows [B, ...] as `outputs` are


@dataclass(frozen=True, slots=True)
class Turn:
    """A loss to descend with one optimizer.

    The loss is the sum of its named, weighted terms, in their order: a term that reaches no
    parameter is found by name. Turns with `update` off add their gradients to the next turn of
    the same optimizer (gradient accumulation). Without an optimizer the loop only looks at the
    figures, and the objective makes the update itself when it is resumed.
    """

    optimizer: str  # its name, or empty
    terms: Mapping[str, Float[Tensor, ""]]
    metrics: Metrics = field(default_factory=dict)  # detached; tensors stay on the device until a report
    update: bool = True
    predicted: Predicted | None = None  # where a teacher may be asked about it

    @property
    def loss(self) -> Float[Tensor, ""]:
        """The sum of the terms."""
        return reduce(add, self.terms.values())


def value_of(terms: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """The sum of terms as a figure."""
    return reduce(add, (term.detach() for term in terms.values()))


@runtime_checkable
class Objective(Protocol):
    """What one phase optimizes."""

    def optimized(self) -> Sequence[Optimized]:
        """The optimizers and their parameters, which do not change during the phase."""

    def turns(self, step: Step) -> Iterator[Turn]:
        """The losses of a step, in order. The loop takes each before it asks for the next:
        backward, mean over all processes, clipping, update, moving average."""

    def state(self) -> Mapping[str, Tensor]:
        """What resuming needs beside the modules and the optimizers."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""


class Stateless:
    """An objective that keeps nothing beside the modules."""

    def state(self) -> Mapping[str, Tensor]:
        """Nothing."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to put back."""
