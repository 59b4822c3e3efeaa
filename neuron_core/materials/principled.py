"""How an OpenPBR material becomes Mitsuba 3's `principled` plug-in, and what is lost.

Both models turn roughness r into a GGX width r^2, take colors as linear Rec.709 and treat the
base color of a metal as its reflectance at normal incidence. The table `MAPPING` holds one row
for every OpenPBR input; `docs/materials-mapping.md` is made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neuron_core.geometry.surroundings import Surroundings
from neuron_core.materials.openpbr import INPUTS, Value
from neuron_core.materials.procedural import evaluate, varying_parameters
from neuron_core.materials.record import Material

Status = Literal["exact", "approximate", "dropped", "unsupported"]

CLEARCOAT_WIDTHS = (0.1, 0.001)  # GTR1 widths at clearcoat_gloss 0 and 1
CLEARCOAT_F0 = 0.04  # fixed in the plug-in; its lobe reflects this much at normal incidence


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of one OpenPBR input."""

    status: Status
    target: str  # inputs of the plug-in that it reaches, comma separated
    how: str


@dataclass(frozen=True, slots=True)
class Principled:
    """The constants of a plug-in. Inputs named in `varying` need grids on top of them.

    `dropped` names every OpenPBR input that would change the picture and has no counterpart.
    If `supported` is false the picture would show another material; `notes` say why.
    """

    plugin: str
    values: Mapping[str, Value]
    varying: tuple[str, ...]
    dropped: tuple[str, ...]
    supported: bool
    transmissive: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """A dictionary for `mitsuba.load_dict`; replace the inputs in `varying` by grid textures."""
        values = self.values.items()
        colors = {name: {"type": "rgb", "value": list(v)} for name, v in values if isinstance(v, tuple)}
        return {"type": self.plugin, **self.values, **colors}


_NO_FILM = "The plug-in has no thin film: the colors of interference would be missing."
_NO_LIGHT = "The plug-in emits no light."
_NO_VOLUME = "The plug-in has no volume inside."
_NO_SUBSURFACE = "The plug-in has no subsurface scattering."
_NO_FRAME = "Only connections can set it, and these are not followed."
_NO_TANGENT = "Meshes carry no tangents; without them the direction would be arbitrary."

