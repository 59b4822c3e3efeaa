"""The small network that shades a baked field, once a pixel, as drawing compiles it.

Letters in shapes: H hidden units, N cells along a side of the map.
What depends on the reflected direction alone is summed beforehand into a map over the sphere,
folded from an octahedron to a square; the rest of the network runs on the units of a layer
side by side, for a few pixels together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

CODES = 8
HARMONICS = 8  # without the constant, which is in the biases
LOBES = 8  # 6, then 2 unused
TINTS = 16  # 6 tints and 2 unused, 3 tints of the mirror, its gate, 4 unused


@dataclass(frozen=True, slots=True)
class Network:
    """The shader of one look, its codes still as they are stored (0 to 255); on one device."""

    width: int  # H, a multiple of 8
    cells: int  # N
    directions: Any  # [(N + 1) ** 2 * H] int16: what the reflected direction adds to the first layer
    weights: Any  # float32, flat: see `pack`

    @property
    def device(self) -> str:
        """Where the weights are."""
        return str(self.weights.device)


def pack(
    scale: np.ndarray,
    first: np.ndarray,
    hidden: np.ndarray,
    lobes: np.ndarray,
    tints: np.ndarray,
) -> np.ndarray:
    """The weights of a `Network` one after another; rows are inputs, the last row of each the bias.

    `scale` [1, H] is what 1 in the map of directions stands for, `first`
    [8 codes + facing + 8 harmonics + 1, H], `hidden` [H + 1, H], `lobes` [H + 1, 8], `tints`
    [8 codes + 1, 16]. Harmonics are x, y, z, xy, yz, zx, x² - y², 3z² - 1 of the normal.
    """
    width = hidden.shape[1]
    shapes = [
        (1, width),
        (CODES + HARMONICS + 2, width),
        (width + 1, width),
        (width + 1, LOBES),
        (CODES + 1, TINTS),
    ]
    layers = (scale, first, hidden, lobes, tints)
    if width % 8 or [layer.shape for layer in layers] != shapes:
        raise ValueError(f"Layers of {[layer.shape for layer in layers]}, not {shapes}, or not in eights.")
    return np.concatenate([layer.astype(np.float32).reshape(-1) for layer in layers])


def octahedron(cells: int) -> np.ndarray:
    """The unit directions at the (cells + 1)² nodes of the map, rows of constant z, [(N + 1)², 3].

    The upper half of the sphere lies in the middle diamond, the lower one in the corners
    (Cigolle et al. 2014). Nodes on the border have a second copy, so that interpolation never
    crosses it.
    """
    steps = np.linspace(-1.0, 1.0, cells + 1)
    z, x = np.meshgrid(steps, steps, indexing="ij")
    y = 1.0 - np.abs(x) - np.abs(z)
    folded_x = np.where(y < 0, (1.0 - np.abs(z)) * np.where(x < 0, -1.0, 1.0), x)
    folded_z = np.where(y < 0, (1.0 - np.abs(x)) * np.where(z < 0, -1.0, 1.0), z)
    directions = np.stack([folded_x, y, folded_z], axis=-1).reshape(-1, 3)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions.astype(np.float32)


SHADING = """
    constexpr int WIDTH = WIDTH_OF_NETWORK;
#if defined(__CUDA_ARCH__)
    constexpr int TOGETHER = 1;
    struct Row { float v[WIDTH]; };
    struct Row8 { float v[8]; };
    struct Row16 { float v[16]; };
    const auto add = [](Row& sum, float by, const float* row) {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) sum.v[i] += by * row[i];
    };
    const auto add_stored = [](Row& sum, const float* scale, float a, const short* first, float b,
            const short* second, float c, const short* third, float d, const short* fourth) {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i)
            sum.v[i] += scale[i] * (a * (float)first[i] + b * (float)second[i] + c * (float)third[i]
                + d * (float)fourth[i]);
    };
    const auto add8 = [](Row8& sum, float by, const float* row) {
#pragma unroll
        for (int i = 0; i < 8; ++i) sum.v[i] += by * row[i];
    };
    const auto begin = [](Row& sum, const float* row) {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) sum.v[i] = row[i];
    };
    const auto start8 = [](Row8& sum, const float* row) {
#pragma unroll
        for (int i = 0; i < 8; ++i) sum.v[i] = row[i];
    };
    const auto keep_positive = [](const Row& sum, float* to) {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) to[i] = fmaxf(sum.v[i], 0.0f);
    };
    const auto softplus = [](const Row16& x, float* to) {
#pragma unroll
        for (int i = 0; i < 16; ++i) to[i] = fmaxf(x.v[i], 0.0f) + log1pf(expf(-fabsf(x.v[i])));
    };
    const auto sigmoid = [](float x) { return 1.0f / (1.0f + expf(-x)); };
    const auto both = [](const Row8& a, const Row8& b) {
        Row16 sum;
#pragma unroll
        for (int i = 0; i < 8; ++i) sum.v[i] = a.v[i], sum.v[8 + i] = b.v[i];
        return sum;
    };
