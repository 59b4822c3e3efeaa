"""Ordinary meshes among baked assets: opaque, of one color each, lit simply.

A mesh with one instance is put into the world and joined with the others of its kind, so that rays meet one
tree; a mesh with several is kept once, in its own space.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from neuron_core.kernels.baked.compositing import MeshHits
from neuron_core.kernels.baked.mesh_hits import DeviceMeshes, cast, place_meshes
from neuron_core.kernels.baked.rays import Rays

AMBIENT, HEADLIGHT = 0.3, 0.7  # how meshes are lit
FLATTEST = 1e-3  # smallest over largest scale of an instance through which rays keep their precision

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class MeshInstance:
    """An opaque surface of one color. Instances of one mesh have the same arrays."""

    positions: np.ndarray  # [V, 3]
    faces: np.ndarray  # [F, 3]
    color: tuple[float, float, float]
    world_from_local: np.ndarray  # [4, 4] float64

    def corners(self) -> np.ndarray:
        """Of a box around it, [8, 3] in the world."""
        ends = np.stack([self.positions.min(axis=0), self.positions.max(axis=0)])
        corners = np.stack(np.meshgrid(*ends.T), axis=-1).reshape(-1, 3)
        placed: np.ndarray = corners @ self.world_from_local[:3, :3].T + self.world_from_local[:3, 3]
        return placed


@dataclass(frozen=True, slots=True, eq=False)
class MeshScene:
    """Meshes where rays can hit them, and which mesh each triangle is of."""

    on_device: DeviceMeshes
    first: np.ndarray  # [N] of each placed instance: the number of its mesh, -1 for those that are joined
    joined: np.ndarray  # numbers of meshes by triangle of those that are joined

    def owners(self, instances: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """The numbers of meshes that were hit."""
        found = self.first[instances]
        alone = found < 0
        found[alone] = self.joined[faces[alone]]
        return found


def kept_once(meshes: Sequence[MeshInstance]) -> np.ndarray:
    """Which instances [N] share the memory of their mesh: those that are not alone and not all but flat."""
    uses = Counter(_key(mesh) for mesh in meshes)
    several = np.array([uses[_key(mesh)] > 1 for mesh in meshes], bool)
    matrices = np.array([mesh.world_from_local for mesh in meshes]).reshape(-1, 4, 4)
    scales = np.linalg.svd(matrices[several, :3, :3], compute_uv=False)
    several[several] = scales[:, 2] > FLATTEST * scales[:, 0]
    return several


def triangles_kept(meshes: Sequence[MeshInstance]) -> np.ndarray:
    """How many triangles [N] are in memory with the first, the first two, ... of these."""
    seen: set[tuple[int, int]] = set()
    counts = []
    for mesh, shared in zip(meshes, kept_once(meshes), strict=True):
        counts.append(0 if shared and _key(mesh) in seen else len(mesh.faces))
        seen |= {_key(mesh)} if shared else set()
    return np.cumsum(counts, dtype=np.int64)


def mesh_scene(meshes: Sequence[MeshInstance], device: str) -> MeshScene:
    """Put meshes where rays can hit them."""
    shared = kept_once(meshes)
    alone = np.flatnonzero(~shared).tolist()
    own: dict[tuple[int, int], int] = {}
    arrays: list[Arrays] = []
    owners, mesh_of, matrices = [], [], []
    if alone:
        arrays.append(_joined([meshes[number] for number in alone]))
        owners, mesh_of, matrices = [-1], [0], [np.eye(4)]
    for number in np.flatnonzero(shared).tolist():
        mesh = meshes[number]
        if _key(mesh) not in own:
            own[_key(mesh)] = len(arrays)
            arrays.append((mesh.positions, mesh.faces))
        owners.append(number)
        mesh_of.append(own[_key(mesh)])
        matrices.append(mesh.world_from_local)
    stacked = np.array(matrices).reshape(-1, 4, 4)
    on_device = place_meshes(arrays, np.array(mesh_of, np.int32), stacked, device)
    joined = np.repeat(np.array(alone, np.int32), [len(meshes[number].faces) for number in alone])
    return MeshScene(on_device, np.array(owners, np.int32), joined)


class Meshes:
    """What rays see of meshes, lit by a lamp at the camera and some light from around."""

    def __init__(self, meshes: Sequence[MeshInstance], first_id: int, device: str) -> None:
        self._scene = mesh_scene(meshes, device)
        self._colors = np.array([mesh.color for mesh in meshes], np.float32)
        self._first_id = first_id
        self._device = device

    def nbytes(self) -> int:
        """Of memory on the device, without the tree."""
        return self._scene.on_device.nbytes

    def hits(self, given: Rays) -> MeshHits:
        """What rays hit: colors times (ambient + headlight * cosine)."""
        times, facing = (wp.zeros(given.count, dtype=wp.float32, device=self._device) for _ in range(2))
        normals: Any = wp.zeros(given.count, dtype=wp.vec3f, device=self._device)
        instances, faces = (wp.zeros(given.count, dtype=wp.int32, device=self._device) for _ in range(2))
        cast(self._scene.on_device, given, times, normals, facing, instances, faces)
        owners = self._scene.owners(instances.numpy(), faces.numpy())
        light = AMBIENT + HEADLIGHT * facing.numpy()
        colors = self._colors[owners] * light[:, None]
        ids = owners + np.int32(self._first_id)
        if self._device == "cpu":
            return MeshHits(times.numpy(), colors, normals.numpy(), ids)
        moved: Any = wp.array(colors, dtype=wp.float32, device=self._device)
        return MeshHits(times, moved, normals, wp.array(ids, dtype=wp.int32, device=self._device))


def _key(mesh: MeshInstance) -> tuple[int, int]:
    return id(mesh.positions), id(mesh.faces)


def _joined(meshes: Sequence[MeshInstance]) -> Arrays:
    """One mesh in the world."""
    positions, faces, count = [], [], 0
    for mesh in meshes:
        matrix = mesh.world_from_local
        positions.append(mesh.positions @ matrix[:3, :3].T + matrix[:3, 3])
        faces.append(mesh.faces + count)
        count += len(mesh.positions)
    return np.concatenate(positions), np.concatenate(faces)
