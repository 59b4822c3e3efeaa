"""The driver that publishes an asset, with what Houdini draws of it."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_houdini.nodes.parameters import options, text
from neuron_houdini.nodes.rops import driver

PUBLISH_OPTIONS = "name number".split()
ATTACHED = {"splats": "splat", "points": "points"}  # forms that are made, and how assets call them


def commands(node: hou.RopNode) -> list[list[str]]:
    """What Houdini draws is made first; the published asset holds it."""
    asset, folder = text(node, "asset"), Path(text(node, "folder"))
    last = ["publish", asset, text(node, "library"), *options(node, PUBLISH_OPTIONS)]
    exports = []
    for form, representation in ATTACHED.items():
        if node.evalParm(form):
            file = str(folder / f"{Path(asset).stem}_{form}.usdc")
            exports.append(["export", asset, file, "--form", form, "--overwrite"])
            last += ["--attach", f"{representation}={file}"]
            if form == "splats":
                exports[-1] += ["--steps", str(node.evalParm("steps"))]
    return [*exports, last]


def render_frame(node: hou.RopNode) -> None:
    """Publish a version in the foreground."""
    driver.run(node, "publish", commands)


def background(node: hou.RopNode) -> None:
    """Publish a version in the background."""
    driver.start(node, driver.job_of(node, "publish", commands))
