"""The jobs of the session: what runs, how far it is, how it ended, and stopping one of them."""

from pathlib import Path

from neuron_core.foundation.clocks import clock_text
from neuron_houdini.engine import jobs
from neuron_houdini.nodes import pictures
from neuron_houdini.panel.binding import QtCore, QtGui, QtWidgets
from neuron_houdini.panel.widgets import button, ticking

LARGEST = QtCore.QSize(560, 400)  # of the picture that a job is at, in pixels


class JobRow(QtWidgets.QFrame):
    """One job with its progress."""

    def __init__(self, job: jobs.Background) -> None:
        super().__init__()
        self.job = job
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.title = QtWidgets.QLabel()
        self.bar = QtWidgets.QProgressBar()
        self.bar.setRange(0, 1000)
        self.text = QtWidgets.QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self.stop = button(
            "Cancel", job.cancel, "Stops where nothing is lost; the same run resumes from there"
        )
        self.picture = QtWidgets.QLabel()
        self.picture.hide()
        self._drawn: tuple[Path, int] | None = None
        self._ended = False  # and the last picture was looked for
        layout = QtWidgets.QGridLayout(self)
        layout.addWidget(self.title, 0, 0)
        layout.addWidget(self.stop, 0, 1)
        layout.addWidget(self.bar, 1, 0, 1, 2)
        layout.addWidget(self.text, 2, 0, 1, 2)
        layout.addWidget(self.picture, 3, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self.refresh()

    def refresh(self) -> None:
        """Show what has changed."""
        job = self.job
        self.title.setText(f"{job.title}  ({clock_text(job.seconds)})")
        self.bar.setValue(round(1000 * job.fraction))
        self.stop.setEnabled(not job.over)
        self.text.setText(job.error.text if job.error is not None else job.text)
        self._show_newest()

    def _show_newest(self) -> None:
        """The picture that the job wrote last, as validation pictures of training are; read once each."""
        if self.job.pictures is None or self._ended:
            return
        self._ended = self.job.over
        newest = pictures.newest(self.job.pictures)
        if newest is None or newest == self._drawn:
            return
        self._drawn = newest
        image = QtGui.QPixmap(str(newest[0]))
        if image.isNull():
            return
        if image.width() > LARGEST.width() or image.height() > LARGEST.height():
            how = QtCore.Qt.TransformationMode.SmoothTransformation
            image = image.scaled(LARGEST, QtCore.Qt.AspectRatioMode.KeepAspectRatio, how)
        self.picture.setPixmap(image)
        self.picture.setToolTip(newest[0].name)
        self.picture.show()


class JobsView(QtWidgets.QWidget):
    """All jobs, the newest first."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[JobRow] = []
        self.nothing = QtWidgets.QLabel("Nothing runs. Press Run in Background on a Neuron node.")
        self._column = QtWidgets.QVBoxLayout()
        inside = QtWidgets.QWidget()
        outer = QtWidgets.QVBoxLayout(inside)
        outer.addLayout(self._column)
        outer.addStretch(1)
        scrolled = QtWidgets.QScrollArea()
        scrolled.setWidgetResizable(True)
        scrolled.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scrolled.setWidget(inside)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.nothing)
        layout.addWidget(scrolled, 1)
        layout.addWidget(button("Forget Ended Jobs", self.forget))
        self.refresh()
        ticking(self, self.refresh)

    def refresh(self) -> None:
        """Show jobs that came, and what the others do."""
        wanted = jobs.all_jobs()[::-1]
        if [row.job for row in self.rows] != wanted:
            self._rebuild(wanted)
        for row in self.rows:
            row.refresh()
        self.nothing.setVisible(not self.rows)

    def _rebuild(self, wanted: list[jobs.Background]) -> None:
        for row in self.rows:
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = [JobRow(job) for job in wanted]
        for row in self.rows:
            self._column.addWidget(row)

    def forget(self) -> None:
        """Leave only jobs that run."""
        jobs.forget_ended()
        self.refresh()
