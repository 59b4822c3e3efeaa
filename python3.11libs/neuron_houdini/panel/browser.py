"""Published assets as thumbnails, with a search, the figures of one, and a way into the stage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuron_core.foundation.errors import NeuronError
from neuron_houdini.panel import library
from neuron_houdini.panel.binding import QtCore, QtGui, QtWidgets
from neuron_houdini.panel.widgets import PathField, button, row

THUMBNAIL = 128  # pixels
SIDE = 340  # pixels that the figures begin with
_ENTRY = int(QtCore.Qt.ItemDataRole.UserRole)


class Entries(QtCore.QAbstractListModel):
    """The assets. Pictures are read when they come into sight, and kept."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[library.Entry] = []
        self._icons: dict[Path, QtGui.QIcon] = {}

    def show(self, entries: list[library.Entry]) -> None:
        """Show others."""
        self.beginResetModel()
        self._entries = entries
        self._icons.clear()
        self.endResetModel()

    def rowCount(self, parent: Any = None) -> int:
        """How many there are."""
        return len(self._entries)

    def data(self, index: Any, role: int = 0) -> Any:
        """What a view asks for."""
        entry = self._entries[index.row()]
        if role == QtCore.Qt.ItemDataRole.DisplayRole:
            return entry.name
        if role == QtCore.Qt.ItemDataRole.DecorationRole:
            return self._icon(entry)
        if role == QtCore.Qt.ItemDataRole.ToolTipRole:
            return "\n".join([f"{entry.name} {entry.version.label}", *library.looks_of(entry.version)])
        return entry if role == _ENTRY else None

    def _icon(self, entry: library.Entry) -> QtGui.QIcon:
        if entry.file not in self._icons:
            self._icons[entry.file] = QtGui.QIcon(thumbnail(entry, THUMBNAIL))
        return self._icons[entry.file]


def thumbnail(entry: library.Entry, size: int) -> QtGui.QPixmap:
    """Its picture within a square; its first letter where it has none."""
    picture = QtGui.QPixmap()
    if picture.loadFromData(library.picture_of(entry)):
        keep, smooth = QtCore.Qt.AspectRatioMode, QtCore.Qt.TransformationMode
        return picture.scaled(size, size, keep.KeepAspectRatio, smooth.SmoothTransformation)
    picture = QtGui.QPixmap(size, size)
    picture.fill(QtGui.QColor("#2f6f8f"))
    painter = QtGui.QPainter(picture)
    painter.setPen(QtGui.QColor("white"))
    font = painter.font()
    font.setPixelSize(size // 2)
    painter.setFont(font)
    painter.drawText(picture.rect(), int(QtCore.Qt.AlignmentFlag.AlignCenter), entry.name[:1].upper())
    painter.end()
    return picture


class Search(QtCore.QSortFilterProxyModel):
    """Only what has every word that was typed."""

    def __init__(self, entries: Entries) -> None:
        super().__init__()
        self._text = ""
        self.setSourceModel(entries)

    def search(self, text: str) -> None:
        """Look for other words."""
        self._text = text
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: Any) -> bool:
        """Whether a row is shown."""
        index = self.sourceModel().index(source_row, 0, source_parent)
        return library.matches(index.data(_ENTRY), self._text)


