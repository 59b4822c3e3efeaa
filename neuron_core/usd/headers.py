"""What `.neuron` files say about themselves, read once per file and state of the file; no weights."""

from functools import lru_cache
from pathlib import Path

from neuron_core.assets import Header, read_header
from neuron_core.assets.packages import file_of
from neuron_core.foundation.errors import FileError

MOST_KEPT = 4096


def header_of(path: Path) -> Header:
    """The header, again only if the file changed. Raises AssetError or FileError."""
    try:
        state = (path if path.exists() else file_of(path)).stat()
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
    return _header(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=MOST_KEPT)
def _header(path: Path, changed: int, size: int) -> Header:
    return read_header(path)
