// A baked field as it is read: bricks of voxels in a sparse grid.
//
// Lengths are voxels from the grid's lower corner. A brick has CELLS voxels along each side and stores
// the SIDE samples at their corners, x slowest.
#pragma once
#include "vectors.h"

namespace neuron {

constexpr int CELLS_LOG2 = 3;
constexpr int SLICE = SIDE * SIDE;  // samples from one x to the next
static_assert(1 << CELLS_LOG2 == CELLS && SAMPLES == SIDE * SLICE, "bricks are cubes of CELLS voxels");

struct Voxel {
    int x, y, z;
    Vec part;  // where in it, 0 to 1
};

// Between the eight samples of a voxel whose first one is `corner`.
CUDA_CALLABLE inline float trilinear(const float* corner, Vec part) {
#if defined(__CUDA_ARCH__)
    const float a = corner[0] + part.x * (corner[SLICE] - corner[0]);
    const float b = corner[1] + part.x * (corner[SLICE + 1] - corner[1]);
    const float c = corner[SIDE] + part.x * (corner[SLICE + SIDE] - corner[SIDE]);
    const float d = corner[SIDE + 1] + part.x * (corner[SLICE + SIDE + 1] - corner[SIDE + 1]);
    const float e = a + part.y * (c - a);
    const float f = b + part.y * (d - b);
    return e + part.z * (f - e);
#else
    Vec low, high;
    low.lo = *(const Pair*)corner;
    low.hi = *(const Pair*)(corner + SIDE);
    high.lo = *(const Pair*)(corner + SLICE);
    high.hi = *(const Pair*)(corner + SLICE + SIDE);
    const Vec sides = low + part.x * (high - low);
    const Pair ends = sides.lo + part.y * (sides.hi - sides.lo);
    return ends.x + part.z * (ends.y - ends.x);
#endif
}

struct Field {
    const int* top;  // the brick at each place, or -1
    const unsigned char* blocks;  // how far each is from the nearest one with density, in blocks
    const float* density;
    const signed char* normals;  // four for each sample
    const unsigned char* codes;
    int bricks[3];  // along each side
    int block_log2;
    int blocks_y, blocks_z;
    float low[3], scale;  // voxels are (world - low) * scale
    float inside_low[3], inside_high[3];  // box of the density

    CUDA_CALLABLE int cells(int axis) const { return CELLS * bricks[axis]; }
    CUDA_CALLABLE float block_size() const { return (float)(1 << block_log2); }

    // The voxel of a place; beyond the border it is the last one.
    CUDA_CALLABLE Voxel voxel_at(Vec at) const {
        const Vec last = vec((float)cells(0) - 0.5f, (float)cells(1) - 0.5f, (float)cells(2) - 0.5f);
        const Vec cell = truncated(lower(higher(at, vec(0.0f, 0.0f, 0.0f)), last));
        return Voxel{(int)cell.x, (int)cell.y, (int)cell.z, at - cell};
    }

    // The row of a voxel's first sample, or -1 without a brick.
    CUDA_CALLABLE int row_of(const Voxel& v) const {
        const int place = ((v.x >> CELLS_LOG2) * bricks[1] + (v.y >> CELLS_LOG2)) * bricks[2]
            + (v.z >> CELLS_LOG2);
        const int inside = SLICE * (v.x & (CELLS - 1)) + SIDE * (v.y & (CELLS - 1)) + (v.z & (CELLS - 1));
        const int brick = top[place];
        return brick < 0 ? -1 : SAMPLES * brick + inside;
    }

    // How far the nearest voxel with density is, in blocks.
    CUDA_CALLABLE int distance_at(const Voxel& v) const {
        return distance_of(block_of(v.x), block_of(v.y), block_of(v.z));
    }
    CUDA_CALLABLE int distance_of(int x, int y, int z) const {
        return (int)blocks[(x * blocks_y + y) * blocks_z + z];
    }
    CUDA_CALLABLE int block_of(int cell) const { return cell >> block_log2; }

    CUDA_CALLABLE float density_at(int row, Vec part) const { return trilinear(density + row, part); }
};

// `stored` is Warp's struct of the same arrays.
template <class Stored> CUDA_CALLABLE inline Field field_of(const Stored& stored) {
    const auto& grid = stored.grid;
    const int per_brick_log2 = CELLS_LOG2 - grid.block_log2;
    return Field{stored.top.data, stored.blocks.data, stored.density.data,
        (const signed char*)stored.normals.data, stored.codes.data,
        {grid.shape[0], grid.shape[1], grid.shape[2]}, grid.block_log2,
        grid.shape[1] << per_brick_log2, grid.shape[2] << per_brick_log2,
        {grid.low[0], grid.low[1], grid.low[2]}, grid.scale,
        {grid.inside_low[0], grid.inside_low[1], grid.inside_low[2]},
        {grid.inside_high[0], grid.inside_high[1], grid.inside_high[2]}};
}

// The side of a free cube of blocks around a voxel by which a ray leaves it, in voxels.
CUDA_CALLABLE inline Vec exit_of(const Field& field, const Voxel& v, Vec stride, int free) {
    const Vec block = vec((float)field.block_of(v.x), (float)field.block_of(v.y), (float)field.block_of(v.z));
    return (block + by_sign(stride, (float)free, 1.0f - (float)free)) * field.block_size();
}

// How many whole ticks a way takes, and never so many that they do not fit into an int.
CUDA_CALLABLE inline int whole_ticks(float way) {
    return (int)(way < 0.0f ? 0.0f : (way < 1e9f ? way : 1e9f));
}

}  // namespace neuron
