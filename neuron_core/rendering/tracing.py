"""From rays to pictures, whatever answers the rays: baked voxels or a field.

Letters in shapes: L looks, R rays, H W the sides of a picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from neuron_core.cameras.camera import Camera, rays
from neuron_core.foundation.colors import Encoding, shown_over_white, srgb_to_linear
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.voxels.baked import Baked
from neuron_core.voxels.nvf import LookCodes, Nvf
from neuron_core.voxels.shading import Shader

MOST_RAYS = 1 << 19  # at once
SOLID = 0.5  # opacity from which a pixel counts as part of the object


class Hits(NamedTuple):
    """What rays hit, under any look."""

    alphas: np.ndarray  # [R]
    depths: np.ndarray  # [R] distance along the unit ray; 0 where nothing is
    normals: np.ndarray  # [R, 3] unit, or 0


@runtime_checkable
class Tracer(Protocol):
    """An asset under some looks."""

    encoding: Encoding  # of the colors; photographs never were linear

    def colors(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Premultiplied colors [L, R, 3] and opacities [R] of unit rays [R, 3], rows of `width`."""

    def surfaces(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> Hits:
        """What unit rays [R, 3] hit."""


class BakedTracer:
    """Baked voxels under some of their looks. Needs no torch."""

    def __init__(self, nvf: Nvf, shader: Shader, looks: Sequence[LookCodes], device: str = "cpu") -> None:
        self.encoding: Encoding = shader.encoding
        self._looks = looks
        self._renderer = BakedRenderer(nvf, shader, looks[0], device)
        self._shown = 0

    @classmethod
    def of(cls, baked: Baked, slugs: Sequence[str], device: str = "cpu") -> "BakedTracer":
        """Looks of a `.neuron` file."""
        return cls(baked.nvf, baked.shader, [baked.looks[slug] for slug in slugs], device)

    def colors(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Premultiplied colors [L, R, 3] and opacities [R] of unit rays [R, 3], rows of `width`."""
        rgbs = np.empty((len(self._looks), len(rays_o), 3), np.float32)
        alphas = np.zeros(len(rays_o), np.float32)
        for index in range(len(self._looks)):
            self._show(index)
            pixels = self._renderer.trace(rays_o, rays_d, width)
            rgbs[index], alphas = pixels.rgb, pixels.alpha
        return rgbs, alphas

    def surfaces(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> Hits:
        """What unit rays [R, 3] hit."""
        pixels = self._renderer.trace(rays_o, rays_d, width)
        return Hits(pixels.alpha, pixels.depth, pixels.normal)

    def _show(self, index: int) -> None:
        if index != self._shown:
            self._renderer.set_look(self._looks[index])
            self._shown = index


@dataclass(frozen=True, slots=True)
class Pictures:
    """One camera's picture under every look."""

    rgbs: np.ndarray  # [L, H, W, 3] float32, premultiplied, in `encoding`
    alphas: np.ndarray  # [H, W] float32
    encoding: Encoding

    def over_white(self) -> np.ndarray:
        """sRGB over white [L, H, W, 3] in [0, 1], as metrics compare them.

        Linear colors are composited first and encoded then, photographs as they are.
        """
        return shown_over_white(self.rgbs, self.alphas, self.encoding)

    def linear(self) -> np.ndarray:
        """Linear premultiplied RGBA [L, H, W, 4]."""
        alphas = np.broadcast_to(self.alphas[..., None], (*self.rgbs.shape[:3], 1))
        rgbs = self.rgbs
        if self.encoding == "srgb":
            straight = np.divide(rgbs, alphas, out=np.zeros_like(rgbs), where=alphas > 0)
            rgbs = srgb_to_linear(np.clip(straight, 0.0, 1.0)) * alphas
        return np.concatenate([rgbs, alphas], axis=-1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Aovs:
    """What one exact ray through each pixel center hits; zero where the object is less than half opaque."""

    coverage: np.ndarray  # [H, W] bool
    depths: np.ndarray  # [H, W] float32, distance along the ray
    normals: np.ndarray  # [H, W, 3] float32, world
    ids: np.ndarray | None = None  # [H, W] int32 of what there is; only scenes have them


def draw(tracer: Tracer, camera: Camera, samples: int = 2) -> Pictures:
    """The picture with `samples` x `samples` rays a pixel, averaged in the tracer's encoding."""
    rgbs, alphas = [], []
    for origins, directions in _strips(camera, samples):
        strip_rgbs, strip_alphas = tracer.colors(origins, directions, camera.width * samples)
        shape = (-1, samples, camera.width, samples)
        rgbs.append(np.stack([rgb.reshape(*shape, 3).mean(axis=(1, 3)) for rgb in strip_rgbs]))
        alphas.append(strip_alphas.reshape(shape).mean(axis=(1, 3)))
    return Pictures(np.concatenate(rgbs, axis=1), np.concatenate(alphas), tracer.encoding)


def trace_centers(tracer: Tracer, camera: Camera) -> Aovs:
    """Depth, normal and coverage, never filtered."""
    found = [tracer.surfaces(*strip, camera.width) for strip in _strips(camera, 1)]
    alphas, depths, normals = (np.concatenate(parts) for parts in zip(*found, strict=True))
    coverage = alphas > SOLID
    shape = (camera.height, camera.width)
    return Aovs(
        coverage.reshape(shape),
        np.where(coverage, depths, 0.0).astype(np.float32).reshape(shape),
        np.where(coverage[:, None], normals, 0.0).astype(np.float32).reshape(*shape, 3),
    )


def _strips(camera: Camera, samples: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Origins and directions [R, 3] of whole rows of pixels, from the top.

    They are the pixels of an image that is `samples` times wider and higher, row by row.
    """
    columns = (np.arange(camera.width * samples) + 0.5) / samples
    rows = samples * max(1, MOST_RAYS // (camera.width * samples**2))
    for top in range(0, camera.height * samples, rows):
        lines = (np.arange(top, min(top + rows, camera.height * samples)) + 0.5) / samples
        rays_o, rays_d = rays(camera, *np.meshgrid(columns, lines))
        yield rays_o.reshape(-1, 3), rays_d.reshape(-1, 3)
