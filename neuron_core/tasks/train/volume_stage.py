"""Fit a field to the colors of rays, by rendering it (NeRF by Mildenhall et al. 2020)."""

import math
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from neuron_core.fields import occupancy
from neuron_core.fields.field import Field
from neuron_core.fields.render import RayRange, shade_rays
from neuron_core.fields.volume import march_spec, sample_rays
from neuron_core.tasks.train.ray_data import RayPool
from neuron_core.tasks.train.stages import generator

LOOK_EVERY = 16  # steps between looks into the occupancy grid
FIRST_LOOKS = 512  # steps in which all cells are looked at, less often
FULL_EVERY = 64
PART = 8  # afterwards, one cell in so many at a time
FOG = 1e-3  # weight of the penalty on half-opaque rays, where photographs have alpha


class VolumeStage:
    """Whole field at once. Steps hold a fixed number of samples, not of rays: memory is bounded."""

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
        self.batch = batch
        self.most_samples = most_samples
        self.seed = seed
        self.transparent = bool((pool.colors[:, 3] < 255).any())

    def parameters(self) -> Iterable[nn.Parameter]:
        """Everything."""
        return self.field.parameters()

    def backward(self, step: int) -> Mapping[str, float]:
        """One step on random pixels of all photographs."""
        device = self.pool.directions.device
        random = generator(self.seed, self.name, step, device)
        self._look(step, random)
        rows = torch.randint(len(self.pool), (self.batch,), generator=random, device=device)
        background = torch.rand(self.batch, 3, generator=random, device=device)
        rays_o = self.pool.origins[self.pool.cameras[rows].long()]
        rays_d = self.pool.directions[rows]
        cells = occupancy.occupied(self.field)
        spec = march_spec(self.field, self.rays.step, self.rays.cone)
        samples = sample_rays(spec, rays_o, rays_d, self.rays.near, self.rays.far, cells, self.seed + step)
        used = self._within_budget(samples.ray_count)
        if used < len(rows):
            rows, rays_o, rays_d = rows[:used], rays_o[:used], rays_d[:used]
            samples = samples.first_rays(used)
        pixels = shade_rays(self.field, samples, rays_d, self.field.material.style(self.prompt[None]))
        targets = self.pool.colors[rows].float() / 255
        rgbs, alphas = pixels.rgbs[0], pixels.opacities[:, None]
        if self.transparent:
            rgbs = rgbs + (1 - alphas) * background[:used]
            wanted = targets[:, :3] * targets[:, 3:] + (1 - targets[:, 3:]) * background[:used]
        else:
            wanted = targets[:, :3]
        error = F.mse_loss(rgbs, wanted)
        loss = F.huber_loss(rgbs, wanted, delta=0.1) * 5
        if self.transparent:
            loss = loss + FOG * (alphas * (1 - alphas)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        psnr = -10 * math.log10(max(error.item(), 1e-12))
        return {"loss": loss.item(), "psnr": psnr, "rays": float(used), "samples": float(len(samples))}

    def _within_budget(self, counts: Tensor) -> int:
        ends = counts.cumsum(0)
        return max(1, int(torch.searchsorted(ends, self.most_samples, right=True)))

    def _look(self, step: int, random: torch.Generator) -> None:
        grid = self.field.occupancy
        total = grid.numel()
        if step == 0:
            grid.fill_(1.0)  # until the field has been looked at, everything may hold something
            return
        if step < FIRST_LOOKS:
            if step % FULL_EVERY:
                return
            cells = torch.arange(total, device=grid.device)
            grid.mul_(0.5)
        elif step % LOOK_EVERY == 0:
            cells = torch.randperm(total, generator=random, device=grid.device)[: total // PART]
        else:
            return
        jitter = torch.rand(len(cells), 3, generator=random, device=grid.device)
        side = 2 * self.field.spec.half_side
        occupancy.refresh(self.field, cells, jitter, self.rays.step * side, self.rays.cone)
