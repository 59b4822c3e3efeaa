"""Multiresolution hash encoding of points in the unit cube (Müller et al. 2022).

Letters in shapes: N points, L levels, T rows of a level's table, F features of a row. Points
outside [0, 1] are extrapolated from the border cell. Arrays are float32 and may be anything
that `arrays.view` takes; all arrays of a call lie on one device.

A level has `resolution` cells along each side. Levels whose `(resolution + 1) ** 3` corners
fit into the table index it densely, x fastest; finer ones by the spatial hash of the corner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import warp as wp

from neuron_core.kernels.arrays import device_of, view
from neuron_core.kernels.launch import CORES, launch

PRIME_Y = 2654435761
PRIME_Z = 805459861

_CHUNK = 1024  # points of one level that one CPU index handles; results do not depend on it
_SMALL = 4096  # fewer points are not worth waking threads for


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
    _run(_ENCODE, spec, points, lambda see: [see.tables(tables), see.features(out)])


def encode_backward(spec: HashGridSpec, points: Any, grad_out: Any, grad_tables: Any) -> None:
    """Add the gradient with respect to the tables to `grad_tables` [L, T, F]. `grad_out` is [N, L*F]."""
    _run(
        _ENCODE_BACKWARD,
        spec,
        points,
        lambda see: [see.features(grad_out), see.tables(grad_tables)],
        whole_levels=True,
    )


def encode_point_gradient(
    spec: HashGridSpec, points: Any, tables: Any, grad_out: Any, grad_points: Any
) -> None:
    """Write the gradient with respect to the points to `grad_points` [N, 3]. `grad_out` is [N, L*F].

    The features are continuous but have kinks where cells meet; there the gradient is that of
    the cell above, at 1 that of the last cell.
    """
    _run(
        _POINT_GRADIENT,
        spec,
        points,
        lambda see: [see.tables(tables), see.features(grad_out), see.vectors(grad_points)],
        all_levels=True,
    )


def encode_directional(spec: HashGridSpec, points: Any, directions: Any, tables: Any, out: Any) -> None:
    """Write how the features change along `directions` [N, 3], per unit of them, to `out` [N, L*F].

    It is also the derivative of `encode_point_gradient` with respect to its `grad_out`, applied
    to `directions`.
    """
    _run(
        _DIRECTIONAL,
        spec,
        points,
        lambda see: [see.vectors(directions), see.tables(tables), see.features(out)],
    )


def encode_directional_backward(
    spec: HashGridSpec, points: Any, directions: Any, grad_out: Any, grad_tables: Any
) -> None:
    """Add the gradient of `encode_directional` with respect to the tables to `grad_tables` [L, T, F].

    It is also the gradient of `<encode_point_gradient(...), directions>` with respect to the
    tables: what a loss on normals needs.
    """
    _run(
        _DIRECTIONAL_BACKWARD,
        spec,
        points,
        lambda see: [see.vectors(directions), see.features(grad_out), see.tables(grad_tables)],
        whole_levels=True,
    )


@dataclass(frozen=True, slots=True)
class _Views:
    spec: HashGridSpec
    count: int

    def vectors(self, array: Any) -> wp.array:
        return view(array, wp.vec3f, [self.count])

    def tables(self, array: Any) -> wp.array:
        return view(array, _ROW_TYPES[self.spec.features], [self.spec.levels * self.spec.table_size])

    def features(self, array: Any) -> wp.array:
        return view(array, _ROW_TYPES[self.spec.features], [self.count * self.spec.levels])


def _run(
    kernels: dict[int, wp.Kernel],
    spec: HashGridSpec,
    points: Any,
    arguments: Callable[[_Views], list[wp.array]],
    whole_levels: bool = False,
    all_levels: bool = False,
) -> None:
    """Launch levels outermost, in chunks of points; one CPU thread per level where levels are summed into."""
    count = int(points.shape[0])
    device = device_of(points)
    views = _Views(spec, count)
    chunk = _CHUNK if device == "cpu" else 1
    chunks = (count + chunk - 1) // chunk
    shared = [views.vectors(points), *arguments(views), _resolutions(spec, device), spec.table_size, chunk]
    levels = 1 if all_levels else spec.levels
    blocks, block_size = (levels, chunks) if whole_levels else (levels * chunks, 1)
    slices = 1 if count < _SMALL else (min(CORES, levels) if whole_levels else 4 * CORES)
    if count:
        launch(kernels[spec.features], shared, blocks, block_size, device=device, slices=slices)


@lru_cache(maxsize=64)
def _resolutions(spec: HashGridSpec, device: str) -> wp.array:
    return wp.array(spec.resolutions, dtype=wp.int32, device=device)


@wp.struct
class Cell:
    """Where a point lies in a level: the rows of its cell's corners and its place among them."""

    row000: wp.int32  # the digits are x, y, z
    row100: wp.int32
    row010: wp.int32
    row110: wp.int32
    row001: wp.int32
    row101: wp.int32
    row011: wp.int32
    row111: wp.int32
    place: wp.vec3f


