"""The optimizers of a phase, and how one turn changes their parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from neuron_core.learning.distributed import Group, Signals
from neuron_core.learning.finite import HINT, DivergedError, Watch
from neuron_core.learning.objective import Optimized, Turn
from neuron_core.learning.stored import AGAIN, RunError

KEPT = {  # what an optimizer keeps for each parameter that it has changed
    "adam": ("step", "exp_avg", "exp_avg_sq"),
    "adamw": ("step", "exp_avg", "exp_avg_sq"),
    "rmsprop": ("step", "square_avg"),
}


class Descent:
    """Takes turns: backward, mean over processes, clipping, update."""

    def __init__(
        self, optimized: Sequence[Optimized], rate: float, group: Group, watch: Watch, norms: bool = False
    ) -> None:
        """`norms`: keep those of the gradients, for a report."""
        self.optimized = {one.name: one for one in optimized}
        assert len(self.optimized) == len(optimized), "optimizers need names of their own"
        self.optimizers = {one.name: _optimizer(one, rate) for one in optimized}
        self.rate = rate
        self.group = group
        self.watch = watch
        self.norms: dict[str, Tensor] = {}  # of the gradients of the last update, before clipping
        self.keeps_norms = norms
        self._pending: set[str] = set()  # optimizers whose gradients are not all there yet

    def begin(self, factor: float) -> None:
        """Before a step: the rates of all optimizers, as a part of the phase's."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.rate * group["rate_factor"] * factor
            optimizer.zero_grad(set_to_none=True)
        self._pending.clear()

    def take(self, turn: Turn, step: int, wish: Signals) -> None:
        """One turn. Raises DivergedError, before anything changed, if a figure is NaN or infinite."""
        if not turn.optimizer:
            self._look(turn, step)
            return
        optimizer = self.optimizers[turn.optimizer]
        if turn.optimizer not in self._pending:
            optimizer.zero_grad(set_to_none=True)  # what turns of others left
        turn.loss.backward()
        terms = {name: term.detach() for name, term in turn.terms.items()}
        self.watch.look(step, {**terms, **turn.metrics})
        if not turn.update:
            self._pending.add(turn.optimizer)
            return
        self._pending.discard(turn.optimizer)
        parameters = _parameters(optimizer)
        self._reduce(parameters, step, wish)
        self._clip(turn.optimizer, parameters)
        optimizer.step()

    def _look(self, turn: Turn, step: int) -> None:
        """At a turn whose objective makes the update itself, afterwards."""
        self.watch.look(step, {**turn.terms, **turn.metrics})
        if self.watch.immediate:
            self.watch.check()

    def _reduce(self, parameters: Sequence[nn.Parameter], step: int, wish: Signals) -> None:
        immediate = self.watch.immediate
        if self.group.alone:
            if immediate:
                self.watch.check()
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        diverged = immediate and bool(self.watch.problem)
        gradients = [one.grad for one in parameters if one.grad is not None]
        self.group.mean(gradients, replace(wish, diverged=diverged))
        if immediate and self.group.agreed().diverged:
            self.watch.check()
            raise DivergedError(f"Training diverged at step {step} in another process.", HINT)

    def _clip(self, name: str, parameters: Sequence[nn.Parameter]) -> None:
        largest = self.optimized[name].clip_norm
        if largest is None and not self.keeps_norms:
            return
        norm = nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
        if largest is not None:
            nn.utils.clip_grads_with_norm_(parameters, largest, norm)
        if self.keeps_norms:
            self.norms[name] = norm

    def parameters(self) -> list[nn.Parameter]:
        """Of all optimizers."""
        return [one for optimizer in self.optimizers.values() for one in _parameters(optimizer)]

    def state(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of each optimizer by `<parameter>.<key>`, for a checkpoint."""
        return {
            name: {
                f"{index}.{key}": torch.as_tensor(value)
                for index, state in optimizer.state_dict()["state"].items()
                for key, value in state.items()
            }
            for name, optimizer in self.optimizers.items()
        }

    def load(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Put the tensors of one optimizer back. Raises RunError if they are of other parameters."""
        optimizer, kept = self.optimizers[name], KEPT[self.optimized[name].algorithm]
        parameters = _parameters(optimizer)
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            index, _, what = key.partition(".")
            row = int(index) if index.isdecimal() else len(parameters)
            if row >= len(parameters) or what not in kept or not _fits(value, parameters[row]):
                raise RunError(f"The checkpoint of the optimizer {name} does not fit at {key}.", AGAIN)
            states.setdefault(row, {})[what] = value
        for row, found in states.items():
            missing = [what for what in kept if what not in found]
            if missing:
                raise RunError(f"The checkpoint of the optimizer {name} lacks {row}.{missing[0]}.", AGAIN)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": states})


def _fits(value: Tensor, parameter: nn.Parameter) -> bool:
    """Whether this can be kept for a parameter: a count, or something of its shape and type."""
    return not value.dim() or (value.shape == parameter.shape and value.dtype == parameter.dtype)


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [one for group in optimizer.param_groups for one in group["params"]]


def _optimizer(optimized: Optimized, rate: float) -> torch.optim.Optimizer:
    groups = [
        {
            "params": list(group.params),
            "rate_factor": group.rate_factor,
            "weight_decay": group.weight_decay,
        }
        for group in optimized.groups
    ]
    betas, eps = optimized.betas, optimized.eps
    match optimized.algorithm:
        case "adam":
            return torch.optim.Adam(groups, rate, betas=betas, eps=eps, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, rate, betas=betas, eps=eps, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, rate, alpha=betas[1], eps=eps)
