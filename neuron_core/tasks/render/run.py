"""`neuron render`: an asset and cameras to pictures. Drawing baked voxels imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.assets import AssetError, Manifest, read_header
from neuron_core.cameras.camera import Camera, to_json
from neuron_core.foundation import interrupts
from neuron_core.foundation.clocks import Stopwatch, clock_text
from neuron_core.foundation.devices import torch_device, warp_device
from neuron_core.foundation.errors import FileError, NeuronError
from neuron_core.foundation.progress import Reporter
from neuron_core.images.pictures import decode_image
from neuron_core.images.sheet import write_animation
from neuron_core.rendering.tracing import BakedTracer, Tracer, draw, trace_centers
from neuron_core.rendering.views import Viewpoints, viewpoints
from neuron_core.tasks.render.config import RenderConfig
from neuron_core.tasks.render.folder import RenderFolder
from neuron_core.voxels.baked import Baked, read_baked
from neuron_core.voxels.nvf import CELLS, SAMPLES, SIDE, brick_coordinates

SCENES = (".usd", ".usda", ".usdc", ".usdz")
ANIMATION_PIXELS = 1 << 27  # of all frames together; more becomes no animation


@dataclass(frozen=True, slots=True)
class Subject:
    """What is drawn: an asset under one look."""

    manifest: Manifest
    look: str  # a slug, or the prompt that the field is asked with
    prompt: str
    points: np.ndarray  # [N, 3] around the object, to frame it


def run(config: RenderConfig, report: Reporter) -> dict[str, object]:
    """Render the frames that are missing. Returns where everything is.

    Raises AssetError for a file that cannot be drawn or a look that it does not have, and
    ConfigMismatchError if the folder holds other pictures.
    """
    if Path(config.asset).suffix.lower() in SCENES:
        from neuron_core.tasks.render.scenes import run_scene

        return run_scene(config, report)
    path = _asset_path(config)
    report.progress(0.0, "load", str(path))
    baked = _read(path, config.detail)
    subject = _subject(config, baked, path)
    views = viewpoints(config.cameras, config.size, subject.points, config.elevation)
    chosen = views.chosen(config.frames)
    folder = RenderFolder(Path(config.out), _describe(config, subject, views), views.cameras, config.aovs())
    folder.open(config.overwrite)
    missing = [camera for camera in chosen if not folder.has(camera.name)]
    watch = Stopwatch()
    if missing:
        tracer = _tracer(config, baked, subject, report)
        _render(config, folder, tracer, missing, len(chosen), report)
    seconds = watch.seconds
    animation = _animate(config, folder, views, report)
    return _result(config, folder, subject, chosen, len(missing), seconds, animation)


def _asset_path(config: RenderConfig) -> Path:
    path = Path(config.asset)
    if "id" in config.aovs():
        raise NeuronError("Only scenes have ids of what they show.", "Leave id out of --aov.")
    if config.contact_shadows or config.ambient_occlusion:
        raise NeuronError(
            "Only what stands beside other things takes light from them.",
            "Leave out --contact-shadows and --ambient-occlusion, or render a stage.",
        )
    if not path.exists():
        raise FileError(f"There is no asset at {path}.", "Make one with: neuron bake RUN OUT.neuron")
    if path.is_dir():
        raise AssetError(
            f"{path} is a folder, not a .neuron file.", "Bake a run first: neuron bake RUN OUT.neuron"
        )
    return path


def _read(path: Path, detail: str) -> Baked | None:
    """The baked voxels; None for an asset that has a field only, which is enough for `inr`."""
    if detail == "inr" and "nvf" not in read_header(path).manifest.architecture:
        return None
    return read_baked(path)


def _subject(config: RenderConfig, baked: Baked | None, path: Path) -> Subject:
    manifest = baked.manifest if baked else read_header(path).manifest
    points = _outline(baked) if baked else _corners(manifest)
    if config.detail == "inr":
        prompt = _prompt_of(manifest, config.prompt)
        return Subject(manifest, prompt, prompt, points)
    assert baked is not None
    slug = baked.look_of(config.prompt) if config.prompt else baked.slugs()[0]
    return Subject(manifest, slug, manifest.look(slug).prompt, points)


def _prompt_of(manifest: Manifest, wanted: str) -> str:
    """The prompt of a look that is named by its slug, the prompt itself, or that of the first look."""
    if not wanted:
        if not manifest.looks:
            raise AssetError(f"{manifest.name} has no looks.", "Say which one to draw with --prompt TEXT.")
        return manifest.looks[0].prompt
    slug = wanted.strip().lower().replace("-", "_")
    return next((look.prompt for look in manifest.looks if look.slug == slug), wanted.strip())


def _outline(baked: Baked) -> np.ndarray:
    """Where samples have density [N, 3], inside the object's box."""
    nvf = baked.nvf
    filled = nvf.active[nvf.density.reshape(-1)[nvf.active] > 0]
    if not len(filled):
        return _corners(baked.manifest)
    bricks, samples = np.divmod(filled, SAMPLES)
    steps = np.stack(np.unravel_index(samples, (SIDE, SIDE, SIDE)), axis=-1)
    places = brick_coordinates(nvf.top)[bricks] * CELLS + steps
    low, high = np.array(baked.manifest.aabb, np.float64)
    return np.asarray(np.clip(nvf.aabb[0].astype(np.float64) + places * nvf.voxel_size, low, high))


