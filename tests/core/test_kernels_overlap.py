"""Fields that interpenetrate: densities add, and each has its share of the light that is stopped."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from neuron_core.kernels.baked.instances import Tiled, assets_of, placements
from neuron_core.kernels.baked.layout import BEAM, FAR, FEW, OPAQUE
from neuron_core.kernels.baked.overlap import march_together
from neuron_core.kernels.baked.rays import rays_of_arrays
from neuron_core.rendering.shaded import DeviceField, ShadedAsset
from neuron_core.voxels.nvf import Nvf
from tests.core.brick_samples import HILLS, PLATEAU, SAMPLES, VOXEL, along, layered, marched, oblique
from tests.core.composed_samples import placed, shader, smoke, soft_ball, solid_ball, waves

EYE = np.eye(4)
COUNT = 40  # rays


class Shares(NamedTuple):
    """What instances [I] show along rays [I, R]: records, and the light that each of them stops."""

    records: np.ndarray
    weights: np.ndarray

    @property
    def alpha(self) -> np.ndarray:
        return self.weights.sum(axis=0)


def shares(
    scene: Sequence[tuple[Nvf, np.ndarray]],
    rays: Sequence[np.ndarray],
    limits: float | np.ndarray = FAR,
    step: float = 0.5,
    order: Sequence[int] | None = None,
) -> Shares:
    """March a tile through all instances; a record's opacity is that behind the nearer ones."""
    fields = {id(nvf): DeviceField(nvf, shader()) for nvf, _ in scene}
    shaded = [ShadedAsset(fields[id(nvf)], waves(nvf)) for nvf, _ in scene]
    assets = assets_of([one.field.pools for one in shaded], [one.codes for one in shaded], "cpu")
    count = len(scene)
    table = placements(np.linalg.inv(np.array([matrix for _, matrix in scene])), None)
    origins, directions = (np.ascontiguousarray(array, np.float32) for array in rays)
    given = rays_of_arrays(origins, directions)
    assert given.tiles == 1
    pairs = np.array(range(count) if order is None else order, np.int32)
    numbers = np.arange(count, dtype=np.int32)
    tiled = Tiled(np.zeros(1, np.int32), np.array([0, count], np.int32), pairs, numbers, count)
    records = np.full((count * BEAM, 16), 7.0, np.float32)
    until = np.full(len(origins), limits, np.float32)
    march_together(assets, numbers, table, given, tiled, until, records, step=step)
    found = records.reshape(count, BEAM, 16)[:, : len(origins)]
    alphas = found[..., 12].astype(float)
    nearest = np.argsort(np.where(alphas > 0, found[..., 11], np.inf), axis=0, kind="stable")
    sorted_alphas = np.take_along_axis(alphas, nearest, axis=0)
    passed = np.cumprod(np.concatenate([np.ones((1, len(origins))), 1 - sorted_alphas[:-1]]), axis=0)
    weights = np.zeros_like(alphas)
    np.put_along_axis(weights, nearest, passed * sorted_alphas, axis=0)
    return Shares(found, weights)


