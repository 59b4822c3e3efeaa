"""Meshes and points: closed where the field is, in its place, in the colors that it shows."""

from dataclasses import replace

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdShade, UsdValidation

from neuron_core.delivery.config import ExportConfig
from neuron_core.foundation.colors import srgb_to_linear
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.progress import Silent
from neuron_core.images.pictures import decode_image
from neuron_core.kernels.grids.isosurface import triangles
from neuron_core.surfaces.atlas import Atlas, atlas_for, tangents, under
from neuron_core.surfaces.baking import shaded, textured
from neuron_core.surfaces.mesh import Mesh, SurfaceError, decimated, filled_grid, parts, surface_of
from neuron_core.surfaces.points import in_dense, points_on
from neuron_core.surfaces.sampling import SurfaceSampler, filled, record_of, recorded
from neuron_core.surfaces.usd import textures_of, write_mesh
from neuron_core.tasks.export.run import run
from neuron_core.voxels.baked import read_baked
from neuron_core.voxels.nvf import Nvf, find_active
from tests.core.baked_samples import CENTER, RADIUS, ball, write_ball

VOLUME = 4 / 3 * np.pi * RADIUS**3  # where the distance is zero; densities begin a tenth of a voxel outside


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("surfaces") / "ball.neuron", ("white-ceramic", "worn-copper"))


@pytest.fixture(scope="module")
def baked(asset):
    return read_baked(asset)


@pytest.fixture(scope="module")
def mesh(baked):
    return surface_of(baked.nvf)


@pytest.fixture(scope="module")
def sampler(baked):
    return SurfaceSampler(baked, baked.slugs()[0])


def shell(thickness: float) -> Nvf:
    """The ball as bakes store it: nothing deeper than some voxels below the surface."""
    nvf = ball()
    ramp = nvf.density * nvf.voxel_size / 30
    nvf.density[ramp > thickness] = 0.0
    return replace(nvf, active=find_active(nvf.top, nvf.density))


def test_the_surface_of_a_ball_is_a_closed_ball_in_its_place(mesh, baked):
    assert mesh.is_watertight() and parts(mesh).max() == 0
    radii = np.linalg.norm(mesh.points - CENTER, axis=1)
    np.testing.assert_allclose(radii, RADIUS, atol=0.2 * baked.nvf.voxel_size)
    assert mesh.volume() == pytest.approx(VOLUME, rel=0.04)  # positive: counter-clockwise from outside


def test_normals_point_away_from_the_middle(mesh):
    away = (mesh.points - CENTER) / np.linalg.norm(mesh.points - CENTER, axis=1, keepdims=True)
    assert (mesh.normals() * away).sum(axis=1).min() > 0.98


def test_a_thin_shell_is_filled_so_that_only_its_outside_is_left():
    hollow = surface_of(shell(1.5))
    assert parts(hollow).max() == 0 and hollow.is_watertight()
    assert hollow.volume() == pytest.approx(VOLUME, rel=0.04)


