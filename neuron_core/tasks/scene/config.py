"""What `neuron scene list`, `search`, `flatten` and `validate` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SceneListConfig:
    """Say what a stage draws, or what a library holds."""

    path: Path
    """A USD file or the folder of a library."""
    frame: str = ""
    """The frame to look at. Default: the earliest."""


@dataclass(frozen=True, slots=True)
class SceneSearchConfig:
    """Find assets and looks of a library by words, through the assets' prompt encoder where it is there."""

    library: Path
    """Folder of the library."""
    text: str
    """What to look for, as "worn copper"."""
    limit: int = 8
    """The most that is listed."""


@dataclass(frozen=True, slots=True)
class SceneFlattenConfig:
    """Write a stage with everything it references as one layer. Weights are still referenced."""

    stage: Path
    """The stage."""
    out: Path
    """The .usda, .usd or .usdc file to write."""
    overwrite: bool = False
    """Replace a file that is there."""


@dataclass(frozen=True, slots=True)
class SceneValidateConfig:
    """Check a stage: USD's validators and our own. Exit code 2 if anything is wrong."""

    stage: Path
    """The stage."""
    library: Path | None = None
    """Refuse assets that do not lie in this folder."""
    verify: bool = False
    """Also read the tensors: digests, and whether extents hold the density."""
    frames: str = ""
    """Check at these frames, as 1-24. Default: the earliest and the last."""
    out: Path | None = None
    """A .json file for everything that was found."""
