"""What appearance is supervised by: rays to surface points, and the colors of materials along them.

Letters in shapes: M materials, K pixels that show one point each, E pixels at edges by S rays each,
N all rays.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from neuron_core.models.field.losses import log_curve
from neuron_core.models.field.model import Field
from neuron_core.models.field.surface_data import SurfacePool
from neuron_core.models.field.surface_hits import raycast, surface_hits

EDGE_SHARE = 0.25  # of a batch: rays of pixels that show an edge


class PictureErrors(NamedTuple):
    """Mean squared errors on the log curve, weighted by their shares of a batch."""

    points: Float[Tensor, ""]
    edges: Float[Tensor, ""] | None  # None without pixels at edges

    @property
    def total(self) -> Float[Tensor, ""]:
        """Of the whole batch."""
        return self.points if self.edges is None else self.points + self.edges


@dataclass(frozen=True, slots=True)
class Supervision:
    """What some materials look like from the cameras that saw them.

    Its rays are the rows `first` and on of all that were traced: K of pixels that are one point each,
    then a fan of S for each pixel at an edge.
    """

    looks: Int[Tensor, " M"]
    first: int
    targets: Float[Tensor, "M K 3"]  # on the log curve
    edge_targets: Float[Tensor, "M E 3"]
    edge_opacities: Float[Tensor, "E S 1"]

    @property
    def points(self) -> int:
        """Pixels that are one point each."""
        return self.targets.shape[1]

    @property
    def pixels(self) -> int:
        """Pixels at edges."""
        return self.edge_targets.shape[1]

    @property
    def fan(self) -> int:
        """Rays of such a pixel."""
        return self.edge_opacities.shape[1]

    def errors(
        self, colors: Float[Tensor, "L B 3"], chosen: Tensor, own: Tensor, edges: Tensor
    ) -> PictureErrors:
        """How far linear colors are off.

        `chosen` are rows of `looks`, `own` points, whose colors come first, and `edges` pixels at edges,
        the mean of whose rays counts.
        """
        inner, fans = colors[:, : len(own)], colors[:, len(own) :]
        error = F.mse_loss(log_curve(inner), self.targets[chosen[:, None], own])
        if not len(edges):
            return PictureErrors(error, None)
        mixed = fans.unflatten(1, (len(edges), self.fan)) * self.edge_opacities[edges]
        at_edges = F.mse_loss(log_curve(mixed.mean(dim=2)), self.edge_targets[chosen[:, None], edges])
        return PictureErrors((1.0 - EDGE_SHARE) * error, EDGE_SHARE * at_edges)


class SupervisedRays(NamedTuple):
    """All that is traced, and what it is supervised by."""

    sets: list[Supervision]
    points: Float[Tensor, "N 3"]
    rays_d: Float[Tensor, "N 3"]


@torch.no_grad()
def supervise(field: Field, pool: SurfacePool) -> SupervisedRays:
    """The supervision of every view group, where its rays hit the learned geometry."""
    sets, points, rays_d, first = [], [], [], 0
    for group in pool.groups:
        edges = group.edges
        own = surface_hits(field, pool.points[group.smooth], pool.rays_d[group.smooth])
        fan, directions = edges.rays_d.shape[1], edges.rays_d.reshape(-1, 3)
        hits, opacities = raycast(field, edges.rays_o.repeat_interleave(fan, 0), directions)
        sets.append(
            Supervision(
                group.looks,
                first,
                log_curve(group.colors),
                log_curve(edges.colors),
                opacities.reshape(-1, fan, 1),
            )
        )
        points += [own, hits]
        rays_d += [pool.rays_d[group.smooth], directions]
        first += len(own) + len(hits)
    return SupervisedRays(sets, torch.cat(points), torch.cat(rays_d))
