"""What `neuron anchor` can be asked for. Imports nothing heavy."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuron_core.foundation.errors import NeuronError

MOST_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class AnchorConfig:
    """Write anchor frames of a scene for other programs: color, depth, normal, alpha, ids, optical
    flow to the next anchor, and the camera.

    Run again, it renders the anchors that are missing.
    """

    scene: Path
    """The stage: .usda, .usd, .usdc."""
    out: Path
    """Folder for the anchors."""
    camera: str = ""
    """Path of a camera prim; the only one of the stage if empty."""
    frames: str = ""
    """Frames a,b,c, ascending, or A-BxS. Default: the first and the last frame of the stage."""
    size: str = ""
    """WIDTHxHEIGHT in pixels. Default: 512x512."""
    samples: int = 2
    """Rays along each side of a pixel for color and alpha, 1 to 4; the rest is never filtered."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render; `auto` takes CUDA where it works."""
    encoder_weights: Path | None = None
    """Local weights of the OpenCLIP encoder that assets were trained with, if they were."""
    contact_shadows: bool = False
    """Let assets and meshes shadow each other from the light of a lamp, near by; an approximation."""
    ambient_occlusion: bool = False
    """Let assets and meshes take the light from all around from each other; an approximation."""
    lamp: str = ""
    """The direction to the lamp of --contact-shadows, x,y,z in the axes of the stage."""
    occlusion_reach: float = 0.0
    """How far, in meters, neighbors shadow each other. Default: half the size of a usual asset there."""
    library: Path | None = None
    """Draw only assets that lie in this folder."""
    overwrite: bool = False
    """Replace anchors in the folder that were made with other settings."""

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise NeuronError(
                f"{self.samples} samples along a side of a pixel cannot be had.", f"Give 1 to {MOST_SAMPLES}."
            )
        if not 0.0 <= self.occlusion_reach < math.inf:
            raise NeuronError(
                f"Neighbors cannot shadow each other over {self.occlusion_reach} m.", "Give a distance."
            )
