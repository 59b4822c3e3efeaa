"""Put several baked fields, and opaque meshes, into one picture.

Letters in shapes: R rays, T tiles of 64 rays, I instances, A assets, P pairs of a tile and an
instance that may show in it. What each pair shows is a layer of 64 pixels. Instances that meet no
other one along a ray are marched by the code that draws a single field, those that interpenetrate,
or that a mesh cuts, by `overlap.march_together`. `compositing.compose` sorts the layers along each ray.

Depths in layers are distances in the instance's own space along unit rays there. Between spaces a
ray keeps its time: the multiple of its direction as the camera gives it. Optical depth is the
density of an instance's own space times the length in that space, so scaling changes no picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.arrays import view
from neuron_core.kernels.baked.bricks import CHANNELS, BrickPools, Grid, block_of, grid_of
from neuron_core.kernels.baked.drawing import Gate
from neuron_core.kernels.baked.marching import FAINT, LOOK_EVERY, MARCHING, OPAQUE, cell_at
from neuron_core.kernels.baked.network import SHADING, Network
from neuron_core.kernels.baked.rays import BEAM, Rays, View
from neuron_core.kernels.launch import CORES, launch

RECORD = 16  # numbers of what a ray meets: see `marching.MARCHING`
LAYER = 8  # premultiplied color, opacity, depth, normal
PLACEMENT = 24  # numbers of an instance: see `placements`
FAR = 1e30
FEW_TILES = 8


@wp.struct
class Asset:
    """The pools of a field under one look."""

    grid: Grid
    top: wp.array(dtype=wp.int32)
    blocks: wp.array(dtype=wp.uint8)
    density: wp.array(dtype=wp.float32)
    normals: wp.array2d(dtype=wp.int8)
    codes: wp.array2d(dtype=wp.uint8)


def assets_of(pools: list[BrickPools], codes: list[Any], device: str) -> Any:
    """[A] assets; they refer to the pools and keep no copy."""
    assets = []
    for one, look in zip(pools, codes, strict=True):
        asset = Asset()
        asset.grid = grid_of(one)
        asset.top, asset.blocks = one.top, one.blocks
        asset.density, asset.normals = one.density, one.normals
        asset.codes = view(look, wp.uint8, [int(one.density.shape[0]), CHANNELS])
        assets.append(asset)
    return wp.array(assets, dtype=Asset, device=device)


def placements(local_from_world: np.ndarray, camera: np.ndarray | None) -> np.ndarray:
    """[I, 24] float32 of matrices [I, 4, 4]; `camera` [4, 3] is a pinhole's eye, first, right, down.

    Columns: the camera in the instance's space (12), the 3 x 3 part of the matrix (9), its
    translation (3).
    """
    linear, offset = local_from_world[:, :3, :3], local_from_world[:, :3, 3]
    table = np.zeros((len(linear), PLACEMENT))
    if camera is not None:
        moved = np.einsum("nij,kj->nki", linear, camera)
        moved[:, 0] += offset
        table[:, :12] = moved.reshape(-1, 12)
    table[:, 12:21] = linear.reshape(-1, 9)
    table[:, 21:24] = offset
    return table.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Tiled:
    """Which pairs show in which tiles, on one device."""

    tiles: Any  # [T] int32
    firsts: Any  # [T + 1] int32: where the pairs of each tile begin in `pairs`
    pairs: Any  # int32: places of pairs in the arrays of layers and records
    instances: Any  # [P] int32, by place
    most: int  # pairs of one tile


def find_starts(
    assets: Any, asset_of: Any, table: Any, rays: Rays, tiles: Any, instances: Any, starts: Any
) -> None:
    """Write to `starts` [P] a time before which the rays of a tile meet no density of an instance, FAR
    if they never do. Only for the rays of a camera, and on a CPU."""
    count = int(tiles.shape[0])
    arguments = [
        assets,
        view(asset_of, wp.int32, [int(asset_of.shape[0])]),
        view(table, wp.float32, [int(table.shape[0]), PLACEMENT]),
        rays.view,
        view(tiles, wp.int32, [count]),
        view(instances, wp.int32, [count]),
        view(starts, wp.float32, [count]),
    ]
    launch(beam_kernel, arguments, count, device="cpu", slices=1 if count < 64 else 4 * CORES)


def draw_layers(
    assets: Any,
    which: int,
    network: Network,
    mirror: Sequence[float] | None,
    table: Any,
    rays: Rays,
    tiles: Any,
    instances: Any,
    starts: Any,
    records: Any,
    layers: Any,
    *,
    lift: float,
    step: float,
    sharing: int = 1,
    device: str = "cpu",
) -> None:
    """Write the layers [64 * P, 8] of pairs of one look: `tiles`, `instances` and `starts` are [P].

    `which` is the look's place in `assets`. With `records` [64 * P, 16], which may be None, what the
    rays meet is known already. Mirrors show the same instance once, `sharing` as `drawing.draw` has it.
    """
    count = int(tiles.shape[0])
    per_index = BEAM if device == "cpu" else 1
    known = records is not None
    arguments = [
        per_index,
        assets,
        which,
        view(table, wp.float32, [int(table.shape[0]), PLACEMENT]),
        *ray_arguments(rays),
        view(tiles, wp.int32, [count]),
        view(instances, wp.int32, [count]),
        view(starts, wp.float32, [count]),
        int(known),
        view(records if known else layers, wp.float32, [count * BEAM * (RECORD if known else LAYER)]),
        step,
        Gate(*(mirror or [0.0] * (CHANNELS + 2))),
        0 if mirror is None else sharing,
        lift,
        network.cells,
        network.directions,
        network.weights,
        view(layers, wp.float32, [count * BEAM * LAYER]),
    ]
    slices = 1 if count < FEW_TILES else min(8 * CORES, count // 4)
    launch(_kernel(network.width), arguments, count, BEAM // per_index, device=device, slices=slices)


def ray_arguments(rays: Rays) -> list[Any]:
    """As kernels take them."""
    return [rays.view, rays.rays_o, rays.rays_d]


def tile_arguments(tiled: Tiled) -> list[Any]:
    """As kernels take them."""
    fields = (tiled.tiles, tiled.firsts, tiled.pairs, tiled.instances)
    return [view(array, wp.int32, [int(array.shape[0])]) for array in fields]


# Tiles of rays, for kernels that take `Tiled`.

TILES = """
    struct Vec {
        float x, y, z;
        CUDA_CALLABLE Vec operator+(Vec o) const { return {x + o.x, y + o.y, z + o.z}; }
        CUDA_CALLABLE Vec operator-(Vec o) const { return {x - o.x, y - o.y, z - o.z}; }
        CUDA_CALLABLE Vec operator*(Vec o) const { return {x * o.x, y * o.y, z * o.z}; }
        CUDA_CALLABLE Vec operator*(float by) const { return {x * by, y * by, z * by}; }
    };
    const auto dot = [](Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; };
    const auto vec = [](const float* v) { return Vec{v[0], v[1], v[2]}; };
    const auto turned = [&](const float* m, Vec v) {
        return Vec{dot(vec(m), v), dot(vec(m + 3), v), dot(vec(m + 6), v)};
    };
    const int tile = tiles.data[index], first_pair = firsts.data[index], last_pair = firsts.data[index + 1];
    const int across = rays.tile_width_log2;
    const int tile_x = (tile % rays.tiles_x) << across, tile_y = (tile / rays.tiles_x) << (6 - across);
    const auto world_direction = [&](int x, int y) {
        if (rays.pinhole == 0) {
            const auto& d = rays_d.data[y * rays.width + x];
            return Vec{d[0], d[1], d[2]};
        }
        const float u = (float)x, v = (float)y;
        return Vec{rays.first[0] + rays.right[0] * u + rays.down[0] * v,
            rays.first[1] + rays.right[1] * u + rays.down[1] * v,
            rays.first[2] + rays.right[2] * u + rays.down[2] * v};
    };
