"""Meshes and points by what is known of boxes and sheets: areas, volumes, parts, where points may lie."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.surfaces.atlas import REACH, SMALLEST_TILE, Atlas, atlas_for, tangents, under
from neuron_core.surfaces.mesh import (
    LEVEL,
    MOST_SAMPLES,
    Mesh,
    SurfaceError,
    decimated,
    filled_grid,
    parts,
    surface_of,
)
from neuron_core.surfaces.points import SHARE, in_dense, points_on
from neuron_core.surfaces.sampling import SurfaceSampler, SurfaceSamples, filled
from neuron_core.voxels.nvf import Nvf, allocate, find_active, sample_positions
from tests.core.mesh_samples import box, fine_box, flipped, joined, sheet


def field(density, resolution: int = 24) -> Nvf:
    """A field of the unit box whose density is a function of places [..., 3]."""
    nvf = allocate(np.array([[0.0, 0, 0], [1, 1, 1]]), resolution, np.ones((resolution // 8,) * 3, bool))
    nvf.density[:] = density(sample_positions(nvf))
    nvf.normals[..., 1] = 1.0
    return replace(nvf, active=find_active(nvf.top, nvf.density))


class Everywhere(SurfaceSampler):
    """A sampler that finds the surface right where it is asked for, moved by `offset`."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def sample(self, points: np.ndarray, normals: np.ndarray) -> SurfaceSamples:
        moved = (points + self.offset * normals).astype(np.float32)
        return SurfaceSamples(moved, normals, np.abs(points).astype(np.float32), np.ones(len(points), bool))


# --- what a mesh is ---


@pytest.mark.parametrize("size", [(1.0, 1.0, 1.0), (0.5, 2.0, 3.0)])
def test_a_box_encloses_the_product_of_its_sides_wherever_it_is(size):
    for low in ((0.0, 0.0, 0.0), (5.0, -7.0, 2.0)):
        assert box(size, low).volume() == pytest.approx(np.prod(size), rel=1e-5)
    assert flipped(box(size)).volume() == pytest.approx(-np.prod(size), rel=1e-5)


def test_closed_meshes_have_eulers_number_of_edges_each_in_two_triangles():
    edges, counts = box().edges()
    assert len(box().points) - len(edges) + len(box().faces) == 2
    assert (counts == 2).all() and (edges[:, 0] < edges[:, 1]).all()


def test_a_mesh_with_a_border_or_without_triangles_is_not_watertight():
    whole = box()
    assert whole.is_watertight()
    assert not Mesh(whole.points, whole.faces[1:]).is_watertight()
    assert not sheet(2, 3).is_watertight()
    assert not Mesh(whole.points, whole.faces[:0]).is_watertight()


def test_face_normals_are_twice_the_areas_and_cancel_on_a_closed_mesh():
    normals = box((1.0, 2.0, 3.0)).face_normals()
    assert np.linalg.norm(normals, axis=1).sum() / 2 == pytest.approx(2 * (2 + 3 + 6))
    np.testing.assert_allclose(normals.sum(axis=0), 0.0, atol=1e-9)


def test_normals_of_vertices_are_weighted_by_area():
    """At the corner of a box the three faces meet in one or two triangles each, of half a face."""
    size = np.array([1.0, 2.0, 4.0])
    mesh = box(tuple(size))
    triangles = np.array([[(mesh.faces[face] == vertex).any() for face in range(12)] for vertex in range(8)])
    expected = triangles @ mesh.face_normals()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(mesh.normals(), expected, atol=1e-6)


def test_a_vertex_without_triangles_has_a_normal_all_the_same():
    lonely = Mesh(np.concatenate([box().points, [[9, 9, 9]]]).astype(np.float32), box().faces)
    np.testing.assert_array_equal(lonely.normals()[-1], [0, 1, 0])


def test_parts_are_what_edges_connect():
    three = joined(box(), box(low=(3, 0, 0)), sheet(2, 2))
    labels = parts(three)
    assert labels.max() == 2
    assert [len(set(labels[start:end])) for start, end in ((0, 8), (8, 16), (16, 25))] == [1, 1, 1]
    touching = joined(box(), box())  # the same places, other vertices
    assert parts(touching).max() == 1


