"""Stages for look development hold what the engine would render: the same cameras, triangles, materials."""

from dataclasses import replace

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdShade

from neuron_core.cameras.camera import Camera
from neuron_core.cameras.dome import fibonacci_dome
from neuron_core.geometry.mesh import Geometry, MeshPart
from neuron_core.geometry.primitives import capsule, cube
from neuron_core.materials import Layer, Material, builtin_materials, evaluate
from neuron_core.materials.openpbr import INPUTS
from neuron_core.usd import SceneError, lookdev
from neuron_core.usd.records import engine_from_stage
from neuron_core.usd.stage import SceneStage

FRAMES = [(1.0, "Y"), (0.01, "Y"), (0.01, "Z")]


def new_stage(unit: float = 1.0, up: str = "Y") -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    UsdGeom.SetStageUpAxis(stage, up)
    return stage


def opened(stage: Usd.Stage, path) -> SceneStage:
    return SceneStage(stage, path / "memory.usda")


def part(name: str, shape: tuple[np.ndarray, ...], takes_material: bool) -> MeshPart:
    positions, faces, normals = shape
    return MeshPart(
        name,
        positions.astype(np.float32),
        faces.astype(np.int32),
        normals.astype(np.float32),
        takes_material,
    )


GEOMETRY = Geometry(
    (part("the ball", capsule(1.0, 0.3, 0.2, "Y"), True), part("foot", cube(0.5), False)),
    "test",
    (0.0, 0.0, 0.0),
    (),
)


def eyes() -> list[Camera]:
    """Cameras whose lenses are off center and whose pictures are not square."""
    around = fibonacci_dome(4, (0.0, 0.0, 0.0), 3.0, width=96, height=54)
    return [replace(camera, cx=camera.cx + 7.0, cy=camera.cy - 5.0) for camera in around]


@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_cameras_come_back_from_a_stage_of_any_frame(unit, up, tmp_path):
    stage = new_stage(unit, up)
    for camera, path in zip(eyes(), lookdev.add_cameras(stage, eyes()), strict=True):
        found = opened(stage, tmp_path).camera(path, camera.width, camera.height)
        np.testing.assert_allclose(found.c2w, camera.c2w, atol=1e-6)
        for name in ("fl_x", "fl_y", "cx", "cy"):
            assert getattr(found, name) == pytest.approx(getattr(camera, name), rel=1e-5), name


def test_many_cameras_on_one_prim_are_its_frames_from_one_on(tmp_path):
    stage = new_stage()
    lookdev.add_root(stage)
    lookdev.add_camera(stage, f"{lookdev.ROOT}/eye", eyes())
    for frame, camera in enumerate(eyes(), 1):
        found = opened(stage, tmp_path).camera(f"{lookdev.ROOT}/eye", 96, 54, float(frame))
        np.testing.assert_allclose(found.c2w, camera.c2w, atol=1e-6)


def test_cameras_that_are_moved_keep_their_view():
    for before, after in zip(eyes(), lookdev.moved_cameras(eyes(), (1.0, -2.0, 3.0)), strict=True):
        np.testing.assert_allclose(after.position - before.position, (1.0, -2.0, 3.0), atol=1e-12)
        np.testing.assert_array_equal(after.c2w[:3, :3], before.c2w[:3, :3])
        for name in ("name", "width", "height", "fl_x", "fl_y", "cx", "cy"):
            assert getattr(after, name) == getattr(before, name)


@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_triangles_stand_where_they_are_in_the_engine(unit, up, tmp_path):
    stage = new_stage(unit, up)
    lookdev.add_geometry(stage, GEOMETRY)
    nodes = opened(stage, tmp_path).snapshot().meshes
    assert len(nodes) == 2
    for node, wanted in zip(nodes, GEOMETRY.parts, strict=True):
        world = node.positions @ node.world_from_mesh[:3, :3].T + node.world_from_mesh[:3, 3]
        np.testing.assert_allclose(world, wanted.positions, atol=1e-6)
        np.testing.assert_array_equal(node.faces, wanted.faces)


def test_only_what_takes_the_material_is_offered_for_it_and_the_rest_is_gray():
    stage = new_stage()
    lookdev.add_geometry(stage, GEOMETRY)
    targets = lookdev.material_targets(GEOMETRY)
    assert targets == [f"{lookdev.GEOMETRY}/part_000_the_ball"]
    bound, _ = UsdShade.MaterialBindingAPI(
        stage.GetPrimAtPath(f"{lookdev.GEOMETRY}/part_001_foot")
    ).ComputeBoundMaterial()
    assert str(bound.GetPath()) == f"{lookdev.MATERIALS}/neutral"
    assert not UsdShade.MaterialBindingAPI(stage.GetPrimAtPath(targets[0])).ComputeBoundMaterial()[0]


