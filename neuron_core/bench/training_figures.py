"""Figures of training, as `neuron bench` tells them."""

from neuron_core.bench import training
from neuron_core.bench.figure import Figure
from neuron_core.bench.inputs import Inputs
from neuron_core.bench.training import TrainingRun

TORCH = "the same field in plain torch"


def train_rays_per_s(inputs: Inputs) -> Figure:
    """Volumetric training: rays through random pixels of whole frames."""
    run = _run(inputs)
    return Figure(
        "train_rays_per_s",
        run.rays_per_second,
        "rays/s",
        ">= 100000",
        run.spread,
        detail=f"second half of the volumetric steps; {run.hit_share:.0%} of the rays meet something, with "
        f"{run.live_per_hit_ray:.1f} live samples each; {run.rays_per_cpu_second:.0f} rays a CPU second",
    )


def train_30db_s(inputs: Inputs) -> Figure:
    """How long it takes to be good."""
    run = _run(inputs)
    floor = "" if run.truth_floor is None else f", truth {run.truth_floor:.1f} dB from its limit"
    return Figure(
        "train_30db_s",
        run.seconds,
        "s",
        "<= 150, at 30 dB or more",
        detail=f"{run.psnr:.2f} dB on unseen views of brushed copper, {run.views} views of "
        f"{run.resolution} x {run.resolution}, {run.steps} steps, {run.cpu_seconds:.0f} CPU s{floor}",
    )


def step_vs_torch(inputs: Inputs) -> Figure:
    """A step against plain torch."""
    found = training.step_vs_torch(
        inputs.folder / "training", quick=inputs.quick, runs=inputs.runs, report=inputs.report
    )
    return Figure(
        "step_vs_torch",
        found.ratio,
        "times",
        ">= 10",
        peer=f"{TORCH}: {found.peer_seconds * 1e3:.0f} ms a step",
        ratio=found.ratio,
        detail=f"{found.seconds * 1e3:.1f} ms a step of {found.rays} rays and {found.samples} live samples; "
        f"{found.cpu_ratio:.1f} times by CPU time; {found.network_ratio:.1f} times with the samples given",
    )


def train_scaling(inputs: Inputs) -> Figure:
    """How a step grows with the dataset."""
    found = training.training_scaling(inputs.folder / "training", quick=inputs.quick, report=inputs.report)
    rows = [
        (
            str(row.views),
            f"{row.resolution}²",
            f"{row.step_cpu_seconds * 1e3:.1f}",
            f"{row.rays_per_second:.0f}",
            f"{row.read_seconds:.2f}",
            f"{row.pool_bytes / 1e6:.1f}",
        )
        for row in found.rows
    ]
    return Figure(
        "train_scaling",
        found.step_exponent,
        "exponent",
        detail=f"a step's CPU time grows as the dataset's pixels to the {found.step_exponent:.2f}, memory to "
        f"the {found.memory_exponent:.2f}",
        table=(("views", "pixels", "CPU ms a step", "rays/s", "s to read", "MB"), *rows),
    )


def _run(inputs: Inputs) -> TrainingRun:
    folder = inputs.folder / "training"
    return inputs.once(
        "training", lambda: training.training_run(folder, quick=inputs.quick, report=inputs.report)
    )
