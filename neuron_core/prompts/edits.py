"""What was done to a look after it was made: a stack of edits, none of which destroys another.

A look is its prompt and its edits; whatever is drawn follows from both. Edits can be turned off,
moved and taken back, in any order. Needs the standard library only.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal, get_args

from neuron_core.foundation.records import Rules, read_record, to_plain
from neuron_core.materials.grammar_tables import AXES, CONDITIONS
from neuron_core.materials.words import CONDITIONS as CONDITION_WORDS
from neuron_core.prompts.encoder import PromptError, check_prompt

EditKind = Literal["prompt", "mix", "axis"]
KINDS: tuple[str, ...] = get_args(EditKind)
_RANGES: dict[str, tuple[float, float]] = {"prompt": (0.0, 2.0), "mix": (0.0, 1.0), "axis": (-1.0, 1.0)}
MOST_EDITS = 64
DAMAGED = "The asset is damaged; bake it again."
STEP = 1 / 3  # how far "more worn" goes along its axis
_MORE = re.compile(r"(?P<much>much |a lot |a bit |a little |slightly )?(?P<sign>more|less) (?P<word>[a-z ]+)")
_STRENGTH = {"much": 2.0, "a lot": 2.0, "a bit": 0.5, "a little": 0.5, "slightly": 0.5}


@dataclass(frozen=True, slots=True)
class Edit:
    """One step of a stack. Raises PromptError for what cannot be asked for.

    prompt: go `amount` of the way to what `text` means; 1 arrives, more goes beyond.
    mix: the same towards another look's prompt, at most all the way.
    axis: go `amount` along an axis of the grammar ("wear", "dirt", "wetness"); negative goes back.
    """

    RECORD: ClassVar[Rules] = Rules(complete=True)

    kind: EditKind
    text: str
    amount: float
    enabled: bool = True

    def __post_init__(self) -> None:
        low, high = _RANGES[self.kind]
        if not (math.isfinite(self.amount) and low <= self.amount <= high):
            raise PromptError(
                f"{self.kind} {self.text!r} cannot have the amount {self.amount:g}.",
                f"Give {low:g} to {high:g}.",
            )
        if self.kind == "axis" and self.text not in AXES:
            raise PromptError(f"There is no axis {self.text!r}.", f"There are {', '.join(AXES)}.")
        if self.kind != "axis":
            check_prompt(self.text)

    def to_json(self) -> dict[str, object]:
        """Plain data, the inverse of `from_json`."""
        return to_plain(self)

    @staticmethod
    def from_json(value: object) -> "Edit":
        """Raises PromptError unless it is exactly what `to_json` writes."""
        return read_record(Edit, value, "The edit of a look", partial(PromptError, hint=DAMAGED))

    def described(self) -> str:
        """For a person."""
        off = "" if self.enabled else " (off)"
        return f"{self.kind} {self.text!r} {self.amount:+.2f}{off}"


Stack = tuple[Edit, ...]


def read_stack(details: Mapping[str, object]) -> Stack:
    """The edits that a look's details hold. Raises PromptError for damaged ones."""
    entries = details.get("edits", [])
    if not isinstance(entries, Sequence) or isinstance(entries, str) or len(entries) > MOST_EDITS:
        raise PromptError("The edits of the look are not a list.", DAMAGED)
    return tuple(Edit.from_json(entry) for entry in entries)


def write_stack(details: Mapping[str, object], stack: Stack) -> dict[str, object]:
    """Details that hold these edits; without any they are as they were before the first."""
    plain = {name: value for name, value in details.items() if name != "edits"}
    return {**plain, "edits": [edit.to_json() for edit in stack]} if stack else plain


def pushed(stack: Stack, edits: Sequence[Edit]) -> Stack:
    """With edits on top."""
    if len(stack) + len(edits) > MOST_EDITS:
        raise PromptError(f"A look has at most {MOST_EDITS} edits.", "Take some back, or bake a new look.")
    return (*stack, *edits)


def taken_back(stack: Stack, count: int) -> Stack:
    """Without the last `count`."""
    if not 0 <= count <= len(stack):
        raise PromptError(f"{count} edits cannot be taken back; there are {len(stack)}.")
    return stack[: len(stack) - count]


def switched(stack: Stack, number: int, enabled: bool) -> Stack:
    """With the edit of that number, counted from 1, on or off."""
    place = _place(stack, number)
    return tuple(replace(edit, enabled=enabled) if i == place else edit for i, edit in enumerate(stack))


def moved(stack: Stack, number: int, to: int) -> Stack:
    """With the edit of that number at another place, both counted from 1."""
    place, target = _place(stack, number), _place(stack, to)
    rest = [edit for index, edit in enumerate(stack) if index != place]
    return (*rest[:target], stack[place], *rest[target:])


def understood(text: str, weight: float) -> Edit:
    """The edit that a prompt asks for: "more worn" and "less dirty" go along an axis."""
    match = _MORE.fullmatch(" ".join(text.lower().split()))
    axis = axis_of(match["word"]) if match else ""
    if not match or not axis:
        return Edit("prompt", check_prompt(text), weight)
    sign = 1.0 if match["sign"] == "more" else -1.0
    step = STEP * _STRENGTH.get((match["much"] or "").strip(), 1.0)
    return Edit("axis", axis, max(-1.0, min(1.0, sign * step * weight)))


def axis_of(word: str) -> str:
    """The axis that a word belongs to: "worn", "weathered" and "wear" to wear; "" if to none."""
    if word in AXES:
        return word
    for name, condition in CONDITIONS.items():
        if condition.axis and word in (name, *CONDITION_WORDS.get(name, ())):
            return condition.axis
    return ""


def amount_of(text: str) -> tuple[str, float]:
    """The name and the number of NAME=NUMBER. Raises PromptError."""
    name, separator, number = text.rpartition("=")
    try:
        if separator and name.strip():
            return name.strip(), float(number)
    except ValueError:
        pass
    raise PromptError(f"{text!r} has no amount.", 'Write NAME=NUMBER, as in "wear=0.5".')


def places_of(text: str) -> tuple[int, int]:
    """The two places of FROM:TO. Raises PromptError."""
    parts = text.split(":")
    if len(parts) == 2 and all(part.strip().isdigit() for part in parts):
        return int(parts[0]), int(parts[1])
    raise PromptError(f"{text!r} moves nothing.", 'Write FROM:TO, as in "3:1".')


def _place(stack: Stack, number: int) -> int:
    if not 1 <= number <= len(stack):
        has = f"They are numbered 1 to {len(stack)}." if stack else "The look has none."
        raise PromptError(f"There is no edit {number}.", has)
    return number - 1
