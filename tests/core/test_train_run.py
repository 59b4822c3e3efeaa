"""`neuron train` as a whole, on a ball that is a formula."""

import json
import time
from dataclasses import replace

import pytest
import torch

from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import ConfigMismatchError
from neuron_core.foundation.progress import Silent
from neuron_core.models.field import checkpoint, presets
from neuron_core.models.field.checkpoint import FIELD, load_run
from neuron_core.models.field.config import TrainConfig
from neuron_core.tasks.train import run as train
from tests.core.training_samples import write_photographs, write_rendered


class StopAt(Silent):
    """Asks the run to stop when it tells of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def progress(self, fraction, stage, message="", metrics=()):
        if message.startswith(f"step {self.step}"):
            interrupts.request_stop()


@pytest.fixture(autouse=True)
def small_and_told(monkeypatch):
    """Small batches, progress after every step, and no stop left over."""
    monkeypatch.setattr(interrupts, "_received", None)
    monkeypatch.setattr("neuron_core.models.field.loop.REPORT_SECONDS", -1.0)
    for plans in (presets.SURFACE_PLANS, presets.PHOTOGRAPH_PLANS):
        small = {name: replace(stage, batch=64, steps=6) for name, stage in plans["cpu-demo"].stages.items()}
        monkeypatch.setitem(plans, "cpu-demo", presets.Plan(small, 1 << 10))


@pytest.fixture(params=["rendered", "photographs", "transparent"])
def dataset(request, tmp_path):
    if request.param == "rendered":
        return write_rendered(tmp_path / "data")
    return write_photographs(tmp_path / "data", transparent=request.param == "transparent")


def config_of(dataset, out, **changes) -> TrainConfig:
    return TrainConfig(
        dataset, out, **{"preset": "cpu-demo", "validate_every": 0, "device": "cpu", **changes}
    )


def test_a_stopped_run_ends_byte_for_byte_where_an_unstopped_one_ends(dataset, tmp_path):
    whole, parts = config_of(dataset, tmp_path / "whole"), config_of(dataset, tmp_path / "parts")
    train.run(whole, Silent())
    stopped = 0
    for step in (2, 4):
        with pytest.raises(interrupts.Stopped):
            train.run(parts, StopAt(step))
        interrupts._received = None
        stopped += 1
        with pytest.raises(checkpoint.RunError, match="not finished"):
            load_run(parts.out)
    train.run(parts, Silent())
    assert (whole.out / FIELD).read_bytes() == (parts.out / FIELD).read_bytes()
    assert not (parts.out / checkpoint.CHECKPOINT).exists()


def test_the_same_command_again_reports_that_it_is_done(dataset, tmp_path):
    config = config_of(dataset, tmp_path / "run")
    first = train.run(config, Silent())
    written = (config.out / FIELD).stat().st_mtime_ns
    again = train.run(config, Silent())
    assert (config.out / FIELD).stat().st_mtime_ns == written
    assert again["metrics"] == first["metrics"] and "already" in str(again["summary"])
    with pytest.raises(ConfigMismatchError):
        train.run(replace(config, seed=5), Silent())
    train.run(replace(config, seed=5, overwrite=True), Silent())
    field, info = load_run(config.out)
    assert info.config["seed"] == 5 and all(torch.isfinite(p).all() for p in field.parameters())


def test_a_run_of_so_many_minutes_ends_in_time(dataset, tmp_path):
    config = config_of(dataset, tmp_path / "run", minutes=0.02)
    started = time.perf_counter()
    train.run(config, Silent())
    assert time.perf_counter() - started < 20
    lines = (config.out / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] >= 1


def test_black_photographs_train_to_black(tmp_path):
    dataset = write_photographs(tmp_path / "data", black=True)
    result = train.run(config_of(dataset, tmp_path / "run", steps=30), Silent())
    assert result["metrics"]["psnr"] > 10


def test_validation_pictures_show_truth_and_field(dataset, tmp_path):
    config = config_of(dataset, tmp_path / "run", validate_every=4)
    train.run(config, Silent())
    assert (config.out / "previews" / "step_000004.png").read_bytes().startswith(b"\x89PNG")
