"""What holds for everything that is trained, whatever it is. Each law takes a function that makes it
fresh, and a folder."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from neuron_core.foundation.progress import Silent
from neuron_core.learning.distributed import Placement
from neuron_core.learning.finite import DivergedError
from neuron_core.learning.loop import Loop, Timing
from neuron_core.learning.objective import Objective, Step, Turn
from neuron_core.learning.outcome import METRICS, Outcome
from neuron_core.learning.plan import Position
from neuron_core.learning.run_folder import CHECKPOINT, RunFolder, weights_of
from neuron_core.learning.stored import RunError, load_tensors, save_tensors
from tests.core.toy_objectives import CPU, Setup

Make = Callable[[], Setup]
ALWAYS = Timing(report_seconds=-1.0, checkpoint_seconds=-1.0)  # after every step


class Killed(BaseException):
    """The process ends here, as by SIGKILL."""


def loop_of(setup: Setup, folder: Path, timing: Timing = ALWAYS, **changes: object) -> Loop:
    """A loop in this process, seed 0."""
    settings: dict[str, object] = {
        "seed": 0,
        "placement": Placement(CPU),
        "report": Silent(),
        "timing": timing,
    }
    run = RunFolder(folder, "toy")
    return Loop(setup.modules, setup.phases, setup.objectives, run, **{**settings, **changes})  # type: ignore[arg-type]


def train(setup: Setup, folder: Path, **changes: object) -> Outcome:
    """Train to the end."""
    return loop_of(setup, folder, **changes).run(setup.validate)


def train_until(setup: Setup, folder: Path, step: int) -> None:
    """Train and be killed after the step with this number, before anything is written of it."""

    def kill(position: Position, metrics: object) -> None:
        if position.total == step:
            raise Killed

    with pytest.raises(Killed):
        train(setup, folder, observe=kill)


def assert_same_bits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Equal names and bits."""
    assert found.keys() == wanted.keys()
    apart = [name for name in wanted if not torch.equal(found[name], wanted[name])]
    assert not apart, f"different: {', '.join(apart)}"


def bits(setup: Setup) -> dict[str, Tensor]:
    """Copies of all weights."""
    return {name: value.detach().clone() for name, value in weights_of(setup.modules).items()}


def resumes_exactly(make: Make, folder: Path) -> None:
    """Killed after any step, a run ends with the weights and the curve of one that was not."""
    whole = make()
    train(whole, folder / "whole")
    curve = (folder / "whole" / METRICS).read_bytes()
    total = sum(phase.steps for phase in whole.phases)
    for step in range(1, total + 1):
        part = folder / f"killed-{step}"
        train_until(make(), part, step)
        again = make()
        train(again, part)
        assert_same_bits(bits(again), bits(whole))
        assert (part / METRICS).read_bytes() == curve, f"curve after a kill at step {step}"


def resumes_exactly_with_a_kill_at_every_step(make: Make, folder: Path) -> None:
    """The same where every process dies one step later."""
    whole, last = make(), make()
    train(whole, folder / "whole")
    for step in range(1, sum(phase.steps for phase in whole.phases) + 1):
        train_until(make(), folder / "parts", step)
    train(last, folder / "parts")
    assert_same_bits(bits(last), bits(whole))
    assert (folder / "parts" / METRICS).read_bytes() == (folder / "whole" / METRICS).read_bytes()


def turns_of(objective: Objective, step: Step) -> Iterator[Turn]:
    """The turns of a step without updates: gradients are taken and forgotten in between."""
    for turn in objective.turns(step):
        yield turn
        for parameter in parameters_of(objective):
            parameter.grad = None


def parameters_of(objective: Objective, optimizer: str | None = None) -> list[torch.nn.Parameter]:
    """All that it trains, or that one optimizer does."""
    return [
        parameter
        for optimized in objective.optimized()
        if optimizer in (None, optimized.name)
        for group in optimized.groups
        for parameter in group.params
    ]


def silent_terms(objective: Objective, turn: Turn) -> list[str]:
    """The named terms that move no parameter of their optimizer."""
    parameters = parameters_of(objective, turn.optimizer)
    silent = []
    for name, term in turn.terms.items():
        gradients = (
            torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
            if term.requires_grad
            else ()
        )
        if not any(gradient is not None and bool(gradient.any()) for gradient in gradients):
            silent.append(name)
    return silent


