"""What every command that writes leaves behind, as a program calls it.

One law for all of them: a result in JSON lines, the same command again changes no byte, another one is
refused, and `--overwrite` replaces what is ours and nothing else.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from neuron_core.assets import slug_of
from neuron_core.cli import main
from tests.core.baked_samples import MATERIALS, write_ball

LOOK = slug_of(MATERIALS[1])
SMALL = ("--size", "16x16", "--samples", "1", "--device", "cpu")


@dataclass(frozen=True)
class Command:
    """A small call that writes `out`. `other` are words that ask for something else at the same place."""

    words: tuple[str, ...]
    out: str
    other: tuple[str, ...] = ()
    resumes: bool = True  # the same call again finds it done; else it is refused
    begin: tuple[tuple[str, ...], ...] = ()  # calls that it needs before

    @property
    def name(self) -> str:
        return " ".join(self.words[: 2 if self.words[0] == "scene" else 1])


SHOT = (("scene", "new", "shot.usda", "--frames", "1-2"), ("scene", "add", "shot.usda", "ball.neuron"))
COMMANDS = (
    Command(("grid", "ball.neuron", "a.npz", "--resolution", "16"), "a.npz", ("--prompt", MATERIALS[1])),
    Command(
        ("render", "ball.neuron", "frames", "--cameras", "turntable:2", *SMALL),
        "frames",
        ("--background", "white"),
    ),
    Command(("anchor", "shot.usda", "anchors", *SMALL), "anchors", ("--size", "8x8"), begin=SHOT),
    Command(("export", "ball.neuron", "a.vdb"), "a.vdb", ("--precision", "float"), resumes=False),
    Command(
        ("look", "ball.neuron", "--look", MATERIALS[1], "--out", "other.neuron"),
        "other.neuron",
        ("--slider", "wear=0.5"),
    ),
    Command(("scene", "new", "a.usda"), "a.usda", ("--up", "Z"), resumes=False),
    Command(("scene", "flatten", "shot.usda", "flat.usda"), "flat.usda", resumes=False, begin=SHOT),
)  # fmt: skip
EACH = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("outcomes") / "ball.neuron")


@pytest.fixture
def call(asset, tmp_path, monkeypatch, capfd) -> Callable[..., dict[str, object]]:
    """Runs a command in a folder that holds the asset; its last line, and the code it ended with."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ball.neuron").symlink_to(asset)

    def called(*words: str) -> dict[str, object]:
        code = main([*words, "--json"])
        lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        fractions = [line["fraction"] for line in lines if line["event"] == "progress"]
        assert fractions == sorted(fractions) and all(0.0 <= fraction <= 1.0 for fraction in fractions)
        assert {line["event"] for line in lines[:-1]} <= {"progress", "warning"}
        assert lines[-1]["event"] == ("result" if code == 0 else "error"), lines[-1]
        return {**lines[-1], "code": code}

    return called


