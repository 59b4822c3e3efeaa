"""How large a field is and how it is trained, by preset and kind of data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.cameras.focus import find_focus
from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.models.field.spec import FieldSpec


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of training: so many steps of so many points or rays."""

    steps: int
    batch: int
    learning_rate: float
    share: float  # of the minutes, where time is limited
    looks: int = 8  # at once; points are shared by all looks of a step


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages by name, in order, and the most samples whose gradients are held at once."""

    stages: dict[str, StagePlan]
    most_samples: int = 1 << 17

    def scaled(self, steps: int | None) -> "Plan":
        """The same plan with so many steps in total, or as it is."""
        if steps is None:
            return self
        total = sum(stage.steps for stage in self.stages.values())
        return replace(
            self,
            stages={
                name: replace(stage, steps=max(1, round(stage.steps * steps / total)))
                for name, stage in self.stages.items()
            },
        )


SURFACE_PLANS = {
    "cpu-demo": Plan(
        {"geometry": StagePlan(600, 4096, 1e-2, 0.2), "appearance": StagePlan(1500, 4096, 1e-2, 0.8)}
    ),
    "cpu": Plan(
        {"geometry": StagePlan(2000, 8192, 1e-2, 0.2), "appearance": StagePlan(8000, 4096, 1e-2, 0.8)}
    ),
    "gpu": Plan(
        {"geometry": StagePlan(3000, 32768, 1e-2, 0.2), "appearance": StagePlan(20000, 16384, 1e-2, 0.8)}
    ),
    # Many materials: fewer points and more looks a step, at the same cost. In a large library only a
    # few of them were seen from the same cameras.
    "library-small": Plan(
        {"geometry": StagePlan(600, 4096, 1e-2, 0.1), "appearance": StagePlan(5000, 1024, 1e-2, 0.9, 32)}
    ),
    "library": Plan(
        {"geometry": StagePlan(2000, 8192, 1e-2, 0.1), "appearance": StagePlan(24000, 2048, 1e-2, 0.9, 16)}
    ),
}

FRAME_PLANS = {
    "cpu-demo": Plan(
        {"geometry": StagePlan(600, 4096, 1e-2, 0.2), "frames": StagePlan(700, 8192, 1e-2, 0.8)}
    ),
    "cpu": Plan({"geometry": StagePlan(2000, 8192, 1e-2, 0.2), "frames": StagePlan(4000, 8192, 1e-2, 0.8)}),
    "gpu": Plan(
        {"geometry": StagePlan(3000, 32768, 1e-2, 0.2), "frames": StagePlan(15000, 65536, 1e-2, 0.8)}
    ),
}

PHOTOGRAPH_PLANS = {
    "cpu-demo": Plan({"volume": StagePlan(600, 4096, 1e-2, 1.0)}, 1 << 16),
    "cpu": Plan({"volume": StagePlan(3000, 8192, 1e-2, 1.0)}, 1 << 17),
    "gpu": Plan({"volume": StagePlan(20000, 32768, 1e-2, 1.0)}, 1 << 19),
}
PHOTOGRAPH_PLANS |= {"library-small": PHOTOGRAPH_PLANS["cpu-demo"], "library": PHOTOGRAPH_PLANS["cpu"]}


INNER_SIDE = 1.0  # of the cube around the focus that is not contracted, in distances of the cameras
OBJECT_SIDE = (0.5, 1.6)  # of the cube around an object without background: least and most
CELLS_PER_PIXEL = 1.4


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
    if preset.startswith("library"):
        # Every word of a grammar has a pattern of its own: more numbers for a place, to tell them apart.
        return replace(
            spec,
            appearance=HashGridSpec(8, 4, 15, 6, 40),
            detail=HashGridSpec(4, 4, 15, 56, 160),
            material_width=96,
            style_width=128,
        )
    return spec


def enclosing_cube(aabb: np.ndarray, margin: float = 1.06) -> tuple[tuple[float, float, float], float]:
    """Center and half side of a cube around a box, with room for the density ramp."""
    center = (aabb[0] + aabb[1]) / 2
    half_side = float((aabb[1] - aabb[0]).max()) / 2 * margin
    return (float(center[0]), float(center[1]), float(center[2])), half_side


def photograph_spec(preset: str, cameras: Sequence[Camera], prompt_width: int, contracted: bool) -> FieldSpec:
    """The field of a scene that all cameras look at.

    With a background everything outside half the cameras' distance is contracted; without one,
    the cube holds the object alone, which may fill the pictures into their corners. The finest
    cells are about as large as pixels at the focus.
    """
    focus = find_focus(cameras)
    x, y, z = (float(value) for value in focus.point)
    half_side = INNER_SIDE / 2 if contracted else np.clip(_widest_view(cameras), *OBJECT_SIDE) / 2
    large = preset == "gpu"
    pixels = 2 * half_side * float(np.median([camera.fl_x for camera in cameras]))
    cells = CELLS_PER_PIXEL * pixels * (2 if contracted else 1)
    finest = int(np.clip(round(cells), 128, 4096 if large else 1024))
    return FieldSpec(
        prompt_width=prompt_width,
        center=(x, y, z),
        half_side=float(half_side * focus.distance),
        geometry=HashGridSpec(12 if large else 10, 2, 19 if large else 17, 16, finest),
        appearance=HashGridSpec(4, 2, 15, 6, 36),
        detail=None,
        directions=HashGridSpec(4, 2, 14, 3, 24),
        surface="density",
        contracted=contracted,
        encoding="srgb",
        diffuse=True,
        geometry_layers=1,
        geometry_features=15,
        material_width=32,
        occupancy_cells=128 if large else 96,
    )


def _widest_view(cameras: Sequence[Camera]) -> float:
    """Side of a cube around what a camera at distance 1 sees, corner to corner."""
    tangents = [np.hypot(camera.width / camera.fl_x, camera.height / camera.fl_y) / 2 for camera in cameras]
    return float(2 * np.sin(np.arctan(np.max(tangents))))
