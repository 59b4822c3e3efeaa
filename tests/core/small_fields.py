"""Fields that are small enough to test on."""

import numpy as np
import torch

from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.models.field.model import Field, Structure
from neuron_core.models.field.spec import FieldSpec

RADIUS = 0.3  # of the ball, in the sides of the cube


class Ball(torch.nn.Module):
    """Exact signed distances, in the sides of a cube, of a ball in its middle."""

    def forward(self, units: torch.Tensor) -> Structure:
        local = units - 0.5
        distance = local.norm(dim=-1)
        return Structure(
            distance - RADIUS, local / distance[:, None].clamp_min(1e-6), torch.zeros(len(units), 8)
        )


def ball_field() -> Field:
    """A small field that knows the shape of a ball, and nothing of what it is made of."""
    field = small_field()
    field.geometry = Ball()
    return field


def ball_box(field: Field) -> np.ndarray:
    """Of the ball, [2, 3] float32 meters."""
    half = 2 * field.spec.half_side * RADIUS
    center = np.array(field.spec.center, np.float32)
    return np.stack([center - half, center + half])


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