@wp.func
def find_cell(point: wp.vec3f, resolution: wp.int32, table_size: wp.int32, first_row: wp.int32) -> Cell:
    """The cell of a point; a point on a border between cells belongs to the upper one."""
    scaled = point * wp.float32(resolution)
    x = wp.clamp(wp.int32(scaled[0]), 0, resolution - 1)
    y = wp.clamp(wp.int32(scaled[1]), 0, resolution - 1)
    z = wp.clamp(wp.int32(scaled[2]), 0, resolution - 1)
    cell = Cell()
    cell.place = scaled - wp.vec3f(wp.float32(x), wp.float32(y), wp.float32(z))
    side = resolution + 1
    if wp.int64(side) * wp.int64(side) * wp.int64(side) <= wp.int64(table_size):
        cell.row000 = first_row + x + side * (y + side * z)
        cell.row010 = cell.row000 + side
        cell.row001 = cell.row000 + side * side
        cell.row011 = cell.row001 + side
        cell.row100 = cell.row000 + 1
        cell.row110 = cell.row010 + 1
        cell.row101 = cell.row001 + 1
        cell.row111 = cell.row011 + 1
    else:
        mask = wp.uint32(table_size - 1)
        hash_y = wp.uint32(y) * wp.static(wp.uint32(PRIME_Y))
        hash_z = wp.uint32(z) * wp.static(wp.uint32(PRIME_Z))
        hash_y1 = hash_y + wp.static(wp.uint32(PRIME_Y))
        hash_z1 = hash_z + wp.static(wp.uint32(PRIME_Z))
        hash_x = wp.uint32(x)
        hash_x1 = hash_x + wp.uint32(1)
        cell.row000 = first_row + wp.int32((hash_x ^ hash_y ^ hash_z) & mask)
        cell.row100 = first_row + wp.int32((hash_x1 ^ hash_y ^ hash_z) & mask)
        cell.row010 = first_row + wp.int32((hash_x ^ hash_y1 ^ hash_z) & mask)
        cell.row110 = first_row + wp.int32((hash_x1 ^ hash_y1 ^ hash_z) & mask)
        cell.row001 = first_row + wp.int32((hash_x ^ hash_y ^ hash_z1) & mask)
        cell.row101 = first_row + wp.int32((hash_x1 ^ hash_y ^ hash_z1) & mask)
        cell.row011 = first_row + wp.int32((hash_x ^ hash_y1 ^ hash_z1) & mask)
        cell.row111 = first_row + wp.int32((hash_x1 ^ hash_y1 ^ hash_z1) & mask)
    return cell


@wp.kernel(enable_backward=False)
def encode_kernel(
    points: wp.array[wp.vec3f],  # [N]
    tables: wp.array[Any],  # [L * T]
    out: wp.array[Any],  # [N * L]
    resolutions: wp.array[wp.int32],  # [L]
    table_size: wp.int32,
    chunk: wp.int32,
    first: wp.int32,
) -> None:
    """One index per level and chunk of points, levels outermost. Writes its points' features of the level."""
    levels = resolutions.shape[0]
    chunks = (points.shape[0] + chunk - 1) // chunk
    index = first + wp.tid()
    level = index // chunks
    begin = (index % chunks) * chunk
    resolution = resolutions[level]
    for point in range(begin, wp.min(begin + chunk, points.shape[0])):
        cell = find_cell(points[point], resolution, table_size, level * table_size)
        x = cell.place[0]
        y = cell.place[1]
        z = cell.place[2]
        near = (1.0 - y) * ((1.0 - x) * tables[cell.row000] + x * tables[cell.row100])
        near += y * ((1.0 - x) * tables[cell.row010] + x * tables[cell.row110])
        far = (1.0 - y) * ((1.0 - x) * tables[cell.row001] + x * tables[cell.row101])
        far += y * ((1.0 - x) * tables[cell.row011] + x * tables[cell.row111])
        out[point * levels + level] = (1.0 - z) * near + z * far


