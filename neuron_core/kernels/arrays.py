"""Arrays of any library, seen as Warp arrays without a copy.

Accepted are numpy and Warp arrays, torch tensors (recognized by their methods, torch is never
imported here), and whatever speaks `__array_interface__` or `__cuda_array_interface__`.
"""

import math
from collections.abc import Sequence

import warp as wp

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
