"""The panel, drawn offscreen by a real Qt: assets, search, figures, jobs, setting the engine up."""

import ast
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

pytest.importorskip(
    "PySide6.QtWidgets",
    reason="Qt misses libraries of the system: libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1",
    exc_type=ImportError,
)
from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from neuron_core.library.publishing import Submission, publish
from neuron_core.usd.published import LibraryError
from tests.core.scene_samples import write_ball
from tests.houdini import extract_qt_names, published_scene

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "python3.11libs" / "neuron_houdini" / "panel"
NAMES = ("brass_ball", "old_oak", "red_car")


@pytest.fixture(scope="session")
def qt():
    """The application that widgets need."""
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication([])


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A library of three assets, one of them in two versions."""
    folder = tmp_path_factory.mktemp("größe") / "library"
    for index, name in enumerate((*NAMES, "old_oak")):
        source = folder.parent / f"{name}{index}.neuron"
        write_ball(source, name, index + 1)
        publish(Submission(source, folder, name))
    return folder


@pytest.fixture
def scene(hou, qt, tmp_path, monkeypatch):
    """A Houdini with a window, whose scene is in an empty folder."""
    monkeypatch.setenv("HOUDINI_USER_PREF_DIR", str(tmp_path / "houdini21.0"))
    for name in ("NEURON_LIBRARY", "NEURON_ENV"):
        monkeypatch.delenv(name, raising=False)
    scene = published_scene.enter(hou)
    scene.home = str(tmp_path)
    return scene


@pytest.fixture
def panel(scene, published, monkeypatch):
    """The panel that Houdini would show, on the library."""
    monkeypatch.setenv("NEURON_LIBRARY", str(published))
    made = created()
    yield made
    made.close()
    made.deleteLater()


def created():
    """What the file of the panel makes."""
    interface = ElementTree.parse(PROJECT / "python_panels" / "neuron.pypanel").getroot().find("interface")
    names: dict[str, object] = {}
    exec(interface.find("script").text, names)
    widget = names["onCreateInterface"]()
    widget.resize(900, 640)
    widget.show()
    return widget


def wait_until(condition):
    while not condition():
        QtTest.QTest.qWait(10)


def shown(panel):
    found = panel.browser.found
    return [found.index(row, 0).data() for row in range(found.rowCount())]


# --- files ---


def test_the_file_of_the_panel_names_what_there_is(scene):
    from neuron_houdini.panel import opening

    interface = ElementTree.parse(PROJECT / "python_panels" / "neuron.pypanel").getroot().find("interface")
    assert interface.get("name") == opening.PANEL
    assert (PROJECT / interface.get("icon").removeprefix("$NEURON/")).is_file()
    (function,) = ast.parse(interface.find("script").text).body
    assert function.name == "onCreateInterface"


def test_only_the_binding_imports_qt():
    for path in FOLDER.glob("*.py"):
        assert path.stem == "binding" or "import PySide" not in path.read_text().replace("from", "import")


def test_names_of_qt_are_in_both_bindings():
    """PySide6 is asked; what a PySide2 5.15 answered is in a table."""
    table = json.loads((Path(__file__).parent / "qt_names.json").read_text())
    chains = extract_qt_names.used_chains()
    assert len(chains) > 40 and chains <= set(table["chains"])
    assert all(extract_qt_names.exists("PySide6", chain) for chain in chains)
    known = extract_qt_names.attributes_of_qt("PySide6")
    assert extract_qt_names.used_attributes() & known <= set(table["attributes"])


def test_names_that_one_binding_lacks_would_be_found():
    assert not extract_qt_names.exists("PySide6", "QtWidgets.QAction")  # moved to QtGui
    assert not extract_qt_names.exists("PySide6", "QtCore.Qt.Nothing")
    assert "globalPosition" in extract_qt_names.attributes_of_qt("PySide6")


def python_with_qt(binding):
    """A Python with that binding: this one, or the one that NEURON_TEST_PYSIDE2 names."""
    python = sys.executable if binding == "PySide6" else os.environ.get("NEURON_TEST_PYSIDE2", "")
    probe = f"import numpy, pxr, {binding}.QtWidgets"
    if python and subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0:
        return python
    return None


@pytest.mark.parametrize("binding", ["PySide6", "PySide2"])
def test_windows_work_with_either_binding(published, tmp_path, binding):
    python = python_with_qt(binding)
    if python is None:
        pytest.skip("no Python with PySide2, numpy and usd-core; name one in NEURON_TEST_PYSIDE2")
    words = [python, "-m", "tests.houdini.exercise_panel", str(published), str(tmp_path)]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen == {
        "binding": binding,
        "assets": list(NAMES),
        "icons": True,
        "oak": ["old_oak"],
        "figures": ["Version", "File", "Size", "Representations", "Prompts", "Licence"],
        "placed": [str(published / "old_oak")],
        "jobs": [["train", 500, True], ["done", 0, False]],
        "picture": "step_000500.png",
        "plan": ["/studio/engine", False],
    }


# --- assets ---


def test_assets_are_shown_by_name_with_their_pictures(panel):
    assert shown(panel) == list(NAMES)
    icon = panel.browser.found.index(0, 0).data(QtCore.Qt.ItemDataRole.DecorationRole)
    assert not icon.isNull()


@pytest.mark.parametrize(
    ("words", "expected"),
    [("", NAMES), ("OAK", ("old_oak",)), ("red c", ("red_car",)), ("oak car", ()), ("mesh ball", NAMES[:1])],
)
def test_every_word_of_a_search_has_to_match(panel, words, expected):
    QtTest.QTest.keyClicks(panel.browser.words, words)
    assert tuple(shown(panel)) == expected
    assert panel.browser.place_button.isEnabled() is bool(expected)


def test_prompts_are_searched_too(panel):
    entry = panel.browser.entries._entries[0]
    prompt = entry.version.looks[0].prompt
    QtTest.QTest.keyClicks(panel.browser.words, prompt.upper())
    assert entry.name in shown(panel)


def test_figures_are_those_of_the_header(panel):
    browser = panel.browser
    browser.view.setCurrentIndex(browser.found.index(1, 0))
    rows = dict(browser.details.rows)
    entry = browser.current()
    assert entry.name == "old_oak" and rows["Version"] == "v002 of 2"
    assert f"{entry.file.stat().st_size / 1e6:.1f} MB" in rows["File"]
    assert "mesh" in rows["Representations"]


def test_one_click_places_the_selected_asset(panel, scene, published):
    browser = panel.browser
    browser.view.setCurrentIndex(browser.found.index(2, 0))
    QtTest.QTest.mouseClick(browser.place_button, QtCore.Qt.MouseButton.LeftButton)
    (node,) = scene.roots["stage"].children()
    assert node.evalParm("file") == str(published / "red_car") and node.isDisplayFlagSet()


def test_a_type_that_is_missing_is_told_and_nothing_breaks(panel, scene):
    scene.missing.add("neuron::asset::1.0")
    panel.browser.place()
    assert "does not know" in scene.told[0] and not scene.roots["stage"].children()


def test_a_folder_without_a_library_says_so_and_a_good_one_is_remembered(scene, published, tmp_path):
    from neuron_houdini.panel import library

    made = created()
    assert "no library" in made.browser.message.text() and not made.browser.place_button.isEnabled()
    assert made.browser.folder.text() == str(tmp_path / "neuron" / "library")
    made.browser.folder.set_text(str(published))
    made.browser.folder.changed.emit(str(published))
    assert shown(made) == list(NAMES) and made.browser.message.isHidden()
    assert library.last_library(tmp_path) == published
    made.close()


def test_the_index_and_the_folders_tell_the_same(scene, published, tmp_path):
    import shutil

    from neuron_houdini.panel import library

    copy = tmp_path / "copy"
    shutil.copytree(published, copy)
    first = library.entries_of(copy)
    (copy / "library.json").unlink()
    assert library.entries_of(copy) == first
    (copy / "library.json").write_text('{"assets": {"a": 1}}')
    with pytest.raises(LibraryError, match="not an index"):
        library.entries_of(copy)


def test_a_file_that_is_gone_is_told_in_its_figures_and_has_a_letter_for_a_picture(
    scene, published, tmp_path
):
    import shutil

    from neuron_houdini.panel import browser, library

    copy = tmp_path / "copy"
    shutil.copytree(published, copy)
    entry = library.entries_of(copy)[0]
    entry.file.unlink()
    assert "cannot be read" in dict(library.figures_of(entry))["File"]
    picture = browser.thumbnail(entry, 32)
    assert (picture.width(), picture.height()) == (32, 32)


# --- jobs ---

TWO_STEPS = """import sys, time
from pathlib import Path
print('{"event": "progress", "fraction": 0.5, "stage": "train", "message": "step 5"}', flush=True)
while not Path(sys.argv[3]).exists(): time.sleep(0.01)
print('{"event": "result"}')"""


def stand_in(folder):
    path = folder / "engine"
    path.write_text(f"#!{sys.executable}\n{TWO_STEPS}\n")
    path.chmod(0o755)
    return path


def test_jobs_are_followed_and_cancelled_alone(panel, tmp_path):
    from neuron_houdini.engine import jobs

    python = stand_in(tmp_path)
    for key in (1, 2):
        words = [str(tmp_path / f"go{key}")]
        jobs.submit(key, jobs.Job(f"job {key}", [words], python))
    view = panel.jobs
    wait_until(lambda: [row.bar.value() for row in view.rows] == [500, 500])
    assert [row.job.title for row in view.rows] == ["job 2", "job 1"]
    wait_until(lambda: panel.tabs.tabText(1) == "Jobs (2)")
    assert "step 5" in view.rows[0].text.text()
    QtTest.QTest.mouseClick(view.rows[0].stop, QtCore.Qt.MouseButton.LeftButton)
    wait_until(lambda: view.rows[0].text.text().startswith("Stopped"))
    (tmp_path / "go1").touch()
    wait_until(lambda: view.rows[1].bar.value() == 1000)
    assert not view.rows[1].stop.isEnabled()
    view.forget()
    assert view.rows == [] and view.nothing.isVisibleTo(view)


def test_the_newest_picture_of_a_job_is_shown_while_it_runs(panel, tmp_path):
    """As the validation pictures of training are."""
    from neuron_houdini.engine import jobs

    folder = tmp_path / "previews of größe"
    job = jobs.Job("train", [[str(tmp_path / "go1")]], stand_in(tmp_path), pictures=folder)
    jobs.submit(1, job)
    view = panel.jobs
    wait_until(lambda: [row.bar.value() for row in view.rows] == [500])
    (row,) = view.rows
    assert row.picture.isHidden()
    folder.mkdir()
    for step, (width, height) in enumerate([(64, 32), (1120, 200)]):
        image = QtGui.QImage(width, height, QtGui.QImage.Format.Format_RGB32)
        image.fill(QtGui.QColor("red"))
        image.save(str(folder / f"step_{step}.png"))
        os.utime(folder / f"step_{step}.png", (step + 1, step + 1))
        wait_until(lambda step=step: row.picture.toolTip() == f"step_{step}.png")
        assert not row.picture.isHidden()
    assert (row.picture.pixmap().width(), row.picture.pixmap().height()) == (560, 100)
    (folder / "step_2.png").write_text("no picture")
    view.refresh()
    assert row.picture.toolTip() == "step_1.png"
    (tmp_path / "go1").touch()
    wait_until(lambda: job.over)


# --- setting the engine up ---


@pytest.fixture
def dialog(scene, tmp_path, monkeypatch):
    """The window, whose script waits for a file and then says what pip would."""
    from neuron_houdini.engine import interpreters, setup

    script = tmp_path / "set_up.py"
    script.write_text(
        "import os, time\nfrom pathlib import Path\nprint('Collecting torch', flush=True)\n"
        f"while not Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.01)\n"
        "raise SystemExit(3 if os.environ.get('FAIL') else 0)\n"
    )
    monkeypatch.setattr(setup, "SCRIPT", script)
    own = interpreters.Python(Path(sys.executable), (3, 11))
    monkeypatch.setattr(interpreters, "find_pythons", lambda: [own])
    from neuron_houdini.panel import setup_dialog

    window = setup_dialog.show()
    window.folder.set_text(str(tmp_path / "engine"))
    wait_until(lambda: window.start_button.isEnabled())
    yield window
    if window.job is not None:
        window.job.cancel()
        window.job.join()
    window.close()


def test_the_plan_is_what_the_fields_say(dialog, tmp_path):
    dialog.cpu.setChecked(True)
    dialog.wheels.set_text(str(tmp_path / "wheels"))
    dialog.anew.setChecked(True)
    plan = dialog.plan()
    assert (plan.python, plan.folder) == (Path(sys.executable), tmp_path / "engine")
    assert (plan.cuda, plan.wheelhouse, plan.anew) == (False, tmp_path / "wheels", True)
    dialog.other_python.set_text("/other/python3.13")
    assert dialog.plan().python == Path("/other/python3.13")


def test_setting_up_is_followed_survives_the_window_and_is_stopped(dialog):
    from neuron_houdini.panel import setup_dialog

    dialog.start()
    wait_until(lambda: "Collecting torch" in dialog.log.toPlainText())
    assert not dialog.start_button.isEnabled() and dialog.bar.value() > 0
    dialog.close()
    again = setup_dialog.show()
    assert again is not dialog and again.job is dialog.job and not again.job.over
    again.stop()
    wait_until(lambda: again.state.text().startswith("Stopped"))
    assert again.start_button.text() == "Retry"
    again.close()


def test_an_attempt_that_failed_can_be_tried_again(dialog, tmp_path, monkeypatch):
    (tmp_path / "go").touch()
    monkeypatch.setenv("FAIL", "1")
    dialog.start()
    wait_until(lambda: "could not be set up" in dialog.state.text())
    assert dialog.start_button.isEnabled() and dialog.start_button.text() == "Retry"
    first = dialog.job
    dialog.start()
    assert dialog.job is not first


def test_a_folder_that_cannot_be_taken_is_told(dialog, tmp_path):
    dialog.folder.set_text(str(tmp_path))
    dialog.start()
    wait_until(lambda: "other files" in dialog.state.text())


def test_where_the_variable_names_the_engine_the_folder_is_fixed(scene, monkeypatch, tmp_path):
    from neuron_houdini.engine import interpreters
    from neuron_houdini.panel import setup_dialog

    monkeypatch.setattr(interpreters, "find_pythons", lambda: [])
    monkeypatch.setenv("NEURON_ENV", str(tmp_path / "studio"))
    window = setup_dialog.show()
    assert window.folder.text() == str(tmp_path / "studio") and not window.folder.isEnabled()
    wait_until(lambda: "choose its program" in window.python.currentText())
    assert not window.start_button.isEnabled()
    window.close()
