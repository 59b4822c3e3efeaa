"""USD geometry arrives as it stands in the world, in meters, Y up, centerd, or with a clear error."""

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from neuron_core.geometry import GeometryError, load_geometry
from neuron_core.geometry.usd import parse_geometry_spec, read_usd
from neuron_core.geometry.usd_scene import MOST_INSTANCES
from tests.core.geometry_laws import area, is_watertight, least_agreement, sorted_rows, volume

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
CUBE_FACES = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
BRICK = CUBE * [0.5, 1.0, 1.5]  # no symmetry between the axes


class Scene:
    """A stage that is written when it is loaded."""

    def __init__(self, folder, meters=1.0, up="Y"):
        self.path = folder / "scene.usda"
        self.stage = Usd.Stage.CreateNew(str(self.path))
        if meters is not None:
            UsdGeom.SetStageMetersPerUnit(self.stage, meters)
        UsdGeom.SetStageUpAxis(self.stage, up)

    def mesh(self, path="/mesh", points=BRICK, faces=CUBE_FACES, scheme="none", counts=None):
        mesh = UsdGeom.Mesh.Define(self.stage, path)
        mesh.CreatePointsAttr(np.asarray(points, dtype=np.float32).tolist())
        mesh.CreateFaceVertexCountsAttr([len(face) for face in faces] if counts is None else counts)
        mesh.CreateFaceVertexIndicesAttr([int(corner) for face in faces for corner in face])
        mesh.CreateSubdivisionSchemeAttr(scheme)
        return mesh

    def load(self, prim="", assign=()):
        self.stage.GetRootLayer().Save()
        return read_usd(f"{self.path}@{prim}" if prim else str(self.path), assign)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def move(prim, *, translate=None, rotate=None, scale=None):
    xform = UsdGeom.Xformable(prim)
    if translate is not None:
        xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*map(float, translate)))
    if rotate is not None:
        xform.AddRotateXYZOp().Set(Gf.Vec3f(*rotate))
    if scale is not None:
        xform.AddScaleOp().Set(Gf.Vec3f(*scale))
    return prim


def whole(geometry):
    """Positions, faces and normals of all parts as one."""
    offsets = np.cumsum([0] + [len(part.positions) for part in geometry.parts])
    return (
        np.concatenate([part.positions for part in geometry.parts]),
        np.concatenate([part.faces + n for part, n in zip(geometry.parts, offsets[:-1], strict=True)]),
        np.concatenate([part.normals for part in geometry.parts]),
    )


def same_surface(one, other):
    """Triangles with their normals agree, whatever the parts and the order are."""
    rows = []
    for geometry in (one, other):
        positions, faces, normals = whole(geometry)
        start = np.argmin(np.round(positions.astype(float), 4)[faces] @ [1.0, 1e2, 1e4], axis=1)
        turned = np.take_along_axis(faces, (start[:, None] + np.arange(3)) % 3, axis=1)
        rows.append(sorted_rows(positions[turned].reshape(-1, 9), normals[turned].reshape(-1, 9)))
    return rows[0].shape == rows[1].shape and np.allclose(rows[0], rows[1], atol=2e-5)


# --- which file, which prim ---


@pytest.mark.parametrize(
    "spec,expected",
    [
        ("a/b.usd", ("a/b.usd", "/")),
        ("a/b.usd@/x/y", ("a/b.usd", "/x/y")),
        ("me@home/b.usda", ("me@home/b.usda", "/")),
        ("me@home/b.usda@/x", ("me@home/b.usda", "/x")),
        ("b.usd@/", ("b.usd", "/")),
    ],
)
def test_a_spec_is_a_path_and_a_prim(spec, expected):
    path, prim = parse_geometry_spec(spec)
    assert (str(path), prim) == expected


@pytest.mark.parametrize("prim", ["mesh", "", "/a b", "/mesh.points", "//x", "/x{v=a}y"])
def test_what_is_no_prim_path_is_refused(scene, prim):
    scene.mesh()
    scene.load()
    with pytest.raises(GeometryError, match="not a prim path"):
        read_usd(f"{scene.path}@{prim}")


def test_load_geometry_reads_usd_files(scene):
    scene.mesh()
    scene.stage.GetRootLayer().Save()
    geometry = load_geometry(f"{scene.path}@/mesh")
    assert geometry.source == f"{scene.path}@/mesh"
    assert geometry.digest() == load_geometry(f"{scene.path}@/mesh").digest()
    assert [part.name for part in geometry.parts] == ["/mesh"]


# --- units, axes, transforms ---


