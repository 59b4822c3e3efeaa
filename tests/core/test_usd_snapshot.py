"""What a stage says about its assets, meshes and cameras, and what is wrong with them."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdUtils

from neuron_core.assets import AssetError, packages, read_asset, read_header, write_asset
from neuron_core.cameras.camera import CameraError, project
from neuron_core.foundation.errors import FileError
from neuron_core.usd import SceneError, SceneSnapshot, read_stage
from neuron_core.usd.validate import validate
from tests.core import asset_samples
from tests.core.asset_samples import MANIFEST
from tests.core.scene_samples import (
    asset_prim,
    matrix_op,
    moved,
    publish_ball,
    reference_prim,
    write_plain,
    write_stage,
)

SQUARE = """
int[] faceVertexCounts = [4]
int[] faceVertexIndices = [0, 1, 2, 3]
point3f[] points = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
uniform token subdivisionScheme = "none"
"""


def snapshot_of(tmp_path: Path, body: str, time: float | None = None, **stage: object) -> SceneSnapshot:
    if not (tmp_path / "plain.neuron").exists():
        write_plain(tmp_path / "plain.neuron")
    return read_stage(write_stage(tmp_path / "s.usda", body, **stage)).snapshot(time)


def mesh(name: str = "m", body: str = "") -> str:
    return f'def Mesh "{name}"\n{{\n{SQUARE}{body}\n}}\n'


# --- assets ---


def test_a_prim_says_what_it_draws(tmp_path):
    body = 'token neuron:look = "cafe"\nstring neuron:prompt = " blue clay "\nfloat[] neuron:pose = [1, 0.5]'
    (node,) = snapshot_of(tmp_path, asset_prim("a", body)).assets
    digest = read_header(tmp_path / "plain.neuron").manifest.digest
    assert (node.path, node.file, node.digest) == ("/a", tmp_path / "plain.neuron", digest)
    assert (node.look, node.prompt, node.pose, node.purpose) == ("cafe", "blue clay", (1.0, 0.5), "default")


def test_without_a_look_the_first_one_is_drawn(tmp_path):
    (node,) = snapshot_of(tmp_path, asset_prim("a")).assets
    assert (node.look, node.prompt) == (MANIFEST.looks[0].slug, "")


def test_a_prompt_that_was_baked_is_its_look(tmp_path):
    body = f'string neuron:prompt = "{MANIFEST.looks[0].prompt.upper()}"\ntoken neuron:look = "cafe"'
    (node,) = snapshot_of(tmp_path, asset_prim("a", body)).assets
    assert (node.look, node.prompt) == (MANIFEST.looks[0].slug, "")


def test_looks_prompts_and_poses_may_be_animated(tmp_path):
    body = (
        'token neuron:look.timeSamples = { 1: "copper_worn", 5: "cafe" }\n'
        "float[] neuron:pose.timeSamples = { 1: [0], 5: [4] }\n"
    )
    looks = {time: snapshot_of(tmp_path, asset_prim("a", body), time).assets[0] for time in (1.0, 3.0, 5.0)}
    assert [looks[time].look for time in looks] == ["copper_worn", "copper_worn", "cafe"]
    assert [looks[time].pose for time in looks] == [(0.0,), (2.0,), (4.0,)]


POSES = {
    "of an asset that cannot be posed": ("float[] neuron:pose = [0.5, -1]", (0.5, -1.0), "2 numbers"),
    "not finite": ("float[] neuron:pose = [0.5, inf]", (), "not finite"),
    "of another type": ('string neuron:pose = "up"', (), "not an array of floats"),
    "too long": (f"float[] neuron:pose = [{', '.join(['0'] * 5000)}]", (), "5,000 numbers"),
}


@pytest.mark.parametrize("name", POSES)
def test_a_pose_is_carried_and_what_cannot_take_it_is_warned_about_and_drawn(name, tmp_path):
    body, pose, said = POSES[name]
    snapshot = snapshot_of(tmp_path, asset_prim("a", body))
    (node,), (problem,) = snapshot.assets, snapshot.problems
    assert node.pose == pose and node.file is not None
    assert (problem.path, problem.kind, problem.fatal) == ("/a", "pose", False)
    assert said in problem.message and "--no-pose" in problem.hint


def test_poses_of_assets_that_hold_what_poses_them_are_no_problem(tmp_path):
    tensors = {**asset_samples.tensors(), "pose.rest": np.zeros(2, np.float32)}
    write_asset(tmp_path / "limbs.neuron", MANIFEST, tensors)
    snapshot = snapshot_of(
        tmp_path,
        asset_prim("a", "float[] neuron:pose = [0.5, -1]", file="./limbs.neuron")
        + asset_prim("b", "float[] neuron:pose = []"),
    )
    assert [node.pose for node in snapshot.assets] == [(0.5, -1.0), ()] and not snapshot.problems


@pytest.mark.parametrize("look", ["gold", "rust"])
def test_the_variant_picks_the_look(look, tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    picked = f'variants = {{ string look = "{look}" }}'
    body = reference_prim("b", "@./lib/ball/ball.usd@", picked)
    (node,) = snapshot_of(tmp_path, body).assets
    assert node.look == look


def test_what_is_hidden_is_not_there(tmp_path):
    hidden = 'token visibility = "invisible"\n'
    flickering = 'token visibility.timeSamples = { 1: "invisible", 2: "inherited" }\n'
    body = (
        asset_prim("a", hidden)
        + f'def Xform "x"\n{{\n{hidden}{asset_prim("a")}{mesh()}\n}}\n'
        + asset_prim("b", flickering)
        + asset_prim("c").replace("def Xform", "class Xform")
        + asset_prim("d", metadata="active = false")
    )
    assert not snapshot_of(tmp_path, body, 1.0).assets
    snapshot = snapshot_of(tmp_path, body, 2.0)
    assert [node.path for node in snapshot.assets] == ["/b"] and not snapshot.meshes


def test_purposes_are_told_and_inherited(tmp_path):
    body = "".join(
        f'def Scope "{purpose}_"\n{{\nuniform token purpose = "{purpose}"\n{asset_prim("a")}{mesh()}\n}}\n'
        for purpose in ("default", "render", "proxy", "guide")
    )
    snapshot = snapshot_of(tmp_path, body)
    assert [node.purpose for node in snapshot.assets] == ["default", "render", "proxy", "guide"]
    assert [node.path for node in snapshot.meshes] == ["/default_/m", "/render_/m"]


def test_what_an_asset_holds_for_other_hosts_is_no_occluder_but_assets_in_it_are_assets(tmp_path):
    body = asset_prim("a", mesh() + asset_prim("inner", mesh())) + mesh("beside")
    snapshot = snapshot_of(tmp_path, body)
    assert [node.path for node in snapshot.assets] == ["/a", "/a/inner"]
    assert [node.path for node in snapshot.meshes] == ["/beside"]


@pytest.mark.parametrize("metadata", ["", "instanceable = true"])
def test_assets_inside_referenced_assets_are_found(metadata, tmp_path):
    write_stage(tmp_path / "group.usda", f'def Xform "World"\n{{\n{asset_prim("a", asset_prim("b"))}\n}}\n')
    body = f'def Xform "g" ({metadata}\nprepend references = @./group.usda@</World/a>)\n{{\n}}\n'
    assert [node.path for node in snapshot_of(tmp_path, body).assets] == ["/g", "/g/b"]


def test_the_order_is_that_of_the_stage(tmp_path):
    names = ["c", "a", "b"]
    snapshot = snapshot_of(tmp_path, "".join(asset_prim(name) for name in names))
    assert [node.path for node in snapshot.assets] == [f"/{name}" for name in names]


def test_only_headers_are_read(tmp_path):
    """A file whose tensors are rubbish opens: nobody looked at them."""
    write_plain(tmp_path / "plain.neuron")
    content = bytearray((tmp_path / "plain.neuron").read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[start:] = b"\xff" * (len(content) - start)
    (tmp_path / "plain.neuron").write_bytes(content)
    snapshot = snapshot_of(tmp_path, asset_prim("a"))
    assert snapshot.assets[0].file is not None and not snapshot.problems


def test_a_header_is_read_once_for_all_prims(tmp_path, monkeypatch):
    from neuron_core.assets import neuron_file

    reads = []
    monkeypatch.setattr(neuron_file, "read_header", lambda path: (reads.append(path), read_header(path))[1])
    snapshot = snapshot_of(tmp_path, "".join(asset_prim(f"a{n}") for n in range(50)))
    assert len(snapshot.assets) == 50 and len(reads) == 1


def test_a_file_that_changes_is_read_again(tmp_path):
    assert snapshot_of(tmp_path, asset_prim("a")).assets[0].look == "copper_worn"
    looks = tuple(reversed(MANIFEST.looks))
    write_plain(tmp_path / "plain.neuron", looks=looks, name="another")
    assert snapshot_of(tmp_path, asset_prim("a")).assets[0].look == "cafe"


# --- what can be wrong with an asset ---

BROKEN = {
    "no file": ('def Xform "a" (prepend apiSchemas = ["NeuronAssetAPI"])\n{\n}\n', "names no .neuron file"),
    "a file that is missing": (asset_prim("a", file="./gone.neuron"), "no file ./gone.neuron"),
    "a broken file": (asset_prim("a", file="./broken.neuron"), "broken.neuron"),
    "another digest": (asset_prim("a", f'uniform string neuron:digest = "{"0" * 64}"'), "digest"),
    "a later format": (asset_prim("a", "uniform int neuron:formatVersion = 99"), "format 99"),
    "a look that is not there": (asset_prim("a", 'token neuron:look = "chrome"'), "no look 'chrome'"),
    "a prompt of nothing": (asset_prim("a", 'string neuron:prompt = "!!!"'), "no words"),
    "a prompt without an encoder": (
        asset_prim("a", 'string neuron:prompt = "blue"', file="./mute.neuron"),
        "made without prompts",
    ),
    "a file that is not baked": (asset_prim("a", file="./unbaked.neuron"), "no baked voxels"),
    "a file of another type": (
        'def Xform "a" (prepend apiSchemas = ["NeuronAssetAPI"])\n{\nstring neuron:file = "x.neuron"\n}\n',
        "names no .neuron file",
    ),
    "a singular matrix": (asset_prim("a", matrix_op(np.diag([1.0, 0.0, 1.0, 1.0]))), "singular"),
    "a scale of nothing": (asset_prim("a", matrix_op(np.diag([0, 0, 0, 1.0]))), "singular"),
    "a scale of 1e-30": (asset_prim("a", matrix_op(np.diag([1e-30, 1e-30, 1e-30, 1.0]))), "scales it by"),
    "a scale of 1e30": (asset_prim("a", matrix_op(np.diag([1e30, 1e30, 1e30, 1.0]))), "scales it by"),
    "a place that is not finite": (
        asset_prim("a", moved("inf")),
        "not finite",
    ),
    "a place far away": (
        asset_prim("a", moved(1e30)),
        "from the origin",
    ),
    "a reference that is missing": (reference_prim("a", "@./gone.usda@"), "gone.usda"),
    "a payload that is missing": (
        reference_prim("a", "@./gone.usda@", arc="payload"),
        "gone.usda",
    ),
    "a reference to nothing": (reference_prim("a", "@./other.usda@</no>"), "Unresolved"),
    "a reference in a circle": (reference_prim("a", "@./s.usda@</a>"), "ycle"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_asset_is_named_and_the_rest_is_there(name, tmp_path):
    body, said = BROKEN[name]
    write_plain(tmp_path / "mute.neuron", encoder=None)
    write_unbaked(tmp_path / "unbaked.neuron")
    (tmp_path / "broken.neuron").write_bytes(b"not a neuron file, but long enough to look like one")
    write_stage(tmp_path / "other.usda", "")
    snapshot = snapshot_of(tmp_path, body + asset_prim("whole"))
    drawn = [node.path for node in snapshot.assets if node.file is not None]
    assert drawn == ["/whole"]
    problems = [problem for problem in snapshot.problems if said in problem.message]
    assert problems and problems[0].path == "/a"
    assert problems[0].fatal and str(problems[0]).startswith("/a: ")
    assert {problem.path for problem in snapshot.problems} == {"/a"}


def write_unbaked(path: Path) -> None:
    from dataclasses import replace

    from neuron_core.assets import write_asset
    from tests.core.asset_samples import tensors

    kept = {name: array for name, array in tensors().items() if name.startswith("inr.")}
    write_asset(path, replace(MANIFEST, architecture={"inr": "neuron-field-1"}, looks=()), kept)


@pytest.mark.parametrize("scale", [1e-5, 1e5, -1.0])
def test_scales_that_can_be_drawn_are_no_problem(scale, tmp_path):
    body = asset_prim("a", matrix_op(np.diag([scale, abs(scale), abs(scale), 1.0])))
    snapshot = snapshot_of(tmp_path, body)
    assert snapshot.assets[0].file is not None and not snapshot.problems


def test_a_restricted_stage_refuses_files_outside_its_library(tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    write_plain(tmp_path / "plain.neuron")
    (tmp_path / "lib" / "link.neuron").symlink_to(tmp_path / "plain.neuron")
    body = (
        'def Xform "inside" (prepend references = @./lib/ball/ball.usd@)\n{\n}\n'
        + asset_prim("outside")
        + asset_prim("linked", file="./lib/link.neuron")
    )
    path = write_stage(tmp_path / "s.usda", body)
    snapshot = read_stage(path, tmp_path / "lib").snapshot()
    assert [node.path for node in snapshot.assets if node.file] == ["/inside"]
    assert {problem.path for problem in snapshot.problems} == {"/outside", "/linked"}
    assert not read_stage(path).snapshot().problems


# --- stages that cannot be opened ---


def test_stages_that_cannot_be_opened_are_errors(tmp_path):
    (tmp_path / "broken.usda").write_text("#usda 1.0\ndef {")
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(FileError, match="no file"):
        read_stage(tmp_path / "gone.usda")
    for name in ("broken.usda", "text.txt", "."):
        with pytest.raises(SceneError):
            read_stage(tmp_path / name)


@pytest.mark.parametrize("unit", ["0", "-1"])
def test_units_that_are_none_are_an_error(unit, tmp_path):
    path = tmp_path / "s.usda"
    path.write_text(f'#usda 1.0\n(\nmetersPerUnit = {unit}\nupAxis = "Y"\n)\n')
    with pytest.raises(SceneError, match="metersPerUnit"):
        read_stage(path).snapshot()


# --- meshes ---


def test_meshes_come_with_their_place_and_color(tmp_path):
    move = 'double3 xformOp:translate = (0, 0, 5)\nuniform token[] xformOpOrder = ["xformOp:translate"]\n'
    body = mesh("m", move + "color3f[] primvars:displayColor = [(0.1, 0.2, 0.3)]\n")
    (node,) = snapshot_of(tmp_path, body, unit=0.01, up="Z").meshes
    corners = (
        node.positions[node.faces.ravel()] @ node.world_from_mesh[:3, :3].T + node.world_from_mesh[:3, 3]
    )
    assert len(node.faces) == 2
    np.testing.assert_allclose(
        [corners.min(axis=0), corners.max(axis=0)], [[0, 0.05, -0.01], [0.01, 0.05, 0]]
    )
    np.testing.assert_allclose(node.color, (0.1, 0.2, 0.3), atol=1e-6)


MATERIAL = """
def Material "mat"
{
    token outputs:surface.connect = </mat/surface.outputs:surface>
    def Shader "surface"
    {
        uniform token info:id = "UsdPreviewSurface"
        color3f inputs:diffuseColor = (0.8, 0.1, 0.05)
        token outputs:surface
    }
}
"""


def test_a_bound_preview_surface_wins_over_display_color(tmp_path):
    bound = "rel material:binding = </mat>\ncolor3f[] primvars:displayColor = [(0, 0, 1)]\n"
    body = MATERIAL + mesh("m", bound).replace('"m"', '"m" (prepend apiSchemas = ["MaterialBindingAPI"])')
    np.testing.assert_allclose(snapshot_of(tmp_path, body).meshes[0].color, (0.8, 0.1, 0.05), atol=1e-6)


def test_textured_surfaces_show_their_display_color(tmp_path):
    texture = 'def Shader "t"\n{\nuniform token info:id = "UsdUVTexture"\nfloat3 outputs:rgb\n}\n'
    textured = MATERIAL.replace(
        "diffuseColor = (0.8, 0.1, 0.05)", "diffuseColor.connect = </mat/t.outputs:rgb>"
    )
    textured = textured.replace('def Shader "surface"', f'{texture}def Shader "surface"')
    bound = "rel material:binding = </mat>\ncolor3f[] primvars:displayColor = [(0, 0, 1), (0, 1, 1)]\n"
    body = textured + mesh("m", bound).replace('"m"', '"m" (prepend apiSchemas = ["MaterialBindingAPI"])')
    np.testing.assert_allclose(snapshot_of(tmp_path, body).meshes[0].color, (0, 0.5, 1), atol=1e-6)


def test_meshes_move_with_their_points(tmp_path):
    moving = SQUARE.replace(
        "point3f[] points = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]",
        "point3f[] points.timeSamples = { 1: [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], "
        "3: [(0, 0, 2), (1, 0, 2), (1, 1, 2), (0, 1, 2)] }",
    )
    body = f'def Mesh "m"\n{{\n{moving}\n}}\n'
    for time, height in ((1.0, 0.0), (2.0, 1.0), (3.0, 2.0)):
        (node,) = snapshot_of(tmp_path, body, time).meshes
        np.testing.assert_allclose(node.positions[node.faces.ravel(), 2], height)


def test_subdivision_surfaces_lie_on_their_limit(tmp_path):
    body = """
