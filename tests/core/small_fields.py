"""Fields that are small enough to test on."""

import numpy as np
import torch

from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.models.field.model import Field
from neuron_core.models.field.spec import FieldSpec


def small_field(**changes: object) -> Field:
    grid = HashGridSpec(3, 2, 10, 4, 16)
    spec = FieldSpec(
        prompt_width=6,
        center=(0.1, 0.0, -0.2),
        half_side=0.5,
        geometry=grid,
        appearance=grid,
        detail=grid,
        directions=HashGridSpec(4, 2, 12, 3, 24),
        **changes,
    )
    torch.manual_seed(3)
    field = Field(spec)
    for table in (field.shader.directions.tables, field.material.grid.tables):
        torch.nn.init.uniform_(table, -1.0, 1.0)
    return field


def directions(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
