"""Ordinary meshes that rays can hit: each is in memory once, however many instances of it there are.

Letters in shapes: K meshes, N instances of them, V vertices, F triangles, R rays. A tree over the boxes of
the instances leads a ray to those that it may meet; it is taken into the space of each without being
normalized again, so that its times stay those of the world.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.baked.drawing import FEW_TILES
from neuron_core.kernels.baked.layout import BEAM, FAR
from neuron_core.kernels.baked.rays import RayBundle, Rays, direction_of, origin_of, ray_of
from neuron_core.kernels.launch import CORES, launch, view

MARGIN = 1e-5  # of a box, by its size and place: flat ones have no inside for a ray to hit


@wp.struct
class MeshInstances:
    """Instances of meshes, as kernels see them."""

    count: wp.int32
    boxes: wp.uint64  # a tree over the boxes of the instances
    trees: wp.array[wp.uint64]  # [K] over the triangles of each mesh
    mesh_of: wp.array[wp.int32]  # [N]
    table: wp.array2d[wp.float32]  # [N, 12] local from world: 3 x 3 by rows, then the offset


@wp.struct
class Hit:
    """Where a ray first meets something."""

    time: wp.float32  # FAR where it meets nothing
    instance: wp.int32
    face: wp.int32
    normal: wp.vec3f  # world, of any length, towards any side


@dataclass(frozen=True, slots=True, eq=False)
class DeviceMeshes:
    """Mesh instances on one device, with the trees that they refer to, so that those live as long."""

    instances: Any  # MeshInstances
    nbytes: int
    device: str
    kept: tuple[Any, ...] = ()


def place_meshes(
    meshes: Sequence[tuple[np.ndarray, np.ndarray]],
    mesh_of: np.ndarray,
    world_from_local: np.ndarray,
    device: str = "cpu",
) -> DeviceMeshes:
    """Instances placed by invertible matrices [N, 4, 4], of meshes that are positions
    [V, 3] and faces [F, 3]."""
    found = MeshInstances()
    found.count = len(mesh_of)
    if not len(mesh_of):
        return DeviceMeshes(found, 0, device)
    trees = [_tree(positions, faces, device) for positions, faces in meshes]
    low, high = _boxes([positions for positions, _ in meshes], mesh_of, world_from_local)
    boxes = wp.Bvh(_vectors(low, device), _vectors(high, device))
    inverses = np.linalg.inv(world_from_local)
    table = np.concatenate([inverses[:, :3, :3].reshape(-1, 9), inverses[:, :3, 3]], axis=1)
    found.boxes = boxes.id
    found.trees = wp.array([tree.id for tree in trees], dtype=wp.uint64, device=device)
    found.mesh_of = wp.array(np.asarray(mesh_of, np.int32), dtype=wp.int32, device=device)
    found.table = wp.array(np.ascontiguousarray(table, np.float32), dtype=wp.float32, device=device)
    arrays = [tree.points for tree in trees] + [tree.indices for tree in trees] + [found.table]
    return DeviceMeshes(found, sum(int(array.capacity) for array in arrays), device, (boxes, *trees))


def _tree(positions: np.ndarray, faces: np.ndarray, device: str) -> wp.Mesh:
    corners = np.ascontiguousarray(faces, np.int32).ravel()
    return wp.Mesh(_vectors(positions, device), wp.array(corners, dtype=wp.int32, device=device))


def _vectors(array: np.ndarray, device: str) -> Any:
    return wp.array(np.ascontiguousarray(array, np.float32), dtype=wp.vec3f, device=device)


def _boxes(
    meshes: Sequence[np.ndarray], mesh_of: np.ndarray, matrices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corners [N, 3] in the world, a little apart."""
    ends = np.array([[points.min(axis=0), points.max(axis=0)] for points in meshes])[mesh_of]
    middle, half = ends.mean(axis=1), (ends[:, 1] - ends[:, 0]) / 2
    middle = np.einsum("nij,nj->ni", matrices[:, :3, :3], middle) + matrices[:, :3, 3]
    half = np.einsum("nij,nj->ni", np.abs(matrices[:, :3, :3]), half)
    half += MARGIN * (half.max(axis=1, keepdims=True) + np.abs(middle).max(axis=1, keepdims=True) + 1e-6)
    return middle - half, middle + half


