"""The dataset driver with Karma: files for husk, its command line, what is left, errors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from houdini_assets.nodes import NODES
from pxr import Usd, UsdGeom, UsdRender, UsdShade

import neuron_core
from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import find_task
from neuron_core.geometry import load_geometry
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.groundtruth.karma.request import read_request
from neuron_core.groundtruth.plan import make_plan
from neuron_core.images.plain_exr import write_plain_exr
from neuron_core.materials import read_library
from neuron_core.usd import karma_settings, lookdev
from neuron_core.usd.cameras import read_camera
from tests.houdini.published_hou import node_of
from tests.houdini.test_lookdev import box_file
from tests.patience import wait_until

# Options of husk that are documented for Houdini 21, with how many values each takes.
HUSK = {
    "--renderer": 1,
    "--engine": 1,
    "--settings": 1,
    "--camera": 1,
    "--frame": 1,
    "--frame-count": 1,
    "--frame-inc": 1,
    "--res": 2,
    "--output": 1,
    "--make-output-path": 0,
    "--pixel-samples": 1,
    "--purpose": 1,
    "--complexity": 1,
    "--threads": 1,
    "--snapshot": 1,
    "--fast-exit": 1,
    "--verbose": 1,
    "--list-cameras": 0,
}
STAND_IN = """#!{python}
import json, os, sys
words = sys.argv[1:]
value = lambda name: words[words.index(name) + 1]
with open({log!r}, "a") as log: log.write(json.dumps(words) + "\\n")
for frame in range(int(value("--frame")), int(value("--frame")) + int(value("--frame-count"))):
    path = value("--output").replace("$F4", "%04d" % frame)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    print("ALF_PROGRESS 50%", flush=True)
    if {end} == frame:
        open(path, "w").write("half")
        print("out of memory", flush=True)
        os._exit(3)
    open(path, "w").write("whole")
    print("ALF_PROGRESS 100%", flush=True)
"""
ENGINE = """#!{python}
import json, sys
if "--version" in sys.argv: print(json.dumps({{"event": "result", "version": {version!r}}}))
else:
    open({log!r}, "a").write(json.dumps(sys.argv[3:-1]) + "\\n")
    print('{{"event": "progress", "fraction": 0.5, "stage": "karma", "message": ""}}')
    print('{{"event": "result"}}')
"""
SMALL = {"views": 3, "val_views": 1, "test_views": 1, "resolution": 24, "renderer": "karma"}


def husk_program(tmp_path, end=0):
    """A program that answers as husk does; it dies in the frame `end`."""
    path = tmp_path / f"husk {end}"
    path.write_text(STAND_IN.format(python=sys.executable, log=str(tmp_path / "log"), end=end))
    path.chmod(0o755)
    return str(path)


def engine_program(tmp_path):
    """A program in the place of the engine's Python, that writes down what it is told."""
    path = tmp_path / "python of größe"
    path.write_text(
        ENGINE.format(python=sys.executable, log=str(tmp_path / "told"), version=neuron_core.__version__)
    )
    path.chmod(0o755)
    return path


def calls(tmp_path, name="log"):
    log = tmp_path / name
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def dataset(hou, tmp_path, monkeypatch):
    """A node, the module, and a function that lists what the engine was told."""
    from neuron_houdini.engine import environment
    from neuron_houdini.nodes.rops import karma_dataset

    program = engine_program(tmp_path)
    monkeypatch.setattr(environment, "find_python", lambda: program)
    values = {
        **SMALL,
        "out": str(tmp_path / "Größe data"),
        "geometry": str(box_file(tmp_path)),
        "materials": "polished-gold,blue-plastic",
        "husk": husk_program(tmp_path),
    }
    return node_of("dataset", **values), karma_dataset, lambda: calls(tmp_path, "told")


def rendered(node):
    """Press Render."""
    from neuron_houdini.nodes.rops import dataset

    dataset.render_frame(node)


def options_of(words):
    """Options with their values. Fails for what husk does not have."""
    found, at = {}, 1
    while at < len(words) and words[at].startswith("--"):
        count = HUSK[words[at]]
        found[words[at]] = words[at + 1 : at + 1 + count]
        at += 1 + count
    assert at == len(words) - 1, "one file at the end"
    return found, words[at]


