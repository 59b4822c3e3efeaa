"""How fast fields train: rays a second, seconds to 30 dB, against plain torch, and how it grows.

Everything is built here: a shader ball in brushed copper, rendered by `neuron dataset`. Rays are
random pixels of whole frames; those that miss cost little but are rays. Kernels are loaded and
compiled before anything is timed. Imports torch.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

from neuron_core.bench.figure import exponent
from neuron_core.bench.reference_torch import EagerFramesObjective, eager_copy
from neuron_core.datasets.reader import StoredDataset, open_dataset
from neuron_core.evaluation.measure import measure
from neuron_core.foundation.progress import Reporter, Silent
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.learning.distributed import Placement
from neuron_core.learning.loop import Loop, Timing
from neuron_core.learning.objective import Metrics, Objective, Optimized, Stateless, Step, Turn
from neuron_core.learning.plan import Constant, Phase, Position
from neuron_core.learning.run_folder import RunFolder
from neuron_core.models.field.config import TrainConfig
from neuron_core.models.field.family import FAMILY
from neuron_core.models.field.frames_objective import FramesObjective, Sampled
from neuron_core.models.field.model import Field
from neuron_core.models.field.tracer import FieldTracer
from neuron_core.tasks.dataset.run import run as make_dataset

MATERIAL = "brushed-copper"
WINDOWS = 5  # parts of the second half of a run: their rates are the spread
GOAL_DB = 30.0
PLACEMENT = Placement(torch.device("cpu"))
TIMING = Timing(checkpoint_seconds=math.inf)


@dataclass(frozen=True, slots=True)
class StepComparison:
    """Seconds of a step, drawing its rays to the optimizer's update, here and in plain torch."""

    seconds: float  # median
    spread: tuple[float, float]
    cpu_seconds: float  # of all threads, median
    peer_seconds: float
    peer_spread: tuple[float, float]
    peer_cpu_seconds: float
    ratio: float  # of the wall times
    cpu_ratio: float
    network_ratio: float  # the same samples given to both: fields, compositing, gradients, optimizer
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
    """When the steps of a phase ended, and what they reported."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    metrics: list[Mapping[str, float]] = field(default_factory=list)

    def note(self, position: Position, metrics: Metrics) -> None:
        """After a step."""
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())
        self.metrics.append({name: float(value) for name, value in metrics.items()})


def training_run(folder: Path, *, quick: bool = False, report: Reporter | None = None) -> TrainingRun:
    """Train the ball volumetrically from nothing and draw the views it never saw. Minutes on two cores."""
    report = report or Silent()
    views, resolution, plan = (64, 200, None) if not quick else (24, 64, 200)
    dataset = ball(folder, views, resolution, report=report)
    load_kernels(folder, report)
    began, cpu_began = time.perf_counter(), time.process_time()
    session = Session(dataset, plan, folder)
    frames = session.train(session.phases, report)["frames"]
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    half = len(frames.metrics) // 2
    metrics = frames.metrics[half + 1 :]  # of the steps between the times that are taken
    rates = _rates(frames, half)
    total = sum(one["rays"] for one in metrics)
    hit = sum(one["hit_rays"] for one in metrics)
    return TrainingRun(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        psnr=session.psnr(report),
        truth_floor=session.look.truth_floor,
        rays_per_second=total / (frames.wall[-1] - frames.wall[half]),
        spread=(min(rates), max(rates)),
        rays_per_cpu_second=total / (frames.cpu[-1] - frames.cpu[half]),
        live_per_hit_ray=sum(one["samples"] for one in metrics) / max(hit, 1.0),
        hit_share=hit / total,
        steps=len(frames.metrics),
        views=views,
        resolution=resolution,
    )


def step_vs_torch(
    folder: Path, *, quick: bool = False, runs: int = 5, report: Reporter | None = None
) -> StepComparison:
    """Steps of the same field on the same pixels, in turn, after the first tenth of a run."""
    report = report or Silent()
    dataset = ball(folder, *((24, 64) if quick else (64, 200)), report=report)
    session = Session(dataset, 200, folder)
    geometry, frames = session.phases
    session.train([geometry, replace(frames, steps=60)], report)
    ours = session.frames
    twin = eager_copy(session.field)
    peer = EagerFramesObjective(twin, ours.pool, ours.prompts, ours.batch, 200, ours.seed)
    peer.load_state(ours.state())  # the same cells
    own, other = (session.steps(one, runs) for one in (ours, peer))
    return StepComparison(
        seconds=statistics.median(own.wall),
        spread=(min(own.wall), max(own.wall)),
        cpu_seconds=statistics.median(own.cpu),
        peer_seconds=statistics.median(other.wall),
        peer_spread=(min(other.wall), max(other.wall)),
        peer_cpu_seconds=statistics.median(other.cpu),
        ratio=statistics.median(other.wall) / statistics.median(own.wall),
        cpu_ratio=statistics.median(other.cpu) / statistics.median(own.cpu),
        network_ratio=_network_ratio(session, ours, peer, runs),
        rays=ours.batch,
        samples=round(own.metrics[-1]["samples"]),
    )


def training_scaling(folder: Path, *, quick: bool = False, report: Reporter | None = None) -> TrainingScaling:
    """The same steps on datasets of other sizes: views at one resolution, resolutions at as many views."""
    report = report or Silent()
    sizes = [(8, 32), (16, 32), (8, 64)] if quick else [(16, 100), (64, 100), (16, 200), (16, 400)]
    rows = tuple(_scaling_row(folder, views, resolution, quick, report) for views, resolution in sizes)
    pixels = [row.views * row.resolution**2 for row in rows]
    return TrainingScaling(
        rows,
        exponent(pixels, [row.step_cpu_seconds for row in rows]),
        exponent(pixels, [row.pool_bytes for row in rows]),
    )


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
    session = Session(ball(folder, 2, 16, 4, report=report), 4, folder)
    session.train(session.phases, Silent())
    session.psnr(report)


class Session:
    """What `neuron train --preset cpu-demo --learn-from frames` sets up."""

    def __init__(self, dataset: StoredDataset, steps: int | None, folder: Path) -> None:
        """Runs are written below `folder` and thrown away."""
        config = TrainConfig(dataset.path, Path(), "cpu-demo", learn_from="frames", steps=steps)
        self.dataset = dataset
        self.folder = folder
        self.data = FAMILY.prepare(replace(config, device="cpu", validate_every=0), Silent())
        self.phases = list(FAMILY.phases(self.data, "full"))
        self.built = FAMILY.build(self.data, PLACEMENT)
        self.look = self.data.looks[0]
        self._made: FramesObjective | None = None

    @property
    def field(self) -> Field:
        """The field that is trained."""
        found = self.built.modules["field"]
        assert isinstance(found, Field)
        return found

    @property
    def frames(self) -> FramesObjective:
        """The objective of the volumetric steps, made once."""
        if self._made is None:
            made = self.built.objectives["frames"]()
            assert isinstance(made, FramesObjective)
            self._made = made
        return self._made

    def train(self, phases: Sequence[Phase], report: Reporter) -> dict[str, Clocked]:
        """Go through phases as the trainer does; the clocks of each."""
        make = {**self.built.objectives, "frames": lambda: self.frames}
        return self.loop(phases, make, self.built.modules, Position(), report)

    def steps(self, objective: FramesObjective, runs: int, first: int = 100) -> Clocked:
        """Times of single steps, after one that is not counted."""
        phase = Phase("frames", first + 1 + runs, rate=1e-3, schedule=Constant())
        modules = {"field": objective.field}
        clocks = self.loop(
            [phase], {"frames": lambda: objective}, modules, Position(step=first, total=first), Silent()
        )
        found = clocks["frames"]
        wall, cpu = np.diff(found.wall).tolist(), np.diff(found.cpu).tolist()
        return Clocked(wall, cpu, found.metrics[1:])

    def loop(
        self,
        phases: Sequence[Phase],
        make: Mapping[str, Callable[[], Objective]],
        modules: Mapping[str, Module],
        start: Position,
        report: Reporter,
    ) -> dict[str, Clocked]:
        """The trainer's own loop, watched."""
        clocks = {phase.name: Clocked() for phase in phases}

        def observe(position: Position, metrics: Metrics) -> None:
            clocks[phases[position.phase].name].note(position, metrics)

        with TemporaryDirectory(dir=self.folder) as path:
            folder = RunFolder(Path(path), FAMILY.name)
            loop = Loop(
                modules, phases, make, folder, seed=0, placement=PLACEMENT, report=report, timing=TIMING,
                observe=observe, start=start,
            )  # fmt: skip
            loop.run()
        return clocks

    def psnr(self, report: Reporter) -> float:
        """In dB on the test views, as `neuron evaluate` measures it."""
        names = self.dataset.splits["test"]
        tracer = FieldTracer(self.field, self.data.prompts[:1, 0].numpy())
        found = measure(
            self.dataset,
            names,
            [self.look],
            tracer,
            [],
            lambda done: report.progress(done / len(names), "evaluate", ""),
        )
        value = found[0].mean()["psnr"]
        return math.nan if value is None else value


