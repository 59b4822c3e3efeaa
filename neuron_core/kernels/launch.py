"""Run Warp kernels on arrays of any library, on all cores of a CPU or on a CUDA device.

Arrays are seen as Warp arrays without a copy: numpy and Warp arrays, torch tensors (recognized by
their methods, torch is never imported here), and whatever speaks `__array_interface__` or
`__cuda_array_interface__`.

Warp runs a CPU launch on one core but releases the interpreter meanwhile, so slices of the
index range run side by side on threads. A kernel that is launched here takes its first index
as its last argument, and its results do not depend on how the range was cut: every element
that it writes belongs to exactly one block.
"""

import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import warp as wp

wp.config.log_level = wp.LOG_WARNING

_TYPE_NAMES = {
    "float32": wp.float32,
    "<f4": wp.float32,
    "int32": wp.int32,
    "<i4": wp.int32,
    "uint32": wp.uint32,
    "<u4": wp.uint32,
    "uint8": wp.uint8,
    "|u1": wp.uint8,
}


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


def device_of(array: object) -> str:
    """The Warp name of the device that holds `array`: "cpu" or "cuda:0", "cuda:1", ..."""
    if hasattr(array, "__array_interface__"):
        return "cpu"
    return str(wp.get_device(str(getattr(array, "device", "cuda"))))


def view(array: object, dtype: type, shape: Sequence[int]) -> wp.array:
    """`array` as a Warp array of `shape` elements of `dtype`; both share one memory.

    `dtype` may be a vector type of the array's scalars: a [N, 3] float32 array is also a [N]
    array of vec3f. Raises TypeError for another scalar type and ValueError if the array has
    another number of scalars or gaps in memory. The caller keeps `array` alive.
    """
    name, pointer, count, packed = _describe(array)
    scalar = getattr(dtype, "_wp_scalar_type_", dtype)
    if _TYPE_NAMES.get(name) is not scalar:
        raise TypeError(f"An array of {name} where {scalar.__name__} is needed.")
    width = getattr(dtype, "_length_", 1)
    if count != math.prod(shape) * width:
        raise ValueError(f"An array of {count} scalars where {tuple(shape)} of {dtype.__name__} are needed.")
    if not packed:
        raise ValueError("The array has gaps in memory; pass a contiguous one.")
    return wp.array(ptr=pointer or None, dtype=dtype, shape=tuple(shape), device=device_of(array))


def _describe(array: object) -> tuple[str, int, int, bool]:
    """Scalar type, address, number of scalars, and whether they lie side by side in C order."""
    if hasattr(array, "data_ptr"):
        name = str(array.dtype).removeprefix("torch.")
        return name, array.data_ptr(), array.numel(), array.is_contiguous()
    on_cpu = hasattr(array, "__array_interface__")
    interface = array.__array_interface__ if on_cpu else array.__cuda_array_interface__
    shape = tuple(interface["shape"])
    size = int(interface["typestr"][2:])
    strides = interface.get("strides")
    packed = strides is None or math.prod(shape) == 0 or _is_packed(shape, tuple(strides), size)
    return interface["typestr"], interface["data"][0], math.prod(shape), packed


def _is_packed(shape: tuple[int, ...], strides: tuple[int, ...], size: int) -> bool:
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length > 1 and stride != size:
            return False
        size *= length
    return True