def test_the_command_line_is_one_of_husk(dataset, tmp_path):
    node, module, _ = dataset
    items = module.work_items(node, 0)
    assert [item["name"] for item in items] == ["gbuffer", "polished-gold", "blue-plastic"]
    for item in items:
        found, stage = options_of(item["command"])
        assert found["--renderer"] == ["BRAY_HdKarma"] and found["--engine"] == ["cpu"]
        assert (
            found["--res"] == ["24", "24"] and found["--frame"] == ["1"] and found["--frame-count"] == ["5"]
        )
        opened = Usd.Stage.Open(stage)
        settings = UsdRender.Settings(opened.GetPrimAtPath(found["--settings"][0]))
        (target,) = settings.GetProductsRel().GetTargets()
        product = UsdRender.Product(opened.GetPrimAtPath(target))
        assert [product.GetProductNameAttr().Get()] == found["--output"]
        count = len(product.GetOrderedVarsRel().GetTargets())
        assert count == (5 if item["name"] == "gbuffer" else 1)


def test_frames_look_through_the_cameras_of_the_engine(dataset):
    node, module, _ = dataset
    request = module.prepare(node)
    config = DatasetConfig(
        out=Path(node.evalParm("out")),
        geometry=node.evalParm("geometry"),
        materials=node.evalParm("materials"),
        surface_views=0,
        **{key: SMALL[key] for key in ("views", "val_views", "test_views", "resolution")},
    )
    plan = make_plan(config, load_geometry(config.geometry, ()), read_library(config.materials).materials)
    assert request.splits == plan.splits
    stage = Usd.Stage.Open(str(module._folder(node) / "karma" / "gbuffer.usda"))
    settings = UsdRender.Settings(stage.GetPrimAtPath(karma_settings.settings_path(karma_settings.GBUFFER)))
    (path,) = settings.GetCameraRel().GetTargets()
    for frame, camera in enumerate(plan.cameras, 1):
        found = read_camera(stage, str(path), 24, 24, Usd.TimeCode(frame))
        np.testing.assert_allclose(found.c2w, camera.c2w, atol=1e-6)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (1, 5)


def test_every_layer_shows_its_material(dataset):
    node, module, _ = dataset
    request = module.prepare(node)
    for material in request.materials:
        stage = Usd.Stage.Open(str(module._folder(node) / "karma" / f"{material.name}.usda"))
        (mesh,) = stage.GetPrimAtPath(lookdev.GEOMETRY).GetChildren()
        bound, _ = UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()
        assert bound.GetPath().name == material.name.replace("-", "_")
        assert stage.GetPrimAtPath(lookdev.LIGHT)
        assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0 and UsdGeom.GetStageUpAxis(stage) == "Y"


def test_rendering_calls_husk_for_what_is_missing_and_then_the_engine(dataset, hou, tmp_path):
    from neuron_houdini.nodes.rops import dataset as rop

    node, module, told = dataset
    rop.render_frame(node)
    assert len(calls(tmp_path)) == 3
    config = parse(find_task("karma"), told()[0][1:])
    assert config.out == module._folder(node)
    rop.render_frame(node)
    assert len(calls(tmp_path)) == 3 and len(told()) == 2, "all is there"
    raw = module._folder(node) / "karma" / "raw"
    for frame in (2, 4, 5):
        (raw / f"blue-plastic.{frame:04d}.exr").unlink()
    rop.render_frame(node)
    later = [options_of(["husk", *words])[0] for words in calls(tmp_path)[3:]]
    assert [(found["--frame"], found["--frame-count"]) for found in later] == [(["2"], ["1"]), (["4"], ["2"])]


def test_progress_never_goes_back_and_ends_at_the_end(dataset):
    node, module, _ = dataset
    seen = []
    module.render(node, seen.append)
    assert seen == sorted(seen) and 0 < seen[0] < 0.9 < seen[-1] <= 1.0


def test_items_of_a_farm_are_short_and_together_all(dataset):
    node, module, _ = dataset
    items = module.work_items(node, 2)
    assert max(item["count"] for item in items) == 2
    outputs = [path for item in items for path in item["outputs"]]
    assert len(outputs) == len(set(outputs)) == 15
    assert parse(find_task("karma"), module.convert_words(node)[1:])


