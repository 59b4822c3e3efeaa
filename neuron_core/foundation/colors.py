"""Transfer curves between scene-linear Rec.709 and what is shown or compared."""

from typing import Literal

import numpy as np

Encoding = Literal["linear", "srgb"]


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """Encode linear values of any shape; clipped to [0, 1] first."""
    clipped = np.clip(linear, 0.0, 1.0)
    low = clipped * 12.92
    high = 1.055 * np.maximum(clipped, 0.0031308) ** (1 / 2.4) - 0.055
    encoded: np.ndarray = np.where(clipped <= 0.0031308, low, high)
    return encoded.astype(np.float32)


def srgb_to_linear(encoded: np.ndarray) -> np.ndarray:
    """Decode values in [0, 1] of any shape. The inverse of `linear_to_srgb` there."""
    low = encoded / 12.92
    high = ((np.maximum(encoded, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, low, high).astype(np.float32)


def over_white(premultiplied: np.ndarray) -> np.ndarray:
    """Linear premultiplied RGBA [..., 4] composited over white, still linear [..., 3]."""
    return premultiplied[..., :3] + (1.0 - premultiplied[..., 3:4])


def shown_over_white(rgbs: np.ndarray, alphas: np.ndarray, encoding: Encoding) -> np.ndarray:
    """sRGB over white [..., 3] in [0, 1] from premultiplied colors [..., 3] and opacities [...].

    Linear colors are composited first and encoded then; photographs were never linear, their colors are
    composited as they are.
    """
    over = rgbs + (1.0 - alphas[..., None])
    return linear_to_srgb(over) if encoding == "linear" else np.clip(over, 0.0, 1.0).astype(np.float32)
