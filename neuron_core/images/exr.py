"""EXR files: any number of named channels of one size, scene-linear, as OpenEXR's own library writes them.

Channels are [H, W], the first row on top. Files are ZIP-compressed and their bytes depend on the
content only.
"""

import contextlib
import io
import struct
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import OpenEXR

from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import replacing
from neuron_core.images.sizes import ImageError

MAGIC = b"\x76\x2f\x31\x01"
MAX_SIDE = 32768  # pixels
MAX_BYTES = 1 << 30  # of decoded pixels
MAX_HEADER = 1 << 20  # bytes in which the header must end
LARGEST_RATIO = 2000  # decoded bytes per byte of the file; ZIP reaches about 1000
ZIP_LIKE = (b"\0", b"\1", b"\2", b"\3")  # none, RLE, ZIPS, ZIP
LARGEST_HALF = 65504.0
_reading = threading.Lock()


def write_exr(path: Path, channels: Mapping[str, np.ndarray], half: bool | Collection[str] = False) -> None:
    """Write channels [H, W], whole or not at all, as 32 or 16 bit floats; `half` may name which.

    Halves are clipped to +-65504, their largest value. Raises ValueError for arrays of different shapes.
    """
    halves = (channels if half else ()) if isinstance(half, bool) else half
    shapes = {np.shape(values) for values in channels.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"The channels of {path} have the shapes {sorted(shapes)}.")
    pixels = {name: _encodable(values, name in halves) for name, values in sorted(channels.items())}
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with replacing(path) as temporary:
        try:
            OpenEXR.File(header, pixels, num_threads=0).write(str(temporary))
        except RuntimeError as error:
            raise ImageError(f"Cannot write {path}: {error}.") from error


def _encodable(values: np.ndarray, half: bool) -> np.ndarray:
    if not half:
        return np.ascontiguousarray(values, np.float32)
    return np.ascontiguousarray(np.clip(values, -LARGEST_HALF, LARGEST_HALF), np.float16)


def read_exr(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read all channels of the first part as float32 [H, W].

    Raises ImageError naming the file if it is not an EXR, is damaged, deep, subsampled or huge: of
    more than `max_bytes` of pixels.
    """
    path = Path(path)
    width, height = _check_header(path, max_bytes)
    channels = _decode(path)
    for name, pixels in channels.items():
        if not isinstance(pixels, np.ndarray) or pixels.shape != (height, width):
            raise _damaged(path, f"channel {name} is not {width} x {height} pixels")
    return {name: np.asarray(pixels, np.float32) for name, pixels in sorted(channels.items())}


def exr_size(path: Path, max_bytes: int = MAX_BYTES) -> tuple[int, int]:
    """Width and height of an EXR, from its header. Raises as `read_exr` does."""
    return _check_header(Path(path), max_bytes)


def _decode(path: Path) -> dict[str, np.ndarray]:
    # The library prints what is wrong with pixels and continues without the part that has them.
    complaints = io.StringIO()
    try:
        with _reading, contextlib.redirect_stdout(complaints):
            file = OpenEXR.File(str(path), separate_channels=True, num_threads=0)
        if complaints.getvalue():
            raise _damaged(path, complaints.getvalue().strip().rpartition(" - ")[2])
        return {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> ImageError:
    return ImageError(f"{path} is not a readable EXR file: {why}.", "Write or copy it again.")


def _check_header(path: Path, max_bytes: int) -> tuple[int, int]:
    """Width and height, after making sure that the library is given nothing absurd."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(MAX_HEADER)
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
    attributes = _attributes(path, start)
    width, height = _size(path, attributes)
    decoded = width * height * _bytes_per_pixel(path, attributes)
    bounded = attributes.get("compression") in ZIP_LIKE
    if decoded > max_bytes or (bounded and decoded > LARGEST_RATIO * size):
        raise _damaged(path, f"{width} x {height} pixels do not come from {size} bytes")
    return width, height


def _attributes(path: Path, content: bytes) -> dict[str, bytes]:
    """The raw attributes of the (first) header."""
    if content[:4] != MAGIC or len(content) < 9:
        raise _damaged(path, "it does not start like one")
    if content[4] != 2 or content[5] & 0x08 or content[6] or content[7]:
        raise _damaged(path, "its version or kind (deep data) is not supported")
    attributes: dict[str, bytes] = {}
    at = 8
    try:
        while content[at] != 0:
            name_end = content.index(b"\0", at, at + 256)
            type_end = content.index(b"\0", name_end + 1, name_end + 257)
            (size,) = struct.unpack_from("<i", content, type_end + 1)
            start = type_end + 5
            if not 0 <= size <= len(content) - start:
                raise ValueError("an attribute is longer than the file")
            attributes[content[at:name_end].decode("latin-1")] = content[start : start + size]
            at = start + size
    except (ValueError, IndexError, struct.error) as error:
        raise _damaged(path, "its header is damaged") from error
    return attributes


def _size(path: Path, attributes: Mapping[str, bytes]) -> tuple[int, int]:
    try:
        left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    except (KeyError, struct.error) as error:
        raise _damaged(path, "its header has no size") from error
    width, height = right - left + 1, bottom - top + 1
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise _damaged(path, f"its header has a size of {width} x {height} pixels")
    return width, height


def _bytes_per_pixel(path: Path, attributes: Mapping[str, bytes]) -> int:
    channels = attributes.get("channels", b"")
    total = at = 0
    try:
        while channels[at] != 0:
            at = channels.index(b"\0", at) + 1
            kind, _, sampling_x, sampling_y = struct.unpack_from("<4i", channels, at)
            if kind not in (0, 1, 2) or (sampling_x, sampling_y) != (1, 1):
                raise ValueError("unknown or subsampled channel")
            total += 2 if kind == 1 else 4
            at += 16
    except (ValueError, IndexError, struct.error) as error:
        raise _damaged(path, "its list of channels is damaged or subsampled") from error
    if total == 0:
        raise _damaged(path, "it has no channels")
    return total
