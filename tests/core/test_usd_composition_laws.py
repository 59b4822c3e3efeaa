"""What composition owes to what it composes: products of matrices, one frame for all stages, cut files."""

import json
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom

from neuron_core.foundation.errors import NeuronError
from neuron_core.usd import SceneError, SceneSnapshot, engine_from_stage, read_stage
from neuron_core.usd.flatten import flatten
from neuron_core.usd.listing import list_stage
from tests.core.scene_samples import asset_prim, matrix_op, moved, reference_prim, write_plain, write_stage

FRAMES = [(1.0, "Y"), (0.01, "Y"), (1.0, "Z"), (0.3048, "Z")]
TRIANGLE = """
int[] faceVertexCounts = [3]
int[] faceVertexIndices = [0, 1, 2]
point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 2, 0)]
uniform token subdivisionScheme = "none"
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """With an asset in it."""
    write_plain(tmp_path / "plain.neuron")
    return tmp_path


def affine(seed: int) -> np.ndarray:
    """A random invertible map, sheared and scaled."""
    random = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + 0.3 * random.normal(size=(3, 3))
    matrix[:3, 3] = random.normal(size=3)
    return matrix


def rigid(seed: int) -> np.ndarray:
    matrix = affine(seed)
    left, _, right = np.linalg.svd(matrix[:3, :3])
    matrix[:3, :3] = left @ right
    return matrix


def under(body: str, matrix: np.ndarray, name: str = "World") -> str:
    return f'def Xform "{name}"\n{{\n{matrix_op(matrix)}\n{body}\n}}\n'


def snapshot(path: Path, time: float | None = None) -> SceneSnapshot:
    found = read_stage(path).snapshot(time)
    assert not found.problems
    return found


def place(path: Path, time: float | None = None) -> np.ndarray:
    """Where the one asset of a stage is, in the engine's world."""
    (node,) = snapshot(path, time).assets
    return node.world_from_asset


# --- matrices ---


@pytest.mark.parametrize("arc", ["references", "payload"])
@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_a_chain_of_references_places_by_the_product_of_its_matrices(arc, unit, up, folder):
    m1, m2, m3 = (affine(seed) for seed in (1, 2, 3))
    write_stage(folder / "a.usda", under(asset_prim(), m1), unit, up)
    b = reference_prim("World", "@./a.usda@", arc=arc)
    write_stage(folder / "b.usda", f'def Xform "World"\n{{\n{under(b, m2, "in")}\n}}\n', unit, up)
    c = reference_prim("set", "@./b.usda@", arc=arc)
    top = write_stage(folder / "c.usda", under(c, m3), unit, up)
    np.testing.assert_allclose(place(top), engine_from_stage(unit, up) @ m3 @ m2 @ m1, rtol=1e-9, atol=1e-12)


