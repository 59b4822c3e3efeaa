"""Axes x channels: what is written in version 2 is read back view by view, old and foreign folders too."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.cameras.transforms import read_transforms
from neuron_core.datasets import layout
from neuron_core.datasets.channels import Channel
from neuron_core.datasets.contract import Dataset, View, read_gbuffer
from neuron_core.datasets.layout import DatasetError
from neuron_core.datasets.manifest import StoredChannels
from neuron_core.datasets.pairs import paired
from neuron_core.datasets.reader import open_dataset
from neuron_core.datasets.writer import transforms, write_view
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import sha256_of
from neuron_core.foundation.records import read_record, to_plain
from neuron_core.lights.environment import environment_of, read_environment
from neuron_core.lights.records import LightRecord
from tests.core import dataset_samples as sample
from tests.core import foreign_scenes as foreign
from tests.core.test_datasets_reader import a_dataset, a_picture

SUNSET = View("cam_000", "gold", "sunset", "rest", 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("datasets") / "whole"
    sample.write_sample(folder)
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    sample.write_sample(tmp_path / "set")
    return tmp_path / "set"


def damage(folder: Path, name: str, change) -> None:
    """Change a JSON file and make the manifest agree, so that only its content is wrong."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    if name != layout.MANIFEST:
        path = folder / layout.MANIFEST
        manifest = json.loads(path.read_text())
        manifest["files"][name] = sha256_of(folder / name)
        path.write_text(json.dumps(manifest))


def light_of(dataset: Dataset, name: str) -> LightRecord:
    return read_record(LightRecord, dataset.record("light", name), name, DatasetError)


def test_every_channel_of_every_view_is_read_as_it_was_written(whole):
    dataset = open_dataset(whole)
    dataset.verify()
    for view in (*sample.PICTURES, *sample.SHAPES):
        stored = (*sample.STORED.beauty, *sample.STORED.gbuffer) if view.material else sample.STORED.gbuffer
        assert dataset.channels(view) == set(stored)
        found = dataset.read(view, *stored)
        for channel, values in sample.pixels_of(sample.complete(view), stored).items():
            np.testing.assert_array_equal(found[channel], values)
            assert found[channel].dtype == values.dtype


def test_one_channel_is_read_alone_and_a_caller_cannot_change_the_next(whole):
    dataset = open_dataset(whole)
    for channel in (Channel.SHADOW, Channel.BEAUTY, Channel.COVERAGE):
        (found,) = dataset.read(SUNSET, channel).values()
        found[:] = 7
        assert not (dataset.read(SUNSET, channel)[channel] == 7).any()


def test_the_folder_is_laid_out_as_documented(whole):
    files = {file.relative_to(whole).as_posix() for file in whole.rglob("*") if file.is_file()}
    assert files >= {
        "dataset.json",
        "cameras.json",
        "materials.json",
        "lights.json",
        "lights/sunset.exr",
        "skeleton.json",
        "poses.json",
        "frames.json",
        "gbuffer/cam_003.exr",
        "gbuffer@bow/cam_003.exr",
        "beauty/gold/sunset/cam_000.exr",
        "beauty/gold/sunset/cam_000.0012.exr",
        "beauty/gold/sunset@wave/cam_000.exr",
        "beauty/gold/sunset@wave/transforms.json",
    }
    assert set(open_dataset(whole).manifest.files) == files - {"dataset.json"}


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,8}", fullmatch=True)


@given(NAMES, NAMES, NAMES, NAMES, st.integers(0, layout.LAST_FRAME))
def test_paths_say_which_view_they_hold(camera, material, light, pose, frame):
    view = View(camera, material, light, pose, frame)
    shape = view._replace(material="", light="")
    assert layout.view_at(layout.beauty_path(view, 2), 2) == view
    assert layout.view_at(layout.gbuffer_path(view, 2), 2) == shape
    still = View(camera, material, "studio", "rest", 0)
    assert layout.view_at(layout.beauty_path(still, 1), 1) == still


