"""Exercise Neuron in a real Houdini and write down what happened: hython scripts/verify_in_houdini.py [OUT]

Takes at most 15 minutes and an engine that is set up. Every check stands for itself: what fails is in the
report with its traceback, the rest goes on. OUT (default: neuron-verification in the current folder) gets
report.md, report.json and what the nodes made. In a Houdini with a window, run it from the Python shell:

    import runpy; runpy.run_path("/path/to/scripts/verify_in_houdini.py", run_name="__main__")
"""

from __future__ import annotations  # names of hou differ between versions

import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "python3.11libs"), str(PROJECT / "scripts")]

import hou  # noqa: E402
import numpy as np  # noqa: E402
from houdini_assets import binary, tree  # noqa: E402
from houdini_assets.description import NodeType  # noqa: E402
from houdini_assets.nodes import NODES  # noqa: E402
from neuron_houdini.engine import environment, jobs, process  # noqa: E402
from neuron_houdini.nodes.rops import batch  # noqa: E402
from neuron_houdini.shelf import tools as shelf  # noqa: E402

LIMIT = 15 * 60  # seconds; no check begins later
NETWORKS = {"Driver": "/out", "Lop": "/stage"}
CATEGORIES = {"Driver": "ropNodeTypeCategory", "Lop": "lopNodeTypeCategory", "Sop": "sopNodeTypeCategory"}
SPLATS = 1000
MATERIALS = "brushed-copper"
State = Literal["ok", "failed", "skipped"]


class Problem(Exception):
    """What a check found to be wrong."""


class Skipped(Exception):
    """Why a check cannot say anything here."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a check."""

    name: str
    state: State
    seconds: float
    text: str


@dataclass(slots=True)
class Work:
    """Where checks write, and what earlier ones left for later ones."""

    folder: Path
    left: dict[str, Any] = field(default_factory=dict)

    def take(self, name: str) -> Any:
        """What an earlier check made. Raises Skipped if it did not."""
        if name not in self.left:
            raise Skipped(f"needs the {name} that an earlier check makes")
        return self.left[name]


Check = Callable[[Work], str]


# --- Houdini and the package ---


def check_versions(work: Work) -> str:
    """Facts that nobody outside of Houdini knows."""
    from pxr import Usd

    version = ".".join(map(str, hou.applicationVersion()))
    usd = ".".join(map(str, Usd.GetVersion()))
    python = sys.version.split()[0]
    return f"Houdini {version}, Python {python}, numpy {np.__version__}, USD {usd}, {platform.platform()}"


def check_package(work: Work) -> str:
    """Whether Houdini read the package file, and USD found the schema."""
    from pxr import Usd

    told = os.environ.get("NEURON", "")
    if not Usd.SchemaRegistry().IsAppliedAPISchema("NeuronAssetAPI"):
        raise Problem("USD does not know NeuronAssetAPI: PXR_PLUGINPATH_NAME has not reached it")
    if not told:
        raise Problem("NEURON is not set: the package was not read (HOUDINI_PACKAGE_VERBOSE=1 tells why)")
    if Path(told).resolve() != PROJECT:
        raise Problem(f"NEURON is {told}, this script is of {PROJECT}")
    return f"the package of {told}"


def check_engine(work: Work) -> str:
    """The engine is there and has the version of the nodes."""
    return f"{process.ready()}, version {process.check_version(environment.find_python())}"


# --- every node type ---


def check_type(node_type: NodeType) -> Check:
    """That Houdini knows the type from our folder, and makes the interface that we describe."""

    def check(work: Work) -> str:
        node = create(node_type)
        found = {parm.name() for parm in node.parmTuples()}
        wanted = {parm.name for parm in node_type.parms() if "#" not in parm.name and not parm.base}
        if missing := sorted(wanted - found):
            raise Problem(f"parameters that Houdini did not make: {', '.join(missing)}")
        entries = menus_of(node, node_type)
        complain(node)
        where = node.type().definition()
        home = where.libraryFilePath() if where is not None else "nowhere"
        node.destroy()
        return f"{len(wanted)} parameters, {entries} menu entries, from {home}"

    return check


def create(node_type: NodeType) -> hou.OpNode:
    """A new node in a network of its kind. Raises Problem if Houdini does not know it."""
    category = getattr(hou, CATEGORIES[node_type.table])()
    if hou.nodeType(category, node_type.operator) is None:
        raise Problem(f"Houdini does not know {node_type.operator}")
    network = hou.node(NETWORKS[node_type.table]) if node_type.table in NETWORKS else _container()
    assert network is not None
    return cast("hou.OpNode", network.createNode(node_type.operator))


