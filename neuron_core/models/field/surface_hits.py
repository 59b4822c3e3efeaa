"""Where rays hit the geometry that a field has learned. Not differentiable.

Letters in shapes: N rays or points. Points are asset-space meters.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from neuron_core.foundation import interrupts
from neuron_core.models.field.model import Field
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.render import reflected_rays
from neuron_core.models.field.volume import composite_weights, march_spec, sample_rays, shell_occupancy

MIN_OPACITY = 0.05  # rays that are less opaque hit nothing
RAYS_AT_ONCE = 1 << 15
SEARCH_RAMPS = 4.0  # before and behind a surface point, in which its ray should hit something


class ReflectedHits(NamedTuple):
    """What the reflected rays of surface points hit."""

    units: Float[Tensor, "N 3"]  # in the field's cube; any place where nothing is hit
    directions: Float[Tensor, "N 3"]  # of the reflected rays, unit
    opacities: Float[Tensor, " N"]


@torch.no_grad()
def raycast(
    field: Field, rays_o: Float[Tensor, "N 3"], rays_d: Float[Tensor, "N 3"]
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, " N"]]:
    """Where unit rays hit, and how opaque it is there; the place means nothing where that is 0."""
    cells, rays = shell_occupancy(field), ray_range(field.spec)
    spec = march_spec(field, rays.step)
    hits, found = [], []
    for origins, directions in zip(rays_o.split(RAYS_AT_ONCE), rays_d.split(RAYS_AT_ONCE), strict=True):
        interrupts.stop_if_requested()
        samples = sample_rays(spec, origins.contiguous(), directions.contiguous(), rays.near, rays.far, cells)
        sigmas = field.sigmas(field.geometry(samples.units).values)
        _, opacities, depths = composite_weights(samples, sigmas)
        hits.append(origins + (depths / opacities.clamp_min(MIN_OPACITY))[:, None] * directions)
        found.append(opacities)
    return torch.cat(hits), torch.cat(found)


@torch.no_grad()
def surface_hits(
    field: Field, points: Float[Tensor, "N 3"], rays_d: Float[Tensor, "N 3"]
) -> Float[Tensor, "N 3"]:
    """Where rays to surface points hit the learned geometry: a picture of the field will ask for colors
    there, not at the point. The point itself where it is far from what was learned."""
    far = SEARCH_RAMPS * field.spec.ramp * 2 * field.spec.half_side
    hits, opacities = raycast(field, points - far * rays_d, rays_d)
    near = (opacities > 0.5) & ((hits - points).norm(dim=-1) < far)
    return torch.where(near[:, None], hits, points)


@torch.no_grad()
def reflected_hits(field: Field, points: Float[Tensor, "N 3"], rays_d: Float[Tensor, "N 3"]) -> ReflectedHits:
    """Follow the reflected ray of every point, seen along `rays_d`, once."""
    parts = []
    for some_points, some_rays in zip(points.split(RAYS_AT_ONCE), rays_d.split(RAYS_AT_ONCE), strict=True):
        normals = field.geometry(field.units(some_points)).normals
        parts.append(reflected_rays(field, some_points, normals, some_rays))
    origins, directions = (torch.cat(column) for column in zip(*parts, strict=True))
    hits, opacities = raycast(field, origins, directions)
    return ReflectedHits(field.units(hits).clamp(0.0, 1.0), directions, opacities)
