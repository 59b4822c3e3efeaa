"""What holds for every field: locked geometry, shapes, and what its description promises."""

import dataclasses
import inspect
import json

import pytest
import torch

from neuron_core.models.field import render
from neuron_core.models.field.model import MET_BELOW, Field, GeometryBranch
from neuron_core.models.field.spec import CODE_CHANNELS, FieldError, FieldSpec
from neuron_core.models.field.volume import march_spec, sample_rays
from tests.core.small_fields import directions, small_field

KINDS = pytest.mark.parametrize(
    "changes",
    [{}, {"surface": "density", "diffuse": True, "contracted": True, "encoding": "srgb"}],
    ids=["distance", "density"],
)


@KINDS
def test_a_query_gives_a_color_and_a_density_for_every_point(changes):
    field = small_field(**changes)
    rgbs, sigmas = field.query(torch.randn(50, 3), torch.randn(6), torch.from_numpy(directions(50, 0)))
    assert rgbs.shape == (50, 3) and sigmas.shape == (50,)
    assert (rgbs >= 0).all() and (sigmas >= 0).all()


@KINDS
def test_densities_do_not_know_of_prompts(changes):
    assert list(inspect.signature(GeometryBranch.forward).parameters) == ["self", "units"]
    assert list(inspect.signature(Field.sigmas).parameters) == ["self", "values", "softness"]
    field = small_field(**changes)
    points, rays_d = torch.randn(2000, 3), torch.from_numpy(directions(2000, 0))
    first, second = (field.query(points, prompt, rays_d) for prompt in torch.randn(2, 6))
    assert float((first[1] - second[1]).detach().abs().max()) == 0.0
    assert not torch.equal(first[0], second[0])


def test_a_ray_straight_at_a_surface_loses_half_its_light_where_codes_are_asked_for():
    field = small_field()
    depths = torch.linspace(-1.0, MET_BELOW, 20001, dtype=torch.float64)  # ramps, from outside
    sigmas = field.sigmas(-depths * field.spec.ramp)
    meters = field.spec.ramp * 2 * field.spec.half_side
    depth = torch.trapezoid(sigmas, depths * meters)
    assert float(torch.exp(-depth)) == pytest.approx(0.5, abs=1e-3)


def test_gradients_of_the_prompt_branch_never_reach_the_geometry_through_densities():
    field = small_field()
    field.sigmas(field.geometry(torch.rand(20, 3)).values).sum().backward()
    assert all(parameter.grad is None for parameter in field.material.parameters())


def test_codes_of_many_prompts_are_those_of_each_alone():
    field = small_field()
    units = torch.rand(30, 3)
    structure, prompts = field.geometry(units), torch.randn(4, 6)
    together = field.material(units, structure, field.material.style(prompts))
    assert together.shape == (4, 30, CODE_CHANNELS)
    for index in range(4):
        alone = field.material(units, structure, field.material.style(prompts[index : index + 1]))
        torch.testing.assert_close(together[index], alone[0])


def test_blended_looks_are_sums_of_what_prompts_say():
    field = small_field()
    units = torch.rand(30, 3)
    structure, prompts = field.geometry(units), torch.randn(3, 6)
    blend = torch.tensor([[0.5, 0.5, 0.0], [2.0, 0.0, -1.0]])
    one, two, three = field.material(units, structure, field.material.style(prompts))
    blended = field.material(units, structure, field.material.style(prompts, blend))
    torch.testing.assert_close(blended, torch.stack([0.5 * (one + two), 2.0 * one - three]))


def test_the_contraction_is_the_identity_inside_and_never_leaves_the_cube():
    field = small_field(contracted=True)
    center, half = torch.tensor(field.spec.center), field.spec.half_side
    inside = (torch.rand(100, 3) * 2 - 1) * half
    torch.testing.assert_close(field.units(center + inside), inside / half * 0.25 + 0.5)
    far = field.units(center + torch.randn(100, 3) * 1e6)
    assert ((far >= 0) & (far <= 1)).all()


def test_densities_keep_their_optical_depth_when_a_scene_is_scaled():
    small, large = (small_field(surface="density").spec for _ in range(2))
    large = dataclasses.replace(large, half_side=small.half_side * 1000)
    values = torch.randn(50)
    sigmas = [Field(spec).sigmas(values) * spec.half_side for spec in (small, large)]
    torch.testing.assert_close(sigmas[0], sigmas[1])


def test_distances_become_opaque_inside_and_nothing_outside():
    field = small_field()
    reach = field.spec.ramp
    sigmas = field.sigmas(torch.tensor([-2 * reach, 2 * reach]))
    assert sigmas[0] * reach * 2 * field.spec.half_side > 5 and sigmas[1] == 0


@KINDS
def test_a_description_comes_back_from_json(changes):
    spec = small_field(**changes).spec
    assert FieldSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flavour": 3}, "field has the unknown field 'flavour'"),
        ({"geometry": {"levels": 99}}, "levels is 99"),
        ({"center": None}, "field.center is None, not a list of 3"),
    ],
)
def test_a_wrong_description_says_what_is_wrong(change, message):
    with pytest.raises(FieldError, match=message):
        FieldSpec.from_json({**small_field().spec.to_json(), **change})


@pytest.mark.parametrize("content", [None, [], "field", {}])
def test_what_is_no_description_is_refused(content):
    with pytest.raises(FieldError):
        FieldSpec.from_json(content)


@KINDS
def test_drawing_equals_compositing_every_sample(changes):
    field = small_field(**changes)
    if field.spec.surface == "density":
        torch.nn.init.normal_(field.geometry.grid.tables, std=2.0)
    rays_d = torch.from_numpy(directions(40, 2))
    rays_o = torch.tensor(field.spec.center) - rays_d
    rays = render.RayRange(0.1, 4.0, 0.01)
    renderer = render.FieldRenderer(field, rays)
    prompts = torch.randn(2, 6)
    drawn = renderer.render(rays_o, rays_d, prompts)
    samples = sample_rays(march_spec(field, rays.step), rays_o, rays_d, 0.1, 4.0, renderer.cells)
    with torch.no_grad():
        every, _ = render.shade_rays(field, samples, rays_d, field.material.style(prompts))
    torch.testing.assert_close(drawn.opacities, every.opacities)
    torch.testing.assert_close(drawn.depths, every.depths)
    assert drawn.rgbs.shape == (2, 40, 3)
    if field.spec.surface == "density":  # the others mirror each other besides
        torch.testing.assert_close(drawn.rgbs, every.rgbs, atol=0.05, rtol=0)


def test_rays_that_meet_nothing_are_empty():
    field = small_field()
    rays_o, rays_d = torch.full((5, 3), 9.0), torch.tensor([[0.0, 1.0, 0.0]]).repeat(5, 1)
    renderer = render.FieldRenderer(field, render.RayRange(0.0, 10.0, 0.01))
    pixels = renderer.render(rays_o, rays_d, torch.randn(1, 6))
    assert not pixels.opacities.any() and not pixels.rgbs.any() and not pixels.depths.any()
