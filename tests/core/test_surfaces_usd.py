"""Meshes and points as USD: what is written is read back, with its levels and materials."""

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdShade, Vt

from neuron_core.foundation.colors import linear_to_srgb
from neuron_core.images.pictures import to_bytes
from neuron_core.materials.record import Material
from neuron_core.surfaces.baking import FLAT, ShadedMesh
from neuron_core.surfaces.materials import TEXTURED
from neuron_core.surfaces.mesh import Mesh, SurfaceError
from neuron_core.surfaces.points import PointCloud
from neuron_core.surfaces.usd import textures_of, write_mesh, write_points
from neuron_core.surfaces.usd_reading import GRAY, read_mesh, read_points
from tests.core.mesh_samples import box, sheet

open_stages: list[Usd.Stage] = []  # prims live no longer than their stage
RECORD = Material("brass", {"base_color": (0.6, 0.4, 0.1), "specular_roughness": 0.3, "base_metalness": 1.0})


@pytest.fixture(autouse=True)
def closed_stages():
    yield
    open_stages.clear()


def opened(path) -> Usd.Stage:
    open_stages.append(Usd.Stage.Open(str(path)))
    return open_stages[-1]


def fresh() -> Usd.Stage:
    open_stages.append(Usd.Stage.CreateInMemory())
    return open_stages[-1]


def painted(mesh: Mesh, side: int = 0, seed: int = 0) -> ShadedMesh:
    """A mesh with random colors at its vertices and, for a side, random textures."""
    random = np.random.default_rng(seed)
    colors = random.random((len(mesh.points), 3)).astype(np.float32)
    everywhere = np.ones(len(mesh.points), bool)
    if not side:
        return ShadedMesh(mesh, mesh.normals(), colors, everywhere)
    shapes = {"color": (3,), "normal": (3,), "base_color": (3,), "roughness": (), "metalness": ()}
    textures = {name: random.integers(0, 256, (side, side, *rest), np.uint8) for name, rest in shapes.items()}
    uvs = random.random((len(mesh.faces), 3, 2)).astype(np.float32)
    return ShadedMesh(mesh, mesh.normals(), colors, everywhere, uvs, textures)


def mesh_prim(path, level: str = "", shading: str = "") -> UsdGeom.Mesh:
    stage = opened(path)
    root = stage.GetDefaultPrim()
    for name, choice in (("lod", level), ("shading", shading)):
        if choice:
            assert root.GetVariantSet(name).SetVariantSelection(choice)
    return UsdGeom.Mesh(stage.GetPrimAtPath(root.GetPath().AppendPath("geo/mesh")))


def shader_of(mesh: UsdGeom.Mesh, context: str = "") -> UsdShade.Shader:
    return UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()[0].ComputeSurfaceSource(context)[0]


def source_of(shader: UsdShade.Shader, name: str) -> UsdShade.Shader:
    """What drives an input."""
    return UsdShade.Shader(shader.GetInput(name).GetConnectedSources()[0][0].source.GetPrim())


@pytest.mark.parametrize("ending", ["usda", "usdc", "usdz"])
@pytest.mark.parametrize("side", [0, 16])
def test_a_mesh_that_was_written_is_read_back(ending, side, tmp_path):
    body = painted(box((1.0, 2.0, 0.5), (3.0, 0.0, -1.0)), side)
    write_mesh(tmp_path / f"a.{ending}", [body], None, {"prompt": "brass"})
    found = read_mesh(mesh_prim(tmp_path / f"a.{ending}"))
    np.testing.assert_array_equal(found.mesh.points, body.mesh.points)
    np.testing.assert_array_equal(found.mesh.faces, body.mesh.faces)
    np.testing.assert_array_equal(found.colors, body.colors)
    assert (found.texture is None, found.uvs is None) == (side == 0, side == 0)
    if side:
        np.testing.assert_array_equal(found.texture, body.textures["color"])
        np.testing.assert_array_equal(found.uvs, body.uvs)
    assert textures_of(tmp_path / f"a.{ending}").exists() == (side > 0 and ending != "usdz")


