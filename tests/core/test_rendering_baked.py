"""The baked marcher against closed forms and a slow marcher that skips nothing."""

from dataclasses import dataclass

import numpy as np
import pytest

from neuron_core.kernels.baked import bricks
from neuron_core.kernels.baked.bricks import distances_to
from neuron_core.kernels.baked.layout import OPAQUE
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.voxels.nvf import (
    LookCodes,
    Nvf,
    VoxelError,
    allocate,
    brick_coordinates,
    encode_codes,
    find_active,
    lattice,
    sample_positions,
)
from tests.core.small_shaders import small_shader

CENTER = np.array([0.05, -0.02, 0.03])
RADIUS = 0.35
BOX = np.array([[-0.5, -0.5, -0.5], [0.5, 0.5, 0.5]])


@dataclass(frozen=True)
class Shown:
    """What rays meet; the first three codes are the color."""

    rgb: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray
    normal: np.ndarray


def shown(renderer: BakedRenderer, rays_o: np.ndarray, rays_d: np.ndarray, width: int = 0) -> Shown:
    met = renderer.surfaces(rays_o, rays_d, width)
    seen = met.alpha > 1e-3
    assert np.allclose(np.linalg.norm(met.normal[seen], axis=-1), 1, atol=1e-3)
    return Shown(met.codes[:, :3] * met.alpha[:, None], met.alpha, met.depth, met.normal)


def field(bricks: np.ndarray, density: object, resolution: int = 32, box: np.ndarray = BOX) -> Nvf:
    """Density is a function of world positions; normals point away from CENTER."""
    nvf = allocate(box, resolution, bricks)
    positions = sample_positions(nvf).astype(np.float64)
    nvf.density[:] = density(positions)
    away = positions - CENTER - (box.mean(axis=0) - BOX.mean(axis=0))
    nvf.normals[:] = away / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-9)
    active = find_active(nvf.top, nvf.density)
    return Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, active)


def ramp(distance: np.ndarray, voxel: float, per_voxel: float = 4.0) -> np.ndarray:
    """The density of the ball at a distance from its center: it rises over two voxels."""
    return np.clip((RADIUS - distance) / voxel / 2 + 0.5, 0, 1) * per_voxel / voxel


