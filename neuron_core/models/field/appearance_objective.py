"""Fit F_mat and F_shade on surface points; F_geo stays as it is.

Pixels that show one smooth surface are one point each. Those at edges and silhouettes are the
mean of several rays through the geometry that was learned.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from neuron_core.learning.objective import Optimized, ParamGroup, Step, Turn
from neuron_core.models.field.losses import jittered, psnr_of
from neuron_core.models.field.model import Field, Style
from neuron_core.models.field.shading import Reflection
from neuron_core.models.field.spec import CODE_CHANNELS
from neuron_core.models.field.supervision import EDGE_SHARE, Supervision, supervise
from neuron_core.models.field.surface_data import SurfacePool
from neuron_core.models.field.surface_hits import MIN_OPACITY, reflected_hits
from neuron_core.models.field.unrendered_records import WIDTH, UnrenderedRecords
from neuron_core.networks.layers import mlp

CODE_L2 = 1e-4  # weight of the penalty on the size of codes
DETAIL_WEIGHT = 1e-4  # weight of the penalty on looks that use fine levels
HEAD_WIDTH = 32  # hidden units of the auxiliary head that reads records in codes
RECORD_WEIGHT = 0.05  # of what records say, beside pictures
RECORD_LOOKS, RECORD_POINTS = 16, 512  # of a step


class Drawn(NamedTuple):
    """What a step is about: some looks of one supervision, and some of its pixels."""

    supervision: Supervision
    chosen: Int[Tensor, " L"]  # rows of the supervision's looks
    own: Int[Tensor, " K"]  # pixels that are one point each
    edges: Int[Tensor, " E"]  # pixels at edges
    rows: Int[Tensor, " B"]  # of all rays that were traced: those of `own`, then the fans of `edges`


class AppearanceObjective:
    """The appearance of a rendered asset under prompts."""

    name = "appearance"

    def __init__(
        self,
        field: Field,
        pool: SurfacePool,
        prompts: Float[Tensor, "M V W"],
        batch: int,
        seed: int,
        looks_per_step: int = 8,
        unrendered: UnrenderedRecords | None = None,
    ) -> None:
        """`prompts` are V paraphrases of each of M looks; `seed` is what the auxiliary head begins with."""
        self.field = field
        self.unrendered = unrendered
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.record_head = mlp([CODE_CHANNELS + 1, HEAD_WIDTH, WIDTH]).to(pool.points.device)
        self.batch = batch
        self.prompts = prompts
        self.looks = looks_per_step
        self.supervisions, points, rays_d = supervise(field, pool)
        self.supervision_of = torch.empty(len(prompts), dtype=torch.long)
        for index, supervision in enumerate(self.supervisions):
            self.supervision_of[supervision.looks.cpu()] = index
        with torch.no_grad():
            self.rays_d = rays_d
            self.units = field.units(points).clamp(0.0, 1.0)
            self.reflected = reflected_hits(field, points, rays_d)

    def optimized(self) -> Sequence[Optimized]:
        """Material branch, shader, and the auxiliary head."""
        own = [*self.field.material.parameters(), *self.field.shader.parameters()]
        head = [] if self.unrendered is None else list(self.record_head.parameters())
        return [Optimized("field", [ParamGroup([*own, *head])])]

    def state(self) -> Mapping[str, Tensor]:
        """The auxiliary head."""
        return {} if self.unrendered is None else self.record_head.state_dict()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put the auxiliary head back."""
        if self.unrendered is not None:
            self.record_head.load_state_dict(dict(state))

    def turns(self, step: Step) -> Iterator[Turn]:
        """One loss on points that all looks of the step share."""
        device = self.units.device
        random = step.generator(self.name, device)
        drawn = self.draw(step, random)
        looks = drawn.supervision.looks[drawn.chosen]
        paraphrases = torch.randint(self.prompts.shape[1], (len(looks),), generator=random, device=device)
        rows = drawn.rows
        units = self.units[rows]
        with torch.no_grad():
            structure = self.field.geometry(units)
        style = self.field.material.style(jittered(self.prompts[looks, paraphrases], random))
        codes = self.field.material(units, structure, style)
        geometry = self.field.shader.geometry(structure.normals, self.rays_d[rows])
        colors = self.field.shader(codes, geometry, self.reflection(rows, style))
        errors = drawn.supervision.errors(colors, drawn.chosen, drawn.own, drawn.edges)
        terms = {"picture": errors.points}
        if errors.edges is not None:
            terms["edges"] = errors.edges
        error = errors.total.detach()
        terms["codes"] = CODE_L2 * codes.square().mean()
        terms["detail"] = DETAIL_WEIGHT * style.detail.mean()
        metrics = {"loss": error, "psnr": psnr_of(error)}
        if self.unrendered is not None:
            records = self._record_error(self.unrendered, step, random)
            terms["records"] = RECORD_WEIGHT * records
            metrics["records"] = records.detach()
        yield Turn("field", terms, metrics)

    def draw(self, step: Step, random: torch.Generator) -> Drawn:
        """The looks of a step, and this process's share of its pixels."""
        device = self.units.device
        asked = torch.randint(len(self.prompts), (1,), generator=random, device=device)
        supervision = self.supervisions[int(self.supervision_of[asked.cpu()])]
        pixels = round(EDGE_SHARE * self.batch / supervision.fan) if supervision.pixels else 0
        own = torch.randint(
            supervision.points, (self.batch - pixels * supervision.fan,), generator=random, device=device
        )
        edges = torch.randint(max(supervision.pixels, 1), (pixels,), generator=random, device=device)
        chosen = torch.randperm(len(supervision.looks), generator=random, device=device)[: self.looks]
        own, edges = step.share(own), step.share(edges)
        fan = torch.arange(supervision.fan, device=device)
        fans = supervision.points + edges[:, None] * supervision.fan + fan
        rows = supervision.first + torch.cat([own, fans.reshape(-1)])
        return Drawn(supervision, chosen, own, edges, rows)

    def _record_error(
        self, unrendered: UnrenderedRecords, step: Step, random: torch.Generator
    ) -> Float[Tensor, ""]:
        """How badly codes tell what records say, of materials that need not have been rendered."""
        device = unrendered.points.device
        looks = torch.randint(len(unrendered.prompts), (RECORD_LOOKS,), generator=random, device=device)
        paraphrases = torch.randint(
            unrendered.prompts.shape[1], (RECORD_LOOKS,), generator=random, device=device
        )
        rows = torch.randint(len(unrendered.points), (RECORD_POINTS,), generator=random, device=device)
        rows = step.share(rows)
        units = self.field.units(unrendered.points[rows])
        with torch.no_grad():
            structure = self.field.geometry(units)
        style = self.field.material.style(jittered(unrendered.prompts[looks, paraphrases], random))
        codes = self.field.material(units, structure, style)
        occlusion = unrendered.occlusion[rows].expand(len(looks), -1, -1)
        read = self.record_head(torch.cat([codes, occlusion], dim=-1))
        return F.mse_loss(read, unrendered.values[looks[:, None], rows].float())

    @torch.no_grad()
    def reflection(self, rows: Tensor, style: Style) -> Reflection:
        """What the shader says now about what is mirrored; it learns that from where it is seen."""
        reflected, shader = self.reflected, self.field.shader
        hit = torch.nonzero(reflected.opacities[rows] > MIN_OPACITY).squeeze(-1)
        seen = rows[hit]
        structure = self.field.geometry(reflected.units[seen])
        codes = self.field.material(reflected.units[seen], structure, style)
        colors = shader(codes, shader.geometry(structure.normals, reflected.directions[seen]))
        rgbs = colors.new_zeros(len(colors), len(rows), 3)
        rgbs[:, hit] = colors
        return Reflection(rgbs, reflected.opacities[rows])
