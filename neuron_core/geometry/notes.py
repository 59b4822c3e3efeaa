"""What a reader skipped, assumed or repaired, collected for a person."""


class Notes:
    """Sentences, each with the prims or files that it is about. Only pxr-free values go in."""

    def __init__(self) -> None:
        self._about: dict[str, list[str]] = {}

    def add(self, sentence: str, name: str = "") -> None:
        """`sentence` without a full stop; names of equal sentences are listed together."""
        names = self._about.setdefault(sentence, [])
        if name and name not in names:
            names.append(name)

    def listed(self, shown: int = 4) -> tuple[str, ...]:
        """In the order of their first occurrence, with at most `shown` names each."""
        return tuple(_line(sentence, names, shown) for sentence, names in self._about.items())


def _line(sentence: str, names: list[str], shown: int) -> str:
    if not names:
        return f"{sentence}."
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{sentence}: {', '.join(names[:shown])}{more}."