def test_levels_are_variants_from_fine_to_coarse_with_textures_of_their_own(tmp_path):
    bodies = [painted(sheet(4, 4), 16, 1), painted(sheet(2, 2), 8, 2), painted(sheet(1, 1), 4, 3)]
    write_mesh(tmp_path / "a.usda", bodies, None, {})
    assert len(read_mesh(mesh_prim(tmp_path / "a.usda")).mesh.faces) == 32  # the finest one without asking
    for level, body in enumerate(bodies):
        found = read_mesh(mesh_prim(tmp_path / "a.usda", f"lod{level}"))
        np.testing.assert_array_equal(found.mesh.points, body.mesh.points)
        np.testing.assert_array_equal(found.texture, body.textures["color"])


def test_the_extent_and_the_notes_are_those_of_the_mesh(tmp_path):
    write_mesh(
        tmp_path / "a.usda", [painted(box((1.0, 2.0, 3.0), (-1.0, 0.5, 0.0)))], None, {"digest": "abc"}
    )
    prim = mesh_prim(tmp_path / "a.usda")
    np.testing.assert_allclose(prim.GetExtentAttr().Get(), [(-1, 0.5, 0), (0, 2.5, 3)])
    root = prim.GetPrim().GetStage().GetDefaultPrim()
    assert root.GetCustomDataByKey("neuron:digest") == "abc"
    assert Usd.ModelAPI(root).GetKind() == "component"


def test_baked_colors_are_emitted_and_take_no_light(tmp_path):
    for side, kind in ((0, "UsdPrimvarReader_float3"), (8, "UsdUVTexture")):
        path = tmp_path / f"a{side}.usda"
        write_mesh(path, [painted(box(), side)], None, {})
        preview = shader_of(mesh_prim(path))
        assert preview.GetInput("diffuseColor").Get() == preview.GetInput("specularColor").Get() == (0, 0, 0)
        assert source_of(preview, "emissiveColor").GetIdAttr().Get() == kind
        openpbr = shader_of(mesh_prim(path), "mtlx")
        assert [openpbr.GetInput(name).Get() for name in ("base_weight", "specular_weight")] == [0.0, 0.0]
        assert openpbr.GetInput("emission_luminance").Get() == 1.0


def test_lit_materials_have_the_constants_of_the_record_and_textures_for_what_varies(tmp_path):
    write_mesh(tmp_path / "a.usda", [painted(box(), 8)], RECORD, {})
    prim = mesh_prim(tmp_path / "a.usda", shading="lit")
    preview, openpbr = shader_of(prim), shader_of(prim, "mtlx")
    for name, picture in (
        ("diffuseColor", "base_color"),
        ("roughness", "roughness"),
        ("metallic", "metalness"),
    ):
        file = source_of(preview, name).GetInput("file").Get()
        assert file.path.endswith(f"/{picture}.lod0.png") and file.resolvedPath
        space = source_of(preview, name).GetInput("sourceColorSpace").Get()
        assert space == ("sRGB" if picture == "base_color" else "raw")
    for name in TEXTURED:
        assert openpbr.GetInput(name).HasConnectedSource()
    assert shader_of(mesh_prim(tmp_path / "a.usda", shading="baked")).GetPath() != preview.GetPath()


def test_only_a_mesh_with_textures_and_a_record_can_be_lit(tmp_path):
    write_mesh(tmp_path / "plain.usda", [painted(box())], RECORD, {})
    write_mesh(tmp_path / "textured.usda", [painted(box(), 8)], None, {})
    for name in ("plain", "textured"):
        root = opened(tmp_path / f"{name}.usda").GetDefaultPrim()
        assert list(root.GetVariantSet("shading").GetVariantNames()) == ["baked"]


def test_a_flat_normal_map_is_the_normal():
    decoded = np.array(FLAT) / 255.0 * (2, 2, 2) + (-1, -1, -1)  # scale and bias of the texture reader
    np.testing.assert_allclose(decoded, [0, 0, 1], atol=0.005)


def test_points_that_were_written_are_read_back(tmp_path):
    random = np.random.default_rng(4)
    normals = random.normal(size=(50, 3)).astype(np.float32)
    cloud = PointCloud(
        random.random((50, 3), np.float32),
        normals / np.linalg.norm(normals, axis=1, keepdims=True),
        random.random((50, 3), np.float32),
        random.random(50, np.float32),
    )
    write_points(tmp_path / "p.usdc", cloud, {"look": "gold"})
    stage = opened(tmp_path / "p.usdc")
    found = read_points(UsdGeom.Points(stage.GetPrimAtPath("/p/geo/points")))
    for name in PointCloud.__slots__:
        np.testing.assert_array_equal(getattr(found, name), getattr(cloud, name))
    assert stage.GetDefaultPrim().GetCustomDataByKey("neuron:look") == "gold"
    low, high = stage.GetPrimAtPath("/p/geo/points").GetAttribute("extent").Get()
    assert (np.array(low) <= cloud.positions.min(axis=0)).all()
    assert (np.array(high) >= cloud.positions.max(axis=0)).all()


