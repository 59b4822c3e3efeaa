// The work of one level of a hash encoding for some of the points: they are taken in tiles, whose loops
// become vector code on a CPU. On CUDA a tile is one point.
#pragma once
#include "platform.h"

namespace neuron {

#if defined(__CUDA_ARCH__)
constexpr int POINTS = 1;  // of a tile
#else
constexpr int POINTS = 64;
#endif
constexpr int CORNERS = 8;  // of a cell: number 4 * z + 2 * y + x

struct Level {
    int number, levels;
    int resolution;  // cells along a side
    int table_size;

    CUDA_CALLABLE int side() const { return resolution + 1; }
    CUDA_CALLABLE bool is_dense() const { return (long long)side() * side() * side() <= table_size; }
    CUDA_CALLABLE size_t first_row() const { return (size_t)number * (size_t)table_size; }
};

// A number for each corner of each point's cell. These arrays are apart from each other, so that the
// compiler knows that writing one leaves the others alone.
typedef float Corners[CORNERS][POINTS];

struct Cells {
    int row[CORNERS][POINTS];  // in the level's table
    float x[POINTS], y[POINTS], z[POINTS];  // place in the cell
};

CUDA_CALLABLE inline void find_rows(Cells& cells, int i, const Level& level, int cx, int cy, int cz) {
    const bool dense = level.is_dense();
    const unsigned mask = (unsigned)level.table_size - 1u;
    const int side = level.side(), up = side * side;
    const int corner = cx + side * (cy + side * cz);
    const unsigned hx = (unsigned)cx, hx1 = hx + 1u;
    const unsigned hy = (unsigned)cy * PRIME_Y, hy1 = hy + PRIME_Y;
    const unsigned hz = (unsigned)cz * PRIME_Z, hz1 = hz + PRIME_Z;
    cells.row[0][i] = dense ? corner : (int)((hx ^ hy ^ hz) & mask);
    cells.row[1][i] = dense ? corner + 1 : (int)((hx1 ^ hy ^ hz) & mask);
    cells.row[2][i] = dense ? corner + side : (int)((hx ^ hy1 ^ hz) & mask);
    cells.row[3][i] = dense ? corner + side + 1 : (int)((hx1 ^ hy1 ^ hz) & mask);
    cells.row[4][i] = dense ? corner + up : (int)((hx ^ hy ^ hz1) & mask);
    cells.row[5][i] = dense ? corner + up + 1 : (int)((hx1 ^ hy ^ hz1) & mask);
    cells.row[6][i] = dense ? corner + up + side : (int)((hx ^ hy1 ^ hz1) & mask);
    cells.row[7][i] = dense ? corner + up + side + 1 : (int)((hx1 ^ hy1 ^ hz1) & mask);
}

// The cells of points [3 * count]; points outside take the cell at the border.
CUDA_CALLABLE inline void find_cells(Cells& cells, int count, const Level& level, const float* points) {
    const float scale = (float)level.resolution;
    for (int i = 0; i < count; ++i) {
        const float x = points[3 * i] * scale, y = points[3 * i + 1] * scale, z = points[3 * i + 2] * scale;
        const int cx = cell_in(x, level.resolution), cy = cell_in(y, level.resolution);
        const int cz = cell_in(z, level.resolution);
        cells.x[i] = x - (float)cx;
        cells.y[i] = y - (float)cy;
        cells.z[i] = z - (float)cz;
        find_rows(cells, i, level, cx, cy, cz);
    }
}

// Trilinear weights of the corners.
CUDA_CALLABLE inline void find_weights(Corners& weight, int count, const Cells& cells) {
    for (int i = 0; i < count; ++i) {
        const float x = cells.x[i], y = cells.y[i], z = cells.z[i];
        const float x0 = 1.0f - x, y0 = 1.0f - y, z0 = 1.0f - z;
        weight[0][i] = x0 * y0 * z0;
        weight[1][i] = x * y0 * z0;
        weight[2][i] = x0 * y * z0;
        weight[3][i] = x * y * z0;
        weight[4][i] = x0 * y0 * z;
        weight[5][i] = x * y0 * z;
        weight[6][i] = x0 * y * z;
        weight[7][i] = x * y * z;
    }
}

// The features of points, `stride` apart, from the level's table [T * FEATURES].
template <int FEATURES>
CUDA_CALLABLE inline void read_rows(
    float* features, size_t stride, int count, const Cells& cells, const Corners& weight, const float* table) {
    for (int i = 0; i < count; ++i) {
        float sum[FEATURES] = {};
        for (int corner = 0; corner < CORNERS; ++corner)
            for (int feature = 0; feature < FEATURES; ++feature)
                sum[feature] += weight[corner][i] * table[FEATURES * cells.row[corner][i] + feature];
        for (int feature = 0; feature < FEATURES; ++feature)
            features[stride * i + feature] = sum[feature];
    }
}

// The adjoint of `read_rows`: add gradients of features to the table.
template <int FEATURES>
CUDA_CALLABLE inline void add_to_rows(
    float* table, const float* features, size_t stride, int count, const Cells& cells, const Corners& weight) {
    for (int i = 0; i < count; ++i) {
        float gradient[FEATURES];
        for (int feature = 0; feature < FEATURES; ++feature)
            gradient[feature] = features[stride * i + feature];
        for (int corner = 0; corner < CORNERS; ++corner)
            for (int feature = 0; feature < FEATURES; ++feature)
                NEURON_ADD(table[FEATURES * cells.row[corner][i] + feature], weight[corner][i] * gradient[feature]);
    }
}

// The rows of the corners, each weighted by a gradient of the features.
template <int FEATURES>
CUDA_CALLABLE inline void find_values(
    Corners& value, const float* features, size_t stride, int count, const Cells& cells, const float* table) {
    for (int i = 0; i < count; ++i) {
        const float* const from = features + stride * i;
        for (int corner = 0; corner < CORNERS; ++corner) {
            float sum = 0.0f;
            for (int feature = 0; feature < FEATURES; ++feature)
                sum += from[feature] * table[FEATURES * cells.row[corner][i] + feature];
            value[corner][i] = sum;
        }
    }
}

// How fast what lies between the values of the corners grows with the points [3 * count]. The first level
// writes and the others add.
CUDA_CALLABLE inline void add_slopes(
    float* slopes, int count, const Level& level, const Cells& cells, const Corners& value) {
    const float scale = (float)level.resolution;
    for (int i = 0; i < count; ++i) {
        const float x = cells.x[i], y = cells.y[i], z = cells.z[i];
        const float x0 = 1.0f - x, y0 = 1.0f - y, z0 = 1.0f - z;
        const float along_x = z0 * (y0 * (value[1][i] - value[0][i]) + y * (value[3][i] - value[2][i]))
            + z * (y0 * (value[5][i] - value[4][i]) + y * (value[7][i] - value[6][i]));
        const float along_y = z0 * (x0 * (value[2][i] - value[0][i]) + x * (value[3][i] - value[1][i]))
            + z * (x0 * (value[6][i] - value[4][i]) + x * (value[7][i] - value[5][i]));
        const float along_z = y0 * (x0 * (value[4][i] - value[0][i]) + x * (value[5][i] - value[1][i]))
            + y * (x0 * (value[6][i] - value[2][i]) + x * (value[7][i] - value[3][i]));
        float* const to = slopes + 3 * i;
        to[0] = (level.number > 0 ? to[0] : 0.0f) + scale * along_x;
        to[1] = (level.number > 0 ? to[1] : 0.0f) + scale * along_y;
        to[2] = (level.number > 0 ? to[2] : 0.0f) + scale * along_z;
    }
}

enum class Operation { encode, backward, slope };

// An operation on the points [begin, end) of one level.
template <int FEATURES, Operation operation, class Call>
CUDA_CALLABLE inline void work_on(const Call& call, int number, int begin, int end) {
    const Level level{number, call.resolutions.shape[0], call.resolutions.data[number], call.table_size};
    const size_t stride = FEATURES * (size_t)level.levels;
    float* const table = call.tables.data + FEATURES * level.first_row();
    Cells cells;
    Corners corners;
    for (int start = begin; start < end; start += POINTS) {
        const int count = POINTS == 1 || end - start > POINTS ? POINTS : end - start;
        float* const features = call.features.data + FEATURES * number + stride * start;
        find_cells(cells, count, level, call.points.data + 3 * (size_t)start);
        if constexpr (operation == Operation::slope) {
            find_values<FEATURES>(corners, features, stride, count, cells, table);
            add_slopes(call.slopes.data + 3 * (size_t)start, count, level, cells, corners);
        } else {
            find_weights(corners, count, cells);
        }
        if constexpr (operation == Operation::encode)
            read_rows<FEATURES>(features, stride, count, cells, corners, table);
        if constexpr (operation == Operation::backward)
            add_to_rows<FEATURES>(table, features, stride, count, cells, corners);
    }
}

}  // namespace neuron
