// Sort what instances and meshes show along each ray, and write the pixels.
#pragma once
#include "view.h"

namespace neuron {

// The nearest layers of a ray that are not composed yet, in their order.
struct Sorted {
    int order[AT_ONCE];  // places of pairs
    float times[AT_ONCE];
    int count;

    CUDA_CALLABLE void add(int k, float time) {
        if (count == AT_ONCE && !(time < times[AT_ONCE - 1]))
            return;
        int to = count < AT_ONCE ? count : AT_ONCE - 1;
        for (; to > 0 && time < times[to - 1]; --to) {
            times[to] = times[to - 1];
            order[to] = order[to - 1];
        }
        times[to] = time;
        order[to] = k;
        count += count < AT_ONCE ? 1 : 0;
    }
};

// One ray on its way through the layers of its tile.
template <class Call> struct Pixel {
    const Call& call;
    const int first_pair, last_pair;
    const int place, x, y;
    const size_t ray;
    const Vec direction;
    const float length;  // of the direction
    const bool has_mesh;
    const float wall;  // where the mesh is
    float color[3];
    float transmittance, passed, veil;
    float until;  // time up to which layers are composed, and which of equal ones
    int until_pair;
    bool found;  // what stops the middle of the light

    CUDA_CALLABLE const Layer& layer(int k) const {
        return ((const Layer*)call.layers.data)[BEAM * (size_t)call.pairs.data[k] + place];
    }

    CUDA_CALLABLE const Placement& placement(int k) const {
        return ((const Placement*)call.table.data)[call.instances.data[call.pairs.data[k]]];
    }

    // A layer's depth as a distance in the world.
    CUDA_CALLABLE float time_of(int k) const {
        const Placement& of = placement(k);
        const bool pinhole = call.rays.view.pinhole != 0;
        const Vec local = pinhole ? towards(of, (float)x, (float)y) : turned(of, direction);
        return layer(k).distance * (length / sqrtf(dot(local, local)));
    }

    // The nearest layers behind those that are composed; whether there are more. On the first turn also what
    // all of them together let through.
    CUDA_CALLABLE bool sort(Sorted& sorted, bool is_first) {
        bool more = false;
        sorted.count = 0;
        for (int k = first_pair; k < last_pair; ++k) {
            const float alpha = layer(k).alpha;
            if (!(alpha > FAINT)) {
                veil *= is_first ? 1.0f - alpha : 1.0f;
                continue;
            }
            const float time = time_of(k);
            if (!(time <= wall))
                continue;
            passed *= is_first ? 1.0f - alpha : 1.0f;
            if (time < until || (time == until && k <= until_pair))
                continue;
            more = more || sorted.count == AT_ONCE;
            sorted.add(k, time);
        }
        return more;
    }

    CUDA_CALLABLE void blend(const Sorted& sorted) {
        passed = passed <= OPAQUE ? 0.0f : passed;
        const float half = has_mesh ? 0.5f : 0.5f * passed + 0.5f;  // of what is stopped
        for (int k = 0; k < sorted.count && transmittance > 0.0f; ++k) {
            const Layer& shown = layer(sorted.order[k]);
            for (int channel = 0; channel < 3; ++channel)
                color[channel] += transmittance * shown.color[channel];
            transmittance *= 1.0f - shown.alpha;
            transmittance = transmittance <= OPAQUE ? 0.0f : transmittance;
            if (!found && transmittance <= half)
                write_surface(sorted.order[k], sorted.times[k], shown);
        }
    }

    // Normals go by the transpose of what takes the world into the instance.
    CUDA_CALLABLE void write_surface(int k, float time, const Layer& shown) {
        found = true;
        const float* m = placement(k).matrix;
        Vec normal = vec(m) * shown.normal[0] + vec(m + 3) * shown.normal[1] + vec(m + 6) * shown.normal[2];
        normal = normal * to_unit(normal);
        call.depths.data[ray] = time;
        call.normals.data[3 * ray] = normal.x;
        call.normals.data[3 * ray + 1] = normal.y;
        call.normals.data[3 * ray + 2] = normal.z;
        call.ids.data[ray] = call.instances.data[call.pairs.data[k]];
    }

    CUDA_CALLABLE void add_mesh() {
        for (int channel = 0; channel < 3; ++channel)
            color[channel] += transmittance * call.mesh_colors.data[3 * ray + channel];
        transmittance = 0.0f;
        if (found)
            return;
        call.depths.data[ray] = wall;
        for (int axis = 0; axis < 3; ++axis)
            call.normals.data[3 * ray + axis] = call.mesh_normals.data[3 * ray + axis];
        call.ids.data[ray] = call.mesh_ids.data[ray];
    }

    CUDA_CALLABLE void compose() {
        Sorted sorted;
        for (bool first = true, more = true; more && transmittance > 0.0f; first = false) {
            more = sort(sorted, first);
            blend(sorted);
            until = more ? sorted.times[AT_ONCE - 1] : FAR;
            until_pair = more ? sorted.order[AT_ONCE - 1] : -1;
        }
        if (has_mesh)
            add_mesh();
        for (int channel = 0; channel < 3; ++channel)
            call.rgba.data[4 * ray + channel] = color[channel];
        call.rgba.data[4 * ray + 3] = 1.0f - transmittance * veil;
    }
};

// Write the pixels of `count` rays of a tile from the place `slot % BEAM` on.
template <class Call> CUDA_CALLABLE inline void compose_pixels(const Call& call, int slot, int count) {
    const int index = slot >> BEAM_LOG2, place = slot & (BEAM - 1);
    const auto& view = call.rays.view;
    const Tile tile = tile_of(view, call.tiles.data[index]);
    for (int at = place; at < place + count; ++at) {
        const int x = tile.column(at), y = tile.line(at);
        if (!is_inside(view, x, y))
            continue;
        const size_t ray = (size_t)y * view.width + x;
        const bool has_mesh = call.mesh_times.shape[0] > 0 && call.mesh_times.data[ray] < FAR;
        const Vec direction = world_direction(call.rays, x, y);
        Pixel<Call> pixel{call, call.firsts.data[index], call.firsts.data[index + 1], at, x, y, ray, direction,
            sqrtf(dot(direction, direction)), has_mesh, has_mesh ? call.mesh_times.data[ray] : FAR,
            {0.0f, 0.0f, 0.0f}, 1.0f, 1.0f, 1.0f, -1.0f, -1, false};
        pixel.compose();
    }
}

}  // namespace neuron
