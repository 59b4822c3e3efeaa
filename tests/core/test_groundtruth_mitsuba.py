"""Mitsuba's pictures against closed forms. The scalar variant runs on every machine."""

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, CameraError, look_at, pixel_centers, rays
from neuron_core.foundation.progress import Silent
from neuron_core.geometry.mesh import Geometry, MeshPart
from neuron_core.geometry.primitives import cube, sphere
from neuron_core.groundtruth.mitsuba.renderer import MitsubaRenderer, cell_centers, is_closed, padded_grid
from neuron_core.groundtruth.mitsuba.variants import choose_variant
from neuron_core.groundtruth.truth import decibels, pair_error
from neuron_core.lights.studio import studio_environment
from neuron_core.materials.builtin import builtin_materials
from neuron_core.materials.record import Layer, Material

EYE = (0.3, 0.5, 3.0)
WHITE_METAL = Material(
    "white-metal", {"base_color": (1.0, 1.0, 1.0), "base_metalness": 1.0, "specular_roughness": 0.1}, ()
)


def part(name: str, triangles, takes_material: bool = True, offset=(0.0, 0.0, 0.0)) -> MeshPart:
    positions, faces, normals = triangles
    return MeshPart(
        name,
        (positions + np.array(offset)).astype(np.float32),
        faces.astype(np.int32),
        normals.astype(np.float32),
        takes_material,
    )


def of(*parts: MeshPart) -> Geometry:
    return Geometry(tuple(parts), "test", (0.0, 0.0, 0.0), ())


def camera(size: int = 24, **changes: float) -> Camera:
    values = {"fl_x": 1.6 * size, "fl_y": 1.6 * size, "cx": size / 2, "cy": size / 2, **changes}
    return Camera("eye", size, size, c2w=look_at(EYE, (0, 0, 0)), **values)


def renderer(geometry: Geometry, environment: np.ndarray | None = None) -> MitsubaRenderer:
    made = MitsubaRenderer("scalar_rgb", resolution=24)
    made.prepare(geometry, np.ones((8, 16, 3), np.float32) if environment is None else environment)
    return made


