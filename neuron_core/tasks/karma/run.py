"""The task: convert what Karma rendered, say what is missing, write the manifest last."""

from pathlib import Path

from neuron_core.foundation.progress import Reporter
from neuron_core.groundtruth.finishing import finish
from neuron_core.groundtruth.folder import PREVIEW, DatasetFolder
from neuron_core.groundtruth.karma.conversion import convert_all, facts_of, load_rendered
from neuron_core.groundtruth.karma.request import read_request
from neuron_core.tasks.karma.config import KarmaConfig


def run(config: KarmaConfig, report: Reporter) -> dict[str, object]:
    """Convert a folder, or resume.

    Raises DatasetError that names pictures which are missing or do not fit; what could be converted stays.
    """
    out = Path(config.out)
    request = read_request(out)
    report.progress(0.0, "prepare", f"Loading {request.geometry}")
    plan = request.plan(load_rendered(request))
    folder = DatasetFolder(out, request.description())
    with folder.claim(config.overwrite) as claim:
        if claim.state != "done":
            folder.note_renderer(request.renderer)
            notes = convert_all(request, plan, folder, report)
            report.progress(0.96, "finish", "Writing cameras, previews and checksums")
            finish(plan, folder, facts_of(request, plan, notes))
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
