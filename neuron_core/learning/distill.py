"""Learn from a teacher: its answers are computed once, kept on disk, and compared with a student's.

A teacher is asked about rows of the training data, which are numbered. Its answers are tensors by
name, one row each.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.outputs import Output, RecordForm
from neuron_core.foundation.progress import Reporter, Silent
from neuron_core.learning.objective import Objective, Optimized, Predicted, Step, Turn
from neuron_core.learning.stored import save_tensors

Answers = Mapping[str, Tensor]
Teach = Callable[[Int[Tensor, " B"]], Answers]

RECORD = "teacher.json"
FILE = "answers-{:05d}.safetensors"
FORMAT = 1
OPEN_FILES = 16  # at once; they are mapped, so that only rows that were asked for take memory
AGAIN = "Delete the folder; the answers are computed again."


class DistillError(NeuronError):
    """A teacher and a student that do not fit together, or damaged answers."""

    kind = "distill"


@dataclass(frozen=True, slots=True)
class DistillWeights:
    """How much a student listens to its teacher, and to the truth. Names are those of answers."""

    own: float = 1.0  # factor on the student's own terms
    outputs: Mapping[str, float] = field(default_factory=dict)  # mean absolute difference
    features: Mapping[str, float] = field(default_factory=dict)  # mean squared difference
    logits: Mapping[str, float] = field(default_factory=dict)  # divergence of classes along dimension 1
    temperature: float = 2.0  # of the logits; differences count the same whatever it is


@dataclass(frozen=True, slots=True)
class Teaching:
    """How trained modules teach."""

    count: int  # rows of the training data
    inputs: str  # digest of what the modules see of these rows
    teach: Teach
    weights: DistillWeights
    rows: int = 256  # that are held in memory, and in a file


# --- the answers ---


class TeacherCache:
    """The answers of a teacher in a folder."""

    def __init__(self, folder: Path, teaching: Teaching) -> None:
        """Those that are there; `cached` makes them."""
        self.folder = folder
        self.count = teaching.count
        self._rows = teaching.rows
        self._file = lru_cache(OPEN_FILES)(self._opened)

    def rows(self, items: Int[Tensor, " B"]) -> dict[str, Tensor]:
        """The answers to rows of the training data, in their order, on the CPU."""
        assert not len(items) or (0 <= int(items.min()) and int(items.max()) < self.count), "no such rows"
        picked = [self._row(int(item)) for item in items]
        return {name: torch.cat([row[name] for row in picked]) for name in (picked[0] if picked else ())}

    def _row(self, item: int) -> dict[str, Tensor]:
        number, row = divmod(item, self._rows)
        file = self._file(number)
        return {name: file.get_slice(name)[row : row + 1] for name in file.keys()}  # noqa: SIM118

    def _opened(self, number: int) -> Any:
        path = self.folder / FILE.format(number)
        try:
            return safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise DistillError(f"{path} is missing or damaged: {error}.", AGAIN) from error


def cached(
    folder: Path, teacher: Mapping[str, nn.Module], teaching: Teaching, report: Reporter | None = None
) -> TeacherCache:
    """The answers of a teacher about all rows, computed now or found in the folder.

    Answers of a teacher with other weights, or about other inputs, are replaced. A folder that is
    not complete is completed. No more than `teaching.rows` answers are in memory at once.
    """
    report = report or Silent()
    output = Output(
        folder,
        {
            "format": FORMAT,
            "teacher": digest_of(teacher),
            "inputs": teaching.inputs,
            "count": teaching.count,
            "rows": teaching.rows,
        },
        ours=(FILE.replace("{:05d}", "*"),),
        kind="the answers of another teacher",
        form=RecordForm(RECORD),
    )
    with output.claim(overwrite=True) as claim:
        if claim.state != "done":
            _answer_all(folder, teaching, report)
            claim.finish({})
    return TeacherCache(folder, teaching)


def digest_of(modules: Mapping[str, nn.Module]) -> str:
    """The SHA-256 of the names, shapes, types and values of all weights."""
    digest = sha256()
    for module in sorted(modules):
        for name, value in sorted(modules[module].state_dict().items()):
            digest.update(f"{module}.{name} {value.dtype} {list(value.shape)}\n".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _answer_all(folder: Path, teaching: Teaching, report: Reporter) -> None:
    for number, first in enumerate(range(0, teaching.count, teaching.rows)):
        path = folder / FILE.format(number)
        if path.is_file():  # whole, and of this teacher: others were deleted when the folder was claimed
            continue
        items = torch.arange(first, min(first + teaching.rows, teaching.count))
        with torch.no_grad():
            answers = teaching.teach(items)
        _require_rows(answers, len(items))
        save_tensors(path, answers)
        report.progress((first + len(items)) / teaching.count, "teacher", f"row {first + len(items)}")


def _require_rows(answers: Answers, count: int) -> None:
    for name, value in answers.items():
        if value.shape[:1] != (count,):
            raise DistillError(f"The teacher answers {name} with {list(value.shape)} for {count} rows.")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise DistillError(f"The teacher's answer {name} is NaN or infinite.")


# --- the objective ---


class Distilled:
    """The objective of a student that also learns from a teacher's answers.

    Turns that say what they predicted get a term for every answer that has a weight; the gradient
    reaches the student alone. Other turns are as they were.
    """

    def __init__(self, student: Objective, cache: TeacherCache, weights: DistillWeights) -> None:
        self._student = student
        self._cache = cache
        self._weights = weights

    def optimized(self) -> Sequence[Optimized]:
        """Those of the student."""
        return self._student.optimized()

    def state(self) -> Mapping[str, Tensor]:
        """That of the student."""
        return self._student.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Give it to the student."""
        self._student.load_state(state)

    def turns(self, step: Step) -> Iterator[Turn]:
        """Those of the student, with the teacher's terms."""
        for turn in self._student.turns(step):
            yield turn if turn.predicted is None else self._taught(turn, turn.predicted)

    def _taught(self, turn: Turn, predicted: Predicted) -> Turn:
        weights = self._weights
        taught = distill_terms(predicted, self._cache.rows(predicted.items.cpu()), weights)
        own = {name: term if weights.own == 1.0 else weights.own * term for name, term in turn.terms.items()}
        return replace(
            turn,
            terms={**(own if weights.own else {}), **taught},
            metrics={**turn.metrics, **{name: term.detach() for name, term in taught.items()}},
        )


