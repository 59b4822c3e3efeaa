"""Layers of placed instances: against the same field drawn alone, and beams that lead to them."""

from collections.abc import Sequence

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, look_at, pinhole, pixel_centers, rays
from neuron_core.kernels.baked.drawing import find_tiles
from neuron_core.kernels.baked.instances import assets_of, draw_layers, find_starts, placements
from neuron_core.kernels.baked.layout import BEAM, FAR
from neuron_core.kernels.baked.rays import Pinhole, Rays, rays_of_arrays, rays_of_camera
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.rendering.shaded import LIFT, DeviceField, ShadedAsset
from neuron_core.voxels.nvf import Nvf, sample_positions
from tests.core.composed_samples import placed, shader, smoke, soft_ball, solid_ball, waves

EYE = np.eye(4)
BALL = solid_ball(16)
SIDE = 27  # pixels, not whole tiles
PLACES = {
    "turned": placed((0.1, -0.2, 0.1), turn=0.8),
    "stretched": placed((0.1, 0.0, -0.2), (1.4, 0.6, 0.9), turn=-0.5),
    "mirrored": placed((0.0, 0.1, 0.0), (-1.0, 1.0, 1.0), turn=0.4),
    "sheared": placed((0.0, 0.0, 0.1), (0.8, 1.1, 1.0), turn=1.1, shear=0.5),
}


def view(eye: tuple[float, float, float] = (0.7, 0.6, 1.5)) -> Camera:
    return Camera("c", SIDE, SIDE, 1.5 * SIDE, 1.4 * SIDE, 0.52 * SIDE, 0.47 * SIDE, look_at(eye, (0, 0, 0)))


def camera_rays(camera: Camera) -> Rays:
    return rays_of_camera(Pinhole.of(camera.width, camera.height, pinhole(camera)), "cpu")


def asset_of(nvf: Nvf) -> ShadedAsset:
    return ShadedAsset(DeviceField(nvf, shader()), waves(nvf))


