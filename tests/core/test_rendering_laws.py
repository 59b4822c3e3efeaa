"""Laws of composition: what many instances show follows from what one shows."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.foundation.colors import srgb_to_linear
from neuron_core.kernels.baked.layout import OPAQUE
from neuron_core.rendering import composer
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.rendering.composer import Composer
from neuron_core.rendering.culling import intersecting
from neuron_core.rendering.meshes import AMBIENT, HEADLIGHT, MeshInstance
from neuron_core.rendering.shaded import DeviceField, Instance, ShadedAsset
from neuron_core.voxels.nvf import LookCodes, Nvf, find_active
from tests.core.composed_samples import (
    BOX,
    camera,
    decibels,
    drawn,
    placed,
    shaded,
    shader,
    smoke,
    soft_ball,
    solid_ball,
    waves,
)

PLACES = {
    "turned": placed((0.1, -0.2, 0.1), turn=0.8),
    "stretched": placed((0.1, 0.0, -0.2), (1.4, 0.6, 0.9), turn=-0.5),
    "mirrored": placed((0.0, 0.1, 0.0), (-1.0, 1.0, 1.0), turn=0.4),
    "sheared": placed((0.0, 0.0, 0.1), (0.8, 1.1, 1.0), turn=1.1, shear=0.5),
    "small": placed((0.2, 0.1, 0.0), (0.02, 0.02, 0.02), turn=0.3),
    "huge": placed((40.0, 10.0, 0.0), (300.0, 300.0, 300.0), turn=2.0),
}


@pytest.fixture(scope="module")
def ball():
    return shaded(solid_ball(), mirror=1.0)


@pytest.fixture(scope="module")
def cloud():
    return shaded(smoke(soft_ball()), seed=3)


@pytest.mark.parametrize("side", [72, 75])
@pytest.mark.parametrize("name", ["ball", "cloud"])
def test_one_asset_at_identity_is_the_asset_alone(name, side, request):
    one = request.getfixturevalue(name)
    nvf, seed, mirror = (solid_ball(), 2, 1.0) if name == "ball" else (smoke(soft_ball()), 3, -8.0)
    alone = BakedRenderer(nvf, shader(seed, mirror), waves(nvf, seed)).render(camera(side=side))
    scene = drawn((one, np.eye(4)), view=camera(side=side))
    assert alone.rgba[..., 3].max() > 0.5
    np.testing.assert_allclose(scene.rgba, alone.rgba, atol=1e-5)
    np.testing.assert_allclose(scene.depth, alone.depth, atol=1e-5)
    np.testing.assert_allclose(scene.normal, alone.normal, atol=1e-5)
    assert np.array_equal(scene.ids >= 0, alone.rgba[..., 3] > 1e-3)


def seen_from(view: Camera, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rays of a view in the space of an asset at `matrix`, unit length again."""
    rays_o, rays_d = (array.reshape(-1, 3) for array in rays(view, *pixel_centers(view)))
    inverse = np.linalg.inv(matrix)
    directions = rays_d @ inverse[:3, :3].T
    origins = rays_o @ inverse[:3, :3].T + inverse[:3, 3]
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return origins.astype(np.float32), unit.astype(np.float32)


def view_of(matrix: np.ndarray, side: int = 72) -> Camera:
    """Looks at where a matrix puts the origin, from a distance that fits its size."""
    size = np.abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3)
    pose = camera((0.9, 0.7, 1.9)).c2w.copy()
    pose[:3, 3] = pose[:3, 3] * size + matrix[:3, 3]
    return Camera("view", side, side, 1.6 * side, 1.6 * side, side / 2, side / 2, pose)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["ball", "cloud"])
def test_moving_an_asset_is_moving_the_rays_back(name, place, request):
    one, matrix = request.getfixturevalue(name), PLACES[place]
    view = view_of(matrix)
    moved = drawn((one, matrix), view=view)
    composer = Composer()
    composer.place([Instance(one, np.eye(4))])
    still = composer.trace(*seen_from(view, matrix), 72)
    assert moved.rgba[..., 3].max() > 0.5
    assert decibels(moved.rgba, still.rgba) >= 45


