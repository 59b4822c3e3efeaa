"""Catmull-Clark subdivision with boundaries, creases, corners and holes, down to the limit surface.

The rules are those of USD meshes (OpenSubdiv's "Catmark" with uniform creasing). How far to
refine is chosen for many cages together.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuron_core.geometry.limit_surface import limit
from neuron_core.geometry.refinement import INFINITELY_SHARP, Cage, base_level, refined


def subdivide(cage: Cage, level: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the limit surface [N,3], triangles [T,3] and limit normals [N,3], all float64 / int64.

    `level` is `lowest_level` or more: the closed forms of the limit are for quads. Points are
    repeated where a crease parts normals; copies are equal bit for bit. Creases that are still
    finite after `level` steps are finished as infinitely sharp ones.
    """
    mesh = base_level(cage)
    for _ in range(max(lowest_level(cage), level)):
        mesh = refined(mesh)
    return limit(mesh)


def lowest_level(cage: Cage) -> int:
    """0 for quads whose sharpness is infinite or none, else 1."""
    sharpness = np.concatenate([cage.crease_sharpness, cage.corner_sharpness])
    final = (sharpness <= 0.0) | (sharpness >= INFINITELY_SHARP)
    return 0 if final.all() and (cage.counts == 4).all() else 1


@dataclass(frozen=True, slots=True)
class Extent:
    """What a cage costs and how coarse it looks."""

    corners: int
    copies: int
    size: float  # of the largest copy, along its diagonal
    lowest: int = 1  # level

    def triangles(self, level: int) -> int:
        """Of all copies."""
        return self.copies * self.corners * 4**level // 2

    def spacing(self, level: int) -> float:
        """From vertex to vertex, about, in the unit of `size`."""
        return 2.0 * self.size / (self.corners * 4**level) ** 0.5


def choose_levels(extents: Sequence[Extent], triangles: int, finest: int, spacing: float) -> list[int]:
    """A level for each cage: the coarsest is refined first, until triangles or coarse cages run out.

    No level is below the cage's lowest, also where that alone is more than `triangles`; none is
    above `finest`, and refining stops once vertices are closer than `spacing`.
    """
    levels = [extent.lowest for extent in extents]
    left = triangles - sum(extent.triangles(extent.lowest) for extent in extents)
    coarse = [(-extent.spacing(extent.lowest), index) for index, extent in enumerate(extents)]
    heapq.heapify(coarse)
    while coarse:
        negative, index = heapq.heappop(coarse)
        extent, level = extents[index], levels[index]
        more = extent.triangles(level + 1) - extent.triangles(level)
        if -negative <= spacing or level >= finest or more > left:
            continue
        left -= more
        levels[index] = level + 1
        heapq.heappush(coarse, (-extent.spacing(level + 1), index))
    return levels
