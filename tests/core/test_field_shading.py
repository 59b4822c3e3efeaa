"""The shader in torch and the one without it are the same function."""

import numpy as np
import torch

from neuron_core.models.field import stored
from neuron_core.models.field.shading import Reflection, reflect
from neuron_core.models.field.spec import FieldSpec
from neuron_core.voxels.shading import shader_from_tensors
from tests.core.small_fields import directions, small_field


def test_the_stored_shader_computes_what_the_trained_one_does():
    field = small_field()
    codes = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    normals, rays_d = directions(500, 1), directions(500, 2)
    shader = shader_from_tensors(stored.to_tensors(field), field.spec.to_json())
    without = shader.evaluate(codes, normals, rays_d)
    with torch.no_grad():
        geometry = field.shader.geometry(torch.from_numpy(normals), torch.from_numpy(rays_d))
        expected = field.shader(torch.from_numpy(codes), geometry).numpy()
    np.testing.assert_allclose(without, expected, atol=2e-3)  # tables are stored as half floats


def test_the_stored_shader_mirrors_as_the_trained_one_does():
    field = small_field()
    random = np.random.default_rng(8)
    codes = random.normal(size=(300, 8)).astype(np.float32)
    mirrored = random.random((300, 4)).astype(np.float32)
    normals, rays_d = directions(300, 1), directions(300, 2)
    shader = shader_from_tensors(stored.to_tensors(field), field.spec.to_json())
    with torch.no_grad():
        geometry = field.shader.geometry(torch.from_numpy(normals), torch.from_numpy(rays_d))
        reflection = Reflection(torch.from_numpy(mirrored[:, :3]), torch.from_numpy(mirrored[:, 3]))
        expected = field.shader(torch.from_numpy(codes), geometry, reflection).numpy()
    np.testing.assert_allclose(shader.evaluate(codes, normals, rays_d, mirrored), expected, atol=2e-3)
    nothing = np.zeros_like(mirrored)
    np.testing.assert_array_equal(
        shader.evaluate(codes, normals, rays_d, nothing), shader.evaluate(codes, normals, rays_d)
    )


def test_a_reflected_direction_keeps_its_length_and_forgets_the_side_of_the_normal():
    normals, rays_d = torch.from_numpy(directions(64, 4)), torch.from_numpy(directions(64, 5))
    reflected = reflect(rays_d, normals)
    torch.testing.assert_close(reflected.norm(dim=-1), torch.ones(64))
    torch.testing.assert_close(reflected, reflect(rays_d, -normals))
    torch.testing.assert_close(reflect(reflected, normals), rays_d)


def test_a_field_comes_back_from_its_tensors():
    field = small_field()
    tensors = stored.to_tensors(field)
    again = stored.field_from(
        tensors, FieldSpec.from_json(field.spec.to_json()), path=stored.Path("a.neuron")
    )
    for name, value in stored.to_tensors(again).items():
        np.testing.assert_array_equal(value, tensors[name])


def test_prompts_do_not_reach_the_geometry():
    field = small_field()
    points = torch.rand(200, 3) - 0.5
    rays_d = torch.from_numpy(directions(200, 6))
    colors, sigmas = zip(*(field.query(points, torch.randn(6), rays_d) for _ in range(2)), strict=True)
    assert torch.equal(sigmas[0], sigmas[1])
    assert not torch.equal(colors[0], colors[1])
