"""The driver that draws an asset or a stage with the engine."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_houdini.engine import jobs, process
from neuron_houdini.nodes import pictures
from neuron_houdini.nodes.parameters import text, words_of
from neuron_houdini.nodes.rops import driver

RENDER_NAMES = {"background": "behind"}  # `background` is the button that starts a job


def commands(node: hou.RopNode) -> list[list[str]]:
    """Draw pictures, or anchor frames of a stage."""
    from_file = text(node, "source") == "asset"
    source = text(node, "asset") if from_file else _exported(node, Path(text(node, "out")))
    if text(node, "what") == "anchors":
        return [words_of(node, "anchor", scene=source)]
    return [words_of(node, "render", RENDER_NAMES, asset=source)]


def _exported(node: hou.RopNode, folder: Path) -> str:
    """The stage of the LOP node, flattened into a file beside the pictures."""
    lop = node.node(text(node, "loppath"))
    if not isinstance(lop, hou.LopNode):
        raise hou.NodeError(f"There is no LOP node at {text(node, 'loppath')!r}. Pick one under LOP Path.")
    stage = lop.stage()
    if stage is None:
        raise hou.NodeError(f"{lop.path()} has no stage. Look at its errors.")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "stage.usdc"
    stage.Flatten().Export(str(path))
    return str(path)


def render_frame(node: hou.RopNode) -> None:
    """Draw in the foreground, and say under which path the pictures are."""
    _name_pictures(node, driver.run(node, "render", commands))


def background(node: hou.RopNode) -> None:
    """Draw in the background."""
    folder = Path(text(node, "out"))
    driver.start(node, driver.job_of(node, "render", commands, folder), _after_job)


def _after_job(node: hou.OpNode) -> None:
    job = jobs.of(node.sessionId())
    if job is not None and job.result is not None:
        _name_pictures(node, job.result)


def _name_pictures(node: hou.OpNode, answer: process.Answer) -> None:
    """Let the node name what was drawn, for a File COP: the EXR files, where there are any."""
    found = next(filter(None, map(answer.body.get, ("anchors", "exr", "frames"))), None)
    parm = node.parm("picture")
    if isinstance(found, list) and parm is not None:
        parm.set(pictures.sequence([str(path) for path in found]))


def show(node: hou.RopNode) -> None:
    """Open the pictures in MPlay, as far as they are drawn."""
    pictures.show(pictures.results(Path(text(node, "out"))))
