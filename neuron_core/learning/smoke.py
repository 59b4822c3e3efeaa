"""Faults that a few steps show: wrong shapes, gradients that are NaN, parameters that do not learn.

`Inspected` stands in for an objective while a smoke run trains it. It changes nothing that is
trained, and needs nothing of the loop: gradients are seen where they are accumulated.
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.wording import listed
from neuron_core.learning.objective import Objective, Optimized, Step, Turn

# What a fault of a model or of its data raises in Python and torch. An assert is a fault, too.
FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    ArithmeticError,
    AssertionError,
)
SHOWN = 3  # parameters in a message


class SmokeError(NeuronError):
    """A fault that a smoke run found."""

    kind = "smoke"


def fault_of(error: BaseException, doing: str) -> str:
    """One sentence about a fault: what failed, with the error's first line and where it was raised."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and "<" not in frame.filename]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno}, in {own[-1].name})" if own else ""
    return f"{doing} fails: {said.rstrip('.')}{place}."


class Inspected:
    """An objective under inspection for the first `steps` steps of its phase.

    Raises SmokeError for what the loop would not notice or not explain: an error while a loss is
    computed, a term that is not a scalar with a gradient, a gradient that is NaN or infinite and,
    after the last step, parameters that had no gradient, or did not change.
    """

    def __init__(self, objective: Objective, steps: int, modules: Mapping[str, nn.Module]) -> None:
        self._objective = objective
        self._steps = steps
        self._names = {
            id(parameter): f"{module}.{name}"
            for module, found in modules.items()
            for name, parameter in found.named_parameters()
        }
        self._trained: list[_Seen] = []

    def optimized(self) -> Sequence[Optimized]:
        """Those of the objective."""
        return self._objective.optimized()

    def state(self) -> Mapping[str, Tensor]:
        """That of the objective."""
        return self._objective.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Give it to the objective."""
        self._objective.load_state(state)

    def turns(self, step: Step) -> Iterator[Turn]:
        """Those of the objective, looked at before and after the loop takes them."""
        if not self._trained:
            self._watch()
        turns = self._objective.turns(step)
        while True:
            try:
                turn = next(turns, None)
            except torch.OutOfMemoryError:  # says itself what it is
                raise
            except FAULTS as error:
                raise SmokeError(fault_of(error, f"Step {step.index} of the {step.phase} phase")) from error
            if turn is None:
                break
            _check_terms(turn, step)
            yield turn
            self._check_gradients(step)
        if step.index + 1 >= self._steps:
            self._check_learning(step)

    def _watch(self) -> None:
        for optimized in self.optimized():
            for group in optimized.groups:
                for parameter in group.params:
                    beside = f"a parameter of the shape {list(parameter.shape)} beside the modules"
                    name = self._names.get(id(parameter), beside)
                    self._trained.append(_Seen(name, optimized.name, parameter))

    def _check_gradients(self, step: Step) -> None:
        for seen in self._trained:
            if seen.broken:
                raise SmokeError(
                    f"The gradient of {seen.name} is NaN or infinite at step {step.index} of the "
                    f"{step.phase} phase."
                )

    def _check_learning(self, step: Step) -> None:
        """Name the parameters that this phase should have trained and did not."""
        for seen in self._trained:
            seen.release()
        frozen = [seen for seen in self._trained if seen.is_frozen]
        if not frozen:
            return
        cause = frozen[0].cause
        named = [seen.name for seen in frozen if seen.cause == cause]
        raise SmokeError(
            f"{listed(named, SHOWN)} of the optimizer {frozen[0].optimizer} {cause} in "
            f"{self._steps} steps of the {step.phase} phase."
        )


class _Seen:
    """What was seen of one parameter."""

    def __init__(self, name: str, optimizer: str, parameter: nn.Parameter) -> None:
        self.name = name
        self.optimizer = optimizer
        self.broken = False
        self._parameter = parameter
        self._before = parameter.detach().clone()
        self._had_gradient = self._had_nonzero = False
        self._hook = (
            parameter.register_post_accumulate_grad_hook(self._look) if parameter.requires_grad else None
        )

    def _look(self, parameter: Tensor) -> None:
        gradient = parameter.grad
        assert gradient is not None
        self._had_gradient = True
        self._had_nonzero |= bool(gradient.ne(0).any())
        self.broken |= not bool(gradient.isfinite().all())

    def release(self) -> None:
        """Look no longer."""
        if self._hook is not None:
            self._hook.remove()

    @property
    def is_frozen(self) -> bool:
        """Whether it is what it was."""
        return not self._had_nonzero or bool(torch.equal(self._before, self._parameter))

    @property
    def cause(self) -> str:
        """Why it is frozen, as the rest of a sentence."""
        if not self._had_gradient:
            return "got no gradient"
        return "did not change" if self._had_nonzero else "got only gradients of 0"


def _check_terms(turn: Turn, step: Step) -> None:
    place = f"at step {step.index} of the {step.phase} phase"
    if not turn.terms:
        raise SmokeError(f"The turn of the optimizer {turn.optimizer} has no loss {place}.")
    for name, term in turn.terms.items():
        if term.shape != ():
            raise SmokeError(f"The loss {name} has the shape {tuple(term.shape)}, not (), {place}.")
    if not turn.loss.requires_grad:
        raise SmokeError(
            f"The loss of the optimizer {turn.optimizer} does not depend on any parameter {place}."
        )
