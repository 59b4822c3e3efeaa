"""What `neuron scene new`, `add` and `set` can be asked for. Imports nothing heavy.

Places are written x,y,z in the units and axes of the stage.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class SceneNewConfig:
    """Write an empty shot."""

    stage: Path
    """The .usda, .usd or .usdc file to write."""
    frames: str = ""
    """First and last frame, as 1-24."""
    fps: float = 24.0
    """Frames a second."""
    units: float = 1.0
    """Meters per unit of the stage; 0.01 for centimeters."""
    up: Literal["Y", "Z"] = "Y"
    """The axis that points up."""
    no_camera: bool = False
    """Leave out the camera /World/camera that looks at the origin."""
    overwrite: bool = False
    """Replace a file that is there."""


@dataclass(frozen=True, slots=True)
class SceneAddConfig:
    """Put an asset, or a grid of it, into a shot. Units and up axis are converted."""

    stage: Path
    """The shot."""
    asset: Path
    """LIBRARY/NAME for the latest version, LIBRARY/NAME/v002 for one, any USD file, or a .neuron file."""
    name: str = ""
    """What the prim is called. Default: like the asset, numbered where that is taken."""
    under: str = "/World"
    """The prim to put it under."""
    at: str = ""
    """Where it stands, x,y,z."""
    rotate: str = ""
    """Degrees about x, y and z."""
    scale: str = ""
    """One factor, or x,y,z."""
    look: tuple[str, ...] = ()
    """The look. Repeated, the places of a grid take them in turn, along rows and columns."""
    prompt: str = ""
    """Words to draw it by instead of a look."""
    grid: str = ""
    """Columns and rows, as 8x8: that many instances on the ground, around --at."""
    spacing: float = 1.0
    """From one place of the grid to the next, in units of the stage."""
    editable: bool = False
    """Do not make it a native instance, so that what is inside can be changed."""


@dataclass(frozen=True, slots=True)
class SceneSetConfig:
    """Change one prim: where it is, how it looks, which version it shows, where a camera looks."""

    stage: Path
    """The shot."""
    prim: str
    """Path of the prim, as /World/oak."""
    at: str = ""
    """Where it stands, x,y,z."""
    rotate: str = ""
    """Degrees about x, y and z."""
    scale: str = ""
    """One factor, or x,y,z."""
    aim: str = ""
    """The point that a camera looks at, x,y,z."""
    focal: float = 0.0
    """Focal length of a camera, mm."""
    frame: str = ""
    """Key the values at this frame. Default: they hold for all frames and replace what was keyed."""
    look: str = ""
    """The look."""
    prompt: str = ""
    """Words to draw it by instead of its look."""
    no_prompt: bool = False
    """Go back from the prompt to the look."""
    pose: str = ""
    """The pose of an asset that deforms: its numbers, as 0.5,0,-1."""
    no_pose: bool = False
    """Go back to rest."""
    representation: str = ""
    """What hosts draw that do not know Neuron: mesh, proxy, box, or what was attached."""
    version: str = ""
    """The version to show: latest, or one as v002."""
    hide: bool = False
    """Do not draw it."""
    show: bool = False
    """Draw it again."""
