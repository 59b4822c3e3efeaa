"""The plain torch peer computes what the kernels compute: outputs and gradients."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from neuron_core.bench.reference_torch import EagerEncoding, EagerFramesObjective, eager_composite, eager_copy
from neuron_core.datasets.reader import open_dataset
from neuron_core.kernels.training.hashgrid import HashGridSpec
from neuron_core.kernels.training.raymarch import EMPTY, OCCUPIED, SOLID
from neuron_core.learning.objective import Step
from neuron_core.models.field.frame_data import read_frames
from neuron_core.models.field.frames_objective import FramesObjective
from neuron_core.models.field.model import Field
from neuron_core.models.field.volume import PackedSamples, composite
from neuron_core.networks.layers import HashEncoding
from tests.core.small_fields import small_field
from tests.core.training_samples import write_rendered

SPECS = [
    HashGridSpec(levels=4, features=2, table_size_log2=10, base_resolution=4, finest_resolution=50),
    HashGridSpec(levels=2, features=4, table_size_log2=9, base_resolution=3, finest_resolution=21),
]


def some_samples(counts: list[int]) -> PackedSamples:
    ray_count = torch.tensor(counts, dtype=torch.int32)
    total = int(ray_count.sum())
    return PackedSamples(
        (ray_count.cumsum(0) - ray_count).int(),
        ray_count,
        torch.rand(total, 3),
        torch.rand(total).cumsum(0),
        torch.rand(total) * 0.1,
        torch.arange(len(counts), dtype=torch.int32).repeat_interleave(ray_count),
    )


@pytest.mark.parametrize("spec", SPECS)
def test_encodings_agree_in_values_and_in_gradients_of_tables(spec: HashGridSpec) -> None:
    torch.manual_seed(0)
    ours = HashEncoding(spec, scale=1.0)
    peer = EagerEncoding(spec, torch.nn.Parameter(ours.tables.detach().clone()))
    points = torch.cat([torch.rand(200, 3), torch.eye(3), torch.zeros(1, 3), torch.ones(1, 3)])
    torch.testing.assert_close(peer(points), ours(points), atol=2e-5, rtol=1e-4)
    gradients = torch.randn(len(points), spec.width)
    for encoding in (ours, peer):
        (encoding(points) * gradients).sum().backward()
    torch.testing.assert_close(peer.tables.grad, ours.tables.grad, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("counts", [[5, 0, 40, 1], [0, 0], [300]])
def test_compositing_agrees_in_values_and_gradients(counts: list[int]) -> None:
    torch.manual_seed(1)
    samples = some_samples(counts)
    sigmas, values = torch.rand(len(samples)) * 60, torch.rand(len(samples), 4)
    results, gradients = [], []
    for function in (composite, eager_composite):
        inputs = [sigmas.clone().requires_grad_(), values.clone().requires_grad_()]
        sums, opacities, depths = function(samples, *inputs)
        results.append((sums, opacities, depths))
        loss = (sums * torch.arange(4.0)).sum() + opacities.square().sum() + 0.1 * depths.sum()
        gradients.append(torch.autograd.grad(loss, inputs))
    for ours, peer in zip(*results, strict=True):
        torch.testing.assert_close(peer, ours, atol=2e-5, rtol=1e-4)
    for ours, peer in zip(*gradients, strict=True):
        torch.testing.assert_close(peer, ours, atol=2e-4, rtol=1e-3)


def objectives(folder: Path) -> tuple[FramesObjective, EagerFramesObjective]:
    field = small_field()
    dataset = open_dataset(write_rendered(folder))
    pool = read_frames(dataset, [entry.name for entry in dataset.materials], torch.device("cpu"))
    prompts = torch.randn(2, 3, field.spec.prompt_width)
    arguments = (pool, prompts, 400, 100, 5)
    ours, peer = FramesObjective(field, *arguments), EagerFramesObjective(eager_copy(field), *arguments)
    labels = torch.tensor([EMPTY, OCCUPIED, OCCUPIED, SOLID], dtype=torch.uint8)
    cells = labels[torch.randint(4, (12, 12, 12))]
    for objective in (ours, peer):
        objective.load_state({"cells": cells})
    return ours, peer


def gradients_of(field: Field) -> dict[str, Tensor]:
    return {name: p.grad for name, p in field.named_parameters() if p.grad is not None}


def step_of(index: int) -> Step:
    return Step(index, index / 100, 5, "frames")


def descended(objective: FramesObjective) -> dict[str, float]:
    (turn,) = objective.turns(step_of(1))
    turn.loss.backward()
    return {name: float(value) for name, value in turn.metrics.items()}


def test_a_step_on_the_same_samples_has_the_same_gradients(tmp_path: Path) -> None:
    ours, peer = objectives(tmp_path)
    found = descended(ours)
    peer.sample = ours.sample  # type: ignore[method-assign]
    assert descended(peer) == pytest.approx(found, rel=1e-3)
    own, other = gradients_of(ours.field), gradients_of(peer.field)
    assert own.keys() == other.keys() and found["samples"] > 50
    for name, gradient in own.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(other[name], gradient, atol=2e-3 * scale + 1e-7, rtol=1e-2)


def test_a_march_in_torch_finds_about_the_same_samples(tmp_path: Path) -> None:
    ours, peer = objectives(tmp_path)
    batch, _ = ours.draw(3)
    (own, rays, _), (other, other_rays, _) = (one.sample(batch, step_of(3), 4.0) for one in (ours, peer))
    assert len(other) == pytest.approx(len(own), rel=0.1)
    assert len(other_rays.rays_o) == pytest.approx(len(rays.rays_o), rel=0.1)
    points = other_rays.rays_o[other.ray_index] + other.t_mid[:, None] * other_rays.rays_d[other.ray_index]
    torch.testing.assert_close(peer.field.units(points), other.units, atol=1e-5, rtol=0)
