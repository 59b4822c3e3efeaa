"""Small things that several windows need."""

from collections.abc import Callable

from neuron_houdini.panel.binding import QtCore, QtWidgets

TICK = 200  # milliseconds between two looks at the jobs


def button(text: str, pressed: Callable[[], object], tip: str = "") -> QtWidgets.QPushButton:
    """A push button that calls without arguments."""
    made = QtWidgets.QPushButton(text)
    made.setToolTip(tip)
    made.setAutoDefault(False)  # Return in a field of a dialog presses nothing
    made.clicked.connect(lambda *_: pressed())
    return made


def row(*widgets: QtWidgets.QWidget, stretch: int = -1) -> QtWidgets.QWidget:
    """Widgets side by side; the one with number `stretch` takes what is left."""
    frame = QtWidgets.QWidget()
    layout = QtWidgets.QHBoxLayout(frame)
    layout.setContentsMargins(0, 0, 0, 0)
    for index, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if index == stretch else 0)
    return frame


def ticking(owner: QtCore.QObject, call: Callable[[], object]) -> QtCore.QTimer:
    """A timer that belongs to a widget and ends with it."""
    timer = QtCore.QTimer(owner)
    timer.setInterval(TICK)
    timer.timeout.connect(lambda *_: call())
    timer.start()
    return timer


class PathField(QtWidgets.QWidget):
    """A line for a path, with a button that asks for one."""

    changed = QtCore.Signal(str)

    def __init__(self, title: str, folder: bool = True, hint: str = "") -> None:
        super().__init__()
        self._title, self._folder = title, folder
        self.line = QtWidgets.QLineEdit()
        self.line.setPlaceholderText(hint)
        self.line.editingFinished.connect(lambda: self.changed.emit(self.text()))
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line, 1)
        ask = button("...", self._ask, title)
        ask.setFixedWidth(ask.fontMetrics().horizontalAdvance("...") + 24)
        layout.addWidget(ask)

    def text(self) -> str:
        """The path as it was typed, without blanks around it."""
        return self.line.text().strip()

    def set_text(self, text: str) -> None:
        """Show another path."""
        self.line.setText(text)

    def _ask(self) -> None:
        if self._folder:
            path = QtWidgets.QFileDialog.getExistingDirectory(self, self._title, self.text())
        else:
            path = QtWidgets.QFileDialog.getOpenFileName(self, self._title, self.text())[0]
        if path:
            self.set_text(path)
            self.changed.emit(path)
