"""Pictures of the fused kernel against the shader in numpy, and what a frame loop relies on."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, look_at, pinhole, pixel_centers, rays
from neuron_core.kernels.baked.drawing import Picture, draw, find_tiles
from neuron_core.kernels.baked.network import octahedron, pack
from neuron_core.kernels.baked.rays import Pinhole, rays_of_camera
from neuron_core.rendering.baked import FAST, BakedFrame, BakedRenderer
from neuron_core.rendering.shaded import LIFT, DeviceField, ShadedAsset
from neuron_core.voxels.nvf import VoxelError
from neuron_core.voxels.shading import Shader
from tests.core.small_shaders import perfect_mirror, small_shader
from tests.core.test_rendering_baked import CENTER, ball, rays_of, smooth_codes


def camera(width: int = 50, height: int = 36, eye: tuple[float, float, float] = (0.9, 0.7, 1.6)) -> Camera:
    pose = look_at(eye, tuple(map(float, CENTER)))
    return Camera("c", width, height, 60.0, 58.0, width / 2 + 1.5, height / 2 - 0.5, pose)


def copied(frame: BakedFrame) -> BakedFrame:
    return BakedFrame(frame.rgba.copy(), frame.depth.copy(), frame.normal.copy())


@pytest.mark.parametrize("hidden", [16, 32, 11])
def test_pixels_are_the_shader_of_what_rays_meet(hidden: int) -> None:
    nvf, shader = ball(32), small_shader(3, hidden)
    renderer = BakedRenderer(nvf, shader, smooth_codes(nvf))
    rays_o, rays_d = rays_of(40)
    met, pixels = renderer.surfaces(rays_o, rays_d, 40), renderer.trace(rays_o, rays_d, 40)
    seen = met.alpha > 1e-3
    expected = shader.evaluate(met.codes[seen], met.normal[seen], rays_d[seen]) * met.alpha[seen, None]
    assert seen.sum() > 200 and np.ptp(expected) > 0.2
    # The map of directions is looked up linearly, the table in it trilinearly.
    np.testing.assert_allclose(pixels.rgb[seen], expected, atol=0.02 * np.abs(expected).max())
    assert not pixels.rgb[~seen].any()


def test_a_mirror_alone_in_the_world_shows_its_own_color() -> None:
    nvf = ball(32)
    rays_of_picture = rays_of(32)
    mirror, dull = perfect_mirror(), perfect_mirror()
    dull.biases["mirror"][0] = -30.0
    reflecting = BakedRenderer(nvf, mirror, smooth_codes(nvf)).trace(*rays_of_picture)
    plain = BakedRenderer(nvf, dull, smooth_codes(nvf)).trace(*rays_of_picture)
    solid = (plain.alpha > 0.99) & ((plain.normal * rays_of_picture[1]).sum(axis=-1) < -0.3)
    np.testing.assert_allclose(reflecting.rgb[solid], plain.rgb[solid], atol=2e-3)


@pytest.mark.parametrize("size", [(50, 36), (8, 8), (3, 5), (1, 1), (65, 9)])
def test_a_camera_sees_what_its_rays_do(size: tuple[int, int]) -> None:
    nvf = ball(32)
    renderer = BakedRenderer(nvf, small_shader(), smooth_codes(nvf))
    seen = camera(*size)
    frame = renderer.render(seen)
    rays_o, rays_d = (array.reshape(-1, 3) for array in rays(seen, *pixel_centers(seen)))
    pixels = renderer.trace(rays_o, rays_d)
    assert frame.rgba.shape == (size[1], size[0], 4)
    np.testing.assert_allclose(frame.rgba[..., 3].reshape(-1), pixels.alpha, atol=2e-3)
    np.testing.assert_allclose(frame.rgba[..., :3].reshape(-1, 3), pixels.rgb, atol=5e-3)
    np.testing.assert_allclose(frame.depth.reshape(-1), pixels.depth, atol=0.05 * nvf.voxel_size)


def test_lens_distortion_is_followed_ray_by_ray() -> None:
    nvf = ball(16)
    renderer = BakedRenderer(nvf, small_shader(), smooth_codes(nvf))
    bent = replace(camera(), k1=0.1, p1=0.02)
    rays_o, rays_d = (array.reshape(-1, 3) for array in rays(bent, *pixel_centers(bent)))
    frame = copied(renderer.render(bent))
    np.testing.assert_array_equal(frame.rgba[..., 3].reshape(-1), renderer.trace(rays_o, rays_d, 50).alpha)
    assert np.abs(frame.rgba - renderer.render(replace(bent, k1=0.0, p1=0.0)).rgba).max() > 0.1


def test_nothing_of_an_older_frame_stays() -> None:
    nvf = ball(32)
    renderer = BakedRenderer(nvf, small_shader(), smooth_codes(nvf))
    wanted = copied(renderer.render(camera(eye=(-1.2, 0.1, 1.9))))
    renderer.render(camera())
    renderer.render(camera(eye=(0.0, 0.0, 9.0)))
    again = renderer.render(camera(eye=(-1.2, 0.1, 1.9)))
    np.testing.assert_array_equal(again.rgba, wanted.rgba)
    np.testing.assert_array_equal(again.depth, wanted.depth)
    away = renderer.render(replace(camera(), c2w=look_at((0.9, 0.7, 1.6), (2.0, 2.0, 4.0))))
    assert not away.rgba.any() and not away.depth.any() and not away.normal.any()


def test_frames_of_a_size_share_their_arrays() -> None:
    nvf = ball(16)
    renderer = BakedRenderer(nvf, small_shader(), smooth_codes(nvf), step=FAST)
    first = renderer.render(camera()).rgba
    assert renderer.render(camera(eye=(0.0, 0.3, 2.0))).rgba is first
    assert renderer.render(camera(40, 40)).rgba.shape == (40, 40, 4)


def test_long_steps_and_short_ones_see_almost_the_same() -> None:
    nvf = ball(32)
    fine, fast = (BakedRenderer(nvf, small_shader(), smooth_codes(nvf), step=step) for step in (0.25, FAST))
    one, other = fine.render(camera()), fast.render(camera())
    assert np.abs(one.rgba[..., 3] - other.rgba[..., 3]).mean() < 2e-3
    both = (one.rgba[..., 3] > 0.9) & (other.rgba[..., 3] > 0.9)
    assert np.abs(one.depth - other.depth)[both].mean() < 0.08 * nvf.voxel_size


def test_the_map_of_directions_is_the_sphere_and_meets_at_its_border() -> None:
    nodes = octahedron(16).reshape(17, 17, 3)
    np.testing.assert_allclose(np.linalg.norm(nodes, axis=-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(nodes[8, 8], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(nodes[[0, 0, 16, 16], [0, 16, 0, 16]], np.tile([0, -1, 0], (4, 1)), atol=1e-6)
    np.testing.assert_allclose(nodes[0], nodes[0, ::-1], atol=1e-6)
    np.testing.assert_allclose(nodes[:, 16], nodes[::-1, 16], atol=1e-6)


def test_a_device_that_is_not_there_is_refused_and_not_replaced() -> None:
    nvf = ball(16)
    with pytest.raises(VoxelError, match="no device 'cuda:99'"):
        BakedRenderer(nvf, small_shader(), smooth_codes(nvf), "cuda:99")


def test_layers_that_do_not_fit_are_refused() -> None:
    rows = np.zeros((1, 12), np.float32)
    with pytest.raises(ValueError, match="eights"):
        pack(rows, np.zeros((18, 12)), np.zeros((13, 12)), np.zeros((13, 8)), np.zeros((9, 16)))


def test_any_reflected_direction_is_looked_up_right() -> None:
    """A field of a single flat wall would test one direction; a ball seen from all sides tests all."""
    nvf = ball(32)
    shader: Shader = small_shader(7)
    renderer = BakedRenderer(nvf, shader, smooth_codes(nvf))
    for eye in ((1.8, 0.0, 0.0), (0.0, 1.8, 0.01), (0.01, -1.8, 0.0), (-1.0, -1.0, -1.0)):
        rays_o, rays_d = rays_of(24, eye)
        met, pixels = renderer.surfaces(rays_o, rays_d), renderer.trace(rays_o, rays_d)
        seen = met.alpha > 0.5
        expected = shader.evaluate(met.codes[seen], met.normal[seen], rays_d[seen]) * met.alpha[seen, None]
        np.testing.assert_allclose(pixels.rgb[seen], expected, atol=0.02 * np.abs(expected).max())


def test_shared_reflections_are_those_of_a_neighbor() -> None:
    nvf, mirror = ball(32), perfect_mirror()
    own, shared = (
        BakedRenderer(nvf, mirror, smooth_codes(nvf), sharing=sharing) for sharing in (False, True)
    )
    one, other = own.render(camera()), shared.render(camera())
    assert np.array_equal(one.rgba[..., 3], other.rgba[..., 3]) and np.array_equal(one.depth, other.depth)
    assert np.abs(one.rgba - other.rgba).max() < 0.3 and np.abs(one.rgba - other.rgba).mean() < 2e-3


def test_tiles_drawn_one_by_one_are_the_whole_picture_and_leave_the_others_alone() -> None:
    nvf, seen = ball(32), camera()
    asset = ShadedAsset(DeviceField(nvf, small_shader()), smooth_codes(nvf))
    given = rays_of_camera(Pinhole.of(seen.width, seen.height, pinhole(seen)), "cpu")
    starts = np.empty(given.tiles, np.float32)
    tiles = find_tiles(asset.arrays, given, starts, "cpu")

    def drawn(chosen: np.ndarray, onto: np.ndarray) -> np.ndarray:
        arguments = (asset.arrays, asset.network, asset.mirror, given, chosen, starts, Picture(onto), "cpu")
        draw(*arguments, lift=LIFT, step=0.5)
        return onto

    whole = drawn(tiles, np.zeros((seen.height, seen.width, 4), np.float32))
    line, column = np.mgrid[: seen.height, : seen.width] // 8
    tile_of = line * given.view.tiles_x + column
    together = np.zeros_like(whole)
    for tile in tiles:
        alone = drawn(np.array([tile], np.int32), np.full_like(whole, 7.0))
        assert (alone[tile_of != tile] == 7.0).all()
        together[tile_of == tile] = alone[tile_of == tile]
    assert len(tiles) > 10
    np.testing.assert_array_equal(together, whole)
    np.testing.assert_array_equal(
        whole, BakedRenderer(nvf, small_shader(), smooth_codes(nvf)).render(seen).rgba
    )
