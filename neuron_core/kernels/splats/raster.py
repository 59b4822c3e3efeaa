"""Draw Gaussian splats and take the gradient of a picture (Zwicker et al. 2001, Kerbl et al. 2023).

Letters in shapes: N splats, K harmonics of a color, H W the sides of a picture, P pairs of a splat
and a tile that it touches. A splat's shape is 11 numbers: position (3), logarithms of the standard
deviations (3), rotation as a quaternion w x y z of any length (4), logit of the opacity (1). Colors
are 0.5 plus the sum of K harmonics in the direction from the camera to the splat, cut off at 0.

A splat is projected to an ellipse, which is widened by `Lens.dilation` (a variance in square
pixels), and contributes where its opacity is at least 1/255. Splats are ordered by the depth of
their centers along the view axis. Everything is float32 on one device.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.arrays import device_of, view
from neuron_core.kernels.launch import CORES, launch

SHAPE = 11  # numbers of a splat's shape
GRADIENT = 14  # of its shape, then of its color
RECORD = 16  # numbers of a projected splat
TILE = 8  # pixels along the side of a tile
VISIBLE = 1.0 / 255.0  # smallest opacity that counts
OPAQUEST = 0.99  # no splat hides more
NEAR = 0.01  # of the distance to a scene's center: what is nearer is not drawn

MAX_TILES = 1 << 16
MAX_PAIRS = 1 << 26

_DEPTHS = 1 << 21
_SLICES = 6 * CORES


@dataclass(frozen=True, slots=True)
class Lens:
    """A pinhole camera. Its own axes are x to the right, y down and z forward."""

    width: int
    height: int
    focal: tuple[float, float]  # pixels
    center: tuple[float, float]  # pixels
    camera_from_world: np.ndarray  # [3, 3] rotation
    eye: np.ndarray  # [3] world
    near: float  # along the view axis
    far: float  # splats behind are drawn in no order
    dilation: float = 0.3

    @property
    def tiles(self) -> tuple[int, int]:
        """How many tiles lie side by side and one above the other."""
        return -(-self.width // TILE), -(-self.height // TILE)


@dataclass(frozen=True, slots=True)
class Projected:
    """Splats as one camera sees them, and in which order its tiles take them."""

    lens: Lens
    records: Any  # [N, 16]
    firsts: Any  # [N + 1] int32: the first pair of each splat
    splats: Any  # [P] int32: the splat of each pair
    order: Any  # [P] int32: pairs by tile, then from front to back
    ends: Any  # [tiles + 1] int32: where in `order` each tile begins

    @property
    def pairs(self) -> int:
        """P."""
        return int(self.order.shape[0])


class PairsError(ValueError):
    """A picture that touches more tiles than can be sorted."""


def project(lens: Lens, shapes: Any, harmonics: Any) -> Projected:
    """Project splats with `shapes` [N, 11] and `harmonics` [N, K, 3] and sort them.

    Raises PairsError for pictures above 65536 tiles or splats that touch 67 million of them.
    """
    device = device_of(shapes)
    count = int(shapes.shape[0])
    terms = int(harmonics.shape[1])
    columns, rows = lens.tiles
    if columns * rows > MAX_TILES:
        raise PairsError(f"A picture of {lens.width} x {lens.height} pixels is too large to be splatted.")
    records = wp.empty((max(count, 1), RECORD), dtype=wp.float32, device=device)
    touched = wp.zeros(count + 1, dtype=wp.int32, device=device)
    arguments = [
        _lens(lens),
        view(shapes, wp.float32, [count, SHAPE]),
        view(harmonics, wp.float32, [count, terms * 3]),
        records,
        touched,
    ]
    launch(project_kernel, arguments, count, device=device, slices=_SLICES)
    firsts, pairs = _sums_before(touched, device)
    if pairs > MAX_PAIRS:
        raise PairsError(f"The splats touch {pairs} tiles, which is more than can be sorted.")
    keys = wp.empty(2 * max(pairs, 1), dtype=wp.int64, device=device)
    splats = wp.empty(max(pairs, 1), dtype=wp.int32, device=device)
    launch(key_kernel, [_lens(lens), records, firsts, splats, keys], count, device=device, slices=_SLICES)
    keys = _sorted(keys, pairs, device)
    order = wp.empty(pairs, dtype=wp.int32, device=device)
    ends = wp.zeros(columns * rows + 1, dtype=wp.int32, device=device)
    launch(order_kernel, [keys, pairs, columns * rows, order, ends], pairs, device=device, slices=_SLICES)
    return Projected(lens, records, firsts, splats, order, ends)


def _sums_before(counts: wp.array, device: str) -> tuple[wp.array, int]:
    """The sum of all counts before each, and of all."""
    if device == "cpu":
        sums = np.zeros(counts.shape[0], np.int64)
        np.cumsum(counts.numpy()[:-1], out=sums[1:])
        if sums[-1] > MAX_PAIRS:
            return counts, int(sums[-1])
        return wp.array(sums.astype(np.int32), dtype=wp.int32, device=device), int(sums[-1])
    sums = wp.empty_like(counts)
    wp.utils.array_scan(counts, sums, inclusive=False)
    return sums, int(sums[-1:].numpy()[0])


def _sorted(keys: wp.array, pairs: int, device: str) -> wp.array:
    if device == "cpu":
        keys.numpy()[:pairs].sort()
        return keys
    unused = wp.empty(2 * max(pairs, 1), dtype=wp.int32, device=device)
    if pairs:
        wp.utils.radix_sort_pairs(keys, unused, pairs)
    return keys


def rasterise(projected: Projected, out: Any) -> None:
    """Write premultiplied color and opacity of every pixel to `out` [H, W, 4]."""
    lens = projected.lens
    columns, rows = lens.tiles
    arguments = [
        *_tile_arguments(projected),
        view(out, wp.float32, [lens.height * lens.width * 4]),
    ]
    launch(rasterise_kernel, arguments, columns * rows, TILE, device=device_of(out), slices=_SLICES)


def backward(projected: Projected, shapes: Any, picture: Any, grad_picture: Any, gradients: Any) -> None:
    """Write what `grad_picture` [H, W, 4] says about each splat to `gradients` [N, 14].

    `picture` is what `rasterise` wrote. The columns are the gradient of the 11 numbers of a shape
    and of the color, which is zero where the color was cut off. That the color changes with the
    direction in which a moved splat is seen is left out.
    """
    lens = projected.lens
    device = device_of(picture)
    count = int(shapes.shape[0])
    columns, rows = lens.tiles
    pixels = lens.height * lens.width * 4
    sums = wp.zeros((max(projected.pairs, 1), 9), dtype=wp.float32, device=device)
    arguments = [
        *_tile_arguments(projected),
        view(picture, wp.float32, [pixels]),
        view(grad_picture, wp.float32, [pixels]),
        sums,
    ]
    launch(unrasterise_kernel, arguments, columns * rows, TILE, device=device, slices=_SLICES)
    arguments = [
        _lens(lens),
        view(shapes, wp.float32, [count, SHAPE]),
        projected.records,
        projected.firsts,
        sums,
        view(gradients, wp.float32, [count, GRADIENT]),
    ]
    launch(unproject_kernel, arguments, count, device=device, slices=_SLICES)


def weights(projected: Projected, count: int, out: Any) -> None:
    """Write to `out` [N] how much of the picture each of `count` splats makes up, in pixels."""
    device = device_of(out)
    lens = projected.lens
    sums = wp.zeros((max(projected.pairs, 1), 9), dtype=wp.float32, device=device)
    nothing = wp.zeros(lens.height * lens.width * 4, dtype=wp.float32, device=device)
    ones = wp.ones(lens.height * lens.width * 4, dtype=wp.float32, device=device)
    columns, rows = lens.tiles
    arguments = [*_tile_arguments(projected), nothing, ones, sums]
    launch(unrasterise_kernel, arguments, columns * rows, TILE, device=device, slices=_SLICES)
    arguments = [projected.firsts, sums, view(out, wp.float32, [count])]
    launch(weigh_kernel, arguments, count, device=device, slices=_SLICES)


@dataclass(frozen=True, slots=True)
class Moments:
    """The running means of Adam (Kingma and Ba 2015), zero at first."""

    shapes: Any  # [N, 11, 2]
    harmonics: Any  # [N, K * 3, 2]


@dataclass(frozen=True, slots=True)
class Rates:
    """How far one step may move each number."""

    position: float
    scale: float
    rotation: float
    opacity: float
    color: float  # the constant harmonic
    detail: float  # the others


def descend(
    projected: Projected,
    gradients: Any,
    shapes: Any,
    harmonics: Any,
    moments: Moments,
    rates: Rates,
    step: int,
) -> None:
    """One step of Adam, in place, for the splats that the picture shows; the first `step` is 1."""
    count, terms = int(harmonics.shape[0]), int(harmonics.shape[1])
    packed = AdamRates()
    packed.position, packed.scale, packed.rotation = rates.position, rates.scale, rates.rotation
    packed.opacity, packed.color, packed.detail = rates.opacity, rates.color, rates.detail
    packed.first = 1.0 / (1.0 - 0.9**step)
    packed.second = 1.0 / (1.0 - 0.999**step)
    arguments = [
        _lens(projected.lens),
        projected.firsts,
        view(gradients, wp.float32, [count, GRADIENT]),
        packed,
        view(shapes, wp.float32, [count, SHAPE]),
        view(harmonics, wp.float32, [count, terms * 3]),
        view(moments.shapes, wp.float32, [count, SHAPE * 2]),
        view(moments.harmonics, wp.float32, [count, terms * 6]),
    ]
    launch(adam_kernel, arguments, count, device=device_of(shapes), slices=_SLICES)


def _tile_arguments(projected: Projected) -> list[object]:
    return [_lens(projected.lens), projected.records, projected.splats, projected.order, projected.ends]


@wp.struct
class LensValues:
    """`Lens` for kernels."""

    rotation: wp.mat33f
    eye: wp.vec3f
    focal: wp.vec2f
    center: wp.vec2f
    width: wp.int32
    height: wp.int32
    columns: wp.int32
    rows: wp.int32
    near: wp.float32
    far: wp.float32
    dilation: wp.float32


@wp.struct
class AdamRates:
    """`Rates` and the corrections for moments that started at zero."""

    position: wp.float32
    scale: wp.float32
    rotation: wp.float32
    opacity: wp.float32
    color: wp.float32
    detail: wp.float32
    first: wp.float32
    second: wp.float32


def _lens(lens: Lens) -> Any:
    values = LensValues()
    values.rotation = wp.mat33f(*(float(value) for value in np.asarray(lens.camera_from_world).reshape(-1)))
    values.eye = wp.vec3f(*(float(value) for value in lens.eye))
    values.focal = wp.vec2f(*lens.focal)
    values.center = wp.vec2f(*lens.center)
    values.width, values.height = lens.width, lens.height
    values.columns, values.rows = lens.tiles
    values.near, values.far, values.dilation = lens.near, lens.far, lens.dilation
    return values


# C++ where loops over harmonics or over the pixels of a row become vector code on a CPU; one
# index is a row of 8 pixels, on CUDA one thread's.

_LANES = """
#if defined(__CUDA_ARCH__)
#define NEURON_LANES _Pragma("unroll")
#define NEURON_ADD(to, value) atomicAdd(&(to), value)
#else
#define NEURON_LANES _Pragma("clang loop vectorize(enable) interleave(disable)")
#define NEURON_ADD(to, value) (to) += value
#endif
"""

_BASIS = """
    const float x = direction[0], y = direction[1], z = direction[2];
    const float xx = x * x, yy = y * y, zz = z * z;
    float basis[16];
    basis[0] = 0.28209479177387814f;
    basis[1] = -0.4886025119029199f * y;
    basis[2] = 0.4886025119029199f * z;
    basis[3] = -0.4886025119029199f * x;
    basis[4] = 1.0925484305920792f * x * y;
    basis[5] = -1.0925484305920792f * y * z;
    basis[6] = 0.31539156525252005f * (2.0f * zz - xx - yy);
    basis[7] = -1.0925484305920792f * x * z;
    basis[8] = 0.5462742152960396f * (xx - yy);
    basis[9] = -0.5900435899266435f * y * (3.0f * xx - yy);
    basis[10] = 2.890611442640554f * x * y * z;
    basis[11] = -0.4570457994644658f * y * (4.0f * zz - xx - yy);
    basis[12] = 0.3731763325901154f * z * (2.0f * zz - 3.0f * xx - 3.0f * yy);
    basis[13] = -0.4570457994644658f * x * (4.0f * zz - xx - yy);
    basis[14] = 1.445305721320277f * z * (xx - yy);
    basis[15] = -0.5900435899266435f * x * (xx - 3.0f * yy);
