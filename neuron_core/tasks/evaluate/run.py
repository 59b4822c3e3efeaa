"""`neuron evaluate`: draw the test views, compare them with the truth, write a table and a sheet."""

from pathlib import Path

from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.reader import open_dataset
from neuron_core.evaluation.comparison import Comparison, compare_subjects, depends_on, unseen_cameras
from neuron_core.evaluation.document import DATA, measured_before, output_of
from neuron_core.evaluation.subjects import EXPORTS, open_subjects, trained_downscale
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.outputs import require_free
from neuron_core.foundation.progress import Reporter
from neuron_core.tasks.evaluate.config import EvaluateConfig


def run(config: EvaluateConfig, report: Reporter) -> dict[str, object]:
    """Measure, or return what was measured before. Raises NeuronError if nothing can be compared."""
    if Path(config.subject).suffix.lower() in EXPORTS:
        return _run_export(config, report)
    if config.dataset is None:
        raise DatasetError(
            f"There is nothing to measure {config.subject} on.", "Give a dataset with test views."
        )
    report.progress(0.0, "load", str(config.subject))
    subjects = open_subjects(config.subject, config.representation, config.device, config.encoder_weights)
    if config.against is not None:
        subjects += open_subjects(config.against, "all", config.device, config.encoder_weights, against=True)
    downscale = config.downscale or trained_downscale(config.subject)
    dataset = open_dataset(config.dataset, downscale=downscale)
    cameras = unseen_cameras(dataset, config.views)
    comparison = Comparison(Path(config.subject), dataset, config.split, cameras)
    output = output_of(config.folder(), {**depends_on(comparison, subjects), "downscale": downscale})
    with output.claim(config.overwrite or config.out is None) as claim:
        if claim.state == "done":
            report.progress(1.0, "evaluate", "already done")
            return measured_before(claim)
        return compare_subjects(comparison, subjects, report).write(output.path, claim)


def _run_export(config: EvaluateConfig, report: Reporter) -> dict[str, object]:
    """Measure an export. Raises NeuronError if there is nothing to compare it with."""
    from neuron_core.evaluation.drawers import open_export
    from neuron_core.evaluation.exports import Export, compare_export
    from neuron_core.foundation.devices import warp_device
    from neuron_core.voxels.baked import read_baked

    if config.against is None or Path(config.against).suffix.lower() != ".neuron":
        raise NeuronError(
            f"{config.subject} is an export; it is measured against the asset that it came from.",
            "Name that: --against ASSET.neuron",
        )
    require_free([config.folder() / DATA], config.overwrite or config.out is None)
    report.progress(0.0, "load", str(config.subject))
    baked = read_baked(config.against)
    slug = baked.look_of(config.prompt) if config.prompt else baked.slugs()[0]
    path = Path(config.subject)
    drawer = open_export(path, config.ply_axes, report)
    dataset = open_dataset(config.dataset) if config.dataset is not None else None
    export = Export(path, drawer, baked, slug, dataset)
    document = compare_export(export, export.cameras(config.views), warp_device(config.device), report)
    return document.write(config.folder())
