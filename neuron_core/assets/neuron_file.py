"""Read and write `.neuron` files: one bare safetensors file with a manifest in its metadata.

Paths that are read may also name a member of a USD package, as `shot.usdz[oak.neuron]`.
`read_header` and `read_preview` need the standard library and numpy only. A file that is damaged
or hostile ends in an AssetError (or a FileError if it cannot be read at all), never in anything
else, and nothing in it is ever run.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from neuron_core.assets import container, packages, png, schema
from neuron_core.assets.container import Readable, TensorInfo
from neuron_core.assets.errors import AssetError, blaming
from neuron_core.assets.manifest import Manifest
from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import replacing
from neuron_core.foundation.outputs import mismatch
from neuron_core.foundation.strict_json import canonical, parse, shown

FORMAT = 1
MAX_ASSET_BYTES = 16 << 30
MOST_KEPT = 4096  # headers that are remembered

_FORMAT_KEY = "neuron.format"
_MANIFEST_KEY = "neuron.manifest"
_CHECKSUM_KEY = "neuron.manifest_sha256"


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself, checked; its tensors are not read yet.

    `tensors` is in the order of the file, with places counted from its first byte.
    """

    format: int
    manifest: Manifest
    tensors: Mapping[str, TensorInfo]


@dataclass(frozen=True, slots=True)
class Asset:
    """A whole file in memory."""

    manifest: Manifest
    tensors: Mapping[str, np.ndarray]

    def group(self, name: str) -> dict[str, np.ndarray]:
        """The tensors of one group ("inr", "nvf", "shader", ...), names without the group."""
        prefix = f"{name}."
        return {key[len(prefix) :]: value for key, value in self.tensors.items() if key.startswith(prefix)}


def read_header(path: Path) -> Header:
    """Manifest and layout, fully checked but for the tensors' values. Raises AssetError, FileError."""
    with _opened(path) as (file, size):
        return _read_header(file, size)


def header_of(path: Path) -> Header:
    """The same, read again only if the file changed, for hosts that ask often."""
    try:
        state = (path if path.exists() else packages.file_of(path)).stat()
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
    return _kept_header(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=MOST_KEPT)
def _kept_header(path: Path, changed: int, size: int) -> Header:
    return read_header(path)


def read_preview(path: Path, name: str = "main") -> bytes:
    """The PNG bytes of `preview.<name>`, read as a slice. Raises AssetError if there is none."""
    with _opened(path) as (file, size):
        tensors = _read_header(file, size).tensors
        tensor = tensors.get(f"preview.{name}")
        if tensor is None:
            known = [key.removeprefix("preview.") for key in tensors if key.startswith("preview.")]
            raise AssetError(f"it has no preview {shown(name)}.", f"It has: {', '.join(known) or 'none'}.")
        file.seek(tensor.start)
        content = file.read(tensor.size)
        png.check_png(content, f"preview {name}")
        return content


def read_asset(path: Path, max_bytes: int = MAX_ASSET_BYTES) -> Asset:
    """All tensors, as writable arrays, checked against the manifest, the schema and the digest.

    Raises AssetError, also for a file of more than `max_bytes`; FileError if it cannot be read.
    """
    return _read_asset(Path(path), Path(path), max_bytes)


def write_asset(path: Path, manifest: Manifest, tensors: Mapping[str, np.ndarray]) -> Manifest:
    """Write a checked file, whole or not at all, and return the manifest as it was written.

    Fills in the digest, and the asset id if it is empty (from name and content). The same manifest
    and tensors give the same bytes. Raises AssetError for what `read_asset` would refuse.
    """
    path = Path(path)
    with blaming(path):
        arrays = {name: _storable(name, array) for name, array in tensors.items()}
        final = _completed(manifest, arrays)
        ordered = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # keeps all aligned
        entries = [(name, _dtype_name(name, arrays[name]), arrays[name].shape) for name in ordered]
        header = container.encode_header(_metadata(final), entries)
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            file.write(header)
            for name in ordered:
                file.write(_raw(arrays[name]))
            file.flush()
            os.fsync(file.fileno())
        _read_asset(temporary, path, MAX_ASSET_BYTES)
    return final


def write_if_changed(
    path: Path, manifest: Manifest, tensors: Mapping[str, np.ndarray], may_replace: bool
) -> bool:
    """Write an asset unless the file holds just that; whether it was written.

    Raises ConfigMismatchError for a file that holds something else and may not be replaced.
    """
    if path.exists():
        wanted = replace(manifest, digest=digest_of(tensors))
        try:
            found = read_header(path).manifest
        except AssetError:
            found = None
        if found == wanted:
            return False
        if not may_replace:
            settings = (wanted.to_json(), found.to_json()) if found else ({}, {})
            raise mismatch(path, "something else", *settings)
    write_asset(path, manifest, tensors)
    return True


