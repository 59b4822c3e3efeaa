"""Place fewer samples along rays, where most of their light may come from.

Letters in shapes: R rays, G cells of a grid along each side, M samples of all rays together. Samples are as
`raymarch` packs them.
"""

from dataclasses import dataclass
from typing import Any

import warp as wp

from neuron_core.kernels.launch import device_of, launch, view
from neuron_core.kernels.training.raymarch import Samples, cell_of, slices_of


@dataclass(frozen=True, slots=True)
class Guide:
    """How far a coarse grid is trusted when samples are placed by it.

    A cell counts for at most `most_alpha` a step: it may be dense beside the ray only. `spread` of the
    weight is even over all that `least_light` may reach, to find what the grid does not know yet.
    """

    most_alpha: float = 0.15
    spread: float = 0.1
    least_light: float = 1e-3


def resample(samples: Samples, grid: Any, seed: int, guide: Guide, fewer: Samples) -> None:
    """Replace the samples of each ray by fewer ones that stand where most of its light may come from.

    `grid` [G, G, G] holds what part of the light one step in a cell blocks. `fewer.ray_count` says how
    many samples a ray gets (none if it has none), `fewer.ray_start` where they begin; its `t_mid`, `dts`
    and `ray_index` are written, its positions are not. The length that the samples of a ray cover is cut
    into parts that weigh the same; each part becomes one sample at a random place in it.
    """
    total, count = int(samples.t_mid.shape[0]), int(samples.ray_start.shape[0])
    kept, cells = int(fewer.t_mid.shape[0]), int(grid.shape[0])
    call = ResampleCall()
    call.ray_start = view(samples.ray_start, wp.int32, [count])
    call.ray_count = view(samples.ray_count, wp.int32, [count])
    call.positions = view(samples.positions, wp.vec3f, [total])
    call.t_mid, call.dts = view(samples.t_mid, wp.float32, [total]), view(samples.dts, wp.float32, [total])
    call.grid, call.seed = view(grid, wp.float32, [cells, cells, cells]), seed % (1 << 31)
    call.least_light, call.most_alpha, call.spread = guide.least_light, guide.most_alpha, guide.spread
    call.fewer_start = view(fewer.ray_start, wp.int32, [count])
    call.fewer_count = view(fewer.ray_count, wp.int32, [count])
    call.fewer_t, call.fewer_dts = view(fewer.t_mid, wp.float32, [kept]), view(fewer.dts, wp.float32, [kept])
    call.fewer_index = view(fewer.ray_index, wp.int32, [kept])
    launch(resample_kernel, [call], count, device=device_of(samples.t_mid), slices=slices_of(count))


@wp.struct
class ResampleCall:
    """The samples of rays, what places fewer of them, and where those go."""

    ray_start: wp.array[wp.int32]  # [R]
    ray_count: wp.array[wp.int32]  # [R]
    positions: wp.array[wp.vec3f]  # [M]
    t_mid: wp.array[wp.float32]  # [M]
    dts: wp.array[wp.float32]  # [M]
    grid: wp.array3d[wp.float32]  # [G, G, G]
    seed: wp.int32
    least_light: wp.float32
    most_alpha: wp.float32
    spread: wp.float32
    fewer_start: wp.array[wp.int32]  # [R]
    fewer_count: wp.array[wp.int32]  # [R], read
    fewer_t: wp.array[wp.float32]  # [K], written
    fewer_dts: wp.array[wp.float32]  # [K], written
    fewer_index: wp.array[wp.int32]  # [K], written


@wp.func
def alpha_at(call: ResampleCall, sample: wp.int32) -> wp.float32:
    """What the cell of a sample blocks, as far as it is trusted."""
    cell = cell_of(call.positions[sample], call.grid.shape[0])
    return wp.min(call.grid[cell[0], cell[1], cell[2]], call.most_alpha)


@wp.kernel(enable_backward=False)
def resample_kernel(call: ResampleCall, first: wp.int32) -> None:
    """One index per ray. Writes its new samples."""
    ray = first + wp.tid()
    begin = call.ray_start[ray]
    end = begin + call.ray_count[ray]
    wanted = call.fewer_count[ray]
    if wanted == 0:
        return
    light = wp.float32(1.0)
    last = begin
    while last < end and light >= call.least_light:
        light = light * (1.0 - alpha_at(call, last))
        last = last + 1
    even = call.spread / wp.float32(last - begin)
    share = (1.0 - light + call.spread) / wp.float32(wanted)
    state = wp.rand_init(call.seed, ray)
    # One hand runs along the weights to the end of a part, the other to the place in it.
    sample = begin
    light = wp.float32(1.0)
    alpha = alpha_at(call, sample)
    weight = alpha + even  # of the sample
    weight_before = wp.float32(0.0)
    length_before = wp.float32(0.0)
    place = begin
    place_before = wp.float32(0.0)
    begins = wp.float32(0.0)  # of the part, as a length
    for part in range(wanted):
        goal = wp.float32(part + 1) * share
        if part == wanted - 1:
            goal = wp.float32(1.0e30)  # all that is left, whatever it weighs
        while sample < last - 1 and weight_before + weight < goal:
            weight_before = weight_before + weight
            length_before = length_before + call.dts[sample]
            light = light * (1.0 - alpha)
            sample = sample + 1
            alpha = alpha_at(call, sample)
            weight = light * alpha + even
        inside = wp.clamp((goal - weight_before) / weight, 0.0, 1.0)
        ends = wp.max(length_before + inside * call.dts[sample], begins)
        middle = wp.lerp(begins, ends, wp.randf(state))
        while place < last - 1 and place_before + call.dts[place] < middle:
            place_before = place_before + call.dts[place]
            place = place + 1
        index = call.fewer_start[ray] + part
        call.fewer_t[index] = (
            call.t_mid[place] - 0.5 * call.dts[place] + wp.min(middle - place_before, call.dts[place])
        )
        call.fewer_dts[index] = ends - begins
        call.fewer_index[index] = ray
        begins = ends
