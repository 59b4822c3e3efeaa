"""The shader ball LOP and the stages for Karma: opened with usd-core, compared with the engine's own."""

from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdLux, UsdRender, UsdShade

from neuron_core.geometry import load_geometry
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.groundtruth.plan import make_plan
from neuron_core.images.exr import read_exr
from neuron_core.images.plain_exr import write_plain_exr
from neuron_core.lights.studio import studio_environment
from neuron_core.materials import read_library
from neuron_core.materials.builtin import builtin_materials
from neuron_core.materials.procedural import evaluate
from neuron_core.usd import karma_settings, lookdev
from neuron_core.usd.cameras import camera_paths, read_camera
from neuron_core.usd.components import set_frame
from tests.houdini.published_hou import node_of

SMALL = {"views": 3, "val_views": 1, "test_views": 1, "resolution": 24}
BOX = """#usda 1.0
(
    metersPerUnit = 1
    upAxis = "Y"
    defaultPrim = "Box"
)
def Cube "Box"
{
    double size = 2
}
"""


def cooked(tmp_path, stage=None, **values):
    from neuron_houdini.nodes.lops import shaderball

    inner = node_of("shaderball")
    hda = node_of("shaderball", **{**SMALL, "folder": str(tmp_path / "light"), **values})
    inner._stage = stage or Usd.Stage.CreateInMemory()
    if stage is None:
        set_frame(inner._stage)
    shaderball.cook(inner, hda)
    return inner._stage, hda


def box_file(tmp_path):
    path = tmp_path / "box.usda"
    path.write_text(BOX)
    return path


def plan_of(spec):
    config = DatasetConfig(out=spec, geometry=str(spec), surface_views=0, **SMALL)
    return make_plan(config, load_geometry(str(spec), ()), read_library("builtin").materials)


def test_cameras_are_those_of_the_engine(hou, tmp_path):
    spec = box_file(tmp_path)
    stage, _ = cooked(tmp_path, source="file", geometry=str(spec))
    for camera in plan_of(spec).cameras:
        found = read_camera(stage, f"{lookdev.CAMERAS}/{camera.name}", 24, 24, Usd.TimeCode.Default())
        np.testing.assert_allclose(found.c2w, camera.c2w, atol=1e-6)
        for name in ("fl_x", "fl_y", "cx", "cy"):
            assert getattr(found, name) == pytest.approx(getattr(camera, name), rel=1e-6)


def test_the_object_has_the_triangles_of_the_engine(hou, tmp_path):
    stage, _ = cooked(tmp_path)
    parts = load_geometry("shaderball", ()).parts
    meshes = [UsdGeom.Mesh(prim) for prim in stage.GetPrimAtPath(lookdev.GEOMETRY).GetChildren()]
    assert len(meshes) == len(parts)
    for mesh, part in zip(meshes, parts, strict=True):
        np.testing.assert_array_equal(np.array(mesh.GetPointsAttr().Get()), part.positions)
        indices = np.array(mesh.GetFaceVertexIndicesAttr().Get())
        np.testing.assert_array_equal(indices.reshape(-1, 3), part.faces)
        np.testing.assert_array_equal(np.array(mesh.GetNormalsAttr().Get()), part.normals)


def test_the_light_is_the_studio_and_hidden_from_cameras(hou, tmp_path):
    stage, _ = cooked(tmp_path, source="file", geometry=str(box_file(tmp_path)))
    light = UsdLux.DomeLight(stage.GetPrimAtPath(lookdev.LIGHT))
    assert light.GetPrim().GetAttribute("karma:light:renderlightgeo").Get() is False
    assert light.GetTextureFormatAttr().Get() == UsdLux.Tokens.latlong
    channels = read_exr(Path(light.GetTextureFileAttr().Get().path))
    image = np.stack([channels[name] for name in "RGB"], axis=-1)
    np.testing.assert_array_equal(image, studio_environment())


def test_a_light_that_is_there_is_not_written_again(hou, tmp_path):
    spec = str(box_file(tmp_path))
    cooked(tmp_path, source="file", geometry=spec)
    (file,) = (tmp_path / "light").iterdir()
    before = file.stat().st_mtime_ns
    cooked(tmp_path, source="file", geometry=spec)
    assert [path.stat().st_mtime_ns for path in (tmp_path / "light").iterdir()] == [before]


