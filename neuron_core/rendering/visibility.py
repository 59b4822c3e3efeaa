"""Contact shadows and ambient occlusion between the things of a scene: an approximation.

The light that an asset was trained under stands in its look, with what the asset shadows of itself. What
is missing where assets stand beside each other is the light that they take from each other. Here short
rays are marched through the densities of the neighbours, around the normal and towards a lamp, and what
comes through darkens the pixel. Highlights are darkened with the rest, nothing colors the shadows, and
the whole pixel is darkened by what is near the surface that stops the middle of its light.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import warp as wp

from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.kernels.baked import visibility as kernels
from neuron_core.kernels.baked.instances import assets_of, placements
from neuron_core.rendering.composer import Composed, Instance
from neuron_core.rendering.culling import corners_of
from neuron_core.rendering.meshes import MeshInstance, solid_of

KEY = 0.6  # share of the light that a lamp gives
RAYS = 8  # of each kind from each pixel sample
HIGH = (0.4, 1.0, 0.3)  # where the lamp stands if nothing else is said

Vec3 = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Occlusion:
    """Which light things take from each other. Nothing at all changes nothing."""

    ambient: bool = False  # from all around
    contact: bool = False  # from a lamp
    lamp: Vec3 = HIGH  # the direction to it, world, of any length but 0
    reach: float = 0.0  # metres up to which something counts; 0: half the size of a usual asset

    def __bool__(self) -> bool:
        return self.ambient or self.contact


class Neighbours:
    """Everything that is drawn, to be asked what it takes from each other."""

    def __init__(
        self,
        instances: Sequence[Instance],
        meshes: Sequence[MeshInstance],
        wanted: Occlusion,
        device: str = "cpu",
    ) -> None:
        boxes = np.array([one.dressed.field.box for one in instances]).reshape(-1, 2, 3)
        matrices = np.array([one.world_from_local for one in instances]).reshape(-1, 4, 4)
        corners = corners_of(boxes, matrices)
        self._wanted = wanted
        self._reach = wanted.reach or _usual_size(corners, meshes) / 2
        self._count = len(instances)
        x, y, z = (np.array(wanted.lamp, np.float64) / np.linalg.norm(wanted.lamp)).tolist()
        self._lamp: Vec3 = (x, y, z)
        dressed = list(dict.fromkeys(one.dressed for one in instances))
        which = {one: number for number, one in enumerate(dressed)}
        asset_of = np.array([which[one.dressed] for one in instances], np.int32)
        table = placements(np.linalg.inv(matrices), None)
        self._around = kernels.Surroundings(
            kernels.tree_of(corners.min(axis=1), corners.max(axis=1), device) if len(instances) else None,
            assets_of([one.field.pools for one in dressed], [one.codes for one in dressed], device),
            wp.array(asset_of, dtype=wp.int32, device=device),
            wp.array(table, dtype=wp.float32, device=device),
            solid_of(meshes, device).placed,
            device,
        )

    def darkened(self, picture: Composed, camera: Camera) -> Composed:
        """What the camera saw, less the light that neighbours take."""
        shown = picture.ids >= 0
        if not shown.any():
            return picture
        rays_o, rays_d = (array[shown] for array in rays(camera, *pixel_centers(camera)))
        normals = picture.normal[shown].astype(np.float64)
        normals = np.where((normals != 0).any(axis=-1, keepdims=True), normals, -rays_d)
        owners = picture.ids[shown]
        shares = kernels.find_shares(
            self._around,
            rays_o + picture.depth[shown, None] * rays_d,
            normals,
            np.where(owners < self._count, owners, -1),
            reach=self._reach,
            ambient_rays=RAYS * self._wanted.ambient,
            lamp_rays=RAYS * self._wanted.contact,
            lamp=self._lamp,
        )
        rgba = picture.rgba.copy()
        rgba[shown, :3] *= (shares[:, 0] * (1.0 - KEY * (1.0 - shares[:, 1])))[:, None]
        return replace(picture, rgba=rgba)


def _usual_size(corners: np.ndarray, meshes: Sequence[MeshInstance]) -> float:
    """The median of the longest sides of what there is; of meshes only without assets."""
    if not len(corners):
        corners = np.array([mesh.corners() for mesh in meshes]).reshape(-1, 8, 3)
    sizes = np.ptp(corners, axis=1).max(axis=-1)
    return float(np.median(sizes)) if len(sizes) else 1.0
