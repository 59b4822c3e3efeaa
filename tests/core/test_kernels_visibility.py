"""How much light reaches points: closed forms of walls, disks and slabs, and what must not matter."""

from collections.abc import Sequence

import numpy as np
import pytest
import warp as wp

from neuron_core.kernels.baked.bricks import brick_pools
from neuron_core.kernels.baked.instances import assets_of, placements
from neuron_core.kernels.baked.mesh_hits import place_meshes
from neuron_core.kernels.baked.visibility import MOST_RAYS, Occluders, find_visibility, tree_of
from neuron_core.rendering.culling import corners_of
from neuron_core.surfaces.mesh import Mesh
from neuron_core.voxels.nvf import Nvf
from tests.core.brick_samples import PLATEAU, VOXEL, layered
from tests.core.composed_samples import placed, smoke, soft_ball
from tests.core.mesh_samples import box, disk, sheet

UP = (0.0, 1.0, 0.0)
POINTS = 2048
FLOOR = placed((-50.0, 0.0, 50.0)) @ np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
THICKNESS = 9 * VOXEL  # of the plateau, with half of its ramps
SLAB = layered(PLATEAU, 1)

Placement = tuple[Nvf, np.ndarray]


def occluders(
    instances: Sequence[Placement] = (), meshes: Sequence[tuple[Mesh, np.ndarray]] = ()
) -> Occluders:
    pools = [
        brick_pools(nvf.aabb[0], nvf.voxel_size, nvf.top, nvf.density, nvf.normals) for nvf, _ in instances
    ]
    codes = [np.zeros((nvf.density.size, 8), np.uint8) for nvf, _ in instances]
    matrices = np.array([matrix for _, matrix in instances]).reshape(-1, 4, 4)
    corners = corners_of(np.array([nvf.aabb for nvf, _ in instances]).reshape(-1, 2, 3), matrices)
    arrays = [(mesh.points, mesh.faces) for mesh, _ in meshes]
    places = np.array([matrix for _, matrix in meshes]).reshape(-1, 4, 4)
    return Occluders(
        tree_of(corners.min(axis=1), corners.max(axis=1), "cpu"),
        assets_of(pools, codes, "cpu"),
        wp.array(np.arange(len(instances), dtype=np.int32), device="cpu"),
        wp.array(placements(np.linalg.inv(matrices), None), device="cpu"),
        place_meshes(arrays, np.arange(len(meshes), dtype=np.int32), places),
        "cpu",
        (pools, codes),
    )


def seen(
    around: Occluders,
    points: np.ndarray,
    normals: object = UP,
    owners: int = -1,
    *,
    reach: float = 8.0,
    rays: tuple[int, int] = (8, 8),
    lamp: tuple[float, float, float] = UP,
) -> np.ndarray:
    """The visibility of all around and of a lamp from points [N, 3], or from one place many times."""
    points = np.atleast_2d(np.asarray(points, float))
    points = np.tile(points, (POINTS, 1)) if len(points) == 1 else points
    normals = np.broadcast_to(np.asarray(normals, float), points.shape)
    return find_visibility(
        around,
        points,
        normals / np.linalg.norm(normals, axis=-1, keepdims=True),
        np.full(len(points), owners),
        reach=reach,
        ambient_rays=rays[0],
        lamp_rays=rays[1],
        lamp=lamp,
    )


def scattered(count: int = 500) -> np.ndarray:
    return np.random.default_rng(0).uniform([-0.4, -1.2, -0.4], [0.4, -0.6, 0.4], (count, 3))


def test_without_occluders_all_light_arrives_and_inside_a_closed_box_none():
    inside = seen(
        occluders(meshes=[(box((2.0, 2.0, 2.0), (-1.0, -1.0, -1.0)), np.eye(4))]), scattered() * 0.5
    )
    assert not inside.any()
    np.testing.assert_array_equal(seen(occluders(), scattered()), 1.0)
    around = occluders([(smoke(lambda places: np.zeros(places.shape[:-1]), 16), np.eye(4))])
    np.testing.assert_array_equal(seen(around, scattered()), 1.0)


def test_a_roof_hides_everything_above_and_a_floor_nothing():
    roof, floor = placed((0, 1, 0)) @ FLOOR, placed((0, -1, 0)) @ FLOOR
    below = seen(
        occluders(meshes=[(sheet(1, 1, (100.0, 100.0)), roof)]), (0.0, 0.0, 0.0), reach=40.0, rays=(1, 8)
    )
    assert below[:, 0].mean() < 0.01 and not below[:, 1].any()
    above = seen(occluders(meshes=[(sheet(1, 1, (100.0, 100.0)), floor)]), (0.0, 0.0, 0.0), reach=40.0)
    np.testing.assert_array_equal(above, 1.0)


