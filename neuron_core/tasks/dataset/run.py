"""The task: render what is missing, measure how good the truth is, write the manifest last."""

from pathlib import Path

from neuron_core.foundation.progress import Reporter
from neuron_core.geometry import load_geometry
from neuron_core.groundtruth.config import DatasetConfig, parse_shard
from neuron_core.groundtruth.finishing import finish
from neuron_core.groundtruth.folder import DatasetFolder
from neuron_core.groundtruth.plan import DatasetPlan, make_plan
from neuron_core.groundtruth.rendering import (
    RENDERED,
    describe,
    facts_of,
    is_done,
    render_missing,
    warn_of_losses,
    warn_of_noise,
)
from neuron_core.groundtruth.summary import result_of
from neuron_core.lights.environment import read_environment
from neuron_core.materials import read_library


def run(config: DatasetConfig, report: Reporter) -> dict[str, object]:
    """Render a dataset, or resume. Returns paths, counts and the noise of the truth.

    Raises NeuronError and subclasses for geometry, materials and folders that cannot be used, and
    ConfigMismatchError if the folder holds another dataset.
    """
    report.progress(0.0, "prepare", f"Loading {config.geometry}")
    geometry = load_geometry(config.geometry, config.assign)
    library = read_library(config.materials)
    plan = make_plan(config, geometry, library.materials, library.held_out)
    light = read_environment(config.light).image
    shard, shards = parse_shard(config.shard)
    folder = DatasetFolder(Path(config.out), describe(config, plan, light), shared=shards > 1)
    with folder.claim(config.overwrite) as claim:
        if claim.state == "done":
            return result_of(folder)
        for other in config.merge:
            report.progress(0.0, "merge", f"{folder.take_over(Path(other))} files from {other}")
        for note in (*geometry.notes, *library.notes):
            report.warn(note)
        warn_of_losses(plan.materials, report)
        render_missing(config, plan, light, folder, plan.units()[shard::shards], report)
        if shards > 1:
            return _shard_result(config, plan, folder)
        report.progress(RENDERED, "finish", "Writing cameras, previews and checksums")
        manifest = finish(plan, folder, facts_of(config, plan, folder, library.notes))
    warn_of_noise(config, manifest, report)
    return result_of(folder)


def _shard_result(config: DatasetConfig, plan: DatasetPlan, folder: DatasetFolder) -> dict[str, object]:
    left = sum(not is_done(folder, unit) for unit in plan.units())
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