@wp.kernel(enable_backward=False)
def encode_backward_kernel(
    points: wp.array[wp.vec3f],  # [N]
    grad_out: wp.array[Any],  # [N * L]
    grad_tables: wp.array[Any],  # [L * T], added to
    resolutions: wp.array[wp.int32],  # [L]
    table_size: wp.int32,
    chunk: wp.int32,
    first: wp.int32,
) -> None:
    """One index per level and chunk of points, levels outermost: a CPU block is a whole level."""
    levels = resolutions.shape[0]
    chunks = (points.shape[0] + chunk - 1) // chunk
    index = first + wp.tid()
    level = index // chunks
    begin = (index % chunks) * chunk
    resolution = resolutions[level]
    for point in range(begin, wp.min(begin + chunk, points.shape[0])):
        cell = find_cell(points[point], resolution, table_size, level * table_size)
        gradient = grad_out[point * levels + level]
        x = cell.place[0]
        y = cell.place[1]
        z = cell.place[2]
        grad_tables[cell.row000] += ((1.0 - x) * (1.0 - y) * (1.0 - z)) * gradient  # atomic on CUDA only
        grad_tables[cell.row100] += (x * (1.0 - y) * (1.0 - z)) * gradient
        grad_tables[cell.row010] += ((1.0 - x) * y * (1.0 - z)) * gradient
        grad_tables[cell.row110] += (x * y * (1.0 - z)) * gradient
        grad_tables[cell.row001] += ((1.0 - x) * (1.0 - y) * z) * gradient
        grad_tables[cell.row101] += (x * (1.0 - y) * z) * gradient
        grad_tables[cell.row011] += ((1.0 - x) * y * z) * gradient
        grad_tables[cell.row111] += (x * y * z) * gradient


@wp.kernel(enable_backward=False)
def point_gradient_kernel(
    points: wp.array[wp.vec3f],  # [N]
    tables: wp.array[Any],  # [L * T]
    grad_out: wp.array[Any],  # [N * L]
    grad_points: wp.array[wp.vec3f],  # [N]
    resolutions: wp.array[wp.int32],  # [L]
    table_size: wp.int32,
    chunk: wp.int32,
    first: wp.int32,
) -> None:
    """One index per chunk of points. Writes their gradients, summed over the levels."""
    levels = resolutions.shape[0]
    begin = (first + wp.tid()) * chunk
    for point in range(begin, wp.min(begin + chunk, points.shape[0])):
        total = wp.vec3f()
        for level in range(levels):
            resolution = resolutions[level]
            cell = find_cell(points[point], resolution, table_size, level * table_size)
            gradient = grad_out[point * levels + level]
            v000 = wp.dot(tables[cell.row000], gradient)
            v100 = wp.dot(tables[cell.row100], gradient)
            v010 = wp.dot(tables[cell.row010], gradient)
            v110 = wp.dot(tables[cell.row110], gradient)
            v001 = wp.dot(tables[cell.row001], gradient)
            v101 = wp.dot(tables[cell.row101], gradient)
            v011 = wp.dot(tables[cell.row011], gradient)
            v111 = wp.dot(tables[cell.row111], gradient)
            x = cell.place[0]
            y = cell.place[1]
            z = cell.place[2]
            along_x = (1.0 - z) * ((1.0 - y) * (v100 - v000) + y * (v110 - v010))
            along_x += z * ((1.0 - y) * (v101 - v001) + y * (v111 - v011))
            along_y = (1.0 - z) * ((1.0 - x) * (v010 - v000) + x * (v110 - v100))
            along_y += z * ((1.0 - x) * (v011 - v001) + x * (v111 - v101))
            along_z = (1.0 - y) * ((1.0 - x) * (v001 - v000) + x * (v101 - v100))
            along_z += y * ((1.0 - x) * (v011 - v010) + x * (v111 - v110))
            total += wp.float32(resolution) * wp.vec3f(along_x, along_y, along_z)
        grad_points[point] = total


@wp.func
def corner_slope(place: wp.vec3f, speed: wp.vec3f, x: wp.float32, y: wp.float32, z: wp.float32) -> wp.float32:
    """How fast the weight of the corner (x, y, z), each 0 or 1, grows while the place moves with `speed`."""
    sign = 2.0 * wp.vec3f(x, y, z) - wp.vec3f(1.0, 1.0, 1.0)
    weight = wp.vec3f(1.0 - x, 1.0 - y, 1.0 - z) + wp.cw_mul(sign, place)
    slope = sign[0] * speed[0] * weight[1] * weight[2]
    slope += sign[1] * speed[1] * weight[0] * weight[2]
    slope += sign[2] * speed[2] * weight[0] * weight[1]
    return slope