def integrals(profiles: Sequence[np.ndarray], shifts: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The light that each layered field stops, and where on average, by fine sums along x."""
    x = np.arange(-1.5, 1.5, VOXEL / 400)
    density = np.array(
        [
            np.maximum(np.interp(x - shift, SAMPLES, profile, 0, 0), 0)
            for profile, shift in zip(profiles, shifts, strict=True)
        ]
    )
    total = density.sum(axis=0)
    passed = np.exp(-np.cumsum(total) * (x[1] - x[0]) + total * (x[1] - x[0]) / 2)
    stopped = density * passed * (x[1] - x[0])
    return stopped.sum(axis=1), (stopped * x).sum(axis=1) / stopped.sum(axis=1) + 1.5


def test_fields_that_lie_through_each_other_take_their_exact_part_of_the_light():
    """The integral of their density times the transmittance of both, whatever their lattices."""
    profiles = [HILLS, PLATEAU]
    for shift in (0.0, 0.3 * VOXEL, 3.71 * VOXEL, -5.2 * VOXEL):
        scene = [
            (layered(profile), place)
            for profile, place in zip(profiles, (EYE, placed((shift, 0.0, 0.0))), strict=True)
        ]
        stopped, where = integrals(profiles, (0.0, shift))
        coarse, fine = (shares(scene, along(0), step=step) for step in (0.5, 0.125))
        np.testing.assert_allclose(coarse.alpha, stopped.sum(), atol=2e-5)
        for found, error in ((coarse, 1e-3), (fine, 1e-4)):  # shares are constant over a piece of the line
            expected = np.tile(stopped[:, None], COUNT)
            np.testing.assert_allclose(found.weights, expected, atol=error)
            depths = np.tile(where[:, None], COUNT)
            np.testing.assert_allclose(found.records[..., 11], depths, atol=30 * error * VOXEL)


@pytest.mark.parametrize(
    ("nvf", "error"),
    # Behind a skipped block, one begins the line of density at the tick and one at the voxel's side.
    [(smoke(soft_ball(), 16), 5e-4), (solid_ball(16), 2e-5)],
    ids=["cloud", "ball"],
)
def test_an_instance_alone_is_marched_as_where_it_is_drawn_alone(nvf, error):
    rays = oblique(BEAM)
    one, two = shares([(nvf, EYE)], rays), marched(nvf, rays)
    np.testing.assert_allclose(one.alpha, two.alpha, atol=error)
    seen = two.alpha > 0.01
    assert seen.sum() > 20
    np.testing.assert_allclose(one.records[0, seen, 11], two.depth[seen], atol=5 * error)
    np.testing.assert_allclose(one.records[0, seen, 8:11], two.normal[seen], atol=2e-2)


def test_densities_in_one_place_share_the_light_by_their_amounts():
    nvf = layered(PLATEAU)
    dense = Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density * 3, nvf.normals, nvf.active)
    both = shares([(nvf, EYE), (dense, EYE)], along(0))
    np.testing.assert_allclose(both.weights[1], 3 * both.weights[0], rtol=1e-4)
    four = Nvf(nvf.aabb, nvf.voxel_size, nvf.top, nvf.density * 4, nvf.normals, nvf.active)
    np.testing.assert_allclose(both.alpha, shares([(four, EYE)], along(0)).alpha, atol=1e-5)


@pytest.mark.parametrize("count", [3, FEW + 2])
def test_the_order_of_pairs_changes_nothing(count):
    random = np.random.default_rng(5)
    nvf = smoke(soft_ball(most=1.5), 16)
    scene = [(nvf, placed(tuple(random.uniform(-0.3, 0.3, 3)), turn=number)) for number in range(count)]
    first = shares(scene, along(0))
    again = shares(scene, along(0), order=random.permutation(count))
    assert first.alpha.max() > 0.3
    np.testing.assert_allclose(again.weights, first.weights, atol=2e-6)
    np.testing.assert_allclose(again.records[..., 11], first.records[..., 11], atol=2e-4)


def test_an_instance_that_a_ray_misses_takes_no_light_and_changes_none():
    nvf = smoke(soft_ball(), 16)
    near, away = (nvf, placed(turn=0.5)), (nvf, placed((0.0, 5.0, 0.0)))
    alone, both = shares([near], along(0)), shares([away, near], along(0))
    assert not both.records[0, :, 12].any()
    np.testing.assert_array_equal(both.records[1], alone.records[0])


def test_what_lies_apart_lets_through_the_product():
    nvf = layered(PLATEAU)
    near, far = (
        (nvf, placed((-0.4, 0.0, 0.0), (0.3, 1.0, 1.0))),
        (nvf, placed((0.4, 0.0, 0.0), (0.5, 1.0, 1.0))),
    )
    both, one, two = (shares(scene, along(0)) for scene in ([far, near], [near], [far]))
    np.testing.assert_allclose(1 - both.alpha, (1 - one.alpha) * (1 - two.alpha), atol=1e-6)
    np.testing.assert_allclose(both.records[0, :, 12], two.alpha, atol=1e-5)


# --- limits ---


def test_light_is_stopped_up_to_the_limit_and_not_beyond():
    """A mesh cuts a field there."""
    for limit in (1.05, 1.2345, 1.6321, 1.8, 3.0):
        x = np.linspace(-0.5, min(limit - 1.5, 0.5), 20001)
        density = np.maximum(np.interp(x, SAMPLES, HILLS), 0)
        expected = 1 - np.exp(-np.sum(density[1:] + density[:-1]) / 2 * (x[1] - x[0]))
        found = shares([(layered(HILLS), EYE)], along(0), limit)
        np.testing.assert_allclose(found.alpha, expected, atol=1e-5)
    assert not shares([(layered(HILLS), EYE)], along(0), 1.0).alpha.any()


def test_a_limit_behind_everything_changes_no_bit():
    scene = [(smoke(soft_ball(), 16), placed(turn=0.4)), (layered(PLATEAU), placed((0.1, 0.05, 0.0)))]
    one, two = shares(scene, along(0)), shares(scene, along(0), 40.0)
    np.testing.assert_array_equal(one.records, two.records)


def test_each_ray_has_a_limit_of_its_own():
    scene = [(layered(PLATEAU), EYE)]
    limits = np.linspace(1.0, 2.0, COUNT)
    together = shares(scene, along(0), limits).alpha
    alone = [shares(scene, along(0), limit).alpha[ray] for ray, limit in enumerate(limits)]
    np.testing.assert_array_equal(together, alone)
    assert (np.diff(together) >= 0).all() and together[0] == 0 and together[-1] > 0.5


# --- spaces ---


@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_size_changes_no_opacity_and_distances_are_those_of_the_instance(scale):
    """Optical depth is the density of an instance's own space times the length there."""
    nvf = smoke(soft_ball(), 16)
    origins, directions = along(1)
    once = shares([(nvf, EYE)], (origins, directions))
    scaled = shares([(nvf, np.diag([scale, scale, scale, 1.0]))], (origins * scale, directions))
    np.testing.assert_array_equal(scaled.records[..., 12], once.records[..., 12])
    np.testing.assert_allclose(scaled.records[..., 11], once.records[..., 11], rtol=1e-6)


def test_directions_of_records_are_unit_vectors_of_the_instance():
    matrix = placed((0.1, 0.0, 0.0), (1.5, 0.7, 1.0), turn=0.8)
    found = shares([(smoke(soft_ball(), 16), matrix)], along(2))
    seen = found.records[0, :, 12] > 0.01
    local = along(2)[1] @ np.linalg.inv(matrix[:3, :3]).T
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    assert seen.sum() > 10
    np.testing.assert_allclose(found.records[0, seen, 13:16], local[seen], atol=1e-5)


def test_finer_steps_converge_and_coarse_ones_are_near():
    scene = [
        (smoke(soft_ball(), 16), placed(turn=0.4)),
        (smoke(soft_ball(), 16), placed((0.1, 0.0, 0.1), turn=2.0)),
    ]
    exact = shares(scene, along(0), step=0.03125)
    errors = [
        np.abs(shares(scene, along(0), step=step).weights - exact.weights).max() for step in (1.0, 0.25)
    ]
    assert errors[1] < 0.3 * errors[0] and errors[0] < 0.01


def test_opaque_fields_stop_all_light_between_them():
    dense = layered(1000 * PLATEAU)
    found = shares([(dense, EYE), (dense, placed((0.5 * VOXEL, 0.0, 0.0)))], along(0))
    np.testing.assert_allclose(found.alpha, 1.0, atol=1e-6)
    assert (found.weights[0] > 1 - OPAQUE).all()  # the nearer one is opaque before the other begins
