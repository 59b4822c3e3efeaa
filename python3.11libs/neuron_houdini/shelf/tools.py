"""The tools of the shelf. Each works in an empty scene: it makes what it needs, lays it out and shows it.

A tool returns the node that it leaves selected, None where the user changed their mind.
"""

from __future__ import annotations  # names of hou differ between versions

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import hou

from neuron_core.foundation.errors import NeuronError
from neuron_houdini.nodes import messages
from neuron_houdini.nodes.types import operator
from neuron_houdini.shelf import networks
from neuron_houdini.shelf.networks import OBJECTS, OUT, STAGE

ANCHORS = "1, 24, 48"
HUSK = "$HFS/bin/husk"  # renders with Karma
HOUDINI_BALL = "/World/shaderball"  # where Houdini's own ball is put
CAMERA_PLACE = (0.0, 0.5, 3.0)  # of a new camera, in meters: assets are about one wide
SHARED = "materials resolution views val_views test_views focal aperture seed".split()  # of ball and dataset


def _tool(work: Callable[..., Any]) -> Callable[..., Any]:
    """What goes wrong is shown and not raised as a traceback; one undo takes everything back."""

    def run(*given: Any) -> Any:
        try:
            with hou.undos.group(f"Neuron {work.__name__.replace('_', ' ')}"):
                return work(*given)
        except NeuronError as error:
            messages.show(error)
            return None

    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return run


@_tool
def shader_ball() -> hou.Node:
    """The stage that ground truth is made of."""
    return networks.shown(networks.new_lop("shaderball"))


@_tool
def bring_ball(node: hou.OpNode) -> hou.Node:
    """Let a shader ball LOP look at Houdini's own ball: its test geometry, through a SOP Import before it."""
    container = networks.network(OBJECTS).createNode("geo", "neuron_ball")
    container.moveToGoodPosition()
    ball = container.createNode("testgeometry_shaderball")
    ball.setDisplayFlag(True)  # type: ignore[attr-defined]
    importer = cast("hou.OpNode", node.parent()).createNode("sopimport")
    importer.setParms({"soppath": ball.path(), "enable_pathprefix": 1, "pathprefix": HOUDINI_BALL})
    before = node.inputs()
    if before:
        importer.setInput(0, before[0])
    node.setInput(0, importer)
    importer.moveToGoodPosition()
    node.setParms({"source": "input", "primpath": HOUDINI_BALL})
    return networks.shown(node)


@_tool
def make_dataset() -> hou.Node:
    """A driver that renders ground truth, that of the shader ball in /stage where there is one."""
    return networks.shown(_new_dataset())


def _new_dataset() -> hou.OpNode:
    """With Karma, of the stage of a shader ball that is there; in a Houdini without husk with the engine."""
    node = networks.create(OUT, "dataset")
    node.setParms({"renderer": "karma" if _has_karma() else "engine"})
    ball = networks.existing(STAGE, "shaderball")
    if ball is not None:
        node.setParms({"loppath": ball.path()})
        if ball.evalParm("source") == "input":
            node.setParms({"prim": ball.evalParm("primpath")})
        for name in SHARED:
            networks.copy_value(ball, node, name)
    return node


def _has_karma() -> bool:
    husk = Path(hou.text.expandString(HUSK))
    return husk.is_file() or husk.with_suffix(".exe").is_file()


@_tool
def train() -> hou.Node:
    """A driver that trains and bakes, fed by a dataset driver: the selected, the last or a new one."""
    networks.check_type(OUT, "train")
    dataset = networks.existing(OUT, "dataset") or _new_dataset()
    node = networks.create(OUT, "train")
    node.setInput(0, dataset)
    networks.copy_text(dataset, "out", node, "dataset")
    return networks.shown(node)


@_tool
def add_asset() -> hou.Node | None:
    """Ask for an asset and put it on the stage, after what is displayed there."""
    networks.check_type(STAGE, "asset")
    path = _ask("Pick a neural asset", "*.neuron *.usd *.usda *.usdc")
    return None if path is None else place_asset(path)


def place_asset(path: str) -> hou.Node:
    """Put an asset on the stage, after what is displayed there. Raises ToolError."""
    node = networks.new_lop("asset")
    node.setParms({"file": path})
    stem = Path(path).stem if not Path(path).is_dir() else Path(path).name
    node.setParms({"primpath": f"/World/{_prim_name(stem)}{_number_at_the_end(node.name())}"})
    return networks.shown(node)


@_tool
def splats() -> hou.Node | None:
    """Ask for a PLY file and load it into a new geometry object."""
    networks.check_type(OBJECTS, "splats")
    path = _ask("Pick Gaussian splats", "*.ply")
    if path is None:
        return None
    objects = networks.network(OBJECTS)
    container = objects.createNode("geo", "neuron_splats")
    container.moveToGoodPosition()
    node = container.createNode(operator("splats"))
    node.moveToGoodPosition()
    node.setParms({"file": path})
    node.setRenderFlag(True)  # type: ignore[attr-defined]
    return networks.shown(node)


@_tool
def anchor_frames() -> hou.Node:
    """A driver that draws the displayed stage through the engine, a few frames of it only."""
    networks.check_type(OUT, "render")
    lop = networks.displayed() or _new_shot()
    node = networks.create(OUT, "render")
    node.setParms({"what": "anchors", "source": "lop", "loppath": lop.path(), "frames": ANCHORS})
    return networks.shown(node)


def _new_shot() -> hou.OpNode:
    """An asset that is still to be picked, and a camera before it."""
    asset = networks.new_lop("asset")
    camera = networks.network(STAGE).createNode("camera")
    camera.setParms({"primpath": "/World/camera", "t": CAMERA_PLACE})
    camera.setInput(0, asset)
    camera.moveToGoodPosition()
    return networks.shown(camera)


def _ask(title: str, pattern: str) -> str | None:
    """A file; None if nobody picked one. Without a desktop nothing is asked: the parameter stays empty."""
    if not hou.isUIAvailable():
        return ""
    return hou.ui.selectFile(title=title, pattern=pattern) or None


def _prim_name(text: str) -> str:
    """A name that USD takes."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in text)
    return name if name and not name[0].isdigit() else f"asset_{name}"


def _number_at_the_end(name: str) -> str:
    """Houdini numbers its nodes: two places of an asset are two primitives."""
    return name[len(name.rstrip("0123456789")) :]
