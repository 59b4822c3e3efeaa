"""The checks of an installation: each sees the fault that it is for, and says which one."""

import inspect
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from houdini_assets.nodes import NODES
from pxr import Usd

from neuron_core.splats.ply import read_ply
from tests.core.scene_samples import publish_ball
from tests.houdini import published_hou, published_scene

PROJECT = Path(__file__).resolve().parents[2]
EACH = pytest.mark.parametrize("node_type", NODES, ids=[node.name for node in NODES])


@pytest.fixture
def scene(hou):
    """An empty scene in a Houdini with a window."""
    return published_scene.enter(hou)


@pytest.fixture
def verify(scene):
    """The package's modules, and `perform` with work in a folder."""
    from neuron_houdini.verify import acting, check, exercises, installation, run, windows

    return SimpleNamespace(
        acting=acting, check=check, exercises=exercises, installation=installation, run=run, windows=windows
    )


@pytest.fixture
def work(verify, tmp_path):
    return verify.check.Work(tmp_path)


def outcome(verify, check, work):
    return verify.run.perform("it", check, work, float("inf"))


# --- the installation ---


def test_the_versions_are_those_of_this_process(verify, work):
    text = verify.installation.check_versions(work)
    assert "Houdini 21.0.631" in text and f"numpy {np.__version__}" in text
    assert "USD " + ".".join(map(str, Usd.GetVersion())) in text


@pytest.mark.parametrize(
    ("known", "told", "said"),
    [
        (False, PROJECT, "USD does not know NeuronAssetAPI"),
        (True, "", "NEURON is not set"),
        (True, PROJECT.parent, f"this script is of {PROJECT}"),
        (True, PROJECT, ""),
        (True, PROJECT / "docs" / "..", ""),
    ],
)
def test_a_package_that_was_not_read_is_told_from_another_one(verify, work, monkeypatch, known, told, said):
    registry = SimpleNamespace(IsAppliedAPISchema=lambda name: known)
    monkeypatch.setattr(Usd, "SchemaRegistry", lambda: registry)
    monkeypatch.setenv("NEURON", str(told))
    found = outcome(verify, verify.installation.check_package, work)
    assert (found.state == "failed") == bool(said) and said in found.text


@EACH
def test_a_type_is_made_looked_at_and_taken_away_again(verify, work, scene, node_type):
    found = outcome(verify, verify.installation.check_type(node_type), work)
    assert found.state == "ok", found.text
    own = [parm for parm in node_type.parms() if not parm.base and "#" not in parm.name]
    fixed = sum(len(parm.menu.items) for parm in own if parm.menu is not None)
    assert found.text.startswith(f"{len(own)} parameters, ") and node_type.folder in found.text
    assert int(found.text.split(", ")[1].split()[0]) >= fixed
    assert node_type.operator not in [node.type().name() for node in below(scene.roots.values())]


def below(nodes):
    """All nodes inside of some."""
    return [inner for node in nodes for inner in (*node.children(), *below(node.children()))]