def ball(resolution: int = 32, shift: float = 0.0, per_voxel: float = 4.0) -> Nvf:
    """Voxels of the ball, in only those bricks that it touches."""
    box = BOX + shift
    _, voxel, shape = lattice(box, resolution)

    def density(positions: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(positions - CENTER - shift, axis=-1)
        return ramp(distance, voxel, per_voxel)

    full = allocate(box, resolution, np.ones(shape, bool))
    touched = (density(sample_positions(full)) > 0).any(axis=(1, 2, 3))
    return field(brick_coordinates(full.top)[touched], density, resolution, box)


def smooth_codes(nvf: Nvf) -> LookCodes:
    positions = sample_positions(nvf).reshape(-1, 3)[nvf.active]
    waves = [np.sin(4 * positions[:, axis % 3] + axis) * 0.4 + 0.5 for axis in range(8)]
    return encode_codes(np.stack(waves, axis=-1).astype(np.float32))


def rays_of(side: int, eye: tuple[float, float, float] = (0.9, 0.7, 1.6), aim: float = 0.0) -> tuple:
    """A square picture of the ball."""
    eye = np.array(eye) + aim
    forward = CENTER + aim - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    steps = ((np.arange(side) + 0.5) / side - 0.5) * 0.7
    rays_d = forward + steps[None, :, None] * right - steps[:, None, None] * up
    rays_d = (rays_d / np.linalg.norm(rays_d, axis=-1, keepdims=True)).reshape(-1, 3).astype(np.float32)
    return np.tile(eye.astype(np.float32), (len(rays_d), 1)), rays_d


def rendered(nvf: Nvf, rays_o: np.ndarray, rays_d: np.ndarray, width: int = 0) -> Shown:
    return shown(BakedRenderer(nvf, small_shader(), smooth_codes(nvf)), rays_o, rays_d, width)


def exact_ball(rays_o: np.ndarray, rays_d: np.ndarray, voxel: float) -> tuple[np.ndarray, np.ndarray]:
    """Alpha and mean depth of the ball without any voxels, integrated in steps of 1/10 voxel."""
    along = ((CENTER - rays_o.astype(np.float64)) * rays_d).sum(axis=-1)
    times = along[:, None] + np.arange(-(RADIUS + 2 * voxel), 2 * voxel, voxel / 10)
    positions = rays_o[:, None] + times[..., None] * rays_d[:, None]
    density = ramp(np.linalg.norm(positions - CENTER, axis=-1), voxel)
    passed = np.exp(-np.cumsum(density, axis=-1) * voxel / 10)
    weights = np.concatenate([1 - passed[:, :1], -np.diff(passed)], axis=-1)
    alpha = weights.sum(axis=-1)
    return alpha, (weights * times).sum(axis=-1) / np.maximum(alpha, 1e-9)


def test_silhouette_of_a_ball_is_its_exact_circle() -> None:
    rays_o, rays_d = rays_of(64)
    nvf = ball(64)
    covered = rendered(nvf, rays_o, rays_d, width=64).alpha > 0.5
    exact = exact_ball(rays_o, rays_d, nvf.voxel_size)[0] > 0.5
    assert exact.sum() > 800
    assert (covered & exact).sum() / (covered | exact).sum() > 0.95  # voxels blur the rim


def test_a_ball_is_opaque_and_where_it_should_be() -> None:
    nvf = ball(48)
    rays_o, rays_d = rays_of(48)
    pixels = rendered(nvf, rays_o, rays_d)
    alpha, depth = exact_ball(rays_o, rays_d, nvf.voxel_size)
    inner = (
        np.sqrt(((CENTER - rays_o) ** 2).sum(-1) - ((CENTER - rays_o) * rays_d).sum(-1) ** 2) < 0.75 * RADIUS
    )
    assert pixels.alpha[inner].min() > 0.998
    np.testing.assert_allclose(pixels.alpha[inner], alpha[inner], atol=2e-3)
    error = (pixels.depth - depth)[inner] / nvf.voxel_size
    assert np.abs(error).mean() < 0.3 and error.std() < 0.1 and np.abs(error).max() < 0.5
    hits = rays_o[inner] + pixels.depth[inner, None] * rays_d[inner]
    expected = (hits - CENTER) / np.linalg.norm(hits - CENTER, axis=-1, keepdims=True)
    assert (pixels.normal[inner] * expected).sum(axis=-1).min() > np.cos(np.radians(2))


def slow_march(nvf: Nvf, codes: LookCodes, origin: np.ndarray, ray: np.ndarray, step: float) -> tuple:
    """Alpha, mean depth and codes of one ray, every tick looked up, in double precision."""
    flat_codes = np.zeros((nvf.density.size, 8))
    flat_codes[nvf.active] = codes.decoded()

    def interpolate(pool: np.ndarray, t: float) -> np.ndarray | float:
        place = (origin + t * ray - nvf.aabb[0]) / nvf.voxel_size
        if (place < 0).any() or (place > 8 * np.array(nvf.top.shape)).any():
            return 0.0
        voxel = np.minimum(place.astype(int), 8 * np.array(nvf.top.shape) - 1)
        brick = nvf.top[tuple(voxel // 8)]
        if brick < 0:
            return 0.0
        x, y, z = voxel % 8
        weights = np.stack([1 - (place - voxel), place - voxel])
        taps = pool.reshape(*nvf.density.shape, -1)[brick, x : x + 2, y : y + 2, z : z + 2]
        return np.einsum("i,j,k,ijkc->c", *weights.T, taps)

    tick = step * nvf.voxel_size
    times = np.arange(0.0, 4.0, tick)
    density = np.array([np.sum(interpolate(nvf.density, t)) for t in times])
    depths = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * tick)])
    weights = -np.diff(np.exp(-depths))
    alpha = weights.sum()
    if alpha < 1e-3:
        return alpha, 0.0, np.zeros(8)
    ends = np.where(density[1:] > 0, times[1:], times[:-1])
    seen = sum(weights[i] * interpolate(flat_codes, ends[i]) for i in np.flatnonzero(weights > 1e-9))
    return alpha, (weights * (times[1:] + times[:-1]) / 2).sum() / alpha, seen / alpha


def test_the_marcher_agrees_with_a_slow_and_finer_one() -> None:
    nvf = ball(32, per_voxel=2.0)
    codes = smooth_codes(nvf)
    rays_o, rays_d = rays_of(24)
    pixels = shown(BakedRenderer(nvf, small_shader(), codes), rays_o, rays_d)
    for ray in range(7, len(rays_o), 41):
        alpha, depth, seen = slow_march(nvf, codes, rays_o[ray], rays_d[ray], 0.2)
        assert pixels.alpha[ray] == pytest.approx(alpha, abs=0.02)
        if alpha > 0.1:
            assert pixels.depth[ray] == pytest.approx(depth, abs=0.3 * nvf.voxel_size)
            np.testing.assert_allclose(pixels.rgb[ray] / pixels.alpha[ray], seen[:3], atol=0.02)


