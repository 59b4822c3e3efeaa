"""How alike two pictures are.

Images are float arrays [H, W] or [H, W, C] in [0, 1], both of one shape: sRGB-encoded over white,
as every figure of Neuron is measured. Other shapes raise ValueError.
"""

import numpy as np

LARGEST_PSNR = 100.0  # dB; equal images have it, so that every figure is finite
WINDOW_RADIUS = 5
WINDOW_SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal to noise ratio in dB over all pixels and channels, at most 100."""
    error = float(np.mean((_checked(a, b)[0] - np.asarray(b, np.float64)) ** 2))
    return float(-10 * np.log10(max(error, 10 ** (-LARGEST_PSNR / 10))))


def l1(a: np.ndarray, b: np.ndarray) -> float:
    """The mean absolute difference over all pixels and channels."""
    a, b = _checked(a, b)
    return float(np.mean(np.abs(a - b)))


def ssim(a: np.ndarray, b: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Structural similarity (Wang et al. 2004), 1 for equal images.

    A Gaussian window of 11 x 11 with sigma 1.5, only where it lies inside the image; the mean over
    positions and channels. Images are at least 11 pixels wide and high. Windows that touch a pixel
    which is not `valid` [H, W] are left out; NaN if none is left.
    """
    a, b = _checked(a, b)
    if min(a.shape[:2]) < 2 * WINDOW_RADIUS + 1:
        raise ValueError(f"SSIM needs at least 11 x 11 pixels, not {a.shape[1]} x {a.shape[0]}.")
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a = _blur(a * a) - mean_a**2
    variance_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    energy = (mean_a**2 + mean_b**2 + C1) * (variance_a + variance_b + C2)
    values = likeness / energy
    if valid is not None:
        values = values[_blur(valid.astype(np.float64)) > 1 - 1e-6]
    return float(np.mean(values)) if values.size else float("nan")


def iou(mask_a: np.ndarray, mask_b: np.ndarray) -> float:
    """Intersection over union of two masks; values above one half are inside. 1 if both are empty."""
    a, b = _checked(mask_a, mask_b)
    inside_a, inside_b = a > 0.5, b > 0.5
    union = int(np.count_nonzero(inside_a | inside_b))
    return float(np.count_nonzero(inside_a & inside_b) / union) if union else 1.0


def window() -> np.ndarray:
    """The weights of the SSIM window along one axis, [11], of sum 1."""
    offsets = np.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1)
    weights = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    return np.asarray(weights / weights.sum())


def _blur(image: np.ndarray) -> np.ndarray:
    weights = window()
    for axis in (0, 1):
        length = image.shape[axis] - len(weights) + 1
        moved = np.moveaxis(image, axis, 0)
        total = np.zeros_like(moved[:length])
        for offset, weight in enumerate(weights):
            total += weight * moved[offset : offset + length]
        image = np.moveaxis(total, 0, axis)
    return image


def _checked(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(a) != np.shape(b) or np.ndim(a) not in (2, 3) or np.size(a) == 0:
        raise ValueError(f"Images of the shapes {np.shape(a)} and {np.shape(b)} cannot be compared.")
    return np.asarray(a, np.float64), np.asarray(b, np.float64)