"""


@wp.func_native(
    _BASIS
    + """
    const float* row = harmonics.data + (size_t)splat * harmonics.shape[1];
    const int terms = harmonics.shape[1] / 3;
    wp::vec_t<3, float> color(0.5f, 0.5f, 0.5f);
    for (int term = 0; term < terms; ++term)
        for (int channel = 0; channel < 3; ++channel)
            color[channel] += basis[term] * row[3 * term + channel];
    return color;
"""
)
def color_of(harmonics: wp.array2d[wp.float32], splat: wp.int32, direction: wp.vec3f) -> wp.vec3f:
    """The color of a splat in a direction of unit length, before it is cut off."""
    ...


@wp.func_native(
    _LANES
    + _BASIS
    + """
    const int terms = harmonics.shape[1] / 3;
    float* row = harmonics.data + (size_t)splat * harmonics.shape[1];
    float* mean = moments.data + (size_t)splat * moments.shape[1];
    float* square = mean + harmonics.shape[1];
    float gradient[48], rate[48];
    for (int term = 0; term < terms; ++term)
        for (int channel = 0; channel < 3; ++channel) {
            gradient[3 * term + channel] = basis[term] * color[channel];
            rate[3 * term + channel] = term == 0 ? constant : others;
        }
    NEURON_LANES
    for (int index = 0; index < 3 * terms; ++index) {
        const float m = 0.9f * mean[index] + 0.1f * gradient[index];
        const float v = 0.999f * square[index] + 0.001f * gradient[index] * gradient[index];
        mean[index] = m;
        square[index] = v;
        row[index] -= rate[index] * first * m / (sqrtf(v * second) + 1.0e-15f);
    }
