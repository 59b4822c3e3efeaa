"""What a gradient with respect to a picture of splats says about each of them.

Letters in shapes: N splats, H W the sides of a picture, P pairs of a splat and a tile that it touches.
"""

from typing import Any

import warp as wp

from neuron_core.kernels.launch import device_of, launch, view
from neuron_core.kernels.splats.projection import (
    SHAPE,
    SLICES,
    TILE,
    Ellipse,
    LensValues,
    Seen,
    axis_of,
    lens_values,
    seen_from,
)
from neuron_core.kernels.splats.raster import RASTER
from neuron_core.kernels.splats.sorting import Projected

GRADIENT = 14  # of a splat's shape, then of its color

wp.set_module_options(RASTER)


@wp.struct
class PairGradient:
    """What one tile says about one ellipse."""

    center: wp.vec2f
    inverse: wp.vec3f
    faded: wp.float32  # of the opacity, times it
    color: wp.vec3f


@wp.struct
class GradientCall:
    """What the gradients of pairs follow from, and where they go."""

    lens: LensValues
    records: wp.array[Ellipse]  # [N]
    splats: wp.array[wp.int32]  # [P]
    order: wp.array[wp.int32]  # [P]
    ends: wp.array[wp.int32]  # [tiles + 1]
    picture: wp.array[wp.float32]  # [H * W * 4]
    grad_picture: wp.array[wp.float32]  # [H * W * 4]
    pairs: wp.array[PairGradient]  # [P], added to; a pair belongs to one tile


def backward(projected: Projected, shapes: Any, picture: Any, grad_picture: Any, gradients: Any) -> None:
    """Write what `grad_picture` [H, W, 4] says about each splat to `gradients` [N, 14].

    `picture` is what `rasterize` wrote. The columns are the gradient of the 11 numbers of a shape
    and of the color, which is zero where the color was cut off. That the color changes with the
    direction in which a moved splat is seen is left out.
    """
    count = int(shapes.shape[0])
    arguments = [
        lens_values(projected.lens),
        view(shapes, wp.float32, [count, SHAPE]),
        projected.ellipses,
        projected.firsts,
        _of_pairs(projected, picture, grad_picture),
        view(gradients, wp.float32, [count, GRADIENT]),
    ]
    launch(unproject_kernel, arguments, count, device=device_of(picture), slices=SLICES)


def weights(projected: Projected, count: int, out: Any) -> None:
    """Write to `out` [N] how much of the picture each of `count` splats makes up, in pixels."""
    device, lens = device_of(out), projected.lens
    numbers = lens.height * lens.width * 4
    nothing = wp.zeros(numbers, dtype=wp.float32, device=device)
    ones = wp.ones(numbers, dtype=wp.float32, device=device)
    pairs = _of_pairs(projected, nothing, ones)
    arguments = [projected.firsts, pairs, view(out, wp.float32, [count])]
    launch(weigh_kernel, arguments, count, device=device, slices=SLICES)


def _of_pairs(projected: Projected, picture: Any, grad_picture: Any) -> Any:
    """The gradients [P] of all pairs."""
    device, lens = device_of(picture), projected.lens
    columns, rows = lens.tiles
    call = GradientCall()
    call.lens, call.records = lens_values(lens), projected.ellipses
    call.splats, call.order, call.ends = projected.splats, projected.order, projected.ends
    call.picture = view(picture, wp.float32, [lens.height * lens.width * 4])
    call.grad_picture = view(grad_picture, wp.float32, [lens.height * lens.width * 4])
    pairs: Any = wp.zeros(max(projected.pairs, 1), dtype=PairGradient, device=device)
    call.pairs = pairs
    launch(unrasterize_kernel, [call], columns * rows, TILE, device=device, slices=SLICES)
    return pairs


@wp.func_native("neuron::unrasterize_row(call, index);")
def unrasterize_row(call: GradientCall, index: wp.int32) -> None:
    """Add the gradients of row `index % 8` of the tile `index // 8` to its pairs."""
    ...


@wp.kernel(enable_backward=False)
def unrasterize_kernel(call: GradientCall, first: wp.int32) -> None:
    """One index per row of a tile; a tile's rows add to the same pairs, and no other tile does."""
    unrasterize_row(call, first + wp.tid())


@wp.kernel(enable_backward=False)
def weigh_kernel(
    firsts: wp.array[wp.int32],  # [N + 1]
    pairs: wp.array[PairGradient],  # [P]
    out: wp.array[wp.float32],  # [N]
    first: wp.int32,
) -> None:
    """One index per splat: the sum over its pairs."""
    n = first + wp.tid()
    total = wp.float32(0.0)
    for pair in range(firsts[n], firsts[n + 1]):
        total += pairs[pair].color[0]
    out[n] = total


@wp.func
def of_covariance(inverse: wp.vec3f, gradient: wp.vec3f) -> wp.vec3f:
    """The gradient of a covariance xx xy yy by that of its inverse: d(inverse) = -inverse d(covariance)
    inverse. Half of xy's is in each corner of the matrix."""
    a, b, c = inverse[0], inverse[1], inverse[2]
    half = 0.5 * gradient[1]
    left_xx = a * gradient[0] + b * half
    left_xy = a * half + b * gradient[2]
    left_yx = b * gradient[0] + c * half
    left_yy = b * half + c * gradient[2]
    cov_xx = -(left_xx * a + left_xy * b)
    cov_xy = -(left_xx * b + left_xy * c)
    cov_yx = -(left_yx * a + left_yy * b)
    cov_yy = -(left_yx * b + left_yy * c)
    return wp.vec3f(cov_xx, 0.5 * (cov_xy + cov_yx), cov_yy)


