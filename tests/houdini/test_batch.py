"""Scripts for hython: drivers from a command line, and the check of everything, from start to end."""

import ast
import json
import os
import runpy
import sys
from pathlib import Path

import pytest
from houdini_assets.nodes import NODES
from pxr import Plug, Usd, UsdGeom

from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import find_task
from neuron_core.usd import adding, changing
from tests.houdini import published_hou, published_scene
from tests.houdini.test_api import chains

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def scene(hou, monkeypatch, tmp_path):
    """An empty scene in a Houdini without a window; the engine is this Python."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    return published_scene.enter(hou, desktop=False)


@pytest.fixture
def batch(scene, monkeypatch):
    from neuron_houdini.engine import environment
    from neuron_houdini.nodes.rops import batch

    monkeypatch.setattr(environment, "find_python", lambda: Path(sys.executable))
    return batch


@pytest.fixture
def ran(batch, monkeypatch):
    """The commands that the engine would have been given."""
    from neuron_houdini.engine import process

    commands: list[list[str]] = []
    monkeypatch.setattr(process, "run", lambda words, *_: commands.append(words) or process.Answer({}))
    return commands


@pytest.mark.parametrize("task", ["dataset", "train", "render"])
def test_a_script_runs_a_new_driver_with_the_values_of_the_command_line(scene, ran, monkeypatch, task):
    out = {"dataset": "out", "train": "run", "render": "out"}[task]
    values = [f"{out}=/a folder/größe", *(["renderer=engine"] if task == "dataset" else [])]
    monkeypatch.setattr(sys, "argv", ["script", *values])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / f"hython_{task}.py"), run_name="__main__")
    assert ended.value.code == 0 and ran[0][0] == task and "/a folder/größe" in ran[0]


def test_a_driver_of_a_scene_is_used_and_the_scene_is_saved(scene, batch, ran, tmp_path):
    (tmp_path / "shot.hip").write_text(json.dumps([["neuron::train::1.0", "mine"]]))
    words = ["--scene", "shot.hip", "--node", "/out/mine", "--save", "after.hip", "steps=12", "prompt=a=b"]
    assert batch.main("train", words) == 0
    assert scene.files == ["shot.hip", "after.hip"] and len(scene.roots["out"].children()) == 1
    first, second = (parse(find_task(words[0]), words[1:]) for words in ran)
    assert (first.steps, second.prompt) == (12, ("a=b",))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stepz=3"], "no parameter stepz. It has:"),
        (["steps=many"], "steps is a number"),
        (["steps"], "NAME=VALUE"),
        (["--node", "/out/none"], "no node /out/none"),
        (["--node", "/out"], "not a neuron::train::1.0"),
        (["--scene", "none.hip"], "Cannot open none.hip"),
    ],
)
def test_a_wrong_command_line_is_a_sentence_and_code_2(batch, ran, capsys, words, said):
    assert batch.main("train", words) == 2
    assert said in capsys.readouterr().err and ran == []


def test_what_the_engine_says_ends_the_script(batch, capsys):
    assert batch.main("train", ["dataset=/nowhere", "run=run", "asset=a.neuron"]) == 2
    assert "/nowhere" in capsys.readouterr().err


def test_without_the_package_our_types_are_installed(scene, batch):
    scene.missing.add("neuron::train::1.0")
    batch.install_types()
    assert len(scene.files) == len(list((SCRIPTS.parent / "otls").glob("*.hda"))) > 0


# --- verify_in_houdini.py ---


@pytest.fixture
def verify(batch, monkeypatch):
    """What the script runs."""
    monkeypatch.setenv("NEURON", str(SCRIPTS.parent))
    from neuron_houdini.verify import run

    return run


@pytest.mark.parametrize("path", [*SCRIPTS.glob("hython_*.py"), SCRIPTS / "verify_in_houdini.py"])
def test_scripts_use_only_names_of_hou_that_are_published(path):
    for chain in chains(ast.parse(path.read_text())):
        _, first, *rest = chain.split(".")
        assert first in published_hou.names(), chain
        assert not rest or rest[0] in published_hou.members(first), chain


def test_every_node_type_is_created_and_exercised(verify):
    names = [name for name, _ in verify.checks()]
    for node in NODES:
        assert f"interface of {node.name}" in names and f"node {node.name}" in names


def test_a_check_that_fails_in_any_way_leaves_the_others_their_turn(verify, tmp_path, monkeypatch):
    def wrong(work):
        raise ZeroDivisionError("nobody thought of it")

    def problem(work):
        raise verify.Problem("seen | and said")

    found = [("wrong", wrong), ("problem", problem), ("late", lambda work: work.take("nothing"))]
    monkeypatch.setattr(verify, "checks", lambda: [*found, ("good", lambda work: "fine")])
    assert verify.main([str(tmp_path / "out")]) == 1
    rows = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["state"] for row in rows] == ["failed", "failed", "skipped", "ok"]
    assert (
        "ZeroDivisionError" in rows[0]["text"]
        and "seen \\| and" in (tmp_path / "out" / "report.md").read_text()
    )


def test_no_check_begins_after_the_limit(verify, tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "LIMIT", -1)
    assert verify.main([str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "report.json").read_text())
    assert {row["state"] for row in rows} == {"skipped"} and len(rows) == len(verify.checks())


def test_types_that_houdini_lacks_are_found(verify, scene, tmp_path, monkeypatch):
    scene.missing.update(node.operator for node in NODES)
    monkeypatch.setattr(verify.batch, "install_types", lambda: None)
    node = NODES[0]
    outcome = verify.perform("x", verify.installation.check_type(node), verify.Work(tmp_path), float("inf"))
    assert outcome.state == "failed" and node.operator in outcome.text


@pytest.mark.slow
def test_it_runs_from_start_to_end_with_the_real_engine(verify, scene, tmp_path):
    """What the nodes do but for their windows, and the stage is that of the command line."""
    Plug.Registry().RegisterPlugins(os.fspath(SCRIPTS.parent / "neuron_core" / "schema"))
    folder = tmp_path / "was gemacht wurde"
    verify.main([str(folder)])
    rows = {row["name"]: row for row in json.loads((folder / "report.json").read_text())}
    assert {name: row["text"] for name, row in rows.items() if row["state"] == "failed"} == {}
    missing = {"panel"} | {
        f"node {name}" for name in verify.EXERCISES if name not in {node.name for node in NODES}
    }
    assert {name for name, row in rows.items() if row["state"] == "skipped"} == missing
    lops = scene.roots["stage"].children()
    lop = next(node for node in lops if node.type().name() == "neuron::asset::1.0")
    by_hand = Usd.Stage.CreateInMemory()
    adding.add(by_hand, folder / "library" / "ball" / "ball.usd", "/World/ball", False)
    changing.change(by_hand, "/World/ball", changing.Change(representation="points"))
    for part, purpose in (("render", "default"), ("proxy", "guide")):
        over = by_hand.OverridePrim(f"/World/ball/geo/{part}")
        UsdGeom.Imageable(over).CreatePurposeAttr(purpose)
    assert lop.stage().GetRootLayer().ExportToString() == by_hand.GetRootLayer().ExportToString()
