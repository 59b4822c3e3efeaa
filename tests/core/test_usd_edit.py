"""Authoring shots: units and axes, keys, looks, versions, cameras; and the stage as one layer."""

from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom

from neuron_core.foundation.errors import NeuronError
from neuron_core.usd import SceneError, engine_from_stage, read_stage, schema
from neuron_core.usd.adding import add, free_path, prim_name, repeat
from neuron_core.usd.changing import Change, change
from neuron_core.usd.flatten import flatten
from neuron_core.usd.layers import editing
from neuron_core.usd.new_shot import CAMERA, NewShot, write_new
from neuron_core.usd.published import locate
from neuron_core.usd.validate import validate
from tests.core.scene_samples import asset_prim, matrix_op, publish_ball, write_plain, write_stage

FRAMES = [(1.0, "Y"), (0.01, "Y"), (1.0, "Z"), (0.01, "Z")]


@pytest.fixture
def shot(tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    write_new(tmp_path / "shot.usda", NewShot(frames=(1, 24)))
    with editing(tmp_path / "shot.usda") as stage:
        add(stage, locate(tmp_path / "lib/ball"), "/World/ball")
    return tmp_path / "shot.usda"


def node(path: Path, name: str = "/World/ball", time: float | None = None):
    return {one.path: one for one in read_stage(path).snapshot(time).assets}[name]


def set_on(path: Path, wanted: Change, name: str = "/World/ball") -> None:
    with editing(path) as stage:
        change(stage, name, wanted)


def test_a_shot_is_valid(shot):
    scene = read_stage(shot)
    assert not validate(scene)
    assert (scene.time_range(), scene.cameras()) == ((1.0, 24.0), (CAMERA,))


@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_assets_keep_their_size_and_stand_upright_in_every_stage(unit, up, tmp_path):
    """In meters with Y up, an asset that was not moved is where it is by itself."""
    publish_ball(tmp_path, tmp_path / "lib")
    write_new(tmp_path / "s.usda", NewShot(meters_per_unit=unit, up_axis=up))
    with editing(tmp_path / "s.usda") as stage:
        add(stage, locate(tmp_path / "lib/ball"), "/World/ball")
    np.testing.assert_allclose(node(tmp_path / "s.usda").world_from_asset, np.eye(4), atol=1e-9)


@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_layers_of_other_units_are_converted_too(unit, up, tmp_path):
    write_plain(tmp_path / "plain.neuron")
    write_stage(tmp_path / "set.usda", f'def Xform "World"\n{{\n{asset_prim("a")}\n}}\n', 0.1, "Z")
    write_new(tmp_path / "s.usda", NewShot(meters_per_unit=unit, up_axis=up))
    with editing(tmp_path / "s.usda") as stage:
        add(stage, tmp_path / "set.usda", "/World/set")
    expected = engine_from_stage(0.1, "Z")
    np.testing.assert_allclose(
        node(tmp_path / "s.usda", "/World/set/a").world_from_asset, expected, atol=1e-9
    )


@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_places_are_in_the_units_and_axes_of_the_stage(unit, up, tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    write_new(tmp_path / "s.usda", NewShot(meters_per_unit=unit, up_axis=up))
    with editing(tmp_path / "s.usda") as stage:
        add(stage, locate(tmp_path / "lib/ball"), "/World/ball")
        change(stage, "/World/ball", Change(at=(1.0, 2.0, 3.0), scale=(2.0, 2.0, 2.0)))
    matrix = node(tmp_path / "s.usda").world_from_asset
    np.testing.assert_allclose(matrix[:3, 3], (engine_from_stage(unit, up) @ [1, 2, 3, 1])[:3], atol=1e-9)
    np.testing.assert_allclose(matrix[:3, :3], 2 * np.eye(3), atol=1e-9)


def test_keys_are_interpolated_and_a_value_without_a_frame_replaces_them(shot):
    set_on(shot, Change(at=(0.0, 0.0, 0.0), frame=1.0))
    set_on(shot, Change(at=(2.0, 0.0, 0.0), frame=21.0))
    assert [node(shot, time=time).world_from_asset[0, 3] for time in (1.0, 11.0, 21.0, 30.0)] == [0, 1, 2, 2]
    set_on(shot, Change(at=(7.0, 0.0, 0.0)))
    assert [node(shot, time=time).world_from_asset[0, 3] for time in (None, 1.0, 21.0)] == [7, 7, 7]


def test_operations_stand_in_their_order_whatever_is_set_first(shot):
    set_on(shot, Change(scale=(1.0, 2.0, 3.0)))
    set_on(shot, Change(rotate=(0.0, 90.0, 0.0)))
    set_on(shot, Change(at=(5.0, 0.0, 0.0)))
    expected = np.array([[0, 0, 3, 5], [0, 2, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_allclose(node(shot).world_from_asset, expected, atol=1e-9)


def test_looks_prompts_and_visibility_are_set_and_taken_back(shot):
    set_on(shot, Change(look="rust"))
    assert node(shot).look == "rust"
    set_on(shot, Change(prompt="blue clay"))
    assert node(shot).prompt == "blue clay"
    set_on(shot, Change(prompt=""))
    assert (node(shot).look, node(shot).prompt) == ("rust", "")
    set_on(shot, Change(visible=False))
    assert not read_stage(shot).snapshot().assets
    set_on(shot, Change(visible=True))
    assert read_stage(shot).snapshot().assets


def test_picking_a_look_wins_over_one_that_was_authored_directly(shot):
    with editing(shot) as stage:
        schema.set_value(stage.GetPrimAtPath("/World/ball"), schema.LOOK, "gold")
    set_on(shot, Change(look="rust"))
    assert node(shot).look == "rust"


def test_a_prim_is_pinned_and_follows_again(shot, tmp_path):
    first = node(shot).digest
    second = publish_ball(tmp_path, tmp_path / "lib", version=2).digest
    assert node(shot).digest == second
    set_on(shot, Change(version="v001"))
    assert node(shot).digest == first
    set_on(shot, Change(version="latest"))
    assert node(shot).digest == second


def test_a_file_that_was_not_published_can_be_drawn(shot, tmp_path):
    write_plain(tmp_path / "plain.neuron")
    with editing(shot) as stage:
        add(stage, tmp_path / "plain.neuron", "/World/props/plain")
        change(stage, "/World/props/plain", Change(look="cafe", at=(1.0, 0.0, 0.0)))
    drawn = node(shot, "/World/props/plain")
    assert (drawn.look, drawn.file) == ("cafe", tmp_path / "plain.neuron")
    assert "@./plain.neuron@" in shot.read_text()


@pytest.mark.parametrize("published", [True, False])
def test_copies_differ_in_place_and_look_alone(published, shot, tmp_path):
    write_plain(tmp_path / "plain.neuron")
    source = locate(tmp_path / "lib/ball") if published else tmp_path / "plain.neuron"
    looks = ["gold", "rust"] if published else ["copper_worn", "cafe"]
    with editing(shot) as stage:
        add(stage, source, "/World/g/a")
        change(stage, "/World/g/a", Change(at=(0.0, 0.0, 0.0), scale=(2.0, 2.0, 2.0), look=looks[0]))
        copies = {f"/World/g/b{n}": Change(at=(float(n), 0.0, 0.0), look=looks[n % 2]) for n in range(4)}
        repeat(stage, "/World/g/a", copies)
    for number in range(4):
        copy = node(shot, f"/World/g/b{number}")
        assert copy.look == looks[number % 2]
        np.testing.assert_allclose(
            copy.world_from_asset, [[2, 0, 0, number], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]
        )


@pytest.mark.parametrize(("unit", "up"), FRAMES)
@pytest.mark.parametrize("target", [(0.0, 0.0, 0.0), (3.0, 4.0, 9.0), (5.0, -2.0, 1.0)])
def test_an_aimed_camera_sees_its_target_in_the_middle(target, unit, up, tmp_path):
    write_new(tmp_path / "s.usda", NewShot(meters_per_unit=unit, up_axis=up))
    with editing(tmp_path / "s.usda") as stage:
        change(stage, "/World", Change(rotate=(30.0, 20.0, 10.0), at=(1.0, 1.0, 1.0)))
        change(stage, CAMERA, Change(at=(5.0, 6.0, 7.0), aim=target, focal=35.0))
    scene = read_stage(tmp_path / "s.usda")
    camera = scene.camera(CAMERA, 360, 240)
    towards = (engine_from_stage(unit, up) @ [*target, 1])[:3] - camera.position
    np.testing.assert_allclose(camera.forward, towards / np.linalg.norm(towards), atol=1e-6)
    assert camera.fl_x == pytest.approx(350.0)
    assert abs(camera.c2w[1, 0]) < 1e-6  # upright: its x axis is level


def test_a_new_camera_looks_at_the_origin(shot):
    camera = read_stage(shot).camera(CAMERA, 8, 8)
    np.testing.assert_allclose(camera.position, [0, 1, 3], atol=1e-9)
    np.testing.assert_allclose(camera.forward, -camera.position / np.linalg.norm(camera.position), atol=1e-9)


WRONG = {
    "a prim that is not there": ("/World/nope", Change(at=(0.0, 0.0, 0.0)), "no prim /World/nope"),
    "an invalid path": ("not a path", Change(at=(0.0, 0.0, 0.0)), "no prim"),
    "a look that is not there": ("/World/ball", Change(look="chrome"), "no look 'chrome'"),
    "a representation that is not there": ("/World/ball", Change(representation="voxels"), "voxels"),
    "a version that is not there": ("/World/ball", Change(version="v099"), "v099"),
    "a look on a camera": (CAMERA, Change(look="gold"), "not a neural asset"),
    "a version of a camera": (CAMERA, Change(version="v001"), "does not reference"),
    "aiming an asset": ("/World/ball", Change(aim=(0.0, 0.0, 0.0)), "not a camera"),
    "a focal length of an asset": ("/World/ball", Change(focal=50.0), "not a camera"),
    "a focal length of nothing": (CAMERA, Change(focal=-1.0), "-1"),
    "a place that is not finite": ("/World/ball", Change(at=(float("nan"), 0.0, 0.0)), "translate"),
    "aiming and turning": (CAMERA, Change(aim=(0.0, 0.0, 0.0), rotate=(0.0, 0.0, 0.0)), "either"),
    "inside an instance": ("/World/ball/geo", Change(visible=False), "inside an instance"),
    "aiming at where it stands": (
        CAMERA,
        Change(at=(1.0, 1.0, 1.0), aim=(1.0, 1.0, 1.0)),
        "its own position",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_set_is_named_and_the_file_stays_as_it_was(name, shot):
    prim, wanted, said = WRONG[name]
    before = shot.read_bytes()
    with pytest.raises(NeuronError, match=said):
        set_on(shot, wanted, prim)
    assert shot.read_bytes() == before
    assert len(read_stage(shot).snapshot().assets) == 1


def test_transforms_of_other_programs_are_left_alone(shot):
    with editing(shot) as stage:
        prim = UsdGeom.Xform.Define(stage, "/World/other")
        prim.AddTransformOp().Set(UsdGeom.XformCache().GetLocalToWorldTransform(prim.GetPrim()))
    with pytest.raises(SceneError, match="xformOp:transform"):
        set_on(shot, Change(at=(0.0, 0.0, 0.0)), "/World/other")


@pytest.mark.parametrize("path", ["/World/ball", "relative", "/World/bad name", "/World.attr"])
def test_assets_are_only_added_where_there_is_room(path, shot, tmp_path):
    before = shot.read_bytes()
    with pytest.raises(SceneError), editing(shot) as stage:
        add(stage, locate(tmp_path / "lib/ball"), path)
    assert shot.read_bytes() == before


def test_names_become_those_of_prims_and_free_ones_are_found(shot):
    assert [prim_name(text) for text in ("oak", "My oak #3", "3d", "??")] == [
        "oak",
        "My_oak_3",
        "_3d",
        "asset",
    ]
    stage = read_stage(shot).stage
    assert free_path(stage, "/World", "ball") == "/World/ball_2"
    assert free_path(stage, "/World", "oak") == "/World/oak"


@pytest.mark.parametrize(
    "wanted", [NewShot(meters_per_unit=0.0), NewShot(fps=-1.0), NewShot(meters_per_unit=float("nan"))]
)
def test_a_shot_needs_units(wanted, tmp_path):
    with pytest.raises(SceneError):
        write_new(tmp_path / "s.usda", wanted)
    assert not (tmp_path / "s.usda").exists()


@pytest.mark.parametrize("suffix", [".usda", ".usd", ".usdc"])
def test_the_format_of_a_file_stays(suffix, tmp_path):
    write_plain(tmp_path / "plain.neuron")
    path = tmp_path / f"s{suffix}"
    write_new(path, NewShot())
    start = path.read_bytes()[:8]
    with editing(path) as stage:
        add(stage, tmp_path / "plain.neuron", "/World/a")
    assert path.read_bytes()[:8] == start
    assert (start == b"PXR-USDC") == (suffix == ".usdc")
    assert len(read_stage(path).snapshot().assets) == 1


# --- flattening ---


def test_a_flat_stage_draws_the_same(shot, tmp_path):
    set_on(shot, Change(look="rust", at=(1.0, 0.0, 0.0), frame=1.0))
    set_on(shot, Change(at=(5.0, 0.0, 0.0), frame=9.0))
    with editing(shot) as stage:
        add(stage, locate(tmp_path / "lib/ball"), "/World/second")
        change(stage, "/World/second", Change(rotate=(10.0, 20.0, 30.0)))
        UsdGeom.Xform.Define(stage, "/World/x").AddTransformOp()
    (tmp_path / "flat").mkdir()
    flatten(read_stage(shot), tmp_path / "flat/flat.usda")
    for time in (None, 1.0, 5.0):
        ours, flat = (read_stage(path).snapshot(time) for path in (shot, tmp_path / "flat/flat.usda"))
        assert not flat.problems
        for before, after in zip(ours.assets, flat.assets, strict=True):
            assert (after.path, after.look, after.digest) == (before.path, before.look, before.digest)
            assert after.file is not None and before.file is not None and after.file.samefile(before.file)
            np.testing.assert_allclose(after.world_from_asset, before.world_from_asset, atol=1e-12)
    layer = Sdf.Layer.FindOrOpen(str(tmp_path / "flat/flat.usda"))
    assert (
        not [one for one in layer.externalReferences if one] and str(tmp_path) not in layer.ExportToString()
    )
    assert not [one for one in validate(read_stage(tmp_path / "flat/flat.usda")) if one.fatal]


def test_a_stage_with_a_missing_reference_is_not_flattened(tmp_path):
    path = write_stage(tmp_path / "s.usda", 'def Xform "World" (prepend references = @./gone.usda@)\n{\n}\n')
    with pytest.raises(SceneError, match="/World"):
        flatten(read_stage(path), tmp_path / "flat.usda")
    assert not (tmp_path / "flat.usda").exists()


def test_stages_keep_their_frame_when_flattened(tmp_path):
    write_plain(tmp_path / "plain.neuron")
    path = write_stage(tmp_path / "s.usda", asset_prim("a", matrix_op(np.diag([2.0, 3, 4, 1]))), 0.01, "Z")
    flatten(read_stage(path), tmp_path / "flat.usdc")
    scene = read_stage(tmp_path / "flat.usdc")
    assert (scene.meters_per_unit, scene.up_axis) == (0.01, "Z")
    assert isinstance(scene.stage, Usd.Stage)


def test_a_layer_whose_default_prim_is_a_mesh_stays_a_mesh(tmp_path):
    text = (
        '#usda 1.0\n(\ndefaultPrim = "board"\nmetersPerUnit = 1\nupAxis = "Y"\n)\ndef Mesh "board"\n{\n'
        "int[] faceVertexCounts = [3]\nint[] faceVertexIndices = [0, 1, 2]\n"
        'point3f[] points = [(0, 0, 0), (0, 0, 1), (1, 0, 0)]\nuniform token subdivisionScheme = "none"\n}\n'
    )
    (tmp_path / "board.usda").write_text(text)
    write_new(tmp_path / "shot.usda", NewShot())
    with editing(tmp_path / "shot.usda") as stage:
        add(stage, tmp_path / "board.usda", "/World/board")
    (node,) = read_stage(tmp_path / "shot.usda").snapshot().meshes
    assert node.path == "/World/board" and len(node.faces) == 1