def test_decimation_keeps_the_planes_of_a_finely_cut_box():
    fine = fine_box(8)
    assert fine.is_watertight() and fine.volume() == pytest.approx(1.0)
    small = decimated(fine, 12)
    assert len(small.faces) < 60 and small.is_watertight()
    assert small.volume() == pytest.approx(1.0, rel=1e-3)


# --- from voxels ---


@pytest.mark.parametrize("axis", range(3))
def test_a_ramp_along_an_axis_is_cut_where_a_voxel_absorbs_half(axis):
    """Optical depth per voxel grows by 8 per unit: it is log 2 at log(2) / 8 above the zero."""
    nvf = field(lambda places: 8.0 * (0.5 - places[..., axis]) / (1 / 24))
    mesh = surface_of(nvf)
    inside = (np.abs(np.delete(mesh.points, axis, axis=1) - 0.5) < 0.4).all(axis=1)
    face = mesh.points[inside & (mesh.points[:, axis] > 0.2), axis]
    np.testing.assert_allclose(face, 0.5 - LEVEL / 8.0, atol=1e-4)


def test_turning_the_field_turns_the_grid():
    nvf = field(lambda places: 30 * (0.3 - np.abs(places - [0.5, 0.4, 0.6]).max(axis=-1)))
    turned = field(lambda places: 30 * (0.3 - np.abs(places[..., [2, 0, 1]] - [0.5, 0.4, 0.6]).max(axis=-1)))
    np.testing.assert_allclose(filled_grid(turned), filled_grid(nvf).transpose(1, 2, 0), atol=1e-4)


def test_dust_and_hollows_are_left_out():
    def depth(places, radius):
        return 24 * 40 * (radius - np.linalg.norm(places - [0.45, 0.5, 0.5], axis=-1))

    nvf = field(lambda places: np.minimum(depth(places, 0.4), -depth(places, 0.207)), 48)
    nvf.density[-1, 4, 4, 4] = 1.1 * LEVEL / nvf.voxel_size  # a speck in the far corner
    mesh = surface_of(replace(nvf, active=find_active(nvf.top, nvf.density)))
    assert parts(mesh).max() == 0 and mesh.is_watertight()
    radius = 0.4 - LEVEL / 20  # optical depth per voxel grows by 20 a meter
    assert mesh.volume() == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)


def test_a_grid_that_is_too_large_is_refused_before_it_is_made():
    side = int(MOST_SAMPLES ** (1 / 3)) // 8 + 1
    top = np.full((side, side, side), -1, np.int32)
    nothing = np.zeros((0, 9, 9, 9), np.float32)
    box_of = np.array([[0, 0, 0], [side] * 3], np.float32)
    huge = Nvf(box_of, 0.125, top, nothing, np.zeros((0, 9, 9, 9, 3), np.float32), np.zeros(0, np.int32))
    with pytest.raises(SurfaceError, match="too large"):
        surface_of(huge)


# --- textures ---


@pytest.mark.parametrize("triangles", [1, 2, 7, 50])
def test_an_atlas_takes_the_largest_tiles_that_fit(triangles):
    mesh = Mesh(box().points, np.tile(box().faces, (5, 1))[:triangles])
    atlas = atlas_for(mesh, 64)
    tiles = (triangles + 1) // 2
    across = 64 // atlas.tile
    assert across**2 >= tiles and (64 // (atlas.tile + 1)) ** 2 < tiles
    uvs = atlas.uvs()
    assert uvs.shape == (triangles, 3, 2) and uvs.min() > 0 and uvs.max() < 1


def test_texels_outside_a_triangle_continue_it_only_so_far():
    _, _, weights = Atlas(side=40, tile=SMALLEST_TILE, triangles=40).texels()
    assert weights.min() >= -REACH and weights.max() <= 1 + 2 * REACH
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)


def test_under_a_texel_lies_the_mean_of_the_corners_by_its_weights():
    mesh = sheet(1, 1)
    linear = mesh.points @ np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) + 7.0
    weights = np.random.default_rng(0).dirichlet((1, 1, 1), 20).astype(np.float32)
    owners = np.arange(20) % 2
    places = under(mesh, mesh.points, owners, weights)
    expected = places @ np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) + 7.0
    np.testing.assert_allclose(under(mesh, linear, owners, weights), expected, rtol=1e-5)


