"""Splats as PLY files in the INRIA convention: binary, little-endian, one float each.

x y z, nx ny nz, f_dc_0..2, f_rest_*, opacity, scale_0..2, rot_0..3 (w x y z); f_rest lists all
harmonics of red, then of green, then of blue. Scales are logarithms, opacities logits. Readers find
properties by name, as writers disagree about order and about normals.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.foundation.colors import Encoding
from neuron_core.foundation.files import read_bytes, write_bytes
from neuron_core.splats import harmonics
from neuron_core.splats.cloud import MOST_SPLATS, OPACITY_MARGIN, Splats, checked, normalized
from neuron_core.splats.cloud import SplatError as _SplatError

LONGEST_HEADER = 1 << 16
BLOCK = 1 << 12  # rows that fit a cache
TYPES = {
    "float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8", "char": "i1", "int8": "i1",
    "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2", "uint16": "<u2",
    "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4",
}  # fmt: skip
NEEDED = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2") + tuple(
    f"rot_{index}" for index in range(4)
)
_COLORS = "neuron color "


def write_ply(path: Path, splats: Splats) -> None:
    """Write a cloud as it is, whole or not at all. Raises SplatError for none."""
    if not len(splats):
        raise _SplatError(f"There are no splats to write to {path}.")
    names = property_names(splats.harmonics.shape[1])
    rows = np.zeros((len(splats), len(names)), "<f4")
    rest = 9 + 3 * (splats.harmonics.shape[1] - 1)
    opacities = np.clip(splats.opacities.astype(np.float64), OPACITY_MARGIN, 1 - OPACITY_MARGIN)
    rows[:, 0:3] = splats.positions
    rows[:, 6:9] = splats.harmonics[:, 0]
    rows[:, 9:rest] = splats.harmonics[:, 1:].transpose(0, 2, 1).reshape(len(splats), -1)
    rows[:, rest] = np.log(opacities) - np.log1p(-opacities)
    rows[:, rest + 1 : rest + 4] = np.log(np.maximum(splats.scales, 1e-30))
    rows[:, rest + 4 :] = splats.rotations
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {_COLORS}{splats.encoding}",
        f"comment neuron antialiased {int(splats.antialiased)}",
        f"element vertex {len(splats)}",
        *(f"property float {name}" for name in names),
        "end_header",
    ]
    write_bytes(path, "\n".join(lines).encode() + b"\n" + rows.tobytes())


def property_names(terms: int) -> list[str]:
    """In the order of the convention, for K harmonics."""
    rest = [f"f_rest_{index}" for index in range(3 * (terms - 1))]
    return ["x", "y", "z", "nx", "ny", "nz", *NEEDED[3:6], *rest, *NEEDED[6:]]


def read_ply(path: Path) -> Splats:
    """Read a cloud of any degree, its rotations made unit. Raises SplatError naming what is wrong."""
    content = read_bytes(path)
    header = _header(content, path)
    record = np.dtype([(name, TYPES[kind]) for name, kind in header.properties])
    have = len(content) - header.size
    if have < header.count * record.itemsize:
        raise _SplatError(
            f"{path} ends early: {have} bytes for {header.count} splats of {record.itemsize}.",
            "Copy it again.",
        )
    table = np.frombuffer(content, record, header.count, header.size)
    terms = _terms(path, [name for name, _ in header.properties])
    return checked(_splats(table, terms, header), str(path))


def _splats(table: np.ndarray, terms: int, header: "_Header") -> Splats:
    """From the rows of a file; some at a time, so that what is made on the way stays in the cache."""
    count, rest = len(table), [f"f_rest_{index}" for index in range(3 * (terms - 1))]
    splats = Splats(
        np.empty((count, 3), np.float32),
        np.empty((count, 4), np.float32),
        np.empty((count, 3), np.float32),
        np.empty(count, np.float32),
        np.empty((count, terms, 3), np.float32),
        header.encoding,
        header.antialiased,
    )
    for first in range(0, count, BLOCK):
        rows, some = table[first : first + BLOCK], slice(first, first + BLOCK)
        splats.positions[some] = _columns(rows, NEEDED[:3])
        splats.rotations[some] = normalized(_columns(rows, NEEDED[10:]))
        with np.errstate(over="ignore"):
            splats.scales[some] = np.exp(_columns(rows, NEEDED[7:10]))
            splats.opacities[some] = 1 / (1 + np.exp(-rows["opacity"].astype(np.float64)))
        splats.harmonics[some, 0] = _columns(rows, NEEDED[3:6])
        others = _columns(rows, rest).reshape(len(rows), 3, terms - 1)
        splats.harmonics[some, 1:] = others.transpose(0, 2, 1)
    return splats


def _columns(table: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Some properties [N, names] float32: a view where they lie side by side as such."""
    known = table.dtype.names
    assert known is not None
    if all(table.dtype[name] == np.dtype("<f4") for name in known):
        rows = table.view("<f4").reshape(len(table), -1)
        places = [known.index(name) for name in names]
        first = places[0] if places else 0
        together = places == list(range(first, first + len(places)))
        return rows[:, first : first + len(places)] if together else rows[:, places]
    found = [table[name].astype(np.float32) for name in names]
    return np.stack(found, axis=-1) if found else np.zeros((len(table), 0), np.float32)