def _corners(manifest: Manifest) -> np.ndarray:
    box = np.array(manifest.aabb, np.float64)
    return np.array([[box[i, 0], box[j, 1], box[k, 2]] for i, j, k in np.ndindex(2, 2, 2)])


def _describe(config: RenderConfig, subject: Subject, views: Viewpoints) -> dict[str, object]:
    """Everything that a picture depends on. Which frames were asked for is not part of it."""
    return {
        "asset": subject.manifest.digest,
        "look": subject.look,
        "detail": config.detail,
        "aov": sorted(config.aovs()),
        "samples": config.samples,
        "background": config.background,
        "cameras": [to_json(camera) for camera in views.cameras],
    }


def _tracer(config: RenderConfig, baked: Baked | None, subject: Subject, report: Reporter) -> Tracer:
    if config.detail == "nvf":
        assert baked is not None
        return BakedTracer(baked, [subject.look], warp_device(config.device))
    return _field_tracer(config, subject, report)


def _field_tracer(config: RenderConfig, subject: Subject, report: Reporter) -> Tracer:
    """The field that is stored beside the voxels. Imports torch."""
    report.progress(0.0, "load", "the field and its prompt encoder")
    from neuron_core.models.field.stored import load_field
    from neuron_core.models.field.tracer import FieldTracer
    from neuron_core.prompts import EncoderId, encode_recorded

    field, _, encoder = load_field(Path(config.asset))
    recorded = EncoderId(encoder.id, encoder.digest)
    vectors = encode_recorded([subject.prompt], recorded, config.encoder_weights, report)
    return FieldTracer(field.to(torch_device(config.device)), vectors)


def _render(
    config: RenderConfig,
    folder: RenderFolder,
    tracer: Tracer,
    missing: Sequence[Camera],
    total: int,
    report: Reporter,
) -> None:
    wants_geometry = bool({"depth", "normal"} & set(config.aovs()))
    watch = Stopwatch()
    for index, camera in enumerate(missing):
        interrupts.stop_if_requested()
        pictures = draw(tracer, camera, config.samples)
        geometry = trace_centers(tracer, camera) if wants_geometry else None
        folder.write(camera.name, pictures, geometry, config.background)
        done = index + 1
        count = f"{total - len(missing) + done}/{total}"
        message = f"{camera.name}  {count}  {clock_text(watch.remaining(done, len(missing)))} left"
        report.progress(0.97 * done / len(missing), "render", message)


def _animate(config: RenderConfig, folder: RenderFolder, views: Viewpoints, report: Reporter) -> Path | None:
    """The animation of a turntable whose frames are all there."""
    names = [camera.name for camera in views.cameras]
    if config.animation == "none" or not views.turntable or len(names) < 2:
        return None
    if not all(folder.has(name) for name in names):
        return None
    path = folder.animation(config.animation)
    if not path.is_file():
        first = views.cameras[0]
        if first.width * first.height * len(names) > ANIMATION_PIXELS:
            report.warn("The frames are too large or too many for an animation in one file.")
            return None
        report.progress(0.97, "animation", str(path))
        write_animation(path, [decode_image(folder.png(name)) for name in names])
    return path


def _result(
    config: RenderConfig,
    folder: RenderFolder,
    subject: Subject,
    chosen: Sequence[Camera],
    rendered: int,
    seconds: float,
    animation: Path | None,
) -> dict[str, object]:
    names = [camera.name for camera in chosen]
    width, height = chosen[0].width, chosen[0].height
    skipped = len(names) - rendered
    was_there = f", {skipped} of them were there" if skipped else ""
    speed = f", {seconds / rendered:.2f} s each" if rendered else ""
    return {
        "folder": str(folder.path),
        "frames": [str(folder.png(name)) for name in names],
        "exr": [str(folder.exr(name)) for name in names] if config.aovs() else [],
        "animation": str(animation) if animation else None,
        "cameras": str(folder.path / "cameras.json"),
        "look": subject.look,
        "prompt": subject.prompt,
        "detail": config.detail,
        "size": [width, height],
        "rendered": rendered,
        "skipped": skipped,
        "summary": f"{folder.path}: {len(names)} frames of {width} x {height} pixels{was_there}{speed}, "
        f'"{subject.prompt or subject.look}", {config.detail}.',
    }
