// A step of Adam for the harmonics of one splat; their gradient is that of its color times the basis.
#pragma once
#include "harmonics.h"

namespace neuron {

// `rates` has how far a step may move the constant harmonic (color) and the others (detail), and what
// corrects moments that started at zero (first, second).
template <class Array, class Vector, class Rates>
CUDA_CALLABLE inline void step_harmonics(const Array& harmonics, const Array& moments, int splat,
        const Vector& direction, const Vector& color, const Rates& rates) {
    const Basis basis = basis_at(direction);
    const int terms = harmonics.shape[1] / 3;
    float* row = harmonics.data + (size_t)splat * harmonics.shape[1];
    float* mean = moments.data + (size_t)splat * moments.shape[1];
    float* square = mean + harmonics.shape[1];
    float gradient[3 * MOST_TERMS], rate[3 * MOST_TERMS];
    for (int term = 0; term < terms; ++term)
        for (int channel = 0; channel < 3; ++channel) {
            gradient[3 * term + channel] = basis.v[term] * color[channel];
            rate[3 * term + channel] = term == 0 ? rates.color : rates.detail;
        }
    NEURON_LANES
    for (int index = 0; index < 3 * terms; ++index) {
        const float m = 0.9f * mean[index] + 0.1f * gradient[index];
        const float v = 0.999f * square[index] + 0.001f * gradient[index] * gradient[index];
        mean[index] = m;
        square[index] = v;
        row[index] -= rate[index] * rates.first * m / (sqrtf(v * rates.second) + 1.0e-15f);
    }
}

}  // namespace neuron
