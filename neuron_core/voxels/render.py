"""Draw a baked field: march rays, then shade each of them once.

Letters in shapes: R rays, V active samples. Colors are linear (or what the shader was trained
in) and premultiplied.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import warp as wp

from neuron_core.kernels.nvf import BrickPools, Hits, brick_pools, march
from neuron_core.voxels.nvf import CHANNELS, LookCodes, Nvf, VoxelError

DULL = 0.02  # surfaces that are less of a mirror do not reflect a ray
LIFT = 1.5  # voxels from a surface to where its reflected rays begin
FAINT = 1e-3  # rays that see less than this are not shaded


@runtime_checkable
class Evaluates(Protocol):
    """What turns material codes into colors."""

    def evaluate(
        self,
        codes: np.ndarray,
        normals: np.ndarray,
        rays_d: np.ndarray,
        mirrored: np.ndarray | None = None,
    ) -> np.ndarray:
        """Colors [R, 3] of codes [R, 8] on unit normals [R, 3], seen along unit rays [R, 3].

        `mirrored` [R, 4] is the color that the reflected ray meets, and its opacity.
        """

    def gates(self, codes: np.ndarray) -> np.ndarray:
        """How much of a mirror each surface is, [R] in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What rays see; all float32, zero where nothing is."""

    rgb: np.ndarray  # [R, 3] premultiplied
    alpha: np.ndarray  # [R]
    depth: np.ndarray  # [R] mean distance along the unit ray
    normal: np.ndarray  # [R, 3] unit


@dataclass(frozen=True, slots=True)
class _Seen:
    """What S of the rays see, before shading."""

    rows: np.ndarray  # [S] which rays
    opacities: np.ndarray  # [S]
    depths: np.ndarray  # [S]
    codes: np.ndarray  # [S, 8]
    normals: np.ndarray  # [S, 3] unit


class Renderer:
    """Draws one field under one look at a time; a look is changed without touching the geometry."""

    def __init__(
        self,
        nvf: Nvf,
        shader: Evaluates,
        codes: LookCodes,
        device: str = "cpu",
        *,
        step: float = 0.5,
        reflections: bool = True,
    ) -> None:
        """`step` is how far apart the density is read along a ray, in voxels. With `reflections`,
        surfaces that are mirrors show each other once, which costs a second ray there."""
        self._reflections = reflections
        self._shader = shader
        self._device = device
        self._step = step
        self._active = nvf.active
        self._pools: BrickPools = brick_pools(
            nvf.aabb[0], nvf.voxel_size, nvf.top, nvf.density, nvf.normals, device
        )
        self._codes = np.zeros((nvf.density.size, CHANNELS), np.uint8)
        self._scratch = (np.empty((0, 3), np.float32), np.empty((0, CHANNELS), np.float32))
        self.set_look(codes)

    def set_look(self, codes: LookCodes) -> None:
        """Draw another look from now on. Raises VoxelError for codes of another field."""
        if codes.codes.shape != (len(self._active), CHANNELS):
            raise VoxelError(f"A look with codes for {len(codes.codes)} samples, not {len(self._active)}.")
        self._codes[self._active] = codes.codes
        self._low = codes.low
        self._scale = (codes.high - codes.low) / np.float32(255.0)
        self._code_pool: Any = wp.array(
            self._codes, dtype=wp.uint8, device=self._device, copy=self._device != "cpu"
        )

    def render(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int = 0) -> Pixels:
        """What the rays [R, 3] see; directions have unit length.

        If the rays are the pixels of an image row by row, its `width` makes this faster.
        """
        rays_o, rays_d = (np.ascontiguousarray(rays, np.float32) for rays in (rays_o, rays_d))
        alpha, seen = self._look(rays_o, rays_d, width)
        depth, rgb, normal = np.zeros_like(alpha), np.zeros_like(rays_d), np.zeros_like(rays_d)
        rows = seen.rows
        if len(rows):
            mirrored = self._mirrored(seen, rays_o[rows], rays_d[rows]) if self._reflections else None
            colors = self._shader.evaluate(seen.codes, seen.normals, rays_d[rows], mirrored)
            rgb[rows] = colors * seen.opacities[:, None]
            depth[rows], normal[rows] = seen.depths, seen.normals
        return Pixels(rgb, alpha, depth, normal)

    def _look(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int = 0) -> tuple[np.ndarray, "_Seen"]:
        """The opacities of all rays, and what those see that see anything."""
        alpha, depth, normal_sums, code_sums = self._march(rays_o, rays_d, width)
        rows = np.flatnonzero(alpha > FAINT)
        opacities = alpha[rows]
        codes = code_sums[rows] / opacities[:, None] * self._scale + self._low
        normals = normal_sums[rows]
        normals /= np.maximum(np.sqrt((normals * normals).sum(axis=-1, keepdims=True)), 1e-12)
        return alpha, _Seen(rows, opacities, depth[rows] / opacities, codes, normals)

    def _mirrored(self, seen: "_Seen", rays_o: np.ndarray, rays_d: np.ndarray) -> np.ndarray | None:
        """Color and opacity [S, 4] of what the reflected rays meet, shaded without a further reflection."""
        rows = np.flatnonzero((seen.opacities > 0.5) & (self._shader.gates(seen.codes) > DULL))
        if not len(rows):
            return None
        normals, rays_d = seen.normals[rows], rays_d[rows]
        met = rays_o[rows] + seen.depths[rows, None] * rays_d + LIFT * self._pools.voxel_size * normals
        reflected = rays_d - 2.0 * (rays_d * normals).sum(axis=-1, keepdims=True) * normals
        reflected = np.ascontiguousarray(reflected, np.float32)
        _, second = self._look(np.ascontiguousarray(met, np.float32), reflected)
        mirrored = np.zeros((len(seen.rows), 4), np.float32)
        if len(second.rows):
            colors = self._shader.evaluate(second.codes, second.normals, reflected[second.rows])
            mirrored[rows[second.rows]] = np.concatenate([colors, second.opacities[:, None]], axis=-1)
        return mirrored

    def _march(
        self, rays_o: np.ndarray, rays_d: np.ndarray, width: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Opacities, and sums of distances, normals and stored codes; the last two may be reused."""
        count = len(rays_o)
        if self._device == "cpu":
            if len(self._scratch[0]) < count:
                self._scratch = (np.empty((count, 3), np.float32), np.empty((count, CHANNELS), np.float32))
            normals, codes = (buffer[:count] for buffer in self._scratch)
            arrays = (np.empty(count, np.float32), np.empty(count, np.float32), normals, codes)
            march(self._pools, self._code_pool, rays_o, rays_d, Hits(*arrays), step=self._step, width=width)
            return arrays
        origins: Any = wp.array(rays_o, dtype=wp.float32, device=self._device)
        directions: Any = wp.array(rays_d, dtype=wp.float32, device=self._device)
        shapes: list[Any] = [count, count, (count, 3), (count, CHANNELS)]
        found = Hits(*(wp.empty(shape, dtype=wp.float32, device=self._device) for shape in shapes))
        march(self._pools, self._code_pool, origins, directions, found, step=self._step, width=width)
        return found.alphas.numpy(), found.depths.numpy(), found.normals.numpy(), found.codes.numpy()
