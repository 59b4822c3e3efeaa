"""Iso-surfaces of known shapes: where they lie, how large they are, and which side is out."""

import numpy as np
import pytest

from neuron_core.kernels.grids.isosurface import triangles

CENTER = np.array([11.3, 10.6, 12.1])
RADIUS = 7.4
FLATNESS = 0.8  # relative error of what flat triangles show of a ball, times its radius squared


def on_grid(shape: tuple[int, int, int]) -> np.ndarray:
    """The coordinates [X, Y, Z, 3] of a grid's values."""
    return np.stack(np.meshgrid(*(np.arange(side, dtype=float) for side in shape), indexing="ij"), axis=-1)


def ball(center: np.ndarray = CENTER, radius: float = RADIUS, side: int = 24) -> np.ndarray:
    """How deep a place lies within a ball."""
    depths = radius - np.linalg.norm(on_grid((side,) * 3) - center, axis=-1)
    return depths.astype(np.float32)


def torus(large: float = 7.0, small: float = 2.8) -> np.ndarray:
    across = on_grid((24, 24, 24)) - CENTER
    ring = np.linalg.norm(across[..., :2], axis=-1) - large
    return (small - np.hypot(ring, across[..., 2])).astype(np.float32)


def areas(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = points.astype(np.float64)[faces].transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=-1) / 2


def volume(points: np.ndarray, faces: np.ndarray) -> float:
    """Positive where triangles are counter-clockwise seen from outside."""
    a, b, c = points.astype(np.float64)[faces].transpose(1, 0, 2)
    return float(np.einsum("fi,fi->", a, np.cross(b, c)) / 6)


