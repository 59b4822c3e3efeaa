"""Splats to files of other programs: converted, in levels of detail, with the axes that viewers expect."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuron_core.foundation.colors import Encoding
from neuron_core.foundation.outputs import all_or_none, require_free
from neuron_core.splats.cloud import Splats
from neuron_core.splats.files import read_splats, write_splats
from neuron_core.splats.levels import levels_of
from neuron_core.splats.moving import in_encoding, turned_upside_down

DISPLAY_REFERRED = (".ply", ".spz")  # what their viewers show without a color transform

Color = Literal["auto", "linear", "srgb"]


@dataclass(frozen=True, slots=True)
class SplatFile:
    """How splats are written."""

    levels: int = 1  # of detail, each with about a quarter of the one before in a file of its own
    ply_y_down: bool = True  # axes of PLY files, as viewers expect them
    half: bool = True  # precision of USD files
    as_points: bool = False  # USD points with Houdini's primvars


def encoding_for(out: Path, color: Color) -> Encoding:
    """What colors are in a file; auto is what its viewers show as it is."""
    if color != "auto":
        return color
    return "srgb" if out.suffix.lower() in DISPLAY_REFERRED else "linear"


def converted(source: Path, degree: int, color: Color, ply_y_down: bool) -> Splats:
    """Another file's splats, Y up, of at most that degree. Raises SplatError or FileError."""
    splats = read_splats(source)
    if source.suffix.lower() == ".ply" and ply_y_down:
        splats = turned_upside_down(splats)
    if splats.degree > degree:
        splats = splats.of_degree(degree)
    return splats if color == "auto" else in_encoding(splats, color)


def deliver_splats(out: Path, splats: Splats, form: SplatFile, overwrite: bool) -> dict[str, object]:
    """Write splats that have Y up, and coarser levels of them; what was written.

    Raises ConfigMismatchError if a file of a level is there and not to be overwritten.
    """
    turned = out.suffix.lower() == ".ply" and form.ply_y_down
    levels = levels_of(splats, form.levels)
    files = [out, *(out.with_name(f"{out.stem}.lod{level}{out.suffix}") for level in range(1, len(levels)))]
    require_free(files[1:], overwrite)
    with all_or_none(files):
        for file, level in reversed(list(zip(files, levels, strict=True))):  # OUT itself last
            write_splats(file, turned_upside_down(level) if turned else level, form.half, form.as_points)
    return {
        "kind": "splats",
        "splats": len(splats),
        "degree": splats.degree,
        "color": splats.encoding,
        "levels": [len(level) for level in levels],
        "files": [str(file) for file in files],
        "said": f"{len(splats):,} splats of degree {splats.degree}",
    }
