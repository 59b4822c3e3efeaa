"""Checks of values beside their type: each makes a function that says what is wrong, or ""."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from neuron_core.foundation.strict_json import shown

Check = Callable[[Any], str]

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def text(limit: int, *, required: bool = False, lines: bool = False) -> Check:
    """At most `limit` printable characters; line breaks and tabs only where `lines` are allowed.

    Texts are printed in terminals and node parameters: no escapes, no reordering.
    """

    def check(value: str) -> str:
        if len(value) > limit:
            return f"has {len(value)} characters; at most {limit} are allowed"
        if required and not value.strip():
            return "is empty"
        return unprintable(value, lines)

    return check


def unprintable(value: object, lines: bool = True) -> str:
    """What is wrong with the texts of any plain value, keys too, and where; "" if nothing is."""
    if isinstance(value, str):
        kept = value.replace("\n", "").replace("\t", "") if lines else value
        return f"holds control characters: {shown(value)}" if _CONTROL.search(kept) else ""
    if isinstance(value, Mapping):
        bad = next((key for key in value if unprintable(key, False)), None)
        if bad is not None:
            return f"has the key {shown(bad)}, which holds control characters"
        return _first_of((f".{key}", item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return _first_of((f"[{index}]", item) for index, item in enumerate(value))
    return ""


def _first_of(parts: Iterable[tuple[str, object]]) -> str:
    for place, item in parts:
        if complaint := unprintable(item):
            return f"{place}{'' if complaint[0] in '.[' else ' '}{complaint}"
    return ""


def matching(pattern: str, form: str = "") -> Check:
    """Texts that a regular expression fits whole; `form` says that to a person."""
    compiled, wanted = re.compile(pattern), form or f"of the form {pattern}"

    def check(value: str) -> str:
        return "" if compiled.fullmatch(value) else f"is {shown(value)}, not {wanted}"

    return check


def file_name(value: str) -> str:
    """Names that files and folders can have on every system."""
    if FILE_NAME.fullmatch(value):
        return ""
    return f"is {shown(value)}, not a name of letters, digits, dots, dashes and underscores"


@dataclass(frozen=True, slots=True)
class Within:
    """A check of numbers from `low` to `high`, both included. Sliders take their ends from it."""

    low: int | float
    high: int | float

    def __call__(self, value: int | float) -> str:
        if self.low <= value <= self.high:
            return ""
        return f"is {shown(value)}, not between {self.low:g} and {self.high:g}"


def within(low: int | float, high: int | float) -> Within:
    """Numbers from `low` to `high`, both included."""
    return Within(low, high)


def length(low: int, high: int) -> Check:
    """Lists and objects of `low` to `high` entries."""

    def check(value: Collection[object]) -> str:
        return "" if low <= len(value) <= high else f"has {len(value)} entries, not {low} to {high}"

    return check


def unique_names(values: Collection[Any]) -> str:
    """Lists of what has a `name`, each another one."""
    counts = Counter(value.name for value in values)
    twice = [name for name, count in counts.items() if count > 1]
    return f"names {shown(twice[0])} twice" if twice else ""
