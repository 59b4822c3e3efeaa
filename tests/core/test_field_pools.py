"""Pools of pixels and the grid of what is occupied, against sums and loops that are written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuron_core.cameras.camera import Camera, pixel_centers, project, rays
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.models.field.frame_data import FramePool
from neuron_core.models.field.model import FIRST_DENSITY, Field, Structure
from neuron_core.models.field.occupancy import LEAST_ALPHA, decay, occupied, probe, update
from neuron_core.models.field.ray_data import RayPool, lens_directions
from neuron_core.models.field.volume import PackedSamples
from tests.core.small_fields import small_field

# --- what is occupied ---


class Even(torch.nn.Module):
    """One density everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, units: torch.Tensor) -> Structure:
        count = len(units)
        return Structure(torch.full((count,), self.value), torch.zeros(count, 3), torch.zeros(count, 8))


def cloud(value: float = 1.0, contracted: bool = False, fill: float = 0.0) -> Field:
    """A field of one density, 6 cells along a side, that hold `fill`."""
    field = small_field(surface="density", occupancy_cells=6, contracted=contracted)
    field.geometry = Even(value)
    field.occupancy.fill_(fill)
    return field


def samples_at(units: torch.Tensor) -> PackedSamples:
    nothing = torch.zeros(1, dtype=torch.int32)
    count = len(units)
    return PackedSamples(
        nothing, nothing, units, torch.zeros(count), torch.zeros(count), torch.zeros(count, dtype=torch.int32)
    )


def test_a_cell_holds_the_largest_of_what_samples_in_it_block_in_any_order():
    random = torch.Generator().manual_seed(0)
    units, alphas = torch.rand(300, 3, generator=random), torch.rand(300, generator=random)
    wanted = np.full((6, 6, 6), 0.2, np.float32)
    for place, alpha in zip((units * 6).long().tolist(), alphas.tolist(), strict=True):
        wanted[tuple(place)] = max(wanted[tuple(place)], alpha)
    for order in (torch.arange(300), torch.randperm(300, generator=random)):
        field = cloud(fill=0.2)
        update(field, samples_at(units[order]), alphas[order])
        np.testing.assert_allclose(field.occupancy.numpy(), wanted, rtol=1e-6)
        before = field.occupancy.clone()
        update(field, samples_at(units[order]), alphas[order])
        assert torch.equal(field.occupancy, before), "twice is once"


def test_samples_on_the_faces_of_the_cube_are_in_its_outermost_cells():
    field = cloud()
    corners = torch.tensor([[0.0, 0, 0], [1.0, 1, 1], [0.0, 1, 0.5]])
    update(field, samples_at(corners), torch.tensor([0.1, 0.2, 0.3]))
    assert field.occupancy[0, 0, 0] == 0.1 and field.occupancy[5, 5, 5] == 0.2
    assert field.occupancy[0, 5, 3] == pytest.approx(0.3) and int((field.occupancy > 0).sum()) == 3


@pytest.mark.parametrize("step", [0.01, 0.2])
def test_a_probed_cell_holds_what_a_step_through_it_absorbs(step):
    field = cloud(1.5, fill=0.01)
    cells = torch.tensor([0, 17, 215])
    probe(field, cells, torch.rand(3, 3), step, 0.0)
    density = np.exp(1.5 + FIRST_DENSITY) / field.spec.half_side
    absorbed = 1 - np.exp(-density * step)
    found = field.occupancy.view(-1)
    torch.testing.assert_close(found[cells], torch.full((3,), max(absorbed, 0.01)).float())
    others = torch.ones(216, dtype=torch.bool)
    others[cells] = False
    assert (found[others] == 0.01).all()


def test_steps_of_a_contracted_field_grow_with_the_distance_outside_the_inner_cube():
    """A point at m half sides lies at (2 - 1 / m) / 4 from the middle of the unit cube."""
    field = cloud(0.0, contracted=True)
    field.occupancy = torch.zeros(64, 64, 64)
    cone, step = 0.05, 1e-4
    cells = torch.tensor([[32, 32, place] for place in (33, 47, 50, 56, 61)])
    flat = (cells[:, 0] * 64 + cells[:, 1]) * 64 + cells[:, 2]
    probe(field, flat, torch.full((5, 3), 0.5), step, cone)
    folded = ((cells[:, 2] + 0.5) / 64 - 0.5) * 4
    distance = torch.where(folded > 1, 1 / (2 - folded), folded) * field.spec.half_side
    steps = torch.where(folded > 1, distance * cone, torch.tensor(step)).clamp_min(step)
    density = np.exp(FIRST_DENSITY) / field.spec.half_side
    torch.testing.assert_close(
        field.occupancy.view(-1)[flat], 1 - torch.exp(-density * steps), rtol=1e-3, atol=1e-7
    )


def test_decays_multiply():
    one, other = cloud(fill=0.6), cloud(fill=0.6)
    decay(one, 0.5)
    decay(one, 0.8)
    decay(other, 0.4)
    torch.testing.assert_close(one.occupancy, other.occupancy)


