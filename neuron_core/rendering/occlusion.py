"""Contact shadows and ambient occlusion between the things of a scene: an approximation.

The light that an asset was trained under is baked into its look, with what the asset shadows of itself.
What is missing where assets are near each other is the light that they block for each other. Here short
rays are marched through the densities of neighbors, around the normal and towards a lamp, and what
comes through darkens the pixel. Highlights are darkened with the rest, shadows have no color of their
own, and the whole pixel is darkened by what is near the surface that stops the middle of its light.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import warp as wp

from neuron_core.cameras.camera import Camera, pixel_centers, rays
from neuron_core.foundation.values import ValueNotationError
from neuron_core.kernels.baked import visibility as kernels
from neuron_core.kernels.baked.instances import assets_of, placements
from neuron_core.rendering.composer import Composed
from neuron_core.rendering.culling import corners_of
from neuron_core.rendering.meshes import MeshInstance, mesh_scene
from neuron_core.rendering.shaded import Instance
from neuron_core.usd.records import SceneSnapshot

KEY = 0.6  # share of the light that comes from a lamp
RAYS = 8  # of each kind from each pixel sample
HIGH = (0.4, 1.0, 0.3)  # where the lamp is, unless something else is asked for

Vec3 = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Occlusion:
    """Which light is blocked between things. Neither kind leaves pictures as they are."""

    ambient: bool = False  # from all around
    contact: bool = False  # from a lamp
    lamp: Vec3 = HIGH  # the direction to it, world, of any length but 0
    reach: float = 0.0  # meters up to which something counts; 0: half the size of a usual asset

    def __bool__(self) -> bool:
        return self.ambient or self.contact


class OcclusionPass:
    """Darkens pictures by the light that everything that is drawn blocks for each other."""

    def __init__(
        self,
        instances: Sequence[Instance],
        meshes: Sequence[MeshInstance],
        wanted: Occlusion,
        device: str = "cpu",
    ) -> None:
        boxes = np.array([one.asset.field.box for one in instances]).reshape(-1, 2, 3)
        matrices = np.array([one.world_from_local for one in instances]).reshape(-1, 4, 4)
        corners = corners_of(boxes, matrices)
        self._wanted = wanted
        self._reach = wanted.reach or _usual_size(corners, meshes) / 2
        self._count = len(instances)
        x, y, z = (np.array(wanted.lamp, np.float64) / np.linalg.norm(wanted.lamp)).tolist()
        self._lamp: Vec3 = (x, y, z)
        assets = list(dict.fromkeys(one.asset for one in instances))
        which = {one: number for number, one in enumerate(assets)}
        asset_of = np.array([which[one.asset] for one in instances], np.int32)
        table = placements(np.linalg.inv(matrices), None)
        self._occluders = kernels.Occluders(
            kernels.tree_of(corners.min(axis=1), corners.max(axis=1), device) if len(instances) else None,
            assets_of([one.field.pools for one in assets], [one.codes for one in assets], device),
            wp.array(asset_of, dtype=wp.int32, device=device),
            wp.array(table, dtype=wp.float32, device=device),
            mesh_scene(meshes, device).on_device,
            device,
            tuple(assets),
        )

    def darkened(self, picture: Composed, camera: Camera) -> Composed:
        """What the camera saw, less the light that neighbors block."""
        shown = picture.ids >= 0
        if not shown.any():
            return picture
        rays_o, rays_d = (array[shown] for array in rays(camera, *pixel_centers(camera)))
        normals = picture.normal[shown].astype(np.float64)
        normals = np.where((normals != 0).any(axis=-1, keepdims=True), normals, -rays_d)
        owners = picture.ids[shown]
        visibility = kernels.find_visibility(
            self._occluders,
            rays_o + picture.depth[shown, None] * rays_d,
            normals,
            np.where(owners < self._count, owners, -1),
            reach=self._reach,
            ambient_rays=RAYS * self._wanted.ambient,
            lamp_rays=RAYS * self._wanted.contact,
            lamp=self._lamp,
        )
        rgba = picture.rgba.copy()
        rgba[shown, :3] *= (visibility[:, 0] * (1.0 - KEY * (1.0 - visibility[:, 1])))[:, None]
        return replace(picture, rgba=rgba)


def _usual_size(corners: np.ndarray, meshes: Sequence[MeshInstance]) -> float:
    """The median of the longest sides of what there is; of meshes only without assets."""
    if not len(corners):
        corners = np.array([mesh.corners() for mesh in meshes]).reshape(-1, 8, 3)
    sizes = np.ptp(corners, axis=1).max(axis=-1)
    return float(np.median(sizes)) if len(sizes) else 1.0


@runtime_checkable
class StageSettings(Protocol):
    """What is asked for of a stage that is drawn, as the configs of tasks have it."""

    @property
    def device(self) -> Literal["auto", "cpu", "cuda"]:
        """Where to draw."""

    @property
    def encoder_weights(self) -> Path | None:
        """Local weights of the prompt encoder."""

    @property
    def library(self) -> Path | None:
        """Where assets have to lie, if that is restricted."""

    @property
    def contact_shadows(self) -> bool:
        """Whether neighbors block the light of a lamp."""

    @property
    def ambient_occlusion(self) -> bool:
        """Whether neighbors block the light from all around."""

    @property
    def lamp(self) -> str:
        """The direction to the lamp in the axes of the stage."""

    @property
    def occlusion_reach(self) -> float:
        """Meters; 0 is half the size of a usual asset."""


def check_lamp(settings: StageSettings) -> None:
    """Raise ValueNotationError for a lamp that is not a direction."""
    _lamp(settings.lamp)


def occlusion_of(settings: StageSettings, snapshot: SceneSnapshot) -> Occlusion:
    """The light that is blocked, with the lamp in the engine's world."""
    lamp = _lamp(settings.lamp)
    if lamp is not None:
        x, y, z = (snapshot.engine_from_stage[:3, :3] @ lamp / snapshot.meters_per_unit).tolist()
    else:
        x, y, z = HIGH
    return Occlusion(
        settings.ambient_occlusion, settings.contact_shadows, (x, y, z), settings.occlusion_reach
    )


def description(settings: StageSettings) -> dict[str, object]:
    """What pictures depend on; empty where nothing was asked for."""
    found: dict[str, object] = {} if settings.library is None else {"restricted": True}
    if settings.ambient_occlusion or settings.contact_shadows:
        asks = {"ambient": settings.ambient_occlusion, "contact": settings.contact_shadows}
        found["occlusion"] = {**asks, "lamp": settings.lamp.strip(), "reach": settings.occlusion_reach}
    return found


def approximations(settings: StageSettings) -> list[str]:
    """What of a picture is approximate, in words."""
    named = {"contact shadows": settings.contact_shadows, "ambient occlusion": settings.ambient_occlusion}
    return [f"{name} between assets" for name, wanted in named.items() if wanted]


def _lamp(text: str) -> np.ndarray | None:
    if not text.strip():
        return None
    try:
        lamp = np.array([float(part) for part in text.split(",")])
    except ValueError:
        lamp = np.zeros(0)
    if lamp.shape != (3,) or not np.isfinite(lamp).all() or not 1e-9 < np.abs(lamp).max() < 1e9:
        raise ValueNotationError(f"--lamp {text!r} is not a direction.", "Write x,y,z, as 0.4,1,0.3.")
    return lamp
