"""What every driver does: run commands of the engine in the foreground, or as a job of the session."""

from __future__ import annotations  # names of hou differ between versions

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hou

from neuron_core.foundation.errors import NeuronError
from neuron_houdini.engine import jobs, process
from neuron_houdini.nodes import background, messages

Commands = Callable[["hou.RopNode"], list[list[str]]]  # what the engine is told, command by command
Maker = Callable[[], jobs.Background]  # writes what a job needs, and makes the job


@contextmanager
def foreground(node: hou.RopNode, task: str) -> Iterator[Callable[[float], None]]:
    """Work that Houdini waits for: a function that takes its progress, 0 to 1.

    Escape raises in that function and so ends the work. Raises hou.NodeError for what a user can cause,
    also where a job of the node runs.
    """
    with messages.node_errors():
        jobs.check_free(node.sessionId())
        with hou.InterruptableOperation(f"Neuron {task}", open_interrupt_dialog=True) as operation:
            yield operation.updateProgress


def run(node: hou.RopNode, task: str, commands: Commands) -> process.Answer:
    """Run commands in the foreground; the answer of the last one. Raises hou.NodeError."""
    answer = process.Answer({})
    with foreground(node, task) as progress:
        for words in commands(node):
            answer = process.run(words, lambda fraction, *_: progress(fraction))
    return answer


def start(node: hou.RopNode, make: Maker, done: background.Ending | None = None) -> None:
    """Run a job in the background; the status parameter follows it."""
    try:
        jobs.check_free(node.sessionId())  # before anything of a running job is written again
        job = make()
    except NeuronError as error:
        messages.show(error)
    except hou.NodeError as error:
        messages.show(str(error))
    else:
        background.submit(node, job, done)


def job_of(node: hou.RopNode, task: str, commands: Commands, pictures: Path | None = None) -> Maker:
    """What makes the job of a node's commands. `pictures` is the folder where its pictures appear."""
    return lambda: jobs.Job(title_of(node, task), commands(node), pictures=pictures)


def title_of(node: hou.OpNode, task: str) -> str:
    """What the job of a node is called."""
    return f"{task} of {node.name()}"
