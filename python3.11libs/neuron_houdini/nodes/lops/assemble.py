"""The LOP that places many neural assets on points of a SOP."""

from __future__ import annotations  # names of hou differ between versions

import hou
import numpy as np

from neuron_core.usd import assembly
from neuron_core.usd.assembly import Placements
from neuron_houdini.nodes import messages, points
from neuron_houdini.nodes.lops import representations
from neuron_houdini.nodes.parameters import text

ASSET, LOOK = "neuron_asset", "look"


def cook(lop: hou.LopNode, hda: hou.LopNode) -> None:
    """Author the assets on the stage that is cooking. Raises hou.NodeError."""
    stage = lop.editableStage()
    with messages.node_errors():
        placed = placements(hda)
        if placed is None:
            hda.addWarning("No points yet: pick a SOP under Points.")
            return
        author(stage, hda, placed)


def placements(hda: hou.LopNode) -> Placements | None:
    """What the points of the SOP say; None without a SOP. Raises NeuronError or hou.NodeError."""
    path = text(hda, "soppath")
    if not path:
        return None
    sop = hda.node(path)
    if not isinstance(sop, hou.SopNode):
        raise hou.NodeError(f"There is no SOP at {path!r}. Pick one under Points.")
    geometry = sop.geometry()
    if geometry is None:
        raise hou.NodeError(f"{sop.path()} has no geometry. Look at its errors.")
    positions = points.floats(geometry, "P", 3)
    return Placements(
        assets=points.texts(geometry, ASSET, text(hda, "file")),
        looks=points.texts(geometry, LOOK, text(hda, "look")),
        positions=np.zeros((0, 3)) if positions is None else positions,
        orients=points.floats(geometry, "orient", 4),
        scales=_scales(geometry),
    )


def _scales(geometry: hou.Geometry) -> np.ndarray | None:
    """`pscale` times `scale`, as copies onto points have it; None where points have neither."""
    uniform, axes = points.floats(geometry, "pscale", 1), points.floats(geometry, "scale", 3)
    if uniform is None:
        return axes
    return np.repeat(uniform, 3, axis=1) if axes is None else uniform * axes


def author(stage: object, hda: hou.LopNode, placed: Placements) -> None:
    """Reference or instance them. Raises NeuronError."""
    path = text(hda, "primpath")
    wanted = representations.drawn(text(hda, "representation"))
    if text(hda, "method") == "instancer":
        assembly.add_instancer(stage, path, placed, wanted)
    else:
        assembly.add_references(stage, path, placed, wanted, bool(hda.evalParm("instance")))
