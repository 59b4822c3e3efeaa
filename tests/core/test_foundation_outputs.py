"""Claiming folders: what is resumed, refused and deleted, and what two processes or a killed one do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_core.foundation import outputs
from neuron_core.foundation.claims import Lock
from neuron_core.foundation.errors import ClaimedError, ConfigMismatchError, FileError
from neuron_core.foundation.files import read_json, write_json
from neuron_core.foundation.outputs import (
    Output,
    RecordForm,
    all_or_none,
    claim_file,
    fingerprint_of,
    is_same_fingerprint,
    require_free,
    require_writable,
)

SETTINGS = {"views": 3, "size": (64, 64), "light": "studio"}
OURS = ("pictures/**/*.png", "index.json")
TWO_FILES = RecordForm("dataset.json", unfinished="unfinished/request.json", digits=64)
BESIDE = RecordForm("render.json", config="")
FORMS = pytest.mark.parametrize("form", [RecordForm(), TWO_FILES, BESIDE], ids=["one", "two", "beside"])


def output(folder: Path, form: RecordForm | None = None, **changes: object) -> Output:
    return Output(folder, {**SETTINGS, **changes}, OURS, "another dataset", form or RecordForm())


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


# --- the life of an output ---


@FORMS
def test_an_output_is_fresh_then_resumed_then_done(tmp_path: Path, form: RecordForm):
    folder = tmp_path / "deep" / "out"
    states = []
    for _ in range(2):
        with output(folder, form).claim() as claim:
            states.append(claim.state)
    with output(folder, form).claim() as claim:
        claim.finish({"files": ["a"]})
    with output(folder, form).claim() as claim:
        states.append(claim.state)
        assert claim.found["files"] == ["a"]
    assert states == ["fresh", "resume", "done"]
    assert files_in(folder) == {form.name}


@FORMS
def test_other_settings_are_refused_by_name_and_touch_nothing(tmp_path: Path, form: RecordForm):
    with output(tmp_path, form).claim() as claim:
        claim.finish({})
    fill(tmp_path, "pictures/a.png")
    before = {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)}
    with pytest.raises(ConfigMismatchError) as caught:
        output(tmp_path, form, views=4, light="sky").claim()
    assert 'another dataset: light "studio" instead of "sky", views 3 instead of 4.' in caught.value.message
    assert "--overwrite" in caught.value.hint
    assert {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)} == before


@FORMS
def test_overwriting_deletes_what_is_ours_and_nothing_else(tmp_path: Path, form: RecordForm):
    with output(tmp_path, form).claim() as claim:
        claim.finish({"old": True})
    elsewhere = tmp_path.with_name(f"{tmp_path.name}_elsewhere")
    fill(elsewhere, "kept.png")
    fill(tmp_path, "pictures/a.png", "pictures/deep/b.png", "index.json")
    foreign = ("pictures/foreign.exr", "pictures/folder.png/notes.txt", "notes.txt")
    fill(tmp_path, *foreign)
    (tmp_path / "pictures" / "link").symlink_to(elsewhere, target_is_directory=True)
    with output(tmp_path, form, views=4).claim(overwrite=True) as claim:
        assert claim.state == "fresh"
        record = form.unfinished or form.name
        assert files_in(tmp_path) - {f".{form.name}.lock"} == {record, *foreign}
        assert not (tmp_path / "pictures" / "deep").exists()
    assert files_in(elsewhere) == {"kept.png"}
    with output(tmp_path, form, views=4).claim() as claim:
        assert claim.state == "resume"
        assert "old" not in claim.output.found()


def test_overwriting_the_same_settings_keeps_what_is_there(tmp_path: Path):
    with output(tmp_path).claim() as claim:
        claim.finish({})
    fill(tmp_path, "pictures/a.png")
    with output(tmp_path).claim(overwrite=True) as claim:
        assert claim.state == "done"
    assert "pictures/a.png" in files_in(tmp_path)


def test_a_done_output_needs_no_writing(tmp_path: Path):
    with output(tmp_path).claim() as claim:
        claim.finish({})
    tmp_path.chmod(0o500)
    try:
        with output(tmp_path).claim() as claim:
            assert claim.state == "done"
    finally:
        tmp_path.chmod(0o700)


def test_what_is_done_may_depend_on_more_than_the_record(tmp_path: Path):
    def whole(record: Mapping[str, object]) -> bool:
        names = record.get("files")
        return isinstance(names, list) and all((tmp_path / str(name)).is_file() for name in names)

    wanted = replace(output(tmp_path, TWO_FILES), is_done=whole)
    with wanted.claim() as claim:
        fill(tmp_path, "a.exr")
        claim.finish({"files": ["a.exr"]})
    assert wanted.claim().state == "done"
    (tmp_path / "a.exr").unlink()
    with wanted.claim() as claim:
        assert claim.state == "resume"
        assert claim.found["files"] == ["a.exr"]
        assert not (tmp_path / "dataset.json").exists(), "nothing may call it finished meanwhile"


def test_a_saved_record_comes_back(tmp_path: Path):
    with output(tmp_path).claim() as claim:
        claim.save({"seconds": {"train": 1.5}})
    with output(tmp_path).claim() as claim:
        assert claim.found["seconds"] == {"train": 1.5}


def test_a_file_is_no_folder(tmp_path: Path):
    fill(tmp_path, "out")
    with pytest.raises(FileError, match="is a file"):
        output(tmp_path / "out").claim(overwrite=True)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path):
    fill(tmp_path, "file")
    with pytest.raises(FileError, match="Cannot write"):
        output(tmp_path / "file" / "out").claim()


@FORMS
@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"{}", b'{"fingerprint": 3}', b'{"config": 5}'])
def test_a_damaged_record_is_refused_and_can_be_replaced(tmp_path: Path, form: RecordForm, damage: bytes):
    (tmp_path / form.name).write_bytes(damage)
    with pytest.raises(ConfigMismatchError):
        output(tmp_path, form).claim()
    assert (tmp_path / form.name).read_bytes() == damage
    with output(tmp_path, form).claim(overwrite=True) as claim:
        assert claim.state == "fresh"


# --- fingerprints ---

Settings = dict[str, object]
settings = st.dictionaries(
    st.text("abc", min_size=1, max_size=3), st.integers(0, 9) | st.text("xyz", max_size=3) | st.booleans()
)


@given(settings, settings, st.sampled_from([32, 64]))
def test_fingerprints_are_equal_for_equal_settings_alone(
    one: dict[str, object], other: dict[str, object], digits: int
):
    turned = dict(reversed(one.items()))
    assert is_same_fingerprint(fingerprint_of(one), fingerprint_of(turned, digits))
    assert is_same_fingerprint(fingerprint_of(one), fingerprint_of(other, digits)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


def test_short_or_strange_fingerprints_are_never_the_same():
    whole = fingerprint_of(SETTINGS, 64)
    assert not is_same_fingerprint(whole, whole[:31])
    assert not is_same_fingerprint("", "")
    assert not is_same_fingerprint(None, whole)


def test_fingerprints_never_change():
    assert fingerprint_of({"b": (1, 2), "a": Path("x")}) == "5125d018f84d57c49a8d3c2cfa6063d2"


@given(settings, settings)
def test_the_names_of_differences_are_those_that_differ(found: dict[str, object], wanted: dict[str, object]):
    common = {
        name for name in found if name in wanted and json.dumps(found[name]) != json.dumps(wanted[name])
    }
    named = {text.split(" ")[0] for text in outputs.differences(wanted, found)}
    assert named == (common or set(wanted) - set(found))


# --- interrupted and competing processes ---


class Killed(BaseException):
    """What stands for the end of the process at any point."""


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, number: int) -> None:
    """Let the nth call of a function that changes files end the process instead."""
    real: Callable[..., object] = getattr(owner, name)
    calls = iter(range(100))

    def call(*arguments: object, **options: object) -> object:
        if next(calls) == number:
            raise Killed
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, call)


@FORMS
@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("name", ["write_json", "unlink"])
def test_an_interrupted_claim_never_mixes_two_outputs(
    tmp_path: Path, form: RecordForm, name: str, number: int, monkeypatch: pytest.MonkeyPatch
):
    with output(tmp_path, form).claim() as claim:
        fill(tmp_path, "pictures/a.png", "index.json")
        claim.finish({})
    with monkeypatch.context() as patched:
        kill_at(patched, Path if name == "unlink" else outputs, name, number)
        try:
            with output(tmp_path, form, views=4).claim(overwrite=True):
                pass
        except Killed:
            pass
    try:  # what another command then takes for free has nothing of the old output in it
        with output(tmp_path, form, views=5).claim() as claim:
            assert not files_in(tmp_path) & {"pictures/a.png", "index.json"}
    except ConfigMismatchError:
        pass
    with output(tmp_path, form, views=4).claim(overwrite=True) as claim:
        assert claim.output.found()["fingerprint"] == claim.output.fingerprint
        assert files_in(tmp_path) - {f".{form.name}.lock"} == {form.unfinished or form.name}


def test_a_folder_that_was_being_cleared_belongs_to_nobody(tmp_path: Path):
    write_json(tmp_path / "output.json", {outputs.CLEARING: True})
    fill(tmp_path, "pictures/a.png", "notes.txt")
    with output(tmp_path).claim() as claim:
        assert claim.state == "fresh"
    assert files_in(tmp_path) == {"output.json", "notes.txt"}


def test_a_failed_claim_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patched:
        kill_at(patched, outputs, "write_json", 0)
        with pytest.raises(Killed):
            output(tmp_path).claim()
    assert files_in(tmp_path) == set()
    with output(tmp_path).claim() as claim:
        assert claim.state == "fresh"


@FORMS
@pytest.mark.parametrize("existed", [True, False])
def test_what_fails_before_it_wrote_anything_leaves_nothing(tmp_path: Path, form: RecordForm, existed: bool):
    folder = tmp_path / "out"
    if existed:
        folder.mkdir()
    with pytest.raises(ZeroDivisionError), output(folder, form).claim():
        raise ZeroDivisionError
    assert folder.exists() == existed and files_in(tmp_path) == set()
    with pytest.raises(ZeroDivisionError), output(folder, form).claim():
        fill(folder, "pictures/a.png")
        raise ZeroDivisionError
    for _ in range(2):  # what was resumed keeps its record whatever happens
        with pytest.raises(ZeroDivisionError), output(folder, form).claim() as claim:
            assert claim.state == "resume"
            (folder / "pictures/a.png").unlink(missing_ok=True)
            raise ZeroDivisionError


def test_a_claimed_folder_is_refused_until_it_is_released(tmp_path: Path):
    first = output(tmp_path).claim()
    with pytest.raises(ClaimedError, match=rf"in use by another process \({os.getpid()} on ") as caught:
        output(tmp_path).claim()
    assert caught.value.hint
    with pytest.raises(ClaimedError):
        output(tmp_path, views=4).claim(overwrite=True)
    first.release()
    first.release()
    with output(tmp_path).claim() as claim:
        assert claim.state == "resume"
    assert files_in(tmp_path) == {"output.json"}


def test_shared_outputs_are_written_together_and_cleared_alone(tmp_path: Path):
    shared = replace(output(tmp_path), shared=True)
    other = replace(output(tmp_path, views=4), shared=True)
    with shared.claim() as first, shared.claim() as second:
        assert (first.state, second.state) == ("fresh", "resume")
        with pytest.raises(ClaimedError):
            other.claim(overwrite=True)
        first.release()
        with pytest.raises(ClaimedError):
            output(tmp_path).claim()
    with other.claim(overwrite=True), other.claim() as again:
        assert again.state == "resume"
    assert files_in(tmp_path) == {"output.json"}


HOLD = """
import sys
from pathlib import Path
from neuron_core.foundation.errors import ClaimedError
from neuron_core.foundation.outputs import Output
try:
    claim = Output(Path(sys.argv[1]), {"views": 3}).claim()
