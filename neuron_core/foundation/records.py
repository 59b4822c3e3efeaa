"""Strict JSON records: dataclasses from content that nobody vouches for, and back.

The type hints of a frozen dataclass are the format. Every value is checked for its type; what is
missing, unknown or out of range is an error that names its place, like `looks[2].prompt`. A class
states what differs from the defaults in a class variable:

    RECORD: ClassVar[Rules] = Rules(keys={"asset_id": "id"}, version="version", newest=1)

Hints may be str, int, float, bool, None, object (any plain JSON), Path, enums, Literal, unions,
fixed and endless tuples, Sequence, Mapping with texts as keys, and other such dataclasses.
`Annotated[hint, check, ...]` adds checks: functions of the value that return "" or what is wrong
with it, as in "is empty"; what begins with a dot or a bracket extends the place. The module
`checks` makes the usual ones. `Annotated[SomeRecord, Rules(...)]` keeps a record by other rules there.
"""

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.files import read_bytes, write_json
from neuron_core.foundation.strict_json import Refusal, parse, shown
from neuron_core.foundation.wording import listed

T = TypeVar("T")

WHOLE = "The content"  # what a record without a `where` is called
DEEPEST = 12  # nesting of values that have no type of their own
_TYPE_NAMES: Mapping[type, str] = {dict: "an object", list: "a list", tuple: "a list"}
_WANTED: Mapping[object, str] = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the type hints of a record do not say."""

    keys: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Fields whose key in JSON has another name."""
    complete: bool = False  # fields that have a default may not be missing either
    unknown: Literal["refuse", "drop"] = "refuse"
    rest: str = ""  # the field, a mapping, that keeps unknown keys; nothing is unknown then
    version: str = ""  # the key of the format's version; a newer one is refused before all else
    newest: int = 1  # version that this program reads, and writes


_NO_RULES = Rules()


def read_record(kind: type[T], content: object, where: str, error: Refusal) -> T:
    """The record in plain JSON data. `where` names it in errors; it may be empty.

    Raises what `error` makes, a NeuronError.
    """
    return _Reader(error).record(kind, content, where)


def read_value(hint: Any, content: object, where: str, error: Refusal) -> Any:
    """A value of any type hint that a field may have. Raises what `error` makes."""
    return _Reader(error).value(hint, content, where)


def read_record_file(kind: type[T], path: Path, error: Refusal) -> T:
    """The record in a JSON file. Raises FileError if it cannot be read, else what `error` makes."""
    content = parse(read_bytes(path), str(path), error)
    return read_record(kind, content, "", in_file(path, error))


def in_file(path: Path, error: Refusal) -> Refusal:
    """Errors with the name of a file in front, for records that are read without a `where`."""

    def named(message: str, hint: str | None = None) -> NeuronError:
        about_all = message.startswith(WHOLE)
        whole = f"{path}{message.removeprefix(WHOLE)}" if about_all else f"{path}: {message}"
        return error(whole) if hint is None else error(whole, hint=hint)

    return named


def write_record(path: Path, record: object) -> None:
    """Write a record as stable JSON, whole or not at all."""
    write_json(path, to_plain(record))


def to_plain(record: object, rules: Rules | None = None) -> dict[str, object]:
    """A record as plain JSON data, the inverse of `read_record`; by default by the rules of its class.

    What JSON cannot hold stays as it is, and is refused when it is written or read.
    """
    assert is_dataclass(record) and not isinstance(record, type)
    rules = rules or rules_of(type(record))
    content: dict[str, object] = {rules.version: rules.newest} if rules.version else {}
    for entry in fields(record):
        value = _plain(getattr(record, entry.name), _other_rules(type(record), entry.name))
        if entry.name == rules.rest:
            assert isinstance(value, dict)
            content = {**value, **content}
        else:
            content[rules.keys.get(entry.name, entry.name)] = value
    return content


def rules_of(kind: type) -> Rules:
    """What a class says about its format beside its type hints."""
    rules = getattr(kind, "RECORD", _NO_RULES)
    assert isinstance(rules, Rules)
    return rules


def _plain(value: object, rules: Rules | None = None) -> object:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return to_plain(value, rules) if is_dataclass(value) else value


