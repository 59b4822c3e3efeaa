"""What a rendered dataset teaches: points on the surface and what they look like, and free space.

Letters in shapes: N points, M materials, G cells along a side. Points are asset-space meters.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.datasets.channels import GBuffer
from neuron_core.datasets.contract import View, has_picture, read_gbuffer, read_picture
from neuron_core.datasets.layout import SURFACE_SPLIT
from neuron_core.datasets.reader import StoredDataset
from neuron_core.foundation import interrupts

FREE, INSIDE, NEAR = 0, 1, 2
OPAQUE = 0.999
BESIDE = 6  # pixels
FOUR = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))  # places in a pixel, from its center
SHARPEST_ANGLE = np.cos(np.radians(40.0))


@dataclass(frozen=True, slots=True)
class SurfacePool:
    """Surface points that cameras see, and their colors under the materials that were seen from there."""

    points: Float[Tensor, "N 3"]
    normals: Float[Tensor, "N 3"]  # unit, towards the camera
    rays_d: Float[Tensor, "N 3"]  # unit, from the camera
    shapes: Int[Tensor, " N"]  # counted from 1
    near_miss_o: Float[Tensor, "B 3"]  # rays that just miss tell where the silhouette ends
    near_miss_d: Float[Tensor, "B 3"]
    groups: tuple["ViewGroup", ...]


@dataclass(frozen=True, slots=True)
class ViewGroup:
    """What one set of cameras saw of the materials that they were shown."""

    looks: Int[Tensor, " M"]  # rows of the materials
    smooth: Int[Tensor, " K"]  # rows of points whose pixel shows one smooth piece of surface
    colors: Float[Tensor, "M K 3"]  # linear
    edges: "EdgePixels"


@dataclass(frozen=True, slots=True)
class EdgePixels:
    """Pixels that show several surfaces, or one and what is behind it: E of them, by S rays each."""

    rays_o: Float[Tensor, "E 3"]
    rays_d: Float[Tensor, "E S 3"]  # unit
    colors: Float[Tensor, "M E 3"]  # linear, premultiplied


@dataclass(frozen=True, slots=True)
class SpaceLabels:
    """What the training cameras say about coarse cells of the field's cube."""

    labels: Int[Tensor, "G G G"]  # FREE (seen through), INSIDE (never seen), NEAR a surface


def read_surface(dataset: StoredDataset, materials: list[str], device: torch.device) -> SurfacePool:
    """Read every view once. A pixel whose footprint crosses an edge teaches geometry
    but no color of a point: its color is an average of several surfaces, its position is of one."""
    points, normals, rays_d, shapes = [], [], [], []
    near_miss_o, near_miss_d = [], []
    views: dict[str, _View] = {}
    first = 0
    for name, camera, gbuffer in _views(dataset):
        interrupts.stop_if_requested()
        hit = gbuffer.coverage > 0.5
        points.append(gbuffer.position[hit])
        normals.append(gbuffer.normal[hit])
        directions = rays(camera, *pixel_centers(camera))[1]
        rays_d.append(directions[hit])
        shapes.append(gbuffer.shape_id[hit])
        beside = _beside(hit)
        near_miss_d.append(directions[beside])
        near_miss_o.append(np.broadcast_to(camera.position.astype(np.float32), near_miss_d[-1].shape))
        views[name] = _View(camera, hit, _shows_one_surface(gbuffer), first)
        first += len(points[-1])
    tensor = functools.partial(_joined, device=device)
    return SurfacePool(
        tensor(points),
        tensor(normals),
        tensor(rays_d),
        tensor(shapes),
        tensor(near_miss_o),
        tensor(near_miss_d),
        tuple(
            _read_group(dataset, materials, rows, {name: views[name] for name in names}, device)
            for names, rows in _seen_together(dataset, materials).items()
        ),
    )


class _View(NamedTuple):
    camera: Camera
    hit: np.ndarray  # [H, W] bool
    even: np.ndarray  # [H, W] bool: one smooth piece of surface
    first: int  # row of the first point


def _seen_together(dataset: StoredDataset, materials: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
    """Sets of training cameras, and the rows of the materials that each of them saw."""
    together: dict[tuple[str, ...], list[int]] = {}
    for row, material in enumerate(materials):
        cameras = tuple(
            name for name in dataset.splits["train"] if has_picture(dataset, View(name, material))
        )
        together.setdefault(cameras, []).append(row)
    return together


def _read_group(
    dataset: StoredDataset,
    materials: Sequence[str],
    looks: list[int],
    views: dict[str, _View],
    device: torch.device,
) -> ViewGroup:
    smooth, colors, edge_o, edge_d, edge_colors = [], [], [], [], []
    for name, (camera, hit, even, first) in views.items():
        interrupts.stop_if_requested()
        pictures = np.stack([read_picture(dataset, View(name, materials[row])) for row in looks])
        even = even & (pictures[..., 3] > OPAQUE).all(axis=0)
        smooth.append(first + np.flatnonzero(even[hit]))
        colors.append(pictures[:, even, :3].astype(np.float32))
        mixed = _touches(hit) & ~even & (pictures[..., 3] > 0.0).all(axis=0)
        edge_d.append(_four_rays(camera, mixed))
        edge_o.append(np.broadcast_to(camera.position.astype(np.float32), (len(edge_d[-1]), 3)))
        edge_colors.append(pictures[:, mixed, :3].astype(np.float32))
    tensor = functools.partial(_joined, device=device)
    return ViewGroup(
        torch.tensor(looks, device=device),
        tensor(smooth),
        tensor(colors, axis=1),
        EdgePixels(tensor(edge_o), tensor(edge_d), tensor(edge_colors, axis=1)),
    )


def _joined(parts: list[np.ndarray], device: torch.device, axis: int = 0) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.concatenate(parts, axis))).to(device)


