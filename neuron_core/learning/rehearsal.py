"""What a smoke run tries besides its steps: losses fall on one batch, and training resumes exactly.

Both are tried on a few steps of every phase, with the steps of the loop and without its schedule,
reports and validation.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neuron_core.foundation.wording import listed
from neuron_core.learning.distributed import Group, Placement, Signals
from neuron_core.learning.family import Built
from neuron_core.learning.objective import Objective, Optimized, Step, Turn
from neuron_core.learning.phase_run import PhaseRun
from neuron_core.learning.plan import Constant, Phase, Position
from neuron_core.learning.run_folder import RunFolder, flat
from neuron_core.learning.smoke import SHOWN, SmokeError
from neuron_core.learning.stored import RunError

BEFORE, AFTER = 10, 2  # steps before a checkpoint, and after it
ON_ONE_BATCH = 16  # steps
GENTLE = 0.3  # of the rate of the phase, which the schedule may reach after a warm-up only
FALL = 1e-3  # part of its first value by which a loss has to fall
NOISE = 0.01  # part of a figure by which it may differ on GPUs, which add in any order


def rehearse(fresh: Built, trained: Built, phases: Sequence[Phase], placement: Placement, seed: int) -> None:
    """Try all phases of a smoke run; the trained modules stay as they are. Raises SmokeError."""
    Rehearsal(fresh, trained, placement, seed).check(phases)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Modules and objectives of one run, built twice."""

    whole: Built  # fresh; trained a little
    again: Built  # takes up what the first one left; left as it was found
    placement: Placement
    seed: int

    def check(self, phases: Sequence[Phase]) -> None:
        """Try all phases in turn. Raises SmokeError for the first that fails."""
        kept = _copied(self.again.modules)
        for phase in phases:
            self._require_falling(phase)
            self._require_resuming(phase)
        _put_back(self.again.modules, kept)

    def _running(self, built: Built, phase: Phase, objective: Objective) -> PhaseRun:
        return PhaseRun(phase, objective, built.modules, self.seed, Group(self.placement))

    # --- resuming ---

    def _require_resuming(self, phase: Phase) -> None:
        objectives = [Noted(built.objectives[phase.name]()) for built in (self.whole, self.again)]
        first = self._running(self.whole, phase, objectives[0])
        for index in range(BEFORE):
            _step(first, index)
        second = self._running(self.again, phase, objectives[1])
        self._hand_over(first, second)
        lost = lost_between(objectives[0].inner, objectives[1].inner)
        for index in range(BEFORE, BEFORE + AFTER):
            _step(first, index)
            _step(second, index)
            apart = self._apart(first, second, objectives)
            if apart:
                raise SmokeError(
                    f"A resumed run does not repeat step {index} of the {phase.name} phase: {apart}. "
                    f"{_said_of(lost)}"
                )

    def _hand_over(self, first: PhaseRun, second: PhaseRun) -> None:
        """Through a checkpoint on disk, as between two processes."""
        at = Position(step=BEFORE, total=BEFORE)
        with TemporaryDirectory() as path:
            folder = RunFolder(Path(path), ranks=self.placement.ranks)
            folder.save(at, first.parts(self.whole.modules))
            restored = folder.restore()
        assert restored is not None
        try:
            restored.load_modules(self.again.modules)
            second.load(restored)
        except RunError as error:
            raise SmokeError(f"The {first.phase.name} phase cannot be resumed: {error.message}") from error

    def _apart(self, first: PhaseRun, second: PhaseRun, objectives: Sequence["Noted"]) -> str:
        """What differs after a step: a figure, else what was made of it."""
        exact = self.placement.device.type == "cpu"
        wanted = {**objectives[0].terms[-1], **first.figures()}
        found = {**objectives[1].terms[-1], **second.figures()}
        for name, value in wanted.items():
            if abs(found[name] - value) > (0.0 if exact else NOISE * abs(value)):
                return f"{name} is {found[name]:.6g} instead of {value:.6g}"
        if not exact:
            return ""
        kept, left = flat(first.parts(self.whole.modules)), flat(second.parts(self.again.modules))
        apart = [name for name, value in kept.items() if not torch.equal(value, left[name])]
        return f"it leaves other values of {listed(apart, SHOWN)}" if apart else ""

    # --- falling ---

    def _require_falling(self, phase: Phase) -> None:
        """Each optimizer alone lowers the sum of its terms, on the batch of the first step."""
        names = [one.name for one in self.whole.objectives[phase.name]().optimized()]
        for name in names or [""]:
            kept = _copied(self.whole.modules)
            objective = Noted(self.whole.objectives[phase.name](), only=name)
            steady = replace(phase, rate=GENTLE * phase.rate, schedule=Constant(), ema=0.0)
            running = self._running(self.whole, steady, objective)
            for _ in range(ON_ONE_BATCH):
                _step(running, 0)
            reason = Group(self.placement).from_first(why_still(objective.terms))
            if reason:
                whose = f"optimizer {name}" if name else "objective"
                raise SmokeError(
                    f"The loss of the {whose} does not fall in {ON_ONE_BATCH} steps on one batch of the "
                    f"{phase.name} phase: {reason}."
                )
            _put_back(self.whole.modules, kept)


