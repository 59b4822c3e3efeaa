"""Make the embedded prompt encoder from nothing: pictures of the grammar, prompts, a small CLIP.

    neuron dataset FOLDER --materials builtin:288+150 --resolution 64 --views 12 --val-views 1 --test-views 2
    python scripts/train_encoder.py FOLDER --out neuron_core/prompts/weights

What the dataset holds out is in no training picture and no training text. With --steps the result is
a function of the dataset, the arguments and the versions of the libraries.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import open_clip
import torch
from encoder_grammar import TAGS, all_looks, canonical, describe, every_phrase, families_of
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save
from torch import Tensor

from neuron_core.datasets.contract import View, read_picture
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.foundation.files import sha256_of, write_bytes, write_json
from neuron_core.materials import paraphrases
from neuron_core.materials.grammar import Combination, find, material_of
from neuron_core.materials.grammar_tables import BASES
from neuron_core.prompts.embedded import BLANK, words_of
from neuron_core.prompts.towers import IDS, OTHERS, ROWS, TABLE

NAME = "embedded/3"
CARD = Path(__file__).with_name("encoder_card.md")  # what is said about the result
RENDERED, PICTURE = 64, 48  # pixels: rendered, and what is cut out of it for the image tower
CONTEXT = 48  # tokens
MODEL: dict[str, object] = {
    "embed_dim": 96,
    "vision_cfg": {
        "image_size": PICTURE, "patch_size": 8, "width": 96, "head_width": 32, "layers": 3, "mlp_ratio": 2.0,
    },
    "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 96, "heads": 4, "layers": 3},
}  # fmt: skip
PREPROCESS = {"size": PICTURE, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "color": "sRGB"}


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the result depends on, apart from MODEL."""

    steps: int = 900  # every second one has pictures
    batch: int = 64  # pictures a step, each with a prompt
    pairs: int = 96  # looks a step with two prompts and no picture
    siblings: int = 6  # half of the pairs come in groups of so many with the same base and color
    sharpness: float = 14.0  # inverse temperature among prompts
    reading: float = 0.5  # weight of the loss that keeps tags readable
    composing: float = 4.0  # weight of the loss that draws every wording of a look to one vector
    learning_rate: float = 2e-3
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Data:
    """Looks with pictures [looks, views, size, size, 4] float16, and looks that only have words."""

    seen: list[Combination]
    unseen: list[Combination]
    worded: list[Combination]
    seen_pictures: np.ndarray
    unseen_pictures: np.ndarray


class Words:
    """Tokens of the training texts, numbered without gaps: 0 is every token that never occurred."""

    def __init__(self) -> None:
        """Order is that of open_clip's tokens, so that the end token stays the greatest."""
        self.tokenizer = SimpleTokenizer(context_length=CONTEXT)
        phrases = list(every_phrase())
        self.words = sorted({word for phrase in phrases for word in words_of(phrase)})
        assert BLANK not in self.words
        used = {token for phrase in phrases for token in self.tokenizer.encode(phrase)}
        self.ids = sorted(used | set(self.tokenizer.all_special_ids))
        self._number = {token: number for number, token in enumerate(self.ids, start=1)}
        self._encoded: dict[str, list[int]] = {}

    def encode(self, prompt: str) -> list[int]:
        """Numbers of the prompt's tokens, without start and end."""
        numbers: list[int] = []
        for part in prompt.split():
            if part not in self._encoded:
                self._encoded[part] = [self._number.get(token, 0) for token in self.tokenizer.encode(part)]
            numbers += self._encoded[part]
        return numbers

    def batch(self, prompts: Sequence[str], chance: random.Random | None) -> Tensor:
        """[N, longest] numbers. With `chance` blanks are put in: what nobody knows means nothing.

        Now and then there are many of them, so that late positions are learned too.
        """
        most = 0 if chance is None else CONTEXT - 3 if chance.random() < 0.1 else 2
        start, end = len(self.ids) - 1, len(self.ids)
        rows = [[start, *_with_blanks(self.encode(prompt), most, chance), end] for prompt in prompts]
        length = max(map(len, rows))
        return torch.tensor([row + [0] * (length - len(row)) for row in rows])


