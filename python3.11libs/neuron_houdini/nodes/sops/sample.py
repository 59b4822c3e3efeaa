"""The SOP that gives points the values of an asset where they are.

The values come from a grid that the engine writes on a button; between its samples numpy
interpolates, in Houdini's own process.
"""

from __future__ import annotations  # names of hou differ between versions

from functools import lru_cache
from pathlib import Path

import hou
import numpy as np

from neuron_core.volumes import grids
from neuron_houdini.nodes import messages, points
from neuron_houdini.nodes.asset_file import manifest_of
from neuron_houdini.nodes.parameters import text
from neuron_houdini.nodes.sops.written import write_out

CODE = "neuron_code"


def cook(node: hou.SopNode) -> None:
    """Set density, N, Cd and the material code on the incoming points. Raises hou.NodeError."""
    path = Path(text(node, "out"))
    geometry = node.geometry()
    if geometry is None:
        return
    if not path.is_file():
        node.addWarning("No grid yet: pick an asset and press Fetch Grid.")
        return
    with messages.node_errors():
        grid = read_cached(path)
    manifest = manifest_of(node)
    if manifest is not None and manifest.digest != grid.digest:
        node.addWarning("The grid was made from another asset. Press Fetch Grid.")
    positions = points.floats(geometry, "P", 3)
    write(geometry, grids.sample(grid, np.zeros((0, 3)) if positions is None else positions), node)


def write(geometry: hou.Geometry, values: grids.Values, node: hou.SopNode) -> None:
    """The attributes that are switched on."""
    if node.evalParm("density"):
        points.add_floats(geometry, "density", values.density, 0.0)
    if node.evalParm("normal"):
        points.add_floats(geometry, "N", values.normal, (0.0, 0.0, 0.0))
    if node.evalParm("color"):
        points.add_floats(geometry, "Cd", values.color, (1.0, 1.0, 1.0))
    if node.evalParm("code"):
        points.add_floats(geometry, CODE, values.code, (0.0,) * 8)


def read_cached(path: Path) -> grids.SampleGrid:
    """The grid, read again only if the file changed. Raises NeuronError."""
    state = path.stat()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> grids.SampleGrid:
    return grids.read_grid(path)


def fetch(node: hou.SopNode) -> None:
    """Let the engine write the grid, in the background."""
    write_out(node, "grid", "grid", "asset")