@pytest.mark.parametrize("bricks", [np.ones((4, 4, 4), bool), np.array([[1, 2, 1]])])
def test_thin_smoke_in_full_and_one_brick_grids_absorbs_by_its_length(bricks: np.ndarray) -> None:
    nvf = field(bricks, lambda positions: np.full(positions.shape[:-1], 1.5))
    rays_o, rays_d = rays_of(40, eye=(0.2, 0.3, 1.6))
    coordinates = brick_coordinates(nvf.top)
    low = nvf.aabb[0] + coordinates.min(axis=0) * 8 * nvf.voxel_size
    high = nvf.aabb[0] + (coordinates.max(axis=0) + 1) * 8 * nvf.voxel_size
    walls = (np.stack([low, high])[:, None] - rays_o) / rays_d
    length = np.maximum(walls.max(axis=0).min(axis=-1) - walls.min(axis=0).max(axis=-1), 0)
    alpha = rendered(nvf, rays_o, rays_d).alpha
    np.testing.assert_allclose(alpha, 1 - np.exp(-1.5 * length), atol=1.5 * nvf.voxel_size)


def test_an_empty_grid_shows_nothing() -> None:
    nvf = field(np.zeros((0, 3), int), lambda positions: np.zeros(positions.shape[:-1]))
    pixels = rendered(nvf, *rays_of(16))
    assert not pixels.rgb.any() and not pixels.alpha.any() and not pixels.depth.any()


def test_bricks_without_density_show_nothing() -> None:
    nvf = field(np.ones((4, 4, 4), bool), lambda positions: np.zeros(positions.shape[:-1]))
    assert not rendered(nvf, *rays_of(16)).alpha.any()


def test_rays_along_axes_through_the_middle_meet_the_ball_on_both_sides() -> None:
    nvf = ball(32)
    rays_d = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    rays_o = (CENTER - 2 * rays_d).astype(np.float32)
    pixels = rendered(nvf, rays_o, rays_d)
    exact = exact_ball(rays_o, rays_d, nvf.voxel_size)[1]
    np.testing.assert_allclose(pixels.depth, exact, atol=0.3 * nvf.voxel_size)
    np.testing.assert_allclose(pixels.normal, -rays_d, atol=0.03)


def test_rays_on_the_planes_between_bricks_and_voxels_meet_it_too() -> None:
    nvf = ball(32)
    rays_o = np.array([[0, 0, 2], [0.125, 0.125, 2], [0.25, 0, 2]], np.float32)
    rays_d = np.tile(np.array([[0, 0, -1]], np.float32), (3, 1))
    pixels = rendered(nvf, rays_o, rays_d)
    np.testing.assert_allclose(
        pixels.depth, exact_ball(rays_o, rays_d, nvf.voxel_size)[1], atol=0.3 * nvf.voxel_size
    )


def test_rays_from_inside_leave_through_the_surface() -> None:
    hollow = ball(32)
    distance = np.linalg.norm(sample_positions(hollow) - CENTER, axis=-1)
    hollow.density[distance < RADIUS - 3 * hollow.voxel_size] = 0
    rays_d = rays_of(8)[1]
    rays_o = np.tile(CENTER.astype(np.float32), (len(rays_d), 1))
    pixels = rendered(hollow, rays_o, rays_d)
    assert pixels.alpha.min() > 0.99
    np.testing.assert_allclose(pixels.depth, RADIUS, atol=4 * hollow.voxel_size)
    solid = rendered(ball(32), rays_o, rays_d)
    assert solid.alpha.min() > 0.99 and solid.depth.max() < hollow.voxel_size and solid.depth.min() >= 0


