"""Draw a baked field: find the tiles that show something, then march and shade each of them.

Letters in shapes: R rays, T tiles of 64 rays, B bricks. What the rays of a tile meet stays in the
cache of a core until it is shaded; on CUDA a thread does all of it for one ray.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import warp as wp

from neuron_core.kernels.arrays import view
from neuron_core.kernels.baked.bricks import CHANNELS, BrickPools, Grid
from neuron_core.kernels.baked.marching import (
    FAINT,
    LOOK_EVERY,
    MARCHING,
    OPAQUE,
    Gate,
    field_arguments,
    launch_tiles,
    ray_arguments,
    slots_at_once,
)
from neuron_core.kernels.baked.network import SHADING, Network
from neuron_core.kernels.baked.rays import Rays, View


@dataclass(frozen=True, slots=True)
class Picture:
    """Where pixels go. All but the first may be None; float32, zero where nothing is."""

    rgba: Any  # [R, 4] premultiplied
    depths: Any = None  # [R] mean distance along the unit ray
    normals: Any = None  # [R, 3] unit
    codes: Any = None  # [R, 8] mean stored codes, 0 to 255


def draw(
    pools: BrickPools,
    codes: Any,
    network: Network,
    mirror: Sequence[float] | None,
    rays: Rays,
    tiles: Any,
    starts: Any,
    picture: Picture,
    *,
    lift: float,
    step: float,
    sharing: int = 1,
    stream: wp.Stream | None = None,
) -> None:
    """Write the pixels of `tiles` [T]; rays do not look before `starts` [tiles].

    `codes` [B * 729, 8] uint8 belong to the samples; `step` is how far apart the density is read,
    in voxels. `mirror` is 8 weights for stored codes, a bias, and the least activation of what
    reflects a ray, which begins `lift` voxels above the surface; None if nothing does. With
    `sharing` 4, four rays beside each other share a reflected one, on a CPU. Rays without a
    direction meet nothing.
    """
    device, count = pools.device, int(tiles.shape[0])
    arguments = [
        slots_at_once(device),
        *field_arguments(pools, codes),
        *ray_arguments(rays, tiles, starts),
        step,
        Gate(*(mirror or [0.0] * (CHANNELS + 2))),
        0 if mirror is None else sharing,
        lift,
        network.cells,
        network.directions,
        network.weights,
        _output(picture.rgba, rays.count * 4, device),
        _output(picture.depths, rays.count, device),
        _output(picture.normals, rays.count * 3, device),
        _output(picture.codes, rays.count * CHANNELS, device),
    ]
    launch_tiles(_kernel(network.width), arguments, count, device, stream)


def _output(array: Any, scalars: int, device: str) -> Any:
    if array is None:
        return wp.empty(0, dtype=wp.float32, device=device)
    return view(array, wp.float32, [scalars])


_DRAW = """
    float records[16 * MANY], reflected[16 * MANY];
    Color colors[MANY], mirrored[MANY];
    march(records);
    bool mirrors = false;
    if (reflections != 0)
        mirrors = march_reflected(records, reflected, reflections);
    if (mirrors) {
        for (int ray = 0; ray < MANY; ++ray)
            mirrored[ray].v[3] = reflected[16 * ray + 12] > faint ? reflected[16 * ray + 12] : 0.0f;
        shade(reflected, nullptr, mirrored);
        for (int ray = 0; ray < MANY; ++ray)
            if (leaders[ray] != ray)
                mirrored[ray] = mirrored[leaders[ray]];
    }
    shade(records, mirrors ? mirrored : nullptr, colors);
    for (int ray = 0; ray < MANY; ++ray) {
        const int x = column_of(ray), y = line_of(ray);
        if (x >= rays.width || y >= rays.height)
            continue;
        const size_t pixel = (size_t)y * rays.width + x;
        const float* record = records + 16 * ray;
        const float alpha = record[12];
        const bool shown = alpha > faint;
        for (int channel = 0; channel < 3; ++channel)
            rgba.data[4 * pixel + channel] = shown ? colors[ray].v[channel] * alpha : 0.0f;
        rgba.data[4 * pixel + 3] = alpha;
        if (depths.shape[0] > 0)
            depths.data[pixel] = shown ? record[11] : 0.0f;
        if (normals_out.shape[0] > 0)
            for (int axis = 0; axis < 3; ++axis)
                normals_out.data[3 * pixel + axis] = shown ? record[8 + axis] : 0.0f;
        if (codes_out.shape[0] > 0)
            for (int channel = 0; channel < 8; ++channel)
                codes_out.data[8 * pixel + channel] = shown ? record[channel] : 0.0f;
    }
"""


@cache
def _kernel(width: int) -> Any:
    """The kernel for networks of one width, which is known when it is compiled."""
    source = MARCHING + SHADING.replace("WIDTH_OF_NETWORK", str(width)) + _DRAW

    @wp.func_native(source)
    def draw_slots(
        slot: wp.int32,
        grid: Grid,
        top: wp.array[wp.int32],
        blocks: wp.array[wp.uint8],
        density: wp.array[wp.float32],
        normals: wp.array2d[wp.int8],
        codes: wp.array2d[wp.uint8],
        rays: View,
        rays_o: wp.array[wp.vec3f],
        rays_d: wp.array[wp.vec3f],
        tiles: wp.array[wp.int32],
        starts: wp.array[wp.float32],
        step: wp.float32,
        gate: Gate,
        reflections: wp.int32,
        lift: wp.float32,
        opaque: wp.float32,
        faint: wp.float32,
        look_every: wp.float32,
        cells_of_map: wp.int32,
        directions: wp.array[wp.int16],
        weights: wp.array[wp.float32],
        rgba: wp.array[wp.float32],
        depths: wp.array[wp.float32],
        normals_out: wp.array[wp.float32],
        codes_out: wp.array[wp.float32],
    ) -> None: ...

    @wp.kernel(enable_backward=False, module="unique")
    def draw_kernel(
        per_index: wp.int32,  # slots
        grid: Grid,
        top: wp.array[wp.int32],
        blocks: wp.array[wp.uint8],
        density: wp.array[wp.float32],
        normals: wp.array2d[wp.int8],
        codes: wp.array2d[wp.uint8],
        rays: View,
        rays_o: wp.array[wp.vec3f],  # [R]
        rays_d: wp.array[wp.vec3f],  # [R]
        tiles: wp.array[wp.int32],  # [T]
        starts: wp.array[wp.float32],  # [tiles]
        step: wp.float32,  # voxels
        gate: Gate,
        reflections: wp.int32,
        lift: wp.float32,  # voxels
        cells_of_map: wp.int32,
        directions: wp.array[wp.int16],  # [(N + 1) ** 2 * H]
        weights: wp.array[wp.float32],
        rgba: wp.array[wp.float32],  # [4 * R]
        depths: wp.array[wp.float32],  # [R] or [0]
        normals_out: wp.array[wp.float32],  # [3 * R] or [0]
        codes_out: wp.array[wp.float32],  # [8 * R] or [0]
        first: wp.int32,
    ) -> None:
        """One index per tile on a CPU, per slot on CUDA. Writes their pixels."""
        draw_slots(
            (first + wp.tid()) * per_index,
            grid,
            top,
            blocks,
            density,
            normals,
            codes,
            rays,
            rays_o,
            rays_d,
            tiles,
            starts,
            step,
            gate,
            reflections,
            lift,
            wp.static(OPAQUE),
            wp.static(FAINT),
            wp.static(LOOK_EVERY),
            cells_of_map,
            directions,
            weights,
            rgba,
            depths,
            normals_out,
            codes_out,
        )

    return draw_kernel
