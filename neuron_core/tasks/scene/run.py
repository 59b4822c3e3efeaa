"""`neuron scene`: shots from the command line. One function a task."""

from dataclasses import asdict, replace
from pathlib import Path

from pxr import UsdGeom

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import write_json
from neuron_core.foundation.interrupts import stop_if_requested
from neuron_core.foundation.outputs import require_free
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.values import frames
from neuron_core.tasks.scene import listing, notation
from neuron_core.tasks.scene.config import (
    SceneAddConfig,
    SceneFlattenConfig,
    SceneListConfig,
    SceneNewConfig,
    SceneSearchConfig,
    SceneSetConfig,
    SceneValidateConfig,
)
from neuron_core.tasks.scene.encoders import check_encoder
from neuron_core.tasks.scene.grid import parse_grid
from neuron_core.tasks.scene.search import search
from neuron_core.usd import adding, changing, layers, new_shot, published
from neuron_core.usd.changing import Change
from neuron_core.usd.flatten import flatten
from neuron_core.usd.new_shot import NewShot
from neuron_core.usd.records import Problem, SceneError
from neuron_core.usd.stage import read_stage
from neuron_core.usd.validate import validate


class InvalidSceneError(NeuronError):
    """A stage that does not pass."""

    kind = "validation"


def run_new(config: SceneNewConfig, report: Reporter) -> dict[str, object]:
    """Write an empty shot."""
    require_free([config.stage], config.overwrite)
    wanted = frames(config.frames) if config.frames else None
    shot = NewShot(
        config.units,
        config.up,
        config.fps,
        (wanted[0], wanted[-1]) if wanted else None,
        not config.no_camera,
    )
    new_shot.write_new(config.stage, shot)
    report.progress(1.0, "scene", str(config.stage))
    camera = "" if config.no_camera else new_shot.CAMERA
    return {"stage": str(config.stage), "camera": camera, "summary": f"{config.stage}: an empty shot."}


def run_add(config: SceneAddConfig, report: Reporter) -> dict[str, object]:
    """Add an asset, once or as a grid."""
    source = published.locate(config.asset)
    grid = parse_grid(config.grid, config.spacing)
    base = Change(
        at=notation.place(config.at, "at"),
        rotate=notation.place(config.rotate, "rotate"),
        scale=notation.factors(config.scale, "scale"),
        prompt=config.prompt or None,
    )
    name = adding.prim_name(config.name or _plain_name(source))
    with layers.editing(config.stage) as stage:
        if grid is None:
            path = (
                f"{config.under.rstrip('/')}/{name}"
                if config.name
                else adding.free_path(stage, config.under, name)
            )
            paths, changes = [path], [replace(base, look=config.look[0] if config.look else None)]
        else:
            group = adding.free_path(stage, config.under, name)
            paths = [f"{group}/{name}_{number:0{grid.digits}d}" for number in range(grid.count)]
            changes = grid.changes(base, config.look, str(UsdGeom.GetStageUpAxis(stage)))
        adding.add(stage, source, paths[0], instance=not config.editable)
        for change in reversed(changes[: max(len(config.look), 1)]):  # so that every look is known
            changing.change(stage, paths[0], change)
        stop_if_requested()
        adding.repeat(stage, paths[0], dict(zip(paths[1:], changes[1:], strict=True)))
    report.progress(1.0, "scene", paths[0])
    what = paths[0] if grid is None else f"{len(paths)} prims below {paths[0].rpartition('/')[0]}"
    return {"stage": str(config.stage), "prims": paths, "summary": f"{config.stage}: added {what}."}


def _plain_name(source: Path) -> str:
    home = published.home_of(source)
    return home.name if home is not None else source.stem


def run_set(config: SceneSetConfig, report: Reporter) -> dict[str, object]:
    """Change one prim."""
    if config.hide and config.show:
        raise SceneError("A prim cannot be hidden and shown.", "Leave one of them out.")
    if config.prompt and config.no_prompt:
        raise SceneError("A prim cannot have a prompt and none.", "Leave one of them out.")
    if config.pose and config.no_pose:
        raise SceneError("A prim cannot have a pose and none.", "Leave one of them out.")
    wanted = Change(
        at=notation.place(config.at, "at"),
        rotate=notation.place(config.rotate, "rotate"),
        scale=notation.factors(config.scale, "scale"),
        aim=notation.place(config.aim, "aim"),
        focal=config.focal or None,
        look=config.look or None,
        prompt="" if config.no_prompt else config.prompt or None,
        pose=() if config.no_pose else notation.numbers(config.pose, "pose"),
        representation=config.representation or None,
        visible=False if config.hide else True if config.show else None,
        version=config.version or None,
        frame=notation.frame(config.frame),
    )
    changed = [key for key, value in asdict(wanted).items() if value is not None and key != "frame"]
    if not changed:
        raise SceneError("Nothing was asked to be set.", "`neuron scene set --help` lists what can be.")
    with layers.editing(config.stage) as stage:
        changing.change(stage, config.prim, wanted)
    report.progress(1.0, "scene", config.prim)
    when = f" at frame {config.frame}" if config.frame else ""
    return {
        "stage": str(config.stage),
        "prim": config.prim,
        "changed": changed,
        "summary": f"{config.stage}: set {', '.join(changed)} of {config.prim}{when}.",
    }


def run_list(config: SceneListConfig, report: Reporter) -> dict[str, object]:
    """What a stage draws, or what a library holds."""
    if config.path.is_dir():
        result = listing.of_library(config.path)
    else:
        result = listing.of_stage(config.path, notation.frame(config.frame))
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
        times: list[float | None] = [float(number) for number in frames(config.frames)]
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
