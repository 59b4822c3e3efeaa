"""The built-in ball is closed, exact and stands on the ground."""

import subprocess
import sys

import numpy as np
import pytest

from neuron_core.geometry import GeometryError, load_geometry
from neuron_core.geometry import shaderball as ball_module
from neuron_core.geometry.mesh import merge_equal_vertices
from neuron_core.geometry.shaderball import shader_ball
from tests.core.geometry_laws import is_watertight, least_agreement, volume

BALL = shader_ball(64)
PARTS = {part.name: part for part in BALL.parts}
MIDDLE = np.array([0.0, ball_module.BALL_HEIGHT - 0.5, 0.0])  # of shell and core, recentered


@pytest.mark.parametrize("name", PARTS)
def test_every_part_is_closed_and_faces_outwards(name):
    part = PARTS[name]
    assert is_watertight(part.positions, part.faces)
    assert volume(part.positions, part.faces) > 0.0
    assert least_agreement(part.positions, part.faces, part.normals) > 0.9


@pytest.mark.parametrize("name", PARTS)
def test_arrays_are_what_they_promise(name):
    part = PARTS[name]
    assert part.positions.dtype == part.normals.dtype == np.float32
    assert part.faces.dtype == np.int32
    assert np.array_equal(np.unique(part.faces), np.arange(len(part.positions)))
    np.testing.assert_allclose(np.linalg.norm(part.normals, axis=1), 1.0, atol=1e-6)


def test_the_ball_is_a_meter_tall_stands_on_its_foot_and_is_centered():
    lower, upper = shader_ball().aabb()
    assert lower[1] == -0.5
    np.testing.assert_allclose([lower, upper], [[-0.4, -0.5, -0.4], [0.4, 0.5, 0.4]], atol=2e-4)
    assert BALL.center == (0.0, 0.5, 0.0)


def test_the_artist_sees_mostly_material():
    assert {name: part.takes_material for name, part in PARTS.items()} == {
        "shell": True,
        "core": True,
        "collar": True,
        "base": False,
    }


def test_the_shell_lies_between_its_spheres_and_normals_there_are_radial():
    part = PARTS["shell"]
    arms = part.positions - MIDDLE
    distances = np.linalg.norm(arms, axis=1)
    inner, outer = ball_module.INNER_RADIUS, ball_module.OUTER_RADIUS
    assert inner - 1e-6 < distances.min() and distances.max() < outer + 1e-6
    for radius, sign in ((inner, -1.0), (outer, 1.0)):
        on_sphere = np.abs(distances - radius) < 1e-6
        np.testing.assert_allclose(
            part.normals[on_sphere], sign * arms[on_sphere] / distances[on_sphere, None], atol=1e-5
        )


def test_the_shell_has_the_volume_of_a_sphere_without_its_opening():
    """The opening's solid angle by Gauss-Bonnet, its lip as a rounded strip along the edge."""
    sine, lip = np.sin(ball_module.OPENING_CORNER), ball_module.LIP_RADIUS
    inner, outer = ball_module.INNER_RADIUS, ball_module.OUTER_RADIUS
    planes = ball_module.opening_planes()
    following = np.roll(planes, -1, axis=0)
    bends = np.arccos((np.einsum("ij,ij->i", planes, following) - sine**2) / (1.0 - sine**2))
    opening = 2.0 * np.pi - np.sqrt(1.0 - sine**2) * bends.sum()
    sides = []
    for index, plane in enumerate(planes):
        neighbors = planes[[index - 1, index - 2]]
        ends = [foot_of_corner(plane, neighbor, sine) for neighbor in neighbors]
        sides.append(np.arccos(ends[0] @ ends[1]))
    length = sum(sides) + sine * bends.sum()
    section = lip * (outer - inner) - 2.0 * (1.0 - np.pi / 4.0) * lip**2
    expected = (4.0 * np.pi - opening) * (outer**3 - inner**3) / 3.0 + section * length * (
        inner + outer
    ) / 2.0
    part = shader_ball(192).parts[0]
    assert volume(part.positions, part.faces) == pytest.approx(expected, rel=1e-3)