"""
)
def adam_harmonics(
    harmonics: wp.array2d[wp.float32],
    moments: wp.array2d[wp.float32],
    splat: wp.int32,
    direction: wp.vec3f,
    color: wp.vec3f,  # the gradient
    constant: wp.float32,
    others: wp.float32,
    first: wp.float32,
    second: wp.float32,
):
    """A step for the harmonics of one splat; their gradient is that of the color times the basis."""
    ...


_ROW = (
    _LANES
    + """
    const int tile = index / 8;
    const int y = 8 * (tile / lens.columns) + (index & 7);
    const int x = 8 * (tile % lens.columns);
    if (y >= lens.height)
        return;
    const int begin = ends.data[tile], end = ends.data[tile + 1];
    const float middle_x = (float)x + 0.5f, middle_y = (float)y + 0.5f;

    // exp(-x) for x >= 0, off by less than 1e-6.
    const auto fading = [](float x) {
        const float power = x < 80.0f ? x * -1.44269504f : -115.0f;
        const int whole = (int)(power - 0.5f);
        const float part = power - (float)whole;
        union { int bits; float value; } scale;
        scale.bits = (whole + 127) << 23;
        return scale.value * (1.0f + part * (0.69314718f + part * (0.24022651f + part * (0.05550341f
            + part * (0.00961813f + part * (0.00133336f + part * 0.00015404f))))));
    };
    // How opaque a splat is at each pixel of the row.
    const auto opacities_of = [&](const float* splat, float dx, float dy, float* found) {
        const float a = splat[2], b = splat[3], c = splat[4], opacity = splat[5], most = splat[10];
        NEURON_LANES
        for (int lane = 0; lane < 8; ++lane) {
            const float across = dx + (float)lane;
            const float power = 0.5f * (a * across * across + c * dy * dy) + b * across * dy;
            const float value = opacity * fading(power);
            const float limited = value < 0.99f ? value : 0.99f;
            found[lane] = power < most ? limited : 0.0f;
        }
    };
