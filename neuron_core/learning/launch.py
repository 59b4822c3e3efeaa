"""Ways to launch the runs of a campaign: in this process, or as commands that report in JSON lines."""

import json
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Part, Reporter
from neuron_core.learning.distill import TeacherCache, Teaching, cached, digest_of, distilled
from neuron_core.learning.distributed import Group, Placement
from neuron_core.learning.family import Family, TeachingFamily
from neuron_core.learning.goals import RATE
from neuron_core.learning.ledger import Recipe
from neuron_core.learning.loop import Timing
from neuron_core.learning.objective import Objective
from neuron_core.learning.outcome import Outcome, Stopped
from neuron_core.learning.plan import Phase
from neuron_core.learning.rehearsal import rehearse
from neuron_core.learning.run_folder import WEIGHTS, RunFolder
from neuron_core.learning.smoke import FAULTS, Inspected, SmokeError, fault_of
from neuron_core.learning.training import RunSettings, train, trained_modules

NO_TIMING = Timing()
ANSWERS = "teacher"  # folder of the teacher's answers in a run's
CACHING = 0.1  # of a run that learns from a teacher, for progress

# Kinds of errors that are a run's own fault, and how such a run ended. Others are the machine's.
OWN_FAULTS: Mapping[str, Stopped] = {
    "diverged": "diverged",
    "smoke": "failed",
    "distill": "failed",
    "memory": "failed",
}


class MemoryFault(NeuronError):
    """A model that does not fit the memory of its device."""

    kind = "memory"


class LaunchError(NeuronError):
    """A run whose process ended without an answer, or that its machine could not train."""

    kind = "launch"


def failed(folder: Path, kind: str, reason: str) -> Outcome:
    """The outcome of a run that ended by its own fault, of a kind in OWN_FAULTS."""
    return Outcome(folder, {}, stopped=OWN_FAULTS[kind], reason=reason)


@dataclass(frozen=True, slots=True)
class InProcess:
    """Trains in this process, which may be one of several that `torchrun` started.

    `config`, of the family's type, is what all runs have in common: recipes change fields of it, and
    the rate. `folder` is the campaign's.
    """

    family: Family[Any, Any]
    config: Any
    folder: Path
    placement: Placement
    timing: Timing = NO_TIMING

    def __call__(self, recipe: Recipe, folder: Path, report: Reporter) -> Outcome:
        """Train. A fault of the run is an outcome, too."""
        try:
            return self.train(recipe, folder, report)
        except NeuronError as error:
            if error.kind not in OWN_FAULTS:
                raise
            return failed(folder, error.kind, error.message)

    def train(self, recipe: Recipe, folder: Path, report: Reporter) -> Outcome:
        """Train. Raises NeuronError, of a kind in OWN_FAULTS where the run is at fault."""
        try:
            return self._train(recipe, folder, report)
        except torch.OutOfMemoryError as error:
            raise MemoryFault(f"The run {recipe.run} does not fit the memory of its device.") from error
        except FAULTS as error:
            if recipe.size != "smoke":
                raise
            raise SmokeError(fault_of(error, "The smoke run")) from error

    def _train(self, recipe: Recipe, folder: Path, report: Reporter) -> Outcome:
        settings = RunSettings(
            out=folder,
            placement=self.placement,
            seed=self.config.seed,
            size=recipe.size,
            rate=float(recipe.settings.get(RATE, 1.0)),
            timing=self.timing,
        )
        if recipe.size == "smoke":
            settings = replace(settings, wrap=inspected, check=rehearse)
        if recipe.teacher is not None:
            settings = self._taught(recipe, recipe.teacher, settings, Part(report, 0.0, CACHING))
            report = Part(report, CACHING, 1.0)
        prepared = self.family.prepare(self._config(recipe, folder), report)
        _, outcome = train(self.family, prepared, settings, report)
        return outcome

    def _config(self, recipe: Recipe, folder: Path) -> Any:
        changes = {name: value for name, value in recipe.settings.items() if name != RATE}
        config = replace(self.config, out=folder, **changes)
        return self.family.student(config) if recipe.student else config

    def _taught(self, recipe: Recipe, teacher: str, settings: RunSettings, report: Reporter) -> RunSettings:
        """The settings of a run that learns from a teacher. Its settings are the teacher's, too."""
        folder = self.folder / teacher
        prepared = self.family.prepare(self._config(replace(recipe, student=False), folder), report)
        modules = trained_modules(self.family, prepared, folder, self.placement)
        assert isinstance(self.family, TeachingFamily), "a family with students says how they are taught"
        teaching = self.family.teaching(modules, prepared)
        cache = self._answers(settings.out / ANSWERS, modules, teaching, report)
        return replace(settings, wrap=Taught(cache, teaching), also={"teacher": digest_of(modules)})

    def _answers(
        self, folder: Path, modules: Mapping[str, nn.Module], teaching: Teaching, report: Reporter
    ) -> TeacherCache:
        """The teacher's answers, which the first process asks for while the others wait."""
        if self.placement.first:
            cached(folder, modules, teaching, report)
        Group(self.placement).from_first(None)
        return TeacherCache(folder, teaching)


