"""A dataset that the engine renders itself: what is missing, how far it is sampled, what it lost."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from neuron_core.cameras.camera import Camera
from neuron_core.datasets import layout
from neuron_core.datasets.channels import to_layers
from neuron_core.datasets.contract import View
from neuron_core.datasets.manifest import DatasetManifest, MaterialInfo, RendererInfo
from neuron_core.foundation import interrupts
from neuron_core.foundation.clocks import clock_text
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.seeds import seed_of
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.groundtruth.finishing import ENGINE_LICENCE, Facts, material_info
from neuron_core.groundtruth.folder import DatasetFolder
from neuron_core.groundtruth.pace import Pace
from neuron_core.groundtruth.plan import DatasetPlan, Unit
from neuron_core.groundtruth.renderer import DatasetRenderer
from neuron_core.groundtruth.truth import BEST_DB, Sampled, decibels, pair_error, sample_until
from neuron_core.images.exr import write_exr
from neuron_core.materials import library_to_json
from neuron_core.materials.principled import principled
from neuron_core.materials.record import Material

WEIGHTS = {"gbuffer": 0.3, "train": 1.0, "truth": 3.0}  # relative cost before anything was measured
VERSION = 1  # of the datasets that are rendered here
RENDERED = 0.98  # of the progress; the rest is writing what follows from the pictures


def describe(config: DatasetConfig, plan: DatasetPlan, light: np.ndarray) -> dict[str, object]:
    """All that the pictures depend on; two datasets with the same description are the same."""
    records = json.dumps(library_to_json(plan.materials), sort_keys=True).encode()
    return {
        **config.described(),
        "version": VERSION,
        "geometry_digest": plan.geometry.digest(),
        "materials_digest": hashlib.sha256(records).hexdigest(),
        "studio_digest": hashlib.sha256(light.tobytes()).hexdigest(),
    }


def make_renderer(config: DatasetConfig, report: Reporter) -> DatasetRenderer:
    """The renderer that runs here, in the fastest variant."""
    from neuron_core.groundtruth.mitsuba.renderer import MitsubaRenderer
    from neuron_core.groundtruth.mitsuba.variants import choose_variant

    return MitsubaRenderer(choose_variant(config.variant, report), config.bounces, config.resolution)


def is_done(folder: DatasetFolder, unit: Unit) -> bool:
    """Whether a picture is there, and the measure of its noise where it needs one."""
    return folder.has(unit.path) and (unit.kind != "truth" or folder.measured(unit.path) is not None)


def render_missing(
    config: DatasetConfig,
    plan: DatasetPlan,
    light: np.ndarray,
    folder: DatasetFolder,
    units: Sequence[Unit],
    report: Reporter,
    make: Callable[[DatasetConfig, Reporter], DatasetRenderer] = make_renderer,
) -> None:
    """Render those of `units` that are not there yet. Without any, no renderer is made."""
    missing = [unit for unit in units if not is_done(folder, unit)]
    if not missing:
        return
    renderer = make(config, report)
    renderer.prepare(plan.geometry, light)
    folder.note_renderer(RendererInfo(renderer.name, renderer.version, renderer.variant, renderer.settings()))
    pace = Pace({kind: sum(unit.kind == kind for unit in missing) for kind in WEIGHTS}, WEIGHTS)
    cameras = {camera.name: camera for camera in plan.cameras}
    materials = {material.name: material for material in plan.materials}
    for index, unit in enumerate(missing, len(units) - len(missing) + 1):
        interrupts.stop_if_requested()
        _render(config, renderer, folder, unit, cameras[unit.camera], materials.get(unit.material))
        pace.done(unit.kind)
        message = f"{unit.label}  {index}/{len(units)}  {clock_text(pace.seconds_left())} left"
        report.progress(RENDERED * pace.fraction(), "render", message)


def _render(
    config: DatasetConfig,
    renderer: DatasetRenderer,
    folder: DatasetFolder,
    unit: Unit,
    camera: Camera,
    material: Material | None,
) -> None:
    """One file; what was measured about it is noted before it is there."""
    if material is None:
        write_exr(folder.path / unit.path, to_layers(renderer.gbuffer(camera).channels()))
        return
    sampled = _sample(config, renderer, unit, material, camera)
    if sampled.error is not None:
        folder.note(unit.path, {"spp": sampled.spp, "error": sampled.error})
    write_exr(folder.path / unit.path, layout.beauty_channels(sampled.pixels), half=True)


def _sample(
    config: DatasetConfig, renderer: DatasetRenderer, unit: Unit, material: Material, camera: Camera
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


def facts_of(config: DatasetConfig, plan: DatasetPlan, folder: DatasetFolder, notes: Sequence[str]) -> Facts:
    """What the manifest says beside the plan. `notes` are those of the library."""
    infos = tuple(_material_info(plan, folder, material) for material in plan.materials)
    lost = [f"{info.name} is not rendered as it is" for info in infos if not info.supported]
    return Facts(
        geometry=config.geometry,
        assign=config.assign,
        materials=infos,
        notes=(*notes, *lost),
        licences=_licences(config),
    )


def _licences(config: DatasetConfig) -> tuple[str, ...]:
    foreign = []
    if config.geometry != "shaderball":
        foreign.append(f"The geometry comes from {config.geometry}")
    if Path(config.light).suffix:
        foreign.append(f"The light comes from {config.light}")
    return (ENGINE_LICENCE, *(f"{origin}; its own licence applies to the pictures." for origin in foreign))


def _material_info(plan: DatasetPlan, folder: DatasetFolder, material: Material) -> MaterialInfo:
    mapped = principled(material)
    floors = _truth_floors(plan, folder, material.name)
    return material_info(plan, material, mapped.supported, mapped.dropped, floors)


def _truth_floors(plan: DatasetPlan, folder: DatasetFolder, material: str) -> dict[str, float]:
    """How far the pictures of each split are from their limit, in dB, where that was measured."""
    floors = {}
    names = plan.camera_names(material)
    for split, cameras in plan.splits.items():
        notes = [
            folder.measured(layout.beauty_path(View(name, material))) for name in cameras if name in names
        ]
        errors = [note["error"] for note in notes if note is not None]
        if errors:
            floors[split] = round(decibels(float(np.mean(errors))), 2)
    return floors


def warn_of_losses(materials: Sequence[Material], report: Reporter) -> None:
    """Say which materials the renderer cannot do, or does without some of their inputs."""
    for material in materials:
        mapped = principled(material)
        if not mapped.supported:
            report.warn(
                f"{material.name} cannot be rendered as it is and stays out of averages: {mapped.notes[0]}"
            )
        elif mapped.dropped:
            report.warn(f"{material.name} is rendered without {', '.join(mapped.dropped)}.")


def warn_of_noise(config: DatasetConfig, manifest: DatasetManifest, report: Reporter) -> None:
    """Say which materials are noisier than they were asked to be."""
    for info in manifest.materials:
        reached = min((info.truth_floor.get(split, BEST_DB) for split in ("val", "test")), default=BEST_DB)
        if reached < config.truth_db - 0.05:
            report.warn(
                f"Test pictures of {info.name} are {reached:.1f} dB from their limit, not "
                f"{config.truth_db:g}; raise --truth-spp above {config.truth_spp} for more."
            )