def test_no_points_are_refused(tmp_path):
    empty = np.zeros((0, 3), np.float32)
    with pytest.raises(SurfaceError, match="no points"):
        write_points(tmp_path / "p.usda", PointCloud(empty, empty, empty, np.zeros(0, np.float32)), {})
    assert not list(tmp_path.iterdir())


def in_memory(points, counts, indices) -> UsdGeom.Mesh:
    prim = UsdGeom.Mesh.Define(fresh(), "/m")
    prim.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.asarray(points, np.float32)))
    prim.CreateFaceVertexCountsAttr(Vt.IntArray(counts))
    prim.CreateFaceVertexIndicesAttr(Vt.IntArray(indices))
    return prim


def test_a_mesh_is_read_in_the_world_of_its_stage():
    mesh = box()
    prim = in_memory(mesh.points, [3] * 12, mesh.faces.ravel().tolist())
    UsdGeom.Xformable(prim).AddTranslateOp().Set((1.0, 2.0, 3.0))
    UsdGeom.Xformable(prim).AddScaleOp().Set((2.0, 1.0, 1.0))
    np.testing.assert_allclose(read_mesh(prim).mesh.points, mesh.points * (2, 1, 1) + (1, 2, 3))


@pytest.mark.parametrize(
    ("points", "counts", "indices", "message"),
    [
        (np.zeros((4, 3)), [4], [0, 1, 2, 3], "triangle"),
        (np.zeros((3, 3)), [], [], "triangle"),
        (np.zeros((3, 3)), [3], [0, 1], "triangle"),
        (np.zeros((3, 3)), [3], [0, 1, 3], "faces without points"),
        (np.zeros((3, 3)), [3], [0, 1, -1], "faces without points"),
        (np.full((3, 3), np.nan), [3], [0, 1, 2], "not finite"),
    ],
)
def test_meshes_that_cannot_be_drawn_are_refused(points, counts, indices, message):
    with pytest.raises(SurfaceError, match=message):
        read_mesh(in_memory(points, counts, indices))


def test_points_without_widths_or_normals_are_refused():
    prim = UsdGeom.Points.Define(fresh(), "/p")
    prim.CreatePointsAttr([(0, 0, 0), (1, 0, 0)])
    prim.CreateWidthsAttr([0.1])
    with pytest.raises(SurfaceError, match="without widths or normals"):
        read_points(prim)


def test_a_mesh_without_colors_is_gray_and_one_color_is_for_all():
    prim = in_memory(box().points, [3] * 12, box().faces.ravel().tolist())
    np.testing.assert_array_equal(read_mesh(prim).colors, np.float32(GRAY))
    prim.CreateDisplayColorAttr([(0.1, 0.2, 0.3)])
    np.testing.assert_allclose(read_mesh(prim).colors, np.tile([0.1, 0.2, 0.3], (8, 1)), rtol=1e-6)


def test_a_texture_that_is_not_there_leaves_the_colors_of_the_vertices(tmp_path):
    body = painted(box(), 8)
    write_mesh(tmp_path / "a.usda", [body], None, {})
    (textures_of(tmp_path / "a.usda") / "color.lod0.png").unlink()
    found = read_mesh(mesh_prim(tmp_path / "a.usda"))
    assert found.texture is None and found.uvs is None
    np.testing.assert_array_equal(found.colors, body.colors)


def test_textures_keep_the_colors_they_encode_to_half_a_step():
    linear = np.linspace(0.0, 1.0, 400, dtype=np.float32)[:, None]
    stored = to_bytes(linear_to_srgb(linear))
    assert np.abs(stored / 255.0 - linear_to_srgb(linear)).max() <= 0.5 / 255 + 1e-6


def test_a_package_holds_its_layer_and_textures_and_nothing_is_left_beside_it(tmp_path):
    write_mesh(tmp_path / "a.usdz", [painted(box(), 8)], RECORD, {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.usdz"]
    package = Sdf.Layer.FindOrOpen(str(tmp_path / "a.usdz"))
    assert package is not None and package.defaultPrim == "a"
