"""Fit the whole field of a rendered dataset to random pixels of its frames, by rendering them.

The surface begins soft, so that rays have several live samples and geometry learns from color and
silhouette too, and ends as sharp as it is drawn (as the densities of VolSDF by Yariv et al. 2021).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from neuron_core.learning.objective import Metrics, Optimized, ParamGroup, Step, Turn, generator, value_of
from neuron_core.learning.prefetch import Ahead
from neuron_core.models.field.appearance_objective import DETAIL_WEIGHT
from neuron_core.models.field.frame_data import FrameBatch, FramePool
from neuron_core.models.field.losses import log_curve, psnr_of
from neuron_core.models.field.model import Field, Style
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.render import Pixels, shade_rays
from neuron_core.models.field.volume import PackedSamples, densities, march_spec, sample_rays, thin_shell

SOFTEST = 4.0  # times the ramp that is drawn
SHARP_AFTER = 0.5  # of the steps
UPDATE_EVERY = 500  # steps; the surface hardly moves
MIN_LIGHT = 1e-3  # samples that less light passes in front of are not live,
MIN_ALPHA = 5e-3  # nor are those that block less
GEOMETRY_RATE = 0.03  # of the learning rate: the surface was learned before
SILHOUETTE_WEIGHT = 1.0  # of the opacities
NORMAL_WEIGHT = 0.1
MIRROR_OFF = -8.0  # what the gate of mirrors is shut by: frames do not teach it


class Sampled(NamedTuple):
    """The rays that hit the shell, and their live samples."""

    samples: PackedSamples
    batch: FrameBatch
    hits: int  # rays of the whole step, of all processes


class FramesObjective:
    """Everything at once, on random pixels of whole frames: rays that miss are drawn like others."""

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
        shell_cells: int = 192,
    ) -> None:
        """`prompts` are V paraphrases of each of M looks; rays look into a shell of so many cells along
        a side."""
        self.field = field
        self.pool = pool
        self.prompts = prompts
        self.batch = batch
        self.sharp_at = max(1, round(SHARP_AFTER * steps))
        self.seed = seed
        self.shell_cells = shell_cells
        self.looks = min(looks_per_step, len(prompts))
        self.rays = ray_range(field.spec)
        self.spec = march_spec(field, self.rays.step)
        self.cells: UInt8[Tensor, "G G G"] | None = None
        self.ahead = Ahead(self.draw)
        mirror = field.shader.mirror
        with torch.no_grad():
            mirror.weight[0].zero_()
            mirror.bias[0] = MIRROR_OFF

    def optimized(self) -> Sequence[Optimized]:
        """Everything but what mirrors need; the geometry at a rate of its own."""
        field = self.field
        mirror = set(field.shader.mirror.parameters())
        shader = [parameter for parameter in field.shader.parameters() if parameter not in mirror]
        groups = [
            ParamGroup([*field.material.parameters(), *shader]),
            ParamGroup(list(field.geometry.parameters()), rate_factor=GEOMETRY_RATE),
        ]
        return [Optimized("field", groups)]

    def state(self) -> Mapping[str, Tensor]:
        """The cells that rays look into."""
        return {} if self.cells is None else {"cells": self.cells}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""
        self.cells = state["cells"].to(self.field.center.device)

    def turns(self, step: Step) -> Iterator[Turn]:
        """One loss on random pixels of all frames, all looks of the step at once."""
        index, softness = step.index, self.softness(step.index)
        if index % UPDATE_EVERY == 0 or index == self.sharp_at or self.cells is None:
            self.cells = thin_shell(self.field, self.shell_cells, softness)
        drawn, looks = self.ahead.at(index)
        samples, batch, hits = self.sample(drawn, step, softness)
        style = self.field.material.style(self.prompts[looks, self._paraphrases(index)])
        pixels = self.render(samples, batch, style, softness)
        errors = log_curve(pixels.rgbs) - log_curve(batch.colors[..., :3])
        alphas = pixels.opacities - batch.colors[..., 3]
        bent = (pixels.normals - batch.normals).square().sum(-1)
        seen = pixels.opacities.detach() * batch.normals.abs().sum(-1).clamp_max(1.0)
        # The other rays have nothing to learn from. Each process has its share of those that hit.
        rays = max(1, hits) / step.ranks
        terms = {
            "picture": errors.square().sum() / (3 * self.looks * rays),
            "silhouette": SILHOUETTE_WEIGHT * alphas.square().sum() / (self.looks * rays),
            "normal": NORMAL_WEIGHT * (bent * seen).sum() / rays,
            "detail": DETAIL_WEIGHT * style.detail.mean(),
        }
        error = errors.detach().square().sum() / (3 * self.looks * self.batch / step.ranks)
        metrics: Metrics = {
            "loss": value_of(terms),
            "psnr": psnr_of(error),
            "rays": float(self.batch),
            "hit_rays": (pixels.opacities.detach() > 0.5).sum(),
            "samples": float(len(samples)),
        }
        yield Turn("field", terms, metrics)

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

    def _paraphrases(self, step: int) -> Int[Tensor, " L"]:
        device = self.prompts.device
        random = generator(self.seed, "wordings", step, device)
        return torch.randint(self.prompts.shape[1], (self.looks,), generator=random, device=device)

    def render(self, samples: PackedSamples, batch: FrameBatch, style: Style, softness: float) -> Pixels:
        """What the rays of the batch see by their samples. Differentiable."""
        return shade_rays(self.field, samples, batch.rays_d, style, softness=softness)[0]

    def sample(self, batch: FrameBatch, step: Step, softness: float) -> Sampled:
        """The live samples of the rays that hit the shell: of this process's share of them."""
        assert self.cells is not None
        near, far = self.rays.near, self.rays.far
        seed = step.seed + step.index
        every = sample_rays(self.spec, batch.rays_o, batch.rays_d, near, far, self.cells, seed)
        samples, rows = every.hits()
        hits = len(rows)
        if step.ranks > 1:
            own = step.share(torch.arange(hits, device=rows.device))
            samples, rows = samples.of_rays(own), rows[own]
        sigmas = densities(self.field, samples.units, softness)
        return Sampled(samples.visible(sigmas, MIN_LIGHT, MIN_ALPHA), batch.of(rows), hits)
