"""Node code against the published `hou`, on real stages and on arrays."""

import importlib
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import find_task
from neuron_core.library.publishing import Submission, publish
from neuron_core.splats import harmonics
from neuron_core.splats.cloud import rotation_matrices
from neuron_core.usd import adding, changing
from tests.core.scene_samples import publish_ball, write_ball
from tests.houdini.published_hou import node_of

DRIVERS = ("dataset", "train", "render", "publish")


def commands_of(node):
    """What a driver tells the engine, command by command."""
    module = importlib.import_module(f"neuron_houdini.nodes.rops.{node._kind}")
    return module.commands(node)


@pytest.mark.parametrize("task", DRIVERS)
def test_the_engine_takes_what_a_new_node_asks_for(hou, task):
    for words in commands_of(node_of(task)):
        found = find_task(words[0])
        assert found is not None
        parse(found, words[1:])


def test_a_new_dataset_node_asks_for_the_dataset_of_the_command_line(hou):
    (words,) = commands_of(node_of("dataset", out="here"))
    task = find_task("dataset")
    assert parse(task, words[1:]) == parse(task, ["here"])


def test_parameters_of_training_arrive(hou):
    node = node_of("train", run="a run", steps=7, seed=3, prompt="gold, worn; red paint ;", overwrite=1)
    first, second = (parse(find_task(words[0]), words[1:]) for words in commands_of(node))
    assert (first.steps, first.seed, first.overwrite, str(first.out)) == (7, 3, True, "a run")
    assert second.prompt == ("gold, worn", "red paint")
    assert {"dataset", "preset"} <= {field.name for field in fields(first)}


def test_a_missing_file_becomes_a_node_error_with_its_hint(hou, monkeypatch, tmp_path):
    from neuron_houdini.engine import environment
    from neuron_houdini.nodes.rops import publish as rop

    monkeypatch.setattr(environment, "find_python", lambda: Path(sys.executable))
    node = node_of("publish", asset=str(tmp_path / "nö such.neuron"), library=str(tmp_path / "library"))
    node._values |= {"splats": 0, "points": 0}
    with pytest.raises(hou.NodeError, match="nö such.neuron"):
        rop.render_frame(node)


def cooked(hou, **values):
    """The stage that the asset LOP authors into an empty one."""
    from neuron_houdini.nodes.lops import asset

    plain = {"primpath": "/World/ball", "instance": 1}
    inner, hda = node_of("asset"), node_of("asset", **{**plain, **values})
    inner._stage = Usd.Stage.CreateInMemory()
    asset.cook(inner, hda)
    return inner._stage, hda


def by_hand(source, change, instance=True):
    """The stage that `neuron scene add` and `set` author."""
    stage = Usd.Stage.CreateInMemory()
    adding.add(stage, source, "/World/ball", instance)
    changing.change(stage, "/World/ball", change)
    return stage


def test_a_file_becomes_the_prims_of_the_command_line(hou, tmp_path):
    file = tmp_path / "größe ball.neuron"
    write_ball(file)
    stage, _ = cooked(hou, file=str(file), t=(1.0, 2.0, 3.0))
    expected = by_hand(file, changing.Change(at=(1.0, 2.0, 3.0)))
    assert stage.GetRootLayer().ExportToString() == expected.GetRootLayer().ExportToString()


@pytest.mark.parametrize(("version", "representation"), [((21, 0, 631), "mesh"), ((22, 0, 368), "mesh")])
def test_a_published_asset_becomes_the_prims_of_the_command_line(
    hou, tmp_path, monkeypatch, version, representation
):
    monkeypatch.setitem(hou._own, "applicationVersion", lambda: version)
    publish_ball(tmp_path, tmp_path / "library")
    source = tmp_path / "library" / "ball"
    stage, hda = cooked(hou, file=str(source), r=(0.0, 90.0, 0.0))
    expected = by_hand(
        source / "ball.usd", changing.Change(rotate=(0.0, 90.0, 0.0), representation=representation)
    )
    assert stage.GetRootLayer().ExportToString() == expected.GetRootLayer().ExportToString()
    assert stage.GetPrimAtPath("/World/ball").IsInstance()
    assert representation in hda.made["messages"][0]