def test_tangents_turn_with_the_uvs_and_change_sides_where_they_are_mirrored():
    mesh = sheet(1, 1)
    uvs = mesh.points[:, :2][mesh.faces]
    np.testing.assert_allclose(tangents(mesh, uvs), np.tile([1.0, 0, 0, 1], (2, 1)), atol=1e-6)
    quarter = np.stack([uvs[..., 1], -uvs[..., 0]], axis=-1)
    np.testing.assert_allclose(tangents(mesh, quarter), np.tile([0.0, 1, 0, 1], (2, 1)), atol=1e-6)
    mirrored = uvs * np.float32([-1, 1])
    np.testing.assert_allclose(tangents(mesh, mirrored), np.tile([-1.0, 0, 0, -1], (2, 1)), atol=1e-6)


# --- gaps, and points ---


def test_what_was_found_stays_and_nothing_found_is_gray():
    mesh = sheet(3, 3)
    values = np.random.default_rng(1).random((16, 3)).astype(np.float32)
    some = np.arange(16) % 3 == 0
    np.testing.assert_array_equal(filled(values, some, mesh.faces)[some], values[some])
    np.testing.assert_array_equal(filled(values, np.zeros(16, bool), mesh.faces), 0.5)


def test_gaps_between_equal_values_take_that_value():
    mesh = sheet(4, 4)
    known = np.zeros(25, bool)
    known[[0, 4, 20, 24]] = True
    found = filled(np.tile(np.float32([0.2, 0.4, 0.6]), (25, 1)), known, mesh.faces)
    np.testing.assert_allclose(found, np.tile([0.2, 0.4, 0.6], (25, 1)), atol=1e-6)


def test_a_part_without_a_value_takes_the_mean_of_all():
    mesh = joined(sheet(1, 1), sheet(1, 1))
    known = np.arange(8) < 4
    values = np.arange(24, dtype=np.float32).reshape(8, 3)
    np.testing.assert_allclose(
        filled(values, known, mesh.faces)[4:], np.tile(values[:4].mean(axis=0), (4, 1))
    )


def test_points_spread_evenly_by_area_and_are_the_same_for_a_seed():
    """A sheet of two halves, one cut into many triangles: each half has half of the points."""
    left, right = sheet(1, 1, (0.5, 1.0)), sheet(10, 10, (0.5, 1.0))
    mesh = joined(left, Mesh(right.points + np.float32([0.5, 0, 0]), right.faces))
    thick = field(lambda places: np.full(places.shape[:-1], 5.0))
    cloud = points_on(mesh, thick, Everywhere(), 300, seed=3)
    again = points_on(mesh, thick, Everywhere(), 300, seed=3)
    np.testing.assert_array_equal(cloud.positions, again.positions)
    assert 150 < len(cloud) <= 300
    assert (cloud.positions[:, 0] < 0.5).mean() == pytest.approx(0.5, abs=0.08)
    np.testing.assert_allclose(cloud.normals, np.tile([0.0, 0, 1], (len(cloud), 1)), atol=1e-6)


def test_points_are_moved_onto_the_surface_that_is_found_and_where_none_is_there_are_none():
    mesh = Mesh(sheet(4, 4).points + np.float32([0, 0, 0.25]), sheet(4, 4).faces)
    thick = field(lambda places: np.full(places.shape[:-1], 5.0))
    cloud = points_on(mesh, thick, Everywhere(0.5), 100)
    np.testing.assert_allclose(cloud.positions[:, 2], 0.75, atol=1e-6)
    with pytest.raises(SurfaceError, match="no surface"):
        points_on(mesh, thick, Everywhere(40.0), 100)


def test_the_densest_voxels_hold_what_they_should():
    """Half of the box is a thousand times as dense: all of it is kept, and nearly nothing of the other."""
    nvf = field(lambda places: np.where(places[..., 0] < 0.499, 1000.0, 0.5))
    inside = np.random.default_rng(2).random((500, 3)).astype(np.float32)
    found = in_dense(nvf, inside)
    assert found[inside[:, 0] < 0.45].all()
    dense_share = 1 - 0.5 / 1000.5
    assert dense_share > SHARE and not found[inside[:, 0] > 0.55].any()
    assert not in_dense(nvf, inside + 2.0).any() and not in_dense(nvf, inside - 2.0).any()