def content_of(folder: Path) -> dict[str, str]:
    """Digest and time of every file below a folder, by its name."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return {
        str(path.relative_to(folder)): f"{digest} {path.stat().st_mtime_ns}"
        for path, digest in zip(files, digests, strict=True)
    }


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[Path, dict[str, object]]]:
    """The folders that commands left, and what they answered: each is called once, then copied."""
    return {}


@pytest.fixture
def begin(call, made, tmp_path, tmp_path_factory) -> Callable[[Command], dict[str, object]]:
    """The answer of a command, and what it left in the current folder."""

    def begun(command: Command) -> dict[str, object]:
        if command.name in made:
            (tmp_path / "ball.neuron").unlink()
            shutil.copytree(made[command.name][0], tmp_path, symlinks=True, dirs_exist_ok=True)
            return made[command.name][1]
        for words in command.begin:
            assert call(*words)["code"] == 0
        found = call(*command.words)
        assert found["code"] == 0, found
        kept = shutil.copytree(tmp_path, tmp_path_factory.mktemp("made") / "folder", symlinks=True)
        made[command.name] = (kept, found)
        return found

    return begun


@EACH
def test_a_result_names_what_was_written_in_words_and_paths(begin, tmp_path, command):
    found = begin(command)
    out = tmp_path / command.out
    assert out.exists() and command.out in found["summary"] and "\x1b" not in found["summary"]
    assert any(isinstance(value, str) and Path(value).name == out.name for value in found.values())
    stray = [path.name for path in tmp_path.rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]
    assert not [name for name in stray if "lock" not in name]


@EACH
def test_the_same_command_again_changes_nothing(call, begin, tmp_path, command):
    first = begin(command)
    before = content_of(tmp_path)
    again = call(*command.words)
    assert content_of(tmp_path) == before
    if command.resumes:
        changing = {"summary", "rendered", "skipped", "written", "code"}
        assert {k: v for k, v in again.items() if k not in changing} == {
            k: v for k, v in first.items() if k not in changing
        }
    else:
        assert (again["code"], again["kind"]) == (2, "config") and "already there" in again["message"]


@EACH
def test_another_command_at_the_same_place_is_refused_and_leaves_what_was_there(
    call, begin, tmp_path, command
):
    begin(command)
    before = content_of(tmp_path)
    refused = call(*command.words, *command.other)
    assert (refused["code"], refused["kind"]) == (2, "config")
    assert command.out in refused["message"] and "--overwrite" in refused["hint"]
    assert content_of(tmp_path) == before


@EACH
def test_overwriting_replaces_what_is_ours_and_nothing_else(call, begin, tmp_path, command):
    begin(command)
    out = tmp_path / command.out
    mine = (out if out.is_dir() else tmp_path) / "notes.txt"
    mine.write_text("mine")
    before = content_of(tmp_path)
    found = call(*command.words, *command.other, "--overwrite")
    assert found["code"] == 0, found
    after = content_of(tmp_path)
    assert mine.read_text() == "mine"
    assert set(before) <= set(after) | {name for name in before if name.startswith(f"{command.out}/")}
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed and all(name == command.out or name.startswith(f"{command.out}/") for name in changed)
    if command.resumes:
        again = call(*command.words, *command.other)
        assert again["code"] == 0 and content_of(tmp_path) == after


@EACH
def test_where_nothing_can_be_written_nothing_is_and_the_place_is_named(call, tmp_path, command):
    for words in command.begin:
        call(*words)
    (tmp_path / "file").write_text("in the way")
    before = content_of(tmp_path)
    words = [f"file/{command.out}" if word == command.out else word for word in command.words]
    refused = call(*words)
    assert refused["code"] == 2 and "file" in refused["message"] and refused["kind"] != "internal", refused
    assert content_of(tmp_path) == before


# --- commands that keep what they wrote ---


def test_an_asset_that_is_published_twice_has_one_version_and_a_changed_one_the_next(call, tmp_path):
    words = ("publish", "ball.neuron", "lib", "--name", "vase")
    first = call(*words)
    assert first["new"] and first["version"] == "v001" and Path(first["entry"]).is_file()
    before = content_of(tmp_path)
    again = call(*words)
    assert not again["new"] and again["version"] == "v001"
    after = content_of(tmp_path)
    entry = first["entry"]  # is made from the versions, again with the same bytes
    assert after.pop(entry).split()[0] == before[entry].split()[0]
    assert after == {name: content for name, content in before.items() if name != entry}
    assert {k: v for k, v in again.items() if k not in ("new", "summary")} == {
        k: v for k, v in first.items() if k not in ("new", "summary")
    }
    call("look", "ball.neuron", "--prompt", "red paint", "--out", "more.neuron")
    second = call("publish", "more.neuron", "lib", "--name", "vase")
    assert second["new"] and second["version"] == "v002" and len(second["looks"]) == 3
    after = content_of(tmp_path)
    versions = [name for name in before if "/v001/" in name]
    assert versions and all(after[name] == before[name] for name in versions)  # it never changes


def test_a_refused_change_of_a_shot_leaves_the_shot(call, tmp_path):
    for words in SHOT:
        call(*words)
    before = content_of(tmp_path)
    for words, said in (
        (("set", "shot.usda", "/World/gone", "--at", "1,2,3"), "/World/gone"),
        (("set", "shot.usda", "/World/ball", "--look", "velvet"), "velvet"),
        (("set", "shot.usda", "/World/ball", "--at", "1,2"), "1,2"),
        (("set", "shot.usda", "/World/ball", "--focal", "35"), "/World/ball"),
        (("add", "shot.usda", "ball.neuron", "--grid", "0x3"), "0x3"),
        (("add", "shot.usda", "ball.neuron", "--grid", "2x2", "--spacing", "0"), "0"),
        (("add", "shot.usda", "ball.neuron", "--under", "World"), "World"),
        (("flatten", "shot.usda", "shot.usda", "--overwrite"), "itself"),
    ):
        refused = call("scene", *words)
        assert refused["code"] == 2 and said in refused["message"], refused
        assert content_of(tmp_path) == before, words


def test_changes_of_a_shot_add_up_in_any_order_and_the_last_of_a_kind_holds(call, tmp_path):
    places = []
    for stage, order in (("a.usda", (0, 1, 2)), ("b.usda", (2, 1, 0))):
        call("scene", "new", stage)
        call("scene", "add", stage, "ball.neuron")
        changes = (("--at", "1,2,3"), ("--rotate", "0,90,0"), ("--scale", "2"))
        call("scene", "set", stage, "/World/ball", "--at", "9,9,9")
        for index in order:
            call("scene", "set", stage, "/World/ball", *changes[index])
        call("scene", "set", stage, "/World/ball", "--look", LOOK)
        (asset,) = call("scene", "list", stage)["assets"]
        places.append(asset["world_from_asset"])
        assert asset["look"] == LOOK
    assert places[0] == places[1]
    column = [row[3] for row in places[0]]
    assert column == pytest.approx([1, 2, 3, 1])
    call("scene", "set", "a.usda", "/World/ball", "--hide")
    assert call("scene", "list", "a.usda")["assets"] == []
    call("scene", "set", "a.usda", "/World/ball", "--show")
    assert call("scene", "list", "a.usda")["assets"][0]["world_from_asset"] == places[0]


def test_commands_that_only_look_write_nothing(call, tmp_path):
    for words in SHOT:
        call(*words)
    call("publish", "ball.neuron", "lib")
    before = content_of(tmp_path)
    for words in (
        ("inspect", "ball.neuron"),
        ("inspect", "shot.usda", "--verify"),
        ("look", "ball.neuron", "--edits"),
        ("scene", "list", "shot.usda"),
        ("scene", "list", "lib"),
        ("scene", "search", "lib", "copper"),
        ("scene", "validate", "shot.usda"),
    ):
        found = call(*words)
        assert found["code"] == 0 and found["summary"], words
        assert content_of(tmp_path) == before, words


def test_a_frame_that_is_missing_is_drawn_again_alone_and_with_the_same_bytes(call, tmp_path):
    words = ("render", "ball.neuron", "frames", "--cameras", "turntable:3", "--animation", "none", *SMALL)
    first = call(*words)
    before = content_of(tmp_path)
    lost = Path(first["frames"][1])
    content = lost.read_bytes()
    lost.unlink()
    again = call(*words)
    assert (again["rendered"], again["skipped"]) == (1, 2) and lost.read_bytes() == content
    after = content_of(tmp_path)
    name = str(lost.relative_to(tmp_path)) if lost.is_absolute() else str(lost)
    same = {key for key in before if after[key] == before[key]}
    assert name in set(before) - same and len(set(before) - same) <= 2  # and at most the record


def test_machines_that_share_a_folder_draw_each_frame_once(call, tmp_path):
    words = ("render", "ball.neuron", "frames", "--cameras", "turntable:4", "--animation", "none", *SMALL)
    halves = [call(*words, "--frames", frames) for frames in ("1-2", "3-4", "1-4x2")]
    assert [half["rendered"] for half in halves] == [2, 2, 0]
    whole = call(*words)
    assert (whole["rendered"], whole["skipped"]) == (0, 4)
    alone = call(*[word if word != "frames" else "alone" for word in words])
    for shared, own in zip(whole["frames"], alone["frames"], strict=True):
        assert Path(shared).read_bytes() == Path(own).read_bytes()
