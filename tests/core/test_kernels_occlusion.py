"""Shares of rays that hit: form factors of walls, disks and spheres, and bodies seen from inside."""

import numpy as np
import pytest

from neuron_core.kernels.lighting.occlusion import Soup, cast
from neuron_core.surfaces.mesh import Mesh
from tests.core.mesh_samples import box, disk, joined, sheet

UP = np.array([0.0, 0.0, 1.0])
POINTS = 300


def share(
    mesh: Mesh, point: object, normal: object = UP, reach: float = 1e4, rays: int = 256, **more: bool
) -> float:
    """The mean over rays from one place, turned at random from point to point."""
    points = np.tile(np.asarray(point, float), (POINTS, 1))
    normals = np.tile(np.asarray(normal, float), (POINTS, 1))
    return float(cast(Soup(mesh.points, mesh.faces), points, normals, rays, reach, **more).mean())


def moved(mesh: Mesh, by: tuple[float, float, float]) -> Mesh:
    return Mesh((mesh.points + np.array(by)).astype(np.float32), mesh.faces)


def wall(height: float, length: float = 400.0) -> Mesh:
    """Stands on the plane z = 0 along the y axis, at x = 0."""
    flat = sheet(1, 1, (length, height)).points
    points = np.stack([flat[:, 2], flat[:, 0] - length / 2, flat[:, 1]], axis=1)
    return Mesh(points.astype(np.float32), sheet(1, 1).faces)


def globe(radius: float) -> Mesh:
    """A sphere around the origin, of squares by latitude and longitude."""
    flat = sheet(24, 48, (1.0, 1.0))
    longitude, latitude = 2 * np.pi * flat.points[:, 0], np.pi * (flat.points[:, 1] - 0.5)
    ring = np.cos(latitude)
    points = np.stack([ring * np.cos(longitude), ring * np.sin(longitude), np.sin(latitude)], axis=1)
    return Mesh((radius * points).astype(np.float32), flat.faces)


def test_an_open_plane_has_nothing_above_it_and_a_closed_box_hides_all():
    floor = moved(sheet(1, 1, (100.0, 100.0)), (-50.0, -50.0, 0.0))
    assert share(floor, (0.0, 0.0, 1e-3)) == 0.0
    assert share(box((2.0, 2.0, 2.0), (-1.0, -1.0, -1.0)), (0.1, -0.2, 0.3)) == 1.0


@pytest.mark.parametrize("height", [0.5, 1.0, 2.5])
def test_a_disk_overhead_takes_its_form_factor(height):
    """r² / (r² + h²) of the rays that go out by the cosine."""
    roof = moved(disk(1.0, 96), (0.0, 0.0, height))
    assert share(roof, (0.0, 0.0, 0.0)) == pytest.approx(1 / (1 + height**2), abs=0.003)


@pytest.mark.parametrize("distance", [1e-3, 0.5, 1.0, 3.0])
def test_a_long_wall_takes_half_of_one_less_the_cosine_of_its_elevation(distance):
    elevation = np.arctan2(1.0, distance)
    found = share(wall(1.0), (distance, 0.0, 0.0))
    assert found == pytest.approx((1 - np.cos(elevation)) / 2, abs=0.004)


@pytest.mark.parametrize("height", [1.2, 2.0])
def test_a_sphere_overhead_takes_the_square_of_its_radius_by_its_distance(height):
    ball = moved(globe(1.0), (0.0, 0.0, height))
    assert share(ball, (0.0, 0.0, 0.0)) == pytest.approx(1 / height**2, rel=0.015)


def test_a_sphere_beside_takes_the_cosine_of_its_direction_more():
    """Where all of it is above the horizon (Howell's catalog of view factors)."""
    height, beside = 2.0, 1.5
    squared = height**2 + beside**2
    found = share(moved(globe(1.0), (beside, 0.0, height)), (0.0, 0.0, 0.0))
    assert found == pytest.approx(height / np.sqrt(squared) / squared, rel=0.02)