MAPPING: dict[str, Row] = {
    "base_weight": Row("exact", "base_color", "Multiplies base_color."),
    "base_color": Row("exact", "base_color", "Diffuse color, or a metal's reflectance at normal incidence."),
    "base_diffuse_roughness": Row("dropped", "", "The plug-in ties retro-reflection to roughness."),
    "base_metalness": Row("exact", "metallic", "The same blend."),
    "specular_weight": Row(
        "exact",
        "eta, base_color",
        "Scales the dielectric's F0 through eta, and the metal's base_color. Constant only.",
    ),
    "specular_color": Row(
        "dropped", "", "The plug-in tints towards base_color only; a metal's edge follows Schlick."
    ),
    "specular_roughness": Row(
        "exact",
        "roughness",
        "The same; under a coat on metal widened as OpenPBR does. Widths below 0.001 are clamped.",
    ),
    "specular_ior": Row("exact", "eta", "The same without a coat. Constant only."),
    "specular_roughness_anisotropy": Row("dropped", "", _NO_TANGENT),
    "transmission_weight": Row("exact", "spec_trans", "The same blend."),
    "transmission_color": Row(
        "approximate",
        "base_color",
        "Takes the place of base_color by transmission_weight. The plug-in applies its square root at "
        "each of the two surfaces of a body.",
    ),
    "transmission_depth": Row("dropped", "", f"{_NO_VOLUME} The tint does not grow with depth."),
    "transmission_scatter": Row("unsupported", "", f"{_NO_VOLUME} Milky media would be clear."),
    "transmission_scatter_anisotropy": Row("dropped", "", _NO_VOLUME),
    "transmission_dispersion_scale": Row("dropped", "", "Rendering is RGB, eta is one number."),
    "transmission_dispersion_abbe_number": Row("dropped", "", "Rendering is RGB, eta is one number."),
    "subsurface_weight": Row("unsupported", "", _NO_SUBSURFACE),
    "subsurface_color": Row("dropped", "", _NO_SUBSURFACE),
    "subsurface_radius": Row("dropped", "", _NO_SUBSURFACE),
    "subsurface_radius_scale": Row("dropped", "", _NO_SUBSURFACE),
    "subsurface_scatter_anisotropy": Row("dropped", "", _NO_SUBSURFACE),
    "fuzz_weight": Row("approximate", "sheen", "Disney's sheen in place of Zeltner's; none on metals."),
    "fuzz_color": Row("dropped", "", "The plug-in's sheen is white or tinted towards base_color."),
    "fuzz_roughness": Row("dropped", "", "The plug-in's sheen has one shape."),
    "coat_weight": Row(
        "approximate",
        "clearcoat, roughness, eta",
        "On a dielectric the main lobe becomes the coat's, because the base below it hardly reflects. On a "
        "metal clearcoat = coat_weight * F0(coat_ior) / 0.04: right at normal incidence (measured 0.036 for "
        "1), but this lobe fades towards grazing angles where a real coat brightens.",
    ),
    "coat_color": Row("approximate", "base_color", "Multiplies base_color by coat_weight."),
    "coat_roughness": Row(
        "approximate",
        "roughness, clearcoat_gloss",
        "roughness on a dielectric. On a metal clearcoat_gloss = (0.1 - w) / 0.099 with the GTR1 width w = "
        "coat_roughness^4: half of the energy lies within the same angle as under OpenPBR's GGX. Reached "
        "for coat_roughness 0.18 to 0.56, clamped outside; the tail is longer.",
    ),
    "coat_roughness_anisotropy": Row("dropped", "", "The plug-in's coat is isotropic."),
    "coat_ior": Row(
        "approximate",
        "eta, clearcoat, base_color",
        "eta on a dielectric, constant only; on a metal it scales clearcoat, to 2 at most.",
    ),
    "coat_darkening": Row(
        "approximate", "base_color", "Darkens it by OpenPBR's estimate of the reflections inside the coat."
    ),
    "thin_film_weight": Row("unsupported", "", _NO_FILM),
    "thin_film_thickness": Row("dropped", "", _NO_FILM),
    "thin_film_ior": Row("dropped", "", _NO_FILM),
    "emission_luminance": Row("unsupported", "", _NO_LIGHT),
    "emission_color": Row("dropped", "", _NO_LIGHT),
    "geometry_opacity": Row("unsupported", "", "The surface would be opaque: all looks share one G-buffer."),
    "geometry_thin_walled": Row(
        "unsupported", "", "A shell would be a solid body. Without transmission it changes nothing."
    ),
    "geometry_normal": Row("dropped", "", _NO_FRAME),
    "geometry_coat_normal": Row("dropped", "", _NO_FRAME),
    "geometry_tangent": Row("dropped", "", _NO_FRAME),
    "geometry_coat_tangent": Row("dropped", "", _NO_FRAME),
}

# The inputs of a lobe do nothing while what switches it on is zero.
_SWITCHES = {
    "subsurface_": "subsurface_weight",
    "fuzz_": "fuzz_weight",
    "coat_": "coat_weight",
    "thin_film_": "thin_film_weight",
    "emission_": "emission_luminance",
    "transmission_": "transmission_weight",
    "geometry_thin_walled": "transmission_weight",
}
_DIELECTRIC_ONLY = ("base_diffuse_roughness", "subsurface_", "transmission_", "fuzz_")
_CONSTANT_ONLY = ("specular_weight", "specular_ior")


