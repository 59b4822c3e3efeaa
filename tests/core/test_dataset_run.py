"""The whole task, tiny: what it writes, how it goes on, how shards meet."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuron_core.cameras.transforms import read_transforms
from neuron_core.datasets.contract import View, has_picture, read_gbuffer, read_picture
from neuron_core.datasets.reader import open_dataset
from neuron_core.foundation import interrupts
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.groundtruth.config import DatasetConfig
from neuron_core.tasks.dataset.run import run

CUBE = """#usda 1.0
(
    upAxis = "Y"
    metersPerUnit = 1
    defaultPrim = "Box"
)
def Cube "Box"
{
    double size = 40
    double3 xformOp:translate = (100, 20, -7)
    uniform token[] xformOpOrder = ["xformOp:translate"]
}
"""


def content(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> DatasetConfig:
    scene = tmp_path_factory.mktemp("scene") / "box.usda"
    scene.write_text(CUBE)
    return DatasetConfig(
        out=tmp_path_factory.mktemp("datasets") / "whole",
        geometry=str(scene),
        materials="polished-gold,clear-glass",
        views=2,
        val_views=1,
        test_views=1,
        surface_views=3,
        resolution=16,
        spp=4,
        truth_db=25.0,
        truth_spp=16,
        variant="scalar",
    )


@pytest.fixture(scope="module")
def whole(config) -> dict[str, object]:
    return run(config, Silent())


def test_what_is_written_is_what_readers_expect(config, whole):
    dataset = open_dataset(config.out)
    dataset.verify()
    assert set(content(config.out)) == {*dataset.manifest.files, "dataset.json"}
    assert [entry.name for entry in dataset.materials] == ["polished-gold", "clear-glass"]
    counts = {split: len(names) for split, names in dataset.splits.items()}
    assert counts == {"train": 2, "val": 1, "test": 1, "surface": 3}
    np.testing.assert_allclose(dataset.aabb, [[-20, -20, -20], [20, 20, 20]], atol=1e-4)
    for camera in dataset.cameras:
        buffer = read_gbuffer(dataset, View(camera))
        assert buffer is not None and 0.1 < buffer.coverage.mean() < 0.9
        if camera in dataset.splits["surface"]:
            assert not has_picture(dataset, View(camera, "polished-gold"))
            continue
        alpha = read_picture(dataset, View(camera, "polished-gold"))[..., 3]
        assert (alpha[buffer.coverage == 1] > 0.2).all()
        assert abs(alpha.mean() - buffer.coverage.mean()) < 0.05


def test_the_noise_of_the_truth_is_told_for_every_split(config, whole):
    for entry in open_dataset(config.out).materials:
        assert entry.truth_floors is not None
        assert set(entry.truth_floors) == {"train", "val", "test"}
        assert entry.truth_floor == whole["truth_floor"][entry.name]["test"]
        assert 5 < entry.truth_floor < 99


def test_other_programs_find_a_nerf_dataset(config, whole):
    ours = open_dataset(config.out)
    foreign = read_transforms(config.out / "beauty" / "polished-gold")
    assert {split: len(names) for split, names in foreign.splits.items()} == {"train": 2, "val": 1, "test": 1}
    for frame in foreign.frames:
        twin = ours.cameras[frame.image.stem]
        np.testing.assert_allclose(frame.camera.c2w, twin.c2w, atol=1e-9)
        assert frame.camera.fl_x == pytest.approx(twin.fl_x)


def test_the_same_command_says_that_it_is_done(config, whole):
    before = {file: file.stat().st_mtime_ns for file in config.out.rglob("*")}
    assert run(config, Silent()) == whole
    assert {file: file.stat().st_mtime_ns for file in config.out.rglob("*")} == before


class Impatient(Silent):
    """Asks to stop after a number of pictures."""

    def __init__(self, pictures: int) -> None:
        self.left = pictures

    def progress(self, fraction, stage, message="", metrics=None):
        if stage == "render":
            self.left -= 1
            if self.left == 0:
                raise interrupts.Stopped(2)


def test_a_run_that_went_on_ends_with_the_same_bytes(config, whole, tmp_path):
    stopped = replace(config, out=tmp_path / "stopped")
    for pictures in (3, 5):
        with pytest.raises(interrupts.Stopped):
            run(stopped, Impatient(pictures))
        assert not (stopped.out / "dataset.json").exists()
    run(stopped, Silent())
    assert content(stopped.out) == content(config.out)


def test_shards_that_were_rendered_apart_are_merged_into_the_whole(config, whole, tmp_path):
    shards = [tmp_path / "first", tmp_path / "second"]
    for index, folder in enumerate(shards, 1):
        run(replace(config, out=folder, shard=f"{index}/2"), Silent())
    merged = replace(config, out=tmp_path / "merged", merge=tuple(shards))
    run(replace(merged, merge=tuple(shards[:1]), shard="1/2"), Silent())
    run(merged, Silent())
    assert content(tmp_path / "merged") == content(config.out)
    with pytest.raises(ConfigMismatchError):
        run(replace(merged, out=tmp_path / "other", seed=1), Silent())
    with pytest.raises(NeuronError, match="no shard"):
        run(replace(merged, out=tmp_path / "other", overwrite=True, merge=(tmp_path,)), Silent())


def test_shards_and_the_run_that_joins_them_make_the_whole(config, whole, tmp_path):
    for shard in ("2/3", "1/3", "3/3"):
        result = run(replace(config, out=tmp_path / "parts", shard=shard), Silent())
        assert not result["finished"]
        assert not (tmp_path / "parts" / "dataset.json").exists()
    assert result["missing"] == 0
    joined = run(replace(config, out=tmp_path / "parts"), Silent())
    assert joined["finished"]
    assert content(tmp_path / "parts") == content(config.out)


def test_another_config_is_an_error_unless_it_overwrites(config, whole, tmp_path):
    small = replace(config, out=tmp_path / "d", materials="polished-gold", views=1, val_views=0, test_views=0)
    run(small, Silent())
    before = content(small.out)
    other = replace(small, seed=1)
    with pytest.raises(ConfigMismatchError, match="seed 0 instead of 1"):
        run(other, Silent())
    assert content(small.out) == before
    run(replace(other, overwrite=True), Silent())
    assert open_dataset(small.out).manifest.config["seed"] == 1


@pytest.mark.parametrize(
    "wrong", [{"materials": "unobtainium"}, {"geometry": "nowhere.usda"}, {"assign": ("/Nothing",)}]
)
def test_what_does_not_exist_is_named_before_anything_is_written(config, tmp_path, wrong):
    with pytest.raises(NeuronError):
        run(replace(config, out=tmp_path / "d", **wrong), Silent())
    assert not (tmp_path / "d").exists()


def test_a_path_below_a_file_cannot_become_a_dataset(config, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(NeuronError, match="Cannot write"):
        run(replace(config, out=tmp_path / "file" / "d"), Silent())
