"""Figures on combinations that were in no training step.

Letters in shapes: N prompts or looks, W width of a vector. All vectors have unit length.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import open_clip
import torch
from jaxtyping import Float
from torch import Tensor

from neuron_core.materials import paraphrases
from neuron_core.materials.grammar import Combination, material_of
from neuron_core.materials.grammar_tables import BASES
from neuron_core.models.prompt_encoder.data import EncoderData, pictures_to_input
from neuron_core.models.prompt_encoder.language import TAGS, canonical, describe
from neuron_core.models.prompt_encoder.model import text_features

KNOWN = 60  # trained looks of each base that tags are read from
Figures = Mapping[str, float]
Looks = Sequence[Combination]


@torch.inference_mode()
def measure(towers: open_clip.CustomTextCLIP, data: EncoderData) -> Figures:
    """How well prompts find pictures and other prompts, and how far apart they are."""
    chance = random.Random(data.config.seed + 1)

    def encode(texts: Sequence[str]) -> Tensor:
        return text_features(towers, data.vocabulary.batch(texts, None))

    images = towers.encode_image(pictures_to_input(data.unseen_pictures[:, 0], None), normalize=True)
    plain = encode([canonical(look) for look in data.unseen])
    free, again = (encode([describe(look, chance) for look in data.unseen]) for _ in range(2))
    held_out = encode([paraphrases(material_of(look), 1, 0)[0] for look in data.unseen])
    known = _known(data.worded, chance)
    learned = encode([canonical(look) for look in known])
    usual = [
        Combination(name, base.finishes[0], "", (base.colors or ("",))[0]) for name, base in BASES.items()
    ]
    worn = [replace(look, condition="worn") for look in usual if "worn" in BASES[look.base].conditions]
    return {
        "candidates": float(len(data.unseen)),
        "text_to_image_top1": hit_rate(plain @ images.T, 1),
        "text_to_image_top5": hit_rate(plain @ images.T, 5),
        "paraphrase_to_image_top1": hit_rate(free @ images.T, 1),
        "paraphrase_to_image_top5": hit_rate(free @ images.T, 5),
        "paraphrase_to_text_top1": hit_rate(free @ plain.T, 1),
        **_spread("paraphrase_cosine", (free * again).sum(dim=1), 0.05),
        **_spread("plain_to_held_out_cosine", (plain * held_out).sum(dim=1), 0.05),
        **_other_bases(plain, data.unseen),
        **_most("nearest_usual_cosine", nearest_others(encode([canonical(look) for look in usual]))),
        **_most("worn_to_clean_cosine", _worn_to_clean(encode, worn)),
        **{f"{tag}_read_linearly": readable(learned, plain, known, data.unseen, tag) for tag in TAGS},
    }


def _known(worded: Looks, chance: random.Random) -> list[Combination]:
    by_base = [[look for look in worded if look.base == base] for base in BASES]
    return [look for looks in by_base for look in chance.sample(looks, min(KNOWN, len(looks)))]


def _worn_to_clean(encode: Callable[[Sequence[str]], Tensor], worn: Looks) -> Tensor:
    clean = encode([canonical(replace(look, condition="")) for look in worn])
    return (encode([canonical(look) for look in worn]) * clean).sum(dim=1)


def _other_bases(plain: Tensor, looks: Looks) -> Figures:
    """Cosines between looks of different bases."""
    others = torch.tensor([[a.base != b.base for b in looks] for a in looks])
    apart = (plain @ plain.T)[others]
    return {**_spread("other_base_cosine", apart, 0.95), "other_base_cosine_max": float(apart.max())}


def _spread(name: str, cosines: Tensor, quantile: float) -> Figures:
    percent = f"p{round(100 * quantile):02d}"
    return {f"{name}_mean": float(cosines.mean()), f"{name}_{percent}": float(cosines.quantile(quantile))}


def _most(name: str, cosines: Tensor) -> Figures:
    return {f"{name}_mean": float(cosines.mean()), f"{name}_max": float(cosines.max())}


def nearest_others(vectors: Float[Tensor, "N W"]) -> Float[Tensor, " N"]:
    """The largest cosine of each vector to another one."""
    return (vectors @ vectors.T - 2.0 * torch.eye(len(vectors))).amax(dim=1)


def hit_rate(scores: Float[Tensor, "N N"], among: int) -> float:
    """How often a row's own column is among its best ones."""
    best = scores.topk(min(among, len(scores)), dim=1).indices
    return float((best == torch.arange(len(scores))[:, None]).any(dim=1).float().mean())


def readable(
    learned: Float[Tensor, "K W"], vectors: Float[Tensor, "N W"], known: Looks, looks: Looks, tag: str
) -> float:
    """How often least squares on the vectors of known looks finds the tag of others."""
    values = sorted({getattr(look, tag) for look in known})
    targets = torch.eye(len(values))[[values.index(getattr(look, tag)) for look in known]]
    ones = torch.ones(len(learned), 1)
    solution = torch.linalg.lstsq(torch.cat((learned, ones), dim=1), targets, driver="gelsd").solution
    found = (torch.cat((vectors, torch.ones(len(vectors), 1)), dim=1) @ solution).argmax(dim=1).tolist()
    right = [values[index] == getattr(look, tag) for index, look in zip(found, looks, strict=True)]
    return sum(right) / len(right)
