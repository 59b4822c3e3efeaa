"""Fit a field to the colors of rays, by rendering it (NeRF by Mildenhall et al. 2020)."""

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from neuron_core.learning.objective import Metrics, Optimized, ParamGroup, Step, Turn, value_of
from neuron_core.models.field import occupancy
from neuron_core.models.field.losses import psnr_of
from neuron_core.models.field.model import Field
from neuron_core.models.field.ray_data import RayBatch, RayPool
from neuron_core.models.field.render import RayRange, shade_rays
from neuron_core.models.field.volume import PackedSamples, densities, march_spec, sample_rays

FIRST_RAYS = 128  # of the first step, when every ray has hundreds of samples
MIN_RAYS = 32
UPDATE_EVERY = 16  # steps between probes of cells that no ray looks into
UPDATE_PARTS = 16  # one cell in so many at a time
OCCUPANCY_DECAY = 0.9  # from one update to the next
SAMPLES_PER_RAY = 32
OPACITY_ENTROPY = 1e-3  # weight of the penalty on half-opaque rays, where photographs have alpha
FULL_WEIGHT = 0.35  # of the cube's side: gradients of what is nearer to its camera are scaled down
EXPOSURE_SCALE = 0.1  # of the parameters that exposures are learned by, to learn them slowly
EXPOSURE_WEIGHT = 1e-3  # of the penalty on exposures that differ
COLOR_WEIGHT, COLOR_DELTA = 5.0, 0.1  # of the Huber loss on colors


