"""Where assets stand: the engine's matrices against those that USD computes, over a table of stages."""

from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from neuron_core.usd import engine_from_stage, read_stage
from tests.core.scene_samples import asset_prim, matrix_op, usd_matrix, write_plain, write_stage

SHEAR = np.array([[1, 0.4, 0, 1], [0, 1, -0.3, 2], [0.1, 0, 1, 3], [0, 0, 0, 1]], float)
TRANSLATE = 'double3 xformOp:translate = (1, 2, 3)\nuniform token[] xformOpOrder = ["xformOp:translate"]\n'
ANIMATED = """
double3 xformOp:translate.timeSamples = { 1: (0, 0, 0), 11: (10, 5, -5) }
float3 xformOp:rotateXYZ.timeSamples = { 1: (0, 0, 0), 11: (90, 45, 10) }
uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateXYZ"]
"""


def ops(*pairs: tuple[str, str, str], reset: bool = False) -> str:
    """The text of transform operations (type, name, value)."""
    names = ['"!resetXformStack!"'] if reset else []
    names += [f'"xformOp:{name}"' for _, name, _ in pairs]
    values = "".join(f"{kind} xformOp:{name} = {value}\n" for kind, name, value in pairs)
    return f"{values}uniform token[] xformOpOrder = [{', '.join(names)}]\n"


def nest(*bodies: str, inner: str) -> str:
    """An asset below Xforms that hold these operations, from outside."""
    text = asset_prim("a", inner)
    for number, body in reversed(list(enumerate(bodies))):
        text = f'def Xform "x{number}"\n{{\n{body}\n{text}\n}}\n'
    return text


STAGES = {
    "identity": asset_prim("a"),
    "moved": asset_prim("a", TRANSLATE),
    "turned": asset_prim("a", ops(("float3", "rotateXYZ", "(10, 20, 30)"))),
    "turned in another order": asset_prim("a", ops(("float3", "rotateZYX", "(10, 20, 30)"))),
    "turned by a quaternion": asset_prim("a", ops(("quatf", "orient", "(0.5, 0.5, -0.5, 0.5)"))),
    "scaled unevenly": asset_prim("a", ops(("float3", "scale", "(2, 0.5, 3)"))),
    "mirrored": asset_prim(
        "a", ops(("float3", "scale", "(-1, 1, 1)"), ("double3", "translate", "(1, 2, 3)"))
    ),
    "sheared": asset_prim("a", matrix_op(SHEAR)),
    "with a pivot": asset_prim(
        "a",
        "double3 xformOp:translate:pivot = (1, 1, 0)\nfloat xformOp:rotateY = 40\n"
        'uniform token[] xformOpOrder = ["xformOp:translate:pivot", "xformOp:rotateY", '
        '"!invert!xformOp:translate:pivot"]\n',
    ),
    "nested": nest(TRANSLATE, ops(("float", "rotateY", "30")), inner=ops(("float3", "scale", "(2, 3, 4)"))),
    "nested with shear": nest(
        matrix_op(SHEAR), ops(("float3", "scale", "(1, -2, 1)")), inner=matrix_op(SHEAR)
    ),
    "below scopes": f'def Scope "s"\n{{\ndef Scope "t"\n{{\n{nest(TRANSLATE, inner=TRANSLATE)}\n}}\n}}\n',
    "reset": nest(TRANSLATE, inner=ops(("double3", "translate", "(5, 6, 7)"), reset=True)),
    "reset in the middle": nest(
        TRANSLATE, ops(("float", "rotateX", "90"), reset=True), TRANSLATE, inner=TRANSLATE
    ),
    "animated": asset_prim("a", ANIMATED),
    "animated above": nest(ANIMATED, inner=TRANSLATE),
    "animated above a reset": nest(ANIMATED, inner=ops(("float", "rotateZ", "15"), reset=True)),
    "far away": asset_prim("a", ops(("double3", "translate", "(1e4, -2e4, 3e4)"))),
    "tiny": asset_prim("a", ops(("float3", "scale", "(0.001, 0.001, 0.001)"))),
    "large": asset_prim("a", ops(("float3", "scale", "(1000, 1000, 1000)"))),
    "by a typeless prim": f'def "x"\n{{\n{TRANSLATE}\n{asset_prim("a", TRANSLATE)}\n}}\n',
}
FRAMES = {"meters, Y up": (1.0, "Y"), "centimeters, Y up": (0.01, "Y"), "meters, Z up": (1.0, "Z"),
          "centimeters, Z up": (0.01, "Z")}  # fmt: skip
