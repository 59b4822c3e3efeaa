"""`neuron train`: from a dataset to a field."""

from dataclasses import replace
from pathlib import Path

from neuron_core.foundation.devices import torch_device
from neuron_core.foundation.outputs import State
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.wording import listed
from neuron_core.learning.distributed import joined
from neuron_core.learning.loop import Timing
from neuron_core.learning.training import RunSettings, train
from neuron_core.models.field.config import TrainConfig
from neuron_core.models.field.family import FAMILY, FieldFamily
from neuron_core.models.field.preview import FOLDER
from neuron_core.models.field.trained import RunInfo

NO_TIMING = Timing()


def run(
    config: TrainConfig, report: Reporter, family: FieldFamily = FAMILY, timing: Timing = NO_TIMING
) -> dict[str, object]:
    """Train, or resume training, and return where the run is and how well it does."""
    with joined(torch_device(config.device)) as placement:
        prepared = family.prepare(config, report)
        settings = RunSettings(
            out=config.out,
            placement=placement,
            seed=config.seed,
            overwrite=config.overwrite,
            timing=replace(timing, minutes=config.minutes),
        )
        state, _ = train(family, prepared, settings, report)
        if state == "done":
            report.progress(1.0, "train", "already done")
    return _result(config.out, state)


def _result(out: Path, state: State) -> dict[str, object]:
    info = RunInfo.read(out)
    metrics = info.metrics or {}
    quality = f", {metrics['psnr']:.1f} dB on validation views" if "psnr" in metrics else ""
    names = [look.name for look in info.looks]
    verb = "already trained" if state == "done" else "trained"
    return {
        "run": str(out),
        "looks": names,
        "metrics": metrics,
        "previews": str(out / FOLDER),
        "summary": f"{out}: {verb} on {listed(names)}{quality}.",
    }
