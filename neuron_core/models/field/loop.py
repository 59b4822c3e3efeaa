"""Go through the stages: schedule, checkpoints, progress, stopping. No mathematics."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Reporter
from neuron_core.models.field import checkpoint
from neuron_core.models.field.model import Field
from neuron_core.models.field.presets import StagePlan
from neuron_core.models.field.stages import Stage

WARMUP = 40  # steps
LAST_RATE = 0.02  # of the first
CHECKPOINT_SECONDS = 60.0
REPORT_SECONDS = 0.5


class DivergedError(NeuronError):
    """Training that came to numbers that are none; the last checkpoint is as it was."""

    kind = "diverged"


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop: after the planned steps, or after so many minutes shared between stages."""

    minutes: float | None
    validate_every: int


@dataclass
class Position:
    """Where a run is. Plain data, so that it can be written beside the tensors."""

    stage: int = 0
    step: int = 0
    seconds: float = 0.0  # spent in this stage; only written where minutes limit the run

    def as_json(self, limits: Limits) -> dict[str, object]:
        """What the checkpoint holds."""
        seconds = self.seconds if limits.minutes else 0.0
        return {"stage": self.stage, "step": self.step, "seconds": seconds}


class Trainer:
    """Drives stages over one field."""

    def __init__(
        self,
        field: Field,
        plans: Sequence[StagePlan],
        limits: Limits,
        folder: Path,
        report: Reporter,
        validate: Callable[[int], Mapping[str, float]],
    ) -> None:
        self.field = field
        self.plans = plans
        self.limits = limits
        self.folder = folder
        self.report = report
        self.validate = validate
        self.position = Position()
        self._restored: dict[str, torch.Tensor] | None = None
        self._total = sum(plan.steps for plan in plans)

    def resume(self) -> bool:
        """Put the field back to the last checkpoint, if there is one."""
        saved = checkpoint.load_checkpoint(self.folder)
        if saved is None:
            return False
        self._restored, position = saved
        checkpoint.restore(self.field, self._restored)
        self.position = Position(**position)  # type: ignore[arg-type]
        return True

    def run(self, make_stage: Sequence[Callable[[], Stage]]) -> None:
        """Run all stages from the current position; each is made when its turn comes."""
        while self.position.stage < len(self.plans):
            self._run_stage(make_stage[self.position.stage](), self.plans[self.position.stage])
            self.position = Position(self.position.stage + 1)

    def _run_stage(self, stage: Stage, plan: StagePlan) -> None:
        parameters: list[Any] = list(stage.parameters())
        optimizer = torch.optim.Adam(parameters, plan.learning_rate, betas=(0.9, 0.99), eps=1e-15, fused=True)
        if self._restored is not None:
            if self.position.step:
                checkpoint.restore_optimizer(optimizer, self._restored)
                stage.load_state(checkpoint.stage_state(self._restored))
            self._restored = None
        position, started = self.position, time.perf_counter() - self.position.seconds
        saved = reported = time.perf_counter()
        while (done := self._fraction(plan)) < 1.0:
            for group in optimizer.param_groups:
                group["lr"] = plan.learning_rate * group.get("pace", 1.0) * schedule(position.step, done)
            optimizer.zero_grad(set_to_none=True)
            metrics = stage.backward(position.step)
            _check(stage.name, position.step, metrics)
            optimizer.step()
            position.step += 1
            now = time.perf_counter()
            position.seconds = now - started
            self._maybe_validate(stage)
            if interrupts.requested() or now - saved > CHECKPOINT_SECONDS:
                checkpoint.save_checkpoint(
                    self.folder, self.field, optimizer, position.as_json(self.limits), stage.state()
                )
                saved = now
                interrupts.stop_if_requested()
            last = self._fraction(plan) >= 1.0  # every curve has a beginning and an end
            if now - reported > REPORT_SECONDS or position.step == 1 or last:
                reported = now
                self._tell(stage.name, metrics)
        checkpoint.save_checkpoint(
            self.folder, self.field, optimizer, Position(position.stage + 1).as_json(self.limits), {}
        )

    def _fraction(self, plan: StagePlan) -> float:
        if self.limits.minutes:
            return self.position.seconds / (60 * self.limits.minutes * plan.share)
        return self.position.step / plan.steps

    def _maybe_validate(self, stage: Stage) -> None:
        every = self.limits.validate_every
        if every and self.position.step % every == 0:
            metrics = self.validate(self._steps())
            if metrics:
                self._tell(stage.name, metrics)

    def _steps(self) -> int:
        return sum(plan.steps for plan in self.plans[: self.position.stage]) + self.position.step

    def _tell(self, stage: str, metrics: Mapping[str, float]) -> None:
        plan = self.plans[self.position.stage]
        share = [p.share if self.limits.minutes else p.steps / self._total for p in self.plans]
        before = sum(share[: self.position.stage], 0.0)
        fraction = before + share[self.position.stage] * min(self._fraction(plan), 1.0)
        remaining = self._seconds_left(fraction, before)
        message = f"step {self.position.step}" + (f", {remaining} left" if remaining else "")
        self.report.progress(fraction, stage, message, metrics)
        line = json.dumps({"stage": stage, "step": self._steps(), **metrics})
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(line + "\n")

    def _seconds_left(self, fraction: float, before: float) -> str:
        if fraction <= before or self.position.seconds < 2:
            return ""
        left = self.position.seconds / (fraction - before) * (1 - fraction)
        return f"{int(left) // 60}:{int(left) % 60:02d}"


def _check(stage: str, step: int, metrics: Mapping[str, float]) -> None:
    if all(math.isfinite(value) for value in metrics.values()):
        return
    raise DivergedError(
        f"Training diverged: a figure of stage {stage} is no finite number at step {step}.",
        "Look at the pictures and cameras with `neuron inspect`, or try another --seed.",
    )


def schedule(step: int, done: float) -> float:
    """The learning rate as a part of its maximum: a short warm-up, then a cosine down."""
    warm = min(1.0, (step + 1) / WARMUP)
    return warm * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
