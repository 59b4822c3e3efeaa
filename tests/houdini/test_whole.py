"""From nothing to a drawn stage: node code drives the real engine in a process of its own."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from neuron_core.images.exr import read_exr
from neuron_core.library.publishing import Submission, publish
from neuron_core.usd import adding, changing, layers, new_shot
from neuron_core.usd.changing import Change
from neuron_core.usd.new_shot import NewShot
from tests.core.baked_samples import write_ball
from tests.houdini.published_hou import node_of
from tests.houdini.test_lookdev import box_file

LOOK = "polished_gold"

pytestmark = pytest.mark.slow


@pytest.fixture
def driven(hou, monkeypatch):
    """The drivers, with this Python as the engine's."""
    from neuron_houdini.engine import environment

    monkeypatch.setattr(environment, "find_python", lambda: Path(sys.executable))
    return lambda node: importlib.import_module(f"neuron_houdini.nodes.rops.{node._kind}").render_frame(node)


def pictures(folder):
    """All channels of the pictures of a folder, by name."""
    found = {path.name: read_exr(path) for path in sorted(folder.rglob("*.exr"))}
    return {f"{name} {key}": values for name, layers in found.items() for key, values in layers.items()}


def stage_of_nodes(asset, hou):
    """The stage of an asset LOP on a stage with a camera."""
    from neuron_houdini.nodes.lops import asset as lop

    inner = node_of("asset")
    hda = node_of("asset", file=str(asset), primpath="/World/ball", look=LOOK, t=(0.2, 0.0, 0.0))
    inner._stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(inner._stage, 1.0)
    UsdGeom.SetStageUpAxis(inner._stage, UsdGeom.Tokens.y)
    camera = UsdGeom.Camera.Define(inner._stage, "/World/camera")
    camera.CreateFocalLengthAttr(50.0)
    camera.CreateHorizontalApertureAttr(36.0)
    camera.CreateVerticalApertureAttr(24.0)
    changing.change(inner._stage, "/World/camera", Change(at=(0.0, 3.0, 7.0), aim=(0.0, 0.0, 0.0)))
    lop.cook(inner, hda)
    return inner


def stage_of_commands(asset, path):
    """The same with `neuron scene`."""
    new_shot.write_new(path, NewShot())
    with layers.editing(path) as stage:
        changing.change(stage, "/World/camera", Change(at=(0.0, 3.0, 7.0), aim=(0.0, 0.0, 0.0)))
        adding.add(stage, asset, "/World/ball")
        changing.change(stage, "/World/ball", Change(at=(0.2, 0.0, 0.0), look=LOOK))
    return path


def test_nodes_make_what_the_command_line_makes(driven, hou, tmp_path):
    folder = tmp_path / "mein Büro"
    folder.mkdir()
    dataset, run, asset = folder / "dataset", folder / "run", folder / "asset.neuron"
    small = {"views": 4, "val_views": 0, "test_views": 1, "resolution": 16, "spp": 4}
    box = str(box_file(tmp_path))
    driven(
        node_of(
            "dataset", out=str(dataset), renderer="engine", geometry=box, materials="polished-gold", **small
        )
    )
    assert (dataset / "dataset.json").is_file()
    training = {"dataset": str(dataset), "run": str(run), "asset": str(asset), "preset": "cpu-demo"}
    driven(node_of("train", steps=10, validate_every=0, resolution=24, **training))
    assert asset.is_file()
    compare_pictures(driven, hou, asset, folder)


def test_a_stage_of_nodes_is_drawn_as_that_of_commands(driven, hou, tmp_path):
    compare_pictures(driven, hou, write_ball(tmp_path / "größe.neuron"), tmp_path)


def test_the_engine_draws_the_field_of_a_published_asset_whatever_viewports_show(driven, hou, tmp_path):
    """The node lets viewports draw points of the wrong size and place; the engine does not care."""
    drawn = tmp_path / "drawn.usda"
    drawn.write_text(
        '#usda 1.0\n(defaultPrim = "a"\nmetersPerUnit = 1\nupAxis = "Y")\n'
        'def Sphere "a" {\n double radius = 5\n}\n'
    )
    source = write_ball(tmp_path / "ball.neuron")
    publish(Submission(source, tmp_path / "library", "ball", attached={"points": drawn}))
    compare_pictures(driven, hou, tmp_path / "library" / "ball" / "ball.usd", tmp_path)


def compare_pictures(driven, hou, asset, folder):
    """Draw the stage of nodes and that of `neuron scene` with the engine."""
    lop = stage_of_nodes(asset, hou)
    ours = node_of("render", source="lop", loppath="/stage/asset", out=str(folder / "a"), aov="depth")
    ours._values |= {"cameras": "/World/camera", "size": "48x32"}
    ours._nodes["/stage/asset"] = lop
    driven(ours)
    theirs = node_of("render", asset=str(stage_of_commands(asset, folder / "shot.usda")), aov="depth")
    theirs._values |= {"cameras": "/World/camera", "size": "48x32", "out": str(folder / "b")}
    driven(theirs)
    one, other = pictures(folder / "a"), pictures(folder / "b")
    assert set(one) == set(other) and one
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], atol=1e-5, err_msg=name)
    assert any(values.any() for values in one.values()), "something is seen"


def test_anchor_frames_of_a_stage_are_drawn_and_named(driven, hou, tmp_path):
    asset = write_ball(tmp_path / "ball.neuron")
    out = tmp_path / "mes images"
    node = node_of("render", what="anchors", source="lop", loppath="/stage/asset", out=str(out))
    node._values |= {"frames": "1, 3", "size": "24x16", "device": "cpu"}
    node._nodes["/stage/asset"] = stage_of_nodes(asset, hou)
    driven(node)
    assert node.evalParm("picture") == f"{out.as_posix()}/anchor_$F4.exr"
    assert all((out / f"anchor_{frame:04d}.exr").is_file() for frame in (1, 3))
    layers = read_exr(out / "anchor_0001.exr")
    assert any(values.any() for values in layers.values())
