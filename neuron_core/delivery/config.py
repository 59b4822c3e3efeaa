"""What `neuron export` can be asked for. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from neuron_core.foundation.checks import within
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.options import check_ranges

MOST = 20_000_000
MOST_LEVELS = 6


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """Write a .neuron file as Gaussian splats, a volume, a mesh or points, or convert splats.

    The ending of OUT says what is written: .ply .spz .npz are splats, .vdb and .nvdb volumes; .usd
    .usda .usdc .usdz are splats or what --form says. SOURCE may also be a file of splats (.ply .spz
    .usd*), which is converted, or a USD scene of assets.
    """

    source: Path
    """A .neuron file, a scene of such assets, or a file of splats."""
    out: Path
    """The file to write."""
    form: Literal["auto", "splats", "volume", "mesh", "points", "splat-points"] = "auto"
    """What a USD file gets; auto is splats. splat-points are splats as points with Houdini's primvars."""
    prompt: str = ""
    """A look, by its name or its prompt. Default: the first one."""
    max_splats: Annotated[int, within(1, MOST)] = 100_000
    """At most so many splats or points."""
    degree: Annotated[int, within(0, 3)] = 3
    """Of the harmonics that make colors depend on the direction, 0 to 3."""
    steps: Annotated[int, within(0, 100_000)] = 1300
    """Optimization steps that fit splats to rendered views; 0 for none. 1300 make them much better and take
    minutes on a CPU."""
    views: Annotated[int, within(1, 10_000)] = 96
    """How many views are rendered for it."""
    splat_color: Literal["auto", "linear", "srgb"] = "auto"
    """What colors are and blend in; auto is sRGB in PLY and SPZ files and linear in others."""
    ply_axes: Literal["rdf", "y-up"] = "rdf"
    """Axes of PLY files: Y down as viewers expect, or Y up as the asset is."""
    precision: Literal["half", "float"] = "half"
    """Of USD splats and of colors in volumes; positions and densities are always float."""
    triangles: int = 60_000
    """At most about so many in a mesh; 0 for all that the voxels give."""
    texture_size: int = 2048
    """Texels along the side of a mesh's textures; 0 for colors at vertices only."""
    levels: Annotated[int, within(1, MOST_LEVELS)] = 1
    """Levels of detail of a mesh or of splats; each has a quarter of the one before."""
    scene: Literal["flat", "instances"] = "flat"
    """Splats of a scene: all in one file, or a file for each asset and a stage that places them."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the field is drawn; auto takes CUDA where it works."""
    overwrite: bool = False
    """Replace OUT if it is there."""

    def __post_init__(self) -> None:
        check_ranges(self, "an export")
        if not (self.triangles == 0 or 4 <= self.triangles <= MOST):
            raise NeuronError(
                f"A mesh of {self.triangles} triangles cannot be made.", f"Ask for 4 to {MOST}."
            )
        if not (self.texture_size == 0 or 16 <= self.texture_size <= 16384):
            raise NeuronError(
                f"Textures of {self.texture_size} texels a side cannot be made.", "Give 16 to 16384, or 0."
            )
