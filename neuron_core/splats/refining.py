"""Make splats draw what a field draws: gradient descent on rendered views, with splats moved to
where they are missed.

Pictures are compared as they are shown, sRGB over white, and opacities beside them, so that white
things do not grow into a white background.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neuron_core.cameras.camera import Camera, subpixels
from neuron_core.foundation import interrupts
from neuron_core.foundation.colors import linear_to_srgb, over_white
from neuron_core.kernels.splats import raster as kernel
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.splats.cloud import Encoding, Splats, from_shapes, normalised, rotation_matrices, to_shapes
from neuron_core.splats.drawing import lens_of

SAMPLES = 2  # rays along each side of a pixel of a target
DILATIONS = (0.3, 0.08)  # square pixels, in turn: as viewers widen splats, and as if from half as far
ALPHA_WEIGHT = 0.5
FAINT = 1 / 100  # opacity below which a splat is given up
UNSEEN = 0.02  # pixels that a splat makes up in all views together, below which it is given up


@dataclass(frozen=True, slots=True)
class RefineSettings:
    """How splats are refined."""

    steps: int = 1300
    most_splats: int = 100_000
    densifications: int = 4  # how often splats are given up and split, in the first half
    seed: int = 0
    position_rate: float = 1.0e-4  # metres, at first; all rates fall to a tenth of it and less
    scale_rate: float = 8e-3
    rotation_rate: float = 4e-3
    opacity_rate: float = 3e-2
    color_rate: float = 6e-3
    detail_rate: float = 1.5e-3


@dataclass(frozen=True, slots=True)
class Target:
    """What the field shows to one camera."""

    camera: Camera
    encoded: np.ndarray  # [H, W, 3] sRGB over white
    alphas: np.ndarray  # [H, W]


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


class Refiner:
    """Splats on their way to a set of targets. Runs on the CPU."""

    def __init__(self, splats: Splats, targets: Sequence[Target], settings: RefineSettings) -> None:
        self._settings = settings
        self._targets = targets
        self._encoding: Encoding = splats.encoding
        self._random = np.random.default_rng(settings.seed)
        low, high = splats.box()
        self._lenses = [
            [lens_of(target.camera, low, high, dilation) for target in targets] for dilation in DILATIONS
        ]
        self._replace(to_shapes(splats), np.ascontiguousarray(splats.harmonics, np.float32))

    def splats(self) -> Splats:
        """As they are now."""
        return from_shapes(self._shapes, self._harmonics, self._encoding)

    def run(self, tell: Callable[[int, float], None] = lambda step, error: None) -> Splats:
        """All steps; `tell` hears the number of each and the mean squared error of its picture."""
        settings = self._settings
        moments = {
            round(settings.steps * 0.55 * (index + 1) / max(settings.densifications, 1))
            for index in range(settings.densifications)
        }
        order: list[int] = []
        for step in range(1, settings.steps + 1):
            interrupts.stop_if_requested()
            order = order or self._random.permutation(len(self._targets)).tolist()
            error = self._step(order.pop(), step)
            if step in moments:
                self._densify()
            tell(step, error)
        return self.splats()

    def _step(self, index: int, step: int) -> float:
        target, lens = self._targets[index], self._lenses[step % len(DILATIONS)][index]
        projected = kernel.project(lens, self._shapes, self._harmonics)
        picture = np.empty((lens.height, lens.width, 4), np.float32)
        kernel.rasterise(projected, picture)
        wanted, error = slope(picture, target, self._encoding)
        kernel.backward(projected, self._shapes, picture, wanted, self._gradients)
        part = step / self._settings.steps
        self._count += 1
        kernel.descend(
            projected,
            self._gradients,
            self._shapes,
            self._harmonics,
            self._moments,
            self._rates(part),
            self._count,
        )
        self._missed += np.abs(self._gradients[:, :3]).sum(axis=1)
        return error

    def _rates(self, part: float) -> kernel.Rates:
        """They fall along a half cosine."""
        settings = self._settings
        fall = 0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * part))
        values = (
            settings.position_rate,
            settings.scale_rate,
            settings.rotation_rate,
            settings.opacity_rate,
            settings.color_rate,
            settings.detail_rate,
        )
        return kernel.Rates(*(float(value * fall) for value in values))

    def _densify(self) -> None:
        """Give up splats that show nothing, and split as many as there is room for."""
        kept = self._useful()
        shapes, harmonics, missed = self._shapes[kept], self._harmonics[kept], self._missed[kept]
        moments = [self._moments.shapes[kept], self._moments.harmonics[kept]]
        room = min(self._settings.most_splats - len(shapes), len(shapes) // 5)
        if room > 0:
            split = np.argpartition(missed, len(missed) - room)[len(missed) - room :]
            twins = _halves(shapes, split)
            shapes = np.concatenate([shapes, twins])
            harmonics = np.concatenate([harmonics, harmonics[split]])
            moments = [np.concatenate([array, array[split]]) for array in moments]
        self._replace(shapes, harmonics, kernel.Moments(*moments))

    def _useful(self) -> np.ndarray:
        """Which splats are seen from somewhere."""
        count = len(self._shapes)
        total = np.zeros(count, np.float32)
        found = np.empty(count, np.float32)
        for lens in self._lenses[0][:: max(1, len(self._targets) // 24)]:
            kernel.weights(kernel.project(lens, self._shapes, self._harmonics), count, found)
            total += found
        return (total > UNSEEN) & (self._shapes[:, 10] > np.log(FAINT))

    def _replace(
        self, shapes: np.ndarray, harmonics: np.ndarray, moments: kernel.Moments | None = None
    ) -> None:
        count = len(shapes)
        self._shapes, self._harmonics = shapes, harmonics
        if moments is None:
            self._count = 0
            moments = kernel.Moments(
                np.zeros((count, kernel.SHAPE, 2), np.float32),
                np.zeros((count, harmonics.shape[1] * 3, 2), np.float32),
            )
        self._moments = moments
        self._gradients = np.empty((count, kernel.GRADIENT), np.float32)
        self._missed = np.zeros(count, np.float32)


def _halves(shapes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Make each of these splats two, side by side along its longest axis; the new ones [M, 11]."""
    longest = shapes[rows, 3:6].argmax(axis=1)
    turns = rotation_matrices(normalised(shapes[rows, 6:10]))
    axes = turns[np.arange(len(rows)), :, longest]
    shift = axes * np.exp(shapes[rows, 3 + longest])[:, None] * 0.6
    shapes[rows, 3 + longest] -= np.float32(np.log(1.5))
    twins = shapes[rows].copy()
    shapes[rows, :3] -= shift.astype(np.float32)
    twins[:, :3] += shift.astype(np.float32)
    return twins


def slope(picture: np.ndarray, target: Target, encoding: Encoding) -> tuple[np.ndarray, float]:
    """The gradient [H, W, 4] of how far a picture is off, and its mean squared error as shown."""
    shown = picture[..., :3] + (1.0 - picture[..., 3:])
    if encoding == "linear":
        clipped = np.clip(shown, 0.0, 1.0)
        difference = linear_to_srgb(clipped) - target.encoded
        steep = np.where(
            clipped <= 0.0031308, 12.92, 1.055 / 2.4 * np.maximum(clipped, 0.0031308) ** (1 / 2.4 - 1)
        )
        pushed = np.where((shown > 1.0) & (target.encoded >= 1.0), 0.0, difference) * steep
    else:
        difference = np.minimum(shown, 1.0) - target.encoded
        pushed = np.where((shown > 1.0) & (target.encoded >= 1.0), 0.0, shown - target.encoded)
    gradient = np.empty_like(picture)
    gradient[..., :3] = 2.0 * pushed
    gradient[..., 3] = 2.0 * ALPHA_WEIGHT * (picture[..., 3] - target.alphas) - gradient[..., :3].sum(axis=-1)
    return gradient / np.float32(target.alphas.size), float(np.mean(difference**2))
