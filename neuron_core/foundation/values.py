"""Small notations of the command line that stay text in a config: lists, sizes, frames, places."""

import math
import re
from collections.abc import Iterable

from neuron_core.foundation.errors import NeuronError

Vec3 = tuple[float, float, float]


class ValueNotationError(NeuronError):
    """A text that is not written as its notation wants it."""

    kind = "arguments"


def comma_list(text: str) -> tuple[str, ...]:
    """`a,b,c`. Spaces around items are dropped; an empty text is an empty list.

    Raises ValueNotationError for an empty item or one that stands twice.
    """
    if not text.strip():
        return ()
    items = tuple(item.strip() for item in text.split(","))
    if "" in items:
        raise ValueNotationError(f"The list {text!r} has an empty item.", "Write it as a,b,c.")
    twice = [item for item in items if items.count(item) > 1]
    if twice:
        raise ValueNotationError(f"The list {text!r} has {twice[0]!r} twice.", "Write every item once.")
    return items


def size(text: str, largest: int = 16384) -> tuple[int, int]:
    """`WxH`, or `N` for a square, in pixels: (width, height), both within [1, `largest`]."""
    match = re.fullmatch(r"(\d{1,9})(?:[xX×](\d{1,9}))?", text.strip(), re.ASCII)
    if match is None:
        hint = "Write it as WIDTHxHEIGHT, for example 512x512."
        raise ValueNotationError(f"{text!r} is not an image size.", hint)
    width, height = int(match[1]), int(match[2] or match[1])
    if not (1 <= width <= largest and 1 <= height <= largest):
        raise ValueNotationError(
            f"An image of {width} x {height} pixels cannot be made.", f"Take sides from 1 to {largest}."
        )
    return width, height


def frames(text: str, most: int = 100_000) -> range:
    """`A`, `A-B` or `A-BxS`: frame A to B with B included, every S-th. A may be negative."""
    match = re.fullmatch(r"(-?\d{1,9})(?:-(-?\d{1,9})(?:x(\d{1,9}))?)?", text.strip(), re.ASCII)
    if match is None:
        hint = "Write it as FIRST-LAST or FIRST-LASTxSTEP, for example 1-24x2."
        raise ValueNotationError(f"{text!r} is not a range of frames.", hint)
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    step = int(match[3]) if match[3] else 1
    if last < first or step < 1:
        hint = "The last frame may not lie before the first, and the step is at least 1."
        raise ValueNotationError(f"The range of frames {text!r} is empty.", hint)
    found = range(first, last + 1, step)
    if len(found) > most:
        raise ValueNotationError(f"{text!r} are {len(found)} frames.", f"Take at most {most} at once.")
    return found


def place(text: str, name: str) -> Vec3 | None:
    """`x,y,z`; None for an empty text. Raises ValueNotationError."""
    if not text.strip():
        return None
    numbers = [_number(part, text, name) for part in text.split(",")]
    if len(numbers) != 3:
        raise ValueNotationError(f"--{name} {text!r} are {len(numbers)} numbers.", "Write it as x,y,z.")
    return numbers[0], numbers[1], numbers[2]


def factors(text: str, name: str) -> Vec3 | None:
    """`x,y,z`, or one number for all three; None for an empty text. Raises ValueNotationError."""
    if text.strip() and "," not in text:
        same = _number(text, text, name)
        return same, same, same
    return place(text, name)


def numbers(text: str, name: str) -> tuple[float, ...] | None:
    """`a,b,c`, as many as there are; None for an empty text. Raises ValueNotationError."""
    if not text.strip():
        return None
    return finite_numbers(text.split(","), f"--{name} {text!r}")


def finite_numbers(words: Iterable[str], what: str) -> tuple[float, ...]:
    """The numbers that words are. Raises ValueNotationError, which says that `what` holds none."""
    return tuple(_finite(word, what) for word in words)


def frame(text: str, name: str = "frame") -> float | None:
    """A frame, which may lie between two; None for an empty text. Raises ValueNotationError."""
    return _number(text, text, name) if text.strip() else None


def _number(part: str, text: str, name: str) -> float:
    return _finite(part, f"--{name} {text!r}")


def _finite(word: str, what: str) -> float:
    try:
        number = float(word)
    except ValueError:
        raise ValueNotationError(f"{what} holds no number.", "Write numbers, as 1.5.") from None
    if not math.isfinite(number):
        raise ValueNotationError(f"{what} is not finite.", "Write finite numbers.")
    return number
