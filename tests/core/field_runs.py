"""Fields that train in a moment: small batches, few steps, the ball that is a formula."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from neuron_core.foundation.progress import Reporter, Silent
from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.learning.distributed import Placement
from neuron_core.models.field import presets
from neuron_core.models.field.config import TrainConfig
from neuron_core.models.field.family import FieldData, FieldFamily
from neuron_core.models.field.presets import FieldPhase, Recipe
from tests.core.toy_objectives import Setup
from tests.core.training_samples import write_photographs, write_rendered

CPU = torch.device("cpu")
DATASETS: dict[str, Callable[[Path], Path]] = {
    "surface": write_rendered,
    "frames": write_rendered,
    "photographs": write_photographs,
    "transparent": lambda folder: write_photographs(folder, transparent=True),
}


def shortened(phase: FieldPhase, steps: int, batch: int) -> FieldPhase:
    """The phase with other numbers of steps, and of points or rays."""
    return replace(phase, phase=replace(phase.phase, steps=steps), batch=batch)


class SmallFamily(FieldFamily):
    """Fields with few numbers."""

    def prepare(self, config: TrainConfig, report: Reporter) -> FieldData:
        """The same, but for the sizes of grids and networks."""
        data = super().prepare(config, report)
        grid = HashGridSpec(3, 2, 10, 4, 16)
        spec = replace(
            data.spec,
            geometry=grid,
            appearance=grid,
            detail=None if data.spec.detail is None else grid,
            directions=grid,
            geometry_width=16,
            material_width=16,
            style_width=16,
            occupancy_cells=16,
        )
        return replace(data, spec=spec)


def small_family(steps: int = 6, batch: int = 64, max_samples: int = 1 << 12) -> FieldFamily:
    """The preset for demos, with so many steps a phase."""
    small = {
        source: {
            "cpu-demo": Recipe(
                tuple(shortened(one, steps, batch) for one in plans["cpu-demo"].phases), max_samples, 24
            )
        }
        for source, plans in presets.RECIPES.items()
    }
    return SmallFamily(small)


def config_of(dataset: Path, out: Path, **changes: object) -> TrainConfig:
    """A run on this machine's processor without pictures."""
    settings: dict[str, object] = {"preset": "cpu-demo", "validate_every": 0, "device": "cpu"}
    return TrainConfig(dataset, out, **{**settings, **changes})  # type: ignore[arg-type]


def setup_of(kind: str, dataset: Path, steps: int, batch: int = 64) -> Setup:
    """A fresh field that learns from a dataset of that kind, as the laws of learning take it."""
    family = small_family(steps, batch)
    config = config_of(dataset, Path("unused"), learn_from="frames" if kind == "frames" else "auto")
    prepared = family.prepare(config, Silent())
    built = family.build(prepared, Placement(CPU))
    return Setup(built.modules, list(family.phases(prepared, "full")), built.objectives)
