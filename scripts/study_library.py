"""Reproduce the tables of `docs/materials.md` from nothing: data, training, baselines, measurements.

    python scripts/study_library.py FOLDER

Every step goes on where it stopped. Pictures are compared as `neuron evaluate` does. FOLDER/times.json
says how long each step took in the run that did most of it.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import study_judge
import study_tables
import torch

from neuron_core.datasets.reader import Dataset, MaterialEntry, open_dataset
from neuron_core.evaluation.baselines import known_materials
from neuron_core.foundation.files import read_json, write_json
from neuron_core.foundation.progress import Silent
from neuron_core.images.metrics import psnr
from neuron_core.materials import Material, paraphrases
from neuron_core.materials.grammar import combinations, find
from neuron_core.materials.grammar_tables import BASES
from neuron_core.models.field.checkpoint import load_run
from neuron_core.models.field.tracer import FieldTracer
from neuron_core.prompts import load_encoder
from neuron_core.prompts.edits import Edit
from neuron_core.prompts.steering import Blend, steered
from neuron_core.rendering.tracing import draw
from neuron_core.tasks.evaluate.config import EvaluateConfig
from neuron_core.tasks.evaluate.run import run as evaluate

MOST_LOOKS = 16
LOW_PASS = 4  # pixels
PAIRS = 24  # of a worn or dirty material and the same clean


def neuron(folder: Path, step: str, *words: object) -> None:
    """Run one task, or find it done, and keep its time. Ends the study if it fails."""
    command = [sys.executable, "-m", "neuron_core", *map(str, words)]
    print("+", " ".join(command[2:]), flush=True)
    began = time.perf_counter()
    if subprocess.run(command, check=False).returncode != 0:
        raise SystemExit(f"{words[0]} failed.")
    keep_time(folder, step, time.perf_counter() - began)


def keep_time(folder: Path, step: str, seconds: float) -> None:
    """Remember the longest time of a step: later runs find it done."""
    path = folder / "times.json"
    times = read_json(path) if path.exists() else {}
    assert isinstance(times, dict)
    times[step] = round(max(seconds, float(times.get(step, 0.0))), 1)
    write_json(path, times)


class Artist:
    """A trained field that is asked for pictures by vectors."""

    def __init__(self, run: Path, dataset: Dataset) -> None:
        self.field, self.info = load_run(run, "cpu")
        self.encoder = load_encoder(self.info.encoder["name"])
        self.dataset = dataset

    def pictures(self, vectors: np.ndarray, camera: str) -> np.ndarray:
        """[L, H, W, 3] sRGB over white, of vectors [L, W]."""
        parts = [
            draw(FieldTracer(self.field, part), self.dataset.cameras[camera], 2).over_white()
            for part in np.split(vectors, range(MOST_LOOKS, len(vectors), MOST_LOOKS))
        ]
        return np.concatenate(parts)

    def of_blends(self, blends: Sequence[Blend], camera: str) -> np.ndarray:
        """[L, H, W, 3] of blended prompts."""
        rows = np.repeat(np.arange(len(blends)), [len(blend.weights) for blend in blends])
        weights = np.concatenate([blend.weights for blend in blends])
        vectors = np.concatenate([blend.vectors for blend in blends])
        matrix = np.zeros((len(blends), len(vectors)), np.float32)
        matrix[rows, np.arange(len(vectors))] = weights
        tracer = FieldTracer(self.field, vectors, matrix)
        return draw(tracer, self.dataset.cameras[camera], 2).over_white()

    def of_prompts(self, prompts: Sequence[str], camera: str) -> np.ndarray:
        """The same for prompts."""
        return self.pictures(self.encoder.encode(list(prompts)), camera)


def truths(dataset: Dataset, names: Sequence[str], camera: str) -> np.ndarray:
    """True pictures [M, H, W, 3] from a camera."""
    return np.stack([dataset.encoded(name, camera) for name in names])


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean absolute differences [A, B] of pictures [A, ...] and [B, ...]."""
    flat = second.reshape(len(second), -1)
    return np.stack([np.abs(flat - one.ravel()).mean(axis=1) for one in first])


def retrieval(artist: Artist, held_out: Sequence[MaterialEntry], camera: str) -> dict[str, float]:
    """How often the nearest true picture among those held out is the one that was asked for."""
    drawn = artist.of_prompts([entry.prompt for entry in held_out], camera)
    true = truths(artist.dataset, [entry.name for entry in held_out], camera)
    nearest = distances(drawn, true).argmin(axis=1)
    bases = [_base(entry) for entry in held_out]
    return {
        "among": float(len(held_out)),
        "combination_top1": float((nearest == np.arange(len(nearest))).mean()),
        "base_top1": float(np.mean([bases[i] == bases[n] for i, n in enumerate(nearest)])),
    }


