"""Project Gaussian splats (Zwicker et al. 2001, Kerbl et al. 2023) to the ellipses that a camera sees.

Letters in shapes: N splats, K harmonics of a color, P pairs of a splat and a tile that it touches. A splat's
shape is 11 numbers: position (3), logarithms of the standard deviations (3), rotation as a quaternion
w x y z of any length (4), logit of the opacity (1). Colors are 0.5 plus the sum of K harmonics in the
direction from the camera to the splat, cut off at 0.

An ellipse is widened by `Lens.dilation` (a variance in square pixels) and contributes where its opacity is
at least 1/255. Everything is float32 on one device.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.assembly import compiled_with
from neuron_core.kernels.launch import CORES, device_of, launch, view

SHAPE = 11  # numbers of a splat's shape
TILE = 8  # pixels along the side of a tile
VISIBLE = 1.0 / 255.0  # smallest opacity that counts
NEAR = 0.01  # of the distance to a scene's center: what is nearer is not drawn
MARGIN = 0.15  # of a picture's size, by which shapes are still taken as they are beside it

SLICES = 6 * CORES

wp.set_module_options(compiled_with(("harmonics.h",)))


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


def lens_depths(eye: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Near and far for a camera at `eye` and everything in the box from `low` to `high`."""
    center = (low + high) / 2
    radius = float(np.linalg.norm(high - low)) / 2
    distance = float(np.linalg.norm(eye - center))
    far = distance + radius
    return max(distance - radius, NEAR * far), far * (1.0 + 1e-6) + math.ulp(1.0)


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


def lens_values(lens: Lens) -> Any:
    """As kernels take it."""
    values = LensValues()
    values.rotation = wp.mat33f(*(float(value) for value in np.asarray(lens.camera_from_world).reshape(-1)))
    values.eye = wp.vec3f(*(float(value) for value in lens.eye))
    values.focal = wp.vec2f(*lens.focal)
    values.center = wp.vec2f(*lens.center)
    values.width, values.height = lens.width, lens.height
    values.columns, values.rows = lens.tiles
    values.near, values.far, values.dilation = lens.near, lens.far, lens.dilation
    return values


@wp.struct
class Ellipse:
    """A splat as a camera sees it, in pixels."""

    center: wp.vec2f
    inverse: wp.vec3f  # of the covariance: xx xy yy
    opacity: wp.float32
    color: wp.vec3f
    half_height: wp.float32
    most_power: wp.float32  # the exponent at which it ends
    half_width: wp.float32
    depth: wp.float32  # along the view axis
    cut: wp.int32  # bits of the channels where the color was cut off
    unused: wp.vec2f  # so that one fills a line of the cache


def project_shapes(lens: Lens, shapes: Any, harmonics: Any) -> tuple[Any, Any]:
    """The ellipses [N] of splats with `shapes` [N, 11] and `harmonics` [N, K, 3], and how many tiles each
    touches, [N + 1] int32; ellipses of those that touch none are not written."""
    device = device_of(shapes)
    count, terms = int(shapes.shape[0]), int(harmonics.shape[1])
    ellipses = wp.empty(max(count, 1), dtype=Ellipse, device=device)
    touched = wp.zeros(count + 1, dtype=wp.int32, device=device)
    arguments = [
        lens_values(lens),
        view(shapes, wp.float32, [count, SHAPE]),
        view(harmonics, wp.float32, [count, terms * 3]),
        ellipses,
        touched,
    ]
    launch(project_kernel, arguments, count, device=device, slices=SLICES)
    return ellipses, touched


@wp.func_native("return neuron::color_at(harmonics, splat, direction);")
def color_of(harmonics: wp.array2d[wp.float32], splat: wp.int32, direction: wp.vec3f) -> wp.vec3f:
    """The color of a splat in a direction of unit length, before it is cut off."""
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
    limit_x = wp.static(MARGIN) * wp.float32(lens.width) / lens.focal[0]
    limit_y = wp.static(MARGIN) * wp.float32(lens.height) / lens.focal[1]
    low_x = -lens.center[0] / lens.focal[0] - limit_x
    high_x = (wp.float32(lens.width) - lens.center[0]) / lens.focal[0] + limit_x
    low_y = -lens.center[1] / lens.focal[1] - limit_y
    high_y = (wp.float32(lens.height) - lens.center[1]) / lens.focal[1] + limit_y
    return wp.vec2f(
        wp.clamp(local[0] / local[2], low_x, high_x), wp.clamp(local[1] / local[2], low_y, high_y)
    )


@wp.struct
class Seen:
    """A splat in the axes of a camera."""

    away: wp.vec3f  # from the camera, world
    local: wp.vec3f
    length: wp.float32  # of the quaternion
    rotation: wp.vec4f  # unit quaternion w x y z
    turned: wp.mat33f  # its axes
    scale: wp.vec3f  # standard deviations
    slope: wp.vec2f
    focal: wp.vec2f  # pixels per length at its depth