def _with_blanks(numbers: list[int], most: int, chance: random.Random | None) -> list[int]:
    if chance is None or chance.random() < 0.6:
        return numbers
    numbers = list(numbers)
    for _ in range(min(1 + chance.randrange(most), CONTEXT - 2 - len(numbers))):
        numbers.insert(chance.randrange(len(numbers) + 1), 0)
    return numbers


def load_data(dataset: StoredDataset) -> Data:
    """The pictures of a dataset of the grammar, and every look that shares no base, finish and condition
    with what it holds out."""
    names = {
        split: [entry.name for entry in dataset.materials if entry.split == split]
        for split in ("train", "compositional")
    }
    seen, unseen = ([_look(name) for name in names[split]] for split in ("train", "compositional"))
    hidden = {(look.base, look.finish, look.condition) for look in unseen}
    worded = [look for look in all_looks() if (look.base, look.finish, look.condition) not in hidden]
    return Data(
        seen,
        unseen,
        worded,
        _pictures(dataset, names["train"], dataset.splits["train"]),
        _pictures(dataset, names["compositional"], dataset.splits["test"]),
    )


def _look(name: str) -> Combination:
    look = find(name)
    if look is None:
        raise SystemExit(f"The grammar has no {name}; render the dataset with --materials builtin:N+M.")
    return look


def _pictures(dataset: StoredDataset, materials: Sequence[str], cameras: Sequence[str]) -> np.ndarray:
    size = RENDERED
    pictures = np.empty((len(materials), len(cameras), size, size, 4), np.float16)
    for row, material in enumerate(materials):
        for column, camera in enumerate(cameras):
            picture = read_picture(dataset, View(camera, material))
            if picture.shape != (size, size, 4):
                raise SystemExit(f"{dataset.path} has pictures of {picture.shape[1]} pixels, not {size}.")
            pictures[row, column] = np.clip(picture, 0.0, 1000.0)
    return pictures


def pictures_to_input(pictures: np.ndarray, chance: np.random.Generator | None) -> Tensor:
    """[N, 3, PICTURE, PICTURE] for the image tower from linear RGBA; with `chance` augmented."""
    space = RENDERED - PICTURE
    rows = []
    for picture in pictures.astype(np.float32):
        top, left, gain, back, flip = space // 2, space // 2, 1.0, 0.5, False
        tint = np.ones(3, np.float32)
        if chance is not None:
            top, left = chance.integers(0, space + 1, 2)
            gain, back, flip = (
                2.0 ** chance.uniform(-0.5, 0.5),
                chance.uniform(0.0, 1.0),
                chance.random() < 0.5,
            )
            tint = 2.0 ** chance.uniform(-0.08, 0.08, 3).astype(np.float32)
        cut = picture[top : top + PICTURE, left : left + PICTURE]
        linear = cut[..., :3] * (gain * tint) + (1.0 - cut[..., 3:]) * back
        shown = linear_to_srgb(linear[:, ::-1] if flip else linear)
        rows.append((shown - 0.5) / 0.25)
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).contiguous()


def build(words: Words) -> open_clip.CustomTextCLIP:
    """open_clip's model with a token table of only the tokens that occur."""
    text = {**MODEL["text_cfg"], "vocab_size": len(words.ids) + 1}  # type: ignore[dict-item]
    model = open_clip.CustomTextCLIP(
        embed_dim=MODEL["embed_dim"], vision_cfg=MODEL["vision_cfg"], text_cfg=text
    )
    return model


def text_features(model: open_clip.CustomTextCLIP, numbers: Tensor) -> Tensor:
    """[N, width] unit rows; only as many positions are computed as the longest prompt has."""
    whole = model.text.attn_mask
    length = numbers.shape[1]
    model.text.attn_mask = whole[:length, :length]
    features = model.encode_text(numbers, normalize=True)
    model.text.attn_mask = whole
    return features


