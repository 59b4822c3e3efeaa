"""OpenVDB files, written with numpy: fog volumes of active voxels in trees of 32, 16 and 8 cells.

Little-endian, file version 224. A tree holds nodes of 32^3 below its root, nodes of 16^3 below
those, and leaves of 8^3 voxels; each has a mask of what it holds. Only active voxels are stored, the
others are the background 0; a leaf whose voxels are all active and alike is a tile, one value in the
node above. Bits of a mask ascend x slowest.
"""

import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuron_core.foundation import interrupts
from neuron_core.foundation.files import write_bytes
from neuron_core.voxels.nvf import VoxelError

MAGIC, VERSION, LIBRARY = 0x56444220, 224, (10, 0)
NO_ID = "00000000-0000-0000-0000-000000000000"
MOST_VOXELS = 1 << 31
ZIP, MASKED = 1, 2
LEVEL = 1  # of zlib: most of the gain at a fraction of the time
LEAF = 512  # voxels
HALF_LIMIT = 65504.0
THREADS = 4  # that compress


@dataclass(frozen=True, slots=True)
class VdbGrid:
    """Active voxels of one quantity. Voxel (i, j, k) is centered at `translation + ijk * voxel_size`."""

    name: str
    voxels: np.ndarray  # [V, 3] integers, each once
    values: np.ndarray  # [V] or [V, 3] float32
    voxel_size: float
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    half: bool = False  # stored with half precision

    def __len__(self) -> int:
        return len(self.voxels)


def write_vdb(path: Path, grids: Sequence[VdbGrid], creator: str = "neuron", compress: bool = True) -> None:
    """Write fog volumes, whole or not at all. Raises VoxelError for what no volume is."""
    for grid in grids:
        _check(grid, path)
    write_bytes(path, vdb_bytes(grids, creator, compress))


def _check(grid: VdbGrid, path: Path) -> None:
    if not 0 < len(grid.voxels) < MOST_VOXELS:
        raise VoxelError(f"The grid {grid.name} of {path} would have {len(grid.voxels)} voxels.")
    if grid.half and np.abs(grid.values).max() > HALF_LIMIT:
        raise VoxelError(
            f"The grid {grid.name} of {path} has values up to {np.abs(grid.values).max():.3g}.",
            "Half precision ends at 65504; write it as float.",
        )
    if not np.isfinite(grid.values).all() or not np.isfinite(grid.voxel_size) or grid.voxel_size <= 0:
        raise VoxelError(f"The grid {grid.name} of {path} has values that are not finite.")
    if np.abs(grid.voxels).max() >= 1 << 20:
        raise VoxelError(f"The grid {grid.name} of {path} has voxels a million from the origin.")


def vdb_bytes(grids: Sequence[VdbGrid], creator: str, compress: bool) -> bytes:
    """The whole file."""
    head = struct.pack("<qIIIB", MAGIC, VERSION, *LIBRARY, 1) + NO_ID.encode()
    file = head + _metadata({"creator": creator}) + struct.pack("<i", len(grids))
    for grid in grids:
        interrupts.stop_if_requested()
        file += _grid_bytes(grid, len(file), compress)
    return file


def _grid_bytes(grid: VdbGrid, start: int, compress: bool) -> bytes:
    tree = _tree(grid.voxels, grid.values)
    kind = "Tree_float_5_4_3" if grid.values.ndim == 1 else "Tree_vec3s_5_4_3"
    name = _text(grid.name) + _text(kind + ("_HalfFloat" if grid.half else "")) + _text("")
    about = struct.pack("<I", (ZIP if compress else 0) | MASKED) + _metadata(_facts(grid, compress))
    about += _transform(grid)
    topology = _topology(grid, tree, compress)
    blocks = _blocks(grid, tree, compress)
    here = start + len(name) + 24
    ends = (here, here + len(about) + len(topology), here + len(about) + len(topology) + len(blocks))
    return b"".join([name, struct.pack("<qqq", *ends), about, topology, blocks])


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded


def _metadata(values: dict[str, object]) -> bytes:
    found = [struct.pack("<I", len(values))]
    for name, value in values.items():
        if isinstance(value, bool):
            kind, content = "bool", struct.pack("<B", value)
        elif isinstance(value, int):
            kind, content = "int64", struct.pack("<q", value)
        elif isinstance(value, str):
            kind, content = "string", value.encode()
        else:
            assert isinstance(value, tuple)
            kind, content = "vec3i", struct.pack("<iii", *value)
        found.append(_text(name) + _text(kind) + struct.pack("<I", len(content)) + content)
    return b"".join(found)


def _facts(grid: VdbGrid, compress: bool) -> dict[str, object]:
    facts: dict[str, object] = {
        "class": "fog volume",
        "name": grid.name,
        "is_saved_as_half_float": grid.half,
        "file_bbox_min": tuple(int(value) for value in grid.voxels.min(axis=0)),
        "file_bbox_max": tuple(int(value) for value in grid.voxels.max(axis=0)),
        "file_voxel_count": len(grid.voxels),
        "file_compression": "zip + active values" if compress else "active values",
    }
    return facts if grid.values.ndim == 1 else {**facts, "vector_type": "invariant"}


def _transform(grid: VdbGrid) -> bytes:
    size = grid.voxel_size
    steps = np.repeat([size, abs(size), 1 / size, 1 / size**2, 0.5 / size], 3)
    if not any(grid.translation):
        return _text("UniformScaleMap") + steps.astype("<f8").tobytes()
    moved = np.concatenate([grid.translation, steps])
    return _text("UniformScaleTranslateMap") + moved.astype("<f8").tobytes()


