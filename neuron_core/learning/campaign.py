"""Campaigns: smoke, calibration, production, distillation, each entered through the gates of the one before.

A campaign launches runs, writes down how they ended, and decides by that record alone. How a run is
launched is a parameter: in this process, as a command, on several GPUs. A campaign may be killed at
any moment; the same command resumes it. Runs that finished are not repeated, and the run that was
cut off resumes from its own checkpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.outputs import Output, RecordForm
from neuron_core.foundation.progress import Part, Reporter
from neuron_core.learning.gates import Refusal, refusal_of
from neuron_core.learning.ledger import (
    LEDGER,
    Ended,
    Ledger,
    LedgerFile,
    Promoted,
    Recipe,
    Refused,
    Retried,
    Skipped,
    Started,
)
from neuron_core.learning.outcome import METRICS, Outcome
from neuron_core.learning.run_folder import BEST, CHECKPOINT, LAST, OUTCOME, RUN, WEIGHTS, RunFolder
from neuron_core.learning.rungs import Rung

CAMPAIGN = "campaign.json"
RUNS = ("smoke", "calibration/*", "production", "distillation/*")
FILES = (RUN, OUTCOME, METRICS, CHECKPOINT, BEST, LAST)  # of a run


class GateError(NeuronError):
    """A rung of a campaign that let nothing through."""

    kind = "gate"


@runtime_checkable
class Launch(Protocol):
    """How runs are launched."""

    def __call__(self, recipe: Recipe, folder: Path, report: Reporter) -> Outcome:
        """Train into the folder, or resume there, or say again how a finished run ended.

        A run that fails by its own fault is an outcome that says so. Errors that are raised, such as
        those of a full disk, stop the campaign and count for nothing.
        """


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign follows from, and where it lies."""

    folder: Path
    family: str
    depends_on: Mapping[str, object]
    rungs: Sequence[Rung]
    weights: str = WEIGHTS  # name of the file of trained weights

    def output(self) -> Output:
        """Its folder as an output."""
        return Output(
            self.folder,
            {"family": self.family, **self.depends_on},
            ours=(LEDGER, *(f"{run}/{name}" for run in RUNS for name in (*FILES, self.weights))),
            kind="a campaign with other settings",
            form=RecordForm(CAMPAIGN),
        )


def run_campaign(campaign: Campaign, launch: Launch, report: Reporter, overwrite: bool = False) -> Ledger:
    """Run the rungs that are not done. Returns the ledger of the finished campaign.

    Raises GateError if a gate refuses, with its sentence, LedgerError if the ledger is damaged or
    another campaign's, what `Output.claim` raises, and what a launch raises.
    """
    output = campaign.output()
    with output.claim(overwrite) as claim:
        file = LedgerFile(campaign.folder, campaign.family, output.fingerprint)
        climb(campaign.rungs, file, campaign.folder, launch, report)
        if claim.state != "done":
            claim.finish({"promoted": file.ledger.promoted})
        return file.ledger


def climb(rungs: Sequence[Rung], file: LedgerFile, folder: Path, launch: Launch, report: Reporter) -> None:
    """Run the rungs that are not done, in order. Raises GateError if one promotes nothing."""
    whole, before = sum(rung.share for rung in rungs), 0.0
    for rung in rungs:
        part = Part(report, before / whole, (before + rung.share) / whole)
        before += rung.share
        if not file.ledger.is_done(rung.name):
            _run_rung(rung, file, folder, launch, part)


def _run_rung(rung: Rung, file: LedgerFile, folder: Path, launch: Launch, report: Reporter) -> None:
    ledger = file.ledger
    reason = rung.skip(ledger)
    if reason:
        file.append(Skipped(rung.name, reason))
        return
    if rung.name in ledger.refused:
        _retry(rung.name, file, folder)
    while (recipe := rung.next(ledger)) is not None:
        _launch(recipe, rung, file, folder, launch, report)
        interrupts.stop_if_requested()
    picked = rung.pick(ledger)
    refusal = _failure(rung.name, ledger) if picked is None else None
    if picked is not None:
        refusal = refusal_of(rung.gates(ledger, folder), picked.outcome(folder))
    if refusal is not None:
        file.append(Refused(rung.name, refusal.gate, refusal.reason))
        raise GateError(
            f"The {rung.name} rung stopped the campaign: {refusal.reason}",
            "Mend what it names, then give the same command: runs that failed are tried again.",
        )
    assert picked is not None
    file.append(Promoted(rung.name, picked.run))


def _launch(
    recipe: Recipe, rung: Rung, file: LedgerFile, folder: Path, launch: Launch, report: Reporter
) -> None:
    ledger = file.ledger
    if recipe.run in ledger.recipes:
        recipe = ledger.recipes[recipe.run]  # as it was started
    else:
        file.append(Started(recipe))
    done, planned = len(ledger.runs(rung.name)), rung.planned()
    part = Part(report, done / planned, (done + 1) / planned)
    part.progress(0.0, rung.name, f"run {done + 1} of {planned}")
    outcome = launch(recipe, folder / recipe.run, part)
    file.append(Ended.of(recipe.run, outcome))


def _retry(rung: str, file: LedgerFile, folder: Path) -> None:
    """Forget the runs of a rung that failed, with what they left to resume from."""
    for ended in file.ledger.runs(rung):
        if not ended.weights:
            RunFolder(folder / ended.run).drop_checkpoint()
    file.append(Retried(rung))


def _failure(rung: str, ledger: Ledger) -> Refusal:
    """Why no run of a rung can be picked: the reason of the first one."""
    reason = next((ended.reason for ended in ledger.runs(rung) if ended.reason), "")
    return Refusal("finishes", reason or "No run has the figure that compares them.")
