// The small network that shades what rays meet, once a pixel.
//
// What depends on the reflected direction alone is summed beforehand into a map over the sphere, folded
// from an octahedron to a square.
#pragma once
#include "batch.h"
#include "records.h"
#include "rows.h"

namespace neuron {

struct Color { float v[4]; };  // and, of what a mirror shows, its opacity

template <int WIDTH> struct Shader {
    static constexpr int GEOMETRY = 9;  // facing and harmonics, after the codes
    static constexpr int INPUTS = CHANNELS + GEOMETRY;
    static constexpr int TINTS = 16;

    const float *map_scale, *first_layer, *hidden_layer, *lobe_layer, *tint_layer;
    const short* map;
    int cells;  // along a side of the map

    // A few records, their inputs and what they come to.
    struct Pixels {
        const Record* record[PIXELS];
        const Color* mirrored[PIXELS];  // what their reflected rays see, or nullptr
        Color* color[PIXELS];
        Row<WIDTH> sum[PIXELS];
        float inputs[PIXELS][INPUTS];
        float values[PIXELS][WIDTH];
    };

    CUDA_CALLABLE Shader(const float* weights, const short* map, int cells)
        : map_scale(weights)
        , first_layer(map_scale + WIDTH)
        , hidden_layer(first_layer + (INPUTS + 1) * WIDTH)
        , lobe_layer(hidden_layer + (WIDTH + 1) * WIDTH)
        , tint_layer(lobe_layer + 8 * (WIDTH + 1))
        , map(map)
        , cells(cells) {}

    // The colors of records, where there is something; `mirrored` is what their reflections see, or nullptr.
    CUDA_CALLABLE void shade(const Record* records, const Color* mirrored, Color* colors) const {
        Pixels pixels;
        int waiting = 0;
        for (int ray = 0; ray < RAYS; ++ray) {
            if (records[ray].alpha > FAINT) {
                pixels.record[waiting] = records + ray;
                pixels.mirrored[waiting] = mirrored != nullptr ? mirrored + ray : nullptr;
                pixels.color[waiting] = colors + ray;
                ++waiting;
            }
            if (waiting == PIXELS || (waiting > 0 && ray == RAYS - 1)) {
                for (int p = waiting; p < PIXELS; ++p) {  // the last one again
                    pixels.record[p] = pixels.record[waiting - 1];
                    pixels.mirrored[p] = pixels.mirrored[waiting - 1];
                    pixels.color[p] = pixels.color[waiting - 1];
                }
                shade_pixels(pixels);
                waiting = 0;
            }
        }
    }

    CUDA_CALLABLE void shade_pixels(Pixels& pixels) const {
        for (int p = 0; p < PIXELS; ++p)
            find_inputs(pixels, p);
        for (int i = 0; i < INPUTS; ++i)
            for (int p = 0; p < PIXELS; ++p)
                add<WIDTH>(pixels.sum[p], pixels.inputs[p][i], first_layer + i * WIDTH);
        for (int p = 0; p < PIXELS; ++p) {
            store_positive<WIDTH>(pixels.sum[p], pixels.values[p]);
            load<WIDTH>(pixels.sum[p], hidden_layer + WIDTH * WIDTH);
        }
        for (int i = 0; i < WIDTH; ++i)
            for (int p = 0; p < PIXELS; ++p)
                add<WIDTH>(pixels.sum[p], pixels.values[p][i], hidden_layer + i * WIDTH);
        for (int p = 0; p < PIXELS; ++p) {
            store_positive<WIDTH>(pixels.sum[p], pixels.values[p]);
            write_color(pixels, p);
        }
    }

    // Codes, how far the surface faces the camera, harmonics of its normal, and the reflected direction's
    // part of the first layer.
    CUDA_CALLABLE void find_inputs(Pixels& pixels, int p) const {
        const Record r = *pixels.record[p];
        const float nx = r.normal[0], ny = r.normal[1], nz = r.normal[2];
        const float facing = r.direction[0] * nx + r.direction[1] * ny + r.direction[2] * nz;
        float* in = pixels.inputs[p];
        for (int channel = 0; channel < CHANNELS; ++channel)
            in[channel] = r.codes[channel];
        in += CHANNELS;
        in[0] = -facing;
        in[1] = nx;
        in[2] = ny;
        in[3] = nz;
        in[4] = nx * ny;
        in[5] = ny * nz;
        in[6] = nz * nx;
        in[7] = nx * nx - ny * ny;
        in[8] = 3.0f * nz * nz - 1.0f;
        load<WIDTH>(pixels.sum[p], first_layer + INPUTS * WIDTH);
        add_direction(pixels.sum[p], r.direction[0] - 2.0f * facing * nx, r.direction[1] - 2.0f * facing * ny,
            r.direction[2] - 2.0f * facing * nz);
    }

    // The map at a direction, between its four nodes.
    CUDA_CALLABLE void add_direction(Row<WIDTH>& sum, float x, float y, float z) const {
        const float size = 1.0f / (fabsf(x) + fabsf(y) + fabsf(z));
        float u = x * size, v = z * size;
        if (y < 0.0f) {
            const float folded = (1.0f - fabsf(v)) * (u < 0.0f ? -1.0f : 1.0f);
            v = (1.0f - fabsf(u)) * (v < 0.0f ? -1.0f : 1.0f);
            u = folded;
        }
        u = (u * 0.5f + 0.5f) * (float)cells;
        v = (v * 0.5f + 0.5f) * (float)cells;
        const int column = cell_in(u, cells), line = cell_in(v, cells);
        u -= (float)column;
        v -= (float)line;
        const short* corner = map + (size_t)(line * (cells + 1) + column) * WIDTH;
        const short* below = corner + (size_t)(cells + 1) * WIDTH;
        const short* const rows[4] = {corner, corner + WIDTH, below, below + WIDTH};
        const float by[4] = {(1.0f - u) * (1.0f - v), u * (1.0f - v), (1.0f - u) * v, u * v};
        add_mean<WIDTH>(sum, map_scale, rows, by);
    }

    // Two lobes, each with its tint; a mirror takes the place of the second.
    CUDA_CALLABLE void write_color(Pixels& pixels, int p) const {
        float lit[16];  // lobes, then tints
        Row<8> lobes, tints;
        add_lobes(lobes, pixels.values[p]);
        add_tints(tints, pixels.inputs[p], 0);
        softplus(lobes, tints, lit);
        float* to = pixels.color[p]->v;
        for (int channel = 0; channel < 3; ++channel)
            to[channel] = lit[channel] * lit[8 + channel] + lit[3 + channel] * lit[11 + channel];
        if (pixels.mirrored[p] == nullptr || !(pixels.mirrored[p]->v[3] > 0.0f))
            return;
        const float* seen = pixels.mirrored[p]->v;
        Row<8> mirror;
        add_tints(mirror, pixels.inputs[p], 8);
        float shine[16];
        softplus(mirror, mirror, shine);
        const float part = sigmoid(mirror[3]) * seen[3];
        for (int channel = 0; channel < 3; ++channel)
            to[channel] += part * (shine[channel] * seen[channel] - lit[3 + channel] * lit[11 + channel]);
    }

    CUDA_CALLABLE void add_lobes(Row<8>& even, const float* values) const {
        Row<8> odd;
        const float zeros[8] = {0.0f};
        load<8>(even, lobe_layer + 8 * WIDTH);
        load<8>(odd, zeros);
        for (int i = 0; i < WIDTH; i += 2) {
            add<8>(even, values[i], lobe_layer + 8 * i);
            add<8>(odd, values[i + 1], lobe_layer + 8 * (i + 1));
        }
        add<8>(even, odd);
    }

    CUDA_CALLABLE void add_tints(Row<8>& tint, const float* inputs, int first) const {
        load<8>(tint, tint_layer + TINTS * CHANNELS + first);
        for (int i = 0; i < CHANNELS; ++i)
            add<8>(tint, inputs[i], tint_layer + TINTS * i + first);
    }
};

}  // namespace neuron
