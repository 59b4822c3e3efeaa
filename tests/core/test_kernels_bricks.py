"""Pools of bricks as marchers take them, and beams through them: against counting every voxel."""

from itertools import product

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, look_at, pinhole, pixel_centers, rays
from neuron_core.kernels.baked import bricks
from neuron_core.kernels.baked.bricks import BrickPools, asset_of, brick_pools, distances_to, filled_voxels
from neuron_core.kernels.baked.drawing import find_tiles
from neuron_core.kernels.baked.layout import CELLS, FAR
from neuron_core.kernels.baked.rays import Pinhole, Rays, rays_of_arrays, rays_of_camera

LOW, VOXEL = np.array([-0.4, 0.1, 0.3]), 0.05


def sparse(seed: int, shape: tuple[int, int, int] = (3, 2, 2), spots: int = 4) -> BrickPools:
    """Density at few samples; some bricks are absent and some hold none."""
    random = np.random.default_rng(seed)
    top = np.full(shape, -1, np.int32)
    present = random.random(shape) < 0.7
    present[1, 1, 1] = True
    top[present] = random.permutation(present.sum())
    density = np.zeros((present.sum(), 9, 9, 9), np.float32)
    for _ in range(spots):
        density[(random.integers(len(density)), *random.integers(1, 8, 3))] = random.random() + 0.1
    return brick_pools(LOW, VOXEL, top, density, np.zeros((*density.shape, 3)))