def distilled(student: Objective, cache: TeacherCache, weights: DistillWeights) -> Objective:
    """The student's objective with a teacher's answers."""
    return Distilled(student, cache, weights)


def distill_terms(
    predicted: Predicted, answers: Answers, weights: DistillWeights
) -> dict[str, Float[Tensor, ""]]:
    """The weighted terms, such as `teacher.features.<name>`.

    Raises DistillError for a name that the student or the teacher lacks.
    """

    def softened(own: Tensor, other: Tensor) -> Tensor:
        return divergence(own, other, weights.temperature)

    kinds: Mapping[str, tuple[Mapping[str, float], Callable[[Tensor, Tensor], Tensor]]] = {
        "outputs": (weights.outputs, F.l1_loss),
        "features": (weights.features, F.mse_loss),
        "logits": (weights.logits, softened),
    }
    terms = {}
    for kind, (by_name, loss) in kinds.items():
        for name, weight in by_name.items():
            own, other = _pair(name, predicted, answers)
            terms[f"teacher.{kind}.{name}"] = weight * loss(own, other)
    return terms


def divergence(logits: Tensor, wanted: Tensor, temperature: float) -> Float[Tensor, ""]:
    """The Kullback-Leibler divergence of the wanted classes from those of `logits`.

    Classes lie along dimension 1; the other dimensions are averaged. Both sides are softened by the
    temperature, whose square keeps the size of the gradients.
    """
    own = F.log_softmax(logits / temperature, dim=1)
    target = F.log_softmax(wanted / temperature, dim=1)
    return temperature**2 * (target.exp() * (target - own)).sum(dim=1).mean()


def _pair(name: str, predicted: Predicted, answers: Answers) -> tuple[Tensor, Tensor]:
    """What the student and the teacher say, of equal shape."""
    for found, who in ((predicted.outputs, "student"), (answers, "teacher")):
        if name not in found:
            known = ", ".join(sorted(found)) or "nothing"
            raise DistillError(f"The {who} does not answer {name}; it answers {known}.")
    own = predicted.outputs[name]
    other = predicted.arrange(answers[name]).to(own.device, own.dtype)
    if own.shape != other.shape:
        raise DistillError(
            f"The student answers {name} with the shape {list(own.shape)}, the teacher with "
            f"{list(other.shape)}."
        )
    return own, other
