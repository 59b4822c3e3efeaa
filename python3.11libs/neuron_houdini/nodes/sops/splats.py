"""The SOP that loads Gaussian splats as points with Houdini's own splat attributes."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou
import numpy as np

from neuron_core.splats import harmonics
from neuron_core.splats.cloud import Splats
from neuron_core.splats.moving import turned_upside_down
from neuron_core.splats.ply import read_ply
from neuron_houdini.nodes import background, messages, points
from neuron_houdini.nodes.asset_file import is_older, output_file
from neuron_houdini.nodes.parameters import text, words_of

COEFFICIENTS = 16  # of an attribute of harmonics in Houdini
BLOCK = 1 << 12  # splats that fit a cache while their numbers are sorted by channel


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
            node.addWarning(f"{source.name} is not a PLY file. Press Convert.")
            return
        if source.is_file() and is_older(path, source):
            node.addWarning(f"{source.name} is newer than what was converted. Press Convert.")
    with messages.node_errors():
        splats = read_ply(path)
    geometry = node.geometry()
    if geometry is not None:
        write_points(geometry, turned_upside_down(splats) if y_down else splats)


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
    """Points and attributes, from whole arrays; quaternions are x, y, z, w as Houdini has them."""
    geometry.clear()
    geometry.createPoints([(0.0, 0.0, 0.0)] * len(splats))
    colors = np.float32(0.5) + np.float32(harmonics.CONSTANT) * splats.harmonics[:, 0]
    orients = splats.rotations[:, [1, 2, 3, 0]]
    points.write_floats(geometry, "P", splats.positions)
    points.add_floats(geometry, "Cd", colors, (1.0, 1.0, 1.0))
    points.add_floats(geometry, "scale", splats.scales, (1.0, 1.0, 1.0))
    points.add_floats(geometry, "orient", orients, (0.0, 0.0, 0.0, 1.0))
    points.add_floats(geometry, "GS_Alpha", splats.opacities, 1.0)
    if splats.degree:
        points.add_floats(geometry, "restorient", orients, (0.0, 0.0, 0.0, 1.0))
        _write_harmonics(geometry, splats.harmonics)


def _write_harmonics(geometry: hou.Geometry, coefficients: np.ndarray) -> None:
    """An attribute of 16 numbers for each channel, the constant term first, zeros past the degree."""
    count, terms, _ = coefficients.shape
    channels = np.zeros((3, count, COEFFICIENTS), np.float32)
    for first in range(0, count, BLOCK):
        some = slice(first, first + BLOCK)
        channels[:, some, :terms] = coefficients[some].transpose(2, 0, 1)
    for letter, values in zip("RGB", channels, strict=True):
        points.add_floats(geometry, f"GS_SPH_{letter}", values, (0.0,) * COEFFICIENTS)
