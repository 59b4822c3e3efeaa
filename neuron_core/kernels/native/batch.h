// How many rays are handled together: a CPU has one index for the rays of a whole tile and vector
// instructions for a few of them; on CUDA a thread has one ray.
#pragma once
#include "platform.h"

namespace neuron {

#if defined(__CUDA_ARCH__)
constexpr int RAYS = 1;  // that one index follows
constexpr int LANES = 1;  // of them that one instruction handles
#else
constexpr int RAYS = BEAM;
constexpr int LANES = 8;
#endif

}  // namespace neuron
