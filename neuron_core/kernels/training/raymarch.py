"""Sample rays where a grid says that something is, and composite what was found there.

Letters in shapes: R rays, G cells of the occupancy grid along each side, M samples of all
rays together, C channels. Samples of a ray lie side by side, near to far: ray r owns
`ray_start[r] : ray_start[r] + ray_count[r]`. Distances are world units along unit rays,
densities 1 / world unit. Arrays are float32, counts and indices int32, and may be anything that
`arrays.view` takes; all arrays of a call lie on one device. Positions are in the unit cube, the
coordinates of the grid and of a hash encoding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.arrays import device_of, view
from neuron_core.kernels.launch import CORES, launch

OPAQUE = 1e-4  # samples behind a smaller transmittance are neither composited nor differentiated
MAX_STEPS = 1 << 16  # steps along a ray, occupied or not: bounds rays without an end

EMPTY, OCCUPIED, SOLID, EMPTY_BLOCK = 0, 1, 2, 3  # what a cell of an occupancy grid can be
BLOCK = 8  # cells along a side of the aligned blocks that are skipped as one

_FEW_RAYS = 256


@dataclass(frozen=True, slots=True)
class MarchSpec:
    """Which space is sampled, and how finely.

    Plain: the box `aabb` is the unit cube and nothing is sampled outside it. Contracted: the
    box is the inner half of the cube's sides and all of space is squeezed around it, as in
    mip-NeRF 360 but by the largest coordinate, so that the grid stays a cube.
    The step at distance t is `clamp(t * cone, step_min, step_max)`.
    """

    aabb: tuple[tuple[float, float, float], tuple[float, float, float]]
    step_min: float
    step_max: float
    cone: float = 0.0
    contracted: bool = False
    max_samples: int = 1024  # of a ray

    def __post_init__(self) -> None:
        """Raise ValueError for steps or boxes that cannot be marched."""
        if not 0.0 < self.step_min <= self.step_max:
            raise ValueError(f"Steps from {self.step_min} to {self.step_max} must be positive and ascend.")
        if not all(low < high for low, high in zip(*self.aabb, strict=True)):
            raise ValueError(f"The box {self.aabb} is empty.")


@dataclass(frozen=True, slots=True)
class Rays:
    """Origins and unit directions [R, 3], and the distances [R] between which they are sampled."""

    origins: Any
    directions: Any
    nears: Any
    fars: Any


@dataclass(frozen=True, slots=True)
class Samples:
    """What rays met, packed. Of a ray without samples, `ray_start` is where they would be."""

    ray_start: Any  # [R]
    ray_count: Any  # [R]
    positions: Any  # [M, 3] in the unit cube
    t_mid: Any  # [M] distance to where the step is sampled: to its middle, or to a place in it
    dts: Any  # [M] length of the step
    ray_index: Any  # [M]


@dataclass(frozen=True, slots=True)
class Guide:
    """How far a coarse grid is trusted when samples are placed by it.

    A cell counts for at most `most_alpha` a step: it may be dense beside the ray only. `spread` of the
    weight is even over all that `least_light` may reach, to find what the grid does not know yet.
    """

    most_alpha: float = 0.15
    spread: float = 0.1
    least_light: float = 1e-3


@dataclass(frozen=True, slots=True)
class Composited:
    """What the samples of each ray add up to, or gradients with respect to it."""

    weights: Any  # [M] how much each sample contributes to its ray; at most 1 in sum
    values: Any  # [R, C] weighted sum
    opacities: Any  # [R] sum of the weights
    depths: Any  # [R] weighted sum of the distances, not divided by the opacity


def to_unit_cube(spec: MarchSpec, points: np.ndarray) -> np.ndarray:
    """World points [..., 3] in the coordinates of the grid; plain spaces leave [0, 1] outside the box."""
    low, high = np.asarray(spec.aabb, np.float32)
    if not spec.contracted:
        return (points - low) / (high - low)
    normalized = (points - (low + high) / 2) / ((high - low) / 2)
    size = np.maximum(np.abs(normalized).max(axis=-1, keepdims=True), 1.0)
    return ((2.0 - 1.0 / size) * normalized / size + 2.0) / 4.0


def from_unit_cube(spec: MarchSpec, positions: np.ndarray) -> np.ndarray:
    """The inverse of `to_unit_cube`. The border of a contracted cube is infinitely far away."""
    low, high = np.asarray(spec.aabb, np.float32)
    if not spec.contracted:
        return low + positions * (high - low)
    squeezed = positions * 4.0 - 2.0
    size = np.maximum(np.abs(squeezed).max(axis=-1, keepdims=True), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        normalized = squeezed / (size * (2.0 - size))
    return normalized * ((high - low) / 2) + (low + high) / 2


def sample_rays(spec: MarchSpec, rays: Rays, occupancy: Any, seed: int | None = None) -> Samples:
    """Count and fill in one call, for rays in memory; the samples are numpy arrays."""
    count, begins = np.zeros(len(rays.origins), np.int32), np.zeros(len(rays.origins), np.float32)
    count_samples(spec, rays, occupancy, seed, count, begins)
    ends = np.cumsum(count, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    samples = Samples(
        (ends - count).astype(np.int32),
        count,
        np.zeros((total, 3), np.float32),
        np.zeros(total, np.float32),
        np.zeros(total, np.float32),
        np.zeros(total, np.int32),
    )
    fill_samples(spec, rays, occupancy, samples, begins)
    return samples


def count_samples(
    spec: MarchSpec, rays: Rays, occupancy: Any, seed: int | None, ray_count: Any, ray_begin: Any
) -> None:
    """Write how many samples each ray will have to `ray_count` [R], and where its first one begins.

    `ray_begin` [R] spares `fill_samples` the way to the first samples.

    `occupancy` is [G, G, G] uint8 indexed x, y, z. A sample is taken where the middle of a step
    lies in an `OCCUPIED` cell; the steps do not depend on the grid, but for rounding. A ray ends
    at the first `SOLID` cell. All cells of an aligned block of 8 x 8 x 8 that is empty may be
    `EMPTY_BLOCK` where nothing is contracted: rays cross it at once. With a seed
    the first step of each ray starts later by a part of itself that depends on the seed and
    the ray's place in the batch. Rays without a direction or an interval have no samples.
    """
    device = device_of(rays.origins)
    begins = view(ray_begin, wp.float32, [int(rays.origins.shape[0])])
    packing = [_nothing(device, wp.int32), _view_counts(rays, ray_count), begins]
    _march(spec, rays, occupancy, seed, packing, _nothing(device, wp.vec3f), [])


def fill_samples(spec: MarchSpec, rays: Rays, occupancy: Any, samples: Samples, ray_begin: Any) -> None:
    """Write the samples that `count_samples` counted with the same arguments and wrote `ray_begin` for.

    `samples.ray_count` holds these counts and `ray_start` their exclusive running sum; the
    other arrays are written.
    """
    total = int(samples.t_mid.shape[0])
    begins = view(ray_begin, wp.float32, [int(rays.origins.shape[0])])
    packing = [_view_counts(rays, samples.ray_start), _view_counts(rays, samples.ray_count), begins]
    columns = [
        view(samples.t_mid, wp.float32, [total]),
        view(samples.dts, wp.float32, [total]),
        view(samples.ray_index, wp.int32, [total]),
    ]
    if total:
        _march(spec, rays, occupancy, None, packing, view(samples.positions, wp.vec3f, [total]), columns)


def composite(samples: Samples, sigmas: Any, values: Any, result: Composited) -> None:
    """Write what `sigmas` [M] and `values` [M, C] of the samples add up to into the arrays of `result`."""
    _composite(composite_kernel, samples, sigmas, values, result, [])


def composite_backward(
    samples: Samples, sigmas: Any, values: Any, gradients: Composited, grad_sigmas: Any, grad_values: Any
) -> None:
    """Write the gradients with respect to `sigmas` [M] and `values` [M, C], given those of the result."""
    _composite(composite_backward_kernel, samples, sigmas, values, gradients, [grad_sigmas, grad_values])


def mark_visible(
    samples: Samples, sigmas: Any, least_light: float, least_alpha: float, visible: Any, visible_count: Any
) -> None:
    """Write which samples are worth shading to `visible` [M] uint8, and their number to `visible_count` [R].

    Those that at least `least_light` of the light from behind reaches the camera past, and that block
    at least `least_alpha` of it.
    """
    total, count = int(sigmas.shape[0]), int(samples.ray_start.shape[0])
    arguments = [
        view(samples.ray_start, wp.int32, [count]),
        view(samples.ray_count, wp.int32, [count]),
        view(samples.dts, wp.float32, [total]),
        view(sigmas, wp.float32, [total]),
        least_light,
        least_alpha,
        view(visible, wp.uint8, [total]),
        view(visible_count, wp.int32, [count]),
    ]
    launch(visible_kernel, arguments, count, device=device_of(sigmas), slices=_slices(count))


def resample(samples: Samples, grid: Any, seed: int, guide: Guide, fewer: Samples) -> None:
    """Replace the samples of each ray by fewer ones that stand where most of its light may come from.

    `grid` [G, G, G] holds what part of the light one step in a cell blocks. `fewer.ray_count` says how
    many samples a ray gets (none if it has none), `fewer.ray_start` where they begin; its `t_mid`, `dts`
    and `ray_index` are written, its positions are not. The length that the samples of a ray cover is cut
    into parts that weigh the same; each part becomes one sample at a random place in it.
    """
    total, count = int(samples.t_mid.shape[0]), int(samples.ray_start.shape[0])
    kept, cells = int(fewer.t_mid.shape[0]), int(grid.shape[0])
    arguments = [
        view(samples.ray_start, wp.int32, [count]),
        view(samples.ray_count, wp.int32, [count]),
        view(samples.positions, wp.vec3f, [total]),
        view(samples.t_mid, wp.float32, [total]),
        view(samples.dts, wp.float32, [total]),
        view(grid, wp.float32, [cells, cells, cells]),
        seed % (1 << 31),
        guide.least_light,
        guide.most_alpha,
        guide.spread,
        view(fewer.ray_start, wp.int32, [count]),
        view(fewer.ray_count, wp.int32, [count]),
        view(fewer.t_mid, wp.float32, [kept]),
        view(fewer.dts, wp.float32, [kept]),
        view(fewer.ray_index, wp.int32, [kept]),
    ]
    launch(resample_kernel, arguments, count, device=device_of(samples.t_mid), slices=_slices(count))


def _march(
    spec: MarchSpec,
    rays: Rays,
    occupancy: Any,
    seed: int | None,
    packing: Sequence[wp.array],
    positions: wp.array,
    columns: Sequence[wp.array],
) -> None:
    count = int(rays.origins.shape[0])
    cells = int(occupancy.shape[0])
    device = device_of(rays.origins)
    arguments = [
        view(rays.origins, wp.vec3f, [count]),
        view(rays.directions, wp.vec3f, [count]),
        view(rays.nears, wp.float32, [count]),
        view(rays.fars, wp.float32, [count]),
        view(occupancy, wp.uint8, [cells, cells, cells]),
        _space(spec),
        -1 if seed is None else seed % (1 << 31),
        *packing,
        positions,
        *(columns or [_nothing(device, kind) for kind in (wp.float32, wp.float32, wp.int32)]),
        int(bool(columns)),
    ]
    launch(march_kernel, arguments, count, device=device, slices=_slices(count))


def _composite(
    kernel: wp.Kernel, samples: Samples, sigmas: Any, values: Any, sums: Composited, outputs: Sequence[Any]
) -> None:
    total, channels = (int(size) for size in values.shape)
    count = int(samples.ray_start.shape[0])
    device = device_of(sigmas)

    def optional(array: Any, size: int) -> wp.array:
        return _nothing(device, wp.float32) if array is None else view(array, wp.float32, [size])

    arguments = [
        view(samples.ray_start, wp.int32, [count]),
        view(samples.ray_count, wp.int32, [count]),
        view(samples.t_mid, wp.float32, [total]),
        view(samples.dts, wp.float32, [total]),
        view(sigmas, wp.float32, [total]),
        view(values, wp.float32, [total * channels]),
        channels,
        optional(sums.weights, total),
        optional(sums.values, count * channels),
        optional(sums.opacities, count),
        optional(sums.depths, count),
        *(
            view(array, wp.float32, [size])
            for array, size in zip(outputs, (total, total * channels), strict=False)
        ),
    ]
    launch(kernel, arguments, count, device=device, slices=_slices(count))


def _slices(rays: int) -> int:
    return 1 if rays < _FEW_RAYS else 8 * CORES


def _view_counts(rays: Rays, array: Any) -> wp.array:
    return view(array, wp.int32, [int(rays.origins.shape[0])])


@lru_cache(maxsize=16)
def _nothing(device: str, dtype: type) -> wp.array:
    return wp.empty(0, dtype=dtype, device=device)


@wp.struct
class Space:
    """A `MarchSpec` for kernels."""

    low: wp.vec3f
    scale: wp.vec3f  # 1 / size of the box
    contracted: wp.bool
    step_min: wp.float32
    step_max: wp.float32
    cone: wp.float32
    max_samples: wp.int32


@lru_cache(maxsize=16)
def _space(spec: MarchSpec) -> Any:
    low, high = np.asarray(spec.aabb, np.float64)
    space = Space()
    space.low = wp.vec3f(*low)
    space.scale = wp.vec3f(*(1.0 / (high - low)))
    space.contracted = spec.contracted
    space.step_min = spec.step_min
    space.step_max = spec.step_max
    space.cone = spec.cone
    space.max_samples = spec.max_samples
    return space


@wp.func
def step_at(space: Space, t: wp.float32) -> wp.float32:
    """The length of the step that begins at `t`."""
    return wp.clamp(t * space.cone, space.step_min, space.step_max)


@wp.func
def squeeze(point: wp.vec3f) -> wp.vec3f:
    """Contract coordinates in which the inner box is the unit cube into the unit cube."""
    normalized = 2.0 * point - wp.vec3f(1.0, 1.0, 1.0)
    size = wp.max(wp.abs(normalized))
    if size > 1.0:
        normalized = normalized * ((2.0 - 1.0 / size) / size)
    return 0.25 * normalized + wp.vec3f(0.5, 0.5, 0.5)


@wp.func
def clip_to_cube(origin: wp.vec3f, direction: wp.vec3f, near: wp.float32, far: wp.float32) -> wp.vec2f:
    """The part of [near, far] inside the unit cube; it descends where there is none."""
    for axis in range(3):
        if direction[axis] != 0.0:
            low = -origin[axis] / direction[axis]
            high = (1.0 - origin[axis]) / direction[axis]
            near = wp.max(near, wp.min(low, high))
            far = wp.min(far, wp.max(low, high))
        elif origin[axis] < 0.0 or origin[axis] > 1.0:
            far = near - 1.0
    return wp.vec2f(near, far)


@wp.func
def way_out(place: wp.vec3f, size: wp.float32, slowness: wp.vec3f) -> wp.float32:
    """How far a point at `place` of a cube of side `size` moves until it leaves the cube.

    `slowness` is 1 / speed, and 0 along axes that it does not move along.
    """
    way = wp.float32(1.0e30)
    for axis in range(3):
        if slowness[axis] > 0.0:
            way = wp.min(way, (size - place[axis]) * slowness[axis])
        if slowness[axis] < 0.0:
            way = wp.min(way, -place[axis] * slowness[axis])
    return way


@wp.kernel(enable_backward=False)
def march_kernel(
    rays_o: wp.array[wp.vec3f],  # [R]
    rays_d: wp.array[wp.vec3f],  # [R]
    nears: wp.array[wp.float32],  # [R]
    fars: wp.array[wp.float32],  # [R]
    occupancy: wp.array3d[wp.uint8],  # [G, G, G]
    space: Space,
    seed: wp.int32,  # negative: no shift
    ray_start: wp.array[wp.int32],  # [R], read when writing
    ray_count: wp.array[wp.int32],  # [R], written when counting, obeyed when writing
    ray_begin: wp.array[wp.float32],  # [R], as the counts
    positions: wp.array[wp.vec3f],  # [M]
    t_mid: wp.array[wp.float32],  # [M]
    dts: wp.array[wp.float32],  # [M]
    ray_index: wp.array[wp.int32],  # [M]
    writing: wp.bool,
    first: wp.int32,
) -> None:
    """One index per ray. Writes the ray's count, or its samples."""
    ray = first + wp.tid()
    direction = rays_d[ray]
    start = wp.int32(0)
    limit = space.max_samples
    if writing:
        start = ray_start[ray]
        limit = ray_count[ray]
    cells = wp.float32(occupancy.shape[0])
    aligned = occupancy.shape[0] % 4 == 0
    origin = wp.cw_mul(rays_o[ray] - space.low, space.scale)
    speed = wp.cw_mul(direction, space.scale)
    interval = wp.vec2f(nears[ray], fars[ray])
    if not space.contracted:
        interval = clip_to_cube(origin, speed, interval[0], interval[1])
    t = interval[0]
    far = interval[1]
    if seed >= 0:
        t = t + wp.randf(wp.rand_init(seed, ray)) * step_at(space, t)
    count = wp.int32(0)
    steps = wp.int32(0)
    if not (wp.length_sq(direction) > 0.0 and wp.length_sq(origin) < 1.0e30):
        limit = 0
    if writing:
        t = ray_begin[ray]
    slowness = wp.vec3f(0.0, 0.0, 0.0)
    for axis in range(3):
        if speed[axis] != 0.0:
            slowness[axis] = 1.0 / speed[axis]
    step = step_at(space, t)
    middle = t + 0.5 * step
    while middle < far and count < limit and steps < wp.static(MAX_STEPS):
        point = origin + middle * speed
        skippable = wp.bool(True)
        if space.contracted:
            outside = 2.0 * wp.max(wp.abs(point - wp.vec3f(0.5, 0.5, 0.5))) > 1.0
            skippable = aligned and not outside
            point = squeeze(point)
        x = wp.clamp(wp.int32(point[0] * cells), 0, occupancy.shape[0] - 1)
        y = wp.clamp(wp.int32(point[1] * cells), 0, occupancy.shape[0] - 1)
        z = wp.clamp(wp.int32(point[2] * cells), 0, occupancy.shape[0] - 1)
        leave = middle
        cell = wp.int32(occupancy[x, y, z])
        if cell == wp.static(SOLID):
            far = middle
        elif cell == wp.static(OCCUPIED):
            if writing:
                positions[start + count] = point
                t_mid[start + count] = middle
                dts[start + count] = step
                ray_index[start + count] = ray
            elif count == 0:
                ray_begin[ray] = t
            count = count + 1
        elif skippable:
            size = wp.where(cell == wp.static(EMPTY_BLOCK), wp.static(BLOCK), 1)
            corner = wp.vec3f(wp.float32(x - x % size), wp.float32(y - y % size), wp.float32(z - z % size))
            way = way_out(point * cells - corner, wp.float32(size), slowness)
            leave = middle + way / wp.where(space.contracted, 0.5 * cells, cells) - 1.0e-3 * step
            if space.cone == 0.0:
                whole = wp.int32(wp.max(wp.min(leave, far) - middle, 0.0) / step)
                t = t + wp.float32(whole) * step
                steps = steps + whole
        t = t + step
        step = step_at(space, t)
        middle = t + 0.5 * step
        steps = steps + 1
        while middle < leave and middle < far and steps < wp.static(MAX_STEPS):
            t = t + step
            step = step_at(space, t)
            middle = t + 0.5 * step
            steps = steps + 1
    if not writing:
        ray_count[ray] = count


