"""The work whose trips are counted: a training step, a baked frame, a bake, a frame of a USD stage.

Inputs are small, since no file depends on sizes, and made from what comes with Neuron. Imports torch.
"""

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from neuron_core.bench.trips import Trips, measured
from neuron_core.cameras.dome import turntable
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.models.field.config import TrainConfig
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.tasks.bake.config import BakeConfig
from neuron_core.tasks.bake.run import run as run_bake
from neuron_core.tasks.dataset.run import run as run_dataset
from neuron_core.tasks.publish.config import PublishConfig
from neuron_core.tasks.publish.run import run as run_publish
from neuron_core.tasks.render.config import RenderConfig
from neuron_core.tasks.render.run import run as run_render
from neuron_core.tasks.train.run import run as run_training
from neuron_core.usd import adding, changing, layers, new_shot
from neuron_core.voxels.baked import read_baked

STEP = 20  # of each phase: the one that is watched
PLATE = 64  # pixels along the sides of frames


class Quiet:
    """A reporter from outside the engine, as every host brings its own."""

    def progress(self, *args: object) -> None:
        """Drop it."""

    def warn(self, message: str) -> None:
        """Drop it."""


QUIET = Quiet()


def training_step(folder: Path) -> Trips:
    """The step with the most files of all phases, from one update of the weights to the next."""
    data = folder / "dataset"
    wanted = DatasetConfig(
        data, materials="brushed-copper", views=2, val_views=1, test_views=1, resolution=16, spp=4
    )
    run_dataset(wanted, QUIET)
    watched: dict[int, Trips] = {}
    taken: dict[int, int] = {}

    def updated(optimizer: Optimizer, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        key = id(optimizer)
        taken[key] = taken.get(key, 0) + 1
        if taken[key] == STEP:
            watched[key] = Trips().__enter__()
        elif taken[key] == STEP + 1:
            watched[key].__exit__(None, None, None)

    hook = register_optimizer_step_post_hook(updated)
    config = TrainConfig(data, folder / "run", preset="cpu-demo", steps=8 * STEP, validate_every=0)
    try:
        run_training(config, QUIET)
    finally:
        hook.remove()
    return max(watched.values(), key=lambda trips: len(trips.files))


def asset_of(folder: Path) -> Path:
    """A baked asset, the same one for all that ask."""
    asset = folder / "asset.neuron"
    run_bake(BakeConfig(Path("library"), asset, prompt=("red paint",), resolution=32), QUIET)
    return asset


def baked_frame(folder: Path) -> Trips:
    """A frame of one asset in memory."""
    baked = read_baked(asset_of(folder))
    renderer = BakedRenderer(baked.nvf, baked.shader, baked.looks[baked.slugs()[0]])
    camera = turntable(1, (0.0, 0.0, 0.0), 3.0, 15.0, width=PLATE, height=PLATE)[0]
    return measured(lambda: renderer.render(camera))


def bake(folder: Path) -> Trips:
    """`neuron bake`: from the field that came with Neuron to a `.neuron` file with one look."""
    numbers = count()

    def work() -> None:
        out = folder / f"bake-{next(numbers)}.neuron"
        run_bake(BakeConfig(Path("library"), out, prompt=("red paint",), resolution=32), QUIET)

    return measured(work)


def stage_frame(folder: Path) -> Trips:
    """`neuron render`: a frame of a USD stage with two instances that interpenetrate."""
    library = folder / "library"
    run_publish(PublishConfig(asset_of(folder), library, name="ball"), QUIET)
    stage = folder / "shot.usda"
    new_shot.write_new(stage, new_shot.NewShot())
    with layers.editing(stage) as opened:
        for number in range(2):
            path = f"/World/ball_{number}"
            adding.add(opened, library / "ball" / "ball.usd", path)
            changing.change(opened, path, changing.Change(at=(0.3 * number, 0.0, 0.0)))
    numbers = count()

    def work() -> None:
        out = folder / f"frames-{next(numbers)}"
        size = f"{PLATE}x{PLATE}"
        run_render(RenderConfig(stage, out, cameras="/World/camera", frames="1", size=size), QUIET)

    return measured(work)


# What is measured, and the most files that it may pass through: docs/decisions/021-rooms-before-files.md.
WORKS = ((training_step, 19), (baked_frame, 6), (bake, 47), (stage_frame, 53))
