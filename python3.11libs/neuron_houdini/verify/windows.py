"""The tools of the shelf, and the panel."""

from __future__ import annotations  # names of hou differ between versions

import hou

from neuron_houdini.shelf import tools
from neuron_houdini.verify.check import Problem, Skipped, Work


def check_shelf(work: Work) -> str:
    """Tools that ask nothing make their nodes."""
    makers = [tools.shader_ball, tools.make_dataset, tools.train, tools.anchor_frames]
    paths = []
    for tool in makers:
        node = tool()
        if node is None:
            raise Problem(f"{tool.__name__} made nothing")
        paths.append(node.path())
    return ", ".join(paths)


def check_panel(work: Work) -> str:
    """The panel opens."""
    if not hou.isUIAvailable():
        raise Skipped("needs a window: run it from the Python shell of Houdini")
    from neuron_houdini.panel import binding, window

    widget = window.create()
    widget.show()
    widget.close()
    return str(binding.QtWidgets.__name__)
