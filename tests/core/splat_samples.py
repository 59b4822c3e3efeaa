"""Small splats, cameras that look at them, and a slow rasterizer to compare with."""

import numpy as np
import torch
from torch import Tensor

from neuron_core.cameras.camera import Camera, look_at
from neuron_core.kernels.splats.projection import Lens, lens_depths

LOW, HIGH = np.full(3, -0.6), np.full(3, 0.6)


def random_shapes(count: int, seed: int = 0) -> np.ndarray:
    """Elongated splats around the origin, [N, 11]."""
    random = np.random.default_rng(seed)
    shapes = random.normal(size=(count, 11))
    shapes[:, :3] *= 0.25
    shapes[:, 3:6] = np.log(0.06) + 0.5 * shapes[:, 3:6]
    return shapes.astype(np.float32)


def random_harmonics(count: int, terms: int = 16, seed: int = 1) -> np.ndarray:
    """Colors that are sometimes cut off at 0, [N, K, 3]."""
    return (np.random.default_rng(seed).normal(size=(count, terms, 3)) * 0.3).astype(np.float32)


def camera(width: int = 21, height: int = 18, eye: tuple[float, float, float] = (0.9, 0.7, 1.3)) -> Camera:
    """Its pictures are not a whole number of tiles."""
    return Camera(
        "c", width, height, 1.3 * width, 1.2 * width, 0.52 * width, 0.47 * height, look_at(eye, (0, 0, 0))
    )


def lens_of(camera: Camera, dilation: float = 0.3) -> Lens:
    """The camera as kernels take it."""
    rotation = camera.c2w[:3, :3] @ np.diag([1.0, -1.0, -1.0])
    near, far = lens_depths(camera.position, LOW, HIGH)
    focal, center = (camera.fl_x, camera.fl_y), (camera.cx, camera.cy)
    size = (camera.width, camera.height)
    return Lens(*size, focal, center, rotation.T, camera.position, near, far, dilation)


def slow_picture(lens: Lens, shapes: Tensor, colors: Tensor) -> Tensor:
    """Every splat at every pixel, in order; [H, W, 4], differentiable. `colors` is [N, 3]."""
    rotation = torch.tensor(lens.camera_from_world, dtype=shapes.dtype)
    local = (shapes[:, :3] - torch.tensor(lens.eye, dtype=shapes.dtype)) @ rotation.T
    depth = local[:, 2]
    x, y = local[:, 0] / depth, local[:, 1] / depth
    fx, fy = lens.focal
    zero = torch.zeros_like(depth)
    rows = torch.stack([fx / depth, zero, -fx * x / depth, zero, fy / depth, -fy * y / depth], -1)
    axes = rotation @ matrices(shapes[:, 6:10]) * shapes[:, None, 3:6].exp()
    projected = rows.reshape(-1, 2, 3) @ axes
    covariance = projected @ projected.mT + lens.dilation * torch.eye(2, dtype=shapes.dtype)
    inverse = torch.linalg.inv(covariance)
    centers = torch.stack([fx * x + lens.center[0], fy * y + lens.center[1]], -1)
    opacities = torch.sigmoid(shapes[:, 10])
    columns, lines = torch.meshgrid(
        torch.arange(lens.width) + 0.5, torch.arange(lens.height) + 0.5, indexing="xy"
    )
    pixels = torch.stack([columns, lines], -1).to(shapes.dtype)
    left = torch.ones(lens.height, lens.width, dtype=shapes.dtype)
    picture = torch.zeros(lens.height, lens.width, 4, dtype=shapes.dtype)
    for n in torch.argsort(depth).tolist():
        if depth[n] <= lens.near:
            continue
        away = pixels - centers[n]
        power = 0.5 * torch.einsum("hwi,ij,hwj->hw", away, inverse[n], away)
        alpha = (opacities[n] * torch.exp(-power)).clamp(max=0.99)
        alpha = torch.where(opacities[n] * torch.exp(-power) > 1 / 255, alpha, 0.0)
        weight = alpha * left
        picture = picture + weight[..., None] * torch.cat([colors[n], torch.ones(1, dtype=shapes.dtype)])
        left = left - weight
    return picture


def matrices(quaternions: Tensor) -> Tensor:
    """Rotations [N, 3, 3] of quaternions w x y z of any length."""
    w, x, y, z = (quaternions / quaternions.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    rows += [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    rows += [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).reshape(-1, 3, 3)