@pytest.mark.parametrize("place", ["turned", "mirrored", "huge"])
def test_a_rigid_or_evenly_scaled_asset_is_seen_as_by_the_camera_moved_back(ball, place):
    matrix = PLACES[place] if place != "mirrored" else PLACES["turned"]
    view = view_of(matrix)
    size = np.cbrt(np.linalg.det(matrix[:3, :3]))
    rigid = matrix.copy()
    rigid[:3, :3] /= size
    pose = np.linalg.inv(rigid) @ view.c2w
    pose[:3, 3] /= size
    back = Camera("back", 72, 72, view.fl_x, view.fl_y, view.cx, view.cy, pose)
    moved, still = drawn((ball, matrix), view=view), drawn((ball, np.eye(4)), view=back)
    assert decibels(moved.rgba, still.rgba) >= 45
    both = (moved.rgba[..., 3] > 0.99) & (still.rgba[..., 3] > 0.99)
    np.testing.assert_allclose(moved.depth[both], still.depth[both] * size, rtol=2e-2)


@pytest.mark.parametrize("place", ["turned", "stretched", "mirrored", "sheared"])
def test_normals_stand_on_the_surface_wherever_it_is_put(ball, place):
    picture = drawn((ball, PLACES[place]))
    view = camera()
    rays_o, rays_d = rays(view, *pixel_centers(view))
    solid = picture.rgba[..., 3] > 0.999
    points = rays_o + picture.depth[..., None] * rays_d
    across = points[1:-1, 2:] - points[1:-1, :-2]
    along = points[2:, 1:-1] - points[:-2, 1:-1]
    measured = np.cross(along, across)
    measured /= np.maximum(np.linalg.norm(measured, axis=-1, keepdims=True), 1e-12)
    around = np.array([[solid[y : y + 70, x : x + 70] for x in range(3)] for y in range(3)]).all(axis=(0, 1))
    facing = -(picture.normal * rays_d).sum(-1)[1:-1, 1:-1]
    chosen = around & (facing > 0.4)
    cosines = (measured * picture.normal[1:-1, 1:-1]).sum(axis=-1)[chosen]
    # The stored normals are those of a round ball: right only about its axes, but on the right side.
    assert len(cosines) > 150 and np.median(cosines) > 0.9 and cosines.min() > 0.5


def test_the_order_of_assets_changes_nothing(ball, cloud):
    scene = [
        (ball, placed((-0.3, 0, 0), turn=0.4)),
        (cloud, placed((0.1, 0.1, 0.2), turn=1.0)),
        (cloud, placed((0.3, -0.1, -0.1), (1.2, 0.8, 1.0))),
        (ball, placed((0.6, 0, -0.9))),
    ]
    first = drawn(*scene)
    for order in ([3, 2, 1, 0], [1, 3, 0, 2]):
        again = drawn(*(scene[number] for number in order))
        np.testing.assert_allclose(again.rgba, first.rgba, atol=1e-5)
        np.testing.assert_allclose(again.depth, first.depth, atol=1e-5)
        back = np.append(order, -1)
        assert np.array_equal(back[again.ids], first.ids)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_two_halves_are_the_whole(axis):
    nvf = solid_ball()
    look = waves(nvf)
    parts = [half(nvf, look, axis, side) for side in (0, 1)]
    whole = ShadedAsset(DeviceField(nvf, shader()), look)
    together = drawn(*((part, PLACES["turned"]) for part in parts))
    assert decibels(together.rgba, drawn((whole, PLACES["turned"])).rgba) >= 45


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_two_halves_of_smoke_of_one_color_are_the_whole(axis):
    # Each half is shaded once a pixel with its own mean normal and codes: here all are the same.
    nvf = smoke(soft_ball())
    nvf.normals[:] = np.array([0.0, 0.6, 0.8])
    look = waves(nvf, amount=0.0)
    parts = [half(nvf, look, axis, side) for side in (0, 1)]
    whole = ShadedAsset(DeviceField(nvf, shader()), look)
    together = drawn(*((part, PLACES["turned"]) for part in parts))
    assert decibels(together.rgba, drawn((whole, PLACES["turned"])).rgba) >= 45


