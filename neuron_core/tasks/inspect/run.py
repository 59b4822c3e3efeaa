"""`neuron inspect`: what a path is, by its content first and its name second, and whether it is sound."""

from pathlib import Path

from neuron_core.foundation.interrupts import stop_if_requested
from neuron_core.foundation.progress import Reporter
from neuron_core.inspection.paths import inspect_path
from neuron_core.tasks.inspect.config import InspectConfig


def run(config: InspectConfig, report: Reporter) -> dict[str, object]:
    """The `kind` of a file or folder by a stable word, a `summary` for people, and `details`.

    Raises a NeuronError for the first thing that is wrong with it, InspectError if it is nothing
    that Neuron knows.
    """
    path = Path(config.path)
    stop_if_requested()
    report.progress(0.0, "inspect", str(path))
    findings = inspect_path(path, config.verify)
    report.progress(1.0, "inspect", findings.title)
    return findings.to_result(path)
