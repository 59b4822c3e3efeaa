"""From a baked field to splats: placed on its surface and colored. `models/splats` refines them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.foundation.colors import Encoding
from neuron_core.foundation.progress import Reporter
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.splats.cloud import SplatError, Splats
from neuron_core.splats.coloring import colored
from neuron_core.splats.placing import place, sunk, surface_points, viewing_dome
from neuron_core.voxels.baked import Baked

LOWEST, HIGHEST = -25.0, 88.0  # degrees of elevation of the views
FIRST_SHARE = 0.8  # of the splats are placed, the others come from splitting
FEW_POINTS = 16


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How splats are fitted."""

    most_splats: int = 100_000
    degree: int = 3
    encoding: Encoding = "srgb"
    steps: int = 1300  # of refinement; 0: placed and colored only
    views: int = 96
    view_size: int = 256  # pixels along the sides of a view
    seed: int = 0


@runtime_checkable
class Fit(Protocol):
    """Makes splats of a look of a baked asset."""

    def __call__(
        self, baked: Baked, slug: str, settings: FitSettings, device: str, report: Reporter
    ) -> Splats:
        """Raises SplatError if the look shows nothing."""


@dataclass(frozen=True, slots=True)
class PlacedSplats:
    """Splats on a surface, and from where they are looked at while they are refined."""

    splats: Splats
    renderer: BakedRenderer
    cameras: Sequence[Camera]


def place_splats(
    baked: Baked,
    slug: str,
    settings: FitSettings,
    device: str,
    report: Reporter,
) -> PlacedSplats:
    """Splats that show the look `slug`.

    With refinement to follow, room is left for splats to split. Raises SplatError if the field shows
    nothing to place splats on.
    """
    renderer = BakedRenderer(baked.nvf, baked.shader, baked.looks[slug], device)
    aabb, voxel = np.array(baked.manifest.aabb), baked.nvf.voxel_size
    report.progress(0.0, "place", "looking for the surface")
    points = surface_points(renderer, aabb, voxel, size=_side(settings.most_splats))
    if len(points.areas) < FEW_POINTS:
        raise SplatError(f"{baked.path} shows no surface to place splats on.", "Look at it: neuron render")
    share = FIRST_SHARE if settings.steps else 1.0
    splats = place(points, max(1, int(settings.most_splats * share)))
    splats = colored(
        splats,
        renderer,
        voxel,
        settings.encoding,
        settings.degree,
        on_progress=lambda part: report.progress(0.15 + 0.85 * part, "color", f"{len(splats):,} splats"),
    )
    cameras = viewing_dome(aabb, settings.views, settings.view_size, LOWEST, HIGHEST, settings.seed + 5, 1.0)
    return PlacedSplats(sunk(splats, renderer, _pixel(cameras[0], aabb)), renderer, cameras)


def _side(count: int) -> int:
    """Of the pictures in which surfaces are looked for, in pixels: few splats need few rays."""
    return int(np.clip(0.6 * np.sqrt(count), 72, 160))


def _pixel(camera: Camera, aabb: np.ndarray) -> float:
    """How wide a pixel is in the middle of the box, in meters."""
    return float(np.linalg.norm(camera.position - aabb.mean(axis=0))) / camera.fl_x
