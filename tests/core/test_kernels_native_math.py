"""Laws of the small functions that the native headers share, for CPUs and for CUDA alike."""

import math

import numpy as np
import pytest
from numpy.polynomial import legendre

from neuron_core.kernels.baked import layout
from tests.core.native_probes import MAP_CELLS, Half, cuda_half


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def half(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Half:
    return Half() if request.param == "cpu" else cuda_half(tmp_path_factory.mktemp("native"))


def directions(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed).standard_normal((count, 3))
    return random / np.linalg.norm(random, axis=1, keepdims=True)


def test_decay_is_the_exponential_to_a_millionth(half: Half) -> None:
    x = np.concatenate([np.linspace(0, 20, 20_001), np.geomspace(1e-8, 80, 1000)])
    found = half("decay", x).astype(np.float64)
    np.testing.assert_allclose(found, np.exp(-x.astype(np.float32).astype(np.float64)), atol=1e-6)
    relative = found / np.exp(-x.astype(np.float32).astype(np.float64)) - 1
    assert np.abs(relative).max() < 1e-5


def test_decay_begins_at_one_falls_and_ends_at_almost_nothing(half: Half) -> None:
    x = np.linspace(0, 100, 50_001)
    found = half("decay", x)
    assert found[0] == 1 and (np.diff(found) <= 1e-7).all() and (found >= 0).all()
    far = half("decay", [87.0, 1e4, 1e30, np.inf])
    assert (far >= 0).all() and far.max() < 1e-36


def test_decay_of_a_sum_is_the_product_of_decays(half: Half) -> None:
    a, b = np.random.default_rng(1).uniform(0, 10, (2, 1000)).astype(np.float32)
    np.testing.assert_allclose(
        half("decay", a) * half("decay", b), half("decay", a + b), rtol=1e-5, atol=1e-9
    )


def slow_harmonics(d: np.ndarray) -> np.ndarray:
    """Real spherical harmonics [N, 16] with the phase of Condon and Shortley, from Legendre polynomials."""
    azimuth, z = np.arctan2(d[:, 1], d[:, 0]), d[:, 2]
    columns = []
    for degree in range(4):
        polynomial = np.eye(degree + 1)[degree]
        for order in range(-degree, degree + 1):
            m = abs(order)
            associated = (1 - z**2) ** (m / 2) * legendre.legval(z, legendre.legder(polynomial, m))
            ratio = math.factorial(degree - m) / math.factorial(degree + m)
            size = (-1) ** m * np.sqrt((2 * degree + 1) / (4 * np.pi) * ratio * (2 if m else 1))
            wave = np.sin(m * azimuth) if order < 0 else np.cos(m * azimuth)
            columns.append(size * associated * wave)
    return np.stack(columns, axis=1)


def test_harmonics_are_those_of_legendre_polynomials_with_splats_signs(half: Half) -> None:
    d = np.concatenate([directions(500), np.eye(3), -np.eye(3)])
    np.testing.assert_allclose(half("basis_at", d), slow_harmonics(d), atol=2e-6)


def test_harmonics_are_orthonormal_over_the_sphere(half: Half) -> None:
    heights, weights = legendre.leggauss(8)  # exact for products of two of degree 3
    angles = np.arange(16) * 2 * np.pi / 16
    z, angle = (grid.ravel() for grid in np.meshgrid(heights, angles, indexing="ij"))
    across = np.sqrt(1 - z**2)
    values = half("basis_at", np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=1))
    area = np.repeat(weights, 16) * 2 * np.pi / 16
    np.testing.assert_allclose(values.T.astype(np.float64) * area @ values, np.eye(16), atol=2e-6)


def test_harmonics_of_a_degree_see_only_the_angle_between_two_directions(half: Half) -> None:
    one, other = directions(300, 1), directions(300, 2)
    products = half("basis_at", one).astype(np.float64) * half("basis_at", other)
    cosines = (one * other).sum(axis=1)
    for degree in range(4):
        own = products[:, degree**2 : (degree + 1) ** 2].sum(axis=1)
        expected = (2 * degree + 1) / (4 * np.pi) * legendre.legval(cosines, np.eye(degree + 1)[degree])
        np.testing.assert_allclose(own, expected, atol=2e-6)


def test_mean_on_an_even_line_is_that_of_the_exponential(half: Half) -> None:
    optical = np.linspace(0.06, 12, 200)
    left = np.exp(-optical)
    exact = 1 / optical - left / (1 - left)
    found = half("mean_on_line", 2.0, 2.0, optical, left, 1 - left)
    np.testing.assert_allclose(found, exact, atol=2e-5)


