"""The towers, and the heads that training alone needs.

Letters in shapes: N prompts or looks, C tokens, W width of a vector.
"""

from collections.abc import Sequence

import open_clip
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from neuron_core.materials.grammar import Combination
from neuron_core.models.prompt_encoder.data import MODEL
from neuron_core.models.prompt_encoder.language import TAGS, all_looks
from neuron_core.models.prompt_encoder.vocabulary import Vocabulary

WIDTH = int(str(MODEL["embed_dim"]))
SHARP = 8.0  # factor on unit vectors before they are read


def build_towers(vocabulary: Vocabulary) -> open_clip.CustomTextCLIP:
    """open_clip's model with a token table of only the tokens that occur."""
    text = {**MODEL["text_cfg"], "vocab_size": len(vocabulary.ids) + 1}  # type: ignore[dict-item]
    return open_clip.CustomTextCLIP(
        embed_dim=MODEL["embed_dim"], vision_cfg=MODEL["vision_cfg"], text_cfg=text
    )


def text_features(towers: open_clip.CustomTextCLIP, numbers: Int[Tensor, "N C"]) -> Float[Tensor, "N W"]:
    """Unit rows; only as many positions are computed as the longest prompt has."""
    whole = towers.text.attn_mask
    length = numbers.shape[1]
    towers.text.attn_mask = whole[:length, :length]
    features = towers.encode_text(numbers, normalize=True)
    towers.text.attn_mask = whole
    return features


class Tags(nn.Module):
    """Something for every value of every tag of the grammar; values are numbered by their order."""

    def __init__(self) -> None:
        super().__init__()
        looks = list(all_looks())
        self.values = {tag: sorted({getattr(look, tag) for look in looks}) for tag in TAGS}

    def numbers(self, tag: str, looks: Sequence[Combination]) -> Int[Tensor, " N"]:
        """Which values of a tag looks have."""
        return torch.tensor([self.values[tag].index(getattr(look, tag)) for look in looks])


class Readers(Tags):
    """A linear reader for each tag. Thrown away after training: they keep looks composed of tags."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(WIDTH, len(self.values[tag])) for tag in TAGS)

    def forward(self, features: Float[Tensor, "N W"], looks: Sequence[Combination]) -> Float[Tensor, ""]:
        """Mean cross entropy of the tags of `looks`, read from their features."""
        losses = [
            nn.functional.cross_entropy(head(SHARP * features), self.numbers(tag, looks))
            for tag, head in zip(TAGS, self.heads, strict=True)
        ]
        return torch.stack(losses).mean()


class Composition(Tags):
    """A vector for every value of every tag. A look's vector is the direction of the sum of its tags.

    Thrown away after training. Whatever words are chosen, the text tower is drawn to that one vector,
    and combinations that were never read lie where their tags put them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(len(self.values[tag]), WIDTH) for tag in TAGS)

    def forward(self, features: Float[Tensor, "N W"], looks: Sequence[Combination]) -> Float[Tensor, ""]:
        """Mean of 1 - cosine between features and what their looks are composed of."""
        parts = [table(self.numbers(tag, looks)) for tag, table in zip(TAGS, self.tables, strict=True)]
        whole = nn.functional.normalize(torch.stack(parts).sum(dim=0), dim=-1)
        return 1.0 - (features * whole).sum(dim=-1).mean()


class Heads(nn.Module):
    """What is thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        self.readers = Readers()
        self.composition = Composition()
