// Normals and material codes of a field, read between samples and weighted by the light that they stop.
#pragma once
#include "field.h"

namespace neuron {

#if defined(__CUDA_ARCH__)

struct Code {
    float v[CHANNELS];
    CUDA_CALLABLE float operator[](int channel) const { return v[channel]; }
};

#else

typedef float Code __attribute__((ext_vector_type(CHANNELS), aligned(16)));
typedef signed char StoredNormal __attribute__((ext_vector_type(4), aligned(1)));
typedef unsigned char StoredCode __attribute__((ext_vector_type(CHANNELS), aligned(1)));

#endif

struct Attributes {
    Code codes;
    Vec normal;

    CUDA_CALLABLE void clear() {
#if defined(__CUDA_ARCH__)
        for (int channel = 0; channel < CHANNELS; ++channel)
            codes.v[channel] = 0.0f;
        normal = {0.0f, 0.0f, 0.0f};
#else
        codes = 0.0f, normal = 0.0f;
#endif
    }

    // The attributes of one sample.
    CUDA_CALLABLE void add(float by, const unsigned char* code, const signed char* stored) {
#if defined(__CUDA_ARCH__)
        for (int channel = 0; channel < CHANNELS; ++channel)
            codes.v[channel] += by * (float)code[channel];
        normal = normal + vec((float)stored[0], (float)stored[1], (float)stored[2]) * by;
#else
        codes += by * __builtin_convertvector(*(const StoredCode*)code, Code);
        normal += by * __builtin_convertvector(*(const StoredNormal*)stored, Vec);
#endif
    }

    // Those at a place of a field if it has density there, or `surely`; whether they were added.
    CUDA_CALLABLE bool add_at(const Field& field, Vec at, float weight, bool surely) {
        const Voxel voxel = field.voxel_at(at);
        const int first = field.row_of(voxel);
        if (first < 0 || !(surely || field.density_at(first, voxel.part) > 0.0f))
            return false;
        const float x = voxel.part.x, y = voxel.part.y, z = voxel.part.z;
        const float near = weight * (1.0f - x), far = weight * x;
        const float columns[4] = {near * (1.0f - y), near * y, far * (1.0f - y), far * y};
        const int rows[4] = {0, SIDE, SLICE, SLICE + SIDE};
        for (int corner = 0; corner < 8; ++corner) {
            const size_t row = (size_t)first + rows[corner >> 1] + (corner & 1);
            const float by = columns[corner >> 1] * ((corner & 1) ? z : 1.0f - z);
            add(by, field.codes + CHANNELS * row, field.normals + 4 * row);
        }
        return true;
    }

};

}  // namespace neuron
