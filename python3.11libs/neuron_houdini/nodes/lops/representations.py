"""What Houdini draws of an asset: a representation that the asset has and this Houdini knows."""

from __future__ import annotations  # names of hou differ between versions

import hou

from neuron_core.usd import assembly

FIRST_WITH_SPLATS = 22  # Houdini draws Gaussian splats of USD from here on
PREFERRED = ("splat", "points", "volume", "mesh", "proxy")
PAYLOADS = ("splat", "points", "volume", "mesh")  # drawn with the purpose render
OLDER = ("points", "volume", "mesh", "proxy", "box")


def choose(prim: object, wanted: str) -> str | None:
    """What is asked for, or for `auto` the best that this Houdini draws and the asset has."""
    offered = assembly.representations_of(prim)
    if not offered or wanted != "auto":
        return wanted if offered else None
    return next((name for name in drawn(wanted) if name in offered), None)


def drawn(wanted: str) -> tuple[str, ...]:
    """What to show, best first: what is asked for, or for `auto` what this Houdini draws."""
    if wanted != "auto":
        return (wanted,)
    return PREFERRED if hou.applicationVersion()[0] >= FIRST_WITH_SPLATS else OLDER


def menu() -> list[str]:
    """Representations that assets can have, in turn with their labels."""
    return ["auto", "Best Available"] + [
        text for name in (*PREFERRED, "box") for text in (name, name.title())
    ]
