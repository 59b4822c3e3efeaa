"""Rays that hit meshes: against planes and boxes in closed form, and instances against moved copies."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, look_at, pinhole, pixel_centers, rays
from neuron_core.kernels.baked.layout import FAR
from neuron_core.kernels.baked.mesh_hits import cast, place_meshes
from neuron_core.kernels.baked.rays import Pinhole, Rays, rays_of_arrays, rays_of_camera
from neuron_core.surfaces.mesh import Mesh
from tests.core.composed_samples import placed
from tests.core.mesh_samples import box, flipped, joined, sheet

PLACES = {
    "moved": placed((0.3, -0.2, 0.1)),
    "turned": placed(turn=0.9),
    "stretched": placed((0.1, 0.2, 0.0), (1.5, 0.4, 0.8), turn=-0.7),
    "mirrored": placed(scale=(-1.0, 1.0, 1.0), turn=0.4),
    "sheared": placed(scale=(0.9, 1.2, 1.0), turn=1.2, shear=0.6),
}


class Hits(NamedTuple):
    """What rays hit; only times are written where they hit nothing."""

    times: np.ndarray
    normals: np.ndarray
    facing: np.ndarray
    instances: np.ndarray
    faces: np.ndarray


def hits_of(
    meshes: Sequence[Mesh], mesh_of: Sequence[int], matrices: Sequence[np.ndarray], given: Rays
) -> Hits:
    count = given.count
    found = Hits(
        np.full(count, 7.0, np.float32),
        np.zeros((count, 3), np.float32),
        np.zeros(count, np.float32),
        np.full(count, -5, np.int32),
        np.full(count, -5, np.int32),
    )
    arrays = [(mesh.points, mesh.faces) for mesh in meshes]
    stacked = np.array(matrices, np.float64).reshape(-1, 4, 4)
    cast(place_meshes(arrays, np.array(mesh_of, np.int32), stacked), given, *found)
    return found


def toward(
    points: np.ndarray, count: int = 400, seed: int = 0, spread: float = 0.8
) -> tuple[np.ndarray, Rays]:
    """Unit rays [2, R, 3] from around towards random places near `points`."""
    random = np.random.default_rng(seed)
    targets = random.choice(points, count) + random.uniform(-spread, spread, (count, 3))
    origins = random.normal(size=(count, 3))
    origins *= 3.0 / np.linalg.norm(origins, axis=-1, keepdims=True)
    directions = targets - origins
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    both = np.stack([origins, directions]).astype(np.float32)
    return both.astype(np.float64), rays_of_arrays(*both)


def slabs(low: np.ndarray, high: np.ndarray, origins: np.ndarray, directions: np.ndarray) -> tuple:
    """When rays from anywhere first meet the surface of a box, FAR if never, and the axis of that side."""
    with np.errstate(divide="ignore"):
        one, two = (low - origins) / directions, (high - origins) / directions
    near, far = np.minimum(one, two), np.maximum(one, two)
    enters, leaves = near.max(axis=-1), far.min(axis=-1)
    outside = enters > 0
    times = np.where(outside, enters, leaves)
    axis = np.where(outside, near.argmax(axis=-1), far.argmin(axis=-1))
    return np.where((leaves >= enters) & (leaves > 0), times, FAR), axis


def test_a_plane_is_hit_where_the_ray_reaches_it_and_its_normal_faces_the_ray():
    (origins, directions), given = toward(np.zeros((1, 3)), spread=0.4)
    matrix = placed((-2.0, -2.0, 0.2), turn=0.0)
    tilt = placed(turn=0.5)
    hits = hits_of([sheet(1, 1, (4.0, 4.0))], [0], [tilt @ matrix], given)
    normal, point = tilt[:3, 2], (tilt @ matrix)[:3, 3]
    expected = ((point - origins) @ normal) / (directions @ normal)
    places = (origins + expected[:, None] * directions - point) @ tilt[:3, :3]
    inside = ((places[:, :2] > 1e-3) & (places[:, :2] < 4.0 - 1e-3)).all(axis=-1) & (expected > 0)
    assert 50 < inside.sum()
    np.testing.assert_allclose(hits.times[inside], expected[inside], rtol=2e-5)
    side = -np.sign(directions @ normal)
    np.testing.assert_allclose(hits.normals[inside], (side[:, None] * normal)[inside], atol=1e-5)
    np.testing.assert_allclose(hits.facing[inside], np.abs(directions @ normal)[inside], atol=1e-5)


def test_a_box_is_hit_as_its_slabs_say_from_outside_and_from_inside():
    solid = box((0.8, 0.5, 1.1), (-0.3, -0.2, -0.4))
    (origins, directions), _ = toward(solid.points)
    origins[300:] = np.random.default_rng(1).uniform([-0.2, -0.1, -0.3], [0.4, 0.2, 0.6], (100, 3))
    origins, directions = origins.astype(np.float32), directions.astype(np.float32)
    hits = hits_of([solid], [0], [np.eye(4)], rays_of_arrays(origins, directions))
    times, axis = slabs(solid.points.min(axis=0), solid.points.max(axis=0), origins, directions)
    hit = times < FAR
    assert 150 < hit.sum() < 390
    np.testing.assert_array_equal(hits.times < FAR, hit)
    np.testing.assert_allclose(hits.times[hit], times[hit], atol=2e-6)
    expected = -np.sign(directions)[hit] * np.eye(3)[axis[hit]]
    np.testing.assert_allclose(hits.normals[hit], expected, atol=1e-6)
    corners = solid.points[solid.faces[hits.faces[hit]]]  # of the triangle: it lies in that side
    assert (np.ptp(corners, axis=1)[np.arange(hit.sum()), axis[hit]] == 0).all()


def test_what_is_missed_has_no_time_and_nothing_else_is_written():
    origins = np.array([[0, 0, 3], [0, 0, 3], [3, 0, 0]], np.float32)
    directions = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.float32)  # away or past
    hits = hits_of([box()], [0], [np.eye(4)], rays_of_arrays(origins, directions))
    assert (hits.times == np.float32(FAR)).all()
    assert (hits.instances == -5).all() and (hits.faces == -5).all() and not hits.normals.any()


def test_without_meshes_every_ray_misses():
    hits = hits_of([], [], [], toward(np.zeros((1, 3)))[1])
    assert (hits.times == np.float32(FAR)).all() and (hits.instances == -5).all()


def test_impossible_rays_miss_and_leave_their_neighbors_alone():
    (origins, directions), given = toward(box().points, count=64, spread=0.2)
    wanted = hits_of([box()], [0], [np.eye(4)], given)
    one, two, three = np.flatnonzero(wanted.times < FAR)[:3]
    origins[one], directions[two], directions[three] = np.nan, 0.0, np.nan
    broken = rays_of_arrays(origins.astype(np.float32), directions.astype(np.float32))
    hits = hits_of([box()], [0], [np.eye(4)], broken)
    assert (hits.times[[one, two, three]] == np.float32(FAR)).all()
    kept = np.setdiff1d(np.arange(64), [one, two, three])
    np.testing.assert_array_equal(hits.times[kept], wanted.times[kept])


def test_no_ray_slips_through_the_edges_and_corners_that_triangles_share():
    flat = sheet(4, 4)
    columns, rows = np.meshgrid(np.arange(1, 8), np.arange(1, 8))  # corners, sides and diagonals
    targets = np.stack([columns / 8, rows / 8, np.zeros_like(rows)], axis=-1).reshape(-1, 3)
    for eye in ((0.5, 0.5, 1.0), (0.25, 0.75, 2.0), (-1.0, 0.5, 0.5)):
        origins = np.tile(eye, (len(targets), 1)).astype(np.float32)
        directions = targets - origins
        lengths = np.linalg.norm(directions, axis=-1)
        hits = hits_of([flat], [0], [np.eye(4)], rays_of_arrays(origins, directions.astype(np.float32)))
        np.testing.assert_allclose(hits.times, lengths, rtol=1e-6)


def test_turning_triangles_around_changes_no_time_and_no_normal():
    solid = box((0.8, 0.5, 1.1), (-0.3, -0.2, -0.4))
    _, given = toward(solid.points)
    one, two = (hits_of([mesh], [0], [np.eye(4)], given) for mesh in (solid, flipped(solid)))
    np.testing.assert_allclose(one.times, two.times, rtol=1e-6)
    np.testing.assert_allclose(one.normals, two.normals, atol=1e-6)


@pytest.mark.parametrize("name", PLACES)
def test_an_instance_is_hit_where_a_moved_copy_of_its_mesh_is(name):
    solid, matrix = box((0.8, 0.5, 1.1), (-0.3, -0.2, -0.4)), PLACES[name]
    moved = Mesh((solid.points @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32), solid.faces)
    _, given = toward(moved.points, spread=0.25)
    one, two = hits_of([solid], [0], [matrix], given), hits_of([moved], [0], [np.eye(4)], given)
    hit = two.times < FAR
    assert hit.sum() > 100
    assert ((one.times < FAR) == hit).mean() > 0.99  # but for rays along an edge
    both = hit & (one.times < FAR)
    np.testing.assert_allclose(one.times[both], two.times[both], atol=2e-5)
    same = both & (one.faces == two.faces)
    assert same.sum() > 0.9 * both.sum()
    np.testing.assert_allclose(one.normals[same], two.normals[same], atol=2e-4)
    np.testing.assert_allclose(one.facing[same], two.facing[same], atol=2e-4)


def test_the_nearest_of_many_instances_is_hit_in_whatever_order_they_come():
    random = np.random.default_rng(3)
    matrices = [
        placed(tuple(move), (0.4,) * 3, turn=turn)
        for move, turn in zip(random.uniform(-1, 1, (12, 3)), random.uniform(0, 3, 12), strict=True)
    ]
    meshes, mesh_of = [box(), sheet(2, 2)], random.integers(0, 2, 12)
    _, given = toward(np.array([matrix[:3, 3] for matrix in matrices]), spread=0.3)
    alone = np.array([hits_of(meshes, [mesh_of[k]], [matrices[k]], given).times for k in range(12)])
    order = random.permutation(12)
    for numbers in (np.arange(12), order):
        hits = hits_of(meshes, mesh_of[numbers], [matrices[k] for k in numbers], given)
        hit = hits.times < FAR
        assert hit.sum() > 100
        np.testing.assert_array_equal(hits.times, alone.min(axis=0))
        np.testing.assert_array_equal(numbers[hits.instances[hit]], alone.argmin(axis=0)[hit])


def test_meshes_joined_into_one_are_hit_as_they_are_apart():
    parts = [box(), box((0.5, 0.5, 0.5), (1.2, 0.1, -0.3)), sheet(3, 2, (2.0, 2.0))]
    _, given = toward(joined(*parts).points)
    whole = hits_of([joined(*parts)], [0], [np.eye(4)], given)
    apart = hits_of(parts, [0, 1, 2], [np.eye(4)] * 3, given)
    np.testing.assert_allclose(whole.times, apart.times, rtol=1e-6)
    np.testing.assert_array_equal(whole.normals, apart.normals)


@pytest.mark.parametrize("size", [(40, 24), (37, 19), (5, 3)])
def test_a_camera_hits_what_its_rays_do_pixel_by_pixel(size):
    pose = look_at((0.9, 1.4, 2.1), (0.4, 0.3, 0.4))
    view = Camera("c", *size, 1.1 * size[0], 1.3 * size[0], 0.45 * size[0], 0.6 * size[1], pose)
    given = rays_of_camera(Pinhole.of(*size, pinhole(view)), "cpu")
    origins, directions = (array.reshape(-1, 3) for array in rays(view, *pixel_centers(view)))
    own = hits_of([box()], [0], [np.eye(4)], given)
    times, _ = slabs(np.zeros(3), np.ones(3), origins.astype(float), directions.astype(float))
    inside = slabs(np.full(3, 1e-3), np.full(3, 1 - 1e-3), origins.astype(float), directions.astype(float))[0]
    sure = (inside < FAR) | (times == FAR)
    assert sure.mean() > 0.97 and 0 < (times < FAR).sum() < times.size
    np.testing.assert_array_equal((own.times < FAR)[sure], (times < FAR)[sure])
    hit = sure & (times < FAR)
    np.testing.assert_allclose(own.times[hit], times[hit], atol=5e-6)
    for width in (0, size[0]):  # a run of rays, and an image
        listed = hits_of([box()], [0], [np.eye(4)], rays_of_arrays(origins, directions, width))
        np.testing.assert_allclose(listed.times[sure], own.times[sure], atol=5e-6)


def test_the_principal_point_looks_along_the_axis_and_corners_as_far_out_as_focal_lengths_say():
    """Pixel centers lie at halves: the ray through the principal point is the camera's axis."""
    view = Camera("c", 16, 8, 20.0, 10.0, 6.5, 2.5, np.eye(4))
    wall = sheet(1, 1, (8.0, 8.0))
    hits = hits_of(
        [wall], [0], [placed((-4.0, -4.0, -2.0))], rays_of_camera(Pinhole.of(16, 8, pinhole(view)), "cpu")
    )
    times = hits.times.reshape(8, 16)
    assert times[2, 6] == pytest.approx(2.0, abs=1e-6)
    x, y = (np.arange(16) - 6) / 20.0, (np.arange(8) - 2) / 10.0
    np.testing.assert_allclose(times, 2.0 * np.sqrt(1 + x**2 + y[:, None] ** 2), rtol=1e-6)


def test_a_mesh_with_many_instances_is_in_memory_once():
    solid = box()
    arrays = [(solid.points, solid.faces)]
    sizes = [
        place_meshes(arrays, np.zeros(n, np.int32), np.tile(np.eye(4), (n, 1, 1))).nbytes for n in (1, 100)
    ]
    assert sizes[1] - sizes[0] == 99 * 12 * 4  # a row of the table for each
