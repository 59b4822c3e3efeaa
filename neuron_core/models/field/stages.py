"""The stages of training: each is a set of parameters and a loss that is a function of the step.

What a step draws follows from (seed, stage, step) alone, so that a run that was stopped goes on
as if it had not been.
"""

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from neuron_core.foundation import interrupts
from neuron_core.models.field.described import WIDTH, DescribedLooks
from neuron_core.models.field.model import Field, Style
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.render import reflected_rays
from neuron_core.models.field.shading import Reflection
from neuron_core.models.field.spec import CODE_CHANNELS
from neuron_core.models.field.surface_data import FREE, INSIDE, SpaceLabels, SurfacePool
from neuron_core.models.field.volume import composite_weights, march_spec, sample_rays, shell_occupancy
from neuron_core.networks.layers import mlp

REACH = 3.0  # ramps on either side of the surface in which distances are learned
OFF_SURFACE = 0.25  # weight of normals beside the surface
SMALL_CODES = 1e-4  # penalties: on the size of codes,
LITTLE_DETAIL = 1e-4  # and on looks that use fine levels
FAINT = 0.05  # reflected rays that meet less are taken to meet nothing
TRACED = 1 << 15  # rays at once
AROUND = 4.0  # ramps before and behind a surface point in which its ray should meet something
SHAKE = 0.4  # length of what is added to prompt vectors, whose length is 1
READER_WIDTH = 32  # hidden units of what reads records in codes
RECORDS = 0.05  # weight of what records say, beside pictures
DESCRIBED_LOOKS, DESCRIBED_POINTS = 16, 512  # of a step
AT_EDGES = 0.25  # of a batch: points of pixels that show an edge
DARK = 0.05  # linear value from which the log curve is about logarithmic


@runtime_checkable
class Stage(Protocol):
    """One stage."""

    name: str

    def parameters(self) -> Iterable[nn.Parameter] | Iterable[Mapping[str, object]]:
        """What it changes, or groups of it: `params` and their `pace`, a part of the learning rate."""

    def state(self) -> Mapping[str, Tensor]:
        """What it keeps beside the field and needs to go on."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""

    def backward(self, step: int) -> Mapping[str, float]:
        """Add the gradients of one step; returns figures to show."""


def generator(seed: int, stage: str, step: int, device: torch.device) -> torch.Generator:
    """A source of random numbers that depends on nothing else."""
    mixed = zlib.crc32(f"{seed}/{stage}/{step}".encode())
    return torch.Generator(device).manual_seed(mixed)


def log_curve(linear: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Linear values on a scale that weighs dark and bright errors about as a person does; 1 stays 1."""
    return torch.log1p(linear.clamp_min(0.0) / DARK) / torch.log1p(torch.tensor(1.0 / DARK))


def shaken(vectors: Float[Tensor, "L W"], random: torch.Generator) -> Float[Tensor, "L W"]:
    """Prompt vectors moved about as far as other wordings would move them, so that wording matters little."""
    noise = torch.randn(vectors.shape, generator=random, device=vectors.device)
    return vectors + noise * (SHAKE / math.sqrt(vectors.shape[-1]))


class Stateless:
    """A stage that keeps nothing beside the field."""

    def state(self) -> Mapping[str, Tensor]:
        """Nothing."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to put back."""


