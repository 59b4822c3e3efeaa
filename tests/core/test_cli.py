"""The command line within one process: configs from words, failures from errors."""

import errno
import itertools
import json
import math
import os
import re
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.cli.arguments import ArgumentsError, HelpRequested, load, parse, split_switches
from neuron_core.cli.entry import main, overview
from neuron_core.cli.failures import failure_of
from neuron_core.cli.output import plain
from neuron_core.cli.parser import _complaint_of, options_of, unknown_options
from neuron_core.cli.registry import TASKS, Task, find_task
from neuron_core.cli.reporters import describe
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.interrupts import Stopped
from neuron_core.foundation.options import help_of


@dataclass(frozen=True, slots=True)
class ToyConfig:
    """Do as a toy does."""

    source: Path
    """where it comes from"""
    prompt: tuple[str, ...] = ()
    """what it should look like"""
    preset: Literal["small", "large"] = "small"
    """how much of it: so
    much that a second line is needed, whose first word
    (this one) and a third,
    2 of them, or `four`, are part of one paragraph"""
    steps: int | None = None
    """how long"""
    overwrite: bool = False
    """replace what is there"""


@dataclass(frozen=True, slots=True)
class ReadingConfig:
    """Only look."""

    path: Path
    """at this"""


TOY = Task("toy", "a toy", ("source",), f"{__name__}:ToyConfig", f"{__name__}:run")
READING = Task("reading", "a look", ("path",), f"{__name__}:ReadingConfig", f"{__name__}:run")


def test_words_become_the_config():
    words = ["a.usd", "--prompt", "brushed copper, worn", "--prompt", "gold", "--steps", "7", "--overwrite"]
    assert parse(TOY, words) == ToyConfig(
        Path("a.usd"), ("brushed copper, worn", "gold"), steps=7, overwrite=True
    )


def test_defaults_are_those_of_the_config():
    assert parse(TOY, ["a.usd"]) == ToyConfig(Path("a.usd"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "SOURCE"),
        (["a", "b"], "b"),
        (["a", "--steps", "many"], "many"),
        (["a", "--preset", "huge"], "'huge'"),
        (["a", "--prompt"], "--prompt"),
        (["a", "--stepz", "4"], "--stepz"),
    ],
)
def test_wrong_words_are_named_in_one_line(words, said):
    with pytest.raises(ArgumentsError) as caught:
        parse(TOY, words)
    assert said in caught.value.message
    assert "\n" not in caught.value.message + caught.value.hint
    assert not set("│╭╰─|") & set(caught.value.message)
    assert "neuron toy --help" in caught.value.hint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing SOURCE."),
        (["a", "b"], "Too many arguments: b."),
        (["a", "--steps", "many"], "Invalid value 'many' for --steps."),
        (["a", "--preset", "huge"], "Invalid choice 'huge' for --preset. Choose small, large."),
        (["a", "--prompt"], "Missing value for --prompt."),
        (["a", "--stepz", "4"], "Unrecognized options: --stepz."),
        (["--stepz=4"], "Unrecognized options: --stepz."),
        (["-x", "a"], "Missing value for SOURCE."),
    ],
)
def test_a_complaint_is_a_sentence(words, said):
    with pytest.raises(ArgumentsError) as caught:
        parse(TOY, words)
    assert caught.value.message == said


@pytest.mark.parametrize("words", [[], ["a", "b"], ["a", "--steps", "many"], ["a", "--preset", "huge"]])
def test_without_tyros_hook_wrong_words_are_still_one_error(words, monkeypatch):
    """The hook is experimental; a version of tyro without it costs the reason and nothing else."""
    import tyro._errors

    monkeypatch.delattr(tyro._errors, "on_parse_error")
    with pytest.raises(ArgumentsError, match="Cannot understand") as caught:
        parse(TOY, words)
    assert " ".join(words) in caught.value.message and "\n" not in caught.value.message
    assert parse(TOY, ["a"]) == ToyConfig(Path("a"))


def test_words_behind_a_double_dash_are_no_options():
    assert unknown_options(ToyConfig, ["--stepz", "--", "--stepy"]) == ["--stepz"]
    assert unknown_options(ToyConfig, ["--steps=3", "--prompt", "--overwrite"]) == []


def test_an_event_of_an_unknown_form_is_left_to_tyro():
    class BadValue:
        """As an event of a later version, without what this one has."""

    assert _complaint_of(BadValue()) is None
    assert _complaint_of(object()) is None


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_help_lists_the_options_that_are_taken(task):
    with pytest.raises(HelpRequested) as caught:
        parse(task, ["--help"])
    assert set(options_of(load(task.config))) <= set(re.findall(r"--[a-z][a-z-]*", str(caught.value)))


def test_a_misspelt_option_is_answered_with_the_right_one():
    with pytest.raises(ArgumentsError) as caught:
        parse(TOY, ["a", "--stepz", "4"])
    assert "--steps" in caught.value.hint


