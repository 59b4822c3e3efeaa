"""Baked fields whose density depends on one coordinate, and rays through them."""

from collections.abc import Sequence

import numpy as np

from neuron_core.rendering.baked import BakedRenderer, UnshadedHits
from neuron_core.voxels.nvf import Nvf
from tests.core.composed_samples import smoke, waves
from tests.core.small_shaders import small_shader

RESOLUTION = 16
VOXEL = 1.0 / RESOLUTION
SAMPLES = np.arange(RESOLUTION + 1) * VOXEL - 0.5  # where planes of samples lie, along every axis
FINE = np.linspace(-0.5, 0.5, 200 * RESOLUTION + 1)

PLATEAU = np.interp(np.arange(17), [3, 4, 12, 13], [0.0, 3.0, 3.0, 0.0])  # ramps of a voxel at both ends
HILLS = np.array([0, 0, -2, 1, 4, 2, 0, 0, 0, 1, 6, 3, -1, 0, 2, 0, 0], float)  # zero at a border of bricks


def layered(profile: np.ndarray, axis: int = 0, bricks: object = None) -> Nvf:
    """A cube of a meter around the origin whose planes of samples across `axis` have the densities
    `profile` [17]."""
    return smoke(lambda places: np.interp(places[..., axis], SAMPLES, profile), RESOLUTION, bricks=bricks)


def exact(profile: np.ndarray) -> tuple[float, float]:
    """Opacity of the layers straight through, and the mean distance from the first plane at which light is
    stopped: by the line between samples, of which the positive part counts."""
    density = np.maximum(np.interp(FINE, SAMPLES, profile), 0.0)
    step = FINE[1] - FINE[0]
    depths = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * step)])
    stopped = -np.diff(np.exp(-depths))
    alpha = float(stopped.sum())
    return alpha, float((stopped * (FINE[1:] + FINE[:-1]) / 2).sum() / max(alpha, 1e-12)) + 0.5


def along(axis: int, sign: int = 1, count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rays along an axis from a meter before the cube, at random places and on planes of samples."""
    origins = np.random.default_rng(seed).uniform(-0.45, 0.45, (count, 3))
    origins[: count // 4] = np.round(origins[: count // 4] / VOXEL) * VOXEL
    origins[:, axis] = -1.5 * sign
    directions = np.zeros((count, 3))
    directions[:, axis] = sign
    return origins, directions


def oblique(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Rays from all sides towards places in the cube."""
    random = np.random.default_rng(4)
    origins = random.normal(size=(count, 3))
    origins *= 1.4 / np.linalg.norm(origins, axis=-1, keepdims=True)
    directions = random.uniform(-0.3, 0.3, (count, 3)) - origins
    return origins, directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def marched(nvf: Nvf, rays: Sequence[np.ndarray], step: float = 0.5) -> UnshadedHits:
    """What rays meet of a field with smooth codes."""
    origins, directions = (array.astype(np.float32) for array in rays)
    return BakedRenderer(nvf, small_shader(), waves(nvf), step=step).surfaces(origins, directions)