def shown_asset(tmp_path, *representations):
    """A published asset that has these representations beside the mesh, the box and the proxy."""
    path = tmp_path / "drawn.usda"
    path.write_text('#usda 1.0\n(defaultPrim = "a"\nmetersPerUnit = 1\nupAxis = "Y")\ndef Sphere "a" {}\n')
    write_ball(tmp_path / "ball.neuron")
    attached = dict.fromkeys(representations, path)
    publish(Submission(tmp_path / "ball.neuron", tmp_path / "library", "ball", attached=attached))
    return tmp_path / "library" / "ball"


@pytest.mark.parametrize(
    ("version", "offered", "shown"),
    [
        ((22, 0, 368), ("splat", "points"), "splat"),
        ((22, 0, 368), ("points",), "points"),
        ((21, 0, 631), ("splat", "points", "volume"), "points"),
        ((20, 5, 278), ("splat", "volume"), "volume"),
        ((21, 0, 631), ("splat",), "mesh"),
    ],
)
def test_houdini_22_shows_splats_and_older_ones_what_they_draw(
    hou, tmp_path, monkeypatch, version, offered, shown
):
    monkeypatch.setitem(hou._own, "applicationVersion", lambda: version)
    stage, hda = cooked(hou, file=str(shown_asset(tmp_path, *offered)))
    prim = stage.GetPrimAtPath("/World/ball")
    assert prim.GetVariantSets().GetVariantSelection("representation") == shown
    assert f"representation {shown}; the engine draws the field" in hda.made["messages"][0]


def purposes(stage):
    """What viewports draw a primitive for, by its place below the asset."""
    found = {}
    for prim in Usd.PrimRange(stage.GetPrimAtPath("/World/ball")):
        if prim.IsA(UsdGeom.Gprim):
            found[str(prim.GetPath())] = UsdGeom.Imageable(prim).ComputePurpose()
    return found


def test_a_new_node_lets_viewports_draw_what_renders(hou, tmp_path):
    source = str(shown_asset(tmp_path, "points"))
    stage, hda = cooked(hou, file=source, **node_values("asset", "instance", "viewport"))
    seen = purposes(stage)
    assert seen["/World/ball/geo/render/points"] == "default" and len(seen) > 1
    assert {purpose for path, purpose in seen.items() if "proxy" in path} == {"guide"}
    assert "gray" not in hda.made["messages"][0]
    plain, hda = cooked(hou, file=source, instance=0, viewport=0)
    seen = purposes(plain)
    assert seen["/World/ball/geo/render/points"] == "render" and "gray" in hda.made["messages"][0]
    layer = stage.GetRootLayer()
    for part in ("render", "proxy"):
        del layer.GetPrimAtPath("/World/ball/geo").nameChildren[part]
    del layer.GetPrimAtPath("/World/ball").nameChildren["geo"]
    assert layer.ExportToString() == plain.GetRootLayer().ExportToString(), "and nothing else"


def node_values(name, *parms):
    """Defaults of parameters."""
    node = node_of(name)
    return {parm: node.evalParm(parm) for parm in parms}


def test_what_is_asked_for_is_shown_in_any_version(hou, tmp_path):
    stage, _ = cooked(hou, file=str(shown_asset(tmp_path, "splat")), representation="splat")
    variants = stage.GetPrimAtPath("/World/ball").GetVariantSets()
    assert variants.GetVariantSelection("representation") == "splat"


