"""Runs of a campaign do what their recipes say, wherever they are launched, and say how they ended."""

import json
import signal
import sys
from pathlib import Path

import pytest
import torch

from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.learning.campaign import Campaign, GateError, run_campaign
from neuron_core.learning.distributed import Placement
from neuron_core.learning.launch import Command, InProcess, LaunchError
from neuron_core.learning.ledger import Recipe
from neuron_core.learning.outcome import Outcome
from neuron_core.learning.rungs import rungs_of
from neuron_core.learning.stored import load_tensors
from tests.core import learning_laws as laws
from tests.core.toy_family import ToyConfig, ToyFamily
from tests.core.toy_objectives import network

CPU = torch.device("cpu")


def in_process(folder, family=None, **settings):
    config = ToyConfig(Path("data"), folder, **settings)
    return InProcess(family or ToyFamily(), config, folder, Placement(CPU))


def launched(folder, recipe, **settings):
    return in_process(folder, **settings)(recipe, folder / recipe.run, Silent())


def weights(outcome):
    return load_tensors(outcome.weights)[0]


# --- what recipes say ---


def test_a_run_is_trained_into_its_folder_and_measured_beside_baselines(tmp_path):
    found = launched(tmp_path, Recipe("production"))
    assert found.folder == tmp_path / "production" and found.weights == found.folder / "toy.safetensors"
    assert found.stopped == "finished" and found.steps == 12
    assert found.metrics["score"] > found.baselines["zero"]["score"] - 1


@pytest.mark.parametrize(("size", "steps"), [("smoke", 4), ("trial", 6), ("full", 12)])
def test_sizes_have_their_steps(size, steps, tmp_path):
    assert launched(tmp_path, Recipe("a", size)).steps == steps


def test_settings_reach_the_config_and_the_rate_all_phases(tmp_path):
    wide = launched(tmp_path, Recipe("wide", settings={"width": 16}))
    assert weights(wide)["0.weight"].shape == (16, 2)
    before = network(0, 2, 8, 1).state_dict()["2.bias"]
    slow, fast = (
        weights(launched(tmp_path, Recipe(name, settings={"rate": rate})))["2.bias"] - before
        for name, rate in (("slow", 0.05), ("fast", 0.1))
    )
    torch.testing.assert_close(
        fast, 2 * slow, rtol=1e-2, atol=0
    )  # Adam's first steps are as long as the rate


def test_a_recipe_without_settings_is_an_ordinary_run(tmp_path):
    run = launched(tmp_path, Recipe("a"))
    content = json.loads((run.folder / "run.json").read_text())
    assert content["recipe"] == {"width": 8, "seed": 0}
    other = json.loads(
        (launched(tmp_path, Recipe("b", "trial", {"rate": 2.0})).folder / "run.json").read_text()
    )
    assert other["recipe"] == {"width": 8, "seed": 0, "size": "trial", "rate": 2.0}


def test_a_finished_run_says_again_how_it_ended(tmp_path):
    first = launched(tmp_path, Recipe("a"))
    stamp = (tmp_path / "a" / "toy.safetensors").stat().st_mtime_ns
    again = launched(tmp_path, Recipe("a"))
    assert again == first and (tmp_path / "a" / "toy.safetensors").stat().st_mtime_ns == stamp


# --- teachers ---


def test_a_student_learns_from_its_teacher_and_is_smaller(tmp_path):
    teacher = launched(tmp_path, Recipe("production"))
    taught = launched(tmp_path, Recipe("distillation/taught", student=True, teacher="production"))
    alone = launched(tmp_path, Recipe("distillation/alone", student=True))
    assert weights(taught)["0.weight"].shape == weights(alone)["0.weight"].shape == (4, 2)
    assert not torch.equal(weights(taught)["0.weight"], weights(alone)["0.weight"])
    assert (taught.folder / "teacher" / "teacher.json").is_file()
    laws.assert_same_bits(weights(teacher), weights(launched(tmp_path, Recipe("production"))))


def test_a_student_of_another_teacher_is_refused(tmp_path):
    recipe = Recipe("distillation/taught", student=True, teacher="production")
    launched(tmp_path, Recipe("production"))
    launched(tmp_path, recipe)
    for path in (tmp_path / "production").iterdir():
        path.unlink()
    launched(tmp_path, Recipe("production", settings={"rate": 3.0}))
    with pytest.raises(NeuronError, match="another config or dataset: teacher"):
        launched(tmp_path, recipe)


# --- faults ---

