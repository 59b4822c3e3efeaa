"""Where triangles lie in a texture, and what lies under each texel.

Every two triangles share a square tile, each in one half. A texel outside a triangle but in its half
continues it, so that textures can be read with linear interpolation without seams.

Letters in shapes: F triangles, T texels that belong to a triangle. Rows of a texture run downwards;
UVs run upwards, as USD has them.
"""

from dataclasses import dataclass

import numpy as np

from neuron_core.surfaces.mesh import Mesh, SurfaceError

SMALLEST_TILE = 7  # texels: two between the corners of a triangle
REACH = 0.5  # how far outside a triangle its texels continue it, in its own heights


@dataclass(frozen=True, slots=True)
class Atlas:
    """A square texture of `side` texels for F triangles in tiles of `tile` texels."""

    side: int
    tile: int
    triangles: int

    def uvs(self) -> np.ndarray:
        """Of the corners of each triangle, [F, 3, 2] float32."""
        low, high = 1.0, float(self.tile - 4)
        first = np.array([[low, low], [high, low], [low, high]])
        second = self.tile - 1 - first
        corners = np.where((np.arange(self.triangles) % 2 == 0)[:, None, None], first, second)
        places = (self._origins()[:, None] + corners + 0.5) / self.side
        places[..., 1] = 1.0 - places[..., 1]
        return places.astype(np.float32)

    def texels(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flat places in the texture [T], triangles [T] and barycentric coordinates [T, 3] float32."""
        down, across = np.divmod(np.arange(self.tile**2), self.tile)
        first = across + down <= self.tile - 1
        span = self.tile - 5
        mirrored = self.tile - 1 - np.stack([across, down], axis=1)
        local = np.where(first[:, None], np.stack([across, down], axis=1), mirrored)
        u, v = (local - 1).T / span
        weights = np.stack([1 - u - v, u, v], axis=1).clip(-REACH, 1 + 2 * REACH)
        weights /= weights.sum(axis=1, keepdims=True)
        tiles = (self.triangles + 1) // 2
        owner = 2 * np.arange(tiles)[:, None] + ~first
        origins = self._origins()[::2]
        places = (origins[:, 1, None] + down) * self.side + origins[:, 0, None] + across
        own = owner < self.triangles
        spread = np.broadcast_to(weights, (tiles, *weights.shape))[own]
        return places[own], owner[own], spread.astype(np.float32)

    def _origins(self) -> np.ndarray:
        """The first texel (across, down) of each triangle's tile, [F, 2]."""
        row = self.side // self.tile
        down, across = np.divmod(np.arange(self.triangles) // 2, row)
        return np.stack([across, down], axis=1) * self.tile


def atlas_for(mesh: Mesh, side: int) -> Atlas:
    """The largest tiles that fit. Raises SurfaceError if the texture is too small for the mesh."""
    tiles = (len(mesh.faces) + 1) // 2
    tile = int(side // np.ceil(np.sqrt(tiles)))
    if tile < SMALLEST_TILE:
        raise SurfaceError(
            f"{len(mesh.faces)} triangles do not fit into a texture of {side} x {side}.",
            f"Ask for at most {2 * (side // SMALLEST_TILE) ** 2} triangles, or a larger texture.",
        )
    return Atlas(side, tile, len(mesh.faces))


def under(mesh: Mesh, values: np.ndarray, owners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Values [V, C] of vertices under texels [T] with barycentric `weights` [T, 3], [T, C] float32."""
    found: np.ndarray = np.einsum("tk,tkc->tc", weights, values[mesh.faces[owners]], optimize=True)
    return found.astype(np.float32)


def tangents(mesh: Mesh, uvs: np.ndarray) -> np.ndarray:
    """Unit directions in which u grows, and whether v grows to their left as seen from outside.

    [F, 4] float32: a direction, then 1 or -1.
    """
    a, b, c = mesh.corners().transpose(1, 0, 2)
    (u1, v1), (u2, v2) = (uvs[:, k].astype(np.float64).T - uvs[:, 0].astype(np.float64).T for k in (1, 2))
    area = u1 * v2 - u2 * v1
    along = ((b - a) * v2[:, None] - (c - a) * v1[:, None]) * np.sign(area)[:, None]
    lengths = np.linalg.norm(along, axis=1, keepdims=True)
    unit = along / np.maximum(lengths, 1e-30)
    return np.concatenate([unit, np.sign(area)[:, None]], axis=1).astype(np.float32)
