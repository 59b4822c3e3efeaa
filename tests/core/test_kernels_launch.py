"""Slices cover every index once, run side by side, and arrays are seen without a copy."""

import os
import signal
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import warp as wp

from neuron_core.kernels import launch as launching
from neuron_core.kernels.launch import available_cores, device_of, launch, view


@wp.kernel(enable_backward=False)
def count_visits(visits: wp.array[wp.int32], first: wp.int32) -> None:
    index = first + wp.tid()
    visits[index] = visits[index] + index


def visited(blocks: int, block_size: int = 1, **options: int) -> np.ndarray:
    visits = np.zeros(blocks * block_size, np.int32)
    launch(count_visits, [view(visits, wp.int32, visits.shape)], blocks, block_size, **options)
    return visits


def recorded_launches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The (first index, number of indices) of each launch from now on."""
    plain, seen = wp.launch, []

    def record(kernel: wp.Kernel, count: int, arguments: list[object], **options: object) -> None:
        seen.append((arguments[-1], count))
        plain(kernel, count, arguments, **options)

    monkeypatch.setattr(wp, "launch", record)
    return seen


@pytest.mark.parametrize("slices", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(("blocks", "block_size"), [(1, 1), (5, 3), (64, 16)])
def test_every_index_runs_once_however_it_is_cut(slices: int, blocks: int, block_size: int) -> None:
    np.testing.assert_array_equal(visited(blocks, block_size, slices=slices), np.arange(blocks * block_size))


def test_no_blocks_do_nothing() -> None:
    launch(count_visits, [view(np.zeros(0, np.int32), wp.int32, [0])], 0)


@pytest.mark.parametrize(("blocks", "slices"), [(10, 4), (7, 7), (3, 8), (1000, 3)])
def test_slices_are_whole_blocks_and_as_even_as_can_be(
    blocks: int, slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = recorded_launches(monkeypatch)
    visited(blocks, 16, slices=slices)
    firsts, counts = np.array(sorted(seen)).T
    assert len(seen) == min(slices, blocks)
    assert not (firsts % 16).any() and np.ptp(counts) <= 16
    np.testing.assert_array_equal(firsts, np.cumsum(counts) - counts)


def test_one_slice_is_one_launch_on_this_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = recorded_launches(monkeypatch)
    monkeypatch.setattr(launching, "_threads", None)
    np.testing.assert_array_equal(visited(8, 2, slices=1), np.arange(16))
    assert seen == [(0, 16)]


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


def test_launches_of_several_threads_do_not_disturb_each_other() -> None:
    results: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        results[number] = visited(50 + number, 3, slices=5)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        np.testing.assert_array_equal(results[number], np.arange(3 * (50 + number)))


def test_a_fault_in_one_slice_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(kernel: wp.Kernel, count: int, arguments: list[object], **options: object) -> None:
        if arguments[-1] == 6:
            raise RuntimeError("the third slice")

    monkeypatch.setattr(wp, "launch", fail)
    with pytest.raises(RuntimeError, match="the third slice"):
        visited(8, slices=4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    visited(8, slices=4)  # the threads of this process run
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    if child == 0:
        signal.alarm(60)  # threads that do not exist would be waited for without an end
        status = 1
        try:
            status = 0 if np.array_equal(visited(64, slices=4), np.arange(64)) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_only_the_cores_that_a_process_may_use_are_counted() -> None:
    allowed = os.sched_getaffinity(0)
    assert available_cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_views_share_memory_with_numpy_warp_and_torch() -> None:
    for source in (
        np.zeros((4, 3), np.float32),
        torch.zeros(4, 3),
        wp.zeros((4, 3), dtype=wp.float32, device="cpu"),
    ):
        view(source, wp.vec3f, [4]).fill_(wp.vec3f(1.0, 2.0, 3.0))
        seen = source.numpy() if hasattr(source, "numpy") else source
        np.testing.assert_array_equal(seen, np.tile([1.0, 2.0, 3.0], (4, 1)))


@pytest.mark.parametrize("scalar", [wp.float32, wp.int32, wp.uint32, wp.uint8])
def test_scalars_are_seen_as_what_they_are(scalar: type) -> None:
    numbers = np.arange(12, dtype=wp.dtype_to_numpy(scalar)).reshape(3, 4)
    seen = view(numbers, scalar, [4, 3])
    np.testing.assert_array_equal(seen.numpy(), numbers.reshape(4, 3))
    for other in {wp.float32, wp.int32, wp.uint32, wp.uint8} - {scalar}:
        with pytest.raises(TypeError, match=f"where {other.__name__} is needed"):
            view(numbers, other, [12])


@pytest.mark.parametrize("kind", ["f8", "i8", "i2", "f2", ">f4", "?", "c8"])
def test_scalars_that_no_kernel_takes_are_refused(kind: str) -> None:
    with pytest.raises(TypeError, match="where float32 is needed"):
        view(np.zeros(4, kind), wp.float32, [4])
    with pytest.raises(TypeError, match="torch|float64"):
        view(torch.zeros(4, dtype=torch.float64), wp.float32, [4])


@pytest.mark.parametrize(
    "gapped",
    [
        lambda square: square[:, :2],
        lambda square: square[::2],
        lambda square: square[::-1],
        lambda square: square.T,
        lambda square: np.broadcast_to(square[:1], (6, 6)),
        lambda square: torch.from_numpy(square).t(),
        lambda square: torch.from_numpy(square)[:, 1:],
        lambda square: torch.ones(1).expand(36),
    ],
    ids=["columns", "every other row", "backward", "turned", "repeated", "turned", "columns", "repeated"],
)
def test_arrays_with_gaps_or_another_order_are_refused(gapped: object) -> None:
    array = gapped(np.zeros((6, 6), np.float32))
    with pytest.raises(ValueError, match="gaps in memory; pass a contiguous one"):
        view(array, wp.float32, list(array.shape))


def test_sides_of_length_one_and_empty_arrays_have_no_gaps() -> None:
    square = np.arange(36, dtype=np.float32).reshape(6, 6)
    np.testing.assert_array_equal(view(square[2:3, :], wp.float32, [6]).numpy(), square[2])
    np.testing.assert_array_equal(view(square[2:3, 3:4], wp.float32, [1]).numpy(), [15])
    np.testing.assert_array_equal(view(square[:, None][4], wp.vec3f, [2]).numpy(), square[4].reshape(2, 3))
    for empty in (square[:0], square[:, :0], square[6:, ::2], torch.zeros(0, 3)):
        assert view(empty, wp.vec3f, [0]).shape == (0,)


def interface_of(array: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...]) -> SimpleNamespace:
    """Something that says where its numbers lie, and nothing else."""
    about = {**array.__array_interface__, "shape": shape, "strides": strides}
    return SimpleNamespace(__array_interface__=about)


@pytest.mark.parametrize(
    ("shape", "strides"), [((3, 4), (16, 4)), ((1, 12), (7, 4)), ((12, 1), (4, 999)), ((3, 1, 4), (16, 3, 4))]
)
def test_strides_of_sides_that_are_not_walked_along_do_not_count(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    numbers = np.arange(12, dtype=np.float32)
    seen = view(interface_of(numbers, shape, strides), wp.float32, [12])
    np.testing.assert_array_equal(seen.numpy(), numbers)


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((3, 4), (4, 12)), ((3, 4), (32, 4)), ((12,), (8,)), ((12,), (-4,)), ((2, 6), (0, 4))],
)
def test_strides_that_leave_the_order_of_memory_are_refused(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="gaps"):
        view(interface_of(np.zeros(12, np.float32), shape, strides), wp.float32, [12])


def test_parts_of_an_array_are_seen_where_they_lie() -> None:
    whole = np.zeros((4, 6), np.float32)
    view(whole[1:3], wp.vec3f, [2, 2]).fill_(wp.vec3f(7.0))
    np.testing.assert_array_equal(whole.sum(axis=1), [0, 42, 42, 0])


@pytest.mark.parametrize("shape", [[3], [5], [2, 3], [0]])
def test_another_number_of_scalars_is_refused(shape: list[int]) -> None:
    with pytest.raises(ValueError, match="An array of 12 scalars where .* of vec3f are needed"):
        view(np.zeros(12, np.float32), wp.vec3f, shape)


def test_tensors_that_need_a_gradient_are_seen_too() -> None:
    assert view(torch.ones(2, requires_grad=True), wp.float32, [2]).numpy().tolist() == [1.0, 1.0]


def test_arrays_in_memory_belong_to_the_cpu_and_others_to_the_device_that_they_name() -> None:
    for array in (np.zeros(2), torch.zeros(2), wp.zeros(2, dtype=wp.float32, device="cpu")):
        assert device_of(array) == "cpu"
    with pytest.raises(ValueError, match="cuda:7"):
        device_of(SimpleNamespace(device="cuda:7"))
