"""Fit the whole field of a rendered dataset to random pixels of its frames, by rendering them.

The surface begins soft, so that rays have several live samples and geometry learns from color and
silhouette too, and ends as sharp as it is drawn (as the densities of VolSDF by Yariv et al. 2021).
"""

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from neuron_core.models.field.frame_data import FrameBatch, FramePool
from neuron_core.models.field.model import Field, Style
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.render import Pixels, shade_rays
from neuron_core.models.field.stages import LITTLE_DETAIL, generator, log_curve
from neuron_core.models.field.volume import PackedSamples, densities, march_spec, sample_rays, thin_shell

SOFTEST = 4.0  # times the ramp that is drawn
SHARP_AFTER = 0.5  # of the steps
CELLS = 192  # along a side, of the shell that rays look into
LOOK_EVERY = 500  # steps; the surface hardly moves
LEAST_LIGHT = 1e-3  # samples that less light passes in front of are not live,
LEAST_ALPHA = 5e-3  # nor are those that block less
GEOMETRY_PACE = 0.03  # of the learning rate: the surface was learned before
SILHOUETTE = 1.0  # weight of the opacities
TURNED = 0.1  # weight of the normals
DULLEST = -8.0  # what the gate of mirrors is shut by: frames do not teach it


class FrameStage:
    """Everything at once, on random pixels of whole frames: rays that miss are drawn like others.

    What a step draws follows from the seed and the step, so the next step's rays are gathered on
    another thread without changing anything.
    """

    name = "frames"

    def __init__(
        self,
        field: Field,
        pool: FramePool,
        prompts: Float[Tensor, "M V W"],
        batch: int,
        steps: int,
        seed: int,
        looks_per_step: int = 4,
    ) -> None:
        self.field = field
        self.pool = pool
        self.prompts = prompts
        self.batch = batch
        self.sharp_at = max(1, round(SHARP_AFTER * steps))
        self.seed = seed
        self.looks = min(looks_per_step, len(prompts))
        self.rays = ray_range(field.spec)
        self.spec = march_spec(field, self.rays.step)
        self.cells: UInt8[Tensor, "G G G"] | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="neuron-rays")
        self._next: tuple[int, Future[tuple[FrameBatch, Tensor]]] | None = None
        mirror = field.shader.mirror
        with torch.no_grad():
            mirror.weight[0].zero_()
            mirror.bias[0] = DULLEST

    def parameters(self) -> Iterable[Mapping[str, object]]:
        """Everything but what mirrors need; the geometry at its own pace."""
        field = self.field
        mirror = set(field.shader.mirror.parameters())
        shader = [parameter for parameter in field.shader.parameters() if parameter not in mirror]
        return [
            {"params": [*field.material.parameters(), *shader]},
            {"params": list(field.geometry.parameters()), "pace": GEOMETRY_PACE},
        ]

    def state(self) -> Mapping[str, Tensor]:
        """The cells that rays look into."""
        return {} if self.cells is None else {"cells": self.cells}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""
        self.cells = state["cells"].to(self.field.center.device)

    def backward(self, step: int) -> Mapping[str, float]:
        """One step on random pixels of all frames, all looks of the step at once."""
        if step % LOOK_EVERY == 0 or step == self.sharp_at or self.cells is None:
            self.cells = thin_shell(self.field, CELLS, self.softness(step))
        (batch, looks), count = self._batch(step), self.batch
        softness = self.softness(step)
        samples, batch = self.sample(batch, step, softness)
        random = generator(self.seed, "wordings", step, self.field.center.device)
        wording = torch.randint(self.prompts.shape[1], (self.looks,), generator=random, device=looks.device)
        style = self.field.material.style(self.prompts[looks, wording])
        pixels = self.render(samples, batch, style, softness)
        errors = log_curve(pixels.rgbs) - log_curve(batch.colors[..., :3])
        alphas = pixels.opacities - batch.colors[..., 3]
        bent = (pixels.normals - batch.normals).square().sum(-1)
        seen = pixels.opacities.detach() * batch.normals.abs().sum(-1).clamp_max(1.0)
        met = max(1, len(bent))  # the other rays have nothing to learn from
        loss = errors.square().sum() / (3 * self.looks * met) + SILHOUETTE * alphas.square().sum() / (
            self.looks * met
        )
        loss = loss + TURNED * (bent * seen).sum() / met + LITTLE_DETAIL * style.detail.mean()
        loss.backward()
        error = errors.detach().square().sum().item() / (3 * self.looks * count)
        return {
            "loss": loss.item(),
            "psnr": -10 * math.log10(max(error, 1e-12)),
            "rays": float(count),
            "hit_rays": float((pixels.opacities > 0.5).sum()),
            "samples": float(len(samples)),
        }

    def softness(self, step: int) -> float:
        """How many times as wide as drawn the surface is."""
        return float(SOFTEST ** max(0.0, 1.0 - step / self.sharp_at))

    def draw(self, step: int) -> tuple[FrameBatch, Int[Tensor, " L"]]:
        """The pixels of a step and the looks they are seen under: a function of the seed and the step."""
        device = self.pool.normals.device
        random = generator(self.seed, self.name, step, device)
        rows = torch.randint(len(self.pool), (self.batch,), generator=random, device=device)
        jitter = torch.rand(self.batch, 2, generator=random, device=device) - 0.5
        looks = torch.randperm(len(self.prompts), generator=random, device=device)[: self.looks]
        return self.pool.batch(rows, looks, jitter), looks

    def _batch(self, step: int) -> tuple[FrameBatch, Tensor]:
        waiting = self._next
        batch = waiting[1].result() if waiting and waiting[0] == step else self.draw(step)
        self._next = step + 1, self._worker.submit(self.draw, step + 1)
        return batch

    def render(self, samples: PackedSamples, batch: FrameBatch, style: Style, softness: float) -> Pixels:
        """What the rays of the batch see by their samples. Differentiable."""
        return shade_rays(self.field, samples, batch.rays_d, style, softness=softness)[0]

    def sample(self, batch: FrameBatch, step: int, softness: float) -> tuple[PackedSamples, FrameBatch]:
        """The live samples of the rays that meet the shell."""
        assert self.cells is not None
        near, far = self.rays.near, self.rays.far
        every = sample_rays(self.spec, batch.rays_o, batch.rays_d, near, far, self.cells, self.seed + step)
        samples, rows = every.met()
        sigmas = densities(self.field, samples.units, softness)
        return samples.visible(sigmas, LEAST_LIGHT, LEAST_ALPHA), batch.of(rows)
