"""A run on disk: its metrics, its checkpoint, the best weights so far, and the trained weights.

run.json                  what the run follows from, and whether it is finished
metrics.jsonl             one row a report: `stage`, `step` of all phases, figures
checkpoint.safetensors    everything that resuming needs; gone when the run is finished
best-STEP.safetensors     the weights of the best validation; gone when the run is finished
<weights>.safetensors     the trained weights
last.safetensors          the last weights, where others were kept
"""

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neuron_core.foundation.files import read_json
from neuron_core.foundation.json_lines import append_line, cut_lines, synced_length
from neuron_core.foundation.outputs import FINISHED, Claim, Output, RecordForm, State
from neuron_core.foundation.records import read_record, read_record_file, to_plain, write_record
from neuron_core.learning.outcome import METRICS, Outcome
from neuron_core.learning.plan import Position
from neuron_core.learning.stored import (
    AGAIN,
    RunError,
    Tensors,
    load_tensors,
    require_fitting,
    require_readable,
    save_tensors,
)

RUN = "run.json"
OUTCOME = "outcome.json"
CHECKPOINT = "checkpoint.safetensors"
LAST = "last.safetensors"
WEIGHTS = "weights.safetensors"
BEST = "best-*.safetensors"
VERSION = 1  # of run.json
FORMAT = "neuron-checkpoint-2"
NESTED = ("module", "optimizer")  # parts of a checkpoint that have a name: module.<name>.<tensor>

_NOTHING: Mapping[str, object] = {}
Parts = Mapping[str, Tensors]
Modules = Mapping[str, nn.Module]


class Restored(NamedTuple):
    """A checkpoint: where the run was, and tensors by part ("module.field", "ema", ...)."""

    position: Position
    parts: Parts
    written: int | None = None  # how many tensors; None in checkpoints of older versions

    def of(self, kind: str) -> dict[str, Tensors]:
        """The parts of one kind by their names: modules or optimizers."""
        prefix = f"{kind}."
        return {
            name.removeprefix(prefix): part for name, part in self.parts.items() if name.startswith(prefix)
        }

    def load_modules(self, modules: Modules) -> None:
        """Give modules the weights that they had. Raises RunError if those are of other modules."""
        found = self.of("module")
        unknown = sorted(found.keys() - modules.keys())
        if unknown:
            raise RunError(f"The checkpoint has a module {unknown[0]}, which this run does not have.", AGAIN)
        for name, module in modules.items():
            require_fitting(found.get(name, {}), module.state_dict(), f"The checkpoint of the module {name}")
            module.load_state_dict(found[name])

    def require_whole(self) -> None:
        """Raise RunError unless there are as many tensors as were written."""
        found = len(flat(self.parts))
        if self.written not in (None, found):
            raise RunError(f"The checkpoint holds {found} tensors; {self.written} were written.", AGAIN)