def test_a_mesh_keeps_its_volume_is_closed_and_faces_outwards(scene):
    scene.mesh()
    geometry = scene.load()
    positions, faces, normals = whole(geometry)
    assert is_watertight(positions, faces)
    assert volume(positions, faces) == pytest.approx(6.0, rel=1e-6)
    assert least_agreement(positions, faces, normals) == pytest.approx(1.0, abs=1e-6)
    assert len(positions) == 24  # flat faces: corners are split
    np.testing.assert_allclose(geometry.aabb(), [[-0.5, -1, -1.5], [0.5, 1, 1.5]])


@pytest.mark.parametrize("meters,up", [(0.01, "Y"), (1.0, "Z"), (0.0254, "Z")])
def test_units_and_up_axis_make_a_round_trip(tmp_path, meters, up):
    """The same object, authored in other units and axes, is the same geometry."""
    plain, other = Scene(tmp_path), Scene(make(tmp_path / "other"), meters, up)
    points = BRICK + [3.0, 4.0, 5.0]
    plain.mesh(points=points)
    if up == "Z":
        points = np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)
    other.mesh(points=points / meters)
    assert same_surface(plain.load(), other.load())
    np.testing.assert_allclose(other.load().center, [3.0, 4.0, 5.0], rtol=1e-6)


def make(folder):
    folder.mkdir()
    return folder


def test_an_unauthored_unit_is_a_centimeter_and_said(tmp_path):
    scene = Scene(tmp_path, meters=None)
    scene.mesh()
    geometry = scene.load()
    np.testing.assert_allclose(np.ptp(geometry.aabb(), axis=0), [0.01, 0.02, 0.03], rtol=1e-5)
    assert any("metersPerUnit" in note for note in geometry.notes)


def test_transforms_of_all_ancestors_apply_and_reset_stacks_are_respected(scene):
    move(UsdGeom.Xform.Define(scene.stage, "/a"), translate=(10, 0, 0), scale=(2, 2, 2))
    move(UsdGeom.Xform.Define(scene.stage, "/a/b"), translate=(0, 5, 0))
    scene.mesh("/a/b/mesh")
    free = move(scene.mesh("/a/b/free"), translate=(0, 0, 7))
    free.SetResetXformStack(True)
    inside, outside = scene.load("/a/b/mesh"), scene.load("/a/b/free")
    np.testing.assert_allclose(inside.center, (10.0, 10.0, 0.0), atol=1e-12)
    assert volume(*whole(inside)[:2]) == pytest.approx(6.0 * 8.0, rel=1e-5)
    np.testing.assert_allclose(outside.center, (0.0, 0.0, 7.0), atol=1e-12)


@pytest.mark.parametrize("scheme", ["none", "catmullClark"])
@pytest.mark.parametrize("scale", [(-1, 1, 1), (-1, -1, 1), (-1, -2, -0.5), (1, 3, 0.2)])
@pytest.mark.parametrize("left_handed", [False, True])
def test_mirroring_and_handedness_keep_outside_outside(scene, scheme, scale, left_handed):
    faces = [face[::-1] for face in CUBE_FACES] if left_handed else CUBE_FACES
    mesh = move(scene.mesh(faces=faces, scheme=scheme), rotate=(20, 30, 40), scale=scale)
    mesh.CreateOrientationAttr("leftHanded" if left_handed else "rightHanded")
    positions, triangles, normals = whole(scene.load())
    assert volume(positions, triangles) > 0.0
    assert is_watertight(positions, triangles)
    assert least_agreement(positions, triangles, normals) > 0.5
    assert (np.einsum("vj,vj->v", positions, normals) > 0.0).all()


def test_normals_are_perpendicular_under_uneven_scale(scene):
    sphere = UsdGeom.Sphere.Define(scene.stage, "/sphere")
    move(sphere, scale=(1, 2, 4))
    positions, _, normals = whole(scene.load())
    gradients = positions / np.array([1.0, 2.0, 4.0]) ** 2
    gradients /= np.linalg.norm(gradients, axis=1, keepdims=True)
    np.testing.assert_allclose(normals, gradients, atol=2e-4)


def test_geometry_far_from_the_origin_keeps_its_shape(tmp_path):
    near, far = Scene(make(tmp_path / "near")), Scene(make(tmp_path / "far"))
    for scene, offset in ((near, 0.0), (far, 1e6)):
        move(scene.mesh(scheme="catmullClark"), translate=(offset, -offset, 2 * offset), rotate=(10, 20, 30))
    one, other = near.load(), far.load()
    np.testing.assert_allclose(whole(one)[0], whole(other)[0], atol=1e-7)
    np.testing.assert_array_equal(whole(one)[1], whole(other)[1])
    np.testing.assert_allclose(other.center, (1e6, -1e6, 2e6), atol=1e-6)