def judged(
    artist: Artist, judge: study_judge.Judge, held_out: Sequence[MaterialEntry], cameras: Sequence[str]
) -> dict[str, float]:
    """The same by a second encoder, which also says how far it gets with true pictures of another camera."""
    names = [entry.name for entry in held_out]
    bases = np.array([_base(entry) for entry in held_out])
    gallery = study_judge.vectors(judge, truths(artist.dataset, names, cameras[0]))
    drawn = study_judge.vectors(judge, artist.of_prompts([entry.prompt for entry in held_out], cameras[0]))
    found = {"drawn": (drawn @ gallery.T).argmax(axis=1)}
    for index, camera in enumerate(cameras[1:2]):
        other = study_judge.vectors(judge, truths(artist.dataset, names, camera))
        found[f"true_from_camera_{index + 1}"] = (other @ gallery.T).argmax(axis=1)
    figures = {}
    for kind, nearest in found.items():
        figures[f"{kind}_combination_top1"] = float((nearest == np.arange(len(names))).mean())
        figures[f"{kind}_base_top1"] = float((bases[nearest] == bases).mean())
    return figures


def paraphrased(artist: Artist, held_out: Sequence[MaterialEntry], camera: str) -> dict[str, float]:
    """How far held-out paraphrases move a picture, in distances to the nearest other material."""
    own = artist.of_prompts([entry.prompt for entry in held_out], camera)
    others = truths(artist.dataset, [entry.name for entry in artist.dataset.materials], camera)
    names = [entry.name for entry in artist.dataset.materials]
    moved = []
    for index in range(2):
        texts = [paraphrases(_material(entry), 2, 0)[index] for entry in held_out]
        for entry, before, after in zip(held_out, own, artist.of_prompts(texts, camera), strict=True):
            true = others[names.index(entry.name)]
            apart = np.delete(distances(true[None], others)[0], names.index(entry.name)).min()
            moved.append(float(np.abs(after - before).mean()) / max(float(apart), 1e-6))
    return {"within_10_percent": float(np.mean(np.array(moved) <= 0.1)), "median": float(np.median(moved))}


def locality(artist: Artist, held_out: Sequence[MaterialEntry], camera: str) -> dict[str, float]:
    """What a prompt moves beside the color: nothing. And where wear and dirt change a picture."""
    random = torch.Generator().manual_seed(0)
    points = torch.rand(100_000, 3, generator=random) - 0.5
    directions = torch.nn.functional.normalize(torch.randn(len(points), 3, generator=random), dim=-1)
    one, other = (torch.from_numpy(v) for v in artist.encoder.encode(["gold, polished", "oak wood, grained"]))
    with torch.no_grad():
        sigmas = [artist.field.query(points, vector, directions)[1] for vector in (one, other)]
    lens = artist.dataset.cameras[camera]
    tracers = [FieldTracer(artist.field, vector[None].numpy()) for vector in (one, other)]
    shown = [draw(tracer, lens, 2) for tracer in tracers]
    outside = shown[0].alphas == 0.0
    images = [picture.over_white()[0] for picture in shown]
    worn = [entry for entry in held_out if "worn" in _tag(entry) or "dirty" in _tag(entry)]
    ratios = [low_to_high(*_with_and_without(artist, entry, camera)) for entry in worn]
    return {
        "largest_density_change": float((sigmas[0] - sigmas[1]).abs().max()),
        "alphas_identical": float(np.array_equal(shown[0].alphas, shown[1].alphas)),
        "psnr_outside": float(psnr(images[0][outside][None], images[1][outside][None])),
        "low_pass_to_high_pass_median": float(np.median(ratios)) if ratios else float("nan"),
    }


def sliders(artist: Artist, camera: str) -> dict[str, float]:
    """Spearman's correlation of each slider with how far the picture is on the way from end to end."""
    found = {}
    for axis in ("wear", "dirt", "wetness"):
        ranks = []
        for base in ("copper", "steel", "ceramic", "marble", "oak wood", "plastic"):
            prompt = f"{base}, {BASES[base].finishes[1]}"
            blends = [
                steered(artist.encoder, prompt, (Edit("axis", axis, float(level)),))
                for level in np.linspace(0.0, 1.0, 9)
            ]
            pictures = artist.of_blends(blends, camera).reshape(9, -1)
            way = pictures[-1] - pictures[0]
            ranks.append(spearman(pictures @ way))
        found[axis] = float(np.mean(ranks))
    return found


def latency(artist: Artist) -> dict[str, float]:
    """Milliseconds from a prompt to its vector, the encoder being loaded; looks are timed on an asset."""
    artist.encoder.encode(["gold"])
    took = []
    for index in range(30):
        began = time.perf_counter()
        artist.encoder.encode([f"copper, brushed, worn {'and ' * (index % 5)}wet"[:60] + str(index)])
        took.append(1e3 * (time.perf_counter() - began))
    return {"encode_ms": float(np.median(took))}


def true_low_to_high(folder: Path) -> dict[str, float]:
    """The same of true pictures: what the grammar itself changes by wear and dirt."""
    dataset = open_dataset(folder)
    camera = dataset.splits["test"][0]
    names = [entry.name for entry in dataset.materials]
    pairs = [(name, _clean(name)) for name in names if _clean(name) != name]
    ratios = [low_to_high(*truths(dataset, pair, camera)) for pair in pairs]
    return {"low_pass_to_high_pass_median": float(np.median(ratios)), "pairs": float(len(pairs))}


