// March the rays of a tile through one field.
//
// A ray is sampled at ticks. Rays advance in rounds, each ray one step a round: a single ray waits for
// memory and for its own last step most of the time, and what waits here is one ray of 64. Coordinates
// and the corners of a voxel are handled together, lists of rays are filled without branches. On CUDA a
// thread has one ray. Lengths are voxels from the grid's lower corner, times are those of the ray.
#pragma once
#include "attributes.h"
#include "batch.h"
#include "exponential.h"
#include "light.h"
#include "view.h"

namespace neuron {

struct RayList {
    unsigned char rays[RAYS];
    int count;
    CUDA_CALLABLE void clear() { count = 0; }
    CUDA_CALLABLE void add(int ray, bool wanted) {
        rays[count] = (unsigned char)ray;
        count += wanted;
    }
};

struct Marcher {
    const Field field;
    const float step;  // voxels between two ticks
    const int window;  // ticks with density for which attributes are read once

    // Rays of the world, and times before which they meet nothing; below 0 for unused ones,
    // which get no time at all.
    float begins[3][RAYS], ahead[3][RAYS], start[RAYS];
    // Where they are, in voxels and voxels a tick,
    Vec entry[RAYS], stride[RAYS], inverse[RAYS];
    float axes[9][RAYS];  // the same, coordinate by coordinate
    int tick[RAYS];
    float last[RAYS], half_tick[RAYS], near_time[RAYS], tick_time[RAYS];
    // what they have met so far, attributes weighted,
    Attributes met[RAYS];
    float transmittance[RAYS], depth[RAYS];
    float before[RAYS];  // density at the last tick, 0 if it was not looked up,
    float waiting[RAYS], moment[RAYS];  // weight whose attributes are not read yet,
    float largest[RAYS], surest[RAYS];  // where most of it is,
    int first_waiting[RAYS];
    // and what they meet in this round.
    int row[RAYS];
    Vec part[RAYS];
    float here[RAYS], from[RAYS], length[RAYS];

    CUDA_CALLABLE Marcher(const Field& field, float step)
        : field(field)
        , step(step)
        , window(ticks_of_window(step)) {}

    CUDA_CALLABLE void march(Record* records) {
        prepare();
        follow();
        write(records);
    }

    CUDA_CALLABLE void prepare() {
        NEURON_LANES
        for (int ray = 0; ray < RAYS; ++ray)
            prepare_ray(ray);
        for (int ray = 0; ray < RAYS; ++ray) {
            entry[ray] = vec(axes[0][ray], axes[1][ray], axes[2][ray]);
            stride[ray] = vec(axes[3][ray], axes[4][ray], axes[5][ray]);
            inverse[ray] = vec(axes[6][ray], axes[7][ray], axes[8][ray]);
            met[ray].clear();
        }
    }

