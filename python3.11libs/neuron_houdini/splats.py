"""The SOP that loads Gaussian splats as points with Houdini's own splat attributes."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou
import numpy as np

from neuron_houdini.ply import PlyError, Splats, read_splats


def cook(node: hou.SopNode) -> None:
    """Fill the node's geometry. Raises hou.NodeError."""
    text = str(node.evalParm("file")).strip()
    if not text:
        node.addWarning("No file yet: pick a .ply file of Gaussian splats.")
        return
    try:
        splats = read_splats(Path(text), bool(node.evalParm("rdf")))
    except PlyError as error:
        raise hou.NodeError(str(error)) from error
    geometry = node.geometry()
    if geometry is not None:
        write_points(geometry, splats)


def write_points(geometry: hou.Geometry, splats: Splats) -> None:
    """Points and attributes, from whole arrays."""
    geometry.clear()
    geometry.createPoints([(0.0, 0.0, 0.0)] * len(splats.positions))
    _write(geometry, "P", splats.positions)
    _add(geometry, "Cd", splats.colors, (1.0, 1.0, 1.0))
    _add(geometry, "scale", splats.scales, (1.0, 1.0, 1.0))
    _add(geometry, "orient", splats.orients, (0.0, 0.0, 0.0, 1.0))
    _add(geometry, "GS_Alpha", splats.alphas, 1.0)
    if splats.harmonics is not None:
        _add(geometry, "restorient", splats.orients, (0.0, 0.0, 0.0, 1.0))
        for index, letter in enumerate("RGB"):
            _add(geometry, f"GS_SPH_{letter}", splats.harmonics[:, :, index], (0.0,) * 16)


def _add(geometry: hou.Geometry, name: str, values: np.ndarray, default: float | tuple[float, ...]) -> None:
    geometry.addAttrib(hou.attribType.Point, name, default)
    _write(geometry, name, values)


def _write(geometry: hou.Geometry, name: str, values: np.ndarray) -> None:
    geometry.setPointFloatAttribValuesFromString(name, np.ascontiguousarray(values, np.float32).tobytes())


def reload(node: hou.SopNode) -> None:
    """Cook again although no parameter changed."""
    node.cook(force=True)
