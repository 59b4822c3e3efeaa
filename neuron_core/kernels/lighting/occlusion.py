"""How many short rays from points on surfaces hit something: ambient occlusion and its inverse.

Letters in shapes: V vertices, F triangles, N points. Lengths are those of the vertices.
"""

import numpy as np
import warp as wp

from neuron_core.kernels.launch import CORES, launch

BLOCK = 256
ALONG = 0.5  # cosine; the far side of a thin sheet is not an edge


class Soup:
    """Triangles that rays can hit, in memory of the CPU."""

    def __init__(self, positions: np.ndarray, faces: np.ndarray) -> None:
        """`positions` [V, 3] and `faces` [F, 3]."""
        points = wp.array(np.ascontiguousarray(positions, np.float32), dtype=wp.vec3f, device="cpu")
        indices = wp.array(np.ascontiguousarray(faces, np.int32).ravel(), dtype=wp.int32, device="cpu")
        self.mesh = wp.Mesh(points, indices)


@wp.func
def cosine_direction(index: wp.int32, count: wp.int32, turn: wp.float32) -> wp.vec3f:
    """The index-th of `count` directions over the hemisphere around Z, by its cosine: a spiral."""
    square = (wp.float32(index) + 0.5) / wp.float32(count)
    angle = 2.399963 * wp.float32(index) + turn
    radius = wp.sqrt(square)
    return wp.vec3f(radius * wp.cos(angle), radius * wp.sin(angle), wp.sqrt(1.0 - square))


@wp.kernel(enable_backward=False)
def cast_rays(
    mesh: wp.uint64,
    origins: wp.array(dtype=wp.vec3f),  # [N]
    normals: wp.array(dtype=wp.vec3f),  # [N] unit
    rays: wp.int32,
    reach: wp.float32,
    opposed: wp.int32,  # 1: surfaces that face along the normal do not count
    shares: wp.array(dtype=wp.float32),  # [N], written
    first: wp.int32,
) -> None:
    """One index per point: the share of its cosine-weighted rays that hit within reach."""
    index = first + wp.tid()
    if index >= origins.shape[0]:
        return
    normal = normals[index]
    side = wp.vec3f(1.0, 0.0, 0.0)
    if wp.abs(normal[0]) > 0.7:
        side = wp.vec3f(0.0, 1.0, 0.0)
    tangent = wp.normalize(wp.cross(side, normal))
    other = wp.cross(normal, tangent)
    turn = 6.2831853 * wp.randf(wp.rand_init(17, index))
    hits = wp.float32(0.0)
    for ray in range(rays):
        local = cosine_direction(ray, rays, turn)
        direction = local[0] * tangent + local[1] * other + local[2] * normal
        query = wp.mesh_query_ray(mesh, origins[index], direction, reach)
        if query.result:
            if opposed == 0 or wp.dot(query.normal, normal) < ALONG:
                hits += 1.0
    shares[index] = hits / wp.float32(rays)


def cast(
    soup: Soup, origins: np.ndarray, normals: np.ndarray, rays: int, reach: float, opposed: bool = False
) -> np.ndarray:
    """The share [N] of rays from `origins` [N, 3] into the hemispheres of `normals` that hit.

    Rays are spread by the cosine of their angle. With `opposed`, for rays into a body, surfaces
    that face along the ray's hemisphere, the far sides of thin sheets, do not count.
    """
    points = wp.array(np.ascontiguousarray(origins, np.float32), dtype=wp.vec3f, device="cpu")
    turned = wp.array(np.ascontiguousarray(normals, np.float32), dtype=wp.vec3f, device="cpu")
    shares = wp.zeros(len(origins), dtype=wp.float32, device="cpu")
    arguments = [soup.mesh.id, points, turned, rays, reach, int(opposed), shares]
    launch(cast_rays, arguments, -(-len(origins) // BLOCK), BLOCK, slices=4 * CORES)
    return shares.numpy()
