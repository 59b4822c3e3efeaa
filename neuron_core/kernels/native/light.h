// How density along a line stops light: what single fields and overlapping ones have in common.
//
// Between two ticks the density is taken to be linear; it may be negative, and its positive part counts,
// so that surfaces lie between samples and not at them.
#pragma once
#include "records.h"
#include "vectors.h"

namespace neuron {

constexpr float LEAST_READ = 0.02f;  // weight whose attributes are worth reading at once

// Ticks with density for which attributes are read once.
CUDA_CALLABLE inline int ticks_of_window(float step) {
    const int ticks = (int)(LOOK_EVERY / step + 0.5f);
    return ticks > 1 ? ticks : 1;
}

// Where on a line of density from `up` to `down`, 0 to 1, the mean of its light is stopped: evenly over
// optical depth, of which `left` is the transmittance behind and `weight` what is stopped.
CUDA_CALLABLE inline float mean_on_line(float up, float down, float optical_depth, float left, float weight) {
    const float thick = 1.0f / optical_depth - left / weight;
    const float mean = optical_depth > 0.05f && weight > 0.0f ? thick : 0.5f - optical_depth / 12.0f;
    const float root = up * up + (down * down - up * up) * mean;
    return mean * (up + down) / (up + sqrtf(most(root, 0.0f)));
}

// How many ticks ago, at most one, a ray came through the side of the voxel that it is in: where density
// begins, its line does there, since density is stored only where it can contribute.
CUDA_CALLABLE inline float ticks_since_side(Vec part, Vec stride, Vec inverse) {
    return least(most(least((part - by_sign(stride, 0.0f, 1.0f)) * inverse), 0.0f), 1.0f);
}

CUDA_CALLABLE inline void write_normal(Record& record, Vec normal) {
    const float by = to_unit(normal);
    record.normal[0] = normal.x * by;
    record.normal[1] = normal.y * by;
    record.normal[2] = normal.z * by;
}

}  // namespace neuron
