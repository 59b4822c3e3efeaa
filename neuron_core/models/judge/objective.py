"""Tell materials apart: cross entropy over all of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from neuron_core.foundation.seeds import step_seed
from neuron_core.learning.objective import Optimized, ParamGroup, Stateless, Step, Turn
from neuron_core.models.judge.data import JudgeData, augmented
from neuron_core.models.judge.model import Judge

PHASE = "judge"
WEIGHT_DECAY = 0.02
SMOOTHING = 0.05  # of labels


@dataclass(frozen=True, slots=True)
class OneCycle:
    """A half cosine up from `first` to the rate, then one down to `last` (Smith and Topin 2018)."""

    warmup: float = 0.3  # part of the phase
    first: float = 1 / 25  # of the rate
    last: float = 1 / 250_000

    def __call__(self, step: int, done: float) -> float:
        """In (0, 1]."""
        if done < self.warmup:
            return _between(self.first, 1.0, done / self.warmup)
        return _between(1.0, self.last, (done - self.warmup) / (1 - self.warmup))


def _between(start: float, end: float, part: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))


class JudgeObjective(Stateless):
    """A judge learns from augmented pictures.

    Normalization sees the whole batch, so every process computes all of it and learns from its rows.
    """

    def __init__(self, judge: Judge, data: JudgeData) -> None:
        self.judge = judge
        self.data = data

    def optimized(self) -> Sequence[Optimized]:
        """The whole network."""
        groups = [ParamGroup(list(self.judge.parameters()), weight_decay=WEIGHT_DECAY)]
        return [Optimized("judge", groups, "adamw", (0.9, 0.999), 1e-8)]

    def turns(self, step: Step) -> Iterator[Turn]:
        """One batch."""
        pictures, rows = self.draw(step)
        scores, labels = step.share(self.judge.scores(pictures)), step.share(rows)
        loss = nn.functional.cross_entropy(scores, labels, label_smoothing=SMOOTHING)
        right = (scores.detach().argmax(dim=1) == labels).float().mean()
        yield Turn("judge", {"loss": loss}, {"loss": loss.detach(), "right": right})

    def draw(self, step: Step) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures [B, 3, S, S] of a step and which materials they show [B]."""
        noise = np.random.default_rng(step_seed(step.seed, "pictures", step.index))
        materials, views = self.data.pictures.shape[:2]
        rows = noise.integers(materials, size=self.data.config.batch)
        chosen = noise.integers(views, size=self.data.config.batch)
        return torch.from_numpy(augmented(self.data.pictures[rows, chosen], noise)), torch.from_numpy(rows)
