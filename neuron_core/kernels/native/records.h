// What kernels hand each other about a ray: flat arrays of floats in memory.
#pragma once
#include "platform.h"

namespace neuron {

// What a ray meets in one field, not shaded.
struct Record {
    float codes[CHANNELS];  // mean, as stored: 0 to 255
    float normal[3];  // unit, or zero
    float distance;  // mean, along the unit direction
    float alpha;
    float direction[3];  // unit
};
static_assert(sizeof(Record) == 4 * RECORD, "RECORD counts the floats of a record");

// What a pair of a tile and an instance shows at one ray; depth and normal in the instance's space.
struct Layer {
    float color[3];  // premultiplied
    float alpha;
    float distance;
    float normal[3];
};
static_assert(sizeof(Layer) == 4 * LAYER, "LAYER counts the floats of a layer");

// Where an instance is: the camera in its space, and what takes the world there.
struct Placement {
    float eye[3], first[3], right[3], down[3];
    float matrix[9];  // rows
    float offset[3];
};
static_assert(sizeof(Placement) == 4 * PLACEMENT, "PLACEMENT counts the floats of a placement");

}  // namespace neuron