def filled_places(pools: BrickPools) -> np.ndarray:
    """The voxels [F, 3] of the grid with density at one of their corners, one by one."""
    density = pools.density.numpy().reshape(-1, 9, 9, 9)
    found = []
    for place in np.ndindex(pools.shape):
        brick = pools.top.numpy().reshape(pools.shape)[place]
        for cell in product(range(CELLS), repeat=3) if brick >= 0 else ():
            x, y, z = cell
            if (density[brick, x : x + 2, y : y + 2, z : z + 2] > 0).any():
                found.append(np.array(place) * CELLS + cell)
    return np.array(found).reshape(-1, 3)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_voxel_is_filled_if_one_of_its_eight_corners_has_density(seed):
    random = np.random.default_rng(seed)
    density = np.where(random.random((3, 9, 9, 9)) < 0.02, random.normal(size=(3, 9, 9, 9)), 0.0)
    found = filled_voxels(density)
    for brick, x, y, z in np.ndindex(found.shape):
        corners = density[brick, x : x + 2, y : y + 2, z : z + 2]
        assert found[brick, x, y, z] == (corners.max() > 0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_box_of_the_density_is_the_smallest_that_holds_all_filled_voxels(seed):
    pools = sparse(seed, spots=2)
    places = filled_places(pools)
    np.testing.assert_array_equal(pools.inside[0], places.min(axis=0))
    np.testing.assert_array_equal(pools.inside[1], places.max(axis=0) + 1)


def test_a_grid_without_density_has_a_box_without_an_inside():
    for top in (np.full((2, 1, 3), -1, np.int32), np.zeros((1, 1, 1), np.int32)):
        count = int(top.max()) + 1
        nothing = np.zeros((count, 9, 9, 9), np.float32)
        pools = brick_pools(LOW, VOXEL, top, nothing, np.zeros((count, 9, 9, 9, 3)))
        assert pools.inside == ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        assert (pools.blocks.numpy() == bricks.FARTHEST).all()


@pytest.mark.parametrize(("fine", "medium", "block"), [(1 << 30, 1 << 30, 1), (0, 1 << 30, 2), (0, 0, 4)])
def test_distances_never_lead_past_a_filled_voxel_and_reach_the_nearest(fine, medium, block, monkeypatch):
    monkeypatch.setattr(bricks, "FINE_BRICKS", fine)
    monkeypatch.setattr(bricks, "MEDIUM_BRICKS", medium)
    pools = sparse(3)
    assert pools.block == block
    found = pools.blocks.numpy().reshape(np.array(pools.shape) * CELLS // block)
    filled = np.unique(filled_places(pools) // block, axis=0)
    everywhere = np.stack(np.meshgrid(*map(np.arange, found.shape), indexing="ij"), axis=-1)
    away = np.abs(everywhere[..., None, :] - filled).max(axis=-1).min(axis=-1)
    np.testing.assert_array_equal(found, np.minimum(away, bricks.FARTHEST))


def test_distances_turn_and_flip_with_what_was_found():
    found = np.random.default_rng(5).random((7, 9, 11)) < 0.01
    assert found.any()
    distances = distances_to(found)
    np.testing.assert_array_equal(distances_to(found[::-1, :, ::-1]), distances[::-1, :, ::-1])
    np.testing.assert_array_equal(distances_to(found.transpose(2, 0, 1)), distances.transpose(2, 0, 1))


def test_distances_of_a_union_are_the_lesser_ones():
    one, two = (np.random.default_rng(seed).random((12, 9, 10)) < 0.01 for seed in (6, 7))
    both = distances_to(one | two)
    np.testing.assert_array_equal(both, np.minimum(distances_to(one), distances_to(two)))


def test_normals_are_stored_to_half_a_step_and_cut_off_at_one():
    random = np.random.default_rng(8)
    normals = random.normal(size=(1, 9, 9, 9, 3))
    pools = brick_pools(LOW, VOXEL, np.zeros((1, 1, 1), np.int32), np.ones((1, 9, 9, 9)), normals)
    stored = pools.normals.numpy().astype(float).reshape(1, 9, 9, 9, 4) / 127
    assert np.abs(stored[..., :3] - np.clip(normals, -1, 1)).max() <= 0.5 / 127 + 1e-9
    assert not stored[..., 3].any()


# --- beams ---


def first_times(pools: BrickPools, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """When each ray comes into a filled voxel, by the slabs of each of them; FAR if it never does."""
    places = filled_places(pools)
    begins = (origins - LOW) / VOXEL
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = (places[None] + np.array([0, 1])[:, None, None] - begins[:, None, None]) / (
            directions / VOXEL
        )[:, None, None]
    near, far = ends.min(axis=1).max(axis=-1), ends.max(axis=1).min(axis=-1)
    near = np.maximum(near, 0.0)
    return np.where(far >= near, near, FAR).min(axis=1)


def starts_of(pools: BrickPools, given: Rays) -> tuple[np.ndarray, np.ndarray]:
    """The tiles that may show something, and the time of each tile."""
    codes = np.zeros((int(pools.density.shape[0]), 8), np.uint8)
    starts = np.empty(given.tiles, np.float32)
    tiles = find_tiles(asset_of(pools, codes), given, starts, "cpu")
    return tiles, starts


def camera(eye: tuple[float, float, float], width: int = 45, height: int = 38) -> Camera:
    center = LOW + VOXEL * CELLS * np.array([1.5, 1.0, 1.0])
    pose = look_at(eye, tuple(center.tolist()))
    return Camera("c", width, height, 40.0, 42.0, 0.5 * width, 0.5 * height, pose)


@pytest.mark.parametrize("eye", [(2.0, 1.5, 2.5), (0.3, -1.4, 0.9), (-0.2, 0.45, 0.65)])
@pytest.mark.parametrize("seed", [3, 9])
def test_no_ray_of_a_camera_meets_density_before_its_tile_begins(eye, seed):
    pools, view = sparse(seed, spots=3), camera(eye)
    given = rays_of_camera(Pinhole.of(view.width, view.height, pinhole(view)), "cpu")
    tiles, starts = starts_of(pools, given)
    origins, directions = (array.reshape(-1, 3) for array in rays(view, *pixel_centers(view)))
    first = first_times(pools, origins.astype(float), directions.astype(float))
    line, column = np.divmod(np.arange(len(first)), view.width)
    tile_of = line // 8 * -(-view.width // 8) + column // 8
    forward = directions @ view.forward  # the camera's rays reach a plane at time 1
    hits = first < FAR
    assert hits.sum() > 10
    assert (starts[tile_of[hits]] <= first[hits] * forward[hits] + 1e-5).all()
    assert set(tile_of[hits]) <= set(tiles.tolist())


def test_a_beam_reaches_up_to_the_density_and_leaves_out_tiles_that_are_far_from_it():
    pools, view = sparse(3, spots=1), camera((2.0, 1.5, 2.5), 64, 64)
    tiles, starts = starts_of(pools, rays_of_camera(Pinhole.of(64, 64, pinhole(view)), "cpu"))
    away = np.linalg.norm(LOW + VOXEL * filled_places(pools).mean(axis=0) - view.position)
    assert 0 < len(tiles) <= 8  # of 64
    assert (starts[tiles] > 0.8 * away).all()


def test_single_rays_begin_no_later_than_they_meet_density_whatever_shares_their_tile():
    pools, random = sparse(9), np.random.default_rng(2)
    targets = LOW + VOXEL * (random.choice(filled_places(pools), 200) + random.uniform(-2, 3, (200, 3)))
    origins = targets + random.normal(size=(200, 3)) * 0.6
    directions = targets - origins
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    arrays = [np.ascontiguousarray(array, np.float32) for array in (origins, directions)]
    tiles, starts = starts_of(pools, rays_of_arrays(*arrays))
    first = first_times(pools, origins, directions)
    hits = first < FAR
    assert hits.sum() > 20 and len(tiles) == 4
    assert (starts[np.arange(200) // 64][hits] <= first[hits] + 1e-5).all()


def test_rays_without_a_direction_or_an_end_are_left_out_of_their_beam():
    pools = sparse(9)
    target = LOW + VOXEL * (filled_places(pools)[0] + 0.5)
    origins = np.tile(target + [0.0, 0.0, 3.0], (64, 1)).astype(np.float32)
    directions = np.tile([0.0, 0.0, -1.0], (64, 1)).astype(np.float32)
    _, wanted = starts_of(pools, rays_of_arrays(origins, directions))
    origins[5], directions[9], directions[11] = np.nan, 0.0, np.inf
    _, starts = starts_of(pools, rays_of_arrays(origins, directions))
    assert 0 < wanted[0] < FAR
    np.testing.assert_array_equal(starts, wanted)