@pytest.mark.parametrize(("walls", "share"), [(1, 1 / 2), (2, 1 / 4)])
def test_walls_that_meet_at_a_point_leave_their_part_of_the_hemisphere(walls, share):
    wide = sheet(1, 1, (400.0, 400.0))
    turned = np.eye(4)[[2, 1, 0, 3]]
    places = [placed((-200.0, -200.0, 0.0)), turned @ placed((-200.0, -200.0, 0.0))][:walls]
    around = occluders(meshes=[(wide, place) for place in places])
    found = seen(around, (1e-3, 0.0, 1e-3), reach=150.0, rays=(8, 0))
    assert found[:, 0].mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("height", [0.5, 1.0, 3.0])
def test_a_disk_overhead_hides_by_its_form_factor(height):
    """r² / (r² + h²) of the light that comes by the cosine (Howell's catalog of view factors)."""
    around = occluders(meshes=[(disk(1.0, 96), placed((0, height, 0)) @ FLOOR @ placed((50, 50, 0)))])
    found = seen(around, (0.0, -4e-3, 0.0), reach=4.0, rays=(16, 0))  # rays begin 1e-3 of the reach above
    assert 1 - found[:, 0].mean() == pytest.approx(1 / (1 + height**2), abs=0.003)


def test_light_of_a_lamp_through_a_slab_falls_by_its_optical_depth():
    around = occluders([(SLAB, placed((0, 1.0, 0), (1.5, 1.0, 1.5)))])
    found = seen(around, (0.0, 0.0, 0.0), rays=(0, 16))
    optical_depth = 3.0 * THICKNESS
    slant = 1 + 0.12**2 / 4  # mean of 1 / cos over the lamp's disk
    assert found[:, 1].mean() == pytest.approx(np.exp(-optical_depth * slant), rel=0.01)
    assert found[:, 1].std() < 0.01


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_density_is_read_between_samples_along_every_axis(axis):
    """Of columns along the lamp's direction that differ: against sums along rays of their own."""
    random, others = np.random.default_rng(axis), [other for other in range(3) if other != axis]
    columns = random.uniform(0, 30, (17, 17))

    def density(places: np.ndarray) -> np.ndarray:
        u, v = ((places[..., other] + 0.5) / VOXEL for other in others)
        i, j = (np.clip(np.floor(a + 1e-6).astype(int), 0, 15) for a in (u, v))
        near = columns[i, j] * (1 - (v - j)) + columns[i, j + 1] * (v - j)
        far = columns[i + 1, j] * (1 - (v - j)) + columns[i + 1, j + 1] * (v - j)
        return near * (1 - (u - i)) + far * (u - i)

    lamp, reach = np.eye(3)[axis], 2.25 * VOXEL  # three steps
    around = occluders([(smoke(density, 16), np.eye(4))])
    disk_of = np.sqrt(random.random((1, 2000))) * np.exp(2j * np.pi * random.random((1, 2000)))
    rays = np.zeros((2000, 3))
    rays[:, axis], rays[:, others[0]], rays[:, others[1]] = 1.0, 0.12 * disk_of.real, 0.12 * disk_of.imag
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    for point in random.uniform(-0.3, 0.2, (6, 3)):
        ways = point + rays[:, None] * (np.arange(20) + 0.5)[:, None] * reach / 20
        expected = np.exp(-density(ways).sum(axis=1) * reach / 20).mean()
        tupled = (float(lamp[0]), float(lamp[1]), float(lamp[2]))
        found = seen(around, point, lamp, reach=reach, rays=(0, 16), lamp=tupled)[:, 1].mean()
        assert np.log(found) == pytest.approx(np.log(expected), rel=0.04)


def test_two_occluders_let_through_the_product_ray_by_ray():
    one = (smoke(soft_ball(most=3.0), 16), placed((0.1, 0.2, 0.0)))
    two = (smoke(soft_ball(most=5.0), 16), placed((-0.1, 0.9, 0.1), (0.8, 0.8, 0.8), turn=0.5))
    both, first, second = (
        seen(occluders(scene), scattered(), rays=(1, 1)) for scene in ([one, two], [one], [two])
    )
    assert (first < 0.95).any() and (second < 0.95).any()
    np.testing.assert_allclose(both, first * second, atol=1e-6)


def test_order_and_number_of_parts_of_a_scene_change_nothing():
    cloud = smoke(soft_ball(), 16)
    half = Nvf(cloud.aabb, cloud.voxel_size, cloud.top, cloud.density / 2, cloud.normals, cloud.active)
    other = (smoke(soft_ball(most=2.0), 16), placed((0.3, 0.8, 0.0)))
    wanted = seen(occluders([(cloud, np.eye(4)), other]), scattered())
    np.testing.assert_allclose(seen(occluders([other, (cloud, np.eye(4))]), scattered()), wanted, atol=1e-6)
    halves = [(half, np.eye(4)), other, (half, np.eye(4))]
    np.testing.assert_allclose(seen(occluders(halves), scattered()), wanted, atol=1e-6)


