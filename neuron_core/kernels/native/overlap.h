// March instances that interpenetrate, or that a mesh cuts, along one ray together.
//
// Cursors walk along the ray, each on its own lattice of ticks, from one piece of line with positive
// density to the next. The pieces are merged by time: densities add, and each has its share of the light.
#pragma once
#include "attributes.h"
#include "light.h"
#include "view.h"

namespace neuron {

struct Cursor {
    int pair, instance, tick, first_waiting;
    Vec entry, stride, inverse;
    Attributes met;
    float near, time_per_tick, length_per_time, last, limit;  // near and limit are times
    float before;  // density at the last tick
    bool known, done;
    float from, to, a, b;  // the piece: times, and densities at its ends
    float weight, depth, waiting, moment, largest, surest;
    float share;  // of the density of an interval
};
static_assert(sizeof(Cursor) <= 4 * CURSOR, "CURSOR counts the floats of a cursor");

// An interval of a ray in which the pieces under way stay the same, and what it does to the light.
struct Interval {
    float start, end;
    float up, down;  // densities per time, at its ends
    float weight, stopped;  // light that is stopped, and when on average
};

// Walk an instance: advance to the next piece with density, or be done.
CUDA_CALLABLE inline void advance(Cursor& c, const Field& field);

// Cut a ray to the box of an instance and put a cursor at its first piece. False if it meets nothing.
CUDA_CALLABLE inline bool enter(Cursor& c, const Field& field, Vec origin, Vec speed, float limit, float step) {
    const float length = sqrtf(dot(speed, speed));
    origin = (origin - vec(field.low)) * field.scale;
    speed = speed * field.scale;
    if (!(length > 0.0f && length < 1e15f && dot(origin, origin) < 1e30f))
        return false;
    const Vec inverse = vec(inverse_of(speed.x), inverse_of(speed.y), inverse_of(speed.z));
    const Vec one = (vec(field.inside_low) - origin) * inverse;
    const Vec two = (vec(field.inside_high) - origin) * inverse;
    const float near = most(0.0f, greatest(lower(one, two)));
    const float far = least(higher(one, two));
    if (!(far > near) || near >= limit)
        return false;
    c.time_per_tick = step / (length * field.scale);
    c.length_per_time = length;
    c.near = near;
    c.limit = limit;
    c.entry = origin + speed * near;
    c.stride = speed * c.time_per_tick;
    c.inverse = inverse * (1.0f / c.time_per_tick);
    c.tick = 0;
    c.last = least((far - near) / c.time_per_tick, 1e9f);
    c.before = 0.0f;
    c.known = c.done = false;
    c.met.clear();
    c.weight = c.depth = c.waiting = c.moment = c.largest = c.surest = 0.0f;
    advance(c, field);
    return true;
}

// Go over the block that a cursor is in if it is empty.
CUDA_CALLABLE inline bool skip_block(Cursor& c, const Field& field, Vec at, const Voxel& voxel) {
    const int free = field.distance_at(voxel);
    if (free == 0)
        return false;
    const Vec exit = exit_of(field, voxel, c.stride, free);
    c.tick += 1 + whole_ticks(least((exit - at) * c.inverse));
    c.before = 0.0f;
    c.known = false;
    return true;
}

// The density at the tick of a cursor, which advances to the next one. Whether the line from the last tick
// is a piece, which is written.
CUDA_CALLABLE inline bool look_up(Cursor& c, const Field& field, const Voxel& voxel) {
    const float time = (float)c.tick;
    const int row = field.row_of(voxel);
    const bool inside = row >= 0 && time <= c.last;
    const float here = inside ? field.density_at(row, voxel.part) : 0.0f;
    float a = c.before, length = 1.0f;
    if (c.before <= 0.0f && here > 0.0f) {
        const float back = ticks_since_side(voxel.part, c.stride, c.inverse);
        const float side = field.density_at(row, voxel.part - c.stride * back);
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
        return false;
    const float up = most(a, 0.0f), down = most(here, 0.0f);
    const float part = a < 0.0f ? down / (down - a) : (here < 0.0f ? up / (up - here) : 1.0f);
    const float start = time - length * (a < 0.0f ? part : 1.0f);
    c.a = up;
    c.b = down;
    c.from = c.near + start * c.time_per_tick;
    c.to = c.near + (start + length * part) * c.time_per_tick;
    return c.to > c.from && c.from < c.limit;
}

CUDA_CALLABLE inline void advance(Cursor& c, const Field& field) {
    while ((float)c.tick <= c.last + 1.0f) {
        const Vec at = c.entry + c.stride * (float)c.tick;
        const Voxel voxel = field.voxel_at(at);
        if (c.before <= 0.0f && skip_block(c, field, at, voxel))
            continue;
        if (look_up(c, field, voxel))
            return;
    }
    c.done = true;
    c.from = c.to = FAR;
}

CUDA_CALLABLE inline void read_attributes(Cursor& c, const Field& field) {
    if (!c.met.add_at(field, c.entry + c.stride * (c.moment / c.waiting), c.waiting, false))
        c.met.add_at(field, c.entry + c.stride * c.surest, c.waiting, true);
    c.waiting = c.moment = c.largest = 0.0f;
}

// The next interval from `now` on that has density before `limit`. False if there is none.
CUDA_CALLABLE inline bool find_interval(Cursor* cursors, int members, float now, float limit, Interval& found) {
    found.start = found.end = FAR;
    for (int k = 0; k < members; ++k)
        found.start = least(found.start, most(now, cursors[k].from));
    if (found.start >= FAR || found.start >= limit)
        return false;
    for (int k = 0; k < members; ++k)
        found.end = least(found.end, cursors[k].from <= found.start ? cursors[k].to : cursors[k].from);
    found.end = least(found.end, limit);
    found.up = found.down = 0.0f;
    for (int k = 0; k < members; ++k) {
        Cursor& c = cursors[k];
        c.share = 0.0f;
        if (c.from > found.start || !(found.end > found.start))
            continue;
        const float slope = (c.b - c.a) / (c.to - c.from);
        const float one = most(c.a + slope * (found.start - c.from), 0.0f) * c.length_per_time;
        const float two = most(c.a + slope * (found.end - c.from), 0.0f) * c.length_per_time;
        c.share = one + two;
        found.up += one;
        found.down += two;
    }
    return true;
}

// Give a cursor its part of the light that an interval stops.
CUDA_CALLABLE inline void take_share(Cursor& c, const Interval& interval) {
    const float own = interval.weight * c.share / (interval.up + interval.down);
    if (!(own > 0.0f))
        return;
    if (c.waiting <= 0.0f)
        c.first_waiting = c.tick - 1;
    c.waiting += own;
    c.moment += own * ((interval.stopped - c.near) / c.time_per_tick);
    c.weight += own;
    c.depth += own * interval.stopped;
    if (own > c.largest) {
        c.largest = own;
        c.surest = (c.b >= c.a ? c.to - c.near : c.from - c.near) / c.time_per_tick;
    }
}

// Let an interval stop light; returns the transmittance behind it.
CUDA_CALLABLE inline float stop(Cursor* cursors, int members, Interval& interval, float transmittance) {
    const float length = interval.end - interval.start;
    const float optical_depth = 0.5f * (interval.up + interval.down) * length;
    const float rest = transmittance * expf(-optical_depth);
    const float left = rest <= OPAQUE ? 0.0f : rest;
    interval.weight = transmittance - left;
    if (!(interval.weight > 0.0f))
        return transmittance;
    const float on_line = mean_on_line(interval.up, interval.down, optical_depth, left, interval.weight);
    interval.stopped = interval.start + length * on_line;
    for (int k = 0; k < members; ++k)
        take_share(cursors[k], interval);
    return left;
}

// Write a cursor's record; what lies before it lets `passed` of the light through.
CUDA_CALLABLE inline void write(Record& record, const Cursor& c, float passed) {
    record.alpha = passed > 1e-6f ? least(c.weight / passed, 1.0f) : 0.0f;
    if (!(record.alpha > 0.0f))
        return;
    for (int channel = 0; channel < CHANNELS; ++channel)
        record.codes[channel] = c.met.codes[channel] / c.weight;
    write_normal(record, c.met.normal);
    record.distance = c.depth / c.weight * c.length_per_time;
    const Vec direction = c.stride * (1.0f / sqrtf(dot(c.stride, c.stride)));
    record.direction[0] = direction.x;
    record.direction[1] = direction.y;
    record.direction[2] = direction.z;
}

// The rays of one tile, and its pairs.
template <class Call> struct Crowd {
    const Call& call;
    const int first_pair, last_pair;
    const Tile tile;
    Cursor* const cursors;
    int members;

    CUDA_CALLABLE Field field_of(const Cursor& c) const {
        return neuron::field_of(call.assets.data[call.asset_of.data[c.instance]]);
    }

    CUDA_CALLABLE Record& record(int pair, int place) const {
        return ((Record*)call.records.data)[BEAM * (size_t)pair + place];
    }

    // Put a cursor into each instance that the ray meets.
    CUDA_CALLABLE void gather(int x, int y, Vec world, float limit) {
        const auto& view = call.rays.view;
        members = 0;
        for (int k = first_pair; k < last_pair; ++k) {
            Cursor& c = cursors[members];
            c.pair = call.pairs.data[k];
            c.instance = call.instances.data[c.pair];
            const Placement& placement = ((const Placement*)call.table.data)[c.instance];
            const LocalRays<decltype(call.rays)> local{call.rays, placement};
            const bool pinhole = view.pinhole != 0;
            const Vec origin = pinhole ? vec(placement.eye) : local.origin(y * view.width + x);
            const Vec speed = pinhole ? towards(placement, (float)x, (float)y) : turned(placement, world);
            members += enter(c, field_of(c), origin, speed, limit, call.step);
        }
    }

    // Let the members stop the light of the ray, piece by piece.
    CUDA_CALLABLE void follow(float limit, int window) {
        float transmittance = 1.0f, now = 0.0f;
        Interval interval;
        while (transmittance > OPAQUE && find_interval(cursors, members, now, limit, interval)) {
            transmittance = stop(cursors, members, interval, transmittance);
            now = interval.end;
            for (int k = 0; k < members; ++k)
                if (!cursors[k].done && !(cursors[k].to > now))
                    go_on(cursors[k], window);
        }
    }

    CUDA_CALLABLE void go_on(Cursor& c, int window) {
        const Field field = field_of(c);
        const float was = c.to;
        const int looked = c.tick;
        advance(c, field);
        const bool gap = c.from > was + 0.01f * c.time_per_tick;
        if (c.waiting > LEAST_READ && (gap || looked - c.first_waiting >= window))
            read_attributes(c, field);
    }

    // In the order of their depths, so that one over another gives the weights.
    CUDA_CALLABLE void write_all(int place) {
        float passed = 1.0f;
        for (int written = 0; written < members; ++written) {
            Cursor& c = cursors[nearest()];
            if (c.waiting > 0.0f)
                read_attributes(c, field_of(c));
            write(record(c.pair, place), c, passed);
            passed -= c.weight;
            c.pair = -1;
        }
    }

    // The member that is not written yet whose light is stopped first.
    CUDA_CALLABLE int nearest() const {
        int found = -1;
        float least_depth = FAR;
        for (int k = 0; k < members; ++k) {
            const Cursor& c = cursors[k];
            const float depth = c.weight > 0.0f ? c.depth / c.weight : 0.2f * FAR;
            if (c.pair >= 0 && depth < least_depth) {
                least_depth = depth;
                found = k;
            }
        }
        return found;
    }

    CUDA_CALLABLE void march(int place, int window) {
        const auto& view = call.rays.view;
        const int x = tile.column(place), y = tile.line(place);
        for (int k = first_pair; k < last_pair; ++k)
            record(call.pairs.data[k], place).alpha = 0.0f;
        if (!is_inside(view, x, y))
            return;
        const Vec world = world_direction(call.rays, x, y);
        const float distance = call.limits.data[y * view.width + x];
        const float limit = distance < FAR ? distance / sqrtf(dot(world, world)) : FAR;
        gather(x, y, world, limit);
        follow(limit, window);
        write_all(place);
    }
};

// Write the records of all pairs of a tile, of `count` of its rays from the place `slot % BEAM` on.
template <class Call> CUDA_CALLABLE inline void march_overlapping(const Call& call, int slot, int count) {
    const int index = slot >> BEAM_LOG2, place = slot & (BEAM - 1);
    const int first = call.firsts.data[index], last = call.firsts.data[index + 1];
    Cursor few[FEW];
    const size_t others = count > 1 ? (size_t)first : BEAM * (size_t)first + (size_t)place * (last - first);
    Cursor* many = (Cursor*)(call.scratch.data + CURSOR * others);
    Crowd<Call> crowd{call, first, last, tile_of(call.rays.view, call.tiles.data[index]),
        last - first <= FEW ? few : many, 0};
    const int window = ticks_of_window(call.step);
    for (int at = place; at < place + count; ++at)
        crowd.march(at, window);
}

}  // namespace neuron