def test_a_squashed_mesh_has_the_normals_of_its_plane(scene):
    move(scene.mesh(), scale=(1, 0, 1))
    positions, faces, normals = whole(scene.load())
    assert area(positions, faces) == pytest.approx(2 * 3.0, rel=1e-6)
    np.testing.assert_allclose(np.abs(normals[:, 1]), 1.0)


# --- faces and normals ---


def test_concave_faces_keep_their_area(scene):
    comb = [(0, 0), (9, 0), (9, 4), (8, 4), (8, 1), (6, 1), (6, 4), (5, 4), (5, 1), (1, 1), (1, 4), (0, 4)]
    scene.mesh(points=[(x, 0, -y) for x, y in comb], faces=[range(len(comb))])
    positions, faces, normals = whole(scene.load())
    assert area(positions, faces) == pytest.approx(9 + 3 * 3, rel=1e-6)
    np.testing.assert_allclose(normals, np.broadcast_to([0, 1, 0], normals.shape), atol=1e-6)


def corner_directions():
    """One normal for each corner of CUBE_FACES, all different."""
    return unit(np.random.default_rng(0).normal(size=(24, 3)))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("primvar", [False, True])
@pytest.mark.parametrize("interpolation", ["vertex", "varying", "faceVarying", "uniform", "constant"])
def test_authored_normals_follow_their_interpolation(scene, interpolation, primvar):
    mesh = scene.mesh()
    corners = np.concatenate(CUBE_FACES)
    pick = {
        "vertex": corners,
        "varying": corners,
        "faceVarying": np.arange(24),
        "uniform": np.repeat(np.arange(6), 4),
        "constant": np.zeros(24, int),
    }[interpolation]
    values = corner_directions()[: pick.max() + 1]
    author_normals(mesh, values, interpolation, primvar)
    part = scene.load().parts[0]
    rows = np.concatenate([BRICK[corners], values[pick]], axis=1)
    expected = rows[np.unique(np.round(rows, 9), axis=0, return_index=True)[1]]
    assert len(part.positions) == len(expected)
    np.testing.assert_allclose(sorted_rows(part.positions, part.normals), sorted_rows(expected), atol=2e-5)


def author_normals(mesh, values, interpolation, primvar):
    if not primvar:
        mesh.CreateNormalsAttr(values.tolist())
        mesh.SetNormalsInterpolation(interpolation)
        return
    # Indexed, in reverse: what counts is the value behind the index. The plain attribute loses.
    mesh.CreateNormalsAttr([(1, 0, 0)] * 3)
    authored = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
        "normals", Sdf.ValueTypeNames.Normal3fArray, interpolation
    )
    authored.Set(values[::-1].tolist())
    authored.SetIndices(list(range(len(values)))[::-1])


def test_normals_follow_their_corners_when_the_orientation_is_left_handed(scene):
    mesh = scene.mesh(faces=[face[::-1] for face in CUBE_FACES])
    mesh.CreateOrientationAttr("leftHanded")
    flat = unit(np.array([BRICK[face].mean(axis=0) for face in CUBE_FACES]))
    author_normals(mesh, np.repeat(flat, 4, axis=0), "faceVarying", False)
    positions, faces, normals = whole(scene.load())
    assert least_agreement(positions, faces, normals) == pytest.approx(1.0, abs=1e-6)


def test_unusable_normals_fall_back_to_faces_and_are_noted(scene):
    author_normals(scene.mesh("/short"), np.ones((5, 3)), "vertex", False)
    values = corner_directions()
    values[3], values[7] = 0.0, np.nan
    author_normals(scene.mesh("/broken"), values, "faceVarying", False)
    geometry = scene.load()
    assert np.isfinite(whole(geometry)[2]).all()
    assert sum("/short" in note or "/broken" in note for note in geometry.notes) == 2


def test_flat_faces_without_normals_are_said(scene):
    scene.mesh("/plain")
    assert any("flat" in note and "/plain" in note for note in scene.load().notes)


def test_degenerate_faces_are_removed_and_noted(scene):
    points = np.vstack([BRICK, [[5, 5, 5], [6, 6, 6], [7, 7, 7]]])
    scene.mesh(points=points, faces=[*CUBE_FACES, [0, 0, 1], [2, 2, 2, 2], [8, 9, 10]])
    geometry = scene.load()
    assert len(geometry.parts[0].faces) == 12
    assert len(geometry.parts[0].positions) == 24
    assert any("fewer than three" in note for note in geometry.notes)
    assert any("without area" in note for note in geometry.notes)


def test_loop_surfaces_are_smooth_shaded_and_said_not_to_be_subdivided(scene):
    triangles = [part for face in CUBE_FACES for part in (face[:3], [face[0], face[2], face[3]])]
    scene.mesh(points=CUBE, faces=triangles, scheme="loop")
    geometry = scene.load()
    positions, faces, normals = whole(geometry)
    assert len(positions) == 8 and volume(positions, faces) == pytest.approx(8.0)
    assert any("Loop" in note for note in geometry.notes)


