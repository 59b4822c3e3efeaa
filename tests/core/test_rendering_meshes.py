"""A mesh that stands many times looks as its copies would and weighs as much as one."""

from dataclasses import replace

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, look_at
from neuron_core.rendering import scenes
from neuron_core.rendering.composer import Composed, Composer
from neuron_core.rendering.meshes import FLATTEST, MeshInstance, kept_once
from neuron_core.rendering.occlusion import Occlusion, OcclusionPass
from neuron_core.rendering.scenes import SceneRenderer, identity
from neuron_core.rendering.shaded import Instance
from neuron_core.usd import read_stage
from tests.core.composed_samples import placed, shaded, smoke, soft_ball

FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
TETRAHEDRON = np.array([[-0.3, -0.2, -0.2], [0.3, -0.2, -0.2], [0.0, -0.2, 0.4], [0.0, 0.5, 0.0]])
BESIDE = placed((0.3, -0.4, 0.3), (0.8, 0.8, 0.8))
WHOLE = (0.5, 0.6, 0.7)
PLACES = {
    "turned": placed((-0.2, 0.1, 0.1), turn=0.8),
    "stretched": placed((0.1, 0.0, -0.2), (1.7, 0.6, 0.9), turn=-0.5),
    "mirrored": placed((0.0, 0.1, 0.0), (-1.0, 1.0, 1.0), turn=0.4),
    "sheared": placed((-0.4, 0.0, 0.1), (0.8, 1.1, 1.0), turn=1.1, shear=0.5),
    "thin": placed((0.0, 0.2, 0.0), (1.0, 0.01, 1.0), turn=0.2),
    "flat": placed((0.0, 0.2, 0.0), (1.0, 0.0, 1.0), turn=0.2),
}


def view(size: int = 96) -> Camera:
    pose = look_at((0.9, 1.0, 1.7), (0.0, 0.0, 0.0))
    return Camera("v", size, size, 1.2 * size, 1.2 * size, size / 2, size / 2, pose)


def standing(*matrices: np.ndarray) -> list[MeshInstance]:
    return [MeshInstance(TETRAHEDRON, FACES, WHOLE, matrix) for matrix in matrices]


def copies(meshes: list[MeshInstance]) -> list[MeshInstance]:
    """The same, in arrays of their own."""
    return [replace(mesh, positions=mesh.positions.copy()) for mesh in meshes]


def drawn(meshes: list[MeshInstance], instances: tuple[Instance, ...] = ()) -> Composed:
    composer = Composer()
    composer.place(instances, meshes)
    return composer.render(view())


@pytest.mark.parametrize("name", PLACES)
def test_an_instance_looks_as_a_copy_in_its_place_does(name):
    meshes = standing(PLACES[name], BESIDE)
    assert kept_once(meshes)[0] == (name != "flat")
    shared, apart = drawn(meshes), drawn(copies(meshes))
    same = shared.ids == apart.ids
    assert same.mean() > 0.999 and set(np.unique(shared.ids)) == {-1, 0, 1}  # but for rays along an edge
    np.testing.assert_allclose(shared.depth[same], apart.depth[same], atol=1e-4)
    np.testing.assert_allclose(shared.normal[same], apart.normal[same], atol=1e-3)
    np.testing.assert_allclose(shared.rgba[same], apart.rgba[same], atol=1e-3)


def test_instances_stand_among_meshes_that_stand_alone_and_among_assets():
    cloud = (Instance(shaded(smoke(soft_ball(), 16)), np.eye(4)),)
    alone = [replace(one, color=(0.9, 0.1, 0.1)) for one in copies(standing(placed((0.1, 0.3, 0.2))))]
    meshes = [*standing(PLACES["turned"]), *alone, *standing(PLACES["sheared"])]
    shared, apart = drawn(meshes, cloud), drawn(copies(meshes), cloud)
    same = shared.ids == apart.ids
    assert same.mean() > 0.999 and {0, 1, 2, 3} <= set(np.unique(shared.ids))
    np.testing.assert_allclose(shared.rgba[same], apart.rgba[same], atol=1e-3)


def test_what_is_all_but_flat_is_joined_with_what_stands_alone():
    thin = [placed(scale=(1.0, factor * FLATTEST, 1.0)) for factor in (0.5, 2.0)]
    assert kept_once(standing(*thin)).tolist() == [False, True]
    assert not kept_once(copies(standing(*thin))).any()


def test_a_thousand_instances_weigh_little_more_than_one():
    grid = [placed((x, y, z)) for x in range(10) for y in range(10) for z in range(10)]
    composer = Composer()
    composer.place((), standing(np.eye(4)))
    one = composer.nbytes()
    composer.place((), standing(*grid))
    assert composer.nbytes() - one <= 1000 * 12 * 4
    ball = np.random.default_rng(0).normal(size=(30_000, 3))
    faces = np.arange(30_000, dtype=np.int32).reshape(-1, 3)
    heavy = [MeshInstance(ball, faces, WHOLE, matrix) for matrix in grid]
    composer.place((), heavy[:1])
    one = composer.nbytes()
    composer.place((), heavy)
    assert composer.nbytes() <= 1.15 * one


def test_shadows_of_instances_are_those_of_copies():
    ground = MeshInstance(
        np.array([[-9.0, -0.7, -9], [-9, -0.7, 9], [9, -0.7, 9], [9, -0.7, -9]]),
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        (1.0, 1.0, 1.0),
        np.eye(4),
    )
    meshes = [*standing(PLACES["turned"], PLACES["stretched"]), ground]
    wanted = Occlusion(ambient=True, contact=True, reach=1.0)
    plain = drawn(meshes)
    shared, apart = (
        OcclusionPass([], one, wanted).darkened(plain, view()) for one in (meshes, copies(meshes))
    )
    lost = (plain.rgba - apart.rgba)[..., 0]
    assert lost.max() > 0.2
    assert np.abs(shared.rgba - apart.rgba).mean() < 1e-3 * lost.max()


INSTANCER = """#usda 1.0
(
    metersPerUnit = 1
    upAxis = "Y"
)
def PointInstancer "trees"
{
    rel prototypes = </trees/tree>
    int[] protoIndices = [0, 0, 0]
    point3f[] positions = [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    def Mesh "tree"
    {
        uniform token subdivisionScheme = "none"
        int[] faceVertexCounts = [4]
        int[] faceVertexIndices = [0, 1, 2, 3]
        point3f[] points = [(-0.4, 0, 0), (0.4, 0, 0), (0.4, 1, 0), (-0.4, 1, 0)]
        color3f[] primvars:displayColor = [(0.1, 0.5, 0.1)]
    }
}
"""


def test_triangles_of_a_point_instancer_count_once(tmp_path, monkeypatch):
    path = tmp_path / "trees.usda"
    path.write_text(INSTANCER, encoding="utf-8")
    monkeypatch.setattr(scenes, "MOST_TRIANGLES", 2)
    renderer = SceneRenderer()
    assert not renderer.load(read_stage(path).snapshot())
    pose = look_at((1.0, 0.5, 4.0), (1.0, 0.5, 0.0))
    pixels = renderer.render(Camera("v", 90, 60, 90.0, 90.0, 45.0, 30.0, pose))
    assert set(np.unique(pixels.ids)) == {0, *(identity(f"/trees[{index}]") for index in range(3))}