def foot_of_corner(plane, neighbor, sine):
    """Where the circle with distance arcsin(sine) from both great circles touches the first."""
    share = sine / (1.0 + plane @ neighbor)
    along = np.cross(plane, neighbor)
    along *= np.sign(along @ ball_module.opening_planes().sum(axis=0)) / np.linalg.norm(along)
    center = share * (plane + neighbor)
    center = center + np.sqrt(1.0 - center @ center) * along
    foot = center - sine * plane
    return foot / np.linalg.norm(foot)


def test_the_opening_shows_the_core_from_the_front():
    """A ray down the opening's middle meets no shell before the core, one from behind does."""
    shell, core = PARTS["shell"], PARTS["core"]
    towards = ball_module.opening_planes().sum(axis=0)
    towards /= np.linalg.norm(towards)
    assert nearest_hit(MIDDLE + towards, -towards, shell) > nearest_hit(MIDDLE + towards, -towards, core)
    assert nearest_hit(MIDDLE - towards, towards, shell) < nearest_hit(MIDDLE - towards, towards, core)


def test_no_part_touches_another():
    ball = shader_ball(96)
    shell, core, collar, base = (part.positions for part in ball.parts)
    distances = [np.linalg.norm(positions - MIDDLE, axis=1) for positions in (shell, core, collar, base)]
    assert distances[1].max() < distances[0].min() - 0.0005
    assert min(distances[2].min(), distances[3].min()) > distances[0].max() + 0.0005
    gaps = [np.linalg.norm(base - point, axis=1).min() for point in collar[::37]]
    assert min(gaps) > 0.0005


def test_more_detail_converges_from_below():
    volumes = [
        volume(part.positions, part.faces) for part in (shader_ball(n).parts[1] for n in (32, 64, 128))
    ]
    assert volumes[0] < volumes[1] < volumes[2]
    assert (volumes[2] - volumes[1]) < 0.4 * (volumes[1] - volumes[0])


def test_the_digest_follows_the_content():
    assert BALL.digest() == shader_ball(64).digest()
    assert BALL.digest() != shader_ball(65).digest()
    assert BALL.digest() != ball_module.assigned(BALL, ["core"]).digest()


def test_assigned_parts_take_the_material_and_unknown_ones_are_listed():
    ball = load_geometry("shaderball", ["base", "core"])
    assert [part.name for part in ball.parts if part.takes_material] == ["core", "base"]
    with pytest.raises(GeometryError, match="'rim'") as error:
        load_geometry("shaderball", ["rim"])
    assert "shell, core, collar, base" in error.value.hint


def test_too_little_detail_is_refused():
    with pytest.raises(GeometryError, match="16"):
        shader_ball(8)


def test_the_bounding_sphere_holds_every_vertex():
    center, radius = BALL.bounding_sphere()
    farthest = max(np.linalg.norm(part.positions - center, axis=1).max() for part in BALL.parts)
    assert farthest <= radius <= farthest + 1e-6


def test_merging_keeps_what_differs_in_position_or_normal():
    positions = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0], [0, -0.0, 0]])
    normals = np.array([[0.0, 0, 1]] * 3 + [[0, 1, 0]] * 2 + [[0, 0, 1]])
    faces = np.array([[0, 1, 2], [5, 1, 2], [3, 4, 2], [0, 5, 1]])
    merged, triangles, directions = merge_equal_vertices(positions, faces, normals)
    assert len(merged) == 5
    np.testing.assert_array_equal(triangles, [[0, 1, 2], [0, 1, 2], [3, 4, 2]])
    np.testing.assert_array_equal(directions[triangles[2]], normals[[3, 4, 2]])


def test_geometry_imports_with_numpy_alone():
    code = (
        "import sys, neuron_core.geometry as g; g.load_geometry('shaderball'); "
        "print({'pxr', 'mitsuba', 'torch', 'warp'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def nearest_hit(origin, direction, part):
    """Moeller-Trumbore against every triangle."""
    a, b, c = np.moveaxis(part.positions.astype(np.float64)[part.faces], 1, 0)
    across = np.cross(direction, c - a)
    scale = np.einsum("tj,tj->t", b - a, across)
    u = (origin - a) * across
    u = u.sum(axis=1) / scale
    q = np.cross(origin - a, b - a)
    v = q @ direction / scale
    t = np.einsum("tj,tj->t", c - a, q) / scale
    hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    return t[hit].min() if hit.any() else np.inf