def test_a_hole_in_what_nobody_sees_does_not_open_the_inside():
    nvf = shell(1.5)
    bottom = nvf.density.copy()
    grid = filled_grid(nvf)
    bottom.reshape(-1)[nvf.active[::97]] *= 0  # specks that were never learned
    specked = replace(nvf, density=bottom, active=find_active(nvf.top, bottom))
    assert surface_of(specked).volume() == pytest.approx(VOLUME, rel=0.05)
    assert grid[tuple(side // 2 for side in grid.shape)] > 0


def test_densities_without_a_sign_show_no_hollow():
    nvf = ball()
    density = np.where(nvf.density * nvf.voxel_size / 30 > 1.5, 0.0, np.maximum(nvf.density, 0.0))
    only = replace(nvf, density=density, active=find_active(nvf.top, density))
    assert surface_of(only).volume() == pytest.approx(VOLUME, rel=0.2)


def test_a_field_without_density_has_no_surface():
    nvf = ball()
    with pytest.raises(SurfaceError, match="no surface"):
        surface_of(replace(nvf, density=np.zeros_like(nvf.density), active=np.zeros(0, np.int32)))


def test_marching_cubes_cross_edges_where_interpolation_does():
    values = np.zeros((3, 3, 3), np.float32)
    values[1, 1, 1] = 4.0
    points, faces = triangles(values, 1.0)
    assert len(points) == 6 and len(faces) == 8
    np.testing.assert_allclose(np.abs(points - 1).sum(axis=1), 0.75, atol=1e-6)


def test_a_decimated_mesh_is_smaller_closed_and_alike(mesh):
    small = decimated(mesh, len(mesh.faces) // 4)
    assert len(small.faces) <= len(mesh.faces) // 4 + 2 and small.is_watertight()
    assert small.volume() == pytest.approx(mesh.volume(), rel=0.01)
    assert decimated(mesh, len(mesh.faces)) is mesh


def test_every_corner_lies_in_texels_of_its_own_triangle():
    atlas = Atlas(side=64, tile=9, triangles=13)
    places, owners, weights = atlas.texels()
    assert len(np.unique(places)) == len(places)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    owner_at = np.full(64 * 64, -1)
    owner_at[places] = owners
    corners = atlas.uvs() * 64
    corners[..., 1] = 64 - corners[..., 1]
    random = np.random.default_rng(0)
    inside = random.dirichlet((1, 1, 1), (13, 50))
    spots = np.einsum("fpk,fkc->fpc", inside, corners) - 0.5
    for across, down in ((0, 0), (1, 0), (0, 1), (1, 1)):  # the four texels of linear interpolation
        cells = np.floor(spots).astype(int) + (across, down)
        assert (owner_at[cells[..., 1] * 64 + cells[..., 0]] == np.arange(13)[:, None]).all()


def test_a_texture_read_at_uvs_gives_back_what_lies_there(mesh):
    small = decimated(mesh, 300)
    atlas = atlas_for(small, 256)
    places, owners, weights = atlas.texels()
    flat = np.zeros((256 * 256, 3))
    flat[places] = under(small, small.points, owners, weights)
    corners = atlas.uvs().reshape(-1, 2) * 256
    rows, columns = (256 - corners[:, 1]).astype(int), corners[:, 0].astype(int)
    read = flat[rows * 256 + columns].reshape(-1, 3, 3)
    np.testing.assert_allclose(read, small.corners(), atol=1e-6)
    with pytest.raises(SurfaceError, match="do not fit"):
        atlas_for(small, 32)


def test_tangents_follow_u(mesh):
    small = decimated(mesh, 300)
    uvs = atlas_for(small, 256).uvs()
    frames = tangents(small, uvs)
    a, b, c = small.corners().transpose(1, 0, 2)
    u, v = (uvs[:, k] - uvs[:, 0] for k in (1, 2))
    solved = np.linalg.solve(np.stack([u, v], axis=1).astype(float), np.stack([b - a, c - a], axis=1))
    along = solved[:, 0] / np.linalg.norm(solved[:, 0], axis=1, keepdims=True)
    np.testing.assert_allclose(frames[:, :3], along, atol=1e-4)


def test_gaps_take_the_mean_of_their_neighbors():
    faces = np.array([[0, 1, 2], [1, 3, 2]], np.int32)
    values = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9]])
    found = filled(values, np.array([True, True, True, False]), faces)
    np.testing.assert_allclose(found[3], [0, 0.5, 0.5])


def test_a_texture_shows_what_the_field_shows(mesh, sampler, baked):
    record = record_of(baked, baked.slugs()[0])
    assert record is not None and record.name == "white-ceramic"
    body = textured(shaded(decimated(mesh, 800), sampler), sampler, 256, record)
    places, owners, weights = atlas_for(body.mesh, 256).texels()
    inside = (weights > 0.1).all(axis=1)
    points = under(body.mesh, body.mesh.points, owners[inside], weights[inside])
    away = (points - CENTER) / np.linalg.norm(points - CENTER, axis=1, keepdims=True)
    seen = sampler.sample(points, away.astype(np.float32))
    stored = srgb_to_linear(body.textures["color"].reshape(-1, 3)[places[inside]] / 255.0)
    assert np.abs(np.clip(seen.colors, 0, 1) - stored)[seen.found].mean() < 0.02
    color = recorded(record, points, float(np.ptp(body.mesh.points, axis=0).max()))["base_color"]
    kept = srgb_to_linear(body.textures["base_color"].reshape(-1, 3)[places[inside]] / 255.0)
    np.testing.assert_allclose(kept, color, atol=6e-3)
    assert body.textures["normal"].reshape(-1, 3)[places, 2].min() > 180


def test_points_lie_on_the_surface_in_the_densest_voxels_with_its_colors(mesh, sampler, baked):
    cloud = points_on(mesh, baked.nvf, sampler, 400)
    assert 200 < len(cloud) <= 400
    assert in_dense(baked.nvf, cloud.positions).all()
    np.testing.assert_allclose(
        np.linalg.norm(cloud.positions - CENTER, axis=1), RADIUS, atol=0.3 * baked.nvf.voxel_size
    )
    again = sampler.sample(cloud.positions, cloud.normals)
    assert again.found.all()
    assert np.abs(again.colors - cloud.colors).max() < 1 / 255 + 0.01 * np.abs(cloud.colors).max()
    nearest = np.linalg.norm(cloud.positions[:, None] - cloud.positions[None], axis=-1) + np.eye(len(cloud))
    assert np.median(nearest.min(axis=1)) < cloud.widths[0] < 4 * np.median(nearest.min(axis=1))


