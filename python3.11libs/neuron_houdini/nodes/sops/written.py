"""Files that the engine writes for a SOP: on a button only, in the background, then the node cooks again."""

from __future__ import annotations  # names of hou differ between versions

import hou

from neuron_houdini.nodes import background
from neuron_houdini.nodes.asset_file import output_file, required_file
from neuron_houdini.nodes.parameters import words_of

NAMES = {"prompt": "look"}  # parameters that are called otherwise than their options


def write_out(node: hou.SopNode, what: str, task: str, source: str) -> None:
    """Let a task write the file of the parameter `out`. `source` is its option for the node's asset."""
    asset = required_file(node)
    if asset is None:
        return
    given = {source: asset, "out": output_file(node, "out"), "overwrite": True}
    background.start(node, what, [words_of(node, task, NAMES, **given)], background.cook_again)