def digest_of(tensors: Mapping[str, np.ndarray]) -> str:
    """The sha256 of names, dtypes, shapes and bytes, in the order of the names, as hex digits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = _storable(name, tensors[name])
        digest.update(f"{name} {_dtype_name(name, array)} {list(array.shape)}\n".encode())
        digest.update(_raw(array))
    return digest.hexdigest()


@contextmanager
def _opened(path: Path, blamed: Path | None = None) -> Iterator[tuple[Readable, int]]:
    path = Path(path)
    with blaming(blamed or path):
        packaged = packages.split(path)
        if packaged is not None and not path.exists():
            with packages.opened(*packaged) as (member, size):
                yield member, size
            return
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise FileError(f"{path} is not a file.", "Pick a .neuron file.")
        with path.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size


def _read_header(file: Readable, size: int) -> Header:
    metadata, tensors = container.read_container(file, size)
    format_number = _read_format(metadata.get(_FORMAT_KEY))
    for key in (_MANIFEST_KEY, _CHECKSUM_KEY):
        if key not in metadata:
            raise AssetError(f"its metadata has no {key}.")
    for key in sorted(metadata):
        if key not in (_FORMAT_KEY, _MANIFEST_KEY, _CHECKSUM_KEY):
            raise AssetError(f"its metadata has the unknown entry {shown(key)}.")
    text = metadata[_MANIFEST_KEY]
    manifest = Manifest.from_json(parse(text, "its manifest", AssetError))
    schema.check_layout(manifest, tensors)
    if hashlib.sha256(text.encode()).hexdigest() != metadata[_CHECKSUM_KEY]:
        raise AssetError("its manifest was changed after it was written: the checksum differs.")
    return Header(format_number, manifest, tensors)


def _read_format(text: str | None) -> int:
    if text is None:
        raise AssetError(f"its metadata has no {_FORMAT_KEY}; it is a safetensors file, but not an asset.")
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or str(int(text)) != text or text == "0":
        raise AssetError(f"its format is {shown(text)}, not a version number.")
    if int(text) > FORMAT:
        raise AssetError(
            f"it was made by a newer Neuron: format {text}, this one reads up to {FORMAT}.",
            "Update Neuron, or bake the asset again with this version.",
        )
    return int(text)


def _read_asset(path: Path, blamed: Path, max_bytes: int) -> Asset:
    with _opened(path, blamed) as (file, size):
        header = _read_header(file, size)
        if size > max_bytes:
            raise AssetError(
                f"it has {size} bytes; at most {max_bytes} are allowed.", "Bake it at a lower resolution."
            )
    with blaming(blamed):
        packaged = packages.split(path) is not None and not path.exists()
        tensors = _load_member(path, header.tensors) if packaged else _load(path, header.tensors)
        schema.check_values(tensors)
        if digest_of(tensors) != header.manifest.digest:
            raise AssetError("its tensors are not the ones that were written: the digest differs.")
    return Asset(header.manifest, tensors)


def _load(path: Path, expected: Mapping[str, TensorInfo]) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, np.ndarray] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name, info in expected.items():
                array: np.ndarray = file.get_tensor(name)
                # The file could have been replaced since its header was checked.
                if array.shape != info.shape or array.dtype != schema.NUMPY_DTYPES[info.dtype]:
                    raise AssetError(f"tensor {name} changed while it was read.")
                tensors[name] = array
    except (SafetensorError, ValueError, MemoryError) as error:
        raise AssetError(f"its tensors cannot be read: {error}.") from error
    return tensors


def _load_member(path: Path, expected: Mapping[str, TensorInfo]) -> dict[str, np.ndarray]:
    """The tensors of a member of a package, which lie in it in the order of `expected`."""
    tensors: dict[str, np.ndarray] = {}
    with _opened(path) as (file, _):
        for name, info in expected.items():
            file.seek(info.start)
            content = file.read(info.size)
            if len(content) != info.size:
                raise AssetError("it became shorter while it was read.")
            tensors[name] = np.frombuffer(content, schema.NUMPY_DTYPES[info.dtype]).reshape(info.shape).copy()
    return tensors


def _completed(manifest: Manifest, arrays: Mapping[str, np.ndarray]) -> Manifest:
    digest = digest_of(arrays)
    asset_id = manifest.asset_id or hashlib.sha256(f"{manifest.name}\0{digest}".encode()).hexdigest()[:32]
    filled = replace(manifest, asset_id=asset_id, digest=digest)
    return Manifest.from_json(filled.to_json())


def _metadata(manifest: Manifest) -> dict[str, str]:
    text = canonical(manifest.to_json())
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return {_FORMAT_KEY: str(FORMAT), _MANIFEST_KEY: text, _CHECKSUM_KEY: checksum}


def _storable(name: str, array: np.ndarray) -> np.ndarray:
    """Little-endian and contiguous, as the file holds it."""
    if not isinstance(array, np.ndarray):
        raise AssetError(f"tensor {name} is a {type(array).__name__}, not an array.")
    container.check_name(name)
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _dtype_name(name: str, array: np.ndarray) -> str:
    for dtype_name, dtype in schema.NUMPY_DTYPES.items():
        if array.dtype == dtype:
            return dtype_name
    raise AssetError(f"tensor {name} is {array.dtype}, which the file cannot hold.")


def _raw(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
