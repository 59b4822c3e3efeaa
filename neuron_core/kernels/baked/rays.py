"""Which rays a kernel follows: those of a pinhole camera, made where they are needed, or any.

Rays are taken in beams of 64: square tiles of an image, or runs of rays that are not an image. A slot
is a ray's place in the order of tiles, 64 to a tile; slots beyond the border of an image have no ray.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.baked.layout import BEAM
from neuron_core.kernels.launch import view as as_warp

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Pinhole:
    """A camera without distortion. Directions need no unit length; world."""

    width: int  # pixels
    height: int
    eye: Triple
    first: Triple  # direction through the center of the upper left pixel
    right: Triple  # what one pixel to the right adds to it
    down: Triple

    @staticmethod
    def of(width: int, height: int, rows: np.ndarray) -> "Pinhole":
        """From `rows` [4, 3]: the eye, and the directions in their order."""
        eye, first, right, down = ((float(x), float(y), float(z)) for x, y, z in rows)
        return Pinhole(width, height, eye, first, right, down)


@wp.struct
class View:
    """Rays in tiles. With `pinhole` they follow from the camera, else they are in arrays."""

    width: wp.int32
    height: wp.int32
    tile_width_log2: wp.int32
    tiles_x: wp.int32
    tiles_y: wp.int32
    pinhole: wp.int32
    eye: wp.vec3f
    first: wp.vec3f
    right: wp.vec3f
    down: wp.vec3f


@wp.struct
class RayBundle:
    """A view and, unless a camera makes them, its rays."""

    view: View
    origins: wp.array[wp.vec3f]  # [R], or [0] with a camera
    directions: wp.array[wp.vec3f]


@dataclass(frozen=True, slots=True)
class Rays:
    """Rays on one device."""

    view: Any  # View
    bundle: Any  # RayBundle
    count: int  # R
    tiles: int
    kept: tuple[Any, ...] = ()  # what the arrays are views of, so that it lives as long


def rays_of_camera(camera: Pinhole, device: str) -> Rays:
    """All pixels of a camera, row by row."""
    found = _tiled(camera.width, camera.height, 3)
    found.pinhole = 1
    found.eye, found.first = wp.vec3f(*camera.eye), wp.vec3f(*camera.first)
    found.right, found.down = wp.vec3f(*camera.right), wp.vec3f(*camera.down)
    nothing: Any = wp.empty(0, dtype=wp.vec3f, device=device)
    return _bundled(found, nothing, nothing, camera.width * camera.height)


def rays_of_arrays(rays_o: Any, rays_d: Any, width: int = 0) -> Rays:
    """Rays [R, 3] float32 of any library; if they are the pixels of an image row by row, of `width`."""
    count = int(rays_o.shape[0])
    whole = width >= 8 and count % width == 0
    found = _tiled(width, count // width, 3) if whole else _tiled(count, 1, 6)
    origins, directions = (as_warp(rays, wp.vec3f, [count]) for rays in (rays_o, rays_d))
    return _bundled(found, origins, directions, count, (rays_o, rays_d))


def _bundled(view: Any, origins: Any, directions: Any, count: int, kept: tuple[Any, ...] = ()) -> Rays:
    bundle = RayBundle()
    bundle.view, bundle.origins, bundle.directions = view, origins, directions
    return Rays(view, bundle, count, view.tiles_x * view.tiles_y, kept)


def _tiled(width: int, height: int, tile_width_log2: int) -> Any:
    found = View()
    found.width, found.height, found.tile_width_log2 = width, height, tile_width_log2
    tile_width = 1 << tile_width_log2
    found.tiles_x = -(-width // tile_width)
    found.tiles_y = -(-height // (BEAM // tile_width))
    return found


@wp.func
def ray_of(view: View, tile: wp.int32, place: wp.int32) -> wp.int32:
    """The ray at a place of a tile, or -1 beyond the border of the image."""
    tile_height_log2 = 6 - view.tile_width_log2
    x = ((tile % view.tiles_x) << view.tile_width_log2) + (place & ((1 << view.tile_width_log2) - 1))
    y = ((tile // view.tiles_x) << tile_height_log2) + (place >> view.tile_width_log2)
    if x < view.width and y < view.height:
        return y * view.width + x
    return -1


@wp.func
def origin_of(rays: RayBundle, ray: wp.int32) -> wp.vec3f:
    """Where a ray begins, world."""
    if rays.view.pinhole != 0:
        return rays.view.eye
    return rays.origins[ray]


@wp.func
def direction_of(rays: RayBundle, ray: wp.int32) -> wp.vec3f:
    """Where a ray goes, world; the rays of a camera all reach one plane at time 1."""
    view = rays.view
    if view.pinhole != 0:
        column = wp.float32(ray % view.width)
        row = wp.float32(ray // view.width)
        return view.first + column * view.right + row * view.down
    return rays.directions[ray]


@wp.func
def is_ray(origin: wp.vec3f, speed: wp.vec3f) -> wp.bool:
    """Whether it has a direction and is finite."""
    length = wp.length_sq(speed)
    return length > 0.0 and length < 1.0e30 and wp.length_sq(origin) < 1.0e30
