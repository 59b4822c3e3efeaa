"""The looks that the embedded prompt encoder learns from, and the words for them.

A look is a base with a finish, a condition, a color, and how strong the last two are. What a
prompt leaves out is read as the base's own finish and color, clean and of middling strength.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from neuron_core.materials import Layer, Material, Tags, builtin_materials, prompts
from neuron_core.materials.record import LayerKind, slug

Color = tuple[float, float, float]
Value = float | Color
Pick = Callable[[Sequence[str]], str]


def _w(words: str) -> tuple[str, ...]:
    return tuple(words.split(", "))


COLORS: dict[str, tuple[Color, tuple[str, ...]]] = {
    "white": ((0.80, 0.80, 0.78), _w("white, snow white, off white")),
    "grey": ((0.22, 0.22, 0.22), _w("grey, gray, neutral grey")),
    "black": ((0.022, 0.022, 0.024), _w("black, jet black, ebony black")),
    "red": ((0.52, 0.018, 0.015), _w("red, crimson, scarlet, bright red")),
    "orange": ((0.75, 0.17, 0.012), _w("orange, tangerine, amber orange")),
    "yellow": ((0.75, 0.52, 0.02), _w("yellow, lemon yellow, golden yellow")),
    "green": ((0.03, 0.26, 0.04), _w("green, emerald green, grass green")),
    "turquoise": ((0.02, 0.38, 0.36), _w("turquoise, teal, cyan, aqua")),
    "blue": ((0.02, 0.08, 0.50), _w("blue, cobalt blue, azure, deep blue")),
    "purple": ((0.18, 0.03, 0.36), _w("purple, violet, lilac")),
    "pink": ((0.70, 0.20, 0.34), _w("pink, rose, magenta")),
    "brown": ((0.14, 0.06, 0.025), _w("brown, chocolate brown, chestnut brown")),
    "beige": ((0.56, 0.42, 0.27), _w("beige, cream, tan, sand colored, sand coloured")),
}
SHADES: dict[str, tuple[float, tuple[str, ...]]] = {
    "dark": (0.3, _w("dark")),
    "": (1.0, ("",)),
    "light": (1.7, _w("light, pale")),
}
FINISHES: dict[str, tuple[str, ...]] = {
    "polished": _w(
        "polished, glossy, shiny, mirror polished, high gloss, gleaming, smooth and shiny, reflective, buffed"
    ),
    "satin": _w("satin, semi gloss, semi matte, silky, eggshell"),
    "matte": _w("matte, matt, dull, flat, non reflective, non glossy"),
    "brushed": _w("brushed, finely brushed, hairline brushed, machined"),
    "rough": _w("rough, coarse, uneven, unpolished, bumpy"),
    "hammered": _w("hammered, beaten, dented, dimpled"),
    "glazed": _w("glazed, glossy, enamelled, shiny, enameled, polished"),
    "grained": _w("grained, with a visible grain, with grain, veined, textured, grainy"),
    "clear": _w("clear, transparent, see through"),
    "frosted": _w("frosted, translucent, milky, sandblasted, blurry"),
}
CONDITIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # adjectives, and what can follow
    "clean": (
        _w("clean, new, pristine, spotless, brand new, factory new, flawless, fresh, unused, intact"),
        _w("in perfect condition, as new, in mint condition"),
    ),
    "worn": (
        _w("worn, weathered, aged, old, used, worn out, vintage, faded"),
        _w("with wear, showing wear, with worn edges, with signs of use"),
    ),
    "scratched": (
        _w("scratched, scuffed, scraped, scratchy, damaged"),
        _w("with scratches, covered in scratches, with scuff marks"),
    ),
    "dirty": (
        _w("dirty, grimy, dusty, soiled, filthy, muddy, stained, unclean"),
        _w("covered in dirt, with dirt, with dust, covered in dust, with stains"),
    ),
    "rusted": (
        _w("rusted, rusty, corroded, oxidized, oxidised"),
        _w("with rust, covered in rust, with rust spots"),
    ),
    "tarnished": (
        _w("tarnished, patinated, verdigris"),
        _w("with a patina, with patina, with verdigris"),
    ),
}
DEGREES: dict[str, tuple[float, tuple[str, ...]]] = {
    "slight": (0.45, _w("slightly, lightly, a little, a bit, barely")),
    "": (1.0, ("",)),
    "heavy": (1.7, _w("heavily, very, badly, extremely, strongly")),
}
_OF_METAL = _w("polished, satin, matte, brushed, rough, hammered")
_OF_PAINT = _w("polished, satin, matte")
_OF_STONE = _w("rough, polished, satin, matte, grained")
_ANY = _w("clean, worn, scratched, dirty")
_RUSTS = (*_ANY, "rusted")
_TARNISHES = (*_ANY, "tarnished")
_SOFT = _w("clean, worn, dirty")


@dataclass(frozen=True, slots=True)
class Base:
    """What a look is made of. The first finish and color are its own, which need no word."""

    words: tuple[str, ...]
    values: tuple[tuple[str, Value], ...]  # OpenPBR
    finishes: tuple[str, ...]
    conditions: tuple[str, ...] = _ANY
    colors: tuple[str, ...] = ("",)


def _metal(words: tuple[str, ...], color: Color, conditions: tuple[str, ...] = _ANY) -> Base:
    return Base(words, (("base_color", color), ("base_metalness", 1.0)), _OF_METAL, conditions)


def _natural(
    words: tuple[str, ...], color: Color, finishes: tuple[str, ...], conditions: tuple[str, ...]
) -> Base:
    return Base(words, (("base_color", color),), finishes, conditions)


def _colored(
    words: tuple[str, ...],
    first: str,
    finishes: tuple[str, ...],
    conditions: tuple[str, ...] = _ANY,
    values: tuple[tuple[str, Value], ...] = (),
) -> Base:
    return Base(words, values, finishes, conditions, (first, *(color for color in COLORS if color != first)))


_COAT: tuple[tuple[str, Value], ...] = (
    ("coat_weight", 1.0),
    ("coat_roughness", 0.05),
    ("coat_darkening", 0.0),
)
_FUZZ: tuple[tuple[str, Value], ...] = (("fuzz_weight", 0.8), ("fuzz_roughness", 0.5))
_GLASS: tuple[tuple[str, Value], ...] = (("base_weight", 0.0), ("transmission_weight", 1.0))
BASES: dict[str, Base] = {
    "gold": _metal(_w("gold, golden metal, solid gold"), (1.0, 0.766, 0.336)),
    "silver": _metal(_w("silver, silver metal, sterling silver"), (0.95, 0.93, 0.90), _TARNISHES),
    "copper": _metal(_w("copper, copper metal"), (0.955, 0.638, 0.538), _TARNISHES),
    "brass": _metal(_w("brass, brass metal"), (0.88, 0.70, 0.35), _TARNISHES),
    "bronze": _metal(_w("bronze, bronze metal"), (0.62, 0.40, 0.20), _TARNISHES),
    "iron": _metal(_w("iron, cast iron, wrought iron"), (0.36, 0.35, 0.35), _RUSTS),
    "steel": _metal(_w("steel, stainless steel, sheet metal, metal"), (0.56, 0.57, 0.58), _RUSTS),
    "aluminium": _metal(_w("aluminium, aluminum, alloy"), (0.91, 0.92, 0.92)),
    "chrome": _metal(_w("chrome, chromium, chrome plating"), (0.64, 0.66, 0.68)),
    "titanium": _metal(_w("titanium, titanium metal"), (0.44, 0.39, 0.35)),
    "ceramic": _colored(_w("ceramic, porcelain, china, earthenware"), "white", _w("glazed, satin, matte")),
    "plastic": _colored(
        _w("plastic, abs plastic, polymer, vinyl"), "grey", _w("satin, polished, matte, rough")
    ),
    "rubber": _colored(_w("rubber, silicone, latex"), "black", _w("matte, satin, rough"), _ANY),
    "car paint": _colored(
        _w("car paint, metallic paint, automotive paint, car lacquer"),
        "red",
        _OF_PAINT,
        values=(("base_metalness", 0.35), *_COAT),
    ),
    "paint": _colored(
        _w("paint, painted metal, painted surface, enamel paint"), "white", _w("satin, polished, matte")
    ),
    "glass": _colored(
        _w("glass, crystal, glassware"), "white", _w("clear, frosted"), _w("clean, scratched, dirty"), _GLASS
    ),
    "fabric": _colored(
        _w("fabric, cloth, cotton, textile, linen"), "beige", _w("matte, rough"), _SOFT, _FUZZ
    ),
    "velvet": _colored(_w("velvet, velour, plush"), "red", _w("matte, satin"), _SOFT, _FUZZ),
    "leather": _colored(
        _w("leather, hide, suede leather"), "brown", _w("satin, polished, matte, grained"), _ANY
    ),
    "wax": _colored(_w("wax, soap, paraffin"), "white", _w("satin, polished, matte"), _SOFT),
    "oak wood": _natural(
        _w("oak wood, oak, wood, timber"),
        (0.44, 0.26, 0.12),
        _w("grained, polished, satin, matte, rough"),
        _ANY,
    ),
    "walnut wood": _natural(
        _w("walnut wood, walnut, mahogany, dark wood"),
        (0.13, 0.060, 0.028),
        _w("grained, polished, satin, matte"),
        _ANY,
    ),
    "pine wood": _natural(
        _w("pine wood, pine, birch wood, light wood"),
        (0.66, 0.46, 0.25),
        _w("grained, polished, satin, matte"),
        _ANY,
    ),
    "marble": _natural(
        _w("marble, white marble, marble stone"),
        (0.78, 0.76, 0.73),
        _w("polished, grained, satin, rough"),
        _ANY,
    ),
    "granite": _natural(_w("granite, granite stone"), (0.20, 0.19, 0.19), _OF_STONE, _ANY),
    "sandstone": _natural(
        _w("sandstone, limestone, sand stone"), (0.52, 0.37, 0.21), _w("rough, matte, grained"), _SOFT
    ),
    "slate": _natural(_w("slate, basalt, dark stone"), (0.045, 0.050, 0.058), _OF_STONE, _ANY),
    "concrete": _natural(
        _w("concrete, cement, plaster"), (0.34, 0.33, 0.31), _w("rough, matte, satin"), _ANY
    ),
    "stone": _natural(_w("stone, rock"), (0.24, 0.22, 0.20), _OF_STONE, _ANY),
    "terracotta": _natural(
        _w("terracotta, clay, brick"), (0.44, 0.14, 0.065), _w("matte, glazed, rough"), _ANY
    ),
}
_ROUGHNESS = {
    "polished": 0.08,
    "satin": 0.30,
    "matte": 0.62,
    "brushed": 0.24,
    "rough": 0.70,
    "hammered": 0.16,
    "glazed": 0.12,
    "grained": 0.45,
    "clear": 0.02,
    "frosted": 0.40,
}


@dataclass(frozen=True, slots=True)
class Look:
    """Keys of the tables above. A clean look has no degree, a look without color no shade."""

    base: str
    finish: str
    condition: str = "clean"
    color: str = ""
    degree: str = ""
    shade: str = ""

    def name(self) -> str:
        """Unique among looks."""
        parts = (self.shade, self.color, self.base, self.finish, self.degree, self.condition)
        return slug(" ".join(part for part in parts if part))


def all_looks() -> Iterator[Look]:
    """Every combination that makes sense, in a fixed order."""
    for name, base in BASES.items():
        for color in base.colors:
            for finish in base.finishes:
                for condition in base.conditions:
                    for degree in DEGREES if condition != "clean" else ("",):
                        for shade in SHADES if color not in ("",) * 1 + _w("white, black") else ("",):
                            yield Look(name, finish, condition, color, degree, shade)


def material_of(look: Look) -> Material:
    """The record to render. Patterns are seeded by the look."""
    values: dict[str, Value] = dict(BASES[look.base].values)
    if look.color:
        gain = SHADES[look.shade][0]
        red, green, blue = (min(part * gain, 0.9) for part in COLORS[look.color][0])
        tint = (
            (red, green, blue)
            if look.base != "glass"
            else tuple(0.35 + 0.6 * part for part in (red, green, blue))
        )
        values["transmission_color" if look.base == "glass" else "base_color"] = tint  # type: ignore[assignment]
    values["specular_roughness"] = _ROUGHNESS[look.finish]
    seed = random.Random(look.name()).randrange(1 << 30)
    layers = (*_finish_layers(look, values, seed), *_condition_layers(look, seed + 10))
    tags = Tags(look.base, look.finish, "" if look.condition == "clean" else look.condition, look.color)
    return Material(look.name(), values, layers, tags)


def _finish_layers(look: Look, values: dict[str, Value], seed: int) -> tuple[Layer, ...]:
    darker = _scaled(values.get("base_color", (0.8, 0.8, 0.8)), 0.55)
    match look.finish:
        case "brushed":
            return (
                Layer(
                    "streaks",
                    0.9,
                    0.05,
                    seed,
                    {"specular_roughness": 0.5, "base_color": _scaled(darker, 1.4)},
                ),
            )
        case "rough":
            return (Layer("noise", 0.9, 0.06, seed, {"specular_roughness": 0.9, "base_color": darker}),)
        case "hammered":
            return (Layer("flakes", 0.5, 0.12, seed, {"specular_roughness": 0.35, "base_color": darker}),)
        case "grained":
            kind: LayerKind = "rings" if "wood" in look.base else "streaks"
            return (Layer(kind, 0.9, 0.08, seed, {"specular_roughness": 0.6, "base_color": darker}),)
    if "wood" in look.base:
        return (Layer("rings", 0.45, 0.08, seed, {"base_color": darker}),)
    if look.base in _w("granite, stone, concrete"):
        return (Layer("flakes", 0.4, 0.05, seed, {"base_color": darker}),)
    if look.base == "marble":
        return (Layer("streaks", 0.5, 0.2, seed, {"base_color": (0.30, 0.30, 0.32)}),)
    return ()


def _condition_layers(look: Look, seed: int) -> tuple[Layer, ...]:
    gain = DEGREES[look.degree][0]
    match look.condition:
        case "worn":
            pale: dict[str, Value] = {
                "base_color": (0.42, 0.38, 0.34),
                "specular_roughness": 0.55,
                "coat_weight": 0.0,
            }
            return (Layer("patches", min(0.35 * gain, 0.9), 0.22, seed, pale, "wear"),)
        case "scratched":
            bare: dict[str, Value] = {"base_color": (0.72, 0.72, 0.72), "specular_roughness": 0.65}
            return (Layer("flakes", min(0.25 * gain, 0.8), 0.035, seed, bare, "wear"),)
        case "dirty":
            dirt: dict[str, Value] = {
                "base_color": (0.075, 0.055, 0.035),
                "specular_roughness": 0.9,
                "base_metalness": 0.0,
                "coat_weight": 0.0,
                "transmission_weight": 0.0,
                "base_weight": 1.0,
            }
            return (Layer("noise", min(0.55 * gain, 0.95), 0.18, seed, dirt, "dirt"),)
        case "rusted":
            rust: dict[str, Value] = {
                "base_color": (0.27, 0.075, 0.022),
                "specular_roughness": 0.88,
                "base_metalness": 0.0,
            }
            return (Layer("patches", min(0.5 * gain, 0.95), 0.2, seed, rust, "wear"),)
        case "tarnished":
            green: dict[str, Value] = {
                "base_color": (0.10, 0.30, 0.22),
                "specular_roughness": 0.8,
                "base_metalness": 0.0,
            }
            return (Layer("patches", min(0.45 * gain, 0.95), 0.25, seed, green, "wear"),)
    return ()


def _scaled(color: Value, gain: float) -> Color:
    assert isinstance(color, tuple)
    red, green, blue = (min(part * gain, 1.0) for part in color)
    return red, green, blue


_BEFORE = (
    *("",) * 6,
    *_w("a, the, some, a photo of, a picture of, an image of, a render of, a rendering of, a sphere of"),
    *_w("a ball made of, an object made of, a shader ball in, a close up of, made of, a material like"),
    *_w("the surface of, a texture of, a 3d render of, it looks like, a piece of, something made from"),
)
_AFTER = (
    *("",) * 8,
    *_w("material, surface, under studio lighting, in soft light, on a white background, look, texture"),
    *_w("object, shader, in the sun, please, photographed up close, and nothing else"),
)
_FINISH_NOUNS = _w("finish, surface, look, sheen")


def every_phrase() -> Iterator[str]:
    """Texts that hold every word of every prompt."""
    for material in (*builtin_materials().values(), *(material_of(look) for look in _every_tag())):
        yield from prompts(material, 8, 0)
    yield from (*_BEFORE, *_AFTER, *_FINISH_NOUNS, ",", "-", "with a", "that is", "and", "in")
    for words in (*FINISHES.values(), *(base.words for base in BASES.values())):
        yield from words
    for before, after in CONDITIONS.values():
        yield from (*before, *after)
    for _, words in (*COLORS.values(), *SHADES.values(), *DEGREES.values()):
        yield from words


def canonical(look: Look) -> str:
    """The plainest prompt that leaves nothing out: base, finish, condition."""
    words = [" ".join(filter(None, (look.shade, look.color, look.base))), look.finish]
    degree = {"slight": "slightly", "heavy": "heavily"}.get(look.degree, "")
    return ", ".join([*words, " ".join(filter(None, (degree, look.condition)))])


def describe(look: Look, chance: random.Random) -> str:
    """One of many prompts for the look, lower case."""
    pick: Pick = chance.choice
    if _is_plain(look) and chance.random() < 0.25:
        return prompts(material_of(look), 1, chance.randrange(1 << 30))[0]
    base = BASES[look.base]
    noun = pick(base.words)
    color = _color_words(look, base, chance, pick)
    finish = "" if look.finish == base.finishes[0] and chance.random() < 0.25 else pick(FINISHES[look.finish])
    condition, follows = _condition_words(look, chance, pick)
    text = _arranged(noun, color, finish, condition, follows, chance)
    whole = " ".join(f"{chance.choice(_BEFORE)} {text} {chance.choice(_AFTER)}".replace(" ,", ",").split())
    return whole if chance.random() < 0.7 else _hyphenated(whole)


def _is_plain(look: Look) -> bool:
    """Whether its tags say everything about it."""
    return not look.degree and not look.shade


def _every_tag() -> Iterator[Look]:
    """Looks that differ from the usual one of their base in a single tag."""
    for name, base in BASES.items():
        for finish in base.finishes:
            yield Look(name, finish, color=base.colors[0])
        for condition in base.conditions:
            yield Look(name, base.finishes[0], condition, base.colors[0])
        for color in base.colors:
            yield Look(name, base.finishes[0], color=color)


def _hyphenated(text: str) -> str:
    for first in _w("mirror, high, semi, non, see, brand, factory, hairline, finely, jet, off, close, 3d"):
        text = text.replace(f"{first} ", f"{first}-")
    return text


def _color_words(look: Look, base: Base, chance: random.Random, pick: Pick) -> str:
    if not look.color or (look.color == base.colors[0] and not look.shade and chance.random() < 0.25):
        return ""
    return f"{pick(SHADES[look.shade][1])} {pick(COLORS[look.color][1])}".strip()


def _condition_words(look: Look, chance: random.Random, pick: Pick) -> tuple[str, bool]:
    """The words, and whether they can only follow the noun."""
    if look.condition == "clean" and chance.random() < 0.5:
        return "", False
    before, after = CONDITIONS[look.condition]
    if not look.degree and chance.random() < 0.3:
        return pick(after), True
    return f"{pick(DEGREES[look.degree][1])} {pick(before)}".strip(), False


def _arranged(
    noun: str, color: str, finish: str, condition: str, follows: bool, chance: random.Random
) -> str:
    colored = f"{color} {noun}"
    trailing = finish.startswith("with")
    form = chance.randrange(7)
    if follows or trailing:
        first, second = (finish, condition) if trailing else (condition, finish)
        if not trailing:
            return f"{second} {colored}{chance.choice((' ', ', '))}{first}"
        return f"{colored} {first}{_also(second)}" if follows else f"{second} {colored} {first}"
    match form:
        case 0:
            return f"{colored}{_also(finish)}{_also(condition)}"
        case 1:
            return f"{finish} {colored}{_also(condition)}"
        case 2:
            return f"{condition} {finish} {colored}"
        case 3:
            surface = chance.choice(_FINISH_NOUNS)
            return (
                f"{colored} with a {finish} {surface}{_also(condition)}"
                if finish
                else f"{colored}{_also(condition)}"
            )
        case 4:
            parts = [part for part in (finish, condition) if part]
            return f"{colored} that is {' and '.join(parts)}" if parts else colored
        case 5:
            return f"{noun}{_also(color)}{_also(condition)}{_also(finish)}"
    return f"{finish} {condition} {noun} in {color}" if color else f"{condition}{_also(finish) + ' '}{noun}"


def _also(words: str) -> str:
    return f", {words}" if words else ""
