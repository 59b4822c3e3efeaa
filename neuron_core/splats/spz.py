"""Splats as SPZ files, version 3: quantized, attribute by attribute, in one gzip stream.

Axes are x right, y up, z back. Positions keep 12 bits after the point, colors of degree 0 eight
bits, degree 1 five, higher ones four; see the tables of `_pack_*` for the rest.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from neuron_core.foundation.files import read_bytes, write_bytes
from neuron_core.splats import harmonics
from neuron_core.splats.cloud import MOST_SPLATS, SplatError, Splats, checked, normalized

MAGIC = 0x5053474E
HEADER = struct.Struct("<IIIBBBB")
FRACTION_BITS = 12
COLOR_SCALE = 0.15
ANTIALIASED = 1
HALF_ROOT = np.sqrt(0.5)


def write_spz(path: Path, splats: Splats) -> None:
    """Write a cloud, whole or not at all. Raises SplatError for none, or one that is too far out."""
    if not len(splats):
        raise SplatError(f"There are no splats to write to {path}.")
    write_bytes(path, gzip.compress(packed(splats), 6, mtime=0))


def packed(splats: Splats) -> bytes:
    """The stream before it is compressed."""
    farthest = float(np.abs(splats.positions).max(initial=0.0))
    if farthest >= 2047.9:
        raise SplatError(
            f"A splat lies {farthest:.0f} units from the origin; SPZ reaches 2048.",
            "Move it nearer, or write PLY.",
        )
    steps = np.rint(splats.positions.astype(np.float64) * (1 << FRACTION_BITS)).astype("<i4")
    positions = steps.view(np.uint8).reshape(-1, 3, 4)[:, :, :3]
    head = HEADER.pack(
        MAGIC, 3, len(splats), splats.degree, FRACTION_BITS, ANTIALIASED * splats.antialiased, 0
    )
    colors = (COLOR_SCALE * splats.harmonics[:, 0] + 0.5) * 255
    scales = (np.log(splats.scales.astype(np.float64)) + 10) * 16
    parts = [positions, _rounded(splats.opacities * 255.0), _rounded(colors), _rounded(scales)]
    rest = _pack_harmonics(splats.harmonics[:, 1:])
    return b"".join(
        [head, *(part.tobytes() for part in parts), _pack_rotations(splats.rotations), rest.tobytes()]
    )


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 0.5).clip(0, 255).astype(np.uint8)


def _pack_rotations(rotations: np.ndarray) -> bytes:
    """The largest number is left out: its place in 2 bits, then sign and 9 bits of the others."""
    xyzw = normalized(rotations).astype(np.float64)[:, [1, 2, 3, 0]]
    largest = np.abs(xyzw).argmax(axis=1)
    xyzw *= np.where(np.take_along_axis(xyzw, largest[:, None], 1) < 0, -1.0, 1.0)
    value = largest.astype(np.uint32)
    for axis in range(4):
        part = xyzw[:, axis]
        bits = np.minimum(511, np.floor(511 * np.abs(part) / HALF_ROOT + 0.5)).astype(np.uint32)
        following = (value << np.uint32(10)) | ((part < 0).astype(np.uint32) << np.uint32(9)) | bits
        value = np.where(largest == axis, value, following)
    return value.astype("<u4").tobytes()


def _pack_harmonics(rest: np.ndarray) -> np.ndarray:
    """[N, K - 1, 3] with the colors innermost."""
    steps = np.where(np.arange(rest.shape[1]) < 3, 8, 16)[None, :, None]
    values = np.floor(rest.astype(np.float64) * 128 + 0.5) + 128
    return (np.floor((values + steps // 2) / steps) * steps).clip(0, 255).astype(np.uint8)


def read_spz(path: Path) -> Splats:
    """Read versions 2 and 3. Raises SplatError naming what is wrong."""
    content = read_bytes(path)
    if content.startswith(b"NGSP"):
        raise SplatError(
            f"{path} is an SPZ file of version 4 or later.", "Convert it to version 3 or to PLY."
        )
    if not content.startswith(b"\x1f\x8b"):
        raise SplatError(f"{path} is not an SPZ file.", "Export it again.")
    head = _inflated(content, HEADER.size, path)
    magic, version, count, degree, bits, flags, _ = HEADER.unpack(head[: HEADER.size])
    if magic != MAGIC or version not in (2, 3) or degree > 3 or bits > 24 or not count <= MOST_SPLATS:
        raise SplatError(
            f"{path} is an SPZ file of version {version} with {count} splats of degree {degree}.",
            f"Versions 2 and 3, degrees 0 to 3 and up to {MOST_SPLATS} splats are read.",
        )
    terms = harmonics.terms_of(degree)
    turn = 3 if version == 2 else 4
    size = HEADER.size + count * (16 + turn + 3 * (terms - 1))
    data = np.frombuffer(_inflated(content, size + 1, path), np.uint8)
    if len(data) != size:
        raise SplatError(
            f"{path} holds {len(data)} bytes where {count} splats take {size}.", "Copy it again."
        )
    return checked(
        _unpacked(data[HEADER.size :], count, terms, bits, turn, bool(flags & ANTIALIASED)), str(path)
    )


def _inflated(content: bytes, most: int, path: Path) -> bytes:
    """At most so many bytes, so that a small file cannot fill the memory."""
    inflater = zlib.decompressobj(31)
    try:
        found = inflater.decompress(content, most)
    except zlib.error as error:
        raise SplatError(f"{path} is damaged: {error}.", "Copy it again.") from error
    cut = len(found) < most and not inflater.eof  # also without its checksum
    if cut or len(found) < HEADER.size:
        raise SplatError(f"{path} ends early.", "Copy it again.")
    return found


def _unpacked(data: np.ndarray, count: int, terms: int, bits: int, turn: int, antialiased: bool) -> Splats:
    widths = [9, 1, 3, 3, turn, 3 * (terms - 1)]
    ends = np.cumsum(widths) * count
    parts = [
        part.reshape(count, width) for part, width in zip(np.split(data, ends[:-1]), widths, strict=True)
    ]
    whole = np.zeros((count, 3, 4), np.uint8)
    whole[:, :, 1:] = parts[0].reshape(count, 3, 3)
    positions = (whole.view("<i4")[..., 0] >> 8) / float(1 << bits)
    colors = (parts[2] / 255.0 - 0.5) / COLOR_SCALE
    rest = (parts[5].reshape(count, terms - 1, 3).astype(np.float32) - 128) / 128
    return Splats(
        positions.astype(np.float32),
        _old_rotations(parts[4]) if turn == 3 else _rotations(parts[4]),
        np.exp(parts[3] / 16.0 - 10).astype(np.float32),
        (parts[1][:, 0] / 255.0).astype(np.float32),
        np.concatenate([colors[:, None], rest], axis=1).astype(np.float32),
        "srgb",
        antialiased,
    )


def _rotations(data: np.ndarray) -> np.ndarray:
    value = np.ascontiguousarray(data).view("<u4")[:, 0].astype(np.int64)
    largest = value >> 30
    xyzw = np.zeros((len(value), 4))
    for axis in (3, 2, 1, 0):
        part = (value & 511) / 511.0 * HALF_ROOT * np.where(value & 512, -1.0, 1.0)
        here = largest != axis
        xyzw[:, axis] = np.where(here, part, 0.0)
        value = np.where(here, value >> 10, value)
    rest = np.sqrt(np.maximum(0.0, 1 - (xyzw**2).sum(axis=1)))
    xyzw[np.arange(len(value)), largest] = rest
    return normalized(xyzw[:, [3, 0, 1, 2]])


def _old_rotations(data: np.ndarray) -> np.ndarray:
    xyz = data / 127.5 - 1
    w = np.sqrt(np.maximum(0.0, 1 - (xyz**2).sum(axis=1)))
    return normalized(np.concatenate([w[:, None], xyz], axis=1))