    // Cut a ray to the box of the density and give it its ticks.
    CUDA_CALLABLE void prepare_ray(int ray) {
        float near = 0.0f, far = 1e30f, squared = 0.0f, distance = 0.0f;
        for (int axis = 0; axis < 3; ++axis) {
            const float eye = (begins[axis][ray] - field.low[axis]) * field.scale;
            const float speed = ahead[axis][ray] * field.scale;
            const float far_away = speed > 0.0f ? 1e20f : -1e20f;  // zero counts as negative
            const float slowness = fabsf(speed) > 1e-20f ? 1.0f / speed : far_away;
            const float first = (field.inside_low[axis] - eye) * slowness;
            const float second = (field.inside_high[axis] - eye) * slowness;
            near = most(least(first, second), near);
            far = least(most(first, second), far);
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
        tick[ray] = (int)((meets & (skipped > 0.0f)) ? least(skipped, 1e9f) : 0.0f);
        last[ray] = meets ? least(ticks, 1e9f) : -2.0f;
        half_tick[ray] = 0.5f * time_per_tick;
        near_time[ray] = near;
        tick_time[ray] = time_per_tick;
        transmittance[ray] = 1.0f;
        depth[ray] = before[ray] = waiting[ray] = moment[ray] = largest[ray] = surest[ray] = 0.0f;
        first_waiting[ray] = 0;
    }

    CUDA_CALLABLE bool is_going(int ray) const { return (float)tick[ray] <= last[ray] + 1.0f; }

    CUDA_CALLABLE void follow() {
        RayList sure, unsure;  // whether the next tick is in a block that may have density
        sure.clear(), unsure.clear();
        for (int first = 0; first < RAYS; first += LANES) {
            seek(first);
            for (int ray = first; ray < first + LANES; ++ray)
                sure.add(ray, is_going(ray));
        }
        const RayList all = sure;
        while (sure.count + unsure.count > 0)
            go_a_round(sure, unsure);
        for (int i = 0; i < all.count; ++i)
            if (waiting[all.rays[i]] > 0.0f)
                read_attributes(all.rays[i]);
    }

    CUDA_CALLABLE void go_a_round(RayList& sure, RayList& unsure) {
        RayList empty, looking, entering, stopping, reading;
        empty.clear(), looking.clear(), entering.clear(), stopping.clear(), reading.clear();
        look_up(sure, false, empty, looking, entering, stopping);
        look_up(unsure, true, empty, looking, entering, stopping);
        sure.clear(), unsure.clear();
        enter(entering);
        stop(stopping);
        go_on(looking, sure, unsure, reading);
        for (int i = 0; i < reading.count; ++i)
            read_attributes(reading.rays[i]);
        skip(empty, unsure);
    }

    // Go over empty blocks until each of some rays is in one that is not, or has left.
    CUDA_CALLABLE void seek(int first) {
        bool going = true;
        while (going) {
            int moved = 0;
            NEURON_LANES
            for (int ray = first; ray < first + LANES; ++ray)
                moved |= skip_block(ray);
            going = moved != 0;
        }
    }

    // Go over the block that a ray is in if it is empty, by coordinates; returns how many ticks.
    CUDA_CALLABLE int skip_block(int ray) {
        const float time = (float)tick[ray];
        float at[3], ways[3];
        int block[3];
        for (int axis = 0; axis < 3; ++axis) {
            at[axis] = axes[axis][ray] + axes[3 + axis][ray] * time;
            const int cell = (int)at[axis];
            const int last_cell = field.cells(axis) - 1;
            block[axis] = (cell < 0 ? 0 : (cell < last_cell ? cell : last_cell)) >> field.block_log2;
        }
        const int free = field.distance_of(block[0], block[1], block[2]);
        for (int axis = 0; axis < 3; ++axis) {
            const int side = axes[3 + axis][ray] > 0.0f ? block[axis] + free : block[axis] + 1 - free;
            ways[axis] = ((float)side * field.block_size() - at[axis]) * axes[6 + axis][ray];
        }
        const float way = least(least(ways[0], ways[1]), ways[2]);
        const bool goes = (free > 0) & (time <= last[ray] + 1.0f);
        const int ticks = goes ? 1 + whole_ticks(way) : 0;
        tick[ray] += ticks;
        return ticks;
    }

    // Go over the empty block that a ray is in.
    CUDA_CALLABLE void skip(const RayList& empty, RayList& next) {
        for (int i = 0; i < empty.count; ++i) {
            const int ray = empty.rays[i];
            const Vec at = entry[ray] + stride[ray] * (float)tick[ray];
            const Voxel voxel = field.voxel_at(at);
            const Vec exit = exit_of(field, voxel, stride[ray], field.distance_at(voxel));
            tick[ray] += 1 + whole_ticks(least((exit - at) * inverse[ray]));
            before[ray] = 0.0f;
            next.add(ray, is_going(ray));
        }
    }

    NEURON_ALWAYS_INLINE CUDA_CALLABLE void look_up(const RayList& going, bool unsure, RayList& empty,
            RayList& looking, RayList& entering, RayList& stopping) {
        for (int i = 0; i < going.count; ++i) {
            const int ray = going.rays[i];
            const float time = (float)tick[ray];
            const Voxel voxel = field.voxel_at(entry[ray] + stride[ray] * time);
            const int found = field.row_of(voxel);
            const bool inside = (found >= 0) & (time <= last[ray]);
            const float density = field.density_at(found < 0 ? 0 : found, voxel.part);
            const float b = inside ? density : 0.0f;
            const bool up = b > 0.0f, down = before[ray] > 0.0f;
            const bool is_empty = unsure && field.distance_at(voxel) > 0;
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
    }

    // Where density begins, its line does at the side of the voxel.
    CUDA_CALLABLE void enter(const RayList& entering) {
        for (int i = 0; i < entering.count; ++i) {
            const int ray = entering.rays[i];
            const float back = ticks_since_side(part[ray], stride[ray], inverse[ray]);
            const float side = field.density_at(row[ray], part[ray] - stride[ray] * back);
            const bool begins_here = side <= 0.0f;
            from[ray] = begins_here ? side : before[ray];
            length[ray] = begins_here ? back : 1.0f;
        }
    }

    // Let the density between two ticks, which is a line, stop light.
    CUDA_CALLABLE void stop(const RayList& stopping) {
        for (int i = 0; i < stopping.count; ++i) {
            const int ray = stopping.rays[i];
            const float a = from[ray], b = here[ray];
            const float up = most(a, 0.0f), down = most(b, 0.0f);
            const float both = up + down;
            const bool crosses = (a < 0.0f) | (b < 0.0f);
            const float line = crosses ? both / (up - a + down - b + both) : 1.0f;
            const float optical_depth = half_tick[ray] * length[ray] * both * line;
            const float passed = transmittance[ray] * decay(optical_depth);
            const float left = passed <= OPAQUE ? 0.0f : passed;
            const float weight = transmittance[ray] - left;
            const float on_line = mean_on_line(up, down, optical_depth, left, weight);
            const float begin = a < 0.0f ? 1.0f - line : 0.0f;
            const float time = (float)tick[ray];
            const float stopped = time - length[ray] * (1.0f - begin - line * on_line);
            const float moved = weight > 0.0f ? weight * stopped : 0.0f;
            first_waiting[ray] = waiting[ray] > 0.0f ? first_waiting[ray] : tick[ray];
            waiting[ray] += weight;
            moment[ray] += moved;
            depth[ray] += moved;
            surest[ray] = weight > largest[ray] ? (b > 0.0f ? time : time - 1.0f) : surest[ray];
            largest[ray] = most(weight, largest[ray]);
            transmittance[ray] = left;
        }
    }

    CUDA_CALLABLE void go_on(const RayList& looking, RayList& sure, RayList& unsure, RayList& reading) {
        for (int i = 0; i < looking.count; ++i) {
            const int ray = looking.rays[i];
            const bool done = transmittance[ray] <= OPAQUE, out = here[ray] <= 0.0f;
            before[ray] = here[ray];
            tick[ray] += 1;
            const bool alive = !done & is_going(ray);
            sure.add(ray, alive & !out);
            unsure.add(ray, alive & out);
            const bool due = done | out | (tick[ray] - first_waiting[ray] >= window);
            reading.add(ray, due & (waiting[ray] > LEAST_READ));
        }
    }

    // Where the mean of the light was stopped, or else where most of it was.
    CUDA_CALLABLE void read_attributes(int ray) {
        const Vec mean = entry[ray] + stride[ray] * (moment[ray] / waiting[ray]);
        if (!met[ray].add_at(field, mean, waiting[ray], false))
            met[ray].add_at(field, entry[ray] + stride[ray] * surest[ray], waiting[ray], true);
        waiting[ray] = moment[ray] = largest[ray] = 0.0f;
    }

    CUDA_CALLABLE void write(Record* records) const {
        for (int ray = 0; ray < RAYS; ++ray) {
            Record& record = records[ray];
            record.alpha = 1.0f - transmittance[ray];
            if (!(record.alpha > FAINT))
                continue;
            const float by = 1.0f / record.alpha;
            for (int channel = 0; channel < CHANNELS; ++channel)
                record.codes[channel] = met[ray].codes[channel] * by;
            write_normal(record, met[ray].normal);
            record.distance = near_time[ray] + depth[ray] * tick_time[ray] * by;
            for (int axis = 0; axis < 3; ++axis)
                record.direction[axis] = ahead[axis][ray];
        }
    }
};

}  // namespace neuron