@pytest.mark.parametrize("name", ["car-paint", "clear-glass", "rusted-iron"])
def test_a_surface_has_the_values_of_its_record_and_the_defaults_of_the_standard(name):
    material, stage = builtin_materials()[name], new_stage()
    path = lookdev.add_material(stage, material)
    shader = UsdShade.Shader(stage.GetPrimAtPath(f"{path}/surface"))
    authored = {one.GetBaseName(): one.Get() for one in shader.GetInputs()}
    assert authored.keys() == material.parameters.keys()
    for key, value in authored.items():
        np.testing.assert_allclose(np.array(value, float), material.value(key), rtol=1e-6)
    surface = UsdShade.Material(stage.GetPrimAtPath(path)).ComputeSurfaceSource("mtlx")[0]
    assert str(surface.GetPath()) == f"{path}/surface"


def test_what_varies_is_read_from_a_primvar_of_the_right_type():
    stage = new_stage()
    path = lookdev.add_material(stage, Material("m"), ("base_color", "specular_roughness"))
    shader = UsdShade.Shader(stage.GetPrimAtPath(f"{path}/surface"))
    for name, kind in (("base_color", "color3"), ("specular_roughness", "float")):
        (source,) = shader.GetInput(name).GetConnectedSources()[0]
        reader = UsdShade.Shader(source.source.GetPrim())
        assert reader.GetIdAttr().Get() == f"ND_geompropvalue_{kind}"
        assert reader.GetInput("geomprop").Get() == lookdev.primvar_of(name)


@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_layers_vary_over_the_vertices_as_over_points_of_the_object(unit, up):
    stage = new_stage(unit, up)
    lookdev.add_geometry(stage, GEOMETRY)
    towards = {"base_color": (1.0, 0.0, 0.0), "specular_roughness": 0.9}
    material = Material("m", {}, (Layer("noise", 1.0, 0.2, 5, towards),))
    targets = lookdev.material_targets(GEOMETRY)
    side = 2.0
    to_object = np.diag([1 / side, 1 / side, 1 / side, 1.0]) @ engine_from_stage(unit, up)
    assert lookdev.can_vary(stage, targets)
    assert lookdev.add_layers(stage, targets, material, to_object) == ("base_color", "specular_roughness")
    wanted = evaluate(material, GEOMETRY.parts[0].positions / np.float32(side))
    for name, values in wanted.items():
        primvar = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(targets[0])).GetPrimvar(lookdev.primvar_of(name))
        np.testing.assert_allclose(np.array(primvar.Get()), values, atol=2e-3, err_msg=name)
        assert primvar.GetInterpolation() == UsdGeom.Tokens.vertex
        assert (INPUTS[name].kind == "color") == (np.array(primvar.Get()).ndim == 2)


def test_only_meshes_of_their_own_can_vary():
    stage = new_stage()
    UsdGeom.Xform.Define(stage, "/none")
    UsdGeom.Sphere.Define(stage, "/solid")
    UsdGeom.Mesh.Define(stage, "/both/mesh")
    UsdGeom.Cube.Define(stage, "/both/cube")
    assert [lookdev.can_vary(stage, [path]) for path in ("/none", "/solid", "/both/mesh", "/both")] == [
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(("unit", "up"), FRAMES)
def test_bounds_are_those_of_the_prim_in_meters_around_their_middle(unit, up):
    stage = new_stage(unit, up)
    solid = UsdGeom.Cube.Define(stage, "/box")
    solid.AddTranslateOp().Set((3.0, 5.0, 7.0))
    solid.AddScaleOp().Set((1.0, 2.0, 4.0))
    bounds = lookdev.bounds_of(stage, "/box")
    frame = engine_from_stage(unit, up)
    np.testing.assert_allclose(bounds.center, (frame @ [3, 5, 7, 1])[:3], rtol=1e-6)
    half = np.abs(frame[:3, :3] @ [1, 2, 4])
    np.testing.assert_allclose(bounds.aabb(), np.stack([-half, half]), rtol=1e-5)


def test_a_prim_that_is_not_there_or_empty_has_no_bounds():
    stage = new_stage()
    UsdGeom.Xform.Define(stage, "/empty")
    for path, said in (("/lost", "no prim"), ("not a path", "no prim"), ("/empty", "no size")):
        with pytest.raises(SceneError, match=said):
            lookdev.bounds_of(stage, path)


def test_the_light_is_a_dome_that_names_its_picture():
    stage = new_stage()
    lookdev.add_light(stage, "./studio.exr")
    light = stage.GetPrimAtPath(lookdev.LIGHT)
    assert light.GetAttribute("inputs:texture:file").Get().path == "./studio.exr"
    assert light.GetAttribute("inputs:intensity").Get() == 1.0
