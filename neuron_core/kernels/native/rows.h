// Rows of a layer's weights, whose units are handled side by side.
#pragma once
#include "exponential.h"

namespace neuron {

#if defined(__CUDA_ARCH__)

constexpr int PIXELS = 1;  // that are shaded together

template <int N> struct Row {
    float v[N];
    CUDA_CALLABLE float operator[](int i) const { return v[i]; }
};

template <int N> CUDA_CALLABLE inline void load(Row<N>& row, const float* from) {
    NEURON_LANES
    for (int i = 0; i < N; ++i)
        row.v[i] = from[i];
}

template <int N> CUDA_CALLABLE inline void add(Row<N>& sum, float by, const float* row) {
    NEURON_LANES
    for (int i = 0; i < N; ++i)
        sum.v[i] += by * row[i];
}

template <int N> CUDA_CALLABLE inline void add(Row<N>& sum, const Row<N>& other) {
    NEURON_LANES
    for (int i = 0; i < N; ++i)
        sum.v[i] += other.v[i];
}

template <int N> CUDA_CALLABLE inline void store_positive(const Row<N>& row, float* to) {
    NEURON_LANES
    for (int i = 0; i < N; ++i)
        to[i] = fmaxf(row.v[i], 0.0f);
}

// The mean of four stored rows, times `scale`.
template <int N>
CUDA_CALLABLE inline void add_mean(Row<N>& sum, const float* scale, const short* const* rows, const float* by) {
    NEURON_LANES
    for (int i = 0; i < N; ++i)
        sum.v[i] += scale[i] * (by[0] * (float)rows[0][i] + by[1] * (float)rows[1][i]
            + by[2] * (float)rows[2][i] + by[3] * (float)rows[3][i]);
}

CUDA_CALLABLE inline void softplus(const Row<8>& first, const Row<8>& second, float* to) {
    NEURON_LANES
    for (int i = 0; i < 16; ++i) {
        const float x = i < 8 ? first.v[i & 7] : second.v[i & 7];
        to[i] = fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
    }
}

CUDA_CALLABLE inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

#else

#if defined(__AVX512F__)
constexpr int PIXELS = 4;
#else
constexpr int PIXELS = 2;
#endif

template <int N> using Row = float __attribute__((ext_vector_type(N)));
template <int N> using StoredRow = short __attribute__((ext_vector_type(N)));
typedef int Int16 __attribute__((ext_vector_type(16)));

// Rows in memory lie anywhere: `memcpy` is an unaligned load or store.
template <int N> CUDA_CALLABLE inline void load(Row<N>& row, const float* from) {
    __builtin_memcpy(&row, from, sizeof(row));
}

template <int N> CUDA_CALLABLE inline void store(const Row<N>& row, float* to) {
    __builtin_memcpy(to, &row, sizeof(row));
}

template <int N> CUDA_CALLABLE inline Row<N> unpacked(const short* from) {
    StoredRow<N> row;
    __builtin_memcpy(&row, from, sizeof(row));
    return __builtin_convertvector(row, Row<N>);
}

template <int N> CUDA_CALLABLE inline void add(Row<N>& sum, float by, const float* from) {
    Row<N> row;
    load<N>(row, from);
    sum += by * row;
}

template <int N> CUDA_CALLABLE inline void add(Row<N>& sum, const Row<N>& other) {
    sum += other;
}

template <int N> CUDA_CALLABLE inline void store_positive(const Row<N>& row, float* to) {
    store<N>(__builtin_elementwise_max(row, (Row<N>)0.0f), to);
}

template <int N>
CUDA_CALLABLE inline void add_mean(Row<N>& sum, const float* scale, const short* const* rows, const float* by) {
    const Row<N> mean = by[0] * unpacked<N>(rows[0]) + by[1] * unpacked<N>(rows[1])
        + by[2] * unpacked<N>(rows[2]) + by[3] * unpacked<N>(rows[3]);
    Row<N> size;
    load<N>(size, scale);
    sum += mean * size;
}

CUDA_CALLABLE inline Row<16> decay(Row<16> x) {
    const Row<16> power = __builtin_elementwise_min(x, (Row<16>)87.0f) * -1.44269504f;
    const Int16 rounded = __builtin_convertvector(power - 0.5f, Int16);
    const Int16 bits = (rounded + 127) << 23;
    return __builtin_bit_cast(Row<16>, bits) * power_of_two(power - __builtin_convertvector(rounded, Row<16>));
}

CUDA_CALLABLE inline void softplus(const Row<8>& first, const Row<8>& second, float* to) {
    const Row<16> x = __builtin_shufflevector(
        first, second, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const Row<16> e = decay(__builtin_elementwise_abs(x));
    const Row<16> s = e / (2.0f + e);  // log(1 + e) = 2 atanh(s)
    const Row<16> q = s * s;
    const Row<16> log = 2.0f * s * (1.0f + q * (0.33333333f + q * (0.2f + q * (0.14285714f
        + q * 0.11111111f))));
    store<16>(__builtin_elementwise_max(x, (Row<16>)0.0f) + log, to);
}

CUDA_CALLABLE inline float sigmoid(float x) {
    const float e = decay(fabsf(x));
    return x > 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

#endif

}  // namespace neuron