@wp.func
def seen_from(lens: LensValues, shapes: wp.array2d[wp.float32], n: wp.int32) -> Seen:
    """A splat as a camera sees it; of no use where its depth or the length of its quaternion is 0."""
    seen = Seen()
    seen.away = wp.vec3f(shapes[n, 0], shapes[n, 1], shapes[n, 2]) - lens.eye
    seen.local = lens.rotation * seen.away
    seen.length = wp.sqrt(
        shapes[n, 6] * shapes[n, 6]
        + shapes[n, 7] * shapes[n, 7]
        + shapes[n, 8] * shapes[n, 8]
        + shapes[n, 9] * shapes[n, 9]
    )
    w = shapes[n, 6] / seen.length
    x = shapes[n, 7] / seen.length
    y = shapes[n, 8] / seen.length
    z = shapes[n, 9] / seen.length
    seen.rotation = wp.vec4f(w, x, y, z)
    seen.turned = lens.rotation * rotation_of(w, x, y, z)
    seen.scale = wp.vec3f(wp.exp(shapes[n, 3]), wp.exp(shapes[n, 4]), wp.exp(shapes[n, 5]))
    seen.slope = slope_of(lens, seen.local)
    seen.focal = wp.vec2f(lens.focal[0] / seen.local[2], lens.focal[1] / seen.local[2])
    return seen


@wp.func
def axis_of(seen: Seen, axis: wp.int32) -> wp.vec2f:
    """Where one of a splat's axes, as long as its standard deviation, goes in the picture."""
    turned = seen.turned
    u = seen.focal[0] * (turned[0, axis] - seen.slope[0] * turned[2, axis]) * seen.scale[axis]
    v = seen.focal[1] * (turned[1, axis] - seen.slope[1] * turned[2, axis]) * seen.scale[axis]
    return wp.vec2f(u, v)


@wp.func
def covariance_of(lens: LensValues, seen: Seen) -> wp.vec3f:
    """Of the ellipse, widened: xx xy yy."""
    xx = lens.dilation
    xy = wp.float32(0.0)
    yy = lens.dilation
    for axis in range(3):
        along = axis_of(seen, axis)
        xx += along[0] * along[0]
        xy += along[0] * along[1]
        yy += along[1] * along[1]
    return wp.vec3f(xx, xy, yy)


@wp.func
def touches_picture(lens: LensValues, ellipse: Ellipse) -> wp.bool:
    """Whether the box around an ellipse is not all outside the picture."""
    if not (ellipse.center[0] + ellipse.half_width > 0.0 and ellipse.center[1] + ellipse.half_height > 0.0):
        return False
    return ellipse.center[0] - ellipse.half_width < wp.float32(lens.width) and ellipse.center[
        1
    ] - ellipse.half_height < wp.float32(lens.height)


@wp.func
def ellipse_of(lens: LensValues, seen: Seen, opacity: wp.float32) -> Ellipse:
    """Without its color; with the opacity 0 if it has no inside."""
    ellipse = Ellipse()
    covariance = covariance_of(lens, seen)
    xx, xy, yy = covariance[0], covariance[1], covariance[2]
    determinant = xx * yy - xy * xy
    if not (determinant > 0.0) or not (determinant < 1.0e30):
        return ellipse
    depth = seen.local[2]
    ellipse.center = wp.vec2f(
        lens.focal[0] * seen.local[0] / depth + lens.center[0],
        lens.focal[1] * seen.local[1] / depth + lens.center[1],
    )
    ellipse.inverse = wp.vec3f(yy / determinant, -xy / determinant, xx / determinant)
    ellipse.opacity = opacity
    ellipse.most_power = wp.log(opacity * 255.0)
    ellipse.half_width = wp.sqrt(2.0 * ellipse.most_power * xx)
    ellipse.half_height = wp.sqrt(2.0 * ellipse.most_power * yy)
    ellipse.depth = depth
    return ellipse


@wp.kernel(enable_backward=False)
def project_kernel(
    lens: LensValues,
    shapes: wp.array2d[wp.float32],  # [N, 11]
    harmonics: wp.array2d[wp.float32],  # [N, K * 3]
    ellipses: wp.array[Ellipse],  # [N]
    touched: wp.array[wp.int32],  # [N + 1]
    first: wp.int32,
) -> None:
    """One index per splat. Writes its ellipse and how many tiles it touches."""
    n = first + wp.tid()
    touched[n] = 0
    seen = seen_from(lens, shapes, n)
    opacity = 1.0 / (1.0 + wp.exp(-shapes[n, 10]))
    if not (seen.local[2] > lens.near) or not (opacity > wp.static(VISIBLE)) or not (seen.length > 0.0):
        return
    ellipse = ellipse_of(lens, seen, opacity)
    if not (ellipse.opacity > 0.0) or not touches_picture(lens, ellipse):
        return
    color = color_of(harmonics, n, seen.away / wp.length(seen.away))
    for channel in range(3):
        ellipse.color[channel] = wp.max(color[channel], 0.0)
        if color[channel] < 0.0:
            ellipse.cut += 1 << channel
    ellipses[n] = ellipse
    tiles = tiles_of(lens, ellipse)
    touched[n] = (tiles[2] - tiles[0] + 1) * (tiles[3] - tiles[1] + 1)


@wp.func
def tiles_of(lens: LensValues, ellipse: Ellipse) -> wp.vec4i:
    """The first column and row of the tiles that the box of an ellipse touches, and the last ones."""
    x, y = ellipse.center[0], ellipse.center[1]
    size = wp.float32(wp.static(TILE))
    last_x = wp.float32(lens.columns - 1)
    last_y = wp.float32(lens.rows - 1)
    return wp.vec4i(
        wp.int32(wp.clamp((x - ellipse.half_width) / size, 0.0, last_x)),
        wp.int32(wp.clamp((y - ellipse.half_height) / size, 0.0, last_y)),
        wp.int32(wp.clamp((x + ellipse.half_width) / size, 0.0, last_x)),
        wp.int32(wp.clamp((y + ellipse.half_height) / size, 0.0, last_y)),
    )