def _container() -> hou.Node:
    objects = hou.node("/obj")
    assert objects is not None
    return objects.node("neuron_verify") or objects.createNode("geo", "neuron_verify")


def menus_of(node: hou.OpNode, node_type: NodeType) -> int:
    """How many entries the menus have; a menu that raises or has none at all is a problem."""
    count = 0
    for parm in node_type.parms():
        made = node.parm(parm.name)
        if parm.menu is not None and made is not None:
            entries = len(made.menuItems())
            if parm.menu.items and entries != len(parm.menu.items):
                raise Problem(f"the menu of {parm.name} has {entries} entries")
            count += entries
    return count


def complain(node: hou.OpNode) -> None:
    """Raise Problem for the errors of a node."""
    if errors := node.errors():
        raise Problem("; ".join(errors))


def described(name: str) -> NodeType:
    """One of our types by its short name. Raises Skipped for one that this version does not have."""
    found = next((node_type for node_type in NODES if node_type.name == name), None)
    if found is None:
        raise Skipped(f"this version has no {name}")
    return found


def made(name: str, /, **values: object) -> hou.OpNode:
    """A node of ours with some parameters set."""
    node = create(described(name))
    node.setParms(cast("Any", values))
    return node


def run_driver(name: str, /, **values: object) -> hou.OpNode:
    """Press Render of a driver, as a person would. Raises Problem for its errors."""
    node = made(name, **values)
    try:
        cast("hou.RopNode", node).render()
    except hou.Error as error:
        raise Problem(f"{error.instanceMessage()} {'; '.join(node.errors())}") from error
    complain(node)
    return node


def press(node: hou.OpNode, button: str) -> None:
    """Press a button that starts a job, and wait for the job. Raises Problem for its error."""
    parm = node.parm(button)
    if parm is None:
        raise Problem(f"there is no button {button}")
    parm.pressButton()
    job = jobs.of(node.sessionId())
    if job is None:
        raise Problem(f"{button} started no job")
    job.join()
    if job.error is not None:
        raise Problem(job.error.text)


def cooked(node: hou.OpNode) -> hou.OpNode:
    """Cook it. Raises Problem for its errors."""
    try:
        node.cook(force=True)
    except hou.Error as error:
        raise Problem(f"{error.instanceMessage()} {'; '.join(node.errors())}") from error
    complain(node)
    return node


def must_exist(path: Path) -> Path:
    """Raise Problem where nothing was made."""
    if not path.exists():
        raise Problem(f"{path} was not made")
    return path


# --- from ground truth to a picture of the stage ---


def check_dataset(work: Work) -> str:
    """The driver renders a very small dataset with the engine's renderer."""
    folder = work.folder / "dataset"
    run_driver(
        "dataset",
        out=str(folder),
        renderer="engine",
        materials=MATERIALS,
        views=2,
        val_views=1,
        test_views=1,
        resolution=16,
        spp=1,
    )
    must_exist(folder / "dataset.json")
    work.left["dataset"] = folder
    return str(folder)


def check_train(work: Work) -> str:
    """The driver trains a few steps and bakes."""
    asset = work.folder / "ball.neuron"
    dataset = work.take("dataset")
    run = work.folder / "run"
    run_driver("train", dataset=str(dataset), run=str(run), asset=str(asset), steps=4, resolution=16)
    work.left["asset"] = must_exist(asset)
    return f"{asset.name}, {asset.stat().st_size / 1e6:.1f} MB"


def check_publish(work: Work) -> str:
    """The driver publishes what was trained, with what Houdini draws of it."""
    library = work.folder / "library"
    made_in = str(work.folder / "representations")
    run_driver("publish", asset=str(work.take("asset")), library=str(library), name="ball", folder=made_in)
    must_exist(library / "ball" / "ball.usd")
    work.left["library"] = library
    return str(library / "ball")


def check_asset(work: Work) -> str:
    """The LOP references the published asset; its menu has the looks."""
    node = made("asset", file=str(work.take("library") / "ball"), primpath="/World/ball")
    cooked(node)
    prim = cast("hou.LopNode", node).stage().GetPrimAtPath("/World/ball")
    if not prim:
        raise Problem("there is no prim at /World/ball")
    sets = prim.GetVariantSets()
    chosen = sets.GetVariantSelection("representation") if sets.HasVariantSet("representation") else "none"
    look = node.parm("look")
    count = len(look.menuItems()) if look is not None else 0
    if not count:
        raise Problem("the menu of looks is empty")
    work.left["lop"] = node
    return f"{count} looks, representation {chosen}, schemas {', '.join(prim.GetAppliedSchemas())}"


