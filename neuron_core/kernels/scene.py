"""Put several baked fields, and opaque meshes, into one picture.

Letters in shapes: R rays, T tiles of 64 rays, I instances, A assets, P pairs of a tile and an
instance that may show in it. What each pair shows is a layer of 64 pixels. Instances that meet no
other one along a ray are marched by the code that draws a single field, those that interpenetrate,
or that a mesh cuts, by `march_together`. `compose` sorts the layers along each ray.

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
from neuron_core.kernels.bricks import CHANNELS, BrickPools, Grid, block_of, grid_of
from neuron_core.kernels.drawing import Gate
from neuron_core.kernels.launch import CORES, launch
from neuron_core.kernels.nvf import FAINT, LOOK_EVERY, MARCHING, OPAQUE, cell_at
from neuron_core.kernels.shading import SHADING, Network
from neuron_core.kernels.viewing import BEAM, Rays, View, direction_of, origin_of, ray_of

RECORD = 16  # numbers of what a ray meets: see `nvf.MARCHING`
LAYER = 8  # premultiplied color, opacity, depth, normal
PLACEMENT = 24  # numbers of an instance: see `placements`
MOST_TOGETHER = 24  # instances that are marched together in one tile
MOST_LAYERS = 64  # along one ray; the farthest of more are left out
FAR = 1e30
_FEW_TILES = 8


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
        *_rays(rays),
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
    slices = 1 if count < _FEW_TILES else min(8 * CORES, count // 4)
    launch(_kernel(network.width), arguments, count, BEAM // per_index, device=device, slices=slices)


def march_together(
    assets: Any,
    asset_of: Any,
    table: Any,
    rays: Rays,
    tiled: Tiled,
    limits: Any,
    records: Any,
    *,
    step: float = 0.5,
    device: str = "cpu",
) -> None:
    """Write the records of all pairs of `tiled`, whose instances may interpenetrate.

    `asset_of` [I] int32 and `table` [I, 24] place instances, `limits` [R] are distances beyond which
    nothing is looked at. At most MOST_TOGETHER pairs of a tile are taken.
    """
    tiles = int(tiled.tiles.shape[0])
    per_index = BEAM if device == "cpu" else 1
    arguments = [
        assets,
        view(asset_of, wp.int32, [int(asset_of.shape[0])]),
        view(table, wp.float32, [int(table.shape[0]), PLACEMENT]),
        *_rays(rays),
        *_tiled(tiled),
        view(limits, wp.float32, [rays.count]),
        step,
        per_index,
        view(records, wp.float32, [int(records.shape[0]), RECORD]),
    ]
    slices = 1 if tiles < _FEW_TILES else 8 * CORES
    launch(together_kernel, arguments, tiles, BEAM // per_index, device=device, slices=slices)


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
        *_rays(rays),
        *_tiled(tiled),
        view(layers, wp.float32, [int(layers.shape[0]) * LAYER]),
        *(view(array, kind, [scale * width]) for array, (kind, width) in zip(met, kinds, strict=True)),
        per_index,
        view(picture.rgba, wp.float32, [count * 4]),
        view(picture.depths, wp.float32, [count]),
        view(picture.normals, wp.float32, [count * 3]),
        view(picture.ids, wp.int32, [count]),
    ]
    slices = 1 if tiles < _FEW_TILES else 8 * CORES
    launch(compose_kernel, arguments, tiles, BEAM // per_index, device=device, slices=slices)


def _nothing(device: str) -> list[Any]:
    kinds = (wp.float32, wp.float32, wp.float32, wp.int32)
    return [wp.empty(0, dtype=kind, device=device) for kind in kinds]


class Surfaces:
    """Triangles in the world that rays can hit."""

    def __init__(self, positions: np.ndarray, faces: np.ndarray, device: str = "cpu") -> None:
        """`positions` [V, 3] and `faces` [F, 3]."""
        points = wp.array(np.ascontiguousarray(positions, np.float32), dtype=wp.vec3f, device=device)
        corners = np.ascontiguousarray(faces, np.int32).ravel()
        indices = wp.array(corners, dtype=wp.int32, device=device)
        self.mesh = wp.Mesh(points, indices)
        self.device = device


def cast(surfaces: Surfaces, rays: Rays, times: Any, normals: Any, faces: Any, facing: Any) -> None:
    """Write how far away rays meet a triangle (FAR without one), its unit normal towards the ray,
    which one it is, and the cosine between both."""
    arguments = [
        surfaces.mesh.id,
        *_rays(rays),
        view(times, wp.float32, [rays.count]),
        view(normals, wp.vec3f, [rays.count]),
        view(faces, wp.int32, [rays.count]),
        view(facing, wp.float32, [rays.count]),
    ]
    slices = 1 if rays.tiles < _FEW_TILES else 8 * CORES
    launch(cast_kernel, arguments, rays.tiles, BEAM, device=surfaces.device, slices=slices)


def _all(met: Occluders) -> tuple[Any, ...]:
    return met.times, met.colors, met.normals, met.ids


def _rays(rays: Rays) -> list[Any]:
    return [rays.view, rays.rays_o, rays.rays_d]


def _tiled(tiled: Tiled) -> list[Any]:
    fields = (tiled.tiles, tiled.firsts, tiled.pairs, tiled.instances)
    return [view(array, wp.int32, [int(array.shape[0])]) for array in fields]


_COMMON = """
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

