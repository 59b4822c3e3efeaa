"""A small residual network (torchvision's) from pictures of materials to vectors.

Letters in shapes: N pictures, S their side, W width of a vector, M materials.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

SIZE = 56  # pixels of the pictures
WIDTH = 128
SHARPNESS = 16.0
AT_ONCE = 64  # pictures that are encoded together


class Judge(nn.Module):
    """Pictures to vectors of unit length; trained to tell materials apart."""

    def __init__(self, materials: int) -> None:
        """One direction for each material."""
        super().__init__()
        self.body = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=WIDTH)
        self.directions = nn.Parameter(torch.randn(materials, WIDTH))

    def forward(self, pictures: Float[Tensor, "N 3 S S"]) -> Float[Tensor, "N W"]:
        """Of sRGB pictures in [0, 1]."""
        return nn.functional.normalize(self.body((pictures - 0.5) / 0.25), dim=-1)

    def scores(self, pictures: Float[Tensor, "N 3 S S"]) -> Float[Tensor, "N M"]:
        """Sharpened cosines to the directions of the materials."""
        return SHARPNESS * self(pictures) @ nn.functional.normalize(self.directions, dim=-1).T


@torch.inference_mode()
def vectors(judge: Judge, pictures: np.ndarray) -> np.ndarray:
    """[N, W] of sRGB pictures over white [N, H, W, 3], whole and shrunk to the judge's size."""
    shown = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32))
    small = nn.functional.interpolate(shown, size=(SIZE, SIZE), mode="area")
    return torch.cat([judge(part) for part in small.split(AT_ONCE)]).numpy()