@pytest.mark.parametrize("name", sorted(builtin_materials()))
def test_a_material_is_the_record_as_openpbr(name):
    material = builtin_materials()[name]
    stage = Usd.Stage.CreateInMemory()
    path = lookdev.add_material(stage, material)
    prim = UsdShade.Material(stage.GetPrimAtPath(path))
    source = prim.GetSurfaceOutput("mtlx").GetConnectedSources()[0][0].source
    shader = UsdShade.Shader(source.GetPrim())
    assert shader.GetIdAttr().Get() == "ND_open_pbr_surface_surfaceshader"
    values = {item.GetBaseName(): item.Get() for item in shader.GetInputs()}
    assert set(values) == set(material.parameters)
    for key, value in material.parameters.items():
        np.testing.assert_allclose(values[key], value, rtol=1e-6)


def test_the_material_that_is_picked_is_bound_over_all_else(hou, tmp_path):
    spec = str(box_file(tmp_path))
    stage, hda = cooked(tmp_path, source="file", geometry=spec, material="rusted-iron")
    (mesh,) = stage.GetPrimAtPath(lookdev.GEOMETRY).GetChildren()
    bound, _ = UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()
    assert bound.GetPath() == f"{lookdev.MATERIALS}/rusted_iron"


def test_what_varies_is_on_the_vertices_and_read_by_the_surface(hou, tmp_path):
    spec = str(box_file(tmp_path))
    stage, _ = cooked(tmp_path, source="file", geometry=spec, material="rusted-iron")
    material = builtin_materials()["rusted-iron"]
    (mesh,) = stage.GetPrimAtPath(lookdev.GEOMETRY).GetChildren()
    expected = evaluate(material, load_geometry(spec, ()).parts[0].positions / np.float32(2.0))
    assert expected
    surface = UsdShade.Shader(stage.GetPrimAtPath(f"{lookdev.MATERIALS}/rusted_iron/surface"))
    for name, values in expected.items():
        primvar = UsdGeom.PrimvarsAPI(mesh).GetPrimvar(lookdev.primvar_of(name))
        assert primvar.GetInterpolation() == UsdGeom.Tokens.vertex
        np.testing.assert_allclose(np.array(primvar.Get()), values, atol=1e-6)
        reader = UsdShade.Shader(surface.GetInput(name).GetConnectedSources()[0][0].source.GetPrim())
        kind = "float" if values.ndim == 1 else "color3"
        assert reader.GetIdAttr().Get() == f"ND_geompropvalue_{kind}"
        assert reader.GetInput("geomprop").Get() == lookdev.primvar_of(name)


@pytest.mark.parametrize(("unit", "up"), [(1.0, "Y"), (0.01, "Z")])
def test_patterns_are_the_same_wherever_the_object_stands(hou, tmp_path, unit, up):
    from neuron_houdini.nodes.lops.shaderball import object_from_stage

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    UsdGeom.SetStageUpAxis(stage, up)
    mesh = UsdGeom.Mesh.Define(stage, "/mesh")
    corners = np.array([[3, 4, 5], [5, 4, 5], [5, 6, 5], [3, 6, 6.5]])
    mesh.CreatePointsAttr([tuple(map(float, corner / unit)) for corner in corners])
    bounds = lookdev.bounds_of(stage, "/mesh")
    matrix = object_from_stage(stage, bounds)
    placed = (corners / unit) @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(placed.max(axis=0) + placed.min(axis=0), 0.0, atol=1e-6)
    assert np.ptp(placed, axis=0).max() == pytest.approx(1.0)


def test_what_is_no_mesh_shows_a_material_even_and_says_so(hou, tmp_path):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Cube.Define(stage, "/World/box")
    stage, hda = cooked(tmp_path, stage, source="input", primpath="/World/box", material="rusted-iron")
    assert "even" in hda.made["messages"][0]
    surface = UsdShade.Shader(stage.GetPrimAtPath(f"{lookdev.MATERIALS}/rusted_iron/surface"))
    assert not any(item.HasConnectedSource() for item in surface.GetInputs())


def test_parts_that_take_no_material_are_gray(hou, tmp_path):
    stage, _ = cooked(tmp_path)
    parts = load_geometry("shaderball", ()).parts
    for prim, part in zip(stage.GetPrimAtPath(lookdev.GEOMETRY).GetChildren(), parts, strict=True):
        bound, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        assert (bound.GetPath().name == "neutral") == (not part.takes_material)


def test_menus_name_the_materials_of_the_library(hou):
    from neuron_houdini.nodes.lops import shaderball

    names = [name for name in builtin_materials() for _ in range(2)]
    assert shaderball.material_menu(node_of("shaderball")) == names
    assert shaderball.material_menu(node_of("shaderball", materials="nothing.json")) == []


