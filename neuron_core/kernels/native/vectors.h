// Vectors of three: four lanes of which the last is unused on a CPU, three numbers on CUDA.
#pragma once
#include "platform.h"

namespace neuron {

#if defined(__CUDA_ARCH__)

struct Vec {
    float x, y, z;
    CUDA_CALLABLE Vec operator+(Vec o) const { return {x + o.x, y + o.y, z + o.z}; }
    CUDA_CALLABLE Vec operator-(Vec o) const { return {x - o.x, y - o.y, z - o.z}; }
    CUDA_CALLABLE Vec operator*(Vec o) const { return {x * o.x, y * o.y, z * o.z}; }
    CUDA_CALLABLE Vec operator*(float by) const { return {x * by, y * by, z * by}; }
};

CUDA_CALLABLE inline Vec vec(float x, float y, float z) { return Vec{x, y, z}; }
CUDA_CALLABLE inline Vec lower(Vec a, Vec b) { return {fminf(a.x, b.x), fminf(a.y, b.y), fminf(a.z, b.z)}; }
CUDA_CALLABLE inline Vec higher(Vec a, Vec b) { return {fmaxf(a.x, b.x), fmaxf(a.y, b.y), fmaxf(a.z, b.z)}; }
CUDA_CALLABLE inline Vec truncated(Vec a) { return {truncf(a.x), truncf(a.y), truncf(a.z)}; }
CUDA_CALLABLE inline Vec by_sign(Vec speed, float if_positive, float otherwise) {
    return {speed.x > 0.0f ? if_positive : otherwise, speed.y > 0.0f ? if_positive : otherwise,
        speed.z > 0.0f ? if_positive : otherwise};
}

#else

typedef float Pair __attribute__((ext_vector_type(2), aligned(4)));
typedef float Vec __attribute__((ext_vector_type(4)));
typedef int Cell __attribute__((ext_vector_type(4)));

CUDA_CALLABLE inline Vec vec(float x, float y, float z) { return Vec{x, y, z, 0.0f}; }
CUDA_CALLABLE inline Vec lower(Vec a, Vec b) { return a < b ? a : b; }
CUDA_CALLABLE inline Vec higher(Vec a, Vec b) { return a > b ? a : b; }
CUDA_CALLABLE inline Vec truncated(Vec a) {
    return __builtin_convertvector(__builtin_convertvector(a, Cell), Vec);
}
CUDA_CALLABLE inline Vec by_sign(Vec speed, float if_positive, float otherwise) {
    return speed > 0.0f ? (Vec)if_positive : (Vec)otherwise;
}

#endif

template <class Array> CUDA_CALLABLE inline Vec vec(const Array& v) { return vec(v[0], v[1], v[2]); }

CUDA_CALLABLE inline float dot(Vec a, Vec b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

CUDA_CALLABLE inline float least(Vec a) { return least(least(a.x, a.y), a.z); }
CUDA_CALLABLE inline float greatest(Vec a) { return most(most(a.x, a.y), a.z); }

CUDA_CALLABLE inline float inverse_of(float speed) {  // finite; zero counts as negative
    return fabsf(speed) > 1e-20f ? 1.0f / speed : (speed > 0.0f ? 1e20f : -1e20f);
}

// 1 / length, or 0 for the zero vector.
CUDA_CALLABLE inline float to_unit(Vec a) {
    const float squares = dot(a, a);
    return squares > 0.0f ? 1.0f / sqrtf(squares) : 0.0f;
}

}  // namespace neuron
