"""Pictures of runs: one path for a File COP, MPlay, and what the nodes say when a run has ended."""

import json
import sys
from pathlib import Path

import pytest

import neuron_core
from tests.houdini import published_scene

PLAYER = """#!{python}
import json, sys
open({log!r}, "w").write(json.dumps(sys.argv[1:]))
"""
ENGINE = """#!{python}
import json, sys
if "--version" in sys.argv: print(json.dumps({{"event": "result", "version": {version!r}}}))
else: print(json.dumps({{"event": "result", **{answer!r}}}))
"""


@pytest.fixture
def scene(hou, tmp_path):
    scene = published_scene.enter(hou)
    scene.home, scene.installed = str(tmp_path), str(tmp_path / "Houdini 21")
    return scene


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def driver(scene, name):
    return scene.roots["out"].createNode(f"neuron::{name}::1.0")


@pytest.mark.parametrize("digits", [1, 4])
@pytest.mark.parametrize("numbers", [[0], [7, 3], [1, 2, 9]])
def test_numbered_pictures_are_one_path_that_gives_each_of_them_back(hou, digits, numbers):
    from neuron_houdini.nodes.pictures import sequence

    paths = [f"/a b/shot_1.{number:0{digits}d}.exr" for number in numbers]
    told = sequence(paths)
    assert [told.replace(f"$F{digits}", f"{number:0{digits}d}") for number in numbers] == paths


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ([], ""),
        (["/a/front.png"], "/a/front.png"),
        (["/a/front.png", "/a/side.png"], "/a/front.png"),
        (["/a/c_1.png", "/b/c_2.png"], "/a/c_1.png"),
        (["/a/c_1.png", "/a/c_02.png"], "/a/c_1.png"),
        (["/a/c_1.png", "/a/c_2.exr"], "/a/c_1.png"),
    ],
)
def test_what_is_no_sequence_is_the_first_picture(hou, paths, told):
    from neuron_houdini.nodes.pictures import sequence

    assert sequence(paths) == told


@pytest.mark.parametrize("way", ["foreground", "background"])
@pytest.mark.parametrize("exr", [[], ["/o/turn_000.exr", "/o/turn_001.exr"]])
def test_a_run_leaves_its_pictures_on_the_node(scene, tmp_path, monkeypatch, way, exr):
    from neuron_houdini.engine import environment, jobs

    answer = {"frames": ["/o/turn_000.png", "/o/turn_001.png"], "exr": exr}
    text = ENGINE.format(python=sys.executable, version=neuron_core.__version__, answer=answer)
    python = program(tmp_path / "engine", text)
    monkeypatch.setattr(environment, "find_python", lambda: python)
    node = driver(scene, "render")
    if way == "foreground":
        node.render()
    else:
        node.parm("background").pressButton()
        jobs.of(node.sessionId()).join()
        for callback in list(scene.callbacks):
            callback()
        assert node.evalParm("status") == "100% done" and not scene.callbacks
    assert node.evalParm("picture") == f"/o/turn_$F3.{'exr' if exr else 'png'}"


@pytest.mark.parametrize(("name", "folder"), [("train", "run/previews"), ("render", "out")])
def test_mplay_opens_what_is_there(scene, tmp_path, monkeypatch, name, folder):
    node = driver(scene, name)
    node.setParms({"run" if name == "train" else "out": str(tmp_path / folder.split("/")[0])})
    node.parm("show").pressButton()
    assert "no pictures yet" in scene.told.pop()
    made = tmp_path / folder
    made.mkdir(parents=True)
    for file in ("größe 2.png", "größe 1.png", "turntable.png", "request.json"):
        (made / file).touch()
    node.parm("show").pressButton()
    assert "MPlay does not start" in scene.told.pop()
    log = tmp_path / "shown"
    program(tmp_path / "Houdini 21/bin/mplay", PLAYER.format(python=sys.executable, log=str(log)))
    from neuron_houdini.nodes import pictures

    started = []
    real = pictures.subprocess.Popen

    def begin(*given, **named):
        started.append(real(*given, **named))

    monkeypatch.setattr(pictures.subprocess, "Popen", begin)
    node.parm("show").pressButton()
    started[0].wait(60)
    assert json.loads(log.read_text()) == [str(made / "größe 1.png"), str(made / "größe 2.png")]
    (made / "a.exr").touch()
    assert pictures.results(made) == [made / "a.exr"] and pictures.results(Path("/nowhere")) == []