def test_impossible_rays_and_misses_see_nothing_and_do_not_hang() -> None:
    nan, inf = np.nan, np.inf
    rays_d = np.array(
        [[0, 0, 0], [nan, 0, 1], [0, 0, -1], [0, 0, 1], [inf, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32
    )
    rays_o = np.array(
        [[0, 0, 0], [0, 0, 0], [nan, 0, 2], [0, 0, 2], [0, 0, 0], [inf, 0, 0], [9, 0, 0]], np.float32
    )
    pixels = rendered(ball(16), rays_o, rays_d)
    assert not pixels.alpha.any() and np.isfinite(pixels.depth).all() and not pixels.rgb.any()


def test_an_impossible_ray_does_not_disturb_its_neighbors() -> None:
    nvf = ball(32)
    rays_o, rays_d = rays_of(16)
    whole = rendered(nvf, rays_o, rays_d, width=16)
    rays_d[40], rays_o[77], rays_d[130] = np.nan, np.inf, np.inf
    others = np.delete(np.arange(256), [40, 77, 130])
    disturbed = rendered(nvf, rays_o, rays_d, width=16)
    assert np.array_equal(whole.rgb[others], disturbed.rgb[others])
    assert not disturbed.alpha[[40, 77, 130]].any()


@pytest.mark.parametrize("width", [0, 50])
def test_neither_cutting_nor_skipping_changes_a_bit(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    nvf = ball(32)
    rays_o, rays_d = rays_of(50)
    renderer = BakedRenderer(nvf, small_shader(), smooth_codes(nvf))
    whole = shown(renderer, rays_o, rays_d, width)
    rays = range(0, len(rays_o), 13)
    alone = [shown(renderer, rays_o[ray : ray + 1], rays_d[ray : ray + 1]) for ray in rays]
    for name in ("rgb", "alpha", "depth", "normal"):
        parts = np.concatenate([getattr(pixels, name) for pixels in alone])
        np.testing.assert_array_equal(getattr(whole, name)[::13], parts)
    monkeypatch.setattr(bricks, "distances_to", lambda found: np.zeros(found.shape, np.uint8))
    unskipped = rendered(nvf, rays_o, rays_d, width=width)
    np.testing.assert_allclose(whole.alpha, unskipped.alpha, atol=OPAQUE)
    np.testing.assert_allclose(whole.depth, unskipped.depth, atol=0.02 * nvf.voxel_size)


def test_moving_the_grid_and_the_camera_together_changes_nothing() -> None:
    shift = 2.0
    here = rendered(ball(32), *rays_of(32))
    there = rendered(ball(32, shift=shift), *rays_of(32, aim=shift))
    np.testing.assert_allclose(here.alpha, there.alpha, atol=2e-3)
    np.testing.assert_allclose(here.normal, there.normal, atol=2e-2)


def test_large_grids_skip_in_larger_blocks_to_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    nvf = ball(32)
    rays = rays_of(40)
    fine = rendered(nvf, *rays)
    monkeypatch.setattr(bricks, "FINE_BRICKS", 1)
    coarse = rendered(nvf, *rays)
    np.testing.assert_allclose(fine.alpha, coarse.alpha, atol=OPAQUE)


def test_another_look_changes_colors_only() -> None:
    nvf = ball(32)
    rays = rays_of(32)
    first, second = smooth_codes(nvf), encode_codes(np.ones((len(nvf.active), 8), np.float32) * 0.25)
    renderer = BakedRenderer(nvf, small_shader(), first)
    before = shown(renderer, *rays)
    renderer.set_look(second)
    after = shown(renderer, *rays)
    assert np.array_equal(before.alpha, after.alpha) and np.array_equal(before.depth, after.depth)
    assert np.array_equal(before.normal, after.normal)
    np.testing.assert_allclose(
        after.rgb, 0.25 * after.alpha[:, None] * np.ones(3), atol=1e-3
    )  # faint ones are not shaded
    renderer.set_look(first)
    assert np.array_equal(shown(renderer, *rays).rgb, before.rgb)


def test_codes_of_another_field_are_refused() -> None:
    nvf = ball(16)
    with pytest.raises(VoxelError, match="samples"):
        BakedRenderer(nvf, small_shader(), encode_codes(np.zeros((5, 8), np.float32)))


def test_results_are_not_overwritten_by_the_next_frame() -> None:
    nvf = ball(16)
    renderer = BakedRenderer(nvf, small_shader(), smooth_codes(nvf))
    first = renderer.trace(*rays_of(16))
    kept = [first.rgb.copy(), first.alpha.copy(), first.depth.copy(), first.normal.copy()]
    renderer.trace(*rays_of(16, eye=(-1.5, 0.2, 0.1)))
    for a, b in zip(kept, (first.rgb, first.alpha, first.depth, first.normal), strict=True):
        assert np.array_equal(a, b)


def test_distances_count_cells_by_the_largest_difference() -> None:
    found = np.zeros((9, 10, 11), bool)
    found[2, 3, 4] = found[8, 9, 0] = True
    places = np.argwhere(np.ones_like(found))
    expected = np.min([np.abs(places - place).max(axis=-1) for place in np.argwhere(found)], axis=0)
    assert np.array_equal(distances_to(found).ravel(), expected)
