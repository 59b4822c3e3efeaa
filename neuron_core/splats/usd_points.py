"""Splats as `UsdGeom.Points`, for programs that know points but no splats.

The primvars are those of Houdini's splat tools, as `splats.houdini` writes them; there they become the
point attributes from which the splats are made again.
"""

import numpy as np
from pxr import Sdf, Usd, UsdGeom, Vt

from neuron_core.foundation.colors import srgb_to_linear
from neuron_core.splats.cloud import Splats
from neuron_core.splats.houdini import point_attributes

WIDTH = 2.0  # of a point, in the standard deviations of the longer axes of its splat


def author_points(stage: Usd.Stage, path: Sdf.Path, splats: Splats, half: bool) -> Usd.Prim:
    """Define the points at `path`, always with full precision. Colors for display are linear."""
    names, vertex = Sdf.ValueTypeNames, UsdGeom.Tokens.vertex
    found = {name: np.ascontiguousarray(array) for name, array in point_attributes(splats).items()}
    points = UsdGeom.Points.Define(stage, path)
    points.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(found["P"]))
    widths = WIDTH * np.sort(splats.scales, axis=1)[:, 1:].mean(axis=1)
    points.CreateWidthsAttr(Vt.FloatArray.FromNumpy(np.ascontiguousarray(widths, np.float32)))
    points.SetWidthsInterpolation(vertex)
    colors = srgb_to_linear(found["Cd"]) if splats.encoding == "srgb" else found["Cd"]
    shown = Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(colors, np.float32))
    points.CreateDisplayColorPrimvar(vertex).Set(shown)
    points.CreateExtentAttr(
        UsdGeom.Points.ComputeExtent(points.GetPointsAttr().Get(), points.GetWidthsAttr().Get())
    )
    primvars = UsdGeom.PrimvarsAPI(points)
    for name in ("orient", "restorient"):
        turns = Vt.QuatfArray.FromNumpy(found[name])
        primvars.CreatePrimvar(name, names.QuatfArray, vertex).Set(turns)
    scales = Vt.Vec3fArray.FromNumpy(found["scale"])
    primvars.CreatePrimvar("scale", names.Float3Array, vertex).Set(scales)
    opacities = Vt.FloatArray.FromNumpy(found["GS_Alpha"])
    primvars.CreatePrimvar("GS_Alpha", names.FloatArray, vertex).Set(opacities)
    for letter in "RGB":
        terms = found[f"GS_SPH_{letter}"]
        values = Vt.FloatArray.FromNumpy(terms.reshape(-1))
        primvars.CreatePrimvar(f"GS_SPH_{letter}", names.FloatArray, vertex, terms.shape[1]).Set(values)
    points.GetPrim().SetCustomDataByKey("neuron:colorEncoding", splats.encoding)
    return points.GetPrim()
