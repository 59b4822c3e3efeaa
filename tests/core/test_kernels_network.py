"""The network that shades records: against its layers written in numpy, and reflections between walls."""

import numpy as np
import pytest
import warp as wp

from neuron_core.kernels.baked.instances import assets_of, draw_layers, placements
from neuron_core.kernels.baked.layout import BEAM, FAINT
from neuron_core.kernels.baked.network import Network, octahedron, pack
from neuron_core.kernels.baked.rays import rays_of_arrays
from neuron_core.rendering.baked import BakedRenderer, RayColors
from neuron_core.rendering.shaded import DeviceField, ShadedAsset
from neuron_core.voxels.nvf import Nvf, sample_positions
from neuron_core.voxels.shading import Shader
from tests.core.brick_samples import PLATEAU, layered
from tests.core.composed_samples import shader, smoke, waves
from tests.core.small_shaders import perfect_mirror

WIDTH, CELLS = 16, 6
FIELD = layered(PLATEAU)  # any: what rays hit is known
LAYERS = {
    "scale": (1, WIDTH),
    "first": (18, WIDTH),
    "hidden": (WIDTH + 1, WIDTH),
    "lobes": (WIDTH + 1, 8),
    "tints": (9, 16),
}


def random_layers(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights by layer; codes are large numbers, so theirs are small."""
    random = np.random.default_rng(seed)
    layers = {name: 0.4 * random.normal(size=shape) for name, shape in LAYERS.items()}
    layers["scale"] = np.abs(layers["scale"]) / 32767
    layers["first"][:8] /= 100
    layers["tints"][:8] /= 100
    return {name: values.astype(np.float32) for name, values in layers.items()}


def random_map(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32767, 32768, ((CELLS + 1) ** 2, WIDTH)).astype(np.int16)


def units(count: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 3))
    return (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype(np.float32)


def random_records(seed: int = 2) -> np.ndarray:
    """Of one tile, [64, 16]: codes, normal, distance, opacity, direction."""
    random = np.random.default_rng(seed)
    records = np.zeros((BEAM, 16), np.float32)
    records[:, :8] = random.uniform(0, 255, (BEAM, 8))
    records[:, 8:11], records[:, 13:16] = units(BEAM, seed + 1), units(BEAM, seed + 2)
    records[:, 11], records[:, 12] = random.uniform(1, 4, BEAM), random.uniform(0.1, 1, BEAM)
    return records


def layer_of(records: np.ndarray, layers: dict[str, np.ndarray], directions: np.ndarray) -> np.ndarray:
    """What the kernel makes of records that are known: [64, 8]."""
    stored = wp.array(directions.reshape(-1), dtype=wp.int16, device="cpu")
    weights = wp.array(pack(*layers.values()), dtype=wp.float32, device="cpu")
    asset = ShadedAsset(DeviceField(FIELD, shader()), waves(FIELD))
    assets = assets_of([asset.field.pools], [asset.codes], "cpu")
    rays = np.zeros((BEAM, 3), np.float32), np.tile(np.float32([0, 0, 1]), (BEAM, 1))
    zeros = np.zeros(1, np.int32)
    found = np.full((BEAM, 8), 7.0, np.float32)
    draw_layers(
        assets,
        0,
        Network(WIDTH, CELLS, stored, weights),
        None,
        placements(np.eye(4)[None], None),
        rays_of_arrays(*rays),
        zeros,
        zeros,
        zeros.astype(np.float32),
        records,
        found,
        lift=1.5,
        step=0.5,
    )
    return found


def looked_up(directions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A map over the sphere between its nodes: the upper half in the middle diamond, the lower half folded
    outwards over its sides."""
    x, y, z = (directions / np.abs(directions).sum(axis=-1, keepdims=True)).T
    turned_x = np.where(y >= 0, x, np.copysign(1 - np.abs(z), x))
    turned_z = np.where(y >= 0, z, np.copysign(1 - np.abs(x), z))
    u, v = (turned_x + 1) / 2 * CELLS, (turned_z + 1) / 2 * CELLS
    column, line = (np.clip(a.astype(int), 0, CELLS - 1) for a in (u, v))
    across, down = (u - column)[:, None], (v - line)[:, None]
    grid = values.reshape(CELLS + 1, CELLS + 1, -1).astype(float)
    above = grid[line, column] * (1 - across) + grid[line, column + 1] * across
    below = grid[line + 1, column] * (1 - across) + grid[line + 1, column + 1] * across
    return above * (1 - down) + below * down


def slow_colors(records: np.ndarray, layers: dict[str, np.ndarray], directions: np.ndarray) -> np.ndarray:
    """Two hidden layers of rectified units, two lobes, and a tint for each by the codes alone."""
    codes, normals, rays_d = (
        records[:, part].astype(float) for part in (slice(8), slice(8, 11), slice(13, 16))
    )
    facing = (normals * rays_d).sum(axis=-1, keepdims=True)
    reflected = rays_d - 2 * facing * normals
    x, y, z = normals.T
    harmonics = np.stack([x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], axis=-1)
    inputs = np.concatenate([codes, -facing, harmonics, np.ones_like(facing)], axis=1)
    hidden = np.maximum(inputs @ layers["first"] + layers["scale"] * looked_up(reflected, directions), 0)
    hidden = np.maximum(hidden @ layers["hidden"][:-1] + layers["hidden"][-1], 0)
    lobes = np.log1p(np.exp(hidden @ layers["lobes"][:-1] + layers["lobes"][-1]))
    tints = np.log1p(np.exp(codes @ layers["tints"][:-1] + layers["tints"][-1]))
    return lobes[:, :3] * tints[:, :3] + lobes[:, 3:6] * tints[:, 3:6]


def test_colors_are_those_of_the_layers_in_numpy():
    records, layers, directions = random_records(), random_layers(), random_map()
    found = layer_of(records, layers, directions)
    expected = slow_colors(records, layers, directions)
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(found[:, :3], expected * records[:, 12:13], rtol=2e-4, atol=1e-5)
    np.testing.assert_array_equal(found[:, 3], records[:, 12])
    np.testing.assert_array_equal(found[:, 4], records[:, 11])
    np.testing.assert_array_equal(found[:, 5:8], records[:, 8:11])


def test_a_color_does_not_depend_on_what_is_shaded_beside_it():
    records, layers, directions = random_records(), random_layers(), random_map()
    whole = layer_of(records, layers, directions)
    for kept in ([0], [63], [5, 17, 40], list(range(0, 64, 2)), list(range(31))):
        part = records.copy()
        part[np.setdiff1d(np.arange(BEAM), kept), 12] = 0.0
        np.testing.assert_array_equal(layer_of(part, layers, directions)[kept], whole[kept])


def test_faint_records_have_an_opacity_and_nothing_else_is_written():
    records = random_records()
    records[:, 12] = np.where(np.arange(BEAM) % 2, FAINT * 0.99, FAINT * 1.01)
    found = layer_of(records, random_layers(), random_map())
    np.testing.assert_array_equal(found[:, 3], records[:, 12])
    assert (found[1::2, :3] == 7.0).all() and (found[1::2, 4:] == 7.0).all()
    assert (found[::2, :3] != 7.0).all()


def test_without_weights_a_color_is_what_the_biases_of_lobes_and_tints_say():
    layers = {name: np.zeros(shape, np.float32) for name, shape in LAYERS.items()}
    layers["lobes"][-1, :6] = [-90.0, -3.0, 0.0, 2.0, 9.0, 90.0]
    layers["tints"][-1, :6] = [5.0, 1.0, -1.0, 0.5, -9.0, 0.0]
    found = layer_of(random_records(), layers, random_map())
    lobes, tints = (np.log1p(np.exp(layers[name][-1, :6].astype(float))) for name in ("lobes", "tints"))
    expected = lobes[:3] * tints[:3] + lobes[3:] * tints[3:]
    np.testing.assert_allclose(found[:, :3] / found[:, 3:4], np.tile(expected, (BEAM, 1)), rtol=1e-5)


def test_colors_follow_the_reflected_direction_and_not_how_it_came_about():
    """With no weight on normals and facing, two surfaces that reflect into one direction look alike."""
    layers = random_layers()
    layers["first"][8:17] = 0.0
    records = random_records()
    reflected = records[:, 13:16].astype(float)
    reflected -= 2 * (reflected * records[:, 8:11]).sum(axis=-1, keepdims=True) * records[:, 8:11]
    other = records.copy()
    other[:, 8:11] = units(BEAM, 9)
    turned = reflected - 2 * (reflected * other[:, 8:11]).sum(axis=-1, keepdims=True) * other[:, 8:11]
    other[:, 13:16] = turned  # a reflection is its own inverse
    one, two = (layer_of(part, layers, random_map()) for part in (records, other))
    np.testing.assert_allclose(two[:, :3], one[:, :3], rtol=1e-3, atol=1e-4)


def test_at_the_nodes_of_the_map_its_values_are_taken_as_they_are():
    """Normals perpendicular to the ray leave its direction as it is."""
    nodes = octahedron(CELLS)
    layers, directions = random_layers(), random_map()
    layers["first"][8:17] = 0.0
    layers["hidden"][:], layers["hidden"][np.arange(WIDTH), np.arange(WIDTH)] = 0.0, 1.0
    layers["lobes"][:], layers["lobes"][:3, :3] = 0.0, np.eye(3)
    layers["tints"][:] = 0.0
    rows = np.arange(BEAM) % len(nodes)
    single = ~((np.abs(nodes[rows]) < 1e-6).any(axis=-1) & (nodes[rows, 1] <= 0))  # a seam has two copies
    assert single.sum() > 20
    records = random_records()
    records[:, 13:16] = nodes[rows]
    records[:, 8:11] = np.cross(nodes[rows], [0.36, 0.48, 0.8])
    records[:, 8:11] /= np.linalg.norm(records[:, 8:11], axis=-1, keepdims=True)
    found = layer_of(records, layers, directions)[:, :3] / records[:, 12:13]
    hidden = records[:, :8] @ layers["first"][:8] + layers["first"][17] + layers["scale"] * directions[rows]
    lobes = np.log1p(np.exp(np.maximum(hidden[:, :3], 0)))
    expected = np.log(2) * (lobes + np.log(2))
    np.testing.assert_allclose(found[single], expected[single], rtol=1e-3)


# --- reflections ---


def corner() -> Nvf:
    """An opaque floor below a wall to the right, a gap between both."""
    steep = 40 * 16

    def density(places: np.ndarray) -> np.ndarray:
        below, beside = -0.25 - places[..., 1], places[..., 0] - 0.25
        inside = np.where(places[..., 0] < 0.1, below, beside)
        return np.clip(inside * 16, -2, 2) * steep

    nvf = smoke(density, 32)
    wall = sample_positions(nvf)[..., 0] >= 0.1
    nvf.normals[:] = np.where(wall[..., None], np.float32([-1, 0, 0]), np.float32([0, 1, 0]))
    return nvf


def seen(nvf: Nvf, look: Shader, rays: tuple[np.ndarray, np.ndarray], reflections: bool) -> RayColors:
    origins, directions = (np.ascontiguousarray(array, np.float32) for array in rays)
    return BakedRenderer(nvf, look, waves(nvf), reflections=reflections).trace(origins, directions)


def slanted(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Rays that come down to the floor from the left and are reflected to the wall."""
    random = np.random.default_rng(3)
    targets = np.stack(
        [random.uniform(-0.3, -0.1, count), np.full(count, -0.25), random.uniform(-0.3, 0.3, count)], 1
    )
    directions = np.stack(
        [np.full(count, 1.0), random.uniform(-0.7, -0.3, count), random.uniform(-0.2, 0.2, count)], 1
    )
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return targets - 1.1 * directions, directions


def test_a_mirror_shows_what_a_ray_sent_from_it_sees():
    nvf, look, (origins, directions) = corner(), perfect_mirror(), slanted()
    mirrored = seen(nvf, look, (origins, directions), True)
    np.testing.assert_allclose(mirrored.normal, np.tile([0, 1, 0], (60, 1)), atol=1e-2)
    hits = origins + mirrored.depth[:, None] * directions
    onward = seen(nvf, look, (hits + [0.0, 0.05, 0.0], directions * [1, -1, 1]), False)
    assert (mirrored.alpha > 0.99).all() and (onward.alpha > 0.99).all()
    np.testing.assert_allclose(onward.normal, np.tile([-1, 0, 0], (60, 1)), atol=1e-2)
    plain = seen(nvf, look, (origins, directions), False)
    assert np.abs(plain.rgb - mirrored.rgb).max() > 0.05
    np.testing.assert_allclose(mirrored.rgb, onward.rgb, atol=0.01)


@pytest.mark.parametrize("gate", [-30.0, 0.0])
def test_a_partial_mirror_is_between_none_and_a_whole_one(gate):
    nvf, rays = corner(), slanted()
    whole, dull = (seen(nvf, perfect_mirror(), rays, reflections) for reflections in (True, False))
    part = perfect_mirror()
    part.biases["mirror"][0] = gate
    share = 1 / (1 + np.exp(-gate))
    found = seen(nvf, part, rays, True)
    np.testing.assert_allclose(found.rgb, share * whole.rgb + (1 - share) * dull.rgb, atol=2e-4)