def half(nvf: Nvf, look: LookCodes, axis: int, side: int) -> ShadedAsset:
    """The bricks on one side of the middle, with the codes of the whole."""
    middle = nvf.top.shape[axis] // 2
    kept = np.moveaxis(nvf.top.copy(), axis, 0)
    kept[middle:] = kept[middle:] if side else -1
    kept[:middle] = -1 if side else kept[:middle]
    top = np.moveaxis(kept, 0, axis)
    bricks = top[top >= 0]
    numbers = np.full(len(nvf.density), -1, np.int32)
    numbers[bricks] = np.arange(len(bricks))
    renumbered = np.where(top >= 0, numbers[top], -1).astype(np.int32)
    density, normals = nvf.density[bricks], nvf.normals[bricks]
    active = find_active(renumbered, density)
    pool = np.zeros((nvf.density.size, 8), np.uint8)
    pool[nvf.active] = look.codes
    codes = pool.reshape(-1, 729, 8)[bricks].reshape(-1, 8)[active]
    part = Nvf(nvf.aabb, nvf.voxel_size, renumbered, density, normals, active)
    return ShadedAsset(DeviceField(part, shader()), LookCodes(codes, look.low, look.high))


def test_two_copies_of_half_the_density_are_one():
    nvf = smoke(soft_ball())
    thin = Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density / 2, nvf.normals, nvf.active)
    one, two = shaded(nvf), shaded(thin)
    both = drawn((two, PLACES["turned"]), (two, PLACES["turned"]))
    assert decibels(both.rgba, drawn((one, PLACES["turned"])).rgba) >= 60


@pytest.mark.parametrize("count", [24, 25])
def test_any_number_of_copies_of_a_share_of_the_density_are_the_whole(count):
    nvf = smoke(soft_ball(), 16)
    nvf.normals[:] = np.array([0.0, 0.6, 0.8])  # of one color: what each copy shows is shaded once
    thin = Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density / count, nvf.normals, nvf.active)
    one, whole = (
        ShadedAsset(DeviceField(field, shader()), waves(field, amount=0.0)) for field in (thin, nvf)
    )
    many, once = drawn(*[(one, np.eye(4))] * count), drawn((whole, np.eye(4)))
    assert decibels(many.rgba[..., 3], once.rgba[..., 3]) >= 60
    thick = once.rgba[..., 3] > 0.2  # what shows less than a thousandth has no color
    assert thick.sum() > 500 and decibels(many.rgba[thick], once.rgba[thick]) >= 50


