"""Draw splats, on any device that the kernels run on."""

from dataclasses import replace
from typing import Any

import numpy as np
import warp as wp

from neuron_core.cameras.camera import Camera
from neuron_core.kernels.splats.projection import Lens, lens_depths
from neuron_core.kernels.splats.raster import rasterize
from neuron_core.kernels.splats.sorting import project
from neuron_core.splats.cloud import SplatError, Splats, to_shapes

DILATION = 0.3  # variance in square pixels by which common viewers widen splats
_FLIP = np.diag([1.0, -1.0, -1.0])  # cameras look down -Z with +Y up, lenses down +Z with +Y down


def lens_of(camera: Camera, low: np.ndarray, high: np.ndarray, dilation: float = DILATION) -> Lens:
    """The camera as kernels take it, for splats inside a box. Raises SplatError for a distorted lens."""
    if camera.distorted:
        raise SplatError(
            f"Splats cannot be drawn through the distorted lens of camera {camera.name}.",
            "Undistort its photographs, or choose another camera.",
        )
    near, far = lens_depths(camera.position, low, high)
    return Lens(
        camera.width,
        camera.height,
        (camera.fl_x, camera.fl_y),
        (camera.cx, camera.cy),
        (camera.c2w[:3, :3] @ _FLIP).T,
        camera.position,
        near,
        far,
        dilation,
    )


def magnified(camera: Camera, factor: int) -> Camera:
    """The same view with so many times more pixels along each side."""
    numbers = {name: getattr(camera, name) * factor for name in ("fl_x", "fl_y", "cx", "cy")}
    return replace(camera, width=camera.width * factor, height=camera.height * factor, **numbers)


class SplatRenderer:
    """Draws one cloud of splats from any camera."""

    def __init__(self, splats: Splats, device: str = "cpu") -> None:
        self._low, self._high = splats.box()
        self._device = device
        self._shapes = self._moved(to_shapes(splats))
        self._harmonics = self._moved(np.ascontiguousarray(splats.harmonics, np.float32))

    def draw(self, camera: Camera, samples: int = 1) -> np.ndarray:
        """Premultiplied color, in the encoding of the splats, and opacity [H, W, 4].

        With `samples` the picture is drawn that many times larger and averaged.
        """
        lens = lens_of(magnified(camera, samples), self._low, self._high)
        out = self._moved(np.zeros((lens.height, lens.width, 4), np.float32))
        rasterize(project(lens, self._shapes, self._harmonics), out)
        large = out if self._device == "cpu" else out.numpy()
        parts = large.reshape(camera.height, samples, camera.width, samples, 4)
        return np.asarray(parts.mean(axis=(1, 3)), np.float32)

    def _moved(self, array: np.ndarray) -> Any:
        if self._device == "cpu":
            return array
        return wp.array(array, dtype=wp.float32, device=self._device)
