"""What the study asks a field, its truth and a second encoder, one function a row of its tables."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import open_dataset
from neuron_core.images.metrics import psnr
from neuron_core.materials import Material, paraphrases
from neuron_core.materials.grammar import combinations, find
from neuron_core.materials.grammar_tables import BASES
from neuron_core.models.field.tracer import FieldTracer
from neuron_core.models.judge.model import Judge, vectors
from neuron_core.prompts.edits import Edit
from neuron_core.prompts.steering import steered
from neuron_core.rendering.tracing import Pictures, draw
from neuron_core.studies.library.artist import Artist, truths
from neuron_core.studies.library.figures import (
    Figures,
    closeness,
    distances,
    evenness,
    hits,
    low_to_high,
    moved,
)

PAIRS = 24  # of a worn or dirty material and the same clean
POINTS = 100_000  # where densities are compared
PARAPHRASES = 2  # of each held-out material
POSITIONS = 9  # of a slider
AXES = ("wear", "dirt", "wetness")
SLID = ("copper", "steel", "ceramic", "marble", "oak wood", "plastic")

Entries = Sequence[MaterialEntry]


def retrieval(artist: Artist, held_out: Entries, camera: str) -> Figures:
    """How often the nearest true picture among those held out is the one that was asked for."""
    drawn = artist.of_prompts([entry.prompt for entry in held_out], camera)
    true = artist.truths([entry.name for entry in held_out], camera)
    nearest = distances(drawn, true).argmin(axis=1)
    return {"among": float(len(held_out)), **hits(nearest, [_base(entry) for entry in held_out])}


def judged(artist: Artist, judge: Judge, held_out: Entries, cameras: Sequence[str]) -> Figures:
    """The same by a second encoder, which also says how far it gets with true pictures of another camera."""
    names, bases = [entry.name for entry in held_out], [_base(entry) for entry in held_out]
    gallery = vectors(judge, artist.truths(names, cameras[0]))
    drawn = artist.of_prompts([entry.prompt for entry in held_out], cameras[0])
    pictures = {"drawn": drawn}
    for index, camera in enumerate(cameras[1:2]):
        pictures[f"true_from_camera_{index + 1}"] = artist.truths(names, camera)
    return {
        f"{kind}_{name}": value
        for kind, shown in pictures.items()
        for name, value in hits((vectors(judge, shown) @ gallery.T).argmax(axis=1), bases).items()
    }


def paraphrased(artist: Artist, held_out: Entries, camera: str) -> Figures:
    """How far held-out paraphrases move a picture, in distances to the nearest other material."""
    names = [entry.name for entry in artist.dataset.materials]
    true = artist.truths(names, camera)
    own = [names.index(entry.name) for entry in held_out]
    plain = artist.of_prompts([entry.prompt for entry in held_out], camera)
    shares = []
    for index in range(PARAPHRASES):
        texts = [paraphrases(_material(entry), PARAPHRASES, 0)[index] for entry in held_out]
        shares.append(moved(plain, artist.of_prompts(texts, camera), true, own))
    return closeness(np.concatenate(shares))


def locality(artist: Artist, held_out: Entries, camera: str, points: int = POINTS) -> Figures:
    """What a prompt moves beside the color: nothing. And where wear and dirt change a picture."""
    pair = artist.encoder.encode(["gold, polished", "oak wood, grained"])
    lens = artist.dataset.cameras[camera]
    one, other = (draw(FieldTracer(artist.field, vector[None]), lens, 2) for vector in pair)
    worn = [entry for entry in held_out if _is_worn(entry)]
    ratios = [low_to_high(*_with_and_without(artist, entry, camera)) for entry in worn]
    return {
        "largest_density_change": _density_change(artist, pair, points),
        "alphas_identical": float(np.array_equal(one.alphas, other.alphas)),
        "psnr_outside": _outside(one, other),
        "low_pass_to_high_pass_median": float(np.median(ratios)) if ratios else float("nan"),
    }


def _outside(one: Pictures, other: Pictures) -> float:
    """PSNR between two looks where the object is not."""
    outside = one.alphas == 0.0
    return float(psnr(one.over_white()[0][outside][None], other.over_white()[0][outside][None]))


def _density_change(artist: Artist, pair: np.ndarray, count: int) -> float:
    """The largest difference of density between two prompt vectors, at `count` random points."""
    random = torch.Generator().manual_seed(0)
    points = torch.rand(count, 3, generator=random) - 0.5
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=random), dim=-1)
    with torch.no_grad():
        one, other = (artist.field.query(points, vector, directions)[1] for vector in torch.from_numpy(pair))
    return float((one - other).abs().max())


def _with_and_without(artist: Artist, entry: MaterialEntry, camera: str) -> np.ndarray:
    """Pictures [2, H, W, 3] of an entry and of the same without its condition."""
    return artist.of_prompts([entry.prompt, entry.prompt.rpartition(",")[0]], camera)


def sliders(artist: Artist, camera: str) -> Figures:
    """How well each slider's position and its picture agree in order, from end to end."""
    return {axis: float(np.mean([_slider(artist, base, axis, camera) for base in SLID])) for axis in AXES}


def _slider(artist: Artist, base: str, axis: str, camera: str) -> float:
    prompt = f"{base}, {BASES[base].finishes[1]}"
    levels = np.linspace(0.0, 1.0, POSITIONS)
    blends = [steered(artist.encoder, prompt, (Edit("axis", axis, float(level)),)) for level in levels]
    return evenness(artist.of_blends(blends, camera))


def latency(artist: Artist) -> Figures:
    """Milliseconds from a prompt to its vector, the encoder being loaded; looks are timed on an asset."""
    artist.encoder.encode(["gold"])
    took = []
    for index in range(30):
        prompt = f"copper, brushed, worn {'and ' * (index % 5)}wet"[:60] + str(index)
        began = time.perf_counter()
        artist.encoder.encode([prompt])
        took.append(1e3 * (time.perf_counter() - began))
    return {"encode_ms": float(np.median(took))}


def true_low_to_high(folder: Path) -> Figures:
    """What the grammar itself changes by wear and dirt, in the true pictures of a dataset of pairs."""
    dataset = open_dataset(folder)
    camera = dataset.splits["test"][0]
    names = [entry.name for entry in dataset.materials]
    pairs = [(name, clean(name)) for name in names if clean(name) != name]
    ratios = [low_to_high(*truths(dataset, pair, camera)) for pair in pairs]
    return {"low_pass_to_high_pass_median": float(np.median(ratios)), "pairs": float(len(pairs))}


def worn_and_clean() -> str:
    """Names of materials with wear or dirt, each followed by the same without."""
    looks = [look for look in combinations() if look.condition in ("worn", "heavily worn", "dirty")]
    chosen = [look for look in looks[:: max(1, len(looks) // PAIRS)] if find(clean(look.name))]
    return ",".join(dict.fromkeys(name for look in chosen for name in (look.name, clean(look.name))))


def clean(name: str) -> str:
    """The name of a combination without its condition."""
    look = find(name)
    assert look is not None
    return replace(look, condition="").name


def _is_worn(entry: MaterialEntry) -> bool:
    condition = _material(entry).tags.condition
    return "worn" in condition or "dirty" in condition


def _base(entry: MaterialEntry) -> str:
    return _material(entry).tags.base


def _material(entry: MaterialEntry) -> Material:
    return Material.from_json(dict(entry.record))
