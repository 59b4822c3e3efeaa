"""Rays through a field: samples where something is, and what they add up to.

Letters in shapes: R rays, M samples of all rays together, C channels, G cells along a side.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from neuron_core.kernels.training import compositing, raymarch
from neuron_core.kernels.training.compositing import OPAQUE, Composited
from neuron_core.kernels.training.raymarch import MarchSpec, Rays, Samples
from neuron_core.kernels.training.resampling import Guide, resample
from neuron_core.models.field.model import Field
from neuron_core.networks.layers import on_stream_of

GUIDE = Guide()
BEGINS = 0.15  # ramps before a surface, there is density, and
BLOCKS_ALL = 0.5  # ramps behind it nothing is seen: the optical depth is 11
CHUNK = 1 << 15  # points that are asked at once without gradients: what they need stays in cache


@dataclass(frozen=True, slots=True)
class PackedSamples:
    """Samples of all rays, near to far, side by side."""

    ray_start: Int[Tensor, " R"]
    ray_count: Int[Tensor, " R"]
    units: Float[Tensor, "M 3"]  # in the field's unit cube
    t_mid: Float[Tensor, " M"]
    dts: Float[Tensor, " M"]
    ray_index: Int[Tensor, " M"]

    def __len__(self) -> int:
        return len(self.t_mid)

    def first_rays(self, count: int) -> "PackedSamples":
        """The samples of the first `count` rays."""
        last = count - 1
        end = int(self.ray_start[last] + self.ray_count[last])
        return PackedSamples(
            self.ray_start[:count],
            self.ray_count[:count],
            self.units[:end],
            self.t_mid[:end],
            self.dts[:end],
            self.ray_index[:end],
        )

    def hits(self) -> tuple["PackedSamples", Int[Tensor, " K"]]:
        """The same samples as those of fewer rays: of those that have any, whose rows come second."""
        rows = torch.nonzero(self.ray_count).squeeze(-1)
        index = torch.zeros_like(self.ray_count)
        index[rows] = torch.arange(len(rows), dtype=index.dtype, device=index.device)
        starts, counts = self.ray_start[rows], self.ray_count[rows]
        fewer = PackedSamples(starts, counts, self.units, self.t_mid, self.dts, index[self.ray_index])
        return fewer, rows

    def of_rays(self, rays: Int[Tensor, " K"]) -> "PackedSamples":
        """The samples of some rays, whose rows ascend."""
        index = torch.full_like(self.ray_count, -1)
        index[rays] = torch.arange(len(rays), dtype=index.dtype, device=index.device)
        rows = torch.nonzero(index[self.ray_index] >= 0).squeeze(-1)
        counts = self.ray_count[rays]
        return PackedSamples(
            (counts.cumsum(0) - counts).to(torch.int32),
            counts,
            self.units[rows],
            self.t_mid[rows],
            self.dts[rows],
            index[self.ray_index[rows]],
        )

    def visible(
        self, sigmas: Float[Tensor, " M"], least_light: float = OPAQUE, least_alpha: float = 0.0
    ) -> "PackedSamples":
        """The samples that enough light passes in front of, and that block enough of it.

        Without the second condition nothing is lost: what `composite` ignores is left out.
        """
        flags = torch.zeros(len(self), dtype=torch.uint8, device=sigmas.device)
        counts = torch.zeros_like(self.ray_count)
        with on_stream_of(sigmas):
            compositing.mark_visible(
                self.for_kernels(), sigmas.contiguous(), least_light, least_alpha, flags, counts
            )
        rows = torch.nonzero(flags).squeeze(-1)
        return PackedSamples(
            (counts.cumsum(0) - counts).to(torch.int32),
            counts,
            self.units[rows],
            self.t_mid[rows],
            self.dts[rows],
            self.ray_index[rows],
        )

    def resampled(
        self,
        field: Field,
        rays_o: Float[Tensor, "R 3"],
        rays_d: Float[Tensor, "R 3"],
        most: int,
        seed: int,
    ) -> "PackedSamples":
        """At most so many samples a ray, where its occupancy says that most of the light comes from."""
        counts = self.ray_count.clamp_max(most)
        ends = counts.cumsum(0)
        total = int(ends[-1]) if len(ends) else 0
        starts = (ends - counts).to(torch.int32)
        t_mid, dts, index = rays_o.new_zeros(total), rays_o.new_zeros(total), counts.new_zeros(total)
        fewer = PackedSamples(starts, counts, rays_o.new_zeros(total, 3), t_mid, dts, index)
        if total:
            with on_stream_of(rays_o):
                resample(self.for_kernels(), field.occupancy, seed, GUIDE, fewer.for_kernels())
        units = field.units(rays_o[index] + t_mid[:, None] * rays_d[index])
        return PackedSamples(starts, counts, units, t_mid, dts, index)

    def for_kernels(self) -> Samples:
        """The same memory as Warp arrays."""
        return Samples(
            self.ray_start,
            self.ray_count,
            self.units,
            self.t_mid,
            self.dts,
            self.ray_index,
        )


def march_spec(field: Field, step: float, cone: float = 0.0, max_samples: int = 512) -> MarchSpec:
    """How rays are sampled in the field's cube; `step` is a part of the cube's side."""
    center, half = field.spec.center, field.spec.half_side
    low = (center[0] - half, center[1] - half, center[2] - half)
    high = (center[0] + half, center[1] + half, center[2] + half)
    shortest = 2 * half * step
    return MarchSpec((low, high), shortest, 1e3 * shortest, cone, field.spec.contracted, max_samples)


def sample_rays(
    spec: MarchSpec,
    rays_o: Float[Tensor, "R 3"],
    rays_d: Float[Tensor, "R 3"],
    near: float,
    far: float,
    occupancy: UInt8[Tensor, "G G G"],
    seed: int | None = None,
) -> PackedSamples:
    """Samples in occupied cells between two distances. With a seed, the first step is jittered."""
    device, count = rays_o.device, len(rays_o)
    nears, fars = (torch.full((count,), t, device=device) for t in (near, far))
    rays = Rays(rays_o, rays_d, nears, fars)
    counts, begins = torch.zeros(count, dtype=torch.int32, device=device), torch.zeros_like(nears)
    with on_stream_of(rays_o):
        raymarch.count_samples(spec, rays, occupancy, seed, counts, begins)
        ends = counts.cumsum(0)
        total = int(ends[-1]) if count else 0
        samples = PackedSamples(
            (ends - counts).to(torch.int32),
            counts,
            torch.zeros(total, 3, device=device),
            torch.zeros(total, device=device),
            torch.zeros(total, device=device),
            torch.zeros(total, dtype=torch.int32, device=device),
        )
        raymarch.fill_samples(spec, rays, occupancy, samples.for_kernels(), begins)
    return samples


def composite(
    samples: PackedSamples,
    sigmas: Float[Tensor, " M"],
    values: Float[Tensor, "M C"],
    gradient_weights: Float[Tensor, " M"] | None = None,
) -> tuple[Float[Tensor, "R C"], Float[Tensor, " R"], Float[Tensor, " R"]]:
    """Weighted sums of values, opacities, and weighted sums of distances. Differentiable in both.

    `gradient_weights` scale the gradients of each sample and nothing else.
    """
    sums, opacities, depths = _Composite.apply(
        sigmas.contiguous(), values.contiguous(), samples, gradient_weights
    )
    return sums, opacities, depths


@torch.no_grad()
def composite_weights(
    samples: PackedSamples, sigmas: Float[Tensor, " M"]
) -> tuple[Float[Tensor, " M"], Float[Tensor, " R"], Float[Tensor, " R"]]:
    """How much each sample contributes, opacities, and weighted sums of distances."""
    rays = len(samples.ray_start)
    weights, opacities, depths = torch.zeros_like(sigmas), sigmas.new_zeros(rays), sigmas.new_zeros(rays)
    result = Composited(weights, sigmas.new_zeros(rays, 1), opacities, depths)
    with on_stream_of(sigmas):
        compositing.composite(
            samples.for_kernels(), sigmas.contiguous(), sigmas.new_zeros(len(sigmas), 1), result
        )
    return weights, opacities, depths


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, sigmas: Tensor, values: Tensor, samples: PackedSamples, gradient_weights: Tensor | None
    ):
        ctx.save_for_backward(sigmas, values)
        ctx.gradient_weights = gradient_weights
        ctx.samples = samples
        rays = len(samples.ray_start)
        weights = torch.zeros_like(sigmas)
        sums = sigmas.new_zeros(rays, values.shape[1])
        opacities, depths = sigmas.new_zeros(rays), sigmas.new_zeros(rays)
        result = Composited(weights, sums, opacities, depths)
        with on_stream_of(sigmas):
            compositing.composite(samples.for_kernels(), sigmas, values, result)
        return sums, opacities, depths

    @staticmethod
    def backward(ctx, grad_sums: Tensor, grad_opacities: Tensor, grad_depths: Tensor):  # type: ignore[no-untyped-def]
        sigmas, values = ctx.saved_tensors
        grad_sigmas, grad_values = torch.zeros_like(sigmas), torch.zeros_like(values)
        gradients = Composited(None, *(g.contiguous() for g in (grad_sums, grad_opacities, grad_depths)))
        with on_stream_of(sigmas):
            compositing.composite_backward(
                ctx.samples.for_kernels(),
                sigmas,
                values,
                gradients,
                grad_sigmas,
                grad_values,
            )
        if ctx.gradient_weights is not None:
            grad_sigmas *= ctx.gradient_weights
            grad_values *= ctx.gradient_weights[:, None]
        return grad_sigmas, grad_values, None, None


@torch.no_grad()
def densities(field: Field, units: Float[Tensor, "M 3"], softness: float = 1.0) -> Float[Tensor, " M"]:
    """Densities in 1 / meter at points of the unit cube, without gradients."""
    parts = [field.sigmas(field.geometry(part).values, softness) for part in units.split(CHUNK)]
    return torch.cat(parts) if parts else units.new_zeros(0)


@torch.no_grad()
def values_on_grid(field: Field, cells: int) -> Float[Tensor, "G G G"]:
    """What the geometry branch says at the centers of the cells of the unit cube."""
    device = field.center.device
    axis = (torch.arange(cells, device=device) + 0.5) / cells
    values = torch.empty(cells, cells, cells, device=device)
    slab = max(1, 4 * CHUNK // (cells * cells))
    for first in range(0, cells, slab):
        points = torch.stack(torch.meshgrid(axis[first : first + slab], axis, axis, indexing="ij"), dim=-1)
        values[first : first + slab] = field.geometry(points.reshape(-1, 3)).values.reshape(-1, cells, cells)
    return values


@torch.no_grad()
def shell_occupancy(field: Field, cells: int = 96) -> UInt8[Tensor, "G G G"]:
    """The cells that the density ramp of a distance field can touch; those far behind it are solid."""
    values = values_on_grid(field, cells)
    reach = 3**0.5 / 2 / cells + field.spec.ramp
    return mark_empty_blocks(_shell(values, reach, 3 * reach))


@torch.no_grad()
def thin_shell(field: Field, cells: int, softness: float = 1.0) -> UInt8[Tensor, "G G G"]:
    """As `shell_occupancy` in twice as many cells as it asks for everywhere, and as thin as it can be.

    For surfaces as soft as `softness` says, or sharper. Costs little: only cells near the surface are
    looked into. It trusts distances near the surface, and holds until the field changes.
    """
    values = values_on_grid(field, cells // 2)
    half = 3**0.5 / 2
    ramp = softness * field.spec.ramp
    near = torch.nonzero(values.abs() < 4 * half / cells + BLOCKS_ALL * ramp)
    labels = _shell(values, 0.0, 0.0).repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)
    out, behind = half / cells + BEGINS * ramp, half / cells + BLOCKS_ALL * ramp
    for corner in torch.cartesian_prod(*[torch.arange(2, device=near.device)] * 3):
        inner = 2 * near + corner
        units = (inner + 0.5) / cells
        found = torch.cat([field.geometry(part).values for part in units.split(CHUNK)])
        labels[inner[:, 0], inner[:, 1], inner[:, 2]] = _shell(found, out, behind)
    return mark_empty_blocks(labels)


def mark_empty_blocks(labels: UInt8[Tensor, "G G G"]) -> UInt8[Tensor, "G G G"]:
    """Tell the cells of empty blocks, which rays cross at once, from other empty ones. In place."""
    cells = len(labels)
    if cells % raymarch.BLOCK:
        return labels
    blocks = labels.view(*(cells // raymarch.BLOCK, raymarch.BLOCK) * 3)
    empty = blocks.amax(5).amax(3).amax(1) == raymarch.EMPTY
    blocks.masked_fill_(empty[:, None, :, None, :, None], raymarch.EMPTY_BLOCK)
    return labels


def _shell(values: Float[Tensor, "*S"], out: float, behind: float) -> UInt8[Tensor, "*S"]:
    labels = torch.full_like(values, raymarch.EMPTY, dtype=torch.uint8)
    labels[values < out] = raymarch.OCCUPIED
    labels[values <= -behind] = raymarch.SOLID
    return labels
