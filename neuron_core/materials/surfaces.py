"""The surfaces that are read from MaterialX files, in terms of OpenPBR."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from neuron_core.materials.openpbr import INPUTS, WHITE, Value

_Translation = tuple[dict[str, Value], list[str]]


@dataclass(frozen=True, slots=True)
class Translator:
    """What inputs a kind of surface has, and what they mean."""

    kinds: Mapping[str, str]  # inputs that can have a value
    without_value: frozenset[str]  # normals and tangents
    sources: Mapping[str, str]  # OpenPBR inputs and what they are called here
    translate: Callable[[Mapping[str, Value], str], _Translation]


def _openpbr(given: Mapping[str, Value], version: str) -> _Translation:
    return dict(given), []


# standard_surface 1.0.1: its kind, its default, and the OpenPBR input of the same meaning.
_STANDARD: dict[str, tuple[str, Value, str]] = {
    "base": ("float", 1.0, "base_weight"),
    "base_color": ("color", (0.8, 0.8, 0.8), "base_color"),
    "diffuse_roughness": ("float", 0.0, "base_diffuse_roughness"),
    "metalness": ("float", 0.0, "base_metalness"),
    "specular": ("float", 1.0, "specular_weight"),
    "specular_color": ("color", WHITE, "specular_color"),
    "specular_roughness": ("float", 0.2, "specular_roughness"),
    "specular_IOR": ("float", 1.5, "specular_ior"),
    "specular_anisotropy": ("float", 0.0, "specular_roughness_anisotropy"),
    "specular_rotation": ("float", 0.0, ""),
    "transmission": ("float", 0.0, "transmission_weight"),
    "transmission_color": ("color", WHITE, "transmission_color"),
    "transmission_depth": ("float", 0.0, "transmission_depth"),
    "transmission_scatter": ("color", (0.0, 0.0, 0.0), "transmission_scatter"),
    "transmission_scatter_anisotropy": ("float", 0.0, "transmission_scatter_anisotropy"),
    "transmission_dispersion": ("float", 0.0, "transmission_dispersion_abbe_number"),
    "transmission_extra_roughness": ("float", 0.0, ""),
    "subsurface": ("float", 0.0, "subsurface_weight"),
    "subsurface_color": ("color", WHITE, "subsurface_color"),
    "subsurface_radius": ("color", WHITE, "subsurface_radius_scale"),
    "subsurface_scale": ("float", 1.0, "subsurface_radius"),
    "subsurface_anisotropy": ("float", 0.0, "subsurface_scatter_anisotropy"),
    "sheen": ("float", 0.0, "fuzz_weight"),
    "sheen_color": ("color", WHITE, "fuzz_color"),
    "sheen_roughness": ("float", 0.3, "fuzz_roughness"),
    "coat": ("float", 0.0, "coat_weight"),
    "coat_color": ("color", WHITE, "coat_color"),
    "coat_roughness": ("float", 0.1, "coat_roughness"),
    "coat_anisotropy": ("float", 0.0, "coat_roughness_anisotropy"),
    "coat_rotation": ("float", 0.0, ""),
    "coat_IOR": ("float", 1.5, "coat_ior"),
    "coat_affect_color": ("float", 0.0, "coat_darkening"),
    "coat_affect_roughness": ("float", 0.0, ""),
    "thin_film_thickness": ("float", 0.0, "thin_film_thickness"),
    "thin_film_IOR": ("float", 1.5, "thin_film_ior"),
    "emission": ("float", 0.0, "emission_luminance"),
    "emission_color": ("color", WHITE, "emission_color"),
    "opacity": ("color", WHITE, "geometry_opacity"),
    "thin_walled": ("switch", 0.0, "geometry_thin_walled"),
}

_LOBES = {  # a lobe that is off leaves no values behind
    "transmission": "transmission",
    "subsurface": "subsurface",
    "sheen": "sheen",
    "coat": "coat",
    "thin_film": "thin_film_thickness",
    "emission": "emission",
}


def _standard(given: Mapping[str, Value], version: str) -> _Translation:
    full = {name: default for name, (_, default, _) in _STANDARD.items()}
    if version == "1.0.0":
        full |= {"base": 0.8, "base_color": WHITE}
    full |= given
    off = [prefix for prefix, switch in _LOBES.items() if full[switch] == 0.0]
    kept = {name: value for name, value in full.items() if not name.startswith(tuple(off))}
    notes = [
        f"{name} has no counterpart in OpenPBR and is ignored."
        for name, value in kept.items()
        if not _STANDARD[name][2] and value != _STANDARD[name][1]
    ]
    values = {_STANDARD[name][2]: value for name, value in kept.items() if _STANDARD[name][2]}
    return _other_units(values, notes), notes


def _other_units(values: dict[str, Value], notes: list[str]) -> dict[str, Value]:
    """Where the two surfaces mean the same by other numbers."""
    if _float(values, "base_metalness") > 0.0:
        values.pop("specular_weight", None)  # it never scaled metal
    abbe = _float(values, "transmission_dispersion_abbe_number")
    values.pop("transmission_dispersion_abbe_number", None)
    if abbe != 0.0:
        values |= {"transmission_dispersion_abbe_number": abbe, "transmission_dispersion_scale": 1.0}
    if isinstance(scale := values.get("subsurface_radius_scale"), tuple) and max(scale) > 1.0:
        values["subsurface_radius_scale"] = (
            scale[0] / max(scale),
            scale[1] / max(scale),
            scale[2] / max(scale),
        )
        values["subsurface_radius"] = _float(values, "subsurface_radius") * max(scale)
    if (roughness := _float(values, "fuzz_roughness")) > 0.0:
        values["fuzz_roughness"] = roughness**0.4
    if "thin_film_thickness" in values:
        nanometers = _float(values, "thin_film_thickness")
        values |= {"thin_film_thickness": nanometers / 1000.0, "thin_film_weight": 1.0}
    if isinstance(opacity := values.get("geometry_opacity"), tuple):
        in_range = min(opacity) >= 0.0 and max(opacity) <= 1.0
        values["geometry_opacity"] = sum(opacity) / 3.0 if in_range else -1.0
        if len(set(opacity)) > 1:
            notes.append("opacity is colored; OpenPBR has one number, the mean is used.")
    return values


def _float(values: Mapping[str, Value], name: str) -> float:
    value = values.get(name, 0.0)
    assert isinstance(value, float), name
    return value


TRANSLATORS: dict[str, Translator] = {
    "open_pbr_surface": Translator(
        {name: item.kind for name, item in INPUTS.items() if item.kind != "frame"},
        frozenset(name for name, item in INPUTS.items() if item.kind == "frame"),
        {},
        _openpbr,
    ),
    "standard_surface": Translator(
        {name: kind for name, (kind, _, _) in _STANDARD.items()},
        frozenset(("normal", "tangent", "coat_normal")),
        {target: name for name, (_, _, target) in _STANDARD.items() if target},
        _standard,
    ),
}


def translation_table() -> str:
    """How `standard_surface` is read, as a Markdown table with one line for each of its inputs."""
    lines = ["| standard_surface input | OpenPBR input | differs in |", "|---|---|---|"]
    for name, (_, _, target) in _STANDARD.items():
        becomes = f"`{target}`" if target else "none; noted unless it has its default"
        lines.append(f"| `{name}` | {becomes} | {_DIFFERENCES.get(name, '')} |")
    return "\n".join(lines) + "\n"


_DIFFERENCES = {
    "specular": "left out for metals, which it never scaled",
    "transmission_dispersion": "an Abbe number; also sets `transmission_dispersion_scale` to 1",
    "subsurface_radius": "brought to 1 at most, the rest goes into `subsurface_radius`",
    "sheen_roughness": "to the power of 0.4",
    "coat_affect_color": "0 by default: no darkening under the coat",
    "thin_film_thickness": "nanometers to micrometers; also sets `thin_film_weight` to 1",
    "opacity": "the mean of the three, noted if they differ",
}