"""

# What draws a single field, for a tile as an instance sees it: names that it reads are given other
# meanings first.

_PLACED = """
    const int pair = slot >> 6;
    const float* placement = table.data + 24 * (size_t)instances.data[pair];
    const auto& asset = assets.data[which];
    const auto grid = asset.grid;
    const auto& top = asset.top;
    const auto& blocks = asset.blocks;
    const auto& density = asset.density;
    const auto& normals = asset.normals;
    const auto& codes = asset.codes;
    auto rays = world_rays;
    for (int axis = 0; axis < 3; ++axis) {
        rays.eye[axis] = placement[axis];
        rays.first[axis] = placement[3 + axis];
        rays.right[axis] = placement[6 + axis];
        rays.down[axis] = placement[9 + axis];
    }
    struct Moved {
        const wp::vec_t<3, float>* world;
        const float *matrix, *offset;  // no offset: a direction, of unit length
        CUDA_CALLABLE wp::vec_t<3, float> operator[](int index) const {
            const auto& from = world[index];
            wp::vec_t<3, float> to;
            float squares = 0.0f;
            for (int axis = 0; axis < 3; ++axis) {
                to[axis] = matrix[3 * axis] * from[0] + matrix[3 * axis + 1] * from[1]
                    + matrix[3 * axis + 2] * from[2] + (offset != nullptr ? offset[axis] : 0.0f);
                squares += to[axis] * to[axis];
            }
            const float unit = offset == nullptr && squares > 0.0f ? 1.0f / sqrtf(squares) : 1.0f;
            for (int axis = 0; axis < 3; ++axis)
                to[axis] *= unit;
            return to;
        }
    };
    struct { Moved data; } rays_o = {{world_o.data, placement + 12, placement + 21}};
    struct { Moved data; } rays_d = {{world_d.data, placement + 12, nullptr}};
    {
"""

_LAYER = """
    float records[16 * MANY], reflected[16 * MANY];
    Color colors[MANY], mirrored[MANY];
    view_rays(known != 0 ? 0.0f : starts.data[pair]);
    if (known != 0) {
        for (int i = 0; i < 16 * MANY; ++i)
            records[i] = all_records.data[16 * (size_t)slot + i];
    } else {
        prepare();
        follow();
        write_records(records);
    }
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
        const float* record = records + 16 * ray;
        float* layer = layers.data + 8 * ((size_t)slot + ray);
        layer[3] = record[12];
        if (!(record[12] > faint))
            continue;
        for (int channel = 0; channel < 3; ++channel)
            layer[channel] = colors[ray].v[channel] * record[12];
        layer[4] = record[11];
        for (int axis = 0; axis < 3; ++axis)
            layer[5 + axis] = record[8 + axis];
    }
    }
