"""Which instances can show in which tiles of a picture, and which of them touch each other.

Letters in shapes: I instances, P pairs of a tile and an instance, T tiles. Times are multiples of a
ray's direction as the camera gives it: where a camera makes the rays, all points of a plane across
its view have one time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuron_core.kernels.baked.layout import BEAM

ALMOST = 1.0 - 1e-4  # of the extent of two boxes along an axis; less apart is an overlap
MOST_AT_ONCE = 1 << 20  # pairs of a tile and an instance that are looked at together
FAR = 1e30


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Tiles and instances, by instance and then by tile; nothing shows before `starts` or after `ends`."""

    tiles: np.ndarray  # [P] int64
    instances: np.ndarray  # [P] int64
    starts: np.ndarray  # [P] float64
    ends: np.ndarray  # [P] float64

    def __len__(self) -> int:
        return len(self.tiles)

    def taken(self, rows: np.ndarray) -> "Pairs":
        """Only these, in this order."""
        return Pairs(self.tiles[rows], self.instances[rows], self.starts[rows], self.ends[rows])


def corners_of(boxes: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """The corners in the world [I, 8, 3] of boxes [I, 2, 3] that matrices [I, 4, 4] place."""
    which = np.array(list(np.ndindex(2, 2, 2)))
    local = np.stack([boxes[:, which[:, axis], axis] for axis in range(3)], axis=-1)
    return np.asarray(np.einsum("nij,nkj->nki", matrices[:, :3, :3], local) + matrices[:, None, :3, 3])


def in_sight(corners: np.ndarray, view: Any, pinhole: np.ndarray) -> np.ndarray:
    """Which boxes may show in the picture at all, ascending, by the spheres around them.

    `corners` [I, 8, 3] are in the world. `pinhole` [4, 3] is the eye, the direction of the first pixel,
    and what a pixel adds to it.
    """
    eye, first, right, down = pinhole
    centers = 0.5 * (corners[:, 0] + corners[:, 7])
    squares = np.zeros(len(corners))
    for corner in range(4):  # the others lie opposite
        squares = np.maximum(squares, ((corners[:, corner] - centers) ** 2).sum(axis=-1))
    away, radii = centers - eye, np.sqrt(squares)
    sides = np.array([-0.5, view.width - 0.5]), np.array([-0.5, view.height - 0.5])
    ends = [first + sides[0][x] * right + sides[1][y] * down for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    middle = np.sum(ends, axis=0)
    shown = np.ones(len(corners), bool)
    for one, two in zip(ends, [*ends[1:], ends[0]], strict=True):
        normal = np.cross(one, two)
        normal *= np.sign(normal @ middle) / max(float(np.linalg.norm(normal)), 1e-300)
        shown &= away @ normal > -1.001 * radii
    return np.flatnonzero(shown)


def pairs_of_camera(corners: np.ndarray, view: Any, pinhole: np.ndarray, rows: range) -> Pairs:
    """The tiles of some rows that boxes may show in, by the rectangles that hold their corners.

    `corners` [I, 8, 3] are in the world, all the same where a box is empty. `pinhole` [4, 3] is the
    eye, the direction of the first pixel, and what a pixel adds to it.
    """
    eye, first, right, down = pinhole
    frame = np.linalg.inv(np.stack([right, down, first], axis=-1))
    seen = (corners - eye) @ frame.T  # [I, 8]: x * time, y * time, time
    times = seen[..., 2]
    filled = (corners[:, 0] != corners[:, 7]).any(axis=-1)
    behind = ~(times > 1e-9 * np.abs(times).max(axis=1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        places = seen[..., :2] / times[..., None]
    low, high = places.min(axis=1), places.max(axis=1)
    part = behind.any(axis=1)
    low[part], high[part] = -np.inf, np.inf
    left, top = (_tile(low[:, axis], side) for axis, side in ((0, view.width), (1, view.height)))
    last_x, last_y = (_tile(high[:, axis], side) for axis, side in ((0, view.width), (1, view.height)))
    outside = (high[:, 0] < -0.5) | (high[:, 1] < -0.5)
    outside |= (low[:, 0] > view.width - 0.5) | (low[:, 1] > view.height - 0.5)
    top, last_y = np.maximum(top, rows.start), np.minimum(last_y, rows.stop - 1)
    shown = np.flatnonzero(filled & ~behind.all(axis=1) & ~outside & (last_y >= top))
    wide, tall = (last_x - left + 1)[shown], (last_y - top + 1)[shown]
    counts = wide * tall
    which = np.repeat(np.arange(len(shown)), counts)
    step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    y, x = np.divmod(step, wide[which])
    instances = shown[which]
    tiles = (top[instances] + y) * view.tiles_x + left[instances] + x
    starts, ends = np.maximum(times.min(axis=1), 0.0), times.max(axis=1)
    return Pairs(tiles, instances, starts[instances], ends[instances])


def _tile(places: np.ndarray, side: int) -> np.ndarray:
    """The tile of a pixel coordinate, inside the picture."""
    return np.asarray(np.clip(places + 0.5, 0, side - 1).astype(np.int64) >> 3)


def pairs_of_rays(
    corners: np.ndarray, view: Any, arrays: tuple[np.ndarray, np.ndarray], rows: range
) -> Pairs:
    """The tiles of some rows whose rays may meet the world boxes of instances; for any rays."""
    lows, highs = corners.min(axis=1), corners.max(axis=1)  # [I, 3]
    filled = (corners[:, 0] != corners[:, 7]).any(axis=-1)
    tiles = np.arange(rows.start * view.tiles_x, rows.stop * view.tiles_x)
    found = []
    size = max(1, MOST_AT_ONCE // max(len(corners), 1))
    for first in range(0, len(tiles), size):
        part = tiles[first : first + size]
        origins, directions = rays_of_tiles(view, arrays, part)
        near, far = _beam_spans(origins, directions, lows, highs)
        row, instance = np.nonzero((near <= far) & filled)
        found.append(Pairs(part[row], instance, near[row, instance], far[row, instance]))
    columns = [np.concatenate([getattr(part, name) for part in found]) for name in Pairs.__slots__]
    pairs = Pairs(*columns)
    return pairs.taken(np.lexsort((pairs.tiles, pairs.instances)))


def _beam_spans(
    origins: np.ndarray, directions: np.ndarray, lows: np.ndarray, highs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Between which times [T, I] rays [T, 64, 3] may be in boxes [I, 3]."""
    usable = (np.abs(directions) > 0).any(axis=-1, keepdims=True) & np.isfinite(origins + directions)
    usable = usable.all(axis=-1, keepdims=True)
    o_low, o_high = _range(origins, usable)
    d_low, d_high = _range(directions, usable)
    near = np.zeros((len(origins), len(lows)))
    far = np.full_like(near, FAR)
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis in range(3):
            a, b = d_low[:, axis, None], d_high[:, axis, None]
            ahead = lows[None, :, axis] - o_high[:, axis, None]  # to go until the first can be inside
            past = highs[None, :, axis] - o_low[:, axis, None]  # to go until the last is out
            near = np.maximum(near, np.where(ahead > 0, np.where(b > 0, ahead / b, FAR), 0.0))
            near = np.maximum(near, np.where(past < 0, np.where(a < 0, past / a, FAR), 0.0))
            far = np.minimum(far, np.where((past > 0) & (a > 0), past / a, FAR))
            far = np.minimum(far, np.where((ahead < 0) & (b < 0), ahead / b, FAR))
    far[~usable.any(axis=(1, 2))] = -1.0
    return near, far


def _range(values: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low = np.where(usable, values, np.inf).min(axis=1)
    high = np.where(usable, values, -np.inf).max(axis=1)
    return np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)


def rays_of_tiles(
    view: Any, arrays: tuple[np.ndarray, np.ndarray], tiles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions [T, 64, 3] float64 of whole tiles; zero directions beyond the image."""
    places = np.arange(BEAM)
    across = view.tile_width_log2
    x = ((tiles % view.tiles_x) << across)[:, None] + (places & ((1 << across) - 1))
    y = ((tiles // view.tiles_x) << (6 - across))[:, None] + (places >> across)
    inside = (x < view.width) & (y < view.height)
    ray = np.where(inside, y * view.width + x, 0)
    origins, directions = (array[ray].astype(np.float64) for array in arrays)
    directions[~inside] = 0.0
    return origins, directions


def narrowed(pairs: Pairs, boxes: np.ndarray, inverses: np.ndarray, view: Any, pinhole: np.ndarray) -> Pairs:
    """The same pairs with starts and ends of their own instead of those of the whole box."""
    x0, y0 = 8 * (pairs.tiles % view.tiles_x), 8 * (pairs.tiles // view.tiles_x)
    local = in_instances(pairs, inverses, pinhole)
    eye = local[:, 0] + inverses[pairs.instances, :3, 3]
    near, far = pairs.starts.copy(), pairs.ends.copy()
    corners = [
        local[:, 1] + (x0 + dx)[:, None] * local[:, 2] + (y0 + dy)[:, None] * local[:, 3]
        for dx, dy in ((-0.5, -0.5), (7.5, -0.5), (-0.5, 7.5), (7.5, 7.5))
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    ahead, past = boxes[pairs.instances, 0] - eye, boxes[pairs.instances, 1] - eye
    with np.errstate(divide="ignore", invalid="ignore"):
        firsts = np.where(ahead > 0, np.where(high > 0, ahead / high, FAR), 0.0)
        firsts = np.maximum(firsts, np.where(past < 0, np.where(low < 0, past / low, FAR), 0.0))
        lasts = np.where((past > 0) & (low > 0), past / low, FAR)
        lasts = np.minimum(lasts, np.where((ahead < 0) & (high < 0), ahead / high, FAR))
    near, far = np.maximum(near, firsts.max(axis=1)), np.minimum(far, lasts.min(axis=1))
    return Pairs(pairs.tiles, pairs.instances, near, far)


def in_instances(pairs: Pairs, inverses: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors [K, 3] of the world in the spaces of the pairs' instances, [P, K, 3]; not moved."""
    known, which = np.unique(pairs.instances, return_inverse=True)
    return np.asarray(np.einsum("nij,kj->nki", inverses[known, :3, :3], vectors)[which])


def reaches(pairs: Pairs, inverses: np.ndarray, view: Any, pinhole: np.ndarray) -> np.ndarray:
    """The least length [P] that time 1 has along the rays of a pair's tile, in its instance's space."""
    local = in_instances(pairs, inverses, pinhole)
    x = 8.0 * (pairs.tiles % view.tiles_x) + 3.5
    y = 8.0 * (pairs.tiles // view.tiles_x) + 3.5
    middle = np.linalg.norm(local[:, 1] + x[:, None] * local[:, 2] + y[:, None] * local[:, 3], axis=-1)
    around = 4.0 * (np.linalg.norm(local[:, 2], axis=-1) + np.linalg.norm(local[:, 3], axis=-1))
    return np.asarray(np.maximum(middle - around, 0.0))


def mesh_times(distances: np.ndarray, view: Any, pinhole: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The times [T] of the nearest and the farthest mesh in each tile, FAR without one.

    `distances` [H * W] are along unit rays, FAR where a ray hits none.
    """
    times = distances.reshape(view.height, view.width)
    if pinhole is not None:
        x, y = np.arange(view.width)[:, None], np.arange(view.height)[:, None]
        across, down = pinhole[1] + x * pinhole[2], y * pinhole[3]
        squares = (across**2).sum(-1)[None] + (down**2).sum(-1)[:, None] + 2 * down @ across.T
        times = np.where(times < FAR, times / np.sqrt(squares), FAR)
    if view.tile_width_log2 != 3:
        high, wide, tall = 0, -times.size % BEAM, 1
        times = times.reshape(1, -1)
    else:
        high, wide, tall = -view.height % 8, -view.width % 8, 8
    shape = (view.tiles_y, tall, view.tiles_x, BEAM // tall)
    ends = []
    for fill, extreme in ((FAR, np.min), (0.0, np.max)):
        padded = np.pad(times, ((0, high), (0, wide)), constant_values=fill)
        ends.append(extreme(padded.reshape(shape), axis=(1, 3)).ravel())
    return ends[0], ends[1]


def crossing(pairs: Pairs, touching: np.ndarray) -> np.ndarray:
    """Which pairs [P] share tile and time with another one whose box touches theirs.

    `touching` [M, 2] lists instances.
    """
    found = np.zeros(len(pairs), bool)
    ends = np.searchsorted(pairs.instances, np.arange(1 + int(touching.max(initial=0))), side="right")
    starts = np.searchsorted(pairs.instances, np.arange(1 + int(touching.max(initial=0))), side="left")
    for one, two in touching:
        if starts[one] == ends[one] or starts[two] == ends[two]:
            continue
        first, second = np.arange(starts[one], ends[one]), np.arange(starts[two], ends[two])
        _, i, j = np.intersect1d(
            pairs.tiles[first], pairs.tiles[second], assume_unique=True, return_indices=True
        )
        i, j = first[i], second[j]
        both = (pairs.starts[i] < pairs.ends[j]) & (pairs.starts[j] < pairs.ends[i])
        found[i[both]] = True
        found[j[both]] = True
    return found


def intersecting(boxes: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Which boxes [I, 2, 3] interpenetrate where matrices [I, 4, 4] place them, [M, 2] ascending.

    Parallelepipeds are apart if and only if they are along the normal of one of their faces or
    across two of their edges (Gottschalk 1996). Sides that only touch do not count.
    """
    filled = np.flatnonzero((boxes[:, 1] > boxes[:, 0]).all(axis=-1))
    corners = corners_of(boxes[filled], matrices[filled])
    lows, highs = corners.min(axis=1), corners.max(axis=1)
    candidates = _overlapping(lows, highs)
    halves = 0.5 * (boxes[filled, 1] - boxes[filled, 0])
    edges = np.swapaxes(matrices[filled, :3, :3] * halves[:, None], 1, 2)  # [I, 3 edges, 3]
    centers = corners.mean(axis=1)
    first, second = candidates.T
    axes = np.concatenate([_normals(edges[first]), _normals(edges[second])], axis=1)
    across = np.cross(edges[first][:, :, None], edges[second][:, None]).reshape(-1, 9, 3)
    axes = np.concatenate([axes, across], axis=1)  # [C, 15, 3]
    between = np.abs(np.einsum("cad,cd->ca", axes, centers[second] - centers[first]))
    reach = sum(np.abs(np.einsum("cad,ced->cae", axes, edges[of])).sum(axis=-1) for of in (first, second))
    apart = (between > ALMOST * reach) & (reach > 1e-12 * np.max(reach, axis=1, keepdims=True, initial=0.0))
    return np.asarray(filled[candidates[~apart.any(axis=1)]])


def _normals(edges: np.ndarray) -> np.ndarray:
    return np.cross(np.roll(edges, -1, axis=1), np.roll(edges, -2, axis=1))


def _overlapping(lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    """Which boxes along the axes overlap, [C, 2], by sweeping along the axis of the largest spread."""
    if len(lows) < 2:
        return np.zeros((0, 2), np.int64)
    axis = int(np.argmax(lows.max(axis=0) - lows.min(axis=0)))
    order = np.argsort(lows[:, axis], kind="stable")
    until = np.searchsorted(lows[order, axis], highs[order, axis], side="left")
    found = []
    for place, one in enumerate(order):
        others = order[place + 1 : until[place]]
        near = (lows[others] < highs[one]).all(axis=-1) & (highs[others] > lows[one]).all(axis=-1)
        found += [(min(one, other), max(one, other)) for other in others[near]]
    return np.array(sorted(found), np.int64).reshape(-1, 2)
