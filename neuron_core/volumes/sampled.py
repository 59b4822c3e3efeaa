"""A baked asset as a grid of samples that hosts without the engine read."""

from pathlib import Path

import numpy as np

from neuron_core.kernels.baked.layout import CELLS
from neuron_core.volumes.from_bricks import voxel_samples
from neuron_core.volumes.grids import write_grid
from neuron_core.voxels.baked import Baked


def step_for(baked: Baked, resolution: int) -> int:
    """Samples of the asset per sample of a grid with about `resolution` along the longest side."""
    return -(-CELLS * max(baked.nvf.top.shape) // resolution)


def write_samples(path: Path, baked: Baked, look: str, step: int) -> None:
    """Write every `step`-th sample of a look that has density. Raises VoxelError if there is none."""
    samples = voxel_samples(baked, look)
    kept = (samples.voxels % step == 0).all(axis=1)
    write_grid(
        path,
        digest=baked.manifest.digest,
        look=look,
        step=step,
        origin=np.asarray(samples.origin),
        spacing=samples.voxel_size * step,
        voxels=samples.voxels[kept] // step,
        density=samples.density[kept],
        normal=samples.normals[kept],
        color=samples.colors[kept],
        code=samples.codes[kept],
    )
