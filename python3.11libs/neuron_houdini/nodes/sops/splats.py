"""The SOP that loads Gaussian splats as points with Houdini's own splat attributes."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_houdini.nodes import background, messages, points
from neuron_houdini.nodes.asset_file import is_older, output_file
from neuron_houdini.nodes.parameters import text, words_of
from neuron_houdini.nodes.sops.ply import Splats, read_splats


def cook(node: hou.SopNode) -> None:
    """Fill the node's geometry. Raises hou.NodeError."""
    named = text(node, "file")
    if not named:
        node.addWarning("No file yet: pick a file of Gaussian splats.")
        return
    source, y_down = Path(named), bool(node.evalParm("rdf"))
    path = source
    if source.suffix.lower() != ".ply":
        path, y_down = Path(text(node, "converted")), False
        if not path.is_file():
            node.addWarning(f"{source.name} is no PLY file. Press Convert.")
            return
        if source.is_file() and is_older(path, source):
            node.addWarning(f"{source.name} is newer than what was converted. Press Convert.")
    with messages.node_errors():
        splats = read_splats(path, y_down)
    geometry = node.geometry()
    if geometry is not None:
        write_points(geometry, splats)


def convert(node: hou.SopNode) -> None:
    """Let the engine write the file as a PLY file with Y up, in the background."""
    named = text(node, "file")
    if not named:
        messages.show("There is no file yet. Pick a file of Gaussian splats.")
        return
    out = output_file(node, "converted")
    words = words_of(node, "export", source=named, out=out, ply_axes="y-up", overwrite=True)
    background.start(node, "splats", [words], background.cook_again)


def write_points(geometry: hou.Geometry, splats: Splats) -> None:
    """Points and attributes, from whole arrays."""
    geometry.clear()
    geometry.createPoints([(0.0, 0.0, 0.0)] * len(splats.positions))
    points.write_floats(geometry, "P", splats.positions)
    points.add_floats(geometry, "Cd", splats.colors, (1.0, 1.0, 1.0))
    points.add_floats(geometry, "scale", splats.scales, (1.0, 1.0, 1.0))
    points.add_floats(geometry, "orient", splats.orients, (0.0, 0.0, 0.0, 1.0))
    points.add_floats(geometry, "GS_Alpha", splats.alphas, 1.0)
    if splats.harmonics is not None:
        points.add_floats(geometry, "restorient", splats.orients, (0.0, 0.0, 0.0, 1.0))
        for index, letter in enumerate("RGB"):
            points.add_floats(geometry, f"GS_SPH_{letter}", splats.harmonics[:, :, index], (0.0,) * 16)
