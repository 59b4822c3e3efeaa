"""The safetensors container: a length, a JSON header, then the tensors without gaps.

Written and checked with the standard library alone, so that Houdini's Python can read headers.
The checks go further than the safetensors library does: they also refuse duplicate keys, empty
tensors and names that are not dotted words. Nothing is allocated before its size is known to fit.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from neuron_core.assets.errors import AssetError
from neuron_core.foundation.strict_json import canonical, parse, shown

MAX_HEADER_BYTES = 16 << 20
MAX_TENSORS = 16_384
MAX_DIMENSIONS = 8
MAX_SIDE = 1 << 40
MAX_OFFSET = 1 << 62

ITEM_SIZES = {
    "F32": 4, "F16": 2, "F64": 8,
    "U8": 1, "U16": 2, "U32": 4, "U64": 8,
    "I8": 1, "I16": 2, "I32": 4, "I64": 8,
    "BOOL": 1,
}  # fmt: skip

_LENGTH_BYTES = 8
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_-]+)+")


@runtime_checkable
class Readable(Protocol):
    """An open file, or a member of a package."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, all of them for -1."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor's place in its file: bytes `start` to `end`, counted from the first of the file."""

    dtype: str  # a safetensors name, a key of ITEM_SIZES
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return self.end - self.start


def read_container(file: Readable, file_size: int) -> tuple[dict[str, str], dict[str, TensorInfo]]:
    """Metadata and tensors of an open file of `file_size` bytes. Raises AssetError.

    The tensors are in the order of the file; together they cover it to its last byte.
    """
    length_bytes = file.read(_LENGTH_BYTES)
    if len(length_bytes) < _LENGTH_BYTES:
        raise AssetError(f"it has {file_size} bytes, too few for a header.")
    length = int.from_bytes(length_bytes, "little")
    if length > file_size - _LENGTH_BYTES:
        raise AssetError(f"its header claims {length} bytes, but the file has {file_size}.")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise AssetError(f"its header has {length} bytes; 2 to {MAX_HEADER_BYTES} are allowed.")
    content = file.read(length)
    if len(content) != length:
        raise AssetError("it became shorter while it was read.")
    if not content.startswith(b"{"):
        raise AssetError("its header does not start with '{'; it is not a safetensors file.")
    entries = parse(content, "its header", AssetError)
    if not isinstance(entries, dict):  # cannot be, it starts with a brace
        raise AssetError("its header is not a JSON object.")
    return _read_entries(entries, _LENGTH_BYTES + length, file_size)


def encode_header(metadata: Mapping[str, str], tensors: Sequence[tuple[str, str, Sequence[int]]]) -> bytes:
    """Everything before the tensors' bytes, which follow in the order given: name, dtype, shape.

    Padded so that the data starts at a multiple of 8.
    """
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, dtype, shape in tensors:
        end = offset + _count(shape) * ITEM_SIZES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = canonical(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def check_name(name: str) -> None:
    """Refuse a tensor name that is not made of words joined by dots."""
    if len(name) > 200 or not _NAME.fullmatch(name):
        raise AssetError(f"the tensor name {shown(name)} is not made of words joined by dots.")


def _read_entries(
    entries: dict[str, object], data_start: int, file_size: int
) -> tuple[dict[str, str], dict[str, TensorInfo]]:
    metadata = _read_metadata(entries.pop("__metadata__", None))
    if len(entries) > MAX_TENSORS:
        raise AssetError(f"it lists {len(entries)} tensors; at most {MAX_TENSORS} are allowed.")
    tensors = {name: _read_entry(name, entry, data_start) for name, entry in entries.items()}
    in_order = dict(sorted(tensors.items(), key=lambda item: item[1].start))
    _check_tiling(in_order, data_start, file_size)
    return metadata, in_order


def _read_metadata(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise AssetError("it has no metadata; it may be a safetensors file, but not an asset.")
    for key, text in value.items():
        if not isinstance(text, str):
            raise AssetError(f"its metadata {shown(key)} is {shown(text)}, not text.")
    return value


def _read_entry(name: str, entry: object, data_start: int) -> TensorInfo:
    check_name(name)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise AssetError(f"the entry of tensor {name} is {shown(entry)}, not dtype, shape and data_offsets.")
    dtype = entry["dtype"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        raise AssetError(f"tensor {name} has the unknown dtype {shown(dtype)}.")
    shape = _integers(entry["shape"], f"the shape of tensor {name}")
    if len(shape) > MAX_DIMENSIONS or not all(1 <= side <= MAX_SIDE for side in shape):
        raise AssetError(f"tensor {name} has the impossible shape {shown(shape)}.")
    offsets = _integers(entry["data_offsets"], f"the offsets of tensor {name}")
    if len(offsets) != 2 or not 0 <= offsets[0] < offsets[1] <= MAX_OFFSET:
        raise AssetError(f"tensor {name} has the impossible offsets {shown(offsets)}.")
    start, end = offsets
    expected = _count(shape) * ITEM_SIZES[dtype]
    if end - start != expected:
        raise AssetError(f"tensor {name} takes {end - start} bytes, its shape needs {shown(expected)}.")
    return TensorInfo(dtype, shape, data_start + start, data_start + end)


def _integers(value: object, what: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise AssetError(f"{what} is {shown(value)}, not a list of integers.")
    return tuple(value)


def _check_tiling(tensors: dict[str, TensorInfo], data_start: int, file_size: int) -> None:
    position = data_start
    for name, tensor in tensors.items():
        if tensor.end > file_size:
            raise AssetError(f"tensor {name} ends at byte {tensor.end}, the file has {file_size}.")
        if tensor.start < position:
            raise AssetError(f"tensor {name} overlaps the one before it.")
        if tensor.start > position:
            raise AssetError(f"there is a gap of {tensor.start - position} bytes before tensor {name}.")
        position = tensor.end
    if position != file_size:
        raise AssetError(f"{file_size - position} bytes follow the last tensor.")


def _count(shape: Sequence[int]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
