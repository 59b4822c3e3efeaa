"""`neuron scene` and `neuron publish` as people and programs call them."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuron_core.cli import main
from neuron_core.library.search import shared_words
from neuron_core.usd import read_stage
from neuron_core.usd.copies import Grid, parse_grid
from neuron_core.voxels.baked import read_baked
from neuron_core.voxels.colors import mean_colors
from tests.core.baked_samples import MATERIALS, write_ball


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    return write_ball(tmp_path_factory.mktemp("asset") / "ball.neuron")


def answer(capfd, *words: object) -> dict[str, object]:
    """The last line that a command writes, and the code it ends with."""
    code = main([*map(str, words), "--json"])
    last = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (code == 0) == (last["event"] == "result")
    return {**last, "code": code}


def test_a_new_users_path(asset, tmp_path, monkeypatch, capfd):
    """Publish two assets, build a shot, move one, look at it, check it, flatten it."""
    monkeypatch.chdir(tmp_path)
    for name in ("oak", "elm"):
        result = answer(capfd, "publish", asset, "lib", "--name", name)
        assert result["version"] == "v001" and result["new"]
    answer(capfd, "scene", "new", "shot.usda", "--frames", "1-24")
    assert answer(capfd, "scene", "add", "shot.usda", "lib/oak")["prims"] == ["/World/oak"]
    result = answer(capfd, "scene", "add", "shot.usda", "lib/elm", "--at", "-1,0,0.5", "--scale", "2")
    assert result["prims"] == ["/World/elm"]
    answer(capfd, "scene", "set", "shot.usda", "/World/oak", "--at", "0,0,0", "--frame", "1")
    answer(capfd, "scene", "set", "shot.usda", "/World/oak", "--at", "2.4,0,0", "--frame", "24")
    answer(
        capfd,
        "scene",
        "set",
        "shot.usda",
        "/World/camera",
        "--at",
        "0,1,5",
        "--aim",
        "0,0,0",
        "--focal",
        "35",
    )
    listed = answer(capfd, "scene", "list", "shot.usda", "--frame", "12.5")
    assert [(one["path"], one["look"]) for one in listed["assets"]] == [
        ("/World/oak", "polished_gold"), ("/World/elm", "polished_gold")]  # fmt: skip
    matrices = [np.array(one["world_from_asset"]) for one in listed["assets"]]
    np.testing.assert_allclose(matrices[0][:3, 3], [1.2, 0, 0])
    np.testing.assert_allclose(matrices[1], [[2, 0, 0, -1], [0, 2, 0, 0], [0, 0, 2, 0.5], [0, 0, 0, 1]])
    assert answer(capfd, "scene", "validate", "shot.usda", "--verify", "--library", "lib")["valid"]
    answer(capfd, "scene", "flatten", "shot.usda", "flat.usda")
    assert len(read_stage(Path("flat.usda")).snapshot().assets) == 2
    assert set(answer(capfd, "scene", "list", "lib")["assets"]) == {"oak", "elm"}


def test_a_grid_is_a_board_of_looks(asset, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    answer(capfd, "publish", asset, "lib")
    answer(capfd, "scene", "new", "shot.usda", "--up", "Z", "--units", "0.01")
    looks = ["polished_gold", "worn_copper"]
    words = [word for look in looks for word in ("--look", look)]
    answer(capfd, "scene", "add", "shot.usda", "lib/ball", "--grid", "8x8", "--spacing", "50", *words)
    nodes = read_stage(Path("shot.usda")).snapshot().assets
    assert len(nodes) == 64 and len({node.file for node in nodes}) == 1
    places = np.array([node.world_from_asset[:3, 3] for node in nodes]).reshape(8, 8, 3)
    np.testing.assert_allclose(np.diff(places, axis=1), np.broadcast_to([0.5, 0, 0], (8, 7, 3)), atol=1e-9)
    np.testing.assert_allclose(np.diff(places, axis=0), np.broadcast_to([0, 0, 0.5], (7, 8, 3)), atol=1e-9)
    np.testing.assert_allclose(places.mean(axis=(0, 1)), 0, atol=1e-9)
    board = np.array([looks.index(node.look) for node in nodes]).reshape(8, 8)
    assert (board == np.indices((8, 8)).sum(axis=0) % 2).all()


def test_a_pose_is_set_keyed_told_and_cleared(asset, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    answer(capfd, "publish", asset, "lib")
    answer(capfd, "scene", "new", "shot.usda")
    answer(capfd, "scene", "add", "shot.usda", "lib/ball")
    prim = "/World/ball"
    for pose, frame in (("0,1", "1"), ("1,-1", "5")):
        answer(capfd, "scene", "set", "shot.usda", prim, "--pose", pose, "--frame", frame)
    listed = answer(capfd, "scene", "list", "shot.usda", "--frame", "3")
    assert listed["assets"][0]["pose"] == [0.5, 0.0]
    assert [(one["path"], one["kind"]) for one in listed["problems"]] == [(prim, "pose")]
    assert answer(capfd, "scene", "validate", "shot.usda")["valid"]  # a warning
    answer(capfd, "scene", "set", "shot.usda", prim, "--no-pose")
    listed = answer(capfd, "scene", "list", "shot.usda", "--frame", "3")
    assert listed["assets"][0]["pose"] == [] and not listed["problems"]


def test_search_finds_looks_by_words_and_by_likeness(asset, tmp_path, capfd):
    answer(capfd, "publish", asset, tmp_path / "lib", "--name", "vase")
    hits = answer(capfd, "scene", "search", tmp_path / "lib", "copper, worn")["hits"]
    assert hits[0]["look"] == "worn_copper" and hits[0]["score"] >= 1
    golden = answer(capfd, "scene", "search", tmp_path / "lib", "brass")["hits"]
    assert [hit["look"] for hit in golden][:1] == ["polished_gold"]  # no such word: by the encoder
    assert not answer(capfd, "scene", "search", tmp_path / "lib", "brass", "--limit", "0")["hits"]


def test_words_are_shared_by_their_beginnings():
    assert shared_words("worn copper", "vase worn_copper copper, worn") == 1.0
    assert shared_words("cop blue", "vase copper") == 0.5
    assert shared_words("x", "") == 0.0


ERRORS = {
    "publish a missing file": (["publish", "gone.neuron", "lib"], "file"),
    "publish over a version": (["publish", "ASSET", "lib", "--name", "ball", "--number", "1"], "library"),
    "attach nothing": (["publish", "ASSET", "lib", "--attach", "splat"], "library"),
    "attach twice": (["publish", "ASSET", "lib", "--attach", "a=x.usda", "--attach", "a=y.usda"], "library"),
    "a shot that is there": (["scene", "new", "shot.usda"], "config"),
    "a shot that is not a USD file": (["scene", "new", "shot.txt"], "scene"),
    "invalid frames": (["scene", "new", "b.usda", "--frames", "9-1"], "arguments"),
    "an asset that is not there": (["scene", "add", "shot.usda", "lib/oak"], "library"),
    "a look that is not there": (["scene", "add", "shot.usda", "lib/ball", "--look", "chrome"], "scene"),
    "an invalid place": (["scene", "add", "shot.usda", "lib/ball", "--at", "1,2"], "arguments"),
    "a place without numbers": (["scene", "add", "shot.usda", "lib/ball", "--at", "a,b,c"], "arguments"),
    "an invalid grid": (["scene", "add", "shot.usda", "lib/ball", "--grid", "8"], "arguments"),
    "a grid without spacing": (
        ["scene", "add", "shot.usda", "lib/ball", "--grid", "2x2", "--spacing", "0"], "arguments"),
    "nothing to set": (["scene", "set", "shot.usda", "/World/ball"], "scene"),
    "hidden and shown": (["scene", "set", "shot.usda", "/World/ball", "--hide", "--show"], "scene"),
    "a prompt and none": (["scene", "set", "shot.usda", "/World", "--prompt", "x", "--no-prompt"], "scene"),
    "a pose and none": (["scene", "set", "shot.usda", "/World/ball", "--pose", "1", "--no-pose"], "scene"),
    "a pose without numbers": (["scene", "set", "shot.usda", "/World/ball", "--pose", "up"], "arguments"),
    "a pose of what is not an asset": (["scene", "set", "shot.usda", "/World", "--pose", "1"], "scene"),
    "a folder without a library": (["scene", "search", "nowhere", "copper"], "library"),
    "a search for nothing": (["scene", "search", "lib", "  "], "prompt"),
    "flatten onto itself": (["scene", "flatten", "shot.usda", "shot.usda", "--overwrite"], "scene"),
    "validate a missing file": (["scene", "validate", "gone.usda"], "file"),
    "no such task of the group": (["scene", "explode"], "arguments"),
}  # fmt: skip


def test_what_cannot_be_done_is_an_error_with_a_kind(asset, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    answer(capfd, "publish", asset, "lib")
    answer(capfd, "scene", "new", "shot.usda")
    answer(capfd, "scene", "add", "shot.usda", "lib/ball")
    before = Path("shot.usda").read_bytes()
    for name, (words, kind) in ERRORS.items():
        result = answer(capfd, *[asset if word == "ASSET" else word for word in words])
        assert (result["code"], result["kind"]) == (2, kind), name
        assert Path("shot.usda").read_bytes() == before, name
    assert sorted(path.name for path in Path().iterdir()) == ["lib", "shot.usda"]


def test_a_stage_with_problems_does_not_pass_and_a_report_lists_them(asset, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    answer(capfd, "publish", asset, "lib")
    answer(capfd, "scene", "new", "shot.usda")
    answer(capfd, "scene", "add", "shot.usda", "lib/ball")
    answer(capfd, "scene", "add", "shot.usda", asset)
    assert answer(capfd, "scene", "validate", "shot.usda")["valid"]
    result = answer(capfd, "scene", "validate", "shot.usda", "--library", "lib", "--out", "report.json")
    assert (result["code"], result["kind"]) == (2, "validation")
    assert "/World/ball_2" in result["message"]
    (problem,) = json.loads(Path("report.json").read_text())["problems"]
    assert problem["path"] == "/World/ball_2"


def test_the_group_lists_its_tasks(capfd):
    text = answer(capfd, "scene")["summary"]
    assert answer(capfd, "scene", "--help")["summary"] == text
    assert all(f"scene {name} " in text for name in "new add set list search flatten validate".split())
    assert "publish" not in text


def test_looks_have_colors_of_their_own(asset):
    baked = read_baked(asset)
    colors = mean_colors(baked)
    assert set(colors) == set(baked.looks) and len(colors) == len(MATERIALS)
    assert all(0 <= value <= 1 for color in colors.values() for value in color)
    assert len(set(colors.values())) == len(MATERIALS)


def test_grids_are_written_as_columns_and_rows():
    assert parse_grid("3x2", 0.5) == Grid(3, 2, 0.5)
    assert parse_grid("", 1.0) is None
    assert (Grid(10, 10, 1.0).count, Grid(10, 10, 1.0).digits) == (100, 2)