def Mesh "m"
{
    int[] faceVertexCounts = [4, 4, 4, 4, 4, 4]
    int[] faceVertexIndices = [0, 1, 3, 2, 4, 6, 7, 5, 0, 4, 5, 1, 2, 3, 7, 6, 0, 2, 6, 4, 1, 5, 7, 3]
    point3f[] points = [(-1, -1, -1), (-1, -1, 1), (-1, 1, -1), (-1, 1, 1),
        (1, -1, -1), (1, -1, 1), (1, 1, -1), (1, 1, 1)]
}
"""
    (node,) = snapshot_of(tmp_path, body).meshes
    radii = np.linalg.norm(node.positions, axis=1)
    assert len(node.faces) > 500 and radii.max() < 1.0 and radii.max() / radii.min() < 1.2


@pytest.mark.parametrize("scale", [1e-30, 0.0, 1e30, "inf"])
def test_meshes_of_any_scale_are_placed_or_named(scale, tmp_path):
    matrix = np.diag([float(scale)] * 3 + [1.0])
    text = matrix_op(matrix) if scale != "inf" else moved("inf")
    snapshot = snapshot_of(tmp_path, mesh("m", text) + mesh("sound"))
    small = isinstance(scale, float) and scale < 1
    assert [node.path for node in snapshot.meshes] == (["/m", "/sound"] if small else ["/sound"])
    assert [problem.path for problem in snapshot.problems] == ([] if small else ["/m"])


def test_instances_share_their_points(tmp_path):
    write_stage(tmp_path / "one.usda", f'def Xform "World"\n{{\n{mesh()}}}\n')
    body = "".join(
        f'def Xform "i{n}" (instanceable = true\nprepend references = @./one.usda@)\n{{\n}}\n'
        for n in range(3)
    )
    nodes = snapshot_of(tmp_path, body).meshes
    assert [node.path for node in nodes] == ["/i0/m", "/i1/m", "/i2/m"]
    assert nodes[0].positions is nodes[2].positions


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("[0, 1, 2, 3]", "[0, 1, 2, 9]"),
        ("(1, 1, 0)", "(1, nan, 0)"),
        ("[(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]", "[(0, 0, 0)]"),
        ("point3f[] points = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]", 'string points = "none"'),
    ],
    ids=["a point that is not there", "no number", "too few points", "another type"],
)
def test_a_damaged_mesh_is_named_and_the_rest_is_there(sound, broken, tmp_path):
    body = mesh("bad").replace(sound, broken) + mesh("good") + asset_prim("a")
    snapshot = snapshot_of(tmp_path, body)
    assert [node.path for node in snapshot.meshes] == ["/good"] and len(snapshot.assets) == 1
    assert [problem.path for problem in snapshot.problems] == ["/bad"]


# --- cameras ---

LENS = "float focalLength = 50\nfloat horizontalAperture = 36\nfloat verticalAperture = 24\n"


def camera_stage(tmp_path: Path, body: str = LENS, unit: float = 1.0, up: str = "Y") -> Path:
    text = f'def Xform "World"\n{{\ndef Camera "cam"\n{{\n{body}\n}}\n}}\n'
    return write_stage(tmp_path / "c.usda", text, unit, up)


@pytest.mark.parametrize("size", [(360, 240), (360, 120), (100, 240)])
@pytest.mark.parametrize(("unit", "up"), [(1.0, "Y"), (0.01, "Z")])
def test_a_camera_sees_what_usd_says_it_sees(size, unit, up, tmp_path):
    """Points are projected by the camera's own frustum, conformed as hosts do, and by ours."""
    width, height = size
    offsets = "float horizontalApertureOffset = 3\nfloat verticalApertureOffset = -2\n"
    placed = (
        "double3 xformOp:translate = (1, 2, 3)\nfloat3 xformOp:rotateXYZ = (20, -130, 15)\n"
        'float3 xformOp:scale = (2, 2, 2)\nuniform token[] xformOpOrder = ["xformOp:translate", '
        '"xformOp:rotateXYZ", "xformOp:scale"]\n'
    )
    scene = read_stage(camera_stage(tmp_path, LENS + offsets + placed, unit, up))
    ours = scene.camera("/World/cam", width, height)
    frustum = (
        UsdGeom.Camera(scene.stage.GetPrimAtPath("/World/cam")).GetCamera(Usd.TimeCode.Default()).frustum
    )
    window = frustum.GetWindow()
    wanted = width / height
    if wanted > window.GetSize()[0] / window.GetSize()[1]:
        half = window.GetSize()[1] * wanted / 2
        middle = (window.GetMin()[0] + window.GetMax()[0]) / 2
        window.SetMin((middle - half, window.GetMin()[1])), window.SetMax((middle + half, window.GetMax()[1]))
    else:
        half = window.GetSize()[0] / wanted / 2
        middle = (window.GetMin()[1] + window.GetMax()[1]) / 2
        window.SetMin((window.GetMin()[0], middle - half)), window.SetMax((window.GetMax()[0], middle + half))
    frustum.SetWindow(window)
    to_screen = np.array(frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix())
    random = np.random.default_rng(0)
    local = np.concatenate(
        [random.normal(size=(20, 2)), -random.uniform(5, 9, (20, 1)), np.ones((20, 1))], axis=1
    )
    points = local @ np.array(
        UsdGeom.XformCache().GetLocalToWorldTransform(scene.stage.GetPrimAtPath("/World/cam"))
    )
    clip = points @ to_screen
    expected_x = (clip[:, 0] / clip[:, 3] + 1) / 2 * width
    expected_y = (1 - clip[:, 1] / clip[:, 3]) / 2 * height
    engine = points @ scene.snapshot().engine_from_stage.T
    x, y, depth = project(ours, engine[:, :3])
    assert (depth > 0).all()
    np.testing.assert_allclose(x, expected_x, atol=1e-3)
    np.testing.assert_allclose(y, expected_y, atol=1e-3)


