"""Baked voxels as the dense grids that other programs draw."""

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.voxels.nvf import CELLS, LookCodes, Nvf, brick_coordinates, sample_positions
from neuron_core.voxels.shading import Shader


def dense_colors(nvf: Nvf, shader: Shader, look: LookCodes, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Linear colors [X, Y, Z, 3] that the camera sees and densities [X, Y, Z] at all corners of voxels."""
    positions = sample_positions(nvf).reshape(-1, 3)[nvf.active]
    normals = nvf.normals.reshape(-1, 3)[nvf.active]
    rays_d = positions - camera.position
    rays_d /= np.linalg.norm(rays_d, axis=-1, keepdims=True)
    samples = np.zeros((nvf.density.size, 3), np.float32)
    samples[nvf.active] = shader.evaluate(look.decoded(), normals, rays_d.astype(np.float32))
    return _dense(nvf, samples.reshape(*nvf.density.shape, 3)), _dense(nvf, nvf.density)


def _dense(nvf: Nvf, bricks: np.ndarray) -> np.ndarray:
    dense = np.zeros((*(CELLS * side + 1 for side in nvf.top.shape), *bricks.shape[4:]), np.float32)
    for brick, (x, y, z) in enumerate(brick_coordinates(nvf.top) * CELLS):
        dense[x : x + CELLS + 1, y : y + CELLS + 1, z : z + CELLS + 1] = bricks[brick]
    return dense
