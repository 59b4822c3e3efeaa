"""The second encoder of the study: a judge that saw another shape under another light."""

from pathlib import Path

import torch

from neuron_core.foundation.outputs import fingerprint_of
from neuron_core.foundation.progress import Reporter, Silent
from neuron_core.geometry.knot import write_torus_knot
from neuron_core.learning.distributed import Placement
from neuron_core.learning.training import RunSettings, train, trained_modules
from neuron_core.models.judge.data import RENDERED, JudgeConfig
from neuron_core.models.judge.family import FAMILY, judge_of
from neuron_core.models.judge.model import Judge
from neuron_core.studies.library.steps import Steps

LIGHTS = ("studio:11",)
VIEWS = 6  # of each material under each light
STEP = "second encoder"


def second_encoder(folder: Path, materials: str, steps: Steps, report: Reporter = Silent()) -> Judge:  # noqa: B008
    """The judge in a folder: rendered, trained, or found done."""
    with steps.timed(STEP):
        return trained(folder, JudgeConfig(render(folder, materials, steps)), report)


def render(folder: Path, materials: str, steps: Steps) -> tuple[Path, ...]:
    """The judge's datasets, one for each light."""
    folder.mkdir(parents=True, exist_ok=True)
    mesh = folder / "knot.usda"
    if not mesh.exists():
        write_torus_knot(mesh)
    datasets = tuple(folder / f"light_{index}" for index in range(len(LIGHTS)))
    for dataset, light in zip(datasets, LIGHTS, strict=True):
        steps.neuron(
            f"{STEP}: {dataset.name}", "dataset", dataset, "--geometry", mesh, "--light", light,
            "--materials", materials, "--resolution", RENDERED, "--views", 1, "--val-views", 0,
            "--test-views", VIEWS, "--surface-views", 0, "--truth-db", 10, "--truth-spp", 32,
            "--seed", JudgeConfig(()).seed,
        )  # fmt: skip
    return datasets


def trained(folder: Path, config: JudgeConfig, report: Reporter) -> Judge:
    """A judge with the weights that follow from a config; trained, resumed or found in the folder."""
    placement = Placement(torch.device("cpu"))
    data = FAMILY.prepare(config, report)
    out = folder / f"run-{fingerprint_of(data.recipe)}"
    train(FAMILY, data, RunSettings(out, placement, config.seed), report)
    return judge_of(trained_modules(FAMILY, data, out, placement))
