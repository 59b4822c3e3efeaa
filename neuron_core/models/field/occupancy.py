"""Where a density field holds anything: cells that rays need not look into are skipped.

The grid is part of the field's state, as rendering needs it as much as training. A cell holds the
largest part of the light that one step in it blocked, and decays slowly. Letters in shapes: G cells
along a side, K cells, M samples.
"""

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from neuron_core.models.field.model import Field
from neuron_core.models.field.volume import PackedSamples, densities

LEAST_ALPHA = 0.005  # what a cell must block, per step, to be looked at


def decay(field: Field, share: float) -> None:
    """Keep so much of what all cells hold."""
    field.occupancy.mul_(share)


def update(field: Field, samples: PackedSamples, alphas: Float[Tensor, " M"]) -> None:
    """Raise cells to what one step at samples in them blocks; their densities are known anyway."""
    size = field.occupancy.shape[0]
    cells = (samples.units * size).long().clamp_(0, size - 1)
    flat = (cells[:, 0] * size + cells[:, 1]) * size + cells[:, 2]
    field.occupancy.view(-1).scatter_reduce_(0, flat, alphas, "amax")


def probe(
    field: Field, cells: Int[Tensor, " K"], jitter: Float[Tensor, "K 3"], step: float, cone: float
) -> None:
    """Raise different `cells` (flat indices) to what a step at one jittered point in each blocks.

    `step` is the shortest step in world units and `cone` how steps grow with distance: far cells
    of a contracted field are crossed by longer steps.
    """
    grid = field.occupancy
    size = grid.shape[0]
    corners = torch.stack([cells // (size * size), cells // size % size, cells % size], dim=-1)
    units = (corners + jitter) / size
    blocked = -torch.expm1(-densities(field, units) * _steps(field, units, step, cone))
    flat = grid.view(-1)
    flat[cells] = torch.maximum(flat[cells], blocked)


def occupied(field: Field) -> UInt8[Tensor, "G G G"]:
    """Cells to look into. At most those above the mean, so that a fog does not keep all."""
    grid = field.occupancy
    threshold = min(LEAST_ALPHA, float(grid.mean()))
    return (grid >= threshold).to(torch.uint8)


def _steps(field: Field, units: Float[Tensor, "K 3"], step: float, cone: float) -> Float[Tensor, " K"]:
    steps = torch.full_like(units[:, 0], step)
    if field.spec.contracted:
        norms = (units * 4 - 2).abs().amax(dim=-1)
        reach = 1 / (2 - norms).clamp_min(1e-3)  # distance from the center, in half sides
        steps = torch.where(norms > 1, (reach * field.spec.half_side * cone).clamp_min(step), steps)
    return steps
