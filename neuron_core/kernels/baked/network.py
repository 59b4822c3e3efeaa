"""The small network that shades a baked field, once a pixel, as drawing compiles it.

Letters in shapes: H hidden units, N cells along a side of the map.
What depends on the reflected direction alone is summed beforehand into a map over the sphere,
folded from an octahedron to a square; the rest of the network runs on the units of a layer
side by side, for a few pixels together.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.baked.layout import CHANNELS

HARMONICS = 8  # without the constant, which is in the biases
LOBES = 8  # 6, then 2 unused
TINTS = 16  # 6 tints and 2 unused, 3 tints of the mirror, its gate, 4 unused


@wp.struct
class NetworkArrays:
    """A `Network` for kernels."""

    cells: wp.int32
    directions: wp.array[wp.int16]  # [(N + 1) ** 2 * H]
    weights: wp.array[wp.float32]


@dataclass(frozen=True)
class Network:
    """The shader of one look, its codes still as they are stored (0 to 255); on one device."""

    width: int  # H, a multiple of 8
    cells: int  # N
    directions: Any  # [(N + 1) ** 2 * H] int16: what the reflected direction adds to the first layer
    weights: Any  # float32, flat: see `pack`

    @property
    def device(self) -> str:
        """Where the weights are."""
        return str(self.weights.device)

    @cached_property
    def arrays(self) -> Any:
        """As kernels take it."""
        found = NetworkArrays()
        found.cells, found.directions, found.weights = self.cells, self.directions, self.weights
        return found


def pack(
    scale: np.ndarray,
    first: np.ndarray,
    hidden: np.ndarray,
    lobes: np.ndarray,
    tints: np.ndarray,
) -> np.ndarray:
    """The weights of a `Network` one after another; rows are inputs, the last row of each the bias.

    `scale` [1, H] is what 1 in the map of directions stands for, `first`
    [8 codes + facing + 8 harmonics + 1, H], `hidden` [H + 1, H], `lobes` [H + 1, 8], `tints`
    [8 codes + 1, 16]. Harmonics are x, y, z, xy, yz, zx, x² - y², 3z² - 1 of the normal.
    """
    width = hidden.shape[1]
    shapes = [
        (1, width),
        (CHANNELS + HARMONICS + 2, width),
        (width + 1, width),
        (width + 1, LOBES),
        (CHANNELS + 1, TINTS),
    ]
    layers = (scale, first, hidden, lobes, tints)
    if width % 8 or [layer.shape for layer in layers] != shapes:
        raise ValueError(f"Layers of {[layer.shape for layer in layers]}, not {shapes}, or not in eights.")
    return np.concatenate([layer.astype(np.float32).reshape(-1) for layer in layers])


def octahedron(cells: int) -> np.ndarray:
    """The unit directions at the (cells + 1)² nodes of the map, rows of constant z, [(N + 1)², 3].

    The upper half of the sphere lies in the middle diamond, the lower one in the corners
    (Cigolle et al. 2014). Nodes on the border have a second copy, so that interpolation never
    crosses it.
    """
    steps = np.linspace(-1.0, 1.0, cells + 1)
    z, x = np.meshgrid(steps, steps, indexing="ij")
    y = 1.0 - np.abs(x) - np.abs(z)
    folded_x = np.where(y < 0, (1.0 - np.abs(z)) * np.where(x < 0, -1.0, 1.0), x)
    folded_z = np.where(y < 0, (1.0 - np.abs(x)) * np.where(z < 0, -1.0, 1.0), z)
    directions = np.stack([folded_x, y, folded_z], axis=-1).reshape(-1, 3)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions.astype(np.float32)
