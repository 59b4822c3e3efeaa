"""March rays through a baked field: bricks of voxels in a sparse grid.

Letters in shapes: R rays, T tiles of 64 rays that may meet something, B bricks. Distances are
world units along unit rays.

A ray is sampled at ticks, a fixed lattice of distances from where it enters the field.
Between two ticks the density is taken to be linear; it may be negative, and its positive part
counts, so that surfaces lie between samples and not at them. Where a ray enters a surface the
line begins at the side of the voxel, since density is stored only where it can contribute. Empty
space is skipped in whole ticks, first for beams of 64 rays together, so skipping changes no
picture. Normals and codes are read once for every two voxels with density, where the mean of the
light that they stop is stopped.
"""

from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.arrays import view
from neuron_core.kernels.baked.bricks import CHANNELS, BrickPools, Grid, block_of, grid_of
from neuron_core.kernels.baked.rays import BEAM, Rays, View, direction_of, is_ray, origin_of, ray_of
from neuron_core.kernels.launch import CORES, launch

OPAQUE = 1 / 255  # a smaller transmittance counts as none
FAINT = 1e-3  # rays that meet less than this have no attributes
LOOK_EVERY = 2.0  # voxels with density for which attributes are read once
_FEW_TILES = 8

Gate = wp.types.vector(CHANNELS + 2, wp.float32)


def find_tiles(pools: BrickPools, rays: Rays, starts: Any, stream: Any = None) -> Any:
    """Which tiles may meet density, [T] int32; `starts` [tiles] takes when, as multiples of the rays.

    On CUDA all tiles are listed: those that meet nothing end at once, and nothing waits for them.
    """
    launch(
        beam_kernel,
        [grid_of(pools), pools.blocks, rays.view, rays.rays_o, rays.rays_d, starts],
        rays.tiles,
        device=pools.device,
        slices=1 if rays.tiles < _FEW_TILES else CORES,
        stream=stream,
    )
    if pools.device == "cpu":
        return np.flatnonzero(starts[: rays.tiles] < 1e30).astype(np.int32)
    return wp.array(np.arange(rays.tiles, dtype=np.int32), device=pools.device)


def slots_at_once(device: str) -> int:
    """How many slots one index handles: a tile on a CPU, one on CUDA."""
    return BEAM if device == "cpu" else 1


