"""Jobs of nodes from their buttons: start, follow in Houdini's own thread, tell how they ended."""

from __future__ import annotations  # names of hou differ between versions

from collections.abc import Callable, Sequence
from typing import cast

import hou

from neuron_houdini.engine import jobs
from neuron_houdini.errors import EngineError
from neuron_houdini.nodes import messages

Ending = Callable[["hou.OpNode"], None]  # with the node, after the job ended well


def start(
    node: hou.OpNode, title: str, commands: Sequence[Sequence[str]], done: Ending | None = None
) -> None:
    """Run commands in the background. `done` is called in Houdini's thread, where there is a desktop."""
    submit(node, jobs.Job(f"{title} of {node.name()}", commands), done)


def submit(node: hou.OpNode, job: jobs.Background, done: Ending | None = None) -> None:
    """Begin the job of a node.

    What keeps it from starting is shown, or raised as hou.NodeError without a desktop.
    """
    try:
        jobs.submit(node.sessionId(), job)
    except EngineError as error:
        messages.show(error)
        return
    _follow(node.sessionId(), done)


def cancel(node: hou.OpNode) -> None:
    """Stop the job of a node."""
    job = jobs.of(node.sessionId())
    if job is not None:
        job.cancel()


def _follow(key: int, done: Ending | None) -> None:
    """Show what the job does until it is over."""
    if not hou.isUIAvailable():
        return

    def update() -> None:
        job, node = jobs.of(key), cast("hou.OpNode | None", hou.nodeBySessionId(key))
        if job is None or node is None:
            hou.ui.removeEventLoopCallback(update)
            return
        show_status(node, job)
        if job.over:
            hou.ui.removeEventLoopCallback(update)
            _end(node, job, done)

    hou.ui.addEventLoopCallback(update)


def _end(node: hou.OpNode, job: jobs.Background, done: Ending | None) -> None:
    if job.error is not None and job.error.kind != "stopped":
        messages.show(job.error)
    elif job.error is None and done is not None:
        done(node)


def show_status(node: hou.OpNode, job: jobs.Background) -> None:
    """Set the status parameter of nodes that have one, only if it changed."""
    text = f"{job.fraction:.0%} {job.text}"
    parm = node.parm("status")
    if parm is not None and parm.evalAsString() != text:
        parm.set(text)


def cook_again(node: hou.OpNode) -> None:
    """Cook although no parameter changed."""
    node.cook(force=True)
