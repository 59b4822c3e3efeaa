// Real spherical harmonics of the degrees 0 to 3, in the order and with the signs that splats have.
#pragma once
#include "platform.h"

namespace neuron {

constexpr int MOST_TERMS = 16;

struct Basis {
    float v[MOST_TERMS];
};

// At a direction of unit length.
template <class Direction> CUDA_CALLABLE inline Basis basis_at(const Direction& direction) {
    const float x = direction[0], y = direction[1], z = direction[2];
    const float xx = x * x, yy = y * y, zz = z * z;
    return Basis{{
        0.28209479177387814f,
        -0.4886025119029199f * y,
        0.4886025119029199f * z,
        -0.4886025119029199f * x,
        1.0925484305920792f * x * y,
        -1.0925484305920792f * y * z,
        0.31539156525252005f * (2.0f * zz - xx - yy),
        -1.0925484305920792f * x * z,
        0.5462742152960396f * (xx - yy),
        -0.5900435899266435f * y * (3.0f * xx - yy),
        2.890611442640554f * x * y * z,
        -0.4570457994644658f * y * (4.0f * zz - xx - yy),
        0.3731763325901154f * z * (2.0f * zz - 3.0f * xx - 3.0f * yy),
        -0.4570457994644658f * x * (4.0f * zz - xx - yy),
        1.445305721320277f * z * (xx - yy),
        -0.5900435899266435f * x * (xx - 3.0f * yy),
    }};
}

// The color of a splat in a direction, before it is cut off; `harmonics` [N, K * 3].
template <class Array, class Vector>
CUDA_CALLABLE inline Vector color_at(const Array& harmonics, int splat, const Vector& direction) {
    const Basis basis = basis_at(direction);
    const float* row = harmonics.data + (size_t)splat * harmonics.shape[1];
    const int terms = harmonics.shape[1] / 3;
    Vector color(0.5f, 0.5f, 0.5f);
    for (int term = 0; term < terms; ++term)
        for (int channel = 0; channel < 3; ++channel)
            color[channel] += basis.v[term] * row[3 * term + channel];
    return color;
}

}  // namespace neuron
