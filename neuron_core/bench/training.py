"""How fast fields train: rays a second, seconds to 30 dB, against plain torch, and how it grows.

Everything is built here: a shader ball in brushed copper, rendered by `neuron dataset`. Rays are
random pixels of whole frames; those that miss cost little but are rays. Kernels are loaded and
compiled before anything is timed. Imports torch.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from neuron_core.bench.reference_torch import EagerFrameStage, eager_copy
from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.evaluation.measure import measure
from neuron_core.foundation.progress import Reporter, Silent
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.models.field.config import TrainConfig
from neuron_core.models.field.frame_stage import FrameStage
from neuron_core.models.field.loop import schedule
from neuron_core.models.field.model import Field
from neuron_core.models.field.presets import Plan, StagePlan
from neuron_core.models.field.stages import Stage
from neuron_core.models.field.tracer import FieldTracer
from neuron_core.prompts import load_encoder
from neuron_core.tasks.dataset.run import run as make_dataset
from neuron_core.tasks.train import run as training

MATERIAL = "brushed-copper"
WINDOWS = 5  # parts of the second half of a run: their rates are the spread
GOAL_DB = 30.0


@dataclass(frozen=True, slots=True)
class StepComparison:
    """Seconds of a step, drawing its rays to the optimiser's update, here and in plain torch."""

    seconds: float  # median
    spread: tuple[float, float]
    cpu_seconds: float  # of all threads, median
    peer_seconds: float
    peer_spread: tuple[float, float]
    peer_cpu_seconds: float
    ratio: float  # of the wall times
    cpu_ratio: float
    network_ratio: float  # the same samples given to both: fields, compositing, gradients, optimiser
    rays: int
    samples: int  # live ones of a step


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A run from reading the dataset to the last step, and what it reached on views it never saw."""

    seconds: float
    cpu_seconds: float
    psnr: float  # dB, mean over the test views: sRGB over white, 2 x 2 rays a pixel averaged in linear
    truth_floor: float | None  # dB, what noise leaves of the truth itself
    rays_per_second: float  # second half of the volumetric steps
    spread: tuple[float, float]
    rays_per_cpu_second: float
    live_per_hit_ray: float
    hit_share: float  # of the rays
    steps: int
    views: int
    resolution: int

    @property
    def reached(self) -> bool:
        """Whether it is as good as it should be."""
        return self.psnr >= GOAL_DB


@dataclass(frozen=True, slots=True)
class ScalingRow:
    """One size of dataset."""

    views: int
    resolution: int
    read_seconds: float
    step_cpu_seconds: float
    rays_per_second: float
    pool_bytes: int


@dataclass(frozen=True, slots=True)
class TrainingScaling:
    """How the cost of a step, and what is held of the frames, grow with the pixels of a dataset."""

    rows: tuple[ScalingRow, ...]
    step_exponent: float  # step time ~ (pixels of all frames) ** exponent
    memory_exponent: float


@dataclass(slots=True)
class Clocked:
    """A stage that notes when its steps begin, and what they say."""

    stage: Stage
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    told: list[Mapping[str, float]] = field(default_factory=list)

    def note(self) -> None:
        """Now."""
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def step(self, index: int, done: float, rate: float, optimizer: torch.optim.Optimizer) -> None:
        """One step as the trainer takes it; `done` is the part of the steps that is."""
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("pace", 1.0) * schedule(index, done)
        optimizer.zero_grad(set_to_none=True)
        self.told.append(self.stage.backward(index))
        optimizer.step()
        self.note()

    def run(self, plan: StagePlan, tell: Callable[[float], None]) -> None:
        """All steps of a plan."""
        optimizer = _optimizer(self.stage, plan.learning_rate)
        self.note()
        for index in range(plan.steps):
            self.step(index, index / plan.steps, plan.learning_rate, optimizer)
            tell((index + 1) / plan.steps)


def training_run(folder: Path, *, quick: bool = False, report: Reporter | None = None) -> TrainingRun:
    """Train the ball volumetrically from nothing and draw the views it never saw. Minutes on two cores."""
    report = report or Silent()
    views, resolution, plan = (64, 200, None) if not quick else (24, 64, 200)
    dataset = ball(folder, views, resolution, report=report)
    load_kernels(folder, report)
    began, cpu_began = time.perf_counter(), time.process_time()
    session = Session(dataset, plan)
    stages = []
    for name, make in zip(session.plan.stages, session.make(), strict=True):
        stages.append(Clocked(make()))
        stages[-1].run(session.plan.stages[name], lambda done, name=name: report.progress(done, name, ""))  # type: ignore[misc]
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    frames = stages[-1]
    half = len(frames.told) // 2
    told = frames.told[half:]
    rates = _rates(frames, half)
    total = sum(one["rays"] for one in told)
    hit = sum(one["hit_rays"] for one in told)
    return TrainingRun(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        psnr=session.psnr(report),
        truth_floor=session.look.truth_floor,
        rays_per_second=total / (frames.wall[-1] - frames.wall[half]),
        spread=(min(rates), max(rates)),
        rays_per_cpu_second=total / (frames.cpu[-1] - frames.cpu[half]),
        live_per_hit_ray=sum(one["samples"] for one in told) / max(hit, 1.0),
        hit_share=hit / total,
        steps=len(frames.told),
        views=views,
        resolution=resolution,
    )


def step_vs_torch(
    folder: Path, *, quick: bool = False, runs: int = 5, report: Reporter | None = None
) -> StepComparison:
    """Steps of the same field on the same pixels, in turn, after the first tenth of a run."""
    report = report or Silent()
    dataset = ball(folder, *((24, 64) if quick else (64, 200)), report=report)
    session = Session(dataset, 200)
    geometry, frames = (make() for make in session.make())
    Clocked(geometry).run(session.plan.stages["geometry"], lambda done: report.progress(done, "geometry", ""))
    assert isinstance(frames, FrameStage)
    ours = Clocked(frames)
    ours.run(StagePlan(60, 0, 1e-2, 1.0), lambda done: report.progress(done, "frames", ""))
    twin = eager_copy(session.field)
    peer = Clocked(EagerFrameStage(twin, frames.pool, frames.prompts, frames.batch, 200, frames.seed))
    peer.stage.load_state(frames.state())  # the same cells
    times = {name: _steps(clocked, runs) for name, clocked in (("ours", ours), ("torch", peer))}
    own, other = times["ours"], times["torch"]
    return StepComparison(
        seconds=statistics.median(own.wall),
        spread=(min(own.wall), max(own.wall)),
        cpu_seconds=statistics.median(own.cpu),
        peer_seconds=statistics.median(other.wall),
        peer_spread=(min(other.wall), max(other.wall)),
        peer_cpu_seconds=statistics.median(other.cpu),
        ratio=statistics.median(other.wall) / statistics.median(own.wall),
        cpu_ratio=statistics.median(other.cpu) / statistics.median(own.cpu),
        network_ratio=_network_ratio(frames, peer.stage, runs),
        rays=frames.batch,
        samples=round(own.told[-1]["samples"]),
    )


def training_scaling(folder: Path, *, quick: bool = False, report: Reporter | None = None) -> TrainingScaling:
    """The same steps on datasets of other sizes: views at one resolution, resolutions at as many views."""
    report = report or Silent()
    sizes = [(8, 32), (16, 32), (8, 64)] if quick else [(16, 100), (64, 100), (16, 200), (16, 400)]
    rows = tuple(_scaling_row(folder, views, resolution, quick, report) for views, resolution in sizes)
    pixels = [row.views * row.resolution**2 for row in rows]
    return TrainingScaling(
        rows,
        fitted_exponent(pixels, [row.step_cpu_seconds for row in rows]),
        fitted_exponent(pixels, [row.pool_bytes for row in rows]),
    )


def fitted_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of log cost over log size by least squares: costs grow about as size to this power."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def ball(folder: Path, views: int, resolution: int, spp: int = 36, *, report: Reporter) -> StoredDataset:
    """The dataset, rendered into `folder` unless it is there."""
    out = folder / f"ball-{views}x{resolution}-{spp}"
    tests = 8 if resolution >= 200 else 2
    make_dataset(
        DatasetConfig(
            out,
            materials=MATERIAL,
            views=views,
            val_views=1,
            test_views=tests,
            resolution=resolution,
            spp=spp,
        ),
        report,
    )
    return open_dataset(out)


def load_kernels(folder: Path, report: Reporter) -> None:
    """Take a few steps on next to nothing, so that nothing is compiled or loaded while timing."""
    session = Session(ball(folder, 2, 16, 4, report=report), 4)
    for make in session.make():
        Clocked(make()).run(StagePlan(2, 0, 1e-3, 1.0), lambda _: None)
    session.psnr(report)


class Session:
    """What `neuron train --preset cpu-demo --learn-from frames` sets up, in memory."""

    def __init__(self, dataset: StoredDataset, steps: int | None) -> None:
        self.config = TrainConfig(dataset.path, Path(), "cpu-demo", learn_from="frames", steps=steps)
        self.dataset = dataset
        self.looks: list[MaterialEntry] = [entry for entry in dataset.materials if entry.split == "train"]
        self.look = self.looks[0]
        self.encoder = load_encoder("embedded", None)
        self.plan: Plan = training.plan_of(self.config, dataset)
        torch.manual_seed(0)
        self.field = Field(training.field_spec(self.config, dataset, self.encoder.width))
        self.prompts = training.encode_prompts(self.encoder, self.looks)

    def make(self) -> list[Callable[[], Stage]]:
        """How to make each stage when its turn comes."""
        return training.make_stages(
            self.config, self.dataset, self.field, self.looks, self.prompts, self.plan, self.encoder, Silent()
        )

    def psnr(self, report: Reporter) -> float:
        """In dB on the test views, as `neuron evaluate` measures it."""
        names = self.dataset.splits["test"]
        tracer = FieldTracer(self.field, self.prompts[:1, 0].numpy())
        told = measure(
            self.dataset,
            names,
            [self.look],
            tracer,
            [],
            lambda done: report.progress(done / len(names), "evaluate", ""),
        )
        value = told[0].mean()["psnr"]
        return math.nan if value is None else value


def _optimizer(stage: Stage, rate: float) -> torch.optim.Optimizer:
    parameters = list(stage.parameters())
    return torch.optim.Adam(parameters, rate, betas=(0.9, 0.99), eps=1e-15, fused=True)  # type: ignore[arg-type]


def _rates(clocked: Clocked, first: int) -> list[float]:
    """Rays a second in parts of the steps from `first` on."""
    bounds = np.linspace(first, len(clocked.told), WINDOWS + 1).astype(int)
    return [
        sum(one["rays"] for one in clocked.told[begin:end]) / (clocked.wall[end] - clocked.wall[begin])
        for begin, end in zip(bounds[:-1], bounds[1:], strict=True)
        if end > begin
    ]


@dataclass(slots=True)
class _Steps:
    wall: list[float]
    cpu: list[float]
    told: list[Mapping[str, float]]


def _steps(clocked: Clocked, runs: int, first: int = 100) -> _Steps:
    """Times of steps one by one, after one that is not counted."""
    optimizer = _optimizer(clocked.stage, 1e-3)
    clocked.wall.clear()
    clocked.cpu.clear()
    clocked.step(first, 0.5, 1e-3, optimizer)
    for index in range(first + 1, first + 1 + runs):
        clocked.step(index, 0.5, 1e-3, optimizer)
    wall, cpu = np.diff(clocked.wall).tolist(), np.diff(clocked.cpu).tolist()
    return _Steps(wall, cpu, clocked.told[-runs:])


def _network_ratio(ours: FrameStage, peer: Stage, runs: int) -> float:
    """How many times longer the peer takes where both are given the same samples."""
    assert isinstance(peer, FrameStage)
    step = 120
    batch, looks = ours.draw(step)
    samples, rays = ours.sample(batch, step, ours.softness(step))

    def seconds(stage: FrameStage) -> float:
        optimizer = _optimizer(stage, 1e-3)
        times = []
        for _ in range(runs + 1):
            began = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            style = stage.field.material.style(stage.prompts[looks, 0])
            pixels = stage.render(samples, rays, style, ours.softness(step))
            (pixels.rgbs.square().mean() + pixels.opacities.mean()).backward()
            optimizer.step()
            times.append(time.perf_counter() - began)
        return statistics.median(times[1:])

    return seconds(peer) / seconds(ours)


def _scaling_row(folder: Path, views: int, resolution: int, quick: bool, report: Reporter) -> ScalingRow:
    session = Session(ball(folder, views, resolution, 4, report=report), 60 if quick else 300)
    began = time.perf_counter()
    geometry, frames = (make() for make in session.make())
    read = time.perf_counter() - began
    assert isinstance(frames, FrameStage)
    Clocked(geometry).run(session.plan.stages["geometry"], lambda _: None)
    times = _steps(Clocked(frames), 5 if quick else 20)
    held = [frames.pool.colors, frames.pool.normals, frames.pool.places]
    return ScalingRow(
        views,
        resolution,
        read,
        statistics.median(times.cpu),
        frames.batch / statistics.median(times.wall),
        sum(tensor.nbytes for tensor in held),
    )