def edges(faces: np.ndarray) -> np.ndarray:
    """The edges [3 F, 2] of triangles in the direction in which these run."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def euler_characteristic(points: np.ndarray, faces: np.ndarray) -> int:
    return len(points) - len(np.unique(np.sort(edges(faces), axis=1), axis=0)) + len(faces)


def test_a_ball_has_the_area_and_the_volume_of_one() -> None:
    points, faces = triangles(ball(), 0.0)
    assert areas(points, faces).sum() == pytest.approx(4 * np.pi * RADIUS**2, rel=FLATNESS / RADIUS**2)
    assert volume(points, faces) == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=FLATNESS / RADIUS**2)
    np.testing.assert_allclose(np.linalg.norm(points - CENTER, axis=1), RADIUS, atol=0.03)


def test_errors_of_volume_fall_with_the_square_of_the_step() -> None:
    errors = []
    for side in (12, 24, 48):
        points, faces = triangles(ball(np.full(3, (side - 1) / 2 + 0.1), side / 3, side), 0.0)
        errors.append(1 - volume(points, faces) / (4 / 3 * np.pi * (side / 3) ** 3))
    assert 3 < errors[0] / errors[1] < 5.5 and 3 < errors[1] / errors[2] < 5.5


def test_levels_are_nested_balls() -> None:
    for level in (-2.0, 0.0, 3.0):
        points, faces = triangles(ball(), level)
        radius = RADIUS - level
        assert volume(points, faces) == pytest.approx(4 / 3 * np.pi * radius**3, rel=FLATNESS / radius**2)


def test_every_triangle_of_a_ball_faces_away_from_its_center() -> None:
    points, faces = triangles(ball(), 0.0)
    a, b, c = points.astype(np.float64)[faces].transpose(1, 0, 2)
    outward = np.einsum("fi,fi->f", np.cross(b - a, c - a), (a + b + c) / 3 - CENTER)
    assert (outward[areas(points, faces) > 1e-6] > 0).all()


@pytest.mark.parametrize(
    ("values", "characteristic"),
    [
        (ball(), 2),
        (torus(), 0),
        (np.maximum(ball(np.full(3, 6.2), 4.0), ball(np.full(3, 17.4), 4.6)), 4),
        (np.minimum(ball(), -ball(radius=3.3)), 4),
    ],
    ids=["ball", "torus", "two balls", "hollow ball"],
)
def test_surfaces_are_closed_and_have_the_genus_of_their_shape(
    values: np.ndarray, characteristic: int
) -> None:
    points, faces = triangles(values.astype(np.float32), 0.0)
    directed = edges(faces)
    assert len(np.unique(directed, axis=0)) == len(directed)
    there, back = ({tuple(edge) for edge in pairs.tolist()} for pairs in (directed, directed[:, ::-1]))
    assert there == back  # each edge is run along once in each direction
    assert euler_characteristic(points, faces) == characteristic
    assert len(np.unique(faces)) == len(points)


def test_a_hole_is_taken_from_the_volume() -> None:
    hollow = np.minimum(ball(), -ball(radius=3.3))
    assert volume(*triangles(hollow, 0.0)) == pytest.approx(4 / 3 * np.pi * (RADIUS**3 - 3.3**3), rel=0.02)


def test_points_lie_on_edges_of_the_grid_where_its_values_cross_the_level() -> None:
    values = np.random.default_rng(0).standard_normal((7, 9, 6)).astype(np.float32)
    points, _ = triangles(values, 0.2)
    from_whole = np.sort(np.abs(points - np.round(points)), axis=1)
    assert from_whole[:, 1].max() < 1e-6 and len(points) > 300
    points = np.where(np.abs(points - np.round(points)) < 1e-6, np.round(points), points)
    low, high = np.floor(points).astype(int), np.ceil(points).astype(int)
    part = (points - low).max(axis=1)
    crossed = values[tuple(low.T)] * (1 - part) + values[tuple(high.T)] * part
    np.testing.assert_allclose(crossed, 0.2, atol=2e-6)


def test_every_edge_that_crosses_the_level_has_one_point() -> None:
    values = np.random.default_rng(1).standard_normal((6, 5, 8)).astype(np.float32)
    above = values > 0.1
    crossings = sum(int(np.diff(above.astype(int), axis=axis).__abs__().sum()) for axis in range(3))
    points, _ = triangles(values, 0.1)
    assert len(points) == len(np.unique(points, axis=0)) == crossings


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_lies_where_it_is_and_faces_where_values_fall(axis: int) -> None:
    values = (3.3 - on_grid((6, 7, 8))[..., axis]).astype(np.float32)
    points, faces = triangles(values, 0.0)
    np.testing.assert_allclose(points[:, axis], 3.3, atol=1e-6)
    a, b, c = points.astype(np.float64)[faces].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    sides = np.delete(np.array([5.0, 6.0, 7.0]), axis)
    np.testing.assert_allclose(normal.sum(axis=0) / 2, np.eye(3)[axis] * sides.prod(), atol=1e-3)


def test_a_surface_that_leaves_the_grid_is_open_there_only() -> None:
    points, faces = triangles(ball(np.array([11.0, 11.0, 0.5])), 0.0)
    directed = {tuple(edge) for edge in edges(faces).tolist()}
    open_edges = np.array([edge for edge in directed if edge[::-1] not in directed])
    assert len(open_edges) and (points[open_edges.ravel(), 2] == 0).all()


def test_a_moved_shape_has_the_same_surface_there() -> None:
    values = ball(side=28)
    points, faces = triangles(values, 0.0)
    there, moved_faces = triangles(np.roll(values, (3, 1, 2), axis=(0, 1, 2)), 0.0)
    np.testing.assert_array_equal(moved_faces, faces)
    np.testing.assert_allclose(there, points + np.float32([3, 1, 2]), atol=5e-6)


def test_a_mirrored_shape_has_the_mirrored_surface_with_its_outside_still_out() -> None:
    points, faces = triangles(ball(), 0.0)
    mirrored, mirrored_faces = triangles(np.ascontiguousarray(ball()[::-1]), 0.0)
    np.testing.assert_allclose(np.sort(23 - mirrored[:, 0]), np.sort(points[:, 0]), atol=1e-5)
    assert volume(mirrored, mirrored_faces) == pytest.approx(volume(points, faces), rel=1e-3)


def test_the_complement_has_the_same_points_and_the_other_side_out() -> None:
    points, faces = triangles(ball(), 0.5)
    inverse, inverse_faces = triangles(-ball(), -0.5)
    one, other = np.unique(points.round(4), axis=0), np.unique(inverse.round(4), axis=0)
    np.testing.assert_allclose(one, other, atol=2e-4)
    assert volume(inverse, inverse_faces) == pytest.approx(-volume(points, faces), rel=1e-3)


def test_only_the_proportion_of_values_and_level_counts() -> None:
    plain, scaled = triangles(ball(), 0.5), triangles(8 * ball(), 4.0)
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("level", [-100.0, 100.0])
def test_a_level_that_no_value_crosses_has_no_surface(level: float) -> None:
    points, faces = triangles(ball(), level)
    assert points.shape == (0, 3) and faces.shape == (0, 3)
    assert points.dtype == np.float32 and faces.dtype == np.int32
