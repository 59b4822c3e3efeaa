"""Whether Houdini found the package, the engine, and every node type with its interface."""

from __future__ import annotations  # names of hou differ between versions

import os
import platform
import sys
from pathlib import Path

import hou
import numpy as np
from houdini_assets import binary, tree
from houdini_assets.description import NodeType
from houdini_assets.nodes import NODES

from neuron_houdini.engine import environment, process
from neuron_houdini.verify.acting import complain, create
from neuron_houdini.verify.check import Check, Problem, Work


def check_versions(work: Work) -> str:
    """Facts that nobody outside of Houdini knows."""
    from pxr import Usd

    version = ".".join(map(str, hou.applicationVersion()))
    usd = ".".join(map(str, Usd.GetVersion()))
    python = sys.version.split()[0]
    return f"Houdini {version}, Python {python}, numpy {np.__version__}, USD {usd}, {platform.platform()}"


def check_package(work: Work) -> str:
    """Whether Houdini read the package file, and USD found the schema."""
    from pxr import Usd

    told = os.environ.get("NEURON", "")
    if not Usd.SchemaRegistry().IsAppliedAPISchema("NeuronAssetAPI"):
        raise Problem("USD does not know NeuronAssetAPI: PXR_PLUGINPATH_NAME has not reached it")
    if not told:
        raise Problem("NEURON is not set: the package was not read (HOUDINI_PACKAGE_VERBOSE=1 tells why)")
    if Path(told).resolve() != environment.PROJECT:
        raise Problem(f"NEURON is {told}, this script is of {environment.PROJECT}")
    return f"the package of {told}"


def check_engine(work: Work) -> str:
    """The engine is there and has the version of the nodes."""
    return f"{process.ready()}, version {process.check_version(environment.find_python())}"


def check_type(node_type: NodeType) -> Check:
    """That Houdini knows the type from our folder, and makes the interface that we describe."""

    def check(work: Work) -> str:
        node = create(node_type)
        found = {parm.name() for parm in node.parmTuples()}
        wanted = {parm.name for parm in node_type.parms() if "#" not in parm.name and not parm.base}
        if missing := sorted(wanted - found):
            raise Problem(f"parameters that Houdini did not make: {', '.join(missing)}")
        entries = menus_of(node, node_type)
        complain(node)
        where = node.type().definition()
        home = where.libraryFilePath() if where is not None else "nowhere"
        node.destroy()
        return f"{len(wanted)} parameters, {entries} menu entries, from {home}"

    return check


def menus_of(node: hou.OpNode, node_type: NodeType) -> int:
    """How many entries the menus have; a menu that raises or has none at all is a problem."""
    count = 0
    for parm in node_type.parms():
        made = node.parm(parm.name)
        if parm.menu is not None and made is not None:
            entries = len(made.menuItems())
            if parm.menu.items and entries != len(parm.menu.items):
                raise Problem(f"the menu of {parm.name} has {entries} entries")
            count += entries
    return count


def check_packed(work: Work) -> str:
    """Houdini reads the binary files that our packer writes."""
    folder = work.folder / "packed"
    folder.mkdir(exist_ok=True)
    for node_type in NODES:
        path = folder / node_type.folder
        path.write_bytes(binary.pack(tree.files_of(node_type)))
        names = [definition.nodeTypeName() for definition in hou.hda.definitionsInFile(str(path))]
        if names != [node_type.operator]:
            raise Problem(f"{path.name} holds {names}")
    return f"{len(NODES)} files"