def cast(
    meshes: DeviceMeshes, rays: Rays, times: Any, normals: Any, facing: Any, instances: Any, faces: Any
) -> None:
    """Write for each ray how far away, along its unit direction, it meets something (FAR where it meets
    nothing), the unit normal there towards the ray, the cosine between both, which instance it is and which
    of its triangles."""
    arguments = [
        meshes.instances,
        rays.bundle,
        view(times, wp.float32, [rays.count]),
        view(normals, wp.vec3f, [rays.count]),
        view(facing, wp.float32, [rays.count]),
        view(instances, wp.int32, [rays.count]),
        view(faces, wp.int32, [rays.count]),
    ]
    slices = 1 if rays.tiles < FEW_TILES else 8 * CORES
    launch(cast_kernel, arguments, rays.tiles, BEAM, device=meshes.device, slices=slices)


@wp.func
def local_direction(table: wp.array2d[wp.float32], instance: wp.int32, vector: wp.vec3f) -> wp.vec3f:
    """A direction of the world in the space of an instance."""
    x = wp.vec3f(table[instance, 0], table[instance, 1], table[instance, 2])
    y = wp.vec3f(table[instance, 3], table[instance, 4], table[instance, 5])
    z = wp.vec3f(table[instance, 6], table[instance, 7], table[instance, 8])
    return wp.vec3f(wp.dot(x, vector), wp.dot(y, vector), wp.dot(z, vector))


@wp.func
def world_normal(table: wp.array2d[wp.float32], instance: wp.int32, normal: wp.vec3f) -> wp.vec3f:
    """A normal of an instance in the world, by the transpose of local from world; of any length."""
    x = wp.vec3f(table[instance, 0], table[instance, 1], table[instance, 2])
    y = wp.vec3f(table[instance, 3], table[instance, 4], table[instance, 5])
    z = wp.vec3f(table[instance, 6], table[instance, 7], table[instance, 8])
    return normal[0] * x + normal[1] * y + normal[2] * z


@wp.func
def local_point(table: wp.array2d[wp.float32], instance: wp.int32, point: wp.vec3f) -> wp.vec3f:
    """A point of the world in the space of an instance."""
    offset = wp.vec3f(table[instance, 9], table[instance, 10], table[instance, 11])
    return local_direction(table, instance, point) + offset


@wp.func
def first_hit(meshes: MeshInstances, start: wp.vec3f, direction: wp.vec3f, reach: wp.float32) -> Hit:
    """What a ray meets first within `reach` times its direction."""
    hit = Hit()
    hit.time = wp.static(FAR)
    if meshes.count == 0:  # there is no tree to look into
        return hit
    limit = reach
    query = wp.bvh_query_ray(meshes.boxes, start, direction)
    instance = wp.int32(0)
    while wp.bvh_query_next(query, instance, limit):
        own = local_point(meshes.table, instance, start)
        ahead = local_direction(meshes.table, instance, direction)
        met = wp.mesh_query_ray(meshes.trees[meshes.mesh_of[instance]], own, ahead, limit)
        if met.result:
            limit = met.t
            hit.time = met.t
            hit.instance = instance
            hit.face = met.face
            hit.normal = met.normal
    if hit.time < wp.static(FAR):
        hit.normal = world_normal(meshes.table, hit.instance, hit.normal)
    return hit


@wp.func
def is_hit(meshes: MeshInstances, start: wp.vec3f, direction: wp.vec3f, reach: wp.float32) -> wp.bool:
    """Whether a ray meets anything within `reach` times its direction."""
    query = wp.bvh_query_ray(meshes.boxes, start, direction)
    instance = wp.int32(0)
    while wp.bvh_query_next(query, instance, reach):
        own = local_point(meshes.table, instance, start)
        ahead = local_direction(meshes.table, instance, direction)
        if wp.mesh_query_ray_anyhit(meshes.trees[meshes.mesh_of[instance]], own, ahead, reach):
            return True
    return False


@wp.kernel(enable_backward=False)
def cast_kernel(
    meshes: MeshInstances,
    rays: RayBundle,
    times: wp.array[wp.float32],  # [R]
    normals: wp.array[wp.vec3f],  # [R]
    facing: wp.array[wp.float32],  # [R]
    instances: wp.array[wp.int32],  # [R]
    faces: wp.array[wp.int32],  # [R]
    first: wp.int32,
) -> None:
    """One index per ray, in the order of tiles."""
    index = first + wp.tid()
    ray = ray_of(rays.view, index >> 6, index & 63)
    if ray < 0:
        return
    direction = wp.normalize(direction_of(rays, ray))
    hit = first_hit(meshes, origin_of(rays, ray), direction, wp.static(FAR))
    times[ray] = hit.time
    if hit.time < wp.static(FAR):
        normal = wp.normalize(hit.normal)
        instances[ray] = hit.instance
        faces[ray] = hit.face
        facing[ray] = wp.abs(wp.dot(normal, direction))
        normals[ray] = wp.where(wp.dot(normal, direction) > 0.0, -normal, normal)
