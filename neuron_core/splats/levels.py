"""Levels of detail: fewer splats that cover the same surface."""

from dataclasses import replace

import numpy as np

from neuron_core.splats.cloud import Splats, quaternions_of, rotation_matrices

SHARE = 4  # of a level, one splat stays in the next
ROW = 1 << 21
SMALLEST = 16  # splats


def levels_of(splats: Splats, count: int) -> list[Splats]:
    """The splats and up to `count - 1` coarser levels, each with about a quarter of the one before."""
    found = [splats]
    while len(found) < count and len(found[-1]) >= SHARE * SMALLEST:
        found.append(merged(found[-1], len(found[-1]) // SHARE))
    return found


def merged(splats: Splats, count: int) -> Splats:
    """At most `count` splats, each for those in one cell of a grid that look to the same side.

    Means are weighted by opacity and area. A merged splat has the spread of all that it stands for,
    between them and of their own, and the light that they stop together.
    """
    high = float(np.ptp(splats.positions, axis=0).max()) + 1e-6
    low = 2 * high / ROW
    for _ in range(18):
        middle = float(np.sqrt(low * high))
        if len(np.unique(_cells(splats, middle))) > count:
            low = middle
        else:
            high = middle
    _, members = np.unique(_cells(splats, high), return_inverse=True)
    return _clustered(splats, members.reshape(-1))


def _cells(splats: Splats, side: float) -> np.ndarray:
    places = np.floor((splats.positions - splats.positions.min(axis=0)) / side).astype(np.int64)
    normals = np.take_along_axis(
        rotation_matrices(splats.rotations), splats.scales.argmin(axis=1)[:, None, None], axis=2
    )[:, :, 0]
    dominant = np.abs(normals).argmax(axis=1)
    cells = (places.clip(0, ROW - 1) * np.array([ROW * ROW, ROW, 1])).sum(axis=1)
    return np.asarray(cells * 3 + dominant)


def _clustered(splats: Splats, members: np.ndarray) -> Splats:
    sizes = np.sort(splats.scales.astype(np.float64), axis=1)
    areas = sizes[:, 1] * sizes[:, 2]
    weights = splats.opacities.astype(np.float64) * areas + 1e-30
    total = np.bincount(members, weights)

    def mean(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1).astype(np.float64)
        sums = [np.bincount(members, weights * column) for column in flat.T]
        return (np.stack(sums, axis=1) / total[:, None]).reshape(-1, *values.shape[1:])

    centers = mean(splats.positions)
    axes = rotation_matrices(splats.rotations) * splats.scales[:, None, :]
    apart = splats.positions - centers[members]
    spread = mean(axes @ axes.transpose(0, 2, 1) + apart[:, :, None] * apart[:, None, :])
    variances, turns = np.linalg.eigh(spread)
    turns[:, :, 2] *= np.linalg.det(turns)[:, None]
    scales = np.sqrt(np.maximum(variances, 1e-16))
    covered = np.bincount(members, weights) / np.maximum(scales[:, 1] * scales[:, 2], 1e-30)
    return replace(
        splats,
        positions=centers.astype(np.float32),
        rotations=quaternions_of(turns),
        scales=scales.astype(np.float32),
        opacities=np.clip(covered, 0.02, np.bincount(members, weights * splats.opacities) / total).astype(
            np.float32
        ),
        harmonics=mean(splats.harmonics).astype(np.float32),
    )
