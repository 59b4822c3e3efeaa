"""Train a model of any family into a folder: claim, prepare, loop, measure, finish."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from neuron_core.foundation.outputs import State
from neuron_core.foundation.progress import Reporter
from neuron_core.learning.distributed import Group, Placement
from neuron_core.learning.family import Family, Prepared, Size
from neuron_core.learning.loop import Loop, Timing
from neuron_core.learning.outcome import Outcome
from neuron_core.learning.run_folder import WEIGHTS, RunFolder

Config = TypeVar("Config")
Data = TypeVar("Data", bound=Prepared)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a run is trained, beside what its weights follow from."""

    out: Path
    placement: Placement
    seed: int = 0
    size: Size = "full"
    overwrite: bool = False
    weights: str = WEIGHTS  # name of the file of trained weights
    timing: Timing = Timing()
    watch_gradients: bool = False


def train(
    family: Family[Config, Data], prepared: Data, settings: RunSettings, report: Reporter
) -> tuple[State, Outcome]:
    """Train, or resume training, and measure on the validation views; or nothing, if it is done already.

    What the folder held before comes first. Raises what `RunFolder.claim` and `Loop.run` raise.
    """
    place = settings.placement
    folder = RunFolder(
        settings.out, family.name, ranks=place.ranks, writes=place.first, weights=settings.weights
    )
    with folder:
        state: State = "fresh"
        if place.first:
            state = folder.claim(prepared.recipe, settings.overwrite, prepared.description)
        state = Group(place).from_first(state)
        if state == "done":
            return state, folder.outcome()
        return state, _trained(family, prepared, settings, folder, report)


def _trained(
    family: Family[Config, Data], prepared: Data, settings: RunSettings, folder: RunFolder, report: Reporter
) -> Outcome:
    built = family.build(prepared, settings.placement)
    loop = Loop(
        built.modules,
        family.phases(prepared, settings.size),
        built.objectives,
        folder,
        seed=settings.seed,
        placement=settings.placement,
        report=report,
        timing=settings.timing,
        watch_gradients=settings.watch_gradients,
    )
    outcome = loop.run(family.validate(built.modules, prepared, settings.out))
    if settings.placement.first:
        for module in built.modules.values():
            module.eval()
        measured = family.measure(built.modules, prepared, "val")
        outcome = replace(outcome, metrics=measured.metrics)
        folder.finish(built.modules, outcome, prepared.description)
    return outcome
