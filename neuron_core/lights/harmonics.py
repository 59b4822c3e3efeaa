"""Real spherical harmonics of any order, and how coefficients turn.

Convention, the same as `splats.harmonics` and `kernels/native/harmonics.h`: the pole is +Z, azimuth
runs from +X to +Y, the harmonic (l, m) has the index l * (l + 1) + m, m < 0 are sines, and the
Condon-Shortley factor (-1)^m is applied to the real functions. They are orthonormal over the sphere.
An order of L means the degrees 0 to L - 1, L * L harmonics: order 5 has 25.

Letters in shapes: L order, K = L * L harmonics, N points.
"""

from functools import lru_cache

import numpy as np

from neuron_core.lights.errors import LightError

ORTHOGONAL_WITHIN = 1e-5  # the largest error of a row product of a matrix that turns lights


def legendre(order: int, cosines: np.ndarray, waves: int | None = None) -> tuple[np.ndarray, ...]:
    """What harmonics are along a meridian over sin(polar)^m: by m [L - m, N] float64, for l >= m.

    `cosines` [N] are of the polar angle; of the azimuthal waves m only the first `waves` are made,
    by default all L. Normalized so that 2 pi times the integral of the square over the cosine is 1,
    without the Condon-Shortley factor: sqrt(2) cos(m azimuth) is still to come.
    """
    x = np.asarray(cosines, np.float64)
    waves = order if waves is None else waves
    found = np.zeros((order, waves, len(x)))
    halves = np.arange(1, waves)
    starts = np.cumprod(np.concatenate([[1.0 / (4.0 * np.pi)], (2.0 * halves + 1.0) / (2.0 * halves)]))
    found[np.arange(waves), np.arange(waves)] = np.sqrt(starts)[:, None]
    for degree in range(1, order):
        m = np.arange(min(degree, waves))[:, None]
        scale = np.sqrt((4.0 * degree**2 - 1.0) / (degree**2 - m * m))
        values = np.multiply(x, found[degree - 1, : len(m)], out=found[degree, : len(m)])
        if degree > 1:
            back = np.sqrt(((degree - 1.0) ** 2 - m * m) / (4.0 * (degree - 1.0) ** 2 - 1.0))
            values -= back * found[degree - 2, : len(m)]
        values *= scale
    return tuple(found[m:, m] for m in range(waves))


def basis(directions: np.ndarray, order: int) -> np.ndarray:
    """All harmonics [..., K] float64 at unit directions [..., 3]."""
    flat = np.asarray(directions, np.float64).reshape(-1, 3)
    found = np.empty((len(flat), order * order))
    around = flat[:, 0] + 1j * flat[:, 1]
    power = np.ones(len(flat), complex)  # (sin(polar) exp(i azimuth))^m
    for m, values in enumerate(legendre(order, flat[:, 2])):
        degrees = np.arange(m, order)
        middle = degrees * (degrees + 1)
        meridian = values.T
        if m == 0:
            found[:, middle] = meridian
        else:
            scale = np.sqrt(2.0) * (-1.0) ** m
            found[:, middle + m] = scale * meridian * power.real[:, None]
            found[:, middle - m] = scale * meridian * power.imag[:, None]
        power = power * around
    return found.reshape(*np.shape(directions)[:-1], order * order)


def by_degree(zonal: np.ndarray) -> np.ndarray:
    """One number for each degree [L] as one for each harmonic [K]."""
    return np.repeat(zonal, 2 * np.arange(len(zonal)) + 1)


def rotation(matrix: np.ndarray, order: int) -> np.ndarray:
    """What turns the coefficients of a light that is turned by `matrix`: new = result [K, K] @ old.

    The turned light is in the direction Q d what it was in d. `matrix` [3, 3] is for column
    vectors, orthogonal, and may mirror. Raises LightError where it is not orthogonal.
    """
    turn = orthogonal(matrix)
    before = basis(_directions(order) @ turn, order)  # at Q^-1 d
    result = np.zeros((order * order, order * order))
    for degree, inverse in enumerate(_inverses(order)):
        band = slice(degree**2, (degree + 1) ** 2)
        result[band, band] = inverse @ before[:, band]
    return result


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """A matrix [3, 3] as float64. Raises LightError unless it is orthogonal; mirrors are allowed."""
    turn = np.asarray(matrix, np.float64)
    if turn.shape != (3, 3) or not np.abs(turn @ turn.T - np.eye(3)).max() <= ORTHOGONAL_WITHIN:
        raise LightError(
            f"The matrix {turn.tolist()} does not turn or mirror a light.",
            "Give an orthogonal 3 x 3, without scale or shear.",
        )
    return turn


@lru_cache(maxsize=8)
def _directions(order: int) -> np.ndarray:
    """Enough evenly spread directions [N, 3] to tell the harmonics of one degree apart."""
    count = 4 * order * order
    heights = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    turns = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(count)
    rings = np.sqrt(1.0 - heights**2)
    return np.stack([rings * np.cos(turns), rings * np.sin(turns), heights], axis=-1)


@lru_cache(maxsize=8)
def _inverses(order: int) -> tuple[np.ndarray, ...]:
    """By degree: from values at `_directions` to the coefficients of that degree."""
    values = basis(_directions(order), order)
    return tuple(np.linalg.pinv(values[:, degree**2 : (degree + 1) ** 2]) for degree in range(order))
