"""Layers along rays against the over operator from back to front (Porter and Duff 1984)."""

from typing import NamedTuple

import numpy as np
import pytest

from neuron_core.kernels.baked.compositing import MeshHits, Picture, compose
from neuron_core.kernels.baked.instances import Tiled, placements
from neuron_core.kernels.baked.layout import AT_ONCE, BEAM, FAINT, FAR, OPAQUE
from neuron_core.kernels.baked.rays import rays_of_arrays
from tests.core.composed_samples import placed

WIDTH, HEIGHT = 13, 8  # two tiles, the second one cut by the border
TILES = 2
LINES, COLUMNS = np.divmod(np.arange(WIDTH * HEIGHT), WIDTH)
TILE_OF, PLACE_OF = COLUMNS // 8, 8 * LINES + COLUMNS % 8


class Scene(NamedTuple):
    """Layers [P, 64, 8] of pairs, the instance of each, and which pairs [T, any] each tile has."""

    layers: np.ndarray
    instances: np.ndarray
    of_tile: list[list[int]]


def directions() -> np.ndarray:
    """Rays of unit length, a little apart."""
    found = np.stack([COLUMNS * 0.02 - 0.1, LINES * 0.02, np.full(WIDTH * HEIGHT, -1.0)], axis=-1)
    return (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype(np.float32)


def some_layers(count: int, most: float, seed: int = 0) -> Scene:
    """Layers of random opacities up to `most` at random distances, all pairs in both tiles."""
    random = np.random.default_rng(seed)
    layers = random.random((count, BEAM, 8)).astype(np.float32)
    layers[..., 3] = FAINT * 1.01 + layers[..., 3] * (most - FAINT * 1.01)
    layers[..., :3] *= layers[..., 3:4]
    layers[..., 4] = random.permuted(np.tile(np.linspace(1, 9, count)[:, None], (1, BEAM)), axis=0)
    normals = random.normal(size=(count, BEAM, 3))
    layers[..., 5:8] = normals / np.linalg.norm(normals, axis=-1, keepdims=True)
    return Scene(layers, np.arange(count, dtype=np.int32), [list(range(count))] * TILES)


def composed(scene: Scene, matrices: np.ndarray | None = None, meshes: MeshHits | None = None) -> Picture:
    """What is written; pixels that are not are 7."""
    count = len(scene.instances)
    matrices = np.tile(np.eye(4), (count, 1, 1)) if matrices is None else matrices
    firsts = np.cumsum([0, *map(len, scene.of_tile)]).astype(np.int32)
    pairs = np.concatenate(scene.of_tile).astype(np.int32)
    tiled = Tiled(
        np.arange(TILES, dtype=np.int32), firsts, pairs, scene.instances, int(np.diff(firsts).max())
    )
    rays_d = directions()
    given = rays_of_arrays(np.zeros_like(rays_d), rays_d, WIDTH)
    pixels = WIDTH * HEIGHT
    picture = Picture(
        *(np.full(shape, 7.0, np.float32) for shape in ((pixels, 4), pixels, (pixels, 3))),
        np.full(pixels, 7, np.int32),
    )
    table = placements(np.linalg.inv(matrices), None)
    compose(table, given, tiled, scene.layers.reshape(-1, 8), meshes, picture)
    return picture


def over(scene: Scene, behind: np.ndarray | None = None) -> np.ndarray:
    """Premultiplied colors and opacities of all pixels: each layer over what lies behind it."""
    pixels = np.zeros((WIDTH * HEIGHT, 4)) if behind is None else behind.astype(float)
    for pixel, place in enumerate(PLACE_OF):
        shown = scene.layers[scene.of_tile[TILE_OF[pixel]], place]
        for layer in shown[np.argsort(-shown[:, 4])]:
            pixels[pixel] = layer[:4] + (1 - layer[3]) * pixels[pixel]
    return pixels


@pytest.mark.parametrize("count", [1, 2, 9, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
def test_pixels_are_each_layer_over_what_lies_behind_it(count):
    scene = some_layers(count, min(0.9, 4.0 / count), seed=count)
    np.testing.assert_allclose(composed(scene).rgba, over(scene), atol=2 * OPAQUE)
    thin = some_layers(count, min(0.9, 2.0 / count) if count > 1 else 0.9, seed=count)
    assert over(thin)[:, 3].max() < 1 - OPAQUE
    np.testing.assert_allclose(composed(thin).rgba, over(thin), atol=3e-6)


def test_pairs_may_come_in_any_order_in_their_tile_and_in_memory():
    scene = some_layers(90, 0.1)
    wanted = composed(scene)
    order = np.random.default_rng(1).permutation(90)
    listed = scene._replace(of_tile=[order.tolist(), order[::-1].tolist()])
    moved = Scene(scene.layers[order], scene.instances[order], [np.argsort(order).tolist()] * TILES)
    for other in (composed(listed), composed(moved)):
        for name in ("rgba", "depths", "normals", "ids"):
            np.testing.assert_array_equal(getattr(other, name), getattr(wanted, name))


def test_a_tile_shows_its_own_pairs_and_no_pixel_beyond_the_border():
    scene = some_layers(5, 0.5)._replace(of_tile=[[0, 1, 2], [3, 4]])
    np.testing.assert_allclose(composed(scene).rgba, over(scene), atol=3e-6)
    empty = composed(scene._replace(of_tile=[[], [0]]))
    assert not empty.rgba[TILE_OF == 0].any() and (empty.ids[TILE_OF == 0] == 7).all()


def test_equal_distances_hide_nothing_of_each_other():
    """Two veils in one place let through the product, also where the nearest ones are sorted in parts."""
    scene = some_layers(AT_ONCE + 30, 0.02)
    scene.layers[..., 4] = np.where(np.arange(len(scene.layers)) < 20, 2.0, 3.0)[:, None]
    passed = np.prod(1 - scene.layers[..., 3].astype(float), axis=0)
    np.testing.assert_allclose(composed(scene).rgba[:, 3], 1 - passed[PLACE_OF], atol=3e-6)


def test_faint_layers_add_no_color_but_dim_what_lies_behind():
    scene = some_layers(2, 0.5)
    scene.layers[0, :, 3] = FAINT * 0.9
    scene.layers[0, :, :3] = 55.0
    found = composed(scene)
    np.testing.assert_allclose(found.rgba[:, :3], scene.layers[1, PLACE_OF, :3], rtol=1e-6)
    expected = 1 - (1 - scene.layers[1, PLACE_OF, 3]) * (1 - FAINT * 0.9)
    np.testing.assert_allclose(found.rgba[:, 3], expected, atol=1e-6)
    assert (found.ids == 1).all()


def test_nothing_shows_through_an_opaque_layer():
    scene = some_layers(6, 0.4)
    scene.layers[2, :, 3] = 1.0 - 0.5 * OPAQUE
    changed = scene._replace(layers=scene.layers.copy())
    deeper = scene.layers[..., 4] > scene.layers[2, :, 4]
    changed.layers[..., :3][deeper] = 99.0
    one, two = composed(scene), composed(changed)
    assert deeper[:, PLACE_OF].any()
    np.testing.assert_array_equal(one.rgba, two.rgba)
    assert (one.rgba[:, 3] == 1.0).all()


def test_depth_normal_and_instance_are_those_where_half_of_the_light_that_is_stopped_is_passed():
    scene = some_layers(7, 0.5)
    found = composed(scene)
    for pixel, place in enumerate(PLACE_OF):
        layers = scene.layers[:, place].astype(float)
        order = np.argsort(layers[:, 4])
        stopped = 1 - np.cumprod(1 - layers[order, 3])
        if np.abs(stopped - stopped[-1] / 2).min() < 1e-5:
            continue
        middle = order[np.searchsorted(stopped, stopped[-1] / 2)]
        assert found.ids[pixel] == middle
        assert found.depths[pixel] == pytest.approx(layers[middle, 4], rel=1e-6)
        np.testing.assert_allclose(found.normals[pixel], layers[middle, 5:8], atol=1e-6)


# --- meshes ---


def walls(at: float, color: tuple[float, float, float] = (0.2, 0.4, 0.6)) -> MeshHits:
    count = WIDTH * HEIGHT
    return MeshHits(
        np.full(count, at, np.float32),
        np.tile(np.array(color, np.float32), (count, 1)),
        np.tile(np.array([0.0, 0.0, 1.0], np.float32), (count, 1)),
        np.full(count, 70, np.int32),
    )


def test_a_mesh_is_an_opaque_background_of_what_lies_before_it():
    scene = some_layers(8, 0.3)
    behind = np.tile([0.2, 0.4, 0.6, 1.0], (WIDTH * HEIGHT, 1))
    found = composed(scene, meshes=walls(20.0))
    np.testing.assert_allclose(found.rgba, over(scene, behind), atol=3e-6)
    assert (found.rgba[:, 3] == 1.0).all()


def test_what_lies_behind_a_mesh_is_hidden():
    scene = some_layers(8, 0.3)
    cut = scene._replace(layers=scene.layers.copy())
    cut.layers[scene.layers[..., 4] > 5.0] = 0.0
    found, wanted = composed(scene, meshes=walls(5.0)), composed(cut, meshes=walls(5.0))
    np.testing.assert_array_equal(found.rgba, wanted.rgba)
    front = composed(scene, meshes=walls(0.5))
    np.testing.assert_array_equal(front.rgba, np.float32([[0.2, 0.4, 0.6, 1.0]]).repeat(WIDTH * HEIGHT, 0))
    assert (front.ids == 70).all() and (front.depths == 0.5).all() and (front.normals[:, 2] == 1).all()


def test_a_ray_that_misses_all_meshes_is_as_without_any():
    scene = some_layers(8, 0.3)
    one, two = composed(scene), composed(scene, meshes=walls(FAR))
    for name in ("rgba", "depths", "normals", "ids"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_mesh_behind_thin_layers_is_what_the_pixel_shows_and_thick_ones_are_where_half_is_stopped():
    thin, thick = some_layers(3, 0.1), some_layers(3, 0.1)
    thick.layers[1, :, 3] = 0.6
    assert (composed(thin, meshes=walls(20.0)).ids == 70).all()
    assert (composed(thick, meshes=walls(20.0)).ids == 1).all()


# --- instances ---


def test_distances_of_an_instance_are_sorted_and_written_in_the_world():
    """Layers have distances in their instance's own space; one is stretched along the rays' axis."""
    scene = some_layers(2, 0.6)
    scene.layers[..., 4] = np.array([2.0, 3.0])[:, None]
    scene.layers[..., 3] = 0.6
    matrices = np.stack([placed(scale=(1.0, 1.0, 4.0)), placed(scale=(0.5, 0.5, 0.5))])
    found = composed(scene, matrices)
    rays_d = directions().astype(float)
    local = np.linalg.norm(rays_d / [1.0, 1.0, 4.0], axis=-1)
    assert (2.0 / local > 3.0 * 0.5).all() and (found.ids == 1).all()  # the second one is nearer
    np.testing.assert_allclose(found.depths, 1.5, rtol=1e-6)
    only = composed(scene._replace(of_tile=[[0]] * TILES), matrices)
    np.testing.assert_allclose(only.depths, 2.0 / local, rtol=1e-5)


@pytest.mark.parametrize("name", ["turned", "stretched", "mirrored", "sheared"])
def test_normals_stay_perpendicular_to_surfaces_that_an_instance_moves(name):
    """A normal is perpendicular to two tangents before and after."""
    matrix = {
        "turned": placed(turn=1.1),
        "stretched": placed(scale=(2.0, 0.5, 1.0), turn=0.3),
        "mirrored": placed(scale=(-1.0, 1.0, 1.0)),
        "sheared": placed(shear=0.8, turn=-0.4),
    }[name]
    scene = some_layers(1, 0.9)
    scene.layers[..., 3] = 0.9
    normals = scene.layers[0, PLACE_OF, 5:8].astype(float)
    found = composed(scene, matrix[None]).normals
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1.0, atol=1e-5)
    for other in np.eye(3):
        tangents = np.cross(normals, other) @ matrix[:3, :3].T
        np.testing.assert_allclose((found * tangents).sum(axis=-1), 0.0, atol=1e-5)
    assert ((found * (normals @ np.linalg.inv(matrix[:3, :3]))).sum(axis=-1) > 0).all()
