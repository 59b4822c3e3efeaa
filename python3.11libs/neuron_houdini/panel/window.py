"""The panel itself: assets and jobs in tabs, and what the engine is."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_houdini.engine import environment, jobs, setup
from neuron_houdini.errors import HoudiniError
from neuron_houdini.nodes import messages
from neuron_houdini.panel import library, setup_dialog
from neuron_houdini.panel.binding import QtWidgets
from neuron_houdini.panel.browser import Browser
from neuron_houdini.panel.jobs_view import JobsView
from neuron_houdini.panel.widgets import button, row, ticking
from neuron_houdini.shelf import tools


def create() -> QtWidgets.QWidget:
    """The root widget of the Python panel."""
    return Panel()


class Panel(QtWidgets.QWidget):
    """Assets, jobs, and a line about the engine."""

    def __init__(self) -> None:
        super().__init__()
        scene = Path(hou.text.expandString("$HIP"))
        self.browser = Browser(library.last_library(scene), place)
        self.jobs = JobsView()
        self.tabs = QtWidgets.QTabWidget()
        self.tabs.addTab(self.browser, "Assets")
        self.tabs.addTab(self.jobs, "Jobs")
        self.engine = QtWidgets.QLabel()
        self._where: tuple[Path, bool, bool] | None = None
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(row(self.engine, button("Set Up Engine...", setup_dialog.show), stretch=0))
        self.refresh()
        ticking(self, self.refresh)

    def refresh(self) -> None:
        """Count jobs that run, and say where the engine is."""
        count = sum(not job.over for job in jobs.all_jobs())
        self.tabs.setTabText(1, f"Jobs ({count})" if count else "Jobs")
        folder = environment.environment_folder()
        attempt = setup.current()
        where = (folder, environment.python_of(folder).exists(), attempt is not None and attempt.over)
        if where != self._where:
            self._where = where
            state = setup.state_of(folder)
            words = {
                "missing": "No engine yet",
                "outdated": "Engine of another version in",
                "ready": "Engine in",
            }
            self.engine.setText(f"{words[state]} {folder}" if state != "missing" else f"{words[state]}.")


def place(path: str) -> None:
    """Put an asset into the stage; what goes wrong is shown."""
    try:
        tools.place_asset(path)
    except HoudiniError as error:
        messages.show(error)
