"""Lights of a stage at one time, as records in the engine's world: meters, Y up, column vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pxr import Usd

Color = tuple[float, float, float]  # scene-linear Rec.709
Kind = Literal["dome", "distant", "sphere", "disk", "rect", "cylinder"]


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """Which prims a collection holds, as a compiled query."""

    query: Usd.UsdCollectionMembershipQuery | None = None  # None: all of them
    stage: Usd.Stage | None = None  # kept open for path expressions, which hold nothing of a closed one

    def holds(self, path: str) -> bool:
        """Whether the prim at a path belongs to it. Of an instance "/instancer[index]" the point instancer
        decides, as paths of collections name prims."""
        return self.query is None or bool(self.query.IsPathIncluded(path.partition("[")[0]))


@dataclass(frozen=True, slots=True)
class Shaping:
    """How a light is narrowed around its -Z, as UsdLux.ShapingAPI defines it."""

    focus: float = 0.0  # power of the cosine to the axis
    cone_angle: float = 180.0  # degrees off the axis beyond which nothing is emitted; 180: no cone
    cone_softness: float = 0.0  # part of the cone over which it fades


@dataclass(frozen=True, slots=True, eq=False)
class StageLight:
    """One light. It shines along its own -Z; a dome has its map's middle at +Z and its top at +Y; the axis
    of a cylinder is X.

    `world_from_light` is rigid (perhaps mirrored), and sizes are meters of the world. Where the stage scales
    a disk unevenly or shears a disk or a rect, the X and Y columns keep that; the area is still pi r^2
    of a disk. The Z column is always the unit normal.
    """

    path: str  # of the prim; what a point instancer makes is called /instancer[index]
    kind: Kind
    world_from_light: np.ndarray  # [4, 4] float64, read-only
    emission: Color  # radiance; of distant lights the irradiance of a surface that faces them
    radius: float = 0.0  # meters, as the three below
    width: float = 0.0
    height: float = 0.0
    length: float = 0.0
    angle: float = 0.0  # degrees across, of distant lights
    thin: bool = False  # a sphere may be drawn as a point, a cylinder as a line
    texture: Path | None = None  # lat-long of a dome, picture of a rect; multiplies the emission
    diffuse: float = 1.0  # multiplies what the light adds to diffuse reflection
    specular: float = 1.0  # the same of specular reflection
    casts_shadows: bool = True
    shaping: Shaping = Shaping()
    light_link: Link = Link()
    shadow_link: Link = Link()

    def lights(self, path: str) -> bool:
        """Whether it lights the prim at a path."""
        return self.light_link.holds(path)

    def shadows(self, path: str) -> bool:
        """Whether the prim at a path casts shadows of this light."""
        return self.casts_shadows and self.shadow_link.holds(path)
