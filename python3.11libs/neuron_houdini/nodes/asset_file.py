"""The asset that a node names in its parameter `file`, and files that the engine makes of it."""

from __future__ import annotations  # names of hou differ between versions

from pathlib import Path

import hou

from neuron_core.assets import Manifest, header_of
from neuron_core.foundation.errors import NeuronError
from neuron_core.usd.published import locate
from neuron_houdini.nodes import messages
from neuron_houdini.nodes.parameters import text


def neuron_file(hda: hou.OpNode) -> Path | None:
    """The `.neuron` file: the one that was picked, or the one in the folder of a published version."""
    named = text(hda, "file")
    if not named:
        return None
    source = locate(Path(named))
    if source.suffix.lower() == ".neuron":
        return source
    found = sorted(source.parent.glob("*.neuron")) or sorted(source.parent.glob("v*/*.neuron"))
    return found[-1] if found else None


def required_file(node: hou.OpNode) -> Path | None:
    """The `.neuron` file of a node; None, after saying so, where there is none."""
    try:
        source = neuron_file(node)
    except NeuronError as error:
        messages.show(error)
        return None
    if source is None:
        messages.show("There is no asset yet. Pick a .neuron file or a published asset.")
    return source


def manifest_of(hda: hou.OpNode) -> Manifest | None:
    """The manifest of the asset of a node, read from the header alone; None if there is none."""
    try:
        file = neuron_file(hda)
        return header_of(file).manifest if file else None
    except NeuronError:
        return None


def look_menu(hda: hou.OpNode) -> list[str]:
    """Names and prompts of the looks in turn, as menus want them."""
    manifest = manifest_of(hda)
    looks = manifest.looks if manifest is not None else ()
    return [item for look in looks for item in (look.slug, look.prompt or look.slug)]


def output_file(node: hou.OpNode, name: str) -> Path:
    """The file that the parameter `name` says, in a folder that is made if it is not there."""
    path = Path(text(node, name))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def is_older(made: Path, source: Path) -> bool:
    """Whether the source was changed after the file was made from it."""
    return made.stat().st_mtime < source.stat().st_mtime
