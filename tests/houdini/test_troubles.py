"""What goes wrong while nodes drive the engine: it is cancelled, killed, missing, of another version."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from houdini_assets.nodes import NODES

import neuron_core
from neuron_core.assets import read_asset
from neuron_core.datasets.reader import open_dataset
from tests.core.scene_samples import write_ball
from tests.houdini import published_hou, published_scene
from tests.houdini.test_lookdev import box_file
from tests.patience import wait_until

TINY = {"renderer": "engine", "materials": "polished-gold", "views": 3, "val_views": 0, "test_views": 1}
STEPS = 150


@pytest.fixture
def scene(hou):
    """An empty scene in a Houdini with a window."""
    return published_scene.enter(hou)


@pytest.fixture
def engine(scene, monkeypatch):
    """The real engine: that of this Python."""
    from neuron_houdini.engine import environment

    monkeypatch.setattr(environment, "find_python", lambda: Path(sys.executable))


def driver(scene, name, **values):
    node = scene.roots["out"].createNode(f"neuron::{name}::1.0")
    node.setParms(values)
    return node


def started(node):
    """Press Run in Background."""
    from neuron_houdini.engine import jobs

    node.parm("background").pressButton()
    return jobs.of(node.sessionId())


def ended(job):
    job.join()
    assert job.over
    return job


def tick(scene):
    """What Houdini's event loop does."""
    for callback in list(scene.callbacks):
        callback()


def dataset_node(scene, tmp_path, name):
    box = str(box_file(tmp_path))
    return driver(scene, "dataset", out=str(tmp_path / name), geometry=box, resolution=16, spp=2, **TINY)


@pytest.mark.slow
def test_training_is_cancelled_killed_and_goes_on_to_its_end(scene, engine, tmp_path):
    """Two datasets at once, then a training that stops twice, in folders with blanks and umlauts."""
    folder = tmp_path / "mein Büro"
    folder.mkdir()
    nodes = [dataset_node(scene, folder, name) for name in ("erste Daten", "second")]
    both = [started(node) for node in nodes]
    assert len({job.title for job in both}) == 2
    assert [ended(job).error for job in both] == [None, None]
    one, other = (open_dataset(folder / name) for name in ("erste Daten", "second"))
    one.verify()
    assert one.digest() == other.digest(), "jobs side by side do not touch each other"
    node = driver(scene, "train", dataset=str(one.path), run=str(folder / "run"), steps=STEPS, resolution=16)
    node.setParms({"preset": "cpu-demo", "asset": str(folder / "größe.neuron"), "validate_every": 20})
    job = started(node)
    wait_until(lambda: "step" in job.text or job.over)
    tick(scene)
    assert "step" in node.evalParm("status") and not job.over, str(job.error)
    node.parm("cancel").pressButton()
    assert ended(job).stopped
    tick(scene)
    assert scene.told == [] and not (folder / "größe.neuron").exists(), "what was asked for is not an error"
    again = started(node)
    wait_until(lambda: "train resuming from the last checkpoint" in again.log or again.over)
    assert not again.over, str(again.error)
    os.kill(again._process._process.pid, signal.SIGKILL)
    assert ended(again).error.kind == "crash" and "code -9" in again.error.message
    tick(scene)
    assert "code -9" in scene.told.pop() and not scene.callbacks
    assert ended(started(node)).error is None
    assert read_asset(folder / "größe.neuron").manifest.looks
    assert list((folder / "run" / "previews").glob("*.png")), "validation pictures"


# --- with a program in the place of the engine ---


def stand_in(folder, code):
    path = folder / "Mein Büro" / "python"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{code}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


VERSION = f"""import sys, os, time
if "--version" in sys.argv:
    print('{{"event": "result", "version": "{neuron_core.__version__}"}}'); raise SystemExit
"""
BAD = {
    "version": ('print(\'{"event": "result", "version": "0.0.0"}\')', "The engine is 0.0.0"),
    "crash": (
        VERSION
        + 'print(\'{"event": "progress", "fraction": 0.5, "stage": "x", "message": ""}\', flush=True)\n'
        'print("Segmentation fault", file=sys.stderr, flush=True); os._exit(139)',
        "Segmentation fault",
    ),
    "silent": (VERSION + "os._exit(0)", "no answer"),
    "nonsense": (VERSION + 'print("hello"); print("[1, 2]"); os._exit(1)', "no answer"),
    "hint": (
        VERSION + 'print(\'{"event": "error", "kind": "input", "message": "No.", "hint": "Do this."}\')',
        "No. Do this.",
    ),
    "no program": (None, "There is no engine in"),
    "not runnable": ("", "does not start"),
}


@pytest.fixture(params=BAD)
def bad(request, scene, tmp_path, monkeypatch):
    """An engine that fails, and what has to be said."""
    from neuron_houdini.engine import environment

    code, said = BAD[request.param]
    if code is None:
        monkeypatch.setenv("NEURON_ENV", str(tmp_path / "keine Maschine"))
        return said
    path = stand_in(tmp_path, code)
    if not code:
        path.write_text("#!/does/not/exist\n")
    monkeypatch.setattr(environment, "find_python", lambda: path)
    return said


