"""Splats moved, turned and scaled, with what they show from where; and other color encodings."""

from dataclasses import replace

import numpy as np

from neuron_core.foundation.colors import Encoding, linear_to_srgb, srgb_to_linear
from neuron_core.splats import harmonics
from neuron_core.splats.cloud import SplatError, Splats, quaternions_of, rotation_matrices

HALF_TURN = np.diag([1.0, -1.0, -1.0])  # about X: between Y up and the Y down of COLMAP
BLOCK = 1 << 14


def transformed(splats: Splats, matrix: np.ndarray) -> Splats:
    """The splats under an affine map [4, 4] of column vectors.

    Ellipsoids are mapped exactly, also where the map scales unevenly. Harmonics turn with the
    rotation that is nearest to the map. Raises SplatError for a map that is flat or mirrors.
    """
    matrix = np.asarray(matrix, np.float64)
    linear = matrix[:3, :3]
    if not np.isfinite(matrix).all() or not np.linalg.det(linear) > 1e-18:
        raise SplatError("Splats cannot be mirrored or flattened.", "Use a map with a positive determinant.")
    u, _, vt = np.linalg.svd(linear)
    turned = harmonics.rotation(u @ vt, splats.harmonics.shape[1])
    axes = linear @ (rotation_matrices(splats.rotations) * splats.scales[:, None, :])
    left, sizes, _ = np.linalg.svd(axes)
    left[:, :, 2] *= np.linalg.det(left)[:, None]
    return replace(
        splats,
        positions=(splats.positions @ linear.T + matrix[:3, 3]).astype(np.float32),
        rotations=quaternions_of(left),
        scales=np.maximum(sizes, 1e-12).astype(np.float32),
        harmonics=np.einsum("jk,nkc->njc", turned, splats.harmonics).astype(np.float32),
    )


def turned_upside_down(splats: Splats) -> Splats:
    """Half a turn about X."""
    matrix = np.eye(4)
    matrix[:3, :3] = HALF_TURN
    signs = np.diag(harmonics.rotation(HALF_TURN, splats.harmonics.shape[1])).round()
    w, x, y, z = splats.rotations.T
    return replace(
        splats,
        positions=(splats.positions * np.array([1, -1, -1], np.float32)),
        rotations=np.stack([-x, w, -z, y], axis=-1),
        harmonics=(splats.harmonics * signs[:, None]).astype(np.float32),
    )


def in_encoding(splats: Splats, encoding: Encoding) -> Splats:
    """With colors in another encoding, fitted again over all directions.

    Exact for splats without a view-dependent color; where several blend, the picture changes a
    little, as blending is not the same in both.
    """
    if encoding == splats.encoding:
        return splats
    directions = harmonics.fibonacci_sphere(64)
    terms = splats.harmonics.shape[1]
    inverse = np.linalg.pinv(harmonics.basis(directions, terms))
    found = np.empty_like(splats.harmonics)
    for first in range(0, len(splats), BLOCK):
        seen = harmonics.colors(splats.harmonics[first : first + BLOCK], directions)
        other = srgb_to_linear(np.clip(seen, 0, 1)) if encoding == "linear" else linear_to_srgb(seen)
        found[first : first + BLOCK] = np.einsum("kd,ndc->nkc", inverse, other - 0.5)
    return replace(splats, harmonics=found, encoding=encoding)
