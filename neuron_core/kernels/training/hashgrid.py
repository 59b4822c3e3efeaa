"""Multiresolution hash encoding of points in the unit cube (Müller et al. 2022).

Letters in shapes: N points, L levels, T rows of a level's table, F features of a row. Points
outside [0, 1] are extrapolated from the border cell. Arrays are float32 and may be anything
that `arrays.view` takes; all arrays of a call lie on one device.

A level has `resolution` cells along each side. Levels whose `(resolution + 1) ** 3` corners
fit into the table index it densely, x fastest; finer ones by the spatial hash of the corner.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import warp as wp

from neuron_core.kernels.arrays import device_of, view
from neuron_core.kernels.launch import CORES, launch

PRIME_Y = 2654435761  # the hash of a corner is x ^ (y * PRIME_Y) ^ (z * PRIME_Z)
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
    see = _Views(spec, points)
    _run("encode", see, see.points, tables, out)


def encode_backward(spec: HashGridSpec, points: Any, grad_out: Any, grad_tables: Any) -> None:
    """Add the gradient with respect to the tables to `grad_tables` [L, T, F]. `grad_out` is [N, L*F]."""
    see = _Views(spec, points)
    _run("encode_backward", see, see.points, grad_tables, grad_out, "levels")


def encode_point_gradient(
    spec: HashGridSpec, points: Any, tables: Any, grad_out: Any, grad_points: Any
) -> None:
    """Write the gradient with respect to the points to `grad_points` [N, 3]. `grad_out` is [N, L*F].

    The features are continuous but have kinks where cells meet; there the gradient is that of
    the cell above, at 1 that of the last cell.
    """
    see = _Views(spec, points)
    _run("point_gradient", see, see.vectors(grad_points), tables, grad_out, "chunks")


def encode_directional(spec: HashGridSpec, points: Any, directions: Any, tables: Any, out: Any) -> None:
    """Write how the features change along `directions` [N, 3], per unit of them, to `out` [N, L*F].

    It is also the derivative of `encode_point_gradient` with respect to its `grad_out`, applied
    to `directions`.
    """
    see = _Views(spec, points)
    _run("directional", see, see.vectors(directions), tables, out)


def encode_directional_backward(
    spec: HashGridSpec, points: Any, directions: Any, grad_out: Any, grad_tables: Any
) -> None:
    """Add the gradient of `encode_directional` with respect to the tables to `grad_tables` [L, T, F].

    It is also the gradient of `<encode_point_gradient(...), directions>` with respect to the
    tables: what a loss on normals needs.
    """
    see = _Views(spec, points)
    _run("directional_backward", see, see.vectors(directions), grad_tables, grad_out, "levels")


class _Views:
    """The arrays of one call as flat Warp arrays, their sizes checked."""

    def __init__(self, spec: HashGridSpec, points: Any) -> None:
        self.spec = spec
        self.count = int(points.shape[0])
        self.device = device_of(points)
        self.points = self.vectors(points)

    def vectors(self, array: Any) -> wp.array:
        return view(array, wp.float32, [self.count * 3])

    def tables(self, array: Any) -> wp.array:
        return view(array, wp.float32, [self.spec.levels * self.spec.table_size * self.spec.features])

    def features(self, array: Any) -> wp.array:
        return view(array, wp.float32, [self.count * self.spec.width])


def _run(
    operation: str,
    see: _Views,
    vectors: wp.array,
    tables: Any,
    features: Any,
    alone: Literal["chunks of levels", "levels", "chunks"] = "chunks of levels",
) -> None:
    """Launch an operation; `alone` is what one CPU thread must or may have for itself."""
    spec = see.spec
    chunk = _CHUNK if see.device == "cpu" else 1
    chunks = (see.count + chunk - 1) // chunk
    blocks, block_size, slices = {
        "chunks of levels": (spec.levels * chunks, 1, 4 * CORES),
        "levels": (spec.levels, chunks, CORES),
        "chunks": (chunks, 1, 4 * CORES),
    }[alone]
    arguments = [
        see.points,
        vectors,
        see.tables(tables),
        see.features(features),
        _resolutions(spec, see.device),
        spec.table_size,
        chunk,
    ]
    launch(
        _KERNELS[spec.features][operation],
        arguments,
        blocks if see.count else 0,
        block_size,
        device=see.device,
        slices=1 if see.count < _SMALL else slices,
    )


@lru_cache(maxsize=64)
def _resolutions(spec: HashGridSpec, device: str) -> wp.array:
    return wp.array(spec.resolutions, dtype=wp.int32, device=device)


# The work of a chunk of one level is C++: the compiler turns its loops over the points of a tile
# into vector code, which it cannot for loops over kernel indices; 2.6 times faster on a CPU. On
# CUDA a tile is one point. Four operations differ in how corners are weighted and in whether they
# read or add to the tables.

_TILES = """
#if defined(__CUDA_ARCH__)
    constexpr int TILE = 1;
