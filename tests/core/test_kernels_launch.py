"""Slices cover every index once, run side by side, and arrays are seen without a copy."""

import threading

import numpy as np
import pytest
import torch
import warp as wp

from neuron_core.kernels import launch as launching
from neuron_core.kernels.launch import launch, view


@wp.kernel(enable_backward=False)
def count_visits(visits: wp.array[wp.int32], first: wp.int32) -> None:
    index = first + wp.tid()
    visits[index] = visits[index] + index


@pytest.mark.parametrize("slices", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(("blocks", "block_size"), [(1, 1), (5, 3), (64, 16)])
def test_every_index_runs_once_however_it_is_cut(slices: int, blocks: int, block_size: int) -> None:
    visits = np.zeros(blocks * block_size, np.int32)
    launch(count_visits, [view(visits, wp.int32, visits.shape)], blocks, block_size, slices=slices)
    np.testing.assert_array_equal(visits, np.arange(blocks * block_size))


def test_no_blocks_do_nothing() -> None:
    launch(count_visits, [view(np.zeros(0, np.int32), wp.int32, [0])], 0)


def test_slices_are_in_flight_together(monkeypatch: pytest.MonkeyPatch) -> None:
    if launching.CORES < 2:
        pytest.skip("one core")
    meeting = threading.Barrier(2)
    plain = wp.launch
    met = []

    def meet(*arguments: object, **options: object) -> None:
        met.append(meeting.wait())
        plain(*arguments, **options)

    monkeypatch.setattr(wp, "launch", meet)
    visits = np.zeros(8, np.int32)
    launch(count_visits, [view(visits, wp.int32, [8])], 8, slices=2)
    assert sorted(met) == [0, 1]
    np.testing.assert_array_equal(visits, np.arange(8))


def test_views_share_memory_with_numpy_warp_and_torch() -> None:
    for source in (
        np.zeros((4, 3), np.float32),
        torch.zeros(4, 3),
        wp.zeros((4, 3), dtype=wp.float32, device="cpu"),
    ):
        view(source, wp.vec3f, [4]).fill_(wp.vec3f(1.0, 2.0, 3.0))
        seen = source.numpy() if hasattr(source, "numpy") else source
        np.testing.assert_array_equal(seen, np.tile([1.0, 2.0, 3.0], (4, 1)))


def test_tensors_that_need_a_gradient_are_seen_too() -> None:
    assert view(torch.ones(2, requires_grad=True), wp.float32, [2]).numpy().tolist() == [1.0, 1.0]
