"""JSON that has one meaning only, read from text that nobody vouches for."""

import json
import math
from typing import Protocol, runtime_checkable

from neuron_core.foundation.errors import NeuronError


@runtime_checkable
class Refusal(Protocol):
    """How an error is made: NeuronError and its subclasses, or one of them with a hint of its own."""

    def __call__(self, message: str, hint: str = ...) -> NeuronError:
        """The error, not raised."""


def parse(content: bytes | str, where: str, error: Refusal) -> object:
    """The value in JSON text that has one meaning only, UTF-8 if bytes.

    Python's reader takes duplicate keys, NaN, numbers beyond float64 and lone surrogates. Two
    readers may see different things in those, so they are refused.
    """
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_number)
        canonical(value).encode()  # fails on lone surrogates, which UTF-8 cannot hold
    except (ValueError, RecursionError) as problem:
        raise error(f"{where} is not valid JSON: {str(problem)[:200]}.") from problem
    return value


def canonical(value: object) -> str:
    """The one text for a JSON value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {shown(key)} appears twice")
            seen.add(key)
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {shown(text)} is too large")
    return number


def shown(value: object) -> str:
    """A value from a file, short and without control characters, fit for a message."""
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge number"
    text = ascii(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
