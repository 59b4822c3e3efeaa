"""`neuron train` as a whole, on a ball that is a formula."""

import json
from dataclasses import replace

import pytest
import torch

from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import ClaimedError, ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.learning.loop import Timing
from neuron_core.learning.outcome import read_curve
from neuron_core.learning.run_folder import CHECKPOINT, RunFolder
from neuron_core.learning.stored import RunError, save_tensors
from neuron_core.models.field.trained import FIELD, RunInfo, load_run
from neuron_core.tasks.train.run import run as train
from tests.core.field_runs import DATASETS, config_of, small_family
from tests.core.training_samples import write_photographs

ALWAYS = Timing(report_seconds=-1.0)  # reports after every step


class StopAt(Silent):
    """Asks the run to stop when it reports a step of its last phase."""

    def __init__(self, step: int) -> None:
        self.step = step

    def progress(self, fraction, stage, message="", metrics=()):
        if stage != "geometry" and message.startswith(f"step {self.step}"):
            interrupts.request_stop()


@pytest.fixture(params=DATASETS)
def config(request, tmp_path):
    learn_from = "frames" if request.param == "frames" else "auto"
    return config_of(DATASETS[request.param](tmp_path / "data"), tmp_path / "run", learn_from=learn_from)


def test_a_stopped_run_ends_byte_for_byte_where_an_unstopped_one_ends(config, tmp_path):
    whole, family = replace(config, out=tmp_path / "whole"), small_family()
    train(whole, Silent(), family, ALWAYS)
    for step in (2, 4):
        with pytest.raises(interrupts.Stopped):
            train(config, StopAt(step), family, ALWAYS)
        interrupts.clear()
        with pytest.raises(RunError, match="not finished"):
            load_run(config.out)
    train(config, Silent(), family, ALWAYS)
    assert (whole.out / FIELD).read_bytes() == (config.out / FIELD).read_bytes()
    assert read_curve(whole.out / "metrics.jsonl") == read_curve(config.out / "metrics.jsonl")
    assert not (config.out / CHECKPOINT).exists()


def test_the_same_command_again_reports_that_it_is_done(config):
    family = small_family()
    first = train(config, Silent(), family)
    written = (config.out / FIELD).stat().st_mtime_ns
    again = train(config, Silent(), family)
    assert (config.out / FIELD).stat().st_mtime_ns == written
    assert again["metrics"] == first["metrics"] and "already" in str(again["summary"])
    with pytest.raises(ConfigMismatchError, match="seed 0 instead of 5"):
        train(replace(config, seed=5), Silent(), family)
    train(replace(config, seed=5, overwrite=True), Silent(), family)
    field, info = load_run(config.out)
    assert info.config["seed"] == 5 and all(torch.isfinite(p).all() for p in field.parameters())


def test_a_run_of_so_many_minutes_ends_with_them(config):
    class Clock:
        now = 0.0

        def __call__(self):
            self.now += 1.0
            return self.now

    train(replace(config, minutes=0.5), Silent(), small_family(), Timing(clock=Clock()))
    last = read_curve(config.out / "metrics.jsonl")[-1]
    outcome = json.loads((config.out / "outcome.json").read_text())
    assert 30 <= outcome["seconds"] < 45 and outcome["stopped"] == "minutes"
    assert last["step"] == outcome["steps"] > 6


def test_a_folder_that_another_process_trains_into_is_refused(config):
    with RunFolder(config.out, "field", weights=FIELD) as other:
        other.claim({"anything": 1})
        with pytest.raises(ClaimedError, match="in use"):
            train(replace(config, overwrite=True), Silent(), small_family())


def test_a_checkpoint_of_an_older_neuron_is_refused_and_kept(config):
    family = small_family()
    with pytest.raises(interrupts.Stopped):
        train(config, StopAt(2), family, ALWAYS)
    interrupts.clear()
    save_tensors(config.out / CHECKPOINT, {"field.x": torch.ones(1)}, {"position": '{"stage": 0, "step": 2}'})
    with pytest.raises(RunError, match="another version of Neuron"):
        train(config, Silent(), family)
    (config.out / CHECKPOINT).unlink()
    train(config, Silent(), family)
    assert RunInfo.read(config.out).finished


def test_black_photographs_train_to_black(tmp_path):
    dataset = write_photographs(tmp_path / "data", black=True)
    result = train(config_of(dataset, tmp_path / "run", steps=120), Silent(), small_family())
    assert result["metrics"]["psnr"] > 18


def test_validation_pictures_show_truth_and_field(config):
    train(replace(config, validate_every=4), Silent(), small_family())
    assert (config.out / "previews" / "step_000004.png").read_bytes().startswith(b"\x89PNG")


def test_photographs_have_no_surface_to_learn_from(tmp_path):
    photographs = write_photographs(tmp_path / "photographs")
    with pytest.raises(NeuronError, match="no surface"):
        train(config_of(photographs, tmp_path / "run", learn_from="surface"), Silent())
