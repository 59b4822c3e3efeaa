"""Baked voxels as the dense grids that other programs draw."""

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.kernels.baked.layout import CELLS
from neuron_core.voxels.nvf import LookCodes, Nvf, brick_coordinates, sample_positions
from neuron_core.voxels.shading import Shader


def dense_colors(nvf: Nvf, shader: Shader, look: LookCodes, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Linear colors [X, Y, Z, 3] that the camera sees and densities [X, Y, Z] at all corners of voxels.

    Colors go on for a voxel beyond what has any, so that peers that interpolate them alone lose nothing.
    """
    positions = sample_positions(nvf).reshape(-1, 3)[nvf.active]
    normals = nvf.normals.reshape(-1, 3)[nvf.active]
    rays_d = positions - camera.position
    rays_d /= np.linalg.norm(rays_d, axis=-1, keepdims=True)
    samples = np.zeros((nvf.density.size, 4), np.float32)
    samples[nvf.active, :3] = shader.evaluate(look.decoded(), normals, rays_d.astype(np.float32))
    samples[nvf.active, 3] = 1.0
    return _spread(_dense(nvf, samples.reshape(*nvf.density.shape, 4))), _dense(nvf, nvf.density)


def _spread(known: np.ndarray) -> np.ndarray:
    """Colors [X, Y, Z, 3] where the fourth number is not 0, and around there their neighbors' mean."""
    sums = np.pad(known, ((1, 1), (1, 1), (1, 1), (0, 0)))
    for axis in range(3):
        sums = sums + np.roll(sums, 1, axis) + np.roll(sums, -1, axis)
    sums = sums[1:-1, 1:-1, 1:-1]
    around = sums[..., :3] / np.maximum(sums[..., 3:], 1.0)
    return np.asarray(np.where(known[..., 3:] > 0, known[..., :3], around))


def _dense(nvf: Nvf, bricks: np.ndarray) -> np.ndarray:
    dense = np.zeros((*(CELLS * side + 1 for side in nvf.top.shape), *bricks.shape[4:]), np.float32)
    for brick, (x, y, z) in enumerate(brick_coordinates(nvf.top) * CELLS):
        dense[x : x + CELLS + 1, y : y + CELLS + 1, z : z + CELLS + 1] = bricks[brick]
    return dense
