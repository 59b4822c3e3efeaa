"""Places and frames as people write them."""

import math

from neuron_core.foundation.values import ValueNotationError

Vec3 = tuple[float, float, float]


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
    return tuple(_number(part, text, name) for part in text.split(","))


def frame(text: str, name: str = "frame") -> float | None:
    """A frame, which may lie between two; None for an empty text. Raises ValueNotationError."""
    return _number(text, text, name) if text.strip() else None


def _number(part: str, text: str, name: str) -> float:
    try:
        number = float(part)
    except ValueError:
        raise ValueNotationError(f"--{name} {text!r} holds no number.", "Write numbers, as 1.5.") from None
    if not math.isfinite(number):
        raise ValueNotationError(f"--{name} {text!r} is not finite.", "Write finite numbers.")
    return number
