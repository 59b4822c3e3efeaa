"""Samples along rays in memory, and the coordinates that they are in, without torch."""

import numpy as np

from neuron_core.kernels.training.raymarch import MarchSpec, Rays, Samples, count_samples, fill_samples


def to_unit_cube(spec: MarchSpec, points: np.ndarray) -> np.ndarray:
    """World points [..., 3] in the coordinates of the grid; plain spaces leave [0, 1] outside the box."""
    low, high = np.asarray(spec.aabb, np.float32)
    if not spec.contracted:
        return (points - low) / (high - low)
    normalized = (points - (low + high) / 2) / ((high - low) / 2)
    size = np.maximum(np.abs(normalized).max(axis=-1, keepdims=True), 1.0)
    return ((2.0 - 1.0 / size) * normalized / size + 2.0) / 4.0


def sample_rays(spec: MarchSpec, rays: Rays, occupancy: np.ndarray, seed: int | None = None) -> Samples:
    """Count and fill in one call, for rays in memory; the samples are numpy arrays."""
    count, begins = np.zeros(len(rays.origins), np.int32), np.zeros(len(rays.origins), np.float32)
    count_samples(spec, rays, occupancy, seed, count, begins)
    ends = np.cumsum(count, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    samples = Samples(
        (ends - count).astype(np.int32),
        count,
        np.zeros((total, 3), np.float32),
        np.zeros(total, np.float32),
        np.zeros(total, np.float32),
        np.zeros(total, np.int32),
    )
    fill_samples(spec, rays, occupancy, samples, begins)
    return samples