@wp.kernel(enable_backward=False)
def composite_kernel(
    ray_start: wp.array[wp.int32],  # [R]
    ray_count: wp.array[wp.int32],  # [R]
    t_mid: wp.array[wp.float32],  # [M]
    dts: wp.array[wp.float32],  # [M]
    sigmas: wp.array[wp.float32],  # [M]
    values: wp.array[wp.float32],  # [M * C]
    channels: wp.int32,
    weights: wp.array[wp.float32],  # [M], written
    sums: wp.array[wp.float32],  # [R * C], written
    opacities: wp.array[wp.float32],  # [R], written
    depths: wp.array[wp.float32],  # [R], written
    first: wp.int32,
) -> None:
    """One index per ray. Writes the ray's sums and the weights of its samples."""
    ray = first + wp.tid()
    transmittance = wp.float32(1.0)
    opacity = wp.float32(0.0)
    depth = wp.float32(0.0)
    for channel in range(channels):
        sums[ray * channels + channel] = 0.0
    for sample in range(ray_start[ray], ray_start[ray] + ray_count[ray]):
        weight = wp.float32(0.0)
        if transmittance >= wp.static(OPAQUE):
            passed = wp.exp(-sigmas[sample] * dts[sample])
            weight = transmittance * (1.0 - passed)
            transmittance = transmittance * passed
            opacity += weight
            depth += weight * t_mid[sample]
            for channel in range(channels):
                sums[ray * channels + channel] += weight * values[sample * channels + channel]
        weights[sample] = weight
    opacities[ray] = opacity
    depths[ray] = depth


