"""Driver nodes without a window: what the scripts `hython_*.py` do.

A node of a scene, or a new one, takes values from the command line and runs in the foreground.
"""

from __future__ import annotations  # names of hou differ between versions

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import hou

from neuron_core.foundation.errors import NeuronError
from neuron_houdini.engine.environment import PROJECT
from neuron_houdini.errors import HoudiniError
from neuron_houdini.nodes.rops import dataset, publish, render, train
from neuron_houdini.nodes.types import operator

DRIVERS = {module.__name__.rpartition(".")[2]: module for module in (dataset, train, render, publish)}
USER = 2  # the exit code of what a user can repair


class BatchError(HoudiniError):
    """What is wrong with the command line or the scene."""


def main(task: str, words: Sequence[str]) -> int:
    """Run a driver of `task`: 0, or 2 with a sentence on standard error."""
    wanted = _arguments(task, words)
    try:
        node = _node(task, wanted)
        set_values(node, dict(map(_pair, wanted.values)))
        DRIVERS[task].render_frame(node)
        if wanted.save:
            hou.hipFile.save(wanted.save)
    except (NeuronError, hou.Error) as error:
        sys.stderr.write(f"{_sentence(error)}\n")
        return USER
    sys.stdout.write(f"{node.path()} is done.\n")
    return 0


def _arguments(task: str, words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"hython_{task}.py", description=f"Run a neuron::{task} driver.")
    parser.add_argument("values", nargs="*", metavar="NAME=VALUE", help="parameters of the node")
    parser.add_argument("--scene", default="", help="a scene to load first")
    parser.add_argument("--node", default="", help="a driver of the scene; default: a new one in /out")
    parser.add_argument("--save", default="", help="save the scene here afterwards")
    return parser.parse_args(words)


def _sentence(error: NeuronError | hou.Error) -> str:
    return error.text if isinstance(error, NeuronError) else str(error.instanceMessage())


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BatchError(f"{text!r} sets nothing.", "Write NAME=VALUE.")
    return name, value


def _node(task: str, wanted: argparse.Namespace) -> hou.OpNode:
    """The driver of the scene, or a new one."""
    if wanted.scene:
        hou.hipFile.load(wanted.scene, suppress_save_prompt=True, ignore_load_warnings=True)
    install_types()
    wanted_type = operator(task)
    if not wanted.node:
        return cast("hou.OpNode", _must(hou.node("/out"), "/out").createNode(wanted_type))
    node = _must(hou.node(wanted.node), wanted.node)
    if node.type().name() != wanted_type:
        raise BatchError(
            f"{wanted.node} is a {node.type().name()}, not a {wanted_type}.", "Name a driver of that type."
        )
    return cast("hou.OpNode", node)


def _must(node: hou.Node | None, path: str) -> hou.Node:
    if node is None:
        raise BatchError(f"There is no node {path}.", "Check the path and the scene.")
    return node


def install_types(otls: Path = PROJECT / "otls") -> None:
    """Load our node types where Houdini was started without the package."""
    if hou.nodeType(hou.ropNodeTypeCategory(), operator("train")) is None:
        for folder in sorted(otls.glob("*.hda")):
            hou.hda.installFile(str(folder))


def set_values(node: hou.OpNode, values: Mapping[str, str]) -> None:
    """Set parameters from text, as numbers where they are numbers. Raises BatchError."""
    for name, text in values.items():
        parm = node.parm(name)
        if parm is None:
            known = ", ".join(sorted({parm.name() for parm in node.parms()}))
            raise BatchError(f"{node.path()} has no parameter {name}.", f"It has: {known}.")
        parm.set(_value(name, text, parm.eval()))


def _value(name: str, text: str, now: object) -> int | float | str:
    try:
        return int(text) if isinstance(now, int) else float(text) if isinstance(now, float) else text
    except ValueError:
        raise BatchError(f"{name} is a number, not {text!r}.", "Write digits.") from None
