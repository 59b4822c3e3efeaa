"""Beams: the rays of a tile followed together through empty space, before any of them is marched.

At each time the rays of a tile are in a box that moves and grows; it is followed until it touches a block
with density. Lengths are voxels from the grid's lower corner.
"""

import warp as wp

from neuron_core.kernels.baked.bricks import Grid, block_of
from neuron_core.kernels.baked.layout import FAR

MARGIN = 0.01  # blocks by which the box is larger, so that rounding cannot hide a block from a ray
MOST_STEPS = 256


@wp.struct
class Beam:
    """The box at the time 0, and how fast its sides move."""

    low: wp.vec3f
    high: wp.vec3f
    slowest: wp.vec3f
    fastest: wp.vec3f


@wp.func
def no_rays() -> Beam:
    """A box without an inside."""
    beam = Beam()
    beam.low = wp.vec3f(wp.static(FAR), wp.static(FAR), wp.static(FAR))
    beam.high = -beam.low
    beam.slowest = beam.low
    beam.fastest = -beam.low
    return beam


@wp.func
def with_ray(beam: Beam, origin: wp.vec3f, speed: wp.vec3f) -> Beam:
    """The box that holds one more ray."""
    wider = Beam()
    wider.low = wp.min(beam.low, origin)
    wider.high = wp.max(beam.high, origin)
    wider.slowest = wp.min(beam.slowest, speed)
    wider.fastest = wp.max(beam.fastest, speed)
    return wider


@wp.func_native("return neuron::cell_in(place, cells);")
def cell_at(place: wp.float32, cells: wp.int32) -> wp.int32:
    """The cell of a place, of `cells` in a row of size 1 each; the first or last one outside."""
    ...


@wp.func
def times_beside(beam: Beam, grid: Grid) -> wp.vec2f:
    """The times between which the box may touch the box of the density; they descend if it never does."""
    near = wp.float32(0.0)
    far = wp.float32(wp.static(FAR))
    for axis in range(3):
        # It is beside the density while its upper side is too low or its lower side too high.
        if beam.fastest[axis] > 0.0:
            near = wp.max(near, (grid.inside_low[axis] - beam.high[axis]) / beam.fastest[axis])
        elif beam.fastest[axis] < 0.0:
            far = wp.min(far, (grid.inside_low[axis] - beam.high[axis]) / beam.fastest[axis])
        elif beam.high[axis] < grid.inside_low[axis]:
            far = wp.float32(-1.0)
        if beam.slowest[axis] < 0.0:
            near = wp.max(near, (grid.inside_high[axis] - beam.low[axis]) / beam.slowest[axis])
        elif beam.slowest[axis] > 0.0:
            far = wp.min(far, (grid.inside_high[axis] - beam.low[axis]) / beam.slowest[axis])
        elif beam.low[axis] > grid.inside_high[axis]:
            far = wp.float32(-1.0)
    return wp.vec2f(near, far)


@wp.func
def time_in_free(beam: Beam, grid: Grid, blocks: wp.array[wp.uint8], time: wp.float32) -> wp.float32:
    """How long the box stays in the free cube of blocks around its middle; below 0 if it is not inside."""
    size = wp.float32(1 << grid.block_log2)
    blocks_in_grid = grid.shape * (1 << (3 - grid.block_log2))
    margin = wp.vec3f(wp.static(MARGIN), wp.static(MARGIN), wp.static(MARGIN))
    here_low = (beam.low + time * beam.slowest) / size - margin
    here_high = (beam.high + time * beam.fastest) / size + margin
    middle = 0.5 * (here_low + here_high)
    x = cell_at(middle[0], blocks_in_grid[0])
    y = cell_at(middle[1], blocks_in_grid[1])
    z = cell_at(middle[2], blocks_in_grid[2])
    free = wp.float32(blocks[block_of(grid, x, y, z)])
    cell = wp.vec3f(wp.float32(x), wp.float32(y), wp.float32(z))
    free_low = cell - wp.vec3f(free - 1.0, free - 1.0, free - 1.0)
    free_high = cell + wp.vec3f(free, free, free)
    way = wp.float32(wp.static(FAR))
    for axis in range(3):
        # What lies outside the grid is free.
        if free_low[axis] > 0.0:
            if here_low[axis] <= free_low[axis]:
                way = wp.float32(-1.0)
            elif beam.slowest[axis] < 0.0:
                way = wp.min(way, size * (free_low[axis] - here_low[axis]) / beam.slowest[axis])
        if free_high[axis] < wp.float32(blocks_in_grid[axis]):
            if here_high[axis] >= free_high[axis]:
                way = wp.float32(-1.0)
            elif beam.fastest[axis] > 0.0:
                way = wp.min(way, size * (free_high[axis] - here_high[axis]) / beam.fastest[axis])
    return way


@wp.func
def start_of(beam: Beam, grid: Grid, blocks: wp.array[wp.uint8]) -> wp.float32:
    """A time before which none of the rays meets density, FAR if they never do."""
    times = times_beside(beam, grid)
    time = times[0]
    for _ in range(wp.static(MOST_STEPS)):
        if time > times[1]:
            break
        way = time_in_free(beam, grid, blocks, time)
        if way <= 0.0:
            break
        time = time + way
    return wp.where(time <= times[1], time, wp.static(FAR))
