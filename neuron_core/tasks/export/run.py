"""`neuron export`: an asset, or splats of any origin, to a file of another program."""

import shutil
from pathlib import Path

from neuron_core.delivery.assets import deliver, form_of
from neuron_core.delivery.config import ExportConfig
from neuron_core.foundation.clocks import Stopwatch
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.outputs import require_free, require_writable
from neuron_core.foundation.progress import Part, Reporter
from neuron_core.splats.cloud import Splats
from neuron_core.splats.fitting import Fit, FitSettings, place_splats
from neuron_core.voxels.baked import Baked


def run(config: ExportConfig, report: Reporter) -> dict[str, object]:
    """Write the file. Raises NeuronError for an ending that is none of ours, a source that cannot be
    read, a look that it does not have, or a target that is there."""
    source, out = Path(config.source), Path(config.out)
    form = form_of(out, config.form)
    if not source.is_file():
        raise FileError(f"There is no file {source}.", "Give a .neuron file or a file of splats.")
    require_free([out], config.overwrite)
    require_writable(out)
    watch = Stopwatch()
    report.progress(0.0, "load", str(source))
    unfinished = out.with_name(f".{out.name}.refining")  # the same command resumes from it
    body = deliver(config, form, fit_into(unfinished), report)
    shutil.rmtree(unfinished, ignore_errors=True)
    seconds, cpu_seconds = watch.seconds, watch.cpu_seconds
    size = out.stat().st_size
    report.progress(1.0, "export", str(out))
    said = body.pop("said")
    return {
        "path": str(out),
        "bytes": size,
        **body,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "summary": f"{out}: {said}, {size / 1e6:.1f} MB, {seconds:.1f} s.",
    }


def fit_into(folder: Path) -> Fit:
    """Fits splats, and keeps those that are not refined to the end in a folder. Imports torch to refine."""

    def fit(baked: Baked, slug: str, settings: FitSettings, device: str, report: Reporter) -> Splats:
        if not settings.steps:
            return place_splats(baked, slug, settings, device, report).splats
        from neuron_core.models.splats.family import prepare_splats, refined

        data = prepare_splats(baked, slug, settings, device, Part(report, 0.0, 0.3))
        return refined(data, folder, Part(report, 0.3, 1.0))

    return fit
