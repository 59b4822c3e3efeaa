"""A dataset's folder while it is made."""

import pytest

from neuron_core.foundation.errors import ConfigMismatchError
from neuron_core.groundtruth.folder import UNFINISHED, Folder


def finished(path, description) -> Folder:
    folder = Folder(path, description)
    folder.open(False)
    folder.finish({"fingerprint": folder.fingerprint, "config": description, "files": {}})
    return folder


def test_notes_last_until_the_manifest_is_written(tmp_path):
    folder = Folder(tmp_path, {"views": 3})
    folder.open(False)
    folder.note("beauty/gold/test_000.exr", {"error": 0.5})
    again = Folder(tmp_path, {"views": 3})
    again.open(False)
    assert again.measured("beauty/gold/test_000.exr") == {"error": 0.5}
    assert again.measured("beauty/gold/test_001.exr") is None
    again.finish({"fingerprint": again.fingerprint, "config": {}, "files": {}})
    assert again.is_finished()
    assert not (tmp_path / UNFINISHED).exists()


@pytest.mark.parametrize("done", [True, False])
def test_another_dataset_is_left_alone(tmp_path, done):
    folder = Folder(tmp_path, {"views": 3})
    finished(tmp_path, {"views": 3}) if done else folder.open(False)
    with pytest.raises(ConfigMismatchError, match="views 3 instead of 4"):
        Folder(tmp_path, {"views": 4}).open(False)
    folder.open(False)
    assert folder.is_finished() == done


def test_overwriting_removes_our_files_and_no_others(tmp_path):
    finished(tmp_path, {"views": 3})
    ours = [tmp_path / "beauty/gold/a.exr", tmp_path / "gbuffer/a.exr", tmp_path / "preview.png"]
    theirs = [tmp_path / "beauty/notes.txt", tmp_path / "thesis.tex"]
    for file in ours + theirs:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    other = Folder(tmp_path, {"views": 4})
    other.open(True)
    assert not other.is_finished()
    assert not any(file.exists() for file in ours)
    assert all(file.exists() for file in theirs)


def test_a_damaged_manifest_is_overwritten_only_if_asked(tmp_path):
    finished(tmp_path, {"views": 3})
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(ConfigMismatchError):
        Folder(tmp_path, {"views": 3}).open(False)
    Folder(tmp_path, {"views": 3}).open(True)


def test_a_finished_dataset_that_lost_a_file_is_unfinished(tmp_path):
    folder = Folder(tmp_path, {"views": 3})
    folder.open(False)
    (tmp_path / "a.exr").write_bytes(b"x")
    folder.finish({"fingerprint": folder.fingerprint, "config": {"views": 3}, "files": {"a.exr": "0"}})
    assert folder.is_finished()
    (tmp_path / "a.exr").unlink()
    folder.open(False)
    assert not folder.is_finished()
    assert not folder.has("dataset.json")
