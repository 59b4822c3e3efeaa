"""Stand-ins made from the density: closed, around all of it, inside its box."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.library.publishing import HULL_CELLS, MESH_CELLS
from neuron_core.usd.proxy import KEPT, Fog, Net, box_net, fog_of, surround
from neuron_core.usd.records import SceneError
from neuron_core.usd.validate import held_density
from neuron_core.voxels.baked import to_tensors
from neuron_core.voxels.nvf import Nvf, allocate, find_active, sample_positions
from tests.core.scene_samples import ball

RESOLUTIONS = (4, 9, 16, 33)


def fog(nvf: Nvf) -> Fog:
    return fog_of(to_tensors(nvf, {}))


def blobs(seed: int) -> Nvf:
    """A few balls of density here and there, some of them apart, some thinner than a coarse cell."""
    random = np.random.default_rng(seed)
    nvf = allocate(np.array([[-1.0, -0.5, -0.7], [1.0, 0.5, 0.7]]), 40, np.ones((5, 3, 4), bool))
    places = sample_positions(nvf)
    for _ in range(random.integers(1, 5)):
        center = random.uniform([-0.8, -0.3, -0.5], [0.8, 0.3, 0.5])
        away = np.linalg.norm(places - center, axis=-1)
        nvf.density[:] = np.maximum(nvf.density, (random.uniform(0.06, 0.3) - away) * 100)
    return Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, find_active(nvf.top, nvf.density))


def winding(net: Net, points: np.ndarray) -> np.ndarray:
    """How often a mesh goes around points [N, 3]: solid angles, van Oosterom and Strackee (1983)."""
    triangles = net.points[np.concatenate([net.quads[:, [0, 1, 2]], net.quads[:, [0, 2, 3]]])]
    total = np.zeros(len(points))
    for index, point in enumerate(points):
        a, b, c = (triangles[:, corner] - point for corner in range(3))
        la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
        over = np.einsum("ni,ni->n", a, np.cross(b, c))
        under = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        total[index] = 2 * np.arctan2(over, under).sum() / (4 * np.pi)
    return total


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_the_mesh_holds_the_density(seed, resolution):
    around = fog(blobs(seed)).dense()
    net = surround(around, resolution)
    random = np.random.default_rng(seed)
    chosen = random.choice(len(around.mass), 200)
    points = around.origin + (around.low[chosen] + random.uniform(0.01, 0.99, (200, 3))) * around.voxel_size
    np.testing.assert_allclose(winding(net, points), 1.0, atol=1e-6)


def thin(distance: Callable[[np.ndarray], np.ndarray]) -> Nvf:
    """What is less than about a voxel away from something."""
    nvf = allocate(np.array([[-1.0, -1, -1], [1, 1, 1]]), 32, np.ones((4, 4, 4), bool))
    away = distance(sample_positions(nvf).reshape(-1, 3).astype(np.float64)).reshape(nvf.density.shape)
    nvf.density[:] = np.clip(0.8 - away / nvf.voxel_size, -3, 3) * 30 / nvf.voxel_size
    active = find_active(nvf.top, nvf.density)
    return Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, active)


def from_a_spring(points: np.ndarray) -> np.ndarray:
    turns = np.linspace(-8, 8, 400)
    line = np.stack([0.7 * np.cos(turns), turns / 10, 0.7 * np.sin(turns)], axis=-1)
    squares = (points**2).sum(-1)[:, None] + (line**2).sum(-1) - 2 * points @ line.T
    return np.sqrt(np.maximum(squares.min(axis=1), 0.0))


THIN = {
    "a sheet": lambda points: np.abs(points @ [0.6, 0.64, 0.48] - 0.1),
    "a wire": lambda points: np.hypot(points[:, 0] - 0.3 * points[:, 1], points[:, 2] + 0.2 * points[:, 1]),
    "a spring": from_a_spring,
}


@pytest.mark.parametrize("name", THIN)
def test_published_stand_ins_and_boxes_hold_what_is_thin(name):
    around = fog(thin(THIN[name]))
    dense = around.dense()
    random = np.random.default_rng(0)
    chosen = random.choice(len(around.mass), 200, p=around.mass / around.mass.sum())
    points = around.origin + (around.low[chosen] + random.uniform(size=(200, 3))) * around.voxel_size
    for cells in (HULL_CELLS, MESH_CELLS):
        assert (winding(surround(dense, cells), points) > 0.5).mean() >= 0.999
    assert held_density(around, dense.box()) >= 0.999 and held_density(around, around.box()) == 1.0


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("seed", range(3))
def test_the_mesh_is_closed_and_stays_in_the_box(seed, resolution):
    around = fog(blobs(seed))
    net = surround(around, resolution)
    low, high = around.box()
    assert (net.points >= low - 1e-12).all() and (net.points <= high + 1e-12).all()
    edges = np.stack([net.quads, np.roll(net.quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    there = {tuple(edge): 0 for edge in edges.tolist()}
    for start, end in edges.tolist():
        there[start, end] += 1
    assert all(there.get((end, start), 0) == count for (start, end), count in there.items())


def test_hollows_are_filled():
    around = fog(ball())
    net = surround(around, 16)
    center = np.array([[0.0, 0.3, 0.0]])
    np.testing.assert_allclose(winding(net, center), 1.0, atol=1e-6)
    assert len(net.quads) < 2500


def test_dense_fog_keeps_its_share_and_drops_floaters():
    nvf = ball()
    nvf.density[:] *= 1000
    corner = nvf.density[0]
    corner[1, 1, 1] = 1e-3
    active = find_active(nvf.top, nvf.density)
    whole = fog(Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, active))
    dense = whole.dense()
    assert KEPT * whole.mass.sum() <= dense.mass.sum() <= whole.mass.sum()
    assert (dense.box()[0] > whole.box()[0]).any()


def test_the_mass_is_the_integral_of_the_density():
    """A box of constant density, whose trilinear interpolation is linear in its outermost voxels."""
    nvf = allocate(np.array([[0.0, 0, 0], [1.6, 0.8, 0.8]]), 16, np.ones((2, 1, 1), bool))
    nvf.density[:] = 5.0
    active = find_active(nvf.top, nvf.density)
    around = fog(Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, active))
    assert around.mass.sum() == pytest.approx(5.0 * 1.6 * 0.8 * 0.8, rel=1e-3)
    np.testing.assert_allclose(around.box(), nvf.aabb, atol=1e-6)


def test_a_field_without_density_has_no_proxy():
    nvf = ball()
    nvf.density[:] = -1
    with pytest.raises(SceneError, match="no density"):
        fog(Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density, nvf.normals, np.arange(3, dtype=np.int32)))


@given(st.lists(st.floats(0.01, 10), min_size=6, max_size=6))
def test_a_box_is_closed_and_faces_outwards(sides):
    box = np.stack([-np.array(sides[:3]), np.array(sides[3:])])
    net = box_net(box)
    np.testing.assert_allclose(winding(net, np.zeros((1, 3))), 1.0, atol=1e-9)
    np.testing.assert_allclose([net.points.min(axis=0), net.points.max(axis=0)], box)