def _clean(name: str) -> str:
    look = find(name)
    assert look is not None
    return replace(look, condition="").name


def _with_and_without(artist: Artist, entry: MaterialEntry, camera: str) -> np.ndarray:
    """Pictures [2, H, W, 3] of an entry and of the same without its condition."""
    return artist.of_prompts([entry.prompt, entry.prompt.rpartition(",")[0]], camera)


def low_to_high(after: np.ndarray, before: np.ndarray) -> float:
    """Change by a condition: what a low pass keeps of it, to what it takes away."""
    change = after - before
    low = _blurred(change)
    return float(np.abs(low).mean() / max(np.abs(change - low).mean(), 1e-6))


def _blurred(image: np.ndarray) -> np.ndarray:
    """Means [H, W, 3] over squares of 2 LOW_PASS + 1 pixels."""
    size = 2 * LOW_PASS + 1
    padded = np.pad(image, ((LOW_PASS, LOW_PASS), (LOW_PASS, LOW_PASS), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    return np.asarray(windows.mean(axis=(-1, -2)))


def spearman(values: np.ndarray) -> float:
    ranks = values.argsort().argsort()
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])


def _material(entry: MaterialEntry) -> Material:
    return Material.from_json(dict(entry.record))


def _base(entry: MaterialEntry) -> str:
    return _material(entry).tags.base


def _tag(entry: MaterialEntry) -> str:
    return _material(entry).tags.condition


def measure(folder: Path, arguments: argparse.Namespace, judge: study_judge.Judge) -> Mapping[str, object]:
    """All figures of a run, of the prompt-agnostic one beside it and of the second encoder."""
    dataset = open_dataset(folder / "dataset")
    held_out = [entry for entry in dataset.materials if entry.split == "compositional" and entry.supported]
    cameras = dataset.splits["test"]
    assert all(find(entry.name) for entry in held_out) and len(known_materials(dataset, cameras)) > 1
    config = EvaluateConfig(
        folder / "run",
        folder / "dataset",
        split="compositional",
        against=folder / "blank",
        out=folder / "evaluation",
    )
    result = evaluate(config, Silent())
    artist = Artist(folder / "run", dataset)
    return {
        "preset": arguments.preset,
        "materials": arguments.materials,
        "categories": result["categories"],
        "retrieval_by_picture": retrieval(artist, held_out, cameras[0]),
        "retrieval_by_second_encoder": judged(artist, judge, held_out, cameras),
        "paraphrases": paraphrased(artist, held_out, cameras[0]),
        "locality": locality(artist, held_out, cameras[0]),
        "locality_of_truth": true_low_to_high(folder / "pairs"),
        "sliders": sliders(artist, cameras[0]),
        "latency": latency(artist),
    }


def worn_and_clean() -> str:
    """Names of materials with wear or dirt, each followed by the same without."""
    looks = [look for look in combinations() if look.condition in ("worn", "heavily worn", "dirty")]
    chosen = [look for look in looks[:: max(1, len(looks) // PAIRS)] if find(_clean(look.name))]
    return ",".join(dict.fromkeys(name for look in chosen for name in (look.name, _clean(look.name))))


def main() -> None:
    """Make what is missing, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--materials", default="builtin:240+150@1")
    parser.add_argument("--preset", default="library", choices=("library-small", "library"))
    parser.add_argument("--steps", type=int, help="of the field; those of the preset if left out")
    parser.add_argument("--blank-steps", type=int, default=2000, help="of the prompt-agnostic model")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    neuron(
        folder, "dataset", "dataset", folder / "dataset", "--materials", arguments.materials,
        "--resolution", 128, "--views", 12, "--view-sets", 16, "--val-views", 0, "--test-views", 2,
        "--spp", 16, "--truth-db", 40, "--truth-spp", 256,
    )  # fmt: skip
    neuron(
        folder, "pairs", "dataset", folder / "pairs", "--materials", worn_and_clean(),
        "--resolution", 128, "--views", 1, "--val-views", 0, "--test-views", 1, "--surface-views", 0,
    )  # fmt: skip
    began = time.perf_counter()
    judge = study_judge.load_or_train(folder / "judge", arguments.materials)
    keep_time(folder, "second encoder", time.perf_counter() - began)
    training = ("--preset", arguments.preset, "--validate-every", 0)
    steps = () if arguments.steps is None else ("--steps", arguments.steps)
    neuron(folder, "train", "train", folder / "dataset", folder / "run", *training, *steps)
    neuron(
        folder, "train blank", "train", folder / "dataset", folder / "blank", *training,
        "--encoder", "blank", "--steps", arguments.blank_steps,
    )  # fmt: skip
    began = time.perf_counter()
    measured = measure(folder, arguments, judge)
    keep_time(folder, "figures", time.perf_counter() - began)
    figures = {**measured, "seconds": read_json(folder / "times.json")}
    write_json(folder / "figures.json", figures)
    print(study_tables.tables(figures))


if __name__ == "__main__":
    main()
