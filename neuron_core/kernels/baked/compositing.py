"""Sort what instances and meshes show along each ray, and write the pixels.

Letters in shapes: R rays, T tiles of 64 rays, I instances, P pairs of a tile and an instance.
"""

from dataclasses import dataclass
from typing import Any

import warp as wp

from neuron_core.kernels.arrays import view
from neuron_core.kernels.baked.instances import (
    FEW_TILES,
    LAYER,
    PLACEMENT,
    TILES,
    Tiled,
    ray_arguments,
    tile_arguments,
)
from neuron_core.kernels.baked.marching import FAINT, OPAQUE
from neuron_core.kernels.baked.rays import BEAM, Rays, View
from neuron_core.kernels.launch import CORES, launch

AT_ONCE = 64  # layers along one ray that are sorted together; of more, the nearest ones first


@dataclass(frozen=True, slots=True)
class Occluders:
    """What rays meet of the meshes; everything behind is hidden."""

    times: Any  # [R] float32 distances along the unit ray, FAR where nothing is
    colors: Any  # [R, 3] float32
    normals: Any  # [R, 3] float32, facing the camera
    ids: Any  # [R] int32


@dataclass(frozen=True, slots=True)
class Picture:
    """What is written: all float32 but `ids`. Rays in tiles that are not composed are left alone."""

    rgba: Any  # [R, 4] premultiplied
    depths: Any  # [R] distance along the unit ray
    normals: Any  # [R, 3] world
    ids: Any  # [R] int32