_TOGETHER = """
    constexpr int MOST = %(most)d;
    struct Cursor {
        int pair, instance, tick, first_waiting;
        Vec entry, stride, inverse;
        float near, time_per_tick, length_per_time, last, limit;  // near and limit are times
        float before;
        bool known, done;
        float from, to, a, b;  // the piece: times, and densities at its ends
        float codes[8], normal[3];
        float weight, depth, waiting, moment, largest, surest;
    };
    const auto low = [](float a, float b) { return a < b ? a : b; };
    const auto high = [](float a, float b) { return a > b ? a : b; };
    const auto inverse_of = [](float speed) {  // finite; zero counts as negative
        return fabsf(speed) > 1e-20f ? 1.0f / speed : (speed > 0.0f ? 1e20f : -1e20f);
    };
    const auto cell_in = [](float place, int cells) {
        const int cell = (int)place;
        return cell < 0 ? 0 : (cell < cells ? cell : cells - 1);
    };
    const int window = (int)(look_every / step + 0.5f) > 1 ? (int)(look_every / step + 0.5f) : 1;

    struct Place { int row, x, y, z; Vec part; };
    const auto place_of = [&](const auto& asset, Vec at) {
        const auto& shape = asset.grid.shape;
        const int x = cell_in(at.x, 8 * shape[0]), y = cell_in(at.y, 8 * shape[1]);
        const int z = cell_in(at.z, 8 * shape[2]);
        const int brick = asset.top.data[((x >> 3) * shape[1] + (y >> 3)) * shape[2] + (z >> 3)];
        const int row = 729 * brick + 81 * (x & 7) + 9 * (y & 7) + (z & 7);
        return Place{brick < 0 ? -1 : row, x, y, z, at - Vec{(float)x, (float)y, (float)z}};
    };
    const auto density_at = [&](const auto& asset, int row, Vec part) {
        const float* corner = asset.density.data + row;
        const float a = corner[0] + part.x * (corner[81] - corner[0]);
        const float b = corner[1] + part.x * (corner[82] - corner[1]);
        const float c = corner[9] + part.x * (corner[90] - corner[9]);
        const float d = corner[10] + part.x * (corner[91] - corner[10]);
        const float e = a + part.y * (c - a);
        const float f = b + part.y * (d - b);
        return e + part.z * (f - e);
    };

    // Go on to the next piece with density.
    const auto advance = [&](Cursor& c) {
        const auto& asset = assets.data[asset_of.data[c.instance]];
        const auto& shape = asset.grid.shape;
        const int block_log2 = asset.grid.block_log2, per_brick_log2 = 3 - block_log2;
        const float size = (float)(1 << block_log2);
        while ((float)c.tick <= c.last + 1.0f) {
            const float time = (float)c.tick;
            const Vec at = c.entry + c.stride * time;
            const Place place = place_of(asset, at);
            if (c.before <= 0.0f) {
                const int bx = place.x >> block_log2, by = place.y >> block_log2, bz = place.z >> block_log2;
                const int far = asset.blocks.data[
                    (bx * (shape[1] << per_brick_log2) + by) * (shape[2] << per_brick_log2) + bz];
                if (far > 0) {
                    const float ex = (float)(c.stride.x > 0.0f ? bx + far : bx + 1 - far) * size;
                    const float ey = (float)(c.stride.y > 0.0f ? by + far : by + 1 - far) * size;
                    const float ez = (float)(c.stride.z > 0.0f ? bz + far : bz + 1 - far) * size;
                    const float way = low((ex - at.x) * c.inverse.x,
                        low((ey - at.y) * c.inverse.y, (ez - at.z) * c.inverse.z));
                    c.tick += 1 + (int)(way < 0.0f ? 0.0f : (way < 1.0e9f ? way : 1.0e9f));
                    c.before = 0.0f;
                    c.known = false;
                    continue;
                }
            }
            const bool inside = place.row >= 0 && time <= c.last;
            const float here = inside ? density_at(asset, place.row, place.part) : 0.0f;
            float a = c.before, length = 1.0f;
            if (c.before <= 0.0f && here > 0.0f) {
                const float sx = c.stride.x > 0.0f ? 0.0f : 1.0f, sy = c.stride.y > 0.0f ? 0.0f : 1.0f;
                const float sz = c.stride.z > 0.0f ? 0.0f : 1.0f;
                float back = low((place.part.x - sx) * c.inverse.x,
                    low((place.part.y - sy) * c.inverse.y, (place.part.z - sz) * c.inverse.z));
                back = back < 0.0f ? 0.0f : (back < 1.0f ? back : 1.0f);
                const float side = density_at(asset, place.row, place.part - c.stride * back);
                if (side <= 0.0f || !c.known) {
                    a = side;
                    length = back;
                }
            }
            const bool some = (here > 0.0f || c.before > 0.0f) && c.tick > 0;
            c.before = here;
            c.known = inside;
            c.tick += 1;
            if (!some)
                continue;
            const float up = high(a, 0.0f), down = high(here, 0.0f);
            const float part = a < 0.0f ? down / (down - a) : (here < 0.0f ? up / (up - here) : 1.0f);
            const float start = time - length * (a < 0.0f ? part : 1.0f);
            c.a = up;
            c.b = down;
            c.from = c.near + start * c.time_per_tick;
            c.to = c.near + (start + length * part) * c.time_per_tick;
            if (c.to > c.from && c.from < c.limit)
                return;
        }
        c.done = true;
        c.from = c.to = 1e30f;
    };

    const auto add = [&](Cursor& c, Vec at, float weight, bool surely) {
        const auto& asset = assets.data[asset_of.data[c.instance]];
        const Place place = place_of(asset, at);
        if (place.row < 0 || !(surely || density_at(asset, place.row, place.part) > 0.0f))
            return false;
        for (int corner = 0; corner < 8; ++corner) {
            const int row = place.row + ((corner & 4) ? 81 : 0) + ((corner & 2) ? 9 : 0) + (corner & 1);
            const float by = weight * ((corner & 4) ? place.part.x : 1.0f - place.part.x)
                * ((corner & 2) ? place.part.y : 1.0f - place.part.y)
                * ((corner & 1) ? place.part.z : 1.0f - place.part.z);
            const unsigned char* code = asset.codes.data + 8 * (size_t)row;
            const signed char* normal = (const signed char*)asset.normals.data + 4 * (size_t)row;
            for (int channel = 0; channel < 8; ++channel)
                c.codes[channel] += by * (float)code[channel];
            for (int axis = 0; axis < 3; ++axis)
                c.normal[axis] += by * (float)normal[axis];
        }
        return true;
    };
    const auto read_attributes = [&](Cursor& c) {
        if (!add(c, c.entry + c.stride * (c.moment / c.waiting), c.waiting, false))
            add(c, c.entry + c.stride * c.surest, c.waiting, true);
        c.waiting = c.moment = c.largest = 0.0f;
    };

    for (int at = place; at < place + count; ++at) {
        const int x = tile_x + (at & ((1 << across) - 1)), y = tile_y + (at >> across);
        for (int k = first_pair; k < last_pair; ++k)
            records.data[16 * (64 * (size_t)pairs.data[k] + at) + 12] = 0.0f;
        if (x >= rays.width || y >= rays.height)
            continue;
        const int ray = y * rays.width + x;
        const Vec world = world_direction(x, y);
        const float world_length = sqrtf(dot(world, world));
        const float limit = limits.data[ray] < 1e30f ? limits.data[ray] / world_length : 1e30f;
        Cursor cursors[MOST];
        int members = 0;
        for (int k = first_pair; k < last_pair && members < MOST; ++k) {
            const int instance = instances.data[pairs.data[k]];
            const float* row = table.data + 24 * (size_t)instance;
            const auto& grid = assets.data[asset_of.data[instance]].grid;
            Vec origin, speed;
            if (rays.pinhole != 0) {
                origin = vec(row);
                speed = vec(row + 3) + vec(row + 6) * (float)x + vec(row + 9) * (float)y;
            } else {
                const auto& o = rays_o.data[ray];
                origin = turned(row + 12, Vec{o[0], o[1], o[2]}) + vec(row + 21);
                speed = turned(row + 12, world);
            }
            const float length = sqrtf(dot(speed, speed));
            origin = (origin - Vec{grid.low[0], grid.low[1], grid.low[2]}) * grid.scale;
            speed = speed * grid.scale;
            if (!(length > 0.0f && length < 1e15f && dot(origin, origin) < 1e30f))
                continue;
            const Vec inverse = {inverse_of(speed.x), inverse_of(speed.y), inverse_of(speed.z)};
            const Vec one = (Vec{grid.inside_low[0], grid.inside_low[1], grid.inside_low[2]} - origin)
                * inverse;
            const Vec two = (Vec{grid.inside_high[0], grid.inside_high[1], grid.inside_high[2]} - origin)
                * inverse;
            const float near = high(0.0f,
                high(low(one.x, two.x), high(low(one.y, two.y), low(one.z, two.z))));
            const float far = low(high(one.x, two.x), low(high(one.y, two.y), high(one.z, two.z)));
            if (!(far > near) || near >= limit)
                continue;
            Cursor& c = cursors[members++];
            c.pair = pairs.data[k];
            c.instance = instance;
            c.time_per_tick = step / (length * grid.scale);
            c.length_per_time = length;
            c.near = near;
            c.limit = limit;
            c.entry = origin + speed * near;
            c.stride = speed * c.time_per_tick;
            c.inverse = inverse * (1.0f / c.time_per_tick);
            c.tick = 0;
            c.last = low((far - near) / c.time_per_tick, 1e9f);
            c.before = 0.0f;
            c.known = c.done = false;
            for (int channel = 0; channel < 8; ++channel)
                c.codes[channel] = 0.0f;
            for (int axis = 0; axis < 3; ++axis)
                c.normal[axis] = 0.0f;
            c.weight = c.depth = c.waiting = c.moment = c.largest = c.surest = 0.0f;
            advance(c);
        }
        float transmittance = 1.0f, now = 0.0f;
        while (transmittance > opaque) {
            float start = 1e30f, end = 1e30f;
            for (int k = 0; k < members; ++k)
                start = low(start, high(now, cursors[k].from));
            if (start >= 1e30f || start >= limit)
                break;
            for (int k = 0; k < members; ++k)
                end = low(end, cursors[k].from <= start ? cursors[k].to : cursors[k].from);
            end = low(end, limit);
            float up = 0.0f, down = 0.0f;  // per time
            float shares[MOST];
            for (int k = 0; k < members; ++k) {
                Cursor& c = cursors[k];
                shares[k] = 0.0f;
                if (c.from > start || !(end > start))
                    continue;
                const float slope = (c.b - c.a) / (c.to - c.from);
                const float one = high(c.a + slope * (start - c.from), 0.0f) * c.length_per_time;
                const float two = high(c.a + slope * (end - c.from), 0.0f) * c.length_per_time;
                shares[k] = one + two;
                up += one;
                down += two;
            }
            const float both = up + down, optical_depth = 0.5f * both * (end - start);
            const float rest = transmittance * expf(-optical_depth);
            const float left = rest <= opaque ? 0.0f : rest, weight = transmittance - left;
            if (weight > 0.0f) {
                const float mean = optical_depth > 0.05f ? 1.0f / optical_depth - left / weight
                    : 0.5f - optical_depth / 12.0f;
                const float root = up * up + (down * down - up * up) * mean;
                const float on_line = mean * both / (up + sqrtf(high(root, 0.0f)));
                const float stopped = start + (end - start) * on_line;
                for (int k = 0; k < members; ++k) {
                    Cursor& c = cursors[k];
                    const float own = weight * shares[k] / both;
                    if (!(own > 0.0f))
                        continue;
                    if (c.waiting <= 0.0f)
                        c.first_waiting = c.tick - 1;
                    c.waiting += own;
                    c.moment += own * ((stopped - c.near) / c.time_per_tick);
                    c.weight += own;
                    c.depth += own * stopped;
                    if (own > c.largest) {
                        c.largest = own;
                        c.surest = (c.b >= c.a ? c.to - c.near : c.from - c.near) / c.time_per_tick;
                    }
                }
                transmittance = left;
            }
            now = end;
            for (int k = 0; k < members; ++k) {
                Cursor& c = cursors[k];
                if (c.done || c.to > now)
                    continue;
                const float was = c.to;
                const int looked = c.tick;
                advance(c);
                const bool gap = c.from > was + 0.01f * c.time_per_tick;
                if (c.waiting > 0.02f && (gap || looked - c.first_waiting >= window))
                    read_attributes(c);
            }
        }
        // In the order of their depths, so that one over another gives the weights.
        float behind = 1.0f;
        for (int written = 0; written < members; ++written) {
            int next = -1;
            float nearest = 1e30f;
            for (int k = 0; k < members; ++k) {
                const Cursor& c = cursors[k];
                const float depth = c.weight > 0.0f ? c.depth / c.weight : 2e29f;
                if (c.pair >= 0 && depth < nearest) {
                    nearest = depth;
                    next = k;
                }
            }
            Cursor& c = cursors[next];
            if (c.waiting > 0.0f)
                read_attributes(c);
            float* record = records.data + 16 * (64 * (size_t)c.pair + at);
            const float alpha = behind > 1e-6f ? low(c.weight / behind, 1.0f) : 0.0f;
            record[12] = alpha;
            behind -= c.weight;
            c.pair = -1;
            if (!(alpha > 0.0f))
                continue;
            for (int channel = 0; channel < 8; ++channel)
                record[channel] = c.codes[channel] / c.weight;
            const Vec normal = vec(c.normal);
            const float squares = dot(normal, normal), unit = squares > 0.0f ? 1.0f / sqrtf(squares) : 0.0f;
            record[8] = normal.x * unit;
            record[9] = normal.y * unit;
            record[10] = normal.z * unit;
            record[11] = c.depth / c.weight * c.length_per_time;
            const Vec direction = c.stride * (1.0f / sqrtf(dot(c.stride, c.stride)));
            record[13] = direction.x;
            record[14] = direction.y;
            record[15] = direction.z;
        }
    }
"""


