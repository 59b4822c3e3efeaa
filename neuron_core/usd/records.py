"""A stage at one time, as plain records.

Frames: everything here is in the engine's world, meters with Y up, whatever the units and axes of
the stage. Matrices multiply column vectors, float64: `p_world = world_from_asset @ p_asset`. USD's
row vectors are transposed once, where the stage is read. `engine_from_stage` leads from one to the
other; `inv(engine_from_stage) @ world_from_asset` is USD's own matrix, transposed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.foundation.errors import NeuronError


class SceneError(NeuronError):
    """A stage, a prim or a library that cannot be read or written as asked."""

    kind = "scene"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one prim, or with one layer (then at the path that brings it in).

    What is `fatal` leaves the prim out of the picture; the rest of the stage is not touched.
    """

    path: str
    message: str  # one sentence
    hint: str = ""
    kind: str = "scene"  # a stable word, like those of errors
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True, eq=False)
class AssetNode:
    """One instance of a neural asset.

    The asset's own space is that of its `.neuron` file: meters, Y up.
    """

    path: str  # of the prim; what a point instancer makes is called /instancer[index]
    file: Path | None  # None where it cannot be drawn; then a problem says why
    digest: str  # as the prim states it, else as the file does; of the tensors
    look: str  # slug of a look that the file has; "" where there is no file
    prompt: str  # replaces the look; "" where the look is drawn as it was baked
    pose: tuple[float, ...]
    world_from_asset: np.ndarray  # [4, 4] float64, column vectors, read-only
    purpose: str  # "default", "render", "proxy" or "guide"


@dataclass(frozen=True, slots=True, eq=False)
class MeshNode:
    """An ordinary surface of the stage, which hides what is behind it.

    Instances of one mesh share their arrays.
    """

    path: str
    positions: np.ndarray  # [V, 3] float64, in the mesh's own space
    faces: np.ndarray  # [F, 3] int32, counter-clockwise from outside unless the matrix mirrors
    color: tuple[float, float, float]  # linear Rec. 709
    world_from_mesh: np.ndarray  # [4, 4] float64, column vectors, read-only


@dataclass(frozen=True, slots=True, eq=False)
class SceneSnapshot:
    """What is visible in a stage at one time, in the order of the stage."""

    assets: tuple[AssetNode, ...]
    meshes: tuple[MeshNode, ...]  # purposes default and render
    problems: tuple[Problem, ...]
    meters_per_unit: float  # of the stage
    up_axis: str  # of the stage, "Y" or "Z"

    @property
    def engine_from_stage(self) -> np.ndarray:
        """[4, 4] from stage units and axes to meters, Y up."""
        return engine_from_stage(self.meters_per_unit, self.up_axis)


def engine_from_stage(meters_per_unit: float, up_axis: str) -> np.ndarray:
    """[4, 4] from stage units and axes to meters, Y up; column vectors."""
    matrix = np.diag([meters_per_unit, meters_per_unit, meters_per_unit, 1.0])
    if up_axis == "Z":  # (x, y, z) becomes (x, z, -y)
        matrix = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]) @ matrix
    return matrix
