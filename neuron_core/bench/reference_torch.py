"""The same model and the same step in plain torch, as it is usually written for a CPU.

Eager gathers for the hash encoding, whose gradients autograd scatters back; running products over
padded rays for compositing; a dense march that looks every step up in the grid. No kernel of ours
runs. The MLPs, the losses and the optimizer are torch's in either case.
"""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from neuron_core.kernels.training.compositing import OPAQUE
from neuron_core.kernels.training.hashgrid import PRIME_Y, PRIME_Z, HashGridSpec
from neuron_core.kernels.training.raymarch import OCCUPIED, SOLID
from neuron_core.learning.objective import Step
from neuron_core.models.field.frame_data import FrameBatch
from neuron_core.models.field.frames_objective import MIN_ALPHA, MIN_LIGHT, FramesObjective, Sampled
from neuron_core.models.field.model import Field, Style
from neuron_core.models.field.render import Pixels, attributes, shade, surface_samples
from neuron_core.models.field.volume import PackedSamples
from neuron_core.networks.layers import HashEncoding

CORNERS = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1))


class EagerEncoding(nn.Module):
    """What `HashEncoding` computes, with the same tables."""

    def __init__(self, spec: HashGridSpec, tables: nn.Parameter) -> None:
        super().__init__()
        self.spec = spec
        self.tables = tables

    @property
    def width(self) -> int:
        """How many numbers describe a point."""
        return self.spec.width

    def forward(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, "N C"]:
        """Level by level, corner by corner."""
        levels = [self._level(points, level) for level in range(self.spec.levels)]
        return torch.cat(levels, dim=-1)

    def _level(self, points: Float[Tensor, "N 3"], level: int) -> Float[Tensor, "N F"]:
        resolution = self.spec.resolutions[level]
        scaled = points * resolution
        cells = scaled.detach().long().clamp(0, resolution - 1)
        places = scaled - cells
        total = torch.zeros(len(points), self.spec.features, device=points.device)
        for corner in CORNERS:
            offset = torch.tensor(corner, device=points.device)
            weights = torch.where(offset == 1, places, 1 - places).prod(dim=-1)
            total = total + weights[:, None] * self.tables[level][self._rows(cells + offset, level)]
        return total

    def _rows(self, corners: Int[Tensor, "N 3"], level: int) -> Int[Tensor, " N"]:
        x, y, z = corners.unbind(-1)
        if self.spec.is_dense(level):
            side = self.spec.resolutions[level] + 1
            return x + side * (y + side * z)
        return (x ^ (y * PRIME_Y) ^ (z * PRIME_Z)) & (self.spec.table_size - 1)


def eager_copy(field: Field) -> Field:
    """A field with the same weights, not shared, whose encodings are plain torch."""
    twin = copy.deepcopy(field)
    for module in list(twin.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, HashEncoding):
                setattr(module, name, EagerEncoding(child.spec, child.tables))
    return twin


def eager_composite(
    samples: PackedSamples, sigmas: Float[Tensor, " M"], values: Float[Tensor, "M C"]
) -> tuple[Float[Tensor, "R C"], Float[Tensor, " R"], Float[Tensor, " R"]]:
    """What `composite` computes: weighted sums of values, opacities, weighted sums of distances."""
    rays = len(samples.ray_start)
    passed = _padded(samples, torch.exp(-sigmas * samples.dts))
    before = F.pad(passed.cumprod(dim=1), (1, -1), value=1.0)
    padded = torch.where(before >= OPAQUE, before * (1 - passed), 0.0)
    weights = padded[samples.ray_index.long(), _places(samples)]
    sums = values.new_zeros(rays, values.shape[1])
    sums = sums.index_add(0, samples.ray_index, weights[:, None] * values)
    depths = values.new_zeros(rays).index_add(0, samples.ray_index, weights * samples.t_mid)
    return sums, padded.sum(dim=1), depths