FAULTS = {
    "nan": "Training diverged at step 2 of the fit phase: error is NaN.",
    "shape": "Step 0 of the fit phase fails: ",
    "build": "The smoke run fails: ",
    "frozen": "net.0.weight, net.0.bias of the optimizer fit got no gradient in 4 steps of the fit phase.",
    "uphill": "The loss of the optimizer fit does not fall in 16 steps on one batch of the fit phase: error",
    "generator": "A resumed run does not repeat step 10 of the fit phase: error is ",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_stop_in_smoke_with_a_sentence_that_names_them(fault, tmp_path):
    launch = in_process(tmp_path, fault=fault)
    campaign = Campaign(tmp_path, "toy", {}, rungs_of(launch.family.goals, {"rate": 1.0}, 2, 0, True))
    with pytest.raises(GateError) as caught:
        run_campaign(campaign, launch, Silent())
    assert caught.value.message.startswith(f"The smoke rung stopped the campaign: {FAULTS[fault]}")
    assert caught.value.message.count("\n") == 0


def test_a_fault_that_was_mended_lets_the_campaign_through(tmp_path):
    goals = ToyFamily(student_gap=9.0).goals
    campaign = Campaign(tmp_path, "toy", {}, rungs_of(goals, {"rate": 1.0, "width": 8}, 2, 0, True))
    with pytest.raises(GateError):
        run_campaign(campaign, in_process(tmp_path, fault="nan"), Silent())
    ledger = run_campaign(campaign, in_process(tmp_path), Silent())
    assert list(ledger.promoted) == ["smoke", "calibration", "production", "distillation"]


@pytest.mark.parametrize("size", ["smoke", "trial"])
def test_a_model_too_large_for_its_device_is_a_failed_run(size, tmp_path):
    found = launched(tmp_path, Recipe("a", size), fault="memory")
    assert found.stopped == "failed" and "does not fit the memory" in found.reason


def test_faults_of_code_outside_smoke_are_not_swallowed(tmp_path):
    with pytest.raises(RuntimeError):
        launched(tmp_path, Recipe("a"), fault="build")


def test_faults_of_the_machine_are_not_those_of_the_run(tmp_path):
    (tmp_path / "a").write_text("a file where a folder should be")
    with pytest.raises(FileError):
        launched(tmp_path, Recipe("a"))


# --- commands ---

SAYS = """
import json, os, signal, sys, time
def say(**event): print(json.dumps(event), flush=True)
assert sys.argv[1:] == ["--run", "production", "--json"], sys.argv
"""


def command(tmp_path, body):
    script = tmp_path / "says.py"
    script.write_text(SAYS + body)
    return Command((sys.executable, str(script)), "toy.safetensors")


class Listener(Silent):
    def __init__(self):
        self.seen = []

    def progress(self, fraction, stage, message="", metrics=()):
        self.seen.append((fraction, stage, message, dict(metrics)))


def test_a_command_reports_and_its_outcome_is_that_of_the_folder(tmp_path):
    there = launched(tmp_path, Recipe("production"))
    listener = Listener()
    launch = command(
        tmp_path,
        "print('a launcher talks')\nprint('[1]')\n"
        "say(event='progress', fraction=0.5, stage='fit', message='step 3', metrics={'loss': 2})\n"
        "say(event='result', run='x')\n",
    )
    assert launch(Recipe("production"), there.folder, listener) == there
    assert listener.seen == [(0.5, "fit", "step 3", {"loss": 2})]


def test_a_command_s_fault_is_an_outcome(tmp_path):
    launch = command(
        tmp_path, "say(event='error', kind='diverged', message='It is NaN.', hint='')\nsys.exit(2)\n"
    )
    found = launch(Recipe("production"), tmp_path / "production", Silent())
    assert found == Outcome(tmp_path / "production", {}, stopped="diverged", reason="It is NaN.")


def test_an_error_of_a_command_s_machine_stops_the_campaign(tmp_path):
    launch = command(
        tmp_path, "say(event='error', kind='file', message='No space.', hint='Make room.')\nsys.exit(2)\n"
    )
    with pytest.raises(LaunchError, match=r"^No space.$") as caught:
        launch(Recipe("production"), tmp_path / "production", Silent())
    assert caught.value.hint == "Make room."


def test_a_command_that_is_killed_is_named_with_its_exit_code(tmp_path):
    launch = command(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(LaunchError, match="process of the run production ended with exit code -9"):
        launch(Recipe("production"), tmp_path / "production", Silent())


def test_whoever_stops_the_campaign_stops_the_command(tmp_path):
    launch = command(
        tmp_path,
        "def end(*_):\n  say(event='progress', fraction=1, stage='saved')\n  os._exit(143)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "say(event='progress', fraction=0, stage='fit')\ntime.sleep(100)\n",
    )

    class Stops(Listener):
        def progress(self, fraction, stage, message="", metrics=()):
            super().progress(fraction, stage, message, metrics)
            interrupts.request_stop()

    listener = Stops()
    try:
        with pytest.raises(interrupts.Stopped) as caught:
            launch(Recipe("production"), tmp_path / "production", listener)
    finally:
        interrupts.clear()
    assert [stage for _, stage, *_ in listener.seen] == ["fit", "saved"]
    assert caught.value.exit_code == 128 + signal.SIGTERM
