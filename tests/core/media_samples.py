"""Media along rays, and what they composite to: by the kernel, and once more as sums in double precision."""

from collections.abc import Sequence

import numpy as np

from neuron_core.kernels.training.compositing import OPAQUE, Composited, composite, composite_backward
from neuron_core.kernels.training.raymarch import Samples
from tests.core.march_samples import PLAIN, sample_rays, some_occupancy, some_rays


def some_media(channels: int = 3) -> tuple[Samples, np.ndarray, np.ndarray]:
    """Samples of 60 rays, some without any, with densities [M] and values [M, C]."""
    samples = sample_rays(PLAIN, some_rays(60), some_occupancy(8), seed=4)
    random = np.random.default_rng(5)
    sigmas = random.exponential(2.0, len(samples.t_mid)).astype(np.float32)
    sigmas[samples.ray_index < 20] *= 40  # some rays become opaque
    return samples, sigmas, random.standard_normal((len(sigmas), channels)).astype(np.float32)


def samples_of(lengths: Sequence[Sequence[float]]) -> Samples:
    """Rays from the distance 0 on that are cut into steps of these lengths."""
    counts = np.array([len(own) for own in lengths], np.int32)
    ends = [np.cumsum(own) for own in lengths]
    middles = [end - np.asarray(own, float) / 2 for end, own in zip(ends, lengths, strict=True)]
    dts = np.concatenate([np.asarray(own, float) for own in lengths])
    return Samples(
        (np.cumsum(counts) - counts).astype(np.int32),
        counts,
        np.zeros((len(dts), 3), np.float32),
        np.concatenate(middles).astype(np.float32),
        dts.astype(np.float32),
        np.repeat(np.arange(len(counts)), counts).astype(np.int32),
    )


def composited(samples: Samples, sigmas: np.ndarray, values: np.ndarray) -> Composited:
    """What densities [M] and values [M, C] add up to along their rays."""
    rays, channels = len(samples.ray_count), values.shape[1]
    result = Composited(
        np.full(len(sigmas), np.nan, np.float32),
        np.full((rays, channels), np.nan, np.float32),
        np.full(rays, np.nan, np.float32),
        np.full(rays, np.nan, np.float32),
    )
    composite(samples, sigmas, values, result)
    return result


def composited_gradients(
    samples: Samples, sigmas: np.ndarray, values: np.ndarray, gradients: Composited
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients with respect to densities [M] and values [M, C]."""
    grad_sigmas, grad_values = np.full_like(sigmas, np.nan), np.full_like(values, np.nan)
    composite_backward(samples, sigmas, values, gradients, grad_sigmas, grad_values)
    return grad_sigmas, grad_values


def slow_composited(samples: Samples, sigmas: np.ndarray, values: np.ndarray) -> Composited:
    """The same sums in double precision."""
    weights = np.zeros(len(sigmas))
    rays = len(samples.ray_count)
    sums, depths = np.zeros((rays, values.shape[1])), np.zeros(rays)
    opacities = np.zeros(rays)
    for ray in range(rays):
        own = slice(samples.ray_start[ray], samples.ray_start[ray] + samples.ray_count[ray])
        passed = np.exp(-sigmas[own].astype(np.float64) * samples.dts[own])
        before = np.concatenate([[1.0], np.cumprod(passed)])[:-1]
        weights[own] = np.where(before >= OPAQUE, before * (1 - passed), 0)
        sums[ray] = weights[own] @ values[own]
        opacities[ray] = weights[own].sum()
        depths[ray] = weights[own] @ samples.t_mid[own]
    return Composited(weights, sums, opacities, depths)
