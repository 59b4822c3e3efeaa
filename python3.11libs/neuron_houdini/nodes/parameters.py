"""Values of parameters as the engine's options."""

from __future__ import annotations  # names of hou differ between versions

from collections.abc import Sequence

import hou


def text(node: hou.OpNode, name: str) -> str:
    """A parameter as text, without blanks around it."""
    return str(node.evalParm(name)).strip()


def options(node: hou.OpNode, names: Sequence[str]) -> list[str]:
    """Parameters that have the engine's names; what is empty or 0 as a number of a version is left out."""
    words: list[str] = []
    for name in names:
        value = node.evalParm(name)
        shown = f"{value:.9g}" if isinstance(value, float) else str(value).strip()
        if shown and not (name == "number" and shown == "0"):
            words += [f"--{name.replace('_', '-')}", shown]
    return words


def switches(node: hou.OpNode, names: Sequence[str]) -> list[str]:
    """Toggles that are on."""
    return [f"--{name}" for name in names if node.evalParm(name)]
