"""`neuron render`: an asset or a stage, and cameras, to pictures. Drawing baked voxels imports no torch."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from neuron_core.cameras.camera import Camera, to_json
from neuron_core.foundation.devices import torch_device, warp_device
from neuron_core.foundation.files import USD_SUFFIXES
from neuron_core.foundation.progress import Reporter
from neuron_core.rendering.asset_pictures import Subject, read_subject, refuse_stage_options
from neuron_core.rendering.frames import GEOMETRY, draw_missing, pictures_of
from neuron_core.rendering.picture_folder import PictureFolder
from neuron_core.rendering.tracing import Aovs, BakedTracer, Pictures, Tracer
from neuron_core.rendering.views import viewpoints
from neuron_core.tasks.render.config import RenderConfig


def run(config: RenderConfig, report: Reporter) -> dict[str, object]:
    """Render the frames that are missing. Returns where everything is.

    A broken asset of a stage is a warning and among the problems of the result; the rest is drawn.
    Raises AssetError for a file that cannot be drawn or a look that it does not have, and
    ConfigMismatchError if the folder holds other pictures.
    """
    is_stage = Path(config.asset).suffix.lower() in USD_SUFFIXES
    return _run_stage(config, report) if is_stage else _run_asset(config, report)


def _run_asset(config: RenderConfig, report: Reporter) -> dict[str, object]:
    refuse_stage_options(config.aovs(), config.contact_shadows or config.ambient_occlusion)
    report.progress(0.0, "load", str(config.asset))
    subject = read_subject(Path(config.asset), config.prompt, config.detail)
    views = viewpoints(config.cameras, config.size, subject.points, config.elevation)
    chosen = views.chosen(config.frames)
    drawn = {"asset": subject.manifest.digest, "look": subject.look, "detail": config.detail}
    cameras = [to_json(camera) for camera in views.cameras]
    folder = _folder(config, {**drawn, "cameras": cameras}, views.cameras)
    tracer = cache(lambda: _tracer(config, subject, report))  # made when a frame is missing

    def draw(index: int) -> tuple[Pictures, Aovs | None]:
        return pictures_of(tracer(), chosen[index], config.samples, folder.aovs)

    with folder.claim(config.overwrite):
        frames = draw_missing(folder, chosen, draw, config.background, report)
        animated = views.turntable and config.animation != "none"
        animation = folder.animate(config.animation, report) if animated else None
    return {
        **frames.result(),
        "animation": str(animation) if animation else None,
        "look": subject.look,
        "prompt": subject.prompt,
        "detail": config.detail,
        "summary": f'{frames.summary()}, "{subject.prompt or subject.look}", {config.detail}.',
    }


def _run_stage(config: RenderConfig, report: Reporter) -> dict[str, object]:
    from neuron_core.models.field.prompted import look_maker
    from neuron_core.rendering.stage_pictures import DrawnStage, refuse_asset_options, shots_of

    refuse_asset_options(config.prompt, config.detail)
    report.progress(0.0, "load", str(config.asset))
    stage = DrawnStage(Path(config.asset), config, look_maker(config.encoder_weights, report), report)
    shots = shots_of(stage, config.cameras, config.frames, config.size, config.elevation)
    folder = _folder(config, stage.description(config.cameras, config.size, shots), shots.listed)
    cameras = [shot.camera for shot in shots.chosen]
    geometry = bool(GEOMETRY & set(folder.aovs))

    def draw(index: int) -> tuple[Pictures, Aovs | None]:
        return stage.pictures(shots.chosen[index], config.samples, geometry)

    with folder.claim(config.overwrite):
        frames = draw_missing(folder, cameras, draw, config.background, report)
    summary = f"{frames.summary()}{stage.remarks()}."
    return {**frames.result(), **stage.result(), "animation": None, "detail": "nvf", "summary": summary}


def _folder(config: RenderConfig, drawn: dict[str, object], cameras: Sequence[Camera]) -> PictureFolder:
    """Which frames were asked for is not part of what a picture depends on; machines share a folder so."""
    settings = {"aov": sorted(config.aovs()), "samples": config.samples, "background": config.background}
    return PictureFolder(Path(config.out), {**drawn, **settings}, cameras, config.aovs(), bool(config.frames))


def _tracer(config: RenderConfig, subject: Subject, report: Reporter) -> Tracer:
    if config.detail == "nvf":
        assert subject.baked is not None
        return BakedTracer.of(subject.baked, [subject.look], warp_device(config.device))
    report.progress(0.0, "load", "the field and its prompt encoder")
    from neuron_core.models.field.tracer import stored_tracer

    device = torch_device(config.device)
    return stored_tracer(Path(config.asset), [subject.prompt], config.encoder_weights, device, report)