@pytest.mark.parametrize(
    "path", ["preview.png", "lights/sunset.exr", "beauty/gold/transforms.json", "a.exr", "beauty/cam.exr"]
)
def test_other_files_are_no_view(path):
    assert layout.view_at(path, 1) is None and layout.view_at(path, 2) is None


def test_the_axes_hold_all_names_in_order(whole):
    assert open_dataset(whole).axes == {
        "material": ("gold", "copper"),
        "light": ("sunset", "even", "lamp"),
        "pose": ("rest", "wave", "bow"),
        "camera": ("cam_000", "cam_001", "cam_002", "cam_003"),
        "frame": ("0", "12"),
    }


def test_what_a_view_leaves_out_is_the_first_light_the_rest_pose_and_frame_0(whole):
    dataset = open_dataset(whole)
    assert dataset.complete(View("cam_000", "gold")) == SUNSET
    assert dataset.complete(View("cam_003")) == View("cam_003", pose="rest")


def test_splits_are_by_what_was_not_trained_on(whole):
    dataset = open_dataset(whole)
    rows = {split: [str(view) for view in dataset.views(split)] for split in ("train", "val", "test")}
    assert rows == {
        "train": [
            "gold from cam_000 under sunset",
            "gold from cam_000 under sunset at frame 12",
            "gold from cam_000 under sunset in pose wave",
            "gold from cam_000 under even",
        ],
        "val": ["gold from cam_001 under even"],
        "test": ["gold from cam_002 under sunset"],
    }
    assert dataset.views("compositional") == (View("cam_002", "copper", "sunset", "rest"),)
    assert dataset.views("lights") == (View("cam_002", "gold", "lamp", "rest"),)
    assert dataset.views("poses") == (View("cam_002", "gold", "sunset", "bow"),)
    with pytest.raises(DatasetError, match="Unknown split 'light'"):
        dataset.views("light")


def test_shapes_are_split_alike_and_cameras_without_pictures_teach(whole):
    dataset = open_dataset(whole)
    taught = {(view.camera, view.pose, view.frame) for view in dataset.shapes("train")}
    assert taught == {
        ("cam_000", "rest", 0),
        ("cam_000", "rest", 12),
        ("cam_000", "wave", 0),
        ("cam_003", "rest", 0),
    }
    assert {view.camera for view in dataset.shapes("val")} == {"cam_001"}
    assert set(dataset.shapes("poses")) == {View("cam_002", pose="bow"), View("cam_003", pose="bow")}
    assert not dataset.shapes("lights")


@pytest.mark.parametrize(
    ("pose", "frame", "split"),
    [("train", "val", "val"), ("val", "train", "val"), ("train", "test", "test"), ("test", "test", "poses")],
)
def test_poses_and_frames_are_held_out_too(tmp_path, pose, frame, split):
    about = sample.DESCRIPTION
    frames = (about.frames[0], replace(about.frames[1], split=frame))
    about = replace(about, poses=(sample.a_pose("wave", pose),), frames=frames)
    view = View("cam_000", "gold", "sunset", "wave", 12)
    write_view(tmp_path, about, view, sample.pixels_of(view, sample.STORED.beauty))
    sample.write_light(tmp_path, "sunset", np.ones((1, 2, 3), np.float32))
    sample.finish_dataset(tmp_path, about)
    dataset = open_dataset(tmp_path)
    found = [name for name in ("train", "val", "test", "lights", "poses") if dataset.views(name)]
    assert found == [split]


def test_cameras_move_with_the_frames_that_say_so(whole):
    dataset = open_dataset(whole)
    np.testing.assert_array_equal(dataset.camera(SUNSET).c2w, sample.CAMERAS[0].c2w)
    np.testing.assert_array_equal(dataset.camera(SUNSET._replace(frame=12)).c2w, sample.ELSEWHERE.c2w)


