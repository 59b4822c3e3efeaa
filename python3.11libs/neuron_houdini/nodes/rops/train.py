"""The driver that trains an asset and bakes it."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_houdini.nodes import pictures
from neuron_houdini.nodes.parameters import text, words_of
from neuron_houdini.nodes.rops import driver

TRAIN_NAMES = {"out": "run"}  # parameters that are called otherwise than their options
BAKE_NAMES = {"out": "asset"}
PREVIEWS = "previews"  # the folder of validation pictures in that of a run


def commands(node: hou.RopNode) -> list[list[str]]:
    """Train, then bake."""
    return [words_of(node, "train", TRAIN_NAMES), words_of(node, "bake", BAKE_NAMES)]


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