def inspected(objective: Objective, phase: Phase, modules: Mapping[str, nn.Module]) -> Objective:
    """The objective of a smoke run."""
    return Inspected(objective, phase.steps, modules)


@dataclass(frozen=True, slots=True)
class Taught:
    """Makes objectives learn from a teacher."""

    cache: TeacherCache
    teaching: Teaching

    def __call__(self, objective: Objective, phase: Phase, modules: Mapping[str, nn.Module]) -> Objective:
        """The objective of a student."""
        return distilled(objective, self.cache, self.teaching.weights)


# --- as commands ---


@dataclass(frozen=True, slots=True)
class Command:
    """Starts a process for every run: `command --run NAME --json`.

    The command trains that run of the campaign and writes JSON lines as `neuron` does. `weights` is
    the name of the file of trained weights.
    """

    command: Sequence[str]
    weights: str = WEIGHTS

    def __call__(self, recipe: Recipe, folder: Path, report: Reporter) -> Outcome:
        """Wait for the process. A fault of the run is an outcome, too."""
        words = [*self.command, "--run", recipe.run, "--json"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            error = _listen(process, process.stdout, report)
        interrupts.stop_if_requested()
        if error is not None:
            kind, message, hint = (str(error.get(key, "")) for key in ("kind", "message", "hint"))
            if kind in OWN_FAULTS:
                return failed(folder, kind, message)
            raise LaunchError(message, hint)
        if process.returncode != 0:
            raise LaunchError(
                f"The process of the run {recipe.run} ended with exit code {process.returncode}.",
                "See its messages above. The same command resumes the campaign.",
            )
        return RunFolder(folder, weights=self.weights).outcome()


def _listen(
    process: subprocess.Popen[str], lines: Iterable[str], report: Reporter
) -> Mapping[str, object] | None:
    """Pass progress on until the process ends; the first error that it told, if any."""
    error, asked = None, False
    for line in lines:
        event = _event(line)
        if event.get("event") == "progress":
            fraction, metrics = event.get("fraction"), event.get("metrics")
            report.progress(
                float(fraction) if isinstance(fraction, int | float) else 0.0,
                str(event.get("stage", "")),
                str(event.get("message", "")),
                metrics if isinstance(metrics, dict) else {},
            )
        elif event.get("event") == "error":
            error = error or event
        if interrupts.requested() and not asked:
            process.send_signal(signal.SIGTERM)  # it writes a checkpoint, then ends
            asked = True
    return error


def _event(line: str) -> dict[str, object]:
    try:
        event = json.loads(line)
    except ValueError:  # what a launcher such as torchrun says beside
        return {}
    return event if isinstance(event, dict) else {}