"""
)


@wp.func_native(
    _ROW
    + """
    float red[8] = {0}, green[8] = {0}, blue[8] = {0}, left[8], found[8];
    for (int lane = 0; lane < 8; ++lane)
        left[lane] = 1.0f;
    for (int place = begin; place < end; ++place) {
        const float* splat = records.data + 16 * (size_t)splats.data[order.data[place]];
        const float dx = middle_x - splat[0], dy = middle_y - splat[1];
        if (dy > splat[9] || -dy > splat[9] || dx > splat[11] || dx + 7.0f < -splat[11])
            continue;
        opacities_of(splat, dx, dy, found);
        NEURON_LANES
        for (int lane = 0; lane < 8; ++lane) {
            const float weight = found[lane] * left[lane];
            red[lane] += weight * splat[6];
            green[lane] += weight * splat[7];
            blue[lane] += weight * splat[8];
            left[lane] -= weight;
        }
        if ((place & 7) == 0) {
            float most = 0.0f;
            for (int lane = 0; lane < 8; ++lane)
                most = left[lane] > most ? left[lane] : most;
            if (most < 1.0e-4f)
                break;
        }
    }
    float* out = picture.data + 4 * ((size_t)y * lens.width + x);
    for (int lane = 0; lane < 8 && x + lane < lens.width; ++lane) {
        out[4 * lane] = red[lane];
        out[4 * lane + 1] = green[lane];
        out[4 * lane + 2] = blue[lane];
        out[4 * lane + 3] = 1.0f - left[lane];
    }
"""
)
def rasterise_row(
    lens: LensValues,
    records: wp.array2d[wp.float32],
    splats: wp.array[wp.int32],
    order: wp.array[wp.int32],
    ends: wp.array[wp.int32],
    picture: wp.array[wp.float32],
    index: wp.int32,
):
    """Draw row `index % 8` of the tile `index // 8`."""
    ...


@wp.func_native(
    _ROW
    + """
    float red[8] = {0}, green[8] = {0}, blue[8] = {0}, alpha[8] = {0}, behind[8] = {0};
    float left[8], found[8];
    const size_t pixel = 4 * ((size_t)y * lens.width + x);
    const float* wanted = grad_picture.data + pixel;
    const float* drawn = picture.data + pixel;
    for (int lane = 0; lane < 8; ++lane)
        left[lane] = 1.0f;
    for (int lane = 0; lane < 8 && x + lane < lens.width; ++lane) {
        red[lane] = wanted[4 * lane];
        green[lane] = wanted[4 * lane + 1];
        blue[lane] = wanted[4 * lane + 2];
        alpha[lane] = wanted[4 * lane + 3];
        behind[lane] = red[lane] * drawn[4 * lane] + green[lane] * drawn[4 * lane + 1]
            + blue[lane] * drawn[4 * lane + 2] + alpha[lane] * drawn[4 * lane + 3];
    }
    for (int place = begin; place < end; ++place) {
        const int pair = order.data[place];
        const float* splat = records.data + 16 * (size_t)splats.data[pair];
        const float dx = middle_x - splat[0], dy = middle_y - splat[1];
        if (dy > splat[9] || -dy > splat[9] || dx > splat[11] || dx + 7.0f < -splat[11])
            continue;
        opacities_of(splat, dx, dy, found);
        float sum = 0.0f, sum_x = 0.0f, sum_xx = 0.0f, sum_red = 0.0f, sum_green = 0.0f, sum_blue = 0.0f;
        NEURON_LANES
        for (int lane = 0; lane < 8; ++lane) {
            const float across = dx + (float)lane;
            const float weight = found[lane] * left[lane];
            sum_red += weight * red[lane];
            sum_green += weight * green[lane];
            sum_blue += weight * blue[lane];
            const float here = red[lane] * splat[6] + green[lane] * splat[7] + blue[lane] * splat[8]
                + alpha[lane];
            behind[lane] -= weight * here;
            const float slope = left[lane] * here - behind[lane] / (1.0f - found[lane]);
            const float power = found[lane] < 0.99f ? -slope * found[lane] : 0.0f;
            sum += power;
            sum_x += power * across;
            sum_xx += power * across * across;
            left[lane] -= weight;
        }
        const float a = splat[2], b = splat[3], c = splat[4];
        float* to = sums.data + 9 * (size_t)pair;
        NEURON_ADD(to[0], -(a * sum_x + b * dy * sum));
        NEURON_ADD(to[1], -(b * sum_x + c * dy * sum));
        NEURON_ADD(to[2], 0.5f * sum_xx);
        NEURON_ADD(to[3], dy * sum_x);
        NEURON_ADD(to[4], 0.5f * dy * dy * sum);
        NEURON_ADD(to[5], -sum);
        NEURON_ADD(to[6], sum_red);
        NEURON_ADD(to[7], sum_green);
        NEURON_ADD(to[8], sum_blue);
        if ((place & 7) == 0) {
            float most = 0.0f;
            for (int lane = 0; lane < 8; ++lane)
                most = left[lane] > most ? left[lane] : most;
            if (most < 1.0e-4f)
                break;
        }
    }
