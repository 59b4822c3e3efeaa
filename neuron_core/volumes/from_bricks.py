"""A baked field as grids of a volume: density, and the color that each voxel has on average."""

from dataclasses import dataclass

import numpy as np

from neuron_core.foundation.colors import srgb_to_linear
from neuron_core.volumes.vdb import VdbGrid
from neuron_core.voxels.baked import Baked
from neuron_core.voxels.nvf import VoxelError, lattice_places

BLOCK = 1 << 16
HALF_ABSORBED = 2 * np.log(2)  # twice the optical depth of it: what a ramp from zero takes
PLACES = np.array([1 << 42, 1 << 21, 1])  # what makes a place on the lattice a number
TILTS = ((0.0, 0.0), (0.7, 0.0), (-0.7, 0.0), (0.0, 0.7), (0.0, -0.7))  # of the directions of sight


@dataclass(frozen=True, slots=True, eq=False)
class VoxelSamples:
    """The samples of an asset that have density, each once."""

    voxels: np.ndarray  # [V, 3] int64 places on the lattice, not negative
    density: np.ndarray  # [V] 1 / meter
    normals: np.ndarray  # [V, 3]
    codes: np.ndarray  # [V, 8]
    colors: np.ndarray  # [V, 3] linear Rec. 709
    voxel_size: float
    origin: tuple[float, float, float]  # where place (0, 0, 0) is, in meters


def voxel_samples(baked: Baked, slug: str, around: bool = False) -> VoxelSamples:
    """What a look is like at every sample with density; with `around` also at those beside one.

    They are in the order of their places. Raises VoxelError for a field without density.
    """
    nvf = baked.nvf
    voxels = lattice_places(nvf.top, nvf.active)
    density = nvf.density.reshape(-1)[nvf.active]
    kept = np.arange(len(density)) if around else np.flatnonzero(density > 0)
    _, first = np.unique(voxels[kept] @ PLACES, return_index=True)
    kept = kept[first]  # samples that bricks share, once
    if not (density > 0).any():
        raise VoxelError(f"{baked.path} has no density to write.")
    corner = nvf.aabb[0].astype(np.float64)
    normals = nvf.normals.reshape(-1, 3)[nvf.active[kept]]
    codes = baked.looks[slug].decoded()[kept]
    return VoxelSamples(
        voxels=voxels[kept],
        density=density[kept],
        normals=normals,
        codes=codes,
        colors=average_colors(baked, codes, normals),
        voxel_size=nvf.voxel_size,
        origin=(float(corner[0]), float(corner[1]), float(corner[2])),
    )


def volume_grids(baked: Baked, slug: str) -> tuple[VdbGrid, VdbGrid]:
    """`density` in 1 / meter where there is some, and `Cd`, linear Rec. 709; voxels are the samples.

    Fog has no density below zero; `without_negatives` makes up for that. Colors also stand beside what
    has density: programs interpolate both grids, and a color that was mixed with black there would
    darken every edge. Raises VoxelError for a field without density.
    """
    samples = voxel_samples(baked, slug, around=True)
    size, origin, solid = samples.voxel_size, samples.origin, samples.density > 0
    density = without_negatives(samples.voxels, samples.density, size)
    return (
        VdbGrid("density", samples.voxels[solid], density[solid], size, origin),
        VdbGrid("Cd", samples.voxels, samples.colors, size, origin, half=True),
    )


def without_negatives(voxels: np.ndarray, density: np.ndarray, voxel_size: float) -> np.ndarray:
    """Densities [V] that with zero in place of negatives keep surfaces where they are.

    Between a sample and a negative one beside it, density crosses zero before the other is reached; cut
    off, it would do so only there, and surfaces would stand out by up to half a voxel. So the sample gets
    what half absorbs a ray, on the ramp that is left, where the field does; never more than it had.
    `voxels` [V, 3] are in the order of their places.
    """
    keys = voxels @ PLACES
    nearest = np.full(len(density), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for step in (*PLACES, *-PLACES):
            there = np.searchsorted(keys, keys + step).clip(0, len(keys) - 1)
            crossed = (keys[there] == keys + step) & (density > 0) & (density[there] <= 0)
            zero = density / (density - density[there])  # in voxels from the sample
            surface = zero - np.sqrt(HALF_ABSORBED * zero / (density * voxel_size))
            nearest = np.where(crossed, np.minimum(nearest, np.maximum(surface, 0.0)), nearest)
        enough = HALF_ABSORBED / (voxel_size * (1.0 - nearest) ** 2)
    kept = np.where(np.isfinite(nearest), np.minimum(density, enough), density)
    return np.asarray(np.maximum(kept, 0.0), np.float32)


def average_colors(baked: Baked, codes: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Linear colors [V, 3] of codes [V, 8] with normals [V, 3], over directions around the normal."""
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(lengths > 0.5, normals, np.array([0.0, 1.0, 0.0], np.float32)).astype(np.float32)
    helper = np.where(np.abs(normals[:, :1]) < 0.7, np.array([[1, 0, 0]]), np.array([[0, 1, 0]]))
    u = np.cross(normals, helper)
    v = np.cross(normals, u)
    total = np.zeros((len(codes), 3), np.float32)
    for x, y in TILTS:
        rays_d = -(normals + x * u + y * v)
        rays_d /= np.linalg.norm(rays_d, axis=1, keepdims=True)
        for first in range(0, len(codes), BLOCK):
            part = slice(first, first + BLOCK)
            total[part] += baked.shader.evaluate(codes[part], normals[part], rays_d[part].astype(np.float32))
    mean = total / len(TILTS)
    return srgb_to_linear(np.clip(mean, 0, 1)) if baked.shader.encoding == "srgb" else mean
