// Blend splats along one row of a tile, and the gradient of that.
//
// The loops over the pixels of a row become vector code on a CPU; on CUDA a thread has a row.
#pragma once
#include "exponential.h"

namespace neuron {

constexpr int TILE = 8;  // pixels along the side of a tile, and how many are blended side by side
constexpr float MOST_HIDDEN = 1.0e-4f;  // transmittance below which nothing behind is drawn

// Row `index % TILE` of the tile `index / TILE`.
struct Row {
    int x, y;  // its first pixel
    int begin, end;  // where in the order its splats are
    bool shown;

    CUDA_CALLABLE float left() const { return (float)x + 0.5f; }
    CUDA_CALLABLE float middle() const { return (float)y + 0.5f; }
};

template <class Call> CUDA_CALLABLE inline Row row_of(const Call& call, int index) {
    const int tile = index / TILE;
    const int y = TILE * (tile / call.lens.columns) + index % TILE;
    const int x = TILE * (tile % call.lens.columns);
    return {x, y, call.ends.data[tile], call.ends.data[tile + 1], y < call.lens.height};
}

// Whether a splat at an offset from the first pixel of a row touches none of them.
template <class Splat> CUDA_CALLABLE inline bool misses(const Splat& splat, float dx, float dy) {
    return dy > splat.half_height || -dy > splat.half_height || dx > splat.half_width
        || dx + (float)(TILE - 1) < -splat.half_width;
}

// How opaque a splat is at each pixel of a row.
template <class Splat>
CUDA_CALLABLE inline void find_opacities(float* found, const Splat& splat, float dx, float dy) {
    const float a = splat.inverse[0], b = splat.inverse[1], c = splat.inverse[2];
    const float opacity = splat.opacity, most_power = splat.most_power;
    NEURON_LANES
    for (int lane = 0; lane < TILE; ++lane) {
        const float across = dx + (float)lane;
        const float power = 0.5f * (a * across * across + c * dy * dy) + b * across * dy;
        const float value = opacity * decay(power);
        const float limited = value < OPAQUEST ? value : OPAQUEST;
        found[lane] = power < most_power ? limited : 0.0f;
    }
}

// Whether a row lets so little light through that its other splats do not count.
CUDA_CALLABLE inline bool is_hidden(const float* left) {
    float largest = 0.0f;
    for (int lane = 0; lane < TILE; ++lane)
        largest = most(left[lane], largest);
    return largest < MOST_HIDDEN;
}

// Write the pixels of a row.
template <class Call> CUDA_CALLABLE inline void rasterize_row(const Call& call, int index) {
    const Row row = row_of(call, index);
    if (!row.shown)
        return;
    float red[TILE] = {0}, green[TILE] = {0}, blue[TILE] = {0}, left[TILE], found[TILE];
    for (int lane = 0; lane < TILE; ++lane)
        left[lane] = 1.0f;
    for (int place = row.begin; place < row.end; ++place) {
        const auto& splat = call.records.data[call.splats.data[call.order.data[place]]];
        const float dx = row.left() - splat.center[0], dy = row.middle() - splat.center[1];
        if (misses(splat, dx, dy))
            continue;
        find_opacities(found, splat, dx, dy);
        const float r = splat.color[0], g = splat.color[1], b = splat.color[2];
        NEURON_LANES
        for (int lane = 0; lane < TILE; ++lane) {
            const float weight = found[lane] * left[lane];
            red[lane] += weight * r;
            green[lane] += weight * g;
            blue[lane] += weight * b;
            left[lane] -= weight;
        }
        if ((place & 7) == 0 && is_hidden(left))
            break;
    }
    float* out = call.picture.data + 4 * ((size_t)row.y * call.lens.width + row.x);
    for (int lane = 0; lane < TILE && row.x + lane < call.lens.width; ++lane) {
        out[4 * lane] = red[lane];
        out[4 * lane + 1] = green[lane];
        out[4 * lane + 2] = blue[lane];
        out[4 * lane + 3] = 1.0f - left[lane];
    }
}

// The gradients of a row's pixels, and how much of the gradient lies behind what is passed.
struct RowGradient {
    float red[TILE], green[TILE], blue[TILE], alpha[TILE];
    float behind[TILE], left[TILE];
};

template <class Call>
CUDA_CALLABLE inline void read_gradients(RowGradient& g, const Call& call, const Row& row) {
    const size_t pixel = 4 * ((size_t)row.y * call.lens.width + row.x);
    const float* wanted = call.grad_picture.data + pixel;
    const float* drawn = call.picture.data + pixel;
    for (int lane = 0; lane < TILE; ++lane) {
        g.red[lane] = g.green[lane] = g.blue[lane] = g.alpha[lane] = g.behind[lane] = 0.0f;
        g.left[lane] = 1.0f;
    }
    for (int lane = 0; lane < TILE && row.x + lane < call.lens.width; ++lane) {
        g.red[lane] = wanted[4 * lane];
        g.green[lane] = wanted[4 * lane + 1];
        g.blue[lane] = wanted[4 * lane + 2];
        g.alpha[lane] = wanted[4 * lane + 3];
        g.behind[lane] = g.red[lane] * drawn[4 * lane] + g.green[lane] * drawn[4 * lane + 1]
            + g.blue[lane] * drawn[4 * lane + 2] + g.alpha[lane] * drawn[4 * lane + 3];
    }
}

// Go past a splat with the opacities `found`, and add what the row says about it to its pair.
template <class Splat, class Pair>
CUDA_CALLABLE inline void add_gradients(
    Pair& to, RowGradient& g, const Splat& splat, const float* found, float dx, float dy) {
    const float a = splat.inverse[0], b = splat.inverse[1], c = splat.inverse[2];
    const float r = splat.color[0], gr = splat.color[1], bl = splat.color[2];
    float sum = 0.0f, sum_x = 0.0f, sum_xx = 0.0f, sum_red = 0.0f, sum_green = 0.0f, sum_blue = 0.0f;
    NEURON_LANES
    for (int lane = 0; lane < TILE; ++lane) {
        const float across = dx + (float)lane;
        const float weight = found[lane] * g.left[lane];
        sum_red += weight * g.red[lane];
        sum_green += weight * g.green[lane];
        sum_blue += weight * g.blue[lane];
        const float here = g.red[lane] * r + g.green[lane] * gr + g.blue[lane] * bl + g.alpha[lane];
        g.behind[lane] -= weight * here;
        const float slope = g.left[lane] * here - g.behind[lane] / (1.0f - found[lane]);
        const float power = found[lane] < OPAQUEST ? -slope * found[lane] : 0.0f;
        sum += power;
        sum_x += power * across;
        sum_xx += power * across * across;
        g.left[lane] -= weight;
    }
    NEURON_ADD(to.center[0], -(a * sum_x + b * dy * sum));
    NEURON_ADD(to.center[1], -(b * sum_x + c * dy * sum));
    NEURON_ADD(to.inverse[0], 0.5f * sum_xx);
    NEURON_ADD(to.inverse[1], dy * sum_x);
    NEURON_ADD(to.inverse[2], 0.5f * dy * dy * sum);
    NEURON_ADD(to.faded, -sum);
    NEURON_ADD(to.color[0], sum_red);
    NEURON_ADD(to.color[1], sum_green);
    NEURON_ADD(to.color[2], sum_blue);
}

// Add the gradients of `rasterize_row` to the pairs of its splats.
template <class Call> CUDA_CALLABLE inline void unrasterize_row(const Call& call, int index) {
    const Row row = row_of(call, index);
    if (!row.shown)
        return;
    RowGradient gradient;
    float found[TILE];
    read_gradients(gradient, call, row);
    for (int place = row.begin; place < row.end; ++place) {
        const int pair = call.order.data[place];
        const auto& splat = call.records.data[call.splats.data[pair]];
        const float dx = row.left() - splat.center[0], dy = row.middle() - splat.center[1];
        if (misses(splat, dx, dy))
            continue;
        find_opacities(found, splat, dx, dy);
        add_gradients(call.pairs.data[pair], gradient, splat, found, dx, dy);
        if ((place & 7) == 0 && is_hidden(gradient.left))
            break;
    }
}

}  // namespace neuron