@pytest.mark.parametrize(("up", "down"), [(0.0, 1.0), (1.0, 0.0), (0.3, 2.0), (5.0, 4.0)])
def test_mean_on_a_line_is_where_its_mean_optical_depth_lies(half: Half, up: float, down: float) -> None:
    depths = np.array([0.01, 0.049, 0.2, 1.0, 4.0, 20.0])
    part = np.linspace(0, 1, 200_001)
    reached = (up * part + (down - up) * part**2 / 2) / ((up + down) / 2)
    light = np.exp(-depths[:, None] * part)
    mean = (light * part).sum(axis=1) / light.sum(axis=1)
    left = np.exp(-depths)
    found = half("mean_on_line", up, down, depths, left, 1 - left)
    np.testing.assert_allclose(found, np.interp(mean, reached, part), atol=2e-4)


def test_mean_on_a_thin_line_reads_the_same_backward(half: Half) -> None:
    up, down = np.random.default_rng(3).uniform(0.1, 3, (2, 100))
    thin = np.full(100, 1e-5)
    there = half("mean_on_line", up, down, thin, 1 - thin, thin)
    back = half("mean_on_line", down, up, thin, 1 - thin, thin)
    np.testing.assert_allclose(there + back, 1, atol=1e-5)


def test_mean_on_a_line_that_stops_no_light_is_finite_and_on_it(half: Half) -> None:
    found = half("mean_on_line", [0.5, 1.0, 3.0], [0.0, 1.0, 0.1], 0.0, 1.0, 0.0)
    assert (found >= 0).all() and (found <= 1).all()


def test_a_ray_taken_back_to_its_side_lies_on_the_side_and_in_the_voxel(half: Half) -> None:
    random = np.random.default_rng(4)
    part, stride = random.random((1000, 3)), random.uniform(-1, 1, (1000, 3))
    ticks = half("ticks_since_side", part, stride)
    back = part - ticks[:, None] * stride
    assert ((back > -1e-5) & (back < 1 + 1e-5)).all()
    from_side = np.minimum(np.abs(back), np.abs(1 - back)).min(axis=1)
    assert (from_side[ticks < 1] < 1e-5).all() and (ticks >= 0).all() and (ticks <= 1).all()
    assert 0.1 < (ticks == 1).mean() < 0.9  # those that were here a whole tick


def test_ticks_since_a_side_do_not_prefer_a_direction(half: Half) -> None:
    random = np.random.default_rng(5)
    part, stride = random.random((200, 3)), random.uniform(-1, 1, (200, 3))
    plain = half("ticks_since_side", part, stride)
    np.testing.assert_allclose(half("ticks_since_side", 1 - part, -stride), plain, atol=1e-5)
    turned = half("ticks_since_side", part[:, [2, 0, 1]], stride[:, [2, 0, 1]])
    np.testing.assert_array_equal(turned, plain)


def test_inverses_are_finite_and_zero_counts_as_negative(half: Half) -> None:
    values = np.array([2.0, -0.25, 1e-19, -1e-19, 1e-30, -1e-30, 0.0, -0.0], np.float32)
    expected = [0.5, -4.0, 1e19, -1e19, 1e20, -1e20, -1e20, -1e20]
    np.testing.assert_allclose(half("inverse_of", values), expected, rtol=1e-6)


def test_vectors_get_unit_length_and_zero_stays_zero(half: Half) -> None:
    vectors = directions(100) * np.geomspace(1e-15, 1e15, 100)[:, None]
    lengths = np.linalg.norm(vectors.astype(np.float32) * half("to_unit", vectors)[:, None], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    assert half("to_unit", [[0.0, 0.0, 0.0]])[0] == 0


def test_lanes_are_compared_and_cut_each_by_itself(half: Half) -> None:
    a, b = np.random.default_rng(6).uniform(-5, 5, (2, 200, 3)).astype(np.float32)
    np.testing.assert_array_equal(half("lower", a, b), np.minimum(a, b))
    np.testing.assert_array_equal(half("higher", a, b), np.maximum(a, b))
    np.testing.assert_array_equal(half("truncated", a), np.trunc(a))
    np.testing.assert_array_equal(half("extremes", a), np.stack([a.min(axis=1), a.max(axis=1)], axis=1))
    np.testing.assert_allclose(half("dot", a, b), (a * b).sum(axis=1), atol=1e-5)
    signs = half("by_sign", np.sign(a.round()), 7.0, -3.0)
    np.testing.assert_array_equal(signs, np.where(a.round() > 0, 7, -3))  # zero is not positive


def test_places_outside_take_the_first_or_the_last_cell(half: Half) -> None:
    places = np.array([-1e6, -1.0, -0.5, 0.0, 0.99, 1.0, 6.999, 7.0, 1e6])
    np.testing.assert_array_equal(half("cell_in", places, 7), [0, 0, 0, 0, 0, 1, 6, 6, 6])


def test_ticks_of_any_way_fit_into_a_number(half: Half) -> None:
    ways = np.array([-np.inf, -3.0, 0.0, 0.999, 5.5, 1e8, 1e12, np.inf])
    np.testing.assert_allclose(half("whole_ticks", ways), [0, 0, 0, 0, 5, 1e8, 1e9, 1e9])


@pytest.mark.parametrize(
    "powers", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (1, 1, 1)]
)
def test_bricks_are_interpolated_along_the_axis_that_their_samples_vary_along(
    half: Half, powers: tuple[int, int, int]
) -> None:
    places = np.argwhere(np.ones((layout.SIDE,) * 3))  # x slowest
    samples = np.prod(places**powers, axis=1)
    parts = np.concatenate([np.random.default_rng(7).random((50, 3)), np.argwhere(np.ones((2, 2, 2)))])
    rows = np.broadcast_to(samples, (len(parts), layout.SAMPLES))
    np.testing.assert_allclose(half("trilinear", rows, parts), np.prod(parts**powers, axis=1), atol=1e-6)


