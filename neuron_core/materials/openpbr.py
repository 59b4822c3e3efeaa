"""The inputs of MaterialX `open_pbr_surface` (OpenPBR 1.1): their names, ranges and defaults.

Colors are scene-linear Rec.709, lengths meters. Switches are floats, 0 or 1. The four `frame`
inputs (normals and tangents) have no constant value; they can only be connected.
"""

from dataclasses import dataclass
from typing import Literal

Value = float | tuple[float, float, float]
Kind = Literal["float", "color", "switch", "frame"]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the surface: every component of a value lies in [`low`, `high`]."""

    kind: Kind
    default: Value
    low: float = 0.0
    high: float = 1.0


WHITE = (1.0, 1.0, 1.0)
BLACK = (0.0, 0.0, 0.0)
GRAY = (0.8, 0.8, 0.8)
LONGEST = 1e6  # meters
BRIGHTEST = 1e9  # nits

INPUTS: dict[str, Input] = {
    "base_weight": Input("float", 1.0),
    "base_color": Input("color", GRAY),
    "base_diffuse_roughness": Input("float", 0.0),
    "base_metalness": Input("float", 0.0),
    "specular_weight": Input("float", 1.0, high=10.0),
    "specular_color": Input("color", WHITE),
    "specular_roughness": Input("float", 0.3),
    "specular_ior": Input("float", 1.5, low=0.1, high=10.0),
    "specular_roughness_anisotropy": Input("float", 0.0),
    "transmission_weight": Input("float", 0.0),
    "transmission_color": Input("color", WHITE),
    "transmission_depth": Input("float", 0.0, high=LONGEST),
    "transmission_scatter": Input("color", BLACK),
    "transmission_scatter_anisotropy": Input("float", 0.0, low=-1.0),
    "transmission_dispersion_scale": Input("float", 0.0),
    "transmission_dispersion_abbe_number": Input("float", 20.0, high=1000.0),
    "subsurface_weight": Input("float", 0.0),
    "subsurface_color": Input("color", GRAY),
    "subsurface_radius": Input("float", 1.0, high=LONGEST),
    "subsurface_radius_scale": Input("color", (1.0, 0.5, 0.25)),
    "subsurface_scatter_anisotropy": Input("float", 0.0, low=-1.0),
    "fuzz_weight": Input("float", 0.0),
    "fuzz_color": Input("color", WHITE),
    "fuzz_roughness": Input("float", 0.5),
    "coat_weight": Input("float", 0.0),
    "coat_color": Input("color", WHITE),
    "coat_roughness": Input("float", 0.0),
    "coat_roughness_anisotropy": Input("float", 0.0),
    "coat_ior": Input("float", 1.6, low=0.1, high=10.0),
    "coat_darkening": Input("float", 1.0),
    "thin_film_weight": Input("float", 0.0),
    "thin_film_thickness": Input("float", 0.5, high=1000.0),  # micrometers
    "thin_film_ior": Input("float", 1.4, low=0.1, high=10.0),
    "emission_luminance": Input("float", 0.0, high=BRIGHTEST),
    "emission_color": Input("color", WHITE, high=BRIGHTEST),
    "geometry_opacity": Input("float", 1.0),
    "geometry_thin_walled": Input("switch", 0.0),
    "geometry_normal": Input("frame", BLACK),
    "geometry_coat_normal": Input("frame", BLACK),
    "geometry_tangent": Input("frame", BLACK),
    "geometry_coat_tangent": Input("frame", BLACK),
}

CONSTANT_INPUTS = tuple(name for name, item in INPUTS.items() if item.kind != "frame")
