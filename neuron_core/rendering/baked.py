"""Draw a baked field: march rays, then shade each of them once.

Letters in shapes: R rays, H W the sides of a picture. Colors are linear (or what the shader was
trained in) and premultiplied.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.kernels.baked.bricks import BrickPools, brick_pools
from neuron_core.kernels.baked.drawing import Picture, draw
from neuron_core.kernels.baked.marching import FAINT, find_tiles
from neuron_core.kernels.baked.rays import Pinhole, Rays, rays_of_arrays, rays_of_camera
from neuron_core.voxels.nvf import CHANNELS, LookCodes, Nvf, VoxelError
from neuron_core.voxels.shading import Shader, direction_map, mirror_of, network_of

DULL = 0.02  # surfaces that are less of a mirror do not reflect a ray
FINE = 0.5  # voxels between two places where density is read, for frames that are kept;
FAST = 1.0  # for those of a viewport, which lose 0.03 dB
LIFT = 1.5  # voxels from a surface to where its reflected rays begin


@dataclass(frozen=True, slots=True)
class Pixels:
    """What rays see; all float32, zero where nothing is."""

    rgb: np.ndarray  # [R, 3] premultiplied
    alpha: np.ndarray  # [R]
    depth: np.ndarray  # [R] mean distance along the unit ray
    normal: np.ndarray  # [R, 3] unit


@dataclass(frozen=True, slots=True)
class Surfaces:
    """What rays meet, not shaded; zero where nothing is."""

    alpha: np.ndarray  # [R]
    depth: np.ndarray  # [R]
    normal: np.ndarray  # [R, 3] unit
    codes: np.ndarray  # [R, 8] decoded material codes


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture: numpy arrays, or Warp arrays on CUDA. The next frame of the same size reuses them."""

    rgba: Any  # [H, W, 4] premultiplied
    depth: Any  # [H, W] mean distance along the unit ray, 0 where nothing is
    normal: Any  # [H, W, 3] unit, or 0


