"""The shader without torch: identities of its parts, what kernels get of it, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.kernels.baked.network import octahedron
from neuron_core.kernels.training import hashgrid
from neuron_core.voxels.nvf import VoxelError, encode_codes
from neuron_core.voxels.shading import (
    BLOCK,
    LAYERS,
    direction_map,
    harmonics,
    mirror_of,
    network_of,
    shader_from_tensors,
    softplus,
)
from tests.core.small_fields import directions
from tests.core.small_shaders import HIDDEN, perfect_mirror, small_shader

FIELD = {
    "directions": {
        "levels": 2,
        "features": 2,
        "table_size_log2": 10,
        "base_resolution": 3,
        "finest_resolution": 6,
    },
    "encoding": "linear",
}


def some_codes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)


def tensors_of(shader) -> dict[str, np.ndarray]:
    tensors = {f"shader.{name}.weight": values for name, values in shader.weights.items()}
    tensors |= {f"shader.{name}.bias": values for name, values in shader.biases.items()}
    return {**tensors, "shader.directions.tables": shader.tables}


def test_softplus_is_the_integral_of_the_logistic_function_and_never_overflows():
    x = np.float32([-500, -30, -1, 0, 1, 30, 500])
    np.testing.assert_allclose(softplus(x) - softplus(-x), x, rtol=1e-6, atol=1e-6)
    assert softplus(np.float32([0.0]))[0] == pytest.approx(np.log(2))
    step = 1e-3
    middle = np.linspace(-5, 5, 11)
    slope = (softplus(middle + step) - softplus(middle - step)) / (2 * step)
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-middle)), atol=1e-6)


def test_harmonics_keep_their_parity_and_are_orthogonal_over_the_sphere():
    normals = directions(20_000, 0)
    turned = harmonics(-normals)
    np.testing.assert_allclose(turned[:, 1:4], -harmonics(normals)[:, 1:4])
    np.testing.assert_allclose(turned[:, 4:], harmonics(normals)[:, 4:])
    values = harmonics(normals)
    products = values.T @ values / len(values)
    scale = np.sqrt(np.diag(products))
    assert np.abs(products / np.outer(scale, scale) - np.eye(9)).max() < 0.03


def test_colors_are_positive_and_do_not_depend_on_what_is_shaded_beside_them():
    shader, count = small_shader(), BLOCK + 3
    codes, normals, rays_d = some_codes(count), directions(count, 1), directions(count, 2)
    whole = shader.evaluate(codes, normals, rays_d)
    assert (whole > 0).all()
    chosen = np.array([count - 1, 0, BLOCK, 5])
    alone = shader.evaluate(codes[chosen], normals[chosen], rays_d[chosen])
    np.testing.assert_allclose(alone, whole[chosen], rtol=1e-5)


def test_a_reflection_counts_by_its_opacity_and_the_gate():
    """A perfect mirror shows what the ray meets where it is opaque, and is linear in its opacity."""
    shader = perfect_mirror()
    codes, normals, rays_d = some_codes(50), directions(50, 1), directions(50, 2)
    met = np.concatenate([np.random.default_rng(3).random((50, 3)), np.ones((50, 1))], axis=1).astype(
        np.float32
    )
    np.testing.assert_allclose(shader.gates(codes), 1.0, atol=1e-6)
    np.testing.assert_allclose(shader.evaluate(codes, normals, rays_d, met), met[:, :3], atol=1e-5)
    without = shader.evaluate(codes, normals, rays_d)
    half = met * np.float32([1, 1, 1, 0.5])
    expected = (without + met[:, :3]) / 2
    np.testing.assert_allclose(shader.evaluate(codes, normals, rays_d, half), expected, atol=1e-5)


def test_gates_grow_with_the_bias_and_stay_between_0_and_1():
    codes = some_codes(100)
    low, high = small_shader(gate=-1.0).gates(codes), small_shader(gate=2.0).gates(codes)
    assert ((low > 0) & (low < high) & (high < 1)).all()
    assert (small_shader(gate=-1e6).gates(codes) < 1e-12).all()


def test_the_map_of_directions_holds_what_the_table_gives_at_its_nodes():
    shader = small_shader()
    found = direction_map(shader, "cpu")
    nodes = octahedron(found.cells)
    stored = found.values.numpy().reshape(len(nodes), -1) * found.scale
    encoded = np.empty((len(nodes), shader.directions.width), np.float32)
    hashgrid.encode(shader.directions, np.ascontiguousarray(nodes * 0.5 + 0.5), shader.tables, encoded)
    inputs = np.concatenate([encoded, nodes], axis=1)
    exact = inputs @ shader.weights["from_geometry"][:, : inputs.shape[1]].T
    assert (np.abs(stored[:, :HIDDEN] - exact) <= found.scale[:HIDDEN] * 0.51).all()


@pytest.mark.parametrize("hidden", [8, 13, 16])
def test_hidden_units_are_filled_up_to_eights_without_effect(hidden):
    shader = small_shader(hidden=hidden)
    look = encode_codes(some_codes(20))
    network = network_of(shader, direction_map(shader, "cpu"), look)
    assert network.width == -(-hidden // 8) * 8


@pytest.mark.parametrize("gate", [-30.0, -4.5, 0.0, 30.0])
@pytest.mark.parametrize("least", [0.02, 0.5])
def test_kernels_tell_a_mirror_by_the_codes_as_the_gate_does(gate, least):
    shader, look = small_shader(gate=gate), encode_codes(some_codes(400))
    found = mirror_of(shader, look, least)
    mirrors = shader.gates(look.decoded()) > least
    if found is None:
        assert not mirrors.any()
        return
    *weights, bias, threshold = found
    score = look.codes.astype(np.float64) @ weights + bias
    clear = np.abs(score - threshold) > 1e-3
    np.testing.assert_array_equal((score > threshold)[clear], mirrors[clear])


def test_a_look_that_cannot_mirror_is_known_beforehand():
    look = encode_codes(some_codes(50))
    assert mirror_of(small_shader(gate=-30.0), look, 0.02) is None
    assert mirror_of(perfect_mirror(), look, 0.02) is not None


def test_a_shader_comes_back_from_its_tensors():
    shader = small_shader()
    again = shader_from_tensors(tensors_of(shader), FIELD)
    codes, normals, rays_d = some_codes(9), directions(9, 1), directions(9, 2)
    np.testing.assert_array_equal(
        again.evaluate(codes, normals, rays_d), shader.evaluate(codes, normals, rays_d)
    )
    assert again.encoding == "linear" and set(again.weights) == set(LAYERS)


@pytest.mark.parametrize(
    "name", [*(f"{layer}.weight" for layer in LAYERS), "hidden.bias", "directions.tables"]
)
def test_tensors_that_are_missing_or_of_another_shape_are_named(name):
    tensors = tensors_of(small_shader())
    whole = tensors.pop(f"shader.{name}")
    with pytest.raises(VoxelError, match=f"shader.{name} is missing"):
        shader_from_tensors(tensors, FIELD)
    tensors[f"shader.{name}"] = whole[..., :-1] if whole.ndim > 1 else whole[:-1]
    with pytest.raises(VoxelError, match="wrong shape"):
        shader_from_tensors(tensors, FIELD)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({}, "no usable shader"),
        ({**FIELD, "directions": {"layers": 2}}, "no usable shader"),
        ({**FIELD, "directions": None}, "no usable shader"),
        ({**FIELD, "encoding": "gamma"}, "gamma"),
    ],
)
def test_a_description_without_a_shader_is_refused(field, message):
    with pytest.raises(VoxelError, match=message):
        shader_from_tensors(tensors_of(small_shader()), field)


def test_the_encoding_is_carried_along_and_changes_no_color():
    shader = small_shader()
    encoded = replace(shader, encoding="srgb")
    codes, normals, rays_d = some_codes(9), directions(9, 1), directions(9, 2)
    np.testing.assert_array_equal(
        encoded.evaluate(codes, normals, rays_d), shader.evaluate(codes, normals, rays_d)
    )
