"""Many assets from points: the prims of the command line, and laws of places."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from neuron_core.usd import SceneError, adding, assembly, changing
from neuron_core.usd.assembly import Placements
from neuron_core.usd.changing import Change
from neuron_core.usd.copies import parse_grid
from neuron_core.usd.stage import SceneStage
from tests.core.scene_samples import publish_ball, usd_matrix, write_ball
from tests.houdini.published_hou import node_of, sop_with


def host_stage(unit=1.0, up="Y"):
    """A stage as a host gives it: what is authored goes to a layer below the root."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    UsdGeom.SetStageUpAxis(stage, up)
    layer = Sdf.Layer.CreateAnonymous(".usda")
    stage.GetRootLayer().subLayerPaths.append(layer.identifier)
    stage.SetEditTarget(layer)
    return stage, layer


def cooked(points, stage=None, **values):
    from neuron_houdini.nodes.lops import assemble

    inner, hda = node_of("assemble"), node_of("assemble", primpath="/World/many", **values)
    if points is not None:
        hda._nodes["/obj/points"] = sop_with(**points)
        hda._values["soppath"] = "/obj/points"
    inner._stage, layer = stage or host_stage()
    assemble.cook(inner, hda)
    return inner._stage, layer, hda


def library(tmp_path):
    """Two published assets and a file, by path."""
    publish_ball(tmp_path, tmp_path / "library")
    publish_ball(tmp_path, tmp_path / "library", "cube", 2)
    write_ball(tmp_path / "plain.neuron")
    return [
        str(tmp_path / "library" / "ball"),
        str(tmp_path / "library" / "cube"),
        str(tmp_path / "plain.neuron"),
    ]


def by_grid(source, text, looks):
    """What `neuron scene add --grid` authors below /World/many."""
    stage, layer = host_stage()
    changes = parse_grid(text, 2.0).changes(Change(at=(0.0, 0.0, 0.0)), looks, "Y")
    paths = [f"/World/many/ball_{index}" for index in range(len(changes))]
    adding.add(stage, source, paths[0])
    for change in reversed(changes[: max(len(looks), 1)]):
        changing.change(stage, paths[0], change)
    adding.repeat(stage, paths[0], dict(zip(paths[1:], changes[1:], strict=True)))
    return layer, np.array([change.at for change in changes]), [change.look or "" for change in changes]


@pytest.mark.parametrize("looks", [(), ("gold",), ("gold", "rust")])
def test_points_in_a_grid_become_the_prims_of_the_grid_of_the_command_line(hou, tmp_path, looks):
    publish_ball(tmp_path, tmp_path / "library")
    source = tmp_path / "library" / "ball" / "ball.usd"
    expected, positions, named = by_grid(source, "3x3", looks)
    points = {"P": positions, "look": named} if looks else {"P": positions}
    _, layer, _ = cooked(points, file=str(source), representation="")
    for path in (f"/World/many/ball_{index}" for index in range(9)):
        one, other = layer.GetPrimAtPath(path), expected.GetPrimAtPath(path)
        assert one.GetAsText() == other.GetAsText()