def test_a_picture_that_husk_died_in_is_not_taken_for_whole(dataset, hou, tmp_path):
    node, module, told = dataset
    node._values["husk"] = husk_program(tmp_path, end=3)
    with pytest.raises(hou.NodeError, match="out of memory"):
        rendered(node)
    raw = module._folder(node) / "karma" / "raw"
    assert sorted(path.name for path in raw.iterdir()) == ["gbuffer.0001.exr", "gbuffer.0002.exr"]
    assert not told()
    node._values["husk"] = husk_program(tmp_path)
    module.render(node, lambda fraction: None)
    assert calls(tmp_path)[1][calls(tmp_path)[1].index("--frame") + 1] == "3" and told()


def test_a_light_of_ones_own_is_on_the_stage_and_one_that_is_not_there_an_error(dataset, hou, tmp_path):
    node, module, _ = dataset
    write_plain_exr(tmp_path / "sky.exr", np.ones((4, 8, 3), np.float32))
    node._values["light"] = str(tmp_path / "sky.exr")
    module.prepare(node)
    stage = Usd.Stage.Open(str(module._folder(node) / "karma" / "stage.usdc"))
    texture = stage.GetPrimAtPath(lookdev.LIGHT).GetAttribute("inputs:texture:file").Get()
    assert Path(texture.path) == tmp_path / "sky.exr"
    for wrong in ("studio:3", "none.exr"):
        node._values["light"] = wrong
        with pytest.raises(hou.NodeError, match="not a light"):
            rendered(node)


def test_a_missing_husk_is_a_node_error(dataset, hou, tmp_path):
    node, module, _ = dataset
    node._values["husk"] = str(tmp_path / "no husk")
    with pytest.raises(hou.NodeError, match="no husk"):
        rendered(node)