@cache
def _other_rules(kind: type, name: str) -> Rules | None:
    """The rules by which a field keeps its record, if those are not its record's own."""
    hint = get_type_hints(kind, include_extras=True)[name]
    hints = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    metadata = (extra for one in hints if get_origin(one) is Annotated for extra in get_args(one)[1:])
    return next((extra for extra in metadata if isinstance(extra, Rules)), None)


# --- reading ---


class _Reader:
    """Checks and converts values. `where` is the place of a value, for errors."""

    def __init__(self, error: Refusal) -> None:
        self._error = error

    def record(self, kind: type[T], content: object, where: str, rules: Rules | None = None) -> T:
        rules, known = rules or rules_of(kind), _fields_of(cast(type, kind))
        content = self._object(content, where)
        self._check_version(rules, content, where)
        values: dict[str, Any] = {}
        for name, (entry, hint) in known.items():
            key = rules.keys.get(name, name)
            if name == rules.rest:
                continue
            if key in content:
                values[name] = self.value(hint, content[key], _at(where, key))
            elif rules.complete or _is_required(entry):
                raise self._error(f"{where or WHOLE} has no field {key}.")
        self._take_rest(rules, known, content, where, values)
        return self._made(kind, values, where)

    def _take_rest(
        self,
        rules: Rules,
        known: Mapping[str, object],
        content: Mapping[str, object],
        where: str,
        values: dict[str, Any],
    ) -> None:
        keys = {rules.keys.get(name, name) for name in known if name != rules.rest} | {rules.version}
        rest = {key: value for key, value in content.items() if key not in keys}
        if rules.rest:
            values[rules.rest] = self.plain(rest, where)
        elif rest and rules.unknown == "refuse":
            can = listed(sorted(filter(None, keys)))
            raise self._error(
                f"{where or WHOLE} has the unknown field {shown(min(rest))}; it can have {can}."
            )

    def _made(self, kind: type[T], values: Mapping[str, Any], where: str) -> T:
        """The record; what it refuses itself gets the place in front."""
        try:
            return kind(**values)
        except ValueError as error:
            raise self._error(f"{where or WHOLE}: {str(error).rstrip('.')}.") from error
        except NeuronError as error:
            raise self._error(f"{where or WHOLE}: {error.message}", error.hint) from error

    def _check_version(self, rules: Rules, content: Mapping[str, object], where: str) -> None:
        if not rules.version:
            return
        if rules.version not in content:
            raise self._error(f"{where or WHOLE} has no field {rules.version}.")
        number = self.value(int, content[rules.version], _at(where, rules.version))
        if number > rules.newest:
            raise self._error(
                f"{where or WHOLE} has version {number}; this Neuron reads versions up to {rules.newest}.",
                hint="Update Neuron.",
            )

    def value(self, hint: Any, content: object, where: str) -> Any:
        """The value that a type hint wants."""
        origin = get_origin(hint)
        if origin is Annotated:
            return self._checked(get_args(hint), content, where)
        if hint in (object, Any):
            return self.plain(content, where)
        if origin in (Union, types.UnionType):
            return self._one_of(get_args(hint), content, where)
        if origin is Literal:
            return self._choice(get_args(hint), content, where)
        if origin in (tuple, list, Sequence):
            return self._list(origin, get_args(hint), content, where)
        if origin in (dict, Mapping):
            _, of = get_args(hint)
            found = self._object(content, where)
            return {key: self.value(of, item, _at(where, key)) for key, item in found.items()}
        if isinstance(hint, type) and is_dataclass(hint):
            return self.record(hint, content, where)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return hint(self._choice([member.value for member in hint], content, where))
        return self._scalar(hint, content, where)

    def _checked(self, parts: tuple[Any, ...], content: object, where: str) -> Any:
        hint, *metadata = parts
        rules = next((extra for extra in metadata if isinstance(extra, Rules)), None)
        value = self.record(hint, content, where, rules) if rules else self.value(hint, content, where)
        for check in metadata:
            complaint = "" if isinstance(check, Rules) else check(value)
            if complaint:
                apart = "" if complaint[0] in ".[" else " "
                raise self._error(f"{where or WHOLE}{apart}{complaint}.")
        return value

    def _one_of(self, hints: tuple[Any, ...], content: object, where: str) -> Any:
        """The first of several types that fits; the last one that could fit says what is wrong."""
        if content is None and type(None) in hints:
            return None
        rest = [hint for hint in hints if hint is not type(None)]
        rest = [hint for hint in rest if _could_be(hint, content)] or rest
        for hint in rest[:-1]:
            try:
                return self.value(hint, content, where)
            except NeuronError:
                continue
        return self.value(rest[-1], content, where)

    def _choice(self, choices: Sequence[Any], content: object, where: str) -> Any:
        for choice in choices:
            if type(choice) is type(content) and choice == content:
                return choice
        known = ", ".join(str(choice) for choice in choices)
        raise self._error(f"{where or WHOLE} is {shown(content)}; it can be {known}.")

    def _list(self, origin: Any, parts: tuple[Any, ...], content: object, where: str) -> Any:
        endless = origin is not tuple or parts[-1] is Ellipsis
        if not isinstance(content, list | tuple) or not (endless or len(content) == len(parts)):
            raise self._wrong(content, "a list" if endless else f"a list of {len(parts)}", where)
        hints = [parts[0]] * len(content) if endless else parts
        found = [
            self.value(hint, item, f"{where}[{index}]")
            for index, (hint, item) in enumerate(zip(hints, content, strict=True))
        ]
        return found if origin is list else tuple(found)

    def _object(self, content: object, where: str) -> Mapping[str, object]:
        if not isinstance(content, Mapping):
            raise self._wrong(content, "an object", where)
        for key in content:
            if not isinstance(key, str):
                raise self._error(f"{where or WHOLE} has the key {shown(key)}, which is not text.")
        return content

    def _scalar(self, hint: Any, content: object, where: str) -> Any:
        if hint is Path:
            return Path(self._scalar(str, content, where))
        assert hint in _WANTED, f"{hint} cannot be the type of a field of a record"
        accepted = (int, float) if hint is float else hint
        if not isinstance(content, accepted) or (isinstance(content, bool) and hint is not bool):
            raise self._wrong(content, _WANTED[hint], where)
        if hint is int and abs(content) >= 1 << 63:
            raise self._error(f"{where or WHOLE} is {shown(content)}, beyond 64 bits.")
        if hint is float:
            return self._finite(content, where)
        return content

    def _finite(self, content: int | float, where: str) -> float:
        try:
            number = float(content)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self._error(f"{where or WHOLE} is {shown(content)}, not a finite number.")
        return number

    def _wrong(self, content: object, wanted: str, where: str) -> NeuronError:
        found = _TYPE_NAMES.get(type(content), shown(content))
        if wanted.startswith("a list of") and isinstance(content, list | tuple):
            found = f"a list of {len(content)}"
        return self._error(f"{where or WHOLE} is {found}, not {wanted}.")

    def plain(self, value: object, where: str, depth: int = DEEPEST) -> Any:
        """A copy of plain finite JSON. Tuples become lists."""
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, int | float):
            return self._scalar(int if isinstance(value, int) else float, value, where)
        if depth == 0:
            raise self._error(f"{where or WHOLE} is nested too deeply.")
        if isinstance(value, Mapping):
            found = self._object(value, where)
            return {key: self.plain(item, _at(where, key), depth - 1) for key, item in found.items()}
        if isinstance(value, list | tuple):
            return [self.plain(item, f"{where}[{index}]", depth - 1) for index, item in enumerate(value)]
        raise self._error(f"{where or WHOLE} is a {type(value).__name__}, which JSON cannot hold.")


def _could_be(hint: Any, content: object) -> bool:
    """Whether a value has the JSON type that a hint is written as."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _could_be(get_args(hint)[0], content)
    if isinstance(content, bool):
        return hint is bool
    if isinstance(content, int | float):
        return hint in (int, float)
    if isinstance(content, str):
        return hint in (str, Path)
    if isinstance(content, list | tuple):
        return origin in (tuple, list, Sequence)
    return origin in (dict, Mapping) or is_dataclass(hint)


@cache
def _fields_of(kind: type) -> dict[str, tuple[Field[Any], Any]]:
    hints = get_type_hints(kind, include_extras=True)
    return {entry.name: (entry, hints[entry.name]) for entry in fields(kind) if entry.init}


def _is_required(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