def test_the_transform_on_a_referencing_prim_takes_the_place_of_that_of_the_root(folder):
    """USD: opinions about one prim are not multiplied, the stronger one wins."""
    write_stage(folder / "a.usda", under(asset_prim(), affine(1)))
    body = reference_prim("World", "@./a.usda@", body=matrix_op(affine(2)))
    np.testing.assert_allclose(place(write_stage(folder / "b.usda", body)), affine(2), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_the_frame_of_a_stage_is_a_turn_and_a_scale(unit, up):
    frame = engine_from_stage(unit, up)
    linear = frame[:3, :3]
    np.testing.assert_allclose(linear @ linear.T, unit**2 * np.eye(3), atol=1e-15)
    assert np.linalg.det(linear) == pytest.approx(unit**3)
    height = {"Y": (0, 1, 0), "Z": (0, 0, 1)}[up]
    np.testing.assert_allclose(linear @ height, (0, unit, 0), atol=1e-15)
    np.testing.assert_array_equal(frame[:3, 3], 0)


@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_one_scene_in_other_units_and_axes_is_the_same_scene(unit, up, folder):
    """The same world written down for another frame: assets, surfaces and cameras are where they were."""
    scene = affine(4)
    back = np.linalg.inv(engine_from_stage(unit, up))
    camera = 'def Camera "eye"\n{\nfloat focalLength = 35\nfloat horizontalAperture = 36\n%s\n}\n'
    mesh = f'def Mesh "m"\n{{\n{TRIANGLE}\n%s\n}}\n'
    body = asset_prim("a", "%s") + mesh + camera
    here = write_stage(folder / "here.usda", body % tuple(map(matrix_op, (scene, affine(5), rigid(6)))))
    turned = [matrix_op(back @ matrix) for matrix in (scene, affine(5), rigid(6))]
    there = write_stage(folder / "there.usda", body % tuple(turned), unit, up)
    one, other = snapshot(here), snapshot(there)
    np.testing.assert_allclose(one.assets[0].world_from_asset, other.assets[0].world_from_asset, atol=1e-9)
    np.testing.assert_allclose(
        one.meshes[0].world_from_mesh, other.meshes[0].world_from_mesh, rtol=1e-9, atol=1e-12
    )
    eyes = [read_stage(path).camera("/eye", 64, 48) for path in (here, there)]
    np.testing.assert_allclose(eyes[0].c2w, eyes[1].c2w, atol=1e-9)
    assert eyes[0].fl_x == pytest.approx(eyes[1].fl_x)


def test_moving_the_world_moves_what_is_in_it_and_the_camera_alike(folder):
    body = asset_prim("a", matrix_op(affine(7))) + f'def Camera "eye"\n{{\n{matrix_op(rigid(8))}\n}}\n'
    relative = []
    for seed in (9, 10):
        path = write_stage(folder / f"w{seed}.usda", under(body, rigid(seed)))
        camera = read_stage(path).camera("/World/eye", 32, 32)
        relative.append(np.linalg.inv(camera.c2w) @ place(path))
    np.testing.assert_allclose(relative[0], relative[1], rtol=1e-9, atol=1e-9)


def test_the_scale_of_a_camera_changes_nothing_that_it_sees(folder):
    grown = rigid(3).copy()
    grown[:3, :3] *= 7.0
    eyes = []
    for name, matrix in (("plain", rigid(3)), ("grown", grown)):
        path = write_stage(folder / f"{name}.usda", f'def Camera "eye"\n{{\n{matrix_op(matrix)}\n}}\n')
        eyes.append(read_stage(path).camera("/eye", 40, 30))
    np.testing.assert_allclose(eyes[0].c2w, eyes[1].c2w, atol=1e-12)
    assert (eyes[0].fl_x, eyes[0].cx, eyes[0].cy) == (eyes[1].fl_x, eyes[1].cx, eyes[1].cy)


@pytest.mark.parametrize("factor", [2, 5])
def test_a_larger_picture_of_the_same_shape_has_its_intrinsics_in_proportion(factor, folder):
    lens = (
        "float focalLength = 42\nfloat horizontalAperture = 30\nfloat verticalAperture = 12\n"
        "float horizontalApertureOffset = 3\nfloat verticalApertureOffset = -2"
    )
    scene = read_stage(write_stage(folder / "s.usda", f'def Camera "eye"\n{{\n{lens}\n}}\n'))
    small, large = scene.camera("/eye", 64, 36), scene.camera("/eye", 64 * factor, 36 * factor)
    for name in ("fl_x", "fl_y", "cx", "cy"):
        assert getattr(large, name) == pytest.approx(factor * getattr(small, name), rel=1e-12)


# --- what is there ---


def test_a_native_instance_shows_what_a_plain_reference_shows(folder):
    write_stage(folder / "set.usda", under(asset_prim("a", matrix_op(affine(1))), affine(2)))
    found = []
    for metadata in ("", "instanceable = true"):
        refs = "".join(
            reference_prim(f"r{n}", "@./set.usda@", metadata, matrix_op(affine(n))) for n in (3, 4)
        )
        found.append(snapshot(write_stage(folder / f"s{len(found)}.usda", refs)).assets)
    for one, other in zip(*found, strict=True):
        assert (one.path, one.look, one.digest) == (other.path, other.look, other.digest)
        np.testing.assert_array_equal(one.world_from_asset, other.world_from_asset)


@pytest.mark.parametrize("depth", range(4))
def test_whatever_hides_an_ancestor_hides_all_below_and_nothing_beside(depth, folder):
    hidden, shown = 'token visibility = "invisible"', 'token visibility = "inherited"'
    text = asset_prim("a", hidden if depth == 3 else shown)
    for level in (2, 1, 0):
        text = f'def Xform "x{level}"\n{{\n{hidden if level == depth else shown}\n{text}\n}}\n'
    found = snapshot(write_stage(folder / "s.usda", text + asset_prim("beside")))
    assert [node.path for node in found.assets] == ["/beside"]


def test_visibility_may_be_keyed_and_holds_until_the_next_key(folder):
    keyed = 'token visibility.timeSamples = { 1: "inherited", 5: "invisible", 9: "inherited" }'
    path = write_stage(folder / "s.usda", under(asset_prim("a", keyed), np.eye(4)))
    shown = {time: len(snapshot(path, time).assets) for time in (0.0, 1.0, 4.99, 5.0, 8.99, 9.0, 50.0)}
    assert shown == {0.0: 1, 1.0: 1, 4.99: 1, 5.0: 0, 8.99: 0, 9.0: 1, 50.0: 1}


def test_the_stronger_sublayer_says_where_things_are_and_the_weaker_what_it_leaves_open(folder):
    write_stage(folder / "weak.usda", asset_prim("a", moved(1.0) + 'token neuron:look = "cafe"\n'))
    write_stage(folder / "strong.usda", f'over "a"\n{{\n{moved(5.0)}\n}}\n')
    for order, x in ((("strong", "weak"), 5.0), (("weak", "strong"), 1.0)):
        files = ", ".join(f"@./{name}.usda@" for name in order)
        (node,) = snapshot(write_stage(folder / f"{x}.usda", "", more=f"subLayers = [{files}]")).assets
        assert (node.world_from_asset[0, 3], node.look) == (x, "cafe")


@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (10.0, 1.0), (-3.0, 1.0), (4.0, 2.0)])
def test_the_time_of_a_referenced_layer_is_shifted_and_stretched(offset, scale, folder):
    keys = (
        "double3 xformOp:translate.timeSamples = { 0: (0, 0, 0), 8: (4, 0, 0), 10: (4, 6, 0) }\n"
        'uniform token[] xformOpOrder = ["xformOp:translate"]\n'
    )
    inner = write_stage(folder / "a.usda", f'def Xform "World"\n{{\n{asset_prim("a", keys)}\n}}\n')
    layer = f"@./a.usda@ (offset = {offset}; scale = {scale})"
    outer = write_stage(folder / "b.usda", reference_prim("r", layer))
    for time in (-2.0, 1.0, 7.5, 9.0, 13.0):
        np.testing.assert_allclose(place(outer, offset + scale * time), place(inner, time), atol=1e-12)


