"""Draw what was exported, each kind in its own way, so that it can be compared with the field.

Splats and points are drawn as splats, one sample a pixel, as viewers draw them; volumes are marched
and meshes traced with four rays a pixel.
"""

from pathlib import Path

import numpy as np
from pxr import Sdf, Tf, Usd, UsdGeom, UsdVol

from neuron_core.cameras.camera import Camera
from neuron_core.evaluation.drawn import SAMPLES, Drawer, Picture
from neuron_core.evaluation.mesh_drawer import MeshDrawer
from neuron_core.foundation.colors import Encoding, linear_to_srgb, srgb_to_linear
from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.foundation.files import USD_SUFFIXES
from neuron_core.foundation.progress import Reporter
from neuron_core.rendering.baked import BakedRenderer
from neuron_core.rendering.tracing import SOLID, Hits, Tracer, draw, trace_centers
from neuron_core.splats.cloud import Splats, quaternions_of
from neuron_core.splats.drawing import SplatRenderer
from neuron_core.splats.files import read_splats
from neuron_core.splats.harmonics import CONSTANT
from neuron_core.splats.moving import turned_upside_down
from neuron_core.splats.usd import TYPE as SPLATS
from neuron_core.surfaces.points import PointCloud
from neuron_core.surfaces.usd_reading import read_mesh, read_points
from neuron_core.volumes.to_bricks import NO_SHADER, field_of_grids
from neuron_core.volumes.vdb import VdbGrid
from neuron_core.volumes.vdb_reading import read_vdb

POINT_SPREAD = 0.35  # standard deviation of a point drawn as a splat, in its widths
POINT_THICKNESS = 0.05


def open_export(path: Path, ply_axes: str, report: Reporter) -> Drawer:
    """What draws a file. Raises NeuronError for one that holds nothing to draw."""
    path = Path(path)
    if not path.is_file():
        raise FileError(f"There is no file {path}.", "Check the path.")
    ending = path.suffix.lower()
    if ending == ".vdb":
        return VolumeDrawer(read_vdb(path))
    if ending == ".nvdb":
        raise NeuronError(f"{path} cannot be measured.", "Its .vdb twin holds the same numbers.")
    if ending not in USD_SUFFIXES:
        splats = read_splats(path)
        upside_down = ending == ".ply" and ply_axes == "rdf"
        return SplatDrawer(turned_upside_down(splats) if upside_down else splats)
    return _of_stage(path, report)


def _of_stage(path: Path, report: Reporter) -> Drawer:
    try:
        stage = Usd.Stage.Open(str(path))
    except Tf.ErrorException as error:
        raise NeuronError(f"{path} cannot be read as USD.", "Export the file again.") from error
    prims = list(Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()))
    if any(str(prim.GetTypeName()) == SPLATS for prim in prims):
        return SplatDrawer(read_splats(path))
    for prim in prims:
        if prim.IsA(UsdVol.OpenVDBAsset):
            file = prim.GetAttribute("filePath").Get()
            if not isinstance(file, Sdf.AssetPath) or not file.resolvedPath:
                raise NeuronError(f"{path} names a volume that is not there.", "Copy its .vdb along.")
            return VolumeDrawer(read_vdb(Path(file.resolvedPath)))
        if prim.IsA(UsdGeom.Mesh):
            return MeshDrawer(read_mesh(UsdGeom.Mesh(prim)), report)
        if prim.IsA(UsdGeom.Points):
            cloud = read_points(UsdGeom.Points(prim))
            return SplatDrawer(_as_splats(cloud), "points", {"points": len(cloud)})
    raise NeuronError(
        f"{path} has nothing that is measured.", "Measured are splats, volumes, meshes, points."
    )


class SplatDrawer:
    """Splats, or points drawn as splats."""

    def __init__(
        self, splats: Splats, representation: str = "splat", counts: dict[str, int] | None = None
    ) -> None:
        self.representation = representation
        self.counts = counts or {"splats": len(splats), "degree": splats.degree}
        self._linear = splats.encoding == "linear"
        self._renderer = SplatRenderer(splats)

    def picture(self, camera: Camera) -> Picture:
        """One sample a pixel."""
        rgba = self._renderer.draw(camera)
        over = np.clip(rgba[..., :3] + (1.0 - rgba[..., 3:]), 0.0, 1.0)
        encoded = linear_to_srgb(over) if self._linear else over
        return Picture(np.asarray(encoded, np.float32), rgba[..., 3] > SOLID)


def _as_splats(cloud: PointCloud) -> Splats:
    """Points as round flat splats, as wide as they are."""
    normals = cloud.normals.astype(np.float64)
    helper = np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(normals, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    axes = np.stack([first, np.cross(normals, first), normals], axis=-1)
    spread = np.array([POINT_SPREAD, POINT_SPREAD, POINT_THICKNESS])
    constant = (cloud.colors - 0.5) / CONSTANT
    return Splats(
        cloud.positions,
        quaternions_of(axes),
        (cloud.widths[:, None] * spread).astype(np.float32),
        np.full(len(cloud), 0.99, np.float32),
        constant[:, None].astype(np.float32),
        "linear",
    )


class VolumeDrawer:
    """Density and color of an OpenVDB file, drawn as a volume that emits and absorbs."""

    representation = "volume"

    def __init__(self, grids: list[VdbGrid]) -> None:
        self.counts = {f"{grid.name}_voxels": len(grid) for grid in grids}
        self._tracer: Tracer = _VolumeTracer(grids)

    def picture(self, camera: Camera) -> Picture:
        """Four rays a pixel, averaged in linear."""
        shown = draw(self._tracer, camera, SAMPLES).over_white()[0]
        return Picture(shown, trace_centers(self._tracer, camera).coverage)


class _VolumeTracer:
    """Marches the grids with the kernels of baked fields; colors take the place of codes."""

    encoding: Encoding = "linear"

    def __init__(self, grids: list[VdbGrid]) -> None:
        nvf, codes = field_of_grids(grids)
        self._renderer = BakedRenderer(nvf, NO_SHADER, codes, reflections=False)

    def colors(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Premultiplied linear colors [1, R, 3] and opacities [R]."""
        seen = self._renderer.surfaces(rays_o, rays_d, width)
        linear = srgb_to_linear(np.clip(seen.codes[:, :3], 0.0, 1.0))
        return (linear * seen.alpha[:, None])[None].astype(np.float32), seen.alpha

    def surfaces(self, rays_o: np.ndarray, rays_d: np.ndarray, width: int) -> Hits:
        """What unit rays [R, 3] hit."""
        seen = self._renderer.surfaces(rays_o, rays_d, width)
        return Hits(seen.alpha, seen.depth, seen.normal)
