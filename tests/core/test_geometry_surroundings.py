"""Openness and sharpness of shapes whose answers are known."""

import numpy as np
import pytest

from neuron_core.geometry.mesh import Geometry, MeshPart
from neuron_core.geometry.shaderball import shader_ball
from neuron_core.geometry.surroundings import (
    Surroundings,
    figures_at,
    measure,
    near_surface,
    scatter,
    surroundings_of,
)


def part(positions: object, faces: object, normals: object, name: str = "part") -> MeshPart:
    arrays = np.array(positions, np.float32), np.array(faces, np.int32), np.array(normals, np.float32)
    return MeshPart(name, *arrays, True)


def quad(corner: object, first: object, second: object, name: str) -> MeshPart:
    origin, u, v = (np.array(value, float) for value in (corner, first, second))
    normal = np.cross(u, v) / np.linalg.norm(np.cross(u, v))
    return part([origin, origin + u, origin + u + v, origin + v], [[0, 1, 2], [0, 2, 3]], [normal] * 4, name)


def box(size: float = 1.0) -> Geometry:
    sides = []
    for axis in range(3):
        u, v = np.eye(3)[(axis + 1) % 3] * size, np.eye(3)[(axis + 2) % 3] * size
        low = np.full(3, -size / 2)
        sides.append(quad(low + np.eye(3)[axis] * size, u, v, f"high{axis}"))
        sides.append(quad(low, v, u, f"low{axis}"))
    return Geometry(tuple(sides), "box", (0.0, 0.0, 0.0), ())


def at(geometry: Geometry, point: object, normal: object) -> np.ndarray:
    figures = figures_at(geometry, np.array([point], np.float32), np.array([normal], np.float32))
    return figures[0]


def test_a_plane_is_open_and_flat():
    floor = Geometry((quad([-1, 0, 1], [2, 0, 0], [0, 0, -2], "floor"),), "floor", (0.0, 0.0, 0.0), ())
    np.testing.assert_allclose(at(floor, [0, 0, 0], [0, 1, 0]), [0, 0, 0, 1, 0], atol=1e-6)


def test_a_wall_beside_a_floor_blocks_half_the_light():
    floor = quad([-9, 0, 9], [18, 0, 0], [0, 0, -18], "floor")
    wall = quad([0.0, 0.0, 9], [0, 0, -18], [0, 18, 0], "wall")
    room = Geometry((floor, wall), "room", (0.0, 0.0, 0.0), ())
    assert at(room, [0.01, 0, 0], [0, 1, 0])[0] == pytest.approx(0.5, abs=0.05)
    assert at(room, [8.0, 0, 0], [0, 1, 0])[0] == 0.0


def test_edges_of_a_box_are_sharp_and_its_faces_are_not():
    cube = box()
    assert at(cube, [0, 0.5, 0], [0, 1, 0])[1] == 0.0
    assert at(cube, [0.499, 0.5, 0], [0, 1, 0])[1] > 0.3
    assert at(cube, [0.499, 0.5, 0.499], [0, 1, 0])[1] > at(cube, [0.499, 0.5, 0], [0, 1, 0])[1]


def test_a_thin_sheet_has_no_edge_in_its_middle():
    top = quad([-1, 0.01, 1], [2, 0, 0], [0, 0, -2], "top")
    bottom = quad([-1, 0.0, -1], [2, 0, 0], [0, 0, 2], "bottom")
    sheet = Geometry((top, bottom), "sheet", (0.0, 0.0, 0.0), ())
    assert at(sheet, [0, 0.01, 0], [0, 1, 0])[1] == 0.0


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_figures_do_not_depend_on_the_size_of_the_object(factor):
    small = at(box(), [0.49, 0.5, 0.1], [0, 1, 0])
    scaled = at(box(factor), np.array([0.49, 0.5, 0.1]) * factor, [0, 1, 0])
    np.testing.assert_allclose(scaled, small, atol=0.03)


def test_the_grid_answers_what_rays_measured():
    ball = shader_ball(24)
    grid = measure(ball)
    points, normals = scatter(ball.parts, 0.08)
    direct, found = figures_at(ball, points, normals), grid.at(points)
    assert np.abs(found.occlusion - direct[:, 0]).mean() < 0.08
    assert np.abs(found.convexity - direct[:, 1]).mean() < 0.06
    assert (found.normals * normals).sum(axis=1).mean() > 0.85
    again = measure(ball)
    np.testing.assert_array_equal(again.values, grid.values)


def test_the_inside_of_the_ball_is_darker_than_its_outside_and_its_lip_is_sharp():
    ball = shader_ball(48)
    grid, shell = surroundings_of(ball), ball.parts[0].positions
    center = np.array([0.0, 0.1, 0.0])
    radius = np.linalg.norm(shell - center, axis=1)
    outside, inside = grid.at(shell[radius > 0.399]), grid.at(shell[radius < 0.346])
    lip = grid.at(shell[(radius > 0.347) & (radius < 0.398)])
    assert inside.occlusion.mean() > outside.occlusion.mean() + 0.4
    assert lip.convexity.mean() > 3 * outside.convexity.mean()
    assert surroundings_of(ball) is grid


def test_points_far_away_are_open_and_flat():
    found = measure(box()).at(np.array([[50.0, 0.0, 0.0]]))
    assert isinstance(found, Surroundings) and np.isfinite(found.normals).all()


def test_all_nodes_that_a_surface_reads_are_near_it():
    ball = shader_ball(32)
    low, high = ball.aabb().astype(float)
    cell = (high - low) / np.array([60, 72, 60])
    mask = near_surface(ball.parts, low, cell, (61, 73, 61))
    points, _ = scatter(ball.parts, 0.02)
    first = np.clip(np.floor((points - low) / cell).astype(int), 0, [59, 71, 59])
    for corner in np.ndindex(2, 2, 2):
        assert mask[tuple((first + corner).T)].all()
    assert mask.mean() < 0.6
