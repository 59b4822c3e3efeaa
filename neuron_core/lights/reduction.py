"""Latitude-longitude images made smaller, and their means over the sphere, by solid angle."""

import numpy as np


def row_angles(height: int) -> np.ndarray:
    """The share of all directions that each row of a latitude-longitude image has: [H], of sum 1."""
    edges = np.cos(np.linspace(0.0, np.pi, height + 1))
    return np.asarray((edges[:-1] - edges[1:]) / 2.0)


def mean_radiance(image: np.ndarray) -> np.ndarray:
    """The mean over all directions of an image [H, W, 3]: [3] float64."""
    return np.asarray(row_angles(len(image)) @ image.mean(axis=1, dtype=np.float64))


def reduced_rows(rows: np.ndarray, angles: np.ndarray, factor: int) -> np.ndarray:
    """Blocks of factor x factor pixels as their mean by solid angle: [h / factor, W / factor, 3] float32.

    `angles` [h] are the shares of these rows, as `row_angles` gives them. What comes from all
    directions together stays the same.
    """
    height, width = len(rows) // factor, rows.shape[1] // factor
    across = rows.reshape(height * factor, width, factor, 3).mean(axis=2, dtype=np.float64)
    weights = angles.reshape(height, factor)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return np.einsum("hf,hfwc->hwc", weights, across.reshape(height, factor, width, 3)).astype(np.float32)


def reduced(image: np.ndarray, factor: int) -> np.ndarray:
    """A whole image [H, W, 3] by a factor that divides both sides; see `reduced_rows`."""
    return reduced_rows(image, row_angles(len(image)), factor)