@dataclass(slots=True)
class Noted:
    """An objective whose terms are noted, step by step; `only` the turns of one optimizer, if it is named."""

    inner: Objective
    only: str | None = None
    terms: list[dict[str, float]] = field(default_factory=list)

    def optimized(self) -> Sequence[Optimized]:
        """Those of the objective."""
        return [one for one in self.inner.optimized() if self.only in (None, one.name)]

    def turns(self, step: Step) -> Iterator[Turn]:
        """Those of the objective."""
        self.terms.append({})
        for turn in self.inner.turns(step):
            if self.only not in (None, turn.optimizer):
                continue
            for name, term in turn.terms.items():
                self.terms[-1][name] = self.terms[-1].get(name, 0.0) + float(term.detach())
            yield turn

    def state(self) -> Mapping[str, Tensor]:
        """That of the objective."""
        return self.inner.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Give it to the objective."""
        self.inner.load_state(state)


def why_still(terms: Sequence[Mapping[str, float]]) -> str:
    """Why a loss that is the sum of these terms, step by step, did not fall; "" if it did."""
    first, last = (sum(one.values()) for one in (terms[0], terms[-1]))
    if last < first - FALL * abs(first):
        return ""
    worst = max(terms[0], key=lambda name: terms[-1].get(name, 0.0) - terms[0][name])
    whole = f"it went from {first:.4g} to {last:.4g}"
    if len(terms[0]) == 1:
        return f"{worst} went from {first:.4g} to {last:.4g}"
    return f"{whole}, its term {worst} from {terms[0][worst]:.4g} to {terms[-1].get(worst, 0.0):.4g}"


# --- what an objective keeps ---


def lost_between(whole: Objective, resumed: Objective) -> list[str]:
    """The attributes of an objective that a resumed one does not have as they were."""
    kept, found = (dict(getattr(one, "__dict__", {})) for one in (whole, resumed))
    return [
        f"{type(whole).__name__}.{name}"
        for name, value in kept.items()
        if _bits(value) != _bits(found.get(name))
    ]


def _said_of(lost: Sequence[str]) -> str:
    if not lost:
        return "Something that its steps depend on is missing from the state() of the objective."
    verb, belong = ("was", "belongs") if len(lost) == 1 else ("were", "belong")
    return f"{listed(lost, SHOWN)} {verb} not restored and {belong} in the state() of the objective."


_READERS: Sequence[tuple[Any, Callable[[Any], object]]] = (
    (torch.Generator, lambda value: _bits(value.get_state())),
    (np.random.Generator, lambda value: _bits(value.bit_generator.state)),
    (random.Random, lambda value: value.getstate()),
    (torch.optim.Optimizer, lambda value: _bits(value.state_dict()["state"])),
    (nn.Module, lambda value: None),  # compared by itself
    (Tensor, lambda value: _bits(value.detach().cpu().flatten().view(torch.uint8).numpy())),
    (np.ndarray, lambda value: value.tobytes()),
    (Mapping, lambda value: {key: _bits(one) for key, one in value.items()}),
    ((list, tuple), lambda value: [_bits(one) for one in value]),
    ((bool, int, float, str), lambda value: value),
)


def _bits(value: object) -> object:
    """What can be compared of a value; None of what is not known."""
    return next((read(value) for kind, read in _READERS if isinstance(value, kind)), None)


# --- modules ---


def _step(running: PhaseRun, index: int) -> None:
    done = min(index / running.phase.steps, 1 - 1e-6)
    running.step(Position(step=index, total=index), done, Signals())


def _copied(modules: Mapping[str, nn.Module]) -> dict[str, dict[str, Tensor]]:
    return {
        name: {key: value.detach().clone() for key, value in module.state_dict().items()}
        for name, module in modules.items()
    }


def _put_back(modules: Mapping[str, nn.Module], kept: Mapping[str, Mapping[str, Tensor]]) -> None:
    for name, module in modules.items():
        module.load_state_dict(dict(kept[name]))
