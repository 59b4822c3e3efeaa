"""What holds for every field: sets of samples, pictures, voxels and specs, whatever was learned."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from neuron_core.assets import AssetError
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.kernels.training.raymarch import BLOCK, EMPTY, EMPTY_BLOCK, OCCUPIED, SOLID
from neuron_core.models.field import render, volume
from neuron_core.models.field import voxelize as voxelizing
from neuron_core.models.field.model import OPTICAL_DEPTH_PER_RAMP, RAMP_SHIFT, Field
from neuron_core.models.field.presets import RECIPES, enclosing_cube, photograph_spec, surface_spec
from neuron_core.models.field.preview import even_colors, figures_of
from neuron_core.models.field.ranges import ray_range
from neuron_core.models.field.shading import Reflection, reflect
from neuron_core.models.field.stored import field_from, to_tensors
from neuron_core.models.field.volume import (
    composite,
    densities,
    march_spec,
    mark_empty_blocks,
    sample_rays,
    shell_occupancy,
    thin_shell,
    values_on_grid,
)
from neuron_core.models.field.voxelize import SHELL, voxelize
from neuron_core.voxels.nvf import sample_positions
from tests.core.small_fields import RADIUS, Ball, ball_box, ball_field, directions, small_field

PROMPTS = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def ball() -> Field:
    return ball_field()


@pytest.fixture(scope="module")
def renderer(ball) -> render.FieldRenderer:
    return render.FieldRenderer(ball, ray_range(ball.spec))


def rays_at(field: Field, count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays from all around to points near the middle of the cube."""
    rays_d = torch.from_numpy(directions(count, 2))
    around = torch.from_numpy(directions(count, 3)) * 0.8 * RADIUS * 2 * field.spec.half_side
    return torch.tensor(field.spec.center) + around - 2 * rays_d, rays_d


# --- samples ---


@pytest.mark.parametrize("rows", [[0], [3, 7, 8], list(range(40))])
def test_the_samples_of_some_rays_are_composited_as_among_all(rows, ball):
    rays_o, rays_d = rays_at(ball)
    samples = sample_rays(march_spec(ball, 0.004), rays_o, rays_d, 0.0, 5.0, shell_occupancy(ball, 48))
    sigmas = ball.sigmas(ball.geometry(samples.units).values)
    values = torch.randn(len(samples), 4)
    whole = composite(samples, sigmas, values)
    own = torch.isin(samples.ray_index, torch.tensor(rows))
    chosen = samples.of_rays(torch.tensor(rows))
    assert torch.equal(torch.tensor(rows)[chosen.ray_index.long()], samples.ray_index[own].long())
    part = composite(chosen, sigmas[own], values[own])
    for all_rays, some in zip(whole, part, strict=True):
        torch.testing.assert_close(all_rays[rows], some)


def test_leaving_out_rays_without_samples_loses_nothing(ball):
    rays_o, rays_d = rays_at(ball)
    rays_o = rays_o + 9.0 * (torch.arange(40) % 3 == 0)[:, None]  # every third misses
    samples = sample_rays(march_spec(ball, 0.004), rays_o, rays_d, 0.0, 5.0, shell_occupancy(ball, 48))
    fewer, rows = samples.hits()
    sigmas, values = torch.rand(len(samples)) * 40, torch.randn(len(samples), 2)
    assert 0 < len(rows) < 40 and len(fewer) == len(samples)
    assert torch.equal(rows[fewer.ray_index.long()], samples.ray_index.long())
    for all_rays, some in zip(
        composite(samples, sigmas, values), composite(fewer, sigmas, values), strict=True
    ):
        torch.testing.assert_close(all_rays[rows], some)
        without = torch.ones(40, dtype=torch.bool)
        without[rows] = False
        assert not all_rays[without].any()


