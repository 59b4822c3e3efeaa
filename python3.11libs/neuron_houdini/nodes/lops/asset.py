"""The LOP that references a neural asset: the prims of `neuron scene add`, and no engine."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou
from pxr import UsdGeom

from neuron_core.foundation import values
from neuron_core.foundation.errors import NeuronError
from neuron_core.usd import adding, changing
from neuron_core.usd.published import locate
from neuron_houdini.nodes import background, messages
from neuron_houdini.nodes.asset_file import manifest_of, neuron_file
from neuron_houdini.nodes.lops import representations
from neuron_houdini.nodes.parameters import text


def cook(lop: hou.LopNode, hda: hou.LopNode) -> None:
    """Author the asset on the stage that is cooking. Raises hou.NodeError."""
    stage = lop.editableStage()
    if not text(hda, "file"):
        hda.addWarning("No asset yet: pick a .neuron file or a published asset.")
        return
    with messages.node_errors():
        author(stage, hda)


def author(stage: object, hda: hou.LopNode) -> None:
    """Reference the asset and set what the parameters say. Raises NeuronError."""
    _check_look(hda)
    path = text(hda, "primpath")
    source = locate(Path(text(hda, "file")))
    prim = adding.add(stage, source, path, bool(hda.evalParm("instance")))
    at, rotate, scale = (_three(hda, name) for name in ("t", "r", "s"))
    shown = representations.choose(prim, text(hda, "representation"))
    changing.change(
        stage,
        path,
        changing.Change(
            at=at if at != (0.0, 0.0, 0.0) else None,
            rotate=rotate if rotate != (0.0, 0.0, 0.0) else None,
            scale=scale if scale != (1.0, 1.0, 1.0) else None,
            look=text(hda, "look") or None,
            pose=pose_of(text(hda, "pose")),
            purpose=text(hda, "purpose") or None,
            representation=shown,
        ),
    )
    working = bool(hda.evalParm("viewport")) and not hda.evalParm("instance")
    if working and shown in representations.PAYLOADS:
        _show_while_working(stage, path)
    if message := _message(source, shown, working):
        hda.addMessage(message)


def _show_while_working(stage: object, path: str) -> None:
    """Viewports draw proxies and not what renders; here they draw what renders and no gray stand-in."""
    purposes = (("geo/render", UsdGeom.Tokens.default_), ("geo/proxy", UsdGeom.Tokens.guide))
    for part, purpose in purposes:
        prim = stage.OverridePrim(f"{path}/{part}")  # type: ignore[attr-defined]
        UsdGeom.Imageable(prim).CreatePurposeAttr(purpose)


def _message(source: Path, shown: str | None, working: bool) -> str:
    """What a person sees of it, and why that is not the field."""
    if source.suffix.lower() == ".neuron":
        return "Houdini shows nothing of a .neuron file; publish it to see a stand-in. The engine draws it."
    if shown is None:
        return ""
    message = f"Houdini shows the representation {shown}; the engine draws the field."
    if shown in representations.PAYLOADS and not working:
        message += " Viewports show a gray stand-in for it unless they display the purpose render."
    return message


def _check_look(hda: hou.OpNode) -> None:
    """Files that were not published have no variants that would refuse a look."""
    look, manifest = text(hda, "look"), manifest_of(hda)
    known = [] if manifest is None else [item.slug for item in manifest.looks]
    if look and manifest is not None and look not in known:
        raise NeuronError(f"The asset has no look {look!r}.", f"It has: {', '.join(known) or 'none'}.")


def pose_of(written: str) -> tuple[float, ...] | None:
    """The numbers of a pose, separated by blanks or commas; None for an empty text. Raises NeuronError."""
    return values.finite_numbers(written.replace(",", " ").split(), f"The pose {written!r}") or None


def _three(hda: hou.OpNode, name: str) -> tuple[float, float, float]:
    x, y, z = (value if isinstance(value, float) else 0.0 for value in hda.evalParmTuple(name))
    return x, y, z


def bake(hda: hou.OpNode) -> None:
    """Add the new prompt to the file as a look, in the background."""
    prompt = text(hda, "prompt")
    try:
        file = neuron_file(hda)
    except NeuronError as error:
        messages.show(error)
        return
    if file is None or not prompt:
        messages.show("A file and a new prompt are needed. Fill in both.")
        return
    background.start(hda, "look", [["look", str(file), "--prompt", prompt, "--out", str(file)]])
