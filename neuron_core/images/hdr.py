"""Radiance pictures (.hdr, .pic): three mantissas of 8 bits with one exponent a pixel (RGBE).

Pixels come flat, or in scanlines with runs of the old or the new kind. Values are what the camera
of the picture saw: what the header says they were multiplied by (EXPOSURE, COLORCORR) is divided
out. A mantissa m means the middle of its step, (m + 0.5) / 256, since writers round down.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from neuron_core.foundation.errors import FileError
from neuron_core.images.sizes import ImageError

MAX_SIDE = 32768  # pixels
MAX_PIXELS = 1 << 28  # four bytes each
MAX_HEADER = 1 << 16  # bytes in which the header must end
NEW_RUNS = range(8, 32768)  # lengths of scanlines that may have the new kind of runs
CORRECTIONS = (1e-12, 1e12)  # least and largest factor that pixels were multiplied by
RGBE = "32-bit_rle_rgbe"
XYZE = "32-bit_rle_xyze"
_RESOLUTION = re.compile(r"([-+])([XY])\s+(\d{1,9})\s+([-+])([XY])\s+(\d{1,9})\s*")
_STEPS = np.ldexp(1.0, np.arange(256) - 136).astype(np.float32)  # of a mantissa, by exponent
_STEPS[0] = 0.0  # an exponent of 0 is black


@dataclass(frozen=True, slots=True, eq=False)
class HdrPicture:
    """A picture as it is stored, in a third of the memory of its values."""

    pixels: np.ndarray  # [H, W, 4] uint8: red, green, blue, exponent; the first row on top
    corrections: tuple[float, float, float]  # what red, green and blue were multiplied by

    def rows(self, first: int, end: int) -> np.ndarray:
        """The values of rows `first` to `end` (exclusive) as scene-linear float32 [end - first, W, 3]."""
        part = self.pixels[first:end]
        with np.errstate(over="ignore"):
            values = (part[..., :3] + np.float32(0.5)) * _STEPS[part[..., 3]][..., None]
            return values / np.asarray(self.corrections, np.float32)


@dataclass(frozen=True, slots=True)
class _Header:
    lines: int  # scanlines
    length: int  # pixels in each
    order: tuple[str, str]  # axes of scanlines and of pixels in them, such as -Y and +X
    corrections: tuple[float, float, float]
    end: int  # where pixels begin, in bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        upright = self.order[0][1] == "Y"
        return (self.length, self.lines) if upright else (self.lines, self.length)


def read_hdr(path: Path) -> np.ndarray:
    """The values of a Radiance picture, scene-linear float32 [H, W, 3], the first row on top.

    Raises ImageError naming the file if it is not one, is damaged, huge or holds XYZ.
    """
    picture = open_hdr(path)
    return picture.rows(0, len(picture.pixels))


def hdr_size(path: Path) -> tuple[int, int]:
    """Width and height of a Radiance picture, from its header. Raises as `read_hdr` does."""
    try:
        with Path(path).open("rb") as file:
            return _read_header(Path(path), file).size
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error


def open_hdr(path: Path) -> HdrPicture:
    """A Radiance picture whose values are decoded when they are asked for. Raises as `read_hdr` does."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            header = _read_header(path, file)
            file.seek(header.end)
            # Runs never take more than twice the bytes of flat pixels; what follows is not looked at.
            content = file.read(8 * header.lines * (header.length + 1))
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
    if len(content) < 4 * header.lines:
        raise _damaged(path, f"{header.lines} scanlines do not come from {len(content)} bytes")
    stored = _decode(path, content, header)
    return HdrPicture(_upright(stored, header.order), header.corrections)


def _damaged(path: Path, why: str) -> ImageError:
    return ImageError(f"{path} is not a readable Radiance picture: {why}.", "Write or copy it again.")


def _read_header(path: Path, file: BinaryIO) -> _Header:
    start = file.read(MAX_HEADER)
    if not start.startswith(b"#?"):
        raise _damaged(path, "it does not start with #?RADIANCE")
    fields: list[str] = []
    at = 0
    while line := _line(path, start, at).rstrip("\r"):
        fields.append(line)
        at = start.index(b"\n", at) + 1
    at = start.index(b"\n", at) + 1
    resolution = _line(path, start, at)
    lines, length, order = _resolution(path, resolution)
    _check_format(path, fields)
    return _Header(lines, length, order, _corrections(path, fields), at + len(resolution) + 1)


def _line(path: Path, start: bytes, at: int) -> str:
    end = start.find(b"\n", at)
    if end < 0:
        raise _damaged(path, "its header does not end")
    return start[at:end].decode("latin-1")


def _resolution(path: Path, line: str) -> tuple[int, int, tuple[str, str]]:
    found = _RESOLUTION.fullmatch(line)
    if not found or found[2] == found[5]:
        raise _damaged(path, f"{line.strip()[:40]!r} is not a size such as -Y 512 +X 1024")
    lines, length = int(found[3]), int(found[6])
    if not (1 <= lines <= MAX_SIDE and 1 <= length <= MAX_SIDE and lines * length <= MAX_PIXELS):
        raise _damaged(path, f"its header has a size of {line.strip()}, more or less than can be read")
    return lines, length, (found[1] + found[2], found[4] + found[5])


