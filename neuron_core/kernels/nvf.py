"""March rays through a baked field: bricks of voxels in a sparse grid.

Letters in shapes: R rays, B bricks, X Y Z bricks along each side of the grid. Distances are
world units along unit rays. A brick has 8 voxels along each side and the 9 samples at their
corners; it stores 729 samples, x slowest.

A ray is sampled at ticks, a fixed lattice of distances from where it enters the field.
Between two ticks the density is taken to be linear; it may be negative, and its positive part
counts, so that surfaces lie between samples and not at them. Empty space is skipped in whole ticks,
first for beams of 64 rays together, so skipping changes no picture. Where something is, eight
ticks are looked at together; normals and codes are read where the weight of four of them lies,
or of all eight where one half hardly counts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.arrays import view
from neuron_core.kernels.launch import CORES, launch

CELLS = 8
SIDE = CELLS + 1
SAMPLES = SIDE**3
CHANNELS = 8

OPAQUE = 1e-3  # what is behind a smaller transmittance is not looked at
FARTHEST = 32  # largest distance, in blocks, that is told
FINE_BRICKS = 64**3  # grids up to this size tell distances in blocks of 2 voxels, larger ones of 4
BEAM = 64  # rays that are skipped together

_FEW_RAYS = 512


@dataclass(frozen=True, slots=True)
class BrickPools:
    """The geometry of a field, on one device, as the marcher wants it."""

    low: tuple[float, float, float]  # lower corner of the grid, world
    voxel_size: float
    shape: tuple[int, int, int]  # X, Y, Z
    inside: tuple[tuple[float, float, float], tuple[float, float, float]]  # box of the density, voxels
    top: wp.array  # [X * Y * Z] int32: the brick, or -1
    block: int  # voxels along a side of a block
    blocks: (
        wp.array
    )  # [8 / block * (X, Y, Z)] uint8, flat: distance in blocks to the nearest one with density
    density: wp.array  # [B * 729] float32
    normals: wp.array  # [B * 729, 4] int8, 127 is 1; the last is unused

    @property
    def device(self) -> str:
        """Where the pools are."""
        return str(self.density.device)


@dataclass(frozen=True, slots=True)
class Hits:
    """What rays met. Sums are weighted by how much each sample contributes; divide by alpha.

    Where alpha is 0, normals and codes are left as they are.
    """

    alphas: Any  # [R] 1 is opaque
    depths: Any  # [R] sum of distances
    normals: Any  # [R, 3] sum of normals
    codes: Any  # [R, 8] sum of stored codes, 0 to 255


def brick_pools(
    low: np.ndarray,
    voxel_size: float,
    top: np.ndarray,
    density: np.ndarray,
    normals: np.ndarray,
    device: str = "cpu",
) -> BrickPools:
    """Copy a field to `device`: `top` [X, Y, Z] int32 with -1 where nothing is, `density`
    [B, 9, 9, 9], `normals` [B, 9, 9, 9, 3] float32."""
    stored = np.zeros((*density.shape, 4), np.int8)
    stored[..., :3] = np.rint(np.clip(normals, -1, 1) * 127)
    filled = _filled_voxels(density)
    block = 2 if top.size <= FINE_BRICKS else 4
    return BrickPools(
        _triple(low),
        float(voxel_size),
        (int(top.shape[0]), int(top.shape[1]), int(top.shape[2])),
        _box_of(top, filled),
        wp.array(top.reshape(-1), dtype=wp.int32, device=device),
        block,
        wp.array(_block_distances(top, filled, block).reshape(-1), dtype=wp.uint8, device=device),
        wp.array(density.reshape(-1), dtype=wp.float32, device=device),
        wp.array(stored.reshape(-1, 4), dtype=wp.int8, device=device),
    )


def _triple(vector: np.ndarray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])


def _filled_voxels(density: np.ndarray) -> np.ndarray:
    """Which voxels [B, 8, 8, 8] have a corner with density."""
    found = density > 0
    for axis in (1, 2, 3):
        found = found.take(range(CELLS), axis) | found.take(range(1, SIDE), axis)
    return found


def _block_distances(top: np.ndarray, filled: np.ndarray, block: int) -> np.ndarray:
    """The distance of each block to the nearest one with a filled voxel."""
    per_side = CELLS // block
    found = np.zeros((*top.shape, per_side, per_side, per_side), bool)
    found[top >= 0] = filled.reshape(-1, *(per_side, block) * 3).any(axis=(2, 4, 6))[top[top >= 0]]
    return distances_to(found.transpose(0, 3, 1, 4, 2, 5).reshape([per_side * side for side in top.shape]))


def _box_of(top: np.ndarray, filled: np.ndarray) -> Any:
    """The lower and upper corner, in voxels, of all filled voxels; both the origin if there is none."""
    places = np.argwhere(top >= 0)
    lows, highs = [], []
    for axis in range(3):
        others = tuple(other for other in (1, 2, 3) if other != axis + 1)
        lines = filled.any(axis=others)[top[tuple(places.T)]]  # [B, 8]
        voxels = (places[:, axis, None] * CELLS + np.arange(CELLS))[lines]
        lows.append(float(voxels.min(initial=1 << 20)))
        highs.append(float(voxels.max(initial=-1) + 1))
    if highs[0] <= 0:
        return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    return tuple(lows), tuple(highs)


def distances_to(found: np.ndarray) -> np.ndarray:
    """By how many cells each cell [X, Y, Z] lies away from the nearest found one, by the largest
    coordinate difference, at most FARTHEST; uint8."""
    distances = np.zeros(found.shape, np.uint8)
    for _ in range(FARTHEST):
        if found.all():
            break
        distances += ~found
        for axis in range(3):
            grown = found.copy()
            to, of = np.moveaxis(grown, axis, 0), np.moveaxis(found, axis, 0)
            to[1:] |= of[:-1]
            to[:-1] |= of[1:]
            found = grown
    return distances


def march(
    pools: BrickPools,
    codes: Any,
    rays_o: Any,
    rays_d: Any,
    hits: Hits,
    *,
    step: float = 0.5,
    width: int = 0,
    stream: Any = None,
) -> None:
    """Write what the rays [R, 3] meet to `hits`.

    `codes` [B * 729, 8] uint8 belong to the samples; `step` is the length of a tick in voxels.
    If the rays are the pixels of an image row by row, its `width` makes this faster, not
    different. Rays need not have unit length: distances are then multiples of it. Rays without
    a direction meet nothing.
    """
    count = int(rays_o.shape[0])
    samples = int(pools.density.shape[0])
    image = _image(count, width)
    tiles = image.tiles_x * image.tiles_y
    starts = wp.empty(tiles, dtype=wp.float32, device=pools.device)
    rays = [view(rays_o, wp.vec3f, [count]), view(rays_d, wp.vec3f, [count])]
    grid = _grid(pools)
    slices = 1 if count < _FEW_RAYS else 6 * CORES
    launch(
        beam_kernel,
        [grid, pools.blocks, *rays, image, starts],
        tiles,
        device=pools.device,
        slices=min(slices, CORES),
        stream=stream,
    )
    arguments = [
        grid,
        pools.top,
        pools.blocks,
        pools.density,
        pools.normals,
        view(codes, wp.uint8, [samples, CHANNELS]),
        *rays,
        image,
        starts,
        step,
        view(hits.alphas, wp.float32, [count]),
        view(hits.depths, wp.float32, [count]),
        view(hits.normals, wp.vec3f, [count]),
        view(hits.codes, CodeSum, [count]),
    ]
    launch(march_kernel, arguments, tiles, BEAM, device=pools.device, slices=slices, stream=stream)


CodeSum = wp.types.vector(CHANNELS, wp.float32)
Sums = wp.types.vector(CHANNELS + 5, wp.float32)  # codes, normal, depth, transmittance


@wp.struct
class Grid:
    """`BrickPools` without the arrays. Inside kernels lengths are voxels from the grid's lower corner."""

    low: wp.vec3f  # world
    scale: wp.float32  # voxels per world unit
    shape: wp.vec3i  # bricks
    block_log2: wp.int32
    inside_low: wp.vec3f  # box of the density
    inside_high: wp.vec3f


