"""Cameras of a stage as cameras of the engine.

What USD calls a camera may be scaled, looks down its own -Z, and has an aperture that need not have
the shape of the picture: the picture shows at least the whole aperture (USD's `expandAperture`), with
square pixels. Scale is dropped, since it changes nothing that a pinhole sees. Clipping, depth of field
and shutters are not read.
"""

import numpy as np
from pxr import Gf, Usd, UsdGeom

from neuron_core.cameras.camera import Camera, CameraError, look_at
from neuron_core.usd.records import engine_from_stage

FLAT = 1e-9  # smallest over largest scale of a camera that still has axes


def camera_paths(stage: Usd.Stage) -> tuple[str, ...]:
    """All cameras, by path, in the order of the stage."""
    prims = Usd.PrimRange.Stage(stage, Usd.TraverseInstanceProxies())
    return tuple(str(prim.GetPath()) for prim in prims if prim.IsA(UsdGeom.Camera))


def read_camera(stage: Usd.Stage, path: str, width: int, height: int, when: Usd.TimeCode) -> Camera:
    """The camera at a prim path, for a picture of that size.

    Raises CameraError where there is none, where it is orthographic or mirrored, and for numbers
    that make no camera.
    """
    prim = stage.GetPrimAtPath(path) if path.startswith("/") else None
    if not prim or not prim.IsA(UsdGeom.Camera):
        known = ", ".join(camera_paths(stage)) or "none"
        raise CameraError(f"There is no camera {path} in the stage.", f"Its cameras are: {known}.")
    lens = UsdGeom.Camera(prim).GetCamera(when)
    if lens.projection == lens.Orthographic:
        raise CameraError(f"The camera {path} is orthographic.", "Only perspective cameras can be used.")
    apertures = np.array([lens.horizontalAperture, lens.verticalAperture], np.float64)
    if not (np.isfinite(apertures).all() and (apertures > 0).all() and lens.focalLength > 0):
        raise CameraError(
            f"The camera {path} has a focal length of {lens.focalLength:g} mm and an aperture of "
            f"{apertures[0]:g} x {apertures[1]:g} mm.",
            "All of them are positive.",
        )
    pixels_per_unit = float(np.min([width, height] / apertures))
    return Camera(
        path,
        width,
        height,
        lens.focalLength * pixels_per_unit,
        lens.focalLength * pixels_per_unit,
        width / 2 - lens.horizontalApertureOffset * pixels_per_unit,
        height / 2 + lens.verticalApertureOffset * pixels_per_unit,
        _pose(stage, prim, when),
    )


def _pose(stage: Usd.Stage, prim: Usd.Prim, when: Usd.TimeCode) -> np.ndarray:
    """The c2w [4,4] in the engine's world: the nearest rotation to the prim's matrix, and its place."""
    matrix = np.array(UsdGeom.XformCache(when).GetLocalToWorldTransform(prim)).T
    to_engine = engine_from_stage(
        UsdGeom.GetStageMetersPerUnit(stage), str(UsdGeom.GetStageUpAxis(stage)).upper()
    )
    with np.errstate(invalid="ignore", over="ignore"):
        pose = to_engine @ matrix
    if not np.isfinite(pose).all():
        raise CameraError(f"The transform of camera {prim.GetPath()} is not finite.", "Author it again.")
    left, scales, right = np.linalg.svd(pose[:3, :3])
    if not scales[2] > FLAT * scales[0]:
        raise CameraError(
            f"The transform of camera {prim.GetPath()} is flat: its scales are "
            f"{', '.join(f'{scale:g}' for scale in scales)}.",
            "Author it again.",
        )
    rotation = left @ right
    if np.linalg.det(rotation) < 0:
        raise CameraError(f"The camera {prim.GetPath()} is mirrored.", "Remove the negative scale.")
    c2w = np.eye(4)
    c2w[:3, :3], c2w[:3, 3] = rotation, pose[:3, 3]
    return c2w


def aimed_angles(
    prim: Usd.Prim, target: tuple[float, float, float], when: Usd.TimeCode
) -> tuple[float, float, float]:
    """The angles about x, y, z, in degrees, that let a camera look upright at a point of the stage's world
    from where it is at that time."""
    camera = UsdGeom.Xformable(prim)
    parent_to_world = camera.ComputeParentToWorldTransform(when)
    eye = camera.ComputeLocalToWorldTransform(when).ExtractTranslation()
    up = (0.0, 0.0, 1.0) if UsdGeom.GetStageUpAxis(prim.GetStage()) == "Z" else (0.0, 1.0, 0.0)
    c2w = Gf.Matrix4d(look_at(tuple(eye), target, up).T.tolist())
    rotation = (c2w * parent_to_world.GetInverse()).GetOrthonormalized().ExtractRotation()
    z, y, x = rotation.Decompose(Gf.Vec3d.ZAxis(), Gf.Vec3d.YAxis(), Gf.Vec3d.XAxis())
    return x, y, z
