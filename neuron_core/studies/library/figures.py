"""Figures from pictures alone.

Letters in shapes: A B M pictures, H W their sides. Pictures are sRGB over white in [0, 1].
"""

from collections.abc import Mapping, Sequence

import numpy as np

LOW_PASS = 4  # pixels
CLOSE = 0.1  # of the distance to the nearest other material: what a paraphrase may move a picture
_TINY = 1e-6

Figures = Mapping[str, float]


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean absolute differences [A, B] of pictures [A, ...] and [B, ...]."""
    flat = second.reshape(len(second), -1)
    return np.stack([np.abs(flat - one.ravel()).mean(axis=1) for one in first])


def hits(nearest: np.ndarray, bases: Sequence[str]) -> Figures:
    """How often the nearest of M materials is the right one, and how often it has the right base.

    `nearest` [M] has for each material the index of what was found for it.
    """
    named = np.array(bases)
    return {
        "combination_top1": float((nearest == np.arange(len(named))).mean()),
        "base_top1": float((named[nearest] == named).mean()),
    }


def moved(before: np.ndarray, after: np.ndarray, true: np.ndarray, own: Sequence[int]) -> np.ndarray:
    """How far pictures [A, ...] moved, in distances of their truth to the nearest other material.

    `own` has the index in `true` [M, ...] of each picture's own material.
    """
    shares = []
    for was, now, index in zip(before, after, own, strict=True):
        apart = float(np.delete(distances(true[index][None], true)[0], index).min())
        shares.append(float(np.abs(now - was).mean()) / max(apart, _TINY))
    return np.array(shares)


def closeness(shares: np.ndarray) -> Figures:
    """How many of the pictures hardly moved, and how far they moved in the middle."""
    return {"within_10_percent": float((shares <= CLOSE).mean()), "median": float(np.median(shares))}


def low_to_high(after: np.ndarray, before: np.ndarray) -> float:
    """What a low pass keeps of a change [H, W, 3], to what it takes away."""
    change = after - before
    low = _blurred(change)
    return float(np.abs(low).mean() / max(np.abs(change - low).mean(), _TINY))


def _blurred(image: np.ndarray) -> np.ndarray:
    """Means [H, W, 3] over squares of 2 LOW_PASS + 1 pixels."""
    size = 2 * LOW_PASS + 1
    padded = np.pad(image, ((LOW_PASS, LOW_PASS), (LOW_PASS, LOW_PASS), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    return np.asarray(windows.mean(axis=(-1, -2)))


def evenness(pictures: np.ndarray) -> float:
    """Rank correlation between positions of a slider and how far its pictures [A, ...] are on the way
    from the first to the last."""
    flat = pictures.reshape(len(pictures), -1)
    return spearman(flat @ (flat[-1] - flat[0]))


def spearman(values: np.ndarray) -> float:
    """Spearman's correlation of values with their order in the array."""
    ranks = values.argsort().argsort()
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])
