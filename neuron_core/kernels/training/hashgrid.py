"""Multiresolution hash encoding of points in the unit cube (Müller et al. 2022).

Letters in shapes: N points, L levels, T rows of a level's table, F features of a row. Points
outside [0, 1] are extrapolated from the border cell. Arrays are float32 and may be anything
that `launch.view` takes; all arrays of a call lie on one device.

A level has `resolution` cells along each side. Levels whose `(resolution + 1) ** 3` corners
fit into the table index it densely, x fastest; finer ones by the spatial hash of the corner.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import warp as wp

from neuron_core.kernels.assembly import compiled_with
from neuron_core.kernels.launch import CORES, device_of, launch, view

PRIME_Y = 2654435761  # the hash of a corner is x ^ (y * PRIME_Y) ^ (z * PRIME_Z)
PRIME_Z = 805459861

_CHUNK = 1024  # points of one level that one CPU index handles; results do not depend on it
_SMALL = 4096  # fewer points are not worth waking threads for

Operation = Literal["encode", "backward", "slope"]


@dataclass(frozen=True, slots=True)
class HashGridSpec:
    """The shape of an encoding. Resolutions grow geometrically from base to finest."""

    levels: int = 8
    features: int = 2  # 2 or 4
    table_size_log2: int = 15
    base_resolution: int = 16
    finest_resolution: int = 256

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be encoded."""
        if self.features not in (2, 4):
            raise ValueError(f"features is {self.features}; it must be 2 or 4.")
        if not 1 <= self.levels <= 32:
            raise ValueError(f"levels is {self.levels}; it must be in 1..32.")
        if not 6 <= self.table_size_log2 <= 24:
            raise ValueError(f"table_size_log2 is {self.table_size_log2}; it must be in 6..24.")
        if not 1 <= self.base_resolution <= self.finest_resolution <= 1 << 16:
            raise ValueError(
                f"base and finest resolution are {self.base_resolution} and {self.finest_resolution}; "
                "they must ascend within 1..65536."
            )

    @property
    def table_size(self) -> int:
        """T, the rows of each level's table."""
        return 1 << self.table_size_log2

    @property
    def table_shape(self) -> tuple[int, int, int]:
        """[L, T, F]."""
        return self.levels, self.table_size, self.features

    @property
    def width(self) -> int:
        """L * F, the numbers that a point is encoded in, levels outermost."""
        return self.levels * self.features

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Cells along a side, coarse to fine."""
        if self.levels == 1:
            return (self.base_resolution,)
        growth = self.finest_resolution / self.base_resolution
        return tuple(
            round(self.base_resolution * growth ** (level / (self.levels - 1)))
            for level in range(self.levels)
        )

    def is_dense(self, level: int) -> bool:
        """Whether the level has a row for each of its corners."""
        return (self.resolutions[level] + 1) ** 3 <= self.table_size


def encode(spec: HashGridSpec, points: Any, tables: Any, out: Any) -> None:
    """Write the features of `points` [N, 3], interpolated from `tables` [L, T, F], to `out` [N, L*F]."""
    _run("encode", spec, points, tables, out)


def encode_backward(spec: HashGridSpec, points: Any, grad_out: Any, grad_tables: Any) -> None:
    """Add the gradient with respect to the tables to `grad_tables` [L, T, F]. `grad_out` is [N, L*F]."""
    _run("backward", spec, points, grad_tables, grad_out)


def encode_point_gradient(
    spec: HashGridSpec, points: Any, tables: Any, grad_out: Any, grad_points: Any
) -> None:
    """Write the gradient with respect to the points to `grad_points` [N, 3]. `grad_out` is [N, L*F].

    The features are continuous but have kinks where cells meet; there the gradient is that of
    the cell above, at 1 that of the last cell.
    """
    _run("slope", spec, points, tables, grad_out, grad_points)


@wp.struct
class HashCall:
    """What an operation reads and writes."""

    points: wp.array[wp.float32]  # [N * 3]
    slopes: wp.array[wp.float32]  # [N * 3], written by one of them
    tables: wp.array[wp.float32]  # [L * T * F]
    features: wp.array[wp.float32]  # [N * L * F], or their gradients
    resolutions: wp.array[wp.int32]  # [L]
    table_size: wp.int32
    chunk: wp.int32  # points of one level that one index handles


def _run(
    operation: Operation, spec: HashGridSpec, points: Any, tables: Any, features: Any, slopes: Any = None
) -> None:
    """Launch an operation so that no two threads of a CPU write to the same element."""
    device, count = device_of(points), int(points.shape[0])
    call = HashCall()
    call.points = view(points, wp.float32, [count * 3])
    if slopes is not None:
        call.slopes = view(slopes, wp.float32, [count * 3])
    call.tables = view(tables, wp.float32, [spec.levels * spec.table_size * spec.features])
    call.features = view(features, wp.float32, [count * spec.width])
    call.resolutions = _resolutions(spec, device)
    call.table_size = spec.table_size
    call.chunk = _CHUNK if device == "cpu" else 1
    chunks = -(-count // call.chunk)
    blocks, block_size, slices = {
        "encode": (spec.levels * chunks, 1, 4 * CORES),
        "backward": (spec.levels if count else 0, chunks, CORES),
        "slope": (chunks, 1, 4 * CORES),
    }[operation]
    kernel = KERNELS[spec.features][operation]
    slices = 1 if count < _SMALL else slices
    launch(kernel, [call], blocks, block_size, device=device, slices=slices)


@lru_cache(maxsize=64)
def _resolutions(spec: HashGridSpec, device: str) -> wp.array:
    return wp.array(spec.resolutions, dtype=wp.int32, device=device)


def _kernels(features: int) -> dict[Operation, wp.Kernel]:
    """The kernels for a number of features, compiled together when one of them first runs."""
    module = wp.get_module(f"neuron_hashgrid_{features}")
    wp.set_module_options(
        compiled_with(("hashgrid.h",), {"PRIME_Y": PRIME_Y, "PRIME_Z": PRIME_Z}), module=module
    )
    return {
        "encode": _over_levels(features, "encode", module),
        "backward": _over_levels(features, "backward", module),
        "slope": _over_chunks(features, "slope", module),
    }


def _work(features: int, operation: Operation) -> Any:
    """A Warp function that does an operation for the points [begin, end) of one level."""

    def work(call: HashCall, level: wp.int32, begin: wp.int32, end: wp.int32) -> None: ...

    work.__name__ = work.__qualname__ = f"{operation}_of_{features}"
    template = f"neuron::work_on<{features}, neuron::Operation::{operation}>"
    return wp.func_native(f"{template}(call, level, begin, end);")(work)


def _over_levels(features: int, operation: Operation, module: wp.Module) -> wp.Kernel:
    work = _work(features, operation)

    @wp.kernel(enable_backward=False, name=operation, module=module)
    def kernel(call: HashCall, first: wp.int32) -> None:
        """One index per level and chunk of points, levels outermost.

        It writes its points' features of the level, or adds to the level's table: then a CPU
        block must be a whole level.
        """
        count = call.points.shape[0] // 3
        chunks = (count + call.chunk - 1) // call.chunk
        index = first + wp.tid()
        begin = (index % chunks) * call.chunk
        work(call, index // chunks, begin, wp.min(begin + call.chunk, count))

    return kernel


def _over_chunks(features: int, operation: Operation, module: wp.Module) -> wp.Kernel:
    work = _work(features, operation)

    @wp.kernel(enable_backward=False, name=operation, module=module)
    def kernel(call: HashCall, first: wp.int32) -> None:
        """One index per chunk of points. It writes their slopes, summed over the levels."""
        begin = (first + wp.tid()) * call.chunk
        end = wp.min(begin + call.chunk, call.points.shape[0] // 3)
        for level in range(call.resolutions.shape[0]):
            work(call, level, begin, end)

    return kernel


KERNELS = {features: _kernels(features) for features in (2, 4)}
