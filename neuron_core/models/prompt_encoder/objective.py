"""Contrast pictures with prompts, and prompts with other prompts for the same look.

A contrastive loss needs the whole batch. Several processes compute all of it, and each sends back
the gradients of its own rows.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import open_clip
import torch
from torch import Tensor, nn

from neuron_core.foundation.seeds import step_seed
from neuron_core.learning.objective import Optimized, ParamGroup, Stateless, Step, Turn
from neuron_core.materials.grammar import Combination
from neuron_core.models.prompt_encoder.data import EncoderData, pictures_to_input
from neuron_core.models.prompt_encoder.language import canonical, describe, families_of
from neuron_core.models.prompt_encoder.model import Heads, text_features

PHASE = "contrast"
LARGEST_SCALE = math.log(100.0)  # of the learned inverse temperature, as CLIP limits it
CLIP_NORM = 1.0
WEIGHT_DECAY = 0.05
PLAIN = 0.3  # part of the second prompts that are canonical ones


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step shows: looks with pictures, then pairs of prompts."""

    looks: Sequence[Combination]  # of all texts
    texts: Sequence[str]  # named, first of the pairs, second of the pairs
    named: int  # how many of the texts have a picture
    pictures: Tensor | None  # [named, 3, S, S]


class ContrastObjective(Stateless):
    """Towers and heads learn from a dataset of the grammar."""

    def __init__(self, towers: open_clip.CustomTextCLIP, heads: Heads, data: EncoderData) -> None:
        self.towers = towers
        self.heads = heads
        self.data = data
        self.families = families_of(data.worded)
        self.contrast = open_clip.ClipLoss()

    def optimized(self) -> Sequence[Optimized]:
        """The towers, whose gradients are clipped, and the heads."""
        return (
            Optimized("towers", decayed(self.towers), "adamw", (0.9, 0.98), 1e-8, CLIP_NORM),
            Optimized("heads", decayed(self.heads), "adamw", (0.9, 0.98), 1e-8),
        )

    def turns(self, step: Step) -> Iterator[Turn]:
        """The towers learn from all losses; then the heads from what the towers said."""
        chance = random.Random(step_seed(step.seed, "words", step.index))
        batch = self.draw(step, chance)
        numbers = self.data.vocabulary.batch(batch.texts, chance)
        features = own_rows(text_features(self.towers, numbers), step)
        terms = {**self._contrasts(batch, features, step), **self._composed(features, batch.looks)}
        yield Turn("towers", terms, {name: term.detach() for name, term in terms.items()})
        with torch.no_grad():
            self.towers.logit_scale.clamp_(0.0, LARGEST_SCALE)
        own, looks = step.share(features.detach()), batch.looks[step.rank :: step.ranks]
        yield Turn("heads", self._composed(own, looks))

    def draw(self, step: Step, chance: random.Random) -> Batch:
        """The looks, texts and pictures of a step; every second one has pictures."""
        data, config = self.data, self.data.config
        noise = np.random.default_rng(step_seed(step.seed, "pictures", step.index))
        rows = noise.permutation(len(data.seen))[: config.batch if step.index % 2 == 0 else 0]
        pairs = self.pairs(chance)
        texts = [describe(data.seen[row], chance) for row in rows]
        texts += [describe(look, chance) for look in pairs]
        texts += [canonical(look) if chance.random() < PLAIN else describe(look, chance) for look in pairs]
        pictures = None
        if len(rows):
            views = noise.integers(0, data.seen_pictures.shape[1], len(rows))
            pictures = pictures_to_input(data.seen_pictures[rows, views], noise)
        return Batch([*(data.seen[row] for row in rows), *pairs, *pairs], texts, len(rows), pictures)

    def pairs(self, chance: random.Random) -> list[Combination]:
        """Distinct looks: half of them anywhere, half in families that only small words tell apart."""
        config = self.data.config
        chosen = dict.fromkeys(chance.sample(self.data.worded, config.pairs - config.pairs // 2))
        while len(chosen) < config.pairs:
            family = chance.choice(self.families)
            chosen |= dict.fromkeys(chance.sample(family, min(config.siblings, len(family))))
        return list(chosen)[: config.pairs]

    def _contrasts(self, batch: Batch, features: Tensor, step: Step) -> Mapping[str, Tensor]:
        """open_clip's loss of two prompts for a look, and of pictures and prompts where there are any."""
        count = (len(batch.texts) - batch.named) // 2
        named, first, second = torch.split(features, [batch.named, count, count])
        sharpness = torch.tensor(self.data.config.sharpness)
        paired = self.contrast(first, second, sharpness)
        if batch.pictures is None:
            return {"pictures": torch.zeros(()), "prompts": paired}
        images = own_rows(self.towers.encode_image(batch.pictures, normalize=True), step)
        scale = own_rows(self.towers.logit_scale.exp()[None], step)[0]
        return {"pictures": self.contrast(images, named, scale), "prompts": paired}

    def _composed(self, features: Tensor, looks: Sequence[Combination]) -> Mapping[str, Tensor]:
        """That tags can be read from the features, and that features are composed of tags."""
        config, heads = self.data.config, self.heads
        return {
            "tags": config.reading * heads.readers(features, looks),
            "composition": config.composing * heads.composition(features, looks),
        }


def own_rows(values: Tensor, step: Step) -> Tensor:
    """The same values, with gradients for this process's rows only, times the number of processes.

    The mean of these gradients over all processes is the gradient of the whole.
    """
    if step.ranks == 1:
        return values
    factors = torch.zeros(len(values), *[1] * (values.dim() - 1))
    factors[step.rank :: step.ranks] = step.ranks
    rest = values.detach()
    return rest + (values - rest) * factors


def decayed(module: nn.Module) -> Sequence[ParamGroup]:
    """Matrices decay, biases and gains do not."""
    parameters = list(module.parameters())
    return (
        ParamGroup([one for one in parameters if one.ndim >= 2], weight_decay=WEIGHT_DECAY),
        ParamGroup([one for one in parameters if one.ndim < 2]),
    )
