"""The shelf: its file, its icons, and what each tool leaves in an empty scene."""

import ast
import importlib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from houdini_assets.nodes import NODES
from pxr import Sdf, Usd, UsdShade

from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import find_task
from neuron_core.rendering.anchors import anchor_frames
from neuron_core.usd.stage import SceneStage
from tests.core.scene_samples import write_ball
from tests.houdini import published_scene

PROJECT = Path(__file__).resolve().parents[2]
SHELF = ElementTree.parse(PROJECT / "toolbar" / "neuron.shelf").getroot()
MENU = ElementTree.parse(PROJECT / "MainMenuCommon.xml").getroot()
TYPES = {
    "shader_ball": "shaderball",
    "make_dataset": "dataset",
    "train": "train",
    "add_asset": "asset",
    "splats": "splats",
    "anchor_frames": "render",
}
MAKERS = [tool for tool, name in TYPES.items() if name in {node.name for node in NODES}]


@pytest.fixture
def scene(hou):
    """An empty scene in a Houdini with a window."""
    return published_scene.enter(hou)


@pytest.fixture
def shelf(scene):
    from neuron_houdini.shelf import tools

    return tools


def scripts():
    """Every Python text in the shelf and the menu."""
    return [
        item.text for root in (SHELF, MENU) for tag in ("script", "scriptCode") for item in root.iter(tag)
    ]


def test_every_tool_is_on_the_shelf_once_and_has_a_label_a_help_and_an_icon():
    tools = {tool.get("name"): tool for tool in SHELF.iter("tool")}
    assert [member.get("name") for member in SHELF.iter("memberTool")] == list(tools)
    labels = [tool.get("label") for tool in tools.values()]
    assert labels == [
        "Set Up Engine",
        "Shader Ball",
        "Make Dataset",
        "Train",
        "Add Neural Asset",
        "Splats",
        "Anchor Frames",
        "Neuron Panel",
    ]
    for tool in tools.values():
        assert tool.find("helpText").text and tool.find("script").get("scriptType") == "python"
        icon = PROJECT / tool.get("icon").removeprefix("$NEURON/")
        assert ElementTree.parse(icon).getroot().tag.endswith("svg")


def test_scripts_are_one_line_and_call_a_function_of_the_package(scene):
    assert len(scripts()) == len(list(SHELF.iter("tool"))) + len(list(MENU.iter("scriptItem")))
    for text in scripts():
        first, second = ast.parse(text).body
        assert first.module in ("neuron_houdini.shelf", "neuron_houdini.panel") and "\n" not in text
        module, call = first.names[0].name, second.value
        assert ast.unparse(call.func.value) == module and not call.args
        assert callable(getattr(importlib.import_module(f"{first.module}.{module}"), call.func.attr))


def leaves(scene, shelf, name, **answers):
    scene.answers[:] = list(answers.values())
    node = getattr(shelf, name)()
    assert scene.told == []
    return node


@pytest.mark.parametrize("name", MAKERS)
def test_a_tool_works_in_an_empty_scene_and_shows_what_it_made(scene, shelf, name, tmp_path):
    node = leaves(scene, shelf, name, file=str(tmp_path / "a file"))
    assert scene.selected == [node] and node._placed
    assert scene.node(node.path()) is node
    assert scene.tabs[0].made[-1] == node.parent().path()
    if node.path().startswith(("/stage", "/obj")):
        assert node.isDisplayFlagSet()
    assert scene.undone == [f"Neuron {name.replace('_', ' ')}"]


@pytest.mark.parametrize("name", MAKERS)
def test_a_tool_works_twice(scene, shelf, name):
    first, second = (leaves(scene, shelf, name, file="a") for _ in range(2))
    assert first is not second and first.path() != second.path()


@pytest.mark.parametrize("name", MAKERS)
def test_a_missing_node_type_is_a_sentence_and_leaves_nothing(scene, shelf, name):
    scene.missing.update(node.operator for node in NODES)
    scene.answers.append("never asked")
    assert getattr(shelf, name)() is None
    assert "does not know" in scene.told[0] and "package" in scene.told[0]
    assert not any(scene.roots[network].children() for network in ("obj", "stage", "out"))


@pytest.mark.parametrize("name", ["add_asset", "splats"])
def test_nothing_is_made_when_no_file_is_picked(scene, shelf, name):
    assert leaves(scene, shelf, name, file="") is None
    assert not any(scene.roots[network].children() for network in ("obj", "stage"))


def test_training_is_fed_by_the_selected_dataset(scene, shelf):
    first, second = (leaves(scene, shelf, "make_dataset") for _ in range(2))
    first.setParms({"out": "$HIP/first"})
    first.setCurrent(True, clear_all_selected=True)
    node = leaves(scene, shelf, "train")
    assert node.inputs() == (first,) and node.evalParm("dataset") == "$HIP/first"
    assert len(scene.roots["out"].children()) == 3


@pytest.mark.parametrize("program", ["husk", "husk.exe", None])
@pytest.mark.parametrize("tool", ["make_dataset", "train"])
def test_karma_renders_where_houdini_has_it_and_the_engine_where_not(scene, shelf, tool, program, tmp_path):
    scene.installed = str(tmp_path / "Houdini 21")
    if program is not None:
        (tmp_path / "Houdini 21" / "bin").mkdir(parents=True)
        (tmp_path / "Houdini 21" / "bin" / program).touch()
    leaves(scene, shelf, tool)
    node = scene.node("/out/dataset1")
    assert node.evalParm("renderer") == ("karma" if program else "engine")