def test_cells_are_looked_into_from_the_mean_or_the_least_alpha_whichever_is_less():
    field = cloud()
    field.occupancy = torch.linspace(0.0, 1.0, 216).reshape(6, 6, 6)
    assert torch.equal(occupied(field) > 0, field.occupancy >= LEAST_ALPHA)
    field.occupancy = field.occupancy * 1e-4
    assert torch.equal(occupied(field) > 0, field.occupancy >= field.occupancy.mean())
    for even in (0.0, 1e-4, 1.0):
        assert occupied(cloud(fill=even)).all(), "an even fog is looked into everywhere"


# --- pixels ---


def eyes() -> list[Camera]:
    """Two lenses in turn."""
    cameras = fibonacci_dome(4, (0.0, 0.0, 0.0), 2.0, width=7, height=5)
    return [replace(one, fl_x=one.fl_x * (1 + index % 2)) for index, one in enumerate(cameras)]


MASKS = [np.arange(35).reshape(5, 7) % 3 != 0] * 4
PIXELS = int(MASKS[0].sum())


def pool() -> RayPool:
    starts, directions = lens_directions(eyes(), MASKS)
    colors = np.random.default_rng(0).integers(0, 256, (4 * PIXELS, 4), np.uint8)
    return RayPool(
        torch.from_numpy(colors),
        torch.arange(4) * PIXELS,
        torch.tensor(np.stack([one.position for one in eyes()]), dtype=torch.float32),
        torch.tensor(np.stack([one.c2w[:3, :3] for one in eyes()]), dtype=torch.float32),
        torch.from_numpy(starts),
        torch.from_numpy(directions),
    )


def test_a_lens_is_kept_once_however_its_cameras_are_turned():
    starts, directions = lens_directions(eyes(), MASKS)
    assert starts.tolist() == [0, PIXELS, 0, PIXELS] and len(directions) == 2 * PIXELS
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, atol=1e-6)
    assert (directions[:, 2] < 0).all(), "a camera looks down its own -Z"
    still = [replace(one, c2w=np.eye(4)) for one in eyes()]
    np.testing.assert_allclose(lens_directions(still, MASKS)[1], directions, atol=1e-6)


def test_each_row_is_one_pixel_of_one_photograph():
    rows = torch.tensor([0, PIXELS - 1, PIXELS, 2 * PIXELS + 5, 4 * PIXELS - 1])
    batch = pool().batch(rows)
    for index, row in enumerate(rows.tolist()):
        view, pixel = divmod(row, PIXELS)
        origins, directions = rays(eyes()[view], *pixel_centers(eyes()[view]))
        np.testing.assert_allclose(batch.rays_d[index], directions[MASKS[view]][pixel], atol=1e-6)
        np.testing.assert_allclose(batch.rays_o[index], eyes()[view].position, atol=1e-6)
        assert int(batch.views[index]) == view
    np.testing.assert_allclose(batch.colors * 255, pool().colors[rows].float(), atol=1e-4)
    for whole, first in zip(batch, batch.first(2), strict=True):
        assert torch.equal(whole[:2], first)


def test_a_pool_is_transparent_if_one_pixel_is():
    colors = torch.full((4 * PIXELS, 4), 255, dtype=torch.uint8)
    opaque = replace(pool(), colors=colors)
    assert not opaque.transparent and opaque.views == 4 and len(opaque) == 4 * PIXELS
    colors[-1, 3] = 254
    assert opaque.transparent


def frames() -> FramePool:
    source = pool()
    random = torch.Generator().manual_seed(1)
    return FramePool(
        torch.rand(3, 4 * PIXELS, 4, generator=random).half(),
        torch.randn(4 * PIXELS, 3, generator=random).half(),
        source.starts,
        source.positions,
        source.rotations,
        torch.tensor([(1 / one.fl_x, -1 / one.fl_y) for one in eyes()]),
        source.lens_starts,
        source.directions[:, :2] / -source.directions[:, 2:],
    )


def test_a_jittered_ray_passes_its_own_place_in_its_own_pixel():
    rows = torch.tensor([3, PIXELS + 1, 3 * PIXELS + 9])
    jitter = torch.tensor([[0.5, -0.5], [0.25, 0.0], [-0.4, 0.3]])
    batch = frames().batch(rows, torch.tensor([2, 0]), jitter)
    torch.testing.assert_close(batch.rays_d.norm(dim=-1), torch.ones(3))
    for index, row in enumerate(rows.tolist()):
        view, pixel = divmod(row, PIXELS)
        line, column = np.argwhere(MASKS[view])[pixel]
        x, y, _ = project(
            eyes()[view], (batch.rays_o[index] + 3 * batch.rays_d[index]).double().numpy()[None]
        )
        np.testing.assert_allclose(
            [x[0], y[0]], [column + 0.5, line + 0.5] + jitter[index].numpy(), atol=1e-3
        )
    torch.testing.assert_close(batch.colors, frames().colors[[2, 0]][:, rows].float())


def test_some_rays_of_a_batch_keep_their_colors_and_normals():
    batch = frames().batch(torch.arange(12), torch.tensor([1]), torch.zeros(12, 2))
    some = batch.of(torch.tensor([7, 2]))
    assert torch.equal(some.rays_d, batch.rays_d[[7, 2]]) and torch.equal(some.normals, batch.normals[[7, 2]])
    assert torch.equal(some.colors, batch.colors[:, [7, 2]])
