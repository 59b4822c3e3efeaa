"""From a baked field to splats: place, color, refine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.foundation import interrupts
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.splats.cloud import Encoding, SplatError, Splats
from neuron_core.splats.coloring import colored
from neuron_core.splats.placing import place, sunk, surface_points, viewing_dome
from neuron_core.splats.refining import Refiner, RefineSettings, target_of
from neuron_core.voxels.baked import Baked

VIEW_SIZE = 256  # pixels
LOWEST, HIGHEST = -25.0, 88.0  # degrees of elevation of the views
FIRST_SHARE = 0.8  # of the splats are placed, the others come from splitting
FEW_POINTS = 16

Tell = Callable[[float, str, str], None]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How splats are fitted."""

    most_splats: int = 100_000
    degree: int = 3
    encoding: Encoding = "srgb"
    steps: int = 1300  # 0: placed and colored only
    views: int = 96
    seed: int = 0


def _side(count: int) -> int:
    """Of the pictures in which surfaces are looked for, in pixels: few splats need few rays."""
    return int(np.clip(0.6 * np.sqrt(count), 72, 160))


def fit_splats(
    baked: Baked, slug: str, settings: FitSettings, device: str = "cpu", tell: Tell = lambda *said: None
) -> Splats:
    """Splats that show the look `slug`. `tell` hears a fraction, a stage and a message.

    Raises SplatError if the field shows nothing to place splats on.
    """
    renderer = BakedRenderer(baked.nvf, baked.shader, baked.looks[slug], device)
    aabb, voxel = np.array(baked.manifest.aabb), baked.nvf.voxel_size
    tell(0.0, "place", "looking for the surface")
    points = surface_points(renderer, aabb, voxel, size=_side(settings.most_splats))
    if len(points.areas) < FEW_POINTS:
        raise SplatError(f"{baked.path} shows no surface to place splats on.", "Look at it: neuron render")
    share = FIRST_SHARE if settings.steps else 1.0
    splats = place(points, max(1, int(settings.most_splats * share)))
    end = 0.2 if settings.steps else 1.0
    splats = colored(
        splats,
        renderer,
        voxel,
        settings.encoding,
        settings.degree,
        tell=lambda part: tell(0.03 + (end - 0.03) * part, "color", f"{len(splats):,} splats"),
    )
    cameras = viewing_dome(aabb, settings.views, VIEW_SIZE, LOWEST, HIGHEST, settings.seed + 5, margin=1.0)
    splats = sunk(splats, renderer, _pixel(cameras[0], aabb))
    return _refined(splats, renderer, cameras, settings, tell) if settings.steps else splats


def _pixel(camera: Camera, aabb: np.ndarray) -> float:
    """How wide a pixel is in the middle of the box, in metres."""
    return float(np.linalg.norm(camera.position - aabb.mean(axis=0))) / camera.fl_x


def _refined(
    splats: Splats, renderer: BakedRenderer, cameras: Sequence[Camera], settings: FitSettings, tell: Tell
) -> Splats:
    targets = []
    for index, camera in enumerate(cameras):
        interrupts.stop_if_requested()
        targets.append(target_of(renderer, camera))
        tell(0.2 + 0.1 * index / len(cameras), "views", f"{index + 1}/{len(cameras)}")
    refiner = Refiner(
        splats, targets, RefineSettings(settings.steps, settings.most_splats, seed=settings.seed)
    )
    errors: list[float] = []

    def heard(step: int, error: float) -> None:
        errors.append(error)
        likeness = -10 * np.log10(max(float(np.mean(errors[-len(targets) :])), 1e-10))
        tell(0.3 + 0.7 * step / settings.steps, "refine", f"{step}/{settings.steps}  {likeness:.1f} dB")

    return refiner.run(heard)
