"""Attributes of points as whole arrays, and messages about those that do not fit."""

from __future__ import annotations  # names of hou differ between versions

import hou
import numpy as np


def count(geometry: hou.Geometry) -> int:
    """How many points it has."""
    return len(geometry.pointFloatAttribValuesAsString("P")) // 12


def floats(geometry: hou.Geometry, name: str, size: int) -> np.ndarray | None:
    """An attribute [N, size] float64; None where there is none. Raises hou.NodeError for another size."""
    if geometry.findPointAttrib(name) is None:
        return None
    values = np.frombuffer(geometry.pointFloatAttribValuesAsString(name), np.float32)
    if len(values) != count(geometry) * size:
        raise hou.NodeError(f"The attribute {name} of the points does not have {size} numbers.")
    return values.reshape(-1, size).astype(np.float64)


def texts(geometry: hou.Geometry, name: str, default: str = "") -> list[str]:
    """An attribute of strings, `default` where it is empty or not there."""
    if geometry.findPointAttrib(name) is None:
        return [default] * count(geometry)
    return [text.strip() or default for text in geometry.pointStringAttribValues(name)]


def write_floats(geometry: hou.Geometry, name: str, values: np.ndarray) -> None:
    """Set an attribute that is there."""
    geometry.setPointFloatAttribValuesFromString(name, np.ascontiguousarray(values, np.float32).tobytes())


def add_floats(
    geometry: hou.Geometry, name: str, values: np.ndarray, default: float | tuple[float, ...]
) -> None:
    """Set an attribute, made if it is not there."""
    if geometry.findPointAttrib(name) is None:
        geometry.addAttrib(hou.attribType.Point, name, default)
    write_floats(geometry, name, values)
