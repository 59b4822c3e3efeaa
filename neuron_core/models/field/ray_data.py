"""What photographs teach: the colors of rays.

Letters in shapes: P pixels of all photographs together, V photographs, Q pixels of all lenses
together, R rays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.datasets.contract import View, read_picture
from neuron_core.datasets.reader import StoredDataset
from neuron_core.foundation import interrupts
from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.foundation.errors import NeuronError

Lens = tuple[float, ...]


class RayBatch(NamedTuple):
    """Some pixels of the photographs."""

    rays_o: Float[Tensor, "R 3"]
    rays_d: Float[Tensor, "R 3"]  # unit
    views: Int[Tensor, " R"]  # which photograph
    colors: Float[Tensor, "R 4"]  # sRGB in [0, 1], straight alpha

    def first(self, count: int) -> "RayBatch":
        """The first `count` of them."""
        return RayBatch(*(part[:count] for part in self))


@dataclass(frozen=True, slots=True)
class RayPool:
    """All pixels of the photographs, at 4 bytes each; directions are kept once for each lens."""

    colors: UInt8[Tensor, "P 4"]  # sRGB, straight alpha; photograph after photograph
    starts: Int[Tensor, " V"]  # where the pixels of a photograph begin
    positions: Float[Tensor, "V 3"]  # of the cameras
    rotations: Float[Tensor, "V 3 3"]  # world from camera
    lens_starts: Int[Tensor, " V"]  # where the directions of a photograph's lens begin
    directions: Float[Tensor, "Q 3"]  # in the frame of the camera, unit

    def __len__(self) -> int:
        return len(self.colors)

    @property
    def views(self) -> int:
        """How many photographs there are."""
        return len(self.starts)

    def batch(self, rows: Int[Tensor, " R"]) -> RayBatch:
        """The rays through the pixels `rows`."""
        views = torch.searchsorted(self.starts, rows, right=True) - 1
        local = self.directions[self.lens_starts[views] + rows - self.starts[views]]
        rays_d = (self.rotations[views] @ local[:, :, None]).squeeze(-1)
        return RayBatch(self.positions[views], rays_d, views, self.colors[rows].float() / 255)

    @property
    def transparent(self) -> bool:
        """Whether any pixel is not opaque."""
        return any(bool((part[:, 3] < 255).any()) for part in self.colors.split(1 << 22))


def read_rays(dataset: StoredDataset, split: str, device: torch.device) -> RayPool:
    """Read every photograph of a split once, without masked pixels. Raises NeuronError if none is left."""
    names = dataset.splits[split]
    valid = {name: dataset.valid(View(name)) for name in names}
    counts = [int(np.count_nonzero(valid[name])) for name in names]
    if not sum(counts):
        raise NeuronError(
            f"{dataset.path} has no pixels to learn from.", "Give photographs, and a mask that leaves some."
        )
    colors = np.empty((sum(counts), 4), np.uint8)
    starts = np.cumsum(counts) - counts
    for name, start, count in zip(names, starts, counts, strict=True):
        interrupts.stop_if_requested()
        colors[start : start + count] = _read(dataset, name)[valid[name]]
    cameras = [dataset.cameras[name] for name in names]
    lens_starts, directions = lens_directions(cameras, [valid[name] for name in names])

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(device)

    return RayPool(
        tensor(colors),
        tensor(starts.astype(np.int64)),
        tensor(np.stack([camera.position for camera in cameras]).astype(np.float32)),
        tensor(np.stack([camera.c2w[:3, :3] for camera in cameras]).astype(np.float32)),
        tensor(lens_starts),
        tensor(directions),
    )


def _read(dataset: StoredDataset, name: str) -> np.ndarray:
    """A photograph as sRGB with straight alpha [H, W, 4] uint8."""
    picture = read_picture(dataset, View(name, dataset.materials[0].name))
    alphas = picture[..., 3:]
    straight = np.divide(picture[..., :3], alphas, out=np.zeros_like(picture[..., :3]), where=alphas > 0)
    encoded = np.concatenate([linear_to_srgb(straight), np.clip(alphas, 0.0, 1.0)], axis=-1)
    return np.asarray(np.rint(encoded * 255), np.uint8)


def lens_directions(cameras: Sequence[Camera], valid: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Where the directions of each photograph's lens begin [V], and all of them [Q, 3]."""
    found: dict[Lens, int] = {}
    starts, parts, total = [], [], 0
    for camera, mask in zip(cameras, valid, strict=True):
        lens = _lens(camera)
        if lens not in found:
            found[lens] = total
            world = rays(camera, *pixel_centers(camera))[1][mask]
            parts.append((world.astype(np.float64) @ camera.c2w[:3, :3]).astype(np.float32))
            total += len(world)
        starts.append(found[lens])
    return np.array(starts, np.int64), np.concatenate(parts)


def _lens(camera: Camera) -> Lens:
    names = ("width", "height", "fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")
    return tuple(float(getattr(camera, name)) for name in names)