def test_bilinear_surfaces_are_their_polygons(tmp_path):
    polygons, bilinear = Scene(make(tmp_path / "a")), Scene(make(tmp_path / "b"))
    polygons.mesh()
    bilinear.mesh(scheme="bilinear")
    assert same_surface(polygons.load(), bilinear.load())


def test_face_sets_are_noted(scene):
    mesh = scene.mesh()
    UsdGeom.Subset.CreateGeomSubset(mesh, "half", "face", [0, 1, 2])
    assert any("GeomSubset" in note for note in scene.load().notes)


# --- subdivision surfaces ---


def test_a_mesh_without_a_scheme_is_a_catmull_clark_surface(scene):
    scene.mesh(points=CUBE).GetPrim().RemoveProperty("subdivisionScheme")
    positions, faces, normals = whole(scene.load())
    assert is_watertight(positions, faces)
    np.testing.assert_allclose(positions.max(axis=0), [68.0 / 81.0] * 3, rtol=1e-6)
    corner = np.linalg.norm(positions - 0.5, axis=1).argmin()
    np.testing.assert_allclose(positions[corner], 0.5, atol=1e-6)
    np.testing.assert_allclose(normals[corner], 1 / np.sqrt(3.0), atol=1e-6)
    assert least_agreement(positions, faces, normals) > 0.995


@pytest.mark.parametrize("per_edge", [False, True])
def test_crease_chains_corners_and_holes_are_read(scene, per_edge):
    """A cube whose top and bottom rims are sharp and whose top is a hole: an open round can."""
    mesh = scene.mesh(points=CUBE, scheme="catmullClark")
    mesh.CreateCreaseIndicesAttr([2, 3, 7, 6, 2, 0, 1, 5, 4, 0])
    mesh.CreateCreaseLengthsAttr([5, 5])
    mesh.CreateCreaseSharpnessesAttr([10.0] * (8 if per_edge else 2))
    mesh.CreateHoleIndicesAttr([3])
    positions, faces, normals = whole(scene.load())
    assert not is_watertight(positions, faces)
    np.testing.assert_allclose([positions[:, 1].min(), positions[:, 1].max()], [-1, 1], atol=1e-6)
    assert not (normals[:, 1] > 0.99).any()  # the lid is missing
    bottom = normals[:, 1] < -0.999999
    np.testing.assert_allclose(positions[bottom, 1], -1.0, atol=1e-6)


def test_sharp_corners_stay_where_they_are(scene):
    mesh = scene.mesh(points=CUBE, scheme="catmullClark")
    mesh.CreateCornerIndicesAttr([7])
    mesh.CreateCornerSharpnessesAttr([10.0])
    geometry = scene.load()
    world = whole(geometry)[0] + np.array(geometry.center)
    assert np.linalg.norm(world - 1.0, axis=1).min() < 1e-6


def test_creases_that_do_not_fit_are_noted(scene):
    mesh = scene.mesh(scheme="catmullClark")
    mesh.CreateCreaseIndicesAttr([0, 1, 3])
    mesh.CreateCreaseLengthsAttr([2])
    mesh.CreateCreaseSharpnessesAttr([1.0])
    assert any("crease" in note for note in scene.load().notes)


def test_subdivision_stays_in_its_budget(scene):
    for row in range(9):
        move(
            scene.mesh(f"/m{row}", points=BRICK * (row + 1), scheme="catmullClark"), translate=(9 * row, 0, 0)
        )
    sizes = [len(part.faces) for part in scene.load().parts]
    assert sum(sizes) <= 500_000
    assert sizes == sorted(sizes)  # larger objects are at least as fine


# --- instances ---


def test_native_instances_equal_copies(tmp_path):
    instanced, copied = Scene(make(tmp_path / "i")), Scene(make(tmp_path / "c"))
    instanced.stage.CreateClassPrim("/proto")
    move(instanced.mesh("/proto/brick"), translate=(0, 1, 0))
    for index, spot in enumerate([(0, 0, 0), (4, 0, 0), (0, 0, 9)]):
        xform = move(UsdGeom.Xform.Define(instanced.stage, f"/i{index}"), translate=spot, rotate=(0, 30, 0))
        xform.GetPrim().GetReferences().AddInternalReference("/proto")
        xform.GetPrim().SetInstanceable(True)
        move(UsdGeom.Xform.Define(copied.stage, f"/i{index}"), translate=spot, rotate=(0, 30, 0))
        move(copied.mesh(f"/i{index}/brick"), translate=(0, 1, 0))
    one, other = instanced.load(), copied.load()
    assert [part.name for part in one.parts] == [f"/i{index}/brick" for index in range(3)]
    assert one.digest() == other.digest()
    picked = instanced.load("/i1/brick")
    np.testing.assert_allclose(picked.center, (4, 1, 0), atol=1e-12)


