"""Notice figures that are NaN or infinite, and say which they were and when."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from neuron_core.foundation.errors import NeuronError

HINT = "Check the data with `neuron inspect`, lower the learning rate or try another --seed."


class DivergedError(NeuronError):
    """Training that came to NaN or infinity; the last checkpoint is from before."""

    kind = "diverged"


class Watch:
    """Figures of the steps of one phase.

    On the CPU a figure is looked at when it comes (`immediate`). On a GPU that would make every
    step wait, so the first bad step of each figure is noted on the device and read by `check`.
    """

    def __init__(self, phase: str, device: torch.device, immediate: bool | None = None) -> None:
        self.phase = phase
        self.device = device
        self.immediate = device.type == "cpu" if immediate is None else immediate
        self._names: tuple[str, ...] = ()
        self._first: Tensor | None = None  # [names] first bad step, -1: none
        self._problem = ""

    def look(self, step: int, figures: Mapping[str, Tensor | float]) -> None:
        """Note the figures of a step, which come under the same names every time."""
        if self.immediate:
            self._problem = self._problem or _problem(self.phase, step, figures)
            return
        names = tuple(figures)
        if names != self._names:
            self.check()
            self._names = names
            self._first = torch.full((len(names),), -1, dtype=torch.long, device=self.device)
        assert self._first is not None
        values = [torch.as_tensor(value, device=self.device).detach().float() for value in figures.values()]
        bad = ~torch.stack(values).isfinite() & (self._first < 0)
        self._first = torch.where(bad, step, self._first)

    @property
    def problem(self) -> str:
        """One sentence about the first bad figure, or nothing. Waits for the device."""
        if not self._problem and self._first is not None:
            steps = self._first.tolist()
            bad = [(step, name) for step, name in zip(steps, self._names, strict=True) if step >= 0]
            if bad:
                self._problem = _sentence(self.phase, *min(bad), "not finite")
        return self._problem

    def check(self) -> None:
        """Raise DivergedError if any figure so far was NaN or infinite."""
        if self.problem:
            raise DivergedError(self.problem, HINT)

    def check_weights(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Raise DivergedError for a weight that is NaN or infinite."""
        self.check()
        for name, value in weights.items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise DivergedError(_sentence(self.phase, step, f"the weight {name}", "not finite"), HINT)


def check_validation(phase: str, step: int, figures: Mapping[str, float]) -> None:
    """Raise DivergedError for a figure that is NaN. Some, as PSNR, may be infinite."""
    for name, value in figures.items():
        if math.isnan(value):
            raise DivergedError(_sentence(phase, step, f"{name} on the validation views", "NaN"), HINT)


def _problem(phase: str, step: int, figures: Mapping[str, Tensor | float]) -> str:
    for name, value in figures.items():
        number = float(value)
        if not math.isfinite(number):
            return _sentence(phase, step, name, "NaN" if math.isnan(number) else "infinite")
    return ""


def _sentence(phase: str, step: int, name: str, what: str) -> str:
    return f"Training diverged at step {step} of the {phase} phase: {name} is {what}."
