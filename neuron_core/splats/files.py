"""Files of splats by their name's ending."""

from pathlib import Path

from neuron_core.foundation.errors import FileError
from neuron_core.foundation.files import USD_SUFFIXES
from neuron_core.splats.cloud import SplatError as _SplatError
from neuron_core.splats.cloud import Splats, checked
from neuron_core.splats.houdini import write_points
from neuron_core.splats.ply import read_ply, write_ply
from neuron_core.splats.spz import read_spz, write_spz

READABLE = (".ply", ".spz", *USD_SUFFIXES)
WRITABLE = (*READABLE, ".npz")


def read_splats(path: Path) -> Splats:
    """Read a PLY, SPZ or USD file. Raises SplatError or FileError."""
    path = Path(path)
    ending = path.suffix.lower()
    if not path.is_file():
        raise FileError(f"There is no file {path}.", "Check the path.")
    if ending == ".ply":
        return read_ply(path)
    if ending == ".spz":
        return read_spz(path)
    if ending in USD_SUFFIXES:
        from neuron_core.splats.usd import read_usd_splats

        return read_usd_splats(path)
    raise _SplatError(f"{path} is not a file of splats.", f"They end in {', '.join(READABLE)}.")


def write_splats(path: Path, splats: Splats, half: bool = True, as_points: bool = False) -> None:
    """Write a PLY, SPZ, USD or NPZ file, whole or not at all. `half` and `as_points` are about USD files.

    Raises SplatError for invalid splats, FileError where nothing can be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    checked(splats, str(path))
    if ending == ".ply":
        write_ply(path, splats)
    elif ending == ".spz":
        write_spz(path, splats)
    elif ending == ".npz":
        write_points(path, splats)
    elif ending in USD_SUFFIXES:
        from neuron_core.splats.usd import write_usd

        write_usd(path, splats, path.stem, half, as_points)
    else:
        raise _SplatError(f"{path} is not a file of splats.", f"They end in {', '.join(WRITABLE)}.")
