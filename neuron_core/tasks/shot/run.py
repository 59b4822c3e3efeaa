"""`neuron scene new`, `add`, `set`: shots from the command line. One function a task."""

from dataclasses import asdict

from neuron_core.foundation import values
from neuron_core.foundation.outputs import require_free
from neuron_core.foundation.progress import Reporter
from neuron_core.tasks.shot.config import SceneAddConfig, SceneNewConfig, SceneSetConfig
from neuron_core.usd import changing, layers, new_shot, published
from neuron_core.usd.changing import Change
from neuron_core.usd.copies import Placement, add_copies, parse_grid
from neuron_core.usd.new_shot import NewShot
from neuron_core.usd.records import SceneError


def run_new(config: SceneNewConfig, report: Reporter) -> dict[str, object]:
    """Write an empty shot."""
    require_free([config.stage], config.overwrite)
    wanted = values.frames(config.frames) if config.frames else None
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
        at=values.place(config.at, "at"),
        rotate=values.place(config.rotate, "rotate"),
        scale=values.factors(config.scale, "scale"),
        prompt=config.prompt or None,
    )
    with layers.editing(config.stage) as stage:
        placement = Placement(config.name, config.under, grid, config.editable)
        paths = add_copies(stage, source, placement, base, config.look)
    report.progress(1.0, "scene", paths[0])
    what = paths[0] if grid is None else f"{len(paths)} prims below {paths[0].rpartition('/')[0]}"
    return {"stage": str(config.stage), "prims": paths, "summary": f"{config.stage}: added {what}."}


def run_set(config: SceneSetConfig, report: Reporter) -> dict[str, object]:
    """Change one prim."""
    if config.hide and config.show:
        raise SceneError("A prim cannot be hidden and shown.", "Leave one of them out.")
    if config.prompt and config.no_prompt:
        raise SceneError("A prim cannot have a prompt and none.", "Leave one of them out.")
    if config.pose and config.no_pose:
        raise SceneError("A prim cannot have a pose and none.", "Leave one of them out.")
    wanted = Change(
        at=values.place(config.at, "at"),
        rotate=values.place(config.rotate, "rotate"),
        scale=values.factors(config.scale, "scale"),
        aim=values.place(config.aim, "aim"),
        focal=config.focal or None,
        look=config.look or None,
        prompt="" if config.no_prompt else config.prompt or None,
        pose=() if config.no_pose else values.numbers(config.pose, "pose"),
        representation=config.representation or None,
        visible=False if config.hide else True if config.show else None,
        version=config.version or None,
        frame=values.frame(config.frame),
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
