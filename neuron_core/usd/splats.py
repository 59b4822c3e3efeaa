"""What makes the data of a `ParticleField3DGaussianSplat` coherent; USD's own validators do not look.

Arrays that are too short are dropped whole by renderers and too long ones are cut, so a mistake here
shows as a gray or empty asset.
"""

import numpy as np
from pxr import Usd, UsdGeom

from neuron_core.usd.records import Problem

TYPE = "ParticleField3DGaussianSplat"
MOST_DEGREES = 3
UNIT = 5e-3  # how far the squared length of a quaternion may be from one

_KIND = "splat"
_HINT = "Export the splats again."


def splat_problems(prim: Usd.Prim, when: Usd.TimeCode) -> list[Problem]:
    """What is wrong with one splat prim."""
    positions = _array(prim, "positions", 3, when)
    path = str(prim.GetPath())
    if positions is None or not len(positions):
        return [Problem(path, "It has no positions.", _HINT, _KIND)]
    wrong = []
    if not np.isfinite(positions).all():
        wrong.append("Its positions are not all finite.")
    count = len(positions)
    wrong += _scales(_array(prim, "scales", 3, when), count)
    wrong += _orientations(_array(prim, "orientations", 4, when), count)
    wrong += _opacities(_array(prim, "opacities", 1, when), count)
    wrong += _harmonics(prim, count, when)
    if not prim.GetAttribute("extent").HasAuthoredValue():
        wrong.append("It has no extent, and USD cannot compute one.")
    return [Problem(path, message, _HINT, _KIND) for message in wrong]


def _scales(scales: np.ndarray | None, count: int) -> list[str]:
    if scales is None or len(scales) != count:
        return [_length("scales", scales, count)]
    return [] if (np.isfinite(scales) & (scales > 0)).all() else ["Its scales are not all positive."]


def _orientations(orientations: np.ndarray | None, count: int) -> list[str]:
    if orientations is None or len(orientations) != count:
        return [_length("orientations", orientations, count)]
    squared = np.einsum("ni,ni->n", orientations, orientations)
    return [] if (np.abs(squared - 1) <= UNIT).all() else ["Its orientations are not all unit quaternions."]


def _opacities(opacities: np.ndarray | None, count: int) -> list[str]:
    if opacities is None or len(opacities) != count:
        return [_length("opacities", opacities, count)]
    inside = ((opacities >= 0) & (opacities <= 1)).all()
    return [] if inside else ["Its opacities are not all within 0 and 1."]


def _harmonics(prim: Usd.Prim, count: int, when: Usd.TimeCode) -> list[str]:
    attribute = prim.GetAttribute("radiance:sphericalHarmonicsDegree")
    degree = attribute.Get() if attribute and attribute.HasAuthoredValue() else None
    if not isinstance(degree, int) or not 0 <= degree <= MOST_DEGREES:
        return [f"Its degree of spherical harmonics is {degree}, not 0 to {MOST_DEGREES}."]
    coefficients = _array(prim, "radiance:sphericalHarmonicsCoefficients", 3, when)
    wanted = count * (degree + 1) ** 2
    if coefficients is None or len(coefficients) != wanted:
        return [_length("coefficients of spherical harmonics", coefficients, wanted)]
    return [] if np.isfinite(coefficients).all() else ["Its spherical harmonics are not all finite."]


def _length(name: str, values: np.ndarray | None, count: int) -> str:
    return f"It has {0 if values is None else len(values)} {name} where {count} are needed."


def _array(prim: Usd.Prim, name: str, width: int, when: Usd.TimeCode) -> np.ndarray | None:
    """[N, width] float64 of the float or else the half version; None where neither is authored."""
    for attribute in (prim.GetAttribute(name), prim.GetAttribute(f"{name}h")):
        values = attribute.Get(when) if attribute else None
        if values is None or not len(values):
            continue
        if width == 4:  # quaternions are not sequences
            return np.array([(q.GetReal(), *q.GetImaginary()) for q in values], np.float64)
        return np.asarray(values, np.float64).reshape(-1, width)
    return None


def is_splat(prim: Usd.Prim) -> bool:
    """Whether a prim holds splats, known to this USD or not."""
    return str(prim.GetTypeName()) == TYPE and not prim.IsA(UsdGeom.Mesh)
