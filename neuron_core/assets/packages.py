"""Assets inside USD packages: `shot.usdz[oak.neuron]`, as USD writes such paths.

A package is a zip archive whose members are stored as they are, so one is read in its place and
nothing is unpacked to disk.
"""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuron_core.assets.container import Readable
from neuron_core.assets.errors import AssetError
from neuron_core.foundation.errors import FileError

_PACKAGED = re.compile(r"(.+\.usdz)\[([^\[\]]+)\]", re.IGNORECASE | re.DOTALL)


def split(path: Path) -> tuple[Path, str] | None:
    """The package and the member that a path names; None for a path of an ordinary file."""
    match = _PACKAGED.fullmatch(str(path))
    return None if match is None else (Path(match[1]), match[2])


def file_of(path: Path) -> Path:
    """The file on disk that holds what a path names: the path itself, or its package."""
    found = split(path)
    return path if found is None else found[0]


@contextmanager
def opened(package: Path, member: str) -> Iterator[tuple[Readable, int]]:
    """A member to read and seek in, and its size. Raises FileError or AssetError."""
    try:
        with zipfile.ZipFile(package) as archive:
            info = archive.getinfo(member)
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                raise AssetError("it is compressed or encrypted in its package, which USD does not allow.")
            with archive.open(info) as file:
                yield file, info.file_size
    except KeyError:
        raise FileError(f"There is no {member} in {package}.", "Package the stage again.") from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise FileError(f"{package} is not a whole package: {error}.", "Package the stage again.") from error
