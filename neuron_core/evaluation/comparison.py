"""Subjects against the truth of a dataset: measure every material, with baselines, and describe it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.reader import StoredDataset
from neuron_core.evaluation import summary, table
from neuron_core.evaluation.baselines import measure_baselines
from neuron_core.evaluation.document import Document
from neuron_core.evaluation.measure import Measured, measure
from neuron_core.evaluation.sheet import sheet_of
from neuron_core.evaluation.splits import Share, Split, share_of
from neuron_core.evaluation.subjects import Subject
from neuron_core.evaluation.table import Result
from neuron_core.foundation.progress import Part, Reporter

LOOKS_AT_ONCE = 16  # their codes are held beside each other
SHOWN_VIEWS = 2  # of each material on the sheet
MEASURED = 0.95  # part of the work before the baselines


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is measured, on which materials, and seen from where."""

    path: Path  # of the subject, for titles and messages
    dataset: StoredDataset
    split: Split
    cameras: Sequence[str]

    @property
    def shown(self) -> Sequence[str]:
        """The cameras of the pictures on the sheet."""
        return self.cameras[:: max(1, len(self.cameras) // SHOWN_VIEWS)][:SHOWN_VIEWS]


def unseen_cameras(dataset: StoredDataset, views: int) -> list[str]:
    """The first `views` test cameras, all of them for 0. Raises DatasetError if there are none."""
    names = dataset.splits["test"]
    if not names:
        raise DatasetError(
            f"{dataset.path} has no test views.", "Make it again with some: neuron dataset --test-views 8"
        )
    return list(names[:views] if views else names)


def depends_on(comparison: Comparison, subjects: Sequence[Subject]) -> dict[str, object]:
    """Everything that the figures follow from, beside how a dataset of photographs was opened."""
    return {
        "subjects": [(subject.representation, subject.identity) for subject in subjects],
        "dataset": comparison.dataset.digest(),
        "cameras": list(comparison.cameras),
        "split": comparison.split,
    }


def compare_subjects(comparison: Comparison, subjects: Sequence[Subject], report: Reporter) -> Document:
    """Measure all subjects. Raises NeuronError for one that shares no material with the dataset."""
    shares = [
        share_of(subject, comparison.path, comparison.dataset, comparison.split, report)
        for subject in subjects
    ]
    results = []
    for index, share in enumerate(shares):
        start, end = (MEASURED * part / len(shares) for part in (index, index + 1))
        results.append(measure_share(comparison, share, Part(report, start, end)))
    return describe(comparison, results, _baselines(comparison, shares, report))


def measure_share(
    comparison: Comparison, share: Share, report: Reporter, looks_at_once: int = LOOKS_AT_ONCE
) -> Result:
    """Measure one subject, some looks at a time; how many makes no difference to the figures."""
    name = share.subject.representation
    views = len(comparison.cameras)
    measured: list[Measured] = []
    for first in range(0, len(share.entries), looks_at_once):
        some = slice(first, first + looks_at_once)
        entries = share.entries[some]

        def on_camera(done: int, drawn: int = first * views, looks: int = len(entries)) -> None:
            picture, whole = drawn + done * looks, views * len(share.entries)
            report.progress(picture / whole, "evaluate", f"{name}  picture {picture}/{whole}")

        tracer = share.subject.tracer(share.looks[some], report)
        measured += measure(
            comparison.dataset, comparison.cameras, entries, tracer, comparison.shown, on_camera
        )
    return Result(name, comparison.split, measured)


def _baselines(comparison: Comparison, shares: Sequence[Share], report: Reporter) -> list[Result]:
    """How far one gets on held-out materials without a field."""
    if comparison.split != "compositional" or comparison.dataset.kind != "rendered":
        return []
    entries = list({entry.name: entry for share in shares for entry in share.entries}.values())
    views = len(comparison.cameras)

    def on_camera(done: int) -> None:
        report.progress(
            MEASURED + (0.99 - MEASURED) * done / views, "evaluate", f"baselines  view {done}/{views}"
        )

    return measure_baselines(
        comparison.dataset, comparison.cameras, entries, comparison.split, comparison.shown, on_camera
    )


def describe(comparison: Comparison, results: Sequence[Result], baselines: Sequence[Result]) -> Document:
    """The rows and means of the results, with those of the baselines beside them."""
    dataset = comparison.dataset
    everything = [*results, *baselines]
    by_category = summary.summarize(everything) if dataset.kind == "rendered" else []
    convention = table.PHOTOGRAPH_CONVENTION if dataset.kind == "photographs" else table.CONVENTION
    mean = {result.representation: result.mean() for result in results}
    content: dict[str, object] = {
        "rows": [row for result in results for row in result.rows()],
        "mean": mean,
        "transmissive": {result.representation: found for result in results if (found := result.apart())},
        "baking_loss": table.baking_loss(mean),
        "baselines": {result.representation: result.mean() for result in baselines},
        "categories": by_category,
        "split": comparison.split,
        "convention": convention,
    }
    title = f"{comparison.path.name} on {dataset.path.name}, {comparison.split} split"
    text = table.markdown(title, convention, everything)
    if baselines:
        text += f"\n## By category, transmissive materials included\n\n{summary.markdown(by_category)}"
    return Document(content, text, sheet_of(dataset, everything, comparison.shown, title))
