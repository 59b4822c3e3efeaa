"""The study from nothing: data, a second encoder, training, baselines, figures, tables.

Every step resumes where it stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuron_core.datasets.reader import open_dataset
from neuron_core.evaluation.baselines import known_materials
from neuron_core.foundation.files import write_json
from neuron_core.foundation.progress import Silent
from neuron_core.materials.grammar import find
from neuron_core.models.judge.model import Judge
from neuron_core.studies.library import measures
from neuron_core.studies.library.artist import artist_of
from neuron_core.studies.library.second_encoder import second_encoder
from neuron_core.studies.library.steps import Steps
from neuron_core.studies.library.tables import tables
from neuron_core.tasks.evaluate.config import EvaluateConfig
from neuron_core.tasks.evaluate.run import run as evaluate


@dataclass(frozen=True)
class StudyConfig:
    """What is studied."""

    folder: Path
    materials: str = "builtin:240+150@1"  # so many that are trained, so many that are held out
    preset: str = "library"
    steps: int | None = None  # of the field; those of the preset if None
    blank_steps: int = 2000  # of the prompt-agnostic field


def run_study(config: StudyConfig) -> str:
    """Make what is missing, measure, and return the tables; figures.json holds the figures."""
    folder, steps = config.folder, Steps(config.folder)
    render(config, steps)
    judge = second_encoder(folder / "judge", config.materials, steps)
    train(config, steps)
    with steps.timed("figures"):
        measured = measure(config, judge)
    figures = {**measured, "seconds": steps.seconds}
    write_json(folder / "figures.json", figures)
    return tables(figures)


def render(config: StudyConfig, steps: Steps) -> None:
    """The dataset, and worn and dirty materials beside clean ones."""
    folder = config.folder
    steps.neuron(
        "dataset", "dataset", folder / "dataset", "--materials", config.materials,
        "--resolution", 128, "--views", 12, "--view-sets", 16, "--val-views", 0, "--test-views", 2,
        "--spp", 16, "--truth-db", 40, "--truth-spp", 256,
    )  # fmt: skip
    steps.neuron(
        "pairs", "dataset", folder / "pairs", "--materials", measures.worn_and_clean(),
        "--resolution", 128, "--views", 1, "--val-views", 0, "--test-views", 1, "--surface-views", 0,
    )  # fmt: skip


def train(config: StudyConfig, steps: Steps) -> None:
    """The field, and one that knows no prompts."""
    folder = config.folder
    options = ("--preset", config.preset, "--validate-every", 0)
    count = () if config.steps is None else ("--steps", config.steps)
    steps.neuron("train", "train", folder / "dataset", folder / "run", *options, *count)
    steps.neuron(
        "train blank", "train", folder / "dataset", folder / "blank", *options,
        "--encoder", "blank", "--steps", config.blank_steps,
    )  # fmt: skip


def measure(config: StudyConfig, judge: Judge) -> Mapping[str, object]:
    """All figures of the field, of the prompt-agnostic one beside it and of the second encoder."""
    folder = config.folder
    dataset = open_dataset(folder / "dataset")
    held_out = [entry for entry in dataset.materials if entry.split == "compositional" and entry.supported]
    cameras = dataset.splits["test"]
    assert all(find(entry.name) for entry in held_out) and len(known_materials(dataset, cameras)) > 1
    wanted = EvaluateConfig(
        folder / "run",
        folder / "dataset",
        split="compositional",
        against=folder / "blank",
        out=folder / "evaluation",
    )
    result = evaluate(wanted, Silent())
    artist = artist_of(folder / "run", dataset)
    return {
        "preset": config.preset,
        "materials": config.materials,
        "categories": result["categories"],
        "retrieval_by_picture": measures.retrieval(artist, held_out, cameras[0]),
        "retrieval_by_second_encoder": measures.judged(artist, judge, held_out, cameras),
        "paraphrases": measures.paraphrased(artist, held_out, cameras[0]),
        "locality": measures.locality(artist, held_out, cameras[0]),
        "locality_of_truth": measures.true_low_to_high(folder / "pairs"),
        "sliders": measures.sliders(artist, cameras[0]),
        "latency": measures.latency(artist),
    }
