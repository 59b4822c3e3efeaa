"""Triangles cover their polygon exactly and keep its orientation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_core.geometry.polygons import (
    are_degenerate,
    area_vectors,
    clip_ears,
    triangulate,
    without_repeats,
)
from tests.core.geometry_laws import area_vectors as triangle_areas

COMB = [(0, 0), (9, 0), (9, 4), (8, 4), (8, 1), (6, 1), (6, 4), (5, 4), (5, 1), (1, 1), (1, 4), (0, 4)]
KEYHOLE = [(0, 0), (6, 0), (6, 6), (0, 6), (0, 0), (2, 2), (2, 4), (4, 4), (4, 2), (2, 2)]
POLYGONS = {
    "square with a point on its side": [(0, 0), (1, 0), (2, 0), (2, 2), (0, 2)],
    "many points on a side": [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (0, 1)],
    "L": [(0, 0), (3, 0), (3, 1), (1, 1), (1, 3), (0, 3)],
    "comb": COMB,
    "keyhole": KEYHOLE,
    "arrow": [(0, 0), (4, -2), (1, 0), (4, 2)],
    "arrow, other start": [(4, -2), (1, 0), (4, 2), (0, 0)],
}


def shoelace(polygon):
    x, y = np.asarray(polygon, float).T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2.0)


def cross(first, second):
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


@pytest.mark.parametrize("name", POLYGONS)
def test_triangles_are_positive_and_sum_to_the_polygon(name):
    polygon = np.asarray(POLYGONS[name], float)
    points = np.column_stack([polygon, np.zeros(len(polygon))])
    corners = triangulate(points, np.array([len(points)]), np.arange(len(points)))
    a, b, c = np.moveaxis(polygon[corners], 1, 0)
    areas = cross(b - a, c - a) / 2.0
    assert len(corners) == len(polygon) - 2
    assert areas.min() > 0.0
    assert areas.sum() == pytest.approx(shoelace(polygon), rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    radii=st.lists(st.floats(0.05, 1.0), min_size=5, max_size=25),
    turn=st.floats(0.0, 6.0),
    offset=st.sampled_from([0.0, 1e6]),
)
def test_star_shaped_faces_anywhere_in_space_keep_their_area_and_orientation(radii, turn, offset):
    angles = np.linspace(0.0, 2 * np.pi, len(radii), endpoint=False)
    flat = np.asarray(radii)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    first = np.array([np.cos(turn), 0.0, np.sin(turn)])
    second = np.cross([0.6 * np.sin(turn), 0.8, -0.6 * np.cos(turn)], first)
    second /= np.linalg.norm(second)
    points = flat @ np.stack([first, second]) + offset
    corners = triangulate(points, np.array([len(points)]), np.arange(len(points)))
    vectors = triangle_areas(points, corners)
    normal = np.cross(first, second)
    assert (vectors @ normal).min() > -1e-9 * (1.0 + offset)
    assert np.linalg.norm(vectors.sum(axis=0) - shoelace(flat) * normal) < 1e-8 * (1.0 + offset / 1e3)


def test_faces_of_all_sizes_keep_their_order_and_corners():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(12, 3))
    counts = np.array([4, 3, 6, 4, 3])
    indices = np.concatenate([rng.permutation(12)[:count] for count in counts])
    corners = triangulate(points, counts, indices)
    face = np.repeat(np.arange(5), counts)
    np.testing.assert_array_equal(face[corners[:, 0]], np.repeat(np.arange(5), counts - 2))
    assert (face[corners] == face[corners[:, :1]]).all()


def test_area_vectors_do_not_depend_on_the_origin():
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    for offset in (0.0, 1e8):
        np.testing.assert_array_equal(
            area_vectors(square + offset, np.array([4]), np.arange(4)), [[0.0, 0.0, 1.0]]
        )


def test_crossing_polygons_still_give_n_minus_2_triangles():
    rng = np.random.default_rng(0)
    for count in range(4, 30):
        assert clip_ears(rng.normal(size=(count, 2))).shape == (count - 2, 3)
    assert clip_ears(np.zeros((7, 2))).shape == (5, 3)


def test_a_large_concave_face_is_clipped_in_time():
    angles = np.linspace(0.0, 2 * np.pi, 300, endpoint=False)
    polygon = (1.0 + 0.3 * np.cos(20 * angles))[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    triangles = polygon[clip_ears(polygon)]
    areas = cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) / 2.0
    assert areas.min() > 0.0
    assert areas.sum() == pytest.approx(shoelace(polygon), rel=1e-12)


def test_needles_and_points_are_degenerate_at_any_scale():
    triangle = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1e-3, 0], [2, 0, 0]])
    for scale in (1e-9, 1.0, 1e9):
        flat = are_degenerate(triangle * scale, np.array([[0, 1, 2], [0, 1, 3], [0, 0, 2]]))
        np.testing.assert_array_equal(flat, [False, True, True])


def test_repeated_corners_go_and_faces_without_three_go_whole():
    counts = np.array([4, 0, 3, 4])
    faces, corners = without_repeats(counts, np.array([0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 5]))
    np.testing.assert_array_equal(faces, [True, False, False, True])
    np.testing.assert_array_equal(np.flatnonzero(corners), [0, 2, 3, 7, 8, 9])
