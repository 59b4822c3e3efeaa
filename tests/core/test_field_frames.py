"""Learning from whole frames: rays go through the pixels they are said to, draws follow from the step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuron_core.cameras.camera import pixel_centers, rays
from neuron_core.datasets.contract import View, read_picture
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.foundation.progress import Silent
from neuron_core.kernels.training.raymarch import EMPTY_BLOCK, OCCUPIED, SOLID
from neuron_core.learning.distributed import Placement
from neuron_core.learning.loop import Loop
from neuron_core.learning.objective import Objective, Step
from neuron_core.learning.run_folder import RunFolder
from neuron_core.models.field import presets
from neuron_core.models.field.family import FieldFamily
from neuron_core.models.field.frame_data import FramePool, read_frames
from neuron_core.models.field.frames_objective import SOFTEST, FramesObjective
from tests.core.field_runs import config_of, shortened
from tests.core.small_fields import small_field
from tests.core.training_samples import COLORS, write_rendered

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> StoredDataset:
    return open_dataset(write_rendered(tmp_path_factory.mktemp("frames")))


@pytest.fixture(scope="module")
def pool(dataset: StoredDataset) -> FramePool:
    return read_frames(dataset, list(COLORS), CPU)


def objective_of(pool: FramePool, batch: int = 300) -> FramesObjective:
    field = small_field()
    objective = FramesObjective(field, pool, torch.ones(2, 3, field.spec.prompt_width), batch, 100, 7)
    objective.load_state({"cells": torch.full((8, 8, 8), OCCUPIED, dtype=torch.uint8)})
    return objective


def step_of(index: int) -> Step:
    return Step(index, index / 100, 7, "frames")


def figures(objective: FramesObjective, index: int) -> dict[str, float]:
    (turn,) = objective.turns(step_of(index))
    return {name: float(value) for name, value in turn.metrics.items()}


def test_rows_are_the_pixels_of_the_frames_in_order(dataset: StoredDataset, pool: FramePool) -> None:
    looks = torch.tensor([1, 0])
    batch = pool.batch(torch.arange(len(pool)), looks, torch.zeros(len(pool), 2))
    names = list(COLORS)
    cameras = [dataset.cameras[name] for name in dataset.splits["train"]]
    directions = np.concatenate([rays(c, *pixel_centers(c))[1].reshape(-1, 3) for c in cameras])
    np.testing.assert_allclose(batch.rays_d, directions, atol=1e-5)
    for look, colors in zip(looks.tolist(), batch.colors, strict=True):
        beauty = [
            read_picture(dataset, View(name, names[look])).reshape(-1, 4) for name in dataset.splits["train"]
        ]
        np.testing.assert_allclose(colors, np.concatenate(beauty), atol=2e-3)


def test_jitter_moves_rays_within_their_pixels(dataset: StoredDataset, pool: FramePool) -> None:
    camera = dataset.cameras[dataset.splits["train"][0]]
    width = camera.width
    rows, looks = torch.tensor([5 * width + 6]), torch.tensor([0])
    corner = pool.batch(rows, looks, torch.tensor([[0.5, 0.5]])).rays_d
    others = torch.tensor([5 * width + 7, 6 * width + 6, 6 * width + 7])
    around = torch.cat(
        [
            pool.batch(rows, looks, torch.zeros(1, 2)).rays_d,
            pool.batch(others, looks, torch.zeros(3, 2)).rays_d,
        ]
    )
    torch.testing.assert_close(
        corner[0], torch.nn.functional.normalize(around.mean(0), dim=0), atol=1e-4, rtol=0
    )


def test_gathering_ahead_changes_no_draw(pool: FramePool) -> None:
    ahead = objective_of(pool)
    for index in (1, 2, 3):
        alone = objective_of(pool)  # as after a restart
        assert figures(alone, index) == figures(ahead, index)


def test_rays_that_miss_are_rays_and_cost_no_samples(pool: FramePool) -> None:
    objective = objective_of(pool)
    cells = torch.zeros(8, 8, 8, dtype=torch.uint8)
    cells[3:5] = OCCUPIED
    objective.load_state({"cells": cells})
    found = figures(objective, 1)
    batch, _ = objective.draw(1)
    samples, hits, count = objective.sample(batch, step_of(1), 1.0)
    assert found["rays"] == 300 and len(hits.rays_o) < 300
    assert len(samples.ray_start) == len(hits.rays_o) == count


def test_a_batch_that_meets_nothing_teaches_nothing(pool: FramePool) -> None:
    objective = objective_of(pool)
    objective.load_state({"cells": torch.zeros(8, 8, 8, dtype=torch.uint8)})
    (turn,) = objective.turns(step_of(1))
    turn.loss.backward()
    assert turn.metrics["samples"] == 0 and np.isfinite(float(turn.metrics["loss"]))
    gradients = [p.grad for p in objective.field.geometry.parameters() if p.grad is not None]
    assert not any(gradient.any() for gradient in gradients)


def test_surfaces_begin_soft_and_end_as_they_are_drawn(pool: FramePool) -> None:
    objective = objective_of(pool)
    assert (
        objective.softness(0) == SOFTEST and objective.softness(50) == 1.0 and objective.softness(99) == 1.0
    )
    values = torch.linspace(-0.05, 0.05, 200)
    field = objective.field
    torch.testing.assert_close(field.sigmas(values, 2.0), field.sigmas(values / 2) / 2)


def test_frames_teach_nothing_about_mirrors(pool: FramePool) -> None:
    objective = objective_of(pool)
    mirror = set(objective.field.shader.mirror.parameters())
    taught = {
        parameter for one in objective.optimized() for group in one.groups for parameter in group.params
    }
    assert not taught & mirror and taught | mirror == set(objective.field.parameters())
    codes = torch.randn(50, 8) * 10
    assert objective.field.shader.gates(codes).max() < 1e-3


def test_a_run_on_frames_makes_its_cells_from_the_surface(dataset: StoredDataset, tmp_path: Path) -> None:
    plan = presets.FRAMES["cpu-demo"]
    short = replace(plan, phases=tuple(shortened(phase, 60, 512) for phase in plan.phases))
    family = FieldFamily({"frames": {"cpu-demo": short}})
    prepared = family.prepare(config_of(dataset.path, tmp_path, learn_from="frames"), Silent())
    built, kept = family.build(prepared, Placement(CPU)), []

    def frames() -> Objective:
        kept.append(built.objectives["frames"]())
        return kept[0]

    phases, folder = family.phases(prepared, "full"), RunFolder(tmp_path)
    make = {**built.objectives, "frames": frames}
    Loop(built.modules, phases, make, folder, seed=0, placement=Placement(CPU), report=Silent()).run()
    assert family.measure(built.modules, prepared, "val").metrics["psnr"] > 11
    labels = set(kept[0].state()["cells"].unique().tolist())
    assert {OCCUPIED, SOLID, EMPTY_BLOCK} <= labels
