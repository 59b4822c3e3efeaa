"""The built-in library: nine materials that differ in kind.

Sizes fit an object of about one meter: no feature is smaller than 15 mm, so that small pictures
resolve it, and glossy materials vary slowly. Reflectances of metals are linear Rec.709 values at
normal incidence; dielectrics have an index of refraction near 1.5.
"""

from neuron_core.materials.openpbr import Value
from neuron_core.materials.record import Layer, Material, Tags

GOLD = (1.0, 0.766, 0.336)
COPPER = (0.955, 0.638, 0.538)
IRON = (0.562, 0.565, 0.578)


def builtin_materials() -> dict[str, Material]:
    """Every built-in material by its name, in a fixed order."""
    materials = (
        _polished_gold(),
        _brushed_copper(),
        _car_paint(),
        _white_ceramic(),
        _black_rubber(),
        _blue_plastic(),
        _oak_wood(),
        _rusted_iron(),
        _clear_glass(),
    )
    return {material.name: material for material in materials}


def _polished_gold() -> Material:
    parameters: dict[str, Value] = {"base_color": GOLD, "base_metalness": 1.0, "specular_roughness": 0.1}
    layers = (
        Layer("noise", 0.9, 0.22, 11, {"specular_roughness": 0.18, "base_color": (0.93, 0.62, 0.20)}),
        Layer("patches", 0.12, 0.16, 12, {"specular_roughness": 0.26}, "wear", 0.5),
    )
    return Material("polished-gold", parameters, layers, Tags("gold", "polished"))


def _brushed_copper() -> Material:
    parameters: dict[str, Value] = {"base_color": COPPER, "base_metalness": 1.0, "specular_roughness": 0.24}
    brown: dict[str, Value] = {"base_color": (0.40, 0.20, 0.13), "specular_roughness": 0.55}
    layers = (
        Layer("streaks", 1.0, 0.05, 21, {"specular_roughness": 0.48, "base_color": (0.62, 0.30, 0.20)}),
        Layer("patches", 0.30, 0.20, 22, brown, "wear", 0.5),
    )
    return Material("brushed-copper", parameters, layers, Tags("copper", "brushed", "worn"))


def _car_paint() -> Material:
    parameters: dict[str, Value] = {
        "base_color": (0.66, 0.035, 0.025),
        "specular_roughness": 0.35,
        "coat_weight": 1.0,
        "coat_roughness": 0.1,
        "coat_ior": 1.5,
    }
    layers = (
        Layer("noise", 0.7, 0.30, 31, {"base_color": (0.74, 0.10, 0.025)}),
        Layer("flakes", 0.6, 0.045, 32, {"base_color": (0.76, 0.10, 0.04)}),
    )
    return Material("car-paint", parameters, layers, Tags("car paint", color="red"))


def _white_ceramic() -> Material:
    parameters: dict[str, Value] = {
        "base_color": (0.80, 0.79, 0.76),
        "specular_roughness": 0.12,
        "specular_ior": 1.52,
    }
    layers = (
        Layer("noise", 0.6, 0.30, 41, {"base_color": (0.68, 0.65, 0.58), "specular_roughness": 0.20}),
        Layer("patches", 0.10, 0.12, 42, {"base_color": (0.62, 0.58, 0.50)}, "dirt", 0.3),
    )
    return Material("white-ceramic", parameters, layers, Tags("ceramic", "glazed", color="white"))


def _black_rubber() -> Material:
    parameters: dict[str, Value] = {
        "base_color": (0.022, 0.022, 0.024),
        "specular_roughness": 0.62,
        "specular_ior": 1.52,
    }
    dust: dict[str, Value] = {"base_color": (0.10, 0.095, 0.085), "specular_roughness": 0.85}
    layers = (
        Layer("noise", 0.8, 0.06, 51, {"specular_roughness": 0.78, "base_color": (0.035, 0.034, 0.035)}),
        Layer("patches", 0.25, 0.25, 52, dust, "dirt", 0.5),
    )
    return Material("black-rubber", parameters, layers, Tags("rubber", "matte", color="black"))


def _blue_plastic() -> Material:
    parameters: dict[str, Value] = {
        "base_color": (0.025, 0.10, 0.48),
        "specular_roughness": 0.48,
        "specular_ior": 1.49,
    }
    scuffed: dict[str, Value] = {"base_color": (0.08, 0.18, 0.54), "specular_roughness": 0.70}
    layers = (
        Layer("noise", 0.7, 0.12, 61, {"base_color": (0.035, 0.14, 0.56), "specular_roughness": 0.58}),
        Layer("patches", 0.15, 0.18, 62, scuffed, "wear", 0.4),
    )
    return Material("blue-plastic", parameters, layers, Tags("plastic", "matte", color="blue"))


def _oak_wood() -> Material:
    parameters: dict[str, Value] = {
        "base_color": (0.46, 0.27, 0.12),
        "specular_roughness": 0.48,
        "specular_ior": 1.5,
    }
    layers = (
        Layer("noise", 0.6, 0.35, 71, {"base_color": (0.38, 0.20, 0.085)}),
        Layer("rings", 0.85, 0.07, 72, {"base_color": (0.19, 0.085, 0.03), "specular_roughness": 0.62}),
    )
    return Material("oak-wood", parameters, layers, Tags("oak wood", "grained"))


def _rusted_iron() -> Material:
    parameters: dict[str, Value] = {"base_color": IRON, "base_metalness": 1.0, "specular_roughness": 0.34}
    rust: dict[str, Value] = {
        "base_color": (0.27, 0.075, 0.022),
        "base_metalness": 0.0,
        "specular_roughness": 0.88,
    }
    crust: dict[str, Value] = {**rust, "base_color": (0.12, 0.04, 0.018), "specular_roughness": 0.95}
    layers = (
        Layer("noise", 0.7, 0.10, 81, {"base_color": (0.36, 0.33, 0.31), "specular_roughness": 0.48}),
        Layer("patches", 0.5, 0.24, 82, rust, "wear"),
        Layer("patches", 0.25, 0.12, 83, crust, "wear", 0.4),
    )
    return Material("rusted-iron", parameters, layers, Tags("iron", "", "rusted"))


def _clear_glass() -> Material:
    parameters: dict[str, Value] = {
        "base_weight": 0.0,
        "specular_roughness": 0.02,
        "specular_ior": 1.5,
        "transmission_weight": 1.0,
        "transmission_color": (0.96, 0.985, 0.97),
    }
    layers = (Layer("noise", 0.5, 0.30, 91, {"specular_roughness": 0.06}),)
    return Material("clear-glass", parameters, layers, Tags("glass", "clear"))