class GeometryStage(Stateless):
    """Fit F_geo to positions and normals: distances along the normals, free and solid space."""

    name = "geometry"

    def __init__(
        self,
        field: Field,
        pool: SurfacePool,
        space: SpaceLabels,
        box: Float[Tensor, "2 3"],
        batch: int,
        seed: int,
    ) -> None:
        """`box` is the asset's: nothing is outside."""
        self.field = field
        self.batch = batch
        self.seed = seed
        self.units = field.units(pool.points)
        self.normals = pool.normals
        self.rays_d = pool.rays_d
        self.passing_o = field.units(pool.passing_o)  # straight lines stay straight in the cube
        self.passing_d = pool.passing_d / (2 * field.spec.half_side)
        self.low, self.high = field.units(box)
        self.cells = space.labels.shape[0]
        # Cells that teach nothing are never drawn.
        self.known = torch.nonzero(space.labels.flatten() <= INSIDE).squeeze(-1)
        self.outside = space.labels.flatten()[self.known] == FREE
        self.reach = REACH * field.spec.ramp

    def parameters(self) -> Iterable[nn.Parameter]:
        """The geometry branch."""
        return self.field.geometry.parameters()

    def backward(self, step: int) -> Mapping[str, float]:
        """One step on surface points, points off the surface and points in space."""
        device = self.units.device
        random = generator(self.seed, self.name, step, device)
        rows = torch.randint(len(self.units), (self.batch,), generator=random, device=device)
        cells = torch.randint(len(self.known), (self.batch // 2,), generator=random, device=device)
        jitter = torch.rand(len(cells), 3, generator=random, device=device)
        spread = torch.rand(self.batch, generator=random, device=device) * 2 - 1
        ahead = torch.rand(self.batch, generator=random, device=device) * self.reach * 1.5

        units, normals = self.units[rows], self.normals[rows]
        offsets = spread.abs() * spread * self.reach  # denser near the surface
        space_units = (self._corners(self.known[cells]) + jitter) / self.cells
        outside, gaps = self._outside_box(random)
        parts = [
            units,
            units + offsets[:, None] * normals,
            units - ahead[:, None] * self.rays_d[rows],
            self._on_passing_rays(random),
            space_units,
            outside,
        ]
        structure = self.field.geometry(torch.cat(parts).clamp(0.0, 1.0))
        on, off, *before, space, beyond = structure.values.split([len(part) for part in parts])
        scale = 1.0 / self.reach
        distance = (on * scale).abs().mean() + F.l1_loss(off * scale, offsets * scale)
        free = F.relu(-torch.cat(before) * scale).mean() + F.relu((gaps - beyond) * scale).mean()
        sign = torch.where(self.outside[cells], 1.0, -1.0)
        far = F.relu(1.0 - sign * space * scale).mean()
        # Not squared: a few wrong normals at edges must not outweigh small errors everywhere.
        errors = (structure.normals[: 2 * self.batch] - normals.repeat(2, 1)).norm(dim=-1)
        bent = errors[: self.batch].mean() + OFF_SURFACE * errors[self.batch :].mean()
        (distance + free + far + bent).backward()
        return {"distance": distance.item(), "free": free.item(), "normal": bent.item()}

    def _on_passing_rays(self, random: torch.Generator) -> Float[Tensor, "B 3"]:
        """Points where rays that miss cross the cube."""
        device = self.passing_o.device
        rows = torch.randint(len(self.passing_o), (self.batch // 2,), generator=random, device=device)
        places = torch.rand(self.batch // 2, 1, generator=random, device=device)
        origins, directions = self.passing_o[rows], self.passing_d[rows]
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


class AppearanceStage:
    """Fit F_mat and F_shade on surface points; F_geo stays as it is.

    Pixels that show one smooth surface are one point each. Those at edges and silhouettes are the
    mean of several rays through the geometry that was learned.
    """

    name = "appearance"

    def __init__(
        self,
        field: Field,
        pool: SurfacePool,
        prompts: Float[Tensor, "M V W"],
        batch: int,
        seed: int,
        looks_per_step: int = 8,
        described: DescribedLooks | None = None,
    ) -> None:
        self.field = field
        self.described = described
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.reader = mlp([CODE_CHANNELS + 1, READER_WIDTH, WIDTH]).to(pool.points.device)
        self.batch = batch
        self.seed = seed
        self.prompts = prompts
        self.looks = looks_per_step
        self.lessons, points, rays_d = _lessons(field, pool)
        self.lesson_of = torch.empty(len(prompts), dtype=torch.long)
        for index, lesson in enumerate(self.lessons):
            self.lesson_of[lesson.looks.cpu()] = index
        with torch.no_grad():
            self.rays_d = rays_d
            self.units = field.units(points).clamp(0.0, 1.0)
            self.mirrored = trace_reflections(field, points, rays_d)

    def parameters(self) -> Iterable[nn.Parameter]:
        """Material branch, shader, and what reads records in codes."""
        own = [*self.field.material.parameters(), *self.field.shader.parameters()]
        return own if self.described is None else [*own, *self.reader.parameters()]

    def state(self) -> Mapping[str, Tensor]:
        """The reader of records."""
        return {} if self.described is None else self.reader.state_dict()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put the reader back."""
        if self.described is not None:
            self.reader.load_state_dict(dict(state))

    def backward(self, step: int) -> Mapping[str, float]:
        """One step on points that all looks of the step share."""
        device = self.units.device
        random = generator(self.seed, self.name, step, device)
        asked = torch.randint(len(self.prompts), (1,), generator=random, device=device)
        lesson = self.lessons[int(self.lesson_of[asked.cpu()])]
        own, edges, rows = self._draw(lesson, random)
        chosen = torch.randperm(len(lesson.looks), generator=random, device=device)[: self.looks]
        looks = lesson.looks[chosen]
        wording = torch.randint(self.prompts.shape[1], (len(looks),), generator=random, device=device)
        units = self.units[rows]
        with torch.no_grad():
            structure = self.field.geometry(units)
        style = self.field.material.style(shaken(self.prompts[looks, wording], random))
        codes = self.field.material(units, structure, style)
        geometry = self.field.shader.geometry(structure.normals, self.rays_d[rows])
        colors = self.field.shader(codes, geometry, self._reflection(rows, style))
        error = lesson.error(colors, chosen, own, edges)
        loss = error + SMALL_CODES * codes.square().mean() + LITTLE_DETAIL * style.detail.mean()
        told = {"loss": error.item(), "psnr": -10 * math.log10(max(error.item(), 1e-12))}
        if self.described is not None:
            records = self._records(self.described, random)
            loss = loss + RECORDS * records
            told["records"] = records.item()
        loss.backward()
        return told

    def _records(self, described: DescribedLooks, random: torch.Generator) -> Float[Tensor, ""]:
        """How badly codes tell what records say, of materials that need not have been rendered."""
        device = described.points.device
        looks = torch.randint(len(described.prompts), (DESCRIBED_LOOKS,), generator=random, device=device)
        wording = torch.randint(
            described.prompts.shape[1], (DESCRIBED_LOOKS,), generator=random, device=device
        )
        rows = torch.randint(len(described.points), (DESCRIBED_POINTS,), generator=random, device=device)
        units = self.field.units(described.points[rows])
        with torch.no_grad():
            structure = self.field.geometry(units)
        style = self.field.material.style(shaken(described.prompts[looks, wording], random))
        codes = self.field.material(units, structure, style)
        occlusion = described.occlusion[rows].expand(len(looks), -1, -1)
        told = self.reader(torch.cat([codes, occlusion], dim=-1))
        return F.mse_loss(told, described.values[looks[:, None], rows].float())

    def _draw(self, lesson: "Lesson", random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Which points, which pixels at edges, and the rows of both among all that were traced."""
        device = self.units.device
        pixels = round(AT_EDGES * self.batch / lesson.fan) if lesson.pixels else 0
        own = torch.randint(
            lesson.points, (self.batch - pixels * lesson.fan,), generator=random, device=device
        )
        edges = torch.randint(max(lesson.pixels, 1), (pixels,), generator=random, device=device)
        fans = lesson.points + edges[:, None] * lesson.fan + torch.arange(lesson.fan, device=device)
        return own, edges, lesson.first + torch.cat([own, fans.reshape(-1)])

    @torch.no_grad()
    def _reflection(self, rows: Tensor, style: Style) -> Reflection:
        """What the shader says now about what is mirrored; it learns that from where it is seen."""
        mirrored, shader = self.mirrored, self.field.shader
        hit = torch.nonzero(mirrored.opacities[rows] > FAINT).squeeze(-1)
        met = rows[hit]
        structure = self.field.geometry(mirrored.units[met])
        codes = self.field.material(mirrored.units[met], structure, style)
        colors = shader(codes, shader.geometry(structure.normals, mirrored.directions[met]))
        rgbs = colors.new_zeros(len(colors), len(rows), 3)
        rgbs[:, hit] = colors
        return Reflection(rgbs, mirrored.opacities[rows])


@dataclass(frozen=True, slots=True)
class Lesson:
    """What some materials look like from the cameras that saw them: pixels that are one point each
    (rows `first` and on of what is traced), and pixels at edges, a fan of rays each (the rows after)."""

    looks: Int[Tensor, " M"]
    first: int
    targets: Float[Tensor, "M K 3"]  # on the log curve
    edge_targets: Float[Tensor, "M E 3"]
    edge_opacities: Float[Tensor, "E S 1"]

    @property
    def points(self) -> int:
        """Pixels that are one point each."""
        return self.targets.shape[1]

    @property
    def pixels(self) -> int:
        """Pixels at edges."""
        return self.edge_targets.shape[1]

    @property
    def fan(self) -> int:
        """Rays of such a pixel."""
        return self.edge_opacities.shape[1]

    def error(
        self, colors: Float[Tensor, "L B 3"], chosen: Tensor, own: Tensor, edges: Tensor
    ) -> Float[Tensor, ""]:
        """Mean squared error on the log curve; pixels at edges weigh as much as they are of a batch.

        `chosen` are rows of `looks`, `own` points, whose colors come first, and `edges` pixels at edges.
        """
        inner, fans = colors[:, : len(own)], colors[:, len(own) :]
        error = F.mse_loss(log_curve(inner), self.targets[chosen[:, None], own])
        if not len(edges):
            return error
        mixed = fans.unflatten(1, (len(edges), self.fan)) * self.edge_opacities[edges]
        at_edges = F.mse_loss(log_curve(mixed.mean(dim=2)), self.edge_targets[chosen[:, None], edges])
        return (1.0 - AT_EDGES) * error + AT_EDGES * at_edges


@torch.no_grad()
def _lessons(field: Field, pool: SurfacePool) -> tuple[list[Lesson], Tensor, Tensor]:
    """The lessons of a pool, and points and directions [N, 3] of all that they are about."""
    lessons, points, rays_d, first = [], [], [], 0
    for sight in pool.sights:
        edges = sight.edges
        own = met_at(field, pool.points[sight.smooth], pool.rays_d[sight.smooth])
        fan, directions = edges.rays_d.shape[1], edges.rays_d.reshape(-1, 3)
        met, opacities = trace(field, edges.rays_o.repeat_interleave(fan, 0), directions)
        lessons.append(
            Lesson(
                sight.looks,
                first,
                log_curve(sight.colors),
                log_curve(edges.colors),
                opacities.reshape(-1, fan, 1),
            )
        )
        points += [own, met]
        rays_d += [pool.rays_d[sight.smooth], directions]
        first += len(own) + len(met)
    return lessons, torch.cat(points), torch.cat(rays_d)


class Mirrored(NamedTuple):
    """Where the reflected rays of surface points arrive."""

    units: Float[Tensor, "N 3"]  # in the field's cube; anything where nothing is met
    directions: Float[Tensor, "N 3"]
    opacities: Float[Tensor, " N"]


@torch.no_grad()
def met_at(field: Field, points: Float[Tensor, "N 3"], rays_d: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
    """Where rays to surface points meet the geometry that was learned: a picture of the field will ask
    for colors there, not at the point. The point itself where it is far from what was learned."""
    far = AROUND * field.spec.ramp * 2 * field.spec.half_side
    met, opacities = trace(field, points - far * rays_d, rays_d)
    near = (opacities > 0.5) & ((met - points).norm(dim=-1) < far)
    return torch.where(near[:, None], met, points)


@torch.no_grad()
def trace(
    field: Field, rays_o: Float[Tensor, "N 3"], rays_d: Float[Tensor, "N 3"]
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, " N"]]:
    """Where unit rays meet the geometry that was learned, and how opaque it is there; a place that
    means nothing where that is 0."""
    cells, rays = shell_occupancy(field), ray_range(field.spec)
    spec = march_spec(field, rays.step)
    places, found = [], []
    for origins, directions in zip(rays_o.split(TRACED), rays_d.split(TRACED), strict=True):
        interrupts.stop_if_requested()
        samples = sample_rays(spec, origins.contiguous(), directions.contiguous(), rays.near, rays.far, cells)
        sigmas = field.sigmas(field.geometry(samples.units).values)
        _, opacities, depths = composite_weights(samples, sigmas)
        places.append(origins + (depths / opacities.clamp_min(FAINT))[:, None] * directions)
        found.append(opacities)
    return torch.cat(places), torch.cat(found)


@torch.no_grad()
def trace_reflections(field: Field, points: Float[Tensor, "N 3"], rays_d: Float[Tensor, "N 3"]) -> Mirrored:
    """Follow the reflected ray of every point through the geometry that was learned, once."""
    parts = []
    for some_points, some_rays in zip(points.split(TRACED), rays_d.split(TRACED), strict=True):
        normals = field.geometry(field.units(some_points)).normals
        parts.append(reflected_rays(field, some_points, normals, some_rays))
    origins, directions = (torch.cat(column) for column in zip(*parts, strict=True))
    met, opacities = trace(field, origins, directions)
    return Mirrored(field.units(met).clamp(0.0, 1.0), directions, opacities)