"""


@cache
def _kernel(width: int) -> Any:
    """The kernel for networks of one width, which is known when it is compiled."""
    source = _PLACED + MARCHING + SHADING.replace("WIDTH_OF_NETWORK", str(width)) + _LAYER

    @wp.func_native(source)
    def draw_pair(
        slot: wp.int32,
        assets: wp.array[Asset],
        which: wp.int32,
        table: wp.array2d[wp.float32],
        world_rays: View,
        world_o: wp.array[wp.vec3f],
        world_d: wp.array[wp.vec3f],
        tiles: wp.array[wp.int32],
        instances: wp.array[wp.int32],
        starts: wp.array[wp.float32],
        known: wp.int32,
        all_records: wp.array[wp.float32],
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
        layers: wp.array[wp.float32],
    ) -> None: ...

    @wp.kernel(enable_backward=False, module="unique")
    def layer_kernel(
        per_index: wp.int32,  # slots
        assets: wp.array[Asset],  # [A]
        which: wp.int32,
        table: wp.array2d[wp.float32],  # [I, 24]
        rays: View,
        rays_o: wp.array[wp.vec3f],
        rays_d: wp.array[wp.vec3f],
        tiles: wp.array[wp.int32],  # [P]
        instances: wp.array[wp.int32],  # [P]
        starts: wp.array[wp.float32],  # [P]
        known: wp.int32,
        records: wp.array[wp.float32],  # [64 * P * 16] if known
        step: wp.float32,  # voxels
        gate: Gate,
        reflections: wp.int32,
        lift: wp.float32,  # voxels
        cells_of_map: wp.int32,
        directions: wp.array[wp.int16],  # [(N + 1) ** 2 * H]
        weights: wp.array[wp.float32],
        layers: wp.array[wp.float32],  # [64 * P * 8]
        first: wp.int32,
    ) -> None:
        """One index per pair on a CPU, per ray of a pair on CUDA. Writes its layer."""
        draw_pair(
            (first + wp.tid()) * per_index,
            assets,
            which,
            table,
            rays,
            rays_o,
            rays_d,
            tiles,
            instances,
            starts,
            known,
            records,
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
            layers,
        )

    return layer_kernel


@wp.func
def column_of(table: wp.array2d[wp.float32], instance: wp.int32, first: wp.int32) -> wp.vec3f:
    """Three numbers of a placement."""
    return wp.vec3f(table[instance, first], table[instance, first + 1], table[instance, first + 2])


@wp.kernel(enable_backward=False)
def beam_kernel(
    assets: wp.array[Asset],  # [A]
    asset_of: wp.array[wp.int32],  # [I]
    table: wp.array2d[wp.float32],  # [I, 24]
    rays: View,
    tiles: wp.array[wp.int32],  # [P]
    instances: wp.array[wp.int32],  # [P]
    starts: wp.array[wp.float32],  # [P]
    first: wp.int32,
) -> None:
    """One index per pair. At each time the rays of the tile are in a box that moves and grows; it is
    followed through the instance until it touches a block with density."""
    pair = first + wp.tid()
    instance = instances[pair]
    grid = assets[asset_of[instance]].grid
    eye = (column_of(table, instance, 0) - grid.low) * grid.scale
    corner = column_of(table, instance, 3) * grid.scale
    right = column_of(table, instance, 6) * grid.scale
    down = column_of(table, instance, 9) * grid.scale
    x = wp.float32(8 * (tiles[pair] % rays.tiles_x))
    y = wp.float32(8 * (tiles[pair] // rays.tiles_x))
    slowest = corner + x * right + y * down
    fastest = slowest
    for number in range(1, 4):
        speed = (
            corner + (x + wp.float32(7 * (number & 1))) * right + (y + wp.float32(7 * (number >> 1))) * down
        )
        slowest = wp.min(slowest, speed)
        fastest = wp.max(fastest, speed)
    time = wp.float32(0.0)
    far = wp.float32(wp.static(FAR))
    for axis in range(3):
        ahead = grid.inside_low[axis] - eye[axis]
        past = grid.inside_high[axis] - eye[axis]
        if ahead > 0.0:
            time = wp.where(fastest[axis] > 0.0, wp.max(time, ahead / fastest[axis]), wp.static(FAR))
        if past < 0.0:
            time = wp.where(slowest[axis] < 0.0, wp.max(time, past / slowest[axis]), wp.static(FAR))
        if slowest[axis] > 0.0:
            far = wp.min(far, past / slowest[axis])
        if fastest[axis] < 0.0:
            far = wp.min(far, ahead / fastest[axis])
    size = wp.float32(1 << grid.block_log2)
    blocks_in_grid = grid.shape * (1 << (3 - grid.block_log2))
    margin = wp.vec3f(0.01, 0.01, 0.01)
    for _ in range(256):
        if time > far:
            break
        # In blocks; slightly larger, so that rounding cannot hide a block from a ray.
        here_low = (eye + time * slowest) / size - margin
        here_high = (eye + time * fastest) / size + margin
        middle = 0.5 * (here_low + here_high)
        bx = cell_at(middle[0], blocks_in_grid[0])
        by = cell_at(middle[1], blocks_in_grid[1])
        bz = cell_at(middle[2], blocks_in_grid[2])
        reach = wp.float32(assets[asset_of[instance]].blocks[block_of(grid, bx, by, bz)])
        cell = wp.vec3f(wp.float32(bx), wp.float32(by), wp.float32(bz))
        free_low = cell - wp.vec3f(reach - 1.0, reach - 1.0, reach - 1.0)
        free_high = cell + wp.vec3f(reach, reach, reach)
        way = wp.float32(wp.static(FAR))
        for axis in range(3):
            # What lies outside the grid is free.
            if free_low[axis] > 0.0:
                if here_low[axis] <= free_low[axis]:
                    way = wp.float32(-1.0)
                elif slowest[axis] < 0.0:
                    way = wp.min(way, size * (free_low[axis] - here_low[axis]) / slowest[axis])
            if free_high[axis] < wp.float32(blocks_in_grid[axis]):
                if here_high[axis] >= free_high[axis]:
                    way = wp.float32(-1.0)
                elif fastest[axis] > 0.0:
                    way = wp.min(way, size * (free_high[axis] - here_high[axis]) / fastest[axis])
        if way <= 0.0:
            break
        time = time + way
    starts[pair] = wp.where(time <= far, time, wp.static(FAR))


# Cursors walk along the rays of the members, each on its own lattice of ticks, from one piece of
# line with positive density to the next; the pieces are merged by time.
