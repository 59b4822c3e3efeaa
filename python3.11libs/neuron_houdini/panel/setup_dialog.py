"""Set Up Engine: choose, watch, stop, try again. Closing the window does not stop what runs."""

from __future__ import annotations  # names of hou differ between versions

import os
import threading
from pathlib import Path

import hou

from neuron_houdini.engine import environment, interpreters, jobs, setup
from neuron_houdini.errors import EngineError
from neuron_houdini.panel.binding import QtCore, QtWidgets
from neuron_houdini.panel.widgets import PathField, button, row, ticking

STATES = {
    "missing": "There is no engine yet.",
    "outdated": "The engine belongs to another version of Neuron. Set Up brings it up to date.",
    "ready": "The engine is set up.",
}
_windows: list[SetupDialog] = []  # Qt's own objects are not enough to keep one alive


def show() -> SetupDialog:
    """Open the window, or bring the open one to the front."""
    for window in _windows:
        if window.isVisible():
            window.raise_()
            return window
    window = SetupDialog(hou.qt.mainWindow())
    window.setStyleSheet(hou.qt.styleSheet())
    window.setProperty("houdiniStyle", True)
    _windows[:] = [window]
    window.show()
    return window


class SetupDialog(QtWidgets.QDialog):
    """What `setup.Plan` has, as fields; the job of the session, as a bar and a log."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent, QtCore.Qt.WindowType.Window)
        self.setWindowTitle("Set Up Neuron Engine")
        self.job: setup.Installation | None = setup.current()
        self._pythons: list[interpreters.Python] | None = None
        self._filled = False
        self._lines = 0
        self.python = QtWidgets.QComboBox()
        self.other_python = PathField(
            "Python", folder=False, hint=f"another program of {interpreters.SUPPORTED}"
        )
        self.folder = PathField("Folder of the engine")
        self.gpu = QtWidgets.QRadioButton("NVIDIA GPU (CUDA)")
        self.cpu = QtWidgets.QRadioButton("CPU only")
        self.wheels = PathField("Folder of wheels", hint="empty: from the internet")
        self.index = QtWidgets.QLineEdit()
        self.anew = QtWidgets.QCheckBox("Delete the engine that is there first")
        self.state = QtWidgets.QLabel()
        self.bar = QtWidgets.QProgressBar()
        self.log = QtWidgets.QPlainTextEdit()
        self.start_button = button("Set Up", self.start)
        self.stop_button = button("Cancel", self.stop)
        self._arrange()
        self._fill()
        threading.Thread(target=self._look_for_pythons, daemon=True).start()
        ticking(self, self.refresh)
        self.refresh()

    def _arrange(self) -> None:
        self.bar.setRange(0, 1000)
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(jobs.MOST_LINES)
        self.state.setWordWrap(True)
        self.index.setPlaceholderText("a package index with builds of torch, for special cases")
        self.anew.setToolTip("Needed to change between CUDA and CPU")
        form = QtWidgets.QFormLayout()
        form.addRow("Python", self.python)
        form.addRow("", self.other_python)
        form.addRow("Folder", self.folder)
        form.addRow("Compute", row(self.gpu, self.cpu))
        form.addRow("Wheels", self.wheels)
        form.addRow("torch Index", self.index)
        form.addRow("", self.anew)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.state)
        layout.addWidget(self.bar)
        layout.addWidget(self.log, 1)
        spacer = QtWidgets.QLabel()
        layout.addWidget(
            row(spacer, self.stop_button, self.start_button, button("Close", self.close), stretch=0)
        )
        self.resize(720, 560)

    def _fill(self) -> None:
        self.python.addItem("Looking for Pythons ...")
        self.python.setEnabled(False)
        self.folder.set_text(str(environment.environment_folder()))
        fixed = bool(os.environ.get("NEURON_ENV", "").strip())
        self.folder.setEnabled(not fixed)
        self.folder.setToolTip("NEURON_ENV names it" if fixed else "")
        (self.gpu if setup.has_gpu() else self.cpu).setChecked(True)

    def _look_for_pythons(self) -> None:
        self._pythons = interpreters.find_pythons()  # a thread: it starts each of them

    def _list_pythons(self, found: list[interpreters.Python]) -> None:
        self._filled = True
        self.python.clear()
        for python in found:
            self.python.addItem(python.label, str(python.path))
        self.python.setEnabled(bool(found))
        if not found:
            self.python.addItem(f"No {interpreters.SUPPORTED} on PATH: choose its program below")

    def plan(self) -> setup.Plan:
        """What the fields say. Raises EngineError where no Python is chosen."""
        python = self.other_python.text() or str(self.python.currentData() or "")
        if not python:
            raise EngineError("python", "No Python is chosen.", "Choose the program of one.")
        wheels = self.wheels.text()
        return setup.Plan(
            python=Path(python),
            folder=Path(self.folder.text()).expanduser(),
            cuda=self.gpu.isChecked(),
            wheelhouse=Path(wheels).expanduser() if wheels else None,
            index=self.index.text().strip(),
            anew=self.anew.isChecked(),
        )

    def start(self) -> None:
        """Begin, or go on where the last attempt stopped."""
        try:
            job = setup.Installation(self.plan())
            jobs.submit(setup.JOB, job)
        except EngineError as error:
            self.state.setText(error.text)
            return
        self.job, self._lines = job, 0
        self.log.clear()
        self.refresh()

    def stop(self) -> None:
        """Ask what runs to stop."""
        if self.job is not None:
            self.job.cancel()

    def refresh(self) -> None:
        """Show what the job has done since."""
        if self._pythons is not None and not self._filled:
            self._list_pythons(self._pythons)
        job = self.job
        running = job is not None and not job.over
        chosen = bool(self.python.currentData() or self.other_python.text())
        self.start_button.setEnabled(chosen and not running)
        self.start_button.setText("Retry" if job is not None and job.error is not None else "Set Up")
        self.stop_button.setEnabled(running)
        if job is None:
            if not self.state.text():
                self.state.setText(STATES[setup.state_of(Path(self.folder.text()))])
            return
        self.bar.setValue(round(1000 * job.fraction))
        self._add_lines(job)
        self.state.setText(_sentence(job))

    def _add_lines(self, job: setup.Installation) -> None:
        lines = list(job.log)
        if self._lines > len(lines):  # the job keeps the last ones only
            self.log.clear()
            self._lines = 0
        for line in lines[self._lines :]:
            self.log.appendPlainText(line)
        self._lines = len(lines)


def _sentence(job: setup.Installation) -> str:
    if job.error is not None:
        return job.error.text
    return f"{STATES['ready']} ({job.plan.folder})" if job.over else job.text
