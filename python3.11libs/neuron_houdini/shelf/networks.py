"""The networks that tools make nodes in: finding, creating, showing and wiring them."""

from __future__ import annotations  # names of hou differ between versions

from typing import cast

import hou

from neuron_houdini.errors import HoudiniError
from neuron_houdini.nodes.types import operator

STAGE, OUT, OBJECTS = "/stage", "/out", "/obj"


class ToolError(HoudiniError):
    """Why a tool cannot do its work."""


def network(path: str) -> hou.OpNode:
    """One of the networks that every scene has. Raises ToolError."""
    found = hou.node(path)
    if found is None:
        raise ToolError(f"This scene has no {path}.", "Start a new scene, or make the node by hand.")
    return cast("hou.OpNode", found)


def check_type(place: str, name: str) -> None:
    """Raises ToolError if Houdini does not know a type of ours."""
    categories = {
        STAGE: hou.lopNodeTypeCategory,
        OUT: hou.ropNodeTypeCategory,
        OBJECTS: hou.sopNodeTypeCategory,  # what is created in an object there
    }
    if hou.nodeType(categories[place](), operator(name)) is None:
        raise ToolError(
            f"Houdini does not know the node type {operator(name)}.",
            "Check that the package of Neuron is loaded and that its folder otls is whole.",
        )


def create(place: str, name: str) -> hou.OpNode:
    """A new node of a type of ours. Raises ToolError."""
    check_type(place, name)
    node = network(place).createNode(operator(name))
    node.moveToGoodPosition()
    return node


def new_lop(name: str) -> hou.OpNode:
    """A node on the stage, after the displayed one."""
    before = displayed()
    node = create(STAGE, name)
    if before is not None:
        node.setInput(0, before)
        node.moveToGoodPosition()
    return node


def displayed() -> hou.OpNode | None:
    """The displayed node of the stage; None in an empty one."""
    return next((child for child in network(STAGE).children() if _is_displayed(child)), None)


def _is_displayed(node: hou.OpNode) -> bool:
    return isinstance(node, hou.LopNode) and bool(node.isDisplayFlagSet())


def existing(place: str, name: str) -> hou.OpNode | None:
    """A node of a type of ours: the selected one, else the last one."""
    nodes = [child for child in network(place).children() if child.type().name() == operator(name)]
    return next((node for node in nodes if node.isSelected()), nodes[-1] if nodes else None)


def copy_value(source: hou.OpNode, target: hou.OpNode, name: str) -> None:
    """Let a parameter have the value of that of the same name."""
    target.setParms({name: source.evalParm(name)})


def copy_text(source: hou.OpNode, name: str, target: hou.OpNode, as_name: str) -> None:
    """Let a parameter say what another one says, unexpanded."""
    value = source.parm(name)
    if value is not None:
        target.setParms({as_name: value.unexpandedString()})


def shown(node: hou.OpNode) -> hou.OpNode:
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
