"""How much light reaches points past the instances and meshes near them: their visibility.

Letters in shapes: N points, I instances, A assets. Short rays go out from each point, and the optical
depths of all instances on their way but its own are added: an instance's own shadows are part of its
look. Boxes of instances are found through a tree (Meister and others 2021 survey them), so the cost
of a point grows with what is near it. Densities are read without reflections, refraction or color;
this is an approximation of what light would do.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.baked.beams import cell_at
from neuron_core.kernels.baked.bricks import Asset, block_of
from neuron_core.kernels.baked.headers import native
from neuron_core.kernels.baked.instances import column_of
from neuron_core.kernels.baked.layout import CELLS, PLACEMENT, SIDE
from neuron_core.kernels.baked.mesh_hits import DeviceMeshes, MeshInstances, is_hit
from neuron_core.kernels.launch import CORES, launch, view

BLOCK = 256
MOST_RAYS = 16  # of a point, both kinds together
STEP = 0.75  # voxels between two samples of the density
MOST_STEPS = 2048
DARK = 8.0  # optical depth at which a ray ends
SPREAD = 0.12  # radius of the lamp by its distance

wp.set_module_options(native("field.h"))

Depths = wp.types.vector(MOST_RAYS, wp.float32)


@dataclass(frozen=True, slots=True)
class Occluders:
    """Everything in the world that blocks light, on one device."""

    boxes: wp.Bvh | None  # of instances
    assets: Any  # [A] Asset
    asset_of: Any  # [I] int32
    table: Any  # [I, 24] float32, as `instances.placements` makes it
    meshes: DeviceMeshes
    device: str
    kept: tuple[Any, ...] = ()  # pools and codes that `assets` refer to, so that they live as long


def tree_of(lows: np.ndarray, highs: np.ndarray, device: str) -> wp.Bvh | None:
    """A tree over boxes [I, 3]; None without any."""
    if not len(lows):
        return None
    ends = (np.ascontiguousarray(array, np.float32) for array in (lows, highs))
    low, high = (wp.array(array, dtype=wp.vec3f, device=device) for array in ends)
    return wp.Bvh(low, high)


def find_visibility(
    occluders: Occluders,
    points: np.ndarray,
    normals: np.ndarray,
    owners: np.ndarray,
    *,
    reach: float,
    ambient_rays: int,
    lamp_rays: int,
    lamp: tuple[float, float, float],
) -> np.ndarray:
    """The visibility [N, 2] of the hemisphere and of a lamp from `points` [N, 3]: the shares of their light
    that arrive, 0 to 1.

    `normals` [N, 3] have unit length, `owners` [N] are the instances that the points belong to, -1 if
    none. Nothing farther than `reach` blocks light; `lamp` is the unit direction to the lamp. Without
    rays a visibility is 1. Raises ValueError for more than MOST_RAYS rays of a point.
    """
    if ambient_rays + lamp_rays > MOST_RAYS:
        raise ValueError(f"{ambient_rays + lamp_rays} rays of a point are more than {MOST_RAYS}.")
    device = occluders.device
    arrays = [np.ascontiguousarray(array, np.float32) for array in (points, normals)]
    moved = [wp.array(array, dtype=wp.vec3f, device=device) for array in arrays]
    own = wp.array(np.ascontiguousarray(owners, np.int32), dtype=wp.int32, device=device)
    visibility = wp.ones((len(points), 2), dtype=wp.float32, device=device)
    arguments = [
        occluders.boxes.id if occluders.boxes is not None else wp.uint64(0),
        int(occluders.boxes is not None),
        occluders.assets,
        view(occluders.asset_of, wp.int32, [int(occluders.asset_of.shape[0])]),
        view(occluders.table, wp.float32, [int(occluders.table.shape[0]), PLACEMENT]),
        occluders.meshes.instances,
        *moved,
        own,
        float(reach),
        int(ambient_rays),
        int(lamp_rays),
        wp.vec3f(*lamp),
        visibility,
    ]
    blocks = -(-len(points) // BLOCK)
    launch(visibility_kernel, arguments, blocks, BLOCK, device=device, slices=8 * CORES)
    return visibility.numpy()


@wp.struct
class PointRays:
    """The rays of one point."""

    start: wp.vec3f
    normal: wp.vec3f
    lamp: wp.vec3f
    reach: wp.float32
    ambient: wp.int32  # rays around the normal, which come first
    count: wp.int32  # with those to the lamp
    turn: wp.float32  # random from point to point, so that the mean over points is right
    shift: wp.float32


@wp.func
def spread(number: wp.int32, count: wp.int32, turn: wp.float32, shift: wp.float32) -> wp.vec3f:
    """One of `count` directions over the hemisphere around Z, by its cosine: a spiral that begins at an
    angle and at a part of its step, both random from point to point, so that its mean is right."""
    square = wp.min((wp.float32(number) + shift) / wp.float32(count), 1.0)
    angle = 2.399963 * wp.float32(number) + turn
    radius = wp.sqrt(square)
    return wp.vec3f(radius * wp.cos(angle), radius * wp.sin(angle), wp.sqrt(1.0 - square))


@wp.func
def rays_of_point(
    index: wp.int32,
    point: wp.vec3f,
    normal: wp.vec3f,
    lamp: wp.vec3f,
    reach: wp.float32,
    ambient_rays: wp.int32,
    lamp_rays: wp.int32,
) -> PointRays:
    """The rays of a point, which begin a little above its surface."""
    rays = PointRays()
    rays.start = point + 1.0e-3 * reach * normal
    rays.normal = normal
    rays.lamp = lamp
    rays.reach = reach
    rays.ambient = ambient_rays
    rays.count = ambient_rays + lamp_rays
    random = wp.rand_init(17, index)
    rays.turn = 6.2831853 * wp.randf(random)
    rays.shift = wp.randf(random)
    return rays


@wp.func
def direction_of(rays: PointRays, number: wp.int32) -> wp.vec3f:
    """Of a ray of a point: around its normal by the cosine, then around the lamp."""
    axis = rays.normal
    local = spread(number, rays.ambient, rays.turn, rays.shift)
    if number >= rays.ambient:
        axis = rays.lamp
        part = spread(number - rays.ambient, rays.count - rays.ambient, rays.turn, rays.shift)
        local = wp.vec3f(wp.static(SPREAD) * part[0], wp.static(SPREAD) * part[1], 1.0)
    side = wp.vec3f(1.0, 0.0, 0.0)
    if wp.abs(axis[0]) > 0.7:
        side = wp.vec3f(0.0, 1.0, 0.0)
    tangent = wp.normalize(wp.cross(side, axis))
    other = wp.cross(axis, tangent)
    return wp.normalize(local[0] * tangent + local[1] * other + local[2] * axis)


@wp.func_native("return neuron::field_of(asset).row_of(neuron::Voxel{x, y, z});")
def row_of(asset: Asset, x: wp.int32, y: wp.int32, z: wp.int32) -> wp.int32:
    """The row of a voxel's first sample, or -1 without a brick."""
    ...


