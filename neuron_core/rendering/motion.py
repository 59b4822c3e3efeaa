"""Where what a pixel shows is seen in the next anchor.

Letters in shapes: H W the sides of a picture. Optical flow is in pixels, x to the right and y down: what
the center of pixel (x, y) shows is at (x + flow.X, y + flow.Y) in the next anchor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuron_core.cameras.camera import Camera, pixel_centers, project, rays
from neuron_core.rendering.scenes import ScenePixels, identity

HIDDEN = 0.02  # how much nearer, as a part of its distance, something has to be to hide a point


@dataclass(frozen=True, slots=True, eq=False)
class AnchorGeometry:
    """An anchor's camera and geometry, and where everything stands."""

    camera: Camera
    pixels: ScenePixels
    matrices: Mapping[str, np.ndarray]  # world_from_local by prim


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Optical flow to the next anchor."""

    offsets: np.ndarray  # [H, W, 2] float32, pixels; 0 where it is not known
    known: np.ndarray  # [H, W] bool: something is there, and it is in front of the next camera
    seen: np.ndarray  # [H, W] bool: and in the picture, with nothing before it


def flow_between(one: AnchorGeometry, two: AnchorGeometry) -> Flow:
    """How things that are rigid move from one anchor to the next; what deforms keeps its place in its
    own space."""
    points, found = positions(one)
    moved = np.where(found[..., None], points, 0.0)
    there = np.zeros_like(found)
    for path, matrix in one.matrices.items():
        chosen = one.pixels.ids == identity(path)
        if path not in two.matrices or not chosen.any():
            continue
        there |= chosen
        step = two.matrices[path] @ np.linalg.inv(matrix)
        moved[chosen] = moved[chosen] @ step[:3, :3].T + step[:3, 3]
    x, y, depths = project(two.camera, moved)
    known = found & there & (depths > 0)
    centers = np.stack(pixel_centers(one.camera), axis=-1)
    offsets = np.where(known[..., None], np.stack([x, y], axis=-1) - centers, 0.0)
    return Flow(offsets.astype(np.float32), known, _seen(two, moved, x, y, known))


def positions(view: AnchorGeometry) -> tuple[np.ndarray, np.ndarray]:
    """What the centers of pixels show, in the world [H, W, 3], and where that is anything [H, W]."""
    rays_o, rays_d = rays(view.camera, *pixel_centers(view.camera))
    depths = view.pixels.depth.astype(np.float64)
    return rays_o + depths[..., None] * rays_d, view.pixels.ids > 0


def _seen(
    two: AnchorGeometry, moved: np.ndarray, x: np.ndarray, y: np.ndarray, known: np.ndarray
) -> np.ndarray:
    height, width = known.shape
    inside = known & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column, row = (np.where(inside, axis, 0).astype(np.int64) for axis in (x, y))
    distance = np.linalg.norm(moved - two.camera.position, axis=-1)
    depth = two.pixels.depth[row, column]
    free = (two.pixels.ids[row, column] == 0) | (depth > distance * (1 - HIDDEN))
    return np.asarray(inside & free)
