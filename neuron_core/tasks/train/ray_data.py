"""What photographs teach: the color of rays.

Letters in shapes: P pixels of all training photographs together.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from neuron_core.cameras.camera import pixel_centers, rays
from neuron_core.datasets.reader import Dataset
from neuron_core.foundation import interrupts
from neuron_core.foundation.colors import linear_to_srgb


@dataclass(frozen=True, slots=True)
class RayPool:
    """All pixels of the training photographs. Half floats and bytes: a thousand megapixels fit."""

    origins: Float[Tensor, "V 3"]  # of the cameras
    cameras: Tensor  # [P] int16: whose pixel it is
    directions: Float[Tensor, "P 3"]  # unit, float32
    colors: UInt8[Tensor, "P 4"]  # sRGB, straight alpha

    def __len__(self) -> int:
        return len(self.colors)


def read_rays(dataset: Dataset, split: str, device: torch.device) -> RayPool:
    """Read every photograph of a split once, without masked pixels."""
    origins, cameras, directions, colors = [], [], [], []
    look = dataset.materials[0].name
    for index, name in enumerate(dataset.splits[split]):
        interrupts.stop_if_requested()
        camera, valid = dataset.cameras[name], dataset.valid(name)
        picture = dataset.beauty(look, name)[valid]
        straight = picture[:, :3] / np.maximum(picture[:, 3:], 1e-4)
        pixels = np.concatenate([linear_to_srgb(straight), picture[:, 3:]], axis=-1)
        colors.append(np.rint(pixels * 255).astype(np.uint8))
        directions.append(rays(camera, *pixel_centers(camera))[1][valid])
        origins.append(camera.position)
        cameras.append(np.full(len(pixels), index, dtype=np.int16))

    def tensor(parts: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(device)

    positions = torch.tensor(np.stack(origins), dtype=torch.float32, device=device)
    return RayPool(positions, tensor(cameras), tensor(directions), tensor(colors))