def enter_unit_box(origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the cube [-0.5, 0.5]^3 and whether it is hit, in float64."""
    inverse = 1.0 / directions
    first, second = (-0.5 - origins) * inverse, (0.5 - origins) * inverse
    near = np.minimum(first, second).max(axis=-1)
    return near, near < np.maximum(first, second).min(axis=-1)


@pytest.mark.parametrize("changes", [{}, {"cx": 9.3, "cy": 14.2}])
def test_the_gbuffer_is_one_exact_ray_through_every_pixel_center(changes):
    eye = camera(**changes)
    origins, directions = (array.astype(np.float64) for array in rays(eye, *pixel_centers(eye)))
    distance, hit = enter_unit_box(origins, directions)
    buffer = renderer(of(part("box", cube(1.0)))).gbuffer(eye)
    np.testing.assert_array_equal(buffer.coverage, hit)
    np.testing.assert_array_equal(buffer.shape_id, hit)
    np.testing.assert_allclose(buffer.depth, np.where(hit, distance, 0.0), atol=1e-5)
    points = np.where(hit[..., None], origins + distance[..., None] * directions, 0.0)
    np.testing.assert_allclose(buffer.position, points, atol=1e-5)
    sides = np.abs(points).max(axis=-1, keepdims=True) == np.abs(points)
    normals = np.where(sides & hit[..., None], np.sign(points), 0.0)
    np.testing.assert_allclose(buffer.normal, normals, atol=1e-5)


def test_shapes_are_counted_from_one_in_the_order_of_parts():
    left = part("left", cube(0.5), offset=(-0.4, 0.0, 0.0))
    right = part("right", cube(0.5), False, offset=(0.4, 0.0, 0.0))
    buffer = renderer(of(left, right)).gbuffer(camera())
    assert set(np.unique(buffer.shape_id)) == {0, 1, 2}
    assert (
        buffer.position[buffer.shape_id == 1][:, 0].max()
        < 0
        < buffer.position[buffer.shape_id == 2][:, 0].min()
    )


def test_normals_look_to_the_side_of_the_camera_even_from_inside():
    positions, faces, normals = cube(1.0)
    inside_out = part("box", (positions, faces[:, ::-1], -normals))
    eye = camera()
    _, directions = rays(eye, *pixel_centers(eye))
    buffer = renderer(of(inside_out)).gbuffer(eye)
    facing = np.einsum("hwc,hwc->hw", buffer.normal, directions)
    assert (facing[buffer.coverage > 0] < 0).all()


def test_alpha_is_the_part_of_a_pixel_that_a_sphere_covers():
    eye = camera()
    picture = renderer(of(part("ball", sphere(0.5)))).beauty(WHITE_METAL, eye, 64, 0)
    offsets = (np.arange(16) + 0.5) / 16
    x = (np.arange(24)[:, None] + offsets).ravel()
    origins, directions = (array.astype(np.float64) for array in rays(eye, *np.meshgrid(x, x)))
    along = np.einsum("hwc,hwc->hw", origins, directions)
    covered = along**2 - np.einsum("hwc,hwc->hw", origins, origins) + 0.25 > 0
    coverage = covered.reshape(24, 16, 24, 16).mean(axis=(1, 3))
    np.testing.assert_allclose(picture[..., 3], coverage, atol=0.08)
    assert picture[..., 3].mean() == pytest.approx(coverage.mean(), abs=2e-3)


def test_a_white_mirror_ball_vanishes_in_a_white_furnace():
    picture = renderer(of(part("ball", sphere(0.5)))).beauty(WHITE_METAL, camera(), 64, 0)
    inside = picture[..., 3] == 1.0
    assert inside.sum() > 50
    np.testing.assert_allclose(picture[inside], 1.0, atol=0.05)
    assert picture[inside].mean() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose(picture[picture[..., 3] == 0.0], 0.0)


def test_the_environment_lights_from_where_its_image_says():
    environment = np.full((16, 32, 3), 0.01, np.float32)
    environment[6:10, 6:10] = 20.0  # +X is a quarter to the left of the middle
    chalk = Material("chalk", {"base_color": (0.8, 0.8, 0.8), "specular_weight": 0.0}, ())
    front = Camera("front", 24, 24, 40.0, 40.0, 12.0, 12.0, look_at((0, 0, 3), (0, 0, 0)))
    picture = renderer(of(part("ball", sphere(0.5))), environment).beauty(chalk, front, 16, 0)
    assert picture[:, 13:, :3].sum() > 5 * picture[:, :11, :3].sum()


def test_what_varies_in_space_stays_where_it_is_when_the_camera_moves():
    halves = Layer("noise", 1.0, 0.8, 3, {"base_color": (0.0, 0.0, 0.0)})
    painted = Material("painted", {"base_color": (0.9, 0.9, 0.9), "specular_weight": 0.0}, (halves,))
    shown = renderer(of(part("box", cube(1.0))))
    colors = []
    for eye in ((0.0, 0.0, 3.0), (0.6, 0.3, 2.9)):
        view = Camera("v", 32, 32, 50.0, 50.0, 16.0, 16.0, look_at(eye, (0, 0, 0)))
        buffer, picture = shown.gbuffer(view), shown.beauty(painted, view, 36, 0)
        front = (buffer.normal[..., 2] > 0.9) & (picture[..., 3] == 1.0)
        cells = np.floor(buffer.position[front][:, :2] * 6).astype(int)
        colors.append({tuple(cell): picture[front][(cells == cell).all(axis=1), 0].mean() for cell in cells})
    common = set(colors[0]) & set(colors[1])
    first, second = (np.array([color[cell] for cell in sorted(common)]) for color in colors)
    assert first.std() > 0.05
    np.testing.assert_allclose(first, second, atol=0.1)


def test_the_same_seed_gives_the_same_values_and_another_seed_other_noise():
    shown = renderer(of(part("ball", sphere(0.5))), np.random.default_rng(0).random((8, 16, 3)))
    first, again, other = (shown.beauty(WHITE_METAL, camera(), 4, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_open_surfaces_are_lit_from_both_sides():
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float64)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    away = part("sheet", (corners, faces[:, ::-1], np.tile((0.0, 0.0, -1.0), (4, 1))))
    assert not is_closed(away)
    assert is_closed(part("box", cube(1.0)))
    chalk = Material("chalk", {"base_color": (0.8, 0.8, 0.8)}, ())
    picture = renderer(of(away)).beauty(chalk, camera(), 4, 0)
    assert picture[12, 12, :3].min() > 0.3


def test_lenses_that_mitsuba_has_not_are_refused():
    shown = renderer(of(part("box", cube(1.0))))
    with pytest.raises(CameraError, match="distortion"):
        shown.gbuffer(camera(k1=0.1))
    with pytest.raises(CameraError, match="oblong"):
        shown.gbuffer(camera(fl_y=30.0))


def test_grids_surround_the_object_with_cubic_cells():
    low, high, counts = padded_grid(np.array([[-1.0, 0.0, -0.5], [1.0, 1.0, 0.5]], np.float32), 20)
    assert (low < [-1.0, 0.0, -0.5]).all() and (high > [1.0, 1.0, 0.5]).all()
    cells = (high - low) / counts
    np.testing.assert_allclose(cells, 0.1, rtol=0.1)
    centers = cell_centers(low, high, counts)
    assert len(centers) == np.prod(counts)
    np.testing.assert_allclose(centers[0], low + cells / 2)
    np.testing.assert_allclose(centers[1] - centers[0], (cells[0], 0.0, 0.0), atol=1e-12)


@pytest.fixture(scope="module")
def fast() -> str:
    variant = choose_variant("auto", Silent())
    if variant == "scalar_rgb":
        pytest.skip("only the scalar variant runs here")
    return variant


def shown_by(variant: str) -> MitsubaRenderer:
    made = MitsubaRenderer(variant, resolution=24)
    made.prepare(of(part("ball", sphere(0.5))), studio_environment(64, 32))
    return made


def test_the_fast_variant_shows_what_the_scalar_one_shows(fast):
    material, eye = builtin_materials()["car-paint"], camera(cx=11.0, cy=13.5)
    pictures = [shown_by(variant).beauty(material, eye, 144, 3) for variant in (fast, "scalar_rgb")]
    assert decibels(pair_error(*pictures)) > 38
    buffers = [shown_by(variant).gbuffer(eye) for variant in (fast, "scalar_rgb")]
    np.testing.assert_array_equal(buffers[0].shape_id, buffers[1].shape_id)
    np.testing.assert_allclose(buffers[0].depth, buffers[1].depth, atol=1e-5)


def test_every_pixel_is_rendered_as_often_as_asked(fast):
    shown = shown_by(fast)
    material, eye = builtin_materials()["white-ceramic"], camera()
    repeats = np.zeros((24, 24), int)
    repeats[9:15, 7:12], repeats[9:15, 12:17] = 1, 16
    many = [shown.beauty(material, eye, 4, seed, repeats) for seed in (0, 1)]
    assert (many[0][repeats == 0] == 0).all()
    assert (many[0][9:15, 7:17, 3] > 0).all()
    noise = np.square(many[0] - many[1]).mean(axis=-1)
    assert noise[9:15, 12:17].mean() < 0.3 * noise[9:15, 7:12].mean()
    np.testing.assert_array_equal(many[0], shown.beauty(material, eye, 4, 0, repeats))