class Examined:
    """An objective that notes which of its terms moved a parameter at any step."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.silent: dict[str, bool] = {}
        self.optimized = objective.optimized
        self.state = objective.state
        self.load_state = objective.load_state

    def turns(self, step: Step) -> Iterator[Turn]:
        for turn in self.objective.turns(step):
            found = silent_terms(self.objective, turn)
            for name in turn.terms:
                key = f"{turn.optimizer}.{name}"
                self.silent[key] = self.silent.get(key, True) and name in found
            yield turn


def every_term_moves_a_parameter(make: Make, folder: Path) -> dict[str, list[str]]:
    """No term of any phase is without effect in a short run. Returns the terms of each phase."""
    setup = make()
    examined: dict[str, Examined] = {}

    def wrapped(name: str, inner: Callable[[], Objective]) -> Callable[[], Objective]:
        def made() -> Objective:
            examined[name] = Examined(inner())
            return examined[name]

        return made

    setup.objectives = {name: wrapped(name, inner) for name, inner in setup.objectives.items()}  # type: ignore[arg-type]
    train(setup, folder, timing=Timing())
    dead = [key for one in examined.values() for key, silent in one.silent.items() if silent]
    assert not dead, f"without effect: {', '.join(dead)}"
    return {phase: sorted(one.silent) for phase, one in examined.items()}


def gradients_of(objective: Objective, step: Step) -> list[Tensor]:
    """Of the whole step: of every turn, for the parameters of its optimizer."""
    found = []
    for turn in turns_of(objective, step):
        parameters = parameters_of(objective, turn.optimizer)
        gradients = torch.autograd.grad(turn.loss, parameters, allow_unused=True)
        found += [
            torch.zeros_like(parameter) if gradient is None else gradient
            for parameter, gradient in zip(parameters, gradients, strict=True)
        ]
    return found


def shares_add_up(make: Make, tolerance: float = 1e-5) -> None:
    """The mean gradient of two processes is that of one with the whole batch, and they differ."""
    setup = make()
    for phase in setup.phases:
        step = Step(0, 0.0, 0, phase.name)
        whole, first, second = (
            gradients_of(setup.objectives[phase.name](), part)  # type: ignore[arg-type]
            for part in (step, replace(step, rank=0, ranks=2), replace(step, rank=1, ranks=2))
        )
        size = max(float(gradient.abs().max()) for gradient in whole)
        for one, a, b in zip(whole, first, second, strict=True):
            torch.testing.assert_close((a + b) / 2, one, rtol=tolerance, atol=tolerance * size)
        assert any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


class Poisoned:
    """An objective that says NaN for one of its figures from a step on."""

    def __init__(self, objective: Objective, figure: str, step: int) -> None:
        self.objective = objective
        self.figure = figure
        self.at = step
        self.optimized = objective.optimized
        self.state = objective.state
        self.load_state = objective.load_state

    def turns(self, step: Step) -> Iterator[Turn]:
        for turn in self.objective.turns(step):
            if step.index < self.at:
                yield turn
            else:
                nan = torch.tensor(torch.nan)
                terms = {
                    name: term * nan if name == self.figure else term for name, term in turn.terms.items()
                }
                metrics = {name: nan if name == self.figure else one for name, one in turn.metrics.items()}
                yield replace(turn, terms=terms, metrics=metrics)


def names_nan_and_keeps_it_from_disk(make: Make, folder: Path, timing: Timing = ALWAYS) -> None:
    """A NaN in any term or metric is named with its phase and step; the checkpoint is from before."""
    setup = make()
    phase = setup.phases[0]
    step = Step(0, 0.0, 0, phase.name)
    turns = list(turns_of(setup.objectives[phase.name](), step))  # type: ignore[arg-type]
    for figure in sorted({name for turn in turns for name in (*turn.terms, *turn.metrics)}):
        poisoned = make()
        inner = poisoned.objectives[phase.name]
        poisoned.objectives = {phase.name: lambda inner=inner, name=figure: Poisoned(inner(), name, 1)}  # type: ignore[misc]
        with pytest.raises(DivergedError, match=f"step 1 of the {phase.name} phase: {figure} is NaN"):
            train(poisoned, folder / figure, timing=timing)
        for path in (folder / figure).glob("*.safetensors"):
            assert all(bool(value.isfinite().all()) for value in load_tensors(path)[0].values())
        assert all(bool(value.isfinite().all()) for value in bits(poisoned).values())


def losses_fall(setup: Setup, folder: Path, figures: Mapping[str, str], factor: float = 2.0) -> None:
    """In every phase a figure of the last steps is at most a part of that of the first."""
    seen: dict[str, list[float]] = {}

    def note(position: Position, metrics: Mapping[str, Tensor | float]) -> None:
        name = setup.phases[position.phase].name
        seen.setdefault(name, []).append(float(metrics[figures[name]]))

    train(setup, folder, observe=note, timing=Timing())
    for name, values in seen.items():
        last = sum(values[-3:]) / len(values[-3:])
        assert last * factor <= values[0], f"{name}: {figures[name]} from {values[0]:.4g} to {last:.4g}"


def refuses_other_tensors(make: Make, folder: Path) -> None:
    """A checkpoint with a tensor too many, too few or of another size is refused by its name."""
    total = sum(phase.steps for phase in make().phases)
    train_until(make(), folder, total)
    tensors, metadata = load_tensors(folder / CHECKPOINT)
    name = next(name for name in tensors if name.startswith("module."))
    changes = {
        "unknown": {**tensors, f"{name}.more": tensors[name]},
        "missing": {key: value for key, value in tensors.items() if key != name},
        "is float64": {**tensors, name: tensors[name].reshape(-1)[:1].double()},
    }
    for said, changed in changes.items():
        save_tensors(folder / CHECKPOINT, changed, metadata)
        with pytest.raises(RunError, match=said):
            train(make(), folder)
