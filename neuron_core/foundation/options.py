"""What a config says of its fields: type, default, choices, range and help.

A config is a frozen dataclass. The choices of a field are a `Literal`, the range of a number is
`Annotated[int, within(1, 64)]`, its help is the text below it. The command line and the parameters of
digital assets are made from the same fields, so nothing is said twice.
"""

import ast
import inspect
import textwrap
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from neuron_core.foundation.checks import Within
from neuron_core.foundation.errors import NeuronError


@dataclass(frozen=True, slots=True)
class Option:
    """A field of a config."""

    name: str
    kind: type  # of one value: bool, int, float, str or Path
    default: object = MISSING  # MISSING where a value has to be given
    many: bool = False  # a tuple of such values
    optional: bool = False  # None is allowed too
    choices: tuple[str, ...] = ()
    limits: Within | None = None

    @property
    def required(self) -> bool:
        """Whether a value has to be given; on the command line such fields have no dashes."""
        return self.default is MISSING


@cache
def options_of(config: type) -> Mapping[str, Option]:
    """The fields of a config by name, in their order."""
    hints = get_type_hints(config, include_extras=True)
    return {item.name: _option(item.name, hints[item.name], item.default) for item in fields(config)}


def _option(name: str, hint: Any, default: object) -> Option:
    limits = None
    if get_origin(hint) is Annotated:
        hint, *checks = get_args(hint)
        limits = next((check for check in checks if isinstance(check, Within)), None)
    optional = get_origin(hint) in (Union, types.UnionType)
    if optional:
        hint = next(part for part in get_args(hint) if part is not types.NoneType)
    many = get_origin(hint) is tuple
    kind = get_args(hint)[0] if many else hint
    choices: tuple[str, ...] = get_args(kind) if get_origin(kind) is Literal else ()
    return Option(name, str if choices else kind, default, many, optional, choices, limits)


@cache
def help_of(config: type) -> Mapping[str, str]:
    """The help of every field, from the source of the config: the text below the field, on one line."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for item, below in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            found[item.target.id] = _text_of(below)
    return {item.name: found.get(item.name, "") for item in fields(config)}


def _text_of(statement: ast.stmt | None) -> str:
    """The text that a statement is; empty for any other statement."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""


def check_ranges(config: object, whose: str) -> None:
    """Raise NeuronError for a number out of its range. `whose` is what it belongs to, as "a dataset"."""
    kind: type = type(config)
    for name, option in options_of(kind).items():
        value = getattr(config, name)
        limits = option.limits
        if limits is not None and value is not None and limits(value):
            raise NeuronError(
                f"The {name.replace('_', ' ')} of {whose} cannot be {value}.",
                f"Give {limits.low} to {limits.high}.",
            )