@wp.func_native(_COMMON + _TOGETHER % {"most": MOST_TOGETHER})
def march_rays_together(
    index: wp.int32,
    place: wp.int32,
    count: wp.int32,
    assets: wp.array[Asset],
    asset_of: wp.array[wp.int32],
    table: wp.array2d[wp.float32],
    rays: View,
    rays_o: wp.array[wp.vec3f],
    rays_d: wp.array[wp.vec3f],
    tiles: wp.array[wp.int32],
    firsts: wp.array[wp.int32],
    pairs: wp.array[wp.int32],
    instances: wp.array[wp.int32],
    limits: wp.array[wp.float32],
    step: wp.float32,
    opaque: wp.float32,
    look_every: wp.float32,
    records: wp.array2d[wp.float32],
) -> None:
    """Write the records of some rays of one tile."""
    ...


@wp.kernel(enable_backward=False)
def together_kernel(
    assets: wp.array[Asset],  # [A]
    asset_of: wp.array[wp.int32],  # [I]
    table: wp.array2d[wp.float32],  # [I, 24]
    rays: View,
    rays_o: wp.array[wp.vec3f],
    rays_d: wp.array[wp.vec3f],
    tiles: wp.array[wp.int32],  # [T]
    firsts: wp.array[wp.int32],  # [T + 1]
    pairs: wp.array[wp.int32],
    instances: wp.array[wp.int32],  # [P]
    limits: wp.array[wp.float32],  # [R]
    step: wp.float32,  # voxels
    per_index: wp.int32,  # rays
    records: wp.array2d[wp.float32],  # [64 * P, 16]
    first: wp.int32,
) -> None:
    """One index per tile on a CPU, per ray of a tile on CUDA."""
    slot = (first + wp.tid()) * per_index
    march_rays_together(
        slot >> 6,
        slot & 63,
        per_index,
        assets,
        asset_of,
        table,
        rays,
        rays_o,
        rays_d,
        tiles,
        firsts,
        pairs,
        instances,
        limits,
        step,
        wp.static(OPAQUE),
        wp.static(LOOK_EVERY),
        records,
    )


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
        int layer_count = 0;
        float veil = 1.0f;
        for (int k = first_pair; k < last_pair; ++k) {
            const float* layer = layers.data + 8 * (64 * (size_t)pairs.data[k] + at);
            if (!(layer[3] > faint)) {
                veil *= 1.0f - layer[3];
                continue;
            }
            const float* row = table.data + 24 * (size_t)instances.data[pairs.data[k]];
            const Vec of_camera = vec(row + 3) + vec(row + 6) * (float)x + vec(row + 9) * (float)y;
            const Vec local = rays.pinhole != 0 ? of_camera : turned(row + 12, direction);
            const float time = layer[4] * (length / sqrtf(dot(local, local)));
            if (!(time <= wall))
                continue;
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
        const auto layer_at = [&](int k) {
            return layers.data + 8 * (64 * (size_t)pairs.data[order[k]] + at);
        };
        float passed = 1.0f;
        for (int k = 0; k < layer_count; ++k) {
            passed *= 1.0f - layer_at(k)[3];
            passed = passed <= opaque ? 0.0f : passed;
        }
        const float half = has_mesh ? 0.5f : 0.5f * passed + 0.5f;  // of what is stopped
        float color[3] = {0.0f, 0.0f, 0.0f};
        float transmittance = 1.0f;
        bool found = false;
        for (int k = 0; k < layer_count && transmittance > 0.0f; ++k) {
            const float* layer = layer_at(k);
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


@wp.func_native(_COMMON + _COMPOSE % {"most": MOST_LAYERS})
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


@wp.kernel(enable_backward=False)
def cast_kernel(
    mesh: wp.uint64,
    rays: View,
    rays_o: wp.array[wp.vec3f],
    rays_d: wp.array[wp.vec3f],
    times: wp.array[wp.float32],  # [R]
    normals: wp.array[wp.vec3f],  # [R]
    faces: wp.array[wp.int32],  # [R]
    facing: wp.array[wp.float32],  # [R]
    first: wp.int32,
) -> None:
    """One index per ray, in the order of tiles."""
    index = first + wp.tid()
    ray = ray_of(rays, index >> 6, index & 63)
    if ray < 0:
        return
    direction = wp.normalize(direction_of(rays, rays_d, ray))
    met = wp.mesh_query_ray(mesh, origin_of(rays, rays_o, ray), direction, wp.static(FAR))
    times[ray] = wp.static(FAR)
    if met.result:
        times[ray] = met.t
        faces[ray] = met.face
        facing[ray] = wp.abs(wp.dot(met.normal, direction))
        normals[ray] = wp.where(wp.dot(met.normal, direction) > 0.0, -met.normal, met.normal)
