// exp(-x) for x >= 0, off by less than 1e-6, without a call: loops around it become vector code.
#pragma once
#include "platform.h"

namespace neuron {

// 2 to a power between -0.5 and 0.5.
template <class Real> CUDA_CALLABLE inline Real power_of_two(Real part) {
    return 1.0f + part * (0.69314718f + part * (0.24022651f + part * (0.05550341f
        + part * (0.00961813f + part * (0.00133336f + part * 0.00015404f)))));
}

CUDA_CALLABLE inline float decay(float x) {
    const float power = x < 87.0f ? x * -1.44269504f : -125.0f;
    const int rounded = (int)(power - 0.5f);  // the nearest one, and 0 for 0
    union { int bits; float value; } scale;
    scale.bits = (rounded + 127) << 23;
    return scale.value * power_of_two(power - (float)rounded);
}

}  // namespace neuron
