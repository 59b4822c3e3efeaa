"""Latitude-longitude images made smaller, and their means over the sphere, by solid angle."""

import numpy as np


def row_edges(height: int) -> np.ndarray:
    """The share of all directions above each edge of the rows of a latitude-longitude image: [H + 1]."""
    return np.asarray(0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, height + 1)))


def row_angles(height: int) -> np.ndarray:
    """The share of all directions that each row of a latitude-longitude image has: [H], of sum 1."""
    return np.diff(row_edges(height))


def mean_radiance(image: np.ndarray) -> np.ndarray:
    """The mean over all directions of an image [H, W, 3]: [3] float64."""
    return np.asarray(row_angles(len(image)) @ image.mean(axis=1, dtype=np.float64))


def reduced_rows(rows: np.ndarray, angles: np.ndarray, factor: int) -> np.ndarray:
    """Blocks of factor x factor pixels as their mean by solid angle: [h / factor, W / factor, C] float64.

    `angles` [h] are the shares of these rows, as `row_angles` gives them. What comes from all
    directions together stays the same.
    """
    narrow = rows[:, ::factor].astype(np.float64)
    for offset in range(1, factor):
        narrow += rows[:, offset::factor]
    shares = angles.reshape(-1, factor)
    shares = shares / (factor * shares.sum(axis=1, keepdims=True))
    found = narrow[::factor] * shares[:, 0, None, None]
    for offset in range(1, factor):
        found += narrow[offset::factor] * shares[:, offset, None, None]
    return np.asarray(found)


def reduced(image: np.ndarray, factor: int) -> np.ndarray:
    """A whole image [H, W, C] by a factor that divides both sides; see `reduced_rows`."""
    return reduced_rows(image, row_angles(len(image)), factor)