def test_values_on_a_grid_are_those_at_the_centers_of_its_cells(monkeypatch):
    field = small_field()
    whole = values_on_grid(field, 6)
    for index in ((0, 0, 0), (5, 0, 2), (1, 3, 4)):
        center = (torch.tensor([index]) + 0.5) / 6
        torch.testing.assert_close(whole[index][None], field.geometry(center).values, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(volume, "CHUNK", 9)  # slab by slab, and point by point below
    torch.testing.assert_close(values_on_grid(field, 6), whole, rtol=1e-4, atol=1e-6)
    units = torch.rand(20, 3)
    torch.testing.assert_close(densities(field, units), field.sigmas(field.geometry(units).values))
    assert densities(field, units[:0]).shape == (0,)


def centers(cells: int) -> torch.Tensor:
    axis = (torch.arange(cells) + 0.5) / cells
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)


@pytest.mark.parametrize(("shell", "cells"), [(shell_occupancy, 48), (thin_shell, 96)])
def test_a_shell_holds_all_density_that_light_reaches_and_is_solid_behind(shell, cells, ball):
    labels = shell(ball, cells)
    distance = (centers(cells) - 0.5).norm(dim=-1) - RADIUS
    inside_cell = 3**0.5 / 2 / cells
    assert set(labels.unique().tolist()) == {EMPTY, OCCUPIED, SOLID, EMPTY_BLOCK}
    ramp = ball.spec.ramp
    crossed = (distance.abs() < 0.5 / cells) & (distance < RAMP_SHIFT * ramp)
    assert (labels[crossed] == OCCUPIED).all()
    assert (distance[labels == SOLID] < -inside_cell).all(), "no cell of the surface is solid"
    assert (distance[(labels == EMPTY) | (labels == EMPTY_BLOCK)] > 0).all()
    assert (labels[distance > 8 * inside_cell + 3 * ramp] != OCCUPIED).all()


def test_pictures_through_a_thin_shell_are_those_through_a_thick_one(ball):
    rays_o, rays_d = rays_at(ball)
    found = []
    for cells in (shell_occupancy(ball, 48), thin_shell(ball, 96)):
        samples = sample_rays(march_spec(ball, 0.003), rays_o, rays_d, 0.0, 5.0, cells)
        found.append(composite(samples, ball.sigmas(ball.geometry(samples.units).values), samples.units))
    assert (found[0][1] > 0.9).sum() > 10
    torch.testing.assert_close(found[0][1], found[1][1], atol=2e-3, rtol=0)
    torch.testing.assert_close(found[0][2], found[1][2], atol=5e-3, rtol=0)


def test_empty_blocks_are_those_without_any_other_cell():
    random = np.random.default_rng(0)
    labels = np.where(random.random((24, 24, 24)) < 0.002, OCCUPIED, EMPTY).astype(np.uint8)
    found = mark_empty_blocks(torch.from_numpy(labels.copy())).numpy()
    for x, y, z in np.ndindex(3, 3, 3):
        part = tuple(slice(BLOCK * at, BLOCK * (at + 1)) for at in (x, y, z))
        wanted = labels[part] if labels[part].any() else np.full_like(labels[part], EMPTY_BLOCK)
        np.testing.assert_array_equal(found[part], wanted)
    odd = torch.zeros(9, 9, 9, dtype=torch.uint8)
    assert not mark_empty_blocks(odd).any(), "blocks do not fit: nothing is marked"


@pytest.mark.parametrize("softness", [1.0, 2.5, 6.0])
def test_softer_surfaces_spread_the_same_optical_depth_over_a_wider_ramp(softness):
    field = small_field()
    ramp, side = field.spec.ramp, 2 * field.spec.half_side
    first = RAMP_SHIFT * ramp * softness
    distances = torch.linspace(first, first - ramp * softness, 20_001, dtype=torch.float64)
    depth = torch.trapezoid(field.sigmas(distances.float(), softness).double(), -distances * side)
    assert float(depth) == pytest.approx(OPTICAL_DEPTH_PER_RAMP / 2, rel=1e-3)
    assert float(field.sigmas(torch.tensor([first + 1e-4]), softness)) == 0.0


# --- pictures ---


