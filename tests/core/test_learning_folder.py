"""A run on disk: it resumes after a kill, and refuses what is not its own."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from neuron_core.learning.outcome import METRICS, Outcome, read_curve
from neuron_core.learning.plan import Best, Position, Trend
from neuron_core.learning.prefetch import Ahead
from neuron_core.learning.run_folder import CHECKPOINT, RunFolder
from neuron_core.learning.stored import RunError, load_tensors, save_tensors
from tests.core import learning_laws as laws
from tests.core.toy_objectives import SETUPS, fit, network

PROJECT = Path(__file__).resolve().parents[2]

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.core import learning_laws as laws
from tests.core.toy_objectives import fit
from neuron_core.learning.loop import Timing

def kill(position, metrics):
    if position.total == 8:
        with (Path(sys.argv[1]) / "metrics.jsonl").open("a") as file:
            file.write('{"stage": "fit", "st')  # torn
        os.kill(os.getpid(), signal.SIGKILL)

class Every5:
    now = 0
    def __call__(self):
        Every5.now += 1
        return Every5.now
timing = Timing(report_seconds=-1.0, checkpoint_seconds=12.0, clock=Every5())  # a checkpoint every few steps
laws.train(fit(12), Path(sys.argv[1]), timing=timing, observe=kill)
"""


def test_after_sigkill_the_curve_has_every_step_once(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    restored = RunFolder(tmp_path, "toy").restore() or pytest.fail("no checkpoint")
    assert 0 < restored.position.step < 7
    whole = laws.train(fit(12), tmp_path / "whole")
    again = laws.train(fit(12), tmp_path)
    assert [row["step"] for row in read_curve(again.curve)] == list(range(1, 13))
    assert read_curve(again.curve) == read_curve(whole.curve)


@pytest.mark.parametrize(
    "tail", [b'{"stage": "fit"', b'{"stage": "fit", "step": 3, "loss": 1}\n', b"\x00\x00"]
)
def test_rows_after_the_checkpoint_are_dropped_and_a_torn_one_is_not_read(tail, tmp_path):
    laws.train_until(fit(5), tmp_path, 3)
    length = (tmp_path / METRICS).stat().st_size
    with (tmp_path / METRICS).open("ab") as file:
        file.write(tail)
    if not tail.endswith(b"\n"):
        assert [row["step"] for row in read_curve(tmp_path / METRICS)] == [1, 2]
    RunFolder(tmp_path, "toy").restore()
    assert (tmp_path / METRICS).stat().st_size == length


def test_without_a_checkpoint_a_run_begins_anew_and_so_does_its_curve(tmp_path):
    (tmp_path / METRICS).write_text('{"stage": "fit", "step": 1, "loss": 1}\n')
    outcome = laws.train(fit(2), tmp_path)
    assert [row["step"] for row in read_curve(outcome.curve)] == [1, 2]


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path):
    position = Position(1, 5, 17, 2.5, 1.5, Trend(3.0, 2, 1, 0.5), Best(3.0, 12), None, {"loss": 0.1}, {}, "")
    parts = {
        "module.a": {"w.b": torch.randn(2, 3), "n": torch.arange(3)},
        "optimizer.x": {"0.step": torch.tensor(4.0)},
        "ema": {"a.w.b": torch.randn(2)},
        "objective": {"flags": torch.tensor([True, False])},
    }
    folder = RunFolder(tmp_path, "toy", ranks=2)
    folder.save(position, parts)
    restored = folder.restore()
    assert restored.position == position
    assert restored.parts.keys() == parts.keys()
    for name, part in parts.items():
        laws.assert_same_bits(restored.parts[name], part)
    assert restored.of("module").keys() == {"a"}


