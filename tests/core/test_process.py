"""What other programs rely on: lines on standard output, exit codes, signals, in real processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TASK = '''
"""A task that does what its name says."""

import os, sys, time
from dataclasses import dataclass

from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import NeuronError


@dataclass(frozen=True)
class ToyConfig:
    """Behave in one way."""

    behavior: str  # how


def run(config, report):
    return globals()[config.behavior](report)


def finish(report):
    os.write(1, b"chatter of a library\\n")
    print("chatter of Python")
    for step in range(1000):
        report.progress(step / 999, "work", "going", {"loss": float("nan"), "step": step})
    report.warn("a little off")
    return {"figure": float("inf"), "summary": "well done"}


def refuse(report):
    raise NeuronError("There is no field at nowhere.", "Train one first.")


def break_down(report):
    report.progress(0.5, "work")
    return {}["missing"]


def fill_memory(report):
    raise MemoryError


def wait(report):
    report.progress(0.1, "work")
    report.progress(0.2, "work", "waiting")
    while True:
        interrupts.stop_if_requested()
        time.sleep(0.01)


def chat(report):
    for step in range(100_000):
        interrupts.stop_if_requested()
        report.progress(0.5, f"stage{step}")
    return {"step": step}
'''

START = """
import sys
import neuron_core.cli.registry as registry
from neuron_core.cli.registry import Task
registry.TASKS = (*registry.TASKS, Task("toy", "a toy", ("behavior",), "toy:ToyConfig", "toy:run"))
from neuron_core.cli import main
sys.exit(main())
"""

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and pipes")


@pytest.fixture
def toy(tmp_path):
    """The command line of a process that has the toy task beside the real ones."""
    (tmp_path / "toy.py").write_text(TASK)
    (tmp_path / "start.py").write_text(START)
    return [sys.executable, str(tmp_path / "start.py"), "toy"]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), **options)


def start(command, **options):
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), **options
    )


def events_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_json_is_progress_and_then_one_result_whatever_libraries_print(toy):
    done = run([*toy, "finish", "--json"])
    *progress, result = events_of(done.stdout)
    assert done.returncode == 0
    assert {event["event"] for event in progress} == {"progress"}
    assert result == {
        "event": "result",
        "figure": None,
        "summary": "well done",
        "warnings": ["a little off"],
    }
    assert "chatter of a library" in done.stderr and "chatter of Python" in done.stderr


def test_progress_is_thinned_out_but_its_end_is_always_there(toy):
    *progress, _ = events_of(run([*toy, "finish", "--json"]).stdout)
    assert len(progress) < 50
    assert progress[-1]["metrics"]["step"] == 999
    assert progress[-1]["fraction"] == 1.0
    assert progress[-1]["metrics"]["loss"] is None
    steps = [event["metrics"]["step"] for event in progress]
    assert steps == sorted(steps)


def test_people_get_the_summary_alone_on_standard_output(toy):
    done = run([*toy, "finish"])
    assert (done.returncode, done.stdout) == (0, "well done\n")
    assert "work" in done.stderr and "warning: a little off" in done.stderr


def test_a_user_error_is_one_line_and_a_hint(toy):
    done = run([*toy, "refuse"])
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "neuron toy: There is no field at nowhere.\n  Train one first.\n"


def test_a_user_error_is_one_event(toy):
    done = run([*toy, "refuse", "--json"])
    assert done.returncode == 2
    assert events_of(done.stdout) == [
        {
            "event": "error",
            "kind": "input",
            "message": "There is no field at nowhere.",
            "hint": "Train one first.",
        }
    ]


def test_debug_shows_where_it_happened(toy):
    done = run([*toy, "refuse", "--debug"])
    assert "Traceback" in done.stderr and "in refuse" in done.stderr


def test_a_mistake_of_ours_is_internal_and_asks_for_debug(toy):
    done = run([*toy, "break_down", "--json"])
    progress, error = events_of(done.stdout)
    assert done.returncode == 1
    assert (progress["event"], error["event"], error["kind"]) == ("progress", "error", "internal")
    assert "KeyError" in error["message"] and "--debug" in error["hint"]
    assert "Traceback" not in done.stderr


def test_too_little_memory_is_said_so(toy):
    done = run([*toy, "fill_memory", "--json"])
    assert done.returncode == 2
    assert events_of(done.stdout)[-1]["kind"] == "memory"


@pytest.mark.parametrize("words", [["trian"], ["train"], ["train", "a", "b", "--stepz", "4"], ["train", "a"]])
def test_wrong_arguments_are_an_error_event_too(words):
    done = run([sys.executable, "-m", "neuron_core", *words, "--json"])
    (error,) = events_of(done.stdout)
    assert done.returncode == 2
    assert (error["event"], error["kind"]) == ("error", "arguments")
    assert error["message"] and error["hint"]


def test_a_missing_file_is_an_error_event():
    done = run([sys.executable, "-m", "neuron_core", "inspect", "missing.neuron", "--json"])
    error = events_of(done.stdout)[-1]
    assert done.returncode == 2
    assert error["event"] == "error" and "missing.neuron" in error["message"]


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_task_where_nothing_is_lost(toy, number, code):
    with start([*toy, "wait", "--json"]) as process:
        first = json.loads(process.stdout.readline())
        process.send_signal(number)
        out, _ = process.communicate()
    last, error = events_of(out)
    assert process.returncode == code
    assert first["fraction"] == 0.1
    assert (last["event"], last["message"]) == ("progress", "waiting")
    assert (error["event"], error["kind"]) == ("error", "stopped")
    assert "resumes" in error["hint"]


@posix
def test_a_signal_is_told_to_people_without_a_traceback(toy):
    with start([*toy, "wait"]) as process:
        while "work" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        out, complaint = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert "Stopped" in complaint and "Traceback" not in complaint


@posix
def test_a_reader_that_left_stops_the_task_quietly(toy):
    with start([*toy, "chat", "--json"]) as process:
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()
        process.wait()
    assert process.returncode == 143
    assert "Traceback" not in complaint and "Exception ignored" not in complaint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_answer_that_cannot_be_written_is_an_error(toy):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*toy, "finish", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment(),
        )
    assert done.returncode == 2
    assert "standard output" in done.stderr and "Traceback" not in done.stderr


@posix
def test_a_closed_standard_output_is_no_problem(toy):
    done = run(["sh", "-c", 'exec "$@" >&-', "sh", *toy, "finish"])
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_help_and_version_go_to_standard_output():
    asked = {"--help": "neuron TASK", "--version": "neuron ", "train --help": "DATASET"}
    for words, said in asked.items():
        done = run([sys.executable, "-m", "neuron_core", *words.split()])
        assert done.returncode == 0 and said in done.stdout and not done.stderr


def test_help_is_a_result_for_programs():
    (result,) = events_of(run([sys.executable, "-m", "neuron_core", "--help", "--json"]).stdout)
    assert result["event"] == "result" and "train" in result["summary"]


@posix
def test_a_terminal_gets_a_bar_and_standard_output_stays_clean(toy):
    import pty

    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [*toy, "finish"], stdout=subprocess.PIPE, stderr=terminal, text=True, env=environment()
    ) as process:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal's output is an error on Linux
            while block := os.read(controller, 4096):
                shown += block
        assert process.stdout.read() == "well done\n"
    os.close(controller)
    assert process.returncode == 0
    assert "100%" in shown.decode() and "warning: a little off" in shown.decode()


@posix
def test_a_stopped_rendering_goes_on_when_it_is_called_again(tmp_path):
    words = "--materials oak-wood --views 6 --val-views 0 --test-views 1 --resolution 16 --spp 1"
    command = [sys.executable, "-m", "neuron_core", "dataset", str(tmp_path / "out"), *words.split()]
    command += ["--truth-spp", "2", "--variant", "scalar", "--json"]
    with start(command) as process:
        for line in process.stdout:
            if json.loads(line)["stage"] == "render":
                break
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 130
    assert events_of(out)[-1]["kind"] == "stopped"
    done = run(command)
    assert done.returncode == 0
    assert events_of(done.stdout)[-1]["event"] == "result"