def point_instancer(scene, positions, path="/scatter", prototype="/scatter/proto/brick"):
    instancer = UsdGeom.PointInstancer.Define(scene.stage, path)
    instancer.CreatePositionsAttr([Gf.Vec3f(*position) for position in positions])
    instancer.CreateProtoIndicesAttr([0] * len(positions))
    instancer.CreatePrototypesRel().SetTargets([prototype])
    return instancer


def test_point_instances_equal_copies_and_prototypes_are_not_drawn_by_themselves(tmp_path):
    instanced, copied = Scene(make(tmp_path / "i")), Scene(make(tmp_path / "c"))
    spots = [(0, 0, 0), (4, 0, 0), (0, 0, 9), (50, 0, 0), (60, 0, 0)]
    instancer = point_instancer(instanced, spots)
    half = np.float16(np.sqrt(0.5))
    turned = Gf.Quath(float(half), 0, float(half), 0)
    instancer.CreateOrientationsAttr([turned] * 5)
    instancer.CreateScalesAttr([(1, 2, 1), (1, 1, 1), (-1, 1, 1), (1, 1, 1), (1, 1, 1)])
    instancer.CreateIdsAttr([10, 11, 12, 13, 14])
    instancer.CreateInvisibleIdsAttr([13])
    instancer.GetPrim().SetMetadata("inactiveIds", Sdf.Int64ListOp.CreateExplicit([14]))
    move(instancer, translate=(0, 100, 0))
    move(instanced.mesh("/scatter/proto/brick"), translate=(0, 1, 0))
    for index, (spot, scale) in enumerate(zip(spots[:3], [(1, 2, 1), (1, 1, 1), (-1, 1, 1)], strict=True)):
        parent = UsdGeom.Xform.Define(copied.stage, f"/c{index}")
        move(parent, translate=np.add(spot, (0, 100, 0)), rotate=(0, 90, 0), scale=scale)
        move(copied.mesh(f"/c{index}/brick"), translate=(0, 1, 0))
    one, other = instanced.load(), copied.load()
    np.testing.assert_allclose(one.center, other.center, atol=1e-3)
    assert volume(*whole(one)[:2]) == pytest.approx(6.0 * 4.0, rel=1e-3)
    assert len(one.parts) == 1 and len(one.parts[0].faces) == 36
    np.testing.assert_allclose(one.aabb(), other.aabb(), atol=2e-3)


def test_nested_point_instancers_multiply(scene):
    point_instancer(scene, [(0, 0, 0), (0, 0, 20)], "/outer", "/outer/inner")
    point_instancer(scene, [(0, 0, 0), (5, 0, 0), (10, 0, 0)], "/outer/inner", "/outer/inner/brick")
    scene.mesh("/outer/inner/brick")
    geometry = scene.load()
    assert volume(*whole(geometry)[:2]) == pytest.approx(6 * 6.0, rel=1e-5)
    np.testing.assert_allclose(np.ptp(geometry.aabb(), axis=0), [11, 2, 23], rtol=1e-6)


def test_prototypes_elsewhere_may_be_overs_and_are_found_by_the_instancer_name(scene):
    scene.mesh("/library/brick")
    scene.stage.GetPrimAtPath("/library").SetSpecifier(Sdf.SpecifierOver)
    point_instancer(scene, [(0, 0, 0), (5, 0, 0)], "/scatter", "/library/brick")
    scene.mesh("/other", points=BRICK + [0, 9, 0])
    geometry = scene.load(assign=["scatter"])
    assert [part.takes_material for part in geometry.parts] == [True, False]
    assert len(geometry.parts[0].faces) == 24


def test_a_prototype_that_is_listed_twice_is_one_part(scene):
    instancer = point_instancer(scene, [(0, 0, 0), (5, 0, 0), (9, 0, 0)])
    instancer.GetProtoIndicesAttr().Set([0, 1, 1])
    instancer.GetPrototypesRel().SetTargets(["/scatter/proto", "/scatter/proto/brick"])
    scene.mesh("/scatter/proto/brick")
    geometry = scene.load()
    assert [part.name for part in geometry.parts] == ["/scatter/proto/brick"]
    assert len(geometry.parts[0].faces) == 36


def test_too_many_instances_are_an_error(scene):
    scene.mesh("/scatter/proto/brick")
    point_instancer(scene, np.zeros((MOST_INSTANCES + 1, 3)).tolist())
    with pytest.raises(GeometryError, match=str(MOST_INSTANCES)):
        scene.load()


