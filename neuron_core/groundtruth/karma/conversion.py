"""A dataset that Karma rendered: every picture converted to what readers expect, one by one."""

from dataclasses import dataclass
from pathlib import Path

from neuron_core.cameras.camera import Camera
from neuron_core.datasets import layout
from neuron_core.datasets.channels import to_layers
from neuron_core.datasets.layout import DatasetError
from neuron_core.foundation import interrupts
from neuron_core.foundation.progress import Reporter
from neuron_core.geometry import load_geometry
from neuron_core.geometry.mesh import Geometry
from neuron_core.groundtruth.finishing import ENGINE_LICENCE, Facts, material_info
from neuron_core.groundtruth.folder import DatasetFolder
from neuron_core.groundtruth.karma.pictures import read_beauty, read_layers
from neuron_core.groundtruth.karma.request import Request
from neuron_core.groundtruth.karma.surfaces import to_gbuffer
from neuron_core.groundtruth.karma.traced import TracedShape, lacking
from neuron_core.groundtruth.plan import DatasetPlan
from neuron_core.images.exr import write_exr
from neuron_core.materials.procedural import SHAPED

MOST_NOTES = 8
CONVERTED = 0.95  # of the progress; the rest is writing what follows from the pictures


def load_rendered(request: Request) -> Geometry:
    """The geometry of a request. Raises DatasetError if it changed since Karma rendered it."""
    geometry = load_geometry(request.geometry, request.assign)
    if geometry.digest() != request.geometry_digest:
        raise DatasetError(
            f"{request.geometry} is not what Karma rendered.", "Render it again, or bring the geometry back."
        )
    return geometry


def convert_all(request: Request, plan: DatasetPlan, folder: DatasetFolder, report: Reporter) -> list[str]:
    """Convert every picture that is there; notes of the G-buffers. Raises DatasetError for missing ones."""
    units = plan.units()
    conversion = _Conversion(request, plan, TracedShape(plan.geometry))
    cameras = {camera.name: camera for camera in plan.cameras}
    notes, missing = [], []
    for index, unit in enumerate(units):
        interrupts.stop_if_requested()
        raw = folder.path / request.raw_path(unit)
        if folder.has(unit.path):
            continue
        if not raw.is_file():
            missing.append(raw)
            continue
        if unit.kind == "gbuffer":
            notes += conversion.shape(raw, cameras[unit.camera], folder.path / unit.path)
        else:
            _convert_beauty(raw, cameras[unit.camera], folder.path / unit.path)
        report.progress(CONVERTED * index / len(units), "convert", unit.label)
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(units)} pictures are not rendered yet; the first is {missing[0]}.",
            "Render again; what is there is kept.",
        )
    return notes


@dataclass(frozen=True, slots=True)
class _Conversion:
    """What G-buffers are made with."""

    request: Request
    plan: DatasetPlan
    traced: TracedShape

    def shape(self, raw: Path, camera: Camera, target: Path) -> list[str]:
        """Write a G-buffer; where layers are missing, one that the engine traces, and a note that says so."""
        channels = read_layers(raw)
        lost = lacking(channels, len(self.plan.geometry.parts))
        if lost:
            found = self.traced.gbuffer(camera)
            notes = [f"{raw.name} lacks {', '.join(lost)}; the engine traced the shape itself."]
        else:
            matrix = self.request.dataset_from_stage
            found, notes = to_gbuffer(raw, channels, camera, self.plan.geometry, matrix)
        write_exr(target, to_layers(found.channels()))
        return notes


def _convert_beauty(raw: Path, camera: Camera, target: Path) -> None:
    pixels = read_beauty(raw, read_layers(raw))
    if pixels.shape[:2] != (camera.height, camera.width):
        raise DatasetError(
            f"{raw} has {pixels.shape[1]} x {pixels.shape[0]} pixels, not {camera.width} x {camera.height}.",
            "Delete it and render it again.",
        )
    write_exr(target, layout.beauty_channels(pixels), half=True)


def facts_of(request: Request, plan: DatasetPlan, notes: list[str]) -> Facts:
    """What the manifest says beside the plan. `notes` are those of the conversion.

    Karma has every input of the surface, but layers that follow the shape are not carried to it.
    """
    infos = []
    for material in plan.materials:
        kinds = [layer.kind for layer in material.layers if not request.layered or layer.kind in SHAPED]
        dropped = tuple(sorted({f"layer {kind}" for kind in kinds}))
        infos.append(material_info(plan, material, not dropped, dropped))
    warned = [f"{info.name} is rendered without {', '.join(info.dropped)}" for info in infos if info.dropped]
    licence = ENGINE_LICENCE
    if request.geometry != "shaderball":
        licence += f" The geometry comes from {request.geometry}; its own licence applies to the pictures."
    return Facts(
        geometry=request.geometry,
        assign=request.assign,
        materials=tuple(infos),
        notes=(*notes[:MOST_NOTES], *warned),
        licences=(licence,),
        mask_rectangle=request.mask_rectangle,
    )
