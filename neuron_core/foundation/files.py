"""Files that are either whole or absent, and errors that name them."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuron_core.foundation.errors import FileError

USD_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to it when the block ends without an error.

    Whatever happens, `path` holds its old content or the whole new one, and no stray file stays.
    Raises FileError if the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _keep_default_permissions(temporary)
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise FileError(
            f"Cannot write {path}: {error.strerror or error}.",
            "Pick a folder that can be written and has space left.",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _keep_default_permissions(path: Path) -> None:
    # mkstemp makes files private; results are shared like any other file.
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: object) -> None:
    """Write `content` as stable, indented JSON, whole or not at all. NaN is refused.

    A file that says the same already stays as it is: what is done again leaves no trace.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
    if not _holds(path, text.encode()):
        write_bytes(path, text.encode())


def _holds(path: Path, content: bytes) -> bool:
    try:
        return Path(path).read_bytes() == content
    except OSError:  # not there, or not readable: writing says what is wrong
        return False


def read_bytes(path: Path) -> bytes:
    """Read a whole file. Raises FileError if it is missing or unreadable."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error


def read_json(path: Path) -> object:
    """Read a JSON file. Raises FileError if it is missing, unreadable or no JSON."""
    content = read_bytes(path)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not readable as JSON: {error}.") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content as hex digits."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
    return digest.hexdigest()
