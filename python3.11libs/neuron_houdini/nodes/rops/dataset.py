"""The driver that renders ground truth, with Karma or with the engine's own renderer."""

from __future__ import annotations  # names of hou differ between versions

import hou

from neuron_houdini.engine.karma import KarmaJob
from neuron_houdini.nodes.parameters import text, words_of
from neuron_houdini.nodes.rops import driver, karma_dataset


def is_karma(node: hou.RopNode) -> bool:
    """Whether Karma is to render."""
    return text(node, "renderer") == "karma"


def commands(node: hou.RopNode) -> list[list[str]]:
    """The dataset of the engine's own renderer."""
    return [words_of(node, "dataset")]


def render_frame(node: hou.RopNode) -> None:
    """Render in the foreground."""
    if not is_karma(node):
        driver.run(node, "dataset", commands)
        return
    with driver.foreground(node, "dataset") as progress:
        karma_dataset.render(node, progress)


def background(node: hou.RopNode) -> None:
    """Render in the background."""
    driver.start(node, _karma_job(node) if is_karma(node) else driver.job_of(node, "dataset", commands))


def _karma_job(node: hou.RopNode) -> driver.Maker:
    return lambda: KarmaJob(driver.title_of(node, "dataset"), karma_dataset.order_of(node))