@dataclass(frozen=True, slots=True)
class _Header:
    count: int
    properties: list[tuple[str, str]]
    size: int
    encoding: Encoding
    antialiased: bool


def _header(content: bytes, path: Path) -> _Header:
    if not content.startswith((b"ply\n", b"ply\r\n")):
        raise _SplatError(f"{path} is not a PLY file.", "A PLY file begins with the line ply.")
    end = content.find(b"end_header", 0, LONGEST_HEADER)
    start = content.find(b"\n", end) + 1
    if end < 0 or not start:
        raise _SplatError(f"{path} has no end of its header.", "Copy it again.")
    lines = content[:end].decode("ascii", "replace").splitlines()
    words = [line.split() for line in lines if line.split()]
    kind = next((line[1] for line in words if line[0] == "format" and len(line) > 1), "none")
    if kind != "binary_little_endian":
        raise _SplatError(
            f"{path} is a PLY file in the format {kind!r}.",
            "Splats are read from binary_little_endian files.",
        )
    count, properties = _vertices(words, path)
    encoding: Encoding = "linear" if any(_COLORS + "linear" in line for line in lines) else "srgb"
    return _Header(count, properties, start, encoding, "comment neuron antialiased 1" in lines)


def _vertices(words: list[list[str]], path: Path) -> tuple[int, list[tuple[str, str]]]:
    elements = [line for line in words if line[0] == "element"]
    if not elements or elements[0][1:2] != ["vertex"] or len(elements[0]) != 3:
        raise _SplatError(f"{path} does not begin with vertices.", "Splats are the element vertex.")
    if not re.fullmatch(r"\d{1,10}", elements[0][2], re.ASCII) or int(elements[0][2]) > MOST_SPLATS:
        raise _SplatError(
            f"{path} says that it has {elements[0][2][:40]} splats.", f"At most {MOST_SPLATS} are read."
        )
    found: list[tuple[str, str]] = []
    for line in words[words.index(elements[0]) + 1 :]:
        if line[0] == "element":
            break
        if line[0] != "property":
            continue
        if len(line) != 3 or line[1] not in TYPES:
            raise _SplatError(f"{path} has the property {' '.join(line[1:])[:60]!r}, which no splat has.")
        found.append((line[2], line[1]))
    names = [name for name, _ in found]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise _SplatError(
            f"{path} has no {', '.join(missing)}.", "It holds points or another kind of splats."
        )
    if len(set(names)) < len(names):
        raise _SplatError(f"{path} has a property twice.")
    return int(elements[0][2]), found


def _terms(path: Path, names: list[str]) -> int:
    rest = [name for name in names if name.startswith("f_rest_")]
    terms = len(rest) // 3 + 1
    whole = len(rest) % 3 == 0 and terms in harmonics.DEGREES
    if not whole or set(rest) != {f"f_rest_{index}" for index in range(len(rest))}:
        raise _SplatError(f"{path} has {len(rest)} f_rest properties, not 0, 9, 24 or 45.")
    return terms