@wp.struct
class Image:
    """How rays are put together in beams: tiles of an image, each tile's rays one after another."""

    width: wp.int32
    height: wp.int32
    tile_width_log2: wp.int32
    tiles_x: wp.int32
    tiles_y: wp.int32


def _grid(pools: BrickPools) -> Any:
    grid = Grid()
    grid.low = wp.vec3f(*pools.low)
    grid.scale = 1.0 / pools.voxel_size
    grid.shape = wp.vec3i(*pools.shape)
    grid.block_log2 = pools.block.bit_length() - 1
    grid.inside_low = wp.vec3f(*pools.inside[0])
    grid.inside_high = wp.vec3f(*pools.inside[1])
    return grid


def _image(count: int, width: int) -> Any:
    """Square tiles of an image, or runs of rays if they are none."""
    image = Image()
    whole = width >= 8 and count % width == 0
    image.width = width if whole else count
    image.height = count // max(image.width, 1)
    image.tile_width_log2 = 3 if whole else 6
    tile_width = 1 << image.tile_width_log2
    image.tiles_x = -(-image.width // tile_width)
    image.tiles_y = -(-image.height // (BEAM // tile_width))
    return image


# C++ instead of Warp's Python: the compiler turns loops over the LANES of a batch, and over the
# channels, into vector code, which it cannot for loops over kernel indices, and elements are read
# through plain pointers. Several times faster on a CPU; on CUDA the loops are unrolled.

_FOLLOW = """
#if defined(__CUDA_ARCH__)
#define NEURON_LANES _Pragma("unroll")
#else
#define NEURON_LANES _Pragma("clang loop vectorize(enable) interleave(disable)")
#endif
    constexpr int LANES = 8;  // ticks that are looked at together
    constexpr int HALF = LANES / 2;
    const int cells_x = 8 * shape[0], cells_y = 8 * shape[1], cells_z = 8 * shape[2];
    const int per_brick_log2 = 3 - block_log2;
    const float block_size = (float)(1 << block_log2);
    const float* pool = density.data;

    const auto clamped = [](int cell, int cells) { return cell < 0 ? 0 : (cell < cells ? cell : cells - 1); };

    // Where the corners of the voxel at a place are: the row of the first, or -1 without a brick.
    const auto find_row = [&](int x, int y, int z) {
        const int brick = top.data[((x >> 3) * shape[1] + (y >> 3)) * shape[2] + (z >> 3)];
        return brick < 0 ? -1 : 729 * brick + 81 * (x & 7) + 9 * (y & 7) + (z & 7);
    };

    const auto density_at = [&](int row, float x, float y, float z) {
        const float* corner = pool + row;
        const float a = corner[0] + z * (corner[1] - corner[0]);
        const float b = corner[9] + z * (corner[10] - corner[9]);
        const float c = corner[81] + z * (corner[82] - corner[81]);
        const float d = corner[90] + z * (corner[91] - corner[90]);
        const float e = a + y * (b - a);
        const float f = c + y * (d - c);
        return e + x * (f - e);
    };

    // exp(-x) for x >= 0, off by less than 1e-6.
    const auto passing = [](float x) {
        const float power = x < 87.0f ? x * -1.44269504f : -125.0f;
        const int whole = (int)(power - 0.5f);  // the nearest one, and 0 for 0
        const float part = power - (float)whole;
        union { int bits; float value; } scale;
        scale.bits = (whole + 127) << 23;
        const float root = 1.0f + part * (0.69314718f + part * (0.24022651f + part * (0.05550341f
            + part * (0.00961813f + part * (0.00133336f + part * 0.00015404f)))));
        return scale.value * root;
    };

    wp::vec_t<13, float> total;  // codes, normal, depth, transmittance
    float transmittance = 1.0f;
    float depth = 0.0f;
    float before = 0.0f;  // density at the last tick

    // Add the attributes at a tick, which need not be whole, if something is there.
    const auto look = [&](float tick, float weight, bool surely) {
        const float px = entry[0] + tick * stride[0];
        const float py = entry[1] + tick * stride[1];
        const float pz = entry[2] + tick * stride[2];
        const int cx = clamped((int)px, cells_x);
        const int cy = clamped((int)py, cells_y);
        const int cz = clamped((int)pz, cells_z);
        const float x = px - (float)cx, y = py - (float)cy, z = pz - (float)cz;
        const int row = find_row(cx, cy, cz);
        if (row < 0 || !(surely || density_at(row, x, y, z) > 0.0f))
            return false;
        const float weights[8] = {
            weight * (1.0f - x) * (1.0f - y) * (1.0f - z), weight * (1.0f - x) * (1.0f - y) * z,
            weight * (1.0f - x) * y * (1.0f - z), weight * (1.0f - x) * y * z,
            weight * x * (1.0f - y) * (1.0f - z), weight * x * (1.0f - y) * z,
            weight * x * y * (1.0f - z), weight * x * y * z};
        const int rows[8] = {0, 1, 9, 10, 81, 82, 90, 91};
        const unsigned char* code = codes.data + 8 * (size_t)row;
        const signed char* normal = (const signed char*)normals.data + 4 * (size_t)row;
#if defined(__CUDA_ARCH__)
#pragma unroll
        for (int corner = 0; corner < 8; ++corner) {
#pragma unroll
            for (int channel = 0; channel < 8; ++channel)
                total[channel] += weights[corner] * (float)code[8 * rows[corner] + channel];
#pragma unroll
            for (int axis = 0; axis < 3; ++axis)
                total[8 + axis] += weights[corner] * (float)normal[4 * rows[corner] + axis];
        }
#else
        typedef float float4v __attribute__((ext_vector_type(4)));
        typedef float float8v __attribute__((ext_vector_type(8)));
        typedef signed char char4v __attribute__((ext_vector_type(4), aligned(1)));
        typedef unsigned char uchar8v __attribute__((ext_vector_type(8), aligned(1)));
        float8v code_sum = 0.0f;
        float4v normal_sum = 0.0f;
        for (int corner = 0; corner < 8; ++corner) {
            const uchar8v stored_code = *(const uchar8v*)(code + 8 * rows[corner]);
            const char4v stored_normal = *(const char4v*)(normal + 4 * rows[corner]);
            code_sum += weights[corner] * __builtin_convertvector(stored_code, float8v);
            normal_sum += weights[corner] * __builtin_convertvector(stored_normal, float4v);
        }
        for (int channel = 0; channel < 8; ++channel)
            total[channel] += code_sum[channel];
        for (int axis = 0; axis < 3; ++axis)
            total[8 + axis] += normal_sum[axis];
#endif
        return true;
    };

    int tick = first_tick;
    while ((float)tick <= last + 1.0f) {
        if (before <= 0.0f) {
            const float px = entry[0] + (float)tick * stride[0];
            const float py = entry[1] + (float)tick * stride[1];
            const float pz = entry[2] + (float)tick * stride[2];
            const int bx = clamped((int)px, cells_x) >> block_log2;
            const int by = clamped((int)py, cells_y) >> block_log2;
            const int bz = clamped((int)pz, cells_z) >> block_log2;
            const int far = blocks.data[
                (bx * (shape[1] << per_brick_log2) + by) * (shape[2] << per_brick_log2) + bz];
            if (far > 0) {
                const float exit_x = (float)(stride[0] > 0.0f ? bx + far : bx + 1 - far) * block_size;
                const float exit_y = (float)(stride[1] > 0.0f ? by + far : by + 1 - far) * block_size;
                const float exit_z = (float)(stride[2] > 0.0f ? bz + far : bz + 1 - far) * block_size;
                const float way_x = (exit_x - px) * inverse[0];
                const float way_y = (exit_y - py) * inverse[1];
                const float way_z = (exit_z - pz) * inverse[2];
                float way = way_x < way_y ? way_x : way_y;
                way = way < way_z ? way : way_z;
                tick += 1 + (int)(way < 0.0f ? 0.0f : (way < 1.0e9f ? way : 1.0e9f));
                before = 0.0f;
                continue;
            }
        }
        float here[LANES], depths[LANES], weights[LANES];
        NEURON_LANES
        for (int lane = 0; lane < LANES; ++lane) {
            const float time = (float)(tick + lane);
            const float px = entry[0] + time * stride[0];
            const float py = entry[1] + time * stride[1];
            const float pz = entry[2] + time * stride[2];
            const int x = clamped((int)px, cells_x);
            const int y = clamped((int)py, cells_y);
            const int z = clamped((int)pz, cells_z);
            const int row = find_row(x, y, z);
            const float found = density_at(row < 0 ? 0 : row, px - (float)x, py - (float)y, pz - (float)z);
            here[lane] = ((row >= 0) & (time <= last)) ? found : 0.0f;
        }
        float sum = 0.0f;
#pragma unroll
        for (int lane = 0; lane < LANES; ++lane) {
            // The positive part of a line from a to b: its area, and how far before b its middle is.
            const float a = lane > 0 ? here[lane - 1] : before;
            const float b = here[lane];
            const float up = a > 0.0f ? a : 0.0f;
            const float down = b > 0.0f ? b : 0.0f;
            const float both = up + down;
            const bool crosses = (both > 0.0f) & ((a < 0.0f) | (b < 0.0f));
            const float part = crosses ? both / (up - a + down - b + both) : 1.0f;
            sum += tick + lane > 0 ? half_tick * both * part : 0.0f;
            weights[lane] = sum;
            const float crossed = b > 0.0f ? part / 3.0f : 1.0f - part / 3.0f;
            const float middle = crosses ? crossed : (up + both) / (3.0f * both);
            depths[lane] = both > 0.0f ? middle : 0.0f;
        }
        NEURON_LANES
        for (int lane = 0; lane < LANES; ++lane)
            weights[lane] = transmittance * passing(weights[lane]);
        float first = 0.0f, second = 0.0f, first_moment = 0.0f, second_moment = 0.0f;
        float largest = 0.0f, surest = 0.0f;
#pragma unroll
        for (int lane = 0; lane < LANES; ++lane) {
            const float weight = transmittance - weights[lane];
            transmittance = weights[lane];
            const float time = (float)(tick + lane);
            const float place = time - depths[lane];
            depth += weight * place;
            (lane < HALF ? first : second) += weight;
            (lane < HALF ? first_moment : second_moment) += weight * place;
            // The end of the segment where something is.
            surest = weight > largest ? (here[lane] > 0.0f ? time : time - 1.0f) : surest;
            largest = weight > largest ? weight : largest;
        }
        if (first < 0.02f || second < 0.02f) {
            first += second;
            first_moment += second_moment;
            second = 0.0f;
        }
        if (first > 0.0f && !look(first_moment / first, first, false))
            look(surest, first, true);
        if (second > 0.0f && !look(second_moment / second, second, false))
            look(surest, second, true);
        before = here[LANES - 1];
        tick += LANES;
        if (transmittance <= opaque)
            break;
    }
    total[11] = depth;
    total[12] = transmittance;
    return total;
"""


@wp.func_native(_FOLLOW)
def follow(
    shape: wp.vec3i,
    block_log2: wp.int32,
    top: wp.array[wp.int32],
    blocks: wp.array[wp.uint8],
    density: wp.array[wp.float32],
    normals: wp.array2d[wp.int8],
    codes: wp.array2d[wp.uint8],
    entry: wp.vec3f,  # voxels
    stride: wp.vec3f,  # voxels a tick
    inverse: wp.vec3f,  # 1 / stride
    first_tick: wp.int32,
    last: wp.float32,  # ticks; nothing is behind
    half_tick: wp.float32,  # world
    opaque: wp.float32,
) -> Sums:
    """What a ray meets from a tick on: codes and normal as they are stored, depth in ticks, each
    weighted, and the transmittance that is left."""
    ...


@wp.func_native("""
    const int cell = (int)place;
    return cell < 0 ? 0 : (cell < cells ? cell : cells - 1);
""")
def cell_at(place: wp.float32, cells: wp.int32) -> wp.int32:
    """The cell of a place, of `cells` in a row of size 1 each."""
    ...


@wp.func
def inverse_of(speed: wp.float32) -> wp.float32:
    """1 / speed, but finite; zero counts as negative, as in `follow`."""
    if wp.abs(speed) > 1.0e-20:
        return 1.0 / speed
    return wp.where(speed > 0.0, 1.0e20, -1.0e20)


@wp.func
def is_ray(origin: wp.vec3f, speed: wp.vec3f) -> wp.bool:
    """Whether it has a direction and is finite."""
    length = wp.length_sq(speed)
    return length > 0.0 and length < 1.0e30 and wp.length_sq(origin) < 1.0e30


@wp.func
def clip_to_box(origin: wp.vec3f, speed: wp.vec3f, low: wp.vec3f, high: wp.vec3f) -> wp.vec2f:
    """When a ray enters and leaves a box, not before 0; descending if it misses or is no ray."""
    near = wp.float32(0.0)
    far = wp.float32(1.0e30)
    for axis in range(3):
        if speed[axis] != 0.0:
            first = (low[axis] - origin[axis]) / speed[axis]
            second = (high[axis] - origin[axis]) / speed[axis]
            near = wp.max(near, wp.min(first, second))
            far = wp.min(far, wp.max(first, second))
        elif origin[axis] < low[axis] or origin[axis] > high[axis]:
            far = wp.float32(-1.0)
    if not is_ray(origin, speed):
        far = wp.float32(-1.0)
    return wp.vec2f(near, far)


@wp.func
def ray_of(image: Image, tile: wp.int32, place: wp.int32) -> wp.int32:
    """The ray at a place of a tile, or -1 beyond the border of the image."""
    tile_height_log2 = 6 - image.tile_width_log2
    x = ((tile % image.tiles_x) << image.tile_width_log2) + (place & ((1 << image.tile_width_log2) - 1))
    y = ((tile // image.tiles_x) << tile_height_log2) + (place >> image.tile_width_log2)
    if x < image.width and y < image.height:
        return y * image.width + x
    return -1


@wp.func
def block_of(grid: Grid, x: wp.int32, y: wp.int32, z: wp.int32) -> wp.int32:
    """Where a block lies in its array."""
    per_side_log2 = 3 - grid.block_log2
    return (x * (grid.shape[1] << per_side_log2) + y) * (grid.shape[2] << per_side_log2) + z


@wp.kernel(enable_backward=False)
def beam_kernel(
    grid: Grid,
    blocks: wp.array[wp.uint8],
    rays_o: wp.array[wp.vec3f],  # [R]
    rays_d: wp.array[wp.vec3f],  # [R]
    image: Image,
    starts: wp.array[wp.float32],  # [tiles]
    first: wp.int32,
) -> None:
    """One index per tile. Writes a time before which none of its rays meets density.

    At each time the rays of the tile are in a box that moves and grows; it is followed until it
    touches a block with density.
    """
    tile = first + wp.tid()
    low = wp.vec3f(1.0e30, 1.0e30, 1.0e30)
    high = -low
    slowest = wp.vec3f(1.0e30, 1.0e30, 1.0e30)
    fastest = -slowest
    for place in range(wp.static(BEAM)):
        ray = ray_of(image, tile, place)
        if ray >= 0:
            origin = (rays_o[ray] - grid.low) * grid.scale
            speed = rays_d[ray] * grid.scale
            if is_ray(origin, speed):
                low = wp.min(low, origin)
                high = wp.max(high, origin)
                slowest = wp.min(slowest, speed)
                fastest = wp.max(fastest, speed)
    near = wp.float32(0.0)
    far = wp.float32(1.0e30)
    for axis in range(3):
        # The box is beside the density while its upper side is too low or its lower side too high.
        if fastest[axis] > 0.0:
            near = wp.max(near, (grid.inside_low[axis] - high[axis]) / fastest[axis])
        elif fastest[axis] < 0.0:
            far = wp.min(far, (grid.inside_low[axis] - high[axis]) / fastest[axis])
        elif high[axis] < grid.inside_low[axis]:
            far = wp.float32(-1.0)
        if slowest[axis] < 0.0:
            near = wp.max(near, (grid.inside_high[axis] - low[axis]) / slowest[axis])
        elif slowest[axis] > 0.0:
            far = wp.min(far, (grid.inside_high[axis] - low[axis]) / slowest[axis])
        elif low[axis] > grid.inside_high[axis]:
            far = wp.float32(-1.0)
    time = near
    size = wp.float32(1 << grid.block_log2)
    blocks_in_grid = grid.shape * (1 << (3 - grid.block_log2))
    for _ in range(256):
        if time > far:
            break
        # In blocks; slightly larger, so that rounding cannot hide a block from a ray.
        here_low = (low + time * slowest) / size - wp.vec3f(0.01, 0.01, 0.01)
        here_high = (high + time * fastest) / size + wp.vec3f(0.01, 0.01, 0.01)
        middle = 0.5 * (here_low + here_high)
        x = cell_at(middle[0], blocks_in_grid[0])
        y = cell_at(middle[1], blocks_in_grid[1])
        z = cell_at(middle[2], blocks_in_grid[2])
        reach = wp.float32(blocks[block_of(grid, x, y, z)])
        free_low = wp.vec3f(wp.float32(x), wp.float32(y), wp.float32(z)) - wp.vec3f(reach, reach, reach)
        free_high = free_low + 2.0 * wp.vec3f(reach, reach, reach)
        free_low = free_low + wp.vec3f(1.0, 1.0, 1.0)
        way = wp.float32(1.0e30)
        for axis in range(3):
            # What lies outside the grid is free.
            if free_low[axis] > 0.0:
                if here_low[axis] <= free_low[axis]:
                    way = wp.float32(-1.0)
                elif slowest[axis] < 0.0:
                    way = wp.min(way, size * (free_low[axis] - here_low[axis]) / slowest[axis])
            if free_high[axis] < wp.float32(blocks_in_grid[axis]):
                if here_high[axis] >= free_high[axis]:
                    way = wp.float32(-1.0)
                elif fastest[axis] > 0.0:
                    way = wp.min(way, size * (free_high[axis] - here_high[axis]) / fastest[axis])
        if way <= 0.0:
            break
        time = time + way
    starts[tile] = wp.where(time <= far, time, 1.0e30)


@wp.kernel(enable_backward=False)
def march_kernel(
    grid: Grid,
    top: wp.array[wp.int32],
    blocks: wp.array[wp.uint8],
    density: wp.array[wp.float32],
    normals: wp.array2d[wp.int8],
    codes: wp.array2d[wp.uint8],
    rays_o: wp.array[wp.vec3f],  # [R]
    rays_d: wp.array[wp.vec3f],  # [R]
    image: Image,
    starts: wp.array[wp.float32],  # [tiles]
    step: wp.float32,  # voxels
    alphas: wp.array[wp.float32],  # [R]
    depths: wp.array[wp.float32],  # [R]
    normal_sums: wp.array[wp.vec3f],  # [R]
    code_sums: wp.array[CodeSum],  # [R]
    first: wp.int32,
) -> None:
    """One index per ray, in the order of tiles. Writes what the ray meets."""
    index = first + wp.tid()
    tile = index >> 6
    ray = ray_of(image, tile, index & 63)
    if ray < 0:
        return
    start = starts[tile]
    if start >= 1.0e30:
        alphas[ray] = 0.0
        depths[ray] = 0.0
        return
    origin = (rays_o[ray] - grid.low) * grid.scale
    speed = rays_d[ray] * grid.scale
    interval = clip_to_box(origin, speed, grid.inside_low, grid.inside_high)
    if interval[1] <= wp.max(interval[0], start):
        alphas[ray] = 0.0
        depths[ray] = 0.0
        return
    ticks_per_time = wp.length(speed) / step
    time_per_tick = 1.0 / ticks_per_time
    stride = speed * time_per_tick
    found = follow(
        grid.shape,
        grid.block_log2,
        top,
        blocks,
        density,
        normals,
        codes,
        origin + interval[0] * speed,
        stride,
        wp.vec3f(inverse_of(stride[0]), inverse_of(stride[1]), inverse_of(stride[2])),
        wp.int32(wp.max((start - interval[0]) * ticks_per_time, 0.0)),
        wp.min((interval[1] - interval[0]) * ticks_per_time, 1.0e9),
        0.5 * time_per_tick,
        wp.static(OPAQUE),
    )
    alpha = 1.0 - found[12]
    alphas[ray] = alpha
    depths[ray] = alpha * interval[0] + found[11] * time_per_tick
    if alpha > 0.0:
        code_sum = CodeSum()
        for channel in range(wp.static(CHANNELS)):
            code_sum[channel] = found[channel]
        code_sums[ray] = code_sum
        normal_sums[ray] = wp.vec3f(found[8], found[9], found[10]) / 127.0