@EACH
def test_a_parameter_that_houdini_did_not_make_is_named(verify, work, monkeypatch, node_type):
    own = [parm.name for parm in node_type.parms() if not parm.base]
    whole = published_scene.Networked.parmTuples
    lost = own[len(own) // 2]
    monkeypatch.setattr(
        published_scene.Networked,
        "parmTuples",
        lambda node: tuple(one for one in whole(node) if one.name() != lost),
    )
    found = outcome(verify, verify.installation.check_type(node_type), work)
    assert (found.state, found.text) == ("failed", f"parameters that Houdini did not make: {lost}")


def test_a_menu_of_another_length_is_named(verify, work, monkeypatch):
    node_type = next(node for node in NODES if node.name == "render")
    whole = published_scene.Parm.menuItems
    monkeypatch.setattr(published_scene.Parm, "menuItems", lambda parm: whole(parm)[:-1])
    found = outcome(verify, verify.installation.check_type(node_type), work)
    first = next(parm.name for parm in node_type.parms() if parm.menu and parm.menu.items)
    assert found.state == "failed" and f"the menu of {first} has" in found.text


def test_packed_files_are_read_back_by_houdini(verify, work, hou, monkeypatch):
    assert outcome(verify, verify.installation.check_packed, work).text == f"{len(NODES)} files"
    assert {path.name for path in (work.folder / "packed").iterdir()} == {node.folder for node in NODES}
    monkeypatch.setitem(hou.__dict__["_own"], "hda", SimpleNamespace(definitionsInFile=lambda path: ()))
    found = outcome(verify, verify.installation.check_packed, work)
    assert found.state == "failed" and found.text == f"{NODES[0].folder} holds []"


def test_the_engine_is_asked_for_its_version(verify, work, monkeypatch):
    process = verify.installation.process
    monkeypatch.setattr(process, "ready", lambda: "/env/python")
    monkeypatch.setattr(verify.installation.environment, "find_python", lambda: Path("/env/python"))
    monkeypatch.setattr(process, "check_version", lambda python: "1.2.3")
    assert verify.installation.check_engine(work) == "/env/python, version 1.2.3"


# --- what a person does ---


def test_a_node_has_the_parameters_that_are_set_and_no_others(verify):
    node = verify.acting.made("train", steps=7)
    assert node.evalParm("steps") == 7
    with pytest.raises(AssertionError, match="no parameter stepz"):
        verify.acting.made("train", stepz=7)
    with pytest.raises(verify.check.Skipped, match="no nothing"):
        verify.acting.made("nothing")


def test_the_error_of_a_driver_is_a_problem_with_its_words_and_hint(verify, monkeypatch):
    from neuron_houdini.engine import process
    from neuron_houdini.errors import EngineError

    def refuse(*_):
        raise EngineError("input", "There is no dataset.", "Make one.")

    monkeypatch.setattr(process, "run", refuse)
    with pytest.raises(verify.check.Problem, match=r"There is no dataset\. Make one\."):
        verify.acting.run_driver("train", dataset="/nowhere")
    monkeypatch.setattr(process, "run", lambda *_: process.Answer({}))
    assert verify.acting.run_driver("train", dataset="/nowhere").evalParm("dataset") == "/nowhere"
    errors = ["first", "second"]  # of a driver that Houdini lets end without an exception
    monkeypatch.setattr(published_scene.RopNode, "render", lambda node: setattr(node, "_errors", errors))
    with pytest.raises(verify.check.Problem, match="^first; second$"):
        verify.acting.run_driver("train", dataset="/nowhere")


def test_a_button_that_does_nothing_is_a_problem_and_a_job_is_waited_for(verify, monkeypatch):
    from neuron_houdini.engine import jobs
    from neuron_houdini.errors import EngineError

    node = verify.acting.made("volume")
    with pytest.raises(verify.check.Problem, match="no button press_me"):
        verify.acting.press(node, "press_me")
    with pytest.raises(verify.check.Problem, match="write started no job"):
        verify.acting.press(node, "write")  # there is no asset: the button says so
    job = SimpleNamespace(error=None, joined=0)
    job.join = lambda: setattr(job, "joined", job.joined + 1)
    monkeypatch.setattr(jobs, "of", lambda key: job)
    verify.acting.press(node, "write")
    assert job.joined == 1
    job.error = EngineError("x", "It failed.", "Mend it.")
    with pytest.raises(verify.check.Problem, match=r"It failed\. Mend it\."):
        verify.acting.press(node, "write")


def test_a_box_is_made_once_and_has_eight_points(verify):
    box = verify.acting.box_sop()
    assert verify.acting.box_sop() is box
    positions = np.frombuffer(box.geometry().pointFloatAttribValuesAsString("P"), np.float32).reshape(-1, 3)
    assert len(positions) == 8 and np.ptp(positions, axis=0).tolist() == [1, 1, 1]


# --- the exercises ---


def test_an_exercise_waits_for_what_an_earlier_one_makes(verify, work, monkeypatch):
    """In their order none lacks what it takes; alone, each says what it needs."""
    made_by: dict[str, list[str]] = {}
    needs: dict[str, list[str]] = {}
    for name, check in verify.exercises.EXERCISES.items():
        source = inspect.getsource(check)
        made_by[name] = [part.split('"')[0] for part in source.split('work.left["')[1:]]
        needs[name] = [part.split('"')[0] for part in source.split('work.take("')[1:]]
    known: set[str] = set()
    for name in verify.exercises.EXERCISES:
        assert set(needs[name]) <= known, name
        known |= set(made_by[name])
    assert known == {need for all_needs in needs.values() for need in all_needs}, "what is left is taken"
    for name, wanted in needs.items():
        found = outcome(verify, verify.exercises.EXERCISES[name], work) if wanted else None
        if found is not None:
            assert found.state == "skipped" and any(need in found.text for need in wanted), name


def test_splats_are_what_trainers_write(verify, tmp_path):
    """Read by the reader that the engine and the node share: logistic opacities, logarithms of scales."""
    verify.exercises.write_splats(tmp_path / "a.ply", 50, rest=9)
    splats = read_ply(tmp_path / "a.ply")
    assert (len(splats), splats.degree) == (50, 1)
    np.testing.assert_allclose(splats.scales, np.exp(-4.0), rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(splats.rotations, axis=1), 1.0, atol=1e-5)
    assert ((splats.opacities > 0) & (splats.opacities < 1)).all()


@pytest.mark.parametrize("lost", ["", "GS_Alpha", "orient"])
def test_splats_without_an_attribute_that_houdini_draws_are_a_problem(verify, work, monkeypatch, lost):
    from neuron_houdini.nodes import points

    whole = points.add_floats
    monkeypatch.setattr(
        points, "add_floats", lambda geometry, name, *rest: name == lost or whole(geometry, name, *rest)
    )
    found = outcome(verify, verify.exercises.check_splats, work)
    assert (found.state, found.text) == (
        ("failed", f"{verify.exercises.SPLATS} points, without ['{lost}']") if lost else ("ok", "1000 points")
    )


@pytest.fixture
def library(work, tmp_path):
    """What publishing leaves for later exercises."""
    publish_ball(tmp_path, tmp_path / "library")
    work.left["library"] = tmp_path / "library"
    return tmp_path / "library"


def test_an_asset_that_was_published_is_referenced_and_placed_on_points(verify, work, library):
    found = outcome(verify, verify.exercises.check_asset, work)
    assert found.state == "ok" and "NeuronAssetAPI" in found.text, found.text
    assert work.left["lop"].stage().GetPrimAtPath("/World/ball")
    assert outcome(verify, verify.exercises.check_assemble, work).text == "8 assets"


def test_an_asset_without_looks_in_its_menu_is_a_problem(verify, work, library, monkeypatch):
    monkeypatch.setattr(published_scene.Parm, "menuItems", lambda parm: ())
    found = outcome(verify, verify.exercises.check_asset, work)
    assert (found.state, found.text) == ("failed", "the menu of looks is empty")


def test_the_stage_of_the_shader_ball_has_a_camera_for_every_view(verify, work):
    found = outcome(verify, verify.exercises.check_shaderball, work)
    assert found.state == "ok" and found.text.endswith(", 4 cameras"), found.text
    assert work.left["shader ball"].path().startswith("/stage/")
    karma = outcome(verify, verify.exercises.check_karma, work)
    assert karma.state == "skipped" and "husk" in karma.text, "there is no Houdini here"


# --- shelf and panel ---


def test_the_tools_that_ask_nothing_make_their_nodes(verify, work, monkeypatch):
    found = outcome(verify, verify.windows.check_shelf, work)
    assert found.state == "ok" and len(set(found.text.split(", "))) == 4, found.text
    monkeypatch.setattr(verify.windows.tools, "train", lambda: None)
    monkeypatch.setattr(verify.windows.tools.train, "__name__", "train")
    assert outcome(verify, verify.windows.check_shelf, work).text == "train made nothing"


def test_without_a_window_the_panel_is_skipped(verify, work, scene):
    scene.desktop = False
    found = outcome(verify, verify.windows.check_panel, work)
    assert found.state == "skipped" and "window" in found.text


def test_what_was_not_made_is_a_problem(verify, tmp_path):
    assert verify.acting.must_exist(tmp_path) == tmp_path
    with pytest.raises(verify.check.Problem, match="was not made"):
        verify.acting.must_exist(tmp_path / "x")
    with pytest.raises(published_hou.OperationFailed):
        verify.acting.create(next(node for node in NODES if node.table == "Lop")).createNode("box")
