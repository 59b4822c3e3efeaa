"""From ground truth to a picture of the stage, node by node: later exercises use what earlier ones made."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path
from typing import cast

import hou
import numpy as np

from neuron_houdini.verify.acting import box_sop, cooked, made, must_exist, press, run_driver
from neuron_houdini.verify.check import Check, Problem, Skipped, Work

SPLATS = 1000  # that are published and loaded: enough to see that they arrive
MATERIALS = "brushed-copper"


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
    made_in = {"folder": str(work.folder / "representations"), "max_splats": SPLATS}
    run_driver("publish", asset=str(work.take("asset")), library=str(library), name="ball", **made_in)
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
    box = box_sop()
    file = str(work.take("library") / "ball")
    node = cooked(made("assemble", soppath=box.path(), file=file, primpath="/World/many"))
    group = cast("hou.LopNode", node).stage().GetPrimAtPath("/World/many")
    count = len(group.GetChildren()) if group else 0
    if count != 8:
        raise Problem(f"{count} assets on the 8 points of a box")
    return f"{count} assets"


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
    node.setInput(0, box_sop())
    press(node, "fetch")
    must_exist(out)
    geometry = cast("hou.SopNode", cooked(node)).geometry()
    assert geometry is not None
    lacking = [name for name in ("density", "N", "Cd") if geometry.findPointAttrib(name) is None]
    if lacking:
        raise Problem(f"points without {lacking}")
    return "density, N and Cd"


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
