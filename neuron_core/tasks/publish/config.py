"""What `neuron publish` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from neuron_core.foundation.checks import within
from neuron_core.foundation.options import check_ranges


@dataclass(frozen=True, slots=True)
class PublishConfig:
    """Publish a .neuron file into a library, as the next version of a USD asset."""

    asset: Path
    """The `.neuron` file to publish."""
    library: Path
    """Folder of published assets; made if it is not there."""
    name: str = ""
    """Name in the library, lower-case words joined by underscores; the asset's own if empty."""
    number: Annotated[int, within(0, 10**6 - 1)] = 0
    """Version that it becomes; 0 takes the next one. Published versions never change."""
    attach: tuple[str, ...] = ()
    """A USD file that other hosts draw, as splat=FILE.usd; meters, Y up. May be repeated."""

    def __post_init__(self) -> None:
        check_ranges(self, "an asset")
