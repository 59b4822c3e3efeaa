"""Light that things of a scene take from each other: against closed forms, and in the pictures of stages."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.cameras.camera import Camera, look_at
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.images.pictures import decode_image
from neuron_core.rendering.composer import Composer
from neuron_core.rendering.meshes import MeshInstance
from neuron_core.rendering.occlusion import KEY, Occlusion, OcclusionPass
from neuron_core.rendering.shaded import Instance
from neuron_core.tasks.render.config import RenderConfig
from neuron_core.tasks.render.run import run
from tests.core.baked_samples import write_ball
from tests.core.composed_samples import placed, shaded, smoke, soft_ball, solid_ball
from tests.core.stage_samples import SQUARE, asset_prim, camera_prim, moved, write_stage

BOTH = Occlusion(ambient=True, contact=True, lamp=(0.0, 1.0, 0.0), reach=2.0)


def floor(height: float) -> MeshInstance:
    """A large white square."""
    corners = np.array([[-9.0, height, -9.0], [-9.0, height, 9.0], [9.0, height, 9.0], [9.0, height, -9.0]])
    return MeshInstance(corners, np.array([[0, 1, 2], [0, 2, 3]]), (1.0, 1.0, 1.0), np.eye(4))


def above(height: float = 4.0, side: int = 33, across: float = 4.0) -> Camera:
    """Looks straight down at a square of so many meters around the origin."""
    pose = look_at((0.0, height, 1e-6), (0.0, 0.0, 0.0))
    focal = side * height / across
    return Camera("above", side, side, focal, focal, side / 2, side / 2, pose)


def shares(instances: list[Instance], meshes: list[MeshInstance], wanted: Occlusion, view: Camera):
    """What is left of the colors of each pixel, and the picture without."""
    composer = Composer()
    composer.place(instances, meshes)
    plain = composer.render(view)
    dark = OcclusionPass(instances, meshes, wanted).darkened(plain, view)
    assert np.array_equal(dark.rgba[..., 3], plain.rgba[..., 3])
    for name in ("depth", "normal", "ids"):
        assert np.array_equal(getattr(dark, name), getattr(plain, name))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(plain.rgba > 0, dark.rgba / plain.rgba, 1.0)[..., 0], plain


def test_what_stands_alone_keeps_all_its_light():
    ball = [Instance(shaded(solid_ball()), placed(turn=0.7))]
    for instances, meshes in ((ball, []), ([], [floor(0.0)])):
        left, plain = shares(instances, meshes, BOTH, above())
        assert (plain.ids >= 0).any()
        np.testing.assert_allclose(left, 1.0, atol=1e-6)


def test_a_floor_loses_the_light_that_a_ball_above_it_covers():
    """A sphere of the radius r at the height h covers (r / h) squared of the light of a hemisphere that
    comes by the cosine to the point below its middle."""
    height = 1.5
    ball = shaded(solid_ball(48))
    matrix = placed((0.0, height, 0.0), (1.0, 1.15, 0.85))  # round
    scene, ground = [Instance(ball, matrix)], [floor(0.0)]
    view = above(0.5, 32, 0.1)  # below the ball
    wanted = Occlusion(ambient=True, reach=4.0)
    left, plain = shares(scene, ground, wanted, view)
    assert (plain.ids == 1).all()
    assert left.mean() == pytest.approx(1.0 - (0.35 / height) ** 2, abs=0.02)
    away, _ = shares([Instance(ball, placed((30.0, height, 0.0)))], ground, wanted, view)
    np.testing.assert_allclose(away, 1.0, atol=1e-6)
    short, _ = shares(scene, ground, replace(wanted, reach=0.5), view)
    np.testing.assert_allclose(short, 1.0, atol=1e-6)


def test_a_lamp_throws_the_shadow_of_what_stands_between():
    cloud = shaded(smoke(lambda places: np.full(places.shape[:-1], 2.0), 16))
    scene, ground = [Instance(cloud, placed((0.0, 1.0, 0.0)))], [floor(0.0)]
    wanted = Occlusion(contact=True, lamp=(0.0, 3.0, 0.0), reach=3.0)
    view = above(0.3, 5, 0.1)  # below the cloud, a cube of a meter
    left, _ = shares(scene, ground, wanted, view)
    np.testing.assert_allclose(left, 1.0 - KEY * (1.0 - np.exp(-2.0)), atol=0.02)
    beside, _ = shares(scene, ground, replace(wanted, lamp=(1.0, 0.3, 0.0)), view)
    np.testing.assert_allclose(beside, 1.0, atol=1e-6)


def test_scaling_the_whole_scene_and_its_reach_keeps_the_shadows():
    cloud = shaded(smoke(soft_ball(), 16))
    pictures = []
    for scale in (1.0, 40.0):
        scene = [Instance(cloud, placed((0.1 * scale, scale, 0.0), (scale,) * 3, turn=0.4))]
        ground = [MeshInstance(floor(0.0).positions * scale, floor(0.0).faces, (1.0,) * 3, np.eye(4))]
        view = above(0.4, 9)
        pose = view.c2w.copy()
        pose[:3, 3] *= scale
        view = replace(view, c2w=pose)
        pictures.append(shares(scene, ground, replace(BOTH, reach=2.0 * scale), view)[0])
    assert pictures[0].min() < 0.9
    np.testing.assert_allclose(pictures[1], pictures[0], atol=0.02)


def test_assets_take_light_from_each_other_but_none_from_themselves():
    ball = shaded(solid_ball())
    view = above(3.0, 33)
    low, high = Instance(ball, np.eye(4)), Instance(ball, placed((0.35, 0.7, 0.0), (0.5, 0.5, 0.5)))
    left, plain = shares([low, high], [], BOTH, view)
    assert left[plain.ids == 0].min() < 0.8
    alone, _ = shares([low], [], BOTH, view)
    np.testing.assert_allclose(alone, 1.0, atol=1e-6)
    swapped, again = shares([high, low], [], BOTH, view)
    np.testing.assert_allclose(swapped, left, atol=1e-6)
    assert np.array_equal(again.ids == 1, plain.ids == 0)


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shadows")
    write_ball(folder / "ball.neuron")
    return write_stage(
        folder / "shot.usda", asset_prim("ball", "./ball.neuron", moved(0, -0.05, 0)), SQUARE, camera_prim()
    )


def test_shadows_of_a_stage_are_asked_for_told_and_part_of_what_a_folder_holds(shot, tmp_path):
    config = RenderConfig(shot, tmp_path / "a", cameras="/shot", frames="1", size="32", device="cpu")
    plain = run(config, Silent())
    asked = replace(config, out=tmp_path / "b", contact_shadows=True, ambient_occlusion=True)
    dark = run(asked, Silent())
    assert plain["approximations"] == []
    assert dark["approximations"] == ["contact shadows between assets", "ambient occlusion between assets"]
    assert "approximate" in dark["summary"]
    pictures = [decode_image(Path(result["frames"][0])).astype(int) for result in (plain, dark)]
    assert np.array_equal(pictures[0][..., 3], pictures[1][..., 3])
    assert (pictures[1] <= pictures[0] + 1).all() and (pictures[1] < pictures[0] - 8).any()
    with pytest.raises(NeuronError, match="made"):
        run(replace(asked, contact_shadows=False), Silent())
    again = run(replace(asked, out=tmp_path / "c"), Silent())
    assert Path(again["frames"][0]).read_bytes() == Path(dark["frames"][0]).read_bytes()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"lamp": "up"}, "not a direction"),
        ({"lamp": "0,0,0"}, "not a direction"),
        ({"occlusion_reach": -1.0}, "-1"),
    ],
)
def test_shadows_that_cannot_be_are_refused(shot, tmp_path, options, word):
    with pytest.raises(NeuronError, match=word):
        config = RenderConfig(shot, tmp_path / "out", cameras="/shot", contact_shadows=True, **options)
        run(config, Silent())
    assert not (tmp_path / "out").exists()
    with pytest.raises(NeuronError, match="beside"):
        run(RenderConfig(shot.parent / "ball.neuron", tmp_path / "out", contact_shadows=True), Silent())