class PhotographsObjective:
    """Whole field at once. Steps hold about a fixed number of samples, not of rays: memory is bounded.

    Photographs with a background learn an exposure each, which the field does not keep.
    """

    name = "volume"

    def __init__(
        self,
        field: Field,
        pool: RayPool,
        prompt: Float[Tensor, " W"],
        rays: RayRange,
        batch: int,
        max_samples: int,
    ) -> None:
        """At most `batch` rays a step, and about `max_samples` samples."""
        self.field = field
        self.pool = pool
        self.prompt = prompt
        self.rays = rays
        self.max_rays = batch
        self.max_samples = max_samples
        self.transparent = pool.transparent
        self.count = min(FIRST_RAYS, batch)
        self.exposures = nn.Parameter(torch.zeros(pool.views, 3, device=pool.colors.device))
        self.spec = march_spec(field, rays.step, rays.cone)
        side = 2 * field.spec.half_side
        self.full_weight = FULL_WEIGHT * side

    def optimized(self) -> Sequence[Optimized]:
        """Everything but the mirror, which photographs do not teach; exposures where there are any."""
        mirror = {id(parameter) for parameter in self.field.shader.mirror.parameters()}
        trained = [parameter for parameter in self.field.parameters() if id(parameter) not in mirror]
        exposures = [] if self.transparent else [self.exposures]
        return [Optimized("field", [ParamGroup([*trained, *exposures])])]

    def state(self) -> Mapping[str, Tensor]:
        """The exposures, and how many rays the next step has."""
        return {"exposures": self.exposures.detach(), "count": torch.tensor(self.count)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""
        with torch.no_grad():
            self.exposures.copy_(state["exposures"])
        self.count = int(state["count"])

    def turns(self, step: Step) -> Iterator[Turn]:
        """One loss on random pixels of all photographs."""
        device = self.pool.colors.device
        random = step.generator(self.name, device)
        self._update_occupancy(step.index, random)
        count = _multiple(self.count, step.ranks)
        rows = torch.randint(len(self.pool), (count,), generator=random, device=device)
        backdrop = torch.rand(count, 3, generator=random, device=device)
        samples, rays = self._sample(self.pool.batch(rows), step)
        backdrop = backdrop[: len(rays.rays_d)]
        if step.ranks > 1:
            samples, rays, backdrop = self._own(samples, rays, backdrop, step)
        style = self.field.material.style(self.prompt[None])
        weights = (samples.t_mid / self.full_weight).square().clamp_max(1.0)
        pixels, sigmas = shade_rays(self.field, samples, rays.rays_d, style, weights)
        if step.ranks == 1:
            occupancy.update(self.field, samples, self._blocked(samples, sigmas.detach()))
        alphas = pixels.opacities[:, None]
        # A random backdrop shows through wherever the field is less opaque than the photograph.
        rgbs = self._exposed(pixels.rgbs[0], rays) + (1 - alphas) * backdrop
        wanted = torch.lerp(backdrop, rays.colors[:, :3], rays.colors[:, 3:])
        error = F.mse_loss(rgbs.detach(), wanted)
        terms = {"color": F.huber_loss(rgbs, wanted, delta=COLOR_DELTA) * COLOR_WEIGHT}
        if self.transparent:
            terms["opacity"] = OPACITY_ENTROPY * (alphas * (1 - alphas)).mean()
        else:
            terms["exposure"] = EXPOSURE_WEIGHT * self.exposures.square().mean()
        metrics: Metrics = {
            "loss": value_of(terms),
            "psnr": psnr_of(error),
            "rays": float(len(alphas)),
            "samples": float(len(samples)),
        }
        yield Turn("field", terms, metrics)

    def _sample(self, rays: RayBatch, step: Step) -> tuple[PackedSamples, RayBatch]:
        """The samples that are worth their gradients; fewer rays if there are too many."""
        cells, seed = occupancy.occupied(self.field), step.seed + step.index
        near, far = self.rays.near, self.rays.far
        samples = sample_rays(self.spec, rays.rays_o, rays.rays_d, near, far, cells, seed)
        samples = samples.resampled(self.field, rays.rays_o, rays.rays_d, SAMPLES_PER_RAY, seed)
        kept = len(samples)
        count = self.count * min(max(self.max_samples / max(kept, 1), 0.5), 1.5)
        self.count = round(min(max(count, MIN_RAYS), self.max_rays))
        if kept > 2 * self.max_samples:
            used = int(torch.searchsorted(samples.ray_count.cumsum(0), 2 * self.max_samples))
            used = _multiple(max(1, used), step.ranks)
            return samples.first_rays(used), rays.first(used)
        return samples, rays

    def _own(
        self, samples: PackedSamples, rays: RayBatch, backdrop: Tensor, step: Step
    ) -> tuple[PackedSamples, RayBatch, Tensor]:
        """This process's share of the rays. What all cells hold, all processes have to know."""
        sigmas = densities(self.field, samples.units)
        occupancy.update(self.field, samples, self._blocked(samples, sigmas))
        own = step.share(torch.arange(len(backdrop), device=backdrop.device))
        return samples.of_rays(own), RayBatch(*(part[own] for part in rays)), backdrop[own]

    def _blocked(self, samples: PackedSamples, sigmas: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
        steps = (samples.t_mid * self.spec.cone).clamp(self.spec.step_min, self.spec.step_max)
        return -torch.expm1(-sigmas * steps)

    def _exposed(self, rgbs: Float[Tensor, "R 3"], rays: RayBatch) -> Float[Tensor, "R 3"]:
        if self.transparent:
            return rgbs
        exposures = EXPOSURE_SCALE * (self.exposures - self.exposures.mean(dim=0))
        return rgbs * torch.exp(F.embedding(rays.views, exposures))

    def _update_occupancy(self, step: int, random: torch.Generator) -> None:
        """Let all cells decay a little, and probe a part of them; all of them first."""
        grid = self.field.occupancy
        if step % UPDATE_EVERY:
            return
        first = step == 0
        occupancy.decay(self.field, 0.0 if first else OCCUPANCY_DECAY)
        begin, part = (0, 1) if first else (step // UPDATE_EVERY % UPDATE_PARTS, UPDATE_PARTS)
        cells = torch.arange(begin, grid.numel(), part, device=grid.device)
        jitter = torch.rand(len(cells), 3, generator=random, device=grid.device)
        side = 2 * self.field.spec.half_side
        occupancy.probe(self.field, cells, jitter, self.rays.step * side, self.rays.cone)


def _multiple(count: int, of: int) -> int:
    """The next smaller multiple, at least one of it."""
    return max(count // of, 1) * of
