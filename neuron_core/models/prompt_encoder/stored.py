"""The files of an embedded encoder: weights, words, and a card that says what it is."""

from collections.abc import Mapping
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save

from neuron_core.foundation.files import sha256_of, write_bytes, write_json
from neuron_core.models.prompt_encoder.data import MODEL, PICTURE, EncoderData
from neuron_core.models.prompt_encoder.language import all_looks
from neuron_core.models.prompt_encoder.vocabulary import CONTEXT, Vocabulary
from neuron_core.prompts.towers import IDS, OTHERS, ROWS, TABLE

NAME = "embedded/4"  # of the next one that is made; "embedded/3" is in the package
CARD = Path(__file__).with_name("card.md")
PREPROCESS = {"size": PICTURE, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "color": "sRGB"}


def save_encoder(
    towers: open_clip.CustomTextCLIP, vocabulary: Vocabulary, out: Path, name: str = NAME
) -> Path:
    """The text tower with its words, and the image tower beside it. Returns the file of the text tower."""
    state = {key: tensor.detach().contiguous() for key, tensor in towers.state_dict().items()}
    text = {key.removeprefix("text."): tensor for key, tensor in state.items() if key.startswith("text.")}
    table = text.pop(TABLE)
    text |= {
        ROWS: table[1:].clone(),
        OTHERS: table[0].clone(),
        IDS: torch.tensor(vocabulary.ids, dtype=torch.int32),
    }
    image = {key: tensor for key, tensor in state.items() if not key.startswith("text.")}
    weights = out / f"{stem_of(name)}.safetensors"
    write_bytes(weights, save(text))
    write_bytes(out / f"{stem_of(name)}-image.safetensors", save(image))
    configuration = {"name": name, "model": MODEL, "preprocess": PREPROCESS, "words": vocabulary.words}
    write_json(weights.with_suffix(".json"), configuration)
    return weights


def write_card(
    data: EncoderData, steps: int, figures: Mapping[str, float], out: Path, name: str = NAME
) -> None:
    """MODEL_CARD.md beside the files, from what was just measured."""
    text, stem = dict(MODEL["text_cfg"]), stem_of(name)  # type: ignore[call-overload]
    rows = [f"| {key} | {value:.3f} |" for key, value in figures.items() if key != "candidates"]
    files = [f"| `{path.name}` | `{sha256_of(path)}` |" for path in sorted(out.glob(f"{stem}*"))]
    card = CARD.read_text(encoding="utf-8").format(
        name=name, stem=stem, open_clip=open_clip.__version__, width=text["width"], layers=text["layers"],
        context=CONTEXT, embed=MODEL["embed_dim"], tokens=len(data.vocabulary.ids),
        words=len(data.vocabulary.words), picture=PICTURE, combinations=len(all_looks()),
        looks=len(data.seen), views=data.seen_pictures.shape[1], unseen=len(data.unseen),
        materials=data.materials, steps=steps, seed=data.config.seed, out="FOLDER",
        figures="\n".join(rows), files="\n".join(files),
    )  # fmt: skip
    write_bytes(out / "MODEL_CARD.md", card.encode())


def stem_of(name: str) -> str:
    """Of the files of an encoder of that name."""
    return name.replace("/", "-")
