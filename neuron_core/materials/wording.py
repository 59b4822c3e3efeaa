"""Words for materials: prompts from tags, and tags from names.

Every prompt begins with the base noun. What is chosen is a function of the material's name, the
seed and the index alone. Prompts now and then leave out what goes without saying: the usual finish
and the usual color of a base. Paraphrases use sentence forms and words that prompts never use.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from neuron_core.materials import grammar_tables
from neuron_core.materials.record import Material, Tags, slug
from neuron_core.materials.words import BASES, COLORS, CONDITIONS, FINISHES, Words, kept, usual

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
_KEPT_FORMS = (
    "{base} as a material, {and_words}",
    "{base} seen up close, {words}",
    "{base}, simply {and_words}",
    "{base}, {and_words} everywhere",
    "{base}, made to look {and_words}",
)
_KEPT_BARE_FORMS = ("{base} as a material", "{base}, nothing else", "{base} seen up close")
_TRIES = 40


class _Manner(NamedTuple):
    """A way of writing prompts."""

    pick: Callable[[Words, str], tuple[str, ...]]
    forms: tuple[str, ...]
    bare_forms: tuple[str, ...]
    left_out: float  # how often what goes without saying is not said


_USUAL = _Manner(usual, _FORMS, _BARE_FORMS, 0.3)
_KEPT = _Manner(kept, _KEPT_FORMS, _KEPT_BARE_FORMS, 0.0)


def canonical_prompt(material: Material) -> str:
    """The plain prompt: base noun, color, finish, condition, like "copper, brushed, worn"."""
    tags = material.tags
    return ", ".join(part for part in (_base(material), tags.color, tags.finish, tags.condition) if part)


def prompts(material: Material, count: int, seed: int) -> list[str]:
    """`count` ways to ask for a material, distinct as long as there are enough; never a word twice."""
    return _distinct(material, count, f"{seed}", _USUAL)


def paraphrases(material: Material, count: int, seed: int) -> list[str]:
    """`count` other ways to ask for it, in forms and mostly in words that `prompts` never uses."""
    return _distinct(material, count, f"kept/{seed}", _KEPT)


def every_word() -> Iterator[str]:
    """Texts that hold every word of every prompt and paraphrase that the tables can make."""
    for table in (BASES, FINISHES, CONDITIONS, COLORS):
        for words in table.values():
            yield from words
    for form in (*_FORMS, *_BARE_FORMS, *_KEPT_FORMS, *_KEPT_BARE_FORMS):
        yield form.format(base="", words="", and_words="and")


def _distinct(material: Material, count: int, key: str, manner: _Manner) -> list[str]:
    chosen: list[str] = []
    for index in range(count):
        own = f"{key}/{material.name}/{index}"
        attempts = (_written(material, f"{own}/{n}", manner) for n in range(_TRIES))
        fresh = next((text for text in attempts if text not in chosen), None)
        chosen.append(fresh or _written(material, own, manner))
    return chosen


def tags_from_name(name: str) -> Tags:
    """Tags from the words of a name: known finishes, conditions and colors, the rest is the base."""
    words = [word for word in slug(name).split("-") if word]
    finish = _first(words, FINISHES)
    condition = _first(words, CONDITIONS)
    color = _first(words, COLORS)
    used = {finish, condition, color} | _NOISE_WORDS
    base = [word for word in words if word not in used and not word.isdigit()]
    return Tags(" ".join(base or words)[:60].strip(), finish, condition, color)


def _first(words: Sequence[str], known: Words) -> str:
    return next((word for word in words if word in known), "")


def _base(material: Material) -> str:
    return material.tags.base or material.name.replace("-", " ")


def _written(material: Material, key: str, manner: _Manner) -> str:
    """One prompt; falls back to the canonical one if the choices would repeat a word."""
    dice = random.Random(key)  # seeded by text: the same on every platform
    tags, silent = material.tags, _goes_without_saying(material.tags)
    base = dice.choice(manner.pick(BASES, _base(material)))
    tables = ((COLORS, tags.color), (FINISHES, tags.finish), (CONDITIONS, tags.condition))
    said = [(table, tag) for table, tag in tables if tag not in silent or dice.random() >= manner.left_out]
    words = [dice.choice(manner.pick(table, tag)) for table, tag in said if tag]
    dice.shuffle(words)
    form = dice.choice(manner.forms if words else manner.bare_forms)
    text = form.format(base=base, words=", ".join(words), and_words=" and ".join(words))
    return text if not _repeats(text) else canonical_prompt(material)


def _goes_without_saying(tags: Tags) -> tuple[str, ...]:
    """The usual finish and color of a base of the grammar."""
    base = grammar_tables.BASES.get(tags.base)
    return () if base is None else (*base.finishes[:1], *base.colors[:1])


def _repeats(text: str) -> bool:
    """Whether a word that means something occurs twice."""
    words = [word for word in re.findall(r"[a-z0-9]+", text) if word not in _SMALL_WORDS]
    return len(words) != len(set(words))