def test_help_says_what_every_option_does():
    with pytest.raises(HelpRequested) as caught:
        parse(TOY, ["--help"])
    text = str(caught.value)
    for said in ("A toy", "SOURCE", "where it comes from", "--prompt", "--json", "--debug"):
        assert said in text


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_help_of_an_option_is_one_paragraph(columns, monkeypatch):
    """Each line of it holds as many words as the terminal has room for."""
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(HelpRequested) as caught:
        parse(TOY, ["--help"])
    text = str(caught.value)
    start, end = text.index("how much of it"), text.index("(default: small)") + len("(default: small)")
    indent = start - text.rindex("\n", 0, start) - 1
    lines = [line.strip() for line in text[start:end].splitlines()]
    assert " ".join(lines) == f"{help_of(ToyConfig)['preset']} (default: small)" and len(lines) > 1
    for line, following in itertools.pairwise(lines):
        assert indent + len(line) <= columns < indent + len(line) + 1 + len(following.split()[0])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_help_has_the_whole_texts_of_the_config(task):
    with pytest.raises(HelpRequested) as caught:
        parse(task, ["--help"])
    shown = "".join(str(caught.value).split())  # a word longer than a line is cut
    helps = {name: "".join(text.split()) for name, text in help_of(load(task.config)).items()}
    assert not [name for name, text in helps.items() if text not in shown]


def test_overwrite_is_taken_by_tasks_that_write_nothing():
    assert parse(READING, ["x", "--overwrite"]) == ReadingConfig(Path("x"))


def test_switches_are_taken_anywhere_but_behind_a_double_dash():
    switches, rest = split_switches(["train", "--json", "a", "--", "--debug"])
    assert (switches.json, switches.debug, rest) == (True, False, ["train", "a", "--", "--debug"])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_registered_task_is_what_its_entry_says(task):
    config = load(task.config)
    required = [f.name for f in fields(config) if f.default is MISSING and f.default_factory is MISSING]
    assert tuple(required) == task.positionals
    assert config.__dataclass_params__.frozen
    with pytest.raises(HelpRequested) as caught:
        parse(task, ["--help"])
    assert task.summary[1:] in " ".join(str(caught.value).split())


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_option_of_a_registered_task_is_explained(task):
    from tyro._docstrings import get_field_docstring

    config = load(task.config)
    assert not [f.name for f in fields(config) if not get_field_docstring(config, f.name, ())]


def test_the_overview_has_a_line_for_every_task():
    lines = overview().splitlines()
    for task in TASKS:
        assert len([line for line in lines if line.startswith(f"  {task.name} ")]) == 1
        assert find_task(task.name) is task


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_every_result_is_valid_json_and_finite_values_stay(value):
    text = json.dumps(plain(value), allow_nan=False)
    expected = json.loads(
        json.dumps(value), parse_constant=lambda name: None
    )  # NaN, Infinity and -Infinity are null
    assert json.loads(text) == expected


def test_paths_arrays_and_configs_fit_into_a_result():
    value = {
        "path": Path("a") / "b",
        "scalar": np.float32(0.5),
        "array": np.array([[1.0, np.nan]]),
        "config": ReadingConfig(Path("x")),
        "tuple": (1, math.inf),
    }
    assert plain(value) == {
        "path": os.path.join("a", "b"),
        "scalar": 0.5,
        "array": [[1.0, None]],
        "config": {"path": "x"},
        "tuple": [1, None],
    }


def test_what_fits_no_result_is_a_mistake_of_ours():
    with pytest.raises(TypeError, match="object"):
        plain({"key": object()})


class DiskError(NeuronError):
    kind = "disk"


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (DiskError("It is gone.", "Look elsewhere."), "disk", 2),
        (MemoryError(), "memory", 2),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), "memory", 2),
        (OSError(errno.ENOSPC, "No space left on device", "out.exr"), "file", 2),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "environment", 2),
        (ModuleNotFoundError("No module named 'neuron_core.x'", name="neuron_core.x"), "internal", 1),
        (ZeroDivisionError("division by zero"), "internal", 1),
        (SystemExit(3), "internal", 1),
        (Stopped(2), "stopped", 130),
        (Stopped(15), "stopped", 143),
        (KeyboardInterrupt(), "stopped", 130),
    ],
)
def test_every_end_has_a_kind_and_an_exit_code(error, kind, code):
    failure = failure_of(error)
    assert (failure.kind, failure.exit_code) == (kind, code)
    assert failure.message and failure.hint


def test_a_full_disk_names_the_file():
    message = failure_of(OSError(errno.ENOSPC, "No space left on device", "out.exr")).message
    assert "out.exr" in message and "No space left" in message


def test_figures_are_short():
    assert describe("view 3", {"psnr": 31.23456, "rays": 4096}) == "view 3  psnr 31.23  rays 4096"


def test_an_unknown_task_is_answered_with_a_similar_one(capfd):
    assert main(["trian"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "'trian'" in captured.err and "train" in captured.err.splitlines()[1]


def test_standard_output_comes_back(capfd):
    assert main(["--version"]) == 0
    print("afterwards")
    out = capfd.readouterr().out.splitlines()
    assert out[0].startswith("neuron ") and out[1] == "afterwards"


@pytest.mark.parametrize(
    ("ranks", "rank", "lines"), [("2", "0", 1), ("2", "1", 0), ("1", "1", 1), ("", "", 1), (None, None, 1)]
)
def test_of_several_processes_the_first_one_answers(ranks, rank, lines, monkeypatch, capfd):
    for name, value in (("WORLD_SIZE", ranks), ("RANK", rank)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    for words in (["--version"], ["--version", "--json"]):
        assert main(words) == 0
        assert capfd.readouterr().out.count("\n") == lines
