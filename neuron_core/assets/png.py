"""Whether bytes are a whole PNG of a bounded size, without decoding them."""

import struct
import zlib

from neuron_core.assets.errors import AssetError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 4 << 20
MAX_SIDE = 1024  # pixels


def check_png(content: bytes, what: str) -> tuple[int, int]:
    """Width and height. Raises AssetError unless every chunk is whole and the checksums are right."""
    if len(content) > MAX_BYTES:
        raise AssetError(f"{what} has {len(content)} bytes; at most {MAX_BYTES} are allowed.")
    if not content.startswith(SIGNATURE):
        raise AssetError(f"{what} is not a PNG image.")
    kinds, position = [], len(SIGNATURE)
    while position < len(content):
        kind, position = _chunk(content, position, what)
        kinds.append(kind)
    if kinds[:1] != [b"IHDR"] or kinds[-1] != b"IEND" or b"IDAT" not in kinds or kinds.count(b"IHDR") > 1:
        raise AssetError(f"{what} is not a complete PNG image.")
    width, height = struct.unpack_from(">II", content, len(SIGNATURE) + 8)
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise AssetError(f"{what} has {width}x{height} pixels; at most {MAX_SIDE} a side are allowed.")
    return width, height


def _chunk(content: bytes, position: int, what: str) -> tuple[bytes, int]:
    if position + 12 > len(content):
        raise AssetError(f"{what} ends in the middle of a PNG chunk.")
    length = int.from_bytes(content[position : position + 4], "big")
    end = position + 12 + length
    if end > len(content):
        raise AssetError(f"{what} ends in the middle of a PNG chunk.")
    checked = content[position + 4 : end - 4]
    if zlib.crc32(checked) != int.from_bytes(content[end - 4 : end], "big"):
        raise AssetError(f"{what} has a PNG chunk with a wrong checksum.")
    if checked[:4] == b"IHDR" and length != 13:
        raise AssetError(f"{what} has a PNG header of {length} bytes.")
    return checked[:4], end