@pytest.mark.parametrize("task", ["dataset", "train", "render", "publish"])
def test_an_engine_that_fails_is_an_error_of_the_node(scene, bad, tmp_path, task):
    node = driver(scene, task, **({"renderer": "engine"} if task == "dataset" else {}))
    with pytest.raises(published_hou.OperationFailed):
        node.render()
    assert bad in node.errors()[0]


def test_an_engine_that_fails_in_the_background_is_told_once(scene, bad, tmp_path):
    node = driver(scene, "train")
    job = ended(started(node))
    for _ in range(3):
        tick(scene)
    assert len(scene.told) == 1 and bad in scene.told[0]
    assert node.evalParm("status").endswith(job.error.message)


def test_a_node_that_is_deleted_leaves_its_job_to_the_panel(scene, tmp_path, monkeypatch):
    from neuron_houdini.engine import environment, jobs

    python = stand_in(tmp_path, VERSION + 'time.sleep(0.2); print(\'{"event": "result"}\')')
    monkeypatch.setattr(environment, "find_python", lambda: python)
    node = driver(scene, "train")
    job = started(node)
    node.destroy()
    del scene.by_id[node.sessionId()]
    tick(scene)
    assert not scene.callbacks and jobs.all_jobs() == [job]
    assert ended(job).error is None


def test_escape_ends_the_engine_and_the_render(hou, scene, tmp_path, monkeypatch):
    """Houdini raises in the update of progress; nothing of ours takes that for an error of the node."""
    from neuron_houdini.engine import environment
    from neuron_houdini.nodes.rops import train

    class OperationInterrupted(published_hou.Error):
        pass

    def interrupted(self: object, percentage: float) -> None:
        raise OperationInterrupted("Escape")

    told = tmp_path / "told"
    code = f"""import signal
def stop(*_): open({str(told)!r}, "w"); sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print('{{"event": "progress", "fraction": 0.5, "stage": "x", "message": ""}}', flush=True)
time.sleep(60)"""
    python = stand_in(tmp_path, VERSION + code)
    monkeypatch.setattr(environment, "find_python", lambda: python)
    monkeypatch.setattr(published_hou.InterruptableOperation, "updateProgress", interrupted)
    with pytest.raises(OperationInterrupted):
        train.render_frame(driver(scene, "train"))
    assert told.exists(), "the engine was asked to stop, and was waited for"


def test_a_node_renders_one_thing_at_a_time(scene, tmp_path, monkeypatch):
    from neuron_houdini.engine import environment

    python = stand_in(tmp_path, VERSION + "time.sleep(60)")
    monkeypatch.setattr(environment, "find_python", lambda: python)
    node = driver(scene, "train")
    job = started(node)
    node.parm("background").pressButton()
    assert "still running" in scene.told.pop()
    with pytest.raises(published_hou.OperationFailed):
        node.render()
    assert "still running" in node.errors()[0]
    wait_until(lambda: job._process is not None)
    node.parm("cancel").pressButton()
    assert ended(job).stopped


def test_an_error_of_ours_ends_a_job_too(scene, monkeypatch):
    from neuron_houdini.engine import jobs

    class Wrong(jobs.Background):
        def _work(self):
            raise ZeroDivisionError("nobody thought of it")

    seen = []
    monkeypatch.setattr("threading.excepthook", lambda found: seen.append(found.exc_type))
    job = Wrong("wrong")
    job.start()
    assert ended(job).error.kind == "crash" and seen == [ZeroDivisionError]


COOKS = {
    "asset": {"file": "{ball}", "primpath": "/World/a", "prompt": "a look that it does not have"},
    "assemble": {"file": "{ball}", "primpath": "/World/a"},
    "shaderball": {"materials": "brushed-copper", "views": 1, "folder": "{folder}"},
    "splats": {"file": "{folder}/a.spz", "converted": "{folder}/a.ply"},
    "volume": {"file": "{ball}", "out": "{folder}/a.vdb"},
    "sample": {"file": "{ball}", "out": "{folder}/a.npz"},
}


@pytest.mark.parametrize("name", COOKS)
def test_a_cook_starts_no_process_and_no_job(scene, tmp_path, monkeypatch, name):
    """What the engine has to make is made on a button; a cook says what is missing."""
    from neuron_houdini.engine import jobs

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a cook started something")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(jobs, "submit", refuse)
    ball = tmp_path / "ball.neuron"
    write_ball(ball)
    table = next(node.table for node in NODES if node.name == name)
    objects = scene.roots["obj"].createNode("geo")
    node = (scene.roots["stage"] if table == "Lop" else objects).createNode(f"neuron::{name}::1.0")
    places = {"ball": str(ball), "folder": str(tmp_path)}
    values = COOKS[name].items()
    node.setParms({key: item.format(**places) if isinstance(item, str) else item for key, item in values})
    if name == "sample":
        node.setInput(0, objects.createNode("box"))
    node.cook(force=True)
    assert node.errors() == ()
    if name in ("splats", "volume", "sample"):
        assert "Press" in node.made["warnings"][0] or "press" in node.made["warnings"][0]


def test_every_node_that_cooks_is_among_them():
    assert set(COOKS) == {node.name for node in NODES if node.table != "Driver"}