except ClaimedError:
    print("refused", flush=True)
    sys.exit()
print(claim.state, flush=True)
sys.stdin.readline()
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_one_of_several_processes_wins_and_a_killed_one_lets_go(tmp_path: Path):
    processes = [start(tmp_path / "out") for _ in range(4)]
    try:
        answers = [said(process) for process in processes]
        assert sorted(answers) == ["fresh", "refused", "refused", "refused"]
        winner = processes[answers.index("fresh")]
        winner.send_signal(signal.SIGKILL)
        winner.wait()
        with Output(tmp_path / "out", {"views": 3}).claim() as claim:
            assert claim.state == "resume"
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert files_in(tmp_path) == {"out/output.json"}


def test_a_lock_that_was_removed_under_us_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Between opening the file and locking it, its last holder may remove it."""
    path = tmp_path / ".lock"
    real = Lock._locked
    raced = []

    def race(self: Lock, handle: int, shared: bool) -> bool:
        if not raced:
            raced.append(True)
            path.unlink()
        return real(self, handle, shared)

    monkeypatch.setattr(Lock, "_locked", race)
    with Lock(path, tmp_path):
        assert path.is_file()
        with pytest.raises(ClaimedError):
            Lock(path, tmp_path)


# --- single files ---


def made_with(path: Path) -> dict[str, object]:
    content = read_json(path)
    assert isinstance(content, dict)
    return content


def test_a_file_is_written_done_or_refused(tmp_path: Path):
    path = tmp_path / "oak.json"
    assert claim_file(path, False, "another grid", {"step": 1}, made_with) == "fresh"
    write_json(path, {"step": 1, "more": 5})
    assert claim_file(path, False, "another grid", {"step": 1}, made_with) == "done"
    assert claim_file(path, True, "another grid", {"step": 1}, made_with) == "fresh"
    with pytest.raises(
        ConfigMismatchError, match="oak.json holds another grid: step 1 instead of 2"
    ) as caught:
        claim_file(path, False, "another grid", {"step": 2}, made_with)
    assert "another file" in caught.value.hint


def test_a_fingerprint_decides_where_a_file_has_one(tmp_path: Path):
    path = tmp_path / "oak.json"
    write_json(path, {"step": 1, "fingerprint": "a" * 32})
    same = {"step": 2, "fingerprint": "a" * 32}
    assert claim_file(path, False, "another asset", same, made_with) == "done"
    with pytest.raises(ConfigMismatchError, match="oak.json holds another asset: step 1 instead of 2[.]"):
        claim_file(path, False, "another asset", {"step": 2, "fingerprint": "b" * 32}, made_with)
    with pytest.raises(ConfigMismatchError, match="oak.json holds another asset[.]"):
        claim_file(path, False, "another asset", {"step": 1, "fingerprint": "b" * 32}, made_with)


def test_files_that_are_there_are_refused_unless_given_up(tmp_path: Path):
    fill(tmp_path, "b")
    require_free([tmp_path / "a"], overwrite=False)
    require_free([tmp_path / "a", tmp_path / "b"], overwrite=True)
    with pytest.raises(ConfigMismatchError, match="b is already there"):
        require_free([tmp_path / "a", tmp_path / "b"], overwrite=False)


def test_a_target_that_cannot_be_written_is_found_out_first(tmp_path: Path):
    require_writable(tmp_path / "not" / "there" / "yet.ply")
    for path in (tmp_path, tmp_path / "file" / "out.ply"):
        fill(tmp_path, "file")
        with pytest.raises(FileError, match="Cannot write"):
            require_writable(path)


def test_files_that_belong_together_go_together(tmp_path: Path):
    fill(tmp_path, "old")
    names = ("old", "assets/new", "never")
    with pytest.raises(Killed), all_or_none([tmp_path / name for name in names]):
        fill(tmp_path, "old", "assets/new")
        raise Killed
    assert files_in(tmp_path) == {"old"}
    assert not (tmp_path / "assets").exists()
    (tmp_path / "assets").mkdir()
    with pytest.raises(Killed), all_or_none([tmp_path / "assets/new"]):
        raise Killed
    assert (tmp_path / "assets").is_dir(), "it was there before"
    with all_or_none([tmp_path / "assets/new"]):
        fill(tmp_path, "assets/new")
    assert files_in(tmp_path) == {"old", "assets/new"}