"""
)
def unrasterise_row(
    lens: LensValues,
    records: wp.array2d[wp.float32],
    splats: wp.array[wp.int32],
    order: wp.array[wp.int32],
    ends: wp.array[wp.int32],
    picture: wp.array[wp.float32],
    grad_picture: wp.array[wp.float32],
    sums: wp.array2d[wp.float32],
    index: wp.int32,
):
    """Add the gradients of `rasterise_row` to the pairs: center (2), inverse covariance (3),
    opacity times it (1), color (3)."""
    ...


@wp.func
def rotation_of(w: wp.float32, x: wp.float32, y: wp.float32, z: wp.float32) -> wp.mat33f:
    """Of a unit quaternion, for column vectors."""
    return wp.mat33f(
        1.0 - 2.0 * (y * y + z * z),
        2.0 * (x * y - w * z),
        2.0 * (x * z + w * y),
        2.0 * (x * y + w * z),
        1.0 - 2.0 * (x * x + z * z),
        2.0 * (y * z - w * x),
        2.0 * (x * z - w * y),
        2.0 * (y * z + w * x),
        1.0 - 2.0 * (x * x + y * y),
    )


@wp.func
def slope_of(lens: LensValues, local: wp.vec3f) -> wp.vec2f:
    """Where a point lies beside the view axis at depth 1, limited to a little outside the picture."""
    limit_x = 0.15 * wp.float32(lens.width) / lens.focal[0]
    limit_y = 0.15 * wp.float32(lens.height) / lens.focal[1]
    low_x = -lens.center[0] / lens.focal[0] - limit_x
    high_x = (wp.float32(lens.width) - lens.center[0]) / lens.focal[0] + limit_x
    low_y = -lens.center[1] / lens.focal[1] - limit_y
    high_y = (wp.float32(lens.height) - lens.center[1]) / lens.focal[1] + limit_y
    return wp.vec2f(
        wp.clamp(local[0] / local[2], low_x, high_x), wp.clamp(local[1] / local[2], low_y, high_y)
    )


@wp.kernel(enable_backward=False)
def project_kernel(
    lens: LensValues,
    shapes: wp.array2d[wp.float32],  # [N, 11]
    harmonics: wp.array2d[wp.float32],  # [N, K * 3]
    records: wp.array2d[wp.float32],  # [N, 16]
    touched: wp.array[wp.int32],  # [N + 1]
    first: wp.int32,
) -> None:
    """One index per splat. Writes its record and how many tiles it touches.

    A record is the center (2), the inverse covariance xx xy yy (3), opacity, color (3), half the
    height and the exponent at which it ends, half the width, depth, and where a color was cut off.
    """
    n = first + wp.tid()
    touched[n] = 0
    away = wp.vec3f(shapes[n, 0], shapes[n, 1], shapes[n, 2]) - lens.eye
    local = lens.rotation * away
    depth = local[2]
    opacity = 1.0 / (1.0 + wp.exp(-shapes[n, 10]))
    if not (depth > lens.near) or not (opacity > wp.static(VISIBLE)):
        return
    length = wp.sqrt(
        shapes[n, 6] * shapes[n, 6]
        + shapes[n, 7] * shapes[n, 7]
        + shapes[n, 8] * shapes[n, 8]
        + shapes[n, 9] * shapes[n, 9]
    )
    if not (length > 0.0):
        return
    turned = lens.rotation * rotation_of(
        shapes[n, 6] / length, shapes[n, 7] / length, shapes[n, 8] / length, shapes[n, 9] / length
    )
    slope = slope_of(lens, local)
    scale = wp.vec3f(wp.exp(shapes[n, 3]), wp.exp(shapes[n, 4]), wp.exp(shapes[n, 5]))
    fx = lens.focal[0] / depth
    fy = lens.focal[1] / depth
    xx = lens.dilation
    xy = wp.float32(0.0)
    yy = lens.dilation
    for axis in range(3):
        u = fx * (turned[0, axis] - slope[0] * turned[2, axis]) * scale[axis]
        v = fy * (turned[1, axis] - slope[1] * turned[2, axis]) * scale[axis]
        xx += u * u
        xy += u * v
        yy += v * v
    determinant = xx * yy - xy * xy
    if not (determinant > 0.0) or not (determinant < 1.0e30):
        return
    most = wp.log(opacity * 255.0)
    half_width = wp.sqrt(2.0 * most * xx)
    half_height = wp.sqrt(2.0 * most * yy)
    center_x = lens.focal[0] * local[0] / depth + lens.center[0]
    center_y = lens.focal[1] * local[1] / depth + lens.center[1]
    low_x = center_x - half_width
    high_x = center_x + half_width
    low_y = center_y - half_height
    high_y = center_y + half_height
    if not (high_x > 0.0 and high_y > 0.0):
        return
    if not (low_x < wp.float32(lens.width) and low_y < wp.float32(lens.height)):
        return
    color = color_of(harmonics, n, away / wp.length(away))
    records[n, 0] = center_x
    records[n, 1] = center_y
    records[n, 2] = yy / determinant
    records[n, 3] = -xy / determinant
    records[n, 4] = xx / determinant
    records[n, 5] = opacity
    cut = wp.float32(0.0)
    for channel in range(3):
        records[n, 6 + channel] = wp.max(color[channel], 0.0)
        if color[channel] < 0.0:
            cut += wp.float32(1 << channel)
    records[n, 9] = half_height
    records[n, 10] = most
    records[n, 11] = half_width
    records[n, 12] = depth
    records[n, 13] = cut
    tiles = tiles_of(lens, center_x, center_y, half_width, half_height)
    touched[n] = (tiles[2] - tiles[0] + 1) * (tiles[3] - tiles[1] + 1)


@wp.func
def tiles_of(
    lens: LensValues, x: wp.float32, y: wp.float32, half_width: wp.float32, half_height: wp.float32
) -> wp.vec4i:
    """The first column and row of the tiles that a box touches, and the last ones."""
    size = wp.float32(wp.static(TILE))
    last_x = wp.float32(lens.columns - 1)
    last_y = wp.float32(lens.rows - 1)
    return wp.vec4i(
        wp.int32(wp.clamp((x - half_width) / size, 0.0, last_x)),
        wp.int32(wp.clamp((y - half_height) / size, 0.0, last_y)),
        wp.int32(wp.clamp((x + half_width) / size, 0.0, last_x)),
        wp.int32(wp.clamp((y + half_height) / size, 0.0, last_y)),
    )


@wp.kernel(enable_backward=False)
def key_kernel(
    lens: LensValues,
    records: wp.array2d[wp.float32],  # [N, 16]
    firsts: wp.array[wp.int32],  # [N + 1]
    splats: wp.array[wp.int32],  # [P]
    keys: wp.array[wp.int64],  # [2 * P]
    first: wp.int32,
) -> None:
    """One index per splat. Writes the keys of its pairs: tile, depth, pair, from the highest bits."""
    n = first + wp.tid()
    pair = firsts[n]
    if firsts[n + 1] == pair:
        return
    tiles = tiles_of(lens, records[n, 0], records[n, 1], records[n, 11], records[n, 9])
    part = wp.clamp((records[n, 12] - lens.near) / (lens.far - lens.near), 0.0, 1.0)
    depth = wp.int64(wp.int32(part * wp.static(float(_DEPTHS - 1))))
    for row in range(tiles[1], tiles[3] + 1):
        for column in range(tiles[0], tiles[2] + 1):
            tile = wp.int64(row * lens.columns + column)
            keys[pair] = (tile << wp.int64(47)) | (depth << wp.int64(26)) | wp.int64(pair)
            splats[pair] = n
            pair += 1


@wp.kernel(enable_backward=False)
def order_kernel(
    keys: wp.array[wp.int64],  # [2 * P], sorted
    pairs: wp.int32,
    tiles: wp.int32,
    order: wp.array[wp.int32],  # [P]
    ends: wp.array[wp.int32],  # [tiles + 1]
    first: wp.int32,
) -> None:
    """One index per pair, in the order of tiles. Writes the pair, and where tiles begin before it."""
    place = first + wp.tid()
    key = keys[place]
    order[place] = wp.int32(key & wp.int64((1 << 26) - 1))
    tile = wp.int32(key >> wp.int64(47))
    before = wp.int32(-1)
    if place > 0:
        before = wp.int32(keys[place - 1] >> wp.int64(47))
    for begun in range(before + 1, tile + 1):
        ends[begun] = place
    if place == pairs - 1:
        for begun in range(tile + 1, tiles + 1):
            ends[begun] = pairs


@wp.kernel(enable_backward=False)
def rasterise_kernel(
    lens: LensValues,
    records: wp.array2d[wp.float32],
    splats: wp.array[wp.int32],
    order: wp.array[wp.int32],
    ends: wp.array[wp.int32],
    picture: wp.array[wp.float32],  # [H * W * 4]
    first: wp.int32,
) -> None:
    """One index per row of a tile."""
    rasterise_row(lens, records, splats, order, ends, picture, first + wp.tid())


@wp.kernel(enable_backward=False)
def unrasterise_kernel(
    lens: LensValues,
    records: wp.array2d[wp.float32],
    splats: wp.array[wp.int32],
    order: wp.array[wp.int32],
    ends: wp.array[wp.int32],
    picture: wp.array[wp.float32],  # [H * W * 4]
    grad_picture: wp.array[wp.float32],  # [H * W * 4]
    sums: wp.array2d[wp.float32],  # [P, 9], added to; a pair belongs to one tile
    first: wp.int32,
) -> None:
    """One index per row of a tile; a tile's rows add to the same pairs, and no other tile does."""
    unrasterise_row(lens, records, splats, order, ends, picture, grad_picture, sums, first + wp.tid())


