"""The schema: generated from its source, known to USD, and not needed by hosts that do not know it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pxr import Sdf, Usd, UsdGeom

from neuron_core.usd import schema
from neuron_core.usd.schema_files import GENERATED, generate
from tests.core.scene_samples import define_asset, publish_ball, write_plain

SCALE = (2.0, 3.0, 4.0)


def run(code: str, plugins: str = "") -> object:
    """What code prints as JSON, in a process that knows no plug-ins but those."""
    environment = {key: value for key, value in os.environ.items() if key != "PXR_PLUGINPATH_NAME"}
    if plugins:
        environment["PXR_PLUGINPATH_NAME"] = plugins
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_committed_files_are_what_usd_generates():
    pytest.importorskip("jinja2")
    assert generate(schema.FOLDER / "schema.usda") == {
        name: (schema.FOLDER / name).read_text(encoding="utf-8") for name in GENERATED
    }


def test_importing_the_scene_registers_the_schema():
    schema.register()  # again is harmless
    assert schema.is_known()
    stage = Usd.Stage.CreateInMemory()
    prim = define_asset(stage, "/a", "x.neuron")
    assert prim.HasAPI(schema.NAME) and schema.is_asset(prim)


def test_attributes_have_the_types_of_the_schema():
    definition = Usd.SchemaRegistry().FindAppliedAPIPrimDefinition(schema.NAME)
    assert set(definition.GetPropertyNames()) == set(schema.TYPES)
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim("/a")
    schema.apply(prim)
    for name, value_type in schema.TYPES.items():
        spec = definition.GetSchemaAttributeSpec(name)
        assert spec.typeName == value_type
        assert (spec.variability == Sdf.VariabilityUniform) == (name in schema.UNIFORM)
        assert not prim.GetAttribute(name).IsCustom()


def test_applying_twice_is_applying_once():
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim("/a")
    schema.apply(prim)
    text = stage.GetRootLayer().ExportToString()
    schema.apply(prim)
    assert stage.GetRootLayer().ExportToString() == text


def test_the_plug_in_path_alone_is_enough():
    code = (
        "import json; from pxr import Usd\n"
        "print(json.dumps(Usd.SchemaRegistry().FindAppliedAPIPrimDefinition('NeuronAssetAPI') is not None))"
    )
    assert run(code, str(schema.FOLDER)) is True
    assert run(code) is False


SEEN = """
import json
from pxr import Usd, UsdGeom
stage = Usd.Stage.Open({path!r})
cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), ['default', 'render', 'proxy'], useExtentsHint={hint})
prims = {{}}
for p in stage.Traverse(Usd.TraverseInstanceProxies()):
    if p.IsA(UsdGeom.Imageable):
        matrix = UsdGeom.Imageable(p).ComputeLocalToWorldTransform(0)
        prims[str(p.GetPath())] = [str(p.GetTypeName()), [list(row) for row in matrix]]
box = cache.ComputeWorldBound(stage.GetPrimAtPath('/shot/ball')).ComputeAlignedRange()
known = Usd.SchemaRegistry().FindAppliedAPIPrimDefinition('NeuronAssetAPI') is not None
print(json.dumps({{'prims': prims, 'box': [list(box.GetMin()), list(box.GetMax())], 'known': known}}))
"""


@pytest.mark.parametrize("representation", ["mesh", "proxy", "box"])
def test_without_the_plug_in_transforms_and_stand_ins_are_the_same(representation, tmp_path):
    publish_ball(tmp_path, tmp_path / "lib")
    stage = Usd.Stage.CreateNew(str(tmp_path / "shot.usda"))
    UsdGeom.Xform.Define(stage, "/shot")
    ball = UsdGeom.Xform.Define(stage, "/shot/ball")
    ball.GetPrim().GetReferences().AddReference("./lib/ball/ball.usd")
    ball.GetPrim().GetVariantSet("representation").SetVariantSelection(representation)
    ball.AddTranslateOp().Set((5, 0, 0))
    ball.AddScaleOp().Set(SCALE)
    stage.GetRootLayer().Save()
    path = str(tmp_path / "shot.usda")
    with_it = run(SEEN.format(path=path, hint=False), str(schema.FOLDER))
    without = run(SEEN.format(path=path, hint=False))
    assert isinstance(with_it, dict) and isinstance(without, dict)
    assert (with_it.pop("known"), without.pop("known")) == (True, False)
    assert without == with_it
    assert without["prims"]["/shot/ball"][1] == [[2, 0, 0, 0], [0, 3, 0, 0], [0, 0, 4, 0], [5, 0, 0, 1]]
    meshes = [name for name, (kind, _) in without["prims"].items() if kind == "Mesh"]
    assert "/shot/ball/geo/proxy/hull" in meshes
    assert ("/shot/ball/geo/render/mesh" in meshes) == (representation == "mesh")
    hinted = run(SEEN.format(path=path, hint=True))
    assert isinstance(hinted, dict)
    low, high = hinted["box"]
    assert low[0] < 5 - 2 * 0.28 and high[0] > 5 + 2 * 0.28 and abs(high[1] - 3 * 0.6) < 0.1


def test_stages_read_the_same_where_usd_does_not_know_the_schema(tmp_path):
    """As in a host whose USD read its plug-ins before we were imported."""
    write_plain(tmp_path / "plain.neuron")
    stage = Usd.Stage.CreateNew(str(tmp_path / "s.usda"))
    define_asset(stage, "/a", "./plain.neuron")
    stage.GetRootLayer().Save()
    code = (
        "import json; from pxr import Usd; Usd.SchemaRegistry().FindConcretePrimDefinition('Xform')\n"
        "from pathlib import Path; from neuron_core.usd import read_stage, schema\n"
        f"nodes = read_stage(Path({str(tmp_path / 's.usda')!r})).snapshot().assets\n"
        "stage = Usd.Stage.CreateInMemory(); prim = stage.DefinePrim('/b'); schema.apply(prim)\n"
        "print(json.dumps([[n.path, n.look] for n in nodes] + [schema.is_asset(prim)]))"
    )
    root = Path(schema.__file__).parents[2]
    done = run(f"import sys; sys.path.insert(0, {str(root)!r})\n{code}")
    assert done == [["/a", "copper_worn"], True]
