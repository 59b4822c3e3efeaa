"""Marching one baked field: closed forms of layered densities, and what must not change a picture."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.rendering.baked import BakedRenderer, UnshadedHits
from neuron_core.voxels.nvf import Nvf, encode_codes, find_active, sample_positions
from tests.core.brick_samples import (
    HILLS,
    PLATEAU,
    RESOLUTION,
    SAMPLES,
    VOXEL,
    along,
    exact,
    layered,
    marched,
    oblique,
)
from tests.core.composed_samples import smoke, soft_ball
from tests.core.small_shaders import small_shader

ROUNDED = 2e-4  # a tick in a plane of samples may count to the voxel on either side


def same_bits(one: UnshadedHits, two: UnshadedHits) -> None:
    for name in ("alpha", "depth", "normal", "codes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)


@pytest.mark.parametrize("step", [0.25, 0.5, 1.0])
def test_density_between_samples_is_a_line_and_absorbs_by_its_exact_integral(step):
    for axis in range(3):
        for sign, profile in ((1, HILLS), (-1, HILLS[::-1])):
            hits = marched(layered(HILLS, axis), along(axis, sign), step)
            np.testing.assert_allclose(hits.alpha, exact(profile)[0], atol=2e-5)


def test_light_is_stopped_where_the_integral_over_a_layer_says():
    for sign, profile in ((1, HILLS), (-1, HILLS[::-1]), (1, 20 * PLATEAU), (1, 0.1 * PLATEAU)):
        hits = marched(layered(profile[::sign], 1), along(1, sign))
        np.testing.assert_allclose(hits.depth, 1.0 + exact(profile)[1], atol=0.02 * VOXEL)


def test_a_layer_at_an_angle_is_as_thick_as_its_way_is_long():
    tilt = np.array([np.cos(0.6), np.sin(0.6), 0.0])
    origins, _ = along(0)
    origins = np.array([0.0, 0.0, 1.0]) * origins - 1.2 * tilt
    hits = marched(layered(PLATEAU), (origins, np.tile(tilt, (len(origins), 1))))
    straight = -np.log1p(-exact(PLATEAU)[0])
    np.testing.assert_allclose(-np.log1p(-hits.alpha), straight / tilt[0], rtol=3e-3)


def test_a_surface_moves_with_the_crossing_by_fractions_of_a_voxel():
    def wall(crossing: float) -> Nvf:
        steep = np.clip((SAMPLES - crossing) / VOXEL, -2, 2) * 40 / VOXEL
        return layered(steep)

    fractions = np.linspace(0.0, 1.0, 9)
    depths = [marched(wall(fraction * VOXEL), along(0)).depth for fraction in fractions]
    inside = np.sqrt(np.pi / 2 / 40) * VOXEL  # the mean free path where density grows as 40 s / voxel**2
    for fraction, depth in zip(fractions, depths, strict=True):
        np.testing.assert_allclose(depth - 1.5, fraction * VOXEL + inside, atol=0.03 * VOXEL)


def test_two_layers_let_through_the_product_of_each():
    near, far = HILLS.copy(), HILLS.copy()
    near[8:], far[:8] = 0.0, 0.0
    both, one, two = (marched(layered(profile), along(0)).alpha for profile in (HILLS, near, far))
    np.testing.assert_allclose(1 - both, (1 - one) * (1 - two), atol=2e-6)


def test_optical_depth_is_proportional_to_the_density():
    nvf, rays = smoke(soft_ball(most=1.0), RESOLUTION), oblique()
    once = -np.log1p(-marched(nvf, rays).alpha)
    for factor in (2.0, 4.5):
        dense = -np.log1p(-marched(replace(nvf, density=nvf.density * np.float32(factor)), rays).alpha)
        np.testing.assert_allclose(dense, factor * once, atol=5e-6 * factor)
    assert once.max() > 0.3


def test_where_a_ray_begins_shifts_its_distances_only():
    nvf, (origins, directions) = smoke(soft_ball(), RESOLUTION), oblique()
    near, far = (marched(nvf, (origins - back * directions, directions)) for back in (0.0, 2.25))
    np.testing.assert_allclose(far.alpha, near.alpha, atol=ROUNDED)
    seen = near.alpha > 0.01
    assert seen.sum() > 100
    np.testing.assert_allclose((far.depth - near.depth)[seen], 2.25, atol=2 * ROUNDED)
    np.testing.assert_allclose(far.codes[seen], near.codes[seen], atol=5e-3)


def test_what_lies_behind_an_opaque_wall_does_not_change_a_bit():
    wall = np.interp(np.arange(17), [4, 5, 7, 8], [0.0, 400.0, 400.0, 0.0])
    behind = wall + np.interp(np.arange(17), [9, 10, 16], [0.0, 5.0, 7.0])
    one, two = (marched(layered(profile), along(0)) for profile in (wall, behind))
    assert (one.alpha == 1.0).all()
    np.testing.assert_array_equal(one.depth, two.depth)
    np.testing.assert_array_equal(one.normal, two.normal)


def test_bricks_may_lie_in_memory_in_any_order():
    nvf = smoke(soft_ball(), RESOLUTION)
    order = np.random.default_rng(1).permutation(len(nvf.density))
    top = np.argsort(order)[nvf.top].astype(np.int32)
    density, normals = nvf.density[order], nvf.normals[order]
    shuffled = replace(nvf, top=top, density=density, normals=normals, active=find_active(top, density))
    assert not np.array_equal(top, nvf.top)
    same_bits(marched(nvf, oblique()), marched(shuffled, oblique()))


def test_an_absent_brick_is_a_brick_without_density():
    gap = np.where(np.arange(17) < 8, HILLS, 0.0)
    full = layered(gap)
    half = layered(gap, bricks=np.argwhere(np.arange(2)[:, None, None] + np.zeros((2, 2, 2)) == 0))
    assert len(half.density) == 4 and len(full.density) == 8
    same_bits(marched(full, oblique()), marched(half, oblique()))


def test_empty_bricks_around_a_field_change_nothing():
    nvf = smoke(soft_ball(), RESOLUTION)
    padded = replace(
        nvf,
        aabb=np.stack([nvf.aabb[0] - 8 * VOXEL, nvf.aabb[1] + 8 * VOXEL]),
        top=np.pad(nvf.top, 1, constant_values=-1),
    )
    one, two = marched(nvf, oblique()), marched(padded, oblique())
    np.testing.assert_allclose(two.alpha, one.alpha, atol=ROUNDED)
    np.testing.assert_allclose(two.depth, one.depth, atol=ROUNDED)


@pytest.mark.parametrize("scale", [0.5, 8.0])
def test_a_field_larger_by_a_power_of_two_and_as_much_thinner_is_the_same_to_the_bit(scale):
    nvf, (origins, directions) = smoke(soft_ball(), RESOLUTION), oblique()
    large = replace(
        nvf,
        aabb=nvf.aabb * scale,
        voxel_size=nvf.voxel_size * scale,
        density=(nvf.density / scale).astype(np.float32),
    )
    one, two = marched(nvf, (origins, directions)), marched(large, (origins * scale, directions))
    np.testing.assert_array_equal(one.alpha, two.alpha)
    np.testing.assert_array_equal(one.depth * np.float32(scale), two.depth)


def test_turning_or_reflecting_field_and_rays_together_changes_nothing():
    """For signed permutations of the axes, which take samples to samples."""
    density = soft_ball((0.1, -0.05, 0.15))
    origins, directions = oblique()
    first = marched(smoke(density, RESOLUTION), (origins, directions))
    assert (first.alpha > 0.1).sum() > 50
    for order, signs in (((1, 2, 0), (1, 1, 1)), ((0, 1, 2), (-1, 1, 1)), ((2, 0, 1), (-1, -1, 1))):
        turn = np.zeros((3, 3))
        turn[np.arange(3), order] = signs
        turned = smoke(lambda places, turn=turn: density(places @ turn), RESOLUTION)
        hits = marched(turned, (origins @ turn.T, directions @ turn.T))
        np.testing.assert_allclose(hits.alpha, first.alpha, atol=ROUNDED)
        np.testing.assert_allclose(hits.depth, first.depth, atol=5 * ROUNDED)
        np.testing.assert_allclose(hits.normal, first.normal @ turn.T, atol=0.02)


def test_codes_that_grow_along_an_axis_are_read_where_the_light_is_stopped():
    """A mean of a linear function is the function of the mean."""
    nvf = layered(PLATEAU)
    places = sample_positions(nvf).reshape(-1, 3)[nvf.active].astype(np.float32)
    codes = encode_codes(np.concatenate([places, places, -places[:, :2]], axis=1))
    origins, directions = oblique()
    rays = [array.astype(np.float32) for array in (origins, directions)]
    hits = BakedRenderer(nvf, small_shader(), codes).surfaces(*rays)
    points = origins + hits.depth[:, None] * directions
    whole = (hits.alpha > 0.3) & (np.abs(points) < 0.45).all(axis=-1)
    assert whole.sum() > 60
    np.testing.assert_allclose(hits.codes[whole, :3], points[whole], atol=0.15 * VOXEL)
    half_steps = 2 * 0.5 / 255  # of both codes, whose values span a meter
    np.testing.assert_allclose(hits.codes[:, 6:], -hits.codes[:, :2], atol=half_steps)


def test_constant_codes_and_normals_are_read_as_they_are_at_any_opacity():
    for factor in (0.02, 1.0, 500.0):
        nvf = layered(factor * PLATEAU, 2)
        nvf.normals[:] = np.array([0.0, 0.6, -0.8])
        values = np.linspace(-1, 1, 8, dtype=np.float32)
        codes = encode_codes(np.tile(values, (len(nvf.active), 1)))
        rays = [array.astype(np.float32) for array in oblique()]
        hits = BakedRenderer(nvf, small_shader(), codes).surfaces(*rays)
        seen = hits.alpha > 0.01
        assert seen.sum() > 100
        np.testing.assert_allclose(hits.codes[seen], np.tile(values, (seen.sum(), 1)), atol=1e-4)
        np.testing.assert_allclose(hits.normal[seen], np.tile([0.0, 0.6, -0.8], (seen.sum(), 1)), atol=4e-3)


def test_a_ray_through_a_batch_sees_what_it_sees_alone():
    nvf, (origins, directions) = smoke(soft_ball(), RESOLUTION), oblique(130)
    together = marched(nvf, (origins, directions))
    for first, last in ((0, 1), (63, 65), (100, 130)):
        part = marched(nvf, (origins[first:last], directions[first:last]))
        np.testing.assert_allclose(part.alpha, together.alpha[first:last], atol=1e-6)
        np.testing.assert_allclose(part.depth, together.depth[first:last], atol=1e-6)
