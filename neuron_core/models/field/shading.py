"""Codes, normals and directions to color: the only place where the view direction enters.

The reflected direction is looked up in a learned multiresolution grid over the sphere, which
plays the part of the environment; the surface normal is, too, in a coarser one. The color is
a sum of two lobes whose tints come linearly from the code, so that a small MLP does not have
to learn products. What is near and mirrored (the pedestal in the ball) no such grid can hold:
one reflected ray finds it and takes the second lobe's place as far as the code says "mirror".
Deferred: it runs once a pixel sample, on composited codes (SNeRG, MERF).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from neuron_core.models.field.spec import CODE_CHANNELS, FieldSpec
from neuron_core.networks.layers import HashEncoding


class Reflection(NamedTuple):
    """What the reflected rays of N surface points meet."""

    rgbs: Float[Tensor, "*M N 3"]  # as the shader returns them, without further reflections
    opacities: Float[Tensor, " N"]


class Geometry(NamedTuple):
    """What shading needs that no prompt can change: computed once for all looks."""

    hidden: Float[Tensor, "N H"]  # the first layer's part that does not depend on the code


def reflect(rays_d: Float[Tensor, "N 3"], normals: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
    """Unit directions mirrored at planes with unit normals. Turning the normal over changes nothing."""
    return rays_d - 2.0 * (rays_d * normals).sum(-1, keepdim=True) * normals


class Shader(nn.Module):
    """F_shade: (code, normal, reflected direction, facing ratio) to RGB."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.encoding = spec.encoding
        self.directions = HashEncoding(spec.directions, scale=1e-2)
        width = spec.shader_width
        self.from_code = nn.Linear(CODE_CHANNELS, width)
        self.from_geometry = nn.Linear(self.directions.width + 3 + 1 + 9, width, bias=False)
        self.hidden = nn.Linear(width, width)
        self.lobes = nn.Linear(width, 6)
        self.tints = nn.Linear(CODE_CHANNELS, 6)
        self.mirror = nn.Linear(CODE_CHANNELS, 4)  # how much of a mirror, and its tint
        if spec.diffuse:  # what samples add themselves comes first, gloss is added to it
            nn.init.constant_(self.tints.bias, -3.0)

    def geometry(self, normals: Float[Tensor, "N 3"], rays_d: Float[Tensor, "N 3"]) -> Geometry:
        """The part that all looks share. Normals and directions have unit length."""
        reflected = reflect(rays_d, normals)
        facing = -(rays_d * normals).sum(-1, keepdim=True)
        encoded = self.directions(reflected * 0.5 + 0.5)
        inputs = torch.cat([encoded, reflected, facing, harmonics(normals)], dim=-1)
        return Geometry(self.from_geometry(inputs))

    def forward(
        self,
        codes: Float[Tensor, "*M N C"],
        geometry: Geometry,
        reflection: Reflection | None = None,
    ) -> Float[Tensor, "*M N 3"]:
        """Colors in the field's encoding, not negative."""
        hidden = (self.from_code(codes) + geometry.hidden).relu_()
        hidden = self.hidden(hidden).relu_()
        lobes = F.softplus(self.lobes(hidden))
        tints = F.softplus(self.tints(codes))
        first, second = (lobes * tints).split(3, dim=-1)
        if reflection is None:
            return first + second
        gates = self.gates(codes) * reflection.opacities[:, None]
        mirrored = F.softplus(self.mirror(codes)[..., 1:]) * reflection.rgbs
        return first + second + gates * (mirrored - second)

    def gates(self, codes: Float[Tensor, "*M N C"]) -> Float[Tensor, "*M N 1"]:
        """How much of a mirror a surface is, in [0, 1]."""
        return torch.sigmoid(self.mirror(codes)[..., :1])


def harmonics(normals: Float[Tensor, "N 3"]) -> Float[Tensor, "N 9"]:
    """The polynomials of spherical harmonics up to degree 2, unnormalized: enough for irradiance
    (Ramamoorthi and Hanrahan 2001)."""
    x, y, z = normals.unbind(-1)
    terms = [torch.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1]
    return torch.stack(terms, dim=-1)