def saved(folder: Path, **changes: object) -> Path:
    laws.train_until(fit(5), folder, 3)
    tensors, metadata = load_tensors(folder / CHECKPOINT)
    run = {**json.loads(metadata["run"]), **changes}
    save_tensors(folder / CHECKPOINT, tensors, {**metadata, "run": json.dumps(run)})
    return folder / CHECKPOINT


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"family": "other"}, "family 'other'"),
        ({"ranks": 4}, "4 processes"),
        ({"position": {"step": 3}}, "where it stopped"),
        ({"position": {**asdict(Position()), "trend": 3}}, "where it stopped"),
        ({"position": None}, "where it stopped"),
        ({"position": {**asdict(Position()), "step": -1}}, "where it stopped"),
        ({"position": {**asdict(Position()), "step": 6}}, "step 6 of phase 1, which this run does not have"),
        ({"position": {**asdict(Position()), "phase": 1, "step": 1}}, "step 1 of phase 2, which this run"),
        ({"position": {**asdict(Position()), "phase": 7}}, "phase 8, which this run does not have"),
        ({"metrics_bytes": None}, "where it stopped"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(changes, said, tmp_path):
    saved(tmp_path, **changes)
    with pytest.raises(RunError, match=said):
        laws.train(fit(5), tmp_path)
    assert (tmp_path / CHECKPOINT).is_file() and read_curve(tmp_path / METRICS)


@pytest.mark.parametrize("part", [0, 7, 0.4, 0.99])
def test_a_damaged_checkpoint_is_refused_and_nothing_is_lost(part, tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part if part >= 1 else part * len(content))])
    with pytest.raises(RunError, match="checkpoint.safetensors is missing or damaged"):
        laws.train(fit(5), tmp_path)
    assert path.is_file() and read_curve(tmp_path / METRICS)


def test_a_checkpoint_that_does_not_count_its_tensors_is_of_an_older_version_and_resumed(tmp_path):
    whole, again = fit(5), fit(5)
    laws.train(whole, tmp_path / "whole")
    saved(tmp_path)
    tensors, metadata = load_tensors(tmp_path / CHECKPOINT)
    run = json.loads(metadata["run"])
    del run["tensors"]
    save_tensors(tmp_path / CHECKPOINT, tensors, {**metadata, "run": json.dumps(run)})
    laws.train(again, tmp_path)
    laws.assert_same_bits(laws.bits(again), laws.bits(whole))


def test_a_checkpoint_of_another_format_is_refused(tmp_path):
    save_tensors(tmp_path / CHECKPOINT, {"field.w": torch.ones(1)}, {"position": '{"stage": 0, "step": 3}'})
    with pytest.raises(RunError, match="another version of Neuron") as refused:
        laws.train(fit(5), tmp_path)
    assert "delete it" in refused.value.hint
    (tmp_path / CHECKPOINT).unlink()
    laws.train(fit(5), tmp_path)


def half(tensors, name):
    return {**tensors, name: tensors[name][:1]}


def double(tensors, name):
    return {**tensors, name: tensors[name].double()}


def without(tensors, name):
    return {key: value for key, value in tensors.items() if key != name}


def without_its_optimizer(tensors, name):
    return {key: value for key, value in tensors.items() if not key.startswith("optimizer.")}


def renamed(to):
    return lambda tensors, name: {to if key == name else key: value for key, value in tensors.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (half, "The checkpoint of the optimizer fit does not fit at 0.exp_avg."),
        (double, "The checkpoint of the optimizer fit does not fit at 0.exp_avg."),
        (without, "The checkpoint of the optimizer fit lacks 0.exp_avg."),
        (without_its_optimizer, "The checkpoint holds 4 tensors; 16 were written."),
        (renamed("optimizer.fit.0.more"), "The checkpoint of the optimizer fit does not fit at 0.more."),
        (
            renamed("optimizer.fit.9.exp_avg"),
            "The checkpoint of the optimizer fit does not fit at 9.exp_avg.",
        ),
        (renamed("module.more.a"), "The checkpoint has a module more, which this run does not have."),
        (renamed("more.a"), "The checkpoint has an unknown part, more."),
    ],
)
def test_what_the_run_does_not_have_or_lacks_is_named_and_the_checkpoint_kept(change, said, tmp_path):
    saved(tmp_path)
    tensors, metadata = load_tensors(tmp_path / CHECKPOINT)
    save_tensors(tmp_path / CHECKPOINT, change(tensors, "optimizer.fit.0.exp_avg"), metadata)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(RunError) as caught:
        laws.train(fit(5), tmp_path)
    assert caught.value.message == said and caught.value.hint
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_the_checkpoint_of_another_phase_is_refused(tmp_path):
    laws.train_until(SETUPS["gan"](), tmp_path, 3)
    setup = SETUPS["gan"]()
    setup.objectives = {"gan": lambda: fit().objectives["fit"]()}
    with pytest.raises(RunError, match="another phase"):
        laws.train(setup, tmp_path)


