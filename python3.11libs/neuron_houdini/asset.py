"""The LOP that references a neural asset: the prims of `neuron scene add`, and no engine."""

from __future__ import annotations  # names of hou differ between versions

import math
from pathlib import Path

import hou
from pxr import UsdGeom

from neuron_core.assets import Manifest, header_of
from neuron_core.foundation.errors import NeuronError
from neuron_core.usd import adding, assembly, changing
from neuron_core.usd.published import locate
from neuron_houdini import background

FIRST_WITH_SPLATS = 22  # Houdini draws Gaussian splats of USD from here on
PREFERRED = ("splat", "points", "volume", "mesh", "proxy")
PAYLOADS = ("splat", "points", "volume", "mesh")  # drawn with the purpose render
OLDER = ("points", "volume", "mesh", "proxy", "box")


def cook(lop: hou.LopNode, hda: hou.LopNode) -> None:
    """Author the asset on the stage that is cooking. Raises hou.NodeError."""
    stage = lop.editableStage()
    if not str(hda.evalParm("file")).strip():
        hda.addWarning("No asset yet: pick a .neuron file or a published asset.")
        return
    try:
        author(stage, hda)
    except NeuronError as error:
        raise hou.NodeError(f"{error.message} {error.hint}".strip()) from error


def author(stage: object, hda: hou.LopNode) -> None:
    """Reference the asset and set what the parameters say. Raises NeuronError."""
    _check_look(hda)
    path = str(hda.evalParm("primpath")).strip()
    source = locate(Path(str(hda.evalParm("file")).strip()))
    prim = adding.add(stage, source, path, bool(hda.evalParm("instance")))
    at, rotate, scale = (_three(hda, name) for name in ("t", "r", "s"))
    shown = _representation(prim, str(hda.evalParm("representation")))
    changing.change(
        stage,
        path,
        changing.Change(
            at=at if at != (0.0, 0.0, 0.0) else None,
            rotate=rotate if rotate != (0.0, 0.0, 0.0) else None,
            scale=scale if scale != (1.0, 1.0, 1.0) else None,
            look=str(hda.evalParm("look")).strip() or None,
            pose=pose_of(str(hda.evalParm("pose"))),
            purpose=str(hda.evalParm("purpose")) or None,
            representation=shown,
        ),
    )
    working = bool(hda.evalParm("viewport")) and not hda.evalParm("instance")
    if working and shown in PAYLOADS:
        _show_while_working(stage, path)
    if text := _told(source, shown, working):
        hda.addMessage(text)


def _show_while_working(stage: object, path: str) -> None:
    """Viewports draw proxies and not what renders; here they draw what renders and no grey stand-in."""
    purposes = (("geo/render", UsdGeom.Tokens.default_), ("geo/proxy", UsdGeom.Tokens.guide))
    for part, purpose in purposes:
        prim = stage.OverridePrim(f"{path}/{part}")  # type: ignore[attr-defined]
        UsdGeom.Imageable(prim).CreatePurposeAttr(purpose)


def _told(source: Path, shown: str | None, working: bool) -> str:
    """What a person sees of it, and why that is not the field."""
    if source.suffix.lower() == ".neuron":
        return "Houdini shows nothing of a .neuron file; publish it to see a stand-in. The engine draws it."
    if shown is None:
        return ""
    text = f"Houdini shows the representation {shown}; the engine draws the field."
    if shown in PAYLOADS and not working:
        text += " Viewports show a grey stand-in for it unless they display the purpose render."
    return text


def _check_look(hda: hou.OpNode) -> None:
    """Files that were not published have no variants that would refuse a look."""
    look, manifest = str(hda.evalParm("look")).strip(), manifest_of(hda)
    known = [] if manifest is None else [item.slug for item in manifest.looks]
    if look and manifest is not None and look not in known:
        raise NeuronError(f"The asset has no look {look!r}.", f"It has: {', '.join(known) or 'none'}.")


def pose_of(text: str) -> tuple[float, ...] | None:
    """The numbers of a pose, separated by blanks or commas; None for an empty text. Raises NeuronError."""
    words = text.replace(",", " ").split()
    try:
        values = tuple(float(word) for word in words)
    except ValueError:
        raise NeuronError(f"The pose {text!r} holds no numbers.", "Write numbers, as 0.2 0 -1.") from None
    if not all(map(math.isfinite, values)):
        raise NeuronError(f"The pose {text!r} is not finite.", "Write finite numbers.")
    return values or None


def _three(hda: hou.OpNode, name: str) -> tuple[float, float, float]:
    x, y, z = (value if isinstance(value, float) else 0.0 for value in hda.evalParmTuple(name))
    return x, y, z


def _representation(prim: object, wanted: str) -> str | None:
    """What is asked for, or for `auto` the best that this Houdini draws and the asset has."""
    offered = assembly.representations_of(prim)
    if not offered or wanted != "auto":
        return wanted if offered else None
    return next((name for name in drawn_representations(wanted) if name in offered), None)


def drawn_representations(wanted: str) -> tuple[str, ...]:
    """What to show, best first: what is asked for, or for `auto` what this Houdini draws."""
    if wanted != "auto":
        return (wanted,)
    return PREFERRED if hou.applicationVersion()[0] >= FIRST_WITH_SPLATS else OLDER


def manifest_of(hda: hou.OpNode) -> Manifest | None:
    """The manifest of the asset of a node, read from the header alone; None if there is none."""
    try:
        file = neuron_file(hda)
        return header_of(file).manifest if file else None
    except NeuronError:
        return None


def neuron_file(hda: hou.OpNode) -> Path | None:
    """The `.neuron` file: the one that was picked, or the one in the folder of a published version."""
    text = str(hda.evalParm("file")).strip()
    if not text:
        return None
    source = locate(Path(text))
    if source.suffix.lower() == ".neuron":
        return source
    found = sorted(source.parent.glob("*.neuron")) or sorted(source.parent.glob("v*/*.neuron"))
    return found[-1] if found else None


def look_menu(hda: hou.OpNode) -> list[str]:
    """Names and prompts of the looks in turn, as menus want them."""
    manifest = manifest_of(hda)
    looks = manifest.looks if manifest is not None else ()
    return [text for look in looks for text in (look.slug, look.prompt or look.slug)]


def representation_menu(hda: hou.OpNode) -> list[str]:
    """Representations that assets can have, in turn with their labels."""
    return ["auto", "Best Available"] + [
        text for name in (*PREFERRED, "box") for text in (name, name.title())
    ]


def bake(hda: hou.OpNode) -> None:
    """Add the new prompt to the file as a look, in the background."""
    prompt = str(hda.evalParm("prompt")).strip()
    try:
        file = neuron_file(hda)
    except NeuronError as error:
        background.tell(str(error))
        return
    if file is None or not prompt:
        background.tell("A file and a new prompt are needed. Fill in both.")
        return
    background.start(hda, "look", [["look", str(file), "--prompt", prompt, "--out", str(file)]])
