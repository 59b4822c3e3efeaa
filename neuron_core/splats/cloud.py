"""Gaussian splats in memory.

Letters in shapes: N splats, K harmonics of a color. Lengths are in the units of the asset (meters),
+Y is up. A splat adds `opacity * exp(-d^2 / 2)` of its color, d being the distance from its center
in standard deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuron_core.foundation.colors import Encoding
from neuron_core.foundation.errors import NeuronError
from neuron_core.splats import harmonics

MOST_SPLATS = 1 << 26
OPACITY_MARGIN = 1e-6  # from 0 and 1, where logits are taken


class SplatError(NeuronError):
    """Invalid splats, or a file of splats that cannot be read or written."""

    kind = "splats"


@dataclass(frozen=True, slots=True)
class Splats:
    """N splats; all arrays are float32. What colors are, and are blended in, is `encoding`."""

    positions: np.ndarray  # [N, 3]
    rotations: np.ndarray  # [N, 4] unit quaternions w x y z
    scales: np.ndarray  # [N, 3] standard deviations along the turned axes
    opacities: np.ndarray  # [N] in [0, 1]
    harmonics: np.ndarray  # [N, K, 3]; the color is 0.5 plus their sum, at least 0
    encoding: Encoding = "srgb"
    antialiased: bool = False  # whether they were fitted to be drawn fainter where they are widened

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def degree(self) -> int:
        """Of the harmonics, 0 to 3."""
        return harmonics.DEGREES[self.harmonics.shape[1]]

    def base_colors(self) -> np.ndarray:
        """What a splat looks like on average, [N, 3] in [0, 1], in `encoding`."""
        return np.clip(0.5 + harmonics.CONSTANT * self.harmonics[:, 0], 0.0, 1.0)

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """The corners [3] of the box around all splats up to three standard deviations."""
        if not len(self):
            return np.zeros(3, np.float32), np.zeros(3, np.float32)
        axes = rotation_matrices(self.rotations) * self.scales[:, None, :]
        reach = 3.0 * np.sqrt((axes.astype(np.float64) ** 2).sum(axis=-1))
        return (self.positions - reach).min(axis=0), (self.positions + reach).max(axis=0)

    def taken(self, rows: np.ndarray) -> "Splats":
        """Some of them: a mask [N] or indices."""
        return replace(
            self,
            positions=self.positions[rows],
            rotations=self.rotations[rows],
            scales=self.scales[rows],
            opacities=self.opacities[rows],
            harmonics=self.harmonics[rows],
        )

    def of_degree(self, degree: int) -> "Splats":
        """With harmonics up to another degree: cut off, or filled with zeros."""
        terms, have = harmonics.terms_of(degree), self.harmonics.shape[1]
        kept = self.harmonics[:, :terms]
        filled = np.pad(kept, ((0, 0), (0, max(0, terms - have)), (0, 0)))
        return replace(self, harmonics=filled)


def checked(splats: Splats, name: str) -> Splats:
    """The same splats. Raises SplatError that says what is wrong with those of `name`."""
    count = len(splats.positions)
    shapes = {
        "positions": (count, 3),
        "rotations": (count, 4),
        "scales": (count, 3),
        "opacities": (count,),
        "harmonics": (count, splats.harmonics.shape[1] if splats.harmonics.ndim == 3 else 0, 3),
    }
    for field, shape in shapes.items():
        array = getattr(splats, field)
        if array.shape != shape:
            raise SplatError(f"{name}: {field} of shape {list(array.shape)} for {count} splats.")
        if not np.isfinite(array).all():
            bad = int((~np.isfinite(array.reshape(count, -1)).all(axis=1)).sum())
            raise SplatError(f"{name}: {field} of {bad} splats are not finite.", "Export them again.")
    if splats.harmonics.shape[1] not in harmonics.DEGREES:
        raise SplatError(f"{name}: {splats.harmonics.shape[1]} harmonics are not a whole degree from 0 to 3.")
    if count and (splats.scales <= 0).any():
        raise SplatError(f"{name}: {int((splats.scales <= 0).any(axis=1).sum())} splats have no size.")
    if count and (splats.opacities.min() < 0 or splats.opacities.max() > 1):
        raise SplatError(
            f"{name}: opacities from {splats.opacities.min():.4g} to {splats.opacities.max():.4g}."
        )
    if count and np.abs((splats.rotations.astype(np.float64) ** 2).sum(axis=1) - 1).max() > 5e-3:
        raise SplatError(f"{name}: quaternions that have not unit length.")
    return splats


def joined(parts: Sequence[Splats]) -> Splats:
    """All splats of some clouds of one encoding, with the highest degree."""
    degree = max(part.degree for part in parts)
    if len({part.encoding for part in parts}) > 1:
        raise SplatError("Linear and sRGB splats cannot be put together.", "Convert one of them.")
    alike = [part.of_degree(degree) for part in parts]
    return Splats(
        np.concatenate([part.positions for part in alike]),
        np.concatenate([part.rotations for part in alike]),
        np.concatenate([part.scales for part in alike]),
        np.concatenate([part.opacities for part in alike]),
        np.concatenate([part.harmonics for part in alike]),
        parts[0].encoding,
        all(part.antialiased for part in parts),
    )


def normalized(quaternions: np.ndarray) -> np.ndarray:
    """Unit quaternions [N, 4]; those without a length become no rotation, and NaN stays."""
    lengths = np.linalg.norm(quaternions.astype(np.float64), axis=-1, keepdims=True)
    unit = (quaternions / np.maximum(lengths, 1e-12)).astype(np.float32)
    unit[lengths[..., 0] <= 1e-12] = (1.0, 0.0, 0.0, 0.0)
    return unit


def rotation_matrices(quaternions: np.ndarray) -> np.ndarray:
    """Of unit quaternions [N, 4] w x y z, for column vectors, [N, 3, 3]."""
    w, x, y, z = quaternions.astype(np.float64).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrices: np.ndarray = np.moveaxis(np.array(rows), -1, 0)
    return matrices


def quaternions_of(matrices: np.ndarray) -> np.ndarray:
    """Unit quaternions [N, 4] w x y z of rotations [N, 3, 3]; the largest number is positive."""
    m = np.asarray(matrices, np.float64)
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    squares = np.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1)
    wx, wy, wz = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    xy, xz, yz = m[:, 1, 0] + m[:, 0, 1], m[:, 2, 0] + m[:, 0, 2], m[:, 2, 1] + m[:, 1, 2]
    s0, s1, s2, s3 = squares.T
    products = np.stack(
        [[s0, wx, wy, wz], [wx, s1, xy, xz], [wy, xy, s2, yz], [wz, xz, yz, s3]]
    )  # [4, 4, N]: 4 times the products of the numbers
    largest = squares.argmax(axis=-1)
    return normalized(products[largest, :, np.arange(len(m))])


def to_shapes(splats: Splats) -> np.ndarray:
    """As the rasterizer takes them: [N, 11] float32."""
    opacities = np.clip(splats.opacities.astype(np.float64), OPACITY_MARGIN, 1 - OPACITY_MARGIN)
    logits = np.log(opacities) - np.log1p(-opacities)
    sizes = np.log(np.maximum(splats.scales, 1e-30))
    return np.concatenate(
        [splats.positions, sizes, splats.rotations, logits[:, None]], axis=1, dtype=np.float32
    )


def from_shapes(shapes: np.ndarray, coefficients: np.ndarray, encoding: Encoding) -> Splats:
    """The inverse of `to_shapes`."""
    return Splats(
        shapes[:, :3].copy(),
        normalized(shapes[:, 6:10]),
        np.exp(shapes[:, 3:6]),
        (1.0 / (1.0 + np.exp(-shapes[:, 10].astype(np.float64)))).astype(np.float32),
        coefficients.copy(),
        encoding,
    )
