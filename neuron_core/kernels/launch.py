"""Run Warp kernels on all cores of a CPU, or on a CUDA device.

Warp runs a CPU launch on one core but releases the interpreter meanwhile, so slices of the
index range run side by side on threads. A kernel that is launched here takes its first index
as its last argument, and its results do not depend on how the range was cut: every element
that it writes belongs to exactly one block.
"""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import warp as wp

wp.config.log_level = wp.LOG_WARNING


def available_cores() -> int:
    """How many cores this process may use, which can be fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        return os.cpu_count() or 1


CORES = available_cores()

_threads = ThreadPoolExecutor(CORES, thread_name_prefix="neuron-cpu")
_loading = threading.Lock()


def _start_threads() -> None:
    """A forked process has none of its parent's threads."""
    global _threads
    _threads = ThreadPoolExecutor(CORES, thread_name_prefix="neuron-cpu")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_threads)


def launch(
    kernel: wp.Kernel,
    arguments: Sequence[object],
    blocks: int,
    block_size: int = 1,
    *,
    device: str = "cpu",
    slices: int = CORES,
    stream: wp.Stream | None = None,
) -> None:
    """Run `kernel` for `blocks * block_size` indices and wait for it on a CPU.

    On the CPU the blocks are cut into `slices` parts of whole blocks; uneven work wants many,
    work below about 0.2 ms wants one. Warp's atomics are plain additions there, so indices of
    different blocks must not write to the same element. On CUDA everything is one launch on
    `stream`, or on Warp's current stream, and the call returns before it is done.
    """
    if blocks <= 0:
        return
    if device != "cpu":
        wp.launch(kernel, blocks * block_size, [*arguments, 0], device=device, stream=stream)
        return
    load(kernel)

    def run(first: int, end: int) -> None:
        count = (end - first) * block_size
        wp.launch(kernel, count, [*arguments, first * block_size], device="cpu")

    slices = min(slices, blocks)
    if slices <= 1:
        run(0, blocks)
        return
    bounds = [blocks * part // slices for part in range(slices + 1)]
    list(_threads.map(run, bounds[:-1], bounds[1:]))


def load(kernel: wp.Kernel) -> None:
    """Compile or load the kernel's module for the CPU, once, before threads need it."""
    with _loading:
        kernel.module.load(
            "cpu", block_dim=1
        )  # as a launch on a CPU has it; another would be compiled as well
