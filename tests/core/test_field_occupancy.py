"""The grid of a density field: nothing that blocks light is ever skipped for long."""

import torch

from neuron_core.models.field import occupancy
from neuron_core.models.field.model import Field, Structure
from neuron_core.models.field.volume import PackedSamples
from tests.core.small_fields import small_field


class Ball(torch.nn.Module):
    """Dense inside a ball in the middle of the cube."""

    def forward(self, units: torch.Tensor) -> Structure:
        inside = (units - 0.5).norm(dim=-1) < 0.25
        values = torch.where(inside, 9.0, -15.0)
        return Structure(values, torch.zeros(len(units), 3), torch.zeros(len(units), 8))


def ball() -> Field:
    field = small_field(surface="density", occupancy_cells=8)
    field.geometry = Ball()
    return field


def centers(size: int) -> torch.Tensor:
    axis = (torch.arange(size) + 0.5) / size
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)


def probe_everywhere(field: Field) -> None:
    occupancy.decay(field, 0.0)
    cells = torch.arange(8**3)
    occupancy.probe(field, cells, torch.full((8**3, 3), 0.5), step=0.01, cone=0.0)


def test_probing_finds_the_cells_of_the_ball_and_no_others():
    field = ball()
    probe_everywhere(field)
    inside = (centers(8) - 0.5).norm(dim=-1) < 0.25
    assert torch.equal(occupancy.occupied(field).flatten().bool(), inside)


def test_samples_raise_the_cells_that_they_lie_in():
    field = ball()
    occupancy.decay(field, 0.0)
    units = torch.tensor([[0.1, 0.2, 0.99], [0.1, 0.21, 0.98]])
    none = torch.zeros(1, dtype=torch.int32)
    samples = PackedSamples(none, none + 2, units, torch.ones(2), torch.full((2,), 0.1), none.repeat(2))
    occupancy.update(field, samples, torch.tensor([0.1, 0.25]))
    found = torch.nonzero(field.occupancy)
    assert found.tolist() == [[0, 1, 7]]
    assert field.occupancy[0, 1, 7] == 0.25


def test_what_is_gone_decays_and_what_is_there_does_not():
    field = ball()
    probe_everywhere(field)
    before = occupancy.occupied(field)
    field.occupancy[0, 0, 0] = 1.0
    for _ in range(100):
        occupancy.decay(field, 0.9)
        occupancy.probe(field, torch.arange(8**3), torch.full((8**3, 3), 0.5), step=0.01, cone=0.0)
    assert torch.equal(occupancy.occupied(field), before)


def test_a_grid_is_never_empty():
    field = ball()
    field.occupancy.zero_()
    assert occupancy.occupied(field).all()
    field.occupancy.fill_(1e-9)
    assert occupancy.occupied(field).any()