def principled(material: Material) -> Principled:
    """The constants, what varies over the surface, and what is lost."""
    constants = {name: np.array([material.value(name)]) for name in _READ}
    values = {name: _plain(array) for name, array in _plugin_inputs(constants).items()}
    varying = _varying_inputs(material)
    unused = ["clearcoat_gloss"] if values["clearcoat"] == 0.0 and "clearcoat" not in varying else []
    unused += [name for name, v in values.items() if v == 0.0 and name not in (*varying, *_ALWAYS)]
    kept = {name: v for name, v in values.items() if name not in unused}
    dropped = tuple(name for name in INPUTS if _is_lost(material, name))
    unsupported = [name for name in dropped if MAPPING[name].status == "unsupported"]
    return Principled(
        plugin="principled",
        values={**kept, "eta": _eta(material)},
        varying=varying,
        dropped=dropped,
        supported=not unsupported,
        transmissive=_shows(material, "transmission_weight"),
        notes=tuple(f"{name}: {MAPPING[name].how}" for name in dropped),
    )


def varying_inputs(
    material: Material, points: np.ndarray, around: Surroundings | None = None
) -> dict[str, np.ndarray]:
    """The plug-in's inputs in `principled(material).varying` at points [N, 3] in object meters.

    Arrays are float32, [N, 3] for base_color and [N] for the others, ready for grid textures.
    """
    names = _varying_inputs(material)
    layered = evaluate(material, points, around) if names else {}
    values = {name: np.array([material.value(name)], np.float32) for name in _READ}
    inputs = _plugin_inputs({**values, **{name: layered[name] for name in layered if name in values}})
    count = len(points)
    shapes = {name: (count, 3) if name == "base_color" else (count,) for name in names}
    return {name: np.array(np.broadcast_to(inputs[name], shapes[name]), np.float32) for name in names}


def mapping_table() -> str:
    """`MAPPING` as a Markdown table, one line for each OpenPBR input."""
    lines = ["| OpenPBR input | becomes | `principled` input | how |", "|---|---|---|---|"]
    for name, row in MAPPING.items():
        target = ", ".join(f"`{part}`" for part in row.target.split(", ")) if row.target else ""
        lines.append(f"| `{name}` | {row.status} | {target} | {row.how} |")
    return "\n".join(lines) + "\n"


_ALWAYS = ("base_color", "roughness", "metallic")
_READ = (
    "base_weight",
    "base_color",
    "base_metalness",
    "specular_weight",
    "specular_roughness",
    "transmission_weight",
    "transmission_color",
    "fuzz_weight",
    "coat_weight",
    "coat_color",
    "coat_roughness",
    "coat_ior",
    "coat_darkening",
)
_READERS = {
    "base_color": tuple(n for n in _READ if n not in ("specular_roughness", "fuzz_weight", "coat_roughness")),
    "roughness": (
        "specular_roughness",
        "coat_weight",
        "coat_roughness",
        "base_metalness",
        "transmission_weight",
    ),
    "metallic": ("base_metalness",),
    "spec_trans": ("transmission_weight",),
    "sheen": ("fuzz_weight",),
    "clearcoat": ("coat_weight", "coat_ior", "base_metalness"),
    "clearcoat_gloss": ("coat_roughness",),
}


def _varying_inputs(material: Material) -> tuple[str, ...]:
    changed = {name for name in varying_parameters(material) if _shows(material, name)}
    coated = _shows(material, "coat_weight")
    return tuple(
        name
        for name, read in _READERS.items()
        if changed.intersection(read) and (coated or not name.startswith("clearcoat"))
    )


