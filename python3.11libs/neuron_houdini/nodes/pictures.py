"""Pictures that the engine made, for Houdini's viewers: as one path with the frame in it, or in MPlay."""

from __future__ import annotations  # names of hou differ between versions

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import hou

from neuron_houdini.nodes import messages

MPLAY = "$HFS/bin/mplay"
_NUMBERED = re.compile(r"(.*?)(\d+)")


def sequence(paths: Sequence[str]) -> str:
    """One path for pictures that differ in their numbers: `turn_007.png` becomes `turn_$F3.png`.

    Pictures that are not a sequence are the first of them; none at all is an empty text.
    """
    if not paths:
        return ""
    first = Path(paths[0])
    numbered = _NUMBERED.fullmatch(first.stem)
    if numbered is None or not all(_is_next(Path(path), first, numbered) for path in paths):
        return first.as_posix()
    return first.with_name(f"{numbered[1]}$F{len(numbered[2])}{first.suffix}").as_posix()


def _is_next(path: Path, first: Path, numbered: re.Match[str]) -> bool:
    other = _NUMBERED.fullmatch(path.stem)
    same = path.parent == first.parent and path.suffix == first.suffix
    return same and other is not None and (other[1], len(other[2])) == (numbered[1], len(numbered[2]))


def results(folder: Path) -> list[Path]:
    """The pictures in a folder, EXR files where there are any; none of animations."""
    for suffix in (".exr", ".png"):
        found = sorted(path for path in folder.glob(f"*{suffix}") if path.stem != "turntable")
        if found:
            return found
    return []


def newest(folder: Path) -> tuple[Path, int] | None:
    """The picture in a folder that was written last, and when; None without."""
    found = []
    for path in folder.glob("*.png"):
        try:
            found.append((path.stat().st_mtime_ns, path.name))
        except OSError:  # replaced while we look
            continue
    return (folder / max(found)[1], max(found)[0]) if found else None


def show(pictures: Sequence[Path]) -> None:
    """Open them in MPlay; what keeps it from opening is told."""
    if not pictures:
        messages.show("There are no pictures yet.")
        return
    program = hou.text.expandString(MPLAY)
    try:
        subprocess.Popen([program, *map(str, pictures)], stdin=subprocess.DEVNULL)
    except OSError as error:
        messages.show(f"MPlay does not start ({program}): {error.strerror}.")