def test_a_variant_is_the_layer_that_it_would_be_if_it_were_written_out(folder):
    sets = "".join(f'"{name}" {{ {moved(x)} }}\n' for name, x in (("left", -2.0), ("right", 3.0)))
    head = 'prepend variantSets = "side"\nvariants = { string side = "%s" }'
    for chosen, x in (("left", -2.0), ("right", 3.0)):
        body = asset_prim("a", f'variantSet "side" = {{\n{sets}}}\n', metadata=head % chosen)
        found = place(write_stage(folder / f"{chosen}.usda", body))
        assert np.array_equal(
            found, place(write_stage(folder / f"{chosen}_flat.usda", asset_prim("a", moved(x))))
        )


def test_surfaces_that_are_declared_left_handed_face_the_other_way(folder):
    left = 'uniform token orientation = "leftHanded"'
    body = "".join(
        f'def Mesh "{name}"\n{{\n{TRIANGLE}\n{more}\n}}\n' for name, more in (("r", ""), ("l", left))
    )
    normals = {}
    for node in snapshot(write_stage(folder / "s.usda", body)).meshes:
        a, b, c = node.positions[node.faces[0]]
        normals[node.path] = np.cross(b - a, c - a)
    np.testing.assert_array_equal(normals["/r"], -normals["/l"])
    assert normals["/r"][2] == 2.0