@wp.func
def of_quaternion(q: wp.vec4f, m: wp.mat33f, length: wp.float32) -> wp.vec4f:
    """The gradient of a quaternion of any length by that of its rotation matrix; `q` has unit length."""
    w, x, y, z = q[0], q[1], q[2], q[3]
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
    return wp.vec4f(
        (grad_w - radial * w) / length,
        (grad_x - radial * x) / length,
        (grad_y - radial * y) / length,
        (grad_z - radial * z) / length,
    )


@wp.struct
class AxisGradients:
    """What the gradient of an ellipse's covariance says about the splat's axes."""

    scale: wp.vec3f  # logarithms of the standard deviations
    turned: wp.mat33f  # the axes
    along: wp.vec2f  # the slope, if it is not limited
    deeper: wp.float32  # the depth


@wp.func
def of_axes(seen: Seen, covariance: wp.vec3f) -> AxisGradients:
    """The gradients of axes by that of the covariance xx xy yy that they add up to."""
    found = AxisGradients()
    depth = seen.local[2]
    fx, fy = seen.focal[0], seen.focal[1]
    along_x = wp.float32(0.0)
    along_y = wp.float32(0.0)
    for axis in range(3):
        scale = seen.scale[axis]
        way = axis_of(seen, axis)
        u, v = way[0], way[1]
        grad_u = 2.0 * (covariance[0] * u + covariance[1] * v)
        grad_v = 2.0 * (covariance[1] * u + covariance[2] * v)
        found.scale[axis] = grad_u * u + grad_v * v
        found.turned[0, axis] = grad_u * fx * scale
        found.turned[1, axis] = grad_v * fy * scale
        found.turned[2, axis] = -scale * (grad_u * fx * seen.slope[0] + grad_v * fy * seen.slope[1])
        along_x -= grad_u * fx * seen.turned[2, axis] * scale
        along_y -= grad_v * fy * seen.turned[2, axis] * scale
        found.deeper -= (grad_u * u + grad_v * v) / depth
    found.along = wp.vec2f(along_x, along_y)
    return found


@wp.func
def of_position(seen: Seen, center: wp.vec2f, axes: AxisGradients) -> wp.vec3f:
    """The gradient of a splat's place in the camera's axes. The center is focal * slope, but without the
    limit."""
    depth = seen.local[2]
    fx, fy = seen.focal[0], seen.focal[1]
    free_x = wp.where(seen.slope[0] == seen.local[0] / depth, 1.0, 0.0)
    free_y = wp.where(seen.slope[1] == seen.local[1] / depth, 1.0, 0.0)
    x = center[0] * fx + free_x * axes.along[0] / depth
    y = center[1] * fy + free_y * axes.along[1] / depth
    deeper = axes.deeper
    deeper -= (center[0] * fx * seen.local[0] + center[1] * fy * seen.local[1]) / depth
    deeper -= (free_x * axes.along[0] * seen.slope[0] + free_y * axes.along[1] * seen.slope[1]) / depth
    return wp.vec3f(x, y, deeper)


@wp.func
def of_ellipse(pairs: wp.array[PairGradient], begin: wp.int32, end: wp.int32) -> PairGradient:
    """The sum of what all tiles say about one ellipse."""
    total = PairGradient()
    for pair in range(begin, end):
        total.center += pairs[pair].center
        total.inverse += pairs[pair].inverse
        total.faded += pairs[pair].faded
        total.color += pairs[pair].color
    return total


@wp.kernel(enable_backward=False)
def unproject_kernel(
    lens: LensValues,
    shapes: wp.array2d[wp.float32],  # [N, 11]
    ellipses: wp.array[Ellipse],  # [N]
    firsts: wp.array[wp.int32],  # [N + 1]
    pairs: wp.array[PairGradient],  # [P]
    gradients: wp.array2d[wp.float32],  # [N, 14]
    first: wp.int32,
) -> None:
    """One index per splat. Writes the gradients of its shape and color."""
    n = first + wp.tid()
    for column in range(wp.static(GRADIENT)):
        gradients[n, column] = 0.0
    if firsts[n + 1] == firsts[n]:
        return
    ellipse = ellipses[n]
    total = of_ellipse(pairs, firsts[n], firsts[n + 1])
    seen = seen_from(lens, shapes, n)
    axes = of_axes(seen, of_covariance(ellipse.inverse, total.inverse))
    back = wp.transpose(lens.rotation)
    moved = back * of_position(seen, total.center, axes)
    turned = of_quaternion(seen.rotation, back * axes.turned, seen.length)
    for axis in range(3):
        gradients[n, axis] = moved[axis]
        gradients[n, 3 + axis] = axes.scale[axis]
    for part in range(4):
        gradients[n, 6 + part] = turned[part]
    gradients[n, 10] = total.faded * (1.0 - ellipse.opacity)
    for channel in range(3):
        if (ellipse.cut >> channel) & 1 == 0:
            gradients[n, 11 + channel] = total.color[channel]