def test_instances_of_missing_prototypes_are_noted(scene):
    scene.mesh()
    point_instancer(scene, [(0, 0, 0)], "/scatter", "/nowhere")
    geometry = scene.load()
    assert len(geometry.parts) == 1
    assert any("/nowhere" in note for note in geometry.notes)


# --- what is drawn ---


def test_hidden_proxies_guides_and_inactive_prims_are_left_out(scene):
    scene.mesh("/shown")
    UsdGeom.Imageable(scene.mesh("/render")).CreatePurposeAttr("render")
    for purpose in ("proxy", "guide"):
        UsdGeom.Imageable(UsdGeom.Xform.Define(scene.stage, f"/{purpose}")).CreatePurposeAttr(purpose)
        scene.mesh(f"/{purpose}/mesh")
    UsdGeom.Imageable(UsdGeom.Xform.Define(scene.stage, "/hidden")).CreateVisibilityAttr("invisible")
    scene.mesh("/hidden/mesh")
    scene.mesh("/off").GetPrim().SetActive(False)
    scene.stage.OverridePrim("/abstract")
    geometry = scene.load()
    assert [part.name for part in geometry.parts] == ["/shown", "/render"]
    assert any("purpose guide" in note for note in geometry.notes)
    assert any("invisible" in note for note in geometry.notes)
    assert [part.name for part in scene.load("/proxy").parts] == ["/proxy/mesh"]  # asked for by name
    with pytest.raises(GeometryError, match="no mesh") as error:
        scene.load("/hidden/mesh")
    assert "invisible" in error.value.hint


def test_the_authored_variant_is_drawn(scene):
    prim = UsdGeom.Xform.Define(scene.stage, "/ball").GetPrim()
    variants = prim.GetVariantSets().AddVariantSet("size")
    for name, factor in (("small", 1.0), ("large", 3.0)):
        variants.AddVariant(name)
        variants.SetVariantSelection(name)
        with variants.GetVariantEditContext():
            scene.mesh("/ball/mesh", points=BRICK * factor)
    for name, height in (("small", 2.0), ("large", 6.0)):
        variants.SetVariantSelection(name)
        assert np.ptp(scene.load().aabb(), axis=0)[1] == pytest.approx(height)


def test_animation_is_read_at_its_earliest_time(scene):
    mesh = scene.mesh()
    for frame in (1010, 1001, 1020):
        mesh.GetPointsAttr().Set((BRICK * (frame - 1000)).tolist(), frame)
    translate = UsdGeom.Xformable(mesh).AddTranslateOp()
    translate.Set(Gf.Vec3d(7, 0, 0), 1001)
    translate.Set(Gf.Vec3d(9, 0, 0), 1002)
    geometry = scene.load()
    np.testing.assert_allclose(geometry.center, (7, 0, 0), atol=1e-6)
    np.testing.assert_allclose(np.ptp(geometry.aabb(), axis=0), [1, 2, 3], rtol=1e-6)
    assert sum("Animated" in note for note in geometry.notes) == 2


def test_missing_references_payloads_and_unknown_formats_are_survived_quietly(scene, tmp_path, capfd):
    (tmp_path / "look.mtlx").write_text('<?xml version="1.0"?><materialx version="1.39"/>')
    scene.mesh("/ball/mesh")
    scene.stage.DefinePrim("/ball/a").GetReferences().AddReference("gone.usda")
    scene.stage.DefinePrim("/ball/b").GetPayloads().AddPayload("lost.usdc")
    scene.stage.DefinePrim("/ball/c").GetReferences().AddReference("look.mtlx", "/MaterialX")
    scene.stage.GetRootLayer().Save()
    capfd.readouterr()
    geometry = read_usd(str(scene.path))
    assert len(geometry.parts) == 1
    assert capfd.readouterr() == ("", "")
    assert all(name in " ".join(geometry.notes) for name in ("gone.usda", "lost.usdc", "look.mtlx"))


def test_a_scene_that_is_empty_because_of_a_missing_file_says_so(scene):
    scene.stage.DefinePrim("/ball").GetReferences().AddReference("gone.usda")
    for prim in ("", "/ball/mesh"):
        with pytest.raises(GeometryError) as error:
            scene.load(prim)
        assert "gone.usda" in error.value.hint


# --- solids ---


