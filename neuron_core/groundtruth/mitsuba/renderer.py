"""The renderer that needs no Houdini: Mitsuba 3, path traced.

Everything of Mitsuba is `Any`: its types exist only after a variant was chosen. The module is
imported inside functions: it is slow to load and only rendering needs it.
"""

import math
from typing import Any

import numpy as np

from neuron_core.cameras.camera import Camera, CameraError
from neuron_core.datasets.channels import GBuffer
from neuron_core.foundation.seeds import seed_of
from neuron_core.geometry.mesh import Geometry, MeshPart
from neuron_core.geometry.surroundings import near_surface, surroundings_of
from neuron_core.groundtruth.mitsuba.sensor import ONE_RAY, sensor_of
from neuron_core.materials.principled import Principled, principled, varying_inputs
from neuron_core.materials.procedural import follows_shape
from neuron_core.materials.record import Material

NEUTRAL = {"type": "principled", "base_color": {"type": "rgb", "value": 0.18}, "roughness": 0.6}
TRANSMISSIVE_BOUNCES = 10  # more than of others: light crosses many surfaces of nested shells
MOST_LANES = 1 << 22  # pixel samples in one launch: bounds the memory
GRID_CELLS_PER_PIXEL = 0.75  # of the grids that carry what varies over an object
SMALLEST_GRID, LARGEST_GRID = 64, 160  # cells along the longest side
GBUFFER_AOVS = "position:position,normal:sh_normal,facing:geo_normal,shape:shape_index"


