"""`neuron evaluate`: draw the test views, compare them with the truth, write a table and a sheet."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.reader import Dataset, MaterialEntry, open_dataset
from neuron_core.evaluation import summary, table
from neuron_core.evaluation.baselines import measure_baselines
from neuron_core.evaluation.measure import Measured, measure
from neuron_core.evaluation.subjects import EXPORTS, Subject, open_subjects
from neuron_core.evaluation.table import Result
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.files import read_json, write_bytes, write_json
from neuron_core.foundation.progress import Part as Share
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.wording import listed
from neuron_core.images.pictures import encode_png, to_bytes
from neuron_core.images.sheet import Row, contact_sheet, difference
from neuron_core.tasks.evaluate.config import EvaluateConfig

TABLE, DATA, SHEET = "table.md", "table.json", "contact_sheet.png"
MOST_ROWS = 16  # of the contact sheet
MOST_LOOKS = 16  # that are drawn at once: their codes are held beside each other
SHOWN_VIEWS = 2  # of each material, where there are few materials
GAIN = 5  # of the differences
CAPTIONS = {"nvf": "baked voxels (nvf)", "inr": "field (inr)"}


@dataclass(frozen=True, slots=True)
class Part:
    """One subject with the materials that it is measured on, and what it draws for each."""

    subject: Subject
    entries: list[MaterialEntry]
    looks: list[str]


def run(config: EvaluateConfig, report: Reporter) -> dict[str, object]:
    """Measure, or return what was measured before. Raises NeuronError if nothing can be compared."""
    if Path(config.subject).suffix.lower() in EXPORTS:
        return _of_export(config, report)
    if config.dataset is None:
        raise DatasetError(
            f"There is nothing to measure {config.subject} on.", "Give a dataset with test views."
        )
    report.progress(0.0, "load", str(config.subject))
    subjects = open_subjects(config.subject, config.representation, config.device, config.encoder_weights)
    if config.against is not None:
        subjects += open_subjects(config.against, "all", config.device, config.encoder_weights, against=True)
    dataset = open_dataset(config.dataset, downscale=_downscale(config))
    cameras = _cameras(config, dataset)
    folder = config.folder()
    fingerprint = _fingerprint(config, subjects, dataset, cameras)
    done = _claim(folder, fingerprint, replace=config.overwrite or config.out is None)
    if done is not None:
        report.progress(1.0, "evaluate", "already done")
        return done
    parts = [_part(config, subject, dataset, report) for subject in subjects]
    shown = cameras[:: max(1, len(cameras) // SHOWN_VIEWS)][:SHOWN_VIEWS]
    results = _measure(config, dataset, cameras, parts, shown, report)
    baselines = _baselines(config, dataset, cameras, parts, shown, report)
    return _write(config, dataset, folder, fingerprint, results, baselines, shown)


def _of_export(config: EvaluateConfig, report: Reporter) -> dict[str, object]:
    from neuron_core.evaluation.exports import run_export

    return run_export(config, report)


def _downscale(config: EvaluateConfig) -> int:
    """What was asked for, or what a run was trained with."""
    if config.downscale is not None:
        return config.downscale
    path = Path(config.subject) / "run.json"
    content = read_json(path) if path.is_file() else {}
    trained = content.get("config", {}) if isinstance(content, dict) else {}
    value = trained.get("downscale", 1) if isinstance(trained, dict) else 1
    return value if isinstance(value, int) else 1


def _cameras(config: EvaluateConfig, dataset: Dataset) -> list[str]:
    names = dataset.splits["test"]
    if not names:
        raise DatasetError(
            f"{dataset.path} has no test views.", "Make it again with some: neuron dataset --test-views 8"
        )
    return names[: config.views] if config.views else list(names)


def _fingerprint(
    config: EvaluateConfig, subjects: Sequence[Subject], dataset: Dataset, cameras: Sequence[str]
) -> str:
    content = {
        "subjects": [(subject.representation, subject.identity) for subject in subjects],
        "dataset": dataset.digest(),
        "cameras": list(cameras),
        "split": config.split,
        "downscale": _downscale(config),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _claim(folder: Path, fingerprint: str, replace: bool) -> dict[str, object] | None:
    """The result that is there, if it is this one. Raises ConfigMismatchError for another one."""
    path = folder / DATA
    if not path.is_file():
        return None
    content = read_json(path)
    found = content.get("fingerprint") if isinstance(content, dict) else None
    whole = all((folder / name).is_file() for name in (TABLE, SHEET))
    if isinstance(content, dict) and found == fingerprint and whole:
        return _located({key: value for key, value in content.items() if key != "fingerprint"}, folder)
    if found != fingerprint and not replace:
        raise ConfigMismatchError(
            f"{folder} holds an evaluation of something else.",
            "Pick another folder, or replace it with --overwrite.",
        )
    return None


def _part(config: EvaluateConfig, subject: Subject, dataset: Dataset, report: Reporter) -> Part:
    """The materials that a subject is measured on. Raises NeuronError if there is none."""
    entries = [entry for entry in dataset.materials if _belongs(config.split, subject, entry)]
    looks = {entry.name: subject.look_of(entry) for entry in entries}
    kept = [entry for entry in entries if looks[entry.name] is not None]
    lacking = [entry.name for entry in entries if looks[entry.name] is None]
    if lacking:
        report.warn(
            f"{config.subject} has no baked look for {', '.join(lacking)} "
            f"({subject.representation}); neuron bake --prompt TEXT makes one."
        )
    if config.split == "test":
        _warn_of_strangers(config, subject, dataset, report)
    if not kept:
        raise _nothing(config, subject, dataset)
    return Part(subject, kept, [str(looks[entry.name]) for entry in kept])


def _belongs(split: str, subject: Subject, entry: MaterialEntry) -> bool:
    """Trained materials are the test; those known by their prompt alone are compositional."""
    known = entry.split == "train" and subject.trained_on(entry)
    return known if split == "test" else not known


def _warn_of_strangers(config: EvaluateConfig, subject: Subject, dataset: Dataset, report: Reporter) -> None:
    names = [
        entry.name for entry in dataset.materials if entry.split == "train" and not subject.trained_on(entry)
    ]
    if names:
        report.warn(
            f"Not trained on and left out ({subject.representation}): {listed(names)}. "
            "--split compositional measures them by their prompts."
        )


def _nothing(config: EvaluateConfig, subject: Subject, dataset: Dataset) -> NeuronError:
    names = ", ".join(entry.name for entry in dataset.materials[:8])
    if config.split == "test":
        hint = "Give the dataset that it was trained on, or --split compositional."
    else:
        hint = "Train on a dataset with held-out materials, or bake their looks: neuron bake --prompt TEXT"
    return NeuronError(
        f"{config.subject} ({subject.representation}) shares no {config.split} material with "
        f"{dataset.path}, which has {names}.",
        hint,
    )


def _measure(
    config: EvaluateConfig,
    dataset: Dataset,
    cameras: Sequence[str],
    parts: Sequence[Part],
    shown: Sequence[str],
    report: Reporter,
) -> list[Result]:
    results = []
    for index, part in enumerate(parts):
        share = Share(report, 0.95 * index / len(parts), 0.95 * (index + 1) / len(parts))
        name = part.subject.representation

        measured: list[Measured] = []
        for first in range(0, len(part.entries), MOST_LOOKS):
            some = slice(first, first + MOST_LOOKS)
            whole = len(cameras) * len(part.entries)

            def tell(
                done: int, share: Share = share, name: str = name, first: int = first, whole: int = whole
            ) -> None:
                drawn = first * len(cameras) + done * min(MOST_LOOKS, whole // len(cameras) - first)
                share.progress(drawn / whole, "evaluate", f"{name}  picture {drawn}/{whole}")

            tracer = part.subject.tracer(part.looks[some], report)
            measured += measure(dataset, cameras, part.entries[some], tracer, shown, tell)
        results.append(Result(part.subject.representation, config.split, measured))
    return results


def _baselines(
    config: EvaluateConfig,
    dataset: Dataset,
    cameras: Sequence[str],
    parts: Sequence[Part],
    shown: Sequence[str],
    report: Reporter,
) -> list[Result]:
    """What can be said of held-out materials without a field."""
    if config.split != "compositional" or dataset.kind != "rendered":
        return []
    entries = list({entry.name: entry for part in parts for entry in part.entries}.values())

    def tell(done: int) -> None:
        report.progress(
            0.95 + 0.04 * done / len(cameras), "evaluate", f"baselines  view {done}/{len(cameras)}"
        )

    return measure_baselines(dataset, cameras, entries, config.split, shown, tell)


def _write(
    config: EvaluateConfig,
    dataset: Dataset,
    folder: Path,
    fingerprint: str,
    results: Sequence[Result],
    baselines: Sequence[Result],
    shown: Sequence[str],
) -> dict[str, object]:
    by_category = summary.summarise([*results, *baselines]) if dataset.kind == "rendered" else []
    convention = table.PHOTOGRAPH_CONVENTION if dataset.kind == "photographs" else table.CONVENTION
    mean = {result.representation: result.mean() for result in results}
    apart = {result.representation: found for result in results if (found := result.apart())}
    content: dict[str, object] = {
        "rows": [row for result in results for row in result.rows()],
        "mean": mean,
        "transmissive": apart,
        "baking_loss": table.baking_loss(mean),
        "baselines": {result.representation: result.mean() for result in baselines},
        "categories": by_category,
        "split": config.split,
        "convention": convention,
    }
    title = f"{Path(config.subject).name} on {dataset.path.name}, {config.split} split"
    text = table.markdown(title, convention, [*results, *baselines], ())
    if baselines:
        text += f"\n## By category, transmissive materials included\n\n{summary.markdown(by_category)}"
    write_bytes(folder / TABLE, text.encode())
    write_bytes(folder / SHEET, encode_png(sheet_of(dataset, [*results, *baselines], shown, title)))
    write_json(folder / DATA, {**content, "fingerprint": fingerprint})
    return _located(content, folder)


def _located(content: Mapping[str, object], folder: Path) -> dict[str, object]:
    """The result body: the content with its files and a summary for people."""
    body = {
        **content,
        "table": str(folder / TABLE),
        "data": str(folder / DATA),
        "contact_sheet": str(folder / SHEET),
    }
    return {**body, "summary": (folder / TABLE).read_text(encoding="utf-8").rstrip()}


def sheet_of(dataset: Dataset, results: Sequence[Result], shown: Sequence[str], title: str) -> np.ndarray:
    """Truth, each representation and how far it is off, for each material, as uint8 [H, W, 3]."""
    names = list(dict.fromkeys(one.entry.name for result in results for one in result.measured))
    per_material = max(1, min(len(shown), MOST_ROWS // max(1, len(names))))
    rows: list[Row] = []
    for name in names[:MOST_ROWS]:
        for camera in shown[:per_material]:
            row = _row(dataset, results, name, camera)
            if len(row) > 1:
                rows.append((f"{name}   {camera}", row))
    return contact_sheet(rows, title)


def _row(
    dataset: Dataset, results: Sequence[Result], material: str, camera: str
) -> list[tuple[str, np.ndarray]]:
    if not dataset.has(material, camera):
        return []
    truth = to_bytes(dataset.encoded(material, camera))
    row = [("truth", truth)]
    for result in results:
        for one in result.measured:
            if one.entry.name == material and camera in one.pictures:
                drawn = to_bytes(one.pictures[camera])
                row.append((CAPTIONS.get(result.representation, result.representation), drawn))
                row.append((f"difference x{GAIN}", difference(drawn, truth, GAIN)))
    return row