def label_space(
    dataset: StoredDataset, pool: SurfacePool, center: Tensor, half_side: float, cells: int
) -> SpaceLabels:
    """Label the cells of the cube by what training cameras see at their centers."""
    axis = (np.arange(cells) + 0.5) / cells * 2 - 1
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid * half_side + center.cpu().numpy()
    margin = 2 * half_side / cells
    free = np.zeros(len(grid), dtype=bool)
    for _, camera, gbuffer in _views(dataset):
        free |= _seen_through(camera, gbuffer, grid, margin)
    # Nothing is outside the asset's box, also where no camera looks: under its foot.
    low, high = dataset.aabb
    free |= ((grid < low - margin / 2) | (grid > high + margin / 2)).any(axis=-1)
    units = ((pool.points - center) / half_side * 0.5 + 0.5).cpu().numpy()
    near = _dilated(_occupied(units, cells))
    labels = np.where(near, NEAR, np.where(free.reshape((cells,) * 3), FREE, INSIDE))
    return SpaceLabels(torch.from_numpy(labels.astype(np.int64)).to(pool.points.device))


def _views(dataset: StoredDataset) -> Iterator[tuple[str, Camera, GBuffer]]:
    """All that the shape is learned from."""
    for name in (*dataset.splits["train"], *dataset.splits[SURFACE_SPLIT]):
        yield name, dataset.cameras[name], _gbuffer(dataset, name)


def _gbuffer(dataset: StoredDataset, camera: str) -> GBuffer:
    gbuffer = read_gbuffer(dataset, View(camera))
    assert gbuffer is not None, "only datasets with G-buffers train on surfaces"
    return gbuffer


def _shows_one_surface(gbuffer: GBuffer) -> np.ndarray:
    """Pixels whose four neighbors lie on the same smooth surface."""
    even = gbuffer.coverage > 0.5
    for axis in (0, 1):
        for shift in (1, -1):
            facing = (np.roll(gbuffer.normal, shift, axis) * gbuffer.normal).sum(-1)
            same = np.roll(gbuffer.shape_id, shift, axis) == gbuffer.shape_id
            even &= same & (facing > SHARPEST_ANGLE)
    return even


def _four_rays(camera: Camera, mask: np.ndarray) -> np.ndarray:
    """Unit directions [N, 4, 3] of the four rays that a picture averages, of the pixels in a mask."""
    x, y = pixel_centers(camera)
    fans = [rays(camera, x[mask] + right, y[mask] + down)[1] for right, down in FOUR]
    return np.stack(fans, axis=1).astype(np.float32)


def _touches(hit: np.ndarray) -> np.ndarray:
    """Pixels that hit, and their neighbors."""
    wide = hit.copy()
    for axis in (0, 1):
        wide |= np.roll(hit, 1, axis) | np.roll(hit, -1, axis)
    return wide


def _beside(hit: np.ndarray) -> np.ndarray:
    """Pixels that miss, within a few pixels of one that hits."""
    wide = hit.copy()
    for _ in range(BESIDE):
        for axis in (0, 1):
            wide |= np.roll(wide, 1, axis) | np.roll(wide, -1, axis)
    return wide & ~hit


def _seen_through(camera: Camera, gbuffer: GBuffer, points: np.ndarray, margin: float) -> np.ndarray:
    world_to_camera = np.linalg.inv(camera.c2w)
    local = points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    ahead = np.maximum(-local[:, 2], 1e-6)
    column = np.floor(camera.cx + camera.fl_x * local[:, 0] / ahead).astype(np.int64)
    row = np.floor(camera.cy - camera.fl_y * local[:, 1] / ahead).astype(np.int64)
    inside = (local[:, 2] < 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    depth = np.full(len(points), -np.inf)
    depth[inside] = np.where(gbuffer.coverage > 0.5, gbuffer.depth, np.inf)[row[inside], column[inside]]
    return inside & (np.linalg.norm(local, axis=-1) < depth - margin)


def _occupied(units: np.ndarray, cells: int) -> np.ndarray:
    occupied = np.zeros((cells,) * 3, dtype=bool)
    index = np.clip((units * cells).astype(np.int64), 0, cells - 1)
    occupied[index[:, 0], index[:, 1], index[:, 2]] = True
    return occupied


def _dilated(mask: np.ndarray) -> np.ndarray:
    """The mask and all cells that touch it, corners included."""
    for axis in range(3):
        grown = mask.copy()
        lower = [slice(None)] * 3
        upper = [slice(None)] * 3
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        grown[tuple(lower)] |= mask[tuple(upper)]
        grown[tuple(upper)] |= mask[tuple(lower)]
        mask = grown
    return mask