@pytest.mark.parametrize(("splats", "points"), [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_publishing_makes_what_houdini_draws_and_attaches_it(hou, tmp_path, splats, points):
    folder = tmp_path / "für Houdini"
    node = node_of("publish", asset="a b.neuron", folder=str(folder), splats=splats, points=points, steps=7)
    *exports, last = commands_of(node)
    made = [parse(find_task("export"), words[1:]) for words in exports]
    assert [config.form for config in made] == ["splats"] * splats + ["points"] * points
    assert all(config.overwrite and config.source == Path("a b.neuron") for config in made)
    assert [config.steps for config in made if config.form == "splats"] == [7] * splats
    names = {"splats": "splat", "points": "points"}
    expected = tuple(f"{names[config.form]}={config.out}" for config in made)
    assert parse(find_task("publish"), last[1:]).attach == expected


def test_a_pose_and_a_purpose_are_those_of_the_command_line(hou, tmp_path):
    publish_ball(tmp_path, tmp_path / "library")
    source = tmp_path / "library" / "ball"
    stage, _ = cooked(hou, file=str(source), pose="0.5, -1 2e-1", purpose="render", representation="mesh")
    change = changing.Change(pose=(0.5, -1.0, 0.2), purpose="render", representation="mesh")
    expected = by_hand(source / "ball.usd", change)
    assert stage.GetRootLayer().ExportToString() == expected.GetRootLayer().ExportToString()
    prim = stage.GetPrimAtPath("/World/ball")
    np.testing.assert_allclose(prim.GetAttribute("neuron:pose").Get(), (0.5, -1.0, 0.2), rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"pose": "a b"}, "holds no number"), ({"pose": "nan"}, "finite"), ({"purpose": "x"}, "x")],
)
def test_a_pose_or_purpose_that_cannot_be_is_a_node_error(hou, tmp_path, values, message):
    write_ball(tmp_path / "ball.neuron")
    with pytest.raises(hou.NodeError, match=message):
        cooked(hou, file=str(tmp_path / "ball.neuron"), **values)


def test_looks_of_the_menu_are_those_of_the_file(hou, tmp_path):
    from neuron_houdini.nodes import asset_file

    manifest = write_ball(tmp_path / "ball.neuron")
    node = node_of("asset", file=str(tmp_path / "ball.neuron"))
    expected = [text for look in manifest.looks for text in (look.slug, look.prompt)]
    assert asset_file.look_menu(node) == expected
    assert asset_file.look_menu(node_of("asset")) == []
    assert asset_file.look_menu(node_of("asset", file=str(tmp_path / "none.neuron"))) == []


def test_an_asset_without_a_file_says_so_and_authors_nothing(hou):
    stage, hda = cooked(hou)
    assert "pick" in hda.made["warnings"][0]
    assert not stage.GetPrimAtPath("/World")


def test_a_wrong_look_is_a_node_error(hou, tmp_path):
    write_ball(tmp_path / "ball.neuron")
    with pytest.raises(hou.NodeError, match="no such look"):
        cooked(hou, file=str(tmp_path / "ball.neuron"), look="no such look")


# --- splats ---

NAMES = "x y z f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split()


def write_ply(path, rows, names):
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    head += [f"property float {name}" for name in names] + ["end_header", ""]
    path.write_bytes("\n".join(head).encode() + np.asarray(rows, "<f4").tobytes())


def splat_rows(count=5, names=NAMES):
    return np.random.default_rng(0).normal(size=(count, len(names))).astype(np.float32)


def loaded(hou, path, **values):
    from neuron_houdini.nodes.sops import splats

    node = node_of("splats", file=str(path), **values)
    splats.cook(node)
    return node.geometry().made


