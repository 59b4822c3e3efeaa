// March and shade the rays of a tile: into the picture of a single field, or into a layer of an instance.
#pragma once
#include "reflect.h"
#include "shade.h"

namespace neuron {

struct Shot {
    Record records[RAYS], reflected[RAYS];
    Color colors[RAYS], mirrored[RAYS];
};

// The colors of what the marcher's rays met, with what mirrors among it reflect.
template <int WIDTH, class Call>
NEURON_ALWAYS_INLINE CUDA_CALLABLE inline void shade(Shot& shot, Marcher& marcher, const Call& call, int across_log2) {
    const Shader<WIDTH> shader(call.network.weights.data, (const short*)call.network.directions.data, call.network.cells);
    Mirrors found;
    const bool mirrors = call.sharing != 0 && march_reflected(marcher, found, shot.records, shot.reflected,
        call.gate, call.sharing, across_log2, call.lift);
    if (mirrors) {
        for (int ray = 0; ray < RAYS; ++ray) {
            const float alpha = shot.reflected[ray].alpha;
            shot.mirrored[ray].v[3] = alpha > FAINT ? alpha : 0.0f;
        }
        shader.shade(shot.reflected, nullptr, shot.mirrored);
        for (int ray = 0; ray < RAYS; ++ray)
            if (found.leaders[ray] != ray)
                shot.mirrored[ray] = shot.mirrored[found.leaders[ray]];
    }
    shader.shade(shot.records, mirrors ? shot.mirrored : nullptr, shot.colors);
}

template <class Call>
CUDA_CALLABLE inline void write_pixel(const Call& call, size_t pixel, const Record& record, const Color& color) {
    const bool shown = record.alpha > FAINT;
    for (int channel = 0; channel < 3; ++channel)
        call.rgba.data[4 * pixel + channel] = shown ? color.v[channel] * record.alpha : 0.0f;
    call.rgba.data[4 * pixel + 3] = record.alpha;
    if (call.depths.shape[0] > 0)
        call.depths.data[pixel] = shown ? record.distance : 0.0f;
    if (call.normals.shape[0] > 0)
        for (int axis = 0; axis < 3; ++axis)
            call.normals.data[3 * pixel + axis] = shown ? record.normal[axis] : 0.0f;
    if (call.codes.shape[0] > 0)
        for (int channel = 0; channel < CHANNELS; ++channel)
            call.codes.data[CHANNELS * pixel + channel] = shown ? record.codes[channel] : 0.0f;
}

// The pixels of a tile from the place `slot % BEAM` on.
template <int WIDTH, class Call> CUDA_CALLABLE inline void draw_pixels(const Call& call, int slot) {
    const int number = call.tiles.data[slot >> BEAM_LOG2], first = slot & (BEAM - 1);
    const auto& view = call.rays.view;
    const Tile tile = tile_of(view, number);
    const Field field = field_of(call.asset);
    Marcher marcher(field, call.step);
    Shot shot;
    take_rays(marcher, WorldRays<decltype(call.rays)>{call.rays}, tile, first, call.starts.data[number]);
    marcher.march(shot.records);
    shade<WIDTH>(shot, marcher, call, tile.across_log2);
    for (int ray = 0; ray < RAYS; ++ray) {
        const int x = tile.column(first + ray), y = tile.line(first + ray);
        if (is_inside(view, x, y))
            write_pixel(call, (size_t)y * view.width + x, shot.records[ray], shot.colors[ray]);
    }
}

CUDA_CALLABLE inline void write_layer(Layer& layer, const Record& record, const Color& color) {
    layer.alpha = record.alpha;
    if (!(record.alpha > FAINT))
        return;
    for (int channel = 0; channel < 3; ++channel)
        layer.color[channel] = color.v[channel] * record.alpha;
    layer.distance = record.distance;
    for (int axis = 0; axis < 3; ++axis)
        layer.normal[axis] = record.normal[axis];
}

// The layer of a pair of a tile and an instance, from the place `slot % BEAM` on. What the rays meet is
// marched, or known from `call.records`.
template <int WIDTH, class Call> CUDA_CALLABLE inline void draw_layer(const Call& call, int slot) {
    const int pair = slot >> BEAM_LOG2, first = slot & (BEAM - 1);
    const Placement& placement = ((const Placement*)call.table.data)[call.instances.data[pair]];
    const Tile tile = tile_of(call.rays.view, call.tiles.data[pair]);
    const Field field = field_of(call.assets.data[call.look]);
    const LocalRays<decltype(call.rays)> source{call.rays, placement};
    Marcher marcher(field, call.step);
    Shot shot;
    if (call.known != 0) {
        take_rays(marcher, source, tile, first, 0.0f);
        for (int ray = 0; ray < RAYS; ++ray)
            shot.records[ray] = ((const Record*)call.records.data)[(size_t)slot + ray];
    } else {
        take_rays(marcher, source, tile, first, call.starts.data[pair]);
        marcher.march(shot.records);
    }
    shade<WIDTH>(shot, marcher, call, tile.across_log2);
    for (int ray = 0; ray < RAYS; ++ray)
        write_layer(((Layer*)call.layers.data)[(size_t)slot + ray], shot.records[ray], shot.colors[ray]);
}

}  // namespace neuron