TIMES = (None, 1.0, 4.5, 11.0, 20.0)


def test_the_table_is_long_enough():
    assert len(STAGES) >= 20


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("stage", STAGES)
def test_world_matrices_are_those_of_usd(stage, frame, tmp_path):
    unit, up = FRAMES[frame]
    write_plain(tmp_path / "plain.neuron")
    path = write_stage(tmp_path / "s.usda", f'def Xform "World"\n{{\n{STAGES[stage]}\n}}\n', unit, up)
    opened = Usd.Stage.Open(str(path))
    scene = read_stage(path)
    back = np.linalg.inv(engine_from_stage(unit, up))
    for time in TIMES:
        snapshot = scene.snapshot(time)
        (node,) = snapshot.assets
        when = Usd.TimeCode.EarliestTime() if time is None else Usd.TimeCode(time)
        expected = usd_matrix(opened, node.path, when)
        scale = max(np.abs(expected).max(), 1.0)
        assert np.abs(back @ node.world_from_asset - expected).max() <= 1e-6 * scale
        assert not snapshot.problems


@pytest.mark.parametrize("up", ["Y", "Z"])
def test_up_in_the_stage_is_up_in_the_engine(up):
    ahead = {"Y": (0, 1, 0), "Z": (0, 0, 1)}[up]
    np.testing.assert_allclose(engine_from_stage(0.01, up) @ [*ahead, 1], [0, 0.01, 0, 1], atol=1e-12)
    assert np.linalg.det(engine_from_stage(0.01, up)[:3, :3]) == pytest.approx(1e-6)


def test_instances_in_instances_stand_where_usd_puts_them(tmp_path):
    write_plain(tmp_path / "plain.neuron")
    write_stage(tmp_path / "one.usda", f'def Xform "World"\n{{\n{asset_prim("a", matrix_op(SHEAR))}\n}}\n')
    pair = "".join(
        f'def Xform "p{n}" (instanceable = true\nprepend references = @./one.usda@)\n{{\n'
        f"{ops(('double3', 'translate', f'({n}, 0, 0)'), ('float', 'rotateY', str(30 * n)))}}}\n"
        for n in range(2)
    )
    write_stage(tmp_path / "pair.usda", f'def Xform "World"\n{{\n{pair}}}\n')
    grid = "".join(
        f'def Xform "q{n}" (instanceable = true\nprepend references = @./pair.usda@)\n{{\n'
        f"{ops(('double3', 'translate', f'(0, 0, {n})'), ('float3', 'scale', '(1, 2, 1)'))}}}\n"
        for n in range(3)
    )
    path = write_stage(tmp_path / "grid.usda", f'def Xform "World"\n{{\n{grid}}}\n')
    nodes = {node.path: node for node in read_stage(path).snapshot().assets}
    assert set(nodes) == {f"/World/q{q}/p{p}/a" for q in range(3) for p in range(2)}
    opened = Usd.Stage.Open(str(path))
    for name, node in nodes.items():
        expected = usd_matrix(opened, name, Usd.TimeCode.Default())
        np.testing.assert_allclose(node.world_from_asset, expected, atol=1e-9)


def instancer(body: str, prototypes: str) -> str:
    return f'def PointInstancer "many"\n{{\n{body}\n{prototypes}\n}}\n'


MANY = """
rel prototypes = [</World/many/protos/a>, </World/many/protos/b>]
int[] protoIndices = [0, 1, 0, 1]
point3f[] positions = [(0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 1, 0)]
quath[] orientations = [(1, 0, 0, 0), (0.7071, 0.7071, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0)]
float3[] scales = [(1, 1, 1), (2, 1, 1), (1, 3, 1), (1, 1, -1)]
double3 xformOp:translate = (0, 10, 0)
uniform token[] xformOpOrder = ["xformOp:translate"]
"""