def test_splats_carry_the_native_attributes(hou, tmp_path):
    rows = splat_rows()
    write_ply(tmp_path / "a.ply", rows, NAMES)
    points = loaded(hou, tmp_path / "a.ply")
    column = {name: rows[:, index] for index, name in enumerate(NAMES)}
    assert set(points) == {"P", "Cd", "scale", "orient", "GS_Alpha"}
    np.testing.assert_allclose(points["P"], rows[:, :3])
    np.testing.assert_allclose(np.log(points["scale"][:, 1]), column["scale_1"], atol=1e-5)
    odds = points["GS_Alpha"][:, 0] / (1 - points["GS_Alpha"][:, 0])
    np.testing.assert_allclose(np.log(odds), column["opacity"], atol=1e-4)
    np.testing.assert_allclose((points["Cd"] - 0.5) / 0.28209479, rows[:, 3:6], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(points["orient"], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(
        points["orient"][:, 3] / points["orient"][:, 0], column["rot_0"] / column["rot_1"], rtol=1e-4
    )


def test_the_order_of_properties_does_not_matter(hou, tmp_path):
    rows = splat_rows()
    order = np.random.default_rng(1).permutation(len(NAMES))
    write_ply(tmp_path / "a.ply", rows, NAMES)
    write_ply(tmp_path / "b.ply", rows[:, order], [NAMES[index] for index in order])
    first, second = loaded(hou, tmp_path / "a.ply"), loaded(hou, tmp_path / "b.ply")
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("rest", [9, 24, 45])
def test_harmonics_go_from_channels_to_coefficients(hou, tmp_path, rest):
    names = [*NAMES, *(f"f_rest_{index}" for index in range(rest))]
    rows = splat_rows(names=names)
    write_ply(tmp_path / "a.ply", rows, names)
    points = loaded(hou, tmp_path / "a.ply")
    per_channel = rest // 3
    np.testing.assert_array_equal(points["GS_SPH_R"][:, 0], rows[:, 3])
    np.testing.assert_array_equal(points["GS_SPH_G"][:, 1], rows[:, len(NAMES) + per_channel])
    np.testing.assert_array_equal(points["GS_SPH_B"][:, per_channel], rows[:, -1])
    assert not points["GS_SPH_B"][:, per_channel + 1 :].any()


def covariances(points):
    """Of the ellipsoids that points stand for, [N, 3, 3]."""
    axes = rotation_matrices(points["orient"][:, [3, 0, 1, 2]]) * points["scale"][:, None, :]
    return axes @ axes.transpose(0, 2, 1)


def seen_from(points, directions):
    """The colors [N, D, 3] of points in some directions [D, 3]."""
    coefficients = np.stack([points[f"GS_SPH_{letter}"] for letter in "RGB"], axis=-1)
    return harmonics.colors(coefficients, directions)


def test_a_file_with_y_down_is_turned_half_way_about_x(hou, tmp_path):
    names = [*NAMES, *(f"f_rest_{index}" for index in range(45))]
    write_ply(tmp_path / "a.ply", splat_rows(names=names), names)
    plain, turned = (loaded(hou, tmp_path / "a.ply", rdf=int(y_down)) for y_down in (False, True))
    turn = np.diag([1.0, -1.0, -1.0])
    np.testing.assert_array_equal(turned["P"], np.float32(plain["P"] @ turn))
    np.testing.assert_allclose(covariances(turned), turn @ covariances(plain) @ turn, rtol=1e-4, atol=1e-5)
    directions = np.random.default_rng(2).normal(size=(9, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(
        seen_from(turned, directions @ turn), seen_from(plain, directions), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("damage", ["text", "short", "missing", "ascii"])
def test_files_that_hold_no_splats_are_node_errors(hou, tmp_path, damage):
    path = tmp_path / "a.ply"
    write_ply(path, splat_rows(), NAMES)
    content = path.read_bytes()
    path.write_bytes(
        {
            "text": b"hello",
            "short": content[:-1],
            "missing": content.replace(b"opacity", b"opaciti"),
            "ascii": content.replace(b"binary_little_endian", b"ascii"),
        }[damage]
    )
    with pytest.raises(hou.NodeError, match="a.ply"):
        loaded(hou, path)
