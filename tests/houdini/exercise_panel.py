"""Exercise the panel's windows with whichever Qt this Python has: LIBRARY in, what was seen out, as JSON.

QT_QPA_PLATFORM=offscreen python -m tests.houdini.exercise_panel LIBRARY FOLDER

Needs numpy, usd-core, types-houdini, mypy (which knows where that is) and PySide6 or PySide2.
"""

import json
import os
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "scripts"), str(PROJECT / "python3.11libs")]

from tests.houdini import published_hou, published_scene  # noqa: E402


def main(library: Path, folder: Path) -> dict[str, object]:
    """Use everything that a person would, and say what was shown."""
    sys.modules["hou"] = module = published_hou.Module((20, 5, 584))
    scene = published_scene.enter(module)
    scene.home = str(folder)
    os.environ["HOUDINI_USER_PREF_DIR"] = str(folder / "houdini20.5")
    from neuron_houdini.panel import binding

    application = binding.QtWidgets.QApplication([])
    seen: dict[str, object] = {"binding": binding.QtCore.__name__.partition(".")[0]}
    panel = _panel(library, seen, scene, application)
    _jobs(panel, folder, seen, application)
    _dialog(seen, application)
    return seen


def _wait(application: object, seconds: float = 0.5) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        application.processEvents()  # type: ignore[attr-defined]
        time.sleep(0.01)


def _panel(library: Path, seen: dict[str, object], scene: object, application: object) -> object:
    from neuron_houdini.panel import window

    panel = window.create()
    panel.resize(900, 640)
    panel.show()
    browser = panel.browser
    browser.folder.set_text(str(library))
    browser.folder.changed.emit(str(library))
    _wait(application)
    found = browser.found
    seen["assets"] = [found.index(row, 0).data() for row in range(found.rowCount())]
    seen["icons"] = all(
        not found.index(row, 0).data(_role("DecorationRole")).isNull() for row in range(found.rowCount())
    )
    browser.words.setText("oak")
    _wait(application)
    seen["oak"] = [found.index(row, 0).data() for row in range(found.rowCount())]
    browser.view.setCurrentIndex(found.index(0, 0))
    seen["figures"] = [name for name, _ in browser.details.rows]
    browser.place_button.click()
    seen["placed"] = [node.evalParm("file") for node in scene.roots["stage"].children()]  # type: ignore[attr-defined]
    return panel


def _role(name: str) -> int:
    from neuron_houdini.panel.binding import QtCore

    return int(getattr(QtCore.Qt.ItemDataRole, name))


def _jobs(panel: object, folder: Path, seen: dict[str, object], application: object) -> None:
    from neuron_houdini.engine import jobs, process
    from neuron_houdini.panel.binding import QtGui

    pictures = folder / "previews"
    pictures.mkdir()
    image = QtGui.QImage(1120, 200, QtGui.QImage.Format.Format_RGB32)
    image.fill(QtGui.QColor("#2f6f8f"))
    image.save(str(pictures / "step_000500.png"))
    done, running = jobs.Background("done"), jobs.Background("train", pictures)
    done.result, running.fraction = process.Answer({}), 0.5
    jobs._jobs.update({1: done, 2: running})
    panel.tabs.setCurrentIndex(1)  # type: ignore[attr-defined]
    _wait(application)
    rows = panel.jobs.rows  # type: ignore[attr-defined]
    seen["jobs"] = [(row.job.title, row.bar.value(), row.stop.isEnabled()) for row in rows]
    seen["picture"] = rows[0].picture.toolTip()
    jobs._jobs.clear()
    panel.close()  # type: ignore[attr-defined]


def _dialog(seen: dict[str, object], application: object) -> None:
    from neuron_houdini.engine import interpreters
    from neuron_houdini.panel import setup_dialog

    interpreters.find_pythons = lambda: [interpreters.Python(Path(sys.executable), (3, 11))]
    dialog = setup_dialog.show()
    dialog.folder.set_text("/studio/engine")
    dialog.cpu.setChecked(True)
    _wait(application, 1.0)
    plan = dialog.plan()
    seen["plan"] = [str(plan.folder), plan.cuda]
    dialog.close()


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
    sys.stdout.flush()
    os._exit(0)  # what is left of widgets is nobody's