@wp.kernel(enable_backward=False)
def directional_kernel(
    points: wp.array[wp.vec3f],  # [N]
    directions: wp.array[wp.vec3f],  # [N]
    tables: wp.array[Any],  # [L * T]
    out: wp.array[Any],  # [N * L]
    resolutions: wp.array[wp.int32],  # [L]
    table_size: wp.int32,
    chunk: wp.int32,
    first: wp.int32,
) -> None:
    """One index per level and chunk of points, levels outermost. Writes its points' slopes of the level."""
    levels = resolutions.shape[0]
    chunks = (points.shape[0] + chunk - 1) // chunk
    index = first + wp.tid()
    level = index // chunks
    begin = (index % chunks) * chunk
    resolution = resolutions[level]
    for point in range(begin, wp.min(begin + chunk, points.shape[0])):
        cell = find_cell(points[point], resolution, table_size, level * table_size)
        speed = wp.float32(resolution) * directions[point]
        total = corner_slope(cell.place, speed, 0.0, 0.0, 0.0) * tables[cell.row000]
        total += corner_slope(cell.place, speed, 1.0, 0.0, 0.0) * tables[cell.row100]
        total += corner_slope(cell.place, speed, 0.0, 1.0, 0.0) * tables[cell.row010]
        total += corner_slope(cell.place, speed, 1.0, 1.0, 0.0) * tables[cell.row110]
        total += corner_slope(cell.place, speed, 0.0, 0.0, 1.0) * tables[cell.row001]
        total += corner_slope(cell.place, speed, 1.0, 0.0, 1.0) * tables[cell.row101]
        total += corner_slope(cell.place, speed, 0.0, 1.0, 1.0) * tables[cell.row011]
        total += corner_slope(cell.place, speed, 1.0, 1.0, 1.0) * tables[cell.row111]
        out[point * levels + level] = total


@wp.kernel(enable_backward=False)
def directional_backward_kernel(
    points: wp.array[wp.vec3f],  # [N]
    directions: wp.array[wp.vec3f],  # [N]
    grad_out: wp.array[Any],  # [N * L]
    grad_tables: wp.array[Any],  # [L * T], added to
    resolutions: wp.array[wp.int32],  # [L]
    table_size: wp.int32,
    chunk: wp.int32,
    first: wp.int32,
) -> None:
    """One index per level and chunk of points, levels outermost: a CPU block is a whole level."""
    levels = resolutions.shape[0]
    chunks = (points.shape[0] + chunk - 1) // chunk
    index = first + wp.tid()
    level = index // chunks
    begin = (index % chunks) * chunk
    resolution = resolutions[level]
    for point in range(begin, wp.min(begin + chunk, points.shape[0])):
        cell = find_cell(points[point], resolution, table_size, level * table_size)
        speed = wp.float32(resolution) * directions[point]
        gradient = grad_out[point * levels + level]
        grad_tables[cell.row000] += corner_slope(cell.place, speed, 0.0, 0.0, 0.0) * gradient
        grad_tables[cell.row100] += corner_slope(cell.place, speed, 1.0, 0.0, 0.0) * gradient
        grad_tables[cell.row010] += corner_slope(cell.place, speed, 0.0, 1.0, 0.0) * gradient
        grad_tables[cell.row110] += corner_slope(cell.place, speed, 1.0, 1.0, 0.0) * gradient
        grad_tables[cell.row001] += corner_slope(cell.place, speed, 0.0, 0.0, 1.0) * gradient
        grad_tables[cell.row101] += corner_slope(cell.place, speed, 1.0, 0.0, 1.0) * gradient
        grad_tables[cell.row011] += corner_slope(cell.place, speed, 0.0, 1.0, 1.0) * gradient
        grad_tables[cell.row111] += corner_slope(cell.place, speed, 1.0, 1.0, 1.0) * gradient


_ROW_TYPES = {2: wp.vec2f, 4: wp.vec4f}


def _for_rows(kernel: wp.Kernel, *names: str) -> dict[int, wp.Kernel]:
    """The kernel for every number of features; `names` are the arguments made of rows."""
    return {
        features: wp.overload(kernel, {name: wp.array(dtype=row) for name in names})
        for features, row in _ROW_TYPES.items()
    }


_ENCODE = _for_rows(encode_kernel, "tables", "out")
_ENCODE_BACKWARD = _for_rows(encode_backward_kernel, "grad_out", "grad_tables")
_POINT_GRADIENT = _for_rows(point_gradient_kernel, "tables", "grad_out")
_DIRECTIONAL = _for_rows(directional_kernel, "tables", "out")
_DIRECTIONAL_BACKWARD = _for_rows(directional_backward_kernel, "grad_out", "grad_tables")
