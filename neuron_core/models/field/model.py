"""The field: F_geo, F_mat and F_shade, and the frame they live in.

Letters in shapes: N points, M prompts, L looks (one of each prompt unless they are blended), C code
channels (8), W prompt width. Points are in asset space (meters, Y up) unless they are named `units`:
then they lie in the field's unit cube.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from neuron_core.models.field.shading import Shader
from neuron_core.models.field.spec import CODE_CHANNELS, FieldSpec
from neuron_core.networks.layers import HashEncoding, mlp


class Structure(NamedTuple):
    """What F_geo knows about points."""

    values: Float[Tensor, " N"]  # signed distance in cube sides, or logarithm of the density
    normals: Float[Tensor, "N 3"]  # unit
    features: Float[Tensor, "N G"]


class Style(NamedTuple):
    """What prompts do to F_mat: a scale and a shift of every hidden unit (FiLM, Perez et al. 2018)."""

    scales: Float[Tensor, "2 M H"]
    shifts: Float[Tensor, "2 M H"]
    detail: Float[Tensor, "M 1"]  # in [0, 1]: how much of the fine levels this look uses
    blend: Float[Tensor, "L M"] | None = None  # looks as sums of what prompts say; None: each is a look


class GeometryBranch(nn.Module):
    """F_geo. Locked: nothing here takes a prompt."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.grid = HashEncoding(spec.geometry)
        width = spec.geometry_width
        self.net = mlp([self.grid.width + 3, *[width] * spec.geometry_layers, 4 + spec.geometry_features])
        self._scale = 0.1 if spec.surface == "distance" else 1.0

    def forward(self, units: Float[Tensor, "N 3"]) -> Structure:
        """Structure at points of the unit cube."""
        out = self.net(torch.cat([self.grid(units), units * 2 - 1], dim=-1))
        normals = F.normalize(out[:, 1:4], dim=-1, eps=1e-6)
        return Structure(out[:, 0] * self._scale, normals, out[:, 4:])