class MitsubaRenderer:
    """Path traces a `Geometry` with Mitsuba's `principled`. One variant per process."""

    name = "mitsuba"

    def __init__(self, variant: str, bounces: int = 6, resolution: int = 128) -> None:
        import mitsuba

        mitsuba.set_variant(variant)
        mitsuba.set_log_level(mitsuba.LogLevel.Error)
        self._mi: Any = mitsuba
        self.variant = variant
        self.partial = not variant.startswith("scalar")
        self.version = str(mitsuba.__version__)
        self._bounces = bounces
        cells = round(resolution * GRID_CELLS_PER_PIXEL)
        self._grid_cells = min(max(cells, SMALLEST_GRID), LARGEST_GRID)
        self._geometry: Geometry | None = None
        self._open: set[str] = set()  # parts whose backs can be seen
        self._light: Any = None
        self._shown: tuple[str, Any] = ("", None)  # digest of a material, its scene
        self._gbuffer_scene: Any = None
        self._near: tuple[np.ndarray, np.ndarray] | None = None

    def settings(self) -> dict[str, object]:
        """What the pictures depend on beside the config."""
        return {
            "integrator": "path",
            "max_depth": self._bounces,
            "max_depth_transmissive": self._bounces + TRANSMISSIVE_BOUNCES,
            "sampler": "multijitter",
            "filter": "box",
            "grid_cells": self._grid_cells,
            "neutral_albedo": 0.18,
        }

    def prepare(self, geometry: Geometry, environment: np.ndarray) -> None:
        """Take the object and its light [H, W, 3]."""
        bitmap = self._mi.Bitmap(np.ascontiguousarray(environment, np.float32))
        self._geometry = geometry
        self._open = {part.name for part in geometry.parts if not is_closed(part)}
        self._light = self._mi.load_dict({"type": "envmap", "bitmap": bitmap})
        self._shown = ("", None)
        self._gbuffer_scene = None
        self._near = None

    def gbuffer(self, camera: Camera) -> GBuffer:
        """One exact ray through every pixel center; normals look towards the camera's side."""
        if self._gbuffer_scene is None:
            self._gbuffer_scene = self._scene(self._mi.load_dict(NEUTRAL), False)
        integrator = self._mi.load_dict({"type": "aov", "aovs": GBUFFER_AOVS})
        sensor = self._sensor(camera, ONE_RAY)
        picture = self._mi.render(self._gbuffer_scene, sensor=sensor, integrator=integrator, spp=1)
        return _to_gbuffer(camera, np.array(picture)[..., -10:])

    def beauty(
        self, material: Material, camera: Camera, spp: int, seed: int, repeats: np.ndarray | None = None
    ) -> np.ndarray:
        """Linear premultiplied RGBA [H, W, 4] float32."""
        scene = self._scene_of(material)
        if repeats is None:
            repeats = np.ones((camera.height, camera.width), int)
        render = self._trace if self.partial else self._render
        picture = np.nan_to_num(render(scene, camera, spp, seed, repeats), nan=0.0, posinf=0.0, neginf=0.0)
        picture[..., 3] = np.clip(picture[..., 3], 0.0, 1.0)
        return np.asarray(picture, np.float32)

    def _render(self, scene: Any, camera: Camera, spp: int, seed: int, repeats: np.ndarray) -> np.ndarray:
        """Whole pictures on Mitsuba's film, as the scalar variant has them."""
        sensor = self._sensor(camera, {"type": "multijitter", "sample_count": spp})
        count = int(repeats.max())
        total = np.zeros((camera.height, camera.width, 4))
        for index in range(count):
            picture = self._mi.render(scene, sensor=sensor, spp=spp, seed=seed_of(seed, index))
            total += np.array(picture, np.float64)
        return total / count

    def _trace(self, scene: Any, camera: Camera, spp: int, seed: int, repeats: np.ndarray) -> np.ndarray:
        """Every pixel as often as it should be.

        Samples are summed here and not on Mitsuba's film, whose sums depend on which of two threads
        comes first where a pixel's samples are split between them.
        """
        indices = np.repeat(np.arange(repeats.size), repeats.ravel())
        total = np.zeros((repeats.size, 4))
        most = max(1, MOST_LANES // spp)
        for start in range(0, len(indices), most):
            part = indices[start : start + most]
            np.add.at(total, part, self._trace_part(scene, camera, part, spp, seed_of(seed, start)))
        mean = total / np.maximum(repeats.ravel(), 1)[:, None]
        return mean.reshape(camera.height, camera.width, 4)

    def _trace_part(self, scene: Any, camera: Camera, indices: np.ndarray, spp: int, seed: int) -> np.ndarray:
        """Path trace pixels by their flat indices [N] in one launch; the answer is [N, 4] float64."""
        import drjit

        mi = self._mi
        sampler = mi.load_dict({"type": "multijitter", "sample_count": spp})
        sampler.set_samples_per_wavefront(spp)
        lanes = len(indices) * spp
        sampler.seed(seed, lanes)
        sequence = drjit.arange(mi.UInt32, lanes) // drjit.opaque(mi.UInt32, spp)
        pixel = drjit.gather(mi.UInt32, mi.UInt32(indices.astype(np.uint32)), sequence)
        ray = self._rays(camera, pixel, sampler.next_2d())
        color, hit, _ = scene.integrator().sample(scene, sampler, ray)
        channels = [drjit.select(hit, channel, 0.0) for channel in (*color, mi.Float(1.0))]
        drjit.eval(channels)
        samples = [np.array(channel).reshape(len(indices), spp) for channel in channels]
        return np.stack([values.mean(axis=1, dtype=np.float64) for values in samples], axis=-1)

    def _rays(self, camera: Camera, pixel: Any, offset: Any) -> Any:
        """Through `offset` in [0, 1)^2 of pixels given by flat index, as `cameras.rays` has them."""
        import drjit

        mi = self._mi

        def opaque(value: float) -> Any:
            return drjit.opaque(mi.Float, float(value))  # no camera is compiled into the code

        width = drjit.opaque(mi.UInt32, camera.width)
        row = pixel // width
        x = (mi.Float(pixel - row * width) + offset.x - opaque(camera.cx)) / opaque(camera.fl_x)
        y = (opaque(camera.cy) - mi.Float(row) - offset.y) / opaque(camera.fl_y)
        pose = [[opaque(value) for value in line] for line in camera.c2w[:3]]
        direction = mi.Vector3f([line[0] * x + line[1] * y - line[2] for line in pose])
        origin = mi.Point3f([line[3] for line in pose])
        return mi.RayDifferential3f(mi.Ray3f(origin, drjit.normalize(direction)))

    def _scene_of(self, material: Material) -> Any:
        digest = repr(material.to_json())
        if self._shown[0] != digest:
            self._shown = ("", None)  # the old one goes before the new one comes
            self._shown = (digest, self._scene(self._bsdf(material), principled(material).transmissive))
        return self._shown[1]

    def _scene(self, bsdf: Any, transmissive: bool) -> Any:
        neutral = self._mi.load_dict(NEUTRAL)
        shapes = {}
        for index, part in enumerate(self._taken().parts):
            own = bsdf if part.takes_material else neutral
            if part.name in self._open and not (part.takes_material and transmissive):
                own = self._mi.load_dict({"type": "twosided", "bsdf": own})
            shapes[f"part_{index:04d}"] = self._mesh(part, own)
        depth = self._bounces + TRANSMISSIVE_BOUNCES * transmissive
        integrator = {"type": "path", "max_depth": depth, "hide_emitters": True}
        return self._mi.load_dict({"type": "scene", "integrator": integrator, "light": self._light, **shapes})

    def _taken(self) -> Geometry:
        assert self._geometry is not None, "prepare comes first"
        return self._geometry

    def _mesh(self, part: MeshPart, bsdf: Any) -> Any:
        properties = self._mi.Properties()
        properties["bsdf"] = bsdf
        mesh = self._mi.Mesh(
            part.name,
            len(part.positions),
            len(part.faces),
            props=properties,
            has_vertex_normals=True,
            has_vertex_texcoords=False,
        )
        arrays = self._mi.traverse(mesh)
        arrays["vertex_positions"] = np.ravel(part.positions).astype(np.float32)
        arrays["vertex_normals"] = np.ravel(part.normals).astype(np.float32)
        arrays["faces"] = np.ravel(part.faces).astype(np.uint32)
        arrays.update()
        return mesh

    def _bsdf(self, material: Material) -> Any:
        mapped = principled(material)
        description = mapped.to_dict()
        description.update(self._grids(material, mapped))
        return self._mi.load_dict(description)

    def _grids(self, material: Material, mapped: Principled) -> dict[str, object]:
        """Grid textures over the object for every input that varies."""
        if not mapped.varying:
            return {}
        box = self._taken().aabb()
        low, high, counts = padded_grid(box, self._grid_cells)
        rows, centers = self._cells_near(low, high, counts)
        around = surroundings_of(self._taken()).at(centers) if follows_shape(material) else None
        # Patterns are made for objects of one meter; on a thimble they shrink with it.
        values = varying_inputs(material, centers / float((box[1] - box[0]).max()), around)
        to_world = self._mi.ScalarTransform4f().translate(low.tolist()).scale((high - low).tolist())
        return {name: self._grid(_filled(array, rows, counts), to_world) for name, array in values.items()}

    def _cells_near(
        self, low: np.ndarray, high: np.ndarray, counts: tuple[int, int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The flat indices [N] and centers [N, 3] of cells that a surface can show; kept for the object."""
        if self._near is None:
            cell = (high - low) / np.array(counts)
            mask = near_surface(self._taken().parts, low + cell / 2, cell, counts)
            rows = np.flatnonzero(mask.transpose(2, 1, 0))
            self._near = rows, cell_centers(low, high, counts)[rows]
        return self._near

    def _grid(self, values: np.ndarray, to_world: Any) -> dict[str, object]:
        grid = self._mi.VolumeGrid(np.ascontiguousarray(values, np.float32))
        volume = {"type": "gridvolume", "grid": grid, "raw": True, "to_world": to_world}
        return {"type": "volume", "volume": {**volume, "filter_type": "trilinear", "wrap_mode": "clamp"}}

    def _sensor(self, camera: Camera, sampler: dict[str, object]) -> Any:
        if camera.distorted or not math.isclose(camera.fl_x, camera.fl_y, rel_tol=1e-6):
            raise CameraError(
                f"Camera {camera.name} has lens distortion or oblong pixels; Mitsuba renders neither.",
                "Render from an undistorted camera with fl_x = fl_y.",
            )
        center, radius = self._taken().bounding_sphere()
        return sensor_of(self._mi, camera, center, radius, sampler)


def padded_grid(aabb: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int]]:
    """Corners of a grid around a box, one cell larger on every side, and its cells along x, y, z."""
    low, high = aabb.astype(np.float64)
    cell = float((high - low).max()) / cells
    low, high = low - cell, high + cell
    counts = np.maximum(np.ceil((high - low) / cell - 1e-6), 2).astype(int)
    x, y, z = counts.tolist()
    return low, high, (x, y, z)


def cell_centers(low: np.ndarray, high: np.ndarray, counts: tuple[int, int, int]) -> np.ndarray:
    """Centers [N, 3] of the cells of a grid, x running fastest."""
    axes = [low[k] + (np.arange(counts[k]) + 0.5) / counts[k] * (high - low)[k] for k in range(3)]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return np.stack([x, y, z], axis=-1).reshape(-1, 3)


def _filled(values: np.ndarray, rows: np.ndarray, counts: tuple[int, int, int]) -> np.ndarray:
    """Values [N, ...] of some cells as a whole grid [Z, Y, X, C]; the others, which nothing reads, are 0."""
    grid = np.zeros((counts[0] * counts[1] * counts[2], *values.shape[1:]), np.float32)
    grid[rows] = values
    return grid.reshape(counts[2], counts[1], counts[0], -1)


def is_closed(part: MeshPart) -> bool:
    """Whether every edge of the surface has a face on both sides."""
    _, welded = np.unique(part.positions, axis=0, return_inverse=True)
    corners = welded.reshape(-1)[part.faces].astype(np.int64)
    starts, ends = corners.ravel(), np.roll(corners, -1, axis=1).ravel()
    forth = starts * (corners.max(initial=0) + 1) + ends
    back = ends * (corners.max(initial=0) + 1) + starts
    return bool(np.array_equal(np.sort(forth), np.sort(back)))


def _to_gbuffer(camera: Camera, channels: np.ndarray) -> GBuffer:
    """From position, shading normal, geometric normal and shape index [H, W, 10]."""
    shape_id = np.rint(channels[..., 9]).astype(np.int32)
    hit = shape_id > 0
    position = np.where(hit[..., None], channels[..., 0:3], 0.0).astype(np.float32)
    from_camera = position.astype(np.float64) - camera.position
    depth = np.where(hit, np.linalg.norm(from_camera, axis=-1), 0.0).astype(np.float32)
    away = np.einsum("hwc,hwc->hw", channels[..., 6:9], from_camera) > 0
    normal = np.where(away[..., None], -channels[..., 3:6], channels[..., 3:6])
    length = np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    normal = np.where(hit[..., None], normal / length, 0.0).astype(np.float32)
    return GBuffer(depth, position, normal, hit.astype(np.float32), shape_id)