def layers_of(
    asset: ShadedAsset,
    matrices: Sequence[np.ndarray],
    given: Rays,
    lens: np.ndarray | None,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> np.ndarray:
    """The layers [P, 64, 8] of pairs of a tile and an instance; without any, of all of them in order."""
    pairs = (
        [(tile, k) for k in range(len(matrices)) for tile in range(given.tiles)] if pairs is None else pairs
    )
    tiles, instances = np.array(pairs, np.int32).T.copy()
    table = placements(np.linalg.inv(np.array(matrices)), lens)
    assets = assets_of([asset.field.pools], [asset.codes], "cpu")
    found = np.full((len(pairs) * BEAM, 8), 7.0, np.float32)
    starts = np.zeros(len(pairs), np.float32)
    draw_layers(
        assets,
        0,
        asset.network,
        asset.mirror,
        table,
        given,
        tiles,
        instances,
        starts,
        None,
        found,
        lift=LIFT,
        step=0.5,
    )
    return found.reshape(-1, BEAM, 8)


def picture_of(layers: np.ndarray) -> np.ndarray:
    """The pixels [SIDE, SIDE, 8] of the layers of all tiles; what is faint has an opacity only."""
    across = -(-SIDE // 8)
    whole = layers.reshape(across, across, 8, 8, 8).swapaxes(1, 2).reshape(8 * across, 8 * across, 8)
    cut = whole[:SIDE, :SIDE].copy()
    cut[cut[..., 3] <= 1e-3] *= [0, 0, 0, 1, 0, 0, 0, 0]
    return cut


def test_an_instance_that_is_not_moved_is_the_field_drawn_alone():
    camera = view()
    found = picture_of(layers_of(asset_of(BALL), [EYE], camera_rays(camera), pinhole(camera)))
    frame = BakedRenderer(BALL, shader(), waves(BALL)).render(camera)
    for part, array in ((slice(4), frame.rgba), (4, frame.depth), (slice(5, 8), frame.normal)):
        np.testing.assert_allclose(found[..., part], array, atol=2e-6)
    assert 0.2 < (found[..., 3] > 0.9).mean() < 0.8


@pytest.mark.parametrize("name", PLACES)
def test_an_instance_is_seen_by_rays_that_are_taken_into_its_space(name):
    """Opacities, distances and normals are those of its own space."""
    matrix, camera = PLACES[name], view()
    inverse = np.linalg.inv(matrix)
    origins, directions = (
        array.reshape(-1, 3).astype(float) for array in rays(camera, *pixel_centers(camera))
    )
    local_o, local_d = origins @ inverse[:3, :3].T + inverse[:3, 3], directions @ inverse[:3, :3].T
    local_d /= np.linalg.norm(local_d, axis=-1, keepdims=True)
    cloud = smoke(soft_ball(), 16)
    still = BakedRenderer(cloud, shader(), waves(cloud)).trace(
        local_o.astype(np.float32), local_d.astype(np.float32)
    )
    listed = rays_of_arrays(*(array.astype(np.float32) for array in (origins, directions)), SIDE)
    for given, lens in ((camera_rays(camera), pinhole(camera)), (listed, None)):
        found = picture_of(layers_of(asset_of(cloud), [matrix], given, lens)).reshape(-1, 8)
        np.testing.assert_allclose(found[:, 3], still.alpha, atol=2e-3)
        thick = still.alpha > 0.1
        assert thick.sum() > 50
        np.testing.assert_allclose(found[thick, 4], still.depth[thick], atol=5e-3)
        np.testing.assert_allclose(found[thick, :3], still.rgb[thick], atol=0.02)


@pytest.mark.parametrize("scale", [0.125, 4.0])
def test_a_field_scaled_by_a_power_of_two_with_its_camera_is_the_same_to_the_bit(scale):
    camera = view()
    lens, larger = pinhole(camera), pinhole(camera)
    larger[0] *= scale
    one, two = (
        layers_of(asset_of(BALL), [matrix], rays_of_camera(Pinhole.of(SIDE, SIDE, rows), "cpu"), rows)
        for matrix, rows in ((EYE, lens), (np.diag([scale, scale, scale, 1.0]), larger))
    )
    np.testing.assert_array_equal(picture_of(one), picture_of(two))


def test_pairs_may_be_drawn_in_any_order_and_alone():
    camera = view()
    matrices = [EYE, PLACES["turned"], placed((0.4, 0.3, -0.5), turn=2.0)]
    given, lens, asset = camera_rays(camera), pinhole(camera), asset_of(BALL)
    pairs = [(tile, k) for k in range(3) for tile in range(given.tiles)]
    whole = layers_of(asset, matrices, given, lens, pairs)
    order = np.random.default_rng(0).permutation(len(pairs))
    shuffled = layers_of(asset, matrices, given, lens, [pairs[row] for row in order])
    np.testing.assert_array_equal(shuffled, whole[order])
    for row in (0, 17, len(pairs) - 1):
        np.testing.assert_array_equal(layers_of(asset, matrices, given, lens, [pairs[row]])[0], whole[row])


def test_placements_take_the_camera_and_points_of_the_world_into_the_space_of_instances():
    camera = view()
    inverses = np.linalg.inv(np.array(list(PLACES.values())))
    table = placements(inverses, pinhole(camera)).astype(float)
    points = np.random.default_rng(1).normal(size=(5, 3))
    for row, inverse in zip(table, inverses, strict=True):
        expected = np.concatenate([points, np.ones((5, 1))], axis=1) @ inverse.T
        np.testing.assert_allclose(
            points @ row[12:21].reshape(3, 3).T + row[21:24], expected[:, :3], atol=1e-6
        )
        # A pixel's ray, in the world and in the instance's space, passes through the same points.
        eye, first, right, down = pinhole(camera)
        ahead = eye + 2.0 * (first + 7 * right + 5 * down)
        local = row[0:3] + 2.0 * (row[3:6] + 7 * row[6:9] + 5 * row[9:12])
        np.testing.assert_allclose(local, (inverse @ [*ahead, 1.0])[:3], atol=1e-5)
    assert not placements(inverses, None)[:, :12].any()


def test_beams_of_pairs_are_those_of_the_field_under_rays_taken_into_its_space():
    camera, asset = view(), asset_of(BALL)
    matrix = PLACES["sheared"]
    given, rows = camera_rays(camera), pinhole(camera)
    assets = assets_of([asset.field.pools], [asset.codes], "cpu")
    tiles = np.arange(given.tiles, dtype=np.int32)
    found = np.empty(given.tiles, np.float32)
    table = placements(np.linalg.inv(matrix)[None], rows)
    find_starts(assets, np.zeros(1, np.int32), table, given, tiles, np.zeros(given.tiles, np.int32), found)
    inverse = np.linalg.inv(matrix)
    local = rows @ inverse[:3, :3].T + np.outer([1, 0, 0, 0], inverse[:3, 3])
    expected = np.empty(given.tiles, np.float32)
    moved = rays_of_camera(Pinhole.of(8 * given.view.tiles_x, 8 * given.view.tiles_y, local), "cpu")
    find_tiles(asset.arrays, moved, expected, "cpu")
    assert (expected < FAR).any() and (expected == np.float32(FAR)).any()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("name", PLACES)
def test_no_ray_meets_an_instance_before_its_pair_begins(name):
    """Times are multiples of the camera's directions, in every space the same."""
    matrix, camera, asset = PLACES[name], view(), asset_of(BALL)
    given = camera_rays(camera)
    assets = assets_of([asset.field.pools], [asset.codes], "cpu")
    table = placements(np.linalg.inv(matrix)[None], pinhole(camera))
    starts = np.empty(given.tiles, np.float32)
    none = np.zeros(given.tiles, np.int32)
    find_starts(
        assets, np.zeros(1, np.int32), table, given, np.arange(given.tiles, dtype=np.int32), none, starts
    )
    dense = sample_positions(BALL)[BALL.density > 0] @ matrix[:3, :3].T + matrix[:3, 3]
    rows = pinhole(camera)
    x, y, times = np.linalg.solve(np.stack([rows[2], rows[3], rows[1]], axis=1), (dense - rows[0]).T)
    column, line = np.rint(x / times).astype(int), np.rint(y / times).astype(int)
    inside = (column >= 0) & (column < SIDE) & (line >= 0) & (line < SIDE) & (times > 0)
    assert inside.sum() > 300
    tile_of = line // 8 * given.view.tiles_x + column // 8
    assert (starts[tile_of[inside]] <= times[inside] + 1e-5).all()