#else
#if defined(__AVX512F__)
    constexpr int TOGETHER = 4;
#else
    constexpr int TOGETHER = 2;
#endif
    typedef float Row __attribute__((ext_vector_type(WIDTH), aligned(4)));
    typedef float Row8 __attribute__((ext_vector_type(8), aligned(4)));
    typedef float Row16 __attribute__((ext_vector_type(16), aligned(4)));
    typedef int Int16 __attribute__((ext_vector_type(16)));
    const auto add = [](Row& sum, float by, const float* row) { sum += by * *(const Row*)row; };
    typedef short Stored __attribute__((ext_vector_type(WIDTH), aligned(2)));
    const auto stored = [](const short* row) { return __builtin_convertvector(*(const Stored*)row, Row); };
    const auto add_stored = [&](Row& sum, const float* scale, float a, const short* first, float b,
            const short* second, float c, const short* third, float d, const short* fourth) {
        const Row mean = a * stored(first) + b * stored(second) + c * stored(third) + d * stored(fourth);
        sum += mean * *(const Row*)scale;
    };
    const auto add8 = [](Row8& sum, float by, const float* row) { sum += by * *(const Row8*)row; };
    const auto begin = [](Row& sum, const float* row) { sum = *(const Row*)row; };
    const auto start8 = [](Row8& sum, const float* row) { sum = *(const Row8*)row; };
    const auto keep_positive = [](const Row& sum, float* to) {
        *(Row*)to = __builtin_elementwise_max(sum, (Row)0.0f);
    };
    const auto both = [](const Row8& a, const Row8& b) {
        return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    };
    // exp(-x) for x >= 0, off by less than 1e-6.
    const auto decay = [](Row16 x) {
        const Row16 power = __builtin_elementwise_min(x, (Row16)87.0f) * -1.44269504f;
        const Int16 whole = __builtin_convertvector(power - 0.5f, Int16);
        const Row16 part = power - __builtin_convertvector(whole, Row16);
        const Int16 bits = (whole + 127) << 23;
        const Row16 root = 1.0f + part * (0.69314718f + part * (0.24022651f + part * (0.05550341f
            + part * (0.00961813f + part * (0.00133336f + part * 0.00015404f)))));
        return __builtin_bit_cast(Row16, bits) * root;
    };
    const auto softplus = [&](const Row16& x, float* to) {
        const Row16 e = decay(__builtin_elementwise_abs(x));
        const Row16 s = e / (2.0f + e);  // log(1 + e) = 2 atanh(s)
        const Row16 q = s * s;
        const Row16 log = 2.0f * s * (1.0f + q * (0.33333333f + q * (0.2f + q * (0.14285714f
            + q * 0.11111111f))));
        *(Row16*)to = __builtin_elementwise_max(x, (Row16)0.0f) + log;
    };
    const auto sigmoid = [&](float x) {
        const Row16 e = decay((Row16)fabsf(x));
        return x > 0.0f ? 1.0f / (1.0f + e[0]) : e[0] / (1.0f + e[0]);
    };
