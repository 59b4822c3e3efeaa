"""A dataset's folder while it is made."""

import pytest

from neuron_core.datasets.manifest import RendererInfo
from neuron_core.foundation.errors import ClaimedError, ConfigMismatchError, FileError
from neuron_core.foundation.files import write_json
from neuron_core.groundtruth.folder import UNFINISHED, DatasetFolder

PICTURE = "beauty/gold/test_000.exr"


def finished(path, description) -> None:
    folder = DatasetFolder(path, description)
    with folder.claim(False):
        folder.finish({"files": {}})


def state(path, description, overwrite=False) -> str:
    with DatasetFolder(path, description).claim(overwrite) as claim:
        return claim.state


def fill(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def test_notes_last_until_the_manifest_is_written(tmp_path):
    folder = DatasetFolder(tmp_path, {"views": 3})
    with folder.claim(False):
        folder.note(PICTURE, {"error": 0.5})
    again = DatasetFolder(tmp_path, {"views": 3})
    with again.claim(False):
        assert again.measured(PICTURE) == {"error": 0.5}
        assert again.measured("beauty/gold/test_001.exr") is None
        again.finish({"files": {}})
    assert state(tmp_path, {"views": 3}) == "done"
    assert not (tmp_path / UNFINISHED).exists()


def test_a_damaged_note_is_named(tmp_path):
    folder = DatasetFolder(tmp_path, {"views": 3})
    write_json(tmp_path / UNFINISHED / "beauty/gold/test_000.json", {"error": "small"})
    with pytest.raises(FileError, match=r"test_000.json: error is 'small', not a number"):
        folder.measured(PICTURE)


@pytest.mark.parametrize("done", [True, False])
def test_another_dataset_is_left_alone(tmp_path, done):
    finished(tmp_path, {"views": 3}) if done else state(tmp_path, {"views": 3})
    with pytest.raises(ConfigMismatchError, match="views 3 instead of 4"):
        state(tmp_path, {"views": 4})
    assert state(tmp_path, {"views": 3}) == ("done" if done else "resume")


def test_overwriting_removes_our_files_and_no_others(tmp_path):
    finished(tmp_path, {"views": 3})
    ours = [tmp_path / "beauty/gold/a.exr", tmp_path / "gbuffer/a.exr", tmp_path / "preview.png"]
    theirs = [tmp_path / "beauty/notes.txt", tmp_path / "thesis.tex"]
    fill(*ours, *theirs)
    assert state(tmp_path, {"views": 4}, overwrite=True) == "fresh"
    assert not any(file.exists() for file in ours)
    assert all(file.exists() for file in theirs)


def test_a_damaged_manifest_is_overwritten_only_if_asked(tmp_path):
    finished(tmp_path, {"views": 3})
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(ConfigMismatchError):
        state(tmp_path, {"views": 3})
    assert state(tmp_path, {"views": 3}, overwrite=True) == "fresh"


def test_a_finished_dataset_that_lost_a_file_is_unfinished(tmp_path):
    folder = DatasetFolder(tmp_path, {"views": 3})
    with folder.claim(False):
        fill(tmp_path / "a.exr")
        folder.finish({"files": {"a.exr": "0"}})
    assert state(tmp_path, {"views": 3}) == "done"
    (tmp_path / "a.exr").unlink()
    assert state(tmp_path, {"views": 3}) == "resume"
    assert not folder.has("dataset.json")


def test_shards_share_a_folder_and_the_last_step_has_it_alone(tmp_path):
    shards = [DatasetFolder(tmp_path, {"views": 3}, shared=True) for _ in range(2)]
    whole = DatasetFolder(tmp_path, {"views": 3})
    with shards[0].claim(False), shards[1].claim(False), pytest.raises(ClaimedError):
        whole.claim(False)
    with whole.claim(False), pytest.raises(ClaimedError):
        shards[0].claim(False)


def test_a_shard_is_taken_over_with_its_notes_and_renderer(tmp_path):
    shard = DatasetFolder(tmp_path / "shard", {"views": 3}, shared=True)
    with shard.claim(False):
        fill(shard.path / PICTURE, shard.path / "gbuffer/test_000.exr", shard.path / "beauty/foreign.txt")
        shard.note(PICTURE, {"error": 0.5})
        shard.note_renderer(RendererInfo("mitsuba", "3", "scalar", {"bounces": 2}))
    whole = DatasetFolder(tmp_path / "whole", {"views": 3})
    with whole.claim(False):
        assert whole.take_over(shard.path) == 4
        assert whole.take_over(shard.path) == 0
        assert whole.has(PICTURE)
        assert whole.measured(PICTURE) == {"error": 0.5}
        assert whole.renderer() == RendererInfo("mitsuba", "3", "scalar", {"bounces": 2})
        assert not whole.has("beauty/foreign.txt")
    other = DatasetFolder(tmp_path / "other", {"views": 4})
    with other.claim(False), pytest.raises(ConfigMismatchError, match="shard holds another dataset: views 3"):
        other.take_over(shard.path)
    with other.claim(False) as claim, pytest.raises(FileError, match="holds no shard"):
        other.take_over(tmp_path / "nothing")
    claim.release()