def test_cameras_move(tmp_path):
    samples = "double3 xformOp:translate.timeSamples = { 1: (0, 0, 0), 3: (2, 0, 0) }\n"
    moving = f'{samples}uniform token[] xformOpOrder = ["xformOp:translate"]\n'
    scene = read_stage(camera_stage(tmp_path, LENS + moving))
    assert [scene.camera("/World/cam", 8, 8, time).position[0] for time in (1.0, 2.0, 3.0)] == [0.0, 1.0, 2.0]


def test_cameras_are_listed(tmp_path):
    assert read_stage(camera_stage(tmp_path)).cameras() == ("/World/cam",)


@pytest.mark.parametrize("path", ["/World/nope", "/World", "cam", ""])
def test_a_missing_camera_is_named_with_those_there_are(path, tmp_path):
    with pytest.raises(CameraError, match="no camera") as caught:
        read_stage(camera_stage(tmp_path)).camera(path, 8, 8)
    assert "/World/cam" in caught.value.hint


@pytest.mark.parametrize(
    "body",
    [
        'token projection = "orthographic"\n',
        "float focalLength = 0\n",
        "float horizontalAperture = 0\n",
        matrix_op(np.diag([-1.0, 1, 1, 1])),
        matrix_op(np.diag([1.0, 0, 1, 1])),
        moved("inf"),
    ],
    ids=["orthographic", "no focal length", "no aperture", "mirrored", "flat", "nowhere"],
)
def test_what_makes_no_camera_is_an_error_that_names_it(body, tmp_path):
    with pytest.raises(CameraError, match="/World/cam"):
        read_stage(camera_stage(tmp_path, body)).camera("/World/cam", 8, 8)