@wp.kernel(enable_backward=False)
def weigh_kernel(
    firsts: wp.array[wp.int32],  # [N + 1]
    sums: wp.array2d[wp.float32],  # [P, 9]
    out: wp.array[wp.float32],  # [N]
    first: wp.int32,
) -> None:
    """One index per splat: the sum over its pairs."""
    n = first + wp.tid()
    total = wp.float32(0.0)
    for pair in range(firsts[n], firsts[n + 1]):
        total += sums[pair, 6]
    out[n] = total


@wp.kernel(enable_backward=False)
def unproject_kernel(
    lens: LensValues,
    shapes: wp.array2d[wp.float32],  # [N, 11]
    records: wp.array2d[wp.float32],  # [N, 16]
    firsts: wp.array[wp.int32],  # [N + 1]
    sums: wp.array2d[wp.float32],  # [P, 9]
    gradients: wp.array2d[wp.float32],  # [N, 14]
    first: wp.int32,
) -> None:
    """One index per splat. Writes the gradients of its shape and color."""
    n = first + wp.tid()
    for column in range(wp.static(GRADIENT)):
        gradients[n, column] = 0.0
    if firsts[n + 1] == firsts[n]:
        return
    mean_x = wp.float32(0.0)
    mean_y = wp.float32(0.0)
    inverse_xx = wp.float32(0.0)
    inverse_xy = wp.float32(0.0)
    inverse_yy = wp.float32(0.0)
    faded = wp.float32(0.0)
    color = wp.vec3f()
    for pair in range(firsts[n], firsts[n + 1]):
        mean_x += sums[pair, 0]
        mean_y += sums[pair, 1]
        inverse_xx += sums[pair, 2]
        inverse_xy += sums[pair, 3]
        inverse_yy += sums[pair, 4]
        faded += sums[pair, 5]
        color += wp.vec3f(sums[pair, 6], sums[pair, 7], sums[pair, 8])
    cut = wp.int32(records[n, 13])
    for channel in range(3):
        if (cut >> channel) & 1 == 0:
            gradients[n, 11 + channel] = color[channel]
    opacity = records[n, 5]
    gradients[n, 10] = faded * (1.0 - opacity)
    # The covariance: d(inverse) = -inverse d(covariance) inverse.
    a = records[n, 2]
    b = records[n, 3]
    c = records[n, 4]
    half = 0.5 * inverse_xy
    left_xx = a * inverse_xx + b * half
    left_xy = a * half + b * inverse_yy
    left_yx = b * inverse_xx + c * half
    left_yy = b * half + c * inverse_yy
    cov_xx = -(left_xx * a + left_xy * b)
    cov_xy = -(left_xx * b + left_xy * c)
    cov_yx = -(left_yx * a + left_yy * b)
    cov_yy = -(left_yx * b + left_yy * c)
    mixed = 0.5 * (cov_xy + cov_yx)
    away = wp.vec3f(shapes[n, 0], shapes[n, 1], shapes[n, 2]) - lens.eye
    local = lens.rotation * away
    depth = local[2]
    length = wp.sqrt(
        shapes[n, 6] * shapes[n, 6]
        + shapes[n, 7] * shapes[n, 7]
        + shapes[n, 8] * shapes[n, 8]
        + shapes[n, 9] * shapes[n, 9]
    )
    w = shapes[n, 6] / length
    x = shapes[n, 7] / length
    y = shapes[n, 8] / length
    z = shapes[n, 9] / length
    turned = lens.rotation * rotation_of(w, x, y, z)
    slope = slope_of(lens, local)
    free_x = wp.where(slope[0] == local[0] / depth, 1.0, 0.0)
    free_y = wp.where(slope[1] == local[1] / depth, 1.0, 0.0)
    fx = lens.focal[0] / depth
    fy = lens.focal[1] / depth
    spin = wp.mat33f()  # the gradient of `turned`
    along_x = wp.float32(0.0)
    along_y = wp.float32(0.0)
    deeper = wp.float32(0.0)
    for axis in range(3):
        scale = wp.exp(shapes[n, 3 + axis])
        u = fx * (turned[0, axis] - slope[0] * turned[2, axis]) * scale
        v = fy * (turned[1, axis] - slope[1] * turned[2, axis]) * scale
        grad_u = 2.0 * (cov_xx * u + mixed * v)
        grad_v = 2.0 * (mixed * u + cov_yy * v)
        gradients[n, 3 + axis] = grad_u * u + grad_v * v
        spin[0, axis] = grad_u * fx * scale
        spin[1, axis] = grad_v * fy * scale
        spin[2, axis] = -scale * (grad_u * fx * slope[0] + grad_v * fy * slope[1])
        along_x -= grad_u * fx * turned[2, axis] * scale
        along_y -= grad_v * fy * turned[2, axis] * scale
        deeper -= (grad_u * u + grad_v * v) / depth
    # The center is focal * slope, but without the limit.
    local_x = mean_x * fx + free_x * along_x / depth
    local_y = mean_y * fy + free_y * along_y / depth
    deeper -= (mean_x * fx * local[0] + mean_y * fy * local[1]) / depth
    deeper -= (free_x * along_x * slope[0] + free_y * along_y * slope[1]) / depth
    moved = wp.transpose(lens.rotation) * wp.vec3f(local_x, local_y, deeper)
    for axis in range(3):
        gradients[n, axis] = moved[axis]
    m = wp.transpose(lens.rotation) * spin  # the gradient of the splat's own rotation
    grad_w = 2.0 * (x * (m[2, 1] - m[1, 2]) + y * (m[0, 2] - m[2, 0]) + z * (m[1, 0] - m[0, 1]))
    grad_x = 2.0 * (y * (m[1, 0] + m[0, 1]) + z * (m[2, 0] + m[0, 2]) + w * (m[2, 1] - m[1, 2])) - 4.0 * x * (
        m[1, 1] + m[2, 2]
    )
    grad_y = 2.0 * (x * (m[1, 0] + m[0, 1]) + z * (m[2, 1] + m[1, 2]) + w * (m[0, 2] - m[2, 0])) - 4.0 * y * (
        m[0, 0] + m[2, 2]
    )
    grad_z = 2.0 * (x * (m[2, 0] + m[0, 2]) + y * (m[2, 1] + m[1, 2]) + w * (m[1, 0] - m[0, 1])) - 4.0 * z * (
        m[0, 0] + m[1, 1]
    )
    radial = grad_w * w + grad_x * x + grad_y * y + grad_z * z
    gradients[n, 6] = (grad_w - radial * w) / length
    gradients[n, 7] = (grad_x - radial * x) / length
    gradients[n, 8] = (grad_y - radial * y) / length
    gradients[n, 9] = (grad_z - radial * z) / length