@pytest.mark.parametrize(("unit", "up"), [(1.0, "Y"), (0.01, "Z")])
def test_what_stands_on_the_incoming_stage_is_looked_at_from_all_sides(hou, tmp_path, unit, up):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    UsdGeom.SetStageUpAxis(stage, up)
    cube = UsdGeom.Cube.Define(stage, "/World/box")
    cube.CreateSizeAttr(2.0 / unit)
    UsdGeom.Xformable(cube).AddTranslateOp().Set((3 / unit, 4 / unit, 5 / unit))
    cooked(tmp_path, stage, source="input", primpath="/World/box")
    center = np.array([3.0, 4.0, 5.0]) if up == "Y" else np.array([3.0, 5.0, -4.0])
    paths = [path for path in camera_paths(stage) if path.startswith(lookdev.CAMERAS)]
    assert len(paths) == 5
    for path in paths:
        camera = read_camera(stage, path, 24, 24, Usd.TimeCode.Default())
        away = center - camera.position
        assert camera.forward @ away / np.linalg.norm(away) > 1 - 1e-9
        assert 3.0 < np.linalg.norm(away) < 10.0
    bound, _ = UsdShade.MaterialBindingAPI(cube.GetPrim()).ComputeBoundMaterial()
    assert bound


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": "input", "primpath": "/nothing"}, "no prim"),
        ({"source": "file", "geometry": "none.usd"}, "none.usd"),
        ({"materials": "no-such-material"}, "no-such-material"),
        ({"material": "nothing"}, "nothing"),
        ({"views": 0}, "views"),
    ],
)
def test_what_cannot_be_is_a_node_error(hou, tmp_path, values, message):
    spec = str(box_file(tmp_path))
    with pytest.raises(hou.NodeError, match=message):
        cooked(tmp_path, **{"source": "file", "geometry": spec, **values})


# --- settings for Karma ---


@pytest.mark.parametrize("kind", [karma_settings.BEAUTY, karma_settings.GBUFFER])
def test_settings_products_and_variables_hang_together(kind):
    stage = Usd.Stage.CreateInMemory()
    lookdev.add_root(stage)
    path = karma_settings.add_settings(stage, "/neuron/cam", (64, 32), kind, "out.$F4.exr")
    settings = UsdRender.Settings(stage.GetPrimAtPath(path))
    assert settings.GetResolutionAttr().Get() == (64, 32)
    assert settings.GetCameraRel().GetTargets() == [Sdf.Path("/neuron/cam")]
    (target,) = settings.GetProductsRel().GetTargets()
    product = UsdRender.Product(stage.GetPrimAtPath(target))
    assert product.GetProductNameAttr().Get() == "out.$F4.exr"
    assert product.GetProductTypeAttr().Get() == "raster"
    names = []
    for path in product.GetOrderedVarsRel().GetTargets():
        variable = UsdRender.Var(stage.GetPrimAtPath(path))
        assert variable and variable.GetSourceTypeAttr().Get() == "raw"
        prim = variable.GetPrim()
        aov = {key: prim.GetAttribute(f"driver:parameters:aov:{key}").Get() for key in ("name", "format")}
        names.append(aov["name"])
        assert aov["format"] == variable.GetDataTypeAttr().Get()
    expected = {karma_settings.BEAUTY: ["C"], karma_settings.GBUFFER: ["C", "P", "N", "depth", "shape_id"]}
    assert names == expected[kind]


def test_sources_are_the_published_ones():
    sources = {one.name: one.source for one in karma_settings.VARS[karma_settings.GBUFFER]}
    assert sources == {
        "C": "C",
        "P": "ray:hitP",
        "N": "ray:hitN",
        "depth": "ray:hitdist",
        "shape_id": "ray:objectid",
    }


def test_pictures_without_compression_are_read_by_others(tmp_path):
    image = np.random.default_rng(0).normal(size=(7, 5, 3)).astype(np.float32)
    write_plain_exr(tmp_path / "a.exr", image)
    channels = read_exr(tmp_path / "a.exr")
    np.testing.assert_array_equal(np.stack([channels[name] for name in "RGB"], axis=-1), image)


def test_a_camera_of_many_frames_is_each_of_them_in_turn(hou, tmp_path):
    plan = plan_of(box_file(tmp_path))
    stage = Usd.Stage.CreateInMemory()
    set_frame(stage)
    lookdev.add_camera(stage, "/camera", plan.cameras)
    for frame, camera in enumerate(plan.cameras, 1):
        found = read_camera(stage, "/camera", 24, 24, Usd.TimeCode(frame))
        np.testing.assert_allclose(found.c2w, camera.c2w, atol=1e-6)
    assert UsdGeom.Camera(stage.GetPrimAtPath("/camera")).GetShutterCloseAttr().Get() == 0.0
