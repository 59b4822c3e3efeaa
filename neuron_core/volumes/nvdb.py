"""NanoVDB files (`.nvdb`), for renderers on a GPU.

One segment: a head, what each grid is, then the grids, each packed with zip. Grids are Warp's, whose
leaves are whole: all 8^3 voxels around an active one are active, those without a value hold 0.
"""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuron_core.foundation import interrupts
from neuron_core.foundation.files import write_bytes
from neuron_core.volumes.vdb import MOST_VOXELS, VdbGrid
from neuron_core.voxels.nvf import VoxelError

MAGIC = 0x304244566F6E614E
VERSION = 32 << 21 | 3 << 10 | 3
ZIP = 1
FOG_VOLUME = 2
NO_CHECKSUM = (1 << 64) - 1
LONGEST_NAME = 255
LEVEL = 1  # of zlib
# Places in the head of a grid.
CHECKSUM, INDEX, NAME, WORLD_BOX, VOXEL_SIZE, CLASS, TYPE = 8, 24, 40, 560, 608, 632, 636
TREE_NODES, TREE_TILES, TREE_VOXELS, ROOT_BOX = 704, 716, 728, 736


def write_nvdb(path: Path, grids: Sequence[VdbGrid]) -> None:
    """Write fog volumes, float and full precision, whole or not at all.

    Raises VoxelError for grids without voxels, or values that are not finite.
    """
    from neuron_core.kernels.grids.nanovdb import grid_bytes

    known, packed = [], []
    for index, grid in enumerate(grids):
        interrupts.stop_if_requested()
        name = grid.name.encode()
        if not 0 < len(grid) < MOST_VOXELS:
            raise VoxelError(f"The grid {grid.name} of {path} would have {len(grid)} voxels.")
        if not np.isfinite(grid.values).all() or len(name) > LONGEST_NAME:
            raise VoxelError(f"The grid {grid.name} of {path} has no finite values to write.")
        content = grid_bytes(grid.voxels, grid.values, grid.voxel_size, grid.translation)
        _put(content, CHECKSUM, "<Q", NO_CHECKSUM)
        _put(content, INDEX, "<II", index, len(grids))
        _put(content, NAME, "256s", name)
        _put(content, CLASS, "<I", FOG_VOLUME)
        body = zlib.compress(content.tobytes(), LEVEL)
        packed.append(struct.pack("<Q", len(body)) + body)
        known.append(_about(content, name, len(body)) + name + b"\0")
    head = struct.pack("<QIHH", MAGIC, VERSION, len(grids), ZIP)
    write_bytes(Path(path), b"".join([head, *known, *packed]))


def _put(content: np.ndarray, place: int, form: str, *values: object) -> None:
    raw = struct.pack(form, *values)
    content[place : place + len(raw)] = np.frombuffer(raw, np.uint8)


def _about(content: np.ndarray, name: bytes, size: int) -> bytes:
    """What the file says of a grid before it; 176 bytes."""

    def part(place: int, count: int) -> bytes:
        return content[place : place + count].tobytes()

    return b"".join(
        [
            struct.pack("<QQQ", len(content), size + 8, 0),
            part(TREE_VOXELS, 8),
            part(TYPE, 4),
            part(CLASS, 4),
            part(WORLD_BOX, 48),
            part(ROOT_BOX, 24),
            part(VOXEL_SIZE, 24),
            struct.pack("<I", len(name) + 1),
            part(TREE_NODES, 12),
            struct.pack("<I", 1),
            part(TREE_TILES, 12),
            struct.pack("<HHI", ZIP, 0, VERSION),
        ]
    )