def _check_format(path: Path, fields: list[str]) -> None:
    formats = [line.partition("=")[2].strip() for line in fields if line.startswith("FORMAT=")]
    if XYZE in formats:
        raise ImageError(f"{path} holds XYZ, not RGB.", "Convert it with ra_xyze -r, or save it as RGBE.")
    if any(found != RGBE for found in formats):
        raise _damaged(path, f"its format is {formats[-1][:40]!r}, not {RGBE}")


def _corrections(path: Path, fields: list[str]) -> tuple[float, float, float]:
    """Products over all lines: each program adds its own."""
    factors = [1.0, 1.0, 1.0]
    for line in fields:
        name, _, text = line.partition("=")
        if name not in ("EXPOSURE", "COLORCORR"):
            continue
        try:
            values = [float(word) for word in text.split()]
        except ValueError:
            values = []
        if len(values) != (1 if name == "EXPOSURE" else 3):
            raise _damaged(path, f"its header has the line {line[:40]!r}")
        values = values * 3 if name == "EXPOSURE" else values
        factors = [factor * value for factor, value in zip(factors, values, strict=True)]
    low, high = CORRECTIONS
    if not all(math.isfinite(factor) and low <= factor <= high for factor in factors):
        raise _damaged(path, f"its header corrects colors by {', '.join(f'{one:g}' for one in factors)}")
    return factors[0], factors[1], factors[2]


def _upright(stored: np.ndarray, order: tuple[str, str]) -> np.ndarray:
    """Scanlines [lines, length, 4] as rows from the top and columns from the left."""
    if order[0][1] == "X":
        stored = stored.transpose(1, 0, 2)
    if "+Y" in order:  # Y points up
        stored = stored[::-1]
    return stored[:, ::-1] if "-X" in order else stored


def _decode(path: Path, content: bytes, header: _Header) -> np.ndarray:
    """All scanlines [lines, length, 4] uint8."""
    data = np.frombuffer(content, np.uint8)
    stored = np.empty((header.lines, header.length, 4), np.uint8)
    at = 0
    for line in range(header.lines):
        try:
            if _has_new_runs(content, at, header.length):
                stored[line], at = _new_runs(content, data, at + 4, header.length)
            else:
                stored[line], at = _pixels(data, at, header.length)
        except (IndexError, ValueError) as error:
            raise _damaged(path, f"scanline {line} of {header.lines} is cut or has wrong runs") from error
    return stored


def _has_new_runs(content: bytes, at: int, length: int) -> bool:
    if length not in NEW_RUNS or content[at] != 2 or content[at + 1] != 2 or content[at + 2] > 127:
        return False
    if content[at + 2] * 256 + content[at + 3] != length:
        raise ValueError("a scanline of another length")
    return True


def _new_runs(content: bytes, data: np.ndarray, at: int, length: int) -> tuple[np.ndarray, int]:
    """The pixels [length, 4] of a scanline that begins at `at`, and where it ends.

    Each channel on its own: a byte above 128 says how often (less 128) the next one is repeated,
    another how many bytes follow as they are. Raises IndexError or ValueError.
    """
    starts: list[int] = []  # of each run
    counts: list[int] = []
    steps: list[int] = []  # from byte to byte: 0 where one is repeated
    for _ in range(4):
        left = length
        while left > 0:
            code = content[at]
            repeated = code > 128
            count = code - 128 if repeated else code
            if not 0 < count <= left:
                raise ValueError("a run of a wrong length")
            starts.append(at + 1)
            counts.append(count)
            steps.append(0 if repeated else 1)
            at += 2 if repeated else 1 + count
            left -= count
    each = np.array(counts)
    within = np.arange(4 * length) - np.repeat(np.cumsum(each) - each, each)
    bytes_at = np.repeat(np.array(starts), each) + within * np.repeat(np.array(steps), each)
    return data[bytes_at].reshape(4, length).T, at


def _pixels(data: np.ndarray, at: int, length: int) -> tuple[np.ndarray, int]:
    """The pixels [length, 4] of a flat scanline or one of old runs, and where it ends.

    A pixel 1 1 1 n repeats the one before n times, a second one in a row 256 n times. Raises
    IndexError or ValueError.
    """
    end = min(at + 4 * length, len(data) - (len(data) - at) % 4)
    quads = data[at:end].reshape(-1, 4)
    repeats = (quads[:, :3] == 1).all(axis=1)
    if not repeats.any():
        if len(quads) < length:
            raise IndexError("a scanline is cut")
        return quads, end
    places = np.arange(len(quads))
    originals = np.maximum.accumulate(np.where(repeats, -1, places))
    in_a_row = np.minimum(places - originals - 1, 4)  # a fifth one would repeat more than any scanline has
    counts = np.where(repeats, quads[:, 3].astype(np.int64) << (8 * np.maximum(in_a_row, 0)), 1)
    ends = np.cumsum(counts)
    used = int(np.searchsorted(ends, length)) + 1
    if repeats[0] or used > len(quads) or ends[used - 1] != length:
        raise ValueError("runs do not fill the scanline")
    return np.repeat(quads[originals[:used]], counts[:used], axis=0), at + 4 * used