def check_render(work: Work) -> str:
    """The driver draws a frame of the stage through the engine."""
    folder = work.folder / "pictures"
    lop = work.take("lop")
    values = {
        "source": "lop",
        "loppath": lop.path(),
        "cameras": "turntable:2",
        "frames": "1",
        "size": "32x32",
    }
    run_driver("render", out=str(folder), **values)
    pictures = sorted(path.name for path in folder.rglob("*.png"))
    if not pictures:
        raise Problem(f"there are no pictures in {folder}")
    return ", ".join(pictures)


def check_assemble(work: Work) -> str:
    """The LOP puts assets on the points of a box."""
    box = _box()
    file = str(work.take("library") / "ball")
    node = cooked(made("assemble", soppath=box.path(), file=file, primpath="/World/many"))
    group = cast("hou.LopNode", node).stage().GetPrimAtPath("/World/many")
    count = len(group.GetChildren()) if group else 0
    if count != 8:
        raise Problem(f"{count} assets on the 8 points of a box")
    return f"{count} assets"


def _box() -> hou.OpNode:
    container = _container()
    return cast("hou.OpNode", container.node("neuron_box") or container.createNode("box", "neuron_box"))


def check_shaderball(work: Work) -> str:
    """The LOP makes the stage of ground truth."""
    views = {"views": 2, "val_views": 1, "test_views": 1, "resolution": 64}
    values = {"materials": MATERIALS, "folder": str(work.folder / "shaderball"), **views}
    node = cooked(made("shaderball", **values))
    stage = cast("hou.LopNode", node).stage()
    kinds = [prim.GetTypeName() for prim in stage.Traverse()]
    if "Camera" not in kinds:
        raise Problem(f"no cameras among {len(kinds)} prims")
    work.left["shader ball"] = node
    return f"{len(kinds)} prims, {kinds.count('Camera')} cameras"


def check_karma(work: Work) -> str:
    """The dataset driver renders the stage of the shader ball with Karma, and the engine converts it."""
    lop = work.take("shader ball")
    husk = Path(hou.text.expandString("$HFS/bin/husk"))
    if not (husk.exists() or husk.with_suffix(".exe").exists()):
        raise Skipped(f"there is no {husk}")
    folder = work.folder / "karma"
    values = {"renderer": "karma", "loppath": lop.path(), "karma_samples": 4, "resolution": 64}
    run_driver("dataset", out=str(folder), materials=MATERIALS, **values)
    must_exist(folder / "dataset.json")
    return str(folder)


def check_splats(work: Work) -> str:
    """The SOP loads splats with Houdini's own attributes."""
    path = work.folder / "splats.ply"
    write_splats(path, SPLATS)
    node = cooked(made("splats", file=str(path)))
    geometry = cast("hou.SopNode", node).geometry()
    assert geometry is not None
    lacking = [
        name for name in ("Cd", "scale", "orient", "GS_Alpha") if geometry.findPointAttrib(name) is None
    ]
    count = len(geometry.pointFloatAttribValuesAsString("P")) // 12
    if lacking or count != SPLATS:
        raise Problem(f"{count} points, without {lacking}")
    return f"{count} points"


def write_splats(path: Path, count: int, rest: int = 0) -> None:
    """A ball of splats, as trainers write them, with `rest` coefficients of harmonics."""
    names = "x y z f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split()
    names += [f"f_rest_{index}" for index in range(rest)]
    rows = np.random.default_rng(0).normal(size=(count, len(names))).astype("<f4")
    rows[:, 7:10] = -4.0
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    head += [f"property float {name}" for name in names] + ["end_header", ""]
    path.write_bytes("\n".join(head).encode() + rows.tobytes())


def check_volume(work: Work) -> str:
    """The SOP lets the engine write a volume and loads it."""
    out = work.folder / "ball.vdb"
    node = made("volume", file=str(work.take("asset")), out=str(out))
    press(node, "write")
    must_exist(out)
    cooked(node)
    return f"{out.stat().st_size / 1e6:.1f} MB"


def check_sample(work: Work) -> str:
    """The SOP gives the points of a box the values of the asset."""
    out = work.folder / "ball.npz"
    node = made("sample", file=str(work.take("asset")), out=str(out), resolution=16)
    node.setInput(0, _box())
    press(node, "fetch")
    must_exist(out)
    geometry = cast("hou.SopNode", cooked(node)).geometry()
    assert geometry is not None
    lacking = [name for name in ("density", "N", "Cd") if geometry.findPointAttrib(name) is None]
    if lacking:
        raise Problem(f"points without {lacking}")
    return "density, N and Cd"


