"""The grammar of materials: which combinations make sense, and the record of each.

A combination is a base, a finish, a condition and a color from `grammar_tables`. Its record follows
from its words and a seed alone. Every pattern takes its seed from the word that it belongs to:
rust lies in the same places on iron and on steel, and patterns of different words are unrelated.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from neuron_core.foundation.seeds import seed_of
from neuron_core.materials.grammar_tables import (
    BASES,
    COLORS,
    CONDITIONS,
    CONFLICTS,
    FINISHES,
    WEAR,
    Base,
    Category,
    Color,
    Condition,
    Conflict,
    Pattern,
    Shade,
)
from neuron_core.materials.openpbr import Value
from neuron_core.materials.record import Layer, Material, MaterialError, Tags, slug


@dataclass(frozen=True, slots=True)
class Combination:
    """Keys of the tables. A clean material has no condition, one of its own color no color."""

    base: str
    finish: str
    condition: str = ""
    color: str = ""

    @property
    def name(self) -> str:
        """The slug of its record: base, color, finish, condition."""
        return slug(" ".join(part for part in (self.base, self.color, self.finish, self.condition) if part))

    @property
    def category(self) -> Category:
        """What kind of thing it is."""
        return BASES[self.base].category


def combinations() -> tuple[Combination, ...]:
    """Every combination that makes sense, in the order of the tables."""
    return tuple(_by_name().values())


def find(name: str) -> Combination | None:
    """The combination of that slug, or of exactly those words in any order."""
    wanted = slug(name)
    if (exact := _by_name().get(wanted)) is not None:
        return exact
    return _by_words().get(" ".join(sorted(wanted.split("-"))))


def conflict_of(combination: Combination) -> Conflict | None:
    """The rule that the combination breaks, if it breaks one. Says nothing about its base's own lists."""
    return next((rule for rule in CONFLICTS if _breaks(combination, rule)), None)


def is_known(combination: Combination) -> bool:
    """Whether the grammar has it."""
    base = BASES.get(combination.base)
    if base is None or combination.finish not in base.finishes:
        return False
    return (
        combination.condition in (*base.conditions, "")
        and combination.color in (base.colors or ("",))
        and conflict_of(combination) is None
    )


def material_of(combination: Combination, seed: int = 0) -> Material:
    """The record of a combination. Raises MaterialError for one that the grammar does not have."""
    if not is_known(combination):
        raise MaterialError(
            f"The grammar has no {combination.name!r}.", "`--materials builtin:all` lists all that it has."
        )
    return _resolved(combination, seed)


@lru_cache(maxsize=4096)
def _resolved(combination: Combination, seed: int) -> Material:
    base, finish = BASES[combination.base], FINISHES[combination.finish]
    condition = CONDITIONS[combination.condition]
    clear = bool(base.values.get("transmission_weight", 0.0))
    color = _color(base, combination.color, clear)
    values: dict[str, Value] = {**base.values, "specular_roughness": finish.roughness}
    values["transmission_color" if clear else "base_color"] = color
    if base.values.get("coat_weight"):
        values["coat_roughness"] = finish.roughness
    if base.values.get("subsurface_weight"):
        values["subsurface_color"] = color
    parts = {
        f"base/{combination.base}": base.grain,
        f"finish/{combination.finish}": finish.patterns,
        f"condition/{_family(combination.condition)}": _happened(base, condition),
    }
    layers = [
        _layer(pattern, color, clear, f"{seed}/{word}/{index}")
        for word, patterns in parts.items()
        for index, pattern in enumerate(patterns)
    ]
    tags = Tags(combination.base, combination.finish, combination.condition, combination.color)
    return Material(combination.name, values, tuple(layers), tags)


def category_of(material: Material) -> Category:
    """The category of any record: by its base if the grammar has it, else by what it does to light."""
    if (base := BASES.get(material.tags.base)) is not None:
        return base.category
    if material.number("transmission_weight") > 0.5 or material.number("subsurface_weight") > 0.5:
        return "translucent"
    if material.number("base_metalness") > 0.5:
        return "metal"
    return "organic" if material.number("fuzz_weight") > 0.3 else "dielectric"


def _color(base: Base, name: str, clear: bool) -> Color:
    if not name:
        return base.color
    color = COLORS[name]
    if not clear:
        return color
    if name == "white":
        return (0.96, 0.985, 0.97)
    red, green, blue = (0.25 + 0.72 * part**0.5 for part in color)  # light passes two surfaces and more
    return red, green, blue


def _happened(base: Base, condition: Condition) -> tuple[Pattern, ...]:
    """The patterns of a condition on a base; those of wear reveal what lies below."""
    if not condition.worn:
        return condition.patterns
    return tuple(
        Pattern(
            pattern.kind,
            min(1.0, pattern.amount * condition.gain),
            pattern.scale,
            {**pattern.towards, **base.under} if pattern.kind in ("edges", "patches") else pattern.towards,
            pattern.role,
            pattern.softness,
        )
        for pattern in WEAR[base.wear]
    )


def _family(condition: str) -> str:
    """Degrees of one condition share their seeds: heavily worn is worn in the same places, and more."""
    return condition.removeprefix("slightly ").removeprefix("heavily ").removeprefix("soaking ")


def _layer(pattern: Pattern, color: Color, clear: bool, key: str) -> Layer:
    towards = _towards(pattern.towards, color, clear)
    return Layer(
        pattern.kind, pattern.amount, pattern.scale, seed_of(key), towards, pattern.role, pattern.softness
    )


def _towards(towards: Mapping[str, Value | Shade], color: Color, clear: bool) -> dict[str, Value]:
    """Shades as colors. What shades a clear body shades the light that passes it."""
    values: dict[str, Value] = {}
    for name, value in towards.items():
        if not isinstance(value, Shade):
            values[name] = value
        elif clear and name == "base_color":
            values["transmission_color"] = _shaded(Shade(0.5 + 0.5 * value.gain), color)
        else:
            values[name] = _shaded(value, color)
    return values


def _shaded(shade: Shade, color: Color) -> Color:
    red, green, blue = (
        min(1.0, part * shade.gain * (1.0 - shade.share) + target * shade.share)
        for part, target in zip(color, shade.towards, strict=True)
    )
    return red, green, blue


def _breaks(combination: Combination, rule: Conflict) -> bool:
    return all(
        not words or word in words
        for words, word in (
            (rule.finishes, combination.finish),
            (rule.conditions, combination.condition),
            (rule.bases, combination.base),
            (rule.colors, combination.color),
        )
    )


def _every() -> Iterator[Combination]:
    for name, base in BASES.items():
        for color in base.colors or ("",):
            for finish in base.finishes:
                for condition in dict.fromkeys(("", *base.conditions)):
                    yield Combination(name, finish, condition, color)


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Combination]:
    known = [combination for combination in _every() if conflict_of(combination) is None]
    return {combination.name: combination for combination in known}


@lru_cache(maxsize=1)
def _by_words() -> dict[str, Combination]:
    return {" ".join(sorted(re.split("-", name))): item for name, item in _by_name().items()}
