"""The SOP that loads Gaussian splats as points with Houdini's own splat attributes."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_houdini import background, points
from neuron_houdini.fetched import cook_again, folder_of, is_older
from neuron_houdini.ply import PlyError, Splats, read_splats


def cook(node: hou.SopNode) -> None:
    """Fill the node's geometry. Raises hou.NodeError."""
    text = str(node.evalParm("file")).strip()
    if not text:
        node.addWarning("No file yet: pick a file of Gaussian splats.")
        return
    source, y_down = Path(text), bool(node.evalParm("rdf"))
    path = source
    if source.suffix.lower() != ".ply":
        path, y_down = Path(str(node.evalParm("converted")).strip()), False
        if not path.is_file():
            node.addWarning(f"{source.name} is no PLY file. Press Convert.")
            return
        if source.is_file() and is_older(path, source):
            node.addWarning(f"{source.name} is newer than what was converted. Press Convert.")
    try:
        splats = read_splats(path, y_down)
    except PlyError as error:
        raise hou.NodeError(str(error)) from error
    geometry = node.geometry()
    if geometry is not None:
        write_points(geometry, splats)


def convert(node: hou.SopNode) -> None:
    """Let the engine write the file as a PLY file with Y up, in the background."""
    text = str(node.evalParm("file")).strip()
    if not text:
        background.tell("There is no file yet. Pick a file of Gaussian splats.")
        return
    words = ["export", text, str(folder_of(node, "converted")), "--ply-axes", "y-up", "--overwrite"]
    background.start(node, "splats", [words], cook_again)


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


def reload(node: hou.SopNode) -> None:
    """Cook again although no parameter changed."""
    cook_again(node)
