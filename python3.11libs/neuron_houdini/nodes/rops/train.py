"""The driver that trains an asset and bakes it."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_houdini.nodes import pictures
from neuron_houdini.nodes.parameters import options, switches, text
from neuron_houdini.nodes.rops import driver

TRAIN_OPTIONS = "preset device validate_every seed".split()
BAKE_OPTIONS = "resolution name licence".split()
PREVIEWS = "previews"  # the folder of validation pictures in that of a run


def commands(node: hou.RopNode) -> list[list[str]]:
    """Train, then bake."""
    first = ["train", text(node, "dataset"), text(node, "run"), *options(node, TRAIN_OPTIONS)]
    if (steps := node.evalParm("steps")) != 0:
        first += ["--steps", str(steps)]
    second = ["bake", text(node, "run"), text(node, "asset"), *options(node, BAKE_OPTIONS)]
    for prompt in filter(None, map(str.strip, text(node, "prompt").split(";"))):
        second += ["--prompt", prompt]
    overwrite = switches(node, ["overwrite"])
    return [first + overwrite, second + overwrite]


def render_frame(node: hou.RopNode) -> None:
    """Train and bake in the foreground."""
    driver.run(node, "train", commands)


def background(node: hou.RopNode) -> None:
    """Train and bake in the background."""
    driver.start(node, driver.job_of(node, "train", commands, previews(node)))


def previews(node: hou.RopNode) -> Path:
    """Where validation pictures appear while it trains."""
    return Path(text(node, "run")) / PREVIEWS


def show(node: hou.RopNode) -> None:
    """Open the validation pictures in MPlay, as many as there are so far."""
    pictures.show(pictures.results(previews(node)))
