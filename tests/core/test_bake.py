"""Baking: a field that is a sphere becomes voxels that are the same sphere."""

from pathlib import Path

import numpy as np
import pytest
import torch

from neuron_core.cameras.camera import look_at
from neuron_core.foundation.progress import Silent
from neuron_core.models.field.baking import WantedLook, bake, describe, wanted_looks
from neuron_core.models.field.model import Field, Structure
from neuron_core.models.field.spec import FieldSpec
from neuron_core.models.field.stored import field_from, to_tensors
from neuron_core.models.field.trained import RunInfo, TrainedLook
from neuron_core.models.field.voxelize import codes_of, voxelize
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.voxels.nvf import VoxelError, encode_codes, sample_positions
from tests.core.small_fields import RADIUS, ball_field, small_field
from tests.core.small_fields import ball_box as box
from tests.core.small_shaders import perfect_mirror, small_shader


@pytest.fixture
def ball() -> Field:
    return ball_field()


def test_a_baked_ball_has_the_silhouette_and_depth_of_the_ball(ball):
    nvf = voxelize(ball, box(ball), 48)
    codes = encode_codes(np.zeros((len(nvf.active), 8), np.float32))
    center = np.array(ball.spec.center, np.float32)
    side = np.linspace(-0.4, 0.4, 81, dtype=np.float32)
    x, y = np.meshgrid(side, side)
    origins = center + np.stack([x, y, np.full_like(x, 2.0)], axis=-1).reshape(-1, 3)
    rays_d = np.broadcast_to(np.float32([0, 0, -1]), origins.shape).copy()
    pixels = BakedRenderer(nvf, small_shader(), codes).trace(origins, rays_d)
    distance = np.hypot(x, y).reshape(-1)
    assert (pixels.alpha[distance < RADIUS - 0.2 * nvf.voxel_size] > 0.5).all()
    assert (pixels.alpha[distance > RADIUS + 0.3 * nvf.voxel_size] < 0.5).all()
    inside = distance < 0.8 * RADIUS
    depth = 2.0 - np.sqrt(RADIUS**2 - distance[inside] ** 2)
    assert np.abs(pixels.depth[inside] - depth).max() < 0.3 * nvf.voxel_size


class TwoBalls(torch.nn.Module):
    """Balls of radius 0.15 beside each other, at x = 0.3 and 0.7 of the cube."""

    def forward(self, units: torch.Tensor) -> Structure:
        centers = torch.tensor([[0.3, 0.5, 0.5], [0.7, 0.5, 0.5]])
        local = units[:, None] - centers
        distances, nearest = (local.norm(dim=-1) - 0.15).min(dim=-1)
        normals = torch.nn.functional.normalize(local[torch.arange(len(units)), nearest], dim=-1)
        return Structure(distances, normals, torch.zeros(len(units), 8))


def test_mirrors_show_what_a_reflected_ray_meets(ball):
    ball.geometry = TwoBalls()
    half = np.float32([0.35, 0.15, 0.15])
    center = np.array(ball.spec.center, np.float32)
    nvf = voxelize(ball, np.stack([center - half, center + half]), 128)
    codes = encode_codes(np.zeros((len(nvf.active), 8), np.float32))
    # Down onto the left ball where its normal is tilted by 50 degrees: the ray turns to the right one.
    normal = np.float32([np.sin(np.radians(50)), 0, np.cos(np.radians(50))])
    met = center + np.float32([-0.2, 0, 0]) + 0.15 * normal
    rays_o, rays_d = (met + np.float32([0, 0, 1]))[None], np.float32([[0, 0, -1]])
    reflected = rays_d[0] - 2 * (rays_d[0] @ normal) * normal
    to_other = met - (center + np.float32([0.2, 0, 0]))
    b = to_other @ reflected
    t = -b - np.sqrt(b * b - to_other @ to_other + 0.15**2)
    other_normal = (to_other + t * reflected) / 0.15
    shader = perfect_mirror()
    none = np.zeros((1, 8), np.float32)
    seen = BakedRenderer(nvf, shader, codes).trace(rays_o, rays_d)
    reflection = shader.evaluate(none, other_normal[None], reflected[None])
    own = shader.evaluate(none, normal[None], rays_d)
    assert np.abs(reflection - own).max() > 0.05
    np.testing.assert_allclose(seen.rgb, reflection, atol=0.01)
    without = BakedRenderer(nvf, shader, codes, reflections=False).trace(rays_o, rays_d)
    np.testing.assert_allclose(without.rgb, own, atol=0.01)


def half_light(field: Field) -> float:
    """How far below a flat surface a ray straight at it has lost half its light, in meters, by adding up
    the densities on its way."""
    side = 2 * field.spec.half_side
    steps = torch.linspace(-2.0, 4.0, 60_001) * field.spec.ramp * side  # below the surface
    densities = field.sigmas(-steps / side).double()
    depth = torch.cumulative_trapezoid(densities, steps.double())
    return float(steps[1:][depth >= np.log(2.0)][0])


