"""Layers of a picture: what each pair of a tile and an instance shows, and how much light they stop.

Letters in shapes: P pairs, T tiles. A layer is 64 pixels of 8 numbers: premultiplied color, opacity,
depth, normal. Layers lie in the order in which they were drawn.
"""

from typing import Any

import numpy as np

from neuron_core.foundation.colors import srgb_to_linear
from neuron_core.kernels.baked.instances import Tiled
from neuron_core.kernels.baked.layout import BEAM, FAINT, LAYER, OPAQUE
from neuron_core.rendering.culling import Pairs
from neuron_core.rendering.shaded import on_device


class Layers:
    """Pairs and their layers: that of pair p begins at row 64 * slots[p]; a slot below 0 is not drawn yet."""

    def __init__(self, pairs: Pairs, values: Any) -> None:
        self.pairs = pairs
        self.values = values  # [64 * P, 8]
        self.slots = np.full(len(pairs), -1, np.int64)
        self.used = 0

    def give_slots(self, rows: np.ndarray) -> np.ndarray:
        """Give these pairs the next slots, in this order; returns them."""
        self.slots[rows] = self.used + np.arange(len(rows))
        self.used += len(rows)
        return rows

    def drawn(self) -> np.ndarray:
        """Which pairs have layers."""
        return np.flatnonzero(self.slots >= 0)

    def of(self, rows: np.ndarray) -> Any:
        """The layers of pairs whose slots follow each other."""
        first = int(self.slots[rows[0]])
        return self.values[first * BEAM : (first + len(rows)) * BEAM]

    def by_tile(self, rows: np.ndarray, tiles: np.ndarray, device: str) -> Tiled:
        """These pairs by tile, nearest first; `tiles` ascend and hold those of the pairs."""
        pairs = self.pairs
        order = rows[np.lexsort((pairs.starts[rows], pairs.tiles[rows]))]
        firsts = np.searchsorted(pairs.tiles[order], np.append(tiles, 1 << 40)).astype(np.int32)
        instances = np.zeros(max(self.used, 1), np.int32)
        instances[self.slots[order]] = pairs.instances[order]
        arrays = (tiles, firsts, self.slots[order].astype(np.int32), instances)
        own, begins, places, of = (on_device(array, device) for array in arrays)
        return Tiled(own, begins, places, of, int(np.diff(firsts).max(initial=0)))


class Cover:
    """How much of the light of each tile is stopped already, and up to which time: what lies behind
    opaque tiles is left out."""

    def __init__(self, pairs: Pairs) -> None:
        tiles, self._row = np.unique(pairs.tiles, return_inverse=True)
        self._several = np.bincount(self._row, minlength=len(tiles)) > 1
        self._passed = np.ones((len(tiles), BEAM), np.float32)
        self._until = np.zeros(len(tiles))
        self.shared = bool(self._several.any())

    def nearest(self, pairs: Pairs, waiting: np.ndarray) -> np.ndarray:
        """The first pair of each tile, ascending."""
        order = waiting[np.lexsort((pairs.starts[waiting], pairs.tiles[waiting]))]
        first = np.append(True, np.diff(pairs.tiles[order]) != 0)[: len(order)]
        return np.sort(order[first])

    def add(self, drawn: Layers, chosen: np.ndarray, reaches: np.ndarray) -> None:
        """Take account of what pairs show, where others share their tile; `reaches` [P] as of `culling`."""
        chosen = chosen[self._several[self._row[chosen]]]
        if not len(chosen) or not isinstance(drawn.values, np.ndarray):
            return
        layers = drawn.values[: drawn.used * BEAM].reshape(-1, BEAM, LAYER)
        slots, rows = drawn.slots[chosen], self._row[chosen]
        alphas = layers[slots, :, 3]
        depths = np.where(alphas > FAINT, layers[slots, :, 4], 0.0).max(axis=1)
        np.multiply.at(self._passed, rows, 1.0 - alphas)
        with np.errstate(divide="ignore", invalid="ignore"):
            np.maximum.at(self._until, rows, np.where(depths > 0, depths / reaches[chosen], 0.0))

    def hides(self, pairs: Pairs, waiting: np.ndarray) -> np.ndarray:
        """Which pairs lie behind what is opaque in the whole of their tile."""
        rows = self._row[waiting]
        opaque = (self._passed.max(axis=1) <= OPAQUE)[rows]
        return np.asarray(opaque & (pairs.starts[waiting] >= self._until[rows]))


def decode(layers: Any) -> None:
    """Make linear, in place, what was trained on sRGB."""
    own = layers if isinstance(layers, np.ndarray) else layers.numpy()
    shown, alphas = own[:, 3] > FAINT, own[:, 3:4]
    straight = np.divide(own[:, :3], alphas, out=np.zeros_like(own[:, :3]), where=shown[:, None])
    own[:, :3] = srgb_to_linear(np.clip(straight, 0.0, 1.0)) * alphas
    if not isinstance(layers, np.ndarray):
        layers.assign(own)


def runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Stretches of equal values: the value, where it begins and where it ends."""
    if not len(values):
        return []
    starts = np.flatnonzero(np.append(True, np.diff(values) != 0))
    ends = np.append(starts[1:], len(values))
    return [(int(values[a]), int(a), int(b)) for a, b in zip(starts, ends, strict=True)]
