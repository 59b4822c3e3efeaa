"""Catmull-Clark surfaces meet their closed forms, whatever the level they are computed at."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.geometry.refinement import Cage, base_level, refined
from neuron_core.geometry.subdivision import Extent, choose_levels, lowest_level, subdivide
from tests.core.geometry_laws import area, is_watertight, least_agreement, volume

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
CUBE_FACES = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
CUBE_EDGES = [[a, b] for a in range(8) for b in range(a) if bin(a ^ b).count("1") == 1]


def cage(
    points,
    faces,
    creases=(),
    sharpness=(),
    corners=(),
    corner_sharpness=(),
    holes=(),
    boundary="edgeAndCorner",
):
    return Cage(
        np.asarray(points, dtype=float),
        np.array([len(face) for face in faces]),
        np.concatenate([np.asarray(face) for face in faces]),
        np.asarray(creases, dtype=np.int64).reshape(-1, 2),
        np.asarray(sharpness, dtype=float),
        np.asarray(corners, dtype=np.int64),
        np.asarray(corner_sharpness, dtype=float),
        np.asarray(holes, dtype=np.int64),
        boundary,
    )


def grid(size, heights):
    """Quads over the unit grid, counter-clockwise from above."""
    x, y = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), np.asarray(heights).ravel()], axis=1)
    number = np.arange(size * size).reshape(size, size)
    faces = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=-1)
    return points, faces.reshape(-1, 4)


def at(position, surface):
    """Normals of the vertices of `surface` that lie at `position`."""
    points, _, normals = surface
    return normals[np.linalg.norm(points - position, axis=1) < 1e-9]


# Valences 3, 4, 5 and 6 with triangles, quads and a pentagon: a prism with an off-center apex.
MIXED = np.array(
    [[np.cos(a), y, np.sin(a)] for y in (-1.0, 0.3) for a in 2 * np.pi * np.arange(5) / 5]
    + [[0.2, 1.1, -0.1]]
)
MIXED_FACES = [[0, 1, 2, 3, 4]] + [[(i + 1) % 5, i, i + 5, (i + 1) % 5 + 5] for i in range(5)]
MIXED_FACES += [[(i + 1) % 5 + 5, i + 5, 10] for i in range(5)]


@pytest.mark.parametrize("level", [0, 1, 2, 4])
def test_a_cube_goes_to_its_known_limit(level):
    """A corner to half of itself, a face center to 68/81 of itself (limit masks of valence 3 and 4)."""
    surface = subdivide(cage(CUBE, CUBE_FACES), level)
    for corner in CUBE:
        np.testing.assert_allclose(at(corner / 2.0, surface), [corner / np.sqrt(3.0)], atol=1e-12)
    for axis in np.vstack([np.eye(3), -np.eye(3)]) if level else []:
        np.testing.assert_allclose(at(axis * 68.0 / 81.0, surface), [axis], atol=1e-12)


@pytest.mark.parametrize("faces,points", [(CUBE_FACES, CUBE), (MIXED_FACES, MIXED)])
def test_closed_cages_give_closed_surfaces_that_face_outwards(faces, points):
    positions, triangles, normals = subdivide(cage(points, faces), 3)
    assert is_watertight(positions, triangles)
    assert volume(positions, triangles) > 0.0
    assert least_agreement(positions, triangles, normals) > 0.9


def test_regular_meshes_are_bicubic_b_splines_in_position_and_normal():
    rng = np.random.default_rng(1)
    points, faces = grid(7, rng.normal(size=(7, 7)))
    net = points.reshape(7, 7, 3)
    surface = subdivide(cage(points, faces, boundary="edgeOnly"), 2)
    smooth, slope = np.array([1.0, 4.0, 1.0]) / 6.0, np.array([-1.0, 0.0, 1.0]) / 2.0
    for i, j in [(1, 1), (2, 4), (3, 3), (5, 2)]:
        near = net[i - 1 : i + 2, j - 1 : j + 2]
        position = np.einsum("i,j,ijk->k", smooth, smooth, near)
        normal = np.cross(
            np.einsum("i,j,ijk->k", slope, smooth, near), np.einsum("i,j,ijk->k", smooth, slope, near)
        )
        np.testing.assert_allclose(at(position, surface), [normal / np.linalg.norm(normal)], atol=1e-12)


def test_regular_boundaries_are_cubic_b_splines_with_reflected_rows():
    rng = np.random.default_rng(2)
    points, faces = grid(6, rng.normal(size=(6, 6)))
    net = points.reshape(6, 6, 3)
    surface = subdivide(cage(points, faces, boundary="edgeOnly"), 1)
    smooth, slope = np.array([1.0, 4.0, 1.0]) / 6.0, np.array([-1.0, 0.0, 1.0]) / 2.0
    for j in (2, 3):
        position = smooth @ net[0, j - 1 : j + 2]
        inward = smooth @ (net[1, j - 1 : j + 2] - net[0, j - 1 : j + 2])
        normal = np.cross(inward, slope @ net[0, j - 1 : j + 2])
        np.testing.assert_allclose(at(position, surface), [normal / np.linalg.norm(normal)], atol=1e-12)


RIM = [[5, 6], [6, 7], [7, 8], [8, 9], [9, 5]]
SIDE = [[0, 1], [1, 6], [6, 5], [5, 0]]


@pytest.mark.parametrize(
    "creases,opened", [([], False), (RIM, False), (SIDE, False), ([], True), (SIDE, True)]
)
def test_the_limit_does_not_depend_on_the_level(creases, opened):
    """Positions and normals of level 1 stay at 2 and 3: irregular, on creases, on boundaries."""
    rng = np.random.default_rng(4)
    points = MIXED + 0.1 * rng.normal(size=MIXED.shape)
    faces = MIXED_FACES[:3] + MIXED_FACES[5:] if opened else MIXED_FACES
    mesh = cage(points, faces, creases, [10.0] * len(creases), boundary="edgeOnly")
    coarse = subdivide(mesh, 1)
    for level in (2, 3):
        fine = subdivide(mesh, level)
        for position, normal in zip(coarse[0], coarse[2], strict=True):
            assert np.abs(at(position, fine) - normal).max(axis=1).min() < 1e-9


@given(rows=st.lists(st.floats(-2.0, 2.0), min_size=12, max_size=12))
def test_subdivision_commutes_with_affine_maps(rows):
    matrix, shift = np.reshape(rows[:9], (3, 3)), np.array(rows[9:])
    mesh = cage(MIXED, MIXED_FACES, [[5, 6], [6, 7]], [1.3, 0.4], [10], [0.7])
    positions, triangles, _ = subdivide(mesh, 2)
    mapped, same, _ = subdivide(replace(mesh, points=mesh.points @ matrix + shift), 2)
    np.testing.assert_array_equal(same, triangles)
    np.testing.assert_allclose(mapped, positions @ matrix + shift, atol=1e-12)


def test_a_flat_sheet_stays_flat_and_keeps_its_outline():
    points, faces = grid(4, np.zeros((4, 4)))
    positions, triangles, normals = subdivide(cage(points, faces), 3)
    assert area(positions, triangles) == pytest.approx(9.0, rel=1e-12)
    np.testing.assert_allclose(normals, np.broadcast_to([0.0, 0.0, 1.0], normals.shape), atol=1e-12)


def test_without_sharp_corners_a_sheet_is_rounded():
    points, faces = grid(4, np.zeros((4, 4)))
    kept = subdivide(cage(points, faces, boundary="edgeAndCorner"), 3)
    rounded = subdivide(cage(points, faces, boundary="edgeOnly"), 3)
    pinned = subdivide(
        cage(points, faces, corners=[0, 3, 12, 15], corner_sharpness=[10.0] * 4, boundary="edgeOnly"), 3
    )
    assert area(*rounded[:2]) < area(*kept[:2])
    np.testing.assert_allclose(pinned[0], kept[0], atol=1e-12)


def test_boundary_none_leaves_out_the_faces_at_the_boundary():
    points, faces = grid(6, np.zeros((6, 6)))
    positions, triangles, _ = subdivide(cage(points, faces, boundary="none"), 2)
    used = positions[np.unique(triangles)]
    np.testing.assert_allclose([used[:, :2].min(), used[:, :2].max()], [1.0, 4.0], atol=1e-12)
    assert area(positions, triangles) == pytest.approx(9.0, rel=1e-12)


def test_holes_shape_the_surface_but_are_not_there():
    whole = subdivide(cage(CUBE, CUBE_FACES), 2)
    opened = subdivide(cage(CUBE, CUBE_FACES, holes=[3]), 2)
    np.testing.assert_array_equal(opened[0], whole[0])
    np.testing.assert_array_equal(opened[2], whole[2])
    assert len(opened[1]) == len(whole[1]) * 5 // 6
    assert {tuple(row) for row in opened[1]} < {tuple(row) for row in whole[1]}


def test_a_fully_creased_cube_stays_a_cube():
    positions, triangles, normals = subdivide(cage(CUBE, CUBE_FACES, CUBE_EDGES, [10.0] * 12), 3)
    assert is_watertight(positions, triangles)
    assert volume(positions, triangles) == pytest.approx(8.0, rel=1e-12)
    assert least_agreement(positions, triangles, normals) == pytest.approx(1.0, abs=1e-12)


def test_a_creased_ring_parts_the_normals_and_nothing_else():
    ring = [[0, 1], [1, 3], [3, 2], [2, 0]]
    positions, triangles, normals = subdivide(cage(CUBE, CUBE_FACES, ring, [10.0] * 4), 3)
    assert is_watertight(positions, triangles)
    on_cap = np.abs(positions[:, 0] + 1.0) < 1e-12
    outward = normals[on_cap] @ [-1.0, 0.0, 0.0]
    distinct = np.unique(np.round(positions[on_cap], 9), axis=0)
    assert (outward > 1.0 - 1e-12).sum() == len(distinct)  # the cap stays flat up to its edge
    assert (outward < 0.99).sum() == 4 * 2**3  # and the wall starts with normals of its own


def test_sharpness_counts_down_and_infinity_stays():
    mesh = base_level(cage(CUBE, CUBE_FACES, [[0, 1], [1, 3]], [2.5, 10.0], [7], [1.5]))
    seen = [sorted(set(mesh.edge_sharpness) - {0.0})]
    for _ in range(3):
        mesh = refined(mesh)
        seen.append(sorted(set(mesh.edge_sharpness) - {0.0}))
    assert seen == [[2.5, np.inf], [1.5, np.inf], [0.5, np.inf], [np.inf]]


@pytest.mark.parametrize("sharpness", [0.0, 0.25, 0.5, 1.0])
def test_fractional_sharpness_blends_linearly(sharpness):
    """One step with every edge at s is the blend of a smooth and of a sharp step."""
    smooth, mixed, sharp = (
        refined(
            base_level(cage(MIXED, MIXED_FACES, edges_of(MIXED_FACES), [s] * len(edges_of(MIXED_FACES))))
        ).points
        for s in (0.0, sharpness, 1.0)
    )
    np.testing.assert_allclose(mixed, (1.0 - sharpness) * smooth + sharpness * sharp, atol=1e-14)


def edges_of(faces):
    pairs = {tuple(sorted(pair)) for face in faces for pair in zip(face, [*face[1:], face[0]], strict=True)}
    return sorted(pairs)


def test_creases_that_name_no_edge_change_nothing():
    plain = subdivide(cage(CUBE, CUBE_FACES), 1)
    creased = subdivide(cage(CUBE, CUBE_FACES, [[0, 7], [3, 4]], [10.0, 10.0]), 1)
    np.testing.assert_array_equal(plain[0], creased[0])


@pytest.mark.parametrize(
    "faces",
    [
        [[0, 1, 3, 2], [0, 1, 5, 4], [1, 0, 6, 7]],  # three faces at one edge
        [[0, 1, 3, 2], [2, 3, 7, 6], [6, 7, 5, 4], [0, 4, 5, 1], [0, 1, 3]],  # turned against its neighbor
        [[0, 1, 3], [3, 7, 6]],  # two that share a point
    ],
)
def test_meshes_that_are_no_manifold_survive(faces):
    positions, triangles, normals = subdivide(cage(CUBE, faces), 2)
    assert np.isfinite(positions).all()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-12)
    assert len(triangles) == 8 * sum(map(len, faces))


def test_two_cubes_that_touch_in_a_point_keep_it():
    points = np.vstack([CUBE, CUBE[1:] + 2.0])  # the first one's last corner is the second one's first
    second = [[corner + 7 for corner in face] for face in CUBE_FACES]
    surface = subdivide(cage(points, CUBE_FACES + second), 2)
    one = subdivide(cage(CUBE, CUBE_FACES, corners=[7], corner_sharpness=[10.0]), 2)
    assert len(at([1.0, 1.0, 1.0], surface)) == 2
    assert volume(*surface[:2]) == pytest.approx(2.0 * volume(*one[:2]), rel=1e-12)


def test_only_finished_quads_may_go_to_the_limit_at_once():
    assert lowest_level(cage(CUBE, CUBE_FACES, [[0, 1]], [10.0])) == 0
    assert lowest_level(cage(CUBE, CUBE_FACES, [[0, 1]], [2.0])) == 1
    assert lowest_level(cage(MIXED, MIXED_FACES)) == 1


def test_levels_go_to_the_coarsest_cages_first_and_keep_the_budget():
    extents = [Extent(24, 1, 10.0), Extent(24, 1, 1.0), Extent(24, 50, 1.0), Extent(24_000, 1, 10.0)]
    levels = choose_levels(extents, 500_000, 5, 0.0)
    assert sum(extent.triangles(level) for extent, level in zip(extents, levels, strict=True)) <= 500_000
    assert levels[0] == 5 and levels[0] >= levels[1] >= levels[2]
    assert choose_levels(extents, 0, 5, 0.0) == [1, 1, 1, 1]
    assert choose_levels([Extent(400_000, 1, 1.0, 0)], 500_000, 5, 0.0) == [0]
    assert choose_levels(extents, 500_000, 5, 1e9) == [1, 1, 1, 1]
    assert choose_levels([], 10, 5, 0.0) == []
