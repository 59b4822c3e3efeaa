"""What `neuron publish` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PublishConfig:
    """Publish a .neuron file into a library, as the next version of a USD asset."""

    asset: Path
    """The .neuron file."""
    library: Path
    """Folder of the library; made if it is not there."""
    name: str = ""
    """What it is called: lower-case words joined by underscores. Default: the asset's own name."""
    number: int = 0
    """Publish it as this version. Default: the next one. Published versions never change."""
    attach: tuple[str, ...] = ()
    """A USD file that other hosts draw, as splat=FILE.usd; metres, Y up. May be repeated."""