# --- tools, windows, files ---


def check_shelf(work: Work) -> str:
    """Tools that ask nothing make their nodes."""
    tools = [shelf.shader_ball, shelf.make_dataset, shelf.train, shelf.anchor_frames]
    paths = []
    for tool in tools:
        node = tool()
        if node is None:
            raise Problem(f"{tool.__name__} made nothing")
        paths.append(node.path())
    return ", ".join(paths)


def check_panel(work: Work) -> str:
    """The panel opens."""
    if not hou.isUIAvailable():
        raise Skipped("needs a window: run it from the Python shell of Houdini")
    from neuron_houdini.panel import binding, window

    widget = window.create()
    widget.show()
    widget.close()
    return str(binding.QtWidgets.__name__)


def check_packed(work: Work) -> str:
    """Houdini reads the binary files that our packer writes."""
    folder = work.folder / "packed"
    folder.mkdir(exist_ok=True)
    for node_type in NODES:
        path = folder / node_type.folder
        path.write_bytes(binary.pack(tree.files_of(node_type)))
        names = [definition.nodeTypeName() for definition in hou.hda.definitionsInFile(str(path))]
        if names != [node_type.operator]:
            raise Problem(f"{path.name} holds {names}")
    return f"{len(NODES)} files"


EXERCISES: dict[str, Check] = {  # in this order: later ones use what earlier ones made
    "dataset": check_dataset,
    "train": check_train,
    "publish": check_publish,
    "asset": check_asset,
    "assemble": check_assemble,
    "render": check_render,
    "shaderball": check_shaderball,
    "dataset with karma": check_karma,
    "splats": check_splats,
    "volume": check_volume,
    "sample": check_sample,
}


def checks() -> list[tuple[str, Check]]:
    """All of them, in the order in which they are run."""
    known: list[tuple[str, Check]] = [("versions", check_versions), ("package", check_package)]
    known += [(f"interface of {node_type.name}", check_type(node_type)) for node_type in NODES]
    known += [("packed files", check_packed), ("engine", check_engine)]
    known += [(f"node {name}", check) for name, check in EXERCISES.items()]
    return [*known, ("shelf", check_shelf), ("panel", check_panel)]


# --- the report ---


def perform(name: str, check: Check, work: Work, deadline: float) -> Outcome:
    """Run one check. Whatever it raises belongs into the report."""
    started = time.monotonic()
    if started > deadline:
        return Outcome(name, "skipped", 0.0, "no time was left")
    state: State = "failed"
    try:
        state, text = "ok", check(work)
    except Skipped as reason:
        state, text = "skipped", str(reason)
    except Problem as problem:
        text = str(problem)
    except Exception:  # noqa: BLE001  # the report is what this is for
        text = traceback.format_exc()
    return Outcome(name, state, time.monotonic() - started, text)


def write_report(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """As a table for people, and as JSON."""
    rows = [asdict(outcome) for outcome in outcomes]
    (folder / "report.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    lines = ["# Neuron in Houdini", "", "| check | | seconds | |", "|---|---|---|---|"]
    for outcome in outcomes:
        text = outcome.text.strip().replace("|", "\\|").replace("\n", "<br>")
        lines.append(f"| {outcome.name} | {outcome.state} | {outcome.seconds:.1f} | {text} |")
    (folder / "report.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def main(words: Sequence[str]) -> int:
    """Run everything, write the report after every check; 1 if something failed."""
    folder = Path(words[0] if words else "neuron-verification").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    batch.install_types()
    work, deadline = Work(folder), time.monotonic() + LIMIT
    outcomes: list[Outcome] = []
    for name, check in checks():
        outcomes.append(perform(name, check, work, deadline))
        print(f"{outcomes[-1].state:8} {name}: {outcomes[-1].text.splitlines()[-1:]}", flush=True)
        write_report(folder, outcomes)
    failed = sum(outcome.state == "failed" for outcome in outcomes)
    print(f"{failed} of {len(outcomes)} failed. The report is in {folder / 'report.md'}")
    return 1 if failed else 0


if __name__ == "__main__":
    if hou.isUIAvailable():  # the words are those of Houdini's own command line, and it goes on
        main([])
    else:
        sys.exit(main(sys.argv[1:]))