class Readers(torch.nn.Module):
    """A linear reader for each tag. Thrown away after training: they keep looks composed of tags."""

    def __init__(self) -> None:
        """Values of a tag are numbered by their order."""
        super().__init__()
        looks = list(all_looks())
        self.values = {tag: sorted({getattr(look, tag) for look in looks}) for tag in TAGS}
        width = int(str(MODEL["embed_dim"]))
        self.heads = torch.nn.ModuleList(torch.nn.Linear(width, len(self.values[tag])) for tag in TAGS)

    def forward(self, features: Tensor, looks: Sequence[Combination]) -> Tensor:
        """Mean cross entropy of the tags of `looks`, read from their features [N, width]."""
        losses = [
            torch.nn.functional.cross_entropy(
                head(8.0 * features),
                torch.tensor([self.values[tag].index(getattr(look, tag)) for look in looks]),
            )
            for tag, head in zip(TAGS, self.heads, strict=True)
        ]
        return torch.stack(losses).mean()


class Composition(torch.nn.Module):
    """A vector for every value of every tag. A look's vector is the direction of the sum of its tags.

    Thrown away after training. Whatever words are chosen, the text tower is drawn to that one vector,
    and combinations that were never read lie where their tags put them.
    """

    def __init__(self) -> None:
        """Values of a tag are numbered by their order."""
        super().__init__()
        looks = list(all_looks())
        self.values = {tag: sorted({getattr(look, tag) for look in looks}) for tag in TAGS}
        width = int(str(MODEL["embed_dim"]))
        self.tables = torch.nn.ModuleList(torch.nn.Embedding(len(self.values[tag]), width) for tag in TAGS)

    def forward(self, features: Tensor, looks: Sequence[Combination]) -> Tensor:
        """Mean of 1 - cosine between features [N, width] and what their looks are composed of."""
        parts = [
            table(torch.tensor([self.values[tag].index(getattr(look, tag)) for look in looks]))
            for tag, table in zip(TAGS, self.tables, strict=True)
        ]
        whole = torch.nn.functional.normalize(torch.stack(parts).sum(dim=0), dim=-1)
        return 1.0 - (features * whole).sum(dim=-1).mean()


def train(
    model: open_clip.CustomTextCLIP, words: Words, data: Data, config: Config, minutes: float | None
) -> int:
    """Returns the steps made."""
    readers, composition, families = Readers(), Composition(), families_of(data.worded)
    parameters = [*model.parameters(), *readers.parameters(), *composition.parameters()]
    matrices = [p for p in parameters if p.ndim >= 2]
    others = [p for p in parameters if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
    chance, noise = random.Random(config.seed), np.random.default_rng(config.seed)
    began, step = time.monotonic(), 0
    fraction = 0.0
    while fraction < 1.0:
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * min(1.0, (step + 1) / 60) * (0.02 + 0.98 * _fall(fraction))
        optimizer.zero_grad()
        losses = _step_loss(model, (readers, composition), words, data, families, config, step, chance, noise)
        seen, paired, read, composed = losses
        torch.autograd.backward(seen + paired + config.reading * read + config.composing * composed)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, float(np.log(100.0)))
        spent = time.monotonic() - began
        if step % 100 == 98:
            told = f"pictures {seen:.3f}, prompts {paired:.3f}, tags {read:.3f}, composed {composed:.4f}"
            print(f"  step {step}: {told}, {spent:.0f} s", flush=True)
        step += 1
        fraction = step / config.steps if minutes is None else spent / (60.0 * minutes)
    return step


def _fall(fraction: float) -> float:
    return float(0.5 + 0.5 * np.cos(np.pi * min(fraction, 1.0)))