class MaterialBranch(nn.Module):
    """F_mat: the only place where a prompt acts."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.grid = HashEncoding(spec.appearance, scale=1e-2)
        self.detail = HashEncoding(spec.detail, scale=1e-3) if spec.detail else None
        width = spec.material_width
        self.outputs = CODE_CHANNELS + (3 if spec.diffuse else 0)
        self.first = nn.Linear(self.grid.width + spec.geometry_features + 3 + 3, width)
        self.first_detail = nn.Linear(self.detail.width, width, bias=False) if self.detail else None
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, self.outputs)
        self.conditioner = mlp([spec.prompt_width, spec.style_width, 4 * width + 1])

    def style(self, prompts: Float[Tensor, "M W"], blend: Float[Tensor, "L M"] | None = None) -> Style:
        """The modulation that prompts stand for; once per prompt, not per point."""
        out = self.conditioner(prompts)
        scales, shifts = out[:, :-1].reshape(len(prompts), 2, 2, -1).permute(1, 2, 0, 3)
        return Style(1.0 + scales, shifts, torch.sigmoid(out[:, -1:]), blend)

    def forward(
        self, units: Float[Tensor, "N 3"], structure: Structure, style: Style
    ) -> Float[Tensor, "L N C"]:
        """Material codes (and diffuse colors behind them) of every point under every look."""
        inputs = [self.grid(units), structure.features, structure.normals, units * 2 - 1]
        hidden = self.first(torch.cat(inputs, dim=-1))[None]
        if self.detail is not None and self.first_detail is not None:
            fine = self.first_detail(self.detail(units))
            hidden = hidden + style.detail[:, :, None] * fine[None]
        # In place: memory, not arithmetic, is what a step waits for on a CPU.
        hidden = (style.scales[0][:, None] * hidden).add_(style.shifts[0][:, None]).relu_()
        hidden = (style.scales[1][:, None] * self.second(hidden)).add_(style.shifts[1][:, None]).relu_()
        codes: Tensor = self.last(hidden)
        return codes if style.blend is None else torch.einsum("lm,mnc->lnc", style.blend, codes)


class Field(nn.Module):
    """One coupled asset and renderer."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.spec = spec
        self.geometry = GeometryBranch(spec)
        self.material = MaterialBranch(spec)
        self.shader = Shader(spec)
        self.center: Tensor
        self.occupancy: Tensor
        if spec.surface == "density":
            self.register_buffer("occupancy", torch.ones((spec.occupancy_cells,) * 3))
        self.register_buffer("center", torch.tensor(spec.center, dtype=torch.float32), persistent=False)

    def units(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        """Where asset-space points lie in the unit cube.

        A contracted field folds all space into it: the inner cube takes the middle half of each
        axis (mip-NeRF 360 by Barron et al. 2022, with the maximum norm).
        """
        local = (points - self.center) / self.spec.half_side
        if not self.spec.contracted:
            return local * 0.5 + 0.5
        norms = local.abs().amax(dim=-1, keepdim=True).clamp_min(1e-6)
        folded = torch.where(norms <= 1, local, (2 - 1 / norms) * local / norms)
        return folded * 0.25 + 0.5

    def at_surface(self, units: Float[Tensor, "N 3"]) -> tuple[Float[Tensor, "N 3"], Structure]:
        """Places of the cube, moved along the normal to where a ray straight at the surface loses half
        its light, and the structure there: that is where pictures ask for codes, and where training
        taught them. Places of a cloud stay where they are."""
        structure = self.geometry(units.clamp(0.0, 1.0))
        if self.spec.surface == "density":
            return units, structure
        way = structure.values + MET_BELOW * self.spec.ramp
        units = units - way[:, None] * structure.normals
        return units, self.geometry(units.clamp(0.0, 1.0))

    def sigmas(self, values: Float[Tensor, " N"], softness: float = 1.0) -> Float[Tensor, " N"]:
        """Densities in 1 / meter from what the geometry branch predicts.

        The ramp of distances is `softness` times as wide, and lower in proportion: training
        begins with soft surfaces.
        """
        if self.spec.surface == "density":
            return torch.exp((values + FIRST_DENSITY).clamp(-15, 15)) / self.spec.half_side
        gain, offset, highest = self.activation()
        return (offset + gain / softness * values).clamp(0.0, highest) / softness

    def activation(self) -> tuple[float, float, float]:
        """Gain, offset and maximum of the ramp that turns distances into densities.

        Opaque within a fraction of the ramp, so that the picture of a surface is sharp, and
        shifted so that silhouettes are neither wider nor narrower than the surface: rays that
        graze it lose half their light where the distance is zero, those straight at it a little later.
        """
        side = 2 * self.spec.half_side
        highest = OPTICAL_DEPTH_PER_RAMP / (self.spec.ramp * side)
        return -highest / self.spec.ramp, highest * RAMP_SHIFT, highest

    def query(
        self,
        points: Float[Tensor, "N 3"],
        prompt: Float[Tensor, " W"],
        rays_d: Float[Tensor, "N 3"],
    ) -> tuple[Float[Tensor, "N 3"], Float[Tensor, " N"]]:
        """RGB and density of single points, seen along unit directions, under one prompt."""
        units = self.units(points)
        structure = self.geometry(units)
        codes = self.material(units, structure, self.material.style(prompt[None]))[0]
        rgbs = self.shader(codes[:, :CODE_CHANNELS], self.shader.geometry(structure.normals, rays_d))
        if self.spec.diffuse:
            rgbs = rgbs + torch.sigmoid(codes[:, CODE_CHANNELS:])
        return rgbs, self.sigmas(structure.values)


FIRST_DENSITY = -2.0  # log of what space blocks per half side before training: light gets far
OPTICAL_DEPTH_PER_RAMP = 64.0
RAMP_SHIFT = 0.05  # ramps: pixels of silhouettes are then as opaque as true ones in the mean (0.1: 0.03 more)
MET_BELOW = math.sqrt(2.0 * math.log(2.0) / OPTICAL_DEPTH_PER_RAMP) - RAMP_SHIFT  # ramps