def scattered(count, assets, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "P": rng.normal(size=(count, 3)),
        "orient": rng.normal(size=(count, 4)),
        "pscale": rng.uniform(0.5, 2.0, (count, 1)),
        "neuron_asset": [assets[index % len(assets)] for index in range(count)],
        "look": [("", "gold", "rust")[index // len(assets) % 3] for index in range(count)],
    }


@pytest.mark.parametrize(("unit", "up"), [(1.0, "Y"), (0.01, "Z")])
def test_references_and_instances_stand_in_the_same_places(hou, tmp_path, unit, up):
    points = scattered(40, library(tmp_path))
    first, _, _ = cooked(points, host_stage(unit, up))
    second, _, _ = cooked(points, host_stage(unit, up), method="instancer")
    one = {node.path.rpartition("_")[2]: node for node in SceneStage(first, Path("a")).snapshot().assets}
    two = {
        f"{int(node.path.rpartition('[')[2].rstrip(']')):02d}": node
        for node in SceneStage(second, Path("b")).snapshot().assets
    }
    assert set(one) == set(two) and len(one) == 40
    for number, node in one.items():
        other = two[number]
        assert (node.file, node.look) == (other.file, other.look)
        np.testing.assert_allclose(node.world_from_asset, other.world_from_asset, atol=2e-3)


def test_a_point_turns_and_scales_its_asset(hou, tmp_path):
    points = scattered(12, library(tmp_path)[:1])
    stage, _, _ = cooked(points)
    for index in range(12):
        x, y, z, w = np.float32(points["orient"][index]).astype(float)
        rotation = np.array(Gf.Matrix3d(Gf.Rotation(Gf.Quatd(w, x, y, z).GetNormalized()))).T
        matrix = usd_matrix(stage, f"/World/many/ball_{index:02d}", Usd.TimeCode.Default())
        np.testing.assert_allclose(matrix[:3, :3], rotation * points["pscale"][index], atol=1e-5)
        np.testing.assert_allclose(matrix[:3, 3], points["P"][index], atol=1e-6)


@pytest.mark.parametrize("angle", [90.0, -90.0])
def test_angles_of_a_quarter_turn_about_y_say_the_same_turn(angle):
    half = np.radians(angle) / 2
    spun = Gf.Quatd(np.cos(half), 0, np.sin(half), 0) * Gf.Quatd(0.8, 0.6, 0, 0)
    quaternion = np.array([[*spun.GetImaginary(), spun.GetReal()]])
    rx, ry, rz = assembly.euler_degrees(quaternion)[0]
    matrix = Gf.Matrix4d(1)
    for axis, turn in ((Gf.Vec3d.XAxis(), rx), (Gf.Vec3d.YAxis(), ry), (Gf.Vec3d.ZAxis(), rz)):
        matrix *= Gf.Matrix4d().SetRotate(Gf.Rotation(axis, turn))
    expected = Gf.Matrix4d().SetRotate(Gf.Rotation(spun))
    np.testing.assert_allclose(np.array(matrix), np.array(expected), atol=1e-6)


def test_a_quaternion_of_length_0_turns_nothing():
    np.testing.assert_array_equal(assembly.euler_degrees(np.zeros((2, 4))), np.zeros((2, 3)))


def test_no_file_is_opened_once_a_point(hou, tmp_path, monkeypatch):
    assets = library(tmp_path)
    opened = Counter()
    real = adding.read_stage
    monkeypatch.setattr(adding, "read_stage", lambda path: opened.update([str(path)]) or real(path))
    stage, _, _ = cooked(scattered(1000, assets))
    assert len(stage.GetPrimAtPath("/World/many").GetChildren()) == 1000
    assert set(opened.values()) == {1} and len(opened) == 2  # a .neuron file is not a stage


def test_the_layer_is_composed_again_a_few_times_only(hou, tmp_path):
    from pxr import Tf

    stage, layer = host_stage()
    notices = []
    key = Tf.Notice.Register(Usd.Notice.ObjectsChanged, lambda notice, _: notices.append(notice), stage)
    cooked(scattered(500, library(tmp_path)), (stage, layer))
    key.Revoke()
    assert len(notices) < 150


def test_points_that_name_nothing_take_what_the_node_says(hou, tmp_path):
    assets = library(tmp_path)
    points = {"P": np.zeros((2, 3)), "neuron_asset": ["", assets[1]], "look": ["rust", ""]}
    stage, _, _ = cooked(points, file=assets[0], look="gold")
    looks = [node.look for node in SceneStage(stage, Path("a")).snapshot().assets]
    assert looks == ["rust", "gold"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"P": [[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]]}, "position of point 1"),
        ({"neuron_asset": ["{ball}", ""]}, "Point 1 names no asset"),
        ({"look": ["gold", "silver"]}, "silver"),
        ({"neuron_asset": ["{ball}", "nowhere.neuron"]}, "nowhere"),
        ({"orient": [[0.0], [1.0]]}, "orient"),
    ],
)
def test_points_that_cannot_be_placed_are_node_errors(hou, tmp_path, change, message):
    ball = library(tmp_path)[0]
    points = {"P": np.zeros((2, 3)), "neuron_asset": [ball, ball], **change}
    points["neuron_asset"] = [text.format(ball=ball) for text in points["neuron_asset"]]
    for method in ("reference", "instancer"):
        with pytest.raises(hou.NodeError, match=message):
            cooked(points, method=method)


def test_no_points_author_nothing_and_say_so(hou):
    stage, _, hda = cooked(None)
    assert "No points" in hda.made["warnings"][0]
    assert not stage.GetPrimAtPath("/World")


def test_a_sop_that_is_not_there_is_a_node_error(hou):
    with pytest.raises(hou.NodeError, match="no SOP"):
        cooked(None, soppath="/obj/gone")


def test_too_many_points_are_refused():
    with pytest.raises(SceneError, match="too many"):
        Placements((), (), np.zeros((adding.MOST_COPIES + 1, 3)))
