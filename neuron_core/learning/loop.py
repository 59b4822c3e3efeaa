"""Go through the phases of a run: steps, validation, checkpoints, progress, stopping. No mathematics."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from neuron_core.foundation import interrupts
from neuron_core.foundation.clocks import Clock
from neuron_core.foundation.progress import Reporter
from neuron_core.learning.distributed import Group, Placement, Signals
from neuron_core.learning.family import Validate
from neuron_core.learning.finite import check_validation
from neuron_core.learning.objective import Objective
from neuron_core.learning.outcome import Outcome, Stopped
from neuron_core.learning.phase_run import PhaseRun
from neuron_core.learning.plan import Best, Phase, Position, improves
from neuron_core.learning.run_folder import LAST, Restored, RunFolder, checksums
from neuron_core.learning.stored import AGAIN, RunError

LOOK_EVERY = 16  # steps of several processes on GPUs between looks at what they agreed on
Observer = Callable[[Position, Mapping[str, Tensor | float]], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """What happens by the clock."""

    minutes: float | None = None  # of all phases together, instead of their steps
    report_seconds: float = 0.5
    checkpoint_seconds: float = 60.0
    clock: Clock = time.perf_counter


def nothing(position: Position) -> Mapping[str, float]:
    """A validation that measures nothing."""
    return {}


def unobserved(position: Position, metrics: Mapping[str, Tensor | float]) -> None:
    """Nobody looks at single steps."""


class Loop:
    """Trains modules through phases, from wherever the run in the folder is.

    `make` has what each phase optimizes, by its name; an objective is made when its turn comes.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        phases: Sequence[Phase],
        make: Mapping[str, Callable[[], Objective]],
        folder: RunFolder,
        *,
        seed: int,
        placement: Placement,
        report: Reporter,
        timing: Timing = Timing(),  # noqa: B008
        observe: Observer = unobserved,
        watch_gradients: bool = False,
        start: Position = Position(),  # noqa: B008
    ) -> None:
        """`observe` sees every step; `watch_gradients` reports their norms, by optimizer. A run without
        a checkpoint begins at `start`."""
        self.modules = modules
        self.phases = phases
        self.make = make
        self.folder = folder
        self.seed = seed
        self.group = Group(placement)
        self.report = report
        self.timing = timing
        self.observe = observe
        self.watch_gradients = watch_gradients
        self.position = start
        self._restored: Restored | None = None
        self._started = self._saved = self._reported = 0.0  # by the clock: phase, checkpoint, report

    def run(self, validate: Validate = nothing) -> Outcome:
        """All phases from the last checkpoint on; the modules end with the weights that are kept.

        Raises DivergedError if a figure is NaN or infinite, RunError if the checkpoint cannot be used,
        Stopped, after a checkpoint, if the process was asked to stop.
        """
        self._resume()
        while self.position.phase < len(self.phases):
            self._run_phase(self.phases[self.position.phase], validate)
        return self._outcome()

    def _resume(self) -> None:
        self._restored = self.folder.restore()
        if self._restored is None:
            return
        self._require_planned(self._restored.position)
        self._restored.load_modules(self.modules)
        self.position = self._restored.position
        if self.group.placement.first:
            self.report.progress(0.0, "train", "resuming from the last checkpoint")

    def _require_planned(self, at: Position) -> None:
        steps = [phase.steps for phase in self.phases] + [0]  # no step after the last phase
        if at.phase < len(steps) and (self.timing.minutes or at.step <= steps[at.phase]):
            return
        raise RunError(
            f"The checkpoint in {self.folder.path} stopped at step {at.step} of phase {at.phase + 1}, which "
            "this run does not have.",
            AGAIN,
        )

    def _run_phase(self, phase: Phase, validate: Validate) -> None:
        running = PhaseRun(
            phase, self.make[phase.name](), self.modules, self.seed, self.group, self.watch_gradients
        )
        if self._restored is not None and self.position.step:
            running.load(self._restored)
        self._restored = None
        now = self.timing.clock()
        self._started, self._saved, self._reported = now - self.position.seconds, now, now
        while (done := self._done(phase)) < 1.0 and not self._exhausted(phase):
            self._step(running, done)
            self._validate(running, validate)
            self._report(running)
            self._checkpoint(running)
        self._end_phase(running)

    def _done(self, phase: Phase) -> float:
        if self.timing.minutes:
            return self.position.seconds / (60 * self.timing.minutes * phase.share)
        return self.position.step / phase.steps

    def _exhausted(self, phase: Phase) -> bool:
        return phase.patience is not None and self.position.trend.exhausted(phase.patience)

    def _is_last(self, phase: Phase) -> bool:
        return self._done(phase) >= 1.0 or self._exhausted(phase)

    def _step(self, running: PhaseRun, done: float) -> None:
        wish = self._wish()
        running.step(self.position, done, wish)
        seconds = self.timing.clock() - self._started
        if not self.group.alone and self.timing.minutes:
            seconds = self.group.agreed().seconds
        at = self.position
        self.position = replace(at, step=at.step + 1, total=at.total + 1, seconds=seconds)
        self.observe(self.position, running.metrics)

    def _wish(self) -> Signals:
        now = self.timing.clock()
        due = now - self._saved > self.timing.checkpoint_seconds
        return Signals(interrupts.requested(), due, False, now - self._started)

    # --- validation ---

    def _validate(self, running: PhaseRun, validate: Validate) -> None:
        phase, at = running.phase, self.position
        every = phase.validate_every
        decides = phase.keep.which == "best" or phase.patience is not None
        if not every or (at.step % every and not (decides and self._is_last(phase))):
            return
        with running.validated_weights(self.modules):
            found = self.group.from_first(dict(validate(at)) if self.group.placement.first else {})
            if not found:
                return
            check_validation(phase.name, at.step - 1, found)
            self._judge(running, found)
        self._tell(phase, found)

    def _judge(self, running: PhaseRun, found: Mapping[str, float]) -> None:
        """Take note of a validation; the weights are those that were validated."""
        finite = {name: value for name, value in found.items() if math.isfinite(value)}
        phase, at = running.phase, replace(self.position, validated=finite)
        keep, patience = phase.keep, phase.patience
        if patience is not None:
            at = replace(at, trend=at.trend.after(_figure(found, patience.metric), patience))
        if keep.which == "best":
            value = _figure(found, keep.metric)
            if improves(value, None if at.best is None else at.best.value, keep.mode):
                at = replace(at, best=Best(value, at.total))
                self.folder.save_best(at.total, self.modules)
        self.position = at

    # --- progress ---

    def _report(self, running: PhaseRun) -> None:
        now, last = self.timing.clock(), self._is_last(running.phase)
        # Every curve has a beginning and an end.
        if now - self._reported > self.timing.report_seconds or self.position.step == 1 or last:
            self._reported = now
            figures = running.figures()
            self.position = replace(self.position, figures=figures)
            self._tell(running.phase, figures)

    def _tell(self, phase: Phase, metrics: Mapping[str, float]) -> None:
        if not self.group.placement.first:
            return
        shares = [one.share if self.timing.minutes else one.steps for one in self.phases]
        shares = [share / sum(shares) for share in shares]
        before = sum(shares[: self.position.phase], 0.0)
        fraction = before + shares[self.position.phase] * min(self._done(phase), 1.0)
        remaining = self._remaining(fraction, before)
        message = f"step {self.position.step}" + (f", {remaining} left" if remaining else "")
        self.report.progress(fraction, phase.name, message, metrics)
        self.folder.log(phase.name, self.position.total, metrics)

    def _remaining(self, fraction: float, before: float) -> str:
        if fraction <= before or self.position.seconds < 2:
            return ""
        left = self.position.seconds / (fraction - before) * (1 - fraction)
        return f"{int(left) // 60}:{int(left) % 60:02d}"

    # --- checkpoints ---

    def _checkpoint(self, running: PhaseRun) -> None:
        agreed = self._agreed()
        if agreed is None:
            return
        if agreed.stop or agreed.save:
            self._save(running, self.position, running.parts(self.modules))
        if agreed.stop:
            interrupts.request_stop()  # all of them, whichever was asked
            interrupts.stop_if_requested()

    def _agreed(self) -> Signals | None:
        if self.group.alone:
            return self._wish()
        if self.group.placement.device.type == "cuda" and self.position.step % LOOK_EVERY:
            return None
        return self.group.agreed()

    def _save(self, running: PhaseRun, at: Position, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        running.watch.check_weights(at.step - 1, _weights(parts))
        self.group.require_same(checksums(parts) if not self.group.alone else {})
        self.folder.save(at, parts)
        self._saved = self.timing.clock()

    def _end_phase(self, running: PhaseRun) -> None:
        """Make the modules what the phase keeps."""
        phase, at = running.phase, self.position
        running.watch.check_weights(at.step - 1, _weights(running.parts(self.modules)))
        if at.phase == len(self.phases) - 1 and (phase.keep.which, phase.keep.weights) != ("last", "raw"):
            self.folder.save_weights(self.modules, self.folder.path / LAST)
        if phase.keep.which == "best" and at.best is not None:
            self.group.from_first(None)  # the file is there
            self.folder.load_best(at.best.step, self.modules)
        elif running.average is not None and phase.keep.weights == "ema":
            running.average.keep()
        if self._exhausted(phase) and self._done(phase) < 1.0:
            at = replace(at, early="patience")
        elif self.timing.minutes:
            at = replace(at, early="minutes")
        self.position = at.next_phase()
        modules = {
            name: part for name, part in running.parts(self.modules).items() if name.startswith("module.")
        }
        self._save(running, self.position, modules)

    def _outcome(self) -> Outcome:
        at, last = self.position, self.phases[-1]
        best = {}
        if at.kept is not None:
            best[last.keep.metric] = at.kept.value
        stopped: Stopped = at.early or "finished"
        return Outcome(
            folder=self.folder.path,
            metrics={**at.figures, **at.validated},
            best=best,
            best_step=None if at.kept is None else at.kept.step,
            steps=at.total,
            planned=sum(phase.steps for phase in self.phases),
            seconds=at.earlier,
            stopped=stopped,
            weights=self.folder.weights,
        )


def _figure(found: Mapping[str, float], name: str) -> float:
    if name not in found:
        raise RunError(
            f"Validation measures no {name!r} to decide by.", f"It measures {', '.join(sorted(found))}."
        )
    return found[name]


def _weights(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {
        f"{part.removeprefix('module.')}.{name}": value
        for part, tensors in parts.items()
        if part.startswith("module.")
        for name, value in tensors.items()
    }