def compose(
    table: Any,
    rays: Rays,
    tiled: Tiled,
    layers: Any,
    occluders: Occluders | None,
    picture: Picture,
    device: str = "cpu",
) -> None:
    """Write the pixels of the tiles from `layers` [64 * P, 8]."""
    tiles = int(tiled.tiles.shape[0])
    per_index = BEAM if device == "cpu" else 1
    count = rays.count
    met = [*_nothing(device)] if occluders is None else [*_all(occluders)]
    scale = int(occluders is not None) * count
    kinds = ((wp.float32, 1), (wp.float32, 3), (wp.float32, 3), (wp.int32, 1))
    arguments = [
        view(table, wp.float32, [int(table.shape[0]), PLACEMENT]),
        *ray_arguments(rays),
        *tile_arguments(tiled),
        view(layers, wp.float32, [int(layers.shape[0]) * LAYER]),
        *(view(array, kind, [scale * width]) for array, (kind, width) in zip(met, kinds, strict=True)),
        per_index,
        view(picture.rgba, wp.float32, [count * 4]),
        view(picture.depths, wp.float32, [count]),
        view(picture.normals, wp.float32, [count * 3]),
        view(picture.ids, wp.int32, [count]),
    ]
    slices = 1 if tiles < FEW_TILES else 8 * CORES
    launch(compose_kernel, arguments, tiles, BEAM // per_index, device=device, slices=slices)


def _nothing(device: str) -> list[Any]:
    kinds = (wp.float32, wp.float32, wp.float32, wp.int32)
    return [wp.empty(0, dtype=kind, device=device) for kind in kinds]


def _all(met: Occluders) -> tuple[Any, ...]:
    return met.times, met.colors, met.normals, met.ids


_COMPOSE = """
    constexpr int MOST = %(most)d;
    for (int at = place; at < place + count; ++at) {
        const int x = tile_x + (at & ((1 << across) - 1)), y = tile_y + (at >> across);
        if (x >= rays.width || y >= rays.height)
            continue;
        const size_t ray = (size_t)y * rays.width + x;
        const bool has_mesh = mesh_times.shape[0] > 0 && mesh_times.data[ray] < 1e30f;
        const float wall = has_mesh ? mesh_times.data[ray] : 1e30f;
        const Vec direction = world_direction(x, y);
        const float length = sqrtf(dot(direction, direction));
        int order[MOST];
        float times[MOST];
        float color[3] = {0.0f, 0.0f, 0.0f};
        float transmittance = 1.0f, passed = 1.0f, veil = 1.0f, half = 0.0f, until = -1.0f;
        int until_pair = -1;
        bool found = false;
        for (bool first = true, more = true; more && transmittance > 0.0f; first = false) {
            more = false;
            int layer_count = 0;
            for (int k = first_pair; k < last_pair; ++k) {
                const float* layer = layers.data + 8 * (64 * (size_t)pairs.data[k] + at);
                if (!(layer[3] > faint)) {
                    veil *= first ? 1.0f - layer[3] : 1.0f;
                    continue;
                }
                const float* row = table.data + 24 * (size_t)instances.data[pairs.data[k]];
                const Vec of_camera = vec(row + 3) + vec(row + 6) * (float)x + vec(row + 9) * (float)y;
                const Vec local = rays.pinhole != 0 ? of_camera : turned(row + 12, direction);
                const float time = layer[4] * (length / sqrtf(dot(local, local)));
                if (!(time <= wall))
                    continue;
                passed *= first ? 1.0f - layer[3] : 1.0f;
                if (time < until || (time == until && k <= until_pair))
                    continue;
                more = more || layer_count == MOST;
                if (layer_count == MOST && !(time < times[MOST - 1]))
                    continue;
                int to = layer_count < MOST ? layer_count : MOST - 1;
                for (; to > 0 && time < times[to - 1]; --to) {
                    times[to] = times[to - 1];
                    order[to] = order[to - 1];
                }
                times[to] = time;
                order[to] = k;
                layer_count += layer_count < MOST ? 1 : 0;
            }
            passed = passed <= opaque ? 0.0f : passed;
            half = has_mesh ? 0.5f : 0.5f * passed + 0.5f;  // of what is stopped
            for (int k = 0; k < layer_count && transmittance > 0.0f; ++k) {
                const float* layer = layers.data + 8 * (64 * (size_t)pairs.data[order[k]] + at);
                for (int channel = 0; channel < 3; ++channel)
                    color[channel] += transmittance * layer[channel];
                transmittance *= 1.0f - layer[3];
                transmittance = transmittance <= opaque ? 0.0f : transmittance;
                if (!found && transmittance <= half) {
                    found = true;
                    const int instance = instances.data[pairs.data[order[k]]];
                    const float* m = table.data + 24 * (size_t)instance + 12;
                    // Normals go by the transpose of local_from_world.
                    Vec normal = vec(m) * layer[5] + vec(m + 3) * layer[6] + vec(m + 6) * layer[7];
                    const float squares = dot(normal, normal);
                    normal = normal * (squares > 0.0f ? 1.0f / sqrtf(squares) : 0.0f);
                    depths.data[ray] = times[k];
                    normals.data[3 * ray] = normal.x;
                    normals.data[3 * ray + 1] = normal.y;
                    normals.data[3 * ray + 2] = normal.z;
                    ids.data[ray] = instance;
                }
            }
            until = more ? times[MOST - 1] : 1e30f;
            until_pair = more ? order[MOST - 1] : -1;
        }
        if (has_mesh) {
            for (int channel = 0; channel < 3; ++channel)
                color[channel] += transmittance * mesh_colors.data[3 * ray + channel];
            transmittance = 0.0f;
            if (!found) {
                depths.data[ray] = wall;
                for (int axis = 0; axis < 3; ++axis)
                    normals.data[3 * ray + axis] = mesh_normals.data[3 * ray + axis];
                ids.data[ray] = mesh_ids.data[ray];
            }
        }
        for (int channel = 0; channel < 3; ++channel)
            rgba.data[4 * ray + channel] = color[channel];
        rgba.data[4 * ray + 3] = 1.0f - transmittance * veil;
    }
"""


@wp.func_native(TILES + _COMPOSE % {"most": AT_ONCE})
def compose_rays(
    index: wp.int32,
    place: wp.int32,
    count: wp.int32,
    table: wp.array2d[wp.float32],
    rays: View,
    rays_o: wp.array[wp.vec3f],
    rays_d: wp.array[wp.vec3f],
    tiles: wp.array[wp.int32],
    firsts: wp.array[wp.int32],
    pairs: wp.array[wp.int32],
    instances: wp.array[wp.int32],
    layers: wp.array[wp.float32],
    mesh_times: wp.array[wp.float32],
    mesh_colors: wp.array[wp.float32],
    mesh_normals: wp.array[wp.float32],
    mesh_ids: wp.array[wp.int32],
    faint: wp.float32,
    opaque: wp.float32,
    rgba: wp.array[wp.float32],
    depths: wp.array[wp.float32],
    normals: wp.array[wp.float32],
    ids: wp.array[wp.int32],
) -> None:
    """Write the pixels of some rays of one tile."""
    ...


@wp.kernel(enable_backward=False)
def compose_kernel(
    table: wp.array2d[wp.float32],  # [I, 24]
    rays: View,
    rays_o: wp.array[wp.vec3f],
    rays_d: wp.array[wp.vec3f],
    tiles: wp.array[wp.int32],  # [T]
    firsts: wp.array[wp.int32],  # [T + 1]
    pairs: wp.array[wp.int32],
    instances: wp.array[wp.int32],  # [P]
    layers: wp.array[wp.float32],  # [64 * P * 8]
    mesh_times: wp.array[wp.float32],  # [R], or [0] without meshes
    mesh_colors: wp.array[wp.float32],  # [3 * R]
    mesh_normals: wp.array[wp.float32],  # [3 * R]
    mesh_ids: wp.array[wp.int32],  # [R]
    per_index: wp.int32,  # rays
    rgba: wp.array[wp.float32],  # [4 * R]
    depths: wp.array[wp.float32],  # [R]
    normals: wp.array[wp.float32],  # [3 * R]
    ids: wp.array[wp.int32],  # [R]
    first: wp.int32,
) -> None:
    """One index per tile on a CPU, per ray of a tile on CUDA. Depth, normal and id are those of the
    instance or mesh where half of what stops the light is passed."""
    slot = (first + wp.tid()) * per_index
    compose_rays(
        slot >> 6,
        slot & 63,
        per_index,
        table,
        rays,
        rays_o,
        rays_d,
        tiles,
        firsts,
        pairs,
        instances,
        layers,
        mesh_times,
        mesh_colors,
        mesh_normals,
        mesh_ids,
        wp.static(FAINT),
        wp.static(OPAQUE),
        rgba,
        depths,
        normals,
        ids,
    )