@dataclass(frozen=True, slots=True)
class _Tree:
    """Voxels in the order of the file; where nodes of each kind begin among them."""

    order: np.ndarray  # [V]
    slots: tuple[np.ndarray, np.ndarray, np.ndarray]  # [V] in the 32^3 node, the 16^3 node, the leaf
    roots: np.ndarray  # first voxel of each node of 32^3
    nodes: np.ndarray  # first voxel of each node of 16^3
    leaves: np.ndarray  # first voxel of each leaf, or tile
    origins: np.ndarray  # [roots, 3]
    tiles: np.ndarray  # which of the leaves are tiles, [leaves] bool


def _tree(voxels: np.ndarray, values: np.ndarray) -> _Tree:
    places = np.asarray(voxels, np.int64)
    root = places >> 12
    large, small, leaf = (places >> 7) & 31, (places >> 3) & 15, places & 7
    upper = ((root[:, 0] + 256) << 18) | ((root[:, 1] + 256) << 9) | (root[:, 2] + 256)
    slots = tuple(
        (part[:, 0] << 2 * bits) | (part[:, 1] << bits) | part[:, 2]
        for part, bits in ((large, 5), (small, 4), (leaf, 3))
    )
    first_key = (upper << 15) | slots[0]
    order = np.argsort((first_key << 21) | (slots[1] << 9) | slots[2], kind="stable")
    key = ((first_key << 12) | slots[1])[order]
    roots, nodes, leaves = (_begins(part) for part in (key >> 27, key >> 12, key))
    sorted_slots = (slots[0][order], slots[1][order], slots[2][order])
    origins = root[order][roots] << 12
    return _Tree(order, sorted_slots, roots, nodes, leaves, origins, _tiles(leaves, values[order]))


def _tiles(leaves: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which leaves have all their voxels, and one value in all of them."""
    rows = values.reshape(len(values), -1)
    differs = np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)])
    changes = np.add.reduceat(differs, leaves) - differs[leaves]
    counts = np.diff(np.append(leaves, len(rows)))
    return np.asarray((counts == LEAF) & (changes == 0))


def _begins(keys: np.ndarray) -> np.ndarray:
    """Where sorted keys change, and the first place."""
    return np.flatnonzero(np.concatenate([[True], np.diff(keys) != 0]))


def _mask(slots: np.ndarray, bits: int) -> bytes:
    mask = np.zeros(bits, np.uint8)
    mask[slots] = 1
    return np.packbits(mask, bitorder="little").tobytes()


def _block(grid: VdbGrid, raw: bytes | memoryview, compress: bool) -> bytes:
    """The values of a node or leaf, inactive ones being the background."""
    if not raw:
        return b"\0" + (struct.pack("<q", 0) if compress and not grid.half else b"")
    if not compress:
        return b"\0" + bytes(raw)
    packed = zlib.compress(raw, LEVEL)
    if len(packed) < len(raw):
        return b"\0" + struct.pack("<q", len(packed)) + packed
    return b"\0" + struct.pack("<q", -len(raw)) + bytes(raw)


def _stored(grid: VdbGrid, tree: _Tree) -> np.ndarray:
    """The values in the order and precision of the file."""
    return np.ascontiguousarray(grid.values[tree.order], "<f2" if grid.half else "<f4")


def _topology(grid: VdbGrid, tree: _Tree, compress: bool) -> bytes:
    width = 1 if grid.values.ndim == 1 else 3
    nothing = _block(grid, b"", compress)
    leaf_masks, values = _leaf_masks(tree), _stored(grid, tree)
    found = [struct.pack("<i", 1), b"\0" * 4 * width, struct.pack("<II", 0, len(tree.roots))]
    end = len(tree.order)
    node_of_leaf = np.searchsorted(tree.leaves, np.append(tree.nodes, end)).tolist()
    bounds = [*tree.roots.tolist(), end]
    for index, (first, last) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        low, high = np.searchsorted(tree.nodes, [first, last])
        mask = _mask(tree.slots[0][tree.nodes[low:high]], 1 << 15)
        found += [struct.pack("<iii", *tree.origins[index].tolist()), mask, bytes(1 << 12), nothing]
        for node in range(low, high):
            part = slice(node_of_leaf[node], node_of_leaf[node + 1])
            leaves, tiles = tree.leaves[part], tree.tiles[part]
            slots = tree.slots[1][leaves]
            found += [_mask(slots[~tiles], 1 << 12), _mask(slots[tiles], 1 << 12)]
            found += [_block(grid, values[leaves[tiles]].tobytes(), compress)]
            found += [leaf_masks[part][~tiles].tobytes()]
    return b"".join(found)


def _leaf_masks(tree: _Tree) -> np.ndarray:
    """[leaves, 64] uint8."""
    bits = np.zeros((len(tree.leaves), LEAF), np.uint8)
    leaf = np.repeat(np.arange(len(tree.leaves)), np.diff(np.r_[tree.leaves, len(tree.order)]))
    bits[leaf, tree.slots[2]] = 1
    return np.packbits(bits, axis=1, bitorder="little")


def _blocks(grid: VdbGrid, tree: _Tree, compress: bool) -> bytes:
    values = _stored(grid, tree)
    content = memoryview(values.tobytes())
    each = len(content) // len(values)
    bounds = (np.r_[tree.leaves, len(values)] * each).tolist()
    masks = _leaf_masks(tree)
    leaves = np.flatnonzero(~tree.tiles)

    def written(part: np.ndarray) -> bytes:
        return b"".join(
            masks[leaf].tobytes() + _block(grid, content[bounds[leaf] : bounds[leaf + 1]], compress)
            for leaf in part.tolist()
        )

    with ThreadPoolExecutor(THREADS) as threads:
        return b"".join(threads.map(written, np.array_split(leaves, 4 * THREADS)))
