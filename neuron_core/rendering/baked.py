"""Draw a baked field: march rays, then shade each of them once.

Letters in shapes: R rays, H W the sides of a picture. Colors are linear (or what the shader was
trained in) and premultiplied.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.cameras.camera import Camera, pinhole, pixel_centers, rays
from neuron_core.kernels.baked.drawing import Picture, draw, find_tiles
from neuron_core.kernels.baked.layout import CHANNELS, FAINT
from neuron_core.kernels.baked.rays import Pinhole, Rays, rays_of_arrays, rays_of_camera
from neuron_core.rendering.shaded import LIFT, DeviceField, ShadedAsset, on_device, zeros
from neuron_core.voxels.nvf import LookCodes, Nvf, VoxelError
from neuron_core.voxels.shading import Shader

FINE = 0.5  # voxels between two places where density is read, for frames that are kept;
FAST = 1.0  # for those of a viewport, which lose 0.03 dB


@dataclass(frozen=True, slots=True)
class RayColors:
    """What rays see; all float32, zero where nothing is."""

    rgb: np.ndarray  # [R, 3] premultiplied
    alpha: np.ndarray  # [R]
    depth: np.ndarray  # [R] mean distance along the unit ray
    normal: np.ndarray  # [R, 3] unit


@dataclass(frozen=True, slots=True)
class UnshadedHits:
    """What rays hit, before it is shaded; zero where nothing is."""

    alpha: np.ndarray  # [R]
    depth: np.ndarray  # [R]
    normal: np.ndarray  # [R, 3] unit
    codes: np.ndarray  # [R, 8] decoded material codes


@dataclass(frozen=True, slots=True)
class BakedFrame:
    """A picture: numpy arrays, or Warp arrays on CUDA. The next frame of the same size reuses them."""

    rgba: Any  # [H, W, 4] premultiplied
    depth: Any  # [H, W] mean distance along the unit ray, 0 where nothing is
    normal: Any  # [H, W, 3] unit, or 0


class _Canvas:
    """The arrays of a picture, and which of its tiles show something."""

    def __init__(self, height: int, width: int, device: str) -> None:
        self.sides = (height, width)
        self.shown = np.zeros(-(-height // 8) * -(-width // 8), bool)
        self.frame = BakedFrame(*(zeros((*self.sides, *more), device) for more in ((4,), (), (3,))))


class BakedRenderer:
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
        self._asset = ShadedAsset(DeviceField(nvf, shader, device), codes, reflections)
        self._device = device
        self._step = step
        self._sharing = 4 if sharing else 1
        self._starts: Any = zeros((0,), device)
        self._canvas: _Canvas | None = None

    def set_look(self, codes: LookCodes) -> None:
        """Draw another look from now on. Raises VoxelError for codes of another field."""
        self._asset.set_look(codes)

    def nbytes(self) -> int:
        """Of memory for the field, one look and the map of directions; pictures are not counted."""
        return self._asset.nbytes() + self._asset.field.nbytes()

    def render(self, camera: Camera) -> BakedFrame:
        """One ray through the center of each pixel. Allocates nothing if the size stays the same.

        The frame's arrays are overwritten by the next call. Lens distortion costs time: its rays
        are made on the host.
        """
        if self._canvas is None or self._canvas.sides != (camera.height, camera.width):
            self._canvas = _Canvas(camera.height, camera.width, self._device)
        canvas, frame = self._canvas, self._canvas.frame
        picture = Picture(frame.rgba, frame.depth, frame.normal)
        self._draw(self._rays_of(camera), picture, canvas.shown)
        return frame

    def trace(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int = 0) -> RayColors:
        """What the rays [R, 3] see; directions have unit length.

        If the rays are the pixels of an image row by row, its `width` makes this faster.
        """
        rgba, depth, normal, _ = self._traced(rays_o, rays_d, width)
        return RayColors(rgba[:, :3].copy(), rgba[:, 3].copy(), depth, normal)

    def surfaces(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int = 0) -> UnshadedHits:
        """What the rays [R, 3] hit; directions have unit length."""
        rgba, depth, normal, stored = self._traced(rays_o, rays_d, width, CHANNELS)
        alpha = rgba[:, 3].copy()
        look = self._asset.look
        decoded = look.low + stored * ((look.high - look.low) / np.float32(255.0))
        return UnshadedHits(alpha, depth, normal, np.where(alpha[:, None] > FAINT, decoded, 0.0))

    def _rays_of(self, camera: Camera) -> Rays:
        if camera.distorted:
            rays_o, rays_d = (array.reshape(-1, 3) for array in rays(camera, *pixel_centers(camera)))
            return self._given(rays_o, rays_d, camera.width)
        return rays_of_camera(Pinhole.of(camera.width, camera.height, pinhole(camera)), self._device)

    def _given(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> Rays:
        origins, directions = (
            on_device(np.ascontiguousarray(array, np.float32), self._device) for array in (rays_o, rays_d)
        )
        return rays_of_arrays(origins, directions, width)

    def _traced(
        self, rays_o: np.ndarray, rays_d: np.ndarray, width: int, code_channels: int = 0
    ) -> tuple[np.ndarray, ...]:
        """New arrays of colors and opacities [R, 4], depths, normals and, if wanted, stored codes."""
        given = self._given(rays_o, rays_d, width)
        sizes: list[tuple[int, ...]] = [(4,), (), (3,), (code_channels,)]
        arrays = [zeros((given.count, *more), self._device) for more in sizes]
        self._draw(given, Picture(arrays[0], arrays[1], arrays[2], arrays[3] if code_channels else None))
        return tuple(array if self._device == "cpu" else array.numpy() for array in arrays)

    def _draw(self, given: Rays, picture: Picture, shown: np.ndarray | None = None) -> None:
        """Fill the picture. `shown` says which tiles hold an older one, and is kept up to date."""
        if self._starts.shape[0] < given.tiles:
            self._starts = zeros((given.tiles,), self._device)
        asset = self._asset
        tiles = find_tiles(asset.arrays, given, self._starts, self._device)
        if shown is not None and self._device == "cpu":
            tiles = _with_stale(tiles, shown)
        draw(
            asset.arrays,
            asset.network,
            asset.mirror,
            given,
            tiles,
            self._starts,
            picture,
            self._device,
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


def _with_stale(tiles: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """The tiles and those of the last frame, which are drawn empty; `shown` becomes the former."""
    drawn = shown.copy()
    drawn[tiles] = True
    shown[:] = False
    shown[tiles] = True
    return np.flatnonzero(drawn).astype(np.int32)
