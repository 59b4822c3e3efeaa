"""A small asset with one of everything."""

import struct
import zlib

import numpy as np

from neuron_core.assets import Look, Manifest
from neuron_core.prompts import EncoderId

MANIFEST = Manifest(
    name="Shader ball",
    aabb=((-1.0, 0.0, -1.0), (1.0, 2.0, 1.0)),
    architecture={"inr": "neuron-field-1", "nvf": "nvf-1"},
    looks=(
        Look("copper_worn", "brushed copper, worn", {"seed": 3}),
        Look("cafe", "Milchkaffee, matt – «café»"),
    ),
    encoder=EncoderId("openclip:tiny/none", "ab" * 32),
    settings={"field": {"levels": 4, "center": (0.0, 1.0, 0.0)}},
    provenance={"dataset": "shaderball", "seeds": [1, 2]},
    metrics={"test": {"psnr": 31.25}},
    licence="CC0-1.0",
)


def png(width: int = 2, height: int = 2) -> bytes:
    rows = b"".join(b"\0" + bytes(3 * width) for _ in range(height))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    encoded = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(encoded)


def tensors() -> dict[str, np.ndarray]:
    top = np.full((2, 2, 1), -1, np.int32)
    top[0, 1, 0], top[1, 0, 0] = 1, 0
    found: dict[str, np.ndarray] = {
        "inr.geometry.0.weight": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
        "inr.step": np.array(7, np.int64),
        "nvf.top": top,
        "nvf.aabb": np.array([[-1, 0, -0.5], [1, 2, 0.5]], np.float32),
        "nvf.voxel_size": np.array([0.125], np.float32),
        "nvf.active": np.array([0, 5, 728, 729, 1000], np.int32),
        "nvf.density": np.array([0.5, 1, 2, 4, 8], np.float16),
        "nvf.normals": np.zeros((5, 3), np.int8),
        "nvf.features": np.ones((5, 3), np.float16),
        "shader.0.weight": np.eye(3, dtype=np.float16),
        "preview.main": np.frombuffer(png(), np.uint8),
    }
    for index, look in enumerate(MANIFEST.looks):
        found[f"looks.{look.slug}.codes"] = np.arange(40, dtype=np.uint8).reshape(5, 8) + index
        found[f"looks.{look.slug}.range"] = np.stack([np.zeros(8), np.ones(8)]).astype(np.float32)
    return found