@wp.kernel(enable_backward=False)
def adam_kernel(
    lens: LensValues,
    firsts: wp.array[wp.int32],  # [N + 1]
    gradients: wp.array2d[wp.float32],  # [N, 14]
    rates: AdamRates,
    shapes: wp.array2d[wp.float32],  # [N, 11]
    harmonics: wp.array2d[wp.float32],  # [N, K * 3]
    shape_moments: wp.array2d[wp.float32],  # [N, 11 * 2]
    harmonic_moments: wp.array2d[wp.float32],  # [N, K * 3 * 2]
    first: wp.int32,
) -> None:
    """One index per splat; those that are not seen stay."""
    n = first + wp.tid()
    if firsts[n + 1] == firsts[n]:
        return
    away = wp.vec3f(shapes[n, 0], shapes[n, 1], shapes[n, 2]) - lens.eye
    for column in range(wp.static(SHAPE)):
        rate = rates.position
        if column >= 3:
            rate = rates.scale
        if column >= 6:
            rate = rates.rotation
        if column >= 10:
            rate = rates.opacity
        gradient = gradients[n, column]
        mean = 0.9 * shape_moments[n, column] + 0.1 * gradient
        square = 0.999 * shape_moments[n, 11 + column] + 0.001 * gradient * gradient
        shape_moments[n, column] = mean
        shape_moments[n, 11 + column] = square
        shapes[n, column] -= rate * rates.first * mean / (wp.sqrt(square * rates.second) + 1.0e-15)
    color = wp.vec3f(gradients[n, 11], gradients[n, 12], gradients[n, 13])
    adam_harmonics(
        harmonics,
        harmonic_moments,
        n,
        away / wp.length(away),
        color,
        rates.color,
        rates.detail,
        rates.first,
        rates.second,
    )


def lens_depths(eye: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Near and far for a camera at `eye` and everything in the box from `low` to `high`."""
    center = (low + high) / 2
    radius = float(np.linalg.norm(high - low)) / 2
    distance = float(np.linalg.norm(eye - center))
    far = distance + radius
    return max(distance - radius, NEAR * far), far * (1.0 + 1e-6) + math.ulp(1.0)
