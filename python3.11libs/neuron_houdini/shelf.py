"""The tools of the shelf. Each works in an empty scene: it makes what it needs, lays it out and shows it.

A tool returns the node that it leaves selected, None where the user changed their mind.
"""

from __future__ import annotations  # names of hou differ between versions

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import hou

from neuron_core.foundation.errors import NeuronError
from neuron_houdini import background

NAMESPACE, VERSION = "neuron", "1.0"
STAGE, OUT, OBJECTS = "/stage", "/out", "/obj"
PANEL = "neuron"  # the name of the interface in python_panels/neuron.pypanel
PANEL_SIZE = (9.0, 7.0)  # inches
ANCHORS = "1, 24, 48"
HUSK = "$HFS/bin/husk"  # renders with Karma
HOUDINI_BALL = "/World/shaderball"  # where Houdini's own ball is put
CAMERA_PLACE = (0.0, 0.5, 3.0)  # of a new camera, in metres: assets are about one wide
SHARED = "materials resolution views val_views test_views focal aperture seed".split()  # of ball and dataset


class ToolError(Exception):
    """Why a tool cannot do its work, and what helps."""


def operator(name: str) -> str:
    """The full name of one of our node types."""
    return f"{NAMESPACE}::{name}::{VERSION}"


def _tool(work: Callable[..., Any]) -> Callable[..., Any]:
    """What goes wrong is shown and not raised as a traceback; one undo takes everything back."""

    def run(*given: Any) -> Any:
        try:
            with hou.undos.group(f"Neuron {work.__name__.replace('_', ' ')}"):
                return work(*given)
        except (ToolError, NeuronError) as error:
            background.tell(str(error))
            return None

    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return run


def set_up() -> None:
    """Choose how the engine is made, and make it."""
    _needs_desktop("python scripts/set_up_engine.py")
    from neuron_houdini.panel import setup_dialog

    setup_dialog.show()


def panel() -> None:
    """Open the panel in a window of its own, or bring the one that is open to the front."""
    _needs_desktop("the command line")
    interface = hou.pypanel.interfaceByName(PANEL)
    if interface is None:
        background.tell("Houdini has not found the Neuron panel. Check that the package of Neuron is loaded.")
        return
    for tab in hou.ui.paneTabs():
        if isinstance(tab, hou.PythonPanel) and _shows(tab, PANEL):
            tab.setIsCurrentTab()
            return
    kind = hou.paneTabType.PythonPanel
    tab = hou.ui.curDesktop().createFloatingPaneTab(kind, size=tuple(map(_pixels, PANEL_SIZE)))
    if isinstance(tab, hou.PythonPanel):
        tab.setActiveInterface(interface)


def _shows(tab: hou.PythonPanel, name: str) -> bool:
    interface = tab.activeInterface()
    return interface is not None and interface.name() == name


def _pixels(inches: float) -> int:
    return int(hou.ui.inchesToPixels(inches))


def _needs_desktop(instead: str) -> None:
    if not hou.isUIAvailable():
        raise hou.OperationFailed(f"This tool has a window. Without a desktop use {instead}.")


@_tool
def shader_ball() -> hou.Node:
    """The stage that ground truth is made of."""
    return _shown(_new_lop("shaderball"))


@_tool
def bring_ball(node: hou.OpNode) -> hou.Node:
    """Let a shader ball LOP look at Houdini's own ball: its test geometry, through a SOP Import before it."""
    container = _network(OBJECTS).createNode("geo", "neuron_ball")
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
    return _shown(node)


@_tool
def make_dataset() -> hou.Node:
    """A driver that renders ground truth, that of the shader ball in /stage where there is one."""
    return _shown(_new_dataset())


def _new_dataset() -> hou.OpNode:
    """With Karma, of the stage of a shader ball that is there; in a Houdini without husk with the engine."""
    node = _create(OUT, "dataset")
    node.setParms({"renderer": "karma" if _has_karma() else "engine"})
    ball = _existing(STAGE, "shaderball")
    if ball is not None:
        node.setParms({"loppath": ball.path()})
        if ball.evalParm("source") == "input":
            node.setParms({"prim": ball.evalParm("primpath")})
        for name in SHARED:
            _copy_value(ball, node, name)
    return node


def _has_karma() -> bool:
    husk = Path(hou.text.expandString(HUSK))
    return husk.is_file() or husk.with_suffix(".exe").is_file()


@_tool
def train() -> hou.Node:
    """A driver that trains and bakes, fed by a dataset driver: the selected, the last or a new one."""
    _check_type(OUT, "train")
    dataset = _existing(OUT, "dataset") or _new_dataset()
    node = _create(OUT, "train")
    node.setInput(0, dataset)
    _copy_text(dataset, "out", node, "dataset")
    return _shown(node)


