"""Where a density field holds anything: cells that rays need not look into are skipped.

The grid is part of the field's state, as rendering needs it as much as training. Letters in
shapes: G cells along a side, K cells.
"""

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from neuron_core.fields.field import Field

DECAY = 0.95  # of what a cell held, at each look
LEAST_ALPHA = 0.005  # what a cell must block, per step, to be looked at
CHUNK = 1 << 17


def refresh(
    field: Field, cells: Int[Tensor, " K"], jitter: Float[Tensor, "K 3"], step: float, cone: float
) -> None:
    """Look into `cells` (flat indices) at one jittered point each and remember what they block.

    `step` is the shortest step in world units and `cone` how steps grow with distance: far cells
    of a contracted field are crossed by longer steps.
    """
    grid = field.occupancy
    size = grid.shape[0]
    corners = torch.stack([cells // (size * size), cells // size % size, cells % size], dim=-1)
    units = (corners + jitter) / size
    blocked = torch.cat([_blocked(field, part, step, cone) for part in units.split(CHUNK)])
    flat = grid.view(-1)
    flat[cells] = torch.maximum(flat[cells] * DECAY, blocked)


def occupied(field: Field) -> UInt8[Tensor, "G G G"]:
    """Cells to look into. At most those above the mean, so that a fog does not keep all."""
    grid = field.occupancy
    threshold = min(LEAST_ALPHA, float(grid.mean()))
    return (grid >= threshold).to(torch.uint8)


@torch.no_grad()
def _blocked(field: Field, units: Tensor, step: float, cone: float) -> Tensor:
    steps = torch.full_like(units[:, 0], step)
    if field.spec.contracted:
        norms = (units * 4 - 2).abs().amax(dim=-1)
        reach = 1 / (2 - norms).clamp_min(1e-3)  # distance from the center, in half sides
        steps = torch.where(norms > 1, (reach * field.spec.half_side * cone).clamp_min(step), steps)
    return -torch.expm1(-field.sigmas(field.geometry(units).values) * steps)
