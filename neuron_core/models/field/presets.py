"""How large a field is and how it is trained, by preset and kind of data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.cameras.focus import find_focus
from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.learning.plan import Phase
from neuron_core.models.field.spec import FieldSpec

RATE = 1e-2  # the learning rate of all phases


@dataclass(frozen=True, slots=True)
class FieldPhase:
    """One phase of a field's training: so many steps of so many points or rays."""

    phase: Phase
    batch: int
    looks: int = 8  # at once; points are shared by all looks of a step


@dataclass(frozen=True, slots=True)
class Recipe:
    """The phases in order, and what bounds the memory of a step."""

    phases: tuple[FieldPhase, ...]
    max_samples: int = 1 << 17  # whose gradients are held at once
    shell_cells: int = 192  # along a side, of the shell of a surface that rays look into

    def named(self, name: str) -> FieldPhase:
        """The phase of that name."""
        return next(one for one in self.phases if one.phase.name == name)


Recipes = Mapping[str, Mapping[str, Recipe]]  # by source of what is learned, then by preset


def _phase(name: str, *, steps: int, batch: int, share: float, looks: int = 8) -> FieldPhase:
    return FieldPhase(Phase(name, steps, rate=RATE, share=share), batch, looks)


def _shape(*, steps: int, batch: int, share: float = 0.2) -> FieldPhase:
    return _phase("geometry", steps=steps, batch=batch, share=share)


def _appearance(*, steps: int, batch: int, share: float = 0.8, looks: int = 8) -> FieldPhase:
    return _phase("appearance", steps=steps, batch=batch, share=share, looks=looks)


def _frames(*, steps: int, batch: int) -> FieldPhase:
    return _phase("frames", steps=steps, batch=batch, share=0.8)


def _photographs(*, steps: int, batch: int, max_samples: int) -> Recipe:
    return Recipe((_phase("volume", steps=steps, batch=batch, share=1.0),), max_samples)


SURFACE: Mapping[str, Recipe] = {
    "cpu-demo": Recipe((_shape(steps=600, batch=4096), _appearance(steps=1500, batch=4096))),
    "cpu": Recipe((_shape(steps=2000, batch=8192), _appearance(steps=8000, batch=4096))),
    "gpu": Recipe((_shape(steps=3000, batch=32768), _appearance(steps=20000, batch=16384))),
    # Many materials: fewer points and more looks a step, at the same cost. In a large library only a
    # few of them were seen from the same cameras.
    "library-small": Recipe(
        (
            _shape(steps=600, batch=4096, share=0.1),
            _appearance(steps=5000, batch=1024, share=0.9, looks=32),
        )
    ),
    "library": Recipe(
        (
            _shape(steps=2000, batch=8192, share=0.1),
            _appearance(steps=24000, batch=2048, share=0.9, looks=16),
        )
    ),
}

FRAMES: Mapping[str, Recipe] = {
    "cpu-demo": Recipe((_shape(steps=600, batch=4096), _frames(steps=700, batch=8192))),
    "cpu": Recipe((_shape(steps=2000, batch=8192), _frames(steps=4000, batch=8192))),
    "gpu": Recipe((_shape(steps=3000, batch=32768), _frames(steps=15000, batch=65536))),
}

_SMALL_PHOTOGRAPHS = _photographs(steps=600, batch=4096, max_samples=1 << 16)
_LARGE_PHOTOGRAPHS = _photographs(steps=3000, batch=8192, max_samples=1 << 17)
PHOTOGRAPHS: Mapping[str, Recipe] = {
    "cpu-demo": _SMALL_PHOTOGRAPHS,
    "cpu": _LARGE_PHOTOGRAPHS,
    "gpu": _photographs(steps=20000, batch=32768, max_samples=1 << 19),
    "library-small": _SMALL_PHOTOGRAPHS,
    "library": _LARGE_PHOTOGRAPHS,
}

RECIPES: Recipes = {"surface": SURFACE, "frames": FRAMES, "photographs": PHOTOGRAPHS}


def _grid(*, levels: int, features: int, table: int, cells: tuple[int, int]) -> HashGridSpec:
    """`table` is the logarithm of its size to base 2, `cells` the coarsest and finest along a side."""
    return HashGridSpec(levels, features, table, *cells)


INNER_SIDE = 1.0  # of the cube around the focus that is not contracted, in distances of the cameras
OBJECT_SIDE = (0.5, 1.6)  # of the cube around an object without background: least and most
CELLS_PER_PIXEL = 1.4


def surface_spec(preset: str, aabb: np.ndarray, prompt_width: int) -> FieldSpec:
    """The field of a rendered asset whose box is `aabb` [2, 3] in meters."""
    center, half_side = enclosing_cube(aabb)
    spec = FieldSpec(
        prompt_width=prompt_width,
        center=center,
        half_side=half_side,
        geometry=_grid(levels=8, features=2, table=15, cells=(8, 192)),
        appearance=_grid(levels=4, features=4, table=15, cells=(6, 36)),
        detail=_grid(levels=3, features=2, table=15, cells=(64, 160)),
        directions=_grid(levels=6, features=2, table=15, cells=(3, 72)),
    )
    if preset == "gpu":
        return replace(
            spec,
            geometry=_grid(levels=12, features=2, table=19, cells=(8, 512)),
            detail=_grid(levels=4, features=2, table=17, cells=(64, 320)),
        )
    if preset.startswith("library"):
        # Every word of a grammar has a pattern of its own: more numbers for a place, to tell them apart.
        return replace(
            spec,
            appearance=_grid(levels=8, features=4, table=15, cells=(6, 40)),
            detail=_grid(levels=4, features=4, table=15, cells=(56, 160)),
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
        geometry=_grid(levels=12 if large else 10, features=2, table=19 if large else 17, cells=(16, finest)),
        appearance=_grid(levels=4, features=2, table=15, cells=(6, 36)),
        detail=None,
        directions=_grid(levels=4, features=2, table=14, cells=(3, 24)),
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
