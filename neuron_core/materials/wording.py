"""Words for materials: prompts from tags, and tags from names.

Every prompt begins with the base noun. What is chosen is a function of the material's name, the
seed and the index alone.
"""

import random
import re
from collections.abc import Sequence

from neuron_core.materials.record import Material, Tags, slug

_BASES = {
    "gold": ("gold", "gold metal", "solid gold"),
    "copper": ("copper", "copper metal", "solid copper"),
    "iron": ("iron", "iron metal", "cast iron"),
    "silver": ("silver", "silver metal"),
    "aluminium": ("aluminium", "aluminum"),
    "car paint": ("car paint", "automotive paint", "car lacquer"),
    "ceramic": ("ceramic", "porcelain", "ceramic material"),
    "rubber": ("rubber", "rubber material", "hard rubber"),
    "plastic": ("plastic", "molded plastic", "plastic material"),
    "oak wood": ("oak wood", "oak", "oak timber"),
    "glass": ("glass", "glass material", "solid glass"),
}
_FINISHES = {
    "polished": ("polished", "mirror-polished", "shiny", "buffed"),
    "brushed": ("brushed", "hairline-brushed", "satin-brushed"),
    "matte": ("matte", "non-glossy", "flat"),
    "glossy": ("glossy", "shiny"),
    "glazed": ("glazed", "glossy"),
    "satin": ("satin", "semi-gloss"),
    "rough": ("rough", "coarse"),
    "metallic": ("metallic",),
    "frosted": ("frosted", "blurry"),
    "clear": ("clear", "transparent", "see-through"),
    "grained": ("grained", "visibly grained", "grainy"),
}
_CONDITIONS = {
    "worn": ("worn", "weathered", "aged", "used"),
    "rusted": ("rusted", "rusty", "corroded"),
    "dirty": ("dirty", "stained", "grimy"),
    "dusty": ("dusty", "covered in dust"),
    "scratched": ("scratched", "scuffed"),
    "new": ("new", "pristine"),
}
_COLORS = {
    "red": ("red", "bright red"),
    "blue": ("blue", "deep blue"),
    "white": ("white", "off-white"),
    "black": ("black", "jet-black"),
    "green": ("green",),
    "yellow": ("yellow",),
    "orange": ("orange",),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rose"),
    "brown": ("brown",),
    "grey": ("grey", "gray"),
    "gray": ("gray", "grey"),
}
_NOISE_WORDS = frozenset(
    "mtlx mtl mat material materialx openpbr pbr open surface standard shader sg sss usd tx lib".split()
)
_SMALL_WORDS = frozenset("a an and by in is its of that the with which".split())

# {base} comes first. {words} are adjectives, "red, worn"; {and_words} the same, "red and worn".
_FORMS = (
    "{base}, {words}",
    "{base} that is {and_words}",
    "{base} surface, {words}",
    "{base} object, {words}",
    "{base}, looking {and_words}",
    "{base} which is {and_words}",
    "{base}, {words} all over",
    "{base} shader ball, {words}",
)
_BARE_FORMS = (
    "{base}",
    "{base} surface",
    "{base} object",
    "{base}, plain",
    "{base} shader ball",
    "{base}, up close",
    "{base} on a ball",
)
_TRIES = 40


def canonical_prompt(material: Material) -> str:
    """The plain prompt: base noun, color, finish, condition, like "copper, brushed, worn"."""
    tags = material.tags
    return ", ".join(part for part in (_base(material), tags.color, tags.finish, tags.condition) if part)


def prompts(material: Material, count: int, seed: int) -> list[str]:
    """`count` ways to ask for a material, distinct as long as there are enough; never a word twice."""
    chosen: list[str] = []
    for index in range(count):
        attempts = (_written(material, f"{seed}/{material.name}/{index}/{n}") for n in range(_TRIES))
        fresh = next((text for text in attempts if text not in chosen), None)
        chosen.append(fresh or _written(material, f"{seed}/{material.name}/{index}"))
    return chosen


def tags_from_name(name: str) -> Tags:
    """Tags from the words of a name: known finishes, conditions and colors, the rest is the base."""
    words = [word for word in slug(name).split("-") if word]
    finish = _first(words, _FINISHES)
    condition = _first(words, _CONDITIONS)
    color = _first(words, _COLORS)
    used = {finish, condition, color} | _NOISE_WORDS
    base = [word for word in words if word not in used and not word.isdigit()]
    return Tags(" ".join(base or words)[:60].strip(), finish, condition, color)


def _first(words: Sequence[str], known: dict[str, tuple[str, ...]]) -> str:
    return next((word for word in words if word in known), "")


def _base(material: Material) -> str:
    return material.tags.base or material.name.replace("-", " ")


def _written(material: Material, key: str) -> str:
    """One prompt; falls back to the canonical one if the choices would repeat a word."""
    dice = random.Random(key)  # seeded by text: the same on every platform
    tags = material.tags
    base = dice.choice(_BASES.get(_base(material), (_base(material),)))
    known = ((tags.color, _COLORS), (tags.finish, _FINISHES), (tags.condition, _CONDITIONS))
    words = [dice.choice(table.get(tag, (tag,))) for tag, table in known if tag]
    dice.shuffle(words)
    form = dice.choice(_FORMS if words else _BARE_FORMS)
    text = form.format(base=base, words=", ".join(words), and_words=" and ".join(words))
    return text if not _repeats(text) else canonical_prompt(material)


def _repeats(text: str) -> bool:
    """Whether a word that means something occurs twice."""
    words = [word for word in re.findall(r"[a-z0-9]+", text) if word not in _SMALL_WORDS]
    return len(words) != len(set(words))
