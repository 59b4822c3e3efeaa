"""What color a splat has from where: least squares against the field over directions."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from neuron_core.foundation import interrupts
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.splats import harmonics
from neuron_core.splats.cloud import Encoding, Splats, rotation_matrices
from neuron_core.voxels.render import Renderer

BACK = 2.5  # voxels from a splat to where the rays begin that look at it
BLOCK = 1 << 13  # splats at once
BRIGHTEST = 1.6  # linear; harmonics of brighter highlights would ring


def encoded(linear: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Linear colors as splats of that encoding hold them."""
    return linear_to_srgb(linear) if encoding == "srgb" else np.clip(linear, 0.0, BRIGHTEST)


def colored(
    splats: Splats,
    renderer: Renderer,
    voxel_size: float,
    encoding: Encoding,
    degree: int = 3,
    directions: int = 80,
    tell: Callable[[float], None] = lambda fraction: None,
) -> Splats:
    """The splats with harmonics that show what the field shows at their places.

    Each splat is looked at from the side of its normal, its third axis, along those of `directions`
    that come from there.
    """
    sphere = harmonics.fibonacci_sphere(directions).astype(np.float32)
    terms = harmonics.terms_of(degree)
    found = np.empty((len(splats), terms, 3), np.float32)
    for first in range(0, len(splats), BLOCK):
        interrupts.stop_if_requested()
        part = splats.taken(np.arange(first, min(first + BLOCK, len(splats))))
        seen, weights = _looked_at(part, renderer, sphere, BACK * voxel_size)
        fitted = harmonics.fit(sphere, encoded(seen, encoding), weights, terms)
        found[first : first + BLOCK] = fitted
        tell(min(1.0, (first + BLOCK) / len(splats)))
    return replace(splats, harmonics=found, encoding=encoding)


def _looked_at(
    part: Splats, renderer: Renderer, sphere: np.ndarray, back: float
) -> tuple[np.ndarray, np.ndarray]:
    """Linear colors [N, D, 3] and how much each counts [N, D]; directions from behind count nothing."""
    normals = rotation_matrices(part.rotations)[:, :, 2].astype(np.float32)
    facing = -normals @ sphere.T
    rows, columns = np.nonzero(facing > 0.08)
    rays_d = sphere[columns]
    rays_o = part.positions[rows] - back * rays_d
    pixels = renderer.trace(rays_o, rays_d)
    solid = (pixels.alpha > 0.3) & (pixels.depth < 3 * back)
    colors = np.zeros((len(part), len(sphere), 3), np.float32)
    weights = np.zeros(facing.shape, np.float32)
    colors[rows, columns] = pixels.rgb / np.maximum(pixels.alpha, 0.3)[:, None]
    weights[rows, columns] = solid * np.minimum(facing[rows, columns], 0.5)
    unseen = weights.sum(axis=1) == 0
    weights[unseen] = 1e-3
    colors[unseen] = 0.2
    return colors, weights
