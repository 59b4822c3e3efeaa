"""What `neuron inspect` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class InspectConfig:
    """Say what a file or folder is, and check it."""

    path: Path
    """Anything that Neuron reads or writes; PATH.usd@/prim looks at a part of a USD file."""
    verify: bool = False
    """Also read all that belongs to it: checksums of datasets, photographs, surfaces in USD files."""
