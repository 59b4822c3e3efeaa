"""`neuron anchor`: frames of a scene that other programs start from."""

from pathlib import Path

from neuron_core.foundation.progress import Reporter
from neuron_core.models.field.prompted import look_maker
from neuron_core.rendering import occlusion
from neuron_core.rendering.anchor_folder import INDEX, AnchorFolder
from neuron_core.rendering.anchors import anchors_of, draw_missing
from neuron_core.rendering.stage_pictures import DrawnStage, require_camera
from neuron_core.tasks.anchor.config import AnchorConfig


def run(config: AnchorConfig, report: Reporter) -> dict[str, object]:
    """Write the anchors that are missing, then the index. Returns where everything is."""
    report.progress(0.0, "load", str(config.scene))
    stage = DrawnStage(Path(config.scene), config, look_maker(config.encoder_weights, report), report)
    prim = require_camera(stage.stage, config.camera)
    anchors = anchors_of(stage.stage, prim, config.frames, config.size, config.samples)
    description = {**anchors.description(stage, config.size), **occlusion.description(config)}
    folder = AnchorFolder(Path(config.out), description, anchors.names)
    with folder.claim(config.overwrite) as claim:
        records, written = draw_missing(stage, anchors, folder, report)
        folder.write_index(claim, records, complete=True)
    names = anchors.names
    return {
        "folder": str(folder.path),
        "index": str(folder.path / INDEX),
        "anchors": [str(folder.path / f"{name}.exr") for name in names],
        "rendered": written,
        "skipped": len(names) - written,
        "problems": stage.problems_json(),
        "approximations": occlusion.approximations(config),
        "summary": f"{folder.path}: {len(names)} anchors of {prim}, {written} written.",
    }
