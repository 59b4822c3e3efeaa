"""Draw an exported mesh with Mitsuba: what is hit first, in the color of its texture or vertices."""

from typing import Any

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.evaluation.drawn import SAMPLES, Picture
from neuron_core.foundation.colors import linear_to_srgb, srgb_to_linear
from neuron_core.foundation.progress import Reporter
from neuron_core.groundtruth.mitsuba.sensor import ONE_RAY, sensor_of
from neuron_core.groundtruth.mitsuba.variants import choose_variant
from neuron_core.splats.drawing import magnified
from neuron_core.surfaces.usd_reading import ShownMesh


class MeshDrawer:
    """One mesh, not lit: its colors are those of the field's light."""

    representation = "mesh"

    def __init__(self, shown: ShownMesh, report: Reporter) -> None:
        import mitsuba

        variant = choose_variant("auto", report)
        mitsuba.set_variant(variant)
        mitsuba.set_log_level(mitsuba.LogLevel.Error)
        self._mi: Any = mitsuba
        self.counts = {"triangles": len(shown.mesh.faces), "vertices": len(shown.mesh.points)}
        points = shown.mesh.points
        self._center = (points.min(axis=0) + points.max(axis=0)) / 2
        self._radius = float(np.linalg.norm(points - self._center, axis=1).max())
        self._scene = mitsuba.load_dict({"type": "scene", "mesh": self._mesh(shown)})
        self._integrator = mitsuba.load_dict({"type": "aov", "aovs": "albedo:albedo,depth:depth"})

    def picture(self, camera: Camera) -> Picture:
        """Four rays a pixel, averaged in linear."""
        fine, hit = self._seen(magnified(camera, SAMPLES))
        over = np.where(hit[..., None], fine, 1.0)
        parts = over.reshape(camera.height, SAMPLES, camera.width, SAMPLES, 3).mean(axis=(1, 3))
        return Picture(linear_to_srgb(parts).astype(np.float32), self._seen(camera)[1])

    def _seen(self, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Linear colors [H, W, 3] and hits [H, W] through pixel centers."""
        picture = self._mi.render(
            self._scene, sensor=self._sensor(camera), integrator=self._integrator, spp=1
        )
        values = np.array(picture)[..., -4:]
        return values[..., :3], values[..., 3] > 0

    def _sensor(self, camera: Camera) -> Any:
        return sensor_of(self._mi, camera, self._center, self._radius, ONE_RAY)

    def _mesh(self, shown: ShownMesh) -> Any:
        """Corners are not shared where there are UVs: each triangle has its own."""
        faces = shown.mesh.faces
        textured = shown.uvs is not None and shown.texture is not None
        if textured:
            points = shown.mesh.points[faces.reshape(-1)]
            faces = np.arange(len(points), dtype=np.int32).reshape(-1, 3)
        else:
            points = shown.mesh.points
        properties = self._mi.Properties()
        properties["bsdf"] = self._mi.load_dict({"type": "twosided", "nested": self._reflectance(shown)})
        mesh = self._mi.Mesh("mesh", len(points), len(faces), props=properties, has_vertex_texcoords=textured)
        if not textured:
            mesh.add_attribute("vertex_color", 3, np.ravel(shown.colors.clip(0, 1)).tolist())
        arrays = self._mi.traverse(mesh)
        arrays["vertex_positions"] = np.ravel(points).astype(np.float32)
        arrays["faces"] = np.ravel(faces).astype(np.uint32)
        if shown.uvs is not None and textured:
            across, up = shown.uvs[..., 0], shown.uvs[..., 1]
            downwards = np.stack([across, 1.0 - up], axis=-1)  # as the rows of a bitmap run
            arrays["vertex_texcoords"] = np.ravel(downwards).astype(np.float32)
        arrays.update()
        return mesh

    def _reflectance(self, shown: ShownMesh) -> dict[str, object]:
        if shown.texture is None or shown.uvs is None:
            return {"type": "diffuse", "reflectance": {"type": "mesh_attribute", "name": "vertex_color"}}
        linear = srgb_to_linear(shown.texture.astype(np.float32) / 255.0).astype(np.float32)
        texture = {
            "type": "bitmap",
            "bitmap": self._mi.Bitmap(np.ascontiguousarray(linear)),
            "raw": True,
            "wrap_mode": "clamp",
        }
        return {"type": "diffuse", "reflectance": texture}