def test_records_say_what_is_known_of_every_name(whole):
    dataset = open_dataset(whole)
    lights = [light_of(dataset, name) for name in dataset.axes["light"]]
    assert lights == list(sample.DESCRIPTION.lights)
    assert dataset.record("pose", "bow") == to_plain(sample.DESCRIPTION.poses[1])
    assert dataset.record("frame", "12")["objects"][0]["name"] == "ball"
    assert dataset.record("material", "gold") == {"name": "gold"}
    assert dataset.record("camera", "cam_001")["width"] == sample.WIDTH
    with pytest.raises(DatasetError, match="no light 'sunse'") as caught:
        dataset.record("light", "sunse")
    assert "sunset" in caught.value.hint


def test_the_map_of_a_light_is_where_its_record_says(whole):
    environment = environment_of(sample.DESCRIPTION.lights[0], whole)
    wanted = np.random.default_rng(0).random((4, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(environment.image, wanted)
    assert environment.rotation == 90.0
    even = environment_of(sample.DESCRIPTION.lights[1], whole)
    np.testing.assert_allclose(even.radiance(np.eye(3)), 0.5)
    assert environment_of(sample.DESCRIPTION.lights[2], whole) is None


def test_other_programs_find_a_nerf_dataset_beside_the_pictures(whole):
    dataset = open_dataset(whole)
    found = read_transforms(whole / "beauty/gold/sunset")
    assert [frame.camera.name for frame in found.frames] == ["cam_000", "cam_000.0012", "cam_002"]
    for frame, view in zip(found.frames, (SUNSET, SUNSET._replace(frame=12)), strict=False):
        np.testing.assert_allclose(frame.camera.c2w, dataset.camera(view).c2w, atol=1e-9)
    assert found.splits["train"] == ["cam_000", "cam_000.0012"] and found.splits["test"] == ["cam_002"]
    assert transforms(sample.DESCRIPTION, [SUNSET])["val_filenames"] == []


def test_an_old_folder_is_one_light_the_rest_pose_and_stills(tmp_path):
    a_dataset(tmp_path)
    dataset = open_dataset(tmp_path)
    assert isinstance(dataset, Dataset)
    assert {axis: dataset.axes[axis] for axis in ("light", "pose", "frame")} == {
        "light": ("studio",),
        "pose": ("rest",),
        "frame": ("0",),
    }
    view = View("view_001", "gold", "studio", "rest", 0)
    assert dataset.views("train") == (view._replace(camera="view_000"), view)
    assert dataset.views("compositional") == (View("view_002", "worn_copper", "studio", "rest"),)
    for same in (view, View("view_001", "gold")):
        np.testing.assert_array_equal(dataset.read(same, Channel.BEAUTY)[Channel.BEAUTY], a_picture(1))
    light = light_of(dataset, "studio")
    np.testing.assert_array_equal(environment_of(light, tmp_path).image, read_environment("studio").image)


def test_photographs_are_one_scene_in_an_unknown_light(tmp_path):
    foreign.write_nerfstudio(tmp_path, foreign.scene_cameras(9))
    dataset = open_dataset(tmp_path)
    assert isinstance(dataset, Dataset)
    views = dataset.views("train")
    assert len(views) == len(dataset.splits["train"]) > 0
    assert {view._replace(camera="") for view in views} == {View("", "scene", "captured", "rest")}
    assert dataset.channels(views[0]) == {Channel.BEAUTY}
    with pytest.raises(DatasetError, match=f"no channel depth of scene from {views[0].camera}"):
        dataset.read(views[0], Channel.BEAUTY, Channel.DEPTH)
    assert not dataset.shapes("train") and read_gbuffer(dataset, View(views[0].camera)) is None


def test_a_channel_that_is_missing_is_named_with_its_view(whole):
    dataset = open_dataset(whole)
    with pytest.raises(DatasetError, match="no channel rest of gold from cam_000 under sunset") as caught:
        dataset.read(SUNSET, Channel.BEAUTY, Channel.REST)
    assert "albedo" in caught.value.hint
    with pytest.raises(DatasetError, match="no picture of copper from cam_000 under even"):
        dataset.read(View("cam_000", "copper", "even"), Channel.BEAUTY)
    assert dataset.channels(View("cam_000", "copper", "even")) == set(sample.STORED.gbuffer)
    assert not dataset.channels(View("cam_001", pose="bow"))
    with pytest.raises(DatasetError, match="no channel depth of the shape from cam_001 in pose bow"):
        dataset.read(View("cam_001", pose="bow"), Channel.DEPTH)


@pytest.mark.parametrize(
    ("view", "named"),
    [
        (View("cam_00", "gold"), "camera 'cam_00'"),
        (View("cam_000", "golf"), "material 'golf'"),
        (View("cam_000", "gold", "moon"), "light 'moon'"),
        (View("cam_000", "gold", "sunset", "sit"), "pose 'sit'"),
        (View("cam_000", "gold", "sunset", "rest", 3), "frame '3'"),
    ],
)
def test_unknown_names_are_named(whole, view, named):
    for ask in (open_dataset(whole).channels, open_dataset(whole).camera, open_dataset(whole).valid):
        with pytest.raises(DatasetError, match=f"has no {named}"):
            ask(view)


def test_pairs_differ_in_one_thing_and_follow_the_seed(whole):
    dataset = open_dataset(whole)
    pairs = paired(dataset, "light", 3)
    assert {frozenset(pair) for pair in pairs} == {frozenset((SUNSET, SUNSET._replace(light="even")))}
    assert len(pairs) == 2 and pairs == paired(dataset, "light", 3)
    assert {second.pose for _, second in paired(dataset, "pose", 0)} == {"rest", "wave"}
    assert {second.frame for _, second in paired(dataset, "frame", 0)} == {0, 12}
    assert paired(dataset, "material", 0) == [] == paired(dataset, "camera", 0)


def test_every_photograph_is_once_first_and_once_second(tmp_path):
    foreign.write_ngp(tmp_path, foreign.scene_cameras(12))
    dataset = open_dataset(tmp_path)
    first, again, other = (paired(dataset, "camera", seed) for seed in (0, 0, 1))
    assert first == again != other
    for side in zip(*first, strict=True):
        assert sorted(side) == sorted(dataset.views("train"))
    assert all(one != two for one, two in first)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "lights.json",
            lambda c: c["lights"][0].update(kind="hdri"),
            r"lights\.json: lights\[0\].kind is 'hdri'",
        ),
        ("lights.json", lambda c: c["lights"][0].update(file=""), "the latlong light sunset has no file"),
        ("lights.json", lambda c: c["lights"][0].update(file="lights/b.exr"), "lights/b.exr, which"),
        ("lights.json", lambda c: c["lights"][1].update(name="sunset"), "names 'sunset' twice"),
        (
            "lights.json",
            lambda c: c["lights"][2]["lights"][0].update(width=1.0),
            "sphere light has no width",
        ),
        ("lights.json", lambda c: c.update(version=2), r"lights\.json has version 2"),
        ("poses.json", lambda c: c["poses"][0].update(split="all"), r"poses\[0\].split is 'all'"),
        ("poses.json", lambda c: c["poses"][0]["rotations"].pop(), "1 rotations and 2 transforms"),
        ("poses.json", lambda c: c["poses"][0].update(rotations=[], transforms=[]), "wave has 0 joints"),
        ("poses.json", lambda c: c["poses"][1]["rotations"].__setitem__(0, [0, 0, 0, 2]), "length 2, not 1"),
        ("skeleton.json", lambda c: c["parents"].__setitem__(0, 1), "joint root comes before its parent"),
        ("skeleton.json", lambda c: c.update(joints=["a", "a"]), "the same name"),
        ("frames.json", lambda c: c["frames"][1].update(number=0), "do not follow"),
        ("frames.json", lambda c: c["frames"][1]["cameras"]["cam_000"].pop("fl_x"), "Frame 12: .*fl_x"),
        (
            "frames.json",
            lambda c: c["frames"][1]["objects"][0].update(high=[0, 0, -2]),
            "an empty box",
        ),
        ("dataset.json", lambda c: c["channels"]["beauty"].clear(), "pictures need the channel beauty"),
        ("dataset.json", lambda c: c["channels"].update(gbuffer=["beauty"]), "beauty are stored twice"),
        ("dataset.json", lambda c: c["channels"].update(gbuffer=["z"]), r"gbuffer\[0\] is 'z'"),
        ("dataset.json", lambda c: c["files"].pop("lights.json"), "does not list lights.json"),
        (
            "dataset.json",
            lambda c: c["files"].update({"beauty/gold/noon/cam_000.exr": "0" * 64}),
            "beauty/gold/noon/cam_000.exr, but there is no light 'noon'",
        ),
    ],
)
def test_damaged_descriptions_are_one_error_that_names_file_and_field(folder, name, change, message):
    damage(folder, name, change)
    with pytest.raises(NeuronError, match=message):
        open_dataset(folder)