def test_softplus_is_the_logarithm_of_one_and_the_exponential(half: Half) -> None:
    x = np.concatenate([np.linspace(-30, 30, 4000), [-1e30, -200.0, -87.5, 0.0, 87.5, 200.0, 1e30, 0.5] * 2])
    found = half("softplus", x.reshape(-1, 16)).ravel()
    exact = np.logaddexp(0, x.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(found, exact, atol=5e-6, rtol=1e-6)


def test_softplus_of_a_number_and_of_its_negative_differ_by_the_number(half: Half) -> None:
    x = np.random.default_rng(8).uniform(-20, 20, (100, 16)).astype(np.float32)
    np.testing.assert_allclose(half("softplus", x) - half("softplus", -x), x, atol=4e-6)


def test_softplus_handles_each_lane_by_itself(half: Half) -> None:
    x, order = np.random.default_rng(9).normal(0, 5, (20, 16)), np.random.default_rng(10).permutation(16)
    np.testing.assert_array_equal(half("softplus", x[:, order]), half("softplus", x)[:, order])


def test_sigmoid_is_the_slope_of_softplus_and_adds_up_to_one_with_its_mirror_image(half: Half) -> None:
    x = np.linspace(-40, 40, 3201)
    found = half("sigmoid", x).astype(np.float64)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-x)), atol=1e-6)
    np.testing.assert_allclose(found + found[::-1], 1, atol=5e-7)
    assert (np.diff(found) >= -2e-7).all() and half("sigmoid", [-1e30, 1e30]).tolist() == pytest.approx(
        [0, 1]
    )
    inner = np.linspace(-8, 8, 16)
    slopes = (half("softplus", inner[None] + 0.05) - half("softplus", inner[None] - 0.05))[0] / 0.1
    np.testing.assert_allclose(half("sigmoid", inner), slopes, atol=3e-4)


def test_rows_are_added_and_cut_at_zero_lane_by_lane(half: Half) -> None:
    random = np.random.default_rng(11)
    sums, rows, by = random.normal(size=(50, 8)), random.normal(size=(50, 8)), random.normal(size=(50, 1))
    np.testing.assert_allclose(half("sum_of_rows", sums, rows, by), sums + by * rows, atol=1e-6)
    np.testing.assert_array_equal(half("positive", sums), np.maximum(sums, 0).astype(np.float32))


def test_stored_rows_are_weighted_and_scaled(half: Half) -> None:
    random = np.random.default_rng(12)
    scale, by = random.uniform(0, 1e-3, (50, 8)), random.dirichlet(np.ones(4), 50)
    rows = random.integers(-32768, 32768, (50, 4, 8))
    found = half("mean_of_rows", scale, by, rows.reshape(50, 32))
    np.testing.assert_allclose(found, scale * (by[:, :, None] * rows).sum(axis=1), atol=2e-5)


def directions_of_nodes() -> np.ndarray:
    """Where the nodes of a map of the sphere, folded from an octahedron, lie: [line, column, 3]."""
    v, u = np.meshgrid(*(np.linspace(-1, 1, MAP_CELLS + 1),) * 2, indexing="ij")
    up = 1 - np.abs(u) - np.abs(v)
    folded_u, folded_v = (1 - np.abs(v)) * np.where(u < 0, -1, 1), (1 - np.abs(u)) * np.where(v < 0, -1, 1)
    x, z = np.where(up < 0, folded_u, u), np.where(up < 0, folded_v, v)
    return np.stack([x, up, z], axis=-1)


