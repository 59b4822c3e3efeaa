"""Parts of the grammar to train on and to be asked for: `builtin:all`, `builtin:N`, `builtin:N+M@SEED`.

N combinations are trained on. M others are held out as compositional: each of their words is
trained on, but no material of their base, finish and condition, in whatever color. Both sets are a
function of the numbers and the seed, and cover all bases as evenly as they can.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from neuron_core.materials.grammar import Combination, combinations
from neuron_core.materials.grammar_tables import BASES
from neuron_core.materials.record import MaterialError

PREFIX = "builtin:"
TRIED = 400  # candidates for each place in a selection
_FORM = re.compile(r"(?P<count>\d{1,5}|all)(\+(?P<held_out>\d{1,5}))?(@(?P<seed>\d{1,9}))?")
_HINT = "Write builtin:all, builtin:192, or builtin:192+150@7 for 192 to train on, 150 held out, and seed 7."


@dataclass(frozen=True, slots=True)
class Selection:
    """What is trained on, and what is held out."""

    trained: tuple[Combination, ...]
    held_out: tuple[Combination, ...]
    seed: int


def parse(spec: str) -> Selection:
    """The selection that a specification asks for. Raises MaterialError for one that cannot be met.

    `builtin:N` holds out one for every eight that it trains on.
    """
    match = _FORM.fullmatch(spec.strip().removeprefix(PREFIX))
    if match is None:
        raise MaterialError(f"{spec!r} selects nothing from the grammar.", _HINT)
    seed = int(match["seed"] or 0)
    if match["count"] == "all":
        if match["held_out"]:
            return select(len(combinations()) - int(match["held_out"]), int(match["held_out"]), seed, spec)
        return Selection(combinations(), (), seed)
    count = int(match["count"])
    held_out = int(match["held_out"]) if match["held_out"] is not None else count // 8
    return select(count, held_out, seed, spec)


def select(count: int, held_out: int, seed: int, spec: str = "") -> Selection:
    """`count` combinations to train on, with `held_out` others beside them."""
    known = combinations()
    if count < 1 or count + held_out > len(known):
        raise MaterialError(
            f"{spec or count} asks for {count + held_out} materials; the grammar has {len(known)}.", _HINT
        )
    dice = random.Random(f"grammar/{seed}/{held_out}")
    hidden = _held_out(known, held_out, dice)
    triples = {_triple(item) for item in hidden}
    rest = [item for item in known if _triple(item) not in triples]
    if len(rest) < count:
        raise MaterialError(
            f"Without the combinations held out by {spec or held_out} only {len(rest)} are left to train on.",
            _HINT,
        )
    trained = _covering(rest, count, hidden, dice)
    order = {item.name: index for index, item in enumerate(known)}
    return Selection(_sorted(trained, order), _sorted(hidden, order), seed)


def _held_out(known: Sequence[Combination], count: int, dice: random.Random) -> list[Combination]:
    """One color of so many triples, base by base, never the last one that shows a pair of words."""
    by_base: dict[str, list[Combination]] = {}
    for item in dice.sample(known, len(known)):
        by_base.setdefault(item.base, []).append(item)
    left = Counter(word for item in {_triple(item) for item in known} for word in _pairs(item))
    hidden: list[Combination] = []
    taken: set[tuple[str, str, str]] = set()
    queues = {base: iter(items) for base, items in by_base.items()}
    while len(hidden) < count and queues:
        for base in list(queues):
            found = next((item for item in queues[base] if _is_free(item, taken, left)), None)
            if found is None:
                del queues[base]
                continue
            hidden.append(found)
            taken.add(_triple(found))
            left.subtract(_pairs(_triple(found)))
            if len(hidden) == count:
                break
    if len(hidden) < count:
        raise MaterialError(f"Only {len(hidden)} combinations can be held out, not {count}.", _HINT)
    return hidden


def _is_free(item: Combination, taken: set[tuple[str, str, str]], left: Counter[tuple[str, ...]]) -> bool:
    """Whether it can be held out: others still show every two of its words together."""
    triple = _triple(item)
    return triple not in taken and all(left[pair] > 1 for pair in _pairs(triple))


def _covering(
    rest: Sequence[Combination], count: int, hidden: Sequence[Combination], dice: random.Random
) -> list[Combination]:
    """The combinations that show most words and pairs of words most evenly, greedily.

    What held-out combinations ask for comes first.
    """
    asked = {feature for item in hidden for feature in _features(item)}
    seen: Counter[tuple[str, ...]] = Counter()
    left = [(item, _features(item)) for item in dice.sample(list(rest), len(rest))]
    chosen: list[Combination] = []

    def worth(place: int) -> float:
        return sum((2.0 if word in asked else 1.0) / (1 + seen[word]) ** 2 for word in left[place][1])

    while len(chosen) < count:
        places = range(len(left)) if len(left) <= TRIED else dice.sample(range(len(left)), TRIED)
        item, features = left.pop(max(places, key=worth))
        chosen.append(item)
        seen.update(features)
    return chosen


def _triple(item: Combination) -> tuple[str, str, str]:
    return item.base, item.finish, item.condition


def _pairs(triple: tuple[str, str, str]) -> list[tuple[str, ...]]:
    base, finish, condition = triple
    return [("bf", base, finish), ("bc", base, condition), ("fc", finish, condition)]


def _features(item: Combination) -> list[tuple[str, ...]]:
    """The words of a combination and pairs of them; a pair with a category means all its bases."""
    category = BASES[item.base].category
    words: Iterable[tuple[str, ...]] = (
        ("base", item.base),
        ("base ", item.base, "again"),
        ("finish", category, item.finish),
        ("condition", category, item.condition),
        ("color", category, item.color),
        *_pairs(_triple(item)),
        ("bo", item.base, item.color),
    )
    return list(words)


def _sorted(items: Sequence[Combination], order: dict[str, int]) -> tuple[Combination, ...]:
    return tuple(sorted(items, key=lambda item: order[item.name]))
