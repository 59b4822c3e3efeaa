"""The SOP that shows the volume of an asset. The file is written by the engine, on a button only."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_houdini.nodes.asset_file import is_older, neuron_file
from neuron_houdini.nodes.parameters import text
from neuron_houdini.nodes.sops.written import write_out


def cook(node: hou.SopNode) -> None:
    """Load the volume file. Raises hou.NodeError."""
    path = Path(text(node, "out"))
    if not path.is_file():
        node.addWarning("No volume yet: pick an asset and press Write Volume.")
        return
    geometry = node.geometry()
    if geometry is None:
        return
    geometry.clear()
    try:
        geometry.loadFromFile(str(path))
    except hou.OperationFailed as error:
        raise hou.NodeError(f"{path} is not a volume that Houdini reads. Press Write Volume.") from error
    source = neuron_file(node)
    if source is not None and is_older(path, source):
        node.addWarning("The asset is newer than its volume. Press Write Volume.")


def write(node: hou.SopNode) -> None:
    """Let the engine write the file, in the background."""
    write_out(node, "volume", "export", "source")
