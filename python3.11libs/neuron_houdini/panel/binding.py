"""Qt, whichever binding this Houdini has. Only what PySide2 5.15 and PySide6 have both is used."""

try:
    from PySide6 import QtCore, QtGui, QtWidgets
except ImportError:  # Houdini 20.5 and builds of 21 with Qt 5
    from PySide2 import QtCore, QtGui, QtWidgets  # type: ignore[import-not-found,no-redef]

__all__ = ["QtCore", "QtGui", "QtWidgets"]
