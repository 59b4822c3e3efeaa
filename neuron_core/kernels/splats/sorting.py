"""Sort projected splats into the tiles that they touch, from front to back.

Letters in shapes: N splats, P pairs of a splat and a tile that it touches. Splats are ordered by the depth of
their centers along the view axis.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.assembly import compiled_with
from neuron_core.kernels.launch import device_of, launch
from neuron_core.kernels.splats.projection import (
    SLICES,
    Ellipse,
    Lens,
    LensValues,
    lens_values,
    project_shapes,
    tiles_of,
)

MAX_TILES = 1 << 16
MAX_PAIRS = 1 << 26

_PAIR_BITS = 26  # of a key, the lowest ones; then the depth, then the tile
_DEPTH_BITS = 21

wp.set_module_options(compiled_with(("harmonics.h",)))


@dataclass(frozen=True, slots=True)
class Projected:
    """Splats as one camera sees them, and in which order its tiles take them."""

    lens: Lens
    ellipses: Any  # [N]
    firsts: Any  # [N + 1] int32: the first pair of each splat
    splats: Any  # [P] int32: the splat of each pair
    order: Any  # [P] int32: pairs by tile, then from front to back
    ends: Any  # [tiles + 1] int32: where in `order` each tile begins

    @property
    def pairs(self) -> int:
        """P."""
        return int(self.order.shape[0])


class PairsError(ValueError):
    """A picture that touches more tiles than can be sorted."""


def project(lens: Lens, shapes: Any, harmonics: Any) -> Projected:
    """Project splats with `shapes` [N, 11] and `harmonics` [N, K, 3] and sort them.

    Raises PairsError for pictures above 65536 tiles or splats that touch 67 million of them.
    """
    columns, rows = lens.tiles
    if columns * rows > MAX_TILES:
        raise PairsError(f"A picture of {lens.width} x {lens.height} pixels is too large to be splatted.")
    device = device_of(shapes)
    ellipses, touched = project_shapes(lens, shapes, harmonics)
    firsts, pairs = _sums_before(touched, device)
    if pairs > MAX_PAIRS:
        raise PairsError(f"The splats touch {pairs} tiles, which is more than can be sorted.")
    splats, keys = _keys(lens, ellipses, firsts, pairs, device)
    order = wp.empty(pairs, dtype=wp.int32, device=device)
    ends = wp.zeros(columns * rows + 1, dtype=wp.int32, device=device)
    arguments = [_sorted(keys, pairs, device), pairs, columns * rows, order, ends]
    launch(order_kernel, arguments, pairs, device=device, slices=SLICES)
    return Projected(lens, ellipses, firsts, splats, order, ends)


def _sums_before(counts: wp.array, device: str) -> tuple[wp.array, int]:
    """The sum of all counts before each, and of all."""
    if device == "cpu":
        sums = np.zeros(counts.shape[0], np.int64)
        np.cumsum(counts.numpy()[:-1], out=sums[1:])
        if sums[-1] > MAX_PAIRS:
            return counts, int(sums[-1])
        return wp.array(sums.astype(np.int32), dtype=wp.int32, device=device), int(sums[-1])
    sums = wp.empty_like(counts)
    wp.utils.array_scan(counts, sums, inclusive=False)
    return sums, int(sums[-1:].numpy()[0])


def _keys(lens: Lens, ellipses: wp.array, firsts: wp.array, pairs: int, device: str) -> tuple[Any, Any]:
    """The splat [P] of each pair and its key [2 * P], of which the second half is room for sorting."""
    keys: Any = wp.empty(2 * max(pairs, 1), dtype=wp.int64, device=device)
    splats: Any = wp.empty(max(pairs, 1), dtype=wp.int32, device=device)
    arguments = [lens_values(lens), ellipses, firsts, splats, keys]
    launch(key_kernel, arguments, int(firsts.shape[0]) - 1, device=device, slices=SLICES)
    return splats, keys


def _sorted(keys: wp.array, pairs: int, device: str) -> wp.array:
    if device == "cpu":
        keys.numpy()[:pairs].sort()
        return keys
    unused = wp.empty(2 * max(pairs, 1), dtype=wp.int32, device=device)
    if pairs:
        wp.utils.radix_sort_pairs(keys, unused, pairs)
    return keys


@wp.kernel(enable_backward=False)
def key_kernel(
    lens: LensValues,
    ellipses: wp.array[Ellipse],  # [N]
    firsts: wp.array[wp.int32],  # [N + 1]
    splats: wp.array[wp.int32],  # [P]
    keys: wp.array[wp.int64],  # [2 * P]
    first: wp.int32,
) -> None:
    """One index per splat. Writes the keys of its pairs: tile, depth, pair, from the highest bits."""
    n = first + wp.tid()
    pair = firsts[n]
    if firsts[n + 1] == pair:
        return
    tiles = tiles_of(lens, ellipses[n])
    part = wp.clamp((ellipses[n].depth - lens.near) / (lens.far - lens.near), 0.0, 1.0)
    depth = wp.int64(wp.int32(part * wp.static(float((1 << _DEPTH_BITS) - 1))))
    for row in range(tiles[1], tiles[3] + 1):
        for column in range(tiles[0], tiles[2] + 1):
            tile = wp.int64(row * lens.columns + column)
            above = (tile << wp.int64(wp.static(_DEPTH_BITS))) | depth
            keys[pair] = (above << wp.int64(wp.static(_PAIR_BITS))) | wp.int64(pair)
            splats[pair] = n
            pair += 1


@wp.kernel(enable_backward=False)
def order_kernel(
    keys: wp.array[wp.int64],  # [2 * P], sorted
    pairs: wp.int32,
    tiles: wp.int32,
    order: wp.array[wp.int32],  # [P]
    ends: wp.array[wp.int32],  # [tiles + 1]
    first: wp.int32,
) -> None:
    """One index per pair, in the order of tiles. Writes the pair, and where tiles begin before it."""
    place = first + wp.tid()
    key = keys[place]
    order[place] = wp.int32(key & wp.int64(wp.static((1 << _PAIR_BITS) - 1)))
    tile = wp.int32(key >> wp.int64(wp.static(_PAIR_BITS + _DEPTH_BITS)))
    before = wp.int32(-1)
    if place > 0:
        before = wp.int32(keys[place - 1] >> wp.int64(wp.static(_PAIR_BITS + _DEPTH_BITS)))
    for begun in range(before + 1, tile + 1):
        ends[begun] = place
    if place == pairs - 1:
        for begun in range(tile + 1, tiles + 1):
            ends[begun] = pairs
