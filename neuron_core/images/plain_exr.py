"""OpenEXR files with numpy alone, for hosts that lack the library."""

import struct
from pathlib import Path

import numpy as np

from neuron_core.foundation.files import write_bytes


def write_plain_exr(path: Path, image: np.ndarray) -> None:
    """Write an image [H, W, 3] as an OpenEXR file of floats without compression, with numpy alone."""
    height, width = image.shape[:2]
    channels = b"".join(name + b"\0" + struct.pack("<iB3xii", 2, 0, 1, 1) for name in (b"B", b"G", b"R"))
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = [
        (b"channels", b"chlist", channels + b"\0"),
        (b"compression", b"compression", b"\0"),
        (b"dataWindow", b"box2i", window),
        (b"displayWindow", b"box2i", window),
        (b"lineOrder", b"lineOrder", b"\0"),
        (b"pixelAspectRatio", b"float", struct.pack("<f", 1.0)),
        (b"screenWindowCenter", b"v2f", struct.pack("<2f", 0.0, 0.0)),
        (b"screenWindowWidth", b"float", struct.pack("<f", 1.0)),
    ]
    head = b"\x76\x2f\x31\x01" + struct.pack("<i", 2)
    for name, kind, value in attributes:
        head += name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
    head += b"\0"
    rows = np.ascontiguousarray(np.asarray(image, "<f4")[..., ::-1].transpose(0, 2, 1))
    size = 8 + rows[0].nbytes
    start = len(head) + 8 * height
    table = struct.pack(f"<{height}Q", *(start + size * row for row in range(height)))
    lines = b"".join(struct.pack("<ii", row, rows[row].nbytes) + rows[row].tobytes() for row in range(height))
    write_bytes(path, head + table + lines)