def test_frames_of_a_camera_that_is_not_there_are_an_error(folder):
    def rename(content):
        cameras = content["frames"][1]["cameras"]
        cameras["cam_9"] = {**cameras.pop("cam_000"), "name": "cam_9"}

    damage(folder, layout.FRAMES, rename)
    with pytest.raises(DatasetError, match=r"frames\.json moves the camera cam_9"):
        open_dataset(folder)


@pytest.mark.parametrize(
    ("channel", "values", "message"),
    [
        (Channel.OBJECT_ID, np.full((4, 6), 0.5), "object_id of .* not whole numbers"),
        (Channel.OBJECT_ID, np.full((4, 6), (1 << 24) + 1), "files do not hold exactly"),
        (Channel.DEPTH, np.ones((4, 6)), "depth of .* is not 0 where coverage is 0"),
        (Channel.DEPTH, np.full((4, 6), np.nan), "24 values that are infinite"),
        (Channel.NORMAL, np.zeros((4, 6)), "normal|N of .* has the shape"),
        (Channel.BEAUTY, np.zeros((3, 6, 4)), "beauty of .* is not 6 x 4 pixels"),
        (Channel.REST, np.zeros((4, 6, 3)), "cannot have the channel rest"),
        (Channel.FLOW, None, "lacks the channel flow"),
    ],
)
def test_what_cannot_be_a_view_is_not_written(tmp_path, channel, values, message):
    pixels = sample.pixels_of(SUNSET, (*sample.STORED.beauty, *sample.STORED.gbuffer))
    if values is None:
        del pixels[channel]
    else:
        pixels[channel] = values
    with pytest.raises(DatasetError, match=message):
        write_view(tmp_path, sample.DESCRIPTION, SUNSET, pixels)
    assert not list(tmp_path.rglob("*.exr"))


