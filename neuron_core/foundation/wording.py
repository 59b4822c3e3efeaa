"""Lists and counts in sentences."""

from collections.abc import Sequence

SHOWN = 8  # items of a list that a person gets to see


def listed(items: Sequence[str], shown: int = SHOWN) -> str:
    """The first items, and how many more there are."""
    text = ", ".join(items[:shown])
    return text if len(items) <= shown else f"{text} and {len(items) - shown} more"


def counted(count: int, noun: str, plural: str = "s") -> str:
    """A number with its noun: "1 look", "2 looks", "2 meshes" with the ending "es"."""
    return f"{count:,} {noun}{'' if count == 1 else plural}"