def _rates(clocked: Clocked, first: int) -> list[float]:
    """Rays a second in parts of the steps after the one numbered `first`, when which ended is known."""
    bounds = np.linspace(first, len(clocked.metrics) - 1, WINDOWS + 1).astype(int)
    return [
        sum(one["rays"] for one in clocked.metrics[begin + 1 : end + 1])
        / (clocked.wall[end] - clocked.wall[begin])
        for begin, end in zip(bounds[:-1], bounds[1:], strict=True)
        if end > begin
    ]


class _Given(Stateless):
    """The networks alone: fields, compositing and gradients on samples that are given."""

    def __init__(self, objective: FramesObjective, sampled: Sampled, looks: Tensor, softness: float) -> None:
        self.objective = objective
        self.sampled = sampled
        self.looks = looks
        self.softness = softness

    def optimized(self) -> Sequence[Optimized]:
        """As the objective says."""
        return self.objective.optimized()

    def turns(self, step: Step) -> Iterator[Turn]:
        """A loss that every output takes part in."""
        samples, rays, _ = self.sampled
        style = self.objective.field.material.style(self.objective.prompts[self.looks, 0])
        pixels = self.objective.render(samples, rays, style, self.softness)
        yield Turn("field", {"colors": pixels.rgbs.square().mean(), "opacities": pixels.opacities.mean()})