def findings(path) -> list[str]:
    """What USD's validators find, but for MaterialX shaders, which the wheel does not know."""
    registry = UsdValidation.ValidationRegistry()
    context = UsdValidation.ValidationContext(registry.GetOrLoadAllValidators())
    texts = [error.GetErrorAsString() for error in context.Validate(Usd.Stage.Open(str(path)))]
    return [text for text in texts if "shaderId 'ND_" not in text]


def exported(asset, out, **options) -> dict[str, object]:
    options = {"triangles": 1200, "texture_size": 256, "max_splats": 300, **options}
    return run(ExportConfig(asset, out, **options), Silent())


@pytest.mark.parametrize("ending", ["usda", "usdc", "usdz"])
def test_exported_meshes_are_valid_usd_with_levels_and_both_materials(asset, tmp_path, ending):
    out = tmp_path / f"ball.{ending}"
    body = exported(asset, out, form="mesh", levels=2, prompt="white ceramic")
    assert body["watertight"] and body["levels"] == 2 and body["triangles"] <= 1202
    assert not findings(out)
    stage = Usd.Stage.Open(str(out))
    root = stage.GetDefaultPrim()
    counts = []
    for level in ("lod1", "lod0"):
        root.GetVariantSet("lod").SetVariantSelection(level)
        mesh = UsdGeom.Mesh(stage.GetPrimAtPath(root.GetPath().AppendPath("geo/mesh")))
        counts.append(len(mesh.GetFaceVertexCountsAttr().Get()))
        assert len(mesh.GetNormalsAttr().Get()) == len(mesh.GetPointsAttr().Get())
        for shading in ("lit", "baked"):
            root.GetVariantSet("shading").SetVariantSelection(shading)
            bound = UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()[0]
            assert bound.GetPath().name == shading
            for prim in Usd.PrimRange(bound.GetPrim()):
                file = prim.GetAttribute("inputs:file").Get()
                assert file is None or file.resolvedPath
    assert counts[0] < counts[1]
    if ending != "usdz":
        color = decode_image(textures_of(out) / "color.lod0.png")
        assert color.shape == (256, 256, 3)


def test_without_textures_a_mesh_shows_its_vertices_colors(asset, tmp_path):
    out = tmp_path / "plain.usda"
    assert exported(asset, out, form="mesh", texture_size=0, triangles=0)["textures"] == []
    assert not findings(out) and not textures_of(out).exists()
    stage = Usd.Stage.Open(str(out))
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/plain/geo/mesh"))
    assert len(mesh.GetDisplayColorAttr().Get()) == len(mesh.GetPointsAttr().Get())


def test_exported_points_are_valid_usd(asset, tmp_path):
    out = tmp_path / "ball.usdc"
    count = exported(asset, out, form="points")["points"]
    assert not findings(out)
    stage = Usd.Stage.Open(str(out))
    points = UsdGeom.Points(stage.GetPrimAtPath("/ball/geo/points"))
    for attribute in (points.GetPointsAttr(), points.GetWidthsAttr(), points.GetNormalsAttr()):
        assert len(attribute.Get()) == count
    assert len(points.GetDisplayColorAttr().Get()) == count


def test_a_mesh_that_cannot_be_written_leaves_nothing(asset, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="Cannot write"):
        exported(asset, tmp_path / "file" / "ball.usda", form="mesh")
    with pytest.raises(SurfaceError, match="do not fit"):
        exported(asset, tmp_path / "ball.usda", form="mesh", triangles=0, texture_size=64)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_broken_layer_takes_its_textures_along(mesh, sampler, tmp_path, monkeypatch):
    body = textured(shaded(decimated(mesh, 300), sampler), sampler, 128)
    monkeypatch.setattr("neuron_core.surfaces.usd._author_shading", lambda *_: 1 / 0)
    for ending in ("usda", "usdz"):
        with pytest.raises(ZeroDivisionError):
            write_mesh(tmp_path / f"a.{ending}", [body], None, {})
    assert not list(tmp_path.iterdir())


def test_a_mesh_is_its_own_volume_turned_inside_out():
    cube = Mesh(
        np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        np.int32([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
    )
    assert cube.volume() == pytest.approx(1 / 6) and cube.is_watertight()
    assert Mesh(cube.points, cube.faces[:, ::-1]).volume() == pytest.approx(-1 / 6)
    assert not Mesh(cube.points, cube.faces[:3]).is_watertight()
