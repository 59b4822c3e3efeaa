"""What a field is made of: everything that the shapes of its tensors depend on."""

from dataclasses import dataclass
from typing import Literal

from neuron_core.foundation.colors import Encoding
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.records import read_record, to_plain
from neuron_core.kernels.baked.layout import CHANNELS
from neuron_core.kernels.training.hashgrid import HashGridSpec

CODE_CHANNELS = CHANNELS  # as files and kernels have them
ARCHITECTURE = "neuron-field-1"

Surface = Literal["distance", "density"]


class FieldError(NeuronError):
    """A field that cannot be built or read."""

    kind = "field"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """The parts of a field and their sizes.

    surface: what the geometry branch predicts. "distance": signed distance to the surface, for
    data with positions and normals. "density": logarithm of the density, for photographs.
    contracted: all space is folded into the cube instead of only the box around the asset.
    encoding: what the shader returns, scene-linear values or (photographs) sRGB-encoded ones.
    diffuse: every sample adds a color of its own beside the code that is shaded per pixel.
    """

    prompt_width: int
    center: tuple[float, float, float]  # of the cube, in asset space
    half_side: float  # of the cube, in meters (in the unit of the photographs' cameras)
    geometry: HashGridSpec
    appearance: HashGridSpec  # coarse levels only: fine ones overfit on glossy materials
    detail: HashGridSpec | None  # where materials have texture
    directions: HashGridSpec  # what the shader has learned about reflected directions
    surface: Surface = "distance"
    contracted: bool = False
    encoding: Encoding = "linear"
    diffuse: bool = False
    geometry_width: int = 64
    geometry_layers: int = 2  # hidden ones
    geometry_features: int = 8
    material_width: int = 64
    style_width: int = 64  # hidden units between a prompt and what it does
    shader_width: int = 32
    occupancy_cells: int = 96  # along a side; only densities have such a grid
    ramp: float = 1.0 / 128  # half-width of the density ramp around the surface, in cube sides

    def to_json(self) -> dict[str, object]:
        """Plain data that `from_json` takes back."""
        return to_plain(self)

    @staticmethod
    def from_json(content: object) -> "FieldSpec":
        """Read what `to_json` wrote. Raises FieldError, with the name of what is wrong."""
        return read_record(FieldSpec, content, "field", FieldError)