def _network_ratio(session: Session, ours: FramesObjective, peer: FramesObjective, runs: int) -> float:
    """How many times longer the peer takes where both are given the same samples."""
    index = 120
    batch, looks = ours.draw(index)
    softness = ours.softness(index)
    sampled = ours.sample(batch, Step(index, 0.6, ours.seed, ours.name), softness)
    phase = Phase("given", 1 + runs, rate=1e-3, schedule=Constant())

    def seconds(objective: FramesObjective) -> float:
        given = _Given(objective, sampled, looks, softness)
        modules = {"field": objective.field}
        found = session.loop([phase], {"given": lambda: given}, modules, Position(), Silent())["given"]
        return statistics.median(np.diff(found.wall).tolist())

    return seconds(peer) / seconds(ours)


def _scaling_row(folder: Path, views: int, resolution: int, quick: bool, report: Reporter) -> ScalingRow:
    session = Session(ball(folder, views, resolution, 4, report=report), 60 if quick else 300, folder)
    began = time.perf_counter()
    session.built.objectives["geometry"]()
    frames = session.frames
    read = time.perf_counter() - began
    session.train(session.phases[:1], Silent())
    times = session.steps(frames, 5 if quick else 20)
    held = [frames.pool.colors, frames.pool.normals, frames.pool.places]
    return ScalingRow(
        views,
        resolution,
        read,
        statistics.median(times.cpu),
        frames.batch / statistics.median(times.wall),
        sum(tensor.nbytes for tensor in held),
    )
