"""Samples along rays in memory, and the coordinates that they are in, without torch."""

import numpy as np

from neuron_core.kernels.training.raymarch import MarchSpec, Rays, Samples, count_samples, fill_samples

BOX = ((-1.0, -0.5, -2.0), (1.0, 1.5, 1.0))
PLAIN = MarchSpec(BOX, step_min=0.031, step_max=0.031)
CONES = MarchSpec(BOX, step_min=0.02, step_max=0.2, cone=0.02)
CONTRACTED = MarchSpec(BOX, step_min=0.02, step_max=1.5, cone=0.03, contracted=True)


def some_rays(count: int = 200, seed: int = 0, far: float = 12.0) -> Rays:
    """Rays from around the middle of the box or from three units away; the first six along the axes."""
    random = np.random.default_rng(seed)
    directions = random.standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    directions[:6] = np.concatenate([np.eye(3), -np.eye(3)])
    origins = random.uniform(-0.9, 0.9, (count, 3)) - directions * random.choice([0.0, 3.0], (count, 1))
    nears, fars = np.full(count, 0.05), np.full(count, far)
    return Rays(*(array.astype(np.float32) for array in (origins, directions, nears, fars)))


def some_occupancy(cells: int, seed: int = 1, share: float = 0.3) -> np.ndarray:
    """A grid [cells, cells, cells] of which this share is occupied."""
    return (np.random.default_rng(seed).random((cells, cells, cells)) < share).astype(np.uint8)


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


def slow_samples(spec: MarchSpec, rays: Rays, occupancy: np.ndarray) -> list[list[tuple[float, float]]]:
    """For each ray the (middle, step) pairs, every step looked up, in single precision."""
    result = []
    for origin, direction, near, far in zip(
        rays.origins, rays.directions, rays.nears, rays.fars, strict=True
    ):
        t = np.float32(near)
        if not spec.contracted:
            with np.errstate(divide="ignore"):
                walls = (np.asarray(spec.aabb, np.float64) - origin) / direction
            t = np.float32(max(t, walls.min(axis=0).max()))
            far = min(far, walls.max(axis=0).min())
        steps, middles = [], []
        while True:
            step = np.float32(min(max(t * np.float32(spec.cone), spec.step_min), spec.step_max))
            middle = np.float32(t + np.float32(0.5) * step)
            if not middle < far:
                break
            steps.append(step)
            middles.append(middle)
            t = np.float32(t + step)
        points = origin + np.array(middles, np.float32)[:, None] * direction
        cells = (to_unit_cube(spec, points) * len(occupancy)).astype(int)
        kept = occupancy[tuple(np.clip(cells, 0, len(occupancy) - 1).T)] != 0
        result.append(
            [pair for pair, keep in zip(zip(middles, steps, strict=True), kept, strict=True) if keep]
        )
    return result
