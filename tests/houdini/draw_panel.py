"""Draw the panel's windows outside of Houdini, for the documentation.

QT_QPA_PLATFORM=offscreen python -m tests.houdini.draw_panel LIBRARY RUN FOLDER
"""

import sys
import time
from pathlib import Path

from PySide6 import QtGui, QtTest, QtWidgets

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "scripts"), str(PROJECT / "python3.11libs")]  # as pytest is told to

from tests.houdini import published_hou, published_scene  # noqa: E402

DARK = {"Window": "#3a3a3a", "Base": "#2b2b2b", "Button": "#4a4a4a", "Highlight": "#2f6f8f"}
TEXTS = ("WindowText", "Text", "ButtonText", "HighlightedText", "ToolTipText")


def dark() -> QtGui.QPalette:
    """Grays as hosts of this kind have them."""
    palette = QtGui.QPalette()
    for name, color in {**DARK, **dict.fromkeys(TEXTS, "#d0d0d0")}.items():
        palette.setColor(getattr(QtGui.QPalette.ColorRole, name), QtGui.QColor(color))
    palette.setColor(QtGui.QPalette.ColorRole.PlaceholderText, QtGui.QColor("#808080"))
    return palette


def save(widget: QtWidgets.QWidget, path: Path) -> None:
    """A picture of the widget as it is now."""
    QtTest.QTest.qWait(500)
    widget.grab().save(str(path), quality=85)


def main(library: Path, run: Path, folder: Path) -> None:
    """Draw assets, jobs and the set-up."""
    application = QtWidgets.QApplication([])
    application.setStyle("Fusion")
    application.setPalette(dark())
    sys.modules["hou"] = module = published_hou.Module((21, 0, 631))
    published_scene.enter(module)
    from neuron_houdini.engine import interpreters, jobs, process, setup
    from neuron_houdini.panel import setup_dialog, window

    panel = window.Panel()
    panel.browser.folder.set_text(str(library))
    panel.browser.refresh()
    panel.browser.folder.set_text("/studio/library")
    panel.engine.setText("Engine in /studio/neuron/.venv")
    panel.resize(960, 600)
    panel.show()
    save(panel, folder / "panel-assets.jpg")
    for title, fraction, text in (
        ("dataset of dataset1", 1.0, "done"),
        ("train of train1", 0.43, "train step 1290 of 3000, loss 0.031"),
        ("look of asset1", 0.12, "look encoding the prompt"),
    ):
        job = jobs.Background(title, run / "previews" if title.startswith("train") else None)
        job.fraction, job.text, job._started = fraction, text, time.monotonic() - 4000 * fraction
        job.result = process.Answer({}) if fraction == 1 else None
        jobs._jobs[len(jobs._jobs)] = job
    panel.tabs.setCurrentIndex(1)
    panel.resize(720, 700)
    save(panel, folder / "panel-jobs.jpg")
    interpreters.find_pythons = lambda: [interpreters.Python(Path("/usr/bin/python3.11"), (3, 11))]
    setup.state_of = lambda _: "missing"
    dialog = setup_dialog.SetupDialog()
    dialog.folder.set_text("/studio/neuron/.venv")
    dialog.show()
    save(dialog, folder / "panel-setup.jpg")
    jobs._jobs.clear()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
