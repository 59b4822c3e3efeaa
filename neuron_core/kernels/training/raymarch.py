"""Sample rays where a grid says that something is.

Letters in shapes: R rays, G cells of the occupancy grid along each side, M samples of all
rays together. Samples of a ray lie side by side, near to far: ray r owns
`ray_start[r] : ray_start[r] + ray_count[r]`. Distances are world units along unit rays. Arrays are
float32, counts and indices int32, and may be anything that `launch.view` takes; all arrays of a call
lie on one device. Positions are in the unit cube, the coordinates of the grid and of a hash encoding.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.launch import CORES, device_of, launch, view

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
    _march(spec, rays, occupancy, seed, ray_count, ray_begin, None)


def fill_samples(spec: MarchSpec, rays: Rays, occupancy: Any, samples: Samples, ray_begin: Any) -> None:
    """Write the samples that `count_samples` counted with the same arguments and wrote `ray_begin` for.

    `samples.ray_count` holds these counts and `ray_start` their exclusive running sum; the
    other arrays are written.
    """
    if int(samples.t_mid.shape[0]):
        _march(spec, rays, occupancy, None, samples.ray_count, ray_begin, samples)


def slices_of(rays: int) -> int:
    """Into how many parts the work of so many rays is cut on a CPU."""
    return 1 if rays < _FEW_RAYS else 8 * CORES


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


@wp.struct
class MarchCall:
    """What the samples of rays follow from, and where they or their numbers go."""

    rays_o: wp.array[wp.vec3f]  # [R]
    rays_d: wp.array[wp.vec3f]  # [R]
    nears: wp.array[wp.float32]  # [R]
    fars: wp.array[wp.float32]  # [R]
    occupancy: wp.array3d[wp.uint8]  # [G, G, G]
    space: Space
    seed: wp.int32  # negative: no shift
    ray_start: wp.array[wp.int32]  # [R], read when writing
    ray_count: wp.array[wp.int32]  # [R], written when counting, obeyed when writing
    ray_begin: wp.array[wp.float32]  # [R], as the counts
    positions: wp.array[wp.vec3f]  # [M]
    t_mid: wp.array[wp.float32]  # [M]
    dts: wp.array[wp.float32]  # [M]
    ray_index: wp.array[wp.int32]  # [M]
    writing: wp.bool


def _march(
    spec: MarchSpec,
    rays: Rays,
    occupancy: Any,
    seed: int | None,
    ray_count: Any,
    ray_begin: Any,
    samples: Samples | None,
) -> None:
    """Count the samples of rays, or write them."""
    count, cells = int(rays.origins.shape[0]), int(occupancy.shape[0])
    call = MarchCall()
    call.rays_o, call.rays_d = view(rays.origins, wp.vec3f, [count]), view(rays.directions, wp.vec3f, [count])
    call.nears, call.fars = view(rays.nears, wp.float32, [count]), view(rays.fars, wp.float32, [count])
    call.occupancy = view(occupancy, wp.uint8, [cells, cells, cells])
    call.space, call.seed = _space(spec), -1 if seed is None else seed % (1 << 31)
    call.ray_count = view(ray_count, wp.int32, [count])
    call.ray_begin = view(ray_begin, wp.float32, [count])
    call.writing = samples is not None
    if samples is not None:
        total = int(samples.t_mid.shape[0])
        call.ray_start = view(samples.ray_start, wp.int32, [count])
        call.positions = view(samples.positions, wp.vec3f, [total])
        call.t_mid = view(samples.t_mid, wp.float32, [total])
        call.dts = view(samples.dts, wp.float32, [total])
        call.ray_index = view(samples.ray_index, wp.int32, [total])
    launch(march_kernel, [call], count, device=device_of(rays.origins), slices=slices_of(count))


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
def interval_of(call: MarchCall, ray: wp.int32, origin: wp.vec3f, speed: wp.vec3f) -> wp.vec2f:
    """The distances between which a ray is sampled; they descend where there is nothing to sample."""
    interval = wp.vec2f(call.nears[ray], call.fars[ray])
    if not call.space.contracted:
        interval = clip_to_cube(origin, speed, interval[0], interval[1])
    return interval


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


@wp.func
def slowness_of(speed: wp.vec3f) -> wp.vec3f:
    """1 / speed, and 0 along axes without any."""
    slowness = wp.vec3f(0.0, 0.0, 0.0)
    for axis in range(3):
        if speed[axis] != 0.0:
            slowness[axis] = 1.0 / speed[axis]
    return slowness


@wp.func
def is_outside(point: wp.vec3f) -> wp.bool:
    """Whether a point lies outside the inner box, which is the unit cube."""
    return 2.0 * wp.max(wp.abs(point - wp.vec3f(0.5, 0.5, 0.5))) > 1.0


@wp.func
def cell_of(position: wp.vec3f, size: wp.int32) -> wp.vec3i:
    """The cell of a position in the unit cube, of `size` along each side; the nearest one outside."""
    scaled = position * wp.float32(size)
    return wp.vec3i(
        wp.clamp(wp.int32(scaled[0]), 0, size - 1),
        wp.clamp(wp.int32(scaled[1]), 0, size - 1),
        wp.clamp(wp.int32(scaled[2]), 0, size - 1),
    )


@wp.func
def way_through(
    space: Space, position: wp.vec3f, cell: wp.vec3i, kind: wp.int32, slowness: wp.vec3f, size: wp.int32
) -> wp.float32:
    """How far a ray goes until it leaves an empty cell or its empty block."""
    side = wp.where(kind == wp.static(EMPTY_BLOCK), wp.static(BLOCK), 1)
    corner = wp.vec3f(
        wp.float32(cell[0] - cell[0] % side),
        wp.float32(cell[1] - cell[1] % side),
        wp.float32(cell[2] - cell[2] % side),
    )
    cells = wp.float32(size)
    way = way_out(position * cells - corner, wp.float32(side), slowness)
    return way / wp.where(space.contracted, 0.5 * cells, cells)  # the inner box is half of the grid's side


@wp.func
def write_sample(
    call: MarchCall,
    ray: wp.int32,
    place: wp.int32,
    position: wp.vec3f,
    middle: wp.float32,
    step: wp.float32,
) -> None:
    """Write a sample, unless samples are only counted."""
    if call.writing:
        call.positions[place] = position
        call.t_mid[place] = middle
        call.dts[place] = step
        call.ray_index[place] = ray


@wp.kernel(enable_backward=False)
def march_kernel(call: MarchCall, first: wp.int32) -> None:
    """One index per ray. Writes the ray's count, or its samples."""
    ray = first + wp.tid()
    space = call.space
    direction = call.rays_d[ray]
    size = call.occupancy.shape[0]
    origin = wp.cw_mul(call.rays_o[ray] - space.low, space.scale)
    speed = wp.cw_mul(direction, space.scale)
    interval = interval_of(call, ray, origin, speed)
    t = interval[0]
    far = interval[1]
    if call.seed >= 0:
        t = t + wp.randf(wp.rand_init(call.seed, ray)) * step_at(space, t)
    start = wp.int32(0)
    limit = space.max_samples
    if call.writing:
        start = call.ray_start[ray]
        limit = call.ray_count[ray]
        t = call.ray_begin[ray]
    if not (wp.length_sq(direction) > 0.0 and wp.length_sq(origin) < 1.0e30):
        limit = 0
    count = wp.int32(0)
    steps = wp.int32(0)
    slowness = slowness_of(speed)
    step = step_at(space, t)
    middle = t + 0.5 * step
    while middle < far and count < limit and steps < wp.static(MAX_STEPS):
        position = origin + middle * speed
        skippable = wp.bool(True)
        if space.contracted:
            skippable = size % 4 == 0 and not is_outside(position)
            position = squeeze(position)
        cell = cell_of(position, size)
        kind = wp.int32(call.occupancy[cell[0], cell[1], cell[2]])
        leave = middle
        if kind == wp.static(SOLID):
            far = middle
        elif kind == wp.static(OCCUPIED):
            write_sample(call, ray, start + count, position, middle, step)
            if count == 0 and not call.writing:
                call.ray_begin[ray] = t
            count = count + 1
        elif skippable:
            leave = middle + way_through(space, position, cell, kind, slowness, size) - 1.0e-3 * step
            if space.cone == 0.0:
                whole = wp.int32(wp.max(wp.min(leave, far) - middle, 0.0) / step)
                t = t + wp.float32(whole) * step
                steps = steps + whole
        # The next step, or the first one whose middle lies behind what is empty.
        going = wp.bool(True)
        while going:
            t = t + step
            step = step_at(space, t)
            middle = t + 0.5 * step
            steps = steps + 1
            going = middle < leave and middle < far and steps < wp.static(MAX_STEPS)
    if not call.writing:
        call.ray_count[ray] = count
