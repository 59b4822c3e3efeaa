"""`neuron scene list`, `search`, `flatten`, `validate`: what stages and libraries hold."""

from dataclasses import asdict

from neuron_core.assets.encoders import check_encoder
from neuron_core.foundation import values
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import write_json
from neuron_core.foundation.outputs import require_free
from neuron_core.foundation.progress import Reporter
from neuron_core.library.listing import list_library
from neuron_core.library.search import search
from neuron_core.tasks.scene.config import (
    SceneFlattenConfig,
    SceneListConfig,
    SceneSearchConfig,
    SceneValidateConfig,
)
from neuron_core.usd.flatten import flatten
from neuron_core.usd.listing import list_stage
from neuron_core.usd.records import Problem, SceneError
from neuron_core.usd.stage import read_stage
from neuron_core.usd.validate import validate


class InvalidSceneError(NeuronError):
    """A stage that does not pass."""

    kind = "validation"


def run_list(config: SceneListConfig, report: Reporter) -> dict[str, object]:
    """What a stage draws, or what a library holds."""
    is_library = config.path.is_dir()
    result = list_library(config.path) if is_library else list_stage(config.path, values.frame(config.frame))
    report.progress(1.0, "scene", str(config.path))
    return result


def run_search(config: SceneSearchConfig, report: Reporter) -> dict[str, object]:
    """Assets and looks that fit the words, best first."""
    found = search(config.library, config.text, report.warn)[: max(config.limit, 0)]
    report.progress(1.0, "scene", f"{len(found)} found")
    rows = [f"{hit.score:5.2f}  {hit.name} {hit.version}  {hit.look}: {hit.prompt}" for hit in found]
    return {
        "hits": [asdict(hit) for hit in found],
        "summary": "\n".join(rows) or f"Nothing in {config.library} fits {config.text!r}.",
    }


def run_flatten(config: SceneFlattenConfig, report: Reporter) -> dict[str, object]:
    """Write a stage as one layer."""
    if config.out.exists() and config.out.resolve() == config.stage.resolve():
        raise SceneError(f"{config.out} is the stage itself.", "Write to another file.")
    require_free([config.out], config.overwrite)
    flatten(read_stage(config.stage), config.out)
    report.progress(1.0, "scene", str(config.out))
    return {"stage": str(config.out), "summary": f"{config.out}: {config.stage} as one layer."}


def run_validate(config: SceneValidateConfig, report: Reporter) -> dict[str, object]:
    """Check a stage. Raises InvalidSceneError with the first problems if anything is wrong."""
    scene = read_stage(config.stage, config.library)
    report.progress(0.1, "validate", str(config.stage))
    if config.frames:
        times: list[float | None] = [float(number) for number in values.frames(config.frames)]
    else:
        span = scene.time_range()
        times = [None] if span is None else [None, *dict.fromkeys(span)]
    problems = validate(scene, config.verify, check_encoder, times)
    if config.out is not None:
        write_json(config.out, {"stage": str(config.stage), "problems": [asdict(one) for one in problems]})
    wrong = [one for one in problems if one.fatal]
    for problem in problems:
        if not problem.fatal or wrong.index(problem) > 0:
            report.warn(_sentence(problem))
    report.progress(1.0, "validate", f"{len(wrong)} problems")
    if wrong:
        count = "one problem" if len(wrong) == 1 else f"{len(wrong)} problems"
        raise InvalidSceneError(f"{config.stage} has {count}. {wrong[0]}", wrong[0].hint)
    return {
        "stage": str(config.stage),
        "valid": True,
        "problems": [asdict(one) for one in problems],
        "summary": f"{config.stage}: nothing is wrong with it"
        + (f", {len(problems)} warnings." if problems else "."),
    }


def _sentence(problem: Problem) -> str:
    return f"{problem} {problem.hint}".strip()
