"""The task: convert what Karma rendered, say what is missing, write the manifest last."""

from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, save_cameras
from neuron_core.datasets import layout
from neuron_core.datasets.layout import DatasetError
from neuron_core.foundation import interrupts
from neuron_core.foundation.files import write_bytes, write_json
from neuron_core.foundation.progress import Reporter
from neuron_core.geometry import load_geometry
from neuron_core.groundtruth.folder import PREVIEW, Folder
from neuron_core.groundtruth.karma.pictures import read_beauty, read_layers
from neuron_core.groundtruth.karma.request import Request, read_request
from neuron_core.groundtruth.karma.surfaces import to_gbuffer
from neuron_core.groundtruth.karma.traced import TracedShape, lacking
from neuron_core.groundtruth.plan import Plan
from neuron_core.images.exr import read_exr, write_exr
from neuron_core.images.pictures import display, encode_png
from neuron_core.images.sheet import contact_sheet
from neuron_core.materials import library_to_json
from neuron_core.materials.principled import principled
from neuron_core.materials.procedural import SHAPED
from neuron_core.materials.record import Material
from neuron_core.materials.wording import canonical_prompt, prompts
from neuron_core.tasks.dataset.run import ENGINE_LICENCE, MOST_COLUMNS, MOST_ROWS, PROMPTS, transforms
from neuron_core.tasks.karma.config import KarmaConfig

MOST_NOTES = 8


def run(config: KarmaConfig, report: Reporter) -> dict[str, object]:
    """Convert a folder, or go on with it.

    Raises DatasetError that names pictures which are missing or do not fit; what could be converted stays.
    """
    out = Path(config.out)
    request = read_request(out)
    report.progress(0.0, "prepare", f"Loading {request.geometry}")
    geometry = load_geometry(request.geometry, request.assign)
    if geometry.digest() != request.geometry_digest:
        raise DatasetError(
            f"{request.geometry} is not what Karma rendered.", "Render it again, or bring the geometry back."
        )
    plan = request.plan(geometry)
    folder = Folder(out, request.description())
    folder.open(config.overwrite)
    if not folder.is_finished():
        folder.note_renderer(request.renderer)
        notes = _convert(request, plan, folder, report)
        _finish(request, plan, folder, notes, report)
    views = {split: len(names) for split, names in plan.splits.items()}
    names = [material.name for material in plan.materials]
    summary = f"{out}: {len(names)} materials rendered by Karma, {sum(views.values())} cameras."
    return {
        "dataset": str(out),
        "finished": True,
        "materials": names,
        "views": views,
        "preview": str(out / PREVIEW),
        "summary": summary,
    }


def _convert(request: Request, plan: Plan, folder: Folder, report: Reporter) -> list[str]:
    """Convert every picture that is there; notes of the G-buffers. Raises DatasetError for missing ones."""
    units = plan.units()
    cameras = {camera.name: camera for camera in plan.cameras}
    traced = TracedShape(plan.geometry)
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
            notes += _convert_shape(request, raw, cameras[unit.camera], folder.path / unit.path, traced, plan)
        else:
            _convert_color(raw, cameras[unit.camera], folder.path / unit.path)
        report.progress(0.95 * index / len(units), "convert", unit.label)
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(units)} pictures are not rendered yet; the first is {missing[0]}.",
            "Render again; what is there is kept.",
        )
    return notes


def _convert_shape(
    request: Request, raw: Path, camera: Camera, target: Path, traced: TracedShape, plan: Plan
) -> list[str]:
    """Write a G-buffer; where layers lack, one that the engine traces, and a note that says so."""
    channels = read_layers(raw)
    lost = lacking(channels, len(plan.geometry.parts))
    if lost:
        found = traced.gbuffer(camera)
        notes = [f"{raw.name} lacks {', '.join(lost)}; the engine traced the shape itself."]
    else:
        found, notes = to_gbuffer(raw, channels, camera, plan.geometry, request.dataset_from_stage)
    write_exr(target, found.to_channels())
    return notes


