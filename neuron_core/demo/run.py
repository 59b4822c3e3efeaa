"""`neuron demo`: every task once, in order, each of which resumes where it stopped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from neuron_core.demo.config import DemoConfig
from neuron_core.demo.journal import Journal
from neuron_core.demo.machine import machine, versions
from neuron_core.demo.report import Report, Still, clock, read_losses, write_report
from neuron_core.foundation.progress import Part, Reporter
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.models.field.config import LIBRARY, TrainConfig
from neuron_core.tasks.bake.config import BakeConfig
from neuron_core.tasks.evaluate.config import EvaluateConfig
from neuron_core.tasks.render.config import RenderConfig

# When each stage ends, as a part of the whole; measured on two cores.
ENDS = {"dataset": 0.37, "train": 0.70, "bake": 0.75, "render": 0.82, "evaluate": 0.89, "library": 0.99}
STILL_AT = 0.125  # of a turn: the frame that shows every look

Body = Mapping[str, Any]  # what a task returns
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where everything is."""

    folder: Path
    name: str

    @property
    def dataset(self) -> Path:
        """The ground truth."""
        return self.folder / "dataset"

    @property
    def run(self) -> Path:
        """The training run."""
        return self.folder / "run"

    @property
    def asset(self) -> Path:
        """The baked asset."""
        return self.folder / f"{self.name}.neuron"

    @property
    def turntable(self) -> Path:
        """Frames and animation of the first look."""
        return self.folder / "turntable"

    @property
    def looks(self) -> Path:
        """A picture of every look, in folders of their names."""
        return self.folder / "looks"

    @property
    def evaluation(self) -> Path:
        """Table and contact sheet."""
        return self.folder / "evaluation"

    @property
    def library(self) -> Path:
        """The shader ball that came with Neuron, as the prompts ask for it."""
        return self.folder / "library.neuron"

    @property
    def typed(self) -> Path:
        """A picture of every prompt, in folders of their looks."""
        return self.folder / "typed"

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report" / "index.html"


def run(config: DemoConfig, report: Reporter) -> dict[str, object]:
    """Run what is missing. Raises ConfigMismatchError if the folder holds another demo."""
    paths = Paths(Path(config.out), _name_of(config.geometry))
    with Journal(paths.folder, config.described(), config.overwrite) as journal:
        if journal.result is not None and _is_whole(paths):
            report.progress(1.0, "demo", "already done")
            return _located(journal.result, paths, "Already done.")
        return _run(config, paths, journal, report)


def _run(config: DemoConfig, paths: Paths, journal: Journal, report: Reporter) -> dict[str, object]:
    stages = Stages(config, paths, journal, report)
    stages.dataset()
    stages.train()
    baked = stages.bake()
    stills = stages.render(baked)
    evaluation = stages.evaluate()
    typed = stages.library()
    report.progress(0.99, "report", str(paths.report))
    seconds = {stage: journal.seconds[stage] for stage in ENDS}
    write_report(paths.report, _report(config, paths, (stills, typed), evaluation, seconds))
    journal.finish({"seconds": round(sum(seconds.values()), 1), "mean": evaluation["mean"]})
    assert journal.result is not None
    return _located(journal.result, paths, "")


class Stages:
    """The tasks with the sizes of the demo's plan."""

    def __init__(self, config: DemoConfig, paths: Paths, journal: Journal, report: Reporter) -> None:
        self._config = config
        self._plan = config.plan()
        self._paths = paths
        self._journal = journal
        self._report = report

    def dataset(self) -> Body:
        """Ground truth."""
        from neuron_core.tasks.dataset.run import run as task

        plan, config = self._plan, self._config
        wanted = DatasetConfig(
            self._paths.dataset,
            geometry=config.geometry,
            assign=config.assign,
            materials=config.materials,
            views=plan.views,
            val_views=plan.val_views,
            test_views=plan.test_views,
            resolution=plan.resolution,
            spp=plan.spp,
            truth_db=plan.truth_db,
            truth_spp=plan.truth_spp,
            seed=config.seed,
            overwrite=config.overwrite,
        )
        return self._run("dataset", lambda part: task(wanted, part))

    def train(self) -> Body:
        """The field. Imports torch."""
        from neuron_core.tasks.train.run import run as task

        wanted = TrainConfig(
            self._paths.dataset,
            self._paths.run,
            preset="cpu-demo",
            device=self._config.device,
            steps=self._plan.steps,
            seed=self._config.seed,
            overwrite=self._config.overwrite,
        )
        return self._run("train", lambda part: task(wanted, part))

    def bake(self) -> Body:
        """The asset."""
        from neuron_core.tasks.bake.run import run as task

        wanted = BakeConfig(
            self._paths.run,
            self._paths.asset,
            resolution=self._plan.voxels,
            overwrite=self._config.overwrite,
        )
        return self._run("bake", lambda part: task(wanted, part))

    def render(self, baked: Body) -> list[Still]:
        """A turntable of the first look and a picture of each."""
        from neuron_core.tasks.render.run import run as task

        looks = baked["looks"]
        turntable = self._rendering(self._paths.asset, self._paths.turntable, looks[0]["slug"], "")

        def everything(part: Reporter) -> list[Still]:
            task(turntable, Part(part, 0.0, 0.8))
            return self._stills(self._paths.asset, self._paths.looks, looks, Part(part, 0.8, 1.0))

        return self._run("render", everything)

    def evaluate(self) -> Body:
        """Figures against the truth."""
        from neuron_core.tasks.evaluate.run import run as task

        wanted = EvaluateConfig(
            self._paths.asset,
            self._paths.dataset,
            out=self._paths.evaluation,
            device=self._config.device,
            overwrite=self._config.overwrite,
        )
        return self._run("evaluate", lambda part: task(wanted, part))

    def library(self) -> list[Still]:
        """A picture of every prompt, from the field that came with Neuron."""
        from neuron_core.tasks.bake.run import run as task

        wanted = BakeConfig(
            Path(LIBRARY),
            self._paths.library,
            prompt=self._config.prompts(),
            resolution=self._plan.voxels,
            overwrite=self._config.overwrite,
        )

        def everything(part: Reporter) -> list[Still]:
            looks = task(wanted, Part(part, 0.0, 0.8))["looks"]
            assert isinstance(looks, list)
            return self._stills(self._paths.library, self._paths.typed, looks, Part(part, 0.8, 1.0))

        return self._run("library", everything)

    def _stills(
        self, asset: Path, folder: Path, looks: Sequence[Mapping[str, str]], report: Reporter
    ) -> list[Still]:
        """A picture of each look."""
        from neuron_core.tasks.render.run import run as task

        frame, stills = str(1 + int(STILL_AT * self._plan.frames)), []
        for index, look in enumerate(looks):
            config = self._rendering(asset, folder / look["slug"], look["slug"], frame)
            frames = task(config, Part(report, index / len(looks), (index + 1) / len(looks)))["frames"]
            assert isinstance(frames, list)
            stills.append(Still(look["slug"], look["prompt"], Path(frames[0])))
        return stills

    def _rendering(self, asset: Path, out: Path, look: str, frames: str) -> RenderConfig:
        return RenderConfig(
            asset,
            out,
            cameras=f"turntable:{self._plan.frames}",
            frames=frames,
            prompt=look,
            size=str(self._plan.size),
            device=self._config.device,
            overwrite=self._config.overwrite,
        )

    def _run(self, stage: str, task: Callable[[Reporter], Done]) -> Done:
        names = list(ENDS)
        index = names.index(stage)
        start = ENDS[names[index - 1]] if index else 0.0
        with self._journal.timed(stage):
            return task(Part(self._report, start, ENDS[stage]))


