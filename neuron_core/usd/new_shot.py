"""New shots: an empty stage with units, a frame range and a camera."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Gf, Kind, Sdf, Usd, UsdGeom

from neuron_core.usd.changing import Change, change
from neuron_core.usd.layers import SUFFIXES, save
from neuron_core.usd.records import SceneError, engine_from_stage

WORLD = "/World"
CAMERA = "/World/camera"


@dataclass(frozen=True, slots=True)
class NewShot:
    """What a new stage is like."""

    meters_per_unit: float = 1.0
    up_axis: str = "Y"
    fps: float = 24.0
    frames: tuple[int, int] | None = None  # first and last
    camera: bool = True  # a camera that looks at the origin from 3 m


def write_new(path: Path, wanted: NewShot) -> None:
    """Write an empty shot. Raises SceneError for a name or units that cannot be."""
    if path.suffix.lower() not in SUFFIXES:
        raise SceneError(f"{path} does not end in .usda, .usd or .usdc.", "Give it one of these endings.")
    positive = min(wanted.meters_per_unit, wanted.fps) > 0
    if not (positive and np.isfinite([wanted.meters_per_unit, wanted.fps]).all()):
        raise SceneError(
            f"A stage with {wanted.meters_per_unit} m per unit and {wanted.fps} frames a second cannot be.",
            "Both are positive and finite.",
        )
    layer = Sdf.Layer.CreateAnonymous(".usda")
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageMetersPerUnit(stage, wanted.meters_per_unit)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z if wanted.up_axis == "Z" else UsdGeom.Tokens.y)
    stage.SetTimeCodesPerSecond(wanted.fps)
    stage.SetFramesPerSecond(wanted.fps)
    if wanted.frames is not None:
        stage.SetStartTimeCode(wanted.frames[0])
        stage.SetEndTimeCode(wanted.frames[1])
    world = UsdGeom.Xform.Define(stage, WORLD).GetPrim()
    Usd.ModelAPI(world).SetKind(Kind.Tokens.assembly)
    stage.SetDefaultPrim(world)
    if wanted.camera:
        _add_camera(stage)
    save(layer, path)


def _add_camera(stage: Usd.Stage) -> None:
    camera = UsdGeom.Camera.Define(stage, CAMERA)
    camera.CreateFocalLengthAttr(50.0)
    camera.CreateHorizontalApertureAttr(36.0)
    camera.CreateVerticalApertureAttr(24.0)
    unit = UsdGeom.GetStageMetersPerUnit(stage)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.01 / unit, 1000.0 / unit))
    stage_from_engine = np.linalg.inv(engine_from_stage(unit, str(UsdGeom.GetStageUpAxis(stage))))
    eye = stage_from_engine @ np.array([0.0, 1.0, 3.0, 1.0])
    change(stage, CAMERA, Change(at=(float(eye[0]), float(eye[1]), float(eye[2])), aim=(0.0, 0.0, 0.0)))