@pytest.mark.parametrize("count", [65, 150])
def test_any_number_of_veils_one_after_another_let_through_the_product(count):
    veil = shaded(smoke(lambda places: np.full(places.shape[:-1], 30.0 / count), 16))
    view = camera((0.0, 0.0, 400.0), side=16)
    view = replace(view, fl_x=view.fl_x * 250, fl_y=view.fl_y * 250)
    places = [placed((0.0, 0.0, 1.5 * number)) for number in range(-count // 2, count - count // 2)]
    passed = np.ones((16, 16))
    for place in places:
        passed *= 1.0 - drawn((veil, place), view=view).rgba[..., 3]
    assert passed.min() < 0.9
    scene = drawn(*((veil, place) for place in places), view=view)
    expected = np.where(passed > OPAQUE, 1.0 - passed, 1.0)
    np.testing.assert_allclose(scene.rgba[..., 3], expected, atol=2e-3)
    back = drawn(*((veil, place) for place in reversed(places)), view=view)
    np.testing.assert_allclose(back.rgba, scene.rgba, atol=1e-5)


def brute_force(scene: list, view: Camera) -> np.ndarray:
    """Analytic fields marched together in tiny steps; colors are shaded once for each asset and ray."""
    rays_o, rays_d = (array.reshape(-1, 3).astype(np.float64) for array in rays(view, *pixel_centers(view)))
    times = np.arange(0.6, 3.4, 0.004)
    points = rays_o[:, None] + times[:, None] * rays_d[:, None]
    optical, codes, normals, locals_d = [], [], [], []
    for density, matrix, look_seed in scene:
        inverse = np.linalg.inv(matrix)
        local = points @ inverse[:3, :3].T + inverse[:3, 3]
        inside = (np.abs(local) <= 0.5).all(axis=-1)
        direction = rays_d @ inverse[:3, :3].T
        length = np.linalg.norm(direction, axis=-1)
        optical.append(density(local) * inside * length[:, None] * 0.004)
        codes.append(analytic_codes(local, look_seed))
        normals.append(local / np.linalg.norm(local, axis=-1, keepdims=True))
        locals_d.append(direction / length[:, None])
    total = np.sum(optical, axis=0)
    passed = np.exp(-np.cumsum(total, axis=1))
    stopped = np.concatenate([np.ones((len(rays_o), 1)), passed[:, :-1]], axis=1) - passed
    rgba = np.zeros((len(rays_o), 4))
    for number, (_, _, seed) in enumerate(scene):
        share = stopped * optical[number] / np.maximum(total, 1e-12)
        weight = share.sum(axis=1)
        mean = (share[..., None] * codes[number]).sum(1) / np.maximum(weight, 1e-9)[:, None]
        normal = (share[..., None] * normals[number]).sum(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
        arrays = (a.astype(np.float32) for a in (mean, normal, locals_d[number]))
        rgba[:, :3] += weight[:, None] * shader(seed).evaluate(*arrays)
        rgba[:, 3] += weight
    return rgba.reshape(view.height, view.width, 4)


def analytic_codes(positions: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.sin(positions @ random.normal(size=(3, 8)) * 3 + random.normal(size=8))


def test_interpenetrating_fields_are_what_a_brute_force_march_of_both_sees():
    one, two = soft_ball((0.1, 0.0, 0.0), 8.0), soft_ball((0.0, -0.05, 0.05), 12.0)
    places = [placed((-0.1, 0, 0), turn=0.3), placed((0.12, 0.05, 0.05), (1.2, 0.9, 1.0), turn=-0.9)]
    view = camera(side=28)
    scene = drawn(
        (shaded(smoke(one, 48), seed=2), places[0]), (shaded(smoke(two, 48), seed=5), places[1]), view=view
    )
    truth = brute_force([(one, places[0], 2), (two, places[1], 5)], view)
    assert truth[..., 3].max() > 0.8 and truth[..., :3].max() > 0.2
    assert decibels(scene.rgba, truth) >= 40


def test_marching_together_and_alone_agree_where_nothing_overlaps(cloud, ball, monkeypatch):
    scene = [(cloud, placed((-0.6, 0, 0))), (ball, placed((0.6, 0, -0.3))), (cloud, placed((0.5, 0, 1.0)))]
    alone = drawn(*scene)
    monkeypatch.setattr(composer, "crossing", lambda pairs, touching: np.ones(len(pairs), bool))
    together = drawn(*scene)
    assert decibels(alone.rgba, together.rgba) >= 55
    np.testing.assert_allclose(alone.rgba[..., 3], together.rgba[..., 3], atol=2 * OPAQUE)


def test_what_is_hidden_or_out_of_the_picture_changes_nothing(ball):
    shown = drawn((ball, np.eye(4)))
    behind = camera().forward * 3.0
    hidden = [(ball, placed(tuple(behind), (0.3, 0.3, 0.3)))]
    outside = [(ball, placed((50.0 * x, 90.0, 40.0 * z))) for x in range(-3, 4) for z in range(-3, 4)]
    scene = drawn((ball, np.eye(4)), *hidden, *outside)
    np.testing.assert_allclose(scene.rgba, shown.rgba, atol=2 * OPAQUE)


def test_an_asset_around_the_camera_is_seen_from_inside(cloud):
    inside = drawn((cloud, placed(scale=(8.0, 8.0, 8.0))))
    composer = Composer()
    composer.place([Instance(cloud, np.eye(4))])
    still = composer.trace(*seen_from(camera(), placed(scale=(8.0, 8.0, 8.0))), 72)
    assert inside.rgba[..., 3].min() > 0.5
    assert decibels(inside.rgba, still.rgba) >= 45


def wall(z: float, color: tuple[float, float, float] = (0.5, 0.25, 0.125)) -> MeshInstance:
    """A large square that faces the camera along its view, at a distance `z` from the origin."""
    view = camera()
    right, up = view.c2w[:3, 0], view.c2w[:3, 1]
    corners = [5 * (a * right + b * up) + z * view.forward for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return MeshInstance(np.array(corners), np.array([[0, 1, 2], [0, 2, 3]], np.int32), color, np.eye(4))


def with_wall(one: ShadedAsset, z: float) -> composer.Composed:
    composer = Composer()
    composer.place([Instance(one, np.eye(4))], [wall(z)])
    return composer.render(camera())


def test_a_mesh_in_front_hides_everything_and_one_behind_is_the_background(ball):
    front, back = with_wall(ball, -1.0), with_wall(ball, 1.0)
    assert (front.ids == 1).all() and np.allclose(front.rgba[..., 3], 1.0)
    alone = drawn((ball, np.eye(4)))
    rays_d = rays(camera(), *pixel_centers(camera()))[1]
    lit = AMBIENT + HEADLIGHT * (rays_d @ camera().forward)
    expected = alone.rgba[..., :3] + (1 - alone.rgba[..., 3:]) * lit[..., None] * [0.5, 0.25, 0.125]
    np.testing.assert_allclose(back.rgba[..., :3], expected, atol=2e-3)


def test_a_mesh_through_smoke_keeps_what_lies_before_it(cloud):
    whole, cut = drawn((cloud, np.eye(4))), with_wall(cloud, 0.0)
    rays_d = rays(camera(), *pixel_centers(camera()))[1]
    distance = np.linalg.norm(camera().position) / (rays_d @ camera().forward)
    middle = (slice(34, 38), slice(34, 38))
    lit = AMBIENT + HEADLIGHT
    # By symmetry half of the optical depth lies before a plane through the middle.
    passed = np.sqrt(1 - whole.rgba[middle][..., 3])
    seen = cut.rgba[middle][..., :3] - passed[..., None] * lit * np.array([0.5, 0.25, 0.125])
    assert np.allclose(cut.rgba[..., 3], 1.0) and seen.min() > -0.01
    far = cut.ids == 1
    np.testing.assert_allclose(cut.depth[far], distance[far], rtol=1e-4)


def test_instances_share_their_memory(ball):
    composer = Composer()
    composer.place([Instance(ball, np.eye(4))])
    one = composer.nbytes()
    composer.place([Instance(ball, placed((float(x), 0.0, 0.0))) for x in range(16)])
    assert composer.nbytes() <= 1.01 * one


def test_boxes_intersect_as_their_points_say():
    random = np.random.default_rng(4)
    boxes = np.stack([BOX * random.uniform(0.3, 1.0, 3) for _ in range(24)])
    matrices = np.stack(
        [placed(tuple(random.uniform(-1.2, 1.2, 3)), (1.0, 1.5, 0.7), random.uniform(0, 6), 0.3)] * 1
        + [placed(tuple(random.uniform(-1.2, 1.2, 3)), turn=random.uniform(0, 6)) for _ in range(23)]
    )
    found = {tuple(pair) for pair in intersecting(boxes, matrices)}
    grid = np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, 14)] * 3), axis=-1).reshape(-1, 3)
    for i in range(24):
        for j in range(i + 1, 24):
            local = boxes[i, 0] + grid * (boxes[i, 1] - boxes[i, 0])
            world = local @ matrices[i, :3, :3].T + matrices[i, :3, 3]
            inverse = np.linalg.inv(matrices[j])
            there = world @ inverse[:3, :3].T + inverse[:3, 3]
            inside = ((there > boxes[j, 0]) & (there < boxes[j, 1])).all(axis=-1)
            if inside.any():
                assert (i, j) in found
    assert 10 < len(found) < 200


def test_looks_of_photographs_are_decoded_before_they_are_composed():
    nvf = solid_ball()
    linear, encoded = (
        ShadedAsset(DeviceField(nvf, replace(shader(), encoding=encoding)), waves(nvf))
        for encoding in ("linear", "srgb")
    )
    plain, decoded = drawn((linear, np.eye(4))), drawn((encoded, np.eye(4)))
    solid = plain.rgba[..., 3] > 0.999
    expected = srgb_to_linear(np.clip(plain.rgba[solid][:, :3], 0, 1))
    np.testing.assert_allclose(decoded.rgba[solid][:, :3], expected, atol=1e-6)


def test_a_distorting_lens_of_no_effect_shows_the_same(ball, cloud):
    scene = [(ball, PLACES["turned"]), (cloud, placed((0.3, 0.2, 0.1)))]
    straight = drawn(*scene)
    lens = drawn(*scene, view=replace(camera(), k1=1e-9))
    assert decibels(straight.rgba, lens.rgba) >= 60


def test_no_instances_show_nothing():
    picture = drawn()
    assert not picture.rgba.any() and (picture.ids == -1).all()