@wp.kernel(enable_backward=False)
def visible_kernel(
    ray_start: wp.array[wp.int32],  # [R]
    ray_count: wp.array[wp.int32],  # [R]
    dts: wp.array[wp.float32],  # [M]
    sigmas: wp.array[wp.float32],  # [M]
    least_light: wp.float32,
    least_alpha: wp.float32,
    visible: wp.array[wp.uint8],  # [M], written
    visible_count: wp.array[wp.int32],  # [R], written
    first: wp.int32,
) -> None:
    """One index per ray. Writes the flags of its samples and how many are set."""
    ray = first + wp.tid()
    transmittance = wp.float32(1.0)
    count = wp.int32(0)
    for sample in range(ray_start[ray], ray_start[ray] + ray_count[ray]):
        flag = wp.uint8(0)
        if transmittance >= least_light:
            passed = wp.exp(-sigmas[sample] * dts[sample])
            if 1.0 - passed >= least_alpha:
                flag = wp.uint8(1)
                count = count + 1
            transmittance = transmittance * passed
        visible[sample] = flag
    visible_count[ray] = count


@wp.func
def alpha_at(grid: wp.array3d[wp.float32], position: wp.vec3f, most: wp.float32) -> wp.float32:
    """What the cell of a position blocks, as far as it is trusted."""
    size = grid.shape[0]
    scaled = position * wp.float32(size)
    x = wp.clamp(wp.int32(scaled[0]), 0, size - 1)
    y = wp.clamp(wp.int32(scaled[1]), 0, size - 1)
    z = wp.clamp(wp.int32(scaled[2]), 0, size - 1)
    return wp.min(grid[x, y, z], most)


