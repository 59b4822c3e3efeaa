// Where the rays of a tile are in the picture, and where they go: in the world, or as an instance sees it.
#pragma once
#include "records.h"
#include "vectors.h"

namespace neuron {

struct Tile {
    int left, top, across_log2;
    CUDA_CALLABLE int column(int place) const { return left + (place & ((1 << across_log2) - 1)); }
    CUDA_CALLABLE int line(int place) const { return top + (place >> across_log2); }
};

template <class View> CUDA_CALLABLE inline Tile tile_of(const View& view, int number) {
    const int across = view.tile_width_log2;
    return {(number % view.tiles_x) << across, (number / view.tiles_x) << (BEAM_LOG2 - across), across};
}

template <class View> CUDA_CALLABLE inline bool is_inside(const View& view, int x, int y) {
    return x < view.width && y < view.height;
}

// One coordinate of the direction through a pixel of a pinhole camera, of any length.
template <class Camera> CUDA_CALLABLE inline float towards(const Camera& camera, int axis, float x, float y) {
    return camera.first[axis] + camera.right[axis] * x + camera.down[axis] * y;
}

template <class Camera> CUDA_CALLABLE inline Vec towards(const Camera& camera, float x, float y) {
    return vec(towards(camera, 0, x, y), towards(camera, 1, x, y), towards(camera, 2, x, y));
}

// One coordinate of a vector of the world in the space of an instance: the same bits for every kernel.
CUDA_CALLABLE inline float turned(const Placement& to, int axis, Vec v) {
    NEURON_UNFUSED
    const float* row = to.matrix + 3 * axis;
    return row[0] * v.x + row[1] * v.y + row[2] * v.z;
}

CUDA_CALLABLE inline Vec turned(const Placement& to, Vec v) {
    return vec(turned(to, 0, v), turned(to, 1, v), turned(to, 2, v));
}

// Rays of the world.
template <class Rays> struct WorldRays {
    const Rays& rays;
    CUDA_CALLABLE const auto& camera() const { return rays.view; }
    CUDA_CALLABLE Vec origin(int ray) const { return vec(rays.origins.data[ray]); }
    CUDA_CALLABLE Vec direction(int ray) const { return vec(rays.directions.data[ray]); }
};

// The same rays in the space of an instance, directions of unit length again.
template <class Rays> struct LocalRays {
    const Rays& rays;
    const Placement& placement;
    CUDA_CALLABLE const Placement& camera() const { return placement; }
    CUDA_CALLABLE Vec origin(int ray) const {
        return turned(placement, vec(rays.origins.data[ray])) + vec(placement.offset);
    }
    CUDA_CALLABLE Vec direction(int ray) const {
        NEURON_UNFUSED
        const Vec moved = turned(placement, vec(rays.directions.data[ray]));
        const float squares = moved.x * moved.x + moved.y * moved.y + moved.z * moved.z;
        return moved * (squares > 0.0f ? 1.0f / sqrtf(squares) : 1.0f);
    }
};

// The direction of a ray of the world, as long as the camera gives it.
template <class Rays> CUDA_CALLABLE inline Vec world_direction(const Rays& rays, int x, int y) {
    if (rays.view.pinhole != 0)
        return towards(rays.view, (float)x, (float)y);
    return vec(rays.directions.data[y * rays.view.width + x]);
}

}  // namespace neuron