#else
    constexpr int TILE = 64;
#endif
    constexpr int FEATURES = FEATURE_COUNT;
    const int side = resolution + 1;
    const bool dense = (long long)side * side * side <= table_size;
    const unsigned mask = (unsigned)table_size - 1u;
    const float scale = (float)resolution;
    const size_t first_row = (size_t)level * (size_t)table_size;
    int row[8][TILE];  // corner 4 * z + 2 * y + x
    float x1[TILE], y1[TILE], z1[TILE];  // place in the cell
    for (int start = begin; start < end; start += TILE) {
        const int count = TILE == 1 || end - start > TILE ? TILE : end - start;
        const float* const place = points.data + 3 * (size_t)start;
        for (int i = 0; i < count; ++i) {
            const float x = place[3 * i] * scale;
            const float y = place[3 * i + 1] * scale;
            const float z = place[3 * i + 2] * scale;
            int cx = (int)x, cy = (int)y, cz = (int)z;
            cx = cx < 0 ? 0 : (cx < resolution ? cx : resolution - 1);
            cy = cy < 0 ? 0 : (cy < resolution ? cy : resolution - 1);
            cz = cz < 0 ? 0 : (cz < resolution ? cz : resolution - 1);
            x1[i] = x - (float)cx;
            y1[i] = y - (float)cy;
            z1[i] = z - (float)cz;
            const unsigned hy = (unsigned)cy * PRIME_Y, hy1 = hy + PRIME_Y;
            const unsigned hz = (unsigned)cz * PRIME_Z, hz1 = hz + PRIME_Z;
            const unsigned hx = (unsigned)cx, hx1 = hx + 1u;
            const int corner = cx + side * (cy + side * cz);
            row[0][i] = dense ? corner : (int)((hx ^ hy ^ hz) & mask);
            row[1][i] = dense ? corner + 1 : (int)((hx1 ^ hy ^ hz) & mask);
            row[2][i] = dense ? corner + side : (int)((hx ^ hy1 ^ hz) & mask);
            row[3][i] = dense ? corner + side + 1 : (int)((hx1 ^ hy1 ^ hz) & mask);
            row[4][i] = dense ? corner + side * side : (int)((hx ^ hy ^ hz1) & mask);
            row[5][i] = dense ? corner + side * side + 1 : (int)((hx1 ^ hy ^ hz1) & mask);
            row[6][i] = dense ? corner + side * side + side : (int)((hx ^ hy1 ^ hz1) & mask);
            row[7][i] = dense ? corner + side * side + side + 1 : (int)((hx1 ^ hy1 ^ hz1) & mask);
        }
"""

_WEIGHTS = """
        float weight[8][TILE];
        for (int i = 0; i < count; ++i) {
            const float x = x1[i], y = y1[i], z = z1[i];
            const float x0 = 1.0f - x, y0 = 1.0f - y, z0 = 1.0f - z;
            weight[0][i] = x0 * y0 * z0;
            weight[1][i] = x * y0 * z0;
            weight[2][i] = x0 * y * z0;
            weight[3][i] = x * y * z0;
            weight[4][i] = x0 * y0 * z;
            weight[5][i] = x * y0 * z;
            weight[6][i] = x0 * y * z;
            weight[7][i] = x * y * z;
        }
"""

_SLOPES = """
        float weight[8][TILE];  // how fast the weights grow along the direction
        for (int i = 0; i < count; ++i) {
            const float x = x1[i], y = y1[i], z = z1[i];
            const float x0 = 1.0f - x, y0 = 1.0f - y, z0 = 1.0f - z;
            const float dx = vectors.data[3 * (start + i)] * scale;
            const float dy = vectors.data[3 * (start + i) + 1] * scale;
            const float dz = vectors.data[3 * (start + i) + 2] * scale;
            weight[0][i] = -dx * y0 * z0 - dy * x0 * z0 - dz * x0 * y0;
            weight[1][i] = dx * y0 * z0 - dy * x * z0 - dz * x * y0;
            weight[2][i] = -dx * y * z0 + dy * x0 * z0 - dz * x0 * y;
            weight[3][i] = dx * y * z0 + dy * x * z0 - dz * x * y;
            weight[4][i] = -dx * y0 * z - dy * x0 * z + dz * x0 * y0;
            weight[5][i] = dx * y0 * z - dy * x * z + dz * x * y0;
            weight[6][i] = -dx * y * z + dy * x0 * z + dz * x0 * y;
            weight[7][i] = dx * y * z + dy * x * z + dz * x * y;
        }
"""

_READ = """
        const float* const table = tables.data + FEATURES * first_row;
        for (int i = 0; i < count; ++i) {
            float sum[FEATURES] = {};
            for (int corner = 0; corner < 8; ++corner)
                for (int feature = 0; feature < FEATURES; ++feature)
                    sum[feature] += weight[corner][i] * table[FEATURES * row[corner][i] + feature];
            float* const to = features.data + FEATURES * ((size_t)(start + i) * levels + level);
            for (int feature = 0; feature < FEATURES; ++feature)
                to[feature] = sum[feature];
        }
    }
