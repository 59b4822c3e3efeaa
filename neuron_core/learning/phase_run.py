"""One phase while it runs: its objective, optimizers, moving average, and the figures of its last step."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from neuron_core.foundation.seeds import step_seed
from neuron_core.learning.average import Average
from neuron_core.learning.descent import Descent
from neuron_core.learning.distributed import Group, Signals
from neuron_core.learning.finite import Watch
from neuron_core.learning.objective import Objective, Step, Turn
from neuron_core.learning.plan import Phase, Position
from neuron_core.learning.run_folder import Parts, Restored
from neuron_core.learning.stored import AGAIN, RunError, require_fitting

Modules = Mapping[str, nn.Module]
PARTS = ("module", "optimizer", "ema", "objective")  # of a checkpoint


class PhaseRun:
    """Takes the steps of one phase."""

    def __init__(
        self,
        phase: Phase,
        objective: Objective,
        modules: Modules,
        seed: int,
        group: Group,
        watch_gradients: bool = False,
    ) -> None:
        self.phase = phase
        self.objective = objective
        self.seed = seed
        self.group = group
        device = group.placement.device
        self.watch = Watch(phase.name, device)
        self.descent = Descent(objective.optimized(), phase.rate, group, self.watch, watch_gradients)
        self.average = Average(self._averaged(modules), phase.ema) if phase.ema else None
        self.metrics: dict[str, Tensor | float] = {}  # of the last step

    def _averaged(self, modules: Modules) -> dict[str, nn.Parameter]:
        """The parameters of modules that this phase trains, by name."""
        trained = {id(parameter) for parameter in self.descent.parameters()}
        return {
            f"{name}.{key}": parameter
            for name, module in modules.items()
            for key, parameter in module.named_parameters()
            if id(parameter) in trained
        }

    def step(self, at: Position, done: float, wish: Signals) -> None:
        """Take the step at a position; `done` is the part of the phase before it."""
        place = self.group.placement
        step = Step(at.step, done, self.seed, self.phase.name, place.rank, place.ranks)
        # Layers that draw for themselves, such as dropout, follow from the step too.
        torch.manual_seed(step_seed(self.seed, self.phase.name, at.step, place.rank))
        self.descent.begin(self.phase.schedule(at.step, done) * at.trend.lowered)
        self.metrics = {}
        for turn in self._turns(step):
            self.descent.take(turn, at.step, wish)
            self.metrics |= turn.metrics
        if self.average is not None:
            self.average.update()

    def _turns(self, step: Step) -> Iterator[Turn]:
        turns = self.objective.turns(step)
        while True:
            with self._precision():
                turn = next(turns, None)
            if turn is None:
                return
            yield turn

    def _precision(self) -> AbstractContextManager[object]:
        if self.phase.precision == "float32":
            return nullcontext()
        return torch.autocast(self.group.placement.device.type, dtype=torch.bfloat16)

    def figures(self) -> dict[str, float]:
        """The metrics of the last step as numbers. Waits for the device; raises DivergedError."""
        self.watch.check()
        norms = {f"gradient.{name}": value for name, value in self.descent.norms.items()}
        return {name: float(value) for name, value in {**self.metrics, **norms}.items()}

    @contextmanager
    def validated_weights(self, modules: Modules) -> Iterator[None]:
        """The modules as they are validated: in eval mode, with averaged weights if those are kept."""
        modes = {module: module.training for module in modules.values()}
        with ExitStack() as stack:
            if self.average is not None and self.phase.keep.weights == "ema":
                stack.enter_context(self.average.applied())
            for module in modules.values():
                module.eval()
            try:
                yield
            finally:
                for module, training in modes.items():
                    module.train(training)

    def parts(self, modules: Modules) -> dict[str, Mapping[str, Tensor]]:
        """Everything that resuming needs, for a checkpoint."""
        parts: dict[str, Mapping[str, Tensor]] = {
            f"module.{name}": module.state_dict() for name, module in modules.items()
        }
        parts |= {f"optimizer.{name}": tensors for name, tensors in self.descent.state().items()}
        if self.average is not None:
            parts["ema"] = self.average.values
        return {**parts, "objective": self.objective.state()}

    def load(self, restored: Restored) -> None:
        """Go back to a checkpoint of this phase. Raises RunError if it is of something else."""
        unknown = [name for name in restored.parts if name.partition(".")[0] not in PARTS]
        if unknown:
            raise RunError(f"The checkpoint has an unknown part, {unknown[0]}.", AGAIN)
        optimizers = restored.of("optimizer")
        if optimizers.keys() - self.descent.optimizers.keys():
            raise RunError("The checkpoint is of another phase.", AGAIN)
        for name in self.descent.optimizers:
            self.descent.load(name, optimizers.get(name, {}))
        if self.average is not None:
            values = restored.parts.get("ema", {})
            require_fitting(values, self.average.values, "The moving average of the checkpoint")
            self.average.load(values)
        self._load_objective(restored.parts)
        restored.require_whole()

    def _load_objective(self, parts: Parts) -> None:
        try:
            self.objective.load_state(parts.get("objective", {}))
        except (KeyError, RuntimeError) as error:
            raise RunError(f"The checkpoint's objective does not fit: {error}.", AGAIN) from error