@pytest.mark.parametrize("axis", ["X", "Y", "Z"])
@pytest.mark.parametrize(
    "schema,sizes,expected",
    [
        ("Cube", {"size": 3.0}, 27.0),
        ("Sphere", {"radius": 2.0}, 32.0 / 3.0 * np.pi),
        ("Cylinder", {"radius": 2.0, "height": 5.0}, 20.0 * np.pi),
        ("Cylinder_1", {"radiusTop": 1.0, "radiusBottom": 2.0, "height": 3.0}, 7.0 * np.pi),
        ("Cone", {"radius": 2.0, "height": 3.0}, 4.0 * np.pi),
        ("Capsule", {"radius": 1.0, "height": 3.0}, (3.0 + 4.0 / 3.0) * np.pi),
        ("Capsule_1", {"radiusTop": 1.0, "radiusBottom": 1.0, "height": 3.0}, (3.0 + 4.0 / 3.0) * np.pi),
        ("Capsule_1", {"radiusTop": 0.5, "radiusBottom": 2.0, "height": 1.0}, 32.0 / 3.0 * np.pi),
    ],
)
def test_solids_have_their_volume(scene, schema, sizes, expected, axis):
    prim = getattr(UsdGeom, schema).Define(scene.stage, "/solid").GetPrim()
    for name, value in sizes.items():
        prim.GetAttribute(name).Set(value)
    if prim.HasAttribute("axis"):
        prim.GetAttribute("axis").Set(axis)
    positions, faces, normals = whole(scene.load())
    assert is_watertight(positions, faces)
    assert volume(positions, faces) == pytest.approx(expected, rel=2e-3)
    assert least_agreement(positions, faces, normals) > 0.99


@pytest.mark.parametrize("axis", ["X", "Y", "Z"])
@pytest.mark.parametrize("schema", ["Cone", "Cylinder", "Capsule", "Plane"])
def test_solids_lie_where_usd_says_they_do(scene, schema, axis):
    prim = getattr(UsdGeom, schema).Define(scene.stage, "/solid").GetPrim()
    prim.GetAttribute("axis").Set(axis)
    for name, value in {"radius": 0.3, "height": 5.0, "width": 2.0, "length": 3.0}.items():
        if prim.HasAttribute(name):
            prim.GetAttribute(name).Set(value)
    extent = np.array(
        UsdGeom.Boundable.ComputeExtentFromPlugins(UsdGeom.Boundable(prim), Usd.TimeCode.Default())
    )
    geometry = scene.load()
    np.testing.assert_allclose(geometry.aabb() + np.float32(geometry.center), extent, atol=1e-3)


def test_the_tapered_capsule_is_smooth(scene):
    """Its caps meet the side without an edge: every position has one normal."""
    capsule = UsdGeom.Capsule_1.Define(scene.stage, "/solid").GetPrim()
    for name, value in {"radiusTop": 0.5, "radiusBottom": 1.0, "height": 2.0}.items():
        capsule.GetAttribute(name).Set(value)
    positions, faces, normals = whole(scene.load())
    for position in positions[::40]:
        there = normals[np.linalg.norm(positions - position, axis=1) < 1e-6]
        assert (there @ there[0]).min() > 1.0 - 1e-6


def test_a_cone_points_along_its_axis(scene):
    UsdGeom.Cone.Define(scene.stage, "/solid").CreateAxisAttr("Y")
    positions, _, _ = whole(scene.load())
    top = positions[positions[:, 1] > positions[:, 1].max() - 1e-6]
    np.testing.assert_allclose(top[:, [0, 2]], 0.0, atol=1e-6)


def test_curves_and_points_are_skipped_and_named(scene):
    scene.mesh()
    UsdGeom.BasisCurves.Define(scene.stage, "/hair")
    UsdGeom.Points.Define(scene.stage, "/dust")
    notes = " ".join(scene.load().notes)
    assert "/hair" in notes and "/dust" in notes


# --- assign ---


@pytest.mark.parametrize(
    "assign,taken",
    [
        ([], ["a", "b", "c"]),
        (["/set/left"], ["a", "b"]),
        (["left"], ["a", "b"]),
        (["left/b", "c"], ["b", "c"]),
        (["/set"], ["a", "b", "c"]),
    ],
)
def test_assigned_prims_take_the_material_with_all_below(scene, assign, taken):
    for index, path in enumerate(["/set/left/a", "/set/left/b", "/set/right/c"]):
        scene.mesh(path, points=BRICK + [9.0 * index, 0, 0])
    geometry = scene.load(assign=assign)
    assert [part.name.rsplit("/", 1)[-1] for part in geometry.parts if part.takes_material] == taken
    assert len(geometry.parts) == 3


def test_unknown_assignments_list_what_there_is(scene):
    scene.mesh("/set/shell")
    scene.mesh("/set/base")
    with pytest.raises(GeometryError, match="'shel'") as error:
        scene.load(assign=["shel"])
    assert error.value.hint.index("/set/shell") < error.value.hint.index("/set/base")