"""

_ADD = """
        float* const table = tables.data + FEATURES * first_row;
        for (int i = 0; i < count; ++i) {
            const float* const from = features.data + FEATURES * ((size_t)(start + i) * levels + level);
            float gradient[FEATURES];
            for (int feature = 0; feature < FEATURES; ++feature)
                gradient[feature] = from[feature];
            for (int corner = 0; corner < 8; ++corner)
                for (int feature = 0; feature < FEATURES; ++feature) {
                    float* const to = table + FEATURES * row[corner][i] + feature;
#if defined(__CUDA_ARCH__)
                    atomicAdd(to, weight[corner][i] * gradient[feature]);
#else
                    *to += weight[corner][i] * gradient[feature];
#endif
                }
        }
    }
"""

_POINT_SLOPES = """
        const float* const table = tables.data + FEATURES * first_row;
        float value[8][TILE];  // of the corners, along the gradient
        for (int i = 0; i < count; ++i) {
            const float* const from = features.data + FEATURES * ((size_t)(start + i) * levels + level);
            for (int corner = 0; corner < 8; ++corner) {
                float sum = 0.0f;
                for (int feature = 0; feature < FEATURES; ++feature)
                    sum += from[feature] * table[FEATURES * row[corner][i] + feature];
                value[corner][i] = sum;
            }
        }
        for (int i = 0; i < count; ++i) {
            const float x = x1[i], y = y1[i], z = z1[i];
            const float x0 = 1.0f - x, y0 = 1.0f - y, z0 = 1.0f - z;
            const float along_x = z0 * (y0 * (value[1][i] - value[0][i]) + y * (value[3][i] - value[2][i]))
                + z * (y0 * (value[5][i] - value[4][i]) + y * (value[7][i] - value[6][i]));
            const float along_y = z0 * (x0 * (value[2][i] - value[0][i]) + x * (value[3][i] - value[1][i]))
                + z * (x0 * (value[6][i] - value[4][i]) + x * (value[7][i] - value[5][i]));
            const float along_z = y0 * (x0 * (value[4][i] - value[0][i]) + x * (value[5][i] - value[1][i]))
                + y * (x0 * (value[6][i] - value[2][i]) + x * (value[7][i] - value[3][i]));
            float* const to = vectors.data + 3 * (size_t)(start + i);
            to[0] = (level > 0 ? to[0] : 0.0f) + scale * along_x;
            to[1] = (level > 0 ? to[1] : 0.0f) + scale * along_y;
            to[2] = (level > 0 ? to[2] : 0.0f) + scale * along_z;
        }
    }