@wp.kernel(enable_backward=False)
def resample_kernel(
    ray_start: wp.array[wp.int32],  # [R]
    ray_count: wp.array[wp.int32],  # [R]
    positions: wp.array[wp.vec3f],  # [M]
    t_mid: wp.array[wp.float32],  # [M]
    dts: wp.array[wp.float32],  # [M]
    grid: wp.array3d[wp.float32],  # [G, G, G]
    seed: wp.int32,
    least_light: wp.float32,
    most_alpha: wp.float32,
    spread: wp.float32,
    fewer_start: wp.array[wp.int32],  # [R]
    fewer_count: wp.array[wp.int32],  # [R], read
    fewer_t: wp.array[wp.float32],  # [K], written
    fewer_dts: wp.array[wp.float32],  # [K], written
    fewer_index: wp.array[wp.int32],  # [K], written
    first: wp.int32,
) -> None:
    """One index per ray. Writes its new samples."""
    ray = first + wp.tid()
    begin = ray_start[ray]
    end = begin + ray_count[ray]
    wanted = fewer_count[ray]
    if wanted == 0:
        return
    light = wp.float32(1.0)
    last = begin
    while last < end and light >= least_light:
        light = light * (1.0 - alpha_at(grid, positions[last], most_alpha))
        last = last + 1
    even = spread / wp.float32(last - begin)
    share = (1.0 - light + spread) / wp.float32(wanted)
    state = wp.rand_init(seed, ray)
    # One hand runs along the weights to the end of a part, the other to the place in it.
    sample = begin
    light = wp.float32(1.0)
    alpha = alpha_at(grid, positions[sample], most_alpha)
    weight = alpha + even  # of the sample
    weight_before = wp.float32(0.0)
    length_before = wp.float32(0.0)
    place = begin
    place_before = wp.float32(0.0)
    begins = wp.float32(0.0)  # of the part, as a length
    for part in range(wanted):
        goal = wp.float32(part + 1) * share
        while sample < last - 1 and weight_before + weight < goal:
            weight_before = weight_before + weight
            length_before = length_before + dts[sample]
            light = light * (1.0 - alpha)
            sample = sample + 1
            alpha = alpha_at(grid, positions[sample], most_alpha)
            weight = light * alpha + even
        inside = wp.clamp((goal - weight_before) / weight, 0.0, 1.0)
        if part == wanted - 1:
            inside = 1.0
        ends = wp.max(length_before + inside * dts[sample], begins)
        middle = wp.lerp(begins, ends, wp.randf(state))
        while place < last - 1 and place_before + dts[place] < middle:
            place_before = place_before + dts[place]
            place = place + 1
        index = fewer_start[ray] + part
        fewer_t[index] = t_mid[place] - 0.5 * dts[place] + wp.min(middle - place_before, dts[place])
        fewer_dts[index] = ends - begins
        fewer_index[index] = ray
        begins = ends


