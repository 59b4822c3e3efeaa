"""What is wrong with an asset, and which file it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuron_core.foundation.errors import FileError, NeuronError

DAMAGED = "The file is damaged or was not written by Neuron. Bake it again or fetch a fresh copy."


class AssetError(NeuronError):
    """A `.neuron` file, or what should become one, that breaks a rule of the format."""

    kind = "asset"

    def __init__(self, message: str, hint: str = DAMAGED) -> None:
        super().__init__(message, hint)


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Put the file's name in front of every AssetError, and turn failed reads into a FileError."""
    try:
        yield
    except AssetError as error:
        raise AssetError(f"{path}: {error.message}", error.hint) from error
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error
