"""Train a model of any family into a folder: claim, prepare, loop, measure, finish."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from neuron_core.foundation.outputs import State
from neuron_core.foundation.progress import Reporter
from neuron_core.learning.distributed import Group, Placement
from neuron_core.learning.family import Built, Family, Prepared, Size
from neuron_core.learning.loop import Loop, Timing
from neuron_core.learning.objective import Objective
from neuron_core.learning.outcome import Outcome
from neuron_core.learning.plan import Phase
from neuron_core.learning.run_folder import Modules, RunFolder

Config = TypeVar("Config")
Data = TypeVar("Data", bound=Prepared)


Wrap = Callable[[Objective, Phase, Modules], Objective]


Check = Callable[[Built, Built, Sequence[Phase], Placement, int], None]


def unchanged(objective: Objective, phase: Phase, modules: Modules) -> Objective:
    """The objective."""
    return objective


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a run is trained, beside what its weights follow from."""

    out: Path
    placement: Placement
    seed: int = 0
    size: Size = "full"
    overwrite: bool = False
    rate: float = 1.0  # factor on the learning rates of all phases
    wrap: Wrap = unchanged  # what is optimized instead of an objective: it inspected, or with a teacher
    also: Mapping[str, object] = field(default_factory=dict)  # that the weights follow from
    timing: Timing = Timing()
    watch_gradients: bool = False
    check: Check | None = None  # of fresh modules, the trained ones, phases, placement and seed; may raise
    measures: bool = True  # whether the trained modules are measured; else the last figures of training count

    def recipe(self, prepared: Prepared) -> Mapping[str, object]:
        """Everything that the weights follow from. What is not set is left out."""
        size = {"size": self.size} if self.size != "full" else {}
        rate = {"rate": self.rate} if self.rate != 1.0 else {}
        return {**prepared.recipe, **size, **rate, **self.also}


def train(
    family: Family[Config, Data], prepared: Data, settings: RunSettings, report: Reporter
) -> tuple[State, Outcome]:
    """Train, or resume training, and measure on the validation views; or nothing, if it is done already.

    What the folder held before comes first. Raises what `RunFolder.claim` and `Loop.run` raise.
    """
    place = settings.placement
    folder = RunFolder(
        settings.out, family.name, ranks=place.ranks, writes=place.first, weights=family.weights
    )
    with folder:
        state: State = "fresh"
        if place.first:
            state = folder.claim(settings.recipe(prepared), settings.overwrite, prepared.description)
        state = Group(place).from_first(state)
        if state == "done":
            return state, folder.outcome()
        return state, _trained(family, prepared, settings, folder, report)


def _trained(
    family: Family[Config, Data], prepared: Data, settings: RunSettings, folder: RunFolder, report: Reporter
) -> Outcome:
    built = family.build(prepared, settings.placement)
    phases = [
        replace(phase, rate=settings.rate * phase.rate) for phase in family.phases(prepared, settings.size)
    ]
    loop = Loop(
        built.modules,
        phases,
        {phase.name: _wrapped(built, phase, settings.wrap) for phase in phases},
        folder,
        seed=settings.seed,
        placement=settings.placement,
        report=report,
        timing=settings.timing,
        watch_gradients=settings.watch_gradients,
    )
    outcome = loop.run(family.validate(built.modules, prepared, settings.out))
    if settings.check is not None:
        fresh = family.build(prepared, settings.placement)
        settings.check(fresh, built, phases, settings.placement, settings.seed)
    if settings.placement.first:
        for module in built.modules.values():
            module.eval()
        if settings.measures:
            measured = family.measure(built.modules, prepared, "val")
            outcome = replace(outcome, metrics=measured.metrics, baselines=measured.baselines)
        folder.finish(built.modules, outcome, prepared.description)
    return Group(settings.placement).from_first(outcome)


def _wrapped(built: Built, phase: Phase, wrap: Wrap) -> Callable[[], Objective]:
    return lambda: wrap(built.objectives[phase.name](), phase, built.modules)


def trained_modules(
    family: Family[Config, Data], prepared: Data, folder: Path, placement: Placement
) -> Modules:
    """The modules of a finished run, for use. Raises RunError if it is not finished or of another size."""
    modules = family.build(prepared, placement).modules
    RunFolder(folder, weights=family.weights).load_weights(modules)
    for module in modules.values():
        module.eval()
    return modules
