"""The grammar of materials as data: bases, finishes, conditions, colors, and what does not go together.

Colors are scene-linear Rec.709; reflectances of metals at normal incidence. Sizes of features are
in sides of the object, and none is smaller than a hundredth, so that small pictures resolve it.
What a table leaves open is filled in by `grammar`: a `Shade` follows the color of the material.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from neuron_core.materials.openpbr import Value
from neuron_core.materials.record import LayerKind, LayerRole

Category = Literal["metal", "dielectric", "organic", "translucent"]
Color = tuple[float, float, float]

CATEGORIES: tuple[Category, ...] = ("metal", "dielectric", "organic", "translucent")


@dataclass(frozen=True, slots=True)
class Shade:
    """A color made from that of the material: times `gain`, then `share` of the way to `towards`."""

    gain: float = 1.0
    towards: Color = (0.0, 0.0, 0.0)
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Pattern:
    """A layer without its seed. Amounts above 1 become 1 once a degree has scaled them."""

    kind: LayerKind
    amount: float
    scale: float
    towards: Mapping[str, Value | Shade]
    role: LayerRole = "surface"
    softness: float = 0.15


@dataclass(frozen=True, slots=True)
class Base:
    """What a material is made of.

    The first finish and the first color are its usual ones. `wear` names the row of WEAR that
    says what use does to it; `under` is what lies below the surface that wears off.
    """

    category: Category
    finishes: tuple[str, ...]
    conditions: tuple[str, ...]
    values: Mapping[str, Value] = field(default_factory=dict)
    color: Color = (0.8, 0.8, 0.8)  # where no color is named
    colors: tuple[str, ...] = ()
    grain: tuple[Pattern, ...] = ()
    wear: str = "chipped"
    under: Mapping[str, Value | Shade] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finish:
    """How smooth a surface was made, and the marks of its making."""

    roughness: float
    patterns: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """What happened to a surface: patterns and how strong each degree shows them.

    `axis` is the slider that it belongs to, `level` how far along it; the patterns of wear are
    those of the base.
    """

    patterns: tuple[Pattern, ...]
    axis: str = ""
    level: float = 0.0
    gain: float = 1.0
    worn: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """Words that do not go together; an empty tuple means any."""

    finishes: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


COLORS: dict[str, Color] = {
    "white": (0.80, 0.80, 0.78),
    "grey": (0.22, 0.22, 0.22),
    "black": (0.020, 0.020, 0.022),
    "red": (0.55, 0.018, 0.015),
    "orange": (0.78, 0.19, 0.012),
    "yellow": (0.78, 0.55, 0.02),
    "green": (0.035, 0.28, 0.05),
    "turquoise": (0.02, 0.40, 0.37),
    "blue": (0.018, 0.075, 0.50),
    "purple": (0.18, 0.03, 0.38),
    "pink": (0.75, 0.22, 0.36),
    "brown": (0.14, 0.060, 0.025),
    "beige": (0.58, 0.44, 0.29),
}

# ---- patterns that several rows share

DARK: Shade = Shade(0.5)
DUST: dict[str, Value | Shade] = {
    "base_color": (0.34, 0.31, 0.27),
    "specular_roughness": 0.95,
    "base_metalness": 0.0,
    "coat_weight": 0.0,
    "transmission_weight": 0.0,
    "base_weight": 1.0,
}
DIRT: dict[str, Value | Shade] = {**DUST, "base_color": (0.070, 0.050, 0.030)}
RUST: dict[str, Value | Shade] = {
    "base_color": (0.27, 0.075, 0.022),
    "base_metalness": 0.0,
    "specular_roughness": 0.88,
    "coat_weight": 0.0,
}
CRUST: dict[str, Value | Shade] = {**RUST, "base_color": (0.11, 0.038, 0.016), "specular_roughness": 0.95}
VERDIGRIS: dict[str, Value | Shade] = {
    "base_color": (0.16, 0.36, 0.28),
    "base_metalness": 0.0,
    "specular_roughness": 0.85,
}
TARNISH: dict[str, Value | Shade] = {"base_color": Shade(0.28), "specular_roughness": 0.55}
WATER: dict[str, Value | Shade] = {"base_color": Shade(0.5), "specular_roughness": 0.06}
SCRATCH: dict[str, Value | Shade] = {"base_color": Shade(0.75, (0.62, 0.60, 0.57), 0.35)}

FLECKS = Pattern("flakes", 0.45, 0.030, {"base_color": Shade(0.35)})
SPECKS = Pattern("flakes", 0.40, 0.024, {"base_color": Shade(1.6, (0.75, 0.72, 0.68), 0.3)})
CLOUDS = Pattern("noise", 0.5, 0.20, {"base_color": Shade(0.72)})
YEAR_RINGS = Pattern("rings", 0.95, 0.055, {"base_color": Shade(0.34), "specular_roughness": 0.62})
WOOD_CLOUDS = Pattern("noise", 0.6, 0.35, {"base_color": Shade(0.80)})
THREADS = Pattern("weave", 0.95, 0.030, {"base_color": Shade(0.42), "specular_roughness": 0.95})
NAP = Pattern("noise", 0.8, 0.05, {"base_color": Shade(0.55)})
CREASES = Pattern("veins", 0.75, 0.055, {"base_color": Shade(0.55), "specular_roughness": 0.7}, softness=0.3)

# ---- what use does, by kind of surface; the gain of the degree scales every amount

WEAR: dict[str, tuple[Pattern, ...]] = {
    "metal": (
        Pattern(
            "patches",
            0.34,
            0.20,
            {"base_color": Shade(0.42), "specular_roughness": 0.5},
            "wear",
            softness=0.5,
        ),
        Pattern(
            "edges",
            0.62,
            0.10,
            {"base_color": Shade(1.15), "specular_roughness": 0.22},
            "wear",
            softness=0.3,
        ),
        Pattern("scratches", 0.40, 0.125, {"specular_roughness": 0.65, **SCRATCH}, "wear"),
    ),
    "painted": (
        Pattern("noise", 0.45, 0.25, {"base_color": Shade(0.9, (0.5, 0.48, 0.45), 0.18)}, "wear"),
        Pattern("edges", 0.70, 0.09, {}, "wear", softness=0.12),
        Pattern("patches", 0.16, 0.13, {}, "wear", softness=0.08),
    ),
    "chipped": (
        Pattern("noise", 0.5, 0.22, {"base_color": Shade(0.8, (0.35, 0.32, 0.28), 0.2)}, "wear"),
        Pattern("edges", 0.68, 0.09, {"specular_roughness": 0.8}, "wear", softness=0.15),
        Pattern("veins", 0.30, 0.30, {"base_color": Shade(0.4)}, "wear", softness=0.08),
    ),
    "soft": (
        Pattern(
            "patches",
            0.36,
            0.20,
            {"base_color": Shade(1.1, (0.45, 0.42, 0.38), 0.35), "specular_roughness": 0.75},
            "wear",
            softness=0.5,
        ),
        Pattern(
            "edges", 0.66, 0.12, {"base_color": Shade(1.2, (0.52, 0.46, 0.38), 0.4)}, "wear", softness=0.4
        ),
        Pattern("veins", 0.40, 0.15, {"base_color": Shade(0.45)}, "wear", softness=0.15),
    ),
    "wood": (
        Pattern(
            "noise",
            0.7,
            0.24,
            {"base_color": Shade(0.8, (0.30, 0.27, 0.23), 0.45), "specular_roughness": 0.8},
            "wear",
        ),
        Pattern(
            "edges", 0.68, 0.10, {"base_color": Shade(1.3, (0.5, 0.42, 0.32), 0.4)}, "wear", softness=0.3
        ),
        Pattern("scratches", 0.35, 0.15, {"base_color": Shade(0.4)}, "wear"),
    ),
    "clear": (
        Pattern("noise", 0.5, 0.25, {"specular_roughness": 0.35}, "wear"),
        Pattern("edges", 0.7, 0.10, {"specular_roughness": 0.6}, "wear", softness=0.3),
        Pattern("scratches", 0.5, 0.13, {"specular_roughness": 0.7}, "wear"),
    ),
}

CONDITIONS: dict[str, Condition] = {
    "": Condition(()),
    "slightly worn": Condition((), "wear", 1 / 3, 0.62, worn=True),
    "worn": Condition((), "wear", 2 / 3, 1.0, worn=True),
    "heavily worn": Condition((), "wear", 1.0, 1.28, worn=True),
    "scratched": Condition(
        (
            Pattern("scratches", 0.90, 0.115, {"specular_roughness": 0.7, **SCRATCH}, "wear"),
            Pattern("scratches", 0.60, 0.17, {"specular_roughness": 0.6, "base_color": Shade(0.6)}, "wear"),
        )
    ),
    "dusty": Condition(
        (
            Pattern("noise", 0.25, 0.20, DUST, "dirt"),
            Pattern("settled", 0.80, 0.14, DUST, "dirt", 0.5),
        )
    ),
    "slightly dirty": Condition(
        (
            Pattern("cavities", 0.50, 0.12, DIRT, "dirt", 0.4),
            Pattern("patches", 0.12, 0.16, DIRT, "dirt", 0.4),
        ),
        "dirt",
        1 / 3,
    ),
    "dirty": Condition(
        (
            Pattern("noise", 0.28, 0.20, DIRT, "dirt"),
            Pattern("cavities", 0.75, 0.12, DIRT, "dirt", 0.4),
            Pattern("patches", 0.26, 0.16, DIRT, "dirt", 0.4),
        ),
        "dirt",
        2 / 3,
    ),
    "heavily dirty": Condition(
        (
            Pattern("noise", 0.50, 0.20, DIRT, "dirt"),
            Pattern("cavities", 0.95, 0.12, DIRT, "dirt", 0.4),
            Pattern("patches", 0.44, 0.16, DIRT, "dirt", 0.4),
        ),
        "dirt",
        1.0,
    ),
    "rusted": Condition(
        (
            Pattern("patches", 0.46, 0.24, RUST, "wear"),
            Pattern("runs", 0.30, 0.10, {"base_color": (0.32, 0.13, 0.05)}, "wear", 0.4),
            Pattern("patches", 0.24, 0.12, CRUST, "wear", 0.4),
        )
    ),
    "patinated": Condition(
        (
            Pattern("noise", 0.7, 0.22, TARNISH, "wear"),
            Pattern("cavities", 0.80, 0.14, VERDIGRIS, "wear", 0.4),
            Pattern("patches", 0.30, 0.20, VERDIGRIS, "wear", 0.4),
        )
    ),
    "tarnished": Condition(
        (
            Pattern("noise", 0.95, 0.24, TARNISH, "wear"),
            Pattern(
                "cavities", 0.8, 0.14, {"base_color": Shade(0.10), "specular_roughness": 0.6}, "wear", 0.4
            ),
        )
    ),
    "smudged": Condition(
        (
            Pattern("prints", 0.55, 0.20, {"specular_roughness": 0.52, "base_color": Shade(0.75)}, "dirt"),
            Pattern("noise", 0.35, 0.25, {"specular_roughness": 0.4}, "dirt"),
        )
    ),
    "wet": Condition(
        (
            Pattern("patches", 0.55, 0.26, WATER, "wet", 0.3),
            Pattern("flakes", 0.65, 0.055, WATER, "wet"),
        ),
        "wetness",
        0.6,
    ),
    "soaking wet": Condition(
        (
            Pattern("patches", 0.95, 0.30, WATER, "wet", 0.3),
            Pattern("runs", 0.45, 0.09, {"base_color": Shade(0.35), "specular_roughness": 0.04}, "wet", 0.3),
        ),
        "wetness",
        1.0,
    ),
}

AXES: tuple[str, ...] = ("wear", "dirt", "wetness")

FINISHES: dict[str, Finish] = {
    "polished": Finish(0.09, (Pattern("noise", 0.6, 0.28, {"specular_roughness": 0.16}),)),
    "satin": Finish(0.30, (Pattern("noise", 0.6, 0.14, {"specular_roughness": 0.38}),)),
    "matte": Finish(0.62, (Pattern("noise", 0.6, 0.07, {"specular_roughness": 0.74}),)),
    "brushed": Finish(
        0.24, (Pattern("streaks", 1.0, 0.05, {"specular_roughness": 0.5, "base_color": Shade(0.66)}),)
    ),
    "hammered": Finish(
        0.15, (Pattern("flakes", 1.0, 0.10, {"specular_roughness": 0.46, "base_color": Shade(0.45)}),)
    ),
    "rough": Finish(
        0.70, (Pattern("noise", 0.9, 0.045, {"specular_roughness": 0.92, "base_color": Shade(0.58)}),)
    ),
    "glazed": Finish(
        0.12,
        (Pattern("noise", 0.6, 0.30, {"specular_roughness": 0.2, "base_color": Shade(0.86)}),),
    ),
    "grained": Finish(0.46, (Pattern("noise", 0.5, 0.10, {"specular_roughness": 0.58}),)),
    "clear": Finish(0.02, (Pattern("noise", 0.5, 0.30, {"specular_roughness": 0.06}),)),
    "frosted": Finish(0.42, (Pattern("noise", 0.6, 0.12, {"specular_roughness": 0.55}),)),
}

# ---- bases

_USED = _words("slightly worn, worn, heavily worn")
_SOILED = _words("slightly dirty, dirty, heavily dirty")
_METAL_FINISHES = _words("polished, satin, brushed, hammered, rough")
_METAL: tuple[str, ...] = ("", *_USED, "scratched", "dusty", *_SOILED, "smudged", "wet")
_HARD: tuple[str, ...] = ("", *_USED, "scratched", "dusty", "dirty", "wet")
_STONE: tuple[str, ...] = ("", *_USED, "dusty", *_SOILED, "wet", "soaking wet")
_SOFT: tuple[str, ...] = ("", *_USED, "dusty", "dirty", "wet")
_WOOD: tuple[str, ...] = ("", *_USED, "scratched", "dusty", "dirty", "wet", "soaking wet")
_CLEAR: tuple[str, ...] = ("", "scratched", "dusty", *_SOILED, "smudged", "wet")
_FUZZY: dict[str, Value] = {"fuzz_weight": 0.8, "fuzz_roughness": 0.5}
_COATED: dict[str, Value] = {"coat_weight": 1.0, "coat_roughness": 0.1, "coat_ior": 1.5}
_GLASS: dict[str, Value] = {"base_weight": 0.0, "transmission_weight": 1.0}
_SCATTERING: dict[str, Value] = {"subsurface_weight": 0.8}
_BARE_STEEL: dict[str, Value | Shade] = {
    "base_color": (0.42, 0.41, 0.40),
    "base_metalness": 1.0,
    "specular_roughness": 0.4,
    "coat_weight": 0.0,
}
_PALE: dict[str, Value | Shade] = {"base_color": Shade(1.0, (0.70, 0.66, 0.58), 0.55)}


def _metal(color: Color, *more: str) -> Base:
    return Base("metal", _METAL_FINISHES, (*_METAL, *more), {"base_metalness": 1.0}, color, wear="metal")


def _stone(color: Color, finishes: str, *grain: Pattern) -> Base:
    return Base("dielectric", _words(finishes), _STONE, {}, color, (), grain, "chipped", _PALE)


def _wood(color: Color, *grain: Pattern) -> Base:
    return Base("organic", _words("grained, polished, matte"), _WOOD, {}, color, (), grain, "wood")


BASES: dict[str, Base] = {
    "gold": _metal((1.0, 0.766, 0.336)),
    "rose gold": _metal((0.96, 0.62, 0.48)),
    "silver": _metal((0.96, 0.94, 0.90), "tarnished"),
    "copper": _metal((0.88, 0.47, 0.33), "patinated"),
    "brass": _metal((0.80, 0.62, 0.26), "patinated"),
    "bronze": _metal((0.52, 0.33, 0.16), "patinated"),
    "iron": _metal((0.27, 0.265, 0.26), "rusted"),
    "steel": _metal((0.50, 0.51, 0.53), "rusted"),
    "aluminium": _metal((0.80, 0.82, 0.85)),
    "chrome": _metal((0.62, 0.68, 0.76)),
    "titanium": _metal((0.44, 0.38, 0.33)),
    "gunmetal": _metal((0.085, 0.095, 0.115)),
    "ceramic": Base(
        "dielectric", _words("glazed, satin, matte"), _HARD, {"specular_ior": 1.52},
        colors=("white", *_words("black, red, yellow, turquoise, blue")), under=_PALE,
    ),
    "plastic": Base(
        "dielectric", _words("satin, polished, matte"), _HARD, {"specular_ior": 1.49},
        colors=("grey", *_words("white, black, red, orange, green, blue, pink")), wear="soft",
    ),
    "rubber": Base(
        "dielectric", _words("matte, satin, rough"), _HARD, {"specular_ior": 1.52},
        colors=("black", *_words("grey, red, yellow, blue")), wear="soft",
    ),
    "car paint": Base(
        "dielectric", _words("polished, satin"), (*_HARD, "smudged"), _COATED,
        colors=("red", *_words("white, grey, black, yellow, blue, purple")),
        grain=(Pattern("flakes", 0.6, 0.04, {"base_color": Shade(1.5)}),), wear="painted", under=_BARE_STEEL,
    ),
    "painted metal": Base(
        "dielectric", _words("satin, polished, matte"), (*_HARD, "rusted"),
        colors=("white", *_words("black, red, yellow, green, blue")), wear="painted", under=_BARE_STEEL,
    ),
    "marble": _stone(
        (0.78, 0.76, 0.73), "polished, satin, rough",
        Pattern("veins", 0.85, 0.26, {"base_color": (0.20, 0.20, 0.22)}, softness=0.16),
    ),
    "granite": _stone((0.30, 0.27, 0.26), "polished, rough", FLECKS, SPECKS),
    "sandstone": _stone(
        (0.56, 0.38, 0.20), "rough, matte",
        Pattern("rings", 0.55, 0.12, {"base_color": Shade(0.66, (0.5, 0.2, 0.1), 0.2)}),
    ),
    "slate": _stone((0.050, 0.056, 0.066), "rough, satin", CLOUDS),
    "concrete": _stone((0.36, 0.35, 0.33), "rough, matte", CLOUDS, FLECKS),
    "terracotta": _stone((0.48, 0.15, 0.065), "matte, glazed, rough", CLOUDS),
    "obsidian": replace(
        _stone((0.008, 0.008, 0.010), "polished, satin"),
        under={"base_color": (0.075, 0.078, 0.085), "specular_roughness": 0.5},
    ),
    "oak wood": _wood((0.42, 0.235, 0.095), WOOD_CLOUDS, YEAR_RINGS),
    "walnut wood": _wood((0.15, 0.068, 0.030), WOOD_CLOUDS, YEAR_RINGS),
    "pine wood": _wood((0.70, 0.50, 0.27), WOOD_CLOUDS, YEAR_RINGS),
    "cork": Base(
        "organic", _words("matte, rough"), _SOFT, {}, (0.48, 0.28, 0.14), (), (FLECKS, SPECKS), "wood"
    ),
    "leather": Base(
        "organic", _words("satin, polished, matte"), (*_SOFT, "scratched"),
        colors=("brown", *_words("black, red, white, green")), grain=(CREASES,), wear="soft",
    ),
    "fabric": Base(
        "organic", _words("matte, rough"), (*_SOFT, "soaking wet"), _FUZZY,
        colors=("beige", *_words("white, grey, red, turquoise, blue")), grain=(THREADS,), wear="soft",
    ),
    "velvet": Base(
        "organic", _words("matte, satin"), _SOFT, _FUZZY,
        colors=("red", *_words("black, green, purple")), grain=(NAP,), wear="soft",
    ),
    "ivory": Base(
        "organic", _words("satin, polished"), _HARD, {}, (0.76, 0.66, 0.48), (), (CLOUDS,), "chipped"
    ),
    "glass": Base(
        "translucent", _words("clear, frosted"), _CLEAR, {"specular_ior": 1.5, **_GLASS},
        colors=("white", *_words("red, yellow, green, blue")), wear="clear",
    ),
    "amber": Base(
        "translucent", _words("clear, frosted"), _CLEAR, {"specular_ior": 1.54, **_GLASS},
        (0.90, 0.42, 0.06), (),
        (Pattern("patches", 0.10, 0.10, {"transmission_color": (0.30, 0.09, 0.01)}, softness=0.4),), "clear",
    ),
    "ice": Base(
        "translucent", _words("clear, frosted"), ("", "scratched", "dusty", "dirty", "wet"),
        {"specular_ior": 1.31, **_GLASS}, (0.84, 0.93, 0.97), (),
        (Pattern("veins", 0.6, 0.22, {"specular_roughness": 0.5}, softness=0.12),), "clear",
    ),
    "wax": Base(
        "translucent", _words("satin, matte"), _words("worn, dusty, dirty"),
        {**_SCATTERING, "subsurface_radius": 0.02},
        colors=("white", *_words("red, yellow, green")), wear="soft",
    ),
    "skin": Base(
        "translucent", _words("satin, matte"), _words("dirty, wet"),
        {**_SCATTERING, "subsurface_radius": 0.01}, (0.52, 0.28, 0.19), (), (CLOUDS,), "soft",
    ),
    "jade": Base(
        "translucent", _words("polished, satin"), _words("worn, scratched, dusty, dirty"),
        {**_SCATTERING, "subsurface_radius": 0.02}, (0.16, 0.42, 0.22), (), (CLOUDS,), "chipped",
    ),
}  # fmt: skip

CONFLICTS: tuple[Conflict, ...] = (
    # Fingers leave marks only where a surface was smooth, water films only where it is not a mirror.
    Conflict(finishes=("rough", "matte", "frosted", "hammered", "brushed"), conditions=("smudged",)),
    Conflict(finishes=("polished", "hammered"), conditions=("rusted",)),
    Conflict(finishes=("polished",), conditions=("wet", "soaking wet")),
    Conflict(finishes=("rough",), conditions=("scratched",)),
    Conflict(
        finishes=("polished",), conditions=("heavily worn",), bases=_words("oak wood, walnut wood, pine wood")
    ),
    Conflict(finishes=("glazed",), conditions=("soaking wet",)),
    Conflict(bases=("gunmetal",), finishes=("hammered",)),
    Conflict(bases=("chrome",), finishes=("hammered", "rough")),
    Conflict(bases=("velvet",), conditions=("wet",)),
    Conflict(bases=("rubber",), finishes=("rough",), conditions=("dusty",)),
    Conflict(colors=("black",), conditions=_SOILED, bases=("rubber", "velvet")),
)  # fmt: skip
