"""The driver that publishes an asset, with what Houdini draws of it."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_houdini.nodes.parameters import text, words_of
from neuron_houdini.nodes.rops import driver

ATTACHED = {"splats": "splat", "points": "points"}  # forms that are made, and how assets call them


def commands(node: hou.RopNode) -> list[list[str]]:
    """What Houdini draws is made first; the published asset holds it."""
    asset, folder = text(node, "asset"), Path(text(node, "folder"))
    files = {form: folder / f"{Path(asset).stem}_{form}.usdc" for form in ATTACHED if node.evalParm(form)}
    exports = [
        words_of(node, "export", source=asset, out=file, form=form, overwrite=True)
        for form, file in files.items()
    ]
    attach = tuple(f"{ATTACHED[form]}={file}" for form, file in files.items())
    return [*exports, words_of(node, "publish", attach=attach)]


def render_frame(node: hou.RopNode) -> None:
    """Publish a version in the foreground."""
    driver.run(node, "publish", commands)


def background(node: hou.RopNode) -> None:
    """Publish a version in the background."""
    driver.start(node, driver.job_of(node, "publish", commands))