def test_codes_are_those_of_the_nearest_point_where_a_ray_loses_half_its_light(ball):
    nvf = voxelize(ball, box(ball), 32)
    prompts = torch.randn(2, 6)
    codes = codes_of(ball, nvf, prompts)
    assert codes.shape == (2, len(nvf.active), 8)
    center = torch.tensor(ball.spec.center)
    points = torch.from_numpy(sample_positions(nvf).reshape(-1, 3)[nvf.active])
    on = center + torch.nn.functional.normalize(points - center, dim=-1) * (RADIUS - half_light(ball))
    with torch.no_grad():
        units = ball.units(on)
        expected = ball.material(units, ball.geometry(units), ball.material.style(prompts))
    np.testing.assert_allclose(codes, expected.numpy(), atol=5e-4)


def baked(field: Field, prompts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    looks = [WantedLook(slug, slug, "") for slug in prompts]
    return bake(field, box(field), looks, np.stack(list(prompts.values())), 24, Silent())


def vectors(*seeds: int) -> list[np.ndarray]:
    return [np.random.default_rng(seed).normal(size=6).astype(np.float32) for seed in seeds]


def test_prompts_change_codes_and_nothing_else(ball):
    red, blue = vectors(1, 2)
    first, second = baked(ball, {"look": red}), baked(ball, {"look": blue})
    assert first.keys() == second.keys()
    changed = {name for name in first if not np.array_equal(first[name], second[name])}
    assert changed == {"looks.look.codes", "looks.look.range", "preview.main"}


def test_looks_do_not_depend_on_each_other_or_on_their_order(ball):
    red, blue = vectors(1, 2)
    both, turned = baked(ball, {"red": red, "blue": blue}), baked(ball, {"blue": blue, "red": red})
    alone = baked(ball, {"blue": blue})
    for name, array in alone.items():  # the preview is that of the first look
        np.testing.assert_array_equal(array, turned[name])
        assert name == "preview.main" or np.array_equal(array, both[name])


def test_the_field_in_the_file_is_the_one_that_was_baked(ball):
    field = small_field()
    tensors = to_tensors(field)
    copy = field_from(tensors, field.spec, Path("copy"))
    assert to_tensors(copy).keys() == tensors.keys()
    for name, value in field.state_dict().items():
        same = value.half().float() if name.endswith("tables") else value
        torch.testing.assert_close(copy.state_dict()[name], same, rtol=0, atol=0)


TRAINED = (
    TrainedLook("worn-gold", "gold, worn", ("gold, worn", "old gold")),
    TrainedLook("clear-glass", "clear glass", ("clear glass",), transmissive=True),
    TrainedLook("wax", "wax", ("wax",), supported=False),
)


def test_prompts_and_names_that_were_trained_are_baked_as_that_material():
    looks = wanted_looks(TRAINED, [" Gold, worn ", "CLEAR-glass", "velvet", "velvet"])
    assert [(look.prompt, look.trained) for look in looks] == [
        ("gold, worn", "worn-gold"),
        ("clear glass", "clear-glass"),
        ("velvet", ""),
        ("velvet", ""),
    ]
    assert len({look.slug for look in looks}) == 4
    assert [look.trained for look in wanted_looks(TRAINED, [])] == [look.name for look in TRAINED]


def test_the_manifest_says_what_was_trained_and_nothing_of_the_day(ball):
    info = RunInfo(
        config={"preset": "p", "steps": None, "minutes": None, "seed": 3, "out": "/somewhere"},
        fingerprint="f",
        field=ball.spec,
        encoder={"name": "blank", "digest": "0" * 64},
        looks=TRAINED,
        aabb=((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        dataset={"kind": "rendered"},
    )
    looks = wanted_looks(TRAINED, ["gold, worn", "clear glass", "wax", "velvet"])
    manifest = describe("ball", "CC0", info, looks, 24, "s")
    assert describe("ball", "CC0", info, looks, 24, "s") == manifest
    details = [(look.details["supported"], look.details["transmissive"]) for look in manifest.looks]
    assert details == [(True, False), (True, True), (False, False), (True, False)]
    assert FieldSpec.from_json(manifest.settings["field"]) == ball.spec
    assert manifest.provenance["training"] == {"preset": "p", "steps": None, "minutes": None, "seed": 3}
    assert "/somewhere" not in str(manifest.to_json())


def test_an_empty_field_is_an_error(ball):
    far = box(ball) + 0.0
    ball.geometry = Nothing()
    with pytest.raises(VoxelError, match="nothing to bake"):
        voxelize(ball, far, 16)


class Nothing(torch.nn.Module):
    def forward(self, units: torch.Tensor) -> Structure:
        return Structure(torch.ones(len(units)), torch.zeros(len(units), 3), torch.zeros(len(units), 8))


def test_rays_from_inside_a_hollow_part_of_the_world_do_not_hang(ball):
    nvf = voxelize(ball, box(ball), 24)
    codes = encode_codes(np.zeros((len(nvf.active), 8), np.float32))
    pose = look_at((0.1, 0.0, -0.2), (0.1, 0.0, -1.0))
    pixels = BakedRenderer(nvf, small_shader(), codes).trace(
        pose[None, :3, 3].astype(np.float32), -pose[None, :3, 2].astype(np.float32)
    )
    assert np.isfinite(pixels.rgb).all()