def test_denser_occluders_never_let_more_light_through():
    before = np.ones((500, 2), np.float32)
    for most in (0.5, 2.0, 8.0, 1000.0):
        found = seen(occluders([(smoke(soft_ball(most=most), 16), np.eye(4))]), scattered())
        assert (found <= before).all() and (found < before).any()
        before = found
    assert before.min() < 1e-3


def test_an_instance_does_not_shadow_its_own_points():
    cloud, other = (smoke(soft_ball(), 16), np.eye(4)), (smoke(soft_ball(), 16), placed((0.2, 0.9, 0.0)))
    around = occluders([cloud, other])
    np.testing.assert_array_equal(seen(around, scattered(), owners=0), seen(occluders([other]), scattered()))
    np.testing.assert_array_equal(seen(around, scattered(), owners=1), seen(occluders([cloud]), scattered()))


def test_what_is_out_of_reach_blocks_nothing():
    roof = [(sheet(1, 1, (100.0, 100.0)), placed((0, 1, 0)) @ FLOOR)]
    slab = [(SLAB, placed((0, 1.5, 0)))]
    for around in (occluders(meshes=roof), occluders(slab)):
        assert (seen(around, (0.0, 0.0, 0.0), reach=0.9) == 1.0).all()
        assert (seen(around, (0.0, 0.0, 0.0), reach=3.0) < 1.0).any()


def test_half_a_slab_within_reach_has_half_the_optical_depth():
    around = occluders([(SLAB, placed((0, 1.0, 0)))])  # its middle is as far as the shorter reach
    whole, half = (
        seen(around, (0.0, 0.0, 0.0), reach=reach, rays=(0, 16))[:, 1].mean() for reach in (3.0, 1.0)
    )
    assert np.log(half) == pytest.approx(np.log(whole) / 2, rel=0.09)  # half a step of its nine voxels


def test_a_surface_that_faces_away_from_the_lamp_has_nothing_to_lose():
    around = occluders([(smoke(soft_ball(most=100.0), 16), placed((0.0, 0.6, 0.0)))])
    points, down = np.array([[0.0, 0.0, 0.0]]), np.array([0.0, -1.0, 0.0])
    assert (seen(around, points, down)[:, 1] == 1.0).all()
    steep = np.array([np.cos(0.125), np.sin(0.125), 0.0])  # an eighth towards the lamp
    part, facing = (seen(around, points, normal)[:, 1].mean() for normal in (steep, UP))
    assert facing < 0.1
    assert 1 - part == pytest.approx(4 * np.sin(0.125) * (1 - facing), abs=0.02)


def test_each_kind_of_light_is_the_same_with_and_without_the_other():
    around = occluders([(smoke(soft_ball(), 16), np.eye(4))], [(box(), placed((0.2, 0.8, 0.2)))])
    both, ambient, lamp = (seen(around, scattered(), rays=rays) for rays in ((8, 8), (8, 0), (0, 8)))
    assert (ambient[:, 1] == 1).all() and (lamp[:, 0] == 1).all()
    np.testing.assert_array_equal(both[:, 0], ambient[:, 0])
    np.testing.assert_array_equal(both[:, 1], lamp[:, 1])


@pytest.mark.parametrize("scale", [0.25, 16.0])
def test_a_scene_of_another_size_with_its_reach_looks_the_same(scale):
    """Scaling an instance keeps its optical depth: density counts by the length in its own space."""
    cloud, small = smoke(soft_ball(), 16), np.diag([scale, scale, scale, 1.0])
    place, block = placed((0.1, 0.4, 0.0), turn=0.6), placed((-0.3, 0.5, 0.2), (0.2, 0.2, 0.2))
    once = seen(occluders([(cloud, place)], [(box(), block)]), scattered(), reach=4.0)
    scaled = occluders([(cloud, small @ place)], [(box(), small @ block)])
    again = seen(scaled, scattered() * scale, reach=4.0 * scale)
    assert once.min() < 0.7
    # A ray along an edge of the block may pass on either side of it.
    assert (np.abs(again - once).max(axis=1) < 2e-3).mean() > 0.98


def test_points_are_looked_at_one_by_one():
    around = occluders([(smoke(soft_ball(), 16), np.eye(4))], [(box(), placed((0.2, 0.8, 0.2)))])
    whole = seen(around, scattered())
    np.testing.assert_array_equal(seen(around, scattered()[:300]), whole[:300])
    moved = scattered()
    moved[100:] += 0.2
    np.testing.assert_array_equal(seen(around, moved)[:100], whole[:100])


def test_more_rays_than_a_point_can_have_are_refused():
    seen(occluders(), scattered(3), rays=(MOST_RAYS - 1, 1))
    with pytest.raises(ValueError, match=f"{MOST_RAYS + 1} rays"):
        seen(occluders(), scattered(3), rays=(MOST_RAYS, 1))
