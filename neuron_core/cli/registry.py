"""Which tasks there are. A new task is one entry here and two modules of its own.

The entry is all that the overview shows, so that listing the tasks imports none of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """A subcommand. `config` and `run` are written `module:name` and imported when it is chosen.

    `config` names a frozen dataclass in a module that imports no heavy library. Its fields without
    a default become positional arguments, in their order, and are repeated here as `positionals`;
    the others become options. `run(config, report)` does the work and returns the result body.
    """

    name: str
    summary: str  # one line, lower case, no full stop
    positionals: tuple[str, ...]
    config: str
    run: str


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
    _task("dataset", "DatasetConfig", ("out",), "render the ground truth of a material library"),
    _task("train", "TrainConfig", ("dataset", "out"), "train a prompt-steered field on a dataset"),
    _task("bake", "BakeConfig", ("run", "out"), "bake a trained field into one .neuron file"),
    _task("render", "RenderConfig", ("asset", "out"), "render a .neuron file from a set of cameras"),
    _task("evaluate", "EvaluateConfig", ("subject", "dataset"), "measure a field or asset against the truth"),
    _task("inspect", "InspectConfig", ("path",), "say what a file or folder is, and check it"),
)


def find_task(name: str) -> Task | None:
    """The task of that name, or None."""
    return next((task for task in TASKS if task.name == name), None)
