"""What every command can be asked for: one law for all configs, so that a new one is held to them, too."""

import json
import math
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest

from neuron_core.cli import main
from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import TASKS, config_of
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.options import Option, options_of

TASK = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
WORDS = {"family": "field", "text": "worn copper", "prim": "/World/a"}
MAY_BE_NEGATIVE = {
    ("dataset", "lowest_elevation"), ("dataset", "highest_elevation"), ("render", "elevation"),
    ("campaign", "seed"), ("scene add", "spacing"), ("scene search", "limit"),
}  # fmt: skip
CHECKED_WITH_THE_STAGE = {("scene new", "fps"), ("scene new", "units"), ("scene set", "focal")}


def words_of(task):
    """The least that the command can be called with."""
    ending = {"grid": ".npz", "bake": ".neuron"}.get(task.name, "")
    required = [name for name, option in options_of(config_of(task.name)).items() if option.required]
    return [WORDS.get(name, f"{name}{ending if name == 'out' else ''}") for name in required]


def least(task):
    return parse(task, words_of(task))


def numbers_of(task):
    found = options_of(config_of(task.name)).items()
    return {name: option for name, option in found if option.kind in (int, float) and not option.many}


def refused(config, name, value):
    """What is said of the value; empty where it is taken."""
    try:
        replace(config, **{name: value})
    except NeuronError as error:
        assert error.hint, f"{name} {value}"
        return error.message
    return ""


@TASK
def test_numbers_are_taken_up_to_the_ends_of_their_range_and_not_beyond(task):
    config = least(task)
    for name, option in numbers_of(task).items():
        if option.limits is None:
            continue
        low, high = option.limits.low, option.limits.high
        default = getattr(config, name)
        assert default is None or low <= default <= high
        beyond = [low - 1, high + 1]
        if option.kind is float:
            beyond = [math.nextafter(low, -math.inf), math.nextafter(high, math.inf), math.nan, math.inf]
        for value in beyond:
            said = refused(config, name, option.kind(value))
            assert name.replace("_", " ") in said and str(option.kind(value)) in said
        others = {"views", "view_sets", "test_views"}  # whose product has a range of its own
        for value in (low, high):
            assert name in others or not refused(config, name, option.kind(value)), name


@TASK
def test_no_number_may_be_negative_infinite_or_not_a_number_unless_it_makes_sense(task):
    config = least(task)
    for name, option in numbers_of(task).items():
        if (task.name, name) in CHECKED_WITH_THE_STAGE:
            continue
        if option.kind is float:
            assert name == "spacing" or (refused(config, name, math.nan) and refused(config, name, math.inf))
        if (task.name, name) not in MAY_BE_NEGATIVE:
            assert refused(config, name, option.kind(-1)), name


@TASK
def test_a_config_never_changes_and_a_copy_is_checked_again(task):
    config = least(task)
    first = fields(config)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(config, first, "other")
    assert replace(config) == config and hash(replace(config)) == hash(config)


def sample(option: Option) -> object:
    """Another value than the default."""
    if option.kind is bool:
        return not option.default
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    if option.kind in (int, float):
        low, high = (option.limits.low, option.limits.high) if option.limits else (1, 16)
        middle = option.kind(min(max(low, 16), high))
        return middle if middle != option.default else option.kind(max(low, middle - 1))
    return option.kind("a b=1")


SPECIAL = {
    ("render", "aov"): "depth,alpha",
    ("dataset", "shard"): "1/2",
    ("dataset", "view_sets"): 2,
    ("look", "weight"): 0.5,
    ("look", "size"): 64,
    ("dataset", "lowest_elevation"): -9.0,
    ("render", "samples"): 3,
    ("anchor", "samples"): 3,
    ("export", "triangles"): 8,
}


@TASK
def test_every_option_of_the_command_line_arrives_alone(task):
    """`--name value` changes that field and no other, tuples take each value in turn."""
    config = least(task)
    for name, option in options_of(config_of(task.name)).items():
        if option.required or name in task.optional:
            continue
        value = SPECIAL.get((task.name, name), sample(option))
        flag = f"--{name.replace('_', '-')}"
        if option.kind is bool:
            words, wanted = [flag if value else f"--no-{flag[2:]}"], value
        elif option.many:
            second = option.kind(2) if option.kind is int else option.kind("c")
            words, wanted = [flag, str(value), flag, str(second)], (value, second)
        else:
            words, wanted = [flag, str(value)], value
        assert parse(task, [*words_of(task), *words]) == replace(config, **{name: wanted}), name


