"""Our pinhole cameras as Mitsuba's sensors."""

import math
from typing import Any

import numpy as np

from neuron_core.cameras.camera import Camera

ONE_RAY: dict[str, object] = {"type": "stratified", "sample_count": 1, "jitter": False}  # sampler: centers


def sensor_of(
    mitsuba: Any, camera: Camera, center: np.ndarray, radius: float, sampler: dict[str, object]
) -> Any:
    """A sensor of the loaded variant whose clipping planes enclose a sphere in meters.

    The film is RGBA in single precision under a box filter; pixels are square and nothing is distorted.
    """
    distance = float(np.linalg.norm(camera.position - center))
    pose = camera.c2w @ np.diag([-1.0, 1.0, -1.0, 1.0])  # Mitsuba looks down +Z, +X to the left
    film = {
        "type": "hdrfilm",
        "width": camera.width,
        "height": camera.height,
        "pixel_format": "rgba",
        "component_format": "float32",
        "rfilter": {"type": "box"},
    }
    return mitsuba.load_dict(
        {
            "type": "perspective",
            "fov_axis": "x",
            "fov": math.degrees(2.0 * math.atan(camera.width / (2.0 * camera.fl_x))),
            "principal_point_offset_x": 0.5 - camera.cx / camera.width,
            "principal_point_offset_y": 0.5 - camera.cy / camera.height,
            "near_clip": max(1e-4 * radius, 0.01 * (distance - radius)),
            "far_clip": 2.0 * (distance + 2.0 * radius),
            "to_world": mitsuba.ScalarTransform4f(pose),
            "film": film,
            "sampler": sampler,
        }
    )