# --- errors ---


def assert_error(error, *words):
    assert error.value.kind == "geometry"
    assert error.value.message.endswith(".")
    for word in words:
        assert word in f"{error.value.message} {error.value.hint}"


def test_files_that_cannot_be_read_are_named(tmp_path, capfd):
    (tmp_path / "text.usda").write_text('#usda 1.0\ndef Mesh "a" {{{')
    (tmp_path / "binary.usd").write_bytes(b"PXR-USDC" + bytes(90))
    (tmp_path / "noise.usdc").write_bytes(bytes(range(256)))
    (tmp_path / "archive.usdz").write_bytes(b"PK not a zip")
    (tmp_path / "empty.usda").write_bytes(b"")
    (tmp_path / "model.obj").write_text("v 0 0 0")
    (tmp_path / "folder.usd").mkdir()
    for name in ("text.usda", "binary.usd", "noise.usdc", "archive.usdz", "empty.usda"):
        with pytest.raises(GeometryError, match="cannot be read as USD") as error:
            read_usd(str(tmp_path / name))
        assert_error(error, name)
    for name, words in (("model.obj", "not a USD file"), ("folder.usd", "folder"), ("gone.usd", "no file")):
        with pytest.raises(GeometryError, match=words) as error:
            read_usd(str(tmp_path / name))
        assert_error(error, name)
    assert capfd.readouterr() == ("", "")


def test_an_unknown_prim_lists_near_ones(scene):
    scene.mesh("/set/shader_ball/shell")
    scene.mesh("/other")
    with pytest.raises(GeometryError, match="no prim /set/shaderball/shell") as error:
        scene.load("/set/shaderball/shell")
    assert_error(error, "/set/shader_ball/shell")


def test_prims_without_meshes_say_so(scene):
    UsdGeom.Xform.Define(scene.stage, "/group")
    scene.mesh("/empty", points=[], faces=[])
    for prim in ("/group", "/empty", ""):
        with pytest.raises(GeometryError, match="no mesh"):
            scene.load(prim)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scheme", ["none", "catmullClark"])
def test_points_that_are_no_numbers_are_named(scene, bad, scheme):
    points = BRICK.copy()
    points[5, 1] = bad
    scene.mesh("/set/broken", points=points, scheme=scheme)
    with pytest.raises(GeometryError, match="/set/broken: point 5") as error:
        scene.load()
    assert_error(error)


@pytest.mark.parametrize("corner", [-1, 8, 2**31 - 1])
def test_indices_out_of_range_are_named(scene, corner):
    scene.mesh("/broken", faces=[[0, 1, 3, corner]])
    with pytest.raises(GeometryError, match=rf"/broken: faceVertexIndices\[3\] is {corner}") as error:
        scene.load()
    assert_error(error)


@pytest.mark.parametrize("counts", [[4] * 5, [4] * 7, [-4, 28], [2**31 - 1]])
def test_face_counts_that_do_not_sum_are_named(scene, counts):
    scene.mesh("/broken", counts=counts)
    with pytest.raises(GeometryError, match="/broken: faceVertexCounts") as error:
        scene.load()
    assert_error(error)


@pytest.mark.parametrize("factor", [0.0, 1e-9, 1e9, 1e30])
@pytest.mark.parametrize("scheme", ["none", "catmullClark"])
def test_sizes_that_nobody_means_are_refused(scene, factor, scheme):
    scene.mesh(points=BRICK * factor, scheme=scheme)
    with pytest.raises(GeometryError) as error:
        scene.load()
    assert_error(error)


def test_flat_nothing_is_refused(scene):
    scene.mesh("/line", points=[(0, 0, 0), (1, 1, 1), (2, 2, 2)], faces=[[0, 1, 2]])
    scene.mesh("/line2", points=[(0, 0, 0), (1, 1, 1), (2, 2, 2)], faces=[[0, 1, 2]], scheme="catmullClark")
    with pytest.raises(GeometryError, match="no mesh"):
        scene.load()


def test_broken_transforms_are_refused(scene):
    move(scene.mesh("/mesh"), translate=(float("nan"), 0, 0))
    with pytest.raises(GeometryError, match="/mesh"):
        scene.load()


def test_broken_solids_are_refused(scene):
    UsdGeom.Sphere.Define(scene.stage, "/ball").CreateRadiusAttr(float("inf"))
    with pytest.raises(GeometryError, match="/ball: radius is inf"):
        scene.load()


@pytest.mark.parametrize("meters", [0.0, -1.0])
def test_units_that_cannot_be_are_refused(tmp_path, meters):
    scene = Scene(tmp_path, meters=meters)
    scene.mesh()
    with pytest.raises(GeometryError, match="metersPerUnit"):
        scene.load()
