"""Looks that are made from a prompt: the codes that the field itself would give, stored once a place."""

import numpy as np
import pytest
import torch

from neuron_core.models.field import looks as module
from neuron_core.models.field import voxelize as voxelizing
from neuron_core.models.field.looks import LookMaker, distinct_places
from neuron_core.models.field.model import Field
from neuron_core.models.field.voxelize import codes_of, voxelize
from neuron_core.voxels.nvf import LookCodes, Nvf, sample_positions, shared_samples
from tests.core.small_fields import ball_box, ball_field

VECTORS = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def field() -> Field:
    found = ball_field()
    assert found.material.detail is not None
    torch.nn.init.uniform_(found.material.detail.tables, -1.0, 1.0)
    return found


@pytest.fixture(scope="module")
def nvf(field) -> Nvf:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voxelizing, "COARSE_CELLS", 48)  # a ball is known everywhere
        room = np.float32([[-0.1, 0.0, -0.3], [0.3, 0.0, 0.0]])  # another number of bricks along each side
        return voxelize(field, ball_box(field) + room, 24)


@pytest.fixture(scope="module")
def maker(field, nvf) -> LookMaker:
    return LookMaker(field, nvf)


def half_step(look: LookCodes) -> np.ndarray:
    """By how much a stored code may be off."""
    return np.asarray((look.high - look.low) / 510 + 1e-4)


def test_every_active_sample_is_in_one_place_and_every_place_is_different(nvf, maker):
    places, rows = distinct_places(nvf)
    assert len(np.unique(places, axis=0)) == len(places) < len(rows) == len(maker) == len(nvf.active)
    np.testing.assert_array_equal(places[rows], sample_positions(nvf).reshape(-1, 3)[nvf.active])


@pytest.mark.parametrize("row", range(3))
def test_a_look_holds_the_codes_of_the_field_as_exactly_as_a_byte_can(row, field, nvf, maker):
    look = maker.codes(VECTORS[row])
    wanted = codes_of(field, nvf, torch.from_numpy(VECTORS[row : row + 1]))[0]
    assert (np.abs(look.decoded() - wanted) <= half_step(look)).all()
    used = look.high > look.low
    assert used.any() and (look.codes.min(axis=0)[used] == 0).all()
    assert (look.codes.max(axis=0)[used] == 255).all(), "the whole range of a byte"


def test_what_bricks_share_has_one_code(nvf, maker):
    pool = np.zeros((nvf.density.size, 8), np.uint8)
    pool[nvf.active] = maker.codes(VECTORS[0]).codes
    bricks = pool.reshape(*nvf.density.shape, 8)
    active = np.zeros(nvf.density.size, bool)
    active[nvf.active] = True
    there = active.reshape(nvf.density.shape)
    pairs = 0
    for one, other in shared_samples(nvf.top):
        both = there[one] & there[other]
        np.testing.assert_array_equal(bricks[one][both], bricks[other][both])
        pairs += int(both.sum())
    assert pairs > 50


def test_a_blend_is_the_sum_of_what_its_prompts_say(maker):
    weights = np.float32([0.5, -0.25, 2.0])
    blend = maker.blended(VECTORS, weights)
    alone = [maker.codes(vector) for vector in VECTORS]
    wanted = sum(weight * look.decoded() for weight, look in zip(weights, alone, strict=True))
    allowed = half_step(blend) + sum(abs(w) * half_step(one) for w, one in zip(weights, alone, strict=True))
    assert (np.abs(blend.decoded() - wanted) <= allowed).all()


def test_a_prompt_of_no_weight_says_nothing_and_the_order_of_prompts_nothing(maker):
    one = maker.codes(VECTORS[1])
    for blend in (
        maker.blended(VECTORS[[1, 0]], np.float32([1, 0])),
        maker.blended(VECTORS[[0, 1]], np.float32([0, 1])),
        maker.blended(VECTORS[[1, 1]], np.float32([0.5, 0.5])),
    ):
        np.testing.assert_allclose(blend.decoded(), one.decoded(), atol=float(half_step(one).max()) * 2)
    nothing = maker.blended(VECTORS[:1], np.float32([0.0]))
    assert not nothing.codes.any() and not nothing.decoded().any()


def test_a_look_is_the_same_in_parts_of_any_size_and_leaves_torch_its_threads(field, nvf, maker, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    whole = maker.codes(VECTORS[2])
    monkeypatch.setattr(module, "PART", 257)
    parts = LookMaker(field, nvf).codes(VECTORS[2])
    np.testing.assert_allclose(parts.decoded(), whole.decoded(), atol=float(half_step(whole).max()) * 2)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    again = maker.codes(VECTORS[2])
    np.testing.assert_array_equal(again.codes, whole.codes)