class RunFolder:
    """The files of one run. Only the process that `writes` changes them."""

    def __init__(
        self,
        path: Path,
        family: str = "",
        *,
        ranks: int = 1,
        writes: bool = True,
        weights: str = WEIGHTS,
    ) -> None:
        self.path = path
        self.family = family
        self.ranks = ranks
        self.writes = writes
        self.weights = path / weights
        self._claim: Claim | None = None

    # --- whose folder it is ---

    def claim(
        self,
        recipe: Mapping[str, object],
        overwrite: bool = False,
        description: Mapping[str, object] = _NOTHING,
    ) -> State:
        """Take the folder for the run that follows from `recipe`, until `release` or the end of a `with`.

        run.json holds the recipe and the `description`. Raises ConfigMismatchError if the folder holds
        another run that is not to be overwritten, ClaimedError if another process is training into it.
        """
        output = Output(
            self.path,
            recipe,
            ours=(CHECKPOINT, BEST, LAST, OUTCOME, METRICS, self.weights.name),
            kind="a run that was made with another config or dataset",
            form=RecordForm(RUN, config="recipe"),
            is_done=lambda record: record.get(FINISHED) is True and self.weights.is_file(),
        )
        self._claim = output.claim(overwrite)
        if self._claim.state == "fresh":  # a checkpoint without a record is of no known run
            self.drop_checkpoint()
        if self._claim.state != "done":
            self._claim.save({**description, "finished": False, "metrics": None, "version": VERSION})
        return self._claim.state

    def finish(
        self, modules: Modules, outcome: Outcome, description: Mapping[str, object] = _NOTHING
    ) -> None:
        """Write the trained weights and what they came to, run.json last, and let go of the folder."""
        if not self.writes:
            return
        assert self._claim is not None, "only a run that was claimed can be finished"
        self.save_weights(modules)
        write_record(self.path / OUTCOME, outcome)
        metrics = dict(outcome.metrics)
        self._claim.finish({**description, "finished": True, "metrics": metrics, "version": VERSION})
        self.drop_checkpoint()

    def outcome(self) -> Outcome:
        """What the finished run came to. Raises RunError, also if its weights are damaged."""
        require_readable(self.weights)
        if not (self.path / OUTCOME).is_file():  # runs of older versions
            found = read_json(self.path / RUN)
            metrics = found.get("metrics") if isinstance(found, dict) else None
            return Outcome(self.path, metrics if isinstance(metrics, dict) else {}, weights=self.weights)
        found = read_record_file(Outcome, self.path / OUTCOME, RunError)
        return replace(found, folder=self.path, weights=self.weights)

    def release(self) -> None:
        """Let others have the folder. What is unfinished stays to be resumed."""
        if self._claim is not None:
            self._claim.release()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    # --- checkpoints ---

    def save(self, at: Position, parts: Parts) -> None:
        """Write a checkpoint of everything that resuming needs."""
        if not self.writes:
            return
        tensors = flat(parts)
        run = {
            "family": self.family,
            "ranks": self.ranks,
            "position": to_plain(at),
            "metrics_bytes": synced_length(self.path / METRICS),
            "tensors": len(tensors),
        }
        metadata = {"format": FORMAT, "run": json.dumps(run)}
        save_tensors(self.path / CHECKPOINT, tensors, metadata)
        self._drop_best_but(at)

    def restore(self) -> Restored | None:
        """The last checkpoint, or None if there is none. Metrics after it are dropped.

        Raises RunError if it is damaged, or of another format, family or number of processes.
        """
        path = self.path / CHECKPOINT
        if not path.is_file():
            self._cut_metrics(0)
            return None
        tensors, metadata = load_tensors(path)
        if metadata.get("format") != FORMAT:
            raise RunError(
                f"{path} was written by another version of Neuron.",
                "Finish the run with that version, or delete it and train again.",
            )
        try:
            run = json.loads(metadata["run"])
            position = read_record(Position, run["position"], "position", RunError)
            family, ranks, length = str(run["family"]), int(run["ranks"]), int(run["metrics_bytes"])
            written = int(run["tensors"]) if "tensors" in run else None
        except (KeyError, TypeError, ValueError, RunError) as error:
            raise RunError(f"{path} does not say where it stopped.", AGAIN) from error
        self._require_ours(path, family, ranks)
        self._cut_metrics(length)
        return Restored(position, _parted(tensors), written)

    def _require_ours(self, path: Path, family: str, ranks: int) -> None:
        if family != self.family:
            raise RunError(f"{path} is of the model family {family!r}, not {self.family!r}.", AGAIN)
        if ranks != self.ranks:
            raise RunError(
                f"{path} was written by {ranks} processes, and this run has {self.ranks}.",
                f"Resume with {ranks}, or delete it and train again.",
            )

    def drop_checkpoint(self) -> None:
        """Remove what only an unfinished run needs."""
        if self.writes:
            (self.path / CHECKPOINT).unlink(missing_ok=True)
            for path in self.path.glob(BEST):
                path.unlink(missing_ok=True)

    # --- weights ---

    def save_weights(self, modules: Modules, path: Path | None = None) -> None:
        """Write the tensors of modules, by default as the trained weights.

        Those of a single module have its own names, those of several `<module>.<name>`.
        """
        if self.writes:
            save_tensors(path or self.weights, weights_of(modules))

    def load_weights(self, modules: Modules, path: Path | None = None) -> None:
        """Put back what `save_weights` wrote. Raises RunError if it does not fit."""
        path = path or self.weights
        tensors, _ = load_tensors(path)
        require_fitting(tensors, weights_of(modules), str(path))
        load_weights(modules, tensors)

    def save_best(self, step: int, modules: Modules) -> None:
        """Write the weights of the best validation so far."""
        self.save_weights(modules, self._best(step))

    def load_best(self, step: int, modules: Modules) -> None:
        """Make the modules those of the best validation."""
        self.load_weights(modules, self._best(step))

    def _best(self, step: int) -> Path:
        return self.path / BEST.replace("*", f"{step:07d}")

    def _drop_best_but(self, at: Position) -> None:
        kept = None if at.best is None else self._best(at.best.step)
        for path in self.path.glob(BEST):
            if path != kept:
                path.unlink(missing_ok=True)

    # --- metrics ---

    def log(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """Add a row to the metrics."""
        if not self.writes:
            return
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        append_line(self.path / METRICS, json.dumps({"stage": stage, "step": step, **finite}))

    def _cut_metrics(self, length: int) -> None:
        """Drop rows that are newer than the checkpoint: they come again. So does a torn one."""
        if self.writes:
            cut_lines(self.path / METRICS, length)


def weights_of(modules: Modules) -> dict[str, Tensor]:
    """The tensors of modules under the names that a weights file has."""
    if len(modules) == 1:
        return dict(*(module.state_dict() for module in modules.values()))
    return {
        f"{name}.{key}": value
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def load_weights(modules: Modules, tensors: Tensors) -> None:
    """Put tensors under those names into modules that they fit."""
    with torch.no_grad():
        for name, value in weights_of(modules).items():
            value.copy_(tensors[name])


def checksums(parts: Parts) -> dict[str, int]:
    """One number for the bits of each part."""
    found = {}
    for name, tensors in parts.items():
        total = 0
        for key in sorted(tensors):
            value = tensors[key].detach().cpu().contiguous().reshape(-1)
            total = zlib.crc32(value.view(torch.uint8).numpy().tobytes(), total)
        found[name] = total
    return found


def flat(parts: Parts) -> dict[str, Tensor]:
    """All tensors by `<part>.<name>`, as a checkpoint holds them."""
    return {f"{part}.{name}": value for part, tensors in parts.items() for name, value in tensors.items()}


def _parted(tensors: Tensors) -> dict[str, dict[str, Tensor]]:
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, *rest = name.split(".")
        depth = 2 if kind in NESTED else 1
        part, key = ".".join([kind, *rest][:depth]), ".".join([kind, *rest][depth:])
        parts.setdefault(part, {})[key] = value
    return parts