class Browser(QtWidgets.QWidget):
    """The assets of a library. `place` puts the path of one into the stage."""

    def __init__(self, folder: Path, place: Callable[[str], object]) -> None:
        super().__init__()
        self._place = place
        self.entries = Entries()
        self.found = Search(self.entries)
        self.folder = PathField("Library")
        self.words = QtWidgets.QLineEdit()
        self.view = QtWidgets.QListView()
        self.details = Details()
        self.message = QtWidgets.QLabel()
        self.place_button = button("Place in Stage", self.place, "After what /stage displays")
        self._arrange()
        self._connect()
        self.folder.set_text(str(folder))
        self.refresh()

    def _arrange(self) -> None:
        self.words.setPlaceholderText("Search names, looks and prompts")
        self.words.setClearButtonEnabled(True)
        self.message.setWordWrap(True)
        self.view.setModel(self.found)
        self.view.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
        self.view.setResizeMode(QtWidgets.QListView.ResizeMode.Adjust)
        self.view.setMovement(QtWidgets.QListView.Movement.Static)
        self.view.setIconSize(QtCore.QSize(THUMBNAIL, THUMBNAIL))
        self.view.setGridSize(QtCore.QSize(THUMBNAIL + 20, THUMBNAIL + 36))
        self.view.setUniformItemSizes(True)
        side = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.details, 1)
        column.addWidget(self.place_button)
        halves = QtWidgets.QSplitter()
        halves.addWidget(self.view)
        halves.addWidget(side)
        halves.setStretchFactor(0, 1)
        halves.setSizes([600, SIDE])
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(
            row(QtWidgets.QLabel("Library"), self.folder, button("Refresh", self.refresh), stretch=1)
        )
        layout.addWidget(self.words)
        layout.addWidget(self.message)
        layout.addWidget(halves, 1)

    def _connect(self) -> None:
        self.folder.changed.connect(lambda *_: self._other_library())
        self.words.textChanged.connect(self._search)
        self.view.selectionModel().currentChanged.connect(lambda *_: self._show_current())
        self.view.doubleClicked.connect(lambda *_: self.place())

    def refresh(self) -> None:
        """Read the library again."""
        self.message.hide()
        entries: list[library.Entry] = []
        try:
            entries = library.entries_of(Path(self.folder.text()))
        except NeuronError as error:
            self._say(error.text)
        self.entries.show(entries)
        self._select_first()

    def _other_library(self) -> None:
        self.refresh()
        if self.message.isHidden():
            library.remember_library(Path(self.folder.text()))

    def _search(self, text: str) -> None:
        kept = self.current()
        self.found.search(text)
        if self.current() is None or self.current() is not kept:
            self._select_first()

    def _select_first(self) -> None:
        self.view.setCurrentIndex(self.found.index(0, 0))
        self._show_current()

    def _show_current(self) -> None:
        entry = self.current()
        self.details.show_entry(entry)
        self.place_button.setEnabled(entry is not None)

    def current(self) -> library.Entry | None:
        """The asset that is selected."""
        index = self.view.currentIndex()
        return index.data(_ENTRY) if index.isValid() else None

    def place(self) -> None:
        """Put the selected asset into the stage."""
        entry = self.current()
        if entry is not None:
            self._place(str(entry.place))

    def _say(self, text: str) -> None:
        self.message.setText(text)
        self.message.show()


class Details(QtWidgets.QScrollArea):
    """The picture, the looks and the figures of one asset."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.rows: list[tuple[str, str]] = []
        self.show_entry(None)

    def show_entry(self, entry: library.Entry | None) -> None:
        """Show another one, or none."""
        self.rows = [] if entry is None else library.figures_of(entry)
        page = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(page)
        if entry is not None:
            picture = QtWidgets.QLabel()
            picture.setPixmap(thumbnail(entry, 3 * THUMBNAIL // 2))
            picture.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
            layout.addWidget(picture)
            layout.addWidget(_text(f"<b>{entry.name}</b>", rich=True))
            layout.addLayout(_table([*self.rows, ("Looks", "\n".join(library.looks_of(entry.version)))]))
        layout.addStretch(1)
        self.setWidget(page)


def _table(rows: list[tuple[str, str]]) -> QtWidgets.QFormLayout:
    table = QtWidgets.QFormLayout()
    for label, text in rows:
        table.addRow(label, _text(text))
    return table


def _text(text: str, rich: bool = False) -> QtWidgets.QLabel:
    label = QtWidgets.QLabel(text)
    kind = QtCore.Qt.TextFormat
    label.setTextFormat(kind.RichText if rich else kind.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
