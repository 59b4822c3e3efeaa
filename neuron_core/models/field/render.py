"""Render a field itself, without baking: the reference that the bake is measured against.

Letters in shapes: R rays, M samples, L looks, C code channels.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from neuron_core.models.field import occupancy
from neuron_core.models.field.model import Field, Structure, Style
from neuron_core.models.field.shading import Reflection, reflect
from neuron_core.models.field.spec import CODE_CHANNELS
from neuron_core.models.field.volume import (
    PackedSamples,
    composite,
    composite_weights,
    densities,
    march_spec,
    sample_rays,
    shell_occupancy,
)
from neuron_core.voxels.shading import MIN_MIRROR_GATE

MIN_OPACITY = 1e-3  # of a ray, by which what it composited is divided at least
MIN_WEIGHT = 1e-4  # of a sample in its ray, from which its code is evaluated
REFLECTION_OFFSET = 1.5  # ramps from the surface to where reflected rays begin
MAX_RAYS = 1 << 14
MAX_DENSITY_RAYS = 1 << 12  # which may have hundreds of samples each


class Pixels(NamedTuple):
    """What rays see. Colors are premultiplied, in the field's encoding."""

    rgbs: Float[Tensor, "L R 3"]
    opacities: Float[Tensor, " R"]
    depths: Float[Tensor, " R"]  # distance along the unit ray; 0 where nothing is
    normals: Float[Tensor, "R 3"]  # unit, or 0


class SurfaceSamples(NamedTuple):
    """The inputs of shading: what is composited along each ray."""

    codes: Float[Tensor, "L R C"]
    diffuse: Float[Tensor, "L R 3"] | None  # premultiplied
    normals: Float[Tensor, "R 3"]
    opacities: Float[Tensor, " R"]
    depths: Float[Tensor, " R"]


@dataclass(frozen=True, slots=True)
class RayRange:
    """Where and how finely rays are sampled."""

    near: float  # distance
    far: float
    step: float  # part of the cube's side
    cone: float = 0.0  # growth of the step with distance


def shade_rays(
    field: Field,
    samples: PackedSamples,
    rays_d: Float[Tensor, "R 3"],
    style: Style,
    gradient_weights: Float[Tensor, " M"] | None = None,
    softness: float = 1.0,
) -> tuple[Pixels, Float[Tensor, " M"]]:
    """Composite codes and normals along the rays, then shade once a ray: pixels, and the densities of
    the samples. Differentiable.

    `gradient_weights` scale what each sample learns; `softness` is that of `Field.sigmas`.
    """
    structure = field.geometry(samples.units)
    values = attributes(field, samples.units, structure, style)
    sigmas = field.sigmas(structure.values, softness)
    surfaces = surface_samples(field, *composite(samples, sigmas, values, gradient_weights))
    return shade(field, surfaces, rays_d), sigmas


def gather(field: Field, samples: PackedSamples, rays: int, style: Style) -> SurfaceSamples:
    """The inputs of `shade`, with codes only where a sample weighs enough. Not differentiable."""
    structure = field.geometry(samples.units)
    weights, opacities, depths = composite_weights(samples, field.sigmas(structure.values))
    seen = torch.nonzero(weights > MIN_WEIGHT).squeeze(-1)
    structure = Structure(*(part[seen] for part in structure))
    values = attributes(field, samples.units[seen], structure, style) * weights[seen, None]
    sums = values.new_zeros(rays, values.shape[1])
    sums.index_add_(0, samples.ray_index[seen], values)
    return surface_samples(field, sums, opacities, depths)


def shade(
    field: Field,
    surfaces: SurfaceSamples,
    rays_d: Float[Tensor, "R 3"],
    reflection: Reflection | None = None,
) -> Pixels:
    """Colors of what was composited. Differentiable."""
    geometry = field.shader.geometry(surfaces.normals, rays_d)
    rgbs = field.shader(surfaces.codes, geometry, reflection) * surfaces.opacities[:, None]
    if surfaces.diffuse is not None:
        rgbs = rgbs + surfaces.diffuse
    return Pixels(rgbs, surfaces.opacities, surfaces.depths, surfaces.normals)


