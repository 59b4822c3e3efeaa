"""Latitude-longitude maps: solid angles, spherical transforms, convolution, fewer pixels.

Maps [H, W, C] are laid out as `studio.latlong_directions` says. Rows are at the polar angles
(row + 1/2) pi / H from +Y. Coefficients [K, C] of a map are about the pole +Y: those of the
harmonics at `about_up(direction)`. `to_world` and `from_world` change between them and the
harmonics at the direction itself, for small orders.

A map is read as the trigonometric polynomial through its pixels. So the transform of a map that
has only degrees below min(H, W / 2) is exact, and back as well.

Letters in shapes: H, W rows and columns, C channels, L order, K = L * L.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from neuron_core.lights.errors import LightError
from neuron_core.lights.harmonics import by_degree, legendre, rotation
from neuron_core.lights.reduction import reduced, row_edges

_FEW = 8  # waves; up to here sums are faster than a whole Fourier transform
UP_FROM_WORLD = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def about_up(directions: np.ndarray) -> np.ndarray:
    """Directions [..., 3] in the frame whose +Z is the map's pole +Y and whose +X is its middle +Z."""
    return np.asarray(directions)[..., [2, 0, 1]]


def fejer_weights(count: int) -> np.ndarray:
    """Weights [N] that integrate over the cosine from -1 to 1, at angles (n + 1/2) pi / N.

    Exact for polynomials of the cosine of degrees below N. All are positive; their sum is 2.
    """
    waves = np.arange((count - 1) // 2 + 1)
    series = np.exp(1j * np.pi * waves / count) / (4.0 * waves**2 - 1.0)
    series[0] = -0.5
    return np.asarray(-4.0 * np.fft.ifft(series, count).real)


def solid_angles(height: int) -> np.ndarray:
    """Steradians [H] of a pixel of each row of a map [H, 2 H]; all pixels together have 4 pi."""
    return fejer_weights(height) * np.pi / height


def polar_angles(height: int) -> np.ndarray:
    """Radians [H] of the rows from the upper pole."""
    return (np.arange(height) + 0.5) * np.pi / height


def analyze(image: np.ndarray, order: int) -> np.ndarray:
    """The coefficients [K, C] about +Y of a map [H, 2 H, C]. Raises LightError for too high an order."""
    height, width, channels = image.shape
    _check_order(order, height)
    waves = _row_waves(np.asarray(image, np.float64), order)
    m = np.arange(order)
    phases = np.exp(1j * m * (np.pi - np.pi / width)) * (2.0 * np.pi / width) * _factors(order)
    waves = np.ascontiguousarray((waves * phases[:, None]).transpose(1, 0, 2))
    found = np.zeros((order * order, channels))
    for at, table in enumerate(_analysis(height, order)):
        middle = np.arange(at, order) * np.arange(at + 1, order + 1)
        pair = table @ waves[at].view(np.float64)  # real and imaginary parts side by side
        found[middle + at] = pair[:, 0::2]
        if at:
            found[middle - at] = pair[:, 1::2]
    return found


def synthesize(coefficients: np.ndarray, height: int) -> np.ndarray:
    """The map [H, 2 H, C] float64 that has the coefficients [K, C] about +Y."""
    order, width = int(np.sqrt(len(coefficients))), 2 * height
    _check_order(order, height)
    waves = np.zeros((height + 1, height, coefficients.shape[1]), complex)
    for at, table in enumerate(_synthesis(height, order)):
        middle = np.arange(at, order) * np.arange(at + 1, order + 1)
        pairs = np.empty((order - at, coefficients.shape[1]), complex)
        pairs.real = coefficients[middle + at]
        pairs.imag = coefficients[middle - at] if at else 0.0
        waves[at] = (table @ pairs.view(np.float64)).view(complex)
    m = np.arange(order)
    phases = np.exp(-1j * m * (np.pi - np.pi / width)) * _factors(order) * np.where(m, 0.5, 1.0) * width
    waves[:order] *= phases[:, None, None]
    return np.fft.irfft(waves.transpose(1, 0, 2), n=width, axis=1)


def convolve(coefficients: np.ndarray, zonal: np.ndarray) -> np.ndarray:
    """Coefficients [K, C] of a map that a round lobe with `zonal` [at least L] numbers has blurred."""
    order = int(np.sqrt(len(coefficients)))
    return coefficients * by_degree(np.asarray(zonal)[:order])[:, None]


def to_world(coefficients: np.ndarray) -> np.ndarray:
    """Coefficients [K, C] about +Y as those of the harmonics of `harmonics.basis` in the world."""
    return rotation(UP_FROM_WORLD.T, int(np.sqrt(len(coefficients)))) @ coefficients


def from_world(coefficients: np.ndarray) -> np.ndarray:
    """The opposite of `to_world`."""
    return rotation(UP_FROM_WORLD, int(np.sqrt(len(coefficients)))) @ coefficients


def lookup(image: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """A map [H, 2 H, C] between its pixels at unit directions [..., 3]: [..., C], bilinear.

    It wraps around; above the first row and below the last one it goes over the pole.
    """
    height, width = image.shape[:2]
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    across = (0.5 - np.arctan2(x, z) / (2.0 * np.pi)) * width - 0.5
    down = np.arctan2(np.hypot(x, z), y) / np.pi * height - 0.5
    column, row = np.floor(across).astype(int), np.floor(down).astype(int)
    right, below = (across - column)[..., None], (down - row)[..., None]

    def at(rows: np.ndarray) -> np.ndarray:
        outside = (rows < 0) | (rows >= height)  # the other side of the pole, half a turn away
        start = column + np.where(outside, width // 2, 0)
        inside = np.clip(rows, 0, height - 1)
        return (1.0 - right) * image[inside, start % width] + right * image[inside, (start + 1) % width]

    return np.asarray((1.0 - below) * at(row) + below * at(row + 1))


def shrink(image: np.ndarray, height: int) -> np.ndarray:
    """A map [H, 2 H, C] with fewer rows, [height, 2 height, C] float64: means over what a pixel covers.

    The integral over the sphere, pixels taken as rectangles of constant radiance, stays as it is,
    and so does a constant. Raises LightError for more rows than there are.
    """
    rows = image.shape[0]
    if not 1 <= height <= rows:
        raise LightError(f"A map of {rows} rows cannot shrink to {height}.", f"Give 1 to {rows} rows.")
    if height == rows:
        return np.asarray(image, np.float64)
    wide = np.asarray(image, np.float64)
    if rows % height == 0:
        return reduced(wide, rows // height)
    across = _overlap(np.linspace(0.0, 1.0, 2 * rows + 1), np.linspace(0.0, 1.0, 2 * height + 1))
    down = _overlap(row_edges(rows), row_edges(height))
    return np.asarray(np.einsum("gh,hvc,wv->gwc", down, wide, across, optimize=True))


def _overlap(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Which share of each coarse interval each fine one covers, [coarse, fine]; edges rise from 0 to 1."""
    start = np.maximum(fine[None, :-1], coarse[:-1, None])
    end = np.minimum(fine[None, 1:], coarse[1:, None])
    shares = np.maximum(end - start, 0.0)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _check_order(order: int, height: int) -> None:
    if not 1 <= order <= height:
        raise LightError(f"A map of {height} rows has no harmonics of order {order}.", f"Give 1 to {height}.")


def _row_waves(image: np.ndarray, order: int) -> np.ndarray:
    """The first waves of the Fourier transform of each row of a map: [H, order, C] complex."""
    if order > _FEW:
        return np.fft.rfft(image, axis=1)[:, :order]
    turns = np.outer(np.arange(order), np.arange(image.shape[1])) * (2.0 * np.pi / image.shape[1])
    return np.asarray(np.cos(turns) @ image - 1j * (np.sin(turns) @ image))


def _factors(order: int) -> np.ndarray:
    """What an azimuthal wave m of the harmonics is scaled by: the root of 2 and the sign."""
    m = np.arange(order)
    return np.where(m > 0, np.sqrt(2.0), 1.0) * (-1.0) ** m


def _meridians(order: int, height: int) -> Iterator[np.ndarray]:
    """By m: the harmonics at the rows [L - m, H], without their azimuthal wave."""
    angles = polar_angles(height)
    power = np.ones(height)
    for values in legendre(order, np.cos(angles)):
        yield values * power
        power = power * np.sin(angles)


@lru_cache(maxsize=12)
def _synthesis(height: int, order: int) -> tuple[np.ndarray, ...]:
    """By m: from coefficients to rows, [H, L - m]."""
    return tuple(np.ascontiguousarray(values.T) for values in _meridians(order, height))


@lru_cache(maxsize=8)
def _analysis(height: int, order: int) -> tuple[np.ndarray, ...]:
    """By m: from rows to coefficients, [L - m, H].

    Products of two harmonics have up to twice the degrees that H rows integrate exactly: each wave
    is first interpolated at twice as many rows, as cosines or sines of the polar angle.
    """
    weights = fejer_weights(2 * height)[:, None]
    finer = tuple(weights * _finer(height, odd) for odd in (False, True))
    return tuple(values @ finer[m % 2] for m, values in enumerate(_meridians(order, 2 * height)))


def _finer(height: int, odd: bool) -> np.ndarray:
    """Interpolates H rows at 2 H rows, [2 H, H], for waves m that are even or odd across the poles."""
    known, wanted = polar_angles(height), polar_angles(2 * height)
    if odd:
        waves = np.arange(1, height + 1)
        norms = np.where(waves == height, 1.0, 2.0) / height
        return np.asarray((np.sin(np.outer(wanted, waves)) * norms) @ np.sin(np.outer(waves, known)))
    waves = np.arange(height)
    norms = np.where(waves == 0, 1.0, 2.0) / height
    return np.asarray((np.cos(np.outer(wanted, waves)) * norms) @ np.cos(np.outer(waves, known)))
