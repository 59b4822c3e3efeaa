"""The hash encoding as a module, against the same formula in plain torch."""

import itertools

import pytest
import torch

from neuron_core.kernels.training.hashgrid import PRIME_Y, PRIME_Z, HashGridSpec
from neuron_core.networks.layers import HashEncoding, mlp

DENSE = HashGridSpec(2, 2, 12, 3, 8)
HASHED = HashGridSpec(3, 4, 6, 5, 40)
SPECS = pytest.mark.parametrize("spec", [DENSE, HASHED], ids=["dense", "hashed"])


def row_of(spec: HashGridSpec, level: int, corner: torch.Tensor) -> torch.Tensor:
    side = spec.resolutions[level] + 1
    x, y, z = corner.unbind(-1)
    if side**3 <= spec.table_size:
        return x + side * (y + side * z)
    return (x ^ (y * PRIME_Y & 0xFFFFFFFF) ^ (z * PRIME_Z & 0xFFFFFFFF)) & (spec.table_size - 1)


def slow_encoding(spec: HashGridSpec, points: torch.Tensor, tables: torch.Tensor) -> torch.Tensor:
    """Every corner of every level, weighted by its closeness. Differentiable in both."""
    levels = []
    for level, resolution in enumerate(spec.resolutions):
        scaled = points * resolution
        lowest = scaled.detach().floor().long().clamp(0, resolution - 1)
        place = scaled - lowest
        total = points.new_zeros(len(points), spec.features)
        for corner in itertools.product((0, 1), repeat=3):
            offset = torch.tensor(corner)
            weight = torch.where(offset.bool(), place, 1 - place).prod(dim=-1)
            total = total + weight[:, None] * tables[level, row_of(spec, level, lowest + offset)]
        levels.append(total)
    return torch.cat(levels, dim=-1)


def encoding_of(spec: HashGridSpec) -> HashEncoding:
    torch.manual_seed(1)
    return HashEncoding(spec, scale=1.0)


@SPECS
def test_the_encoding_is_the_interpolation_of_the_corners(spec):
    encoding = encoding_of(spec)
    points = torch.rand(300, 3)
    assert encoding(points).shape == (300, encoding.width)
    torch.testing.assert_close(encoding(points), slow_encoding(spec, points, encoding.tables))


@SPECS
def test_its_gradients_are_those_of_the_slow_formula(spec):
    encoding = encoding_of(spec)
    points = torch.rand(200, 3, requires_grad=True)
    weights = torch.randn(200, encoding.width)
    (encoding(points) * weights).sum().backward()
    fast = points.grad, encoding.tables.grad
    points.grad = encoding.tables.grad = None
    (slow_encoding(spec, points, encoding.tables) * weights).sum().backward()
    torch.testing.assert_close(fast[0], points.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fast[1], encoding.tables.grad, rtol=1e-4, atol=1e-5)


def test_no_points_have_no_features_and_zero_gradients():
    encoding = encoding_of(DENSE)
    features = encoding(torch.zeros(0, 3))
    features.sum().backward()
    assert features.shape == (0, encoding.width)
    assert encoding.tables.grad is not None and not encoding.tables.grad.any()


def test_an_mlp_ends_in_a_linear_layer():
    net = mlp([3, 8, 2])
    assert [type(layer).__name__ for layer in net] == ["Linear", "ReLU", "Linear"]
    assert net(torch.zeros(5, 3)).shape == (5, 2)
