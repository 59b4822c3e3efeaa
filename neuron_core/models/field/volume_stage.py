"""Fit a field to the colors of rays, by rendering it (NeRF by Mildenhall et al. 2020)."""

import math
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from neuron_core.models.field import occupancy
from neuron_core.models.field.model import Field
from neuron_core.models.field.ray_data import RayBatch, RayPool
from neuron_core.models.field.render import RayRange, shade_rays
from neuron_core.models.field.stages import generator
from neuron_core.models.field.volume import PackedSamples, march_spec, sample_rays

FIRST_RAYS = 128  # of the first step, when every ray has hundreds of samples
LEAST_RAYS = 32
LOOK_EVERY = 16  # steps between looks into cells that no ray looks into
PART = 16  # one cell in so many at a time
MEMORY = 0.9  # what cells remember from one look to the next
SAMPLES_PER_RAY = 32
FOG = 1e-3  # weight of the penalty on half-opaque rays, where photographs have alpha
FULL_WEIGHT = 0.35  # of the cube's side: gradients of what is nearer to its camera are scaled down
GAIN_SCALE = 0.1  # of the parameters that exposures are learned by, to learn them slowly
EVEN_GAINS = 1e-3  # weight of the penalty on exposures that differ


class VolumeStage:
    """Whole field at once. Steps hold about a fixed number of samples, not of rays: memory is bounded.

    Photographs with a background learn an exposure each; it is no part of the field.
    """

    name = "volume"

    def __init__(
        self,
        field: Field,
        pool: RayPool,
        prompt: Float[Tensor, " W"],
        rays: RayRange,
        batch: int,
        most_samples: int,
        seed: int,
    ) -> None:
        self.field = field
        self.pool = pool
        self.prompt = prompt
        self.rays = rays
        self.most_rays = batch
        self.most_samples = most_samples
        self.seed = seed
        self.transparent = pool.transparent
        self.count = min(FIRST_RAYS, batch)
        self.gains = nn.Parameter(torch.zeros(pool.views, 3, device=pool.colors.device))
        self.spec = march_spec(field, rays.step, rays.cone)
        side = 2 * field.spec.half_side
        self.full_weight = FULL_WEIGHT * side

    def parameters(self) -> Iterable[nn.Parameter]:
        """Everything, and the exposures."""
        return [*self.field.parameters(), self.gains]

    def state(self) -> Mapping[str, Tensor]:
        """What going on needs beside the field."""
        return {"gains": self.gains.detach(), "count": torch.tensor(self.count)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""
        with torch.no_grad():
            self.gains.copy_(state["gains"])
        self.count = int(state["count"])

    def backward(self, step: int) -> Mapping[str, float]:
        """One step on random pixels of all photographs."""
        device = self.pool.colors.device
        random = generator(self.seed, self.name, step, device)
        self._look(step, random)
        rows = torch.randint(len(self.pool), (self.count,), generator=random, device=device)
        backdrop = torch.rand(self.count, 3, generator=random, device=device)
        samples, rays = self._sample(self.pool.batch(rows), self.seed + step)
        style = self.field.material.style(self.prompt[None])
        weights = (samples.t_mid / self.full_weight).square().clamp_max(1.0)
        pixels, sigmas = shade_rays(self.field, samples, rays.rays_d, style, weights)
        occupancy.remember(self.field, samples, self._blocked(samples, sigmas.detach()))
        alphas = pixels.opacities[:, None]
        # A random backdrop shows through wherever the field is less opaque than the photograph.
        backdrop = backdrop[: len(alphas)]
        rgbs = self._exposed(pixels.rgbs[0], rays) + (1 - alphas) * backdrop
        wanted = torch.lerp(backdrop, rays.colors[:, :3], rays.colors[:, 3:])
        error = F.mse_loss(rgbs, wanted)
        loss = F.huber_loss(rgbs, wanted, delta=0.1) * 5 + EVEN_GAINS * self.gains.square().mean()
        if self.transparent:
            loss = loss + FOG * (alphas * (1 - alphas)).mean()
        loss.backward()
        psnr = -10 * math.log10(max(error.item(), 1e-12))
        return {"loss": loss.item(), "psnr": psnr, "rays": float(len(alphas)), "samples": float(len(samples))}

    def _sample(self, rays: RayBatch, seed: int) -> tuple[PackedSamples, RayBatch]:
        """The samples that are worth their gradients; fewer rays if there are too many."""
        cells = occupancy.occupied(self.field)
        near, far = self.rays.near, self.rays.far
        samples = sample_rays(self.spec, rays.rays_o, rays.rays_d, near, far, cells, seed)
        samples = samples.resampled(self.field, rays.rays_o, rays.rays_d, SAMPLES_PER_RAY, seed)
        kept = len(samples)
        count = self.count * min(max(self.most_samples / max(kept, 1), 0.5), 1.5)
        self.count = round(min(max(count, LEAST_RAYS), self.most_rays))
        if kept > 2 * self.most_samples:
            used = max(1, int(torch.searchsorted(samples.ray_count.cumsum(0), 2 * self.most_samples)))
            return samples.first_rays(used), rays.first(used)
        return samples, rays

    def _blocked(self, samples: PackedSamples, sigmas: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
        steps = (samples.t_mid * self.spec.cone).clamp(self.spec.step_min, self.spec.step_max)
        return -torch.expm1(-sigmas * steps)

    def _exposed(self, rgbs: Float[Tensor, "R 3"], rays: RayBatch) -> Float[Tensor, "R 3"]:
        if self.transparent:
            return rgbs
        gains = GAIN_SCALE * (self.gains - self.gains.mean(dim=0))
        return rgbs * torch.exp(F.embedding(rays.views, gains))

    def _look(self, step: int, random: torch.Generator) -> None:
        """Forget a little, and look into a part of all cells; first into all."""
        grid = self.field.occupancy
        if step % LOOK_EVERY:
            return
        first = step == 0
        occupancy.forget(self.field, 0.0 if first else MEMORY)
        begin, part = (0, 1) if first else (step // LOOK_EVERY % PART, PART)
        cells = torch.arange(begin, grid.numel(), part, device=grid.device)
        jitter = torch.rand(len(cells), 3, generator=random, device=grid.device)
        side = 2 * self.field.spec.half_side
        occupancy.look(self.field, cells, jitter, self.rays.step * side, self.rays.cone)