def _places(samples: PackedSamples) -> Int[Tensor, " M"]:
    order = torch.arange(len(samples), device=samples.ray_start.device)
    return order - samples.ray_start[samples.ray_index.long()]


def _padded(samples: PackedSamples, values: Float[Tensor, " M"]) -> Float[Tensor, "R S"]:
    most = int(samples.ray_count.max()) if len(samples.ray_count) else 0
    padded = values.new_ones(len(samples.ray_start), max(most, 1))
    return padded.index_put((samples.ray_index.long(), _places(samples)), values)


class EagerFramesObjective(FramesObjective):
    """The objective with the same draws, losses and cells, its samples and pictures in plain torch."""

    def render(self, samples: PackedSamples, batch: FrameBatch, style: Style, softness: float) -> Pixels:
        """What the rays of the batch see by their samples. Differentiable."""
        structure = self.field.geometry(samples.units)
        values = attributes(self.field, samples.units, structure, style)
        sums = eager_composite(samples, self.field.sigmas(structure.values, softness), values)
        return shade(self.field, surface_samples(self.field, *sums), batch.rays_d)

    @torch.no_grad()
    def sample(self, batch: FrameBatch, step: Step, softness: float) -> Sampled:
        """Every step inside the cube is looked up; what is neither occupied nor seen is dropped."""
        assert self.cells is not None
        low, high = (
            self.field.center - self.field.spec.half_side,
            self.field.center + self.field.spec.half_side,
        )
        walls = (torch.stack([low, high]) - batch.rays_o[:, None]) / batch.rays_d[:, None]
        near = walls.amin(dim=1).amax(dim=-1).clamp_min(self.rays.near)
        far = walls.amax(dim=1).amin(dim=-1)
        length = self.spec.step_min
        random = torch.Generator().manual_seed(step.seed + step.index)
        near = near + torch.rand(len(near), generator=random) * length
        steps = int(((far - near).amax() / length).clamp_min(1.0))
        t_mid = near[:, None] + (torch.arange(steps) + 0.5) * length
        rows, columns = torch.nonzero(t_mid < far[:, None], as_tuple=True)
        t_mid = t_mid[rows, columns]
        units = self.field.units(batch.rays_o[rows] + t_mid[:, None] * batch.rays_d[rows])
        x, y, z = (units * len(self.cells)).long().clamp(0, len(self.cells) - 1).unbind(-1)
        labels = self.cells[x, y, z]
        solid = torch.full((len(near),), steps).scatter_reduce(
            0, rows[labels == SOLID], columns[labels == SOLID], "amin"
        )
        kept = torch.nonzero((labels == OCCUPIED) & (columns < solid[rows])).squeeze(-1)
        samples = _packed(units[kept], t_mid[kept], length, rows[kept], len(near))
        alphas = -torch.expm1(
            -self.field.sigmas(self.field.geometry(samples.units).values, softness) * length
        )
        before = F.pad(_padded(samples, 1 - alphas).cumprod(dim=1), (1, -1), value=1.0)
        light = before[samples.ray_index.long(), _places(samples)]
        live = torch.nonzero((light >= MIN_LIGHT) & (alphas >= MIN_ALPHA)).squeeze(-1)
        hit = torch.nonzero(samples.ray_count).squeeze(-1)
        index = torch.searchsorted(hit, samples.ray_index[live].long())
        packed = _packed(samples.units[live], samples.t_mid[live], length, index, len(hit))
        return Sampled(packed, batch.of(hit), len(hit))


def _packed(
    units: Float[Tensor, "M 3"], t_mid: Float[Tensor, " M"], length: float, rows: Tensor, rays: int
) -> PackedSamples:
    counts = torch.bincount(rows, minlength=rays)
    return PackedSamples(
        (counts.cumsum(0) - counts).int(),
        counts.int(),
        units,
        t_mid,
        torch.full_like(t_mid, length),
        rows.int(),
    )
