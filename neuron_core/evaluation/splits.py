"""Which materials of a dataset a subject is measured on, and what it draws for each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import StoredDataset
from neuron_core.evaluation.subjects import Subject
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.wording import listed

Split = Literal["test", "compositional"]
NAMED = 8  # materials of a dataset that an error lists


@dataclass(frozen=True, slots=True)
class Share:
    """A subject, the materials that it is measured on, and the look that it draws for each."""

    subject: Subject
    entries: Sequence[MaterialEntry]
    looks: Sequence[str]


def share_of(subject: Subject, path: Path, dataset: StoredDataset, split: Split, report: Reporter) -> Share:
    """The subject's share of a split. `path` names it in messages.

    Raises NeuronError if it shares no material of the split with the dataset.
    """
    entries = [entry for entry in dataset.materials if belongs(entry, subject, split)]
    looks = {entry.name: subject.look_of(entry) for entry in entries}
    lacking = [name for name, look in looks.items() if look is None]
    if lacking:
        report.warn(
            f"{path} has no baked look for {', '.join(lacking)} "
            f"({subject.representation}); neuron bake --prompt TEXT makes one."
        )
    if split == "test":
        _warn_of_untrained(subject, dataset.materials, report)
    shown = [(entry, look) for entry in entries if (look := looks[entry.name]) is not None]
    if not shown:
        raise _nothing_shared(subject, path, dataset, split)
    return Share(subject, [entry for entry, _ in shown], [look for _, look in shown])


def belongs(entry: MaterialEntry, subject: Subject, split: Split) -> bool:
    """Trained materials are the test split; those known by their prompt alone are compositional."""
    known = entry.split == "train" and subject.trained_on(entry)
    return known if split == "test" else not known


def _warn_of_untrained(subject: Subject, entries: Sequence[MaterialEntry], report: Reporter) -> None:
    names = [entry.name for entry in entries if entry.split == "train" and not subject.trained_on(entry)]
    if names:
        report.warn(
            f"Not trained on and left out ({subject.representation}): {listed(names)}. "
            "--split compositional measures them by their prompts."
        )


def _nothing_shared(subject: Subject, path: Path, dataset: StoredDataset, split: Split) -> NeuronError:
    names = ", ".join(entry.name for entry in dataset.materials[:NAMED])
    if split == "test":
        hint = "Give the dataset that it was trained on, or --split compositional."
    else:
        hint = "Train on a dataset with held-out materials, or bake their looks: neuron bake --prompt TEXT"
    return NeuronError(
        f"{path} ({subject.representation}) shares no {split} material with {dataset.path}, "
        f"which has {names}.",
        hint,
    )
