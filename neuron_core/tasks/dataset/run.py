"""The task: render what is missing, measure how good the truth is, write the manifest last."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera, save_cameras
from neuron_core.datasets import layout
from neuron_core.foundation import interrupts
from neuron_core.foundation.files import read_json, write_bytes, write_json
from neuron_core.foundation.progress import Reporter
from neuron_core.geometry import load_geometry
from neuron_core.groundtruth.config import DatasetConfig, parse_shard
from neuron_core.groundtruth.folder import PREVIEW, Folder
from neuron_core.groundtruth.light import read_light
from neuron_core.groundtruth.pace import Pace, clock
from neuron_core.groundtruth.plan import Plan, Unit, make_plan, seed_of
from neuron_core.groundtruth.renderer import Renderer
from neuron_core.groundtruth.truth import BEST_DB, Sampled, decibels, pair_error, sample_until
from neuron_core.images.exr import read_exr, write_exr
from neuron_core.images.pictures import display, encode_png
from neuron_core.images.sheet import Row, contact_sheet
from neuron_core.materials import library_to_json, read_library
from neuron_core.materials.principled import principled
from neuron_core.materials.record import Material
from neuron_core.materials.wording import canonical_prompt, prompts

MOST_ROWS, MOST_COLUMNS = 24, 8  # materials and cameras in the preview
PROMPTS = 16  # wordings of each material
WEIGHTS = {"gbuffer": 0.3, "train": 1.0, "truth": 3.0}  # relative cost before anything was measured
ENGINE_LICENCE = "Shader ball, materials and studio light are part of Neuron (Apache-2.0)."


def run(config: DatasetConfig, report: Reporter) -> dict[str, object]:
    """Render a dataset, or go on with it. Answers with paths, counts and the noise of the truth.

    Raises NeuronError and subclasses for geometry, materials and folders that cannot be used, and
    ConfigMismatchError if the folder holds another dataset.
    """
    report.progress(0.0, "prepare", f"Loading {config.geometry}")
    geometry = load_geometry(config.geometry, config.assign)
    library = read_library(config.materials)
    plan = make_plan(config, geometry, library.materials, library.held_out)
    light = read_light(config.light)
    folder = Folder(Path(config.out), describe(config, plan, light))
    folder.open(config.overwrite)
    if not folder.is_finished():
        for other in config.merge:
            report.progress(0.0, "merge", f"{folder.take_over(Path(other))} files from {other}")
        for note in (*geometry.notes, *library.notes):
            report.warn(note)
        _warn_of_losses(plan.materials, report)
        shard, shards = parse_shard(config.shard)
        units = plan.units()[shard::shards]
        missing = [unit for unit in units if not _is_done(folder, unit)]
        if missing:
            _render(config, plan, light, folder, missing, len(units), report)
        if shards > 1:
            return _shard_result(config, plan, folder)
        _finish(config, plan, folder, library.notes, report)
    return _result(folder)


def describe(config: DatasetConfig, plan: Plan, light: np.ndarray) -> dict[str, object]:
    """All that the pictures depend on; two datasets with the same description are the same."""
    records = json.dumps(library_to_json(plan.materials), sort_keys=True).encode()
    return {
        **config.described(),
        "version": layout.VERSION,
        "geometry_digest": plan.geometry.digest(),
        "materials_digest": hashlib.sha256(records).hexdigest(),
        "studio_digest": hashlib.sha256(light.tobytes()).hexdigest(),
    }


def _is_done(folder: Folder, unit: Unit) -> bool:
    return folder.has(unit.path) and (unit.kind != "truth" or folder.measured(unit.path) is not None)


def _warn_of_losses(materials: Sequence[Material], report: Reporter) -> None:
    for material in materials:
        mapped = principled(material)
        if not mapped.supported:
            report.warn(
                f"{material.name} cannot be rendered as it is and stays out of averages: {mapped.notes[0]}"
            )
        elif mapped.dropped:
            report.warn(f"{material.name} is rendered without {', '.join(mapped.dropped)}.")


def make_renderer(config: DatasetConfig, report: Reporter) -> Renderer:
    """The renderer that runs here, in the fastest variant."""
    from neuron_core.groundtruth.mitsuba.renderer import MitsubaRenderer
    from neuron_core.groundtruth.mitsuba.variants import choose_variant

    return MitsubaRenderer(choose_variant(config.variant, report), config.bounces, config.resolution)


def _render(
    config: DatasetConfig,
    plan: Plan,
    light: np.ndarray,
    folder: Folder,
    missing: Sequence[Unit],
    total: int,
    report: Reporter,
) -> None:
    renderer = make_renderer(config, report)
    renderer.prepare(plan.geometry, light)
    folder.note_renderer(
        layout.RendererInfo(renderer.name, renderer.version, renderer.variant, renderer.settings())
    )
    left = {kind: sum(unit.kind == kind for unit in missing) for kind in WEIGHTS}
    pace = Pace(left, WEIGHTS)
    cameras = {camera.name: camera for camera in plan.cameras}
    materials = {material.name: material for material in plan.materials}
    for index, unit in enumerate(missing):
        interrupts.stop_if_requested()
        camera = cameras[unit.camera]
        if unit.kind == "gbuffer":
            write_exr(folder.path / unit.path, renderer.gbuffer(camera).to_channels())
        else:
            sampled = _sample(config, renderer, unit, materials[unit.material], camera)
            if sampled.error is not None:
                folder.note(unit.path, {"spp": sampled.spp, "error": sampled.error})
            write_exr(folder.path / unit.path, layout.beauty_channels(sampled.pixels), half=True)
        pace.done(unit.kind)
        count = f"{total - len(missing) + index + 1}/{total}"
        message = f"{unit.label}  {count}  {clock(pace.seconds_left())} left"
        report.progress(0.98 * pace.fraction(), "render", message)


def _sample(
    config: DatasetConfig, renderer: Renderer, unit: Unit, material: Material, camera: Camera
) -> Sampled:
    """One picture, sampled as far as its split asks for."""

    def render(spp: int, index: int, repeats: np.ndarray | None = None) -> np.ndarray:
        interrupts.stop_if_requested()
        seed = seed_of(config.seed, material.name, camera.name, index)
        return renderer.beauty(material, camera, spp, seed, repeats)

    if unit.kind == "truth":
        shape = (camera.height, camera.width)
        return sample_until(render, shape, config.truth_db, config.truth_spp, renderer.partial)
    pixels = render(config.spp, 0)
    if not unit.measured:
        return Sampled(pixels, float(config.spp), None)
    other = render(config.spp, 1)
    return Sampled((pixels + other) / 2, 2.0 * config.spp, pair_error(pixels, other) / 2)


def _finish(
    config: DatasetConfig, plan: Plan, folder: Folder, notes: Sequence[str], report: Reporter
) -> None:
    """Write what is made from the pictures, and the manifest last."""
    report.progress(0.98, "finish", "Writing cameras, previews and checksums")
    save_cameras(folder.path / layout.CAMERAS, plan.cameras, plan.splits)
    write_json(folder.path / layout.MATERIALS, library_to_json(plan.materials))
    for material in plan.materials:
        write_json(folder.path / layout.transforms_path(material.name), transforms(plan, material.name))
    write_bytes(folder.path / PREVIEW, encode_png(contact_sheet(_test_pictures(plan, folder))))
    manifest = _manifest(config, plan, folder, notes)
    _warn_of_noise(config, manifest, report)
    folder.finish(manifest.to_json())


def _warn_of_noise(config: DatasetConfig, manifest: layout.Manifest, report: Reporter) -> None:
    for info in manifest.materials:
        reached = min((info.truth_floor.get(split, BEST_DB) for split in ("val", "test")), default=BEST_DB)
        if reached < config.truth_db - 0.05:
            report.warn(
                f"Test pictures of {info.name} are {reached:.1f} dB from their limit, not "
                f"{config.truth_db:g}; raise --truth-spp above {config.truth_spp} for more."
            )


def transforms(plan: Plan, material: str) -> dict[str, object]:
    """A NeRF dataset of one material in the words of nerfstudio; `up_axis` tells that Y is up."""
    names = plan.camera_names(material)
    cameras = [camera for camera in plan.cameras if camera.name in names]
    first = cameras[0]
    return {
        "camera_model": "OPENCV",
        "up_axis": "Y",
        "w": first.width,
        "h": first.height,
        "fl_x": first.fl_x,
        "fl_y": first.fl_y,
        "cx": first.cx,
        "cy": first.cy,
        "frames": [
            {"file_path": f"{camera.name}.exr", "transform_matrix": camera.c2w.tolist()} for camera in cameras
        ],
        **{
            f"{split}_filenames": [f"{name}.exr" for name in plan.splits[split] if name in names]
            for split in layout.CAMERA_SPLITS
        },
    }


def _test_pictures(plan: Plan, folder: Folder) -> list[Row]:
    """Some pictures of every material, of test cameras where there are any."""
    rows: list[Row] = []
    for material in plan.materials[:MOST_ROWS]:
        names = (plan.splits["test"] or plan.training_views(material.name))[:MOST_COLUMNS]
        paths = [folder.path / layout.beauty_path(material.name, name) for name in names]
        rows.append((material.name, [(name, _shown(path)) for name, path in zip(names, paths, strict=True)]))
    return rows


def _shown(path: Path) -> np.ndarray:
    channels = read_exr(path)
    return display(np.stack([channels[name] for name in layout.BEAUTY_CHANNELS], axis=-1))


def _manifest(config: DatasetConfig, plan: Plan, folder: Folder, notes: Sequence[str]) -> layout.Manifest:
    low, high = plan.geometry.aabb().astype(float).tolist()
    materials = tuple(_material_info(plan, folder, material) for material in plan.materials)
    lost = [f"{info.name} is not rendered as it is" for info in materials if not info.supported]
    return layout.Manifest(
        geometry=layout.GeometryInfo(
            config.geometry,
            plan.geometry.digest(),
            config.assign,
            plan.geometry.center,
            (tuple(low), tuple(high)),
        ),
        renderer=folder.renderer(),
        resolution=(config.resolution, config.resolution),
        materials=materials,
        splits=plan.splits,
        files=folder.checksums(_files(plan)),
        config=folder.description,
        fingerprint=folder.fingerprint,
        dropped=tuple(sorted({name for info in materials for name in info.dropped})),
        notes=(*plan.geometry.notes, *notes, *lost),
        licences=_licences(config),
    )


def _files(plan: Plan) -> list[str]:
    """Everything but the manifest."""
    transformed = [layout.transforms_path(material.name) for material in plan.materials]
    rendered = [unit.path for unit in plan.units()]
    return [layout.CAMERAS, layout.MATERIALS, PREVIEW, *transformed, *rendered]


def _licences(config: DatasetConfig) -> tuple[str, ...]:
    foreign = []
    if config.geometry != "shaderball":
        foreign.append(f"The geometry comes from {config.geometry}")
    if Path(config.light).suffix:
        foreign.append(f"The light comes from {config.light}")
    return (ENGINE_LICENCE, *(f"{origin}; its own licence applies to the pictures." for origin in foreign))


def _material_info(plan: Plan, folder: Folder, material: Material) -> layout.MaterialInfo:
    mapped = principled(material)
    return layout.MaterialInfo(
        name=material.name,
        prompt=canonical_prompt(material),
        prompts=tuple(prompts(material, PROMPTS, 0)),
        split="compositional" if material.name in plan.held_out else "train",
        supported=mapped.supported,
        transmissive=mapped.transmissive,
        dropped=mapped.dropped,
        truth_floor=_floors(plan, folder, material.name),
    )


def _floors(plan: Plan, folder: Folder, material: str) -> dict[str, float]:
    """How far the pictures of each split are from their limit, in dB, where that was measured."""
    floors = {}
    names = plan.camera_names(material)
    for split, cameras in plan.splits.items():
        notes = [folder.measured(layout.beauty_path(material, name)) for name in cameras if name in names]
        errors = [note["error"] for note in notes if note is not None]
        if errors:
            floors[split] = round(decibels(float(np.mean(errors))), 2)
    return floors


def _shard_result(config: DatasetConfig, plan: Plan, folder: Folder) -> dict[str, object]:
    left = sum(not _is_done(folder, unit) for unit in plan.units())
    then = (
        "Run the same command without --shard to finish."
        if not left
        else f"{left} pictures are left to others."
    )
    return {
        "dataset": str(folder.path),
        "finished": False,
        "shard": config.shard,
        "missing": left,
        "summary": f"Shard {config.shard} of {folder.path} is done. {then}",
    }


def _result(folder: Folder) -> dict[str, object]:
    content = read_json(folder.path / layout.MANIFEST)
    manifest = layout.Manifest.from_json(content)
    floors = {info.name: info.truth_floor for info in manifest.materials}
    views = {split: len(names) for split, names in manifest.splits.items()}
    return {
        "dataset": str(folder.path),
        "finished": True,
        "materials": [info.name for info in manifest.materials],
        "unsupported": [info.name for info in manifest.materials if not info.supported],
        "views": views,
        "resolution": list(manifest.resolution),
        "renderer": {"name": manifest.renderer.name, "variant": manifest.renderer.variant},
        "truth_floor": floors,
        "preview": str(folder.path / PREVIEW),
        "summary": _summary(folder.path, manifest, floors, views),
    }


def _summary(
    path: Path, manifest: layout.Manifest, floors: Mapping[str, Mapping[str, float]], views: Mapping[str, int]
) -> str:
    width = max(len(name) for name in floors)
    counted = ", ".join(f"{count} {split}" for split, count in views.items())
    lines = [
        f"{path}: {len(floors)} materials from {counted} views, {manifest.resolution[0]} x "
        f"{manifest.resolution[1]} pixels, {manifest.renderer.name} {manifest.renderer.variant}.",
        "Noise of the pictures (PSNR to their limit, sRGB over white):",
    ]
    for name, floor in floors.items():
        lines.append(
            f"  {name:{width}}  " + "  ".join(f"{split} {value:.1f} dB" for split, value in floor.items())
        )
    return "\n".join(lines)
