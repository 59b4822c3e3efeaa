"""Gates pass on one side of their threshold, refuse on the other, and say why with the figures."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.foundation.errors import FileError
from neuron_core.learning import gates
from neuron_core.learning.outcome import Outcome

FOLDER = Path("runs/a")
values = st.floats(-1e6, 1e6)


def outcome(folder=FOLDER, **metrics):
    return Outcome(folder, metrics)


@given(values, values)
def test_a_threshold_lets_through_what_is_on_its_side(value, threshold):
    up = gates.reaches("psnr", threshold).judge(outcome(psnr=value))
    down = gates.reaches("error", threshold, "min").judge(outcome(error=value))
    assert (up == "") == (value >= threshold)
    assert (down == "") == (value <= threshold)


@given(values, values, st.floats(0, 10))
def test_a_baseline_is_beaten_by_more_than_the_margin(value, other, by):
    run = Outcome(FOLDER, {"psnr": value}, baselines={"nearest": {"psnr": other}})
    assert (gates.beats("psnr", "nearest", by).judge(run) == "") == (value > other + by)
    assert (gates.beats("psnr", "nearest", by, "min").judge(run) == "") == (value < other - by)


def test_a_student_may_be_worse_by_the_gap():
    near = gates.near("psnr", 30.0, 1.0)
    assert near.judge(outcome(psnr=29.0)) == "" == near.judge(outcome(psnr=35.0))
    assert near.judge(outcome(psnr=28.5)) == "psnr is 28.5, 1.5 worse than the teacher; at most 1 is allowed."
    assert gates.near("error", 0.1, 0.05, "min").judge(outcome(error=0.2)) != ""
    assert gates.near("error", 0.1, 0.05, "min").judge(outcome(error=0.01)) == ""


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (gates.reaches("psnr", 30.0), "psnr is 28.5; at least 30 is needed."),
        (gates.reaches("psnr", 20.0, "min"), "psnr is 28.5; at most 20 is needed."),
        (gates.reaches("ssim", 0.9), "ssim was not measured."),
        (gates.near("ssim", 0.9, 0.1), "ssim was not measured."),
        (gates.beats("ssim", "nearest"), "ssim was not measured."),
        (gates.beats("psnr", "nearest"), "psnr of the baseline nearest was not measured."),
        (
            gates.beats("psnr", "copy", 0.3),
            "psnr is 28.5, not better by more than 0.3 than the 28.4 of the baseline copy.",
        ),
        (gates.beats("psnr", "best"), "psnr is 28.5, not better than the 29 of the baseline best."),
    ],
)
def test_refusals_name_the_figures(gate, said):
    run = Outcome(
        FOLDER, {"psnr": 28.5}, baselines={"nearest": {}, "copy": {"psnr": 28.4}, "best": {"psnr": 29.0}}
    )
    assert gate.judge(run) == said


@pytest.mark.parametrize("stopped", ["finished", "patience", "minutes"])
def test_runs_that_end_with_weights_finish(stopped):
    assert gates.finishes().judge(Outcome(FOLDER, {}, stopped=stopped)) == ""


def test_runs_that_do_not_say_why():
    broken = Outcome(FOLDER, {}, stopped="diverged", reason="The loss is NaN.")
    assert gates.finishes().judge(broken) == "The loss is NaN."
    assert gates.finishes().judge(Outcome(FOLDER, {}, stopped="failed")) == "The run at runs/a failed."


def test_figures_have_to_be_numbers():
    assert gates.measures().judge(outcome(psnr=math.inf, ssim=1.0)) == ""
    assert gates.measures().judge(outcome(ssim=1.0, psnr=math.nan)) == "psnr is NaN."
    assert gates.measures("ssim").judge(outcome(ssim=1.0)) == ""
    assert gates.measures("ssim", "psnr").judge(outcome(ssim=1.0)) == "psnr was not measured."


def write_curve(folder, name, curve):
    rows = (json.dumps({"step": index, name: value}) for index, value in enumerate(curve))
    (folder / "metrics.jsonl").write_text("".join(f"{row}\n" for row in rows))
    return outcome(folder)


@pytest.mark.parametrize(("last", "passes"), [(0.5, True), (0.51, False), (1.4, False)])
def test_a_loss_has_to_fall_by_a_factor(tmp_path, last, passes):
    run = write_curve(tmp_path, "loss", [1.0, 3.0, last])
    assert (gates.falls("loss", 0.5).judge(run) == "") == passes


def test_a_curve_has_to_end_on_a_plateau_without_spikes(tmp_path):
    ramp = [1.0 - 0.1 * min(index, 8) for index in range(14)]
    assert gates.settles("loss", 0.01).judge(write_curve(tmp_path, "loss", ramp)) == ""
    falling = gates.settles("loss", 0.01).judge(write_curve(tmp_path, "loss", ramp[:8]))
    assert falling == "loss still changes by more than 0.01 at the end; train for longer."
    ramp[12] += 2.0
    run = write_curve(tmp_path, "loss", ramp)
    assert "has 1 spike; at most 0" in gates.settles("loss", 0.01).judge(run)
    assert gates.settles("loss", 0.01, spikes=1).judge(run) == ""


def test_a_curve_that_is_not_there_is_refused(tmp_path):
    assert gates.falls().judge(outcome(tmp_path)) == "The metrics have no curve of loss."
    assert gates.settles("loss", 0.1).judge(outcome(tmp_path)) != ""


def test_a_student_has_to_be_smaller(tmp_path):
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    teacher.write_bytes(bytes(100))
    student.write_bytes(bytes(30))
    run = Outcome(tmp_path, {}, weights=student)
    assert gates.smaller(teacher, 0.3).judge(run) == ""
    assert gates.smaller(teacher, 0.25).judge(run) == (
        "The weights take 0.30 of the teacher's bytes; at most 0.25 is allowed."
    )
    assert gates.smaller(teacher, 0.3).judge(outcome(tmp_path)) == "The run has no weights."
    with pytest.raises(FileError, match="Cannot read the weights .*missing"):
        gates.smaller(tmp_path / "missing", 0.3).judge(run)


def test_the_first_gate_that_is_not_passed_refuses():
    order = (gates.finishes(), gates.reaches("psnr", 10.0), gates.reaches("psnr", 20.0))
    assert gates.refusal_of(order, outcome(psnr=25.0)) is None
    refusal = gates.refusal_of(order, outcome(psnr=5.0))
    assert refusal == ("reaches psnr 10", "psnr is 5; at least 10 is needed.")
    assert gates.refusal_of((), outcome()) is None
