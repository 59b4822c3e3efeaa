"""`neuron export`: an asset, or splats of any origin, to a file of another program."""

from pathlib import Path

from neuron_core.delivery.assets import deliver, form_of
from neuron_core.delivery.config import ExportConfig
from neuron_core.foundation.clocks import Stopwatch
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.outputs import require_free, require_writable
from neuron_core.foundation.progress import Reporter


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
    body = deliver(config, form, report)
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
