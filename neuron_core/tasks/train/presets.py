"""How large a field is and how it is trained, by preset and kind of data."""

from dataclasses import dataclass, replace

import numpy as np

from neuron_core.fields.spec import FieldSpec
from neuron_core.kernels.hashgrid import HashGridSpec


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of training: so many steps of so many points or rays."""

    steps: int
    batch: int
    learning_rate: float
    share: float  # of the minutes, where time is limited


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages by name, in order, and the most samples that are held for gradients at once."""

    stages: dict[str, StagePlan]
    chunk: int  # rays whose gradients are accumulated in one go: bounds memory


SURFACE_PLANS = {
    "cpu-demo": Plan(
        {
            "geometry": StagePlan(700, 8192, 1e-2, 0.2),
            "appearance": StagePlan(1500, 4096, 1e-2, 0.8),
        },
        1 << 15,
    ),
    "cpu": Plan(
        {
            "geometry": StagePlan(2000, 8192, 1e-2, 0.2),
            "appearance": StagePlan(8000, 4096, 1e-2, 0.8),
        },
        1 << 15,
    ),
    "gpu": Plan(
        {
            "geometry": StagePlan(3000, 32768, 1e-2, 0.2),
            "appearance": StagePlan(20000, 16384, 1e-2, 0.8),
        },
        1 << 18,
    ),
}

PHOTOGRAPH_PLANS = {
    "cpu-demo": Plan({"volume": StagePlan(600, 2048, 1e-2, 1.0)}, 2048),
    "cpu": Plan({"volume": StagePlan(3000, 4096, 1e-2, 1.0)}, 4096),
    "gpu": Plan({"volume": StagePlan(20000, 8192, 1e-2, 1.0)}, 8192),
}


def surface_spec(preset: str, aabb: np.ndarray, prompt_width: int) -> FieldSpec:
    """The field of a rendered asset whose box is `aabb` [2, 3] in metres."""
    center, half_side = enclosing_cube(aabb)
    spec = FieldSpec(
        prompt_width=prompt_width,
        center=center,
        half_side=half_side,
        geometry=HashGridSpec(8, 2, 15, 8, 192),
        appearance=HashGridSpec(4, 4, 15, 6, 36),
        detail=HashGridSpec(3, 2, 15, 64, 160),
        directions=HashGridSpec(6, 2, 15, 3, 72),
    )
    if preset == "gpu":
        return replace(spec, geometry=HashGridSpec(12, 2, 19, 8, 512), detail=HashGridSpec(4, 2, 17, 64, 320))
    return spec


def enclosing_cube(aabb: np.ndarray, margin: float = 1.06) -> tuple[tuple[float, float, float], float]:
    """Center and half side of a cube around a box, with room for the density ramp."""
    center = (aabb[0] + aabb[1]) / 2
    half_side = float((aabb[1] - aabb[0]).max()) / 2 * margin
    return (float(center[0]), float(center[1]), float(center[2])), half_side