def _convert_color(raw: Path, camera: Camera, target: Path) -> None:
    pixels = read_beauty(raw, read_layers(raw))
    if pixels.shape[:2] != (camera.height, camera.width):
        raise DatasetError(
            f"{raw} has {pixels.shape[1]} x {pixels.shape[0]} pixels, not {camera.width} x {camera.height}.",
            "Delete it and render it again.",
        )
    write_exr(target, layout.beauty_channels(pixels), half=True)


def _finish(request: Request, plan: Plan, folder: Folder, notes: list[str], report: Reporter) -> None:
    """Write what is made from the pictures, and the manifest last."""
    report.progress(0.96, "finish", "Writing cameras, previews and checksums")
    save_cameras(folder.path / layout.CAMERAS, plan.cameras, plan.splits)
    write_json(folder.path / layout.MATERIALS, library_to_json(plan.materials))
    for material in plan.materials:
        write_json(folder.path / layout.transforms_path(material.name), transforms(plan, material.name))
    write_bytes(folder.path / PREVIEW, encode_png(_preview(plan, folder)))
    folder.finish(_manifest(request, plan, folder, notes).to_json())


def _preview(plan: Plan, folder: Folder) -> np.ndarray:
    columns = (plan.splits["test"] or plan.splits["train"])[:MOST_COLUMNS]

    def shown(material: str, camera: str) -> np.ndarray:
        channels = read_exr(folder.path / layout.beauty_path(material, camera))
        return display(np.stack([channels[name] for name in layout.BEAUTY_CHANNELS], axis=-1))

    return contact_sheet(
        [
            (material.name, [(camera, shown(material.name, camera)) for camera in columns])
            for material in plan.materials[:MOST_ROWS]
        ]
    )


def _manifest(request: Request, plan: Plan, folder: Folder, notes: list[str]) -> layout.Manifest:
    low, high = plan.geometry.aabb().astype(float).tolist()
    infos = tuple(_material_info(request, plan, material) for material in plan.materials)
    lost = [f"{info.name} is rendered without {', '.join(info.dropped)}" for info in infos if info.dropped]
    files = [layout.CAMERAS, layout.MATERIALS, PREVIEW, *(unit.path for unit in plan.units())]
    files += [layout.transforms_path(material.name) for material in plan.materials]
    first = plan.cameras[0]
    licence = ENGINE_LICENCE
    if request.geometry != "shaderball":
        licence += f" The geometry comes from {request.geometry}; its own licence applies to the pictures."
    return layout.Manifest(
        geometry=layout.GeometryInfo(
            request.geometry,
            plan.geometry.digest(),
            request.assign,
            plan.geometry.center,
            (tuple(low), tuple(high)),
        ),
        renderer=folder.renderer(),
        resolution=(first.width, first.height),
        materials=infos,
        splits=plan.splits,
        files=folder.checksums(files),
        config=folder.description,
        fingerprint=folder.fingerprint,
        dropped=tuple(sorted({name for info in infos for name in info.dropped})),
        notes=(*plan.geometry.notes, *notes[:MOST_NOTES], *lost),
        licences=(licence,),
        mask_rectangle=request.mask_rectangle,
    )


def _material_info(request: Request, plan: Plan, material: Material) -> layout.MaterialInfo:
    """Karma has every input of the surface. Layers that follow the shape are not carried to it."""
    lost = [layer.kind for layer in material.layers if not request.layered or layer.kind in SHAPED]
    dropped = tuple(sorted({f"layer {kind}" for kind in lost}))
    return layout.MaterialInfo(
        name=material.name,
        prompt=canonical_prompt(material),
        prompts=tuple(prompts(material, PROMPTS, 0)),
        split="compositional" if material.name in plan.held_out else "train",
        supported=not dropped,
        transmissive=principled(material).transmissive,
        dropped=dropped,
    )