@wp.func
def density_at(density: wp.array[wp.float32], row: wp.int32, part: wp.vec3f) -> wp.float32:
    """Between the eight samples of a voxel. `neuron::trilinear` rounds another way: with it one pixel of a
    hundred would change in its last bits."""
    ahead = row + wp.static(SIDE * SIDE)
    a = wp.lerp(density[row], density[ahead], part[0])
    b = wp.lerp(density[row + 1], density[ahead + 1], part[0])
    c = wp.lerp(density[row + wp.static(SIDE)], density[ahead + wp.static(SIDE)], part[0])
    d = wp.lerp(density[row + wp.static(SIDE + 1)], density[ahead + wp.static(SIDE + 1)], part[0])
    return wp.lerp(wp.lerp(a, c, part[1]), wp.lerp(b, d, part[1]), part[2])


@wp.func
def optical_depth(
    asset: Asset, eye: wp.vec3f, speed: wp.vec3f, length: wp.float32, reach: wp.float32
) -> wp.float32:
    """Of an asset along a ray up to `reach`; `eye` and `speed` are in voxels, `length` in meters a time."""
    grid = asset.grid
    near = wp.float32(0.0)
    far = reach
    for axis in range(3):
        if wp.abs(speed[axis]) > 1.0e-12:
            one = (grid.inside_low[axis] - eye[axis]) / speed[axis]
            two = (grid.inside_high[axis] - eye[axis]) / speed[axis]
            near = wp.max(near, wp.min(one, two))
            far = wp.min(far, wp.max(one, two))
        elif eye[axis] < grid.inside_low[axis] or eye[axis] > grid.inside_high[axis]:
            far = wp.float32(-1.0)
    total = wp.float32(0.0)
    if not far > near:
        return total
    tick = wp.static(STEP) / wp.length(speed)
    size = wp.float32(1 << grid.block_log2)
    time = near + 0.5 * tick
    for _ in range(wp.static(MOST_STEPS)):
        if time >= far or total >= wp.static(DARK):
            break
        at = eye + time * speed
        x = cell_at(at[0], wp.static(CELLS) * grid.shape[0])
        y = cell_at(at[1], wp.static(CELLS) * grid.shape[1])
        z = cell_at(at[2], wp.static(CELLS) * grid.shape[2])
        block = wp.vec3i(x >> grid.block_log2, y >> grid.block_log2, z >> grid.block_log2)
        free = wp.int32(asset.blocks[block_of(grid, block[0], block[1], block[2])])
        way = tick
        if free > 0:
            leaves = reach
            for axis in range(3):
                if wp.abs(speed[axis]) > 1.0e-12:
                    end = wp.where(speed[axis] > 0.0, block[axis] + free, block[axis] + 1 - free)
                    leaves = wp.min(leaves, (wp.float32(end) * size - at[axis]) / speed[axis])
            way = wp.max(tick, wp.ceil(leaves / tick) * tick)
        else:
            row = row_of(asset, x, y, z)
            if row >= 0:
                part = at - wp.vec3f(wp.float32(x), wp.float32(y), wp.float32(z))
                total += wp.max(density_at(asset.density, row, part), 0.0) * length * tick
        time += way
    return total


