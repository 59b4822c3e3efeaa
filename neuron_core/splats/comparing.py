"""How far a picture of splats is from what the field shows.

Pictures are compared as they are shown, sRGB over white, and opacities beside them, so that white
things do not grow into a white background. Letters in shapes: H W the sides of a picture.
"""

from dataclasses import dataclass

import numpy as np

from neuron_core.cameras.camera import Camera, subpixels
from neuron_core.foundation.colors import Encoding, linear_to_srgb, over_white
from neuron_core.rendering.baked import BakedRenderer

SAMPLES = 2  # rays along each side of a pixel of a target
ALPHA_WEIGHT = 0.5
SMALLEST = 1e-10  # squared error that counts in PSNR


@dataclass(frozen=True, slots=True)
class Target:
    """What the field shows to one camera."""

    camera: Camera
    encoded: np.ndarray  # [H, W, 3] sRGB over white
    alphas: np.ndarray  # [H, W]


@dataclass(frozen=True, slots=True)
class PictureError:
    """How far a picture is off; the loss is `color + alpha`."""

    color: float  # squared error as shown, summed over channels, mean over pixels
    alpha: float  # squared error of opacities, weighted, mean over pixels
    gradient: np.ndarray  # [H, W, 4] of the loss
    psnr: float  # dB, as shown


def target_of(renderer: BakedRenderer, camera: Camera) -> Target:
    """The field's own picture, four rays a pixel averaged in linear."""
    rays_o, rays_d = (_by_rows(array, camera) for array in subpixels(camera, SAMPLES))
    pixels = renderer.trace(rays_o, rays_d, camera.width * SAMPLES)
    shape = (camera.height, SAMPLES, camera.width, SAMPLES)
    rgb = pixels.rgb.reshape(*shape, 3).mean(axis=(1, 3))
    alphas = pixels.alpha.reshape(shape).mean(axis=(1, 3))
    rgba = np.concatenate([rgb, alphas[..., None]], axis=-1)
    return Target(camera, linear_to_srgb(over_white(rgba)), alphas)


def _by_rows(array: np.ndarray, camera: Camera) -> np.ndarray:
    """Rays [H, W, 4, 3] as those of an image of twice the size, row by row, [R, 3]."""
    parts = array.reshape(camera.height, camera.width, SAMPLES, SAMPLES, 3)
    return np.ascontiguousarray(parts.transpose(0, 2, 1, 3, 4).reshape(-1, 3))


def error_of(picture: np.ndarray, target: Target, encoding: Encoding) -> PictureError:
    """Compare a premultiplied picture [H, W, 4] in the encoding of the splats.

    Where picture and target are both brighter than white there is no gradient.
    """
    shown = picture[..., :3] + (1.0 - picture[..., 3:])
    blown_out = (shown > 1.0) & (target.encoded >= 1.0)
    if encoding == "linear":
        clipped = np.clip(shown, 0.0, 1.0)
        difference = linear_to_srgb(clipped) - target.encoded
        pushed = np.where(blown_out, 0.0, difference) * _steepness(clipped)
    else:
        difference = np.minimum(shown, 1.0) - target.encoded
        pushed = np.where(blown_out, 0.0, shown - target.encoded)
    more_opaque = picture[..., 3] - target.alphas
    gradient = np.empty_like(picture)
    gradient[..., :3] = 2.0 * pushed
    gradient[..., 3] = 2.0 * ALPHA_WEIGHT * more_opaque - gradient[..., :3].sum(axis=-1)
    size = target.alphas.size
    squared = float(np.mean(difference**2))
    return PictureError(
        3.0 * squared,
        ALPHA_WEIGHT * float(np.mean(more_opaque**2)),
        gradient / np.float32(size),
        float(-10 * np.log10(max(squared, SMALLEST))),
    )


def _steepness(linear: np.ndarray) -> np.ndarray:
    """The derivative of the sRGB curve in [0, 1]."""
    return np.where(linear <= 0.0031308, 12.92, 1.055 / 2.4 * np.maximum(linear, 0.0031308) ** (1 / 2.4 - 1))