def test_flattening_what_is_flat_changes_nothing(folder):
    write_stage(folder / "set.usda", under(asset_prim("a", matrix_op(affine(1))), affine(2)))
    top = write_stage(folder / "top.usda", under(reference_prim("r", "@./set.usda@"), affine(3)))
    flatten(read_stage(top), folder / "once.usda")
    flatten(read_stage(folder / "once.usda"), folder / "twice.usda")
    assert (folder / "once.usda").read_text() == (folder / "twice.usda").read_text()
    np.testing.assert_array_equal(place(folder / "once.usda"), place(top))


def test_a_listing_says_what_the_snapshot_says_and_can_be_sent_as_json(folder):
    body = (
        asset_prim("a", moved(1.0))
        + asset_prim("lost", file="./no.neuron")
        + f'def Mesh "m"\n{{\n{TRIANGLE}\n}}\n'
    )
    path = write_stage(folder / "s.usda", body + 'def Camera "eye"\n{\n}\n', 0.01, "Z")
    found, said = read_stage(path).snapshot(), json.loads(json.dumps(list_stage(path, None)))
    assert [one["path"] for one in said["assets"]] == [node.path for node in found.assets]
    for one, node in zip(said["assets"], found.assets, strict=True):
        assert one["look"] == node.look and (one["file"] is None) == (node.file is None)
        np.testing.assert_array_equal(one["world_from_asset"], node.world_from_asset)
    assert said["meshes"] == [{"path": "/m", "triangles": 1}] and said["cameras"] == ["/eye"]
    assert [one["message"] for one in said["problems"]] == [one.message for one in found.problems] != []
    rows = said["summary"].splitlines()
    assert len(rows) == 1 + 2 + 1 + 1 + len(found.problems)


# --- damage ---


def cut(path: Path, content: bytes) -> bool:
    """Whether a file of that content opens; what it raises otherwise is ours."""
    path.write_bytes(content)
    try:
        read_stage(path).snapshot()
    except NeuronError as error:
        assert path.name in error.message
        return False
    return True


def test_a_text_layer_that_is_cut_anywhere_opens_or_is_one_error(folder):
    whole = write_stage(folder / "whole.usda", under(asset_prim(), affine(1))).read_bytes()
    opened = [cut(folder / f"c{size}.usda", whole[:size]) for size in range(0, len(whole), 17)]
    assert not all(opened) and cut(folder / "same.usda", whole)


def test_a_binary_layer_that_is_cut_anywhere_is_one_error(folder):
    source = write_stage(folder / "whole.usda", under(asset_prim(), affine(1)))
    Sdf.Layer.FindOrOpen(str(source)).Export(str(folder / "whole.usdc"))
    whole = (folder / "whole.usdc").read_bytes()
    for size in (*range(0, 96, 12), *range(100, len(whole), 131), len(whole) - 1):
        assert not cut(folder / f"c{size}.usdc", whole[:size]), size
    assert cut(folder / "same.usdc", whole)


@pytest.mark.parametrize("unit", [-1.0, "nan", "inf"])
def test_a_frame_that_is_not_one_is_refused_for_pictures_and_cameras_alike(unit, folder):
    path = write_stage(folder / "s.usda", 'def Camera "eye"\n{\n}\n', unit)
    with pytest.raises(SceneError, match="metersPerUnit"):
        read_stage(path).snapshot()
    with pytest.raises(NeuronError):
        read_stage(path).camera("/eye", 8, 8)


def test_an_asset_in_an_instancer_stands_where_each_point_puts_it(folder):
    write_stage(folder / "set.usda", under(asset_prim("a", matrix_op(affine(1))), np.eye(4)))
    stage = Usd.Stage.CreateNew(str(folder / "s.usda"))
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    instancer = UsdGeom.PointInstancer.Define(stage, "/p")
    stage.DefinePrim("/p/proto").GetReferences().AddReference("./set.usda")
    instancer.CreatePrototypesRel().SetTargets(["/p/proto"])
    positions = np.float32([[1, 2, 3], [-4, 0, 2]])
    instancer.CreateProtoIndicesAttr([0, 0])
    instancer.CreatePositionsAttr([tuple(map(float, row)) for row in positions])
    stage.Save()
    for node, offset in zip(snapshot(folder / "s.usda").assets, positions, strict=True):
        shift = np.eye(4)
        shift[:3, 3] = offset
        np.testing.assert_allclose(node.world_from_asset, shift @ affine(1), atol=1e-12)
