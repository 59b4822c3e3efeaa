"""Files that the engine writes for nodes that read them."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_core.foundation.errors import NeuronError
from neuron_houdini import background
from neuron_houdini.asset import neuron_file


def required_file(node: hou.OpNode) -> Path | None:
    """The `.neuron` file of a node; None, after saying so, where there is none."""
    try:
        source = neuron_file(node)
    except NeuronError as error:
        background.tell(str(error))
        return None
    if source is None:
        background.tell("There is no asset yet. Pick a .neuron file or a published asset.")
    return source


def folder_of(node: hou.OpNode, name: str) -> Path:
    """The file that a parameter names, in a folder that is there."""
    path = Path(str(node.evalParm(name)).strip())
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def is_older(made: Path, source: Path) -> bool:
    """Whether the source was changed after the file was made from it."""
    return made.stat().st_mtime < source.stat().st_mtime


def cook_again(node: hou.OpNode) -> None:
    """Cook although no parameter changed."""
    node.cook(force=True)
