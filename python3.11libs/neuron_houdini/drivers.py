"""The driver nodes: parameters to commands, run in the foreground or as jobs."""

from __future__ import annotations  # names of hou differ between versions

from collections.abc import Callable, Sequence
from pathlib import Path

import hou

from neuron_houdini import background, engine, jobs, pictures

DATASET_OPTIONS = (
    "geometry materials views val_views test_views resolution spp focal aperture light seed".split()
)
TRAIN_OPTIONS = "preset device validate_every seed".split()
BAKE_OPTIONS = "resolution name licence".split()
RENDER_OPTIONS = "cameras frames prompt size aov device".split()
ANCHOR_OPTIONS = "camera frames size device".split()
PUBLISH_OPTIONS = "name number".split()
DRAWN = {"splats": "splat", "points": "points"}  # what is made for Houdini, and how assets call it
PREVIEWS = "previews"  # the folder of validation pictures in that of a run

Command = list[str]


def dataset(node: hou.RopNode) -> None:
    """Render the dataset of a node, with Karma or the engine."""
    if is_karma(node):
        _render_karma(node)
    else:
        _render(node, "dataset")


def is_karma(node: hou.RopNode) -> bool:
    """Whether Karma is to render."""
    return _text(node, "renderer") == "karma"


def work_items(node: hou.RopNode, frames: int = 8) -> list[dict[str, object]]:
    """What is left for Karma, at most so many frames each, for TOPs."""
    from neuron_houdini import karma_dataset

    return karma_dataset.work_items(node, frames)


def convert_words(node: hou.RopNode) -> list[str]:
    """What the engine is told when Karma has rendered all."""
    from neuron_houdini import karma_dataset

    return karma_dataset.convert_words(node)


def train(node: hou.RopNode) -> None:
    """Train and bake."""
    _render(node, "train")


def render(node: hou.RopNode) -> None:
    """Draw pictures, and say under which path."""
    _tell_pictures(node, _render(node, "render"))


def publish(node: hou.RopNode) -> None:
    """Publish a version."""
    _render(node, "publish")


def commands_of(node: hou.RopNode, task: str) -> list[Command]:
    """What the engine is told, command by command."""
    return _COMMANDS[task](node)


def _dataset(node: hou.RopNode) -> list[Command]:
    words = ["dataset", _text(node, "out"), *_options(node, DATASET_OPTIONS)]
    for prim in _text(node, "assign").split():
        words += ["--assign", prim]
    return [words + _switches(node, ["ground", "overwrite"])]


def _train(node: hou.RopNode) -> list[Command]:
    first = ["train", _text(node, "dataset"), _text(node, "run"), *_options(node, TRAIN_OPTIONS)]
    if (steps := node.evalParm("steps")) != 0:
        first += ["--steps", str(steps)]
    second = ["bake", _text(node, "run"), _text(node, "asset"), *_options(node, BAKE_OPTIONS)]
    for prompt in filter(None, map(str.strip, _text(node, "prompt").split(";"))):
        second += ["--prompt", prompt]
    switches = _switches(node, ["overwrite"])
    return [first + switches, second + switches]


def _render_command(node: hou.RopNode) -> list[Command]:
    out = _text(node, "out")
    source = _text(node, "asset") if _text(node, "source") == "asset" else _exported(node, Path(out))
    if _text(node, "what") == "anchors":
        words = ["anchor", source, out, *_options(node, ANCHOR_OPTIONS)]
        return [words + _switches(node, ["overwrite"])]
    words = ["render", source, out, *_options(node, RENDER_OPTIONS), "--background", _text(node, "behind")]
    return [words + _switches(node, ["overwrite"])]


def _publish(node: hou.RopNode) -> list[Command]:
    """What Houdini draws is made first; the published asset holds it."""
    asset, folder = _text(node, "asset"), Path(_text(node, "folder"))
    last = ["publish", asset, _text(node, "library"), *_options(node, PUBLISH_OPTIONS)]
    commands = []
    for form, representation in DRAWN.items():
        if node.evalParm(form):
            file = str(folder / f"{Path(asset).stem}_{form}.usdc")
            commands.append(["export", asset, file, "--form", form, "--overwrite"])
            last += ["--attach", f"{representation}={file}"]
            if form == "splats":
                commands[-1] += ["--steps", str(node.evalParm("steps"))]
    return [*commands, last]