@wp.func
def with_instance(
    depths: Depths, rays: PointRays, asset: Asset, table: wp.array2d[wp.float32], instance: wp.int32
) -> Depths:
    """The optical depths along all rays of a point, those of one more instance added."""
    x, y = column_of(table, instance, 12), column_of(table, instance, 15)
    z = column_of(table, instance, 18)
    place = wp.vec3f(wp.dot(x, rays.start), wp.dot(y, rays.start), wp.dot(z, rays.start))
    eye = (place + column_of(table, instance, 21) - asset.grid.low) * asset.grid.scale
    for ray in range(rays.count):
        if depths[ray] < wp.static(DARK):
            ahead = direction_of(rays, ray)
            local = wp.vec3f(wp.dot(x, ahead), wp.dot(y, ahead), wp.dot(z, ahead))
            speed = local * asset.grid.scale
            depths[ray] += optical_depth(asset, eye, speed, wp.length(local), rays.reach)
    return depths


@wp.func
def passed_by(rays: PointRays, ray: wp.int32, depth: wp.float32, meshes: MeshInstances) -> wp.float32:
    """How much of the light along a ray gets through an optical depth and past meshes."""
    passed = wp.exp(-depth)
    if meshes.count > 0 and passed > 1.0e-3:
        if is_hit(meshes, rays.start, direction_of(rays, ray), rays.reach):
            passed = wp.float32(0.0)
    return passed


@wp.kernel(enable_backward=False)
def visibility_kernel(
    boxes: wp.uint64,
    has_boxes: wp.int32,
    assets: wp.array[Asset],  # [A]
    asset_of: wp.array[wp.int32],  # [I]
    table: wp.array2d[wp.float32],  # [I, 24]
    meshes: MeshInstances,
    points: wp.array[wp.vec3f],  # [N]
    normals: wp.array[wp.vec3f],  # [N]
    owners: wp.array[wp.int32],  # [N]
    reach: wp.float32,
    ambient_rays: wp.int32,
    lamp_rays: wp.int32,
    lamp: wp.vec3f,
    visibility: wp.array2d[wp.float32],  # [N, 2], written
    first: wp.int32,
) -> None:
    """One index per point."""
    index = first + wp.tid()
    if index >= points.shape[0]:
        return
    rays = rays_of_point(index, points[index], normals[index], lamp, reach, ambient_rays, lamp_rays)
    depths = Depths()
    if has_boxes != 0:
        around = wp.vec3f(reach, reach, reach)
        query = wp.bvh_query_aabb(boxes, rays.start - around, rays.start + around)
        box = wp.int32(0)
        while wp.bvh_query_next(query, box):
            if box != owners[index]:
                depths = with_instance(depths, rays, assets[asset_of[box]], table, box)
    ambient = wp.float32(0.0)
    direct = wp.float32(0.0)
    for ray in range(rays.count):
        passed = passed_by(rays, ray, depths[ray], meshes)
        if ray < ambient_rays:
            ambient += passed
        else:
            direct += passed
    if ambient_rays > 0:
        visibility[index, 0] = ambient / wp.float32(ambient_rays)
    if lamp_rays > 0:
        # What faces away from the lamp has no light of it to lose.
        facing = wp.clamp(4.0 * wp.dot(rays.normal, lamp), 0.0, 1.0)
        visibility[index, 1] = 1.0 - facing * (1.0 - direct / wp.float32(lamp_rays))