def _pairs(
    worded: list[Combination], families: list[list[Combination]], config: Config, chance: random.Random
) -> list[Combination]:
    """Distinct looks: half of them anywhere, half in families that only small words tell apart."""
    chosen = dict.fromkeys(chance.sample(worded, config.pairs - config.pairs // 2))
    while len(chosen) < config.pairs:
        family = chance.choice(families)
        chosen |= dict.fromkeys(chance.sample(family, min(config.siblings, len(family))))
    return list(chosen)[: config.pairs]


def _step_loss(
    model: open_clip.CustomTextCLIP,
    heads: tuple[Readers, Composition],
    words: Words,
    data: Data,
    families: list[list[Combination]],
    config: Config,
    step: int,
    chance: random.Random,
    noise: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """open_clip's loss of pictures and prompts, of two prompts for a look, and those of the heads."""
    rows = noise.permutation(len(data.seen))[: config.batch if step % 2 == 0 else 0]
    pairs = _pairs(data.worded, families, config, chance)
    texts = [describe(data.seen[row], chance) for row in rows]
    texts += [describe(look, chance) for look in pairs]
    texts += [canonical(look) if chance.random() < 0.3 else describe(look, chance) for look in pairs]
    features = text_features(model, words.batch(texts, chance))
    named, first, second = torch.split(features, [len(rows), len(pairs), len(pairs)])
    clip_loss = open_clip.ClipLoss()
    paired = clip_loss(first, second, torch.tensor(config.sharpness))
    looks = [*(data.seen[row] for row in rows), *pairs, *pairs]
    read, composed = (head(features, looks) for head in heads)
    if not len(rows):
        return torch.zeros(()), paired, read, composed
    pictures = data.seen_pictures[rows, noise.integers(0, data.seen_pictures.shape[1], len(rows))]
    image = model.encode_image(pictures_to_input(pictures, noise), normalize=True)
    return clip_loss(image, named, model.logit_scale.exp()), paired, read, composed


@torch.inference_mode()
def measure(model: open_clip.CustomTextCLIP, words: Words, data: Data, config: Config) -> dict[str, float]:
    """Figures on combinations that were in no training step."""
    model.eval()
    chance = random.Random(config.seed + 1)
    images = model.encode_image(pictures_to_input(data.unseen_pictures[:, 0], None), normalize=True)
    canonicals = text_features(model, words.batch([canonical(look) for look in data.unseen], None))
    spoken = text_features(model, words.batch([describe(look, chance) for look in data.unseen], None))
    again = text_features(model, words.batch([describe(look, chance) for look in data.unseen], None))
    kept = [paraphrases(material_of(look), 1, 0)[0] for look in data.unseen]
    same = (spoken * again).sum(dim=1)
    plain = (canonicals * text_features(model, words.batch(kept, None))).sum(dim=1)
    by_base = [[look for look in data.worded if look.base == base] for base in BASES]
    known = [look for looks in by_base for look in chance.sample(looks, min(60, len(looks)))]
    learned = text_features(model, words.batch([canonical(look) for look in known], None))
    cosines = canonicals @ canonicals.T
    others = torch.tensor([[a.base != b.base for b in data.unseen] for a in data.unseen])
    apart = cosines[others]
    usual = [
        Combination(name, base.finishes[0], "", (base.colors or ("",))[0]) for name, base in BASES.items()
    ]
    worn = [replace(look, condition="worn") for look in usual if "worn" in BASES[look.base].conditions]
    clean = [replace(look, condition="") for look in worn]
    usuals, worns, cleans = (
        text_features(model, words.batch([canonical(look) for look in looks], None))
        for looks in (usual, worn, clean)
    )
    wear = (worns * cleans).sum(dim=1)
    nearest = (usuals @ usuals.T - 2.0 * torch.eye(len(usual))).amax(dim=1)
    return {
        "candidates": float(len(data.unseen)),
        "text_to_image_top1": _hit(canonicals @ images.T, 1),
        "text_to_image_top5": _hit(canonicals @ images.T, 5),
        "paraphrase_to_image_top1": _hit(spoken @ images.T, 1),
        "paraphrase_to_image_top5": _hit(spoken @ images.T, 5),
        "paraphrase_to_text_top1": _hit(spoken @ canonicals.T, 1),
        "paraphrase_cosine_mean": float(same.mean()),
        "paraphrase_cosine_p05": float(same.quantile(0.05)),
        "plain_to_held_out_cosine_mean": float(plain.mean()),
        "plain_to_held_out_cosine_p05": float(plain.quantile(0.05)),
        "other_base_cosine_mean": float(apart.mean()),
        "other_base_cosine_p95": float(apart.quantile(0.95)),
        "other_base_cosine_max": float(apart.max()),
        "nearest_usual_cosine_mean": float(nearest.mean()),
        "nearest_usual_cosine_max": float(nearest.max()),
        "worn_to_clean_cosine_mean": float(wear.mean()),
        "worn_to_clean_cosine_max": float(wear.max()),
        **{f"{tag}_read_linearly": _readable(learned, canonicals, known, data.unseen, tag) for tag in TAGS},
    }


def _readable(
    learned: Tensor, vectors: Tensor, known: list[Combination], looks: list[Combination], tag: str
) -> float:
    """How often least squares on the vectors of known looks finds the tag of others."""
    values = sorted({getattr(look, tag) for look in known})
    targets = torch.eye(len(values))[[values.index(getattr(look, tag)) for look in known]]
    ones = torch.ones(len(learned), 1)
    solution = torch.linalg.lstsq(torch.cat((learned, ones), dim=1), targets, driver="gelsd").solution
    found = (torch.cat((vectors, ones[: len(vectors)]), dim=1) @ solution).argmax(dim=1).tolist()
    return sum(values[index] == getattr(look, tag) for index, look in zip(found, looks, strict=True)) / len(
        looks
    )


def _hit(scores: Tensor, among: int) -> float:
    best = scores.topk(among, dim=1).indices
    return float((best == torch.arange(len(scores))[:, None]).any(dim=1).float().mean())


def save_encoder(model: open_clip.CustomTextCLIP, words: Words, out: Path) -> None:
    """The text tower with its words, and the image tower beside it."""
    state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    text = {name.removeprefix("text."): tensor for name, tensor in state.items() if name.startswith("text.")}
    table = text.pop(TABLE)
    text |= {
        ROWS: table[1:].clone(),
        OTHERS: table[0].clone(),
        IDS: torch.tensor(words.ids, dtype=torch.int32),
    }
    image = {name: tensor for name, tensor in state.items() if not name.startswith("text.")}
    stem = NAME.replace("/", "-")
    write_bytes(out / f"{stem}.safetensors", save(text))
    write_bytes(out / f"{stem}-image.safetensors", save(image))
    configuration = {"name": NAME, "model": MODEL, "preprocess": PREPROCESS, "words": words.words}
    write_json(out / f"{stem}.json", configuration)


def write_card(
    words: Words, data: Data, materials: str, config: Config, steps: int, figures: dict[str, float], out: Path
) -> None:
    """MODEL_CARD.md beside the files, from what was just measured; `materials` names the pictures."""
    stem, text = NAME.replace("/", "-"), dict(MODEL["text_cfg"])  # type: ignore[call-overload]
    rows = [f"| {name} | {value:.3f} |" for name, value in figures.items() if name != "candidates"]
    files = [f"| `{path.name}` | `{sha256_of(path)}` |" for path in sorted(out.glob(f"{stem}*"))]
    card = CARD.read_text().format(
        name=NAME, stem=stem, open_clip=open_clip.__version__, width=text["width"], layers=text["layers"],
        context=CONTEXT, embed=MODEL["embed_dim"], tokens=len(words.ids), words=len(words.words),
        picture=PICTURE,
        combinations=len(all_looks()), looks=len(data.seen), views=data.seen_pictures.shape[1],
        unseen=len(data.unseen), materials=materials, steps=steps, seed=config.seed, out="FOLDER",
        figures="\n".join(rows), files="\n".join(files),
    )  # fmt: skip
    write_bytes(out / "MODEL_CARD.md", card.encode())


def main() -> None:
    """Train, print the figures, write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help="folder of neuron dataset --materials builtin:N+M")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--minutes", type=float, help="train this long instead of a number of steps")
    for name in ("steps", "batch", "pairs", "seed"):
        parser.add_argument(f"--{name}", type=int, default=Config.__dataclass_fields__[name].default)
    arguments = vars(parser.parse_args())
    folder, out, minutes = (arguments.pop(name) for name in ("dataset", "out", "minutes"))
    config = Config(**arguments)
    torch.manual_seed(config.seed)
    torch.set_num_threads(1)
    words = Words()
    dataset = open_dataset(folder)
    data = load_data(dataset)
    model = build(words)
    print(f"{len(words.words)} words, {len(words.ids)} tokens, {len(data.worded)} looks", flush=True)
    steps = train(model, words, data, config, minutes)
    figures = measure(model, words, data, config)
    save_encoder(model, words, out)
    materials = str(dataset.manifest.config.get("materials", "")) if dataset.manifest else ""
    write_card(words, data, materials, config, steps, figures, out)
    print(
        json.dumps({"steps": steps, **{name: round(value, 4) for name, value in figures.items()}}, indent=1)
    )


if __name__ == "__main__":
    main()
