"""Splats of a baked look as a family of models: placed on the surface, then refined."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neuron_core.cameras.camera import Camera
from neuron_core.foundation.interrupts import stop_if_requested
from neuron_core.foundation.outputs import fingerprint_of
from neuron_core.foundation.progress import Part, Reporter
from neuron_core.learning.distributed import Placement
from neuron_core.learning.family import Built, Size, Validate
from neuron_core.learning.goals import Goals
from neuron_core.learning.loop import Timing, nothing
from neuron_core.learning.outcome import Measured
from neuron_core.learning.plan import Constant, Phase
from neuron_core.learning.run_folder import WEIGHTS
from neuron_core.learning.training import RunSettings, train, trained_modules
from neuron_core.models.splats.module import SplatModule
from neuron_core.models.splats.objective import PHASE, RefineObjective, RefineSettings
from neuron_core.splats.cloud import Splats
from neuron_core.splats.comparing import Target, error_of, target_of
from neuron_core.splats.drawing import SplatRenderer
from neuron_core.splats.fitting import FitSettings, PlacedSplats, place_splats
from neuron_core.splats.placing import viewing_dome
from neuron_core.voxels.baked import Baked, read_baked

SMOKE_STEPS, TRIAL_STEPS = 20, 200
VIEWS, LOWEST, HIGHEST, SEED = 8, -20.0, 80.0, 1009  # of views that nothing is fitted to
PLACING, VIEWING = 0.5, 1.0  # how far preparation is when splats are placed, and when views are drawn


@dataclass(frozen=True, slots=True)
class SplatConfig:
    """Which look of which asset, and how its splats are fitted."""

    asset: Path
    look: str = ""  # slug or prompt; empty for the first one
    fit: FitSettings = field(default_factory=FitSettings)
    device: str = "cpu"  # of the field's pictures; splats are refined on the CPU


@dataclass(frozen=True)
class SplatData:
    """A baked look with splats on its surface."""

    baked: Baked
    slug: str
    settings: FitSettings
    placed: PlacedSplats
    report: Reporter

    @property
    def recipe(self) -> Mapping[str, object]:
        """The asset, the look and how it is fitted."""
        return {"asset": self.baked.manifest.digest, "look": self.slug, **asdict(self.settings)}

    @property
    def description(self) -> Mapping[str, object]:
        """How the colors of the splats are encoded."""
        return {"encoding": self.settings.encoding}

    @cached_property
    def targets(self) -> list[Target]:
        """What the field shows to the cameras of the fit."""
        return self._seen_from(self.placed.cameras)

    @cached_property
    def unseen(self) -> list[Target]:
        """What it shows to cameras that nothing is fitted to."""
        box = np.array(self.baked.manifest.aabb)
        return self._seen_from(
            viewing_dome(box, VIEWS, self.settings.view_size, LOWEST, HIGHEST, SEED, margin=1.0)
        )

    def _seen_from(self, cameras: Sequence[Camera]) -> list[Target]:
        targets = []
        for index, camera in enumerate(cameras, 1):
            stop_if_requested()
            targets.append(target_of(self.placed.renderer, camera))
            self.report.progress(index / len(cameras), "views", f"{index}/{len(cameras)}")
        return targets


class SplatFamily:
    """Gaussian splats that draw what a baked look draws."""

    name = "splats"
    config = SplatConfig
    goals = Goals("psnr")
    weights = WEIGHTS

    def prepare(self, config: SplatConfig, report: Reporter) -> SplatData:
        """Place splats on the surface and color them. Raises AssetError, SplatError."""
        baked = read_baked(config.asset)
        slug = baked.look_of(config.look) if config.look else baked.slugs()[0]
        return prepare_splats(baked, slug, config.fit, config.device, report)

    def phases(self, prepared: SplatData, size: Size) -> Sequence[Phase]:
        """One."""
        steps = prepared.settings.steps
        most = {"smoke": SMOKE_STEPS, "trial": TRIAL_STEPS, "full": steps}[size]
        return [Phase(PHASE, min(steps, most), 1.0, schedule=Constant())]

    def build(self, prepared: SplatData, placement: Placement) -> Built:
        """The placed splats."""
        settings, splats = prepared.settings, prepared.placed.splats
        module = SplatModule(splats, settings.most_splats)
        wanted = RefineSettings(settings.steps, settings.most_splats, seed=settings.seed)
        return Built(
            {self.name: module},
            {PHASE: lambda: RefineObjective(module, prepared.targets, splats.box(), wanted)},
        )

    def validate(self, modules: Mapping[str, nn.Module], prepared: SplatData, folder: Path) -> Validate:
        """Nothing: every step measures itself."""
        return nothing

    def measure(self, modules: Mapping[str, nn.Module], prepared: SplatData, split: str) -> Measured:
        """PSNR on unseen views, one sample a pixel as viewers draw splats; and that of placed splats."""
        figures = {"psnr": likeness(splats_of(modules), prepared.unseen)}
        return Measured(
            split, figures, {"placed": {"psnr": likeness(prepared.placed.splats, prepared.unseen)}}
        )

    def student(self, config: SplatConfig) -> SplatConfig | None:
        """There is no smaller kind of splats."""
        return None

    def tensors(self, modules: Mapping[str, nn.Module]) -> Mapping[str, np.ndarray]:
        """The attributes of the splats."""
        splats = splats_of(modules)
        names = ("positions", "rotations", "scales", "opacities", "harmonics")
        return {f"splat.{name}": getattr(splats, name) for name in names}


def prepare_splats(
    baked: Baked, slug: str, settings: FitSettings, device: str, report: Reporter
) -> SplatData:
    """Place the splats of a look that is in memory. Raises SplatError."""
    placed = place_splats(baked, slug, settings, device, Part(report, 0.0, PLACING))
    return SplatData(baked, slug, settings, placed, Part(report, PLACING, VIEWING))


def refined(data: SplatData, folder: Path, report: Reporter, timing: Timing = Timing()) -> Splats:  # noqa: B008
    """The splats after all steps. Interrupted in any way, the same call with the same folder resumes.

    The folder may hold others that are being refined; it is the caller's to remove.
    """
    settings = RunSettings(
        out=folder / fingerprint_of(data.recipe),
        placement=Placement(torch.device("cpu")),
        seed=data.settings.seed,
        timing=timing,
        measures=False,  # views that nothing is fitted to would have to be drawn first
    )
    train(FAMILY, data, settings, report)
    return splats_of(trained_modules(FAMILY, data, settings.out, settings.placement))


def splats_of(modules: Mapping[str, nn.Module]) -> Splats:
    """The splats as they are now."""
    module = modules[SplatFamily.name]
    assert isinstance(module, SplatModule)
    return module.splats()


def likeness(splats: Splats, targets: Sequence[Target]) -> float:
    """The mean PSNR in dB between drawn splats and targets."""
    drawer = SplatRenderer(splats)
    psnrs = [error_of(drawer.draw(target.camera), target, splats.encoding).psnr for target in targets]
    return float(np.mean(psnrs))


FAMILY = SplatFamily()
