// The rays of a view, and those that mirrors reflect, as a marcher takes them.
#pragma once
#include "march.h"

namespace neuron {

// Give a marcher the rays of a tile from the place `first` on. None of them meets anything before `free`,
// a multiple of the direction as the camera gives it; if that is FAR, there are no rays at all.
template <class Source>
CUDA_CALLABLE inline void take_camera_rays(Marcher& marcher, const Source& source, Tile tile, int first, float free) {
    const auto& camera = source.camera();
    const auto& view = source.rays.view;
    NEURON_LANES
    for (int ray = 0; ray < RAYS; ++ray) {
        const float x = (float)tile.column(first + ray), y = (float)tile.line(first + ray);
        float squared = 0.0f;
        for (int axis = 0; axis < 3; ++axis) {
            const float to = towards(camera, axis, x, y);
            squared += to * to;
            marcher.ahead[axis][ray] = to;
            marcher.begins[axis][ray] = camera.eye[axis];
        }
        const float length = sqrtf(squared);
        for (int axis = 0; axis < 3; ++axis)
            marcher.ahead[axis][ray] *= 1.0f / length;
        const bool shown = (x < (float)view.width) & (y < (float)view.height) & (free < FAR);
        marcher.start[ray] = shown ? free * length : -1.0f;
    }
}

template <class Source>
CUDA_CALLABLE inline void take_given_rays(Marcher& marcher, const Source& source, Tile tile, int first, float free) {
    const auto& view = source.rays.view;
    for (int ray = 0; ray < RAYS; ++ray) {
        const int x = tile.column(first + ray), y = tile.line(first + ray);
        const bool shown = is_inside(view, x, y) && free < FAR;
        const int index = shown ? y * view.width + x : 0;
        const Vec origin = source.origin(index), direction = source.direction(index);
        marcher.begins[0][ray] = origin.x, marcher.ahead[0][ray] = direction.x;
        marcher.begins[1][ray] = origin.y, marcher.ahead[1][ray] = direction.y;
        marcher.begins[2][ray] = origin.z, marcher.ahead[2][ray] = direction.z;
        marcher.start[ray] = shown ? free : -1.0f;
    }
}

template <class Source>
CUDA_CALLABLE inline void take_rays(Marcher& marcher, const Source& source, Tile tile, int first, float free) {
    if (source.rays.view.pinhole != 0)
        take_camera_rays(marcher, source, tile, first, free);
    else
        take_given_rays(marcher, source, tile, first, free);
}

// Which rays mirror, and whose reflection each of them shows: its own, or that of the first one of the four
// beside each other.
struct Mirrors {
    bool mirrors[RAYS];
    int leaders[RAYS];

    // `gate` is a weight for each stored code, a bias, and the least activation of a mirror.
    template <class Gate> CUDA_CALLABLE void find(const Record* records, const Gate& gate) {
        for (int ray = 0; ray < RAYS; ++ray) {
            float activation = gate[CHANNELS];
            for (int channel = 0; channel < CHANNELS; ++channel)
                activation += gate[channel] * records[ray].codes[channel];
            mirrors[ray] = records[ray].alpha > 0.5f && activation > gate[CHANNELS + 1];
            leaders[ray] = ray;
        }
    }

    CUDA_CALLABLE void share(int across_log2) {
        for (int ray = 0; ray < RAYS; ++ray) {
            const int first = across_log2 == 3 ? ray & ~9 : ray & ~3;
            const int beside = across_log2 == 3 ? 8 : 2;
            int leader = first + beside + 1;
            leader = mirrors[first + beside] ? first + beside : leader;
            leader = mirrors[first + 1] ? first + 1 : leader;
            leaders[ray] = mirrors[first] ? first : leader;
        }
    }
};

// Turn the marcher's rays into those that their mirrors reflect, which begin `lift` voxels above the
// surface. Returns how many there are.
CUDA_CALLABLE inline int reflect(Marcher& marcher, Mirrors& found, const Record* records, float lift) {
    const float above = lift / marcher.field.scale;
    int reflecting = 0;
    for (int ray = 0; ray < RAYS; ++ray) {
        const Record& met = records[ray];
        const bool mirror = found.mirrors[ray] && found.leaders[ray] == ray;
        const float facing = met.normal[0] * met.direction[0] + met.normal[1] * met.direction[1]
            + met.normal[2] * met.direction[2];
        for (int axis = 0; axis < 3; ++axis) {
            marcher.begins[axis][ray] += met.direction[axis] * met.distance + above * met.normal[axis];
            marcher.ahead[axis][ray] = met.direction[axis] - 2.0f * facing * met.normal[axis];
        }
        marcher.start[ray] = mirror ? 0.0f : -1.0f;
        reflecting += mirror;
        found.leaders[ray] = found.mirrors[ray] ? found.leaders[ray] : ray;
    }
    return reflecting;
}

// March the reflections of the rays that met a mirror: all, or with `sharing` above 1 one for each four.
// Whether any did; else nothing is written.
template <class Gate>
CUDA_CALLABLE inline bool march_reflected(Marcher& marcher, Mirrors& found, const Record* records,
        Record* reflected, const Gate& gate, int sharing, int across_log2, float lift) {
    found.find(records, gate);
    if (RAYS > 1 && sharing > 1)  // on CUDA the others are in other threads
        found.share(across_log2);
    if (reflect(marcher, found, records, lift) == 0)
        return false;
    marcher.march(reflected);
    return true;
}

}  // namespace neuron