#endif
    const float* map_scale = weights.data;
    const float* first_layer = map_scale + WIDTH;
    const float* hidden_layer = first_layer + 18 * WIDTH;
    const float* lobe_layer = hidden_layer + (WIDTH + 1) * WIDTH;
    const float* tint_layer = lobe_layer + 8 * (WIDTH + 1);
    const short* map = (const short*)directions.data;
    const float zeros[8] = {0.0f};

    // Colors [4 * slot] of TOGETHER records; `mirrored` has what their reflected rays meet.
    const auto shade_some = [&](
        const float* const* record, const float* const* mirrored, float* const* color) {
        Row sum[TOGETHER];
        float inputs[TOGETHER][17];
        float values[TOGETHER][WIDTH];
        for (int p = 0; p < TOGETHER; ++p) {
            const float* r = record[p];
            const float nx = r[8], ny = r[9], nz = r[10];
            const float facing = r[13] * nx + r[14] * ny + r[15] * nz;
            const float x = r[13] - 2.0f * facing * nx;
            const float y = r[14] - 2.0f * facing * ny;
            const float z = r[15] - 2.0f * facing * nz;
            float* in = inputs[p];
            for (int channel = 0; channel < 8; ++channel)
                in[channel] = r[channel];
            in[8] = -facing;
            in[9] = nx;
            in[10] = ny;
            in[11] = nz;
            in[12] = nx * ny;
            in[13] = ny * nz;
            in[14] = nz * nx;
            in[15] = nx * nx - ny * ny;
            in[16] = 3.0f * nz * nz - 1.0f;
            const float size = 1.0f / (fabsf(x) + fabsf(y) + fabsf(z));
            float u = x * size, v = z * size;
            if (y < 0.0f) {
                const float folded = (1.0f - fabsf(v)) * (u < 0.0f ? -1.0f : 1.0f);
                v = (1.0f - fabsf(u)) * (v < 0.0f ? -1.0f : 1.0f);
                u = folded;
            }
            u = (u * 0.5f + 0.5f) * (float)cells_of_map;
            v = (v * 0.5f + 0.5f) * (float)cells_of_map;
            int column = (int)u, line = (int)v;
            column = column < 0 ? 0 : (column < cells_of_map ? column : cells_of_map - 1);
            line = line < 0 ? 0 : (line < cells_of_map ? line : cells_of_map - 1);
            u -= (float)column;
            v -= (float)line;
            const short* corner = map + (size_t)(line * (cells_of_map + 1) + column) * WIDTH;
            const short* below = corner + (size_t)(cells_of_map + 1) * WIDTH;
            begin(sum[p], first_layer + 17 * WIDTH);
            add_stored(sum[p], map_scale, (1.0f - u) * (1.0f - v), corner, u * (1.0f - v), corner + WIDTH,
                (1.0f - u) * v, below, u * v, below + WIDTH);
        }
        for (int i = 0; i < 17; ++i)
            for (int p = 0; p < TOGETHER; ++p)
                add(sum[p], inputs[p][i], first_layer + i * WIDTH);
        for (int p = 0; p < TOGETHER; ++p) {
            keep_positive(sum[p], values[p]);
            begin(sum[p], hidden_layer + WIDTH * WIDTH);
        }
        for (int i = 0; i < WIDTH; ++i)
            for (int p = 0; p < TOGETHER; ++p)
                add(sum[p], values[p][i], hidden_layer + i * WIDTH);
        for (int p = 0; p < TOGETHER; ++p) {
            keep_positive(sum[p], values[p]);
            Row8 even, odd, tint;
            start8(even, lobe_layer + 8 * WIDTH);
            start8(odd, zeros);
            for (int i = 0; i < WIDTH; i += 2) {
                add8(even, values[p][i], lobe_layer + 8 * i);
                add8(odd, values[p][i + 1], lobe_layer + 8 * (i + 1));
            }
            add8(even, 1.0f, (const float*)&odd);
            start8(tint, tint_layer + 16 * 8);
            for (int i = 0; i < 8; ++i)
                add8(tint, inputs[p][i], tint_layer + 16 * i);
            float lit[16];  // lobes, then tints
            softplus(both(even, tint), lit);
            float* to = color[p];
            for (int channel = 0; channel < 3; ++channel)
                to[channel] = lit[channel] * lit[8 + channel] + lit[3 + channel] * lit[11 + channel];
            if (mirrored[p] != nullptr && mirrored[p][3] > 0.0f) {
                Row8 mirror;
                start8(mirror, tint_layer + 16 * 8 + 8);
                for (int i = 0; i < 8; ++i)
                    add8(mirror, inputs[p][i], tint_layer + 16 * i + 8);
                float shine[16];
                softplus(both(mirror, mirror), shine);
                const float part = sigmoid(((const float*)&mirror)[3]) * mirrored[p][3];
                for (int channel = 0; channel < 3; ++channel)
                    to[channel] += part * (shine[channel] * mirrored[p][channel]
                        - lit[3 + channel] * lit[11 + channel]);
            }
        }
    };

    // The colors of records, where there is something; `mirrored` is what their reflections see.
    struct Color { float v[4]; };
    const auto shade = [&](const float* records, Color* mirrored, Color* colors) {
        const float* record[TOGETHER];
        const float* reflection[TOGETHER];
        float* color[TOGETHER];
        int waiting = 0;
        for (int ray = 0; ray < MANY; ++ray) {
            if (records[16 * ray + 12] > faint) {
                record[waiting] = records + 16 * ray;
                reflection[waiting] = mirrored != nullptr ? mirrored[ray].v : nullptr;
                color[waiting] = colors[ray].v;
                ++waiting;
            }
            if (waiting == TOGETHER || (waiting > 0 && ray == MANY - 1)) {
                for (int p = waiting; p < TOGETHER; ++p) {  // the last one again
                    record[p] = record[waiting - 1];
                    reflection[p] = reflection[waiting - 1];
                    color[p] = color[waiting - 1];
                }
                shade_some(record, reflection, color);
                waiting = 0;
            }
        }
    };
"""
