"""Nothing that a ray meets is culled, and what is kept is not much more."""

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, look_at, pinhole, pixel_centers, rays
from neuron_core.kernels.baked.rays import rays_of_arrays
from neuron_core.rendering.culling import (
    Pairs,
    corners_of,
    crossing,
    in_sight,
    narrowed,
    pairs_of_camera,
    pairs_of_rays,
)
from tests.core.composed_samples import placed

CAMERA = Camera("view", 70, 52, 40.0, 40.0, 30.0, 28.0, look_at((0.3, 0.2, 2.0), (0.1, 0.0, 0.0)))


def scene(seed: int, count: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and matrices, some of them around, beside and behind the camera."""
    random = np.random.default_rng(seed)
    boxes = np.stack([-random.uniform(0.05, 0.6, (count, 3)), random.uniform(0.05, 0.6, (count, 3))], axis=1)
    matrices = [
        placed(tuple(random.uniform(-3, 3, 3)), tuple(random.uniform(0.3, 1.5, 3)), random.uniform(0, 6), 0.3)
        for _ in range(count)
    ]
    return boxes, np.stack(matrices)


def met(boxes: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """When each pixel's unit ray enters and leaves each box [I, H, W]; descending where it misses."""
    rays_o, rays_d = rays(CAMERA, *pixel_centers(CAMERA))
    inverses = np.linalg.inv(matrices)
    origins = np.einsum("nij,hwj->nhwi", inverses[:, :3, :3], rays_o) + inverses[:, None, None, :3, 3]
    directions = np.einsum("nij,hwj->nhwi", inverses[:, :3, :3], rays_d)
    first = (boxes[:, 0][:, None, None] - origins) / directions
    second = (boxes[:, 1][:, None, None] - origins) / directions
    near = np.maximum(np.minimum(first, second).max(axis=-1), 0.0)
    return near, np.maximum(first, second).min(axis=-1)


def given() -> tuple:
    rays_o, rays_d = (array.reshape(-1, 3) for array in rays(CAMERA, *pixel_centers(CAMERA)))
    return rays_of_arrays(rays_o, rays_d, CAMERA.width).view, (rays_o, rays_d)


@pytest.mark.parametrize("kind", ["camera", "rays"])
@pytest.mark.parametrize("seed", range(4))
def test_no_box_that_a_ray_meets_is_left_out(seed, kind):
    boxes, matrices = scene(seed)
    corners = corners_of(boxes, matrices)
    view, arrays = given()
    everything = range(view.tiles_y)
    near, far = met(boxes, matrices)
    scale = np.ones((CAMERA.height, CAMERA.width))
    if kind == "camera":
        world = pinhole(CAMERA)
        shown = in_sight(corners, view, world)
        pairs = pairs_of_camera(corners[shown], view, world, everything)
        pairs = Pairs(pairs.tiles, shown[pairs.instances], pairs.starts, pairs.ends)
        pairs = narrowed(pairs, boxes, np.linalg.inv(matrices), view, world)
        x, y = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
        scale = np.linalg.norm(world[1] + x[..., None] * world[2] + y[..., None] * world[3], axis=-1)
    else:
        pairs = pairs_of_rays(corners, view, arrays, everything)
    found = {
        key: row for row, key in enumerate(zip(pairs.tiles.tolist(), pairs.instances.tolist(), strict=True))
    }
    hits = np.argwhere(far > near)
    for instance, row, column in hits[::7]:
        pair = found[(row // 8) * view.tiles_x + column // 8, instance]
        assert pairs.starts[pair] <= near[instance, row, column] / scale[row, column] + 1e-4
        assert pairs.ends[pair] >= far[instance, row, column] / scale[row, column] - 1e-4
    assert len(hits) > 500


def test_boxes_out_of_sight_are_left_out():
    boxes = np.tile(np.array([[-0.1, -0.1, -0.1], [0.1, 0.1, 0.1]]), (3, 1, 1))
    matrices = np.stack([placed((0, 0, 5.0)), placed((9.0, 0, 0)), placed((0.1, 0, 0))])
    view, _ = given()
    corners = corners_of(boxes, matrices)
    world = pinhole(CAMERA)
    assert in_sight(corners, view, world).tolist() == [2]
    pairs = pairs_of_camera(corners, view, world, range(view.tiles_y))
    assert set(pairs.instances) == {2} and len(pairs) <= 9


def test_empty_boxes_show_nowhere():
    view, arrays = given()
    corners = corners_of(np.zeros((1, 2, 3)), np.eye(4)[None])
    assert len(pairs_of_camera(corners, view, pinhole(CAMERA), range(view.tiles_y))) == 0
    assert len(pairs_of_rays(corners, view, arrays, range(view.tiles_y))) == 0


def test_only_pairs_that_share_tile_and_time_cross():
    columns = ([1, 2, 3, 1, 2, 3], [0, 0, 0, 1, 1, 1], [0, 0, 0, 0.5, 2, 0.5], [1, 1, 1, 1.5, 3, 0.6])
    pairs = Pairs(*(np.array(column) for column in columns))
    assert crossing(pairs, np.array([[0, 1]])).tolist() == [True, False, True, True, False, True]
    assert not crossing(pairs, np.zeros((0, 2), int)).any()