def test_a_checkpoint_that_no_record_belongs_to_is_not_resumed(tmp_path):
    laws.train_until(fit(5), tmp_path, 3)
    with RunFolder(tmp_path, "toy") as folder:
        assert folder.claim({"seed": 1}) == "fresh"
        assert folder.restore() is None
    assert not read_curve(tmp_path / METRICS)


def test_a_run_whose_weights_are_gone_is_trained_again(tmp_path):
    for state in ("fresh", "done", "resume"):
        with RunFolder(tmp_path, "toy") as folder:
            assert folder.claim({"seed": 1}) == state
            if state == "fresh":
                folder.finish({"net": network(1, 1, 1)}, Outcome(tmp_path, {"loss": 0.5}, steps=7))
            elif state == "done":
                found = folder.outcome()
                assert (found.steps, found.metrics, found.weights) == (7, {"loss": 0.5}, folder.weights)
                folder.weights.unlink()


def test_damaged_weights_of_a_finished_run_are_named_and_not_taken_for_a_result(tmp_path):
    for number, damage in enumerate((b"", b"x" * 300, None)):
        with RunFolder(tmp_path / str(number), "toy") as folder:
            assert folder.claim({"seed": 1}) == "fresh"
            folder.finish({"net": network(1, 2, 8, 1)}, Outcome(folder.path, {"loss": 1.0}))
            content = folder.weights.read_bytes()
            folder.weights.write_bytes(content[:-4] if damage is None else damage)
        with RunFolder(tmp_path / str(number), "toy") as folder:
            assert folder.claim({"seed": 1}) == "done"
            with pytest.raises(RunError, match="weights.safetensors is missing or damaged"):
                folder.outcome()


def test_weights_of_one_module_have_its_own_names_and_those_of_several_are_told_apart(tmp_path):
    folder = RunFolder(tmp_path)
    net, other = network(1, 2, 3, 1), network(2, 2, 1)
    folder.save_weights({"net": net})
    assert load_tensors(folder.weights)[0].keys() == net.state_dict().keys()
    folder.save_weights({"net": net, "other": other})
    twin, twin_other = network(7, 2, 3, 1), network(8, 2, 1)
    folder.load_weights({"net": twin, "other": twin_other})
    laws.assert_same_bits(twin.state_dict(), net.state_dict())
    laws.assert_same_bits(twin_other.state_dict(), other.state_dict())


def test_a_folder_that_does_not_write_changes_nothing(tmp_path):
    laws.train_until(fit(5), tmp_path, 3)
    with (tmp_path / METRICS).open("a") as file:
        file.write("torn")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    folder = RunFolder(tmp_path, "toy", writes=False)
    restored = folder.restore()
    folder.log("fit", 9, {})
    folder.save(restored.position, {})
    folder.save_weights({"net": network(1, 1, 1)})
    folder.drop_checkpoint()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# --- drawing ahead ---


def test_drawing_ahead_changes_nothing_but_the_time():
    asked = []

    def draw(step):
        asked.append(step)
        return step * 10

    ahead = Ahead(draw, last=6)
    assert [ahead.at(step) for step in (0, 1, 2, 5, 6)] == [0, 10, 20, 50, 60]
    assert sorted(asked) == [0, 1, 2, 3, 5, 6]


def test_what_drawing_ahead_raises_is_raised_by_its_step():
    def draw(step):
        if step == 1:
            raise ValueError("step 1")
        return step

    ahead = Ahead(draw)
    assert ahead.at(0) == 0
    with pytest.raises(ValueError, match="step 1"):
        ahead.at(1)
