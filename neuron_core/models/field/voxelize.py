"""Field to voxels: where bricks are needed, and what their samples hold.

Letters in shapes: N points, V active samples, G cells along a side. Distances are meters.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from neuron_core.foundation import interrupts
from neuron_core.kernels.baked.layout import CELLS
from neuron_core.models.field import occupancy
from neuron_core.models.field.model import OPTICAL_DEPTH_PER_RAMP, RAMP_SHIFT, Field, Structure
from neuron_core.models.field.spec import CODE_CHANNELS
from neuron_core.models.field.volume import values_on_grid
from neuron_core.voxels.nvf import Nvf, VoxelError, allocate, find_active, lattice, sample_positions

COARSE_CELLS = 128  # fine enough that what decides lies where distances were learned
CHUNK = 1 << 16
SHELL = 1.5  # voxels below the surface that stay solid; no ray gets deeper
MARGIN = 1.5  # voxels around the asset's box: the ramp begins outside


def voxelize(field: Field, aabb: np.ndarray, resolution: int) -> Nvf:
    """The geometry of `field` inside `aabb` [2, 3], with `resolution` voxels along its longest side.

    Densities may be negative outside a surface: they are interpolated first and cut off at zero
    then, so that the surface lies where the distance says and not at the next sample.
    """
    voxel = float((aabb[1] - aabb[0]).max()) / resolution
    box = np.stack([aabb[0] - MARGIN * voxel, aabb[1] + MARGIN * voxel])
    nvf = allocate(box, resolution, brick_mask(field, box, resolution))
    if not len(nvf.density):
        raise VoxelError(
            "The field is empty: there is nothing to bake.", "Train longer, or look at the previews."
        )
    positions = sample_positions(nvf).reshape(-1, 3)
    density, normals = nvf.density.reshape(-1), nvf.normals.reshape(-1, 3)
    for rows, points in _chunks(positions):
        structure = _structure_at(field, field.units(points.to(field.center.device)))
        density[rows] = _densities(field, structure, nvf.voxel_size).cpu().numpy()
        normals[rows] = structure.normals.cpu().numpy()
    active = find_active(nvf.top, nvf.density)
    if not len(active):
        raise VoxelError("The field has no density: there is nothing to bake.", "Train longer.")
    return Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, active)


@torch.no_grad()
def codes_of(field: Field, nvf: Nvf, prompts: Tensor) -> np.ndarray:
    """Material codes at the active samples under every prompt [M, W], as [M, V, 8].

    Samples of surfaces take the code of the nearest surface point: nothing else was ever seen.
    """
    positions = sample_positions(nvf).reshape(-1, 3)[nvf.active]
    style = field.material.style(prompts)
    codes = np.empty((len(prompts), len(positions), CODE_CHANNELS), np.float32)
    for rows, points in _chunks(positions):
        units, structure = field.at_surface(field.units(points.to(field.center.device)))
        codes[:, rows] = field.material(units, structure, style)[..., :CODE_CHANNELS].cpu().numpy()
    return codes


def brick_mask(field: Field, box: np.ndarray, resolution: int) -> np.ndarray:
    """Which bricks of the grid around `box` hold anything, [X, Y, Z] bool."""
    grid_box, voxel, shape = lattice(box, resolution)
    side = 2 * field.spec.half_side
    if field.spec.surface == "distance":
        values = values_on_grid(field, COARSE_CELLS).cpu().numpy() * side
        reach = 3**0.5 / 2 * side / COARSE_CELLS + min(2 * voxel, 2 * field.spec.ramp * side)
        filled = (values < reach) & (values > -reach - SHELL * voxel)
    else:
        filled = occupancy.occupied(field).cpu().numpy() > 0
    size = filled.shape[0]
    low, high = (
        np.floor(_cells_at(field, corner, size)).astype(int)
        for corner in _brick_corners(grid_box[0], voxel, shape)
    )
    mask = np.zeros(shape, bool)
    for index in np.ndindex(shape):
        first, last = np.clip(low[index], 0, size - 1), np.clip(high[index], 0, size - 1)
        part = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
        mask[index] = filled[part].any()
    return mask


def _brick_corners(
    low: np.ndarray, voxel: float, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper corners [X, Y, Z, 3] of all bricks."""
    places = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    corners = low + places * (CELLS * voxel)
    return corners, corners + CELLS * voxel


def _cells_at(field: Field, points: np.ndarray, size: int) -> np.ndarray:
    flat = torch.from_numpy(points.reshape(-1, 3).astype(np.float32)).to(field.center.device)
    cells: np.ndarray = field.units(flat).cpu().numpy().reshape(points.shape) * size
    return cells


@torch.no_grad()
def _structure_at(field: Field, units: Tensor) -> Structure:
    return field.geometry(units.clamp(0.0, 1.0))


def _densities(field: Field, structure: Structure, voxel: float) -> Tensor:
    """Densities in 1 / meter. Distances become a ramp of one voxel, negative outside."""
    if field.spec.surface == "density":
        return field.sigmas(structure.values)
    distances = structure.values * (2 * field.spec.half_side) / voxel  # voxels
    ramp = (RAMP_SHIFT - distances).clamp(-3.0, 3.0) * (OPTICAL_DEPTH_PER_RAMP / voxel)
    return torch.where(distances < -SHELL, torch.zeros_like(ramp), ramp)


def _chunks(positions: np.ndarray) -> Iterator[tuple[slice, Tensor]]:
    for first in range(0, len(positions), CHUNK):
        interrupts.stop_if_requested()
        rows = slice(first, min(first + CHUNK, len(positions)))
        yield rows, torch.from_numpy(np.ascontiguousarray(positions[rows]))