@wp.kernel(enable_backward=False)
def composite_backward_kernel(
    ray_start: wp.array[wp.int32],  # [R]
    ray_count: wp.array[wp.int32],  # [R]
    t_mid: wp.array[wp.float32],  # [M]
    dts: wp.array[wp.float32],  # [M]
    sigmas: wp.array[wp.float32],  # [M]
    values: wp.array[wp.float32],  # [M * C]
    channels: wp.int32,
    grad_weights: wp.array[wp.float32],  # [M]; this and the next three may be empty: zero
    grad_sums: wp.array[wp.float32],  # [R * C]
    grad_opacities: wp.array[wp.float32],  # [R]
    grad_depths: wp.array[wp.float32],  # [R]
    grad_sigmas: wp.array[wp.float32],  # [M], written
    grad_values: wp.array[wp.float32],  # [M * C], written
    first: wp.int32,
) -> None:
    """One index per ray. Writes the gradients of the ray's samples.

    With g the gradient of a weight and w the weights, the gradient of an optical depth is
    g * (transmittance behind the sample) - (sum of g * w over the samples behind it).
    """
    ray = first + wp.tid()
    begin = ray_start[ray]
    end = begin + ray_count[ray]
    of_opacity = wp.float32(0.0)
    of_depth = wp.float32(0.0)
    if grad_opacities.shape[0] > 0:
        of_opacity = grad_opacities[ray]
    if grad_depths.shape[0] > 0:
        of_depth = grad_depths[ray]
    transmittance = wp.float32(1.0)
    behind = wp.float32(0.0)
    for sample in range(begin, end):
        of_weight = wp.float32(0.0)
        weight = wp.float32(0.0)
        if transmittance >= wp.static(OPAQUE):
            passed = wp.exp(-sigmas[sample] * dts[sample])
            weight = transmittance * (1.0 - passed)
            transmittance = transmittance * passed
            of_weight = of_opacity + of_depth * t_mid[sample]
            if grad_weights.shape[0] > 0:
                of_weight += grad_weights[sample]
            if grad_sums.shape[0] > 0:
                for channel in range(channels):
                    of_weight += grad_sums[ray * channels + channel] * values[sample * channels + channel]
        if grad_sums.shape[0] > 0:
            for channel in range(channels):
                grad_values[sample * channels + channel] = weight * grad_sums[ray * channels + channel]
        else:
            for channel in range(channels):
                grad_values[sample * channels + channel] = 0.0
        grad_sigmas[sample] = of_weight  # for the second pass
        behind += of_weight * weight
    transmittance = wp.float32(1.0)
    for sample in range(begin, end):
        if transmittance >= wp.static(OPAQUE):
            of_weight = grad_sigmas[sample]
            passed = wp.exp(-sigmas[sample] * dts[sample])
            behind -= of_weight * transmittance * (1.0 - passed)
            transmittance = transmittance * passed
            grad_sigmas[sample] = dts[sample] * (of_weight * transmittance - behind)