"""


_OPERATIONS = {
    "encode": _WEIGHTS + _READ,
    "encode_backward": _WEIGHTS + _ADD,
    "directional": _SLOPES + _READ,
    "directional_backward": _SLOPES + _ADD,
    "point_gradient": _POINT_SLOPES,
}


def _kernels(features: int) -> dict[str, wp.Kernel]:
    """The kernels for a number of features, compiled together when one of them first runs."""
    module = f"neuron_hashgrid_{features}"
    return {
        name: _over_levels(name, _chunk_work(name, _TILES + code, features), module)
        if name != "point_gradient"
        else _over_chunks(name, _chunk_work(name, _TILES + code, features), module)
        for name, code in _OPERATIONS.items()
    }


def _chunk_work(name: str, code: str, features: int) -> Any:
    """A Warp function that does `code` for the points [begin, end) of one level."""
    for word, value in (("FEATURE_COUNT", features), ("PRIME_Y", f"{PRIME_Y}u"), ("PRIME_Z", f"{PRIME_Z}u")):
        code = code.replace(word, str(value))

    def work(
        points: wp.array[wp.float32],  # [N * 3]
        vectors: wp.array[wp.float32],  # [N * 3] directions, or gradients to be written
        tables: wp.array[wp.float32],  # [L * T * F]
        features: wp.array[wp.float32],  # [N * L * F]
        level: wp.int32,
        levels: wp.int32,
        resolution: wp.int32,
        table_size: wp.int32,
        begin: wp.int32,
        end: wp.int32,
    ) -> None: ...

    work.__name__ = work.__qualname__ = f"{name}_of_{features}"
    return wp.func_native(code)(work)


def _over_levels(name: str, work: Any, module: str) -> wp.Kernel:
    @wp.kernel(enable_backward=False, name=name, module=module)
    def kernel(
        points: wp.array[wp.float32],
        vectors: wp.array[wp.float32],
        tables: wp.array[wp.float32],
        features: wp.array[wp.float32],
        resolutions: wp.array[wp.int32],  # [L]
        table_size: wp.int32,
        chunk: wp.int32,
        first: wp.int32,
    ) -> None:
        """One index per level and chunk of points, levels outermost.

        It writes its points' features of the level, or adds to the level's table: then a CPU
        block must be a whole level.
        """
        count = points.shape[0] // 3
        chunks = (count + chunk - 1) // chunk
        index = first + wp.tid()
        level = index // chunks
        begin = (index % chunks) * chunk
        end = wp.min(begin + chunk, count)
        work(
            points,
            vectors,
            tables,
            features,
            level,
            resolutions.shape[0],
            resolutions[level],
            table_size,
            begin,
            end,
        )

    return kernel


def _over_chunks(name: str, work: Any, module: str) -> wp.Kernel:
    @wp.kernel(enable_backward=False, name=name, module=module)
    def kernel(
        points: wp.array[wp.float32],
        vectors: wp.array[wp.float32],
        tables: wp.array[wp.float32],
        features: wp.array[wp.float32],
        resolutions: wp.array[wp.int32],  # [L]
        table_size: wp.int32,
        chunk: wp.int32,
        first: wp.int32,
    ) -> None:
        """One index per chunk of points. It writes their vectors, summed over the levels."""
        begin = (first + wp.tid()) * chunk
        end = wp.min(begin + chunk, points.shape[0] // 3)
        levels = resolutions.shape[0]
        for level in range(levels):
            work(
                points,
                vectors,
                tables,
                features,
                level,
                levels,
                resolutions[level],
                table_size,
                begin,
                end,
            )

    return kernel


_KERNELS = {features: _kernels(features) for features in (2, 4)}
