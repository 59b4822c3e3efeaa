"""Triangles, solids and copies: closed forms, and what no relabeling, turn or mirror may change."""

import hashlib
from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest

from neuron_core.geometry.mesh import Geometry, MeshPart, merge_equal_vertices
from neuron_core.geometry.placing import Shape, placed
from neuron_core.geometry.polygons import (
    area_vectors,
    faces_of_corners,
    next_corners,
    starts_of,
    triangle_crosses,
    triangulate,
    without_repeats,
)
from neuron_core.geometry.primitives import capsule, cube, frustum, plane, sphere
from neuron_core.geometry.refinement import Cage
from neuron_core.geometry.subdivision import Extent, choose_levels, subdivide
from tests.core.geometry_laws import area, is_watertight, least_agreement, sorted_rows, volume

COARSE = 2 * pi / 128 / 2  # half the angle of a column of round shapes
ROUND = (COARSE / np.sin(COARSE)) ** 2 * 1.002  # by how much a polygon's area may fall short


def rotation(seed: int) -> np.ndarray:
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return np.asarray(turn * np.linalg.det(turn))


def matrix(linear: np.ndarray, offset: tuple[float, ...] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """For row vectors."""
    found = np.eye(4)
    found[:3, :3], found[3, :3] = linear, offset
    return found


# --- polygons ---

COUNTS = np.array([3, 5, 4, 3, 7])


def faces(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points and corners of convex, planar faces in space."""
    random = np.random.default_rng(seed)
    points = []
    for count in COUNTS:
        angles = np.sort(random.uniform(0, 2 * pi, count))
        flat = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
        points.append(flat @ rotation(seed + count) + random.normal(size=3))
    return np.concatenate(points), np.arange(COUNTS.sum())


def test_corners_follow_each_other_around_their_faces():
    following, starts = next_corners(COUNTS), starts_of(COUNTS)
    assert faces_of_corners(COUNTS).tolist() == [f for f, count in enumerate(COUNTS) for _ in range(count)]
    for start, count in zip(starts, COUNTS, strict=True):
        corner = start
        for _ in range(count):
            corner = following[corner]
        assert corner == start, "once around"
        assert sorted(following[start : start + count]) == list(range(start, start + count))


def test_area_turns_with_the_face_and_over_with_its_order():
    points, corners = faces()
    straight, turn = area_vectors(points, COUNTS, corners), rotation(9)
    np.testing.assert_allclose(area_vectors(points @ turn, COUNTS, corners), straight @ turn, atol=1e-12)
    np.testing.assert_allclose(area_vectors(3 * points, COUNTS, corners), 9 * straight, atol=1e-12)
    backwards = np.concatenate(
        [corners[s : s + n][::-1] for s, n in zip(starts_of(COUNTS), COUNTS, strict=True)]
    )
    np.testing.assert_allclose(area_vectors(points, COUNTS, backwards), -straight, atol=1e-12)


def test_triangles_of_a_face_add_up_to_its_area_vector():
    points, corners = faces()
    triangles = triangulate(points, COUNTS, corners)
    owners = np.repeat(np.arange(len(COUNTS)), COUNTS - 2)
    sums = np.zeros((len(COUNTS), 3))
    np.add.at(sums, owners, triangle_crosses(points, corners[triangles]) / 2)
    np.testing.assert_allclose(sums, area_vectors(points, COUNTS, corners), atol=1e-12)


def test_cleaning_faces_twice_is_cleaning_them_once():
    counts, indices = np.array([4, 3, 5]), np.array([0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 5])
    kept_faces, kept = without_repeats(counts, indices)
    assert kept_faces.tolist() == [True, False, True]
    left = np.bincount(faces_of_corners(counts)[kept], minlength=3)[kept_faces]
    again_faces, again = without_repeats(left, indices[kept])
    assert again_faces.all() and again.all() and left.tolist() == [3, 4]  # also last and first


# --- solids ---

SOLIDS = {
    "cube": (cube(2.0), 8.0, 24.0),
    "sphere": (sphere(1.5), 4 / 3 * pi * 1.5**3, 4 * pi * 1.5**2),
    "cylinder": (frustum(3.0, 1.0, 1.0, "Y"), 3 * pi, 2 * pi * 3 + 2 * pi),
    "cone": (frustum(3.0, 1.0, 0.0, "Y"), pi, pi * sqrt(10) + pi),
    "frustum": (frustum(3.0, 2.0, 1.0, "Y"), pi * (4 + 2 + 1), pi * 3 * sqrt(10) + 5 * pi),
    "capsule": (capsule(2.0, 0.5, 0.5, "Y"), 2 * pi / 4 + 4 / 3 * pi / 8, 2 * pi + pi),
    "swallowed capsule": (capsule(0.5, 2.0, 1.0, "Y"), 4 / 3 * pi * 8, 16 * pi),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_is_closed_faces_outwards_and_has_its_volume_and_area(name):
    (positions, triangles, normals), wanted, surface = SOLIDS[name]
    assert is_watertight(positions, triangles) and least_agreement(positions, triangles, normals) > 0.9
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-12)
    assert wanted / ROUND**2 <= volume(positions, triangles) <= wanted * (1 + 1e-12)
    assert surface / ROUND**2 <= area(positions, triangles) <= surface * (1 + 1e-12)


@pytest.mark.parametrize("make", [frustum, capsule])
def test_the_axis_of_a_solid_turns_it_and_changes_nothing_else(make):
    along_y = make(2.0, 0.75, 0.5, "Y")
    for axis, cycle in (("X", [1, 2, 0]), ("Z", [2, 0, 1])):
        turned = make(2.0, 0.75, 0.5, axis)
        np.testing.assert_array_equal(turned[0], along_y[0][:, cycle])
        np.testing.assert_array_equal(turned[2], along_y[2][:, cycle])
        assert volume(*turned[:2]) == pytest.approx(volume(*along_y[:2]), rel=1e-12)


def test_a_solid_that_is_twice_as_large_is_the_solid_times_two():
    for small, large in (
        (sphere(1.0), sphere(2.0)),
        (capsule(2.0, 0.7, 0.5, "X"), capsule(4.0, 1.4, 1.0, "X")),
    ):
        np.testing.assert_allclose(large[0], 2 * small[0], atol=1e-12)
        np.testing.assert_allclose(large[2], small[2], atol=1e-12)


@pytest.mark.parametrize(("axis", "facing"), [("X", (1, 0, 0)), ("Y", (0, 1, 0)), ("Z", (0, 0, 1))])
def test_a_plane_faces_its_axis_and_is_as_large_as_it_says(axis, facing):
    positions, triangles, normals = plane(3.0, 5.0, axis)
    np.testing.assert_allclose(normals, np.broadcast_to(facing, normals.shape), atol=1e-15)
    np.testing.assert_allclose(area_of_all(positions, triangles), 15.0 * np.array(facing), atol=1e-12)


def area_of_all(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    return np.asarray(triangle_crosses(positions, triangles).sum(axis=0) / 2)


@pytest.mark.parametrize("name", SOLIDS)
def test_the_area_vectors_of_what_is_closed_cancel(name):
    positions, triangles, _ = SOLIDS[name][0]
    np.testing.assert_allclose(area_of_all(positions, triangles), 0.0, atol=1e-10)


# --- copies ---

BALL = Shape(*capsule(1.0, 0.5, 0.25, "Y"))
STRETCHED = matrix(rotation(1) @ np.diag([1.0, 2.0, 0.5]) @ rotation(2), (3.0, -1.0, 2.0))


def test_copies_of_a_copy_are_copies_by_the_product():
    first = placed(BALL, STRETCHED[None])
    again = matrix(rotation(3), (0.0, 5.0, 0.0))
    assert first is not None
    twice, once = placed(first, again[None]), placed(BALL, (STRETCHED @ again)[None])
    assert twice is not None and once is not None
    np.testing.assert_allclose(twice.positions, once.positions, atol=1e-12)
    np.testing.assert_allclose(twice.normals, once.normals, atol=1e-10)


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_the_volume_of_a_copy_grows_with_the_determinant_and_its_outside_stays_outside(mirror):
    linear = STRETCHED[:3, :3] @ np.diag([mirror, 1.0, 3.0])
    copy = placed(BALL, matrix(linear)[None])
    assert copy is not None
    wanted = volume(BALL.positions, BALL.faces) * abs(np.linalg.det(linear))
    assert volume(copy.positions, copy.faces) == pytest.approx(wanted, rel=1e-9)
    assert least_agreement(copy.positions, copy.faces, copy.normals) > 0.9
    first, second, _ = BALL.faces.T
    side, normals = BALL.positions[second] - BALL.positions[first], BALL.normals[first]
    across = side - (side * normals).sum(axis=1, keepdims=True) * normals
    leaning = ((across @ linear) * copy.normals[first]).sum(axis=1)
    np.testing.assert_allclose(leaning, 0.0, atol=1e-9, err_msg="what lies in the surface stays in it")


def test_many_copies_are_each_alone_side_by_side_and_flat_ones_have_two_sides_of_nothing():
    places = np.stack([STRETCHED, matrix(np.eye(3), (9.0, 0.0, 0.0))])
    together = placed(BALL, places)
    alone = [placed(BALL, one[None]) for one in places]
    assert together is not None and all(alone)
    np.testing.assert_array_equal(together.positions, np.concatenate([one.positions for one in alone if one]))
    flat = placed(BALL, matrix(np.diag([1.0, 0.0, 1.0]))[None])
    assert flat is not None
    assert volume(flat.positions, flat.faces) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(
        np.abs(flat.normals), np.broadcast_to([0, 1, 0], flat.normals.shape), atol=1e-12
    )
    assert placed(BALL, matrix(np.diag([1.0, 0.0, 0.0]))[None]) is None, "a line has no area"


# --- meshes ---


def test_merging_vertices_twice_is_merging_once_and_keeps_every_triangle_where_it_was():
    positions, triangles, normals = sphere(1.0)
    torn = (
        positions[triangles].reshape(-1, 3),
        np.arange(triangles.size).reshape(-1, 3),
        normals[triangles].reshape(-1, 3),
    )
    once = merge_equal_vertices(*torn)
    assert len(once[0]) == len(positions)
    np.testing.assert_array_equal(once[0][once[1]], torn[0][torn[1]])
    for first, second in zip(once, merge_equal_vertices(*once), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_zero_has_no_sign_where_vertices_are_merged():
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [-0.0, 0, 0], [0, 1, 0], [-1, 0, 0]])
    up = np.tile([0.0, 0, 1], (6, 1))
    positions, triangles, _ = merge_equal_vertices(corners, np.arange(6).reshape(2, 3), up)
    assert len(positions) == 4 and len(triangles) == 2


def geometry(shift: float = 0.0, **changes: object) -> Geometry:
    positions, triangles, normals = capsule(1.0, 0.5, 0.25, "Y")
    moved = (positions + shift).astype(np.float32)
    part = MeshPart("ball", moved, triangles.astype(np.int32), normals.astype(np.float32), True)
    return Geometry((replace(part, **changes),), "test", (0.0, 0.0, 0.0), ())  # type: ignore[arg-type]


def test_the_bounds_of_a_geometry_move_with_it_and_hold_every_vertex():
    still, moved = geometry(), geometry(8.0)
    np.testing.assert_allclose(moved.aabb(), still.aabb() + 8.0, atol=1e-5)
    (center, radius), (other, same) = still.bounding_sphere(), moved.bounding_sphere()
    np.testing.assert_allclose(other, center + 8.0, atol=1e-5)
    assert same == pytest.approx(radius, rel=1e-5)
    away = np.linalg.norm(still.parts[0].positions - center, axis=1)
    assert away.max() == pytest.approx(radius, rel=1e-6)


def test_a_digest_tells_every_change_of_a_picture_and_no_other():
    part = geometry().parts[0]
    bent = part.normals.copy()
    bent[0, 0] += np.float32(1e-3)
    changes = [
        {"name": "other"},
        {"takes_material": False},
        {"normals": bent},
        {"faces": part.faces[::-1].copy()},
    ]
    digests = {geometry(**change).digest() for change in changes} | {
        geometry().digest(),
        geometry(1e-3).digest(),
    }
    assert len(digests) == len(changes) + 2
    assert replace(geometry(), notes=("a",), source="else").digest() == geometry().digest()
    assert len(geometry().digest()) == len(hashlib.sha256().hexdigest())


# --- subdivision ---

CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
SIDES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


def cage(points: np.ndarray, quads: np.ndarray) -> Cage:
    none = np.zeros(0)
    return Cage(
        points, np.full(len(quads), 4), quads.ravel(), np.zeros((0, 2), np.int64), none,
        np.zeros(0, np.int64), none, np.zeros(0, np.int64),
    )  # fmt: skip


def lumpy(seed: int = 3) -> np.ndarray:
    return CORNERS + 0.2 * np.random.default_rng(seed).normal(size=(8, 3))


def test_a_surface_does_not_depend_on_how_its_cage_is_numbered():
    points = lumpy()
    straight = subdivide(cage(points, SIDES), 2)
    order = np.random.default_rng(4).permutation(8)
    back = np.argsort(order)
    turned = np.roll(back[SIDES], 1, axis=1)[[3, 0, 5, 1, 4, 2]]
    other = subdivide(cage(points[order], turned), 2)
    np.testing.assert_allclose(
        sorted_rows(straight[0], straight[2]), sorted_rows(other[0], other[2]), atol=2e-5
    )
    assert volume(*straight[:2]) == pytest.approx(volume(*other[:2]), rel=1e-9)


def test_a_cage_inside_out_has_the_same_surface_inside_out():
    straight, turned = subdivide(cage(lumpy(), SIDES), 1), subdivide(cage(lumpy(), SIDES[:, ::-1]), 1)
    assert volume(*turned[:2]) == pytest.approx(-volume(*straight[:2]), rel=1e-6)
    np.testing.assert_allclose(
        sorted_rows(straight[0], straight[2]), sorted_rows(turned[0], -turned[2]), atol=2e-5
    )


def test_cages_apart_are_each_alone():
    points, far = lumpy(), lumpy(5) + 9.0
    both = subdivide(cage(np.concatenate([points, far]), np.concatenate([SIDES, SIDES + 8])), 1)
    alone = [subdivide(cage(one, SIDES), 1) for one in (points, far)]
    assert volume(*both[:2]) == pytest.approx(sum(volume(*one[:2]) for one in alone), rel=1e-9)
    np.testing.assert_allclose(
        sorted_rows(both[0]), sorted_rows(np.concatenate([one[0] for one in alone])), atol=2e-5
    )


def test_a_larger_budget_never_makes_a_surface_coarser_and_none_is_overdrawn():
    random = np.random.default_rng(6)
    sizes = zip(
        random.integers(8, 200, 12), random.integers(1, 5, 12), random.uniform(0.1, 9, 12), strict=True
    )
    extents = [Extent(int(corners), int(copies), float(size)) for corners, copies, size in sizes]
    least = sum(one.triangles(one.lowest) for one in extents)
    before = choose_levels(extents, 0, 5, 0.0)
    assert before == [one.lowest for one in extents]
    for budget in (least, 3 * least, 30 * least, 300 * least):
        levels = choose_levels(extents, budget, 5, 0.0)
        assert sum(one.triangles(level) for one, level in zip(extents, levels, strict=True)) <= budget
        assert sum(levels) >= sum(before) and max(levels) <= 5
        before = levels