def test_a_map_of_the_sphere_shows_each_node_in_its_direction(half: Half) -> None:
    nodes = directions_of_nodes()[1:-1, 1:-1].reshape(-1, 3)  # those of the border lie in two places
    values = np.random.default_rng(13).integers(-1000, 1000, (MAP_CELLS + 1,) * 2)
    expected = values[1:-1, 1:-1].ravel()
    for length in (0.01, 1.0, 7.0):
        found = half("map_at", length * nodes, values.reshape(1, -1))
        np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_map_of_the_sphere_has_no_seam(half: Half, axis: int) -> None:
    nodes = directions_of_nodes()
    values = (8000 * nodes[..., axis]).round().reshape(1, -1)
    d = directions(3000, 14)
    near = d + np.random.default_rng(15).normal(0, 1e-4, d.shape)
    jumps = half("map_at", d, values) - half("map_at", near, values)
    assert np.abs(jumps).max() < 8000 * 2e-3
    on_octahedron = d / np.abs(d).sum(axis=1, keepdims=True)
    away_from_the_fold = np.abs(on_octahedron[:, 1]) > 2 * 2 / MAP_CELLS  # there the map is linear
    found = half("map_at", d, values)[away_from_the_fold] / 8000
    np.testing.assert_allclose(found, on_octahedron[away_from_the_fold, axis], atol=1e-4)


def test_mirrors_are_opaque_and_activate_their_gate(half: Half) -> None:
    random = np.random.default_rng(16)
    codes, weights = random.integers(0, 256, (500, 8)), random.normal(0, 0.01, (500, 8))
    alphas, bias = random.random((500, 1)), random.normal(0, 1, (500, 1))
    least = np.full((500, 1), 0.3)
    activation = (codes * weights).sum(axis=1, keepdims=True) + bias
    found = half("is_mirror", codes, alphas, weights, bias, least)
    np.testing.assert_array_equal(found, ((alphas > 0.5) & (activation > least))[:, 0])
    assert 0.1 < found.mean() < 0.4


def test_reflected_rays_leave_at_the_angle_at_which_they_came(half: Half) -> None:
    origins, ways, normals = directions(200, 17), directions(200, 18), directions(200, 19)
    found = half("reflected", origins, ways, 0.0, normals, 0.0, 1.0, 1.0)
    ahead = found[:, 3:6]
    along = (ways * normals).sum(axis=1, keepdims=True)
    np.testing.assert_allclose((ahead * normals).sum(axis=1, keepdims=True), -along, atol=1e-6)
    np.testing.assert_allclose(ahead + along * normals, ways - along * normals, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(ahead, axis=1), 1, atol=1e-6)
    twice = half("reflected", origins, ahead, 0.0, normals, 0.0, 1.0, 1.0)
    np.testing.assert_allclose(twice[:, 3:6], ways, atol=1e-6)


def test_reflected_rays_begin_as_many_voxels_above_the_surface_as_they_are_lifted(half: Half) -> None:
    origins, ways, normals = directions(50, 20), directions(50, 21), directions(50, 22)
    distances = np.random.default_rng(23).uniform(0, 5, (50, 1))
    found = half("reflected", origins, ways, distances, normals, 2.0, 16.0, 1.0)
    surface = origins + distances * ways
    np.testing.assert_allclose(found[:, :3], surface + 2.0 / 16.0 * normals, atol=2e-6)
    np.testing.assert_array_equal(found[:, 6:], np.tile([0.0, 1.0], (50, 1)))  # at once, and all of them
    others = half("reflected", origins, ways, distances, normals, 2.0, 16.0, 0.0)
    np.testing.assert_array_equal(others[:, 6:], np.tile([-1.0, 0.0], (50, 1)))


@pytest.mark.parametrize("across_log2", [1, 3])
def test_mirrors_share_the_reflection_of_the_first_one_of_their_four(across_log2: int) -> None:
    mirrors = np.random.default_rng(24).random((200, layout.BEAM)) < 0.5
    mirrors[:2] = [[False], [True]]
    found = Half()("leaders", mirrors, float(across_log2)).astype(int)
    place = np.arange(layout.BEAM)
    column, line = place % (1 << across_log2), place >> across_log2
    fours = (line // 2) * layout.BEAM + column // 2
    for own, leaders in zip(mirrors, found, strict=True):
        for four in np.unique(fours):
            members = np.flatnonzero(fours == four)
            assert len(members) == 4
            if own[members].any():
                assert set(leaders[members]) == {members[own[members]][0]}