def test_names_that_would_be_taken_for_frames_are_refused():
    with pytest.raises(DatasetError, match="ends like a frame"):
        layout.beauty_path(View("cam.0001", "gold"), 2)
    assert layout.beauty_path(View("cam.0001", "gold"), 1) == "beauty/gold/cam.0001.exr"
    with pytest.raises(DatasetError, match="-1 cannot be a frame"):
        layout.gbuffer_path(View("cam", frame=-1), 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"lights": ()}, "needs the records of its lights"), ({"skeleton": None}, "needs a skeleton")],
)
def test_a_description_is_complete(changes, message):
    with pytest.raises(DatasetError, match=message):
        replace(sample.DESCRIPTION, **changes)


def test_what_an_old_reader_can_say_is_written_as_version_1(tmp_path):
    plain = replace(
        sample.DESCRIPTION, lights=(), skeleton=None, poses=(), frames=(), channels=StoredChannels()
    )
    view = View("cam_000", "gold")
    write_view(tmp_path, plain, view, {Channel.BEAUTY: np.ones((sample.HEIGHT, sample.WIDTH, 4))})
    manifest = sample.finish_dataset(tmp_path, plain)
    assert manifest.version == 1 and "channels" not in manifest.to_json()
    assert "beauty/gold/cam_000.exr" in manifest.files and "lights.json" not in manifest.files
    assert open_dataset(tmp_path).views("train") == (View("cam_000", "gold", "studio", "rest"),)
