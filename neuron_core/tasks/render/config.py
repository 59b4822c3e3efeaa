"""What `neuron render` can be asked for. Imports nothing heavy."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.values import ValueNotationError, comma_list

AOVS = ("depth", "normal", "alpha", "id")
MOST_SAMPLES = 4  # along each side of a pixel


@dataclass(frozen=True, slots=True)
class RenderConfig:
    """Draw a .neuron file or a USD stage from a set of cameras: PNG, EXR with AOVs, an animation of a
    turntable.

    Run again, it renders the frames that are missing, so several machines can share a
    folder by their --frames.
    """

    asset: Path
    """A `.neuron` file, or a USD stage."""
    out: Path
    """Folder of the pictures."""
    cameras: str = "turntable:48"
    """`turntable:N`, a cameras.json, a transforms.json, a dataset, or in a stage `/path/to/camera`.
    `PATH:test` takes one split of a dataset; `path:cameras.json:N` moves through those cameras in N
    frames."""
    frames: str = ""
    """A-B or A-BxS: only these of the cameras, counted from 1; with a camera of a stage, frames of
    the stage. Default: all."""
    prompt: str = ""
    """A look, by its name or prompt; the first one if empty. With --detail inr any prompt."""
    size: str = ""
    """WIDTHxHEIGHT in pixels; if empty, the cameras' own or 512x512 on a turntable."""
    detail: Literal["nvf", "inr"] = "nvf"
    """What is drawn: the baked voxels, fast, or the field itself, which is finer and much slower."""
    aov: str = ""
    """AOVs of an EXR beside each PNG, separated by commas: depth, normal, alpha; of a stage also id."""
    samples: int = 2
    """Rays along each side of a pixel, 1 to 4, averaged in linear."""
    background: Literal["transparent", "white"] = "transparent"
    """What PNG files and animations show where nothing is; EXR files are always transparent."""
    elevation: float = 15.0
    """Degrees above the horizon of a turntable's cameras."""
    animation: Literal["webp", "png", "none"] = "webp"
    """Kind of the animation that a whole turntable also becomes."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render; `auto` takes CUDA where it works."""
    encoder_weights: Path | None = None
    """Local weights of the OpenCLIP encoder that the asset was trained with, if it was one."""
    contact_shadows: bool = False
    """Of a stage: let assets and meshes shadow each other from the light of a lamp, near by. An
    approximation that marches the densities of the neighbors; what an asset shadows of itself stands in
    its look."""
    ambient_occlusion: bool = False
    """Of a stage: let assets and meshes take the light from all around from each other; likewise."""
    lamp: str = ""
    """The direction to the lamp of --contact-shadows, x,y,z in the axes of the stage. Default: above, a
    little to the right and in front."""
    occlusion_reach: float = 0.0
    """How far, in meters, neighbors shadow each other. Default: half the size of a usual asset there."""
    library: Path | None = None
    """Of a stage: draw only assets that lie in this folder."""
    overwrite: bool = False
    """Replace pictures in the folder that were made with other settings."""

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise NeuronError(
                f"{self.samples} samples along a side of a pixel cannot be had.", f"Give 1 to {MOST_SAMPLES}."
            )
        if not -89.0 <= self.elevation <= 89.0:
            raise NeuronError(
                f"A turntable cannot stand at {self.elevation:g} degrees.", "Give -89 (below) to 89 (above)."
            )
        if not 0.0 <= self.occlusion_reach < math.inf:
            raise NeuronError(
                f"Neighbors cannot shadow each other over {self.occlusion_reach} m.", "Give a distance."
            )
        unknown = [name for name in self.aovs() if name not in AOVS]
        if unknown:
            raise ValueNotationError(f"There is no AOV {unknown[0]!r}.", f"There are {', '.join(AOVS)}.")

    def aovs(self) -> tuple[str, ...]:
        """The AOVs that were asked for."""
        return comma_list(self.aov)
