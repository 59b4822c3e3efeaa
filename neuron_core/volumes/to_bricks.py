"""Grids of a volume file as a field that can be drawn: colors take the place of material codes."""

from collections.abc import Sequence

import numpy as np

from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.kernels.baked.layout import CELLS, CHANNELS, SIDE
from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.volumes.vdb import VdbGrid
from neuron_core.voxels.nvf import LookCodes, Nvf, VoxelError, encode_codes, find_active
from neuron_core.voxels.shading import LAYERS, Shader

MOST_SAMPLES = 1 << 28
_SPEC = HashGridSpec(1, 2, 6, 1, 1)
_UNITS = 8
_INPUTS = {"from_code": CHANNELS, "from_geometry": _SPEC.width + 13, "tints": CHANNELS, "mirror": CHANNELS}
_OUTPUTS = {"lobes": 6, "tints": 6, "mirror": 4}
NO_SHADER = Shader(  # a renderer takes one; who draws surfaces never asks it
    _SPEC,
    np.zeros(_SPEC.table_shape, np.float32),
    {name: np.zeros((_OUTPUTS.get(name, _UNITS), _INPUTS.get(name, _UNITS)), np.float32) for name in LAYERS},
    {name: np.zeros(_OUTPUTS.get(name, _UNITS), np.float32) for name in LAYERS if name != "from_geometry"},
)


def field_of_grids(grids: Sequence[VdbGrid]) -> tuple[Nvf, LookCodes]:
    """Density and color as bricks, and colors as sRGB in the first three channels of codes.

    They are the first grid of numbers and the first of vectors, on one lattice. Raises VoxelError
    if one of them is missing or the lattices differ.
    """
    density = next((grid for grid in grids if grid.values.ndim == 1), None)
    colors = next((grid for grid in grids if grid.values.ndim == 2), None)
    if density is None or colors is None:
        raise VoxelError("The volume has no density or no color.", "It takes a grid of each.")
    alike = np.allclose(density.translation, colors.translation) and np.isclose(
        density.voxel_size, colors.voxel_size
    )
    if not alike:
        raise VoxelError("Density and color lie on different lattices.", "Resample one of them.")
    first = density.voxels.min(axis=0) // CELLS - 1
    x, y, z = (int(side) for side in density.voxels.max(axis=0) // CELLS + 2 - first)
    samples = (CELLS * x + 1, CELLS * y + 1, CELLS * z + 1)
    if int(np.prod(samples)) > MOST_SAMPLES:
        raise VoxelError(f"A volume of {samples} voxels is too large to be drawn.")
    values = np.zeros((*samples, 4), np.float32)
    values[(*(density.voxels - first * CELLS).T, 0)] = density.values
    places = colors.voxels - first * CELLS
    inside = ((places >= 0) & (places < samples)).all(axis=1)
    shown = linear_to_srgb(np.clip(colors.values[inside], 0.0, 1.0))
    for channel in range(3):
        values[(*places[inside].T, channel + 1)] = shown[:, channel]
    corners = np.argwhere(_occupied(values[..., 0] > 0, (x, y, z)))
    top = np.full((x, y, z), -1, np.int32)
    top[tuple(corners.T)] = np.arange(len(corners))
    bricks = np.stack(
        [values[a : a + SIDE, b : b + SIDE, c : c + SIDE] for a, b, c in (corners * CELLS).tolist()]
    )
    low = np.array(density.translation) + first * CELLS * density.voxel_size
    box = np.stack([low, low + np.array([x, y, z]) * CELLS * density.voxel_size]).astype(np.float32)
    pool = np.ascontiguousarray(bricks[..., 0])
    active = find_active(top, pool)
    normals = np.broadcast_to(np.array([0.0, 1.0, 0.0], np.float32), (*pool.shape, 3)).copy()
    seen = bricks[..., 1:].reshape(-1, 3)[active]
    codes = np.concatenate([seen, np.zeros((len(seen), CHANNELS - 3), np.float32)], axis=1)
    return Nvf(box, density.voxel_size, top, pool, normals, active), encode_codes(codes)


def _occupied(filled: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Which bricks [X, Y, Z] have a sample with density, those on their far sides included."""
    found = np.zeros(shape, bool)
    for index in np.ndindex(shape):
        part = tuple(slice(CELLS * at, CELLS * at + SIDE) for at in index)
        found[index] = filled[part].any()
    return found
