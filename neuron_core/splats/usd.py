"""Splats as USD prims: `ParticleField3DGaussianSplat`, by type name, so that any USD can write it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, Vt

from neuron_core.foundation.colors import Encoding
from neuron_core.splats import harmonics
from neuron_core.splats.cloud import SplatError, Splats, checked, joined, normalized
from neuron_core.splats.moving import transformed
from neuron_core.splats.usd_points import author_points
from neuron_core.usd.components import new_layer, new_model

TYPE = "ParticleField3DGaussianSplat"
SPACES: dict[Encoding, str] = {"linear": "lin_rec709_scene", "srgb": "srgb_rec709_scene"}
COEFFICIENTS = "radiance:sphericalHarmonicsCoefficients"
DEGREE = "radiance:sphericalHarmonicsDegree"
MEMORY_ORDER = [1, 2, 3, 0]  # arrays of quaternions lie in memory as x y z w


def write_usd(
    path: Path, splats: Splats, name: str = "splats", half: bool = True, as_points: bool = False
) -> None:
    """Write a stage with one field below a component, meters and Y up, whole or not at all.

    With `half` everything but positions has half precision; `as_points` writes `UsdGeom.Points` with
    primvars instead. Raises SplatError for none.
    """
    if not len(splats):
        raise SplatError(f"There are no splats to write to {path}.")
    with new_layer(path) as layer:
        stage, root = new_model(layer, name)
        define = author_points if as_points else author
        define(stage, root.GetPath().AppendChild("splats"), splats, half)
        stage.Save()


def author(stage: Usd.Stage, path: Sdf.Path, splats: Splats, half: bool) -> Usd.Prim:
    """Define the field prim at `path`."""
    prim = stage.DefinePrim(path, TYPE)
    kind = "h" if half else ""
    names, uniform = Sdf.ValueTypeNames, Sdf.VariabilityUniform
    quaternions = np.ascontiguousarray(splats.rotations[:, MEMORY_ORDER])
    terms = splats.harmonics.shape[1]
    _set(
        prim, "positions", names.Point3fArray, Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(splats.positions))
    )
    if half:
        quats = Vt.QuathArray.FromNumpy(quaternions.astype(np.float16))
        scales = Vt.Vec3hArray.FromNumpy(np.maximum(splats.scales, 1e-7).astype(np.float16))
        opacities = Vt.HalfArray.FromNumpy(splats.opacities.astype(np.float16))
        colors = Vt.Vec3hArray.FromNumpy(
            splats.harmonics.reshape(-1, 3).clip(-65504, 65504).astype(np.float16)
        )
        kinds = (names.QuathArray, names.Half3Array, names.HalfArray, names.Half3Array)
    else:
        quats = Vt.QuatfArray.FromNumpy(quaternions)
        scales = Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(splats.scales))
        opacities = Vt.FloatArray.FromNumpy(np.ascontiguousarray(splats.opacities))
        colors = Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(splats.harmonics.reshape(-1, 3)))
        kinds = (names.QuatfArray, names.Float3Array, names.FloatArray, names.Float3Array)
    _set(prim, f"orientations{kind}", kinds[0], quats)
    _set(prim, f"scales{kind}", kinds[1], scales)
    _set(prim, f"opacities{kind}", kinds[2], opacities)
    _set(prim, DEGREE, names.Int, splats.degree, uniform)
    _set(prim, f"{COEFFICIENTS}{kind}", kinds[3], colors).SetMetadata("elementSize", terms)
    _set(prim, "projectionModeHint", names.Token, "perspective", uniform)
    _set(prim, "sortingModeHint", names.Token, "zDepth", uniform)
    low, high = splats.box()
    extent = Vt.Vec3fArray([Gf.Vec3f(*map(float, corner)) for corner in (low, high)])
    _set(prim, "extent", names.Float3Array, extent)
    prim.AddAppliedSchema("ColorSpaceAPI")
    _set(prim, "colorSpace:name", names.Token, SPACES[splats.encoding], uniform)
    prim.SetCustomDataByKey("neuron:colorEncoding", splats.encoding)
    prim.SetCustomDataByKey("neuron:antialiased", splats.antialiased)
    return prim


def _set(
    prim: Usd.Prim,
    name: str,
    kind: Sdf.ValueTypeName,
    value: object,
    variability: Sdf.Variability = Sdf.VariabilityVarying,
) -> Usd.Attribute:
    attribute = prim.CreateAttribute(name, kind, False, variability)
    attribute.Set(value)
    return attribute


def fields_of(stage: Usd.Stage) -> Iterator[Usd.Prim]:
    """The splat prims of a stage, those inside instances too."""
    for prim in Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()):
        if str(prim.GetTypeName()) == TYPE:
            yield prim


def read_usd_splats(path: Path) -> Splats:
    """All splats of a stage, each field's where its transform puts it; units and axes are the stage's.

    Raises SplatError for a stage without any, or with a field that is broken.
    """
    try:
        stage = Usd.Stage.Open(str(path))
    except Tf.ErrorException as error:
        raise SplatError(f"{path} cannot be read as USD.", "Export the file again.") from error
    parts = []
    for prim in fields_of(stage):
        matrix = np.array(UsdGeom.Imageable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default())).T
        parts.append(
            transformed(read_prim(prim), matrix) if not np.allclose(matrix, np.eye(4)) else read_prim(prim)
        )
    if not parts:
        raise SplatError(f"{path} has no splats.", f"They are prims of the type {TYPE}.")
    return joined(parts)


def read_prim(prim: Usd.Prim) -> Splats:
    """The splats of one field in its own space, with the schema's defaults for what is missing."""
    where = str(prim.GetPath())
    positions = _get(prim, "positions", 3)
    if positions is None:
        raise SplatError(f"{where} has no positions.")
    count = len(positions)
    degree = prim.GetAttribute(DEGREE).Get()
    degree = 3 if degree is None else int(degree)
    if not 0 <= degree <= 3:
        raise SplatError(f"{where} has harmonics of degree {degree}, not 0 to 3.")
    terms = harmonics.terms_of(degree)
    rotations, scales = _get(prim, "orientations", 4), _get(prim, "scales", 3)
    opacities, colors = _get(prim, "opacities", 1), _get(prim, COEFFICIENTS, 3)
    given = {
        "orientations": (rotations, 1),
        "scales": (scales, 1),
        "opacities": (opacities, 1),
        COEFFICIENTS: (colors, terms),
    }
    for name, (array, each) in given.items():
        if array is not None and len(array) != count * each:
            raise SplatError(f"{where} has {len(array)} {name} for {count} splats of degree {degree}.")
    found = Splats(
        positions,
        normalized(
            rotations[:, [3, 0, 1, 2]]
            if rotations is not None
            else np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1))
        ),
        scales if scales is not None else np.ones((count, 3), np.float32),
        opacities[:, 0] if opacities is not None else np.ones(count, np.float32),
        colors.reshape(count, terms, 3) if colors is not None else np.zeros((count, 1, 3), np.float32),
        _encoding(prim),
        bool(prim.GetCustomDataByKey("neuron:antialiased")),
    )
    return checked(found, where)


def _get(prim: Usd.Prim, name: str, width: int) -> np.ndarray | None:
    """An array [M, width] float32, of the float attribute or else of the half one."""
    for suffix in ("", "h"):
        value = prim.GetAttribute(name + suffix).Get(Usd.TimeCode.EarliestTime())
        if value is not None and len(value):
            return np.array(value, np.float32).reshape(-1, width)
    return None


def _encoding(prim: Usd.Prim) -> Encoding:
    """What the nearest authored color space says; nothing means what most trainers write: sRGB."""
    while prim:
        space = prim.GetAttribute("colorSpace:name").Get()
        if space:
            return "linear" if str(space).startswith("lin_") else "srgb"
        prim = prim.GetParent()
    return "srgb"