@_tool
def add_asset() -> hou.Node | None:
    """Ask for an asset and put it on the stage, after what is displayed there."""
    _check_type(STAGE, "asset")
    path = _ask("Pick a neural asset", "*.neuron *.usd *.usda *.usdc")
    return None if path is None else place_asset(path)


def place_asset(path: str) -> hou.Node:
    """Put an asset on the stage, after what is displayed there. Raises ToolError."""
    node = _new_lop("asset")
    node.setParms({"file": path})
    stem = Path(path).stem if not Path(path).is_dir() else Path(path).name
    node.setParms({"primpath": f"/World/{_prim_name(stem)}{_number_at_the_end(node.name())}"})
    return _shown(node)


@_tool
def splats() -> hou.Node | None:
    """Ask for a PLY file and load it into a new geometry object."""
    _check_type(OBJECTS, "splats")
    path = _ask("Pick Gaussian splats", "*.ply")
    if path is None:
        return None
    objects = _network(OBJECTS)
    container = objects.createNode("geo", "neuron_splats")
    container.moveToGoodPosition()
    node = container.createNode(operator("splats"))
    node.moveToGoodPosition()
    node.setParms({"file": path})
    node.setRenderFlag(True)  # type: ignore[attr-defined]
    return _shown(node)


@_tool
def anchor_frames() -> hou.Node:
    """A driver that draws the displayed stage through the engine, a few frames of it only."""
    _check_type(OUT, "render")
    lop = _displayed() or _new_shot()
    node = _create(OUT, "render")
    node.setParms({"what": "anchors", "source": "lop", "loppath": lop.path(), "frames": ANCHORS})
    return _shown(node)


def _new_shot() -> hou.OpNode:
    """An asset that is still to be picked, and a camera before it."""
    asset = _new_lop("asset")
    camera = _network(STAGE).createNode("camera")
    camera.setParms({"primpath": "/World/camera", "t": CAMERA_PLACE})
    camera.setInput(0, asset)
    camera.moveToGoodPosition()
    return _shown(camera)


# --- networks ---


def _network(path: str) -> hou.OpNode:
    found = hou.node(path)
    if found is None:
        raise ToolError(f"This scene has no {path}. Start a new scene, or make the node by hand.")
    return cast("hou.OpNode", found)


def _check_type(network: str, name: str) -> None:
    """Raises ToolError if Houdini does not know a type of ours."""
    categories = {
        STAGE: hou.lopNodeTypeCategory,
        OUT: hou.ropNodeTypeCategory,
        OBJECTS: hou.sopNodeTypeCategory,  # what is created in an object there
    }
    if hou.nodeType(categories[network](), operator(name)) is None:
        raise ToolError(
            f"Houdini does not know the node type {operator(name)}. "
            "Check that the package of Neuron is loaded and that its folder otls is whole."
        )


def _create(network: str, name: str) -> hou.OpNode:
    _check_type(network, name)
    node = _network(network).createNode(operator(name))
    node.moveToGoodPosition()
    return node


def _new_lop(name: str) -> hou.OpNode:
    """A node on the stage, after the displayed one."""
    before = _displayed()
    node = _create(STAGE, name)
    if before is not None:
        node.setInput(0, before)
        node.moveToGoodPosition()
    return node


def _displayed() -> hou.OpNode | None:
    """The displayed node of the stage; None in an empty one."""
    network = _network(STAGE)
    return next((child for child in network.children() if _is_displayed(child)), None)


def _is_displayed(node: hou.OpNode) -> bool:
    return isinstance(node, hou.LopNode) and bool(node.isDisplayFlagSet())


def _existing(network: str, name: str) -> hou.OpNode | None:
    """A node of a type of ours: the selected one, else the last one."""
    nodes = [child for child in _network(network).children() if child.type().name() == operator(name)]
    return next((node for node in nodes if node.isSelected()), nodes[-1] if nodes else None)


def _copy_value(source: hou.OpNode, target: hou.OpNode, name: str) -> None:
    """Let a parameter have the value of that of the same name."""
    target.setParms({name: source.evalParm(name)})


def _copy_text(source: hou.OpNode, name: str, target: hou.OpNode, as_name: str) -> None:
    """Let a parameter say what another one says, unexpanded."""
    value = source.parm(name)
    if value is not None:
        target.setParms({as_name: value.unexpandedString()})


def _shown(node: hou.OpNode) -> hou.OpNode:
    """Display and select it, and let panes look at its network."""
    if isinstance(node, hou.LopNode | hou.SopNode):
        node.setDisplayFlag(True)
    node.setCurrent(True, clear_all_selected=True)
    if hou.isUIAvailable():
        kinds = [hou.paneTabType.NetworkEditor]
        if isinstance(node, hou.LopNode):
            kinds.append(hou.paneTabType.SceneViewer)
        for kind in kinds:
            tab = hou.ui.paneTabOfType(kind)
            if isinstance(tab, hou.PathBasedPaneTab):
                tab.setPwd(cast("hou.Node", node.parent()))
    return node


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