REFUSED = {
    "bench --runs 0": "timed 0 times",
    "bench --only nothing": "no figure 'nothing'",
    "demo --seed -1": "seed of a demo cannot be -1",
    "dataset out --views 0": "views of a dataset cannot be 0",
    "dataset out --view-sets 5000": "view sets of a dataset cannot be 5000",
    "dataset out --shard 3/2": "'3/2' is not a shard",
    "dataset out --lowest-elevation 80 --highest-elevation 10": "from 80.0 to 10.0 degrees",
    "train data out --minutes -1": "cannot train for -1 minutes",
    "train data out --minutes nan": "cannot train for nan minutes",
    "train data out --downscale 0": "scaled down by 0",
    "train data out --steps 0": "steps of a run cannot be 0",
    "train data out": "no dataset at data",
    "campaign field data out --trials 1001": "trials of a campaign cannot be 1001",
    "campaign field data out --setting minutes=0": "cannot train for 0 minutes",
    "campaign field data out --setting seed=1": "cannot be a setting",
    "campaign cat data out": "cat",
    "bake run out.neuron --resolution 7": "resolution of a bake cannot be 7",
    "bake run out.usd": "does not end in .neuron",
    "look gone.neuron": "No look was asked for",
    "look gone.neuron --prompt red --weight 3": "weight of 3",
    "look gone.neuron --prompt red --out a.usd": "does not end in .neuron",
    "render gone.neuron out --samples 5": "5 samples",
    "render gone.neuron out --aov depth,heat": "no AOV 'heat'",
    "render gone.neuron out --elevation 90": "at 90 degrees",
    "render gone.neuron out --aov id": "id",
    "evaluate run data --views -1": "-1 views",
    "evaluate run data --downscale 0": "scaled down by 0",
    "evaluate run": "nothing to measure run on",
    "export gone.neuron a.ply": "no file gone.neuron",
    "export gone.neuron a.xyz": "a.xyz",
    "export gone.neuron a.usd --triangles 3": "3 triangles",
    "export gone.neuron a.usd --texture-size 15": "15 texels",
    "grid gone.neuron a.npy": "does not end in .npz",
    "grid gone.neuron a.npz": "no file gone.neuron",
    "publish gone.neuron lib --attach splat": "'splat' attaches nothing",
    "publish gone.neuron lib --attach a=b --attach a=c": "a is attached twice",
    "anchor gone.usda out --samples 0": "0 samples",
    "anchor gone.usda out": "gone.usda",
    "scene new a.txt": "does not end in .usda",
    "scene new a.usda --fps inf": "inf frames a second",
    "scene new a.usda --units nan": "nan m per unit",
    "scene new a.usda --frames 1-x": "1-x",
    "scene add gone.usda gone": "gone",
    "scene set gone.usda /World/a": "Nothing was asked to be set",
    "scene set gone.usda /World/a --hide --show": "hidden and shown",
    "scene set gone.usda /World/a --pose 1 --no-pose": "a pose and none",
    "scene set gone.usda /World/a --prompt b --no-prompt": "a prompt and none",
    "scene flatten gone.usda b.usda": "gone.usda",
    "scene validate gone.usda --out b.json": "gone.usda",
    "scene list gone": "gone",
    "scene search gone copper": "gone",
    "karma out": "out",
    "inspect gone": "gone",
}


def test_what_cannot_be_is_refused_by_name_before_anything_is_written(tmp_path, monkeypatch, capfd):
    """Every command, as a program calls it: exit code 2, one error with a hint, and an empty folder."""
    monkeypatch.chdir(tmp_path)
    assert {task.name for task in TASKS} == {
        task.name for task in TASKS for words in REFUSED if f"{words} ".startswith(f"{task.name} ")
    }
    for words, said in REFUSED.items():
        code = main([*words.split(), "--json"])
        lines = capfd.readouterr().out.splitlines()
        error = json.loads(lines[-1])
        assert (code, error["event"]) == (2, "error"), words
        assert said in error["message"], f"{words}: {error['message']}"
        assert error["kind"] != "internal" and error["message"].endswith("."), words
        assert [json.loads(line)["event"] for line in lines[:-1]] == ["progress"] * (len(lines) - 1), words
        assert not list(tmp_path.rglob("*")), words


def test_texts_from_outside_are_paths_as_they_are():
    """No expansion of a tilde, a variable or a pattern: the shell did that."""
    task = next(task for task in TASKS if task.name == "inspect")
    for text in ("~/a", "$HOME", "*.usd", "a/../b", "ä ö"):
        assert parse(task, [text]).path == Path(text)