class _Canvas:
    """The arrays of a picture, and which of its tiles show something."""

    def __init__(self, height: int, width: int, device: str) -> None:
        self.sides = (height, width)
        self.shown = np.zeros(-(-height // 8) * -(-width // 8), bool)
        self.frame = Frame(*(_zeros((*self.sides, *more), device) for more in ((4,), (), (3,))))


class Renderer:
    """Draws one field under one look at a time; a look is changed without touching the geometry."""

    def __init__(
        self,
        nvf: Nvf,
        shader: Shader,
        codes: LookCodes,
        device: str = "cpu",
        *,
        step: float = FINE,
        reflections: bool = True,
        sharing: bool = False,
    ) -> None:
        """`step` is how far apart the density is read along a ray, in voxels. With `reflections`,
        surfaces that are mirrors show each other once, which costs a second ray there; with `sharing`
        a ray for each two by two pixels, as a viewport can do while things move (on a CPU).
        Raises VoxelError for a device that is not there."""
        _check_device(device)
        self._reflections = reflections
        self._shader = shader
        self._device = device
        self._step = step
        self._sharing = 4 if sharing else 1
        self._active = nvf.active
        self._pools: BrickPools = brick_pools(
            nvf.aabb[0], nvf.voxel_size, nvf.top, nvf.density, nvf.normals, device
        )
        self._directions = direction_map(shader, device)
        self._codes = np.zeros((nvf.density.size, CHANNELS), np.uint8)
        self._code_pool: Any = wp.array(self._codes, dtype=wp.uint8, device=device, copy=device != "cpu")
        self._starts: Any = _zeros((0,), device)
        self._canvas: _Canvas | None = None
        self.set_look(codes)

    def set_look(self, codes: LookCodes) -> None:
        """Draw another look from now on. Raises VoxelError for codes of another field."""
        if codes.codes.shape != (len(self._active), CHANNELS):
            raise VoxelError(f"A look with codes for {len(codes.codes)} samples, not {len(self._active)}.")
        self._codes[self._active] = codes.codes
        if self._device != "cpu":
            self._code_pool.assign(self._codes)
        self._look = codes
        self._network = network_of(self._shader, self._directions, codes)
        self._mirror = mirror_of(self._shader, codes, DULL) if self._reflections else None

    def nbytes(self) -> int:
        """Of memory for the field, one look and the map of directions; pictures are not counted."""
        pools = self._pools
        arrays = (pools.top, pools.blocks, pools.density, pools.normals, self._code_pool)
        return sum(int(array.capacity) for array in (*arrays, self._directions.values))

    def render(self, camera: Camera) -> Frame:
        """One ray through the centre of each pixel. Allocates nothing if the size stays the same.

        The frame's arrays are overwritten by the next call. Lens distortion costs time: its rays
        are made on the host.
        """
        if self._canvas is None or self._canvas.sides != (camera.height, camera.width):
            self._canvas = _Canvas(camera.height, camera.width, self._device)
        canvas, frame = self._canvas, self._canvas.frame
        picture = Picture(frame.rgba, frame.depth, frame.normal)
        self._draw(self._rays_of(camera), picture, canvas.shown)
        return frame

    def trace(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int = 0) -> Pixels:
        """What the rays [R, 3] see; directions have unit length.

        If the rays are the pixels of an image row by row, its `width` makes this faster.
        """
        rgba, depth, normal, _ = self._traced(rays_o, rays_d, width)
        return Pixels(rgba[:, :3].copy(), rgba[:, 3].copy(), depth, normal)

    def surfaces(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int = 0) -> Surfaces:
        """What the rays [R, 3] meet; directions have unit length."""
        rgba, depth, normal, stored = self._traced(rays_o, rays_d, width, CHANNELS)
        alpha = rgba[:, 3].copy()
        decoded = self._look.low + stored * ((self._look.high - self._look.low) / np.float32(255.0))
        return Surfaces(alpha, depth, normal, np.where(alpha[:, None] > FAINT, decoded, 0.0))

    def _rays_of(self, camera: Camera) -> Rays:
        if camera.distorted:
            rays_o, rays_d = (array.reshape(-1, 3) for array in rays(camera, *pixel_centers(camera)))
            return self._given(rays_o, rays_d, camera.width)
        return rays_of_camera(_pinhole(camera), self._device)

    def _given(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> Rays:
        rays_o, rays_d = (np.ascontiguousarray(array, np.float32) for array in (rays_o, rays_d))
        if self._device == "cpu":
            return rays_of_arrays(rays_o, rays_d, width)
        origins: Any = wp.array(rays_o, dtype=wp.float32, device=self._device)
        directions: Any = wp.array(rays_d, dtype=wp.float32, device=self._device)
        return rays_of_arrays(origins, directions, width)

    def _traced(
        self, rays_o: np.ndarray, rays_d: np.ndarray, width: int, code_channels: int = 0
    ) -> tuple[np.ndarray, ...]:
        """New arrays of colors and opacities [R, 4], depths, normals and, if wanted, stored codes."""
        given = self._given(rays_o, rays_d, width)
        sizes: list[tuple[int, ...]] = [(4,), (), (3,), (code_channels,)]
        arrays = [_zeros((given.count, *more), self._device) for more in sizes]
        self._draw(given, Picture(arrays[0], arrays[1], arrays[2], arrays[3] if code_channels else None))
        return tuple(array if self._device == "cpu" else array.numpy() for array in arrays)

    def _draw(self, given: Rays, picture: Picture, shown: np.ndarray | None = None) -> None:
        """Fill the picture. `shown` says which tiles hold an older one, and is kept up to date."""
        if self._starts.shape[0] < given.tiles:
            self._starts = _zeros((given.tiles,), self._device)
        tiles = find_tiles(self._pools, given, self._starts)
        if shown is not None and self._device == "cpu":
            tiles = _with_stale(tiles, shown)
        draw(
            self._pools,
            self._code_pool,
            self._network,
            self._mirror,
            given,
            tiles,
            self._starts,
            picture,
            lift=LIFT,
            step=self._step,
            sharing=self._sharing,
        )


def _check_device(device: str) -> None:
    """Raises VoxelError: nothing else is drawn on instead."""
    try:
        wp.get_device(device)
    except (ValueError, RuntimeError) as error:
        raise VoxelError(f"There is no device {device!r} to draw on: {error}.", "Draw on the cpu.") from error


def _zeros(shape: tuple[int, ...], device: str) -> Any:
    if device == "cpu":
        return np.zeros(shape, np.float32)
    return wp.zeros(shape, dtype=wp.float32, device=device)


def _with_stale(tiles: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """The tiles and those of the last frame, which are drawn empty; `shown` becomes the former."""
    drawn = shown.copy()
    drawn[tiles] = True
    shown[:] = False
    shown[tiles] = True
    return np.flatnonzero(drawn).astype(np.int32)


def _pinhole(camera: Camera) -> Pinhole:
    axes = camera.c2w[:3, :3].T
    right, down = axes[0] / camera.fl_x, -axes[1] / camera.fl_y
    first = -axes[2] + (0.5 - camera.cx) * right + (0.5 - camera.cy) * down
    eye, first, right, down = (
        (float(v[0]), float(v[1]), float(v[2])) for v in (camera.position, first, right, down)
    )
    return Pinhole(camera.width, camera.height, eye, first, right, down)
