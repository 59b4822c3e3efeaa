"""The same voxels marched by Dr.Jit, Mitsuba's compiler: a dense grid in its own 3D texture.

The loop is what Mitsuba's radiance field integrators do: even steps through the box, one lookup
of colors and density each, until light is used up. Imports nothing before it is asked to.
"""

from typing import Any

import numpy as np

from neuron_core.bench.dense import dense_colors
from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.voxels.nvf import LookCodes, Nvf
from neuron_core.voxels.shading import Shader

STEP = 0.5  # voxels
OPAQUE = 1 / 255


class MitsubaVolume:
    """A dense grid of colors, those that the camera sees, and densities; all rays of one picture."""

    def __init__(self, nvf: Nvf, shader: Shader, look: LookCodes, camera: Camera, variant: str) -> None:
        import mitsuba as mi

        mi.set_variant(variant)
        self._mi: Any = mi
        colors, densities = dense_colors(nvf, shader, look, camera)
        grid = np.concatenate([colors, densities[..., None]], axis=-1).transpose(2, 1, 0, 3)  # x fastest
        self._texture = self._mi.Texture3f(self._mi.TensorXf(np.ascontiguousarray(grid, np.float32)))
        self._size = (nvf.aabb[1] - nvf.aabb[0]).astype(float)
        self._low = nvf.aabb[0].astype(float).tolist()
        self._high = nvf.aabb[1].astype(float).tolist()
        self._corners = np.array(densities.shape, float)
        self._step = STEP * nvf.voxel_size
        rays_o, rays_d = (array.reshape(-1, 3) for array in rays(camera, *pixel_centers(camera)))
        self._origin = mi.Point3f(*(mi.Float(np.ascontiguousarray(column)) for column in rays_o.T))
        self._direction = mi.Vector3f(*(mi.Float(np.ascontiguousarray(column)) for column in rays_d.T))
        self._sides = (camera.height, camera.width)

    def picture(self) -> np.ndarray:
        """The frame over white, linear, [H, W, 3]."""
        self.draw()
        return np.stack([np.array(channel) for channel in self._drawn], axis=-1).reshape(*self._sides, 3)

    def draw(self) -> None:
        """Draw a frame."""
        import drjit as dr

        mi = self._mi
        low, high = mi.Point3f(*self._low), mi.Point3f(*self._high)
        hit, near, far = mi.BoundingBox3f(low, high).ray_intersect(mi.Ray3f(self._origin, self._direction))
        time = dr.maximum(near, 0.0)
        passed, color = mi.Float(1.0) + 0.0 * time, mi.Color3f(0.0)
        scale = (self._corners - 1.0) / self._corners / self._size
        offset = 0.5 / self._corners
        texture, step = self._texture, self._step
        origin, direction = self._origin, self._direction

        def goes_on(time: Any, passed: Any, color: Any) -> Any:
            return hit & (time < far) & (passed > OPAQUE)

        def go(time: Any, passed: Any, color: Any) -> Any:
            place = (origin + time * direction - low) * mi.Vector3f(*scale.tolist()) + mi.Vector3f(
                *offset.tolist()
            )
            found = texture.eval(place)
            left = passed * dr.exp(-dr.maximum(found[3], 0.0) * step)
            color = color + (passed - left) * mi.Color3f(found[0], found[1], found[2])
            return time + step, left, color

        time, passed, color = dr.while_loop((time, passed, color), goes_on, go)
        self._drawn = color + passed
        dr.eval(self._drawn)
        dr.sync_thread()