def test_the_dataset_of_a_scene_with_a_shader_ball_is_rendered_from_it(scene, shelf):
    assert leaves(scene, shelf, "make_dataset").evalParm("loppath") == ""
    ball = leaves(scene, shelf, "shader_ball")
    ball.setParms({"materials": "car-paint", "resolution": 96, "views": 7})
    node = leaves(scene, shelf, "make_dataset")
    assert node.evalParm("loppath") == ball.path()
    assert [node.evalParm(name) for name in ("materials", "resolution", "views")] == ["car-paint", 96, 7]
    assert all(node.evalParm(name) == ball.evalParm(name) for name in shelf.SHARED)


def test_houdinis_own_ball_is_put_before_a_shader_ball_node(scene, shelf, tmp_path):
    """By the button of the node; what cooks then are cameras around it and a material on it."""
    node = leaves(scene, shelf, "shader_ball")
    node.setParms({"folder": str(tmp_path), "materials": "brushed-copper", "views": 3})
    node.parm("bring").pressButton()
    (importer,) = node.inputs()
    assert importer.type().name() == "sopimport" and node.isDisplayFlagSet()
    assert scene.node(importer.evalParm("soppath")).type().name() == "testgeometry_shaderball"
    ball = node.stage().GetPrimAtPath(node.evalParm("primpath"))
    assert ball.GetChildren() and UsdShade.MaterialBindingAPI(ball).ComputeBoundMaterial()[0]
    cameras = [prim for prim in node.stage().Traverse() if prim.GetTypeName() == "Camera"]
    assert len(cameras) == 3 + node.evalParm("val_views") + node.evalParm("test_views")
    dataset = leaves(scene, shelf, "make_dataset")
    assert dataset.evalParm("prim") == node.evalParm("primpath")


def test_houdinis_own_ball_stands_on_what_was_before(scene, shelf):
    first = shelf.place_asset("ball.neuron")
    node = leaves(scene, shelf, "shader_ball")
    shelf.bring_ball(node)
    assert node.inputs()[0].inputs() == (first,)


def test_training_in_an_empty_scene_makes_a_dataset_too(scene, shelf):
    node = leaves(scene, shelf, "train")
    (dataset,) = node.inputs()
    assert dataset.type().name() == "neuron::dataset::1.0"
    assert node.evalParm("dataset") == dataset.evalParm("out")


def test_assets_follow_each_other_at_places_of_their_own(scene, shelf):
    first = leaves(scene, shelf, "add_asset", file="/library/old oak")
    second = leaves(scene, shelf, "add_asset", file="/library/old oak")
    assert second.inputs() == (first,) and second.isDisplayFlagSet() and not first.isDisplayFlagSet()
    assert first.evalParm("primpath") != second.evalParm("primpath")
    assert first.evalParm("file") == "/library/old oak"


@pytest.mark.parametrize("file", ["größe 1.neuron", "2.neuron", "ball.neuron"])
def test_the_place_of_an_asset_is_one_that_usd_takes(scene, shelf, file):

    node = shelf.place_asset(f"/files/{file}")
    assert Sdf.Path.IsValidPathString(node.evalParm("primpath"))


def test_a_placed_asset_cooks_into_the_prim_that_it_names(hou, scene, shelf, tmp_path):
    from neuron_houdini.nodes.lops import asset

    write_ball(tmp_path / "ball.neuron")
    node = shelf.place_asset(str(tmp_path / "ball.neuron"))
    node._stage = Usd.Stage.CreateInMemory()
    asset.cook(node, node)
    assert node._stage.GetPrimAtPath(node.evalParm("primpath"))


def test_anchor_frames_draw_the_displayed_stage(scene, shelf):
    lop = shelf.place_asset("ball.neuron")
    node = leaves(scene, shelf, "anchor_frames")
    assert node.evalParm("loppath") == lop.path() and node.evalParm("source") == "lop"
    assert node.evalParm("frames") and len(scene.roots["stage"].children()) == 1


def test_anchor_frames_of_an_empty_scene_have_a_camera_before_the_asset(scene, shelf):
    node = leaves(scene, shelf, "anchor_frames")
    camera = scene.node(node.evalParm("loppath"))
    assert camera.type().name() == "camera" and camera.isDisplayFlagSet()
    assert [above.type().name() for above in camera.inputs()] == ["neuron::asset::1.0"]


def test_frames_of_anchors_are_ones_that_the_engine_takes(hou, scene, shelf, tmp_path):
    from neuron_houdini.nodes.rops import render as rop

    lop = shelf.place_asset("ball.neuron")
    lop._stage = Usd.Stage.CreateInMemory()
    node = leaves(scene, shelf, "anchor_frames")
    node.setParms({"out": str(tmp_path)})
    (words,) = rop.commands(node)
    config = parse(find_task(words[0]), words[1:])
    assert words[0] == "anchor" and anchor_frames(SceneStage(lop._stage, tmp_path), config.frames) == [
        1,
        24,
        48,
    ]


def test_the_panel_opens_once(scene):
    from neuron_houdini.panel import opening

    opening.open_panel()
    assert scene.tabs[-1].activeInterface().name() == opening.PANEL
    count = len(scene.tabs)
    opening.open_panel()
    assert len(scene.tabs) == count and scene.tabs[-1].made == ["current"]


def test_without_a_desktop_tools_make_nodes_and_windows_are_refused(hou):
    scene = published_scene.enter(hou, desktop=False)
    from neuron_houdini.panel import opening
    from neuron_houdini.shelf import tools

    assert all(getattr(tools, name)() is not None for name in MAKERS)
    assert scene.told == []
    for name in ("open_set_up", "open_panel"):
        with pytest.raises(hou.OperationFailed):
            getattr(opening, name)()