def many_stage(tmp_path: Path, body: str = MANY) -> Path:
    write_plain(tmp_path / "plain.neuron")
    inner = nest(TRANSLATE, inner=matrix_op(SHEAR)).replace('"x0"', '"b"')
    protos = f'def Scope "protos"\n{{\n{asset_prim("a", TRANSLATE)}\n{inner}\n}}\n'
    return write_stage(tmp_path / "many.usda", f'def Xform "World"\n{{\n{instancer(body, protos)}}}\n')


def test_point_instances_stand_where_usd_puts_them(tmp_path):
    path = many_stage(tmp_path)
    nodes = {node.path: node for node in read_stage(path).snapshot().assets}
    stage = Usd.Stage.Open(str(path))
    many = UsdGeom.PointInstancer(stage.GetPrimAtPath("/World/many"))
    time = Usd.TimeCode.EarliestTime()
    placed = many.ComputeInstanceTransformsAtTime(time, time)
    outer = UsdGeom.Xformable(many).ComputeLocalToWorldTransform(time)
    inner, _ = UsdGeom.XformCache(time).ComputeRelativeTransform(
        stage.GetPrimAtPath("/World/many/protos/b/a"), stage.GetPrimAtPath("/World/many/protos/b")
    )
    assert set(nodes) == {"/World/many[0]", "/World/many[1]/a", "/World/many[2]", "/World/many[3]/a"}
    for index, name in ((0, "/World/many[0]"), (1, "/World/many[1]/a"), (3, "/World/many[3]/a")):
        local = inner * placed[index] if name.endswith("/a") else placed[index]
        np.testing.assert_allclose(nodes[name].world_from_asset, np.array(local * outer).T, atol=1e-6)


def test_hidden_point_instances_are_not_there(tmp_path):
    path = many_stage(tmp_path, f"{MANY}\nint64[] ids = [7, 8, 9, 10]\nint64[] invisibleIds = [8, 10]\n")
    assert [node.path for node in read_stage(path).snapshot().assets] == ["/World/many[0]", "/World/many[2]"]


def test_point_instancers_nest(tmp_path):
    write_plain(tmp_path / "plain.neuron")
    inner = instancer(
        "rel prototypes = [</World/many/protos/many/a>]\nint[] protoIndices = [0, 0]\n"
        "point3f[] positions = [(0, 1, 0), (0, 2, 0)]\n",
        asset_prim("a"),
    )
    outer = instancer(
        "rel prototypes = [</World/many/protos/many>]\nint[] protoIndices = [0, 0]\n"
        "point3f[] positions = [(10, 0, 0), (20, 0, 0)]\n",
        f'def Scope "protos"\n{{\n{inner}}}\n',
    )
    path = write_stage(tmp_path / "s.usda", f'def Xform "World"\n{{\n{outer}}}\n')
    places = {node.path: node.world_from_asset[:3, 3].tolist() for node in read_stage(path).snapshot().assets}
    assert places == {
        "/World/many[0][0]": [10, 1, 0],
        "/World/many[0][1]": [10, 2, 0],
        "/World/many[1][0]": [20, 1, 0],
        "/World/many[1][1]": [20, 2, 0],
    }


@pytest.mark.parametrize(
    ("broken", "left"),
    [
        (MANY.replace(", (3, 1, 0)]", "]"), 0),
        (MANY.replace("[0, 1, 0, 1]", "[0, 1, 0, 9]"), 0),
        (MANY.replace("</World/many/protos/b>", "</World/nowhere>"), 2),
    ],
    ids=["too few positions", "no such prototype", "a prototype that does not exist"],
)
def test_damaged_point_instancers_leave_the_rest(broken, left, tmp_path):
    path = many_stage(tmp_path, broken)
    with path.open("a") as file:
        file.write(asset_prim("whole"))
    snapshot = read_stage(path).snapshot()
    assert len(snapshot.assets) == left + 1
    assert "/World/many" in {problem.path for problem in snapshot.problems}