_COMMANDS: dict[str, Callable[[hou.RopNode], list[Command]]] = {
    "dataset": _dataset,
    "train": _train,
    "render": _render_command,
    "publish": _publish,
}


def _exported(node: hou.RopNode, folder: Path) -> str:
    """The stage of the LOP node, flattened into a file beside the pictures."""
    lop = node.node(_text(node, "loppath"))
    if not isinstance(lop, hou.LopNode):
        raise hou.NodeError(f"There is no LOP node at {_text(node, 'loppath')!r}. Pick one under LOP Path.")
    stage = lop.stage()
    if stage is None:
        raise hou.NodeError(f"{lop.path()} has no stage. Look at its errors.")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "stage.usdc"
    stage.Flatten().Export(str(path))
    return str(path)


def _text(node: hou.RopNode, name: str) -> str:
    return str(node.evalParm(name)).strip()


def _options(node: hou.RopNode, names: Sequence[str]) -> Command:
    """Parameters that have the engine's names; what is empty or 0 as a number of a version is left out."""
    words: Command = []
    for name in names:
        value = node.evalParm(name)
        text = f"{value:.9g}" if isinstance(value, float) else str(value).strip()
        if text and not (name == "number" and text == "0"):
            words += [f"--{name.replace('_', '-')}", text]
    return words


def _switches(node: hou.RopNode, names: Sequence[str]) -> Command:
    return [f"--{name}" for name in names if node.evalParm(name)]


def _render(node: hou.RopNode, task: str) -> engine.Answer:
    """Run in the foreground. Escape stops the engine and the render. Raises hou.NodeError."""
    answer = engine.Answer({})
    try:
        jobs.check_free(node.sessionId())
        with hou.InterruptableOperation(f"Neuron {task}", open_interrupt_dialog=True) as operation:
            for words in commands_of(node, task):
                answer = engine.run(words, lambda fraction, *_: operation.updateProgress(fraction))
    except engine.EngineError as error:
        raise hou.NodeError(str(error)) from error
    return answer


def _render_karma(node: hou.RopNode) -> None:
    from neuron_houdini import karma_dataset

    try:
        jobs.check_free(node.sessionId())
        with hou.InterruptableOperation("Neuron dataset", open_interrupt_dialog=True) as operation:
            karma_dataset.render(node, operation.updateProgress)
    except engine.EngineError as error:
        raise hou.NodeError(str(error)) from error


def start(node: hou.RopNode, task: str) -> None:
    """Run in the background; the status parameter follows it."""
    try:
        jobs.check_free(node.sessionId())  # before anything of a running job is written again
        job = _job(node, task)
    except (hou.NodeError, engine.EngineError) as error:
        background.tell(str(error))
        return
    background.submit(node, job, _told if task == "render" else None)


def _job(node: hou.RopNode, task: str) -> jobs.Background:
    """The work that a node asks for. Raises hou.NodeError."""
    title = f"{task} of {node.name()}"
    if task == "dataset" and is_karma(node):
        from neuron_houdini import karma_dataset, rendering

        return rendering.Rendering(title, karma_dataset.order_of(node))
    return jobs.Job(title, commands_of(node, task), pictures=_folder_of_pictures(node, task))


def _folder_of_pictures(node: hou.RopNode, task: str) -> Path | None:
    """Where pictures appear while a task runs; None where none do."""
    if task == "train":
        return Path(_text(node, "run")) / PREVIEWS
    return Path(_text(node, "out")) if task == "render" else None


def _told(node: hou.OpNode) -> None:
    """After a job that drew."""
    job = jobs.of(node.sessionId())
    if job is not None and job.result is not None:
        _tell_pictures(node, job.result)


def _tell_pictures(node: hou.OpNode, answer: engine.Answer) -> None:
    """Let the node name what was drawn, for a File COP: the EXR files, where there are any."""
    found = next(filter(None, map(answer.body.get, ("anchors", "exr", "frames"))), None)
    parm = node.parm("picture")
    if isinstance(found, list) and parm is not None:
        parm.set(pictures.sequence([str(path) for path in found]))


def show_pictures(node: hou.RopNode, task: str) -> None:
    """Open in MPlay what a run has drawn so far: pictures, or those of validation."""
    folder = _folder_of_pictures(node, task)
    pictures.show(pictures.results(folder) if folder is not None else [])


def cancel(node: hou.RopNode) -> None:
    """Stop the background job of a node."""
    background.cancel(node)
