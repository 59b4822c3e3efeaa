"""Composited colors to what is shown and compared."""

import numpy as np

from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.models.field.spec import Encoding


def encode_pixels(rgbs: np.ndarray, alphas: np.ndarray, encoding: Encoding) -> np.ndarray:
    """sRGB over white [..., 3] in [0, 1] from premultiplied colors [..., 3] and alphas [...].

    Linear colors are composited first and encoded then; photographs were never linear, their
    colors are composited as they are.
    """
    over = rgbs + (1.0 - alphas[..., None])
    return linear_to_srgb(over) if encoding == "linear" else np.clip(over, 0.0, 1.0).astype(np.float32)
