"""March instances that interpenetrate, or that a mesh cuts, through their tiles together.

Letters in shapes: R rays, T tiles of 64 rays, I instances, A assets, P pairs of a tile and an instance.
Each instance keeps its own lattice of ticks and its own lines of density between them, as in `marching`; the
pieces are merged by time, densities add, and each has its share of the light.
"""

from typing import Any

import warp as wp

from neuron_core.kernels.arrays import view
from neuron_core.kernels.baked.instances import (
    FEW_TILES,
    PLACEMENT,
    RECORD,
    TILES,
    Asset,
    Tiled,
    ray_arguments,
    tile_arguments,
)
from neuron_core.kernels.baked.marching import LOOK_EVERY, OPAQUE
from neuron_core.kernels.baked.rays import BEAM, Rays, View
from neuron_core.kernels.launch import CORES, launch

FEW = 24  # instances of a tile that fit on the stack
CURSOR = 48  # floats of what is kept of each other one


def march_together(
    assets: Any,
    asset_of: Any,
    table: Any,
    rays: Rays,
    tiled: Tiled,
    limits: Any,
    records: Any,
    *,
    step: float = 0.5,
    device: str = "cpu",
) -> None:
    """Write the records of all pairs of `tiled`, whose instances may interpenetrate.

    `asset_of` [I] int32 and `table` [I, 24] place instances, `limits` [R] are distances beyond which
    nothing is looked at.
    """
    tiles = int(tiled.tiles.shape[0])
    per_index = BEAM if device == "cpu" else 1
    pairs = int(tiled.pairs.shape[0]) if tiled.most > FEW else 0
    scratch: Any = wp.empty(pairs * CURSOR * BEAM // per_index, dtype=wp.float32, device=device)
    arguments = [
        assets,
        view(asset_of, wp.int32, [int(asset_of.shape[0])]),
        view(table, wp.float32, [int(table.shape[0]), PLACEMENT]),
        *ray_arguments(rays),
        *tile_arguments(tiled),
        view(limits, wp.float32, [rays.count]),
        step,
        per_index,
        scratch,
        view(records, wp.float32, [int(records.shape[0]), RECORD]),
    ]
    slices = 1 if tiles < FEW_TILES else 8 * CORES
    launch(together_kernel, arguments, tiles, BEAM // per_index, device=device, slices=slices)


_TOGETHER = """
    constexpr int FEW = %(few)d, CURSOR = %(cursor)d;
    struct Cursor {
        int pair, instance, tick, first_waiting;
        Vec entry, stride, inverse;
        float near, time_per_tick, length_per_time, last, limit;  // near and limit are times
        float before;
        bool known, done;
        float from, to, a, b;  // the piece: times, and densities at its ends
        float codes[8], normal[3];
        float weight, depth, waiting, moment, largest, surest;
        float share;  // of the density of an interval
    };
    static_assert(sizeof(Cursor) <= 4 * CURSOR, "cursors do not fit");
    const int crowd = last_pair - first_pair;
    Cursor few[FEW];
    const size_t others = count > 1 ? (size_t)first_pair : 64 * (size_t)first_pair + (size_t)place * crowd;
    Cursor* cursors = crowd <= FEW ? few : (Cursor*)(scratch.data + CURSOR * others);
    const auto low = [](float a, float b) { return a < b ? a : b; };
    const auto high = [](float a, float b) { return a > b ? a : b; };
    const auto inverse_of = [](float speed) {  // finite; zero counts as negative
        return fabsf(speed) > 1e-20f ? 1.0f / speed : (speed > 0.0f ? 1e20f : -1e20f);
    };
    const auto cell_in = [](float place, int cells) {
        const int cell = (int)place;
        return cell < 0 ? 0 : (cell < cells ? cell : cells - 1);
    };
    const int window = (int)(look_every / step + 0.5f) > 1 ? (int)(look_every / step + 0.5f) : 1;

    struct Place { int row, x, y, z; Vec part; };
    const auto place_of = [&](const auto& asset, Vec at) {
        const auto& shape = asset.grid.shape;
        const int x = cell_in(at.x, 8 * shape[0]), y = cell_in(at.y, 8 * shape[1]);
        const int z = cell_in(at.z, 8 * shape[2]);
        const int brick = asset.top.data[((x >> 3) * shape[1] + (y >> 3)) * shape[2] + (z >> 3)];
        const int row = 729 * brick + 81 * (x & 7) + 9 * (y & 7) + (z & 7);
        return Place{brick < 0 ? -1 : row, x, y, z, at - Vec{(float)x, (float)y, (float)z}};
    };
    const auto density_at = [&](const auto& asset, int row, Vec part) {
        const float* corner = asset.density.data + row;
        const float a = corner[0] + part.x * (corner[81] - corner[0]);
        const float b = corner[1] + part.x * (corner[82] - corner[1]);
        const float c = corner[9] + part.x * (corner[90] - corner[9]);
        const float d = corner[10] + part.x * (corner[91] - corner[10]);
        const float e = a + part.y * (c - a);
        const float f = b + part.y * (d - b);
        return e + part.z * (f - e);
    };

    // Go on to the next piece with density.
    const auto advance = [&](Cursor& c) {
        const auto& asset = assets.data[asset_of.data[c.instance]];
        const auto& shape = asset.grid.shape;
        const int block_log2 = asset.grid.block_log2, per_brick_log2 = 3 - block_log2;
        const float size = (float)(1 << block_log2);
        while ((float)c.tick <= c.last + 1.0f) {
            const float time = (float)c.tick;
            const Vec at = c.entry + c.stride * time;
            const Place place = place_of(asset, at);
            if (c.before <= 0.0f) {
                const int bx = place.x >> block_log2, by = place.y >> block_log2, bz = place.z >> block_log2;
                const int far = asset.blocks.data[
                    (bx * (shape[1] << per_brick_log2) + by) * (shape[2] << per_brick_log2) + bz];
                if (far > 0) {
                    const float ex = (float)(c.stride.x > 0.0f ? bx + far : bx + 1 - far) * size;
                    const float ey = (float)(c.stride.y > 0.0f ? by + far : by + 1 - far) * size;
                    const float ez = (float)(c.stride.z > 0.0f ? bz + far : bz + 1 - far) * size;
                    const float way = low((ex - at.x) * c.inverse.x,
                        low((ey - at.y) * c.inverse.y, (ez - at.z) * c.inverse.z));
                    c.tick += 1 + (int)(way < 0.0f ? 0.0f : (way < 1.0e9f ? way : 1.0e9f));
                    c.before = 0.0f;
                    c.known = false;
                    continue;
                }
            }
            const bool inside = place.row >= 0 && time <= c.last;
            const float here = inside ? density_at(asset, place.row, place.part) : 0.0f;
            float a = c.before, length = 1.0f;
            if (c.before <= 0.0f && here > 0.0f) {
                const float sx = c.stride.x > 0.0f ? 0.0f : 1.0f, sy = c.stride.y > 0.0f ? 0.0f : 1.0f;
                const float sz = c.stride.z > 0.0f ? 0.0f : 1.0f;
                float back = low((place.part.x - sx) * c.inverse.x,
                    low((place.part.y - sy) * c.inverse.y, (place.part.z - sz) * c.inverse.z));
                back = back < 0.0f ? 0.0f : (back < 1.0f ? back : 1.0f);
                const float side = density_at(asset, place.row, place.part - c.stride * back);
                if (side <= 0.0f || !c.known) {
                    a = side;
                    length = back;
                }
            }
            const bool some = (here > 0.0f || c.before > 0.0f) && c.tick > 0;
            c.before = here;
            c.known = inside;
            c.tick += 1;
            if (!some)
                continue;
            const float up = high(a, 0.0f), down = high(here, 0.0f);
            const float part = a < 0.0f ? down / (down - a) : (here < 0.0f ? up / (up - here) : 1.0f);
            const float start = time - length * (a < 0.0f ? part : 1.0f);
            c.a = up;
            c.b = down;
            c.from = c.near + start * c.time_per_tick;
            c.to = c.near + (start + length * part) * c.time_per_tick;
            if (c.to > c.from && c.from < c.limit)
                return;
        }
        c.done = true;
        c.from = c.to = 1e30f;
    };

    const auto add = [&](Cursor& c, Vec at, float weight, bool surely) {
        const auto& asset = assets.data[asset_of.data[c.instance]];
        const Place place = place_of(asset, at);
        if (place.row < 0 || !(surely || density_at(asset, place.row, place.part) > 0.0f))
            return false;
        for (int corner = 0; corner < 8; ++corner) {
            const int row = place.row + ((corner & 4) ? 81 : 0) + ((corner & 2) ? 9 : 0) + (corner & 1);
            const float by = weight * ((corner & 4) ? place.part.x : 1.0f - place.part.x)
                * ((corner & 2) ? place.part.y : 1.0f - place.part.y)
                * ((corner & 1) ? place.part.z : 1.0f - place.part.z);
            const unsigned char* code = asset.codes.data + 8 * (size_t)row;
            const signed char* normal = (const signed char*)asset.normals.data + 4 * (size_t)row;
            for (int channel = 0; channel < 8; ++channel)
                c.codes[channel] += by * (float)code[channel];
            for (int axis = 0; axis < 3; ++axis)
                c.normal[axis] += by * (float)normal[axis];
        }
        return true;
    };
    const auto read_attributes = [&](Cursor& c) {
        if (!add(c, c.entry + c.stride * (c.moment / c.waiting), c.waiting, false))
            add(c, c.entry + c.stride * c.surest, c.waiting, true);
        c.waiting = c.moment = c.largest = 0.0f;
    };

    for (int at = place; at < place + count; ++at) {
        const int x = tile_x + (at & ((1 << across) - 1)), y = tile_y + (at >> across);
        for (int k = first_pair; k < last_pair; ++k)
            records.data[16 * (64 * (size_t)pairs.data[k] + at) + 12] = 0.0f;
        if (x >= rays.width || y >= rays.height)
            continue;
        const int ray = y * rays.width + x;
        const Vec world = world_direction(x, y);
        const float world_length = sqrtf(dot(world, world));
        const float limit = limits.data[ray] < 1e30f ? limits.data[ray] / world_length : 1e30f;
        int members = 0;
        for (int k = first_pair; k < last_pair; ++k) {
            const int instance = instances.data[pairs.data[k]];
            const float* row = table.data + 24 * (size_t)instance;
            const auto& grid = assets.data[asset_of.data[instance]].grid;
            Vec origin, speed;
            if (rays.pinhole != 0) {
                origin = vec(row);
                speed = vec(row + 3) + vec(row + 6) * (float)x + vec(row + 9) * (float)y;
            } else {
                const auto& o = rays_o.data[ray];
                origin = turned(row + 12, Vec{o[0], o[1], o[2]}) + vec(row + 21);
                speed = turned(row + 12, world);
            }
            const float length = sqrtf(dot(speed, speed));
            origin = (origin - Vec{grid.low[0], grid.low[1], grid.low[2]}) * grid.scale;
            speed = speed * grid.scale;
            if (!(length > 0.0f && length < 1e15f && dot(origin, origin) < 1e30f))
                continue;
            const Vec inverse = {inverse_of(speed.x), inverse_of(speed.y), inverse_of(speed.z)};
            const Vec one = (Vec{grid.inside_low[0], grid.inside_low[1], grid.inside_low[2]} - origin)
                * inverse;
            const Vec two = (Vec{grid.inside_high[0], grid.inside_high[1], grid.inside_high[2]} - origin)
                * inverse;
            const float near = high(0.0f,
                high(low(one.x, two.x), high(low(one.y, two.y), low(one.z, two.z))));
            const float far = low(high(one.x, two.x), low(high(one.y, two.y), high(one.z, two.z)));
            if (!(far > near) || near >= limit)
                continue;
            Cursor& c = cursors[members++];
            c.pair = pairs.data[k];
            c.instance = instance;
            c.time_per_tick = step / (length * grid.scale);
            c.length_per_time = length;
            c.near = near;
            c.limit = limit;
            c.entry = origin + speed * near;
            c.stride = speed * c.time_per_tick;
            c.inverse = inverse * (1.0f / c.time_per_tick);
            c.tick = 0;
            c.last = low((far - near) / c.time_per_tick, 1e9f);
            c.before = 0.0f;
            c.known = c.done = false;
            for (int channel = 0; channel < 8; ++channel)
                c.codes[channel] = 0.0f;
            for (int axis = 0; axis < 3; ++axis)
                c.normal[axis] = 0.0f;
            c.weight = c.depth = c.waiting = c.moment = c.largest = c.surest = 0.0f;
            advance(c);
        }
        float transmittance = 1.0f, now = 0.0f;
        while (transmittance > opaque) {
            float start = 1e30f, end = 1e30f;
            for (int k = 0; k < members; ++k)
                start = low(start, high(now, cursors[k].from));
            if (start >= 1e30f || start >= limit)
                break;
            for (int k = 0; k < members; ++k)
                end = low(end, cursors[k].from <= start ? cursors[k].to : cursors[k].from);
            end = low(end, limit);
            float up = 0.0f, down = 0.0f;  // per time
            for (int k = 0; k < members; ++k) {
                Cursor& c = cursors[k];
                c.share = 0.0f;
                if (c.from > start || !(end > start))
                    continue;
                const float slope = (c.b - c.a) / (c.to - c.from);
                const float one = high(c.a + slope * (start - c.from), 0.0f) * c.length_per_time;
                const float two = high(c.a + slope * (end - c.from), 0.0f) * c.length_per_time;
                c.share = one + two;
                up += one;
                down += two;
            }
            const float both = up + down, optical_depth = 0.5f * both * (end - start);
            const float rest = transmittance * expf(-optical_depth);
            const float left = rest <= opaque ? 0.0f : rest, weight = transmittance - left;
            if (weight > 0.0f) {
                const float mean = optical_depth > 0.05f ? 1.0f / optical_depth - left / weight
                    : 0.5f - optical_depth / 12.0f;
                const float root = up * up + (down * down - up * up) * mean;
                const float on_line = mean * both / (up + sqrtf(high(root, 0.0f)));
                const float stopped = start + (end - start) * on_line;
                for (int k = 0; k < members; ++k) {
                    Cursor& c = cursors[k];
                    const float own = weight * c.share / both;
                    if (!(own > 0.0f))
                        continue;
                    if (c.waiting <= 0.0f)
                        c.first_waiting = c.tick - 1;
                    c.waiting += own;
                    c.moment += own * ((stopped - c.near) / c.time_per_tick);
                    c.weight += own;
                    c.depth += own * stopped;
                    if (own > c.largest) {
                        c.largest = own;
                        c.surest = (c.b >= c.a ? c.to - c.near : c.from - c.near) / c.time_per_tick;
                    }
                }
                transmittance = left;
            }
            now = end;
            for (int k = 0; k < members; ++k) {
                Cursor& c = cursors[k];
                if (c.done || c.to > now)
                    continue;
                const float was = c.to;
                const int looked = c.tick;
                advance(c);
                const bool gap = c.from > was + 0.01f * c.time_per_tick;
                if (c.waiting > 0.02f && (gap || looked - c.first_waiting >= window))
                    read_attributes(c);
            }
        }
        // In the order of their depths, so that one over another gives the weights.
        float behind = 1.0f;
        for (int written = 0; written < members; ++written) {
            int next = -1;
            float nearest = 1e30f;
            for (int k = 0; k < members; ++k) {
                const Cursor& c = cursors[k];
                const float depth = c.weight > 0.0f ? c.depth / c.weight : 2e29f;
                if (c.pair >= 0 && depth < nearest) {
                    nearest = depth;
                    next = k;
                }
            }
            Cursor& c = cursors[next];
            if (c.waiting > 0.0f)
                read_attributes(c);
            float* record = records.data + 16 * (64 * (size_t)c.pair + at);
            const float alpha = behind > 1e-6f ? low(c.weight / behind, 1.0f) : 0.0f;
            record[12] = alpha;
            behind -= c.weight;
            c.pair = -1;
            if (!(alpha > 0.0f))
                continue;
            for (int channel = 0; channel < 8; ++channel)
                record[channel] = c.codes[channel] / c.weight;
            const Vec normal = vec(c.normal);
            const float squares = dot(normal, normal), unit = squares > 0.0f ? 1.0f / sqrtf(squares) : 0.0f;
            record[8] = normal.x * unit;
            record[9] = normal.y * unit;
            record[10] = normal.z * unit;
            record[11] = c.depth / c.weight * c.length_per_time;
            const Vec direction = c.stride * (1.0f / sqrtf(dot(c.stride, c.stride)));
            record[13] = direction.x;
            record[14] = direction.y;
            record[15] = direction.z;
        }
    }
"""


@wp.func_native(TILES + _TOGETHER % {"few": FEW, "cursor": CURSOR})
def march_rays_together(
    index: wp.int32,
    place: wp.int32,
    count: wp.int32,
    assets: wp.array[Asset],
    asset_of: wp.array[wp.int32],
    table: wp.array2d[wp.float32],
    rays: View,
    rays_o: wp.array[wp.vec3f],
    rays_d: wp.array[wp.vec3f],
    tiles: wp.array[wp.int32],
    firsts: wp.array[wp.int32],
    pairs: wp.array[wp.int32],
    instances: wp.array[wp.int32],
    limits: wp.array[wp.float32],
    step: wp.float32,
    opaque: wp.float32,
    look_every: wp.float32,
    scratch: wp.array[wp.float32],
    records: wp.array2d[wp.float32],
) -> None:
    """Write the records of some rays of one tile."""
    ...


@wp.kernel(enable_backward=False)
def together_kernel(
    assets: wp.array[Asset],  # [A]
    asset_of: wp.array[wp.int32],  # [I]
    table: wp.array2d[wp.float32],  # [I, 24]
    rays: View,
    rays_o: wp.array[wp.vec3f],
    rays_d: wp.array[wp.vec3f],
    tiles: wp.array[wp.int32],  # [T]
    firsts: wp.array[wp.int32],  # [T + 1]
    pairs: wp.array[wp.int32],
    instances: wp.array[wp.int32],  # [P]
    limits: wp.array[wp.float32],  # [R]
    step: wp.float32,  # voxels
    per_index: wp.int32,  # rays
    scratch: wp.array[wp.float32],  # [P * CURSOR] on a CPU, 64 times that on CUDA; [0] if no tile needs it
    records: wp.array2d[wp.float32],  # [64 * P, 16]
    first: wp.int32,
) -> None:
    """One index per tile on a CPU, per ray of a tile on CUDA."""
    slot = (first + wp.tid()) * per_index
    march_rays_together(
        slot >> 6,
        slot & 63,
        per_index,
        assets,
        asset_of,
        table,
        rays,
        rays_o,
        rays_d,
        tiles,
        firsts,
        pairs,
        instances,
        limits,
        step,
        wp.static(OPAQUE),
        wp.static(LOOK_EVERY),
        scratch,
        records,
    )