def _name_of(geometry: str) -> str:
    """A name for the asset: that of the geometry's file."""
    return Path(geometry.partition("@")[0]).stem or "asset"


def _is_whole(paths: Paths) -> bool:
    files = (paths.dataset / "dataset.json", paths.run / "run.json", paths.asset, paths.report)
    return all(file.is_file() for file in files)


def _report(
    config: DemoConfig,
    paths: Paths,
    stills: tuple[list[Still], list[Still]],
    evaluation: Body,
    seconds: Mapping[str, float],
) -> Report:
    small = (
        "This was the quick demo: small pictures, few views, short training. Without --quick the same "
        "loop takes some minutes and scores higher."
    )
    return Report(
        name=paths.name,
        asset=paths.asset,
        turntable=paths.turntable / "turntable.webp",
        stills=stills[0],
        typed=stills[1],
        sheet=Path(evaluation["contact_sheet"]),
        evaluation=evaluation,
        losses=read_losses(paths.run / "metrics.jsonl"),
        seconds=seconds,
        machine=machine(),
        versions=versions(),
        commands=_commands(paths),
        notes=(small,) if config.quick else (),
    )


def _commands(paths: Paths) -> list[tuple[str, str]]:
    asset, out = paths.asset, paths.folder
    return [
        (
            "Ask the library for a material of your own words, and draw it",
            f'neuron look {paths.library} --prompt "green leather, scratched"',
        ),
        ("Look at what the asset holds", f"neuron inspect {asset}"),
        (
            "Bake another look from a prompt, without training again",
            f'neuron bake {paths.run} {out / "worn.neuron"} --prompt "copper, brushed, worn"',
        ),
        (
            "Render larger frames with depth and normals as EXR",
            f"neuron render {asset} {out / 'frames'} --size 1024 --aov depth,normal,alpha",
        ),
        (
            "Render the field itself instead of its voxels: finer, slower",
            f"neuron render {asset} {out / 'fine'} --cameras turntable:1 --detail inr",
        ),
        (
            "Train longer on your own model and materials",
            "neuron dataset my-dataset --geometry model.usd --materials materials/\n"
            "neuron train my-dataset my-run --preset cpu\n"
            "neuron bake my-run my-asset.neuron",
        ),
    ]


def _located(result: Mapping[str, Any], paths: Paths, remark: str) -> dict[str, object]:
    """The result body, with paths as they are now and a summary of five lines."""
    mean = result["mean"]
    size = paths.asset.stat().st_size / 1e6
    lines = [
        f"asset    {paths.asset}  {size:.1f} MB",
        f"report   {paths.report}",
        f"PSNR     {_figure(mean, 'nvf', 'psnr', 2)} dB baked, {_figure(mean, 'inr', 'psnr', 2)} dB field, "
        "mean over materials",
        f"IoU      {_figure(mean, 'nvf', 'iou', 4)} of silhouettes",
        f"time     {clock(result['seconds'])}  {remark}".rstrip(),
    ]
    return {
        "asset": str(paths.asset),
        "dataset": str(paths.dataset),
        "run": str(paths.run),
        "report": str(paths.report),
        "evaluation": str(paths.evaluation),
        "seconds": result["seconds"],
        "mean": mean,
        "summary": "\n".join(lines),
    }


def _figure(mean: Mapping[str, Any], representation: str, name: str, digits: int) -> str:
    value = mean.get(representation, {}).get(name)
    return f"{value:.{digits}f}" if isinstance(value, float) else "–"
