"""What the objectives of a field charge for, against what is known in closed form.

A ball is in the middle of the cube: its distances and normals are formulas, so are where rays hit it.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neuron_core.learning.objective import Step
from neuron_core.models.field.appearance_objective import CODE_L2, DETAIL_WEIGHT, AppearanceObjective
from neuron_core.models.field.frame_data import FramePool
from neuron_core.models.field.frames_objective import FramesObjective
from neuron_core.models.field.losses import log_curve
from neuron_core.models.field.model import Field, Structure
from neuron_core.models.field.photographs_objective import PhotographsObjective
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.ray_data import RayPool
from neuron_core.models.field.shading import reflect
from neuron_core.models.field.shape_objective import REACH, ShapeObjective
from neuron_core.models.field.surface_data import (
    FREE,
    INSIDE,
    NEAR,
    EdgePixels,
    SpaceLabels,
    SurfacePool,
    ViewGroup,
)
from neuron_core.models.field.surface_hits import raycast, reflected_hits
from tests.core.small_fields import small_field

RADIUS = 0.25  # in cube sides
CPU = torch.device("cpu")


class Sphere(nn.Module):
    """A geometry branch that knows a sphere by heart; solid inside, or `hollow`: solid outside."""

    def __init__(self, hollow: bool = False, shift: float = 0.0, turned: bool = False) -> None:
        super().__init__()
        self.side = -1.0 if hollow else 1.0
        self.shift = shift  # added to all distances
        self.turned = turned  # normals point the wrong way

    def forward(self, units: Tensor) -> Structure:
        away = units - 0.5
        lengths = away.norm(dim=-1)
        normals = self.side * away / lengths.clamp_min(1e-6)[:, None]
        values = self.side * (lengths - RADIUS) + self.shift
        return Structure(values, -normals if self.turned else normals, torch.zeros(len(units), 8))


def sphere_field(**changes: object) -> Field:
    field = small_field()
    field.geometry = Sphere(**changes)  # type: ignore[arg-type,assignment]
    return field


def world(field: Field, units: Tensor) -> Tensor:
    """Asset-space points of places in the cube."""
    return (units - 0.5) * 2 * field.spec.half_side + field.center


def unit_vectors(count: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)), dim=-1)


@dataclass
class Views:
    """What cameras all around would see of the sphere."""

    pool: SurfacePool
    labels: SpaceLabels
    box: Tensor


def views_of(field: Field, points: int = 500, cells: int = 24) -> Views:
    outward = unit_vectors(points, 1)
    towards = F.normalize(unit_vectors(points, 2) - 2.0 * outward, dim=-1)
    towards = torch.where((towards * outward).sum(-1, keepdim=True) < -0.3, towards, -outward)
    surface = world(field, 0.5 + RADIUS * outward)
    # Rays that miss: they pass at 1.05 to 1.5 radii.
    side = F.normalize(torch.linalg.cross(outward, unit_vectors(points, 3)), dim=-1)
    passing = 0.5 + RADIUS * torch.linspace(1.05, 1.5, points)[:, None] * outward
    random = torch.Generator().manual_seed(4)
    groups = (group_of(field, surface, outward, random),)
    shapes = torch.ones(points, dtype=torch.long)
    pool = SurfacePool(
        surface, outward, towards, shapes, world(field, passing - 2 * side), side, groups
    )  # fmt: skip
    axis = (torch.arange(cells) + 0.5) / cells
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    distances = (grid - 0.5).norm(dim=-1) - RADIUS
    clear = REACH * field.spec.ramp + 3**0.5 / 2 / cells  # anywhere in the cell
    labels = torch.where(distances > clear, FREE, torch.where(distances < -clear, INSIDE, NEAR))
    box = torch.stack([world(field, torch.full((3,), 0.5 + sign * RADIUS)) for sign in (-1, 1)])
    return Views(pool, SpaceLabels(labels), box)


def group_of(field: Field, surface: Tensor, outward: Tensor, random: torch.Generator) -> ViewGroup:
    """Two materials of random colors, and pixels whose rays hit the sphere by halves."""
    edges, eye = 40, world(field, torch.tensor([0.5, 0.5, 3.0]))
    rim = world(field, 0.5 + RADIUS * F.pad(F.normalize(outward[:edges, :2], dim=-1), (0, 1)))
    wide = 1 + torch.tensor([-0.15, -0.05, 0.05, 0.15])  # two rays inside the rim, two outside
    aims = (rim - field.center)[:, None] * wide[:, None] + field.center
    fans = F.normalize(aims - eye, dim=-1)
    return ViewGroup(
        torch.tensor([0, 1]),
        torch.arange(0, len(surface), 2),
        torch.rand(2, (len(surface) + 1) // 2, 3, generator=random),
        EdgePixels(eye.expand(edges, 3), fans, torch.rand(2, edges, 3, generator=random)),
    )


def shape_objective(field: Field, batch: int = 256) -> ShapeObjective:
    views = views_of(field)
    return ShapeObjective(field, views.pool, views.labels, views.box, batch)


def step_of(name: str, index: int = 0) -> Step:
    return Step(index, 0.0, 5, name)


def terms_of(objective, index: int = 0) -> dict[str, float]:
    (turn,) = objective.turns(step_of(objective.name, index))
    return {name: float(term.detach()) for name, term in turn.terms.items()}


# --- shape ---


def test_the_true_distance_and_normals_of_a_ball_cost_nothing():
    terms = terms_of(shape_objective(sphere_field()))
    assert terms.keys() == SHAPE_TERMS
    assert max(terms.values()) < 1e-4


SHAPE_TERMS = {"surface", "distance", "free", "outside", "space", "normal", "normal_beside"}


def test_a_ball_inside_out_is_charged_for_all_space():
    """Free cells would be solid: every distance has the wrong sign, beyond the reach."""
    terms = terms_of(shape_objective(sphere_field(hollow=True)))
    assert terms["space"] > 2.0 and terms["free"] > 0.5 and terms["distance"] > 0.1


@pytest.mark.parametrize("part", [0.1, -0.2])
def test_wrong_distances_are_charged_on_the_surface_and_beside_it_in_units_of_the_reach(part):
    field = small_field()
    field.geometry = Sphere(shift=part * REACH * field.spec.ramp)
    terms = terms_of(shape_objective(field))
    assert terms["surface"] == pytest.approx(abs(part), rel=1e-3)
    assert terms["distance"] == pytest.approx(abs(part), rel=1e-3)


def test_a_surface_that_is_too_large_is_charged_where_rays_saw_through():
    """With distances lower by d, points at a < d before the surface are inside by d - a."""
    field = small_field()
    shift = 0.5 * REACH * field.spec.ramp
    field.geometry = Sphere(shift=-shift)
    objective = shape_objective(field)
    drawn = objective.draw(step_of("geometry"))
    wanted = F.relu(shift - ((drawn.before - 0.5).norm(dim=-1) - RADIUS)).mean() / (REACH * field.spec.ramp)
    assert 0.05 < float(wanted) == pytest.approx(terms_of(objective)["free"], rel=1e-3)


def test_normals_that_point_the_wrong_way_are_charged_twice_their_length():
    terms = terms_of(shape_objective(sphere_field(turned=True)))
    assert terms["normal"] == pytest.approx(2.0, rel=1e-4)
    assert terms["normal_beside"] == pytest.approx(0.25 * 2.0, rel=1e-4)


def test_points_of_a_step_are_where_they_are_said_to_be():
    field = sphere_field()
    drawn = shape_objective(field, 400).draw(step_of("geometry"))
    distances = {
        name: (getattr(drawn, name) - 0.5).norm(dim=-1) - RADIUS for name in ("on", "beside", "before")
    }
    torch.testing.assert_close(distances["on"], torch.zeros(400), atol=1e-5, rtol=0)
    torch.testing.assert_close(distances["beside"], drawn.offsets, atol=1e-5, rtol=0)
    assert distances["before"].min() > -1e-5 and drawn.offsets.abs().max() <= REACH * field.spec.ramp
    beyond = (drawn.outside - 0.5).abs() - RADIUS  # of the box around the sphere, by axis
    assert bool((beyond.amax(dim=-1) >= drawn.gaps - 1e-5).all())
    assert float((beyond - drawn.gaps[:, None]).abs().amin(dim=-1).max()) < 1e-5
    inside = (drawn.space - 0.5).norm(dim=-1) < RADIUS
    assert torch.equal(inside, drawn.signs < 0) and 0 < inside.sum() < len(inside)


# --- where rays hit ---


def test_a_reflected_ray_keeps_its_way_along_the_mirror_and_turns_across_it():
    normals = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    rays_d = torch.tensor([[0.6, 0.0, -0.8], [0.0, -0.28, -0.96]])
    wanted = torch.tensor([[0.6, 0.0, 0.8], [0.0, -0.28, 0.96]])
    torch.testing.assert_close(reflect(rays_d, normals), wanted)


def test_rays_hit_a_ball_where_they_meet_the_formula():
    field = sphere_field()
    eye = world(field, torch.tensor([[0.5, 0.5, 2.5]]))
    aims = world(
        field, 0.5 + 0.8 * RADIUS * torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) - 0.2
    )
    rays_d = F.normalize(aims - eye, dim=-1)
    hits, opacities = raycast(field, eye.expand(200, 3), rays_d)
    along = ((field.center - eye) * rays_d).sum(-1)
    aside = (eye + along[:, None] * rays_d - field.center).norm(dim=-1)
    radius, ramp = RADIUS * 2 * field.spec.half_side, field.spec.ramp * 2 * field.spec.half_side
    for row in torch.nonzero(aside < 0.8 * radius).flatten().tolist():
        depth = float(along[row] - (radius**2 - aside[row] ** 2).sqrt())
        assert opacities[row] > 0.99 and (hits[row] - eye).norm() == pytest.approx(depth, abs=0.5 * ramp)
    missed = opacities[aside > 1.05 * radius]
    assert not len(missed) or float(missed.max()) < 1e-3


def test_reflected_rays_in_a_hollow_sphere_hit_it_again_after_a_chord():
    """From a wall point with unit normal n (inwards) a ray that arrives along d leaves along d - 2 (d n) n
    and meets the wall again after twice the radius times its cosine with n."""
    field = sphere_field(hollow=True)
    radius = RADIUS * 2 * field.spec.half_side
    outward = unit_vectors(300, 5)
    rays_d = F.normalize(outward + 0.9 * unit_vectors(300, 6), dim=-1)
    cosines = (rays_d * outward).sum(-1)
    outward, rays_d, cosines = (part[cosines > 0.3] for part in (outward, rays_d, cosines))
    points = field.center + radius * outward
    found = reflected_hits(field, points, rays_d)
    away = rays_d - 2 * cosines[:, None] * outward
    torch.testing.assert_close(found.directions, away, atol=1e-4, rtol=0)
    chord = points + 2 * radius * cosines[:, None] * away
    assert float(found.opacities.min()) > 0.99
    ramp = field.spec.ramp * 2 * field.spec.half_side
    # Rays begin a little off the wall, so that they do not hit where they begin.
    assert float((world(field, found.units) - chord).norm(dim=-1).max()) < 4 * ramp


def test_a_ball_mirrors_nothing_of_itself():
    field = sphere_field()
    outward = unit_vectors(200, 7)
    points = world(field, 0.5 + RADIUS * outward)
    assert float(reflected_hits(field, points, -outward).opacities.max()) < 1e-3


# --- appearance ---


def appearance_objective(field: Field, batch: int = 64) -> AppearanceObjective:
    """Prompts that do nothing, so that colors can be asked for again."""
    nn.init.zeros_(field.material.conditioner[0].weight)
    prompts = torch.randn(2, 3, field.spec.prompt_width, generator=torch.Generator().manual_seed(0))
    return AppearanceObjective(field, views_of(field).pool, prompts, batch, 0)


def colors_of(objective: AppearanceObjective, rows: Tensor) -> Tensor:
    """By the public way: a ball mirrors nothing, and all prompts are one."""
    field = objective.field
    points = world(field, objective.units[rows])
    rgbs, _ = field.query(points, objective.prompts[0, 0], objective.rays_d[rows])
    return rgbs.detach()


def test_pictures_are_charged_their_mean_squared_error_on_the_log_curve():
    objective = appearance_objective(sphere_field())
    step = step_of("appearance")
    drawn = objective.draw(step, step.generator("appearance", CPU))
    group = views_of(objective.field).pool.groups[0]
    looks = drawn.supervision.looks[drawn.chosen]
    colors = colors_of(objective, drawn.rows)
    own, fans = colors[: len(drawn.own)], colors[len(drawn.own) :].unflatten(0, (len(drawn.edges), 4))
    point_errors = [
        (log_curve(own) - log_curve(group.colors[look, drawn.own])).square().mean() for look in looks.tolist()
    ]
    opacities = drawn.supervision.edge_opacities[drawn.edges]
    assert set(opacities.unique().round(decimals=3).tolist()) <= {0.0, 1.0}  # half of a fan hits
    seen = log_curve((fans * opacities).mean(dim=1))
    edge_errors = [
        (seen - log_curve(group.edges.colors[look, drawn.edges])).square().mean() for look in looks.tolist()
    ]
    share = len(drawn.edges) * 4 / 64
    terms = terms_of(objective)
    assert terms["picture"] == pytest.approx((1 - share) * float(torch.stack(point_errors).mean()), rel=1e-4)
    assert terms["edges"] == pytest.approx(share * float(torch.stack(edge_errors).mean()), rel=1e-4)
    assert terms.keys() == {"picture", "edges", "codes", "detail"}


def test_large_codes_and_fine_levels_are_charged_a_little():
    objective = appearance_objective(sphere_field())
    step = step_of("appearance")
    rows = objective.draw(step, step.generator("appearance", CPU)).rows
    field, units = objective.field, objective.units[rows]
    with torch.no_grad():
        style = field.material.style(objective.prompts[:, 0])
        codes = field.material(units, field.geometry(units), style)
    terms = terms_of(objective)
    assert terms["codes"] == pytest.approx(CODE_L2 * float(codes.square().mean()), rel=1e-4)
    assert terms["detail"] == pytest.approx(DETAIL_WEIGHT * float(style.detail.mean()), rel=1e-4)


def test_mirrors_show_what_their_reflected_rays_hit():
    """In a hollow sphere every mirror shows the wall: as the shader draws it from there, without mirrors."""
    field = sphere_field(hollow=True)
    objective = appearance_objective(field)
    rows = torch.arange(50)
    style = field.material.style(objective.prompts[:1, 0])
    reflection = objective.reflection(rows, style)
    points = world(field, objective.reflected.units[rows])
    wanted, _ = field.query(points, objective.prompts[0, 0], objective.reflected.directions[rows])
    seen = objective.reflected.opacities[rows] > 0.5
    assert int(seen.sum()) > 25
    torch.testing.assert_close(reflection.rgbs[0, seen], wanted.detach()[seen], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(reflection.opacities, objective.reflected.opacities[rows])


# --- frames ---


def paint(field: Field, value: float) -> float:
    """Make the shader say one color for everything; returns it."""
    for layer in (field.shader.lobes, field.shader.tints):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, value)
    return 2 * math.log1p(math.exp(value)) ** 2


TRUTH = (0.2, 0.7)  # colors of two materials
PIXELS = 24  # along a side


def frame_rays(field: Field) -> tuple[Tensor, Tensor, Tensor]:
    """Positions [6, 3], rotations [6, 3, 3] and pixels on the plane at distance 1 of cameras around."""
    axes = torch.cat([torch.eye(3), -torch.eye(3)])
    positions = field.center + 3.0 * field.spec.half_side * axes
    up = axes.roll(1, dims=1)
    rotations = torch.stack([torch.linalg.cross(up, axes), up, axes], dim=-1)
    line = (torch.arange(PIXELS) + 0.5) / PIXELS * 0.6 - 0.3
    return positions, rotations, torch.cartesian_prod(line, line)


def frame_pool(field: Field) -> FramePool:
    """Frames of the sphere in two flat colors; rays go through the middles of their pixels."""
    positions, rotations, places = frame_rays(field)
    rays_d = F.normalize(F.pad(places, (0, 1), value=-1.0), dim=-1) @ rotations.transpose(1, 2)
    to_center = field.center - positions
    along = (rays_d * to_center[:, None]).sum(-1)
    radius = RADIUS * 2 * field.spec.half_side
    inside = radius**2 - (to_center.square().sum(-1)[:, None] - along.square())
    hit = (inside > 0).float()
    hits = positions[:, None] + (along - inside.clamp_min(0).sqrt())[..., None] * rays_d
    normals = (hits - field.center) / radius * hit[..., None]
    colors = torch.stack([F.pad(hit[..., None] * value, (2, 0)) for value in TRUTH])
    colors[..., :2] = colors[..., 2:]
    rgba = torch.cat([colors, hit.expand(2, -1, -1)[..., None]], dim=-1).flatten(1, 2)
    count = len(places)
    return FramePool(
        rgba.half(),
        normals.flatten(0, 1).half(),
        torch.arange(6) * count,
        positions,
        rotations,
        torch.zeros(6, 2),
        torch.zeros(6, dtype=torch.long),
        places,
    )


def frames_objective(field: Field, rays: int = 2000) -> FramesObjective:
    prompts = torch.zeros(2, 1, field.spec.prompt_width)
    return FramesObjective(field, frame_pool(small_field()), prompts, rays, steps=1, seed=0)


def found_and_hits(objective: FramesObjective) -> tuple[dict[str, float], int, int]:
    """The terms of a sharp step, how many of its rays hit the shell, and how many the true sphere."""
    step = step_of("frames", 1)
    terms = terms_of(objective, 1)
    drawn, _ = objective.draw(1)
    hits = objective.sample(drawn, step, 1.0).hits
    return terms, hits, int((drawn.colors[0, :, 3] > 0.5).sum())


def test_frames_of_the_true_sphere_cost_nothing_but_their_color():
    field = sphere_field()
    color = paint(field, 0.1)
    terms, hits, true = found_and_hits(frames_objective(field))
    assert terms.keys() == {"picture", "silhouette", "normal", "detail"}
    assert terms["silhouette"] < 0.02 and terms["normal"] < 0.01
    errors = log_curve(torch.tensor(TRUTH)) - log_curve(torch.tensor(color))
    assert terms["picture"] == pytest.approx(float(errors.square().mean()) * true / hits, rel=0.03)


def test_a_sphere_that_is_too_large_is_charged_for_its_silhouette():
    """Rays between the two spheres are opaque and should not be: an error of one for each."""
    field = small_field()
    field.geometry = Sphere(shift=-0.2 * RADIUS)
    terms, hits, true = found_and_hits(frames_objective(field))
    larger = true * 1.2**2
    assert terms["silhouette"] == pytest.approx((larger - true) / hits, rel=0.1)


def test_normals_of_frames_that_point_the_wrong_way_are_charged_the_square_of_twice_their_length():
    terms, hits, true = found_and_hits(frames_objective(sphere_field(turned=True)))
    assert terms["normal"] == pytest.approx(0.1 * 4.0 * true / hits, rel=0.05)


# --- photographs ---


class Cloud(nn.Module):
    """The logarithm of the density of a ball: `thick` inside, next to nothing outside."""

    def __init__(self, thick: float = 12.0) -> None:
        super().__init__()
        self.thick = thick

    def forward(self, units: Tensor) -> Structure:
        inside = (units - 0.5).norm(dim=-1) < RADIUS
        zeros = torch.zeros(len(units), 3)
        zeros[:, 2] = 1.0
        return Structure(torch.where(inside, self.thick, -15.0), zeros, torch.zeros(len(units), 8))


def photographs_objective(thick: float, color: int, alpha: int = 255) -> PhotographsObjective:
    """Rays at the middle of the ball from six sides; all pixels have one color."""
    field = small_field(surface="density", occupancy_cells=16)
    field.geometry = Cloud(thick)
    positions, rotations, places = frame_rays(field)
    places = places[places.norm(dim=-1) < 0.6 * RADIUS * 2 * 0.5 / 1.5]
    count = len(places)
    pixels = torch.tensor([color, color, color, alpha], dtype=torch.uint8).expand(6 * count, 4)
    directions = F.normalize(F.pad(places, (0, 1), value=-1.0), dim=-1)
    starts = torch.arange(6) * count
    pool = RayPool(pixels, starts, positions, rotations, torch.zeros(6, dtype=torch.long), directions)
    prompt = torch.zeros(field.spec.prompt_width)
    return PhotographsObjective(field, pool, prompt, ray_range(field.spec), 256, 1 << 16)


def test_photographs_are_charged_for_their_colors():
    """Half the square of small errors, times five (Huber)."""
    objective = photographs_objective(12.0, 128)
    value = math.log(math.expm1(math.sqrt((128 / 255 + 0.04) / 2)))
    assert paint(objective.field, value) == pytest.approx(128 / 255 + 0.04)
    terms = terms_of(objective)
    assert terms["color"] == pytest.approx(5 * 0.04**2 / 2, rel=0.01)
    assert terms.keys() == {"color", "exposure"} and terms["exposure"] == 0.0


def test_photographs_with_alpha_show_a_random_backdrop_and_are_charged_for_haze():
    """Nothing where nothing should be costs nothing, whatever stands behind; a haze costs its a (1 - a)."""
    empty = terms_of(photographs_objective(-15.0, 200, alpha=0))
    assert empty["color"] < 1e-6 and empty["opacity"] < 1e-6
    half = photographs_objective(1.2, 200, alpha=128)
    (turn,) = half.turns(step_of("volume"))
    assert turn.terms.keys() == {"color", "opacity"}
    assert 0.1e-3 < float(turn.terms["opacity"].detach()) <= 0.25e-3


def test_exposures_that_differ_are_charged():
    objective = photographs_objective(12.0, 128)
    with torch.no_grad():
        objective.exposures[0] = 3.0
    assert terms_of(objective)["exposure"] == pytest.approx(1e-3 * 9.0 / 6)


def test_a_step_has_about_as_many_samples_as_it_may():
    objective = photographs_objective(-15.0, 0)
    objective.max_samples = 2000
    counts = []
    for index in range(12):
        (turn,) = objective.turns(step_of("volume", index))
        counts.append(float(turn.metrics["samples"]))
    assert 0.5 * 2000 < np.mean(counts[-4:]) < 1.5 * 2000
