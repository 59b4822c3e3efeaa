"""Fit F_geo to positions and normals: distances along the normals, free and solid space."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from neuron_core.learning.objective import Optimized, ParamGroup, Stateless, Step, Turn
from neuron_core.models.field.model import Field
from neuron_core.models.field.surface_data import FREE, INSIDE, SpaceLabels, SurfacePool

REACH = 3.0  # ramps on either side of the surface in which distances are learned
OFF_SURFACE_NORMALS = 0.25  # weight of normals beside the surface


class Drawn(NamedTuple):
    """The points of one step, in the field's cube. B surface points, and some of each other kind."""

    on: Float[Tensor, "B 3"]
    normals: Float[Tensor, "B 3"]  # of the surface points
    beside: Float[Tensor, "B 3"]  # along the normals of the surface points
    offsets: Float[Tensor, " B"]  # how far, outwards
    before: Float[Tensor, "F 3"]  # seen through: before the surface, and on rays that just miss
    space: Float[Tensor, "S 3"]  # in cells that are free or inside
    signs: Float[Tensor, " S"]  # 1 in free cells, -1 inside
    outside: Float[Tensor, "O 3"]  # beside the asset's box
    gaps: Float[Tensor, " O"]  # how far


class ShapeObjective(Stateless):
    """The shape of a rendered asset, from surface points, points off the surface and points in space."""

    name = "geometry"

    def __init__(
        self,
        field: Field,
        pool: SurfacePool,
        space: SpaceLabels,
        box: Float[Tensor, "2 3"],
        batch: int,
    ) -> None:
        """`box` is the asset's: nothing is outside."""
        self.field = field
        self.batch = batch
        self.units = field.units(pool.points)
        self.normals = pool.normals
        self.rays_d = pool.rays_d
        self.near_miss_o = field.units(pool.near_miss_o)  # straight lines stay straight in the cube
        self.near_miss_d = pool.near_miss_d / (2 * field.spec.half_side)
        self.low, self.high = field.units(box)
        self.cells = space.labels.shape[0]
        # Cells that teach nothing are never drawn.
        self.known = torch.nonzero(space.labels.flatten() <= INSIDE).squeeze(-1)
        self.free = space.labels.flatten()[self.known] == FREE
        self.reach = REACH * field.spec.ramp

    def optimized(self) -> Sequence[Optimized]:
        """The geometry branch."""
        return [Optimized("field", [ParamGroup(list(self.field.geometry.parameters()))])]

    def turns(self, step: Step) -> Iterator[Turn]:
        """One loss on all kinds of points."""
        drawn = self.draw(step)
        parts = [drawn.on, drawn.beside, drawn.before, drawn.space, drawn.outside]
        structure = self.field.geometry(torch.cat(parts).clamp(0.0, 1.0))
        on, beside, before, space, outside = structure.values.split([len(part) for part in parts])
        scale = 1.0 / self.reach
        # Not squared: a few wrong normals at edges must not outweigh small errors everywhere.
        bent = structure.normals[: len(on) + len(beside)] - drawn.normals.repeat(2, 1)
        errors = bent.norm(dim=-1)
        terms = {
            "surface": (on * scale).abs().mean(),
            "distance": F.l1_loss(beside * scale, drawn.offsets * scale),
            "free": F.relu(-before * scale).mean(),
            "outside": F.relu((drawn.gaps - outside) * scale).mean(),
            "space": F.relu(1.0 - drawn.signs * space * scale).mean(),
            "normal": errors[: len(on)].mean(),
            "normal_beside": OFF_SURFACE_NORMALS * errors[len(on) :].mean(),
        }
        found = {name: term.detach() for name, term in terms.items()}
        metrics = {
            "distance": found["surface"] + found["distance"],
            "free": found["free"] + found["outside"],
            "normal": found["normal"] + found["normal_beside"],
        }
        yield Turn("field", terms, metrics)

    def draw(self, step: Step) -> Drawn:
        """The points of a step: this process's share of each kind."""
        device = self.units.device
        random = step.generator(self.name, device)
        rows = torch.randint(len(self.units), (self.batch,), generator=random, device=device)
        cells = torch.randint(len(self.known), (self.batch // 2,), generator=random, device=device)
        jitter = torch.rand(len(cells), 3, generator=random, device=device)
        spread = torch.rand(self.batch, generator=random, device=device) * 2 - 1
        ahead = torch.rand(self.batch, generator=random, device=device) * self.reach * 1.5
        outside, gaps = self._outside_box(random)
        missing = self._on_near_misses(random)
        rows, cells, jitter, spread, ahead, outside, gaps, missing = (
            step.share(part) for part in (rows, cells, jitter, spread, ahead, outside, gaps, missing)
        )
        on, normals = self.units[rows], self.normals[rows]
        offsets = spread.abs() * spread * self.reach  # denser near the surface
        return Drawn(
            on=on,
            normals=normals,
            beside=on + offsets[:, None] * normals,
            offsets=offsets,
            before=torch.cat([on - ahead[:, None] * self.rays_d[rows], missing]),
            space=(self._corners(self.known[cells]) + jitter) / self.cells,
            signs=torch.where(self.free[cells], 1.0, -1.0),
            outside=outside,
            gaps=gaps,
        )

    def _on_near_misses(self, random: torch.Generator) -> Float[Tensor, "B 3"]:
        """Points where rays that just miss cross the cube."""
        device = self.near_miss_o.device
        rows = torch.randint(len(self.near_miss_o), (self.batch // 2,), generator=random, device=device)
        places = torch.rand(self.batch // 2, 1, generator=random, device=device)
        origins, directions = self.near_miss_o[rows], self.near_miss_d[rows]
        middle = ((0.5 - origins) * directions).sum(-1, keepdim=True) / directions.square().sum(
            -1, keepdim=True
        )
        # Around the point next to the center: the chord of the sphere through the cube's faces.
        half = 0.5 / directions.norm(dim=-1, keepdim=True)
        return origins + (middle + (places * 2 - 1) * half) * directions

    def _outside_box(self, random: torch.Generator) -> tuple[Float[Tensor, "B 3"], Float[Tensor, " B"]]:
        """Points just outside a face of the asset's box, and how far: the distance is at least that."""
        device = self.units.device
        count = self.batch // 4
        points = torch.rand(count, 3, generator=random, device=device)
        gaps = torch.rand(count, generator=random, device=device) * self.reach
        faces = torch.randint(6, (count,), generator=random, device=device)
        axes = faces % 3
        limits = torch.where(faces < 3, self.low[axes] - gaps, self.high[axes] + gaps)
        return points.scatter(1, axes[:, None], limits[:, None]), gaps

    def _corners(self, cells: Tensor) -> Tensor:
        n = self.cells
        return torch.stack([cells // (n * n), cells // n % n, cells % n], dim=-1).float()