def test_shares_of_things_that_do_not_cover_each_other_add_up():
    one, two = moved(disk(0.5, 48), (1.0, 0.0, 1.0)), moved(disk(0.5, 48), (-1.0, 0.2, 1.5))
    apart = share(one, (0.0, 0.0, 0.0)) + share(two, (0.0, 0.0, 0.0))
    assert share(joined(one, two), (0.0, 0.0, 0.0)) == pytest.approx(apart, abs=1e-6)


def test_what_is_hidden_by_something_takes_no_more():
    near = moved(disk(1.0, 48), (0.0, 0.0, 1.0))
    behind = moved(disk(1.0, 48), (0.0, 0.0, 2.0))
    assert share(joined(near, behind), (0.0, 0.0, 0.0)) == share(near, (0.0, 0.0, 0.0))


def test_nothing_beyond_the_reach_is_hit_and_a_longer_reach_hits_more():
    roof = moved(disk(50.0, 64), (0.0, 0.0, 1.0))
    shares = [share(roof, (0.0, 0.0, 0.0), reach=reach) for reach in (0.99, 1.25, 2.0, 5.0)]
    assert shares[0] == 0.0
    # Rays up to the angle whose cosine is 1 / reach arrive: the square of its sine of them.
    np.testing.assert_allclose(shares[1:], 1 - 1 / np.array([1.25, 2.0, 5.0]) ** 2, atol=0.005)


def test_turning_the_scene_turns_the_answer_with_it():
    roof = moved(disk(1.0, 96), (0.3, 0.0, 0.8))
    wanted = share(roof, (0.0, 0.0, 0.0))
    for turn in (
        np.eye(3)[[1, 2, 0]],
        np.diag([1.0, -1.0, -1.0]),
        np.linalg.qr(np.arange(9).reshape(3, 3) ** 2.0)[0],
    ):
        turned = Mesh((roof.points @ turn.T).astype(np.float32), roof.faces)
        assert share(turned, (0.0, 0.0, 0.0), turn @ UP) == pytest.approx(wanted, abs=0.004)


def test_the_size_of_the_scene_and_its_reach_does_not_matter():
    small = joined(moved(disk(0.5, 24), (0.2, 0.0, 0.5)), wall(0.75))
    large = Mesh(small.points * np.float32(32.0), small.faces)
    points = np.random.default_rng(0).uniform([0.1, -1, 0], [1, 1, 0.2], (300, 3)).astype(np.float32)
    normals = np.tile(UP, (300, 1))
    one = cast(Soup(small.points, small.faces), points, normals, 16, 2.0)
    two = cast(Soup(large.points, large.faces), points * 32, normals, 16, 64.0)
    assert 0.05 < one.mean() < 0.9
    np.testing.assert_array_equal(one, two)


def test_far_sides_of_a_body_do_not_count_as_edges_but_its_flanks_do():
    """Rays into a body: its far side faces along them, its flanks across."""
    thin = box((400.0, 400.0, 0.01), (-200.0, -200.0, -0.01))
    assert share(thin, (0.0, 0.0, -1e-4), -UP) == 1.0
    assert share(thin, (0.0, 0.0, -1e-4), -UP, opposed=True) < 0.001
    cube = box((2.0, 2.0, 2.0), (-1.0, -1.0, -1.0))
    flanks = share(cube, (0.0, 0.0, 0.9), -UP, opposed=True)
    side = 1 / 1.9  # of a quarter of the far side, by its distance (Howell's catalog of view factors)
    slant = np.sqrt(1 + side**2)
    far = 4 / np.pi * side / slant * np.arctan(side / slant)
    assert flanks == pytest.approx(1 - far, abs=0.003)


def test_a_batch_is_its_points_one_after_another():
    mesh = joined(moved(disk(1.0, 24), (0.0, 0.0, 1.0)), wall(1.0))
    points = np.random.default_rng(1).uniform([0.1, -1, 0], [1, 1, 0.2], (700, 3))
    normals = np.tile(UP, (700, 1))
    soup = Soup(mesh.points, mesh.faces)
    whole = cast(soup, points, normals, 8, 5.0)
    np.testing.assert_array_equal(cast(soup, points[:300], normals[:300], 8, 5.0), whole[:300])
    assert cast(soup, points[:0], normals[:0], 8, 5.0).shape == (0,)
