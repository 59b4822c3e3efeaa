"""What a set of cameras looks at, from their poses alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuron_core.cameras.camera import Camera, CameraError


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """Where the cameras look together, and how far away it is from most of them."""

    point: np.ndarray  # [3] float64, closest to all optical axes
    distance: float  # meters, the median from the cameras to the point


def find_focus(cameras: Sequence[Camera]) -> Focus:
    """The point closest to all optical axes in the sense of least squares.

    Where axes are parallel, every point along them is as close: the one nearest to the middle of the
    cameras is taken, and the distance is then the size of the rig. Raises CameraError without cameras.
    """
    if not cameras:
        raise CameraError("Without cameras there is nothing that they look at.")
    positions = np.array([camera.position for camera in cameras])
    forwards = np.array([camera.forward for camera in cameras])
    middle = positions.mean(axis=0)
    across = np.eye(3) - forwards[:, :, None] * forwards[:, None, :]  # projects onto the image planes
    offsets = np.einsum("nij,nj->i", across, positions - middle)
    point = middle + np.linalg.pinv(across.sum(axis=0), rcond=1e-6, hermitian=True) @ offsets
    return Focus(point, float(np.median(np.linalg.norm(positions - point, axis=1))))
