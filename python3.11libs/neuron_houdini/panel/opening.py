"""Opening the windows, from the shelf and the menu."""

from __future__ import annotations  # names of hou differ between versions

import hou

from neuron_houdini.nodes import messages

PANEL = "neuron"  # the name of the interface in python_panels/neuron.pypanel
PANEL_SIZE = (9.0, 7.0)  # inches


def open_set_up() -> None:
    """Choose how the engine is made, and make it."""
    _needs_desktop("python scripts/set_up_engine.py")
    from neuron_houdini.panel import setup_dialog  # needs Qt

    setup_dialog.show()


def open_panel() -> None:
    """Open the panel in a window of its own, or bring the one that is open to the front."""
    _needs_desktop("the command line")
    interface = hou.pypanel.interfaceByName(PANEL)
    if interface is None:
        messages.show("Houdini has not found the Neuron panel. Check that the package of Neuron is loaded.")
        return
    for tab in hou.ui.paneTabs():
        if isinstance(tab, hou.PythonPanel) and _shows(tab, PANEL):
            tab.setIsCurrentTab()
            return
    kind = hou.paneTabType.PythonPanel
    tab = hou.ui.curDesktop().createFloatingPaneTab(kind, size=tuple(map(_pixels, PANEL_SIZE)))
    if isinstance(tab, hou.PythonPanel):
        tab.setActiveInterface(interface)


def _shows(tab: hou.PythonPanel, name: str) -> bool:
    interface = tab.activeInterface()
    return interface is not None and interface.name() == name


def _pixels(inches: float) -> int:
    return int(hou.ui.inchesToPixels(inches))


def _needs_desktop(instead: str) -> None:
    if not hou.isUIAvailable():
        raise hou.OperationFailed(f"This tool has a window. Without a desktop use {instead}.")