def launch_tiles(kernel: Any, arguments: list[Any], tiles: int, device: str, stream: Any) -> None:
    """Run a kernel for tiles on a CPU and for their slots on CUDA."""
    slices = 1 if tiles < _FEW_TILES else min(6 * CORES, tiles // 4)
    size = BEAM // slots_at_once(device)
    launch(kernel, arguments, tiles, size, device=device, slices=slices, stream=stream)


def field_arguments(pools: BrickPools, codes: Any) -> list[Any]:
    """The field as kernels take it; `codes` [B * 729, 8] uint8."""
    stored = view(codes, wp.uint8, [int(pools.density.shape[0]), CHANNELS])
    return [grid_of(pools), pools.top, pools.blocks, pools.density, pools.normals, stored]


def ray_arguments(rays: Rays, tiles: Any, starts: Any) -> list[Any]:
    """Rays, the tiles [T] that are followed and starts by tile, as kernels take them."""
    chosen = view(tiles, wp.int32, [int(tiles.shape[0])])
    return [rays.view, rays.rays_o, rays.rays_d, chosen, view(starts, wp.float32, [int(starts.shape[0])])]


# C++ instead of Warp's Python: constants are computed once a tile, elements are read through plain
# pointers, and coordinates and the corners of a voxel are handled together. The rays of a tile go
# on in rounds, each ray one step a round: a single ray waits for memory and for its own last step
# most of the time, and what waits here is one ray of 64. Lists of rays are filled without branches.
# On CUDA a thread has one ray. Lengths are voxels from the grid's lower corner.

MARCHING = """
#if !defined(__CUDA_ARCH__)
#pragma clang fp contract(fast)
#endif
    const int window = (int)(look_every / step + 0.5f) > 1 ? (int)(look_every / step + 0.5f) : 1;  // ticks
    const int block_log2 = grid.block_log2;
    const int cells[3] = {8 * grid.shape[0], 8 * grid.shape[1], 8 * grid.shape[2]};
    const int per_brick_log2 = 3 - block_log2;
    const int blocks_y = grid.shape[1] << per_brick_log2, blocks_z = grid.shape[2] << per_brick_log2;
    const float block_size = (float)(1 << block_log2);
#if defined(__CUDA_ARCH__)
    struct Vec {
        float x, y, z;
        __device__ float operator[](int axis) const { return axis == 0 ? x : (axis == 1 ? y : z); }
        __device__ Vec operator+(Vec o) const { return {x + o.x, y + o.y, z + o.z}; }
        __device__ Vec operator-(Vec o) const { return {x - o.x, y - o.y, z - o.z}; }
        __device__ Vec operator*(Vec o) const { return {x * o.x, y * o.y, z * o.z}; }
        __device__ Vec operator*(float by) const { return {x * by, y * by, z * by}; }
    };
    const auto vec = [](float x, float y, float z) { return Vec{x, y, z}; };
    const auto lower = [](Vec a, Vec b) { return Vec{fminf(a.x, b.x), fminf(a.y, b.y), fminf(a.z, b.z)}; };
    const auto higher = [](Vec a, Vec b) { return Vec{fmaxf(a.x, b.x), fmaxf(a.y, b.y), fmaxf(a.z, b.z)}; };
    const auto whole = [](Vec a) { return Vec{truncf(a.x), truncf(a.y), truncf(a.z)}; };
    struct Code { float v[8]; __device__ float operator[](int i) const { return v[i]; } };
    const auto clear = [](Code& code, Vec& normal) {
        for (int channel = 0; channel < 8; ++channel)
            code.v[channel] = 0.0f;
        normal = {0.0f, 0.0f, 0.0f};
    };
    const auto add_attributes = [](Code& sum, Vec& normal_sum, float by, const unsigned char* code,
            const signed char* normal) {
        for (int channel = 0; channel < 8; ++channel)
            sum.v[channel] += by * (float)code[channel];
        normal_sum = normal_sum + Vec{(float)normal[0], (float)normal[1], (float)normal[2]} * by;
    };
    const auto beyond = [](Vec speed, float if_ahead, float else_behind) {
        return Vec{speed.x > 0.0f ? if_ahead : else_behind, speed.y > 0.0f ? if_ahead : else_behind,
            speed.z > 0.0f ? if_ahead : else_behind};
    };
    constexpr int MANY = 1, LANES = 1;
#define NEURON_LANES
#define NEURON_INLINE
#else
    typedef float Pair __attribute__((ext_vector_type(2), aligned(4)));
    typedef float Vec __attribute__((ext_vector_type(4)));
    typedef int Cell __attribute__((ext_vector_type(4)));
    typedef float Code __attribute__((ext_vector_type(8)));
    typedef signed char StoredNormal __attribute__((ext_vector_type(4), aligned(1)));
    typedef unsigned char StoredCode __attribute__((ext_vector_type(8), aligned(1)));
    const auto vec = [](float x, float y, float z) { return Vec{x, y, z, 0.0f}; };
    const auto lower = [](Vec a, Vec b) { return a < b ? a : b; };
    const auto higher = [](Vec a, Vec b) { return a > b ? a : b; };
    const auto whole = [](Vec a) { return __builtin_convertvector(__builtin_convertvector(a, Cell), Vec); };
    const auto clear = [](Code& code, Vec& normal) { code = 0.0f, normal = 0.0f; };
    const auto add_attributes = [](Code& sum, Vec& normal_sum, float by, const unsigned char* code,
            const signed char* normal) {
        sum += by * __builtin_convertvector(*(const StoredCode*)code, Code);
        normal_sum += by * __builtin_convertvector(*(const StoredNormal*)normal, Vec);
    };
    const auto beyond = [](Vec speed, float if_ahead, float else_behind) {
        return speed > 0.0f ? (Vec)if_ahead : (Vec)else_behind;
    };
    constexpr int MANY = 64, LANES = 8;
#define NEURON_LANES _Pragma("clang loop vectorize(enable) interleave(disable)")
#define NEURON_INLINE __attribute__((always_inline))
#endif
    const auto least = [](Vec a) { const float b = a.x < a.y ? a.x : a.y; return b < a.z ? b : a.z; };
    const auto dot = [](Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; };
    const Vec nothing = vec(0.0f, 0.0f, 0.0f);
    const Vec last_cell = vec((float)cells[0] - 0.5f, (float)cells[1] - 0.5f, (float)cells[2] - 0.5f);

    // The voxel that a place lies in, and where in it. Beyond the border it is the last one.
    struct Voxel { int x, y, z; Vec part; };
    const auto voxel_at = [&](Vec at) {
        const Vec cell = whole(lower(higher(at, nothing), last_cell));
        return Voxel{(int)cell.x, (int)cell.y, (int)cell.z, at - cell};
    };

    // The row of a voxel's first corner, or -1 without a brick.
    const auto row_of = [&](const Voxel& v) {
        const int brick = top.data[((v.x >> 3) * grid.shape[1] + (v.y >> 3)) * grid.shape[2] + (v.z >> 3)];
        const int row = 729 * brick + 81 * (v.x & 7) + 9 * (v.y & 7) + (v.z & 7);
        return brick < 0 ? -1 : row;
    };

    // How far the nearest voxel with density is, in blocks.
    const auto distance_at = [&](const Voxel& v) {
        const int x = v.x >> block_log2, y = v.y >> block_log2, z = v.z >> block_log2;
        return (int)blocks.data[(x * blocks_y + y) * blocks_z + z];
    };

    const auto density_at = [&](int row, Vec part) {
        const float* corner = density.data + row;
#if defined(__CUDA_ARCH__)
        const float a = corner[0] + part.x * (corner[81] - corner[0]);
        const float b = corner[1] + part.x * (corner[82] - corner[1]);
        const float c = corner[9] + part.x * (corner[90] - corner[9]);
        const float d = corner[10] + part.x * (corner[91] - corner[10]);
        const float e = a + part.y * (c - a);
        const float f = b + part.y * (d - b);
        return e + part.z * (f - e);
#else
        Vec low, high;
        low.lo = *(const Pair*)corner;
        low.hi = *(const Pair*)(corner + 9);
        high.lo = *(const Pair*)(corner + 81);
        high.hi = *(const Pair*)(corner + 90);
        const Vec sides = low + part.x * (high - low);
        const Pair ends = sides.lo + part.y * (sides.hi - sides.lo);
        return ends.x + part.z * (ends.y - ends.x);
#endif
    };

    // exp(-x) for x >= 0, off by less than 1e-6.
    const auto passing = [](float x) {
        const float power = x < 87.0f ? x * -1.44269504f : -125.0f;
        const int rounded = (int)(power - 0.5f);  // the nearest one, and 0 for 0
        const float part = power - (float)rounded;
        union { int bits; float value; } scale;
        scale.bits = (rounded + 127) << 23;
        const float root = 1.0f + part * (0.69314718f + part * (0.24022651f + part * (0.05550341f
            + part * (0.00961813f + part * (0.00133336f + part * 0.00015404f)))));
        return scale.value * root;
    };

    struct List {
        unsigned char rays[MANY];
        int count;
#if defined(__CUDA_ARCH__)
        __device__
#endif
        void add(int ray, bool wanted) { rays[count] = (unsigned char)ray; count += wanted; }
    };

    // The rays: where they are, in voxels and voxels a tick,
    Vec entry[MANY], stride[MANY], inverse[MANY];
    float axes[9][MANY];  // the same, coordinate by coordinate
    int tick[MANY];
    float last[MANY], half_tick[MANY], near_time[MANY], tick_time[MANY];
    // what they have met so far, attributes weighted,
    Code code_sum[MANY];
    Vec normal_sum[MANY];
    float transmittance[MANY], depth[MANY];
    float before[MANY];  // density at the last tick, 0 if it was not looked up,
    float waiting[MANY], moment[MANY];  // weight whose attributes are not read yet,
    float largest[MANY], surest[MANY];  // where most of it is,
    int first_waiting[MANY];
    // and what they meet in this round.
    int row[MANY];
    Vec part[MANY];
    float here[MANY], from[MANY], length[MANY];

    // Rays of the world, x y z after x y z, and times before which they meet nothing; below 0 for
    // those that are none, which get no time at all.
    float begins[3][MANY], ahead[3][MANY], start[MANY];
    const auto prepare = [&]() {
        NEURON_LANES
        for (int ray = 0; ray < MANY; ++ray) {
            float near = 0.0f, far = 1e30f, squared = 0.0f, distance = 0.0f;
            for (int axis = 0; axis < 3; ++axis) {
                const float eye = (begins[axis][ray] - grid.low[axis]) * grid.scale;
                const float speed = ahead[axis][ray] * grid.scale;
                const float far_away = speed > 0.0f ? 1e20f : -1e20f;  // zero counts as negative
                const float slowness = fabsf(speed) > 1e-20f ? 1.0f / speed : far_away;
                const float first = (grid.inside_low[axis] - eye) * slowness;
                const float second = (grid.inside_high[axis] - eye) * slowness;
                const float enters = first < second ? first : second;
                const float leaves = first < second ? second : first;
                near = enters > near ? enters : near;
                far = leaves < far ? leaves : far;
                squared += speed * speed;
                distance += eye * eye;
                axes[axis][ray] = eye;
                axes[3 + axis][ray] = speed;
                axes[6 + axis][ray] = slowness;
            }
            const float ticks_per_time = sqrtf(squared) / step, time_per_tick = 1.0f / ticks_per_time;
            for (int axis = 0; axis < 3; ++axis) {
                axes[axis][ray] += axes[3 + axis][ray] * near;
                axes[3 + axis][ray] *= time_per_tick;
                axes[6 + axis][ray] *= ticks_per_time;
            }
            const float skipped = (start[ray] - near) * ticks_per_time, ticks = (far - near) * ticks_per_time;
            const bool is_ray = (squared > 0.0f) & (squared < 1e30f) & (distance < 1e30f);
            const bool meets = is_ray & (start[ray] >= 0.0f) & (far > near) & (far > start[ray]);
            tick[ray] = (int)((meets & (skipped > 0.0f)) ? (skipped < 1e9f ? skipped : 1e9f) : 0.0f);
            last[ray] = meets ? (ticks < 1e9f ? ticks : 1e9f) : -2.0f;
            half_tick[ray] = 0.5f * time_per_tick;
            near_time[ray] = near;
            tick_time[ray] = time_per_tick;
            transmittance[ray] = 1.0f;
            depth[ray] = before[ray] = waiting[ray] = moment[ray] = largest[ray] = surest[ray] = 0.0f;
            first_waiting[ray] = 0;
        }
        for (int ray = 0; ray < MANY; ++ray) {
            entry[ray] = vec(axes[0][ray], axes[1][ray], axes[2][ray]);
            stride[ray] = vec(axes[3][ray], axes[4][ray], axes[5][ray]);
            inverse[ray] = vec(axes[6][ray], axes[7][ray], axes[8][ray]);
            clear(code_sum[ray], normal_sum[ray]);
        }
    };

    // Add attributes at a place if something is there.
    const auto look = [&](int ray, Vec at, bool surely) {
        const Voxel voxel = voxel_at(at);
        const int first = row_of(voxel);
        if (first < 0 || !(surely || density_at(first, voxel.part) > 0.0f))
            return false;
        const float x = voxel.part.x, y = voxel.part.y, z = voxel.part.z;
        const float near = waiting[ray] * (1.0f - x), far = waiting[ray] * x;
        const float columns[4] = {near * (1.0f - y), near * y, far * (1.0f - y), far * y};
        const int rows[4] = {0, 9, 81, 90};
        const unsigned char* code = codes.data + 8 * (size_t)first;
        const signed char* normal = (const signed char*)normals.data + 4 * (size_t)first;
        for (int corner = 0; corner < 8; ++corner) {
            const int at = rows[corner >> 1] + (corner & 1);
            const float by = columns[corner >> 1] * ((corner & 1) ? z : 1.0f - z);
            add_attributes(code_sum[ray], normal_sum[ray], by, code + 8 * at, normal + 4 * at);
        }
        return true;
    };
    const auto read_attributes = [&](int ray) {
        if (!look(ray, entry[ray] + stride[ray] * (moment[ray] / waiting[ray]), false))
            look(ray, entry[ray] + stride[ray] * surest[ray], true);
        waiting[ray] = moment[ray] = largest[ray] = 0.0f;
    };

    // Go over empty blocks until each of some rays is in one that is not, or has left.
    const auto seek = [&](int first) {
        bool going = true;
        while (going) {
            int moved = 0;
            NEURON_LANES
            for (int ray = first; ray < first + LANES; ++ray) {
                const float time = (float)tick[ray];
                float exit[3], ways[3];
                int block[3];
                for (int axis = 0; axis < 3; ++axis) {
                    const float at = axes[axis][ray] + axes[3 + axis][ray] * time;
                    const int cell = (int)at;
                    const int most = cells[axis] - 1;
                    block[axis] = (cell < 0 ? 0 : (cell < most ? cell : most)) >> block_log2;
                    exit[axis] = at;
                }
                const int far = blocks.data[(block[0] * blocks_y + block[1]) * blocks_z + block[2]];
                for (int axis = 0; axis < 3; ++axis) {
                    const int side = axes[3 + axis][ray] > 0.0f ? block[axis] + far : block[axis] + 1 - far;
                    ways[axis] = ((float)side * block_size - exit[axis]) * axes[6 + axis][ray];
                }
                float way = ways[0] < ways[1] ? ways[0] : ways[1];
                way = way < ways[2] ? way : ways[2];
                way = way < 0.0f ? 0.0f : (way < 1e9f ? way : 1e9f);
                const bool goes = (far > 0) & (time <= last[ray] + 1.0f);
                const int ticks = goes ? 1 + (int)way : 0;
                tick[ray] += ticks;
                moved |= ticks;
            }
            going = moved != 0;
        }
    };

    // Go over the empty block that a ray is in.
    const auto skip = [&](const List& empty, List& next) {
        for (int i = 0; i < empty.count; ++i) {
            const int ray = empty.rays[i];
            const Vec at = entry[ray] + stride[ray] * (float)tick[ray];
            const Voxel v = voxel_at(at);
            const float far = (float)distance_at(v);
            const Vec block = vec(
                (float)(v.x >> block_log2), (float)(v.y >> block_log2), (float)(v.z >> block_log2));
            // The side of a free cube by which the ray leaves.
            const Vec exit = (block + beyond(stride[ray], far, 1.0f - far)) * block_size;
            const float way = least((exit - at) * inverse[ray]);
            tick[ray] += 1 + (int)(way < 0.0f ? 0.0f : (way < 1e9f ? way : 1e9f));
            before[ray] = 0.0f;
            next.add(ray, (float)tick[ray] <= last[ray] + 1.0f);
        }
    };

    const auto look_up = [&](const List& going, bool unsure, List& empty, List& looking, List& entering,
            List& stopping) NEURON_INLINE {
        for (int i = 0; i < going.count; ++i) {
            const int ray = going.rays[i];
            const float time = (float)tick[ray];
            const Voxel voxel = voxel_at(entry[ray] + stride[ray] * time);
            const int found = row_of(voxel);
            const bool inside = (found >= 0) & (time <= last[ray]);
            const float density = density_at(found < 0 ? 0 : found, voxel.part);
            const float b = inside ? density : 0.0f;
            const bool up = b > 0.0f, down = before[ray] > 0.0f;
            const bool is_empty = unsure && distance_at(voxel) > 0;
            const bool stops = (up | down) & (tick[ray] > 0) & !is_empty;
            here[ray] = b;
            row[ray] = inside ? found : -1;
            part[ray] = voxel.part;
            from[ray] = before[ray];
            length[ray] = 1.0f;
            empty.add(ray, is_empty);
            looking.add(ray, !is_empty);
            entering.add(ray, stops & !down);
            stopping.add(ray, stops);
        }
    };

    // Where density begins, its line does at the side of the voxel.
    const auto enter = [&](const List& entering) {
        for (int i = 0; i < entering.count; ++i) {
            const int ray = entering.rays[i];
            float back = least((part[ray] - beyond(stride[ray], 0.0f, 1.0f)) * inverse[ray]);
            back = back < 0.0f ? 0.0f : (back < 1.0f ? back : 1.0f);
            const float side = density_at(row[ray], part[ray] - stride[ray] * back);
            const bool begins = side <= 0.0f;
            from[ray] = begins ? side : before[ray];
            length[ray] = begins ? back : 1.0f;
        }
    };

    // Let the density between two ticks, which is a line, stop light.
    const auto stop = [&](const List& stopping) {
        for (int i = 0; i < stopping.count; ++i) {
            const int ray = stopping.rays[i];
            const float a = from[ray], b = here[ray];
            const float up = a > 0.0f ? a : 0.0f, down = b > 0.0f ? b : 0.0f;
            const float both = up + down;
            const bool crosses = (a < 0.0f) | (b < 0.0f);
            const float line = crosses ? both / (up - a + down - b + both) : 1.0f;
            const float optical_depth = half_tick[ray] * length[ray] * both * line;
            const float passed = transmittance[ray] * passing(optical_depth);
            const float left = passed <= opaque ? 0.0f : passed;
            const float weight = transmittance[ray] - left;
            // Light is stopped evenly over optical depth: its mean, then where on the line that is.
            const float thick = 1.0f / optical_depth - left / weight;
            const float mean = optical_depth > 0.05f && weight > 0.0f ? thick : 0.5f - optical_depth / 12.0f;
            const float root = up * up + (down * down - up * up) * mean;
            const float on_line = mean * both / (up + sqrtf(root > 0.0f ? root : 0.0f));
            const float begin = a < 0.0f ? 1.0f - line : 0.0f;
            const float time = (float)tick[ray];
            const float stopped = time - length[ray] * (1.0f - begin - line * on_line);
            const float moved = weight > 0.0f ? weight * stopped : 0.0f;
            first_waiting[ray] = waiting[ray] > 0.0f ? first_waiting[ray] : tick[ray];
            waiting[ray] += weight;
            moment[ray] += moved;
            depth[ray] += moved;
            surest[ray] = weight > largest[ray] ? (b > 0.0f ? time : time - 1.0f) : surest[ray];
            largest[ray] = weight > largest[ray] ? weight : largest[ray];
            transmittance[ray] = left;
        }
    };

    const auto go_on = [&](const List& looking, List& sure, List& unsure, List& reading) {
        for (int i = 0; i < looking.count; ++i) {
            const int ray = looking.rays[i];
            const bool done = transmittance[ray] <= opaque, out = here[ray] <= 0.0f;
            before[ray] = here[ray];
            tick[ray] += 1;
            const bool alive = !done & ((float)tick[ray] <= last[ray] + 1.0f);
            sure.add(ray, alive & !out);
            unsure.add(ray, alive & out);
            const bool due = done | out | (tick[ray] - first_waiting[ray] >= window);
            reading.add(ray, due & (waiting[ray] > 0.02f));
        }
    };

    const auto follow = [&]() {
        List sure, unsure;  // whether the next tick is in a block that may have density
        sure.count = unsure.count = 0;
        for (int first = 0; first < MANY; first += LANES) {
            seek(first);
            for (int ray = first; ray < first + LANES; ++ray)
                sure.add(ray, (float)tick[ray] <= last[ray] + 1.0f);
        }
        const List all = sure;
        while (sure.count + unsure.count > 0) {
            List empty, looking, entering, stopping, reading;
            empty.count = looking.count = entering.count = stopping.count = reading.count = 0;
            look_up(sure, false, empty, looking, entering, stopping);
            look_up(unsure, true, empty, looking, entering, stopping);
            sure.count = unsure.count = 0;
            enter(entering);
            stop(stopping);
            go_on(looking, sure, unsure, reading);
            for (int i = 0; i < reading.count; ++i)
                read_attributes(reading.rays[i]);
            skip(empty, unsure);
        }
        for (int i = 0; i < all.count; ++i)
            if (waiting[all.rays[i]] > 0.0f)
                read_attributes(all.rays[i]);
    };

    // Records of what the rays meet, 16 numbers each: 8 mean stored codes, the unit normal, the mean
    // distance, the opacity, the unit direction of the ray.
    const auto write_records = [&](float* record) {
        for (int ray = 0; ray < MANY; ++ray, record += 16) {
            const float alpha = 1.0f - transmittance[ray];
            record[12] = alpha;
            if (!(alpha > faint))
                continue;
            const float by = 1.0f / alpha;
            for (int channel = 0; channel < 8; ++channel)
                record[channel] = code_sum[ray][channel] * by;
            const Vec normal = normal_sum[ray];
            const float squares = dot(normal, normal);
            const float to_unit = squares > 0.0f ? 1.0f / sqrtf(squares) : 0.0f;
            record[8] = normal.x * to_unit;
            record[9] = normal.y * to_unit;
            record[10] = normal.z * to_unit;
            record[11] = near_time[ray] + depth[ray] * tick_time[ray] * by;
            for (int axis = 0; axis < 3; ++axis)
                record[13 + axis] = ahead[axis][ray];
        }
    };

    // Where in the image the rays of this index are.
    const int across = rays.tile_width_log2;
    const int tile = tiles.data[slot >> 6];
    const int tile_x = (tile % rays.tiles_x) << across, tile_y = (tile / rays.tiles_x) << (6 - across);
    const auto column_of = [&](int ray) { return tile_x + (((slot & 63) + ray) & ((1 << across) - 1)); };
    const auto line_of = [&](int ray) { return tile_y + (((slot & 63) + ray) >> across); };

    // The rays of the view, those of tiles that meet nothing left out.
    const auto view_rays = [&](float free) {
        if (rays.pinhole != 0) {
            NEURON_LANES
            for (int ray = 0; ray < MANY; ++ray) {
                const float x = (float)column_of(ray), y = (float)line_of(ray);
                float squared = 0.0f;
                for (int axis = 0; axis < 3; ++axis) {
                    const float to = rays.first[axis] + rays.right[axis] * x + rays.down[axis] * y;
                    squared += to * to;
                    ahead[axis][ray] = to;
                    begins[axis][ray] = rays.eye[axis];
                }
                const float length = sqrtf(squared);
                for (int axis = 0; axis < 3; ++axis)
                    ahead[axis][ray] *= 1.0f / length;
                const bool shown = (x < (float)rays.width) & (y < (float)rays.height) & (free < 1e30f);
                start[ray] = shown ? free * length : -1.0f;
            }
        } else {
            for (int ray = 0; ray < MANY; ++ray) {
                const int x = column_of(ray), y = line_of(ray);
                const bool shown = x < rays.width && y < rays.height && free < 1e30f;
                const int index = shown ? y * rays.width + x : 0;
                for (int axis = 0; axis < 3; ++axis) {
                    begins[axis][ray] = rays_o.data[index][axis];
                    ahead[axis][ray] = rays_d.data[index][axis];
                }
                start[ray] = shown ? free : -1.0f;
            }
        }
    };

    const auto march = [&](float* records) {
        view_rays(starts.data[tile]);
        prepare();
        follow();
        write_records(records);
    };

    // Reflect the rays of the view that met a mirror: all, or the first of each four beside each other.
    // Whether any did; else nothing is written. `leaders` says whose reflection a ray shares.
    int leaders[MANY];
    const auto march_reflected = [&](const float* records, float* reflected, int sharing) {
        bool mirrors[MANY];
        int reflecting = 0;
        for (int ray = 0; ray < MANY; ++ray) {
            const float* met = records + 16 * ray;
            float activation = gate[8];
            for (int channel = 0; channel < 8; ++channel)
                activation += gate[channel] * met[channel];
            mirrors[ray] = met[12] > 0.5f && activation > gate[9];
            leaders[ray] = ray;
        }
        if (MANY > 1 && sharing > 1)  // on CUDA the others are in other threads
            for (int ray = 0; ray < MANY; ++ray) {
                const int first = across == 3 ? ray & ~9 : ray & ~3;
                const int beside = across == 3 ? 8 : 2;
                int leader = first + beside + 1;
                leader = mirrors[first + beside] ? first + beside : leader;
                leader = mirrors[first + 1] ? first + 1 : leader;
                leaders[ray] = mirrors[first] ? first : leader;
            }
        for (int ray = 0; ray < MANY; ++ray) {
            const float* met = records + 16 * ray;
            const bool mirror = mirrors[ray] && leaders[ray] == ray;
            const float facing = met[8] * met[13] + met[9] * met[14] + met[10] * met[15];
            for (int axis = 0; axis < 3; ++axis) {
                begins[axis][ray] += met[13 + axis] * met[11] + lift / grid.scale * met[8 + axis];
                ahead[axis][ray] = met[13 + axis] - 2.0f * facing * met[8 + axis];
            }
            start[ray] = mirror ? 0.0f : -1.0f;
            reflecting += mirror;
            leaders[ray] = mirrors[ray] ? leaders[ray] : ray;
        }
        if (reflecting > 0) {
            prepare();
            follow();
            write_records(reflected);
        }
        return reflecting > 0;
    };
"""


@wp.func_native("""
    const int cell = (int)place;
    return cell < 0 ? 0 : (cell < cells ? cell : cells - 1);
""")
def cell_at(place: wp.float32, cells: wp.int32) -> wp.int32:
    """The cell of a place, of `cells` in a row of size 1 each."""
    ...


@wp.func
def corner_of(rays: View, tile: wp.int32, place: wp.int32) -> wp.int32:
    """The ray at a place of a tile; of a camera, the nearest one inside the image."""
    if rays.pinhole == 0:
        return ray_of(rays, tile, place)
    x = wp.min(8 * (tile % rays.tiles_x) + (place & 7), rays.width - 1)
    y = wp.min(8 * (tile // rays.tiles_x) + (place >> 3), rays.height - 1)
    return y * rays.width + x


@wp.kernel(enable_backward=False)
def beam_kernel(
    grid: Grid,
    blocks: wp.array[wp.uint8],
    rays: View,
    rays_o: wp.array[wp.vec3f],  # [R]
    rays_d: wp.array[wp.vec3f],  # [R]
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
    # The rays of a camera lie between those in the corners of their tile.
    places = wp.where(rays.pinhole != 0, 4, wp.static(BEAM))
    for number in range(places):
        place = wp.where(rays.pinhole != 0, 7 * (number & 1) + 56 * (number >> 1), number)
        ray = corner_of(rays, tile, place)
        if ray >= 0:
            origin = (origin_of(rays, rays_o, ray) - grid.low) * grid.scale
            speed = direction_of(rays, rays_d, ray) * grid.scale
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
