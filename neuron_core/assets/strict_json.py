"""JSON that has one meaning only, read from files that nobody vouches for.

Python's reader takes duplicate keys, NaN, numbers beyond float64 and lone surrogates. Two readers
may see different things in those, so they are refused.
"""

import json
import math
from collections.abc import Mapping, Sequence

from neuron_core.assets.errors import AssetError, shown

type_names = {dict: "object", list: "list", str: "text", bool: "boolean", type(None): "null"}


def parse(content: bytes | str, what: str) -> object:
    """The value in `content`, UTF-8 if bytes. Raises AssetError; `what` names it there."""
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        canonical(value).encode()  # fails on lone surrogates, which UTF-8 cannot hold
    except (ValueError, RecursionError) as error:
        raise AssetError(f"{what} is not valid JSON: {str(error)[:200]}.") from error
    return value


def canonical(value: object) -> str:
    """The one text for a JSON value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def type_name(value: object) -> str:
    """What JSON calls the type of a value."""
    return type_names.get(type(value), "number")


def plain(value: object, where: str, depth: int = 12) -> object:
    """A copy of a value made of dicts, lists and scalars, checked to be plain finite JSON.

    Tuples become lists. Raises AssetError with the place of whatever JSON cannot hold, or what is
    nested deeper than `depth`.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) >= 1 << 63:
            raise AssetError(f"{where} is {shown(value)}, beyond 64 bits.")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise AssetError(f"{where} is {value}, not a finite number.")
        return float(value)
    if depth == 0:
        raise AssetError(f"{where} is nested too deeply.")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise AssetError(f"{where} has the key {shown(key)}, which is not text.")
        return {key: plain(item, f"{where}.{key}", depth - 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, f"{where}[{index}]", depth - 1) for index, item in enumerate(value)]
    raise AssetError(f"{where} is a {type(value).__name__}, which JSON cannot hold.")


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


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {shown(text)} is too large")
    return number
