"""Splats as a module: what is trained, and what a checkpoint holds."""

import numpy as np
import torch
from torch import Tensor, nn

from neuron_core.foundation.colors import Encoding
from neuron_core.kernels.splats.projection import SHAPE
from neuron_core.splats.cloud import Splats, from_shapes, to_shapes


class SplatModule(nn.Module):
    """Splats with room to split: the first `count` rows of the tensors, the others are zero.

    Kernels change the tensors in place, on the CPU; torch takes no gradients of them.
    """

    def __init__(self, splats: Splats, capacity: int) -> None:
        """Room for `capacity` splats, or for as many as there are."""
        super().__init__()
        self.encoding: Encoding = splats.encoding
        rows, terms = max(capacity, len(splats)), splats.harmonics.shape[1]
        self.shapes: Tensor
        self.harmonics: Tensor
        self.count: Tensor
        self.register_buffer("shapes", torch.zeros(rows, SHAPE))
        self.register_buffer("harmonics", torch.zeros(rows, terms, 3))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.assign(to_shapes(splats), splats.harmonics)

    def __len__(self) -> int:
        return int(self.count)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Shapes [N, 11] and harmonics [N, K, 3], sharing memory with the tensors."""
        return self.shapes.numpy()[: len(self)], self.harmonics.numpy()[: len(self)]

    def assign(self, shapes: np.ndarray, harmonics: np.ndarray) -> None:
        """Make these the splats; no more than there is room for."""
        self.count.fill_(len(shapes))
        for tensor, values in ((self.shapes, shapes), (self.harmonics, harmonics)):
            tensor.zero_()
            tensor[: len(shapes)] = torch.from_numpy(np.ascontiguousarray(values, np.float32))

    def splats(self) -> Splats:
        """As they are now."""
        return from_shapes(*self.arrays(), self.encoding)
