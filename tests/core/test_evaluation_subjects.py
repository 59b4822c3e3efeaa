"""What is measured, and what exports are compared with: names, cameras, sizes, and points as flat splats."""

import json
from dataclasses import replace

import numpy as np
import pytest

from neuron_core.assets import Look
from neuron_core.datasets.names import MaterialEntry
from neuron_core.datasets.reader import open_dataset
from neuron_core.delivery.assets import FORMS
from neuron_core.evaluation.drawers import POINT_SPREAD, SplatDrawer, _as_splats, open_export
from neuron_core.evaluation.drawn import Picture
from neuron_core.evaluation.exports import VIEWS, Export, size_of
from neuron_core.evaluation.subjects import EXPORTS, BakedSubject, open_subjects, trained_downscale
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.splats.cloud import rotation_matrices
from neuron_core.splats.files import READABLE
from neuron_core.surfaces.points import PointCloud
from neuron_core.voxels.baked import read_baked
from tests.core.baked_samples import BOX, MATERIALS, write_ball
from tests.core.plain_samples import TEST, cameras, info, write_balls


@pytest.fixture(scope="module")
def baked(tmp_path_factory):
    return read_baked(write_ball(tmp_path_factory.mktemp("subjects") / "ball.neuron"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    palette = {MATERIALS[0]: (0.8, 0.6, 0.2), "other": (0.1, 0.1, 0.1)}
    infos = [info(name) for name in palette]
    return open_dataset(write_balls(tmp_path_factory.mktemp("truth") / "balls", palette, infos))


def with_looks(baked, *looks):
    return replace(baked, manifest=replace(baked.manifest, looks=looks))


def entry(name, prompt="a prompt"):
    return MaterialEntry(name, prompt, (), {}, "train")


# --- subjects ---


def test_a_look_that_was_trained_on_the_material_goes_before_one_of_its_prompt(baked):
    asked = Look("asked", "Worn Copper ", {})
    trained = Look("trained", "something else", {"material": "worn-copper"})
    for looks in ((asked, trained), (trained, asked)):
        subject = BakedSubject(with_looks(baked, *looks), "nvf", "cpu")
        assert subject.look_of(entry("worn-copper", "worn copper")) == "trained"
    subject = BakedSubject(with_looks(baked, asked), "nvf", "cpu")
    assert subject.look_of(entry("worn-copper", " WORN copper")) == "asked"
    assert not subject.trained_on(entry("worn-copper", "worn copper"))  # words are no pictures
    assert subject.look_of(entry("worn-copper", "worn  copper")) is None is subject.look_of(entry("oak"))


def test_looks_that_name_no_material_go_by_their_own_name(baked):
    subject = BakedSubject(with_looks(baked, Look("worn_copper", "", {})), "nvf", "cpu")
    assert subject.trained_on(entry("worn-copper")) and not subject.trained_on(entry("copper"))
    named = BakedSubject(with_looks(baked, Look("worn_copper", "", {"material": "copper"})), "nvf", "cpu")
    assert named.trained_on(entry("copper")) and not named.trained_on(entry("worn-copper"))


def test_an_asset_is_one_subject_beside_another_and_two_by_itself(baked):
    path = baked.path

    def kinds(wanted, against=False):
        opened = open_subjects(path, wanted, "cpu", None, against)
        return [subject.representation for subject in opened], [subject.identity for subject in opened]

    assert kinds("all")[0] == ["nvf", "inr"] and kinds("nvf")[0] == ["nvf"] and kinds("inr")[0] == ["inr"]
    assert kinds("all", True)[0] == ["against"]
    assert kinds("all", True)[1] == kinds("nvf")[1] != kinds("inr")[1]


@pytest.mark.parametrize(
    ("record", "factor"),
    [({"config": {"downscale": 4}}, 4), ({"config": {}}, 1), ({"config": 3}, 1), ([], 1),
     ({"config": {"downscale": "4"}}, 1)],
)  # fmt: skip
def test_photographs_are_measured_as_small_as_they_were_trained(tmp_path, record, factor):
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert trained_downscale(tmp_path) == factor
    assert trained_downscale(tmp_path / "elsewhere") == 1


def test_every_file_that_is_exported_and_can_be_read_can_be_measured_or_is_refused_by_name(tmp_path):
    assert {*FORMS} - {*EXPORTS} == {".npz"}  # arrays for Houdini, which nothing reads back
    assert {*READABLE} <= {*EXPORTS}
    for ending in EXPORTS:
        path = tmp_path / f"a{ending}"
        with pytest.raises(NeuronError, match="no file"):
            open_export(path, "rdf", Silent())
        path.write_bytes(b"nothing")
        with pytest.raises(NeuronError, match=f"a{ending}"):
            open_export(path, "rdf", Silent())


# --- exports ---


class Nothing:
    """Draws an empty picture."""

    representation, counts = "nothing", {"splats": 0}

    def picture(self, camera):
        side = (camera.height, camera.width)
        return Picture(np.ones((*side, 3), np.float32), np.zeros(side, bool))


def test_exports_are_seen_by_the_test_cameras_or_from_a_dome_around_the_asset(baked, dataset, tmp_path):
    with_truth = Export(tmp_path / "a.ply", Nothing(), baked, baked.slugs()[0], dataset)
    assert [camera.name for camera in with_truth.cameras(0)] == list(TEST)
    assert [camera.name for camera in with_truth.cameras(1)] == [TEST[0]]
    alone = replace(with_truth, dataset=None)
    assert len(alone.cameras(0)) == VIEWS and len(alone.cameras(3)) == 3
    for camera in alone.cameras(0):  # looks at the asset from outside of it
        middle = BOX.mean(axis=0) - camera.position
        assert np.linalg.norm(middle) > np.ptp(BOX, axis=0).max() / 2
        assert middle @ camera.forward > 0.99 * np.linalg.norm(middle)


def test_an_export_has_the_truth_of_its_own_material_alone(baked, dataset, tmp_path):
    gold, copper = baked.slugs()
    assert Export(tmp_path / "a", Nothing(), baked, gold, dataset).material == MATERIALS[0]
    assert Export(tmp_path / "a", Nothing(), baked, copper, dataset).material == ""  # the dataset lacks it
    assert Export(tmp_path / "a", Nothing(), baked, gold).material == ""


def test_the_size_of_an_export_counts_what_lies_beside_it_under_its_name(tmp_path):
    (tmp_path / "a.usda").write_bytes(b"0" * 100)
    (tmp_path / "a.vdb").write_bytes(b"0" * 1000)
    (tmp_path / "b.vdb").write_bytes(b"0" * 7)
    textures = tmp_path / "a_textures"
    textures.mkdir()
    for number in range(2):
        (textures / f"{number}.png").write_bytes(b"0" * 10_000)
    assert size_of(tmp_path / "a.usda") == 21_100
    assert size_of(tmp_path / "a.vdb") == 21_000 and size_of(tmp_path / "b.vdb") == 7


def test_points_are_flat_splats_across_their_normals(baked):
    random = np.random.default_rng(0)
    normals = np.concatenate([np.eye(3), -np.eye(3), random.normal(size=(20, 3))]).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    count = len(normals)
    widths, colors = random.random((2, count, 3)).astype(np.float32)
    cloud = PointCloud(random.random((count, 3)).astype(np.float32), normals, colors, widths[:, 0])
    splats = _as_splats(cloud)
    axes = rotation_matrices(splats.rotations)
    np.testing.assert_allclose(axes @ axes.transpose(0, 2, 1), np.tile(np.eye(3), (count, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(axes[:, :, 2], normals, atol=1e-5)
    np.testing.assert_allclose(splats.scales[:, 0], splats.scales[:, 1])
    np.testing.assert_allclose(splats.scales[:, 0], POINT_SPREAD * cloud.widths, rtol=1e-5)
    assert (splats.scales[:, 2] < 0.2 * splats.scales[:, 0]).all()
    np.testing.assert_allclose(splats.base_colors(), colors, atol=1e-5)


def test_a_cloud_that_no_camera_sees_is_white_and_covers_nothing(baked):
    away = PointCloud(*(np.float32(part) for part in ([[0, 50, 0]], [[0, 1, 0]], [[1, 0, 0]], [0.1])))
    picture = SplatDrawer(_as_splats(away), "points", {"points": 1}).picture(cameras()[0])
    assert not picture.coverage.any()
    np.testing.assert_allclose(picture.encoded, 1.0, atol=1e-6)
