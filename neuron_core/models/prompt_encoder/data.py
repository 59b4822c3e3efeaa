"""What the encoder learns from: a dataset of the grammar, and looks that only have words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neuron_core.datasets.contract import View, read_picture
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.reader import StoredDataset
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.materials.grammar import Combination, find
from neuron_core.models.prompt_encoder.language import all_looks
from neuron_core.models.prompt_encoder.vocabulary import Vocabulary

RENDERED, PICTURE = 64, 48  # pixels: rendered, and what is cut out of it for the image tower
BRIGHTEST = 1000.0  # linear; a half holds more, an exposure on top of it need not
MODEL: Mapping[str, object] = {
    "embed_dim": 96,
    "vision_cfg": {
        "image_size": PICTURE, "patch_size": 8, "width": 96, "head_width": 32, "layers": 3, "mlp_ratio": 2.0,
    },
    "text_cfg": {"context_length": 48, "vocab_size": 49408, "width": 96, "heads": 4, "layers": 3},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Everything that the encoder follows from, beside MODEL and the grammar."""

    dataset: Path
    steps: int = 900  # every second one has pictures
    batch: int = 64  # pictures a step, each with a prompt
    pairs: int = 96  # looks a step with two prompts and no picture
    siblings: int = 6  # half of the pairs come in groups of so many with the same base and color
    sharpness: float = 14.0  # inverse temperature among prompts
    reading: float = 0.5  # weight of the loss that keeps tags readable
    composing: float = 4.0  # weight of the loss that draws every wording of a look to one vector
    learning_rate: float = 2e-3
    seed: int = 7


@dataclass(frozen=True)
class EncoderData:
    """Looks with pictures [looks, views, size, size, 4] float16, and looks that only have words."""

    config: EncoderConfig
    seen: Sequence[Combination]
    unseen: Sequence[Combination]
    worded: Sequence[Combination]
    seen_pictures: np.ndarray
    unseen_pictures: np.ndarray
    source: str = ""  # digest of the dataset
    materials: str = ""  # how the dataset chose them

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens of the grammar."""
        return Vocabulary()

    @property
    def recipe(self) -> Mapping[str, object]:
        """The config, the model, the words and the pictures."""
        wanted = asdict(self.config)
        del wanted["dataset"]
        return {**wanted, "model": MODEL, "words": self.vocabulary.words, "dataset": self.source}

    @property
    def description(self) -> Mapping[str, object]:
        """Where the pictures come from."""
        return {"materials": self.materials}


def load_data(dataset: StoredDataset, config: EncoderConfig) -> EncoderData:
    """The pictures of a dataset of the grammar, and every look that shares no base, finish and condition
    with what it holds out. Raises DatasetError for other datasets."""
    names = {
        split: [entry.name for entry in dataset.materials if entry.split == split]
        for split in ("train", "compositional")
    }
    seen, unseen = ([_look(name) for name in names[split]] for split in ("train", "compositional"))
    hidden = {(look.base, look.finish, look.condition) for look in unseen}
    asked = {} if dataset.manifest is None else dataset.manifest.config
    return EncoderData(
        config,
        seen,
        unseen,
        [look for look in all_looks() if (look.base, look.finish, look.condition) not in hidden],
        _pictures(dataset, names["train"], dataset.splits["train"]),
        _pictures(dataset, names["compositional"], dataset.splits["test"]),
        dataset.digest(),
        str(asked.get("materials", "")),
    )


def _look(name: str) -> Combination:
    look = find(name)
    if look is None:
        raise DatasetError(
            f"The grammar of materials has no {name}.", "Render the dataset with --materials builtin:N+M."
        )
    return look


def _pictures(dataset: StoredDataset, materials: Sequence[str], cameras: Sequence[str]) -> np.ndarray:
    pictures = np.empty((len(materials), len(cameras), RENDERED, RENDERED, 4), np.float16)
    for row, material in enumerate(materials):
        for column, camera in enumerate(cameras):
            picture = read_picture(dataset, View(camera, material))
            if picture.shape != (RENDERED, RENDERED, 4):
                raise DatasetError(
                    f"{dataset.path} has pictures of {picture.shape[1]} pixels, not {RENDERED}.",
                    f"Render it with --resolution {RENDERED}.",
                )
            pictures[row, column] = np.clip(picture, 0.0, BRIGHTEST)
    return pictures


def pictures_to_input(pictures: np.ndarray, chance: np.random.Generator | None) -> Float[Tensor, "N 3 S S"]:
    """For the image tower, from linear RGBA [N, H, W, 4]; with `chance` augmented.

    Augmented are the cut, the exposure, the tint, the gray behind, and left and right.
    """
    space = RENDERED - PICTURE
    rows = []
    for picture in pictures.astype(np.float32):
        top, left, gain, back, flip = space // 2, space // 2, 1.0, 0.5, False
        tint = np.ones(3, np.float32)
        if chance is not None:
            top, left = chance.integers(0, space + 1, 2)
            gain, back = 2.0 ** chance.uniform(-0.5, 0.5), chance.uniform(0.0, 1.0)
            flip = chance.random() < 0.5
            tint = 2.0 ** chance.uniform(-0.08, 0.08, 3).astype(np.float32)
        cut = picture[top : top + PICTURE, left : left + PICTURE]
        linear = cut[..., :3] * (gain * tint) + (1.0 - cut[..., 3:]) * back
        shown = linear_to_srgb(linear[:, ::-1] if flip else linear)
        rows.append((shown - 0.5) / 0.25)
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).contiguous()
