"""What a person does with nodes: making them, pressing their buttons, looking at their errors."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path
from typing import Any, cast

import hou
from houdini_assets.description import NodeType
from houdini_assets.nodes import NODES

from neuron_houdini.engine import jobs
from neuron_houdini.verify.check import Problem, Skipped

NETWORKS = {"Driver": "/out", "Lop": "/stage"}
CATEGORIES = {"Driver": "ropNodeTypeCategory", "Lop": "lopNodeTypeCategory", "Sop": "sopNodeTypeCategory"}


def create(node_type: NodeType) -> hou.OpNode:
    """A new node in a network of its kind. Raises Problem if Houdini does not know it."""
    category = getattr(hou, CATEGORIES[node_type.table])()
    if hou.nodeType(category, node_type.operator) is None:
        raise Problem(f"Houdini does not know {node_type.operator}")
    network = hou.node(NETWORKS[node_type.table]) if node_type.table in NETWORKS else _container()
    assert network is not None
    return cast("hou.OpNode", network.createNode(node_type.operator))


def _container() -> hou.Node:
    objects = hou.node("/obj")
    assert objects is not None
    return objects.node("neuron_verify") or objects.createNode("geo", "neuron_verify")


def complain(node: hou.OpNode) -> None:
    """Raise Problem for the errors of a node."""
    if errors := node.errors():
        raise Problem("; ".join(errors))


def described(name: str) -> NodeType:
    """One of our types by its short name. Raises Skipped for one that this version does not have."""
    found = next((node_type for node_type in NODES if node_type.name == name), None)
    if found is None:
        raise Skipped(f"this version has no {name}")
    return found


def made(name: str, /, **values: object) -> hou.OpNode:
    """A node of ours with some parameters set."""
    node = create(described(name))
    node.setParms(cast("Any", values))
    return node


def run_driver(name: str, /, **values: object) -> hou.OpNode:
    """Press Render of a driver, as a person would. Raises Problem for its errors."""
    node = made(name, **values)
    try:
        cast("hou.RopNode", node).render()
    except hou.Error as error:
        raise Problem(f"{error.instanceMessage()} {'; '.join(node.errors())}") from error
    complain(node)
    return node


def press(node: hou.OpNode, button: str) -> None:
    """Press a button that starts a job, and wait for the job. Raises Problem for its error."""
    parm = node.parm(button)
    if parm is None:
        raise Problem(f"there is no button {button}")
    parm.pressButton()
    job = jobs.of(node.sessionId())
    if job is None:
        raise Problem(f"{button} started no job")
    job.join()
    if job.error is not None:
        raise Problem(job.error.text)


def cooked(node: hou.OpNode) -> hou.OpNode:
    """Cook it. Raises Problem for its errors."""
    try:
        node.cook(force=True)
    except hou.Error as error:
        raise Problem(f"{error.instanceMessage()} {'; '.join(node.errors())}") from error
    complain(node)
    return node


def must_exist(path: Path) -> Path:
    """Raise Problem where nothing was made."""
    if not path.exists():
        raise Problem(f"{path} was not made")
    return path


def box_sop() -> hou.OpNode:
    """A box, which has eight points."""
    container = _container()
    return cast("hou.OpNode", container.node("neuron_box") or container.createNode("box", "neuron_box"))