def reflected_rays(
    field: Field, points: Float[Tensor, "N 3"], normals: Float[Tensor, "N 3"], rays_d: Float[Tensor, "N 3"]
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, "N 3"]]:
    """Where reflected rays begin, clear of the surface that they leave, and where they go."""
    clear = REFLECTION_OFFSET * field.spec.ramp * 2 * field.spec.half_side
    return (points + clear * normals).contiguous(), reflect(rays_d, normals).contiguous()


def attributes(
    field: Field, units: Float[Tensor, "M 3"], structure: Structure, style: Style
) -> Float[Tensor, "M C"]:
    """What is composited of every sample: normal, then code (and diffuse color) of every look."""
    if field.spec.surface == "distance":
        # Appearance was learned on the surface: ask there.
        units = (units - structure.values[:, None] * structure.normals).detach()
    codes = field.material(units, structure, style)
    if field.spec.diffuse:
        codes = torch.cat([codes[..., :CODE_CHANNELS], torch.sigmoid(codes[..., CODE_CHANNELS:])], dim=-1)
    return torch.cat([structure.normals, codes.permute(1, 0, 2).flatten(1)], dim=1)


def surface_samples(field: Field, sums: Tensor, opacities: Tensor, depths: Tensor) -> SurfaceSamples:
    """The inputs of shading from the composited `attributes` of rays, `sums` [R, C]."""
    alphas = opacities.clamp_min(MIN_OPACITY)[:, None]
    normals = F.normalize(sums[:, :3], dim=-1, eps=1e-6)
    channels = field.material.outputs
    looks = (sums.shape[1] - 3) // channels
    sums = sums[:, 3:].reshape(len(sums), looks, channels).permute(1, 0, 2)
    diffuse = sums[..., CODE_CHANNELS:] if field.spec.diffuse else None
    codes = sums[..., :CODE_CHANNELS] / alphas
    return SurfaceSamples(codes, diffuse, normals, opacities, depths / alphas[:, 0])


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
        prompts: Float[Tensor, "M W"],
        blend: Float[Tensor, "L M"] | None = None,
    ) -> Pixels:
        """What unit rays see under every prompt, or under looks that blend them. Surfaces mirror each
        other once."""
        style = self.field.material.style(prompts, blend)
        parts = []
        most = MAX_RAYS if self.field.spec.surface == "distance" else MAX_DENSITY_RAYS
        for origins, directions in zip(rays_o.split(most), rays_d.split(most), strict=True):
            surfaces = self._gather(origins.contiguous(), directions.contiguous(), style)
            reflection = self._reflection(surfaces, origins, directions, style)
            parts.append(shade(self.field, surfaces, directions, reflection))
        return Pixels(
            torch.cat([part.rgbs for part in parts], dim=1),
            *(torch.cat(column) for column in zip(*(part[1:] for part in parts), strict=True)),
        )

    def _gather(self, rays_o: Tensor, rays_d: Tensor, style: Style) -> SurfaceSamples:
        spec = march_spec(self.field, self.rays.step, self.rays.cone)
        samples = sample_rays(spec, rays_o, rays_d, self.rays.near, self.rays.far, self.cells)
        if self.field.spec.surface == "density":
            samples = samples.visible(densities(self.field, samples.units))
        return gather(self.field, samples, len(rays_d), style)

    def _reflection(
        self, surfaces: SurfaceSamples, rays_o: Tensor, rays_d: Tensor, style: Style
    ) -> Reflection | None:
        """What mirrors show. Only where any look is enough of a mirror to tell."""
        if self.field.spec.surface != "distance":
            return None
        gates = self.field.shader.gates(surfaces.codes)[..., 0].amax(dim=0)
        rows = torch.nonzero((surfaces.opacities > 0.5) & (gates > MIN_MIRROR_GATE)).squeeze(-1)
        if not len(rows):
            return None
        points = rays_o[rows] + surfaces.depths[rows, None] * rays_d[rows]
        origins, directions = reflected_rays(self.field, points, surfaces.normals[rows], rays_d[rows])
        mirrored = self._gather(origins, directions, style)
        colors = self.field.shader(mirrored.codes, self.field.shader.geometry(mirrored.normals, directions))
        rgbs = colors.new_zeros(colors.shape[0], len(rays_d), 3)
        opacities = colors.new_zeros(len(rays_d))
        rgbs[:, rows] = colors
        opacities[rows] = mirrored.opacities
        return Reflection(rgbs, opacities)