def _plugin_inputs(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """From inputs at N points to those of the plug-in; constants have N = 1 and broadcast."""
    on_metal = values["coat_weight"] * values["base_metalness"]
    return {
        "base_color": _base_color(values),
        "roughness": _roughness(values),
        "metallic": values["base_metalness"],
        "spec_trans": values["transmission_weight"],
        "sheen": values["fuzz_weight"],
        "clearcoat": on_metal * np.minimum(_f0(values["coat_ior"]) / CLEARCOAT_F0, 2.0),
        "clearcoat_gloss": _gloss(values["coat_roughness"]),
    }


def _base_color(values: Mapping[str, np.ndarray]) -> np.ndarray:
    metal = values["base_metalness"]
    specular = np.minimum(1.0 + metal * (values["specular_weight"] - 1.0), 1.0)
    color = values["base_color"] * (values["base_weight"] * specular)[..., None]
    clear = (values["transmission_weight"] * (1.0 - metal))[..., None]
    color = color + clear * (values["transmission_color"] - color)
    coat = values["coat_weight"]
    tint = 1.0 + coat[..., None] * (values["coat_color"] - 1.0)
    inside = 1.0 - (1.0 - _f0(values["coat_ior"])) / values["coat_ior"] ** 2
    inside = np.clip(inside, 0.0, 0.999)[..., None]
    darker = (1.0 - inside) / (1.0 - color * inside)
    darkening = 1.0 + (coat * values["coat_darkening"])[..., None] * (darker - 1.0)
    result: np.ndarray = np.clip(color * tint * darkening, 0.0, 1.0)
    return result


def _roughness(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The base's, widened by the coat above; the coat's own where the base is an opaque dielectric."""
    base, coat_roughness = values["specular_roughness"], values["coat_roughness"]
    coat = values["coat_weight"]
    widened = np.minimum(base**4 + 2.0 * coat_roughness**4, 1.0) ** 0.25
    opaque_dielectric = (1.0 - values["base_metalness"]) * (1.0 - values["transmission_weight"])
    below = base + coat * (widened - base)
    roughness: np.ndarray = below + coat * opaque_dielectric * (coat_roughness - below)
    return roughness


def _gloss(coat_roughness: np.ndarray) -> np.ndarray:
    widest, narrowest = CLEARCOAT_WIDTHS
    width: np.ndarray = np.clip(coat_roughness**4, narrowest, widest)
    return (widest - width) / (widest - narrowest)


def _f0(ior: np.ndarray) -> np.ndarray:
    root: np.ndarray = (ior - 1.0) / (ior + 1.0)
    return root**2


def _eta(material: Material) -> float:
    """The index whose F0 is the base's, or the coat's if there is one."""
    ior, weight = material.number("specular_ior"), material.number("specular_weight")
    coat = material.number("coat_weight") * (1.0 - material.number("transmission_weight"))
    if weight == 1.0 and coat == 0.0:
        return ior
    base = weight * ((ior - 1.0) / (ior + 1.0)) ** 2
    coat_ior = material.number("coat_ior")
    reflectance = base + coat * (((coat_ior - 1.0) / (coat_ior + 1.0)) ** 2 - base)
    root: float = min(reflectance, 0.99999) ** 0.5
    root = -root if ior < 1.0 and coat == 0.0 else root
    return (1.0 + root) / (1.0 - root)


def _plain(value: np.ndarray) -> Value:
    numbers = value.ravel().tolist()
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else float(numbers[0])


def _is_lost(material: Material, name: str) -> bool:
    if MAPPING[name].status in ("dropped", "unsupported"):
        return _differs(material, name) and _shows(material, name)
    return name in _CONSTANT_ONLY and name in varying_parameters(material)


def _differs(material: Material, name: str) -> bool:
    return any(value != INPUTS[name].default for value in _taken(material, name))


def _shows(material: Material, name: str) -> bool:
    """Whether the value of an input can be seen at all."""
    dielectric = any(value != 1.0 for value in _taken(material, "base_metalness"))
    if name.startswith(_DIELECTRIC_ONLY) and not dielectric:
        return False
    return all(
        any(value != 0.0 for value in _taken(material, switch))
        for prefix, switch in _SWITCHES.items()
        if name.startswith(prefix)
    )


def _taken(material: Material, name: str) -> list[Value]:
    """Every value between which an input varies."""
    return [
        material.value(name),
        *(layer.towards[name] for layer in material.layers if layer.amount > 0.0 and name in layer.towards),
    ]
