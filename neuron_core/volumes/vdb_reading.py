"""Read OpenVDB files: trees of 32, 16 and 8 cells as `voxels.vdb` and most programs write them.

Versions 222 to 225, floats and vectors of three, float or half, plain or zip. What else there is
(Blosc, level sets of two backgrounds, points, other trees) is refused by name.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.foundation import interrupts
from neuron_core.foundation.files import read_bytes
from neuron_core.volumes.vdb import LEAF, MAGIC, MASKED, ZIP, VdbGrid
from neuron_core.voxels.nvf import VoxelError

BLOSC = 4
OLDEST, NEWEST = 222, 225
KINDS = {"Tree_float_5_4_3": 1, "Tree_vec3s_5_4_3": 3}
SCALES = ("UniformScaleMap", "UniformScaleTranslateMap", "ScaleMap", "ScaleTranslateMap")
MOST_GRIDS, LONGEST_TEXT = 256, 1 << 16
MOST_TILE_VOXELS = 1 << 25  # a few wrong bits of a mask would ask for 50 GB otherwise
_LEAF_STEPS = np.stack(np.unravel_index(np.arange(LEAF), (8, 8, 8)), axis=-1)


def read_vdb(path: Path) -> list[VdbGrid]:
    """All grids, active voxels only. Raises VoxelError naming what is wrong or not read here."""
    reader = _Reader(read_bytes(Path(path)), Path(path))
    magic, version, _, _, offsets = reader.take("<qIIIB")
    if magic != MAGIC:
        raise VoxelError(f"{path} is not an OpenVDB file.", "Export it again.")
    if not OLDEST <= version <= NEWEST or not offsets:
        raise VoxelError(
            f"{path} is an OpenVDB file of version {version}.", f"{OLDEST} to {NEWEST} are read."
        )
    reader.skip(36)
    reader.metadata()
    (count,) = reader.take("<i")
    if not 0 < count <= MOST_GRIDS:
        raise VoxelError(f"{path} says that it has {count} grids.", f"1 to {MOST_GRIDS} are read.")
    grids = []
    for _ in range(count):
        interrupts.stop_if_requested()
        grids.append(_grid(reader))
    return grids


class _Reader:
    """A place in the bytes of a file. Reading beyond the end raises VoxelError."""

    def __init__(self, content: bytes, path: Path) -> None:
        self._content = content
        self.path = path
        self.place = 0

    def take(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.raw(struct.calcsize(form)))

    def raw(self, count: int) -> bytes:
        end = self.place + count
        if count < 0 or end > len(self._content):
            raise VoxelError(f"{self.path} ends early.", "Copy it again.")
        found = self._content[self.place : end]
        self.place = end
        return found

    def skip(self, count: int) -> None:
        self.raw(count)

    def text(self) -> str:
        (count,) = self.take("<I")
        return self.raw(min(count, LONGEST_TEXT)).decode("utf-8", "replace")

    def array(self, kind: str, count: int) -> np.ndarray:
        return np.frombuffer(self.raw(count * np.dtype(kind).itemsize), kind)

    def metadata(self) -> dict[str, tuple[str, bytes]]:
        (count,) = self.take("<I")
        found = {}
        for _ in range(min(count, LONGEST_TEXT)):
            name, kind = self.text(), self.text()
            (size,) = self.take("<I")
            found[name] = (kind, self.raw(size))
        return found

    def mask(self, bits: int) -> np.ndarray:
        """The set bits, ascending."""
        return np.flatnonzero(np.unpackbits(self.array("u1", bits // 8), bitorder="little"))


@dataclass(frozen=True, slots=True)
class _Form:
    """How values of a grid are stored."""

    width: int
    half: bool
    zipped: bool


def _grid(reader: _Reader) -> VdbGrid:
    name, kind, parent = reader.text(), reader.text(), reader.text()
    half = kind.endswith("_HalfFloat")
    width = KINDS.get(kind.removesuffix("_HalfFloat"))
    start, _, end = reader.take("<qqq")
    if width is None or parent:
        raise VoxelError(
            f"{reader.path}: the grid {name} is a {kind or parent}.", f"Read are {', '.join(KINDS)}."
        )
    reader.place = max(start, 0)
    (compression,) = reader.take("<I")
    if compression & BLOSC or compression & ~(ZIP | MASKED):
        raise VoxelError(
            f"{reader.path}: the grid {name} is compressed with Blosc.", "Write it with zip or without."
        )
    reader.metadata()
    size, translation = _transform(reader, name)
    if reader.take("<i") != (1,):
        raise VoxelError(f"{reader.path}: the grid {name} has more than one buffer.")
    reader.skip(4 * width)  # the background
    form = _Form(width, half, bool(compression & ZIP))
    voxels, values = _tree(reader, form, name)
    reader.place = max(end, 0)
    shaped = values[:, 0] if width == 1 else values
    return VdbGrid(name.split("\x1e")[0], voxels, np.ascontiguousarray(shaped), size, translation, half)


def _transform(reader: _Reader, name: str) -> tuple[float, tuple[float, float, float]]:
    kind = reader.text()
    if kind not in SCALES:
        raise VoxelError(
            f"{reader.path}: the grid {name} has the transform {kind[:40]!r}.", "Only scaled ones are read."
        )
    moved = reader.array("<f8", 3) if "Translate" in kind else np.zeros(3)
    scale = reader.array("<f8", 15)[:3]
    if not np.allclose(scale, scale[0], rtol=1e-6) or not scale[0] > 0:
        raise VoxelError(f"{reader.path}: the voxels of the grid {name} are not cubes.", "Resample it.")
    return float(scale[0]), (float(moved[0]), float(moved[1]), float(moved[2]))


def _tree(reader: _Reader, form: _Form, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Active voxels [V, 3] int64 and their values [V, width] float32."""
    tiles, children = reader.take("<II")
    if tiles:
        raise VoxelError(f"{reader.path}: the grid {name} has tiles of 4096 voxels.", "Densify it first.")
    boxes: list[tuple[np.ndarray, np.ndarray]] = []
    leaves: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(children):
        origin = np.array(reader.take("<iii"), np.int64)
        for child in _node(reader, form, origin, 5, 128, name, boxes):
            for leaf in _node(reader, form, child, 4, 8, name, boxes):
                leaves.append((leaf, reader.mask(LEAF)))
    voxels, values = [tile for tile, _ in boxes], [value for _, value in boxes]
    for leaf, active in leaves:
        interrupts.stop_if_requested()
        reader.skip(LEAF // 8)
        values.append(_values(reader, form, LEAF, active))
        voxels.append(leaf + _LEAF_STEPS[active])
    if not voxels:
        raise VoxelError(f"{reader.path}: the grid {name} has no active voxels.")
    return np.concatenate(voxels), np.concatenate(values)


def _node(
    reader: _Reader,
    form: _Form,
    origin: np.ndarray,
    bits: int,
    step: int,
    name: str,
    boxes: list[tuple[np.ndarray, np.ndarray]],
) -> list[np.ndarray]:
    """Where the children of a node begin; its active tiles are added to `boxes`."""
    count, side = 1 << 3 * bits, 1 << bits
    children, active = reader.mask(count), reader.mask(count)
    values = _values(reader, form, count, active)

    def places(slots: np.ndarray) -> np.ndarray:
        return origin + np.stack(np.unravel_index(slots, (side, side, side)), axis=-1) * step

    filled = sum(len(box) for box, _ in boxes) + len(active) * step**3
    if filled > MOST_TILE_VOXELS:
        raise VoxelError(
            f"{reader.path}: the grid {name} has tiles of {filled} voxels.",
            f"At most {MOST_TILE_VOXELS} are read. Export it again, or with larger voxels.",
        )
    if len(active):  # most nodes have no tiles, and the voxels of a large one take 50 MB
        inner = np.stack(np.unravel_index(np.arange(step**3), (step, step, step)), axis=-1)
        for corner, value in zip(places(active), values, strict=True):
            boxes.append((corner + inner, np.repeat(value[None], step**3, axis=0)))
    return list(places(children))


def _values(reader: _Reader, form: _Form, slots: int, active: np.ndarray) -> np.ndarray:
    """The values of active slots, [A, width] float32."""
    (flag,) = reader.take("<b")
    if flag not in (0, 6):
        raise VoxelError(f"{reader.path} stores inactive values (flag {flag}).", "Fog volumes do not.")
    count = len(active) if flag == 0 else slots
    kind = "<f2" if form.half else "<f4"
    size = count * form.width * np.dtype(kind).itemsize
    if not form.zipped:
        content = reader.raw(size)
    elif size or not form.half:
        content = _unzipped(reader, size)
    else:
        content = b""
    found = np.frombuffer(content, kind).reshape(count, form.width).astype(np.float32)
    return found if flag == 0 else found[active]


def _unzipped(reader: _Reader, size: int) -> bytes:
    (stored,) = reader.take("<q")
    if stored <= 0:
        content = reader.raw(-stored)
    else:
        try:
            content = zlib.decompressobj().decompress(reader.raw(stored), size + 1)
        except zlib.error as error:
            raise VoxelError(f"{reader.path} is damaged: {error}.", "Copy it again.") from error
    if len(content) != size:
        raise VoxelError(f"{reader.path} is damaged: {len(content)} bytes where {size} belong.")
    return content