def test_the_range_of_frames_is_what_the_stage_states(tmp_path):
    assert read_stage(camera_stage(tmp_path)).time_range() is None
    path = write_stage(tmp_path / "s.usda", "", more="    startTimeCode = 3\n    endTimeCode = 7")
    assert read_stage(path).time_range() == (3.0, 7.0)


# --- packages ---


@pytest.fixture
def package(tmp_path):
    """A package of a stage with an asset, as USD makes it, without what it was made from."""
    publish_ball(tmp_path, tmp_path / "lib")
    body = f'def Xform "World"\n{{\n{reference_prim("b", "@./lib/ball/ball.usd@")}}}\n'
    path = write_stage(tmp_path / "shot.usda", body)
    assert UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(path)), str(tmp_path / "shot.usdz"))
    whole = read_asset(tmp_path / "lib/ball/v001/ball.neuron")
    shutil.rmtree(tmp_path / "lib")
    return tmp_path / "shot.usdz", whole


def test_an_asset_in_a_package_is_read_in_its_place(package):
    path, whole = package
    snapshot = read_stage(path).snapshot()
    (node,) = snapshot.assets
    assert not snapshot.problems and node.path == "/World/b" and node.digest == whole.manifest.digest
    assert node.file is not None and not node.file.exists()
    assert read_header(node.file).manifest == whole.manifest
    asset = read_asset(node.file)
    assert set(asset.tensors) == set(whole.tensors)
    for name, tensor in asset.tensors.items():
        assert np.array_equal(tensor, whole.tensors[name]) and tensor.flags.writeable
    told = validate(read_stage(path), deep=True)  # USDZ knows no such files
    assert [(one.kind, one.fatal) for one in told] == [("usd", False)] and "'neuron'" in told[0].message
    assert not read_stage(path, path.parent).snapshot().problems
    (problem,) = read_stage(path, path.parent / "lib").snapshot().problems
    assert problem.path == "/World/b" and "outside the library" in problem.message


def test_packages_that_break_the_rules_are_named(package, tmp_path):
    path, _ = package
    (node,) = read_stage(path).snapshot().assets
    assert node.file is not None
    _, member = packages.split(node.file) or (None, "")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "tight.usdz", "w") as new:
        new.writestr("ball.neuron", old.read(member), zipfile.ZIP_DEFLATED)
    (tmp_path / "cut.usdz").write_bytes(path.read_bytes()[:-200])
    for name, error in (("tight.usdz[ball.neuron]", AssetError), ("cut.usdz[ball.neuron]", FileError)):
        with pytest.raises(error, match=name.partition("[")[0]):
            read_header(tmp_path / name)
    with pytest.raises(FileError, match="no gone.neuron in"):
        read_header(tmp_path / "tight.usdz[gone.neuron]")
    with pytest.raises(FileError, match="none.usdz"):
        read_header(tmp_path / "none.usdz[ball.neuron]")
