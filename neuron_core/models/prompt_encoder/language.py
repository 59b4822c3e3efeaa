"""Free language for the combinations of the grammar of materials: what the prompt encoder learns from.

Prompts of the package begin with the base noun and keep to its words. People do not: here the same
tags come in any order, inside phrases, and with more words. What a prompt leaves out is read as
the base's own finish and color, clean.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from neuron_core.materials import builtin_materials, canonical_prompt, prompts
from neuron_core.materials.grammar import Combination, combinations, material_of
from neuron_core.materials.grammar_tables import BASES
from neuron_core.materials.wording import every_word, paraphrases
from neuron_core.materials.words import BASES as NOUNS
from neuron_core.materials.words import COLORS, CONDITIONS, FINISHES, Words

TAGS = ("base", "finish", "condition", "color")
Pick = Callable[[Sequence[str]], str]


def _w(words: str) -> tuple[str, ...]:
    return tuple(words.split(", "))


# Words beside those of the package, by the tag that they mean.
MORE_NOUNS: Mapping[str, tuple[str, ...]] = {
    "steel": _w("metal, sheet metal, stainless steel"),
    "aluminium": _w("alloy"),
    "plastic": _w("abs plastic, vinyl"),
    "rubber": _w("silicone"),
    "car paint": _w("metallic paint"),
    "painted metal": _w("paint, painted surface"),
    "granite": _w("stone, rock"),
    "slate": _w("basalt, dark stone"),
    "sandstone": _w("limestone"),
    "concrete": _w("plaster"),
    "terracotta": _w("clay, brick"),
    "oak wood": _w("wood, timber"),
    "walnut wood": _w("mahogany, dark wood"),
    "pine wood": _w("birch wood, light wood"),
    "leather": _w("hide, suede leather"),
    "fabric": _w("cotton, linen"),
    "glass": _w("glassware"),
    "wax": _w("soap"),
}
MORE_FINISHES: Mapping[str, tuple[str, ...]] = {
    "polished": _w("glossy, smooth and shiny, reflective, high gloss"),
    "satin": _w("semi matte, eggshell"),
    "matte": _w("matt, non reflective"),
    "rough": _w("unpolished, bumpy"),
    "hammered": _w("dented"),
    "glazed": _w("shiny, enameled"),
    "grained": _w("with a visible grain, with grain, textured"),
    "frosted": _w("translucent, milky"),
}
MORE_CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "": _w(
        "clean, new, pristine, spotless, brand new, flawless, fresh, unused, in perfect condition, as new"
    ),
    "worn": _w("old, vintage, faded, with wear, showing wear, with worn edges, with signs of use"),
    "slightly worn": _w("lightly worn, a little worn, barely worn"),
    "heavily worn": _w("very worn, badly worn, extremely worn, strongly worn"),
    "scratched": _w("scraped, damaged, with scratches, with scuff marks"),
    "dusty": _w("with dust"),
    "dirty": _w("soiled, muddy, unclean, covered in dirt, with dirt, with stains"),
    "slightly dirty": _w("lightly soiled, barely dirty, a bit dirty"),
    "heavily dirty": _w("very dirty, extremely dirty, covered in mud"),
    "rusted": _w("oxidized, oxidised, with rust, covered in rust, with rust spots"),
    "patinated": _w("verdigris, with verdigris, oxidized green"),
    "tarnished": _w("blackened, with tarnish"),
    "smudged": _w("with fingerprints, greasy, fingerprinted"),
    "wet": _w("moist, with water on it, rainy"),
    "soaking wet": _w("very wet, soaked, flooded with water"),
}
MORE_COLORS: Mapping[str, tuple[str, ...]] = {
    "red": _w("scarlet"),
    "orange": _w("amber orange"),
    "yellow": _w("golden yellow"),
    "green": _w("grass green"),
    "turquoise": _w("aqua"),
    "blue": _w("azure"),
    "purple": _w("lilac"),
    "brown": _w("chestnut brown"),
    "beige": _w("sand colored, sand coloured"),
}
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
    yield from every_word()
    for material in builtin_materials().values():
        yield from prompts(material, 8, 0)
    yield from (*_BEFORE, *_AFTER, *_FINISH_NOUNS, ",", "-", "with a", "that is", "and", "in")
    for table in (MORE_NOUNS, MORE_FINISHES, MORE_CONDITIONS, MORE_COLORS):
        for words in table.values():
            yield from words


def canonical(look: Combination) -> str:
    """The plainest prompt that leaves nothing out."""
    return canonical_prompt(material_of(look))


def describe(look: Combination, chance: random.Random) -> str:
    """One of many prompts for the look, lower case."""
    kind = chance.random()
    if kind < 0.2:
        return prompts(material_of(look), 1, chance.randrange(1 << 30))[0]
    if kind < 0.35:
        return paraphrases(material_of(look), 1, chance.randrange(1 << 30))[0]
    base, pick = BASES[look.base], chance.choice
    noun = pick(_words(NOUNS, MORE_NOUNS, look.base))
    leave_out = look.finish == base.finishes[0] and chance.random() < 0.25
    finish = "" if leave_out else pick(_words(FINISHES, MORE_FINISHES, look.finish))
    leave_out = base.colors[:1] == (look.color,) and chance.random() < 0.25
    color = "" if leave_out or not look.color else pick(_words(COLORS, MORE_COLORS, look.color))
    condition = _condition(look, chance)
    text = _arranged(noun, color, finish, condition, chance)
    whole = " ".join(f"{pick(_BEFORE)} {text} {pick(_AFTER)}".replace(" ,", ",").split())
    return whole if chance.random() < 0.7 else _hyphenated(whole)


def families_of(looks: Sequence[Combination]) -> list[list[Combination]]:
    """Groups with the same base and color, in the order of their first members."""
    groups: dict[tuple[str, str], list[Combination]] = {}
    for look in looks:
        groups.setdefault((look.base, look.color), []).append(look)
    return [group for group in groups.values() if len(group) > 1]


def all_looks() -> tuple[Combination, ...]:
    """The grammar."""
    return combinations()


def _words(table: Words, more: Mapping[str, tuple[str, ...]], tag: str) -> tuple[str, ...]:
    own = table.get(tag, (tag,) if tag else ())
    return (*own[:1], *own, *more.get(tag, ()))  # the tag itself twice


def _condition(look: Combination, chance: random.Random) -> str:
    if not look.condition and chance.random() < 0.5:
        return ""
    return chance.choice(_words(CONDITIONS, MORE_CONDITIONS, look.condition))


def _hyphenated(text: str) -> str:
    for first in _w("mirror, high, semi, non, see, brand, hairline, jet, off, close, 3d"):
        text = text.replace(f"{first} ", f"{first}-")
    return text


_FOLLOWING = _w("with, covered, full, in, as, showing, splashed, dripping, flooded, dulled")


def _follows(words: str) -> bool:
    """Whether a phrase can only stand behind the noun."""
    return words.split(" ")[0] in _FOLLOWING if words else False


def _arranged(noun: str, color: str, finish: str, condition: str, chance: random.Random) -> str:
    colored = f"{color} {noun}"
    before = [part for part in (finish, condition) if part and not _follows(part)]
    after = [part for part in (finish, condition) if _follows(part)]
    tail = f"{chance.choice((' ', ', '))}{' and '.join(after)}" if after else ""
    match chance.randrange(7):
        case 0:
            return f"{colored}{_also(finish)}{_also(condition)}"
        case 1:
            return f"{' '.join(before)} {colored}{tail}"
        case 2:
            return f"{' '.join(before[::-1])} {colored}{tail}"
        case 3 if finish and not _follows(finish):
            return f"{colored} with a {finish} {chance.choice(_FINISH_NOUNS)}{_also(condition)}"
        case 4 if before:
            return f"{colored} that is {' and '.join(before)}{tail}"
        case 5:
            return f"{noun}{_also(color)}{_also(condition)}{_also(finish)}"
    return f"{' '.join(before)} {noun} in {color}{tail}" if color else f"{', '.join(before)} {noun}{tail}"


def _also(words: str) -> str:
    return f", {words}" if words else ""
