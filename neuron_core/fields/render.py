"""Render a field itself, without baking: the reference that the bake is measured against.

Letters in shapes: R rays, M samples, L looks, C code channels.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from neuron_core.fields import occupancy
from neuron_core.fields.field import Field, Structure, Style
from neuron_core.fields.spec import CODE_CHANNELS
from neuron_core.fields.volume import (
    PackedSamples,
    composite,
    composite_weights,
    march_spec,
    sample_rays,
    shell_occupancy,
)

VISIBLE = 1e-3  # rays that are less opaque are not shaded
UNSEEN = 1e-4  # samples that weigh less are not asked for their code
MOST_RAYS = 1 << 14


class Pixels(NamedTuple):
    """What rays see. Colors are premultiplied, in the field's encoding."""

    rgbs: Float[Tensor, "L R 3"]
    opacities: Float[Tensor, " R"]
    depths: Float[Tensor, " R"]  # distance along the unit ray; 0 where nothing is
    normals: Float[Tensor, "R 3"]  # unit, or 0


@dataclass(frozen=True, slots=True)
class RayRange:
    """Where and how finely rays are sampled."""

    near: float  # distance
    far: float
    step: float  # part of the cube's side
    cone: float = 0.0  # growth of the step with distance


def shade_rays(field: Field, samples: PackedSamples, rays_d: Float[Tensor, "R 3"], style: Style) -> Pixels:
    """Composite codes and normals along the rays, then shade once a ray. Differentiable."""
    structure = field.geometry(samples.units)
    values = _attributes(field, samples.units, structure, style)
    sums, opacities, depths = composite(samples, field.sigmas(structure.values), values)
    return _shade(field, sums, opacities, depths, rays_d)


def shade_visible(field: Field, samples: PackedSamples, rays_d: Float[Tensor, "R 3"], style: Style) -> Pixels:
    """As `shade_rays`, but asks the material branch only where a sample is seen. Not differentiable."""
    structure = field.geometry(samples.units)
    weights, opacities, depths = composite_weights(samples, field.sigmas(structure.values))
    seen = torch.nonzero(weights > UNSEEN).squeeze(-1)
    structure = Structure(*(part[seen] for part in structure))
    values = _attributes(field, samples.units[seen], structure, style) * weights[seen, None]
    sums = values.new_zeros(len(rays_d), values.shape[1])
    sums.index_add_(0, samples.ray_index[seen], values)
    return _shade(field, sums, opacities, depths, rays_d)


def _attributes(
    field: Field, units: Float[Tensor, "M 3"], structure: Structure, style: Style
) -> Float[Tensor, "M C"]:
    """What is composited: normal, then code (and diffuse color) of every look."""
    if field.spec.surface == "distance":
        # Appearance was learned on the surface: ask there.
        units = (units - structure.values[:, None] * structure.normals).detach()
    codes = field.material(units, structure, style)
    if field.spec.diffuse:
        codes = torch.cat([codes[..., :CODE_CHANNELS], torch.sigmoid(codes[..., CODE_CHANNELS:])], dim=-1)
    return torch.cat([structure.normals, codes.permute(1, 0, 2).flatten(1)], dim=1)


def _shade(field: Field, sums: Tensor, opacities: Tensor, depths: Tensor, rays_d: Tensor) -> Pixels:
    alphas = opacities.clamp_min(VISIBLE)[:, None]
    normals = F.normalize(sums[:, :3], dim=-1, eps=1e-6)
    channels = field.material.outputs
    looked = sums[:, 3:].reshape(len(sums), -1, channels).permute(1, 0, 2)
    geometry = field.shader.geometry(normals, rays_d)
    rgbs = field.shader(looked[..., :CODE_CHANNELS] / alphas, geometry) * opacities[:, None]
    if field.spec.diffuse:
        rgbs = rgbs + looked[..., CODE_CHANNELS:]
    return Pixels(rgbs, opacities, depths / alphas[:, 0], normals)


class FieldRenderer:
    """Draws a trained field. Holds the cells worth looking into."""

    def __init__(self, field: Field, rays: RayRange) -> None:
        self.field = field
        self.rays = rays
        self.cells: UInt8[Tensor, "G G G"] = (
            shell_occupancy(field) if field.spec.surface == "distance" else occupancy.occupied(field)
        )

    @torch.no_grad()
    def render(
        self,
        rays_o: Float[Tensor, "R 3"],
        rays_d: Float[Tensor, "R 3"],
        prompts: Float[Tensor, "L W"],
    ) -> Pixels:
        """What unit rays see under every prompt."""
        style = self.field.material.style(prompts)
        spec = march_spec(self.field, self.rays.step, self.rays.cone)
        parts = []
        for origins, directions in zip(rays_o.split(MOST_RAYS), rays_d.split(MOST_RAYS), strict=True):
            samples = sample_rays(
                spec, origins.contiguous(), directions.contiguous(), self.rays.near, self.rays.far, self.cells
            )
            parts.append(shade_visible(self.field, samples, directions, style))
        return Pixels(
            torch.cat([part.rgbs for part in parts], dim=1),
            *(torch.cat(column) for column in zip(*(part[1:] for part in parts), strict=True)),
        )