def test_escape_stops_husk(dataset, hou):
    node, module, _ = dataset

    def interrupt(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        module.render(node, interrupt)


def test_pictures_of_something_else_are_not_mixed_in(dataset, hou, tmp_path):
    node, module, _ = dataset
    module.render(node, lambda fraction: None)
    node._values["karma_samples"] = 7
    with pytest.raises(hou.NodeError, match="something else"):
        rendered(node)
    assert read_request(module._folder(node)).renderer.settings == {"samples": 128, "light": "studio"}
    node._values["overwrite"] = 1
    module.render(node, lambda fraction: None)
    assert len(calls(tmp_path)) == 6


def test_apprentice_has_a_mask_and_a_largest_size(dataset, hou, monkeypatch):
    node, module, _ = dataset
    assert module.prepare(node).mask_rectangle is None
    monkeypatch.setitem(hou._own, "licenseCategory", lambda: "Apprentice")
    left, top, right, bottom = module.prepare(node).mask_rectangle
    assert 0 < left < right == 24 and 0 < top < bottom == 24
    node._values["resolution"] = 721
    with pytest.raises(hou.NodeError, match="1280 x 720"):
        rendered(node)


def ended(job):
    job.join()
    assert job.over
    return job


def test_karma_runs_in_the_background_as_in_the_foreground(dataset, tmp_path):
    from neuron_houdini.engine import jobs
    from neuron_houdini.nodes.rops import dataset as rop

    node, module, told = dataset
    rop.background(node)
    job = ended(jobs.of(node.sessionId()))
    assert job.error is None and job.fraction == 1.0
    assert "husk gbuffer" in job.log and len(calls(tmp_path)) == 3
    assert parse(find_task("karma"), told()[0][1:]).out == module._folder(node)


def test_a_rendering_in_the_background_is_stopped_and_goes_on(dataset, tmp_path):
    from neuron_houdini.engine import jobs
    from neuron_houdini.nodes import background
    from neuron_houdini.nodes.rops import dataset as rop

    node, module, told = dataset
    node._values["husk"] = waiting = husk_program(tmp_path, end=-1)
    Path(waiting).write_text(
        Path(waiting).read_text().replace("print(", "import time; time.sleep(9); print(")
    )
    rop.background(node)
    job = jobs.of(node.sessionId())
    wait_until(lambda: calls(tmp_path))
    with pytest.raises(module.hou.NodeError, match="still running"):
        rop.render_frame(node)
    background.cancel(node)
    assert ended(job).stopped and not told() and len(calls(tmp_path)) == 1
    node._values["husk"] = husk_program(tmp_path)
    rop.background(node)
    assert ended(jobs.of(node.sessionId())).error is None and told()


def test_without_an_engine_nothing_is_rendered(dataset, hou, tmp_path, monkeypatch):
    from neuron_houdini.engine import environment, jobs, process
    from neuron_houdini.nodes.rops import dataset as rop

    node, module, _ = dataset

    def missing() -> Path:
        raise process.EngineError("environment", "There is no engine.", environment.SET_UP)

    monkeypatch.setattr(environment, "find_python", missing)
    with pytest.raises(hou.NodeError, match="Set Up Engine"):
        rop.render_frame(node)
    rop.background(node)
    assert ended(jobs.of(node.sessionId())).error.kind == "environment" and not calls(tmp_path)


def test_karma_comes_first_and_the_engine_second(hou):
    from neuron_houdini.nodes.rops import dataset as rop

    assert rop.is_karma(node_of("dataset"))
    (parm,) = (parm for node in NODES for parm in node.parms() if parm.name == "renderer")
    assert [token for token, _ in parm.menu.items] == ["karma", "engine"]
    assert parm.menu.items[1][1] == "Use Engine Renderer"


def lop_stage(tmp_path, unit, up):
    """A stage of somebody's own: a box off the origin, with cameras of the shader ball LOP around it."""
    from neuron_houdini.nodes.lops import shaderball

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    UsdGeom.SetStageUpAxis(stage, up)
    cube = UsdGeom.Cube.Define(stage, "/World/box")
    cube.CreateSizeAttr(2.0 / unit)
    UsdGeom.Xformable(cube).AddTranslateOp().Set((3 / unit, 4 / unit, 5 / unit))
    small = {key: SMALL[key] for key in ("views", "val_views", "test_views", "resolution")}
    hda = node_of("shaderball", source="input", primpath="/World/box", folder=str(tmp_path / "l"), **small)
    inner = node_of("shaderball")
    inner._stage = stage
    shaderball.cook(inner, hda)
    return inner


@pytest.mark.parametrize(("unit", "up"), [(1.0, "Y"), (0.01, "Z")])
def test_cameras_come_from_the_stage_of_a_lop(dataset, tmp_path, unit, up):
    node, module, _ = dataset
    node._nodes["/stage/ball"] = lop = lop_stage(tmp_path, unit, up)
    node._values |= {"loppath": "/stage/ball", "prim": "/World/box"}
    request = module.prepare(node)
    assert {split: len(names) for split, names in request.splits.items()} == {"train": 3, "val": 1, "test": 1}
    for camera in request.cameras:  # the object stands at the origin of the dataset
        away = -camera.position
        assert camera.forward @ away / np.linalg.norm(away) > 1 - 1e-6
    path = f"{lookdev.CAMERAS}/{request.cameras[0].name}"
    seen = read_camera(lop._stage, path, 24, 24, Usd.TimeCode.Default())
    stage = Usd.Stage.Open(str(module._folder(node) / "karma" / "polished-gold.usda"))
    found = read_camera(stage, module.CAMERA, 24, 24, Usd.TimeCode(1))
    np.testing.assert_allclose(found.c2w, seen.c2w, atol=1e-5)
    geometry = load_geometry(request.geometry, ())
    assert geometry.digest() == request.geometry_digest
    place = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath("/World/box")))[3]
    np.testing.assert_allclose((request.dataset_from_stage @ place)[:3], 0.0, atol=1e-5)
    bound, _ = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/box")).ComputeBoundMaterial()
    assert bound.GetPath().name == "polished_gold"


def test_a_stage_without_training_cameras_is_a_node_error(dataset, hou):
    node, module, _ = dataset
    lop = node_of("asset")
    lop._stage = Usd.Stage.CreateInMemory()
    UsdGeom.Cube.Define(lop._stage, "/World/box")
    node._nodes["/stage/x"] = lop
    node._values |= {"loppath": "/stage/x", "prim": "/World/box"}
    with pytest.raises(hou.NodeError, match="begins with train"):
        rendered(node)
    node._values["loppath"] = "/stage/gone"
    with pytest.raises(hou.NodeError, match="no LOP node"):
        rendered(node)
