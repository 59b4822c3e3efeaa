"""Which tasks there are. A new task is one entry here and two modules of its own.

The entry is all that the overview shows, so that listing the tasks imports none of them.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Task:
    """A subcommand. `config` and `run` are written `module:name` and imported when it is chosen.

    Its name is one word, or two of which the first is a group's.

    `config` names a frozen dataclass in a module that imports no heavy library. Its fields without
    a default become positional arguments, in their order, and are repeated here as `positionals`;
    the others become options. What is among the `optional` may be left out and is None then.
    `run(config, report)` does the work and returns the result body.
    """

    name: str
    summary: str  # one line, lower case, no full stop
    positionals: tuple[str, ...]
    config: str
    run: str
    optional: tuple[str, ...] = ()


def _scene(folder: str, name: str, positionals: tuple[str, ...], summary: str) -> Task:
    package = f"neuron_core.tasks.{folder}"
    config = f"{package}.config:Scene{name.capitalize()}Config"
    return Task(f"scene {name}", summary, positionals, config, f"{package}.run:run_{name}")


def _task(name: str, config_class: str, positionals: tuple[str, ...], summary: str) -> Task:
    package = f"neuron_core.tasks.{name}"
    return Task(name, summary, positionals, f"{package}.config:{config_class}", f"{package}.run:run")


TASKS: tuple[Task, ...] = (
    Task(
        "demo",
        "the whole loop on what ships with the package: dataset, training, bake, pictures",
        (),
        "neuron_core.demo.config:DemoConfig",
        "neuron_core.demo.run:run",
    ),
    Task(
        "bench",
        "measure every published figure on this machine, next to peers",
        (),
        "neuron_core.bench.config:BenchConfig",
        "neuron_core.bench.run:run",
    ),
    replace(
        _task("dataset", "DatasetConfig", ("out",), "render the ground truth of a material library"),
        config="neuron_core.groundtruth.config:DatasetConfig",
    ),
    _task("karma", "KarmaConfig", ("out",), "convert what Karma rendered into a dataset"),
    replace(
        _task("train", "TrainConfig", ("dataset", "out"), "train a prompt-steered field on a dataset"),
        config="neuron_core.models.field.config:TrainConfig",
    ),
    _task(
        "campaign",
        "CampaignConfig",
        ("family", "dataset", "out"),
        "train a model family in four gated rungs, from a smoke test to a smaller model",
    ),
    _task("bake", "BakeConfig", ("run", "out"), "bake a trained field into one .neuron file"),
    _task("look", "LookConfig", ("asset",), "give a .neuron file a new look, or edit one, without training"),
    _task(
        "render",
        "RenderConfig",
        ("asset", "out"),
        "render a .neuron file or a USD stage from a set of cameras",
    ),
    replace(
        _task(
            "evaluate",
            "EvaluateConfig",
            ("subject", "dataset"),
            "measure a field or asset against the truth, or an export against its asset",
        ),
        optional=("dataset",),
    ),
    replace(
        _task(
            "export",
            "ExportConfig",
            ("source", "out"),
            "write an asset as splats, a volume, a mesh or points",
        ),
        config="neuron_core.delivery.config:ExportConfig",
    ),
    _task("grid", "GridConfig", ("asset", "out"), "sample an asset into arrays that numpy reads"),
    _task(
        "publish", "PublishConfig", ("asset", "library"), "publish a .neuron file as a USD asset, versioned"
    ),
    _task(
        "anchor", "AnchorConfig", ("scene", "out"), "write anchor frames of a USD stage for other programs"
    ),
    _scene("shot", "new", ("stage",), "write an empty shot"),
    _scene("shot", "add", ("stage", "asset"), "put an asset, or a grid of it, into a shot"),
    _scene("shot", "set", ("stage", "prim"), "move a prim, key it, change its look or version, aim a camera"),
    _scene("scene", "list", ("path",), "say what a stage draws, or what a library holds"),
    _scene("scene", "search", ("library", "text"), "find assets and looks of a library by words"),
    _scene("scene", "flatten", ("stage", "out"), "write a stage as one layer"),
    _scene("scene", "validate", ("stage",), "check a stage: USD's validators and our own"),
    _task("inspect", "InspectConfig", ("path",), "say what a file or folder is, and check it"),
)


def config_of(name: str) -> type:
    """The config of a task, imported; it needs no heavy library."""
    task = find_task(name)
    assert task is not None, name
    module, _, config = task.config.partition(":")
    found = getattr(importlib.import_module(module), config)
    assert isinstance(found, type)
    return found


def find_task(name: str) -> Task | None:
    """The task of that name, or None."""
    return next((task for task in TASKS if task.name == name), None)


def match_task(words: Sequence[str]) -> tuple[Task | None, list[str]]:
    """The task that a command line begins with, or None, and the words after its name."""
    for length in (2, 1):
        task = find_task(" ".join(words[:length]))
        if task is not None:
            return task, list(words[length:])
    return None, list(words)


def group_of(word: str) -> tuple[Task, ...]:
    """The tasks whose names begin with a word and go on with another."""
    return tuple(task for task in TASKS if task.name.startswith(f"{word} "))
