"""How large a picture is, from its first bytes and with the standard library alone."""

import struct
from pathlib import Path
from typing import BinaryIO

from neuron_core.foundation.errors import FileError

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
EXR = b"\x76\x2f\x31\x01"
EXR_HEADER = 1 << 16  # bytes in which the size is looked for
JPEG_SIZES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


class ImageError(FileError):
    """A picture that is damaged, too large or of a kind that is not read."""

    kind = "image"


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as stored, of a PNG, JPEG or EXR file, whatever its name ends in.

    A JPEG's note that it should be shown turned is not looked at. Raises FileError for a file that
    cannot be read and ImageError for one that is not such a picture.
    """
    try:
        with Path(path).open("rb") as file:
            width, height = _size(file)
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, struct.error) as error:
        raise ImageError(
            f"{path} is not a readable PNG, JPEG or EXR picture.", "Write or copy it again."
        ) from error
    return width, height


def _size(file: BinaryIO) -> tuple[int, int]:
    start = file.read(8)
    file.seek(0)
    if start == PNG:
        return _png_size(file.read(24))
    if start[:2] == JPEG:
        return _jpeg_size(file)
    if start[:4] == EXR:
        return _exr_size(file.read(EXR_HEADER))
    raise ValueError("unknown kind")


def _png_size(start: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">2I", start, 16)
    return _positive(width, height)


def _jpeg_size(file: BinaryIO) -> tuple[int, int]:
    file.seek(2)
    while True:
        (fill,) = struct.unpack("B", file.read(1))
        if fill != 0xFF:
            raise ValueError("no marker")
        while fill == 0xFF:
            (fill,) = struct.unpack("B", file.read(1))
        if fill in JPEG_WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if fill in JPEG_SIZES:
            height, width = struct.unpack(">x2H", file.read(5))
            return _positive(width, height)
        if length < 2:
            raise ValueError("segment without a length")
        file.seek(length - 2, 1)


def _exr_size(start: bytes) -> tuple[int, int]:
    at = start.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    left, top, right, bottom = struct.unpack_from("<4i", start, at)
    return _positive(right - left + 1, bottom - top + 1)


def _positive(width: int, height: int) -> tuple[int, int]:
    if width < 1 or height < 1:
        raise ValueError("empty")
    return width, height
