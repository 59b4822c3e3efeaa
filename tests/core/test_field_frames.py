"""Learning from whole frames: rays go through the pixels they are said to, draws follow from the step."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuron_core.cameras.camera import pixel_centers, rays
from neuron_core.datasets.contract import View, read_picture
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.kernels.training.raymarch import EMPTY_BLOCK, OCCUPIED, SOLID
from neuron_core.models.field import presets
from neuron_core.models.field.checkpoint import FIELD
from neuron_core.models.field.config import TrainConfig
from neuron_core.models.field.frame_data import FramePool, read_frames
from neuron_core.models.field.frame_stage import SOFTEST, FrameStage
from neuron_core.tasks.train import run as train
from tests.core.small_fields import small_field
from tests.core.training_samples import COLORS, write_photographs, write_rendered

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> StoredDataset:
    return open_dataset(write_rendered(tmp_path_factory.mktemp("frames")))


@pytest.fixture(scope="module")
def pool(dataset: StoredDataset) -> FramePool:
    return read_frames(dataset, list(COLORS), CPU)


def stage_of(pool: FramePool, batch: int = 300) -> FrameStage:
    field = small_field()
    stage = FrameStage(field, pool, torch.ones(2, 3, field.spec.prompt_width), batch, 100, 7)
    stage.load_state({"cells": torch.full((8, 8, 8), OCCUPIED, dtype=torch.uint8)})
    return stage


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
    ahead, alone = stage_of(pool), stage_of(pool)
    for step in (1, 2, 3):
        told = ahead.backward(step)
        ahead.field.zero_grad()
        alone._next = None  # as after a restart
        assert alone.backward(step) == told
        alone.field.zero_grad()


def test_rays_that_miss_are_rays_and_cost_no_samples(pool: FramePool) -> None:
    stage = stage_of(pool)
    cells = torch.zeros(8, 8, 8, dtype=torch.uint8)
    cells[3:5] = OCCUPIED
    stage.load_state({"cells": cells})
    told = stage.backward(1)
    batch, _ = stage.draw(1)
    samples, met = stage.sample(batch, 1, 1.0)
    assert told["rays"] == 300 and len(met.rays_o) < 300 and len(samples.ray_start) == len(met.rays_o)


def test_a_batch_that_meets_nothing_teaches_nothing(pool: FramePool) -> None:
    stage = stage_of(pool)
    stage.load_state({"cells": torch.zeros(8, 8, 8, dtype=torch.uint8)})
    told = stage.backward(1)
    assert told["samples"] == 0 and np.isfinite(told["loss"])
    gradients = [p.grad for p in stage.field.geometry.parameters() if p.grad is not None]
    assert not any(gradient.any() for gradient in gradients)


def test_surfaces_begin_soft_and_end_as_they_are_drawn(pool: FramePool) -> None:
    stage = stage_of(pool)
    assert stage.softness(0) == SOFTEST and stage.softness(50) == 1.0 and stage.softness(99) == 1.0
    values = torch.linspace(-0.05, 0.05, 200)
    field = stage.field
    torch.testing.assert_close(field.sigmas(values, 2.0), field.sigmas(values / 2) / 2)


def test_frames_teach_nothing_about_mirrors(pool: FramePool) -> None:
    stage = stage_of(pool)
    mirror = set(stage.field.shader.mirror.parameters())
    groups = list(stage.parameters())
    taught = {p for group in groups for p in group["params"]}  # type: ignore[attr-defined]
    assert not taught & mirror and taught | mirror == set(stage.field.parameters())
    codes = torch.randn(50, 8) * 10
    assert stage.field.shader.gates(codes).max() < 1e-3


def test_a_run_on_frames_makes_its_cells_from_the_surface(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = presets.FRAME_PLANS["cpu-demo"]
    small = {name: replace(stage, batch=512, steps=60) for name, stage in plan.stages.items()}
    monkeypatch.setitem(presets.FRAME_PLANS, "cpu-demo", presets.Plan(small))
    kept: list[FrameStage] = []
    make = FrameStage.backward

    def noted(self: FrameStage, step: int) -> Mapping[str, float]:
        kept.append(self)
        return make(self, step)

    monkeypatch.setattr(FrameStage, "backward", noted)
    config = TrainConfig(
        dataset.path, tmp_path / "run", "cpu-demo", learn_from="frames", device="cpu", validate_every=0
    )
    result = train.run(config, Silent())
    assert result["metrics"]["psnr"] > 11  # type: ignore[index]
    labels = set(kept[-1].state()["cells"].unique().tolist())
    assert {OCCUPIED, SOLID, EMPTY_BLOCK} <= labels


class StopAt(Silent):
    """Asks the run to stop in the middle of the second stage."""

    def progress(
        self, fraction: float, stage: str, message: str = "", metrics: Mapping[str, float] | None = None
    ) -> None:
        """Counts steps of frames."""
        if stage == "frames" and message.startswith("step 3"):
            interrupts.request_stop()


def test_a_stopped_run_on_frames_ends_byte_for_byte_as_an_unstopped_one(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "_received", None)
    monkeypatch.setattr("neuron_core.models.field.loop.REPORT_SECONDS", -1.0)
    plan = presets.FRAME_PLANS["cpu-demo"]
    small = {name: replace(stage, batch=64, steps=6) for name, stage in plan.stages.items()}
    monkeypatch.setitem(presets.FRAME_PLANS, "cpu-demo", presets.Plan(small))
    config = TrainConfig(
        dataset.path, tmp_path / "whole", "cpu-demo", learn_from="frames", device="cpu", validate_every=0
    )
    parts = replace(config, out=tmp_path / "parts")
    train.run(config, Silent())
    with pytest.raises(interrupts.Stopped):
        train.run(parts, StopAt())
    monkeypatch.setattr(interrupts, "_received", None)
    train.run(parts, Silent())
    assert (parts.out / FIELD).read_bytes() == (config.out / FIELD).read_bytes()


def test_photographs_have_no_surface_to_learn_from(tmp_path: Path) -> None:
    photographs = write_photographs(tmp_path / "photographs")
    with pytest.raises(NeuronError, match="no surface"):
        train.run(TrainConfig(photographs, tmp_path / "run", learn_from="surface"), Silent())
