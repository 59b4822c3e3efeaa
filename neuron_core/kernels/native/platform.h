// What differs between the two compilers: Clang for CPUs, which Warp carries, and NVRTC for CUDA.
#pragma once

#if defined(__CUDA_ARCH__)
#define NEURON_LANES _Pragma("unroll")
#define NEURON_UNFUSED
#define NEURON_ALWAYS_INLINE
#define NEURON_ADD(to, value) atomicAdd(&(to), value)
#else
#define NEURON_LANES _Pragma("clang loop vectorize(enable) interleave(disable)")
#define NEURON_UNFUSED _Pragma("clang fp contract(off)")  // also where the rest of a module is fused
#define NEURON_ALWAYS_INLINE __attribute__((always_inline))
#define NEURON_ADD(to, value) (to) += (value)
#endif

namespace neuron {

CUDA_CALLABLE inline float least(float a, float b) { return a < b ? a : b; }
CUDA_CALLABLE inline float most(float a, float b) { return a > b ? a : b; }

// The cell that a place is in, of so many in a row; the first or last one outside.
CUDA_CALLABLE inline int cell_in(float place, int cells) {
    const int cell = (int)place;
    return cell < 0 ? 0 : (cell < cells ? cell : cells - 1);
}

}  // namespace neuron