def test_a_picture_does_not_depend_on_the_company_or_order_of_its_rays(ball, renderer, monkeypatch):
    rays_o, rays_d = rays_at(ball)
    whole = renderer.render(rays_o, rays_d, PROMPTS)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    turned = renderer.render(rays_o[order], rays_d[order], PROMPTS)
    monkeypatch.setattr(render, "MAX_RAYS", 7)
    cut = renderer.render(rays_o, rays_d, PROMPTS)
    for name in ("opacities", "depths", "normals"):
        torch.testing.assert_close(getattr(turned, name), getattr(whole, name)[order])
        torch.testing.assert_close(getattr(cut, name), getattr(whole, name))
    torch.testing.assert_close(turned.rgbs, whole.rgbs[:, order], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(cut.rgbs, whole.rgbs, rtol=1e-4, atol=1e-5)


def test_each_prompt_is_drawn_as_if_it_were_alone_and_as_a_blend_of_itself(ball, renderer):
    rays_o, rays_d = rays_at(ball)
    together = renderer.render(rays_o, rays_d, PROMPTS).rgbs
    blended = renderer.render(rays_o, rays_d, PROMPTS, torch.eye(3)[[2, 0]]).rgbs
    torch.testing.assert_close(blended, together[[2, 0]], rtol=1e-3, atol=1e-4)
    alone = renderer.render(rays_o, rays_d, PROMPTS[1:2]).rgbs[0]
    torch.testing.assert_close(alone, together[1], rtol=1e-3, atol=1e-4)


def test_rays_at_a_ball_stop_at_the_ball_and_see_its_normal(ball, renderer):
    rays_o, rays_d = rays_at(ball)
    pixels = renderer.render(rays_o, rays_d, PROMPTS[:1])
    local = rays_o - torch.tensor(ball.spec.center)
    along = (local * rays_d).sum(-1)
    radius = RADIUS * 2 * ball.spec.half_side
    square = along**2 - local.square().sum(-1) + radius**2
    hit = square > (0.3 * radius) ** 2  # not grazing
    depth = -along[hit] - square[hit].sqrt()
    assert hit.sum() > 10 and (pixels.opacities[hit] > 0.99).all()
    ramp = ball.spec.ramp * 2 * ball.spec.half_side
    assert ((pixels.depths[hit] - depth).abs() < 2 * ramp).all()
    normals = (local[hit] + depth[:, None] * rays_d[hit]) / radius
    torch.testing.assert_close(pixels.normals[hit], normals, atol=0.05, rtol=0)


def some_surfaces(field: Field, opacity: float = 1.0) -> render.SurfaceSamples:
    random = torch.Generator().manual_seed(4)
    sums = torch.randn(6, 3 + 2 * 8, generator=random) * opacity
    return render.surface_samples(field, sums, torch.full((6,), opacity), torch.full((6,), 2.0 * opacity))


def test_what_half_of_a_ray_composited_is_the_same_surface_at_half_the_opacity():
    field = small_field()
    whole, half = some_surfaces(field), some_surfaces(field, 0.5)
    torch.testing.assert_close(half.codes, whole.codes)
    torch.testing.assert_close(half.normals, whole.normals)
    torch.testing.assert_close(half.depths, whole.depths)
    rays_d = torch.from_numpy(directions(6, 5))
    torch.testing.assert_close(
        render.shade(field, half, rays_d).rgbs, 0.5 * render.shade(field, whole, rays_d).rgbs
    )


def test_a_ray_that_composited_nothing_is_black_and_has_no_normal():
    pixels = render.shade(
        small_field(), some_surfaces(small_field(), 0.0), torch.from_numpy(directions(6, 5))
    )
    for part in pixels:
        assert not part.any() and torch.isfinite(part).all()


def test_a_reflection_of_nothing_changes_nothing_and_more_of_it_goes_on_in_a_line():
    field, rays_d = small_field(), torch.from_numpy(directions(6, 5))
    surfaces = some_surfaces(field)
    mirrored = torch.rand(2, 6, 3)
    shown = [
        render.shade(field, surfaces, rays_d, Reflection(mirrored, torch.full((6,), part))).rgbs
        for part in (0.0, 0.5, 1.0)
    ]
    torch.testing.assert_close(shown[0], render.shade(field, surfaces, rays_d).rgbs)
    torch.testing.assert_close(shown[1], (shown[0] + shown[2]) / 2)
    assert (shown[2] - shown[0]).abs().max() > 1e-3


def test_reflected_rays_begin_clear_of_the_surface_and_reflect_back():
    field, rays_d = small_field(), torch.from_numpy(directions(9, 5))
    normals, points = torch.from_numpy(directions(9, 6)), torch.randn(9, 3)
    origins, reflected = render.reflected_rays(field, points, normals, rays_d)
    lifted = ((origins - points) * normals).sum(-1)
    torch.testing.assert_close(origins - points, lifted[:, None] * normals)
    assert (lifted > field.spec.ramp * 2 * field.spec.half_side).all()
    torch.testing.assert_close(reflect(reflected, normals), rays_d)
    torch.testing.assert_close((reflected * normals).sum(-1), -(rays_d * normals).sum(-1))


# --- voxels ---


def test_voxels_of_a_ball_hold_the_ramp_of_its_distance_and_bricks_leave_no_density_out(ball, monkeypatch):
    monkeypatch.setattr(voxelizing, "COARSE_CELLS", 48)  # a ball is known everywhere
    nvf = voxelize(ball, ball_box(ball), 24)
    voxel = nvf.voxel_size
    places = sample_positions(nvf).astype(np.float64) - np.array(ball.spec.center)
    distance = (np.linalg.norm(places, axis=-1) - 2 * ball.spec.half_side * RADIUS) / voxel
    ramp = np.clip(RAMP_SHIFT - distance, -3, 3) * OPTICAL_DEPTH_PER_RAMP / voxel
    clear = np.abs(distance + SHELL) > 1e-3
    np.testing.assert_allclose(
        nvf.density[clear], np.where(distance < -SHELL, 0.0, ramp)[clear], rtol=1e-3, atol=0.5
    )
    corners = np.stack(np.meshgrid(*(np.arange(8 * side + 1) for side in nvf.top.shape), indexing="ij"), -1)
    away = nvf.aabb[0] + corners * voxel - np.array(ball.spec.center)
    depth = RAMP_SHIFT - (np.linalg.norm(away, axis=-1) - 2 * ball.spec.half_side * RADIUS) / voxel
    dense = (depth > 0) & (depth < SHELL)
    assert (nvf.top[tuple(np.minimum(corners[dense] // 8, np.array(nvf.top.shape) - 1).T)] >= 0).all()


def test_a_ball_of_another_size_elsewhere_has_the_same_voxels(ball, monkeypatch):
    monkeypatch.setattr(voxelizing, "COARSE_CELLS", 48)  # a ball is known everywhere
    spec = dataclasses.replace(ball.spec, half_side=8.0 * ball.spec.half_side, center=(4.0, -8.0, 0.5))
    large = Field(spec)
    large.geometry = Ball()
    one, other = voxelize(ball, ball_box(ball), 16), voxelize(large, ball_box(large), 16)
    np.testing.assert_array_equal(one.top, other.top)
    assert other.voxel_size == pytest.approx(8 * one.voxel_size, rel=1e-6)
    agrees = np.isclose(one.density * one.voxel_size, other.density * other.voxel_size, atol=0.05)
    assert agrees.mean() > 0.999  # those at the end of the shell may fall on either side


# --- what is stored ---


def test_a_stored_field_loses_only_the_last_bits_of_its_tables_and_nothing_the_second_time():
    field = small_field()
    once = to_tensors(field)
    for name, array in once.items():
        own = dict(field.state_dict())[name.removeprefix("inr.")].numpy()
        if name.endswith("tables"):
            assert array.dtype == np.float16
            assert (np.abs(array - own) <= 2.0**-11 * np.abs(own) + 2.0**-25).all()
        else:
            np.testing.assert_array_equal(array, own)
    twice = to_tensors(field_from(once, field.spec, Path("a")))
    assert once.keys() == twice.keys()
    for name, array in once.items():
        np.testing.assert_array_equal(array, twice[name])


@pytest.mark.parametrize("name", ["inr.geometry.net.0.weight", "shader.tints.bias"])
def test_a_field_without_one_of_its_tensors_is_refused(name):
    field = small_field()
    tensors = to_tensors(field)
    assert name in tensors
    with pytest.raises(AssetError, match="description"):
        field_from({key: value for key, value in tensors.items() if key != name}, field.spec, Path("a"))


# --- how large and how long ---


def test_the_phases_of_every_recipe_share_the_whole_of_its_time():
    for recipes in RECIPES.values():
        for preset, recipe in recipes.items():
            assert sum(one.phase.share for one in recipe.phases) == pytest.approx(1.0), preset
            assert all(recipe.named(one.phase.name) is one for one in recipe.phases)


def test_the_cube_around_a_box_moves_and_grows_with_it():
    box = np.array([[-1.0, 0.0, 2.0], [1.0, 0.5, 3.0]])
    center, half = enclosing_cube(box)
    assert (box[0] > np.array(center) - half).all() and (box[1] < np.array(center) + half).all()
    moved, grown = enclosing_cube(box + 5.0), enclosing_cube(3.0 * box)
    np.testing.assert_allclose(moved[0], np.array(center) + 5.0)
    np.testing.assert_allclose(grown[0], 3.0 * np.array(center))
    assert moved[1] == pytest.approx(half) and grown[1] == pytest.approx(3 * half)


@pytest.mark.parametrize("contracted", [False, True])
def test_the_same_photographs_in_another_unit_are_the_same_field(contracted):
    def spec(unit: float, offset: float):  # type: ignore[no-untyped-def]
        cameras = fibonacci_dome(12, (offset, 0.0, 1.0), 2.0, width=200, height=150)
        scaled = []
        for camera in cameras:
            c2w = camera.c2w.copy()
            c2w[:3, 3] *= unit
            scaled.append(dataclasses.replace(camera, c2w=c2w))
        return photograph_spec("cpu", scaled, 6, contracted)

    one, other = spec(1.0, 0.5), spec(100.0, 0.5)
    assert other.half_side == pytest.approx(100 * one.half_side)
    np.testing.assert_allclose(other.center, 100 * np.array(one.center), rtol=1e-6, atol=1e-9)
    same = {"half_side": one.half_side, "center": one.center}
    assert dataclasses.replace(other, **same) == one
    assert spec(1.0, 3.0).half_side == pytest.approx(one.half_side)


def test_rays_are_sampled_as_finely_in_a_scene_of_any_size():
    spec = surface_spec("cpu", np.array([[-1.0, -1, -1], [1, 1, 1]]), 6)
    large = dataclasses.replace(spec, half_side=50 * spec.half_side)
    for one, other in (
        (spec, large),
        tuple(dataclasses.replace(s, surface="density") for s in (spec, large)),
    ):
        near, far = ray_range(one), ray_range(other)
        assert (far.near, far.far) == pytest.approx((50 * near.near, 50 * near.far))
        assert (far.step, far.cone) == (near.step, near.cone)


# --- figures of previews ---


def pictures(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    return {name: tuple(random.random((2, 8, 6, 3)).astype(np.float32)) for name in ("a", "b")}


def test_figures_are_means_of_decibels_over_all_pictures_of_all_views():
    views = [pictures(0), pictures(1)]
    own = [-10 * np.log10(((one - true) ** 2).mean()) for view in views for one, true in view.values()]
    assert figures_of(views)["psnr"] == pytest.approx(np.mean(own), rel=1e-4)
    assert figures_of([]) == even_colors([]) == {}


def test_no_picture_of_one_color_beats_the_mean_color():
    view = pictures(2)
    best = even_colors([view])["psnr"]
    for color in np.random.default_rng(3).random((20, 3)).astype(np.float32):
        even = {name: (np.broadcast_to(color, true.shape), true) for name, (_, true) in view.items()}
        assert figures_of([even])["psnr"] <= best
