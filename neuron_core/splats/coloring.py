"""What color a splat has from where: least squares against the field over directions."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from neuron_core.foundation import interrupts
from neuron_core.foundation.colors import Encoding, linear_to_srgb, srgb_to_linear
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.splats import harmonics
from neuron_core.splats.cloud import Splats, rotation_matrices

REACH = 2.5  # voxels from a splat to what a ray meets that counts as it
BLOCK = 1 << 13  # splats at once
BRIGHTEST = 1.6  # linear; harmonics of brighter highlights would ring


def encoded(linear: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Linear colors as splats of that encoding hold them."""
    return linear_to_srgb(linear) if encoding == "srgb" else np.clip(linear, 0.0, BRIGHTEST)


def colored(
    splats: Splats,
    renderer: BakedRenderer,
    voxel_size: float,
    encoding: Encoding,
    degree: int = 3,
    directions: int = 80,
    on_progress: Callable[[float], None] = lambda part: None,
) -> Splats:
    """The splats with harmonics that show what the field shows at their places.

    Each splat is looked at from outside, along those of `directions` that come from the side of its
    normal, its third axis. What none of them sees keeps the color that it has, sRGB.
    """
    sphere = harmonics.fibonacci_sphere(directions).astype(np.float32)
    terms = harmonics.terms_of(degree)
    found = np.empty((len(splats), terms, 3), np.float32)
    outside = float(np.linalg.norm(np.ptp(splats.positions, axis=0))) + REACH * voxel_size
    for first in range(0, len(splats), BLOCK):
        interrupts.stop_if_requested()
        part = splats.taken(np.arange(first, min(first + BLOCK, len(splats))))
        seen, weights = _looked_at(part, renderer, sphere, outside, REACH * voxel_size)
        fitted = harmonics.fit(sphere, encoded(seen, encoding), weights, terms)
        found[first : first + BLOCK] = fitted
        on_progress(min(1.0, (first + BLOCK) / len(splats)))
    return replace(splats, harmonics=found, encoding=encoding)


def _looked_at(
    part: Splats, renderer: BakedRenderer, sphere: np.ndarray, distance: float, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Linear colors [N, D, 3] and how much each counts [N, D]; directions from behind count nothing, nor
    do those in which a ray from that distance meets nothing within `reach` of the splat."""
    normals = rotation_matrices(part.rotations)[:, :, 2].astype(np.float32)
    facing = -normals @ sphere.T
    rows, columns = np.nonzero(facing > 0.08)
    rays_d = sphere[columns]
    rays_o = part.positions[rows] - np.float32(distance) * rays_d
    pixels = renderer.trace(rays_o, rays_d)
    solid = (pixels.alpha > 0.3) & (np.abs(pixels.depth - distance) < reach)
    colors = np.zeros((len(part), len(sphere), 3), np.float32)
    weights = np.zeros(facing.shape, np.float32)
    colors[rows, columns] = pixels.rgb / np.maximum(pixels.alpha, 0.3)[:, None]
    weights[rows, columns] = solid * np.minimum(facing[rows, columns], 0.5)
    hidden = weights.sum(axis=1) == 0
    weights[hidden] = 1.0
    colors[hidden] = srgb_to_linear(part.taken(hidden).base_colors())[:, None]
    return colors, weights
